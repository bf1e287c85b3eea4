//! The resource owner password credentials grant (RFC 6749 §4.3): off unless an operator allows it (RFC 9700 §2.4).

use countersign::config::AllowGrants;
use serde_json::{Value, json};

use crate::support::{Answer, Database, Server, assert_refused, both, jwt, text};

async fn sign_in(server: &Server, username: &str, password: &str) -> Answer {
    server
        .token(&[("grant_type", "password"), ("username", username), ("password", password), ("scope", "openid email")])
        .await
}

both!(
    async fn a_person_is_known_by_id_user_name_and_mail_in_any_case(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        server.patch("/User/alice", json!({"userName": "Lidd-L"})).await;
        for name in ["alice", "ALICE", "lidd-l", "Lidd-L", "alice@example.com", "Alice@Example.COM", " alice "] {
            let (status, tokens) = sign_in(&server, name, "correct-horse-battery").await;
            assert_eq!(status, 200, "{name}: {tokens}");
            let (_, claims) = jwt(text(&tokens, "id_token"));
            assert_eq!([text(&claims, "sub"), text(&claims, "email")], ["alice", "alice@example.com"]);
            assert!(claims["auth_time"].is_i64(), "{claims}");
            assert_eq!(server.userinfo(text(&tokens, "access_token")).await.0, 200);
        }
    }
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_off_unless_the_operator_allows_it() {
    for allowed in [true, false] {
        let server = Server::start_with(Database::Sqlite, |settings| {
            settings.allow_grants = AllowGrants { implicit: false, password: allowed };
        })
        .await;
        server.web_app(json!({"auth": {"password": {"refresh_token": true}}})).await;
        server.alice().await;
        let answer = sign_in(&server, "alice", "correct-horse-battery").await;
        if allowed {
            assert_eq!(answer.0, 200);
        } else {
            assert_refused(&answer, 400, "unsupported_grant_type", "--allow-grant password");
        }
    }
}

both!(
    async fn only_clients_that_list_it_have_it(server: Server) {
        server.web_app(json!({"grant_types": ["code"]})).await;
        server.alice().await;
        for password in ["correct-horse-battery", "wrong"] {
            assert_refused(&sign_in(&server, "alice", password).await, 400, "unauthorized_client", "password");
        }
    }
);

// ASVS 6.3.8: an answer tells neither whether there is such an account nor its state before the password is right.
both!(
    async fn wrong_credentials_are_told_the_same_whatever_is_wrong(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        server.put("/User/off", json!({"userName": "off", "password": "right-password", "inactive": true})).await;
        server
            .put("/User/two", json!({"userName": "two", "password": "right-password", "twoFactor": {"enabled": true}}))
            .await;
        server.put("/User/none", json!({"userName": "none"})).await;
        let expected = sign_in(&server, "alice", "wrong").await;
        assert_refused(&expected, 400, "invalid_grant", "wrong user name or password");
        let long = "x".repeat(2_000);
        for (name, password) in [
            ("nobody", "wrong"),
            ("off", "wrong"),
            ("two", "wrong"),
            ("none", "wrong"),
            ("none", "********"),
            ("alice", "Correct-horse-battery"),
            ("alice", "correct-horse-battery "),
            ("alice", &long),
            (&long, "x"),
        ] {
            assert_eq!(sign_in(&server, name, password).await, expected, "{name}");
        }
        assert_refused(&sign_in(&server, "off", "right-password").await, 400, "invalid_grant", "User is inactive");
        assert_refused(&sign_in(&server, "two", "right-password").await, 400, "invalid_grant", "second factor");
    }
);

both!(
    async fn name_and_password_must_both_be_there(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        assert_refused(
            &sign_in(&server, "", "correct-horse-battery").await,
            400,
            "invalid_request",
            "username is missing",
        );
        assert_refused(&sign_in(&server, "alice", "").await, 400, "invalid_request", "password is missing");
    }
);

// Ten failures close an account for 32 seconds from this address, under whatever name it is tried next; the waits in between are
// waited for.
both!(
    async fn guessing_is_slowed_down_under_every_spelling_and_for_strangers_alike(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        server.patch("/User/alice", json!({"userName": "Lidd-L"})).await;
        let spellings = ["alice", "ALICE", "Alice@example.com", " alice", "lidd-l"];
        for names in [spellings, ["nobody"; 5]] {
            for name in names.iter().cycle().take(10) {
                server.wait(17);
                assert_refused(
                    &sign_in(&server, name, "wrong").await,
                    400,
                    "invalid_grant",
                    "wrong user name or password",
                );
            }
            for name in names {
                let answer = sign_in(&server, name, "correct-horse-battery").await;
                assert_refused(&answer, 400, "invalid_grant", "too many failed sign-ins");
            }
        }
        server.wait(33);
        assert_eq!(sign_in(&server, "alice", "correct-horse-battery").await.0, 200);
    }
);

both!(
    async fn a_wait_says_how_long(server: Server) {
        server.web_app(json!({})).await;
        for _ in 0..10 {
            server.wait(17);
            sign_in(&server, "nobody", "wrong").await;
        }
        let form = [("grant_type", "password"), ("username", "nobody"), ("password", "x")];
        let request =
            server.http.post(server.url("/oauth2/token")).basic_auth("web-app", Some("client-secret")).form(&form);
        let response = request.send().await.unwrap();
        let seconds: i64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((20..=32).contains(&seconds), "{seconds}");
    }
);

both!(
    async fn its_own_settings_hold_also_for_its_refreshes(server: Server) {
        let settings = json!({"token_format": "jwt", "access_token_expiration": 100, "refresh_token": true,
                              "refresh_token_expiration": 500, "audience": ["https://api.example"]});
        server.web_app(json!({"auth": {"password": settings}})).await;
        server.alice().await;
        let (_, mut tokens) = sign_in(&server, "alice", "correct-horse-battery").await;
        for _ in 0..2 {
            assert_eq!((&tokens["expires_in"], &tokens["scope"]), (&json!(100), &json!("openid email")));
            let (header, claims) = jwt(text(&tokens, "access_token"));
            assert_eq!((&header["typ"], &claims["aud"]), (&json!("at+jwt"), &json!("https://api.example")));
            assert!(tokens["id_token"].is_string());
            server.wait(450);
            tokens = server.refreshed(text(&tokens, "refresh_token")).await;
        }
        server.wait(501);
        assert_refused(&server.refresh(text(&tokens, "refresh_token")).await, 400, "invalid_grant", "expired");
    }
);

both!(
    async fn administration_is_for_administrators(server: Server) {
        server.web_app(json!({"scope": ["openid", "admin"]})).await;
        server.alice().await;
        let form = [
            ("grant_type", "password"),
            ("username", "alice"),
            ("password", "correct-horse-battery"),
            ("scope", "openid admin"),
        ];
        for (roles, granted) in [(json!([]), "openid"), (json!([{"value": "admin"}]), "openid admin")] {
            server.patch("/User/alice", json!({"roles": roles})).await;
            let (_, tokens) = server.token(&form).await;
            assert_eq!(tokens["scope"], granted);
            assert_eq!(server.introspect(text(&tokens, "access_token")).await["scope"], granted);
        }
    }
);

both!(
    async fn first_party_clients_get_the_user_as_aidbox_answers_it(server: Server) {
        server.web_app(json!({"first_party": true})).await;
        server.alice().await;
        let (_, tokens) = sign_in(&server, "alice", "correct-horse-battery").await;
        let user: &Value = &tokens["userinfo"];
        assert_eq!(
            (&user["id"], &user["sub"], &user["email"]),
            (&json!("alice"), &json!("alice"), &json!("alice@example.com"))
        );
        assert!(user.get("password").is_none(), "{user}");
    }
);
