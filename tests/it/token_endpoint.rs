//! The token endpoint (RFC 6749 §3.2): how a request is read, and what its answers have in common.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Answer, Database, Server, assert_refused, both, text};

const BASIC: Option<(&str, &str)> = Some(("web-app", "client-secret"));

/// A body of some content type, with the client by HTTP Basic.
async fn post(server: &Server, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = server.http.post(server.url("/oauth2/token")).basic_auth("web-app", Some("client-secret"));
    let request = if content_type.is_empty() { request } else { request.header("content-type", content_type) };
    let response = request.body(body).send().await.unwrap();
    let status = response.status();
    (status, response.json().await.unwrap_or(Value::Null))
}

both!(
    async fn form_json_and_yaml_say_the_same(server: Server) {
        server.web_app(json!({})).await;
        let form = "grant_type=client_credentials&scope=a+b&audience=https%3A%2F%2Fapi.example";
        let json =
            r#"{"grant_type":"client_credentials","scope":"a b","audience":"https://api.example","ignored":null}"#;
        let yaml = "grant_type: client_credentials\nscope: a b\naudience: https://api.example\n";
        for (content_type, body) in [
            ("application/x-www-form-urlencoded", form),
            ("Application/X-WWW-Form-Urlencoded; charset=UTF-8", form),
            ("application/json", json),
            ("application/json;charset=utf-8", json),
            ("application/fhir+json", json),
            ("text/yaml", yaml),
            ("application/yaml", yaml),
        ] {
            let (status, tokens) = post(&server, content_type, body).await;
            assert_eq!((status, &tokens["scope"]), (StatusCode::OK, &json!("a b")), "{content_type}: {tokens}");
            assert_eq!(server.introspect(text(&tokens, "access_token")).await["aud"], "https://api.example");
        }
        // The client in the body, as the notebooks and packages of the field send it.
        let body =
            json!({"grant_type": "client_credentials", "client_id": "web-app", "client_secret": "client-secret"});
        let response = server.http.post(server.url("/oauth2/token")).json(&body).send().await.unwrap();
        assert_eq!(response.status(), 200);
    }
);

