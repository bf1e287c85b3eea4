//! Clients that prove themselves with a signed JWT: `private_key_jwt` and `client_secret_jwt` (RFC 7521, RFC 7523 §3, OpenID
//! Connect Core §9).

use countersign::config::DatabaseUrl;
use serde_json::{Value, json};

use crate::support::{
    Answer, CHALLENGE, ClientKey, Database, Server, VERIFIER, assert_refused, both, issues, merge, send,
    sign_with_secret, text, unsigned,
};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const SECRET: &str = "a secret of at least sixty-four characters, as HS512 wants to have it";

/// Claims of an assertion of `id` that nothing is wrong with, changed as the test needs (a merge patch).
fn claims(server: &Server, id: &str, change: &Value) -> Value {
    let now = server.instance.clock.now().0;
    let mut claims = json!({
        "iss": id, "sub": id, "aud": server.issuer(), "exp": now + 60, "iat": now, "jti": uuid::Uuid::new_v4().to_string(),
    });
    merge(&mut claims, change);
    claims
}

/// A client that signs in with this key, changed as the test needs.
async fn signer(server: &Server, key: &ClientKey, change: &Value) {
    let mut document = json!({
        "grant_types": ["client_credentials", "code"],
        "auth": {"authorization_code": {"redirect_uri": "http://localhost:4200/cb", "refresh_token": true}},
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": key.jwks(),
    });
    merge(&mut document, change);
    server.put("/Client/signer", document).await;
}

async fn present(server: &Server, path: &str, assertion: &str, form: &[(&str, &str)]) -> Answer {
    let assertion = [("client_assertion_type", JWT_BEARER), ("client_assertion", assertion)];
    let form: Vec<_> = form.iter().copied().chain(assertion).collect();
    server.post_form(path, None, &form).await
}

async fn token(server: &Server, assertion: &str) -> Answer {
    present(server, "/oauth2/token", assertion, &[("grant_type", "client_credentials")]).await
}

both!(
    async fn every_algorithm_of_the_list_verifies_and_no_other(server: Server) {
        for alg in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
        {
            let key = ClientKey::new(alg, "k");
            signer(&server, &key, &json!({})).await;
            let (status, body) = token(&server, &key.sign(&claims(&server, "signer", &json!({})))).await;
            assert_eq!(status, 200, "{alg}: {body}");
            let stranger = ClientKey::new(alg, "k");
            let answer = token(&server, &stranger.sign(&claims(&server, "signer", &json!({})))).await;
            assert_refused(&answer, 401, "invalid_client", "none of the client's keys");
        }
        let key = ClientKey::new("ES256", "k");
        signer(&server, &key, &json!({})).await;
        let claims = || claims(&server, "signer", &json!({}));
        assert_refused(&token(&server, &unsigned(&claims())).await, 401, "invalid_client", "algorithm");
        for alg in ["none", "ES256K", "es256", "RS256", "HS256"] {
            let jws = key.sign_with(&json!({"alg": alg, "kid": "k"}), &claims());
            assert_eq!(token(&server, &jws).await.0, 401, "{alg}");
        }
        // RFC 8725 §2.1: the public key is no secret.
        for secret in [key.jwk.to_string(), text(&key.jwk, "x").to_owned()] {
            assert_eq!(token(&server, &sign_with_secret("HS256", &secret, &claims())).await.0, 401);
        }
    }
);

