//! Realms: isolated issuers in one process, each for a test.

use serde_json::{Value, json};

use crate::support::{Database, Server, read};

const BOTH: [Database; 2] = [Database::Sqlite, Database::Postgres];
const BUNDLE: &str = "
- resourceType: Client
  id: only-here
  secret: ${NOT_FILLED:-literal}
  grant_types: [client_credentials]
  auth: { client_credentials: { token_format: jwt } }
";

async fn found(server: &Server, query: &str, bundle: &str) -> Value {
    let response =
        server.http.post(server.url(&format!("/dev/realms{query}"))).body(bundle.to_owned()).send().await.unwrap();
    let location = response.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
    let (status, realm) = read(response).await;
    assert_eq!(status, 201, "{realm}");
    assert!(location.unwrap().ends_with(realm["name"].as_str().unwrap()));
    realm
}

async fn token(server: &Server, issuer: &str, client: (&str, &str)) -> (u16, Value) {
    let form = [("grant_type", "client_credentials")];
    let request = server.http.post(format!("{issuer}/oauth2/token")).basic_auth(client.0, Some(client.1)).form(&form);
    let (status, body) = read(request.send().await.unwrap()).await;
    (status.as_u16(), body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn realms_are_issuers_of_their_own() {
    for database in BOTH {
        let server = Server::dev(database).await;
        let (a, b) = (found(&server, "?name=a", "").await, found(&server, "", "").await);
        let (a, b) = (a["issuer"].as_str().unwrap(), b["issuer"].as_str().unwrap());
        assert_eq!(a, format!("{}/realms/a", server.issuer()));
        for issuer in [a, b, server.issuer()] {
            let metadata = server.http.get(format!("{issuer}/.well-known/openid-configuration")).send().await.unwrap();
            let metadata: Value = metadata.json().await.unwrap();
            assert_eq!(metadata["issuer"], issuer);
            assert_eq!(metadata["token_endpoint"], format!("{issuer}/oauth2/token"));
        }
        // RFC 8414 §3.1
        let metadata = server.http.get(server.url("/.well-known/oauth-authorization-server/realms/a"));
        assert_eq!(metadata.send().await.unwrap().json::<Value>().await.unwrap()["issuer"], a);

        let (status, tokens) = token(&server, a, ("web-app", "client-secret")).await;
        assert_eq!(status, 200, "the demo is in every realm: {tokens}");
        let active = async |issuer: &str| {
            let request = server.http.post(format!("{issuer}/oauth2/introspect")).basic_auth("root", Some("secret"));
            let request = request.form(&[("token", tokens["access_token"].as_str().unwrap())]);
            request.send().await.unwrap().json::<Value>().await.unwrap()["active"] == true
        };
        assert!(active(a).await && !active(b).await && !active(server.issuer()).await);

        let keys = async |issuer: &str| {
            server.http.get(format!("{issuer}/.well-known/jwks.json")).send().await.unwrap().text().await.unwrap()
        };
        assert_ne!(keys(a).await, keys(b).await);

        // A change here is no change there; a clock here is no clock there.
        let put = server.http.put(format!("{a}/Client/web-app")).basic_auth("root", Some("secret"));
        assert_eq!(
            put.json(&json!({"secret": "x", "grant_types": ["client_credentials"]})).send().await.unwrap().status(),
            200
        );
        assert_eq!(token(&server, a, ("web-app", "x")).await.0, 200);
        assert_eq!(token(&server, b, ("web-app", "x")).await.0, 401);
        server.control("POST", "/realms/a/dev/clock", json!({"advance": 3_600})).await;
        assert!(!active(a).await);
        assert!(server.control("GET", "/dev/clock", Value::Null).await.1["ahead"].as_i64().unwrap() < 10);
        assert_eq!(server.control("POST", "/realms/a/dev/reset", Value::Null).await.0, 204);
        assert_eq!(token(&server, a, ("web-app", "client-secret")).await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_realm_holds_the_bundle_it_is_given() {
    for database in BOTH {
        let server = Server::dev(database).await;
        let realm = found(&server, "?name=bundled", BUNDLE).await;
        let issuer = realm["issuer"].as_str().unwrap();
        let (status, tokens) = token(&server, issuer, ("only-here", "literal")).await;
        assert!(status == 200 && tokens["access_token"].as_str().unwrap().split('.').count() == 3, "{tokens}");
        assert_eq!(token(&server, issuer, ("web-app", "client-secret")).await.0, 401, "nothing else is there");

        let wrong = BUNDLE.replace("grant_types", "grant_typs");
        let response = server.http.post(server.url("/dev/realms?name=wrong")).body(wrong).send().await.unwrap();
        let (status, body) = read(response).await;
        assert_eq!((status.as_u16(), &body["error"]), (422, &json!("invalid_bundle")), "{body}");
        assert!(body["error_description"].as_str().unwrap().contains("grant_types"), "{body}");
        assert_eq!(server.control("GET", "/dev/realms/wrong", Value::Null).await.0, 404);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn realms_are_listed_and_go() {
    let server = Server::dev(Database::Sqlite).await;
    let realm = found(&server, "?name=short", "").await;
    found(&server, "?name=idle&idle=1", "").await;
    assert_eq!(server.control("POST", "/dev/realms?name=short", Value::Null).await.0, 409);
    for query in ["?name=a/b", "?name=..", "?name=", "?idle=0", "?idle=soon", "?nam=x"] {
        assert_eq!(server.control("POST", &format!("/dev/realms{query}"), Value::Null).await.0, 400, "{query}");
    }
    let (_, all) = server.control("GET", "/dev/realms", Value::Null).await;
    assert_eq!(all.as_array().unwrap().len(), 2, "{all}");
    assert_eq!(server.control("GET", "/dev/realms/short", Value::Null).await.1, realm);
    assert_eq!(server.control("DELETE", "/dev/realms/short", Value::Null).await.0, 204);
    assert_eq!(server.control("DELETE", "/dev/realms/short", Value::Null).await.0, 404);
    assert_eq!(token(&server, realm["issuer"].as_str().unwrap(), ("web-app", "client-secret")).await.0, 404);
    for _ in 0..100 {
        if server.control("GET", "/dev/realms", Value::Null).await.1 == json!([]) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("an idle realm stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_a_realm_are_signed_by_its_own_keys_whatever_the_algorithm() {
    let server = Server::dev(Database::Sqlite).await;
    let bundle = BUNDLE.replace("literal}", "literal}\n  id_token_signed_response_alg: RS256");
    let realm = found(&server, "", &bundle).await;
    let issuer = realm["issuer"].as_str().unwrap();
    let (status, tokens) = token(&server, issuer, ("only-here", "literal")).await;
    assert_eq!(status, 200, "{tokens}");
    let kid = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    let keys = server.http.get(format!("{issuer}/.well-known/jwks.json")).send().await.unwrap();
    let keys: Value = keys.json().await.unwrap();
    let kid = kid(tokens["access_token"].as_str().unwrap());
    assert!(keys["keys"].as_array().unwrap().iter().any(|key| key["kid"] == *kid), "{keys}");
}