both!(
    async fn what_cannot_be_read_in_one_way_only_is_refused(server: Server) {
        server.web_app(json!({})).await;
        let (form, json, yaml) = ("application/x-www-form-urlencoded", "application/json", "text/yaml");
        let deep = format!("{}1{}", "{\"a\":".repeat(40), "}".repeat(40));
        let many = (0..101).fold(String::from("grant_type=client_credentials"), |text, n| format!("{text}&p{n}=1"));
        let long = format!("grant_type=client_credentials&x={}", "y".repeat(17_000));
        for (content_type, body) in [
            ("", "grant_type=client_credentials"),
            ("text/plain", "grant_type=client_credentials"),
            ("multipart/form-data; boundary=x", "--x--"),
            (json, "grant_type=client_credentials"),
            (json, ""),
            (json, "null"),
            (json, r#"["grant_type"]"#),
            (json, r#""client_credentials""#),
            (json, r#"{"grant_type":"client_credentials","grant_type":"password"}"#),
            (json, r#"{"grant_type":["client_credentials"]}"#),
            (json, r#"{"grant_type":{"a":"client_credentials"}}"#),
            (json, r#"{"grant_type":"client_credentials"} {}"#),
            (json, r#"{"grant_type":"client_credentials",}"#),
            (json, r#"{"grant_type":"client_credentials","scope":"a\u0000b"}"#),
            (json, &deep),
            (yaml, "grant_type: client_credentials\ngrant_type: password\n"),
            (yaml, "grant_type: &a client_credentials\nscope: *a\n"),
            (yaml, "grant_type: !!str client_credentials\n"),
            (yaml, "- grant_type\n"),
            (yaml, "grant_type: [\n"),
            (form, "grant_type=client_credentials&scope=%"),
            (form, "grant_type=client_credentials&scope=%zz"),
            (form, "grant_type=client_credentials&scope=%ff"),
            (form, "grant_type=client_credentials&scope=%00"),
            (form, "grant_type=client_credentials&scope=%1b"),
            (form, &many),
            (form, &long),
        ] {
            let answer = post(&server, content_type, body.to_owned()).await;
            assert_refused(&answer, 400, "invalid_request", "");
        }
        for content_type in [form, json, yaml] {
            let answer = post(&server, content_type, &b"grant_type=client_credentials\xff"[..]).await;
            assert_refused(&answer, 400, "invalid_request", "UTF-8");
        }
        let huge = format!("grant_type=client_credentials&x={}", "y".repeat(70_000));
        assert_refused(&post(&server, form, huge).await, 413, "invalid_request", "64 KiB");
    }
);

// RFC 6749 §3.2: parameters must not occur more than once; without a value they count as absent; unknown ones are ignored.
both!(
    async fn a_parameter_twice_is_refused_an_empty_or_unknown_one_ignored(server: Server) {
        server.web_app(json!({})).await;
        for twice in [
            "grant_type=client_credentials",
            "scope=a&scope=a",
            "scope=&scope=a",
            "scope&scope",
            "client_id=web-app&client_id=web-app",
            "code=a&code=b",
            "%63ode=a&code=a",
            "unknown=1&unknown=2",
        ] {
            let body = format!("grant_type=client_credentials&{twice}");
            let answer = post(&server, "application/x-www-form-urlencoded", body).await;
            assert_refused(&answer, 400, "invalid_request", "more than once");
        }
        let form = [
            ("grant_type", "client_credentials"),
            ("scope", ""),
            ("audience", ""),
            ("code", "x"),
            ("client_secret", ""),
            ("client_id", ""),
            ("nonsense", "1"),
            ("resource_owner", ""),
        ];
        let (status, tokens) = server.token(&form).await;
        assert_eq!(status, 200, "{tokens}");
        assert!(tokens.get("scope").is_none(), "{tokens}");
    }
);

both!(
    async fn a_grant_type_that_is_not_served_is_told_so(server: Server) {
        server.web_app(json!({})).await;
        for missing in [&[][..], &[("grant_type", "")]] {
            assert_refused(&server.token(missing).await, 400, "invalid_request", "grant_type is missing");
        }
        for other in ["implicit", "code", "basic", "Password", "urn:ietf:params:oauth:grant-type:device_code", "é\"\\"]
        {
            let answer = server.token(&[("grant_type", other)]).await;
            assert_refused(&answer, 400, "unsupported_grant_type", "is not served here");
        }
    }
);

// RFC 6749 §2.3.1, RFC 6750 §2.3
both!(
    async fn nothing_secret_is_taken_from_the_url(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let code = server.code("openid").await;
        let secrets = [
            "client_secret=client-secret",
            "code=x",
            "refresh_token=x",
            "password=x",
            "code_verifier=x",
            "client_assertion=x",
            "a=b&code=x",
        ];
        for query in secrets {
            let path = format!("/oauth2/token?{query}");
            let form = [("grant_type", "authorization_code"), ("code", &code)];
            let answer = server.post_form(&path, BASIC, &form).await;
            assert_refused(&answer, 400, "invalid_request", "not in the URL");
        }
        let path = format!("/oauth2/token?grant_type=authorization_code&%63ode={code}&client_id=web-app");
        assert_refused(&server.post_form(&path, BASIC, &[]).await, 400, "invalid_request", "grant_type is missing");
        assert_eq!(server.redeem(&code).await.0, 200);
    }
);

both!(
    async fn only_post_asks_for_tokens(server: Server) {
        server.web_app(json!({})).await;
        for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH"] {
            let request = server.http.request(method.parse().unwrap(), server.url("/oauth2/token"));
            let request = request.basic_auth("web-app", Some("client-secret"));
            let response = request.form(&[("grant_type", "client_credentials")]).send().await.unwrap();
            assert_eq!(response.status(), 405, "{method}");
            assert!(response.headers()["allow"].to_str().unwrap().contains("POST"));
            assert!(!response.text().await.unwrap().contains("cs_at_"));
        }
        let overridden = server.http.get(server.url("/oauth2/token")).header("x-http-method-override", "POST");
        assert_eq!(overridden.send().await.unwrap().status(), 405);
    }
);

// RFC 6749 §5.1
both!(
    async fn answers_are_json_and_never_kept_by_a_cache(server: Server) {
        server.web_app(json!({})).await;
        for (grant_type, secret, status) in
            [("client_credentials", "client-secret", 200), ("nonsense", "", 400), ("client_credentials", "wrong", 401)]
        {
            let request = server.http.post(server.url("/oauth2/token")).basic_auth("web-app", Some(secret));
            let response = request.form(&[("grant_type", grant_type)]).send().await.unwrap();
            assert_eq!(response.status(), status);
            let header = |name: &str| response.headers()[name].to_str().unwrap();
            assert!(header("content-type").starts_with("application/json"));
            assert_eq!([header("cache-control"), header("pragma")], ["no-store", "no-cache"]);
            assert_eq!(header("x-content-type-options"), "nosniff");
        }
    }
);

both!(
    async fn an_answer_has_no_null_member_and_just_those_that_apply(server: Server) {
        server.web_app(json!({"auth": {"password": {"refresh_token": false}}})).await;
        server.alice().await;
        let by_code = server.tokens("openid").await;
        let refreshed = server.refreshed(text(&by_code, "refresh_token")).await;
        let form = [("grant_type", "password"), ("username", "alice"), ("password", "correct-horse-battery")];
        let (_, by_password) = server.token(&form).await;
        let for_itself = server.client_tokens(&[]).await;
        let bare = ["access_token", "expires_in", "token_type"];
        let full = ["access_token", "expires_in", "id_token", "refresh_token", "scope", "token_type"];
        let cases: [(&Value, &[&str]); 4] =
            [(&by_code, &full), (&refreshed, &full), (&by_password, &bare), (&for_itself, &bare)];
        for (tokens, expected) in cases {
            let members = tokens.as_object().unwrap();
            let mut names: Vec<_> = members.keys().map(String::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, expected, "{tokens}");
            assert!(members.values().all(|value| !value.is_null()), "{tokens}");
            assert_eq!(tokens["token_type"], "Bearer");
        }
    }
);

both!(
    async fn a_refusal_repeats_no_secret(server: Server) {
        server.web_app(json!({})).await;
        for (content_type, body) in [
            ("application/json", r#"{"client_secret":"hunter22","password":"hunter22","code":["hunter22"]}"#),
            ("application/json", r#"{"client_secret":"hunter22"#),
            ("application/json", r#"{"password":"hunter22" "a"}"#),
            ("text/yaml", "password: hunter22\npassword: hunter22\n"),
            ("text/yaml", "password: !hunter22 x\n"),
            ("text/yaml", "password: *hunter22\n"),
            ("text/yaml", "password: \"hunter22\n"),
            ("text/yaml", "hunter22"),
            ("application/x-www-form-urlencoded", "grant_type=authorization_code&code=hunter22"),
            ("application/x-www-form-urlencoded", "grant_type=refresh_token&refresh_token=hunter22"),
            ("application/x-www-form-urlencoded", "grant_type=password&username=a&password=hunter22"),
            ("application/x-www-form-urlencoded", "grant_type=client_credentials&client_secret=hunter22"),
        ] {
            let (status, body) = post(&server, content_type, body).await;
            assert_eq!(status, 400, "{body}");
            assert!(!body.to_string().contains("hunter22"), "{body}");
        }
    }
);

// RFC 6749 §3.3 and appendix A.4
both!(
    async fn a_scope_outside_the_grammar_or_the_document_is_refused(server: Server) {
        let ask = async |scope: &str| server.token(&[("grant_type", "client_credentials"), ("scope", scope)]).await;
        server.web_app(json!({})).await;
        for wrong in ["a\"b", "a\\b", "ä", "a\tb"] {
            assert_refused(&ask(wrong).await, 400, "invalid_scope", "character");
        }
        // No list is no limit, except for administration, which must stand in the document.
        assert_eq!(ask(" a  b a ").await.1["scope"], "a b");
        assert_refused(&ask("a admin").await, 400, "invalid_scope", "admin");
        server.web_app(json!({"scope": ["a", "system/*.read"]})).await;
        assert_eq!(ask("system/*.read a").await.1["scope"], "system/*.read a");
        for wrong in ["b", "a b", "A", "system/Patient.read"] {
            assert_refused(&ask(wrong).await, 400, "invalid_scope", "may not ask");
        }
        server.web_app(json!({"scope": []})).await;
        assert_refused(&ask("a").await, 400, "invalid_scope", "may not ask");
        assert_eq!(ask("").await.0, 200);
    }
);

both!(
    async fn scripts_of_registered_origins_may_read_the_answer_and_no_others(server: Server) {
        server.spa(json!({"allowed_origins": ["https://app.example", "https://*.apps.example"]})).await;
        let cases = [
            ("http://localhost:4200", true),
            ("https://app.example", true),
            ("https://one.apps.example", true),
            ("https://apps.example", false),
            ("https://evilapps.example", false),
            ("http://app.example", false),
            ("https://app.example.evil.example", false),
            ("null", false),
        ];
        for (origin, allowed) in cases {
            let form = [("grant_type", "authorization_code"), ("client_id", "spa"), ("code", "x")];
            let request = server.http.post(server.url("/oauth2/token")).header("origin", origin);
            let response = request.form(&form).send().await.unwrap();
            let found = response.headers().get("access-control-allow-origin").map(|value| value.to_str().unwrap());
            assert_eq!(found, Some(origin).filter(|_| allowed), "{origin}");
            assert!(response.headers().get("access-control-allow-credentials").is_none());
        }
    }
);