// RFC 7517 §4.2–4.5
both!(
    async fn a_key_is_found_by_its_name_and_used_for_what_it_says(server: Server) {
        let (key, other) = (ClientKey::new("ES256", "a"), ClientKey::new("ES256", "b"));
        let sign = |header: Value| key.sign_with(&header, &claims(&server, "signer", &json!({})));
        signer(&server, &key, &json!({"jwks": {"keys": [other.jwk, key.jwk]}})).await;
        assert_eq!(token(&server, &sign(json!({"alg": "ES256", "kid": "a"}))).await.0, 200);
        assert_eq!(token(&server, &sign(json!({"alg": "ES256"}))).await.0, 200, "without a name each is tried");
        let answer = token(&server, &sign(json!({"alg": "ES256", "kid": "c"}))).await;
        assert_refused(&answer, 401, "invalid_client", "no registered key");
        let answer = token(&server, &sign(json!({"alg": "ES256", "kid": "b"}))).await;
        assert_refused(&answer, 401, "invalid_client", "none of the client's keys");
        // RFC 8725 §3.10: keys that come along are not looked at.
        let jwk = json!({"alg": "ES256", "kid": "c", "jwk": key.jwk, "jku": "http://localhost:1/jwks", "x5u": "http://localhost:1/"});
        assert_eq!(token(&server, &sign(jwk)).await.0, 401);
        let critical = token(&server, &sign(json!({"alg": "ES256", "kid": "a", "crit": ["exp"], "exp": 1}))).await;
        assert_refused(&critical, 401, "invalid_client", "no signed JWT");
        for (name, value, status) in [
            ("use", json!("sig"), 200),
            ("use", json!("enc"), 401),
            ("key_ops", json!(["verify"]), 200),
            ("key_ops", json!(["deriveKey"]), 401),
            ("alg", json!("ES256"), 200),
            ("alg", json!("ECDH-ES"), 401),
        ] {
            let mut jwk = key.jwk.clone();
            jwk[name] = value.clone();
            signer(&server, &key, &json!({"jwks": {"keys": [jwk]}})).await;
            assert_eq!(token(&server, &sign(json!({"alg": "ES256"}))).await.0, status, "{name}: {value}");
        }
    }
);

// RFC 7523 §3
both!(
    async fn every_claim_is_checked(server: Server) {
        let key = ClientKey::new("EdDSA", "k");
        signer(&server, &key, &json!({})).await;
        let now = server.instance.clock.now().0;
        for (change, words) in [
            (json!({"iss": "other"}), "iss and sub"),
            (json!({"iss": null}), "iss and sub"),
            (json!({"sub": null}), "no sub"),
            (json!({"sub": 1}), "no sub"),
            (json!({"sub": "a\u{0}", "iss": "a\u{0}"}), "no sub"),
            (json!({"jti": "a\u{0}"}), "no jti"),
            (json!({"aud": null}), "aud of client_assertion must be the issuer"),
            (json!({"aud": []}), "aud"),
            (json!({"aud": "https://elsewhere.example"}), "aud"),
            (json!({"aud": [server.issuer(), "https://elsewhere.example"]}), "aud"),
            (json!({"aud": [server.issuer(), 1]}), "aud"),
            (json!({"aud": format!("{}/", server.issuer())}), "aud"),
            (json!({"aud": format!("{}/oauth2/authorize", server.issuer())}), "aud"),
            (json!({"exp": null}), "no exp"),
            (json!({"exp": "soon"}), "no number"),
            (json!({"exp": now - 1}), "expired"),
            (json!({"exp": now + 4_000}), "longer than an hour"),
            (json!({"exp": 1e300}), "longer than an hour"),
            (json!({"nbf": now + 120}), "nbf of client_assertion is in the future"),
            (json!({"iat": now + 120}), "iat of client_assertion is in the future"),
            (json!({"iat": []}), "no number"),
            (json!({"jti": null}), "no jti"),
            (json!({"jti": ""}), "no jti"),
            (json!({"jti": 7}), "no jti"),
            (json!({"jti": "x".repeat(257)}), "no jti"),
        ] {
            let answer = token(&server, &key.sign(&claims(&server, "signer", &change))).await;
            assert_refused(&answer, 401, "invalid_client", words);
        }
        for change in [
            json!({"aud": [server.issuer()]}),
            json!({"aud": format!("{}/oauth2/token", server.issuer())}),
            json!({"aud": format!("{}/auth/token", server.issuer())}),
            json!({"aud": format!("{}/token", server.issuer())}),
            // What openid-client sends.
            json!({"aud": [server.issuer(), format!("{}/oauth2/token", server.issuer()), format!("{}/oauth2/introspect", server.issuer())]}),
            json!({"exp": 0.5 + 30.0 + f64::from(u32::try_from(now).unwrap())}),
            json!({"iat": now + 10, "nbf": now + 10}),
            json!({"iat": null}),
        ] {
            let (status, body) = token(&server, &key.sign(&claims(&server, "signer", &change))).await;
            assert_eq!(status, 200, "{change}: {body}");
        }
    }
);

