//! Other people's programs, unmodified, against whole servers on SQLite and on PostgreSQL: Authlib, requests-oauthlib,
//! `openid-client`, `oauth4webapi`, `oidc-client-ts`, `openidconnect` and the MCP SDK as applications, Chromium as the browser.
//! Each is driven by a script or a small program, which fails with a sentence.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod script;
#[path = "../it/support/mod.rs"]
#[allow(unused, reason = "the support of tests/it, which uses all of it")]
mod support;

use countersign::config::{Mode, Registration};
use serde_json::json;

use script::{converse, node, python, variable};
use support::{Database, Elsewhere, Server, both};

const CALLBACK: &str = "http://localhost:4200/cb";

/// An application for each way to sign, confidential and with JWT access tokens, but for the first; and a public one.
async fn register(server: &Server) {
    server.alice().await;
    let after_logout = json!({"post_logout_redirect_uris": ["http://localhost:4200/bye"]});
    server.web_app(after_logout.clone()).await;
    for algorithm in ["RS256", "PS256", "ES256", "ES384", "EdDSA"] {
        let client = json!({
            "secret": "client-secret", "grant_types": ["code", "client_credentials"],
            "auth": {
                "authorization_code": {"redirect_uri": CALLBACK, "refresh_token": true, "token_format": "jwt"},
                "client_credentials": {"token_format": "jwt"},
            },
            "id_token_signed_response_alg": algorithm, "access_token_signed_response_alg": algorithm,
            "post_logout_redirect_uris": ["http://localhost:4200/bye"],
        });
        server.put(&format!("/Client/jwt-{algorithm}"), client).await;
    }
    server.spa(after_logout).await;
}

both!(
    async fn authlib_is_served_whatever_it_asks(server: Server) {
        register(&server).await;
        python("tests/interop/client.py", &[server.issuer()]).await;
    }
);

both!(
    async fn openid_client_is_served_whatever_it_asks(server: Server) {
        register(&server).await;
        node("tests/interop/client.mjs", &[server.issuer()]).await;
    }
);

/// Where this server stands in for others, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openid_client_finds_its_way_in_every_dialect() {
    for (dialect, _) in countersign::dialect::BUILT_IN {
        for database in [Database::Sqlite, Database::Postgres] {
            let server = Server::start_with(database, |settings| {
                settings.mode = Mode::Dev;
                settings.dialect = Some(dialect.to_owned());
            })
            .await;
            register(&server).await;
            let issuer = server.instance.dialect().expect("a dialect").1;
            node("tests/interop/dialect.mjs", &[issuer]).await;
        }
    }
}

/// With no setting but the authority that the other server's certificate is of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mcp_sdk_is_served_as_a_client_that_is_described_at_a_url() {
    for database in [Database::Sqlite, Database::Postgres] {
        let elsewhere = Elsewhere::start_tls().await;
        let ca = elsewhere.ca.clone();
        let server = Server::start_with(database, |settings| settings.outbound_ca = ca).await;
        server.alice().await;
        let document = json!({
            "client_id": elsewhere.url("/client.json"), "client_name": "MCP client", "redirect_uris": [CALLBACK],
            "grant_types": ["authorization_code", "refresh_token"], "token_endpoint_auth_method": "none",
        });
        let url =
            elsewhere.put_with("/client.json", 200, &[("content-type", "application/json")], document.to_string());
        node("tests/interop/mcp.mjs", &[server.issuer(), &url]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mcp_sdk_is_served_as_a_client_that_registers() {
    for database in [Database::Sqlite, Database::Postgres] {
        let server = Server::start_with(database, |settings| settings.registration = Registration::Open).await;
        server.alice().await;
        node("tests/interop/mcp.mjs", &[server.issuer()]).await;
    }
}

both!(
    async fn openid_client_reads_what_is_encrypted_for_it(server: Server) {
        server.alice().await;
        node("tests/interop/encryption.mjs", &[server.issuer()]).await;
    }
);

/// Registration included.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oauth4webapi_is_served_whatever_it_asks() {
    for database in [Database::Sqlite, Database::Postgres] {
        let server = Server::start_with(database, |settings| settings.registration = Registration::Open).await;
        register(&server).await;
        node("tests/interop/oauth4webapi.mjs", &[server.issuer()]).await;
    }
}

both!(
    async fn requests_oauthlib_is_served_whatever_it_asks(server: Server) {
        register(&server).await;
        python("tests/interop/oauthlib_session.py", &[server.issuer()]).await;
    }
);

/// Registration included.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openidconnect_is_served_whatever_it_asks() {
    for database in [Database::Sqlite, Database::Postgres] {
        let server = Server::start_with(database, |settings| settings.registration = Registration::Open).await;
        register(&server).await;
        let browser = server.browser();
        converse("INTEROP_OPENIDCONNECT", &[server.issuer()], async |url| {
            let page = browser.get(&url).await;
            browser.as_alice(page).await.location.expect("the browser is sent back")
        })
        .await;
    }
}

both!(
    async fn oidc_client_ts_signs_in_renews_and_signs_out_in_chromium(server: Server) {
        server.alice().await;
        node("tests/interop/spa.mjs", &[&variable("CHROMIUM"), server.issuer()]).await;
    }
);

both!(
    async fn a_person_signs_in_consents_denies_and_signs_out_in_chromium(server: Server) {
        server.alice().await;
        node("tests/interop/person.mjs", &[&variable("CHROMIUM"), server.issuer()]).await;
    }
);

both!(
    async fn two_applications_share_a_session_and_its_end_in_chromium(server: Server) {
        server.alice().await;
        node("tests/interop/sessions.mjs", &[&variable("CHROMIUM"), server.issuer()]).await;
    }
);

/// The start page of `dev`, which is the same on either database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_tries_the_code_flow_in_chromium() {
    let server = Server::start_with(Database::Sqlite, |settings| settings.mode = Mode::Dev).await;
    node("tests/interop/newcomer.mjs", &[&variable("CHROMIUM"), server.issuer()]).await;
}
