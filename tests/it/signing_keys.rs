//! Signing keys: made once, sealed at rest, the same on every node, rotated with overlap (RFC 7517; OpenID Connect Core §10.1.1).

use std::collections::BTreeSet;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use countersign::clock::Clock;
use countersign::config::DatabaseUrl;
use countersign::domain::secret::MasterKey;
use countersign::oauth::keys::{ALGORITHMS, Keys};
use countersign::randomness::Randomness;
use countersign::server::Instance;
use serde_json::{Value, json};

use crate::support::{Database, Server, both, jwt, request};

async fn jwks(server: &Server) -> Vec<Value> {
    let response = server.http.get(server.url("/.well-known/jwks.json")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let body: Value = response.json().await.unwrap();
    body["keys"].as_array().unwrap().clone()
}

fn kids(keys: &[Value]) -> BTreeSet<String> {
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn keys_of(server: &Server) -> Keys {
    Keys::new(server.instance.store.clone(), server.settings.master_key.as_ref().unwrap(), Randomness::default())
}

/// What `countersign keys rotate` does.
async fn rotate(server: &Server) -> BTreeSet<String> {
    let new = keys_of(server).rotate(&ALGORITHMS, 3_600, server.instance.clock.now()).await.unwrap();
    look_again(server).await;
    new.into_iter().collect()
}

/// A change of any document has the node compare its keys with the database at once rather than within half a second.
async fn look_again(server: &Server) {
    server
        .put("/Client/look-again", json!({"grant_types": ["basic"], "description": uuid::Uuid::new_v4().to_string()}))
        .await;
}

/// A JWT access token of `web-app`.
async fn token(server: &Server) -> Value {
    let (status, body) = server.token(&[("grant_type", "client_credentials")]).await;
    assert_eq!(status, 200, "{body}");
    body["access_token"].clone()
}

fn kid(token: &Value) -> String {
    jwt(token.as_str().unwrap()).0["kid"].as_str().unwrap().to_owned()
}

async fn with_jwts(server: &Server) {
    let flow = json!({"token_format": "jwt", "access_token_expiration": 7_200});
    server.web_app(json!({"auth": {"client_credentials": flow, "authorization_code": {"token_format": "jwt"}}})).await;
}

both!(
    async fn the_key_set_is_public_cacheable_and_has_nothing_private(server: Server) {
        let response = server
            .http
            .get(server.url("/.well-known/jwks.json"))
            .header("origin", "https://any.example")
            .send()
            .await
            .unwrap();
        assert!(response.headers()["cache-control"].to_str().unwrap().contains("max-age="));
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
        let etag = response.headers()["etag"].clone();
        let again =
            server.http.get(server.url("/.well-known/jwks.json")).header("if-none-match", etag).send().await.unwrap();
        assert_eq!(again.status(), 304);
        let keys = jwks(&server).await;
        // RFC 7518 §6, RFC 8037 §2: no member beyond these, `d` and a symmetric `k` least of all.
        for (alg, members) in [
            ("RS256", "e kty n"),
            ("PS256", "e kty n"),
            ("ES256", "crv kty x y"),
            ("ES384", "crv kty x y"),
            ("EdDSA", "crv kty x"),
        ] {
            let key = keys.iter().find(|key| key["alg"] == alg).unwrap();
            let found: BTreeSet<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(found, members.split(' ').chain(["kid", "use", "alg"]).collect(), "{key}");
            assert_eq!(key["use"], "sig");
        }
        assert_eq!((keys.len(), kids(&keys).len()), (5, 5));
        let shown: Value = server.admin("GET", "/SigningKey").send().await.unwrap().json().await.unwrap();
        assert_eq!(shown["total"], 5);
        for entry in shown["entry"].as_array().unwrap() {
            assert!(keys.contains(&entry["resource"]["jwk"]) && !entry.to_string().contains("private"), "{entry}");
        }
        let anonymous = server.http.get(server.url("/SigningKey")).send().await.unwrap();
        assert_eq!(anonymous.status(), 401);
        for method in ["PUT", "DELETE", "PATCH"] {
            let path = format!("/SigningKey/{}", keys[0]["kid"].as_str().unwrap());
            assert_eq!(server.admin(method, &path).json(&json!({})).send().await.unwrap().status(), 405, "{method}");
        }
        assert_eq!(jwks(&server).await, keys);
    }
);

both!(
    async fn private_keys_are_sealed_in_the_database(server: Server) {
        // The key set waits for the slowest key of the very first start.
        assert_eq!(jwks(&server).await.len(), 5);
        let stored = server.instance.store.signing_keys().await.unwrap();
        assert_eq!(stored.len(), 5);
        // The algorithm identifiers that every unsealed PKCS#8 has inside: rsaEncryption, id-ecPublicKey, id-Ed25519.
        let markers: [&[u8]; 3] = [
            &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1],
            &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1],
            &[6, 3, 0x2b, 0x65, 0x70],
        ];
        for key in &stored {
            let bytes = &key.private_key;
            assert!(
                bytes.len() > 40
                    && markers.iter().all(|marker| !bytes.windows(marker.len()).any(|part| part == *marker))
            );
            assert!(RsaKeyPair::from_pkcs8(bytes).is_err() && Ed25519KeyPair::from_pkcs8(bytes).is_err());
            assert!(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes).is_err());
            assert!(key.public_jwk.0.get("d").is_none());
        }
    }
);