both!(
    async fn an_identifier_is_used_once_by_its_client_on_any_node(server: Server) {
        let key = ClientKey::new("ES256", "k");
        signer(&server, &key, &json!({})).await;
        let document = json!({"grant_types": ["client_credentials"], "token_endpoint_auth_method": "private_key_jwt", "jwks": key.jwks()});
        server.put("/Client/second", document).await;
        let forged = ClientKey::new("ES256", "k").sign(&claims(&server, "signer", &json!({"jti": "one"})));
        assert_eq!(token(&server, &forged).await.0, 401);
        let expired = json!({"jti": "one", "exp": server.instance.clock.now().0 - 5});
        assert_eq!(token(&server, &key.sign(&claims(&server, "signer", &expired))).await.0, 401);
        // Neither used it up.
        let assertion = key.sign(&claims(&server, "signer", &json!({"jti": "one"})));
        let attempts = (0..8).map(|_| token(&server, &assertion));
        let answers = futures_util::future::join_all(attempts).await;
        assert_eq!(answers.iter().filter(|(status, _)| *status == 200).count(), 1, "{answers:?}");
        let again =
            key.sign(&claims(&server, "signer", &json!({"jti": "one", "exp": server.instance.clock.now().0 + 90})));
        assert_refused(&token(&server, &again).await, 401, "invalid_client", "used before");
        assert_eq!(token(&server, &key.sign(&claims(&server, "second", &json!({"jti": "one"})))).await.0, 200);
        // SQLite in memory is of one node alone.
        if let DatabaseUrl::Postgres(_) = server.settings.database_url {
            let node = server.another_node().await;
            assert_refused(&token(&node, &assertion).await, 401, "invalid_client", "used before");
        }
        // What has expired is forgotten, an hour and some later: two identifiers, two sessions.
        server.wait(8_000);
        assert_eq!(server.instance.sweep().await.unwrap(), 4);
    }
);

// RFC 6749 §2.3, RFC 7521 §4.2
both!(
    async fn one_method_in_a_request_and_only_the_registered_one(server: Server) {
        let key = ClientKey::new("ES256", "k");
        signer(&server, &key, &json!({"secret": "a secret it has besides"})).await;
        let assertion = || key.sign(&claims(&server, "signer", &json!({})));
        let form = [("grant_type", "client_credentials")];
        let with = |more: &'static [(&str, &str)]| form.iter().copied().chain(more.iter().copied()).collect::<Vec<_>>();
        let answer = present(&server, "/oauth2/token", &assertion(), &with(&[("client_secret", "x")])).await;
        assert_refused(&answer, 400, "invalid_request", "twice");
        let answer = present(&server, "/oauth2/token", &assertion(), &with(&[("client_id", "other")])).await;
        assert_refused(&answer, 401, "invalid_client", "another client");
        assert_eq!(present(&server, "/oauth2/token", &assertion(), &with(&[("client_id", "signer")])).await.0, 200);
        let by_secret = server.post_form("/oauth2/token", Some(("signer", "a secret it has besides")), &form).await;
        assert_refused(&by_secret, 401, "invalid_client", "registered for token_endpoint_auth_method private_key_jwt");
        let alone = server.post_form("/oauth2/token", None, &with(&[("client_id", "signer")])).await;
        assert_refused(&alone, 401, "invalid_client", "but the request uses none");
        for (fields, words) in [
            (vec![("client_assertion_type", JWT_BEARER)], "client_assertion is missing"),
            (vec![("client_assertion", "x")], "client_assertion_type is missing"),
            (vec![("client_assertion", "x"), ("client_assertion_type", "saml")], "not supported"),
            (vec![("client_assertion", "x"), ("client_assertion_type", JWT_BEARER)], "no signed JWT"),
        ] {
            let form: Vec<_> = form.iter().copied().chain(fields).collect();
            assert_refused(&server.post_form("/oauth2/token", None, &form).await, 401, "invalid_client", words);
        }
        // A client of another method, and none at all.
        server.web_app(json!({"jwks": key.jwks()})).await;
        for (id, words) in [("web-app", "not registered for private_key_jwt"), ("nobody", "unknown client")] {
            let answer = token(&server, &key.sign(&claims(&server, id, &json!({})))).await;
            assert_refused(&answer, 401, "invalid_client", words);
        }
        server.web_app(json!({"jwks": key.jwks(), "token_endpoint_auth_method": "client_secret_basic"})).await;
        let answer = token(&server, &key.sign(&claims(&server, "web-app", &json!({})))).await;
        assert_refused(&answer, 401, "invalid_client", "registered for token_endpoint_auth_method client_secret_basic");
        server.patch("/Client/signer", json!({"active": false})).await;
        assert_refused(&token(&server, &assertion()).await, 401, "invalid_client", "unknown client");
    }
);

