//! Encrypted ID tokens and userinfo answers (OpenID Connect Core §10.2, §16.14; Registration §2; RFC 7516). Other people's code reads
//! them in `tests/interop`.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};

use crate::support::{Database, Elsewhere, Server, assert_refused, both, issues, jwt, send, text};

/// An RSA key of a client, and its public half.
fn rsa() -> (PrivateDecryptingKey, Value) {
    let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
    let der: PublicKeyX509Der<'_> = private.public_key().as_der().unwrap();
    // SubjectPublicKeyInfo of 2,048 bits ends in the modulus of 256 bytes and the exponent 65537.
    let bytes = der.as_ref();
    let n = B64.encode(&bytes[bytes.len() - 261..bytes.len() - 5]);
    (private, json!({"kty": "RSA", "n": n, "e": "AQAB", "kid": "enc-1", "use": "enc"}))
}

/// Header and content of a JWE in compact form.
fn opened(key: &PrivateDecryptingKey, jwe: &str) -> (Value, String) {
    let parts: Vec<Vec<u8>> = jwe.split('.').map(|part| B64.decode(part).unwrap()).collect();
    assert_eq!(parts.len(), 5, "{jwe}");
    let header: Value = serde_json::from_slice(&parts[0]).unwrap();
    let key = OaepPrivateDecryptingKey::new(key.clone()).unwrap();
    let mut buffer = vec![0; key.min_output_size()];
    let content = key.decrypt(&OAEP_SHA256_MGF1SHA256, &parts[1], &mut buffer, None).unwrap();
    let algorithm = if header["enc"] == "A128GCM" { &AES_128_GCM } else { &AES_256_GCM };
    let content = LessSafeKey::new(UnboundKey::new(algorithm, content).unwrap());
    let mut sealed = [parts[3].clone(), parts[4].clone()].concat();
    let protected = jwe.split('.').next().unwrap();
    let nonce = Nonce::try_assume_unique_for_key(&parts[2]).unwrap();
    let text = content.open_in_place(nonce, Aad::from(protected.as_bytes()), &mut sealed).unwrap();
    (header, String::from_utf8(text.to_vec()).unwrap())
}

fn asked_for(what: &str, alg: &str, enc: &str) -> Value {
    let name = |part: &str| format!("{what}_encrypted_response_{part}");
    json!({name("alg"): alg, name("enc"): enc})
}

// Core §16.14: sign, then encrypt
both!(
    async fn an_id_token_is_signed_and_then_encrypted_at_issue_and_refresh(server: Server) {
        server.alice().await;
        let (private, public) = rsa();
        let sig = json!({"kty": "RSA", "n": public["n"], "e": "AQAB", "kid": "sig-1", "use": "sig"});
        for (enc, alg) in [("A128GCM", "RS256"), ("A256GCM", "ES384")] {
            let mut change = asked_for("id_token", "RSA-OAEP-256", enc);
            change["jwks"] = json!({"keys": [sig, public]});
            change["id_token_signed_response_alg"] = json!(alg);
            server.web_app(change).await;
            let first = server.tokens("openid").await;
            for tokens in [first.clone(), server.refreshed(text(&first, "refresh_token")).await] {
                let (header, inside) = opened(&private, text(&tokens, "id_token"));
                assert_eq!(header, json!({"alg": "RSA-OAEP-256", "enc": enc, "kid": "enc-1", "cty": "JWT"}));
                let (signed, claims) = jwt(&inside);
                assert_eq!(
                    (&signed["alg"], &claims["sub"], &claims["aud"]),
                    (&json!(alg), &json!("alice"), &json!("web-app"))
                );
                // What is inside is the hint that logout takes.
                let browser = server.browser();
                let page = browser.get(&server.url(&format!("/oauth2/logout?id_token_hint={inside}"))).await;
                assert_eq!(page.text("h1"), "Signed out");
            }
        }
    }
);

