//! The keys of clients at their `jwks_uri` (RFC 7591 §2, OpenID Connect Core §10.1.1): fetched when needed, kept for a while, and
//! fetched again when a signature names a key that is not there.

use serde_json::{Value, json};

use crate::support::{Answer, ClientKey, Database, Elsewhere, Server, assert_refused, both, issues, send};

/// A client whose keys are at this URI.
async fn signer(server: &Server, uri: &str) {
    let document = json!({"grant_types": ["client_credentials"], "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": uri});
    server.put("/Client/signer", document).await;
}

async fn present(server: &Server, key: &ClientKey) -> Answer {
    present_jwt(server, key.sign(&claims(server))).await
}

fn claims(server: &Server) -> Value {
    let (now, jti) = (server.instance.clock.now().0, uuid::Uuid::new_v4());
    json!({"iss": "signer", "sub": "signer", "aud": server.issuer(), "exp": now + 60, "jti": jti.to_string()})
}

async fn present_jwt(server: &Server, jwt: String) -> Answer {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", &jwt),
    ];
    server.post_form("/oauth2/token", None, &form).await
}

both!(
    async fn they_are_fetched_once_and_kept_as_long_as_their_server_says(server: Server) {
        let (elsewhere, key) = (Elsewhere::start().await, ClientKey::new("ES256", "a"));
        let uri = elsewhere.put_with("/jwks", 200, &[("cache-control", "max-age=600")], key.jwks().to_string());
        signer(&server, &uri).await;
        let answers = futures_util::future::join_all((0..8).map(|_| present(&server, &key))).await;
        assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
        assert_eq!(elsewhere.hits("/jwks"), 1, "one fetch for all who wait");
        server.wait(590);
        assert_eq!(present(&server, &key).await.0, 200);
        assert_eq!(elsewhere.hits("/jwks"), 1);
        server.wait(20);
        assert_eq!(present(&server, &key).await.0, 200);
        assert_eq!(elsewhere.hits("/jwks"), 2);
        // No server has them fetched for each request, or kept for long.
        elsewhere.put_with("/jwks", 200, &[("cache-control", "no-store")], key.jwks().to_string());
        server.wait(610);
        for _ in 0..3 {
            assert_eq!(present(&server, &key).await.0, 200);
        }
        assert_eq!(elsewhere.hits("/jwks"), 3);
        elsewhere.put_with("/jwks", 200, &[("cache-control", "max-age=31536000")], key.jwks().to_string());
        for _ in 0..2 {
            server.wait(3_601);
            assert_eq!(present(&server, &key).await.0, 200);
        }
        assert_eq!(elsewhere.hits("/jwks"), 5);
    }
);

both!(
    async fn a_new_key_holds_at_once_and_an_unknown_one_is_not_looked_for_again_and_again(server: Server) {
        let (elsewhere, old, new) =
            (Elsewhere::start().await, ClientKey::new("ES256", "a"), ClientKey::new("ES256", "b"));
        let uri = elsewhere.put("/jwks", old.jwks().to_string());
        signer(&server, &uri).await;
        assert_eq!(present(&server, &old).await.0, 200);
        elsewhere.put("/jwks", new.jwks().to_string());
        assert_eq!(present(&server, &new).await.0, 200, "at once, though the set is fresh");
        // And one that follows on its heels.
        let newest = ClientKey::new("ES256", "d");
        elsewhere.put("/jwks", json!({"keys": [new.jwk, newest.jwk]}).to_string());
        assert_eq!(present(&server, &newest).await.0, 200);
        assert_eq!(elsewhere.hits("/jwks"), 3);
        assert_refused(&present(&server, &old).await, 401, "invalid_client", "no registered key");
        let stranger = ClientKey::new("ES256", "c");
        for _ in 0..5 {
            assert_refused(&present(&server, &stranger).await, 401, "invalid_client", "no registered key");
        }
        assert_eq!(elsewhere.hits("/jwks"), 4);
        server.wait(11);
        for _ in 0..5 {
            assert_eq!(present(&server, &stranger).await.0, 401);
        }
        assert_eq!(elsewhere.hits("/jwks"), 5);
        // A wrong signature of a key that is there is no reason to look.
        server.wait(11);
        let wrong = ClientKey::new("ES256", "b");
        assert_refused(&present(&server, &wrong).await, 401, "invalid_client", "none of the client's keys");
        assert_eq!(elsewhere.hits("/jwks"), 5);
        // Without a name, another key may have come.
        server.wait(11);
        elsewhere.put("/jwks", json!({"keys": [new.jwk, wrong.jwk]}).to_string());
        let nameless = wrong.sign_with(&json!({"alg": "ES256"}), &claims(&server));
        assert_eq!(present_jwt(&server, nameless).await.0, 200);
        assert_eq!(elsewhere.hits("/jwks"), 6);
    }
);