both!(
    async fn a_registered_algorithm_is_the_only_one_and_other_kinds_of_jwt_are_none(server: Server) {
        let key = ClientKey::new("RS256", "k");
        signer(&server, &key, &json!({"token_endpoint_auth_signing_alg": "PS256"})).await;
        let sign = |header: Value| key.sign_with(&header, &claims(&server, "signer", &json!({})));
        let answer = token(&server, &sign(json!({"alg": "RS256", "kid": "k"}))).await;
        assert_refused(&answer, 401, "invalid_client", "signs its assertions with PS256");
        signer(&server, &key, &json!({})).await;
        for (typ, status) in [
            ("JWT", 200),
            ("application/jwt", 200),
            ("client-authentication+jwt", 200),
            ("oauth-authz-req+jwt", 401),
            ("at+jwt", 401),
        ] {
            let answer = token(&server, &sign(json!({"alg": "RS256", "kid": "k", "typ": typ}))).await;
            assert_eq!(answer.0, status, "{typ}: {}", answer.1);
        }
    }
);

both!(
    async fn it_serves_at_every_endpoint_and_for_every_grant(server: Server) {
        let key = ClientKey::new("ES256", "k");
        signer(&server, &key, &json!({})).await;
        server.alice().await;
        let assertion =
            || key.sign(&claims(&server, "signer", &json!({"aud": format!("{}/oauth2/token", server.issuer())})));
        // It can keep a key, so it is no public client, and need not use PKCE.
        let query = [
            ("response_type", "code"),
            ("client_id", "signer"),
            ("scope", "openid offline_access"),
            ("redirect_uri", "http://localhost:4200/cb"),
        ];
        let code = server.sign_in_and_consent(&server.browser(), &query).await.expect("code");
        let form =
            [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", "http://localhost:4200/cb")];
        let bare: Vec<_> = form.iter().copied().chain([("client_id", "signer")]).collect();
        assert_eq!(server.post_form("/oauth2/token", None, &bare).await.0, 401);
        let (status, tokens) = present(&server, "/oauth2/token", &assertion(), &form).await;
        assert_eq!(status, 200, "{tokens}");
        let refresh = text(&tokens, "refresh_token");
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        let (status, tokens) = present(&server, "/auth/token", &assertion(), &form).await;
        assert_eq!(status, 200, "{tokens}");
        let form = [("token", text(&tokens, "access_token"))];
        assert_eq!(present(&server, "/oauth2/introspect", &assertion(), &form).await.1["active"], true);
        assert_eq!(present(&server, "/oauth2/revoke", &assertion(), &form).await.0, 200);
        assert_eq!(present(&server, "/oauth2/introspect", &assertion(), &form).await.1["active"], false);
    }
);

// Aidbox says it grant by grant.
both!(
    async fn the_assertion_types_of_aidbox_ask_for_a_key_where_they_stand(server: Server) {
        let key = ClientKey::new("RS384", "k");
        let types = json!({"client_assertion_types": [JWT_BEARER], "token_format": "jwt"});
        let bulk = json!({"type": "bulk-api-client", "jwks": [key.jwk], "grant_types": ["client_credentials"], "auth": {"client_credentials": types}});
        server.put("/Client/bulk", bulk).await;
        let assertion = || {
            let aud = format!("{}/auth/token", server.issuer());
            let claims = claims(&server, "bulk", &json!({"aud": aud}));
            key.sign_with(&json!({"alg": "RS384", "kid": "k", "typ": "JWT"}), &claims)
        };
        let (status, tokens) = token(&server, &assertion()).await;
        assert_eq!(status, 200, "{tokens}");
        let form = [("token", text(&tokens, "access_token"))];
        assert_eq!(present(&server, "/oauth2/introspect", &assertion(), &form).await.1["active"], true);
        assert_eq!(present(&server, "/oauth2/revoke", &assertion(), &form).await.0, 200);
        let alone = [("grant_type", "client_credentials"), ("client_id", "bulk")];
        assert_refused(
            &server.post_form("/oauth2/token", None, &alone).await,
            401,
            "invalid_client",
            "private_key_jwt",
        );

        // A public client but for where it has a key.
        let code = json!({"redirect_uri": "http://localhost:4200/cb", "client_assertion_types": [JWT_BEARER]});
        let mixed = json!({"jwks": [key.jwk], "grant_types": ["code"], "first_party": true, "auth": {"authorization_code": code}});
        server.put("/Client/app", mixed).await;
        server.alice().await;
        let query = [
            ("response_type", "code"),
            ("client_id", "app"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let code = server.sign_in_and_consent(&server.browser(), &query).await.expect("code");
        let form =
            [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER), ("client_id", "app")];
        assert_refused(&server.post_form("/oauth2/token", None, &form).await, 401, "invalid_client", "private_key_jwt");
        let assertion = key.sign(&claims(&server, "app", &json!({})));
        let (status, body) = present(&server, "/oauth2/token", &assertion, &form).await;
        assert_eq!(status, 200, "{body}");
    }
);

both!(
    async fn a_secret_signs_where_its_document_says_so_and_is_never_shown(server: Server) {
        let document = json!({"secret": SECRET, "grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_jwt"});
        server.put("/Client/hmac", document.clone()).await;
        let sign = |alg: &str, secret: &str| sign_with_secret(alg, secret, &claims(&server, "hmac", &json!({})));
        for alg in ["HS256", "HS384", "HS512"] {
            let (status, body) = token(&server, &sign(alg, SECRET)).await;
            assert_eq!(status, 200, "{alg}: {body}");
        }
        for answer in [
            token(&server, &sign("HS256", "another secret of at least thirty-two characters")).await,
            token(&server, &sign_with_secret("HS256", SECRET, &claims(&server, "nobody", &json!({})))).await,
        ] {
            assert_refused(&answer, 401, "invalid_client", "unknown client, or client_assertion is not signed");
        }
        for answer in [
            server.post_form("/oauth2/token", Some(("hmac", SECRET)), &[("grant_type", "client_credentials")]).await,
            token(&server, &ClientKey::new("ES256", "k").sign(&claims(&server, "hmac", &json!({})))).await,
        ] {
            assert_refused(
                &answer,
                401,
                "invalid_client",
                "registered for token_endpoint_auth_method client_secret_jwt",
            );
        }
        // It is kept, and never shown.
        let row = server.instance.store.document("Client", "hmac").await.unwrap().unwrap();
        let kept = row.secrets.0.to_string();
        assert!(kept.contains("__sealed:") && !kept.contains(SECRET), "{kept}");
        let shown: Value = server.admin("GET", "/Client/hmac").send().await.unwrap().json().await.unwrap();
        assert_eq!(shown["secret"], "********");
        // Sent back with the mask it is as it was; its stored form is no secret.
        server.put("/Client/hmac", shown).await;
        assert_eq!(token(&server, &sign("HS256", SECRET)).await.0, 200);
        let stored = text(&row.secrets.0, "secret");
        assert_eq!(token(&server, &sign("HS256", stored)).await.0, 401);
        // A registered algorithm; and a secret too short for it, which the mask hides from the door.
        server.patch("/Client/hmac", json!({"token_endpoint_auth_signing_alg": "HS384"})).await;
        assert_eq!(
            (token(&server, &sign("HS384", SECRET)).await.0, token(&server, &sign("HS256", SECRET)).await.0.as_u16()),
            (reqwest::StatusCode::OK, 401)
        );
    }
);

both!(
    async fn a_secret_can_go_from_one_method_to_the_other_only_while_it_is_known(server: Server) {
        let refused = async |change: Value, path: &str, words: &str| {
            let mut document = json!({"secret": SECRET, "grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_jwt"});
            merge(&mut document, &change);
            let (status, outcome) = send(&server, "PUT", "/Client/a", document).await;
            assert_eq!(status, 422, "{outcome}");
            let found = issues(&outcome);
            assert!(found.iter().any(|(at, why)| at == path && why.contains(words)), "{found:?}");
        };
        refused(json!({"secret": null}), "Client.secret", "needs a secret").await;
        refused(json!({"secret": "short"}), "Client.secret", "32 characters").await;
        refused(
            json!({"secret": "x".repeat(63), "token_endpoint_auth_signing_alg": "HS512"}),
            "Client.secret",
            "64 characters",
        )
        .await;
        let hash = "__sha256:2BB80D537B1DA3E38BD30361AA855686BDE0EACD7162FEF6A25FE97BF527A25B";
        refused(json!({"secret": hash}), "Client.secret", "this is a hash").await;
        refused(json!({"secret": "__sealed:AAAA"}), "Client.secret", "master key").await;
        refused(json!({"token_endpoint_auth_signing_alg": "RS256"}), "Client.token_endpoint_auth_signing_alg", "HS256")
            .await;
        let private = json!({"token_endpoint_auth_method": "private_key_jwt"});
        refused(private, "Client.token_endpoint_auth_method", "jwks or jwks_uri").await;

        // From a hash there is no way to the secret.
        server.web_app(json!({"secret": SECRET})).await;
        let change = json!({"token_endpoint_auth_method": "client_secret_jwt"});
        let (status, outcome) = send(&server, "PATCH", "/Client/web-app?_method=merge-patch", change).await;
        assert!(status == 422 && issues(&outcome)[0].1.contains("only a hash"), "{outcome}");
        // From the secret there is one to a hash.
        server.web_app(json!({"secret": SECRET, "token_endpoint_auth_method": "client_secret_jwt"})).await;
        server.patch("/Client/web-app", json!({"token_endpoint_auth_method": "client_secret_basic"})).await;
        let kept = server.instance.store.document("Client", "web-app").await.unwrap().unwrap().secrets.0.to_string();
        assert!(kept.contains("$argon2id$"), "{kept}");
        let form = [("grant_type", "client_credentials")];
        assert_eq!(server.post_form("/oauth2/token", Some(("web-app", SECRET)), &form).await.0, 200);
    }
);

both!(
    async fn an_export_takes_a_sealed_secret_along_to_servers_with_the_same_master_key(server: Server) {
        let document = json!({"secret": SECRET, "grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_jwt"});
        server.put("/Client/hmac", document.clone()).await;
        let row = server.instance.store.document("Client", "hmac").await.unwrap().unwrap();
        let exported = countersign::resources::render::exported(&row);
        assert!(text(&exported, "secret").starts_with("__sealed:"));
        server.delete("/Client/hmac").await;
        server.put("/Client/hmac", exported.clone()).await;
        let assertion = sign_with_secret("HS256", SECRET, &claims(&server, "hmac", &json!({})));
        assert_eq!(token(&server, &assertion).await.0, 200);
        // It is for this client alone, and nothing to sign with.
        let mut moved = exported;
        moved["id"] = json!("other");
        let (status, outcome) = send(&server, "PUT", "/Client/other", moved).await;
        assert!(status == 422 && issues(&outcome)[0].1.contains("not for this resource"), "{outcome}");
    }
);