// Core §5.3.2
both!(
    async fn userinfo_is_signed_encrypted_or_both(server: Server) {
        server.alice().await;
        let (private, public) = rsa();
        let userinfo = async |token: &str| {
            let response = server.http.get(server.url("/oauth2/userinfo")).bearer_auth(token).send().await.unwrap();
            assert_eq!(
                (response.status().as_u16(), &response.headers()["content-type"]),
                (200, &"application/jwt".parse().unwrap())
            );
            response.text().await.unwrap()
        };
        for alg in ["RS256", "PS256", "ES256", "ES384", "EdDSA"] {
            server.web_app(json!({"userinfo_signed_response_alg": alg})).await;
            let tokens = server.tokens("openid email").await;
            let (header, claims) = jwt(&userinfo(text(&tokens, "access_token")).await);
            assert_eq!((&header["alg"], &claims["email"]), (&json!(alg), &json!("alice@example.com")));
            assert_eq!((text(&claims, "iss"), text(&claims, "aud")), (server.issuer(), "web-app"));
        }
        for signed in [Value::Null, json!("ES256")] {
            let mut change = asked_for("userinfo", "RSA-OAEP-256", "A256GCM");
            change["jwks"] = json!({"keys": [public]});
            change["userinfo_signed_response_alg"] = signed.clone();
            server.web_app(change).await;
            let tokens = server.tokens("openid email").await;
            assert_eq!(text(&tokens, "id_token").split('.').count(), 3);
            let (header, inside) = opened(&private, &userinfo(text(&tokens, "access_token")).await);
            if signed.is_null() {
                assert_eq!(header.get("cty"), None);
                assert_eq!(serde_json::from_str::<Value>(&inside).unwrap()["email"], "alice@example.com");
            } else {
                assert_eq!(header["cty"], "JWT");
                assert_eq!(jwt(&inside).1["email"], "alice@example.com");
            }
        }
    }
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_come_from_the_clients_jwks_uri_and_without_one_that_does_nothing_is_handed_out() {
    let networks = vec!["127.0.0.0/8".parse().unwrap()];
    let server = Server::start_with(Database::Sqlite, |settings| settings.outbound_networks = networks).await;
    let elsewhere = Elsewhere::start().await;
    server.alice().await;
    let (private, public) = rsa();
    let mut change = asked_for("id_token", "RSA-OAEP-256", "A128GCM");
    change["jwks_uri"] = json!(elsewhere.put("/jwks", json!({"keys": [public]}).to_string()));
    server.web_app(change.clone()).await;
    let tokens = server.tokens("openid").await;
    assert!(opened(&private, text(&tokens, "id_token")).1.starts_with("ey"));
    // A set whose keys are for signatures alone.
    let sig = json!({"kty": "RSA", "n": public["n"], "e": "AQAB", "use": "sig"});
    change["jwks_uri"] = json!(elsewhere.put("/other", json!({"keys": [sig]}).to_string()));
    server.web_app(change).await;
    let code = server.code("openid").await;
    let refused = server.redeem(&code).await;
    assert_refused(&refused, 400, "invalid_request", "RSA-OAEP-256");
    assert!(refused.1.get("id_token").is_none() && refused.1.get("access_token").is_none(), "{refused:?}");
    // A new key is found where the old ones were, and the code is as good as ever.
    elsewhere.put("/other", json!({"keys": [public]}).to_string());
    server.wait(11);
    opened(&private, text(&server.redeemed(&code).await, "id_token"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_keys_cannot_be_fetched_nothing_is_spent() {
    for database in [Database::Sqlite, Database::Postgres] {
        let networks = vec!["127.0.0.0/8".parse().unwrap()];
        let server = Server::start_with(database, |settings| {
            settings.outbound_networks = networks;
            settings.allow_grants.implicit = true;
        })
        .await;
        let elsewhere = Elsewhere::start().await;
        server.alice().await;
        let (private, public) = rsa();
        let mut change = asked_for("id_token", "RSA-OAEP-256", "A256GCM");
        crate::support::merge(&mut change, &asked_for("userinfo", "RSA-OAEP-256", "A256GCM"));
        change["jwks_uri"] = json!(elsewhere.put_with("/jwks", 500, &[], ""));
        change["grant_types"] = json!(["code", "implicit", "password"]);
        change["response_types"] = json!(["code", "id_token"]);
        server.web_app(change).await;
        let code = server.code("openid").await;
        let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", "http://localhost:4200")];
        let request = server.http.post(server.url("/oauth2/token")).basic_auth("web-app", Some("client-secret"));
        let away = request.form(&form).send().await.unwrap();
        assert_eq!(away.status(), 503);
        assert!(away.headers().contains_key("retry-after"));
        assert_eq!(away.json::<Value>().await.unwrap()["error"], "temporarily_unavailable");
        // RFC 6749 section 4.1.2.1: in the browser it is the client that hears of it.
        let browser = server.signed_in().await;
        let query = [("response_type", "id_token"), ("client_id", "web-app"), ("scope", "openid"), ("nonce", "n")];
        let returned = server.sign_in_and_consent(&browser, &query).await;
        assert_eq!(returned.expect("error"), "temporarily_unavailable");
        // What has no ID token in it needs no key.
        let plain = server.tokens("profile").await;
        assert_eq!(plain.get("id_token"), None);

        elsewhere.put("/jwks", json!({"keys": [public]}).to_string());
        server.wait(11);
        let tokens = server.redeemed(&code).await;
        opened(&private, text(&tokens, "id_token"));
        // The set is kept for an hour beyond its time; then it is gone.
        elsewhere.put_with("/jwks", 500, &[], "");
        server.wait(2 * 3_600);
        assert_eq!(server.refresh(text(&tokens, "refresh_token")).await.0, 503);
        elsewhere.put("/jwks", json!({"keys": [public]}).to_string());
        server.wait(11);
        opened(&private, text(&server.refreshed(text(&tokens, "refresh_token")).await, "id_token"));
    }
}

both!(
    async fn without_a_key_that_does_the_client_is_told_and_its_code_and_refresh_token_stay(server: Server) {
        server.alice().await;
        let (private, public) = rsa();
        let sig = json!({"kty": "RSA", "n": public["n"], "e": "AQAB", "use": "sig"});
        let mut change = asked_for("id_token", "RSA-OAEP-256", "A128GCM");
        crate::support::merge(&mut change, &asked_for("userinfo", "RSA-OAEP-256", "A128GCM"));
        change["jwks"] = json!({"keys": [public]});
        change["grant_types"] = json!(["code", "password"]);
        server.web_app(change).await;
        let (code, tokens) = (server.code("openid").await, server.tokens("openid").await);
        server.patch("/Client/web-app", json!({"jwks": {"keys": [sig]}})).await;
        let refresh = text(&tokens, "refresh_token");
        for _ in 0..2 {
            assert_refused(&server.redeem(&code).await, 400, "invalid_request", "add one with use enc");
            assert_refused(&server.refresh(refresh).await, 400, "invalid_request", "add one with use enc");
        }
        let form = [
            ("grant_type", "password"),
            ("username", "alice"),
            ("password", "correct-horse-battery"),
            ("scope", "openid"),
        ];
        assert_refused(&server.token(&form).await, 400, "invalid_request", "add one with use enc");
        assert_eq!(server.userinfo(text(&tokens, "access_token")).await.0, 400);
        server.patch("/Client/web-app", json!({"jwks": {"keys": [public]}})).await;
        opened(&private, text(&server.redeemed(&code).await, "id_token"));
        opened(&private, text(&server.refreshed(refresh).await, "id_token"));
    }
);

// Registration §2
both!(
    async fn what_is_registered_fits_together(server: Server) {
        let (_, public) = rsa();
        for (change, path) in [
            (json!({"id_token_encrypted_response_alg": "RSA-OAEP-256"}), "Client.id_token_encrypted_response_alg"),
            (json!({"id_token_encrypted_response_enc": "A128GCM"}), "Client.id_token_encrypted_response_enc"),
            (json!({"userinfo_encrypted_response_enc": "A128GCM"}), "Client.userinfo_encrypted_response_enc"),
            (asked_for("id_token", "RSA1_5", "A128GCM"), "Client.id_token_encrypted_response_alg"),
            (asked_for("userinfo", "ECDH-ES", "A128CBC-HS256"), "Client.userinfo_encrypted_response_enc"),
        ] {
            let mut document = json!({"grant_types": ["code"], "jwks": {"keys": [public]}});
            crate::support::merge(&mut document, &change);
            let (status, outcome) = send(&server, "PUT", "/Client/x", document).await;
            assert_eq!((status, issues(&outcome)[0].0.as_str()), (422, path), "{outcome}");
        }
        let keyless = asked_for("id_token", "ECDH-ES", "A128GCM");
        assert_eq!(send(&server, "PUT", "/Client/x", keyless).await.0, 422);
    }
);
