//! How a client proves itself (RFC 6749 §2.3) at the token, revocation and introspection endpoints.

use base64::{Engine, engine::general_purpose::STANDARD as B64};
use reqwest::StatusCode;
use serde_json::{Value, json};

use countersign::domain::password::fast_form;
use countersign::domain::secret::Secret;

use crate::support::{Answer, CHALLENGE, Database, Server, VERIFIER, assert_refused, both, text};

const FORM: [(&str, &str); 1] = [("grant_type", "client_credentials")];

/// A request with these `Authorization` headers.
async fn with_headers(server: &Server, headers: &[&str], form: &[(&str, &str)]) -> Answer {
    let mut request = server.http.post(server.url("/oauth2/token")).form(form);
    for header in headers {
        request = request.header("authorization", *header);
    }
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

fn basic(text: &str) -> String {
    format!("Basic {}", B64.encode(text))
}

async fn in_body(server: &Server, id: &str, secret: &str) -> Answer {
    server.post_form("/oauth2/token", None, &[FORM[0], ("client_id", id), ("client_secret", secret)]).await
}

both!(
    async fn a_secret_goes_by_basic_or_in_the_body(server: Server) {
        server.web_app(json!({})).await;
        assert_eq!(with_headers(&server, &[&basic("web-app:client-secret")], &FORM).await.0, 200);
        assert_eq!(
            with_headers(&server, &[&basic("web-app:client-secret").replace("Basic", "bAsIc")], &FORM).await.0,
            200
        );
        assert_eq!(in_body(&server, "web-app", "client-secret").await.0, 200);
        // Naming itself in the body too is not a second method.
        let named = [FORM[0], ("client_id", "web-app")];
        assert_eq!(with_headers(&server, &[&basic("web-app:client-secret")], &named).await.0, 200);
    }
);

// RFC 6749 §2.3.1 has both halves form-encoded; many clients send them as they are.
both!(
    async fn basic_credentials_are_percent_decoded_and_taken_raw(server: Server) {
        for (id, secret) in [
            ("app", "p:a+s%20s/ü&="),
            ("a+b@c:d", "x y"),
            ("app", "100%"),
            ("app", "a+b"),
            ("app", "a%2Bb"),
            ("app", "%zz:"),
        ] {
            server
                .put(
                    &format!("/Client/{}", id.replace('+', "%2B")),
                    json!({"secret": secret, "grant_types": ["client_credentials"]}),
                )
                .await;
            let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let encoded = basic(&format!("{}:{}", encode(id), encode(secret)));
            assert_eq!(with_headers(&server, &[&encoded], &FORM).await.0, 200, "{id} {secret} encoded");
            if !id.contains(':') {
                assert_eq!(
                    with_headers(&server, &[&basic(&format!("{id}:{secret}"))], &FORM).await.0,
                    200,
                    "{id} {secret} raw"
                );
            }
            assert_eq!(in_body(&server, id, secret).await.0, 200, "{id} {secret} in the body");
            // The body's form is decoded once, not twice.
            if encode(secret) != secret {
                assert_eq!(in_body(&server, id, &encode(secret)).await.0, 401, "{id} {secret}");
            }
        }
    }
);

// RFC 6749 §2.3: not more than one method in a request.
both!(
    async fn two_methods_at_once_are_refused(server: Server) {
        server.web_app(json!({})).await;
        server.put("/Client/other", json!({"secret": "other-secret", "grant_types": ["client_credentials"]})).await;
        let right = basic("web-app:client-secret");
        for (id, secret) in
            [("web-app", "client-secret"), ("web-app", "wrong"), ("other", "other-secret"), ("", "client-secret")]
        {
            let form = [FORM[0], ("client_id", id), ("client_secret", secret)];
            assert_refused(&with_headers(&server, &[&right], &form).await, 400, "invalid_request", "twice");
        }
        let form = [FORM[0], ("client_id", "other")];
        assert_refused(&with_headers(&server, &[&right], &form).await, 400, "invalid_request", "another client");
        for second in [right.as_str(), "Bearer x"] {
            let answer = with_headers(&server, &[&right, second], &FORM).await;
            assert_refused(&answer, 400, "invalid_request", "more than one Authorization");
        }
        let assertion = [FORM[0], ("client_assertion", "x"), ("client_assertion_type", "y")];
        assert_refused(&with_headers(&server, &[&right], &assertion).await, 401, "invalid_client", "not supported");
        let assertion = [
            FORM[0],
            ("client_assertion", "x"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ];
        assert_refused(&with_headers(&server, &[&right], &assertion).await, 400, "invalid_request", "twice");
    }
);

// RFC 6749 §5.2; nobody learns which clients there are, nor which are off.
both!(
    async fn an_unknown_client_a_wrong_secret_and_a_client_that_is_off_are_told_the_same(server: Server) {
        server.web_app(json!({})).await;
        server.web_app(json!({})).await;
        server.put("/Client/off", json!({"secret": "s", "active": false, "grant_types": ["client_credentials"]})).await;
        for (id, secret) in [
            ("nobody", "x"),
            ("web-app", "wrong"),
            ("web-app", "Client-secret"),
            ("WEB-APP", "client-secret"),
            ("off", "s"),
            ("off", "wrong"),
            ("web-app", "client-secret "),
        ] {
            for endpoint in ["/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"] {
                let form = [FORM[0], ("token", "x")];
                let request = server.http.post(server.url(endpoint)).basic_auth(id, Some(secret)).form(&form);
                let response = request.send().await.unwrap();
                assert_eq!(response.headers()["www-authenticate"], "Basic realm=\"countersign\"");
                let answer = (response.status(), response.json().await.unwrap());
                assert_refused(&answer, 401, "invalid_client", "unknown client or wrong client secret");
                let in_body = [FORM[0], ("token", "x"), ("client_id", id), ("client_secret", secret)];
                assert_eq!(server.post_form(endpoint, None, &in_body).await, answer);
            }
        }
    }
);

both!(
    async fn an_encoded_control_character_is_no_credential_and_no_fault(server: Server) {
        server.web_app(json!({})).await;
        for credentials in ["a%00b:x", "%00:%00", "web-app:client-secret%00", "web-app%0a:client-secret"] {
            let answer = with_headers(&server, &[&basic(credentials)], &FORM).await;
            assert_refused(&answer, 401, "invalid_client", "unknown client or wrong client secret");
            let rest = server.http.get(server.url("/Client")).header("authorization", basic(credentials));
            assert_eq!(rest.send().await.unwrap().status(), 401, "{credentials}");
        }
    }
);

both!(
    async fn what_is_no_basic_header_is_no_client(server: Server) {
        server.web_app(json!({})).await;
        let long = basic(&format!("web-app:{}", "x".repeat(5_000)));
        for header in [
            "Basic",
            "Basic ",
            "Basic !!!",
            &basic("web-app"),
            &basic("web-app:client-secret\n"),
            &long,
            &basic(":client-secret"),
            &basic(":"),
            "Basic d2ViLWFwcDpjbGllbnQtc2VjcmV0 x",
            "Bearer x",
            "Negotiate x",
            "",
        ] {
            let (status, body) = with_headers(&server, &[header], &FORM).await;
            assert_eq!(
                (status, &body["error"]),
                (StatusCode::UNAUTHORIZED, &json!("invalid_client")),
                "{header}: {body}"
            );
        }
        assert_refused(&with_headers(&server, &[], &FORM).await, 401, "invalid_client", "no client");
    }
);

both!(
    async fn a_client_that_has_a_secret_must_use_it(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let tokens = server.tokens("openid").await;
        let code = server.code("openid").await;
        let refresh = text(&tokens, "refresh_token");
        let requests: [(&str, &[(&str, &str)]); 6] = [
            ("/oauth2/token", &FORM),
            ("/oauth2/token", &[("grant_type", "authorization_code"), ("code", &code)]),
            ("/oauth2/token", &[("grant_type", "refresh_token"), ("refresh_token", refresh)]),
            (
                "/oauth2/token",
                &[("grant_type", "password"), ("username", "alice"), ("password", "correct-horse-battery")],
            ),
            ("/oauth2/revoke", &[("token", refresh)]),
            ("/oauth2/introspect", &[("token", refresh)]),
        ];
        for (path, form) in requests {
            let form: Vec<_> = form.iter().copied().chain([("client_id", "web-app"), ("client_secret", "")]).collect();
            assert_refused(&server.post_form(path, None, &form).await, 401, "invalid_client", "must use it");
            let answer = server.post_form(path, Some(("web-app", "")), &form[..form.len() - 2]).await;
            assert_refused(&answer, 401, "invalid_client", "must use it");
        }
        assert_eq!(server.redeem(&code).await.0, 200);
        server.refreshed(refresh).await;
    }
);

both!(
    async fn a_public_client_must_not_use_a_secret(server: Server) {
        server.spa(json!({"grant_types": ["code", "client_credentials"]})).await;
        for secret in ["x", "undefined", "********"] {
            assert_refused(&in_body(&server, "spa", secret).await, 401, "invalid_client", "has no secret");
            assert_refused(
                &with_headers(&server, &[&basic(&format!("spa:{secret}"))], &FORM).await,
                401,
                "invalid_client",
                "has no secret",
            );
        }
        // RFC 6749 §4.4: the grant is for confidential clients only. Naming itself by Basic is as good as in the body.
        for answer in [in_body(&server, "spa", "").await, with_headers(&server, &[&basic("spa:")], &FORM).await] {
            assert_refused(&answer, 400, "unauthorized_client", "needs a client with a secret");
        }
        // RFC 7662 §2.1: whoever introspects must prove itself.
        let answer = server.post_form("/oauth2/introspect", None, &[("client_id", "spa"), ("token", "x")]).await;
        assert_refused(&answer, 401, "invalid_client", "with a secret");
    }
);

// RFC 7591 §2
both!(
    async fn a_registered_method_is_the_only_one(server: Server) {
        for (method, by_basic, by_body) in
            [("client_secret_basic", 200, 401), ("client_secret_post", 401, 200), ("none", 401, 401)]
        {
            server.web_app(json!({"token_endpoint_auth_method": method})).await;
            assert_eq!(server.token(&FORM).await.0, by_basic, "{method}");
            assert_eq!(in_body(&server, "web-app", "client-secret").await.0, by_body, "{method}");
            assert_eq!(in_body(&server, "web-app", "").await.0, 401, "{method}");
        }
    }
);

both!(
    async fn where_the_document_does_not_require_the_secret_the_verifier_does(server: Server) {
        server.web_app(json!({"auth": {"authorization_code": {"secret_required": false}}})).await;
        server.alice().await;
        let query = [("response_type", "code"), ("client_id", "web-app"), ("scope", "openid")];
        let refused = server.authorize(&server.browser(), &query).await.returned();
        assert_eq!(refused.get("error"), Some("invalid_request"), "no challenge: {refused:?}");

        let query = [query[0], query[1], query[2], ("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
        let code = server.sign_in_and_consent(&server.browser(), &query).await.expect("code");
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", "web-app"),
            ("code", &code),
            ("code_verifier", VERIFIER),
        ];
        let answer = server.post_form("/oauth2/token", None, &form[..3]).await;
        assert_refused(&answer, 400, "invalid_grant", "code_verifier is missing");
        let wrong: Vec<_> = form.iter().copied().chain([("client_secret", "wrong")]).collect();
        assert_eq!(server.post_form("/oauth2/token", None, &wrong).await.0, 401, "a secret that is sent must be right");
        let (status, tokens) = server.post_form("/oauth2/token", None, &form).await;
        assert_eq!(status, 200, "{tokens}");
        let token = text(&tokens, "refresh_token");
        let form = [("grant_type", "refresh_token"), ("client_id", "web-app"), ("refresh_token", token)];
        let (status, tokens) = server.post_form("/oauth2/token", None, &form).await;
        assert_eq!(status, 200, "{tokens}");
        // It excuses neither other grants nor introspection.
        let form = [FORM[0], ("client_id", "web-app"), ("token", text(&tokens, "access_token"))];
        for endpoint in ["/oauth2/token", "/oauth2/introspect"] {
            assert_refused(&server.post_form(endpoint, None, &form).await, 401, "invalid_client", "must use it");
        }
        assert_eq!(server.post_form("/oauth2/revoke", None, &form).await.0, 200);
        assert!(!server.is_active(text(&tokens, "access_token")).await);
    }
);

both!(
    async fn stored_forms_of_aidbox_verify_and_are_no_credentials(server: Server) {
        // Aidbox's own samples: SHA-256 of `secret`, scrypt of `123456`.
        let sha256 = "__sha256:2BB80D537B1DA3E38BD30361AA855686BDE0EACD7162FEF6A25FE97BF527A25B";
        let scrypt = "$s0$f0801$HhKy93HnLn0qSmsS2JCZnQ==$P0oAp6yx6k8bCbeFN2UT9UfjKROuggn7deLbX2Mpm2M=";
        for (stored, secret) in [(sha256, "secret"), (scrypt, "123456"), ("plain text", "plain text")] {
            server.web_app(json!({"secret": stored})).await;
            // The second time is the remembered one.
            for _ in 0..2 {
                assert_eq!(in_body(&server, "web-app", secret).await.0, 200, "{stored}");
                assert_eq!(in_body(&server, "web-app", "wrong").await.0, 401, "{stored}");
            }
            if stored != secret {
                assert_eq!(in_body(&server, "web-app", stored).await.0, 401, "{stored}");
            }
        }
    }
);

both!(
    async fn a_changed_secret_holds_at_once_and_the_old_one_no_longer(server: Server) {
        server.web_app(json!({})).await;
        assert_eq!(server.token(&FORM).await.0, 200);
        server.patch("/Client/web-app", json!({"secret": "new-secret"})).await;
        assert_eq!(server.token(&FORM).await.0, 401);
        assert_eq!(in_body(&server, "web-app", "new-secret").await.0, 200);
        server.patch("/Client/web-app", json!({"secret": null})).await;
        assert_refused(&in_body(&server, "web-app", "new-secret").await, 401, "invalid_client", "has no secret");
        let found: Value = server.admin("GET", "/Client/web-app").send().await.unwrap().json().await.unwrap();
        assert!(found.get("secret").is_none(), "{found}");
    }
);

// RFC 6749 §2.3.1: the endpoint must be protected against guessing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_cannot_be_guessed_without_end_and_nobody_elsewhere_notices() {
    for database in [Database::Sqlite, Database::Postgres] {
        let server =
            Server::start_with(database, |settings| settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()])
                .await;
        let sha256 = |secret| fast_form(&Secret::new(secret));
        server.web_app(json!({"secret": sha256("client-secret")})).await;
        let ask = async |secret: &str, address: &str| {
            let request = server.http.post(server.url("/oauth2/token")).basic_auth("web-app", Some(secret));
            let response = request
                .header("x-forwarded-for", address)
                .form(&[("grant_type", "client_credentials")])
                .send()
                .await
                .unwrap();
            (response.status().as_u16(), response.headers().contains_key("retry-after"))
        };
        // Seen before, so that it is remembered.
        assert_eq!(ask("client-secret", "198.51.100.7").await, (200, false));
        // Fast to look into, as this test is to be: 300 are free.
        for guess in 0..300 {
            assert_eq!(ask(&format!("guess-{guess}"), "203.0.113.5").await, (401, false), "{guess}");
        }
        assert_eq!(ask("guess", "203.0.113.5").await, (401, true));
        assert_eq!(ask("guess", "203.0.113.6").await, (401, false));
        assert_eq!(ask("client-secret", "203.0.113.5").await, (200, false), "who is known is let in");
        // Another node, or this one after a restart, has not seen the right one: it is no exception there.
        server.patch("/Client/web-app", json!({"secret": sha256("another-secret")})).await;
        for guess in 0..300 {
            assert_eq!(ask(&format!("guess-{guess}"), "203.0.113.5").await, (401, false), "a new secret starts anew");
        }
        assert_eq!(ask("another-secret", "203.0.113.5").await, (401, true));
        assert_eq!(ask("another-secret", "203.0.113.6").await, (200, false));
    }
}
