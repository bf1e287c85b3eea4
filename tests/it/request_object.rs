//! Request objects, by value and by reference (RFC 9101, OpenID Connect Core §6).

use serde_json::{Value, json};

use crate::support::{
    Browser, ClientKey, Database, Elsewhere, Query, Server, both, issues, merge, send, text, unsigned,
};

const CALLBACK: &str = "http://localhost:4200/cb";
/// What is outside of the object in a request of OpenID Connect, and with it where the answer goes if the object is at fault.
const OUTSIDE: [(&str, &str); 3] = [("response_type", "code"), ("client_id", "web-app"), ("scope", "openid")];
const TOLD: [(&str, &str); 4] = [OUTSIDE[0], OUTSIDE[1], OUTSIDE[2], ("redirect_uri", CALLBACK)];

async fn client(server: &Server, key: &ClientKey, change: Value) {
    let mut document = json!({
        "first_party": true,
        "jwks": key.jwks(),
        "auth": {"authorization_code": {"redirect_uris": ["http://localhost:4200/other"]}},
    });
    merge(&mut document, &change);
    server.web_app(document).await;
}

/// A browser in which Alice is signed in, at a server with a client that has this key.
async fn prepared(server: &Server, key: &ClientKey) -> Browser {
    client(server, key, json!({})).await;
    server.alice().await;
    server.signed_in().await
}

/// What comes back to the client.
async fn returned(server: &Server, browser: &Browser, outside: &[(&str, &str)], more: (&str, &str)) -> Query {
    let query: Vec<_> = outside.iter().copied().chain([more]).collect();
    server.authorize(browser, &query).await.returned()
}

/// Claims of an object that nothing is wrong with, changed as the test needs (a merge patch).
fn object(server: &Server, change: &Value) -> Value {
    let now = server.instance.clock.now().0;
    let mut claims = json!({
        "iss": "web-app", "aud": server.issuer(), "exp": now + 60, "client_id": "web-app", "response_type": "code",
        "redirect_uri": CALLBACK, "scope": "openid profile", "state": "inside", "nonce": "n",
    });
    merge(&mut claims, change);
    claims
}

both!(
    async fn a_signed_object_is_the_request(server: Server) {
        for alg in ["RS256", "PS256", "ES256", "ES512", "Ed25519"] {
            let key = ClientKey::new(alg, "k");
            let browser = prepared(&server, &key).await;
            let outside =
                [OUTSIDE[0], OUTSIDE[1], OUTSIDE[2], ("state", "outside"), ("redirect_uri", "https://evil.example")];
            let object = key.sign(&object(&server, &json!({})));
            let answer = returned(&server, &browser, &outside, ("request", &object)).await;
            // Core §6.1: what is inside supersedes.
            assert_eq!((answer.uri.as_str(), answer.get("state")), (CALLBACK, Some("inside")), "{answer:?}");
            let form =
                [("grant_type", "authorization_code"), ("code", &answer.expect("code")), ("redirect_uri", CALLBACK)];
            let (status, tokens) = server.token(&form).await;
            assert_eq!(status, 200, "{tokens}");
            assert_eq!(tokens["scope"], "openid profile");
            assert_eq!(crate::support::jwt(text(&tokens, "id_token")).1["nonce"], "n");
        }
    }
);

// RFC 9101 §5: client_id and the object are all there needs to be; §6.3: what else is outside does not count.
both!(
    async fn outside_an_object_of_oauth_nothing_else_counts(server: Server) {
        let key = ClientKey::new("ES256", "k");
        let browser = prepared(&server, &key).await;
        let object = key.sign_with(
            &json!({"alg": "ES256", "kid": "k", "typ": "oauth-authz-req+jwt"}),
            &object(&server, &json!({"state": null, "client_id": null})),
        );
        let outside =
            [OUTSIDE[1], ("state", "outside"), ("redirect_uri", "http://localhost:4200/other"), ("prompt", "login")];
        let answer = returned(&server, &browser, &outside, ("request", &object)).await;
        assert_eq!((answer.uri.as_str(), answer.get("state")), (CALLBACK, None), "{answer:?}");
        assert!(answer.get("code").is_some());
        // Where it is silent on what OAuth requires, that is missing.
        let silent = key.sign(&json!({"iss": "web-app", "redirect_uri": CALLBACK}));
        let answer = returned(&server, &browser, &[OUTSIDE[1]], ("request", &silent)).await;
        assert_eq!(answer.get("error"), Some("invalid_request"));
    }
);

