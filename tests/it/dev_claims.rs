//! Claims that a test gives to people: to somebody from now on, or to one sign-in.

use serde_json::{Value, json};

use crate::support::{Database, Server, jwt, text};

const BOTH: [Database; 2] = [Database::Sqlite, Database::Postgres];

async fn give(server: &Server, body: Value) -> (u16, Value) {
    server.control("POST", "/dev/claims", body).await
}

/// Tokens of the demo's `web-app`, of this person, by the code flow.
async fn signed_in(server: &Server, name: &str) -> Value {
    let query = [
        ("response_type", "code"),
        ("client_id", "web-app"),
        ("scope", "openid"),
        ("redirect_uri", "http://localhost:4200"),
        ("login_hint", name),
    ];
    let browser = server.browser();
    let page = server.authorize(&browser, &query).await;
    let code = browser.follow(page).await.returned().expect("code");
    let form = [("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", "http://localhost:4200")];
    let (status, tokens) = server.token(&form).await;
    assert_eq!(status, 200, "{tokens}");
    tokens
}

/// What is said of a claim: in the ID token, in the access token, at userinfo, at introspection.
async fn said(server: &Server, tokens: &Value, claim: &str) -> [Value; 4] {
    let access = text(tokens, "access_token");
    let (_, userinfo) = server.userinfo(access).await;
    let told = server.introspect(access).await;
    assert_eq!(told["active"], true, "{told}");
    [jwt(text(tokens, "id_token")).1, jwt(access).1, userinfo, told].map(|claims| claims[claim].clone())
}

