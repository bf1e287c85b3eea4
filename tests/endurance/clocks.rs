//! A clock that jumps, an hour ahead or back, as after a suspended machine or a wrong time server: nothing is lost that would have
//! lasted, and nobody is kept out once it is right again.
//!
//! The server runs in this process, because that is where its clock can be moved.

use serde_json::json;

use crate::alone;
use crate::support::{Database, Server, text};

/// How far the clock jumps.
const HOUR: i64 = 3_600;

async fn nothing_is_harmed(database: Database) {
    let _alone = alone().await;
    let server = Server::start(database).await;
    server.alice().await;
    // Tokens that last for three hours, and a client whose tokens last for half of one.
    let auth = json!({"authorization_code": {"access_token_expiration": 3 * HOUR, "refresh_token": true},
                      "client_credentials": {"access_token_expiration": HOUR / 2}});
    server.web_app(json!({"first_party": true, "auth": auth})).await;
    let browser = server.signed_in().await;
    let query = [("response_type", "code"), ("client_id", "web-app"), ("scope", "openid")];
    for jump in [HOUR, -HOUR] {
        let code = server.sign_in_and_consent(&browser, &query).await.expect("code");
        let long = server.redeemed(&code).await;
        let short = server.client_tokens(&[]).await;
        // Wrong passwords have people wait for minutes at the most, also where the clock was an hour ahead meanwhile.
        let wrong = [("grant_type", "password"), ("username", "alice"), ("password", "no")];
        let guess = async || {
            for _ in 0..8 {
                assert_ne!(server.token(&wrong).await.0, 200);
            }
        };
        if jump < 0 {
            guess().await;
        }

        server.wait(jump);
        if jump > 0 {
            guess().await;
        }
        assert!(server.is_active(text(&long, "access_token")).await, "{jump}");
        let made = server.client_tokens(&[]).await;
        assert!(server.is_active(text(&made, "access_token")).await, "{jump}");
        let next = server.refreshed(text(&long, "refresh_token")).await;
        assert!(server.is_active(text(&next, "access_token")).await, "{jump}");
        assert!(server.is_signed_in(&browser).await, "{jump}");
        // What the minute's sweep removes at the wrong time was good for nothing at the right one.
        server.instance.sweep().await.unwrap();

        server.wait(-jump);
        assert!(server.is_active(text(&long, "access_token")).await, "{jump}");
        assert!(server.is_active(text(&short, "access_token")).await, "{jump}: swept before its time");
        // One that was made an hour too early is over an hour too early.
        assert!(jump < 0 || server.is_active(text(&made, "access_token")).await, "{jump}");
        assert!(server.is_active(text(&next, "access_token")).await, "{jump}");
        assert!(server.is_signed_in(&browser).await, "{jump}");
        let again = server.refreshed(text(&next, "refresh_token")).await;
        assert!(server.is_active(text(&again, "access_token")).await, "{jump}");
        server.wait(60);
        let right = [("grant_type", "password"), ("username", "alice"), ("password", "correct-horse-battery")];
        let (status, body) = server.token(&right).await;
        assert_eq!(status, 200, "{jump}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_of_an_hour_does_no_harm_on_sqlite() {
    nothing_is_harmed(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_of_an_hour_does_no_harm_on_postgres() {
    nothing_is_harmed(Database::Postgres).await;
}