both!(
    async fn the_last_good_set_serves_while_no_other_can_be_fetched(server: Server) {
        let (elsewhere, key) = (Elsewhere::start().await, ClientKey::new("ES256", "a"));
        let uri = elsewhere.put_with("/jwks", 503, &[], "");
        signer(&server, &uri).await;
        for _ in 0..3 {
            assert_refused(&present(&server, &key).await, 401, "invalid_client", "cannot be fetched");
        }
        assert_eq!(elsewhere.hits("/jwks"), 1, "not tried again for some seconds");
        server.wait(11);
        elsewhere.put("/jwks", key.jwks().to_string());
        assert_eq!(present(&server, &key).await.0, 200);
        for (status, body) in [(503, ""), (200, "no JSON"), (200, "{}"), (302, "")] {
            elsewhere.put_with("/jwks", status, &[], body);
            server.wait(400);
            assert_eq!(present(&server, &key).await.0, 200, "{status} {body}");
        }
        server.wait(3_600);
        assert_refused(&present(&server, &key).await, 401, "invalid_client", "cannot be fetched");
        elsewhere.put("/jwks", key.jwks().to_string());
        server.wait(11);
        assert_eq!(present(&server, &key).await.0, 200);
    }
);

both!(
    async fn keys_that_do_not_read_are_left_out(server: Server) {
        let (elsewhere, key) = (Elsewhere::start().await, ClientKey::new("EdDSA", "a"));
        let mut private = key.jwk.clone();
        private["d"] = json!("AAAA");
        let set = json!({"keys": [{"kty": "oct", "k": "AAAA"}, private, {"kty": "future"}, 1, key.jwk]});
        let uri = elsewhere.put("/jwks", set.to_string());
        signer(&server, &uri).await;
        assert_eq!(present(&server, &key).await.0, 200);
        // A changed document names another place, which holds at once.
        let other = ClientKey::new("EdDSA", "a");
        signer(&server, &elsewhere.put("/other", other.jwks().to_string())).await;
        assert_eq!(present(&server, &other).await.0, 200);
        assert_refused(&present(&server, &key).await, 401, "invalid_client", "none of the client's keys");
    }
);

both!(
    async fn what_a_document_may_say_of_keys(server: Server) {
        let key = ClientKey::new("RS256", "a");
        let refused = async |document: Value, path: &str, words: &str| {
            let (status, outcome) = send(&server, "PUT", "/Client/a", document).await;
            assert_eq!(status, 422, "{outcome}");
            let found = issues(&outcome);
            assert!(found.iter().any(|(at, why)| at == path && why.contains(words)), "{found:?}");
        };
        let mut private = key.jwk.clone();
        private["d"] = json!("AAAA");
        for (jwks, words) in [
            (json!({"keys": [key.jwk, private]}), "key 1 is private"),
            (json!([{"kty": "oct", "k": "AAAA"}]), "key 0 is private"),
            (json!({"keys": vec![key.jwk.clone(); 51]}), "larger than 50 keys"),
            (json!({"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}), "2,048"),
            (json!("x"), "no JWK Set"),
        ] {
            refused(json!({"jwks": jwks}), "Client.jwks", words).await;
        }
        let both = json!({"jwks": key.jwks(), "jwks_uri": "https://a.example/jwks"});
        refused(both, "Client.jwks_uri", "one of the two").await;
        for uri in ["ftp://a.example/x", "https://u:p@a.example/x", "file:///etc/passwd"] {
            refused(json!({"jwks_uri": uri}), "Client.jwks_uri", "https").await;
            refused(json!({"request_uris": [uri]}), "Client.request_uris[0]", "https").await;
        }
        let long = format!("https://a.example/{}", "x".repeat(500));
        refused(json!({"request_uris": ["https://a.example/r", long]}), "Client.request_uris[1]", "512").await;
        let many: Vec<String> = (0..51).map(|index| format!("https://a.example/{index}")).collect();
        refused(json!({"request_uris": many}), "Client.request_uris[50]", "at most 50").await;
        refused(json!({"request_object_signing_alg": "HS256"}), "Client.request_object_signing_alg", "one of").await;
    }
);