#[tokio::test]
async fn keys_are_made_once_and_a_restart_finds_them_again() {
    let server = Server::on_a_file().await;
    with_jwts(&server).await;
    let (keys, old) = (jwks(&server).await, token(&server).await);
    let mut settings = server.settings.clone();
    settings.issuer = Some(countersign::config::Issuer::parse(server.issuer()).unwrap());
    let DatabaseUrl::SqliteFile(path) = &settings.database_url else { panic!("not on a file") };
    let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    assert!(!text.contains("PRIVATE KEY") && !text.contains(old.as_str().unwrap()));
    let restarted = Instance::start(settings.clone(), server.instance.clock.clone()).await.unwrap();
    let url = format!("http://{}/.well-known/jwks.json", restarted.address);
    let again: Value = server.http.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(again["keys"], json!(keys));
    restarted.stop().await;

    settings.master_key = Some(MasterKey::generate());
    let error = Instance::start(settings, Clock::default()).await.unwrap_err().to_string();
    assert!(error.contains("COUNTERSIGN_MASTER_KEY") && error.contains("does not open"), "{error}");
    assert_eq!(jwks(&server).await, keys, "and nothing was made anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_has_the_same_keys_and_takes_the_others_tokens() {
    let server = Server::start(Database::Postgres).await;
    with_jwts(&server).await;
    let other = server.another_node().await;
    assert_eq!(jwks(&server).await, jwks(&other).await);
    let jwt = token(&server).await;
    assert!(other.is_active(jwt.as_str().unwrap()).await);
    // A node with another master key does not start, and says which setting is wrong.
    let mut settings = server.settings.clone();
    settings.master_key = Some(MasterKey::generate());
    let error = Instance::start(settings, Clock::default()).await.unwrap_err().to_string();
    assert!(error.contains("COUNTERSIGN_MASTER_KEY"), "{error}");
    assert_eq!(jwks(&other).await.len(), 5);
    // A rotation on one node is known on the other.
    let new = rotate(&server).await;
    look_again(&other).await;
    assert!(kids(&jwks(&other).await).is_superset(&new));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_on_an_empty_database_make_one_set_of_keys() {
    let template = Server::start(Database::Postgres).await;
    for _ in 0..3 {
        template.empty_database().await;
        let start = |_| tokio::spawn(Instance::start(template.settings.clone(), Clock::default()));
        let starts: Vec<_> = (0..4).map(start).collect();
        let mut sets = Vec::new();
        for start in starts {
            let node = start.await.unwrap().unwrap_or_else(|error| panic!("a node does not start: {error}"));
            let url = format!("http://{}/.well-known/jwks.json", node.address);
            let keys: Value = template.http.get(url).send().await.unwrap().json().await.unwrap();
            sets.push(keys);
            node.stop().await;
        }
        assert_eq!(sets[0]["keys"].as_array().unwrap().len(), 5);
        assert!(sets.iter().all(|set| *set == sets[0]), "{sets:?}");
    }
}

both!(
    async fn a_rotated_key_is_published_before_it_signs_and_old_tokens_verify_until_they_expire(server: Server) {
        with_jwts(&server).await;
        let before = kids(&jwks(&server).await);
        let old = token(&server).await;
        let new = rotate(&server).await;
        assert_eq!((new.len(), new.is_disjoint(&before)), (5, true));
        let published = kids(&jwks(&server).await);
        assert!(published.is_superset(&new) && published.is_superset(&before));
        // For as long as a cache may hold the key set without the new keys, the old ones go on signing.
        for _ in 0..2 {
            assert!(before.contains(&kid(&token(&server).await)));
            server.wait(440);
        }
        let last = token(&server).await;
        assert!(before.contains(&kid(&last)));
        server.wait(60);
        let fresh = token(&server).await;
        assert!(new.contains(&kid(&fresh)));
        for jwt in [&old, &last, &fresh] {
            assert!(server.is_active(jwt.as_str().unwrap()).await);
        }
        // To its last second the last token of the old key is good, whatever is swept meanwhile.
        server.wait(7_200 - 60 - 30);
        server.instance.store.sweep(server.instance.clock.now(), 500).await.unwrap();
        look_again(&server).await;
        assert!(server.is_active(last.as_str().unwrap()).await && !server.is_active(old.as_str().unwrap()).await);
        assert!(kids(&jwks(&server).await).is_superset(&before));
        // Then the old keys go.
        server.wait(3_600);
        server.instance.store.sweep(server.instance.clock.now(), 500).await.unwrap();
        look_again(&server).await;
        assert_eq!(kids(&jwks(&server).await), new);
    }
);

both!(
    async fn an_id_token_of_a_rotated_key_still_signs_out(server: Server) {
        server.web_app(json!({"first_party": true})).await;
        server.alice().await;
        let browser = server.signed_in().await;
        let code = server.authorize(&browser, &request(&[("scope", "openid")])).await.returned().expect("code");
        let id_token = server.redeemed(&code).await["id_token"].clone();
        rotate(&server).await;
        server.wait(1_000);
        let logout = format!("/oauth2/logout?id_token_hint={}", id_token.as_str().unwrap());
        assert_eq!(browser.get(&server.url(&logout)).await.text("h1"), "Signed out");
        assert!(!server.is_signed_in(&browser).await);
    }
);

both!(
    async fn a_retired_key_ends_at_once_with_all_it_signed(server: Server) {
        with_jwts(&server).await;
        let old = token(&server).await;
        assert!(server.is_active(old.as_str().unwrap()).await);
        let keys = keys_of(&server);
        assert!(!keys.retire("no-such-key", server.instance.clock.now()).await.unwrap());
        assert!(keys.retire(&kid(&old), server.instance.clock.now()).await.unwrap());
        look_again(&server).await;
        assert!(!kids(&jwks(&server).await).contains(&kid(&old)));
        assert!(!server.is_active(old.as_str().unwrap()).await);
        let userinfo =
            server.http.get(server.url("/oauth2/userinfo")).bearer_auth(old.as_str().unwrap()).send().await.unwrap();
        assert_eq!(userinfo.status(), 401);
        // The last key of its algorithm has a successor that signs at once.
        let fresh = token(&server).await;
        assert!(jwks(&server).await.len() == 5 && server.is_active(fresh.as_str().unwrap()).await);
        assert!(!keys.retire(&kid(&old), server.instance.clock.now()).await.unwrap());

        // A key retired before it ever signed leaves the one before it in office, for good.
        let new = rotate(&server).await;
        for kid in &new {
            assert!(keys.retire(kid, server.instance.clock.now()).await.unwrap());
        }
        look_again(&server).await;
        server.wait(20_000);
        server.instance.store.sweep(server.instance.clock.now(), 500).await.unwrap();
        look_again(&server).await;
        assert_eq!(kid(&token(&server).await), kid(&fresh));
        assert_eq!(jwks(&server).await.len(), 5);
    }
);

#[tokio::test]
async fn keys_that_the_version_before_cannot_read_are_kept_where_it_does_not_look() {
    let server = Server::on_a_file().await;
    assert_eq!(jwks(&server).await.len(), 5);
    let DatabaseUrl::SqliteFile(path) = &server.settings.database_url else { panic!("not on a file") };
    let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    for (table, expected) in
        [("signing_key", ["ES256", "EdDSA", "RS256"].as_slice()), ("later_signing_key", &["ES384", "PS256"])]
    {
        let text = format!("SELECT alg FROM {table} ORDER BY alg");
        let found: Vec<(String,)> = sqlx::query_as(sqlx::AssertSqlSafe(text)).fetch_all(&pool).await.unwrap();
        assert_eq!(found.iter().map(|(alg,)| alg.as_str()).collect::<Vec<_>>(), expected, "{table}");
    }
    pool.close().await;
}