both!(
    async fn whatever_is_wrong_with_an_object_is_told(server: Server) {
        let key = ClientKey::new("ES256", "k");
        let browser = prepared(&server, &key).await;
        let now = server.instance.clock.now().0;
        let refused = async |object: &str, error: &str, words: &str| {
            let outside = [OUTSIDE[0], OUTSIDE[1], OUTSIDE[2], ("state", "s"), ("redirect_uri", CALLBACK)];
            let answer = returned(&server, &browser, &outside, ("request", object)).await;
            assert_eq!((answer.uri.as_str(), answer.get("error")), (CALLBACK, Some(error)), "{words}: {answer:?}");
            assert_eq!((answer.get("state"), answer.get("iss")), (Some("s"), Some(server.issuer())));
            assert!(answer.expect("error_description").contains(words), "{words}: {answer:?}");
        };
        for (change, words) in [
            (json!({"iss": "other"}), "iss"),
            (json!({"iss": 1}), "iss"),
            (json!({"aud": "https://elsewhere.example"}), "aud"),
            (json!({"aud": []}), "aud"),
            (json!({"exp": now - 1}), "expired"),
            (json!({"exp": "soon"}), "no number"),
            (json!({"nbf": now + 120}), "in the future"),
            // RFC 9101 §10.8: an object must not do as an assertion.
            (json!({"sub": "web-app"}), "sub"),
            (json!({"client_id": "other"}), "client_id inside"),
            (json!({"response_type": "token"}), "response_type inside"),
            (json!({"request": "e30.e30."}), "holds request"),
            (json!({"request_uri": "https://a.example/r"}), "holds request_uri"),
            (json!({"state": "a\u{0}b"}), "control character"),
        ] {
            refused(&key.sign(&object(&server, &change)), "invalid_request_object", words).await;
        }
        let fine = object(&server, &json!({}));
        let stranger = ClientKey::new("ES256", "k");
        refused(&stranger.sign(&fine), "invalid_request_object", "none of the client's keys").await;
        refused("a.b", "invalid_request_object", "no signed JWT").await;
        refused("a.b.c.d.e", "invalid_request_object", "encrypted").await;
        let assertion = key.sign_with(&json!({"alg": "ES256", "kid": "k", "typ": "client-authentication+jwt"}), &fine);
        refused(&assertion, "invalid_request_object", "another kind of JWT").await;
        // Core §6.1: unsigned ones are for clients that registered it.
        refused(&unsigned(&fine), "invalid_request_object", "has not registered unsigned").await;
        client(&server, &key, json!({"request_object_signing_alg": "ES384"})).await;
        refused(&key.sign(&fine), "invalid_request_object", "signs its request objects with ES384").await;
        refused(&unsigned(&fine), "invalid_request_object", "signs its request objects with ES384").await;
        client(&server, &key, json!({"jwks": null})).await;
        refused(&key.sign(&fine), "invalid_request_object", "neither jwks nor jwks_uri").await;
    }
);

// Core §6.1
both!(
    async fn openid_stands_outside_too_and_the_two_parameters_never_together(server: Server) {
        let key = ClientKey::new("ES256", "k");
        let browser = prepared(&server, &key).await;
        let object = key.sign(&object(&server, &json!({})));
        let outside = [OUTSIDE[0], OUTSIDE[1], ("scope", "profile"), ("redirect_uri", CALLBACK)];
        let answer = returned(&server, &browser, &outside, ("request", &object)).await;
        assert_eq!(answer.get("error"), Some("invalid_request"), "{answer:?}");
        let outside =
            [OUTSIDE[0], OUTSIDE[1], OUTSIDE[2], ("redirect_uri", CALLBACK), ("request_uri", "https://a.example/r")];
        let answer = returned(&server, &browser, &outside, ("request", &object)).await;
        assert_eq!(answer.get("error"), Some("invalid_request"), "{answer:?}");
        // Where nobody can be told, a page says it.
        let query = [OUTSIDE[0], OUTSIDE[1], OUTSIDE[2], ("redirect_uri", "https://evil.example"), ("request", "x")];
        let page = server.authorize(&browser, &query).await;
        assert_eq!(page.status, 400);
    }
);

