//! What stands in tokens and token answers: JWT access tokens (RFC 9068), ID tokens (OpenID Connect Core §2), `userinfo`.

use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, jwk::JwkSet};
use serde_json::{Value, json};

use crate::support::{Database, Server, both, jwt, text};

/// The claims of a token, as an application reads them: signature, issuer and audience verified by the published keys.
async fn verified(server: &Server, token: &str, audience: &str) -> Value {
    let response = server.http.get(server.url("/.well-known/jwks.json")).send().await.unwrap();
    let keys: JwkSet = response.json().await.unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    let key = keys.find(header.kid.as_deref().unwrap()).expect("the key is published");
    let mut rules = Validation::new(header.alg);
    rules.set_issuer(&[server.issuer()]);
    rules.set_audience(&[audience]);
    decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &rules).expect("the token verifies").claims
}

fn names(claims: &Value) -> Vec<&str> {
    let mut names: Vec<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

// RFC 9068 §2
both!(
    async fn a_jwt_access_token_is_what_rfc_9068_says(server: Server) {
        server.alice().await;
        let expected = ["aud", "auth_time", "client_id", "exp", "iat", "iss", "jti", "scope", "sub"];
        for alg in ["RS256", "PS256", "ES256", "ES384", "EdDSA"] {
            let settings =
                json!({"token_format": "jwt", "access_token_expiration": 360, "audience": ["https://api.example"]});
            let change = json!({"access_token_signed_response_alg": alg, "auth": {"authorization_code": settings}});
            server.web_app(change).await;
            let tokens = server.tokens("openid email").await;
            let token = text(&tokens, "access_token");
            let (header, _) = jwt(token);
            assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!(alg)));
            let claims = verified(&server, token, "https://api.example").await;
            assert_eq!(names(&claims), expected);
            assert_eq!([text(&claims, "sub"), text(&claims, "client_id")], ["alice", "web-app"]);
            assert_eq!(claims["scope"], "openid email");
            assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 360);
            assert_eq!(tokens["expires_in"], 360);
            assert_eq!(server.introspect(token).await["jti"], claims["jti"]);
            assert_eq!(server.userinfo(token).await.1["email"], "alice@example.com");
        }
    }
);

// Core §2, §3.1.3.6, §5.4
both!(
    async fn an_id_token_is_what_openid_connect_says(server: Server) {
        server.alice().await;
        let cases = [
            (None, Algorithm::RS256, &SHA256),
            (Some("PS256"), Algorithm::PS256, &SHA256),
            (Some("ES256"), Algorithm::ES256, &SHA256),
            (Some("ES384"), Algorithm::ES384, &SHA384),
            (Some("EdDSA"), Algorithm::EdDSA, &SHA512),
        ];
        for (alg, signed, hash) in cases {
            server.web_app(json!({"id_token_signed_response_alg": alg})).await;
            let browser = server.browser();
            let nonce = "n-\"0S6_WzA2Mj ü";
            let query = [("response_type", "code"), ("client_id", "web-app"), ("scope", "openid"), ("nonce", nonce)];
            let first = server.sign_in_and_consent(&browser, &query).await.expect("code");
            let (_, tokens) = server.redeem(&first).await;
            let token = text(&tokens, "id_token");
            let claims = verified(&server, token, "web-app").await;
            assert_eq!(jsonwebtoken::decode_header(token).unwrap().alg, signed);
            assert_eq!(names(&claims), ["at_hash", "aud", "auth_time", "exp", "iat", "iss", "nonce", "sid", "sub"]);
            assert_eq!([text(&claims, "sub"), text(&claims, "nonce")], ["alice", nonce]);
            // Core §3.1.3.6: the left half of the hash that the algorithm uses.
            let access = digest(hash, text(&tokens, "access_token").as_bytes());
            assert_eq!(claims["at_hash"], B64.encode(&access.as_ref()[..access.as_ref().len() / 2]));

            // Later in the same browser: the time of the sign-in stays.
            server.wait(100);
            let code = server.sign_in_and_consent(&browser, &query[..3]).await.expect("code");
            let (_, later) = server.redeem(&code).await;
            let later = verified(&server, text(&later, "id_token"), "web-app").await;
            assert_eq!((&later["auth_time"], &later["sid"]), (&claims["auth_time"], &claims["sid"]));
            assert!(later["iat"].as_i64() >= claims["iat"].as_i64().map(|iat| iat + 100));
            assert!(later.get("nonce").is_none());
        }
    }
);

// Core §5.4: beside an access token they are got from userinfo.
both!(
    async fn the_claims_of_a_scope_are_in_aidboxs_id_token_and_not_in_that_of_openid_connect(server: Server) {
        server.alice().await;
        for document in
            [json!({}), json!({"first_party": true}), json!({"auth": {"authorization_code": {"refresh_token": true}}})]
        {
            server.web_app(document).await;
            for (response_type, scope, shown) in
                [("code", "openid email profile", false), ("code id_token", "email profile", true)]
            {
                let query = [("response_type", response_type), ("client_id", "web-app"), ("scope", scope)];
                let code = server.sign_in_and_consent(&server.browser(), &query).await.expect("code");
                let (_, tokens) = server.redeem(&code).await;
                let claims = verified(&server, text(&tokens, "id_token"), "web-app").await;
                assert_eq!((claims.get("email").is_some(), claims.get("name").is_some()), (shown, shown), "{claims}");
            }
        }
    }
);

