//! Many callers at once, on one node and on two: what may be had once is had once, and what was taken away is gone everywhere.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, Database, Server, both, text};

const AT_ONCE: usize = 50;

/// A race on one server with its SQLite file, and on two nodes of one PostgreSQL.
macro_rules! race {
    ($(#[$attribute:meta])* async fn $name:ident($nodes:ident: &[Server]) $body:block) => {
        $(#[$attribute])*
        mod $name {
            use super::*;

            async fn check($nodes: &[Server]) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite_file() {
                check(&[Server::on_a_file().await]).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn two_nodes_on_postgres() {
                let first = Server::start(Database::Postgres).await;
                let second = first.another_node().await;
                check(&[first, second]).await;
            }
        }
    };
}

/// The same token request of `web-app` many times at once, spread over the nodes.
async fn all_at_once(nodes: &[Server], form: &[(&str, &str)]) -> Vec<Answer> {
    let form: Vec<(String, String)> = form.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let requests: Vec<_> = (0..AT_ONCE)
        .map(|n| {
            let node = &nodes[n % nodes.len()];
            let request = node.http.post(node.url("/oauth2/token")).basic_auth("web-app", Some("client-secret"));
            let request = request.form(&form);
            tokio::spawn(async move {
                let response = request.send().await.unwrap();
                (response.status(), response.json().await.unwrap())
            })
        })
        .collect();
    let mut answers = Vec::new();
    for request in requests {
        answers.push(request.await.unwrap());
    }
    answers
}

/// Those that got tokens; all others must have been refused with `invalid_grant`.
fn winners(answers: &[Answer]) -> Vec<&Value> {
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|(status, _)| *status == 200);
    for (status, body) in lost {
        assert_eq!((status.as_u16(), &body["error"]), (400, &json!("invalid_grant")), "{body}");
    }
    won.into_iter().map(|(_, body)| body).collect()
}

/// Waits until something holds, a second at the most.
async fn within_a_second(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(1), waiting).await.is_ok(), "not within a second: {what}");
}

race!(
    async fn of_many_redemptions_of_a_code_one_wins_and_the_others_revoke_it(nodes: &[Server]) {
        nodes[0].web_app(json!({})).await;
        nodes[0].alice().await;
        for format in [json!(null), json!("jwt")] {
            nodes[0].patch("/Client/web-app", json!({"auth": {"authorization_code": {"token_format": format}}})).await;
            let code = nodes[0].code("openid").await;
            let answers = all_at_once(nodes, &[("grant_type", "authorization_code"), ("code", &code)]).await;
            let won = winners(&answers);
            assert_eq!(won.len(), 1, "{answers:?}");
            for node in nodes {
                assert!(!node.is_active(text(won[0], "access_token")).await);
                assert!(!node.is_active(text(won[0], "refresh_token")).await);
                assert_eq!(node.refresh(text(won[0], "refresh_token")).await.1["error"], "invalid_grant");
            }
        }
    }
);

race!(
    async fn within_grace_all_uses_of_a_refresh_token_give_the_same_successor(nodes: &[Server]) {
        nodes[0].web_app(json!({"auth": {"authorization_code": {"refresh_grace": 60}}})).await;
        nodes[0].alice().await;
        let tokens = nodes[0].tokens("openid").await;
        let form = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens, "refresh_token"))];
        let answers = all_at_once(nodes, &form).await;
        let won = winners(&answers);
        assert_eq!(won.len(), AT_ONCE, "{answers:?}");
        for member in ["access_token", "refresh_token"] {
            assert_eq!(won.iter().map(|tokens| text(tokens, member)).collect::<BTreeSet<_>>().len(), 1, "{member}");
        }
        for node in nodes {
            assert!(node.is_active(text(won[0], "access_token")).await);
        }
        nodes[nodes.len() - 1].refreshed(text(won[0], "refresh_token")).await;
    }
);

race!(
    async fn without_grace_one_use_of_a_refresh_token_wins_and_the_others_end_the_family(nodes: &[Server]) {
        nodes[0].web_app(json!({"auth": {"authorization_code": {"refresh_grace": 0}}})).await;
        nodes[0].alice().await;
        let tokens = nodes[0].tokens("openid").await;
        let form = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens, "refresh_token"))];
        let answers = all_at_once(nodes, &form).await;
        let won = winners(&answers);
        assert_eq!(won.len(), 1, "{answers:?}");
        for node in nodes {
            assert!(!node.is_active(text(won[0], "access_token")).await);
            assert_eq!(node.refresh(text(won[0], "refresh_token")).await.1["error"], "invalid_grant");
        }
    }
);

race!(
    async fn no_token_slips_through_while_its_family_is_revoked(nodes: &[Server]) {
        nodes[0].web_app(json!({"auth": {"authorization_code": {"refresh_grace": 60}}})).await;
        nodes[0].alice().await;
        for _ in 0..5 {
            let tokens = nodes[0].tokens("openid").await;
            let token = text(&tokens, "refresh_token");
            let last = &nodes[nodes.len() - 1];
            let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
            let basic = Some(("web-app", "client-secret"));
            let revoke = [("token", token)];
            let (answers, revoked) =
                tokio::join!(all_at_once(nodes, &form), last.post_form("/oauth2/revoke", basic, &revoke));
            assert_eq!(revoked.0, 200);
            for won in winners(&answers) {
                assert!(!last.is_active(text(won, "access_token")).await);
                assert_eq!(last.refresh(text(won, "refresh_token")).await.1["error"], "invalid_grant");
            }
        }
    }
);