both!(
    async fn an_unsigned_object_serves_where_the_client_registered_that(server: Server) {
        let key = ClientKey::new("ES256", "k");
        let browser = prepared(&server, &key).await;
        client(&server, &key, json!({"request_object_signing_alg": "none"})).await;
        let claims = object(&server, &json!({"iss": null, "aud": null, "exp": null}));
        let answer = returned(&server, &browser, &TOLD, ("request", &unsigned(&claims))).await;
        assert_eq!(answer.get("state"), Some("inside"), "{answer:?}");
        let answer = returned(&server, &browser, &TOLD, ("request", &key.sign(&claims))).await;
        assert_eq!(answer.get("error"), Some("invalid_request_object"), "the registered algorithm is the only one");
        let not_quite = format!("{}AAAA", unsigned(&claims));
        let answer = returned(&server, &browser, &TOLD, ("request", &not_quite)).await;
        assert_eq!(answer.get("error"), Some("invalid_request_object"), "RFC 7518 §3.6: none has no signature");
    }
);

// Core §6.2, RFC 9101 §5.2
both!(
    async fn an_object_is_fetched_from_a_registered_uri_alone(server: Server) {
        let (elsewhere, key) = (Elsewhere::start().await, ClientKey::new("RS256", "k"));
        let browser = prepared(&server, &key).await;
        let signed = key.sign(&object(&server, &json!({})));
        let uri = elsewhere.put_with(
            "/r",
            200,
            &[("content-type", "application/oauth-authz-req+jwt")],
            format!("{signed}\n"),
        );
        client(&server, &key, json!({"request_uris": [format!("{uri}#registered")]})).await;
        for uri in [uri.clone(), format!("{uri}#registered"), format!("{uri}#another")] {
            let answer = returned(&server, &browser, &TOLD, ("request_uri", &uri)).await;
            assert_eq!(answer.get("state"), Some("inside"), "{uri}: {answer:?}");
        }
        assert_eq!(elsewhere.hits("/r"), 3, "each time it is what is there now");
        elsewhere.put("/q", signed);
        for other in [
            uri.replace("/r", "/q"),
            format!("{uri}?x"),
            format!("{uri}/"),
            uri.replace("localhost", "127.0.0.1"),
            format!("{uri}#{}", "x".repeat(500)),
            "urn:ietf:params:oauth:request_uri:x".into(),
            "x".into(),
        ] {
            let answer = returned(&server, &browser, &TOLD, ("request_uri", &other)).await;
            assert_eq!(answer.get("error"), Some("invalid_request_uri"), "{other}: {answer:?}");
        }
        assert_eq!(elsewhere.hits("/q"), 0);
        for (status, body, error) in [
            (404, "", "invalid_request_uri"),
            (302, "", "invalid_request_uri"),
            (200, "", "invalid_request_object"),
            (200, "<html>", "invalid_request_object"),
        ] {
            elsewhere.put_with("/r", status, &[], body);
            let answer = returned(&server, &browser, &TOLD, ("request_uri", &uri)).await;
            assert_eq!(answer.get("error"), Some(error), "{status}: {answer:?}");
        }
        elsewhere.put("/r", "x".repeat(70_000));
        let answer = returned(&server, &browser, &TOLD, ("request_uri", &uri)).await;
        assert_eq!(answer.get("error"), Some("invalid_request_uri"), "{answer:?}");
    }
);

both!(
    async fn an_object_is_read_once_and_its_prompt_is_answered_once(server: Server) {
        let (elsewhere, key) = (Elsewhere::start().await, ClientKey::new("ES256", "k"));
        let browser = prepared(&server, &key).await;
        let change = json!({"prompt": "login consent", "max_age": 0, "claims": {"userinfo": {"email": null}}});
        let uri = elsewhere.put("/r", key.sign(&object(&server, &change)));
        client(&server, &key, json!({"request_uris": [uri]})).await;
        let query: Vec<_> = OUTSIDE.into_iter().chain([("request_uri", uri.as_str())]).collect();
        let page = server.authorize(&browser, &query).await;
        assert!(page.is_login(), "the object asks for a fresh sign-in: {page:?}");
        // The person takes their time.
        server.wait(120);
        let page = browser.sign_in(&page, "alice", "correct-horse-battery").await;
        let page = browser.follow(page).await;
        assert!(page.is_consent(), "{page:?}");
        let answer = browser.consent(&page, "approve").await.returned();
        assert_eq!((answer.get("state"), answer.get("code").is_some()), (Some("inside"), true), "{answer:?}");
        assert_eq!(elsewhere.hits("/r"), 1);
    }
);