// Kubernetes knows people by their ID tokens alone.
both!(
    async fn a_client_that_looks_for_claims_in_the_id_token_finds_them(server: Server) {
        server.alice().await;
        server.web_app(json!({"id_token_claims": true, "auth": {"authorization_code": {"refresh_token": true}}})).await;
        let tokens = server.tokens("openid email").await;
        let again = server.refreshed(text(&tokens, "refresh_token")).await;
        for tokens in [&tokens, &again] {
            let claims = verified(&server, text(tokens, "id_token"), "web-app").await;
            assert_eq!((&claims["email"], claims.get("name")), (&json!("alice@example.com"), None), "{claims}");
        }
    }
);

both!(
    async fn without_openid_there_is_no_id_token_unless_the_2018_response_type_asks(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        for (response_type, scope, expected) in
            [("code", "email", false), ("code id_token", "", true), ("id_token code", "email", true)]
        {
            let query = [("response_type", response_type), ("client_id", "web-app"), ("scope", scope)];
            let returned = server.sign_in_and_consent(&server.browser(), &query).await;
            assert_eq!(returned.get("id_token"), None);
            let (status, tokens) = server.redeem(&returned.expect("code")).await;
            assert_eq!(
                (status.as_u16(), tokens.get("id_token").is_some()),
                (200, expected),
                "{response_type}: {tokens}"
            );
            // An empty scope has no spelling (RFC 6749 §3.3): it is left out, not null.
            assert_eq!(tokens.get("scope").and_then(Value::as_str), Some(scope).filter(|scope| !scope.is_empty()));
            let again = server.refreshed(text(&tokens, "refresh_token")).await;
            assert_eq!(again.get("id_token").is_some(), expected, "{again}");
        }
    }
);

both!(
    async fn userinfo_in_the_answer_is_the_user_only_where_the_document_allows(server: Server) {
        server.alice().await;
        let claims = json!({"sub": "alice", "email": "alice@example.com", "email_verified": false});
        let cases = [
            (false, None, None),
            (false, Some(false), None),
            (false, Some(true), Some(claims)),
            (true, Some(false), None),
        ];
        for (first_party, setting, expected) in cases {
            let change = json!({"first_party": first_party, "token_response_userinfo": setting});
            server.web_app(change.clone()).await;
            let tokens = server.tokens("openid email").await;
            assert_eq!(tokens.get("userinfo"), expected.as_ref(), "{change}");
        }
        server.web_app(json!({"first_party": true})).await;
        let userinfo = &server.tokens("openid").await["userinfo"];
        assert_eq!((&userinfo["id"], &userinfo["sub"]), (&json!("alice"), &json!("alice")));
        assert_eq!(userinfo["resourceType"], "User");
        assert_eq!(userinfo["name"]["familyName"], "Liddell");
        assert!(userinfo.get("password").is_none() && !userinfo.to_string().contains("argon2"), "{userinfo}");
    }
);

// Interface §7: an hour where neither the document nor the operator says otherwise.
both!(
    async fn an_access_token_lives_as_long_as_the_answer_says(server: Server) {
        server.alice().await;
        for (setting, expected) in [(json!(null), 3600), (json!(100), 100)] {
            for format in [json!(null), json!("jwt")] {
                let flow = json!({"access_token_expiration": setting, "token_format": format});
                server.web_app(json!({"auth": {"authorization_code": flow}})).await;
                let tokens = server.tokens("openid").await;
                assert_eq!(tokens["expires_in"], expected);
                let token = text(&tokens, "access_token");
                server.wait(expected - 10);
                assert_eq!(server.userinfo(token).await.0, 200);
                server.wait(10);
                assert_eq!(server.userinfo(token).await.0, 401);
                assert_eq!(server.introspect(token).await, json!({"active": false}));
            }
        }
    }
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_sets_the_life_of_access_tokens() {
    let server = Server::start_with(Database::Sqlite, |settings| settings.access_token_expiration = 90).await;
    server.web_app(json!({"auth": {"client_credentials": {"token_format": "jwt"}}})).await;
    let tokens = server.client_tokens(&[]).await;
    assert_eq!(tokens["expires_in"], 90);
    server.wait(91);
    assert!(!server.is_active(text(&tokens, "access_token")).await);
    server.web_app(json!({"auth": {"client_credentials": {"access_token_expiration": 200}}})).await;
    assert_eq!(server.client_tokens(&[]).await["expires_in"], 200);
}

// A prefix that scanners recognise, the row's id, and behind it at least 256 random bits (RFC 6749 §10.10).
both!(
    async fn opaque_values_have_their_prefix_the_rows_id_and_256_bits(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let code = server.code("openid").await;
        let (_, tokens) = server.redeem(&code).await;
        let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
        let bytes = |value: &str, prefix| B64.decode(value.strip_prefix(prefix).unwrap()).unwrap();
        let (code, access_bytes, refresh) = (bytes(&code, "cs_ac_"), bytes(access, "cs_at_"), bytes(refresh, "cs_rt_"));
        assert_eq!([code.len(), access_bytes.len(), refresh.len()], [16 + 32; 3]);
        assert_ne!(access_bytes[16..], refresh[16..]);
        assert_ne!(access_bytes[16..], code[16..]);
        let id = uuid::Uuid::from_slice(&access_bytes[..16]).unwrap();
        assert_eq!(server.introspect(access).await["jti"], id.to_string());
        assert_eq!(server.admin("GET", &format!("/Session/{id}")).send().await.unwrap().status(), 200);
    }
);

both!(
    async fn a_scope_that_was_taken_away_since_the_code_was_issued_is_in_no_token(server: Server) {
        server.web_app(json!({"scope": ["openid", "reports"]})).await;
        server.alice().await;
        let code = server.code("openid reports").await;
        server.patch("/Client/web-app", json!({"scope": ["openid"]})).await;
        let tokens = server.redeemed(&code).await;
        assert_eq!(tokens["scope"], "openid");
        assert_eq!(server.introspect(text(&tokens, "access_token")).await["scope"], "openid");
    }
);