async fn hands_free(database: Database) -> Server {
    let server = Server::dev(database).await;
    server.control("POST", "/dev/hands-free", json!({"auto_login": true, "consent": "approve"})).await;
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_of_a_person_are_said_everywhere_and_at_once() {
    for database in BOTH {
        let server = hands_free(database).await;
        let claims = json!({"tenant": "blue", "groups": ["a", "b"], "email": "other@example.com"});
        let (status, shown) = give(&server, json!({"user": "alice@example.com", "claims": claims})).await;
        assert_eq!((status, &shown), (200, &json!({"users": {"alice": claims}, "next": []})));
        let tokens = signed_in(&server, "alice").await;
        assert_eq!(
            said(&server, &tokens, "tenant").await,
            [json!("blue"), json!("blue"), json!("blue"), json!("blue")]
        );
        assert!(said(&server, &tokens, "groups").await.iter().all(|groups| *groups == json!(["a", "b"])));
        assert!(said(&server, &tokens, "email").await.iter().all(|email| email == "other@example.com"));
        // Of nobody else.
        let of_bob = signed_in(&server, "bob").await;
        assert!(said(&server, &of_bob, "tenant").await.iter().all(Value::is_null));

        // Another word holds from then on: at userinfo and introspection at once, in tokens with a refresh.
        give(&server, json!({"user": "alice", "claims": {"tenant": "red", "sub_level": {"deep": [1, null]}}})).await;
        assert_eq!(said(&server, &tokens, "tenant").await, [json!("blue"), json!("blue"), json!("red"), json!("red")]);
        let tokens = server.refreshed(text(&tokens, "refresh_token")).await;
        assert!(said(&server, &tokens, "tenant").await.iter().all(|tenant| tenant == "red"));
        assert!(said(&server, &tokens, "groups").await.iter().all(Value::is_null), "the last word is all of it");
        // Null takes one out, and opaque tokens are no different.
        give(&server, json!({"user": "alice", "claims": {"username": null, "tenant": "red"}})).await;
        let made = server
            .control(
                "POST",
                "/dev/tokens",
                json!({"client_id": "web-app", "user": "alice", "format": "opaque", "scope": "openid"}),
            )
            .await
            .1;
        let told = server.introspect(text(&made, "token")).await;
        assert!(told["tenant"] == "red" && told.get("username").is_none(), "{told}");
        // The forge says them too, and its own claims last.
        let asked = json!({"client_id": "web-app", "user": "alice", "claims": {"tenant": "green"}});
        assert_eq!(server.control("POST", "/dev/tokens", asked).await.1["claims"]["tenant"], "green");

        give(&server, json!({"user": "alice", "claims": {}})).await;
        assert!(server.control("GET", "/dev/claims", Value::Null).await.1["users"].as_object().unwrap().is_empty());
        let (_, userinfo) = server.userinfo(text(&tokens, "access_token")).await;
        assert!(userinfo.get("tenant").is_none(), "{userinfo}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_of_one_sign_in_stay_with_all_that_comes_of_it() {
    for database in BOTH {
        let server = hands_free(database).await;
        give(&server, json!({"user": "alice", "claims": {"tenant": "blue", "plan": "free"}})).await;
        give(&server, json!({"next": true, "user": "bob", "claims": {"tenant": "bobs"}})).await;
        let (status, shown) = give(&server, json!({"next": true, "claims": {"tenant": "red", "amr": ["mfa"]}})).await;
        assert_eq!((status, shown["next"].as_array().map(Vec::len)), (200, Some(2)), "{shown}");
        let red = signed_in(&server, "alice").await;
        let blue = signed_in(&server, "alice").await;
        assert!(
            said(&server, &red, "tenant").await.iter().all(|tenant| tenant == "red"),
            "more than those of the person"
        );
        assert!(said(&server, &red, "plan").await.iter().all(|plan| plan == "free"), "beside those of the person");
        assert!(said(&server, &red, "amr").await.iter().all(|amr| *amr == json!(["mfa"])));
        assert!(said(&server, &blue, "tenant").await.iter().all(|tenant| tenant == "blue"), "one sign-in, not two");
        // They last as long as the tokens do, through refreshes.
        let red = server.refreshed(text(&red, "refresh_token")).await;
        let red = server.refreshed(text(&red, "refresh_token")).await;
        assert!(said(&server, &red, "tenant").await.iter().all(|tenant| tenant == "red"));
        // Bob's have waited for Bob, by whatever grant he comes.
        let form = [
            ("grant_type", "password"),
            ("username", "bob"),
            ("password", "correct-horse-battery"),
            ("scope", "openid"),
        ];
        let (status, tokens) = server.token(&form).await;
        assert_eq!(status, 200, "{tokens}");
        let told = server.introspect(text(&tokens, "access_token")).await;
        assert_eq!((&told["tenant"], &jwt(text(&tokens, "id_token")).1["tenant"]), (&json!("bobs"), &json!("bobs")));

        // A sign-in that fails takes none.
        give(&server, json!({"next": true, "claims": {"tenant": "late"}})).await;
        let query = [
            ("response_type", "code"),
            ("client_id", "web-app"),
            ("scope", "openid"),
            ("prompt", "none"),
            ("redirect_uri", "http://localhost:4200"),
        ];
        let page = server.authorize(&server.browser(), &query).await;
        assert_eq!(page.returned().get("error"), Some("login_required"));
        assert_eq!(server.control("GET", "/dev/claims", Value::Null).await.1["next"].as_array().unwrap().len(), 1);
        assert_eq!(server.control("DELETE", "/dev/claims", Value::Null).await.0, 204);
        let tokens = signed_in(&server, "bob").await;
        assert!(said(&server, &tokens, "tenant").await.iter().all(Value::is_null));
        // A reset ends those of sign-ins too.
        give(&server, json!({"next": true, "claims": {"tenant": "late"}})).await;
        server.control("POST", "/dev/reset", Value::Null).await;
        assert_eq!(server.control("GET", "/dev/claims", Value::Null).await.1, json!({"users": {}, "next": []}));
    }
}

#[tokio::test]
async fn what_cannot_be_given_is_told() {
    let server = Server::dev(Database::Sqlite).await;
    for (body, status, named) in [
        (json!({"user": "alice"}), 400, "claims"),
        (json!({"claims": {"a": 1}}), 400, "next"),
        (json!({"user": "nobody", "claims": {"a": 1}}), 404, "nobody"),
        (json!({"user": "alice", "claims": {"iss": "https://x"}}), 400, "iss is the protocol's own"),
        (json!({"user": "alice", "claims": {"exp": 1}}), 400, "/dev/tokens"),
        (json!({"next": true, "claims": {"sub": "x"}}), 400, "PUT /User"),
        (json!({"user": "alice", "claims": {"nonce": null}}), 400, "nonce"),
        (json!({"user": "alice", "claims": ["a"]}), 400, "map"),
        (json!({"user": "alice", "claims": {"a": "x".repeat(20_000)}}), 400, "16384"),
        (json!({"user": "alice", "claim": {}}), 400, "claims"),
    ] {
        let (found, answer) = give(&server, body.clone()).await;
        let said = answer["error_description"].as_str().unwrap_or_default();
        assert!(found == status && said.contains(named), "{found} {answer}");
    }
    assert_eq!(server.control("GET", "/dev/claims", Value::Null).await.1, json!({"users": {}, "next": []}));
}

/// What one process was told reaches no server for real use on the same database.
#[tokio::test]
async fn a_server_for_real_use_says_nothing_of_it() {
    let server = hands_free(Database::Postgres).await;
    give(&server, json!({"next": true, "claims": {"tenant": "red"}})).await;
    let tokens = signed_in(&server, "alice").await;
    let issuer = countersign::config::Issuer::parse(server.issuer()).unwrap();
    let real = server
        .another_with(|settings| {
            (settings.mode, settings.dev_api) = (countersign::config::Mode::Serve, false);
            settings.issuer = Some(issuer);
        })
        .await;
    let told = real.introspect(text(&tokens, "access_token")).await;
    assert!(told["active"] == true && told.get("tenant").is_none(), "{told}");
    assert_eq!(server.introspect(text(&tokens, "access_token")).await["tenant"], "red");
}

/// A provider's stand-in says them as well, and makes clients in its own ways.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dialect_says_them_too() {
    let server = Server::start_with(Database::Sqlite, |settings| {
        (settings.mode, settings.dev_api, settings.permissive) = (countersign::config::Mode::Dev, true, true);
        settings.dialect = Some("entra".into());
    })
    .await;
    give(&server, json!({"user": "carol", "claims": {"tid": "another-tenant", "roles": ["Reader"], "oid": null}}))
        .await;
    let form = [("grant_type", "password"), ("username", "carol"), ("password", "x"), ("scope", "openid")];
    let (status, tokens) = server.post_form("/oauth2/token", Some(("made-here", "s")), &form).await;
    assert_eq!(status, 200, "{tokens}");
    assert_eq!(said(&server, &tokens, "tid").await, ["another-tenant"; 4].map(Value::from));
    assert!(said(&server, &tokens, "oid").await.iter().all(Value::is_null));
    assert_eq!(jwt(text(&tokens, "access_token")).1["ver"], "2.0", "{tokens}");
}