// RFC 9101 §10.5
both!(
    async fn a_client_that_sends_signed_requests_alone_is_not_impersonated_by_plain_ones(server: Server) {
        let key = ClientKey::new("ES256", "k");
        let browser = prepared(&server, &key).await;
        client(&server, &key, json!({"require_signed_request_object": true, "first_party": false})).await;
        let plain = server.authorize(&browser, &[TOLD.as_slice(), &[("state", "s")]].concat()).await.returned();
        assert_eq!((plain.expect("error").as_str(), plain.get("state")), ("invalid_request", Some("s")));
        assert!(plain.expect("error_description").contains("require_signed_request_object"), "{plain:?}");
        let nothing = unsigned(&object(&server, &json!({})));
        assert_eq!(
            returned(&server, &browser, &TOLD, ("request", &nothing)).await.expect("error"),
            "invalid_request_object"
        );

        // What is outside does not count, and the request goes on over several pages.
        let signed = key.sign(&object(&server, &json!({"prompt": "login consent", "max_age": 10})));
        let outside = [OUTSIDE[0], OUTSIDE[1], OUTSIDE[2], ("claims", "nonsense"), ("request", signed.as_str())];
        let page = server.authorize(&browser, &outside).await;
        assert!(page.is_login(), "{page:?}");
        server.wait(300);
        let page = browser.sign_in(&page, "alice", "correct-horse-battery").await;
        let next = page.location.clone().unwrap();
        let page = browser.follow(page).await;
        assert!(page.is_consent(), "{page:?}");
        let answer = browser.consent(&page, "approve").await.returned();
        assert_eq!((answer.get("state"), answer.get("code").is_some()), (Some("inside"), true), "{answer:?}");

        // Whoever changes it on the way, or keeps it for long, has no signed request.
        let again = |url: String| {
            let (browser, server) = (&browser, &server);
            async move { browser.get(&server.url(&url)).await }
        };
        assert!(again(next.clone()).await.is_consent());
        let changed = next.replace("state=inside", "state=another");
        assert_ne!(changed, next);
        assert_eq!(again(changed).await.returned().expect("error"), "invalid_request");
        assert_eq!(again(format!("{next}&claims=%7B%7D")).await.returned().expect("error"), "invalid_request");
        server.wait(3_600);
        assert_eq!(again(next).await.returned().expect("error"), "invalid_request");
    }
);

both!(
    async fn what_is_to_be_signed_can_be(server: Server) {
        let key = ClientKey::new("ES256", "k");
        let document = |more: Value| {
            let mut document = json!({"grant_types": ["code"], "require_signed_request_object": true});
            merge(&mut document, &more);
            document
        };
        for more in [json!({}), json!({"jwks": key.jwks(), "request_object_signing_alg": "none"})] {
            let (status, outcome) = send(&server, "PUT", "/Client/x", document(more)).await;
            assert_eq!((status, issues(&outcome)[0].0.as_str()), (422, "Client.require_signed_request_object"));
        }
        assert_eq!(send(&server, "PUT", "/Client/x", document(json!({"jwks": key.jwks()}))).await.0, 201);
        assert_eq!(server.metadata().await["require_signed_request_object"], false);
        let server =
            server.another_with(|settings| settings.registration = countersign::config::Registration::Open).await;
        let registered = json!({"redirect_uris": ["https://app.example/cb"], "jwks": key.jwks(), "require_signed_request_object": true});
        let response = server.http.post(server.url("/oauth2/register")).json(&registered).send().await.unwrap();
        let (status, found) = crate::support::read(response).await;
        assert_eq!((status.as_u16(), &found["require_signed_request_object"]), (201, &json!(true)), "{found}");
    }
);
