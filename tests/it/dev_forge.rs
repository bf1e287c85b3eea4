//! Forged tokens, sign-in cookies and pages that answer themselves: what a flow would give, and what no flow ever gives.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value, json};

use crate::support::{Database, Server};

const BOTH: [Database; 2] = [Database::Sqlite, Database::Postgres];

async fn forged(server: &Server, body: Value) -> Value {
    let (status, answer) = server.control("POST", "/dev/tokens", body.clone()).await;
    assert_eq!(status, 200, "{body}: {answer}");
    answer
}

/// What a careful resource server makes of a token for `https://api.example`.
async fn accepted(server: &Server, token: &str) -> Result<Map<String, Value>, String> {
    let keys: JwkSet =
        server.http.get(server.url("/.well-known/jwks.json")).send().await.unwrap().json().await.unwrap();
    let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
    let key = keys.find(header.kid.as_deref().ok_or("no kid")?).ok_or("unknown kid")?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.algorithms = vec![Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256];
    validation
        .algorithms
        .retain(|alg| Some(*alg) == key.common.key_algorithm.and_then(|alg| alg.to_string().parse().ok()));
    validation.validate_nbf = true;
    validation.set_issuer(&[server.issuer()]);
    validation.set_audience(&["https://api.example"]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let key = DecodingKey::from_jwk(key).map_err(|error| error.to_string())?;
    let read = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation);
    read.map(|token| token.claims).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_without_a_defect_is_what_a_flow_would_give() {
    for database in BOTH {
        let server = Server::dev(database).await;
        let asked = json!({"client_id": "web-app", "user": "alice", "scope": "openid email", "audience": "https://api.example",
            "expires_in": "2h", "claims": {"tenant": "blue"}});
        let made = forged(&server, asked.clone()).await;
        let token = made["token"].as_str().unwrap();
        let claims = accepted(&server, token).await.unwrap();
        assert_eq!(
            (&claims["sub"], &claims["tenant"], &claims["client_id"]),
            (&json!("alice"), &json!("blue"), &json!("web-app"))
        );
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 7_200);
        assert_eq!(made["claims"]["tenant"], "blue");
        let told = server.introspect(token).await;
        assert_eq!((&told["active"], &told["sub"]), (&json!(true), &json!("alice")), "{told}");
        let userinfo = server.http.get(server.url("/oauth2/userinfo")).bearer_auth(token).send().await.unwrap();
        assert_eq!(userinfo.json::<Value>().await.unwrap()["email"], "alice@example.com");

        let mut opaque = asked.clone();
        opaque["format"] = "opaque".into();
        let (status, refused) = server.control("POST", "/dev/tokens", opaque.clone()).await;
        assert_eq!(status, 400, "claims in what has none: {refused}");
        opaque.as_object_mut().unwrap().remove("claims");
        let made = forged(&server, opaque).await;
        assert!(
            made["token"].as_str().unwrap().starts_with("cs_at_")
                && server.is_active(made["token"].as_str().unwrap()).await
        );

        let own = forged(&server, json!({"client_id": "web-app", "audience": ["https://api.example", "b"]})).await;
        let claims = accepted(&server, own["token"].as_str().unwrap()).await.unwrap();
        assert_eq!((&claims["sub"], &claims["aud"]), (&json!("web-app"), &json!(["https://api.example", "b"])));
        assert!(server.is_active(own["token"].as_str().unwrap()).await);

        let id = forged(
            &server,
            json!({"client_id": "web-app", "user": "alice@example.com", "kind": "id_token",
            "scope": "openid", "claims": {"nonce": "n", "at_hash": null}}),
        )
        .await;
        assert_eq!(
            (&id["claims"]["aud"], &id["claims"]["nonce"], &id["claims"]["sub"]),
            (&json!("web-app"), &json!("n"), &json!("alice"))
        );
        assert!(id["claims"].get("at_hash").is_none());
        let id =
            json!({"client_id": "web-app", "user": "alice", "kind": "id_token", "scope": "openid", "expires_in": "5m"});
        let id = forged(&server, id).await;
        assert_eq!(id["claims"]["exp"].as_i64().unwrap() - id["claims"]["iat"].as_i64().unwrap(), 300, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_defect_is_refused_for_its_own_reason() {
    for database in BOTH {
        let server = Server::dev(database).await;
        for (defect, reason) in [
            ("expired", "ExpiredSignature"),
            ("not_yet_valid", "ImmatureSignature"),
            ("wrong_issuer", "InvalidIssuer"),
            ("wrong_audience", "InvalidAudience"),
            ("alg_none", ""),
            ("hmac_with_public_key", "InvalidAlgorithm"),
            ("unknown_kid", "unknown kid"),
            ("bad_signature", "InvalidSignature"),
            ("missing_claim", "Missing required claim: sub"),
            ("stale_key", "unknown kid"),
        ] {
            let mut asked =
                json!({"client_id": "web-app", "user": "alice", "audience": "https://api.example", "defect": defect});
            if defect == "missing_claim" {
                asked["claim"] = "sub".into();
            }
            let made = forged(&server, asked).await;
            let token = made["token"].as_str().unwrap();
            let why = accepted(&server, token).await.unwrap_err();
            assert!(why.contains(reason), "{defect}: {why}");
            match defect {
                // RFC 7662 §2.2: it is one of ours and its time has come; whom it is for is told.
                "wrong_audience" => {
                    let told = server.introspect(token).await;
                    assert_eq!((&told["active"], &told["aud"]), (&json!(true), &made["claims"]["aud"]), "{told}");
                    let api = server.put("/Client/api", json!({"secret": "s"})).await;
                    assert_eq!(api["id"], "api");
                    let form = [("token", token)];
                    let (_, told) = server.post_form("/oauth2/introspect", Some(("api", "s")), &form).await;
                    assert_eq!(told, json!({"active": false}), "it is not for who asks");
                }
                "missing_claim" => {}
                _ => assert!(!server.is_active(token).await, "{defect}"),
            }
        }
        // Its time comes.
        let asked = json!({"client_id": "web-app", "user": "alice", "defect": "not_yet_valid"});
        let made = forged(&server, asked).await;
        server.wait(3_601);
        assert!(server.is_active(made["token"].as_str().unwrap()).await, "{made}");
        // Nothing makes up for a defect.
        let asked = json!({"client_id": "web-app", "defect": "wrong_issuer", "claims": {"iss": server.issuer()}});
        assert_ne!(forged(&server, asked).await["claims"]["iss"], server.issuer());
        // The attack that the HMAC is for: the PEM of the public key as the secret.
        let made = forged(&server, json!({"client_id": "web-app", "defect": "hmac_with_public_key"})).await;
        let parts: Vec<_> = made["token"].as_str().unwrap().split('.').collect();
        assert_eq!((made["header"]["alg"].as_str(), parts.len(), parts[2].len()), (Some("HS256"), 3, 43));
        let none = forged(&server, json!({"client_id": "web-app", "defect": "alg_none"})).await;
        assert!(none["header"]["alg"] == "none" && none["token"].as_str().unwrap().ends_with('.'), "{none}");
    }
}

#[tokio::test]
async fn what_cannot_be_forged_is_told() {
    let server = Server::dev(Database::Sqlite).await;
    for (body, status, named) in [
        (json!({}), 400, "client_id"),
        (json!({"client_id": "nobody"}), 404, "nobody"),
        (json!({"client_id": "web-app", "user": "nobody"}), 404, "nobody"),
        (json!({"client_id": "web-app", "kind": "id_token"}), 400, "person"),
        (json!({"client_id": "web-app", "kind": "refresh_token"}), 400, "access_token"),
        (json!({"client_id": "web-app", "defect": "rotten"}), 400, "bad_signature"),
        (json!({"client_id": "web-app", "defect": "missing_claim"}), 400, "which"),
        (json!({"client_id": "web-app", "claim": "aud"}), 400, "missing_claim"),
        (json!({"client_id": "web-app", "defect": "missing_claim", "claim": "nonce"}), 400, "no claim nonce"),
        (json!({"client_id": "web-app", "user": "alice", "kind": "id_token", "audience": "a"}), 400, "wrong_audience"),
        (json!({"client_id": "web-app", "scope": "a\"b"}), 400, "scope"),
        (json!({"client_id": "web-app", "audience": "a b"}), 400, "spaces"),
        (json!({"client_id": "web-app", "expires_in": -5}), 400, "expired"),
        (json!({"client_id": "web-app", "format": "opaque", "defect": "expired"}), 400, "opaque"),
    ] {
        let (found, answer) = server.control("POST", "/dev/tokens", body.clone()).await;
        assert!(
            found == status && answer["error_description"].as_str().unwrap().contains(named),
            "{body}: {found} {answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_signs_a_browser_in() {
    for database in BOTH {
        let server = Server::dev(database).await;
        let request = server.http.post(server.url("/dev/sign-in")).json(&json!({"user": "alice"}));
        let response = request.send().await.unwrap();
        let set = response.headers()["set-cookie"].to_str().unwrap().to_owned();
        let body: Value = response.json().await.unwrap();
        let cookie = &body["cookie"];
        let pair = format!("{}={}", cookie["name"].as_str().unwrap(), cookie["value"].as_str().unwrap());
        assert!(set.starts_with(&pair) && set.contains("HttpOnly") && cookie["httpOnly"] == true, "{set} {cookie}");
        let query = "response_type=code&client_id=web-app&scope=openid&prompt=none&redirect_uri=http%3A%2F%2Flocalhost%3A4200%2Fcallback";
        let ask = |cookie: Option<String>| {
            let request = server.http.get(server.url(&format!("/oauth2/authorize?{query}")));
            cookie.into_iter().fold(request, |request, cookie| request.header("cookie", cookie))
        };
        let to = async |cookie| {
            let response = ask(cookie).send().await.unwrap();
            response.headers()["location"].to_str().unwrap().to_owned()
        };
        assert!(to(None).await.contains("error=login_required"));
        // Somebody is signed in; consent is another matter.
        let there = to(Some(pair)).await;
        assert!(there.contains("code=") || there.contains("error=consent_required"), "{there}");
        assert_eq!(server.control("POST", "/dev/sign-in", json!({"user": "nobody"})).await.0, 404);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_cookie_and_consent_no_page_is_needed() {
    for database in BOTH {
        let server = Server::dev(database).await;
        let (_, tokens) = server.control("POST", "/dev/sign-in", json!({"user": "alice"})).await;
        let cookie = &tokens["cookie"];
        let pair = format!("{}={}", cookie["name"].as_str().unwrap(), cookie["value"].as_str().unwrap());
        let ask = async |more: &str| {
            let query = format!(
                "response_type=code&client_id=web-app&scope=openid&redirect_uri=http%3A%2F%2Flocalhost%3A4200{more}"
            );
            let request = server.http.get(server.url(&format!("/oauth2/authorize?{query}"))).header("cookie", &pair);
            let response = request.send().await.unwrap();
            let location = response.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
            location.unwrap_or_default()
        };
        assert!(ask("&prompt=none").await.contains("error=consent_required"), "nobody has asked her yet");
        server.control("POST", "/dev/hands-free", json!({"consent": "approve"})).await;
        assert!(ask("&prompt=none").await.contains("error=consent_required"), "and prompt=none does not ask");
        assert!(ask("").await.starts_with("http://localhost:4200?code="));
        server.control("POST", "/dev/hands-free", json!({"consent": "ask"})).await;
        let there = ask("&prompt=none").await;
        assert!(there.starts_with("http://localhost:4200?code="), "{there}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_be_signed_in_hands_free_is_to_sign_in_anew() {
    for database in BOTH {
        let server = Server::dev(database).await;
        server.control("POST", "/dev/hands-free", json!({"auto_login": true, "consent": "approve"})).await;
        let browser = server.browser();
        let signed_in = async |more: &[(&str, &str)]| {
            let ours = [("response_type", "code"), ("client_id", "web-app"), ("scope", "openid")];
            let query =
                [ours.to_vec(), vec![("redirect_uri", "http://localhost:4200"), ("login_hint", "alice")]].concat();
            let mut page = server.authorize(&browser, &[query, more.to_vec()].concat()).await;
            let asked_to = page.location.as_ref().is_some_and(|location| location.starts_with('/'));
            if asked_to {
                page = browser.follow(page).await;
            }
            let code = page.returned().expect("code");
            let form =
                [("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", "http://localhost:4200")];
            let (status, tokens) = server.token(&form).await;
            assert_eq!(status, 200, "{tokens}");
            let claims = crate::support::jwt(tokens["id_token"].as_str().unwrap()).1;
            (claims["auth_time"].as_i64().unwrap(), claims["sid"].clone(), asked_to)
        };
        let first = signed_in(&[]).await;
        server.wait(100);
        assert_eq!(signed_in(&[]).await, (first.0, first.1.clone(), false), "she is signed in");
        for fresh in [[("prompt", "login")], [("max_age", "50")]] {
            let (auth_time, sid, asked_to) = signed_in(&fresh).await;
            assert!(asked_to && auth_time >= first.0 + 100 && sid != first.1, "{fresh:?}: {auth_time} {sid}");
            server.wait(100);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_answer_themselves_where_a_test_has_said_so() {
    for database in BOTH {
        let server = Server::dev(database).await;
        let query = |more: &[(&'static str, &'static str)]| -> Vec<(&str, &str)> {
            let redirect_uri = ("redirect_uri", "http://localhost:4200/callback");
            let ours = [("response_type", "code"), ("client_id", "web-app"), ("scope", "openid email"), redirect_uri];
            ours.into_iter().chain(more.iter().copied()).collect()
        };
        let hands_free = async |change: Value| server.control("POST", "/dev/hands-free", change).await;
        // Nothing by itself.
        assert!(server.authorize(&server.browser(), &query(&[("login_hint", "alice")])).await.is_login());
        let (status, policy) = hands_free(json!({"auto_login": true, "consent": "approve"})).await;
        let expected = json!({"auto_login": true, "consent": "approve", "permissive": false});
        assert_eq!((status, policy), (200, expected));

        let browser = server.browser();
        let none = server.authorize(&browser, &query(&[("prompt", "none"), ("login_hint", "alice")])).await;
        assert_eq!(none.returned().get("error"), Some("login_required"), "prompt=none stays honest");
        let page = server.authorize(&browser, &query(&[("login_hint", "alice@example.com")])).await;
        let page = browser.follow(page).await;
        assert!(page.returned().get("code").is_some(), "{page:?}");

        // Without a hint: a page of people, one of whom is signed in by a click.
        let browser = server.browser();
        let page = server.authorize(&browser, &query(&[])).await;
        assert!(page.has("#person-alice") && page.has("#person-bob") && !page.has("#password"), "{page:?}");
        let page = browser.submit(&page, &[("person", "bob")]).await;
        let page = browser.follow(page).await;
        assert!(page.returned().get("code").is_some(), "{page:?}");

        hands_free(json!({"consent": "deny"})).await;
        let browser = server.browser();
        let page = server.authorize(&browser, &query(&[("login_hint", "bob"), ("prompt", "consent")])).await;
        let page = browser.follow(page).await;
        assert_eq!(page.returned().get("error"), Some("access_denied"), "{page:?}");

        // Off again, a click proves nothing.
        hands_free(json!({"auto_login": false})).await;
        let browser = server.browser();
        let page = server.authorize(&browser, &query(&[])).await;
        let page = browser.submit(&page, &[("person", "bob")]).await;
        assert_eq!(page.status, 403, "{page:?}");
        assert_eq!(hands_free(json!({"consent": "perhaps"})).await.0, 400);
    }
}

#[tokio::test]
async fn no_click_signs_in_where_there_is_no_control_api() {
    let server = Server::start(Database::Sqlite).await;
    server.alice().await;
    server.web_app(json!({})).await;
    let browser = server.browser();
    let page = server.authorize(&browser, &[("response_type", "code"), ("client_id", "web-app")]).await;
    let page = browser.submit(&page, &[("person", "alice")]).await;
    assert_eq!(page.status, 403, "{page:?}");
    assert!(!server.is_signed_in(&browser).await);
}