race!(
    async fn no_token_slips_through_while_its_user_is_switched_off(nodes: &[Server]) {
        nodes[0].web_app(json!({})).await;
        nodes[0].alice().await;
        let mut codes = Vec::new();
        for _ in 0..10 {
            codes.push(nodes[0].code("openid").await);
        }
        let redeem = async {
            let mut answers = Vec::new();
            for (n, code) in codes.iter().enumerate() {
                answers.push(nodes[n % nodes.len()].redeem(code).await);
            }
            answers
        };
        let off = nodes[0].patch("/User/alice", json!({"inactive": true}));
        let (answers, ()) = tokio::join!(redeem, off);
        for won in winners(&answers) {
            assert!(!nodes[0].is_active(text(won, "access_token")).await);
            assert_eq!(nodes[0].refresh(text(won, "refresh_token")).await.1["error"], "invalid_grant");
        }
    }
);

/// Off means off, on every node, within a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_switched_off_on_one_node_is_off_on_the_other_within_a_second() {
    let first = Server::start(Database::Postgres).await;
    let second = first.another_node().await;
    first.alice().await;
    for format in [json!(null), json!("jwt")] {
        let flow = json!({"token_format": format});
        first.web_app(json!({"auth": {"authorization_code": flow, "client_credentials": flow}})).await;
        let off = async |what: &str, token: &str| {
            within_a_second(what, async || second.userinfo(token).await.0 == 401 && !second.is_active(token).await)
                .await;
        };
        // Both nodes know the client and the keys by now.
        let issue = async || {
            let tokens = first.tokens("openid").await;
            within_a_second("a new token", async || second.userinfo(text(&tokens, "access_token")).await.0 == 200)
                .await;
            tokens
        };

        let tokens = issue().await;
        let basic = Some(("web-app", "client-secret"));
        first.post_form("/oauth2/revoke", basic, &[("token", text(&tokens, "access_token"))]).await;
        off("a revoked token", text(&tokens, "access_token")).await;
        let own = first.client_tokens(&[]).await;
        assert!(second.is_active(text(&own, "access_token")).await);
        first.post_form("/oauth2/revoke", basic, &[("token", text(&own, "access_token"))]).await;
        off("a revoked token of the client", text(&own, "access_token")).await;

        let tokens = issue().await;
        first.patch("/User/alice", json!({"inactive": true})).await;
        off("a user", text(&tokens, "access_token")).await;
        assert_eq!(second.refresh(text(&tokens, "refresh_token")).await.0, 400);
        first.patch("/User/alice", json!({"inactive": null})).await;

        let (tokens, own) = (issue().await, first.client_tokens(&[]).await);
        assert!(second.is_active(text(&own, "access_token")).await);
        first.patch("/Client/web-app", json!({"active": false})).await;
        off("a client", text(&tokens, "access_token")).await;
        off("a client's own token", text(&own, "access_token")).await;
        assert_eq!(second.refresh(text(&tokens, "refresh_token")).await.0, 401);
        assert_eq!(second.token(&[("grant_type", "client_credentials")]).await.0, 401);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_client_holds_on_the_other_node_within_a_second() {
    let first = Server::start(Database::Postgres).await;
    let second = first.another_node().await;
    first.web_app(json!({})).await;
    let form = [("grant_type", "client_credentials")];
    within_a_second("a new client", async || second.token(&form).await.0 == 200).await;
    first.patch("/Client/web-app", json!({"secret": "new-secret"})).await;
    within_a_second("the old secret ends", async || second.token(&form).await.0 == 401).await;
    assert_eq!(second.post_form("/oauth2/token", Some(("web-app", "new-secret")), &form).await.0, 200);
    first.delete("/Client/web-app").await;
    within_a_second("a deleted client", async || {
        second.post_form("/oauth2/token", Some(("web-app", "new-secret")), &form).await.0 == 401
    })
    .await;
}

both!(
    async fn of_guesses_in_one_burst_no_more_than_the_limit_are_looked_at(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let form = [("grant_type", "password"), ("username", "alice"), ("password", "wrong")];
        let nodes = [server];
        let answers = all_at_once(&nodes, &form).await;
        let answered = looked_at(&answers);
        assert!(answered <= 12, "{answered} of {AT_ONCE} guesses were answered");
    }
);

/// How many of these refusals say that the password is wrong; the others must be told to wait.
fn looked_at(answers: &[Answer]) -> usize {
    assert!(winners(answers).is_empty());
    let sentence = |answer: &Answer| text(&answer.1, "error_description").to_owned();
    let (looked_at, waiting): (Vec<_>, Vec<_>) =
        answers.iter().map(sentence).partition(|sentence| sentence.contains("wrong user name or password"));
    assert!(waiting.iter().all(|sentence| sentence.contains("too many")), "{waiting:?}");
    looked_at.len()
}
