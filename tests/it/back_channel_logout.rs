//! OpenID Connect Back-Channel Logout 1.0: clients hear of every end of a session, from whichever node, until they have.

use std::time::Duration;

use countersign::clock::monotonic_millis;
use countersign::config::DatabaseUrl;
use countersign::store::sessions::Session;
use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};
use serde_json::{Value, json};

use crate::support::{Browser, Database, Elsewhere, Server, both, issues, jwt, request, send, text};

const PASSWORD: &str = "correct-horse-battery";

/// A server that may reach this machine, and a client elsewhere.
async fn server(database: Database) -> Server {
    Server::start_with(database, |settings| settings.outbound_networks = vec!["127.0.0.0/8".parse().unwrap()]).await
}

macro_rules! both_reaching {
    (async fn $name:ident($server:ident: Server) $body:block) => {
        mod $name {
            use super::*;

            async fn check($server: Server) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                check(server(Database::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                check(server(Database::Postgres).await).await;
            }
        }
    };
}

/// `web-app`, which listens at `/out`, and Alice, signed in there: her browser and her tokens.
async fn signed_in(server: &Server, elsewhere: &Elsewhere, change: Value) -> (Browser, Value) {
    let uri = elsewhere.put("/out", "");
    server.web_app(json!({"backchannel_logout_uri": uri})).await;
    server.patch("/Client/web-app", change).await;
    server.alice().await;
    enter(server).await
}

async fn enter(server: &Server) -> (Browser, Value) {
    let browser = server.browser();
    let query = request(&[("scope", "openid"), ("redirect_uri", "http://localhost:4200/cb")]);
    let code = server.sign_in_and_consent(&browser, &query).await.expect("code");
    let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", "http://localhost:4200/cb")];
    let (status, tokens) = server.token(&form).await;
    assert_eq!(status, 200, "{tokens}");
    (browser, tokens)
}

async fn sign_out(server: &Server, browser: &Browser) {
    let page = browser.get(&server.url("/oauth2/logout")).await;
    assert_eq!(browser.submit(&page, &[]).await.text("h1"), "Signed out");
}

/// The logout tokens that came so far, once there are as many as expected.
async fn arrived(elsewhere: &Elsewhere, path: &str, expected: usize) -> Vec<String> {
    for _ in 0..100 {
        if elsewhere.posted(path).len() >= expected {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // One too many would come about now.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let posted = elsewhere.posted(path);
    assert_eq!(posted.len(), expected, "{posted:?}");
    let token = |body: &String| {
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        assert!(pairs.len() == 1 && pairs[0].0 == "logout_token", "{pairs:?}");
        pairs[0].1.clone()
    };
    posted.iter().map(token).collect()
}

/// The row of a login of Alice.
fn login(server: &Server) -> Session {
    let (id, now) = (uuid::Uuid::new_v4(), server.instance.clock.now());
    Session {
        user_id: Some("alice".into()),
        user_epoch: Some(1),
        token_digest: Some(vec![0; 32]),
        auth_time: Some(now),
        ..Session::new(id, "login", now.plus(3_600), now)
    }
}

both!(
    async fn who_joins_a_session_at_the_moment_of_its_end_hears_of_it_or_does_not_join(server: Server) {
        let (store, now) = (&server.instance.store, server.instance.clock.now());
        let mut joined = 0;
        for n in 0..60 {
            let session = login(&server);
            let id = session.id;
            store.insert_session(session).await.unwrap();
            let (one, other) = (store.clone(), store.clone());
            let join = async move {
                tokio::time::sleep(Duration::from_micros(n * 50)).await;
                one.join_login(id, "web-app", "alice", now.plus(60)).await.unwrap()
            };
            let end = async move {
                tokio::time::sleep(Duration::from_micros(1_500)).await;
                other.end_login(id, now).await.unwrap().unwrap()
            };
            let (join, end) = (tokio::spawn(join), tokio::spawn(end));
            let (takes_part, told) = (join.await.unwrap(), end.await.unwrap());
            assert_eq!(told, if takes_part { vec!["web-app".to_owned()] } else { Vec::new() }, "try {n}");
            joined += u32::from(takes_part);
            assert!(!store.join_login(id, "web-app", "alice", now.plus(60)).await.unwrap(), "it has ended");
        }
        assert!(joined > 0, "the race was never run");
    }
);

/// PostgreSQL alone has several who write at once: the end of a session is under way, and not committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_waits_for_a_sign_out_that_is_under_way_and_then_gives_nothing() {
    let server = server(Database::Postgres).await;
    server.web_app(json!({"backchannel_logout_uri": "http://127.0.0.1:9/out", "first_party": true})).await;
    server.alice().await;
    let browser = server.signed_in().await;
    let DatabaseUrl::Postgres(url) = &server.settings.database_url else { panic!("another database") };
    let pool = sqlx::PgPool::connect(url).await.unwrap();
    let mut ending = pool.begin().await.unwrap();
    let end = "UPDATE session SET family_ended_at = created_at WHERE kind = 'login'";
    assert_eq!(sqlx::query(end).execute(&mut *ending).await.unwrap().rows_affected(), 1);
    let query = request(&[("scope", "openid")]);
    let mut answer = std::pin::pin!(server.authorize(&browser, &query));
    let early = tokio::time::timeout(Duration::from_millis(500), &mut answer).await;
    assert!(early.is_err(), "it does not wait: {early:?}");
    ending.commit().await.unwrap();
    assert_eq!(answer.await.returned().expect("error"), "login_required");
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM login_client").fetch_one(&pool).await.unwrap();
    assert_eq!(rows, 0);
}

// §2.1
both!(
    async fn discovery_says_that_it_is_supported_with_sessions(server: Server) {
        let metadata = server.metadata().await;
        assert_eq!(metadata["backchannel_logout_supported"], true);
        assert_eq!(metadata["backchannel_logout_session_supported"], true);
        assert!(metadata["claims_supported"].as_array().unwrap().contains(&json!("sid")));
    }
);

// §2.4, §2.5
both_reaching!(
    async fn the_logout_token_is_what_the_specification_says(server: Server) {
        let elsewhere = Elsewhere::start().await;
        for alg in ["RS256", "PS256", "ES256", "ES384", "EdDSA"] {
            let uri = elsewhere.put(&format!("/{alg}"), "");
            let change = json!({"backchannel_logout_uri": uri, "id_token_signed_response_alg": alg, "backchannel_logout_session_required": true});
            let (browser, tokens) = signed_in(&server, &elsewhere, change).await;
            let (_, id_token) = jwt(text(&tokens, "id_token"));
            sign_out(&server, &browser).await;
            let token = arrived(&elsewhere, &format!("/{alg}"), 1).await.remove(0);
            let (header, claims) = jwt(&token);
            assert_eq!((&header["typ"], &header["alg"]), (&json!("logout+jwt"), &json!(alg)));
            let mut names: Vec<&String> = claims.as_object().unwrap().keys().collect();
            names.sort();
            assert_eq!(names, ["aud", "events", "exp", "iat", "iss", "jti", "sid", "sub"]);
            for name in ["iss", "aud", "sub", "sid"] {
                assert_eq!(claims[name], id_token[name], "{name}");
            }
            assert_eq!(claims["events"], json!({"http://schemas.openid.net/event/backchannel-logout": {}}));
            assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 120);
            let keys: JwkSet =
                server.http.get(server.url("/.well-known/jwks.json")).send().await.unwrap().json().await.unwrap();
            let key = keys.find(header["kid"].as_str().unwrap()).expect("the key is published");
            let mut rules = Validation::new(alg.parse().unwrap());
            rules.set_issuer(&[server.issuer()]);
            rules.set_audience(&["web-app"]);
            jsonwebtoken::decode::<Value>(&token, &DecodingKey::from_jwk(key).unwrap(), &rules).expect("verifies");
            // It is none of our other tokens.
            assert_eq!(server.userinfo(&token).await.0, 401);
            let page = browser.get(&server.url(&format!("/oauth2/logout?id_token_hint={token}"))).await;
            assert_eq!(page.error().as_deref(), Some("invalid_request"));
        }
    }
);

// §2.2: one session, many clients
both_reaching!(
    async fn one_logout_reaches_every_client_of_the_session_once_and_no_other_session(server: Server) {
        let elsewhere = Elsewhere::start().await;
        let (browser, _) = signed_in(&server, &elsewhere, json!({})).await;
        let second = elsewhere.put("/second", "");
        let document = json!({
            "grant_types": ["code"], "backchannel_logout_uri": second, "first_party": true,
            "auth": {"authorization_code": {"redirect_uri": "https://second.example/cb"}},
        });
        server.put("/Client/second", document).await;
        elsewhere.put("/unused", "");
        let (other_browser, _) = enter(&server).await;
        let challenge = crate::support::CHALLENGE;
        let query = [
            ("response_type", "code"),
            ("client_id", "second"),
            ("scope", "openid"),
            ("redirect_uri", "https://second.example/cb"),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256"),
        ];
        for _ in 0..2 {
            let page = server.authorize(&browser, &query).await;
            page.returned().expect("code");
        }
        sign_out(&server, &browser).await;
        let first = jwt(&arrived(&elsewhere, "/out", 1).await[0]).1;
        let second = jwt(&arrived(&elsewhere, "/second", 1).await[0]).1;
        assert_eq!((&first["sid"], &second["aud"]), (&second["sid"], &json!("second")));
        assert_ne!(first["jti"], second["jti"]);
        assert!(server.is_signed_in(&other_browser).await);
        sign_out(&server, &other_browser).await;
        let both = arrived(&elsewhere, "/out", 2).await;
        assert_ne!(jwt(&both[1]).1["sid"], first["sid"]);
        arrived(&elsewhere, "/second", 1).await;
    }
);

// Every way in which a session ends for good
both_reaching!(
    async fn whatever_ends_a_session_the_client_hears_of_it(server: Server) {
        let elsewhere = Elsewhere::start().await;
        let (browser, _) = signed_in(&server, &elsewhere, json!({"first_party": true})).await;
        let mut expected = 0;
        let mut heard = async |sub: &str| {
            expected += 1;
            assert_eq!(jwt(arrived(&elsewhere, "/out", expected).await.last().unwrap()).1["sub"], sub);
        };
        // Somebody signs in anew in the same browser.
        let page = server.authorize(&browser, &request(&[("scope", "openid"), ("prompt", "login")])).await;
        browser.sign_in(&page, "alice", PASSWORD).await;
        heard("alice").await;
        // An administrator closes the login, or a session that shares it.
        for kind in ["login", "authorization_code"] {
            let (browser, tokens) = enter(&server).await;
            let sid = jwt(text(&tokens, "id_token")).1["sid"].clone();
            let (_, found) = send(&server, "GET", "/Session?user=alice", json!(null)).await;
            let entries = found["entry"].as_array().unwrap().iter().map(|entry| &entry["resource"]);
            let of_login = |one: &&Value| one["type"] == kind && (one["id"] == sid || one["parent"]["id"] == sid);
            let id = entries.clone().find(of_login).unwrap()["id"].as_str().unwrap().to_owned();
            server.delete(&format!("/Session/{id}")).await;
            heard("alice").await;
            assert!(!server.is_signed_in(&browser).await);
        }
        // The client closes the session of its token.
        let (_, tokens) = enter(&server).await;
        let request = server.http.delete(server.url("/Session")).bearer_auth(text(&tokens, "access_token"));
        assert_eq!(request.send().await.unwrap().status(), 204);
        heard("alice").await;
        // The password changes; the user is switched off; the user is deleted.
        enter(&server).await;
        server.patch("/User/alice", json!({"password": "another-horse-battery"})).await;
        heard("alice").await;
        server.patch("/User/alice", json!({"password": PASSWORD})).await;
        enter(&server).await;
        server.patch("/User/alice", json!({"inactive": true})).await;
        heard("alice").await;
        server.patch("/User/alice", json!({"inactive": false})).await;
        enter(&server).await;
        server.delete("/User/alice").await;
        heard("alice").await;
    }
);

both_reaching!(
    async fn an_administrator_who_closes_a_third_partys_session_has_that_one_told(server: Server) {
        let elsewhere = Elsewhere::start().await;
        let (browser, tokens) = signed_in(&server, &elsewhere, json!({})).await;
        let id = server.introspect(text(&tokens, "access_token")).await["jti"].as_str().unwrap().to_owned();
        server.delete(&format!("/Session/{id}")).await;
        arrived(&elsewhere, "/out", 1).await;
        assert!(server.is_signed_in(&browser).await, "the login goes on");
        // Who comes back is told again.
        let query = request(&[("scope", "openid"), ("redirect_uri", "http://localhost:4200/cb")]);
        server.authorize(&browser, &query).await.returned().expect("code");
        sign_out(&server, &browser).await;
        arrived(&elsewhere, "/out", 2).await;
    }
);

// §2.7
both_reaching!(
    async fn refresh_tokens_end_with_the_session_unless_they_are_for_offline_access(server: Server) {
        let elsewhere = Elsewhere::start().await;
        signed_in(&server, &elsewhere, json!({})).await;
        for (scope, status) in
            [("openid", 400), ("openid offline_access", 200), ("openid xoffline_access", 400), ("email", 200)]
        {
            let browser = server.browser();
            let query = request(&[("scope", scope), ("prompt", "consent")]);
            let code = server.sign_in_and_consent(&browser, &query).await.expect("code");
            let form =
                [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", "http://localhost:4200/cb")];
            let (_, tokens) = server.token(&form).await;
            let tokens = server.refreshed(text(&tokens, "refresh_token")).await;
            sign_out(&server, &browser).await;
            let refresh = text(&tokens, "refresh_token");
            assert_eq!(server.is_active(refresh).await, status == 200, "{scope}");
            let (found, body) = server.refresh(refresh).await;
            assert_eq!(found.as_u16(), status, "{scope}: {body}");
            assert!(server.is_active(text(&tokens, "access_token")).await, "it lives its short life");
        }
    }
);

// §2.8, §4: delivered at least once, without the person waiting
both_reaching!(
    async fn a_client_that_is_away_is_told_later_and_nobody_waits_for_it(server: Server) {
        let elsewhere = Elsewhere::start().await;
        let (browser, _) = signed_in(&server, &elsewhere, json!({})).await;
        elsewhere.put_with("/out", 503, &[], "");
        elsewhere.delay("/out", Duration::from_secs(3));
        let page = browser.get(&server.url("/oauth2/logout")).await;
        let started = monotonic_millis();
        assert_eq!(browser.submit(&page, &[]).await.text("h1"), "Signed out");
        assert!(monotonic_millis() - started < 2_500, "nobody waits for the client");
        elsewhere.delay("/out", Duration::ZERO);
        arrived(&elsewhere, "/out", 1).await;
        elsewhere.answered("/out", 1).await;
        let mut tries = 1;
        for pause in [10, 60, 300, 900] {
            server.wait(pause - 8);
            server.instance.store.logouts_are_due();
            arrived(&elsewhere, "/out", tries).await;
            server.wait(8);
            server.instance.store.logouts_are_due();
            tries += 1;
            arrived(&elsewhere, "/out", tries).await;
        }
        elsewhere.put("/out", "");
        server.wait(3_600);
        server.instance.store.logouts_are_due();
        let tokens = arrived(&elsewhere, "/out", tries + 1).await;
        let jtis: std::collections::BTreeSet<String> =
            tokens.iter().map(|token| jwt(token).1["jti"].to_string()).collect();
        assert_eq!(jtis.len(), tokens.len(), "each try has a token of its own, which has not expired");
        server.wait(100_000);
        server.instance.store.logouts_are_due();
        arrived(&elsewhere, "/out", tries + 1).await;
    }
);

both_reaching!(
    async fn a_client_that_never_answers_or_refuses_is_given_up(server: Server) {
        let elsewhere = Elsewhere::start().await;
        let (browser, _) = signed_in(&server, &elsewhere, json!({})).await;
        elsewhere.put_with("/out", 302, &[("location", "/elsewhere")], "");
        sign_out(&server, &browser).await;
        for tries in 1..=7 {
            arrived(&elsewhere, "/out", tries).await;
            server.wait(3_601);
            server.instance.store.logouts_are_due();
        }
        arrived(&elsewhere, "/out", 7).await;
        assert_eq!(elsewhere.hits("/elsewhere"), 0, "no redirect is followed");
        // 400 says that it was understood (§2.8).
        let (browser, _) = enter(&server).await;
        elsewhere.put_with("/out", 400, &[], "");
        sign_out(&server, &browser).await;
        arrived(&elsewhere, "/out", 8).await;
        server.wait(3_601);
        server.instance.store.logouts_are_due();
        arrived(&elsewhere, "/out", 8).await;
    }
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_nodes_one_sends_a_message() {
    let server = server(Database::Postgres).await;
    let elsewhere = Elsewhere::start().await;
    let nodes = [server.another_node().await, server.another_node().await];
    let (browser, _) = signed_in(&server, &elsewhere, json!({})).await;
    elsewhere.put_with("/out", 500, &[], "");
    sign_out(&server, &browser).await;
    for tries in 1..=4 {
        arrived(&elsewhere, "/out", tries).await;
        server.wait(1_000);
        for node in nodes.iter().chain([&server]) {
            node.instance.store.logouts_are_due();
        }
    }
    arrived(&elsewhere, "/out", 5).await;
}

// §2.2
both!(
    async fn where_tokens_are_posted_is_checked_when_it_is_registered(server: Server) {
        for uri in ["https://app.example/out#f", "javascript:alert(1)", "app:/out", "ftp://app.example/"] {
            let document = json!({"grant_types": ["code"], "backchannel_logout_uri": uri});
            let (status, outcome) = send(&server, "PUT", "/Client/x", document).await;
            assert_eq!((status, issues(&outcome)[0].0.as_str()), (422, "Client.backchannel_logout_uri"), "{outcome}");
        }
        let document = json!({"grant_types": ["code"], "backchannel_logout_uri": "https://app.example/out?tenant=1"});
        assert_eq!(send(&server, "PUT", "/Client/x", document).await.0, 201);
    }
);

both_reaching!(
    async fn who_comes_back_while_being_told_hears_of_the_next_end_too(server: Server) {
        let elsewhere = Elsewhere::start().await;
        let (browser, tokens) = signed_in(&server, &elsewhere, json!({})).await;
        elsewhere.delay("/out", Duration::from_secs(1));
        let close = server.http.delete(server.url("/Session")).bearer_auth(text(&tokens, "access_token"));
        assert_eq!(close.send().await.unwrap().status(), 204);
        arrived(&elsewhere, "/out", 1).await;
        let query = request(&[("scope", "openid"), ("redirect_uri", "http://localhost:4200/cb")]);
        server.authorize(&browser, &query).await.returned().expect("code");
        elsewhere.answered("/out", 1).await;
        elsewhere.delay("/out", Duration::ZERO);
        arrived(&elsewhere, "/out", 1).await;
        sign_out(&server, &browser).await;
        arrived(&elsewhere, "/out", 2).await;
    }
);
