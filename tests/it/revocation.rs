//! Token revocation (RFC 7009), and closing the session of a token, which is Aidbox's `DELETE /Session`.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Answer, Database, Server, assert_refused, both, text};

const BASIC: Option<(&str, &str)> = Some(("web-app", "client-secret"));

async fn revoke(server: &Server, token: &str) -> Answer {
    server.post_form("/oauth2/revoke", BASIC, &[("token", token)]).await
}

fn done() -> Answer {
    (StatusCode::OK, json!(""))
}

async fn active(server: &Server, tokens: &Value) -> (bool, bool) {
    let (access, refresh) = (text(tokens, "access_token"), text(tokens, "refresh_token"));
    (server.is_active(access).await, server.is_active(refresh).await)
}

// RFC 7009 §2.1
both!(
    async fn an_access_token_goes_alone_and_a_refresh_token_with_its_family(server: Server) {
        server.alice().await;
        for format in [json!(null), json!("jwt")] {
            server.web_app(json!({"auth": {"authorization_code": {"token_format": format}}})).await;
            let bystander = server.tokens("openid").await;
            let first = server.tokens("openid").await;
            assert_eq!(revoke(&server, text(&first, "access_token")).await, done());
            assert_eq!(active(&server, &first).await, (false, true));
            assert_eq!(server.userinfo(text(&first, "access_token")).await.0, 401);
            let second = server.refreshed(text(&first, "refresh_token")).await;
            assert_eq!(active(&server, &second).await, (true, true));

            assert_eq!(revoke(&server, text(&second, "refresh_token")).await, done());
            assert_eq!(active(&server, &second).await, (false, false));
            for tokens in [&first, &second] {
                assert_eq!(server.refresh(text(tokens, "refresh_token")).await.1["error"], "invalid_grant");
            }
            assert_eq!(active(&server, &bystander).await, (true, true));
        }
    }
);

both!(
    async fn a_spent_refresh_token_takes_its_family_along_too(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let first = server.tokens("openid").await;
        let second = server.refreshed(text(&first, "refresh_token")).await;
        assert_eq!(revoke(&server, text(&first, "refresh_token")).await, done());
        assert_eq!(active(&server, &second).await, (false, false));
    }
);

// RFC 7009 §2.2: what is unknown, dead, or another client's is no error, and nothing changes.
both!(
    async fn what_there_is_not_to_revoke_is_answered_alike_and_changes_nothing(server: Server) {
        server.web_app(json!({})).await;
        server.put("/Client/other", json!({"secret": "other-secret", "grant_types": ["code"]})).await;
        server.alice().await;
        let unredeemed = server.code("openid").await;
        let tokens = server.tokens("openid").await;
        let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
        let last =
            |token: &str| format!("{}{}", &token[..token.len() - 1], if token.ends_with('A') { "E" } else { "A" });
        let swapped = (access.replace("cs_at_", "cs_rt_"), refresh.replace("cs_rt_", "cs_at_"));
        for token in [
            "x",
            text(&tokens, "id_token"),
            &last(access),
            &last(refresh),
            &swapped.0,
            &swapped.1,
            &unredeemed,
            "a.b.c",
        ] {
            assert_eq!(revoke(&server, token).await, done(), "{token}");
        }
        for token in [access, refresh] {
            let foreign =
                server.post_form("/oauth2/revoke", Some(("other", "other-secret")), &[("token", token)]).await;
            assert_eq!(foreign, done());
        }
        assert_eq!(active(&server, &tokens).await, (true, true));
        assert_eq!(server.redeem(&unredeemed).await.0, 200);
        for _ in 0..2 {
            assert_eq!(revoke(&server, access).await, done(), "once or twice is the same");
        }
    }
);

// RFC 7009 §2.1: a hint that is wrong or unknown is no reason not to find the token.
both!(
    async fn the_hint_is_only_a_hint(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        for hint in ["access_token", "refresh_token", "nonsense", ""] {
            let tokens = server.tokens("openid").await;
            let form = [("token", text(&tokens, "refresh_token")), ("token_type_hint", hint)];
            assert_eq!(server.post_form("/oauth2/revoke", BASIC, &form).await, done());
            assert_eq!(active(&server, &tokens).await, (false, false), "{hint}");
        }
    }
);

both!(
    async fn a_request_must_be_right_and_its_client_proven(server: Server) {
        server.web_app(json!({})).await;
        server.spa(json!({})).await;
        server.alice().await;
        let tokens = server.tokens("openid").await;
        let token = text(&tokens, "refresh_token");
        let post = async |basic, form: &[(&str, &str)]| server.post_form("/oauth2/revoke", basic, form).await;
        assert_refused(&post(None, &[("token", token)]).await, 401, "invalid_client", "no client");
        assert_refused(
            &post(Some(("web-app", "wrong")), &[("token", token)]).await,
            401,
            "invalid_client",
            "unknown client",
        );
        assert_refused(&post(BASIC, &[]).await, 400, "invalid_request", "token is missing");
        assert_refused(
            &post(BASIC, &[("token", token), ("token", "x")]).await,
            400,
            "invalid_request",
            "more than once",
        );
        let query = server.post_form(&format!("/oauth2/revoke?token={token}"), BASIC, &[]).await;
        assert_refused(&query, 400, "invalid_request", "not in the URL");
        assert_eq!(post(None, &[("token", token), ("client_id", "spa")]).await, done(), "another client's");
        let get = server.http.get(server.url("/oauth2/revoke")).query(&[("token", token)]).send().await.unwrap();
        assert_eq!(get.status(), 405);
        assert_eq!(active(&server, &tokens).await, (true, true));
    }
);

both!(
    async fn delete_session_closes_the_session_of_its_token(server: Server) {
        server.alice().await;
        for format in [json!(null), json!("jwt")] {
            server.web_app(json!({"auth": {"authorization_code": {"token_format": format}}})).await;
            let bystander = server.tokens("openid").await;
            let first = server.tokens("openid").await;
            let second = server.refreshed(text(&first, "refresh_token")).await;
            let delete = async |token: Option<&str>| {
                let request = server.http.delete(server.url("/Session"));
                let request = token.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth);
                request.send().await.unwrap().status().as_u16()
            };
            assert_eq!(delete(None).await, 401);
            for wrong in ["x", text(&second, "refresh_token"), text(&second, "id_token")] {
                assert_eq!(delete(Some(wrong)).await, 401);
            }
            assert_eq!(active(&server, &second).await, (true, true));
            assert_eq!(delete(Some(text(&second, "access_token"))).await, 204);
            assert_eq!(active(&server, &second).await, (false, false));
            assert!(!server.is_active(text(&first, "access_token")).await);
            assert_eq!(delete(Some(text(&second, "access_token"))).await, 401);
            assert_eq!(active(&server, &bystander).await, (true, true));
        }
    }
);
