//! `countersign perform` and `countersign token`: a client of any issuer on the command line.

use serde_json::{Value, json};

use crate::support::{Database, Elsewhere, Ended, Folder, Process, both_folders, unsigned};

const CODE: [&str; 8] =
    ["perform", "authorization-code", "--auth-method", "none", "--client-id", "spa", "--scope", "openid email"];

/// A server for development with the demo resources, and its issuer.
fn dev(folder: &Folder) -> (Process, String) {
    let process = folder.start(&["dev", "--listen", "127.0.0.1:0"]);
    process.says("ready in ");
    let issuer = process.says("Issuer").split_whitespace().last().unwrap().to_owned();
    (process, issuer)
}

fn json_of(ended: &Ended) -> Value {
    assert_eq!(ended.code, 0, "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"))
}

fn fails(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.code, 1, "{ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "{word}: {ended:?}");
    }
}

both_folders!(
    async fn every_grant_gets_tokens_and_they_verify(folder: Folder) {
        let (_process, issuer) = dev(&folder);
        let at = ["--issuer", issuer.as_str()];
        let alice = ["--username", "alice", "--password-stdin"];
        let code =
            folder.run_with(&[&CODE, &at[..], &alice, &["--output", "json"]].concat(), "correct-horse-battery\n");
        let got = json_of(&code);
        let checks = got["id_token_checks"].as_array().unwrap();
        assert!(checks.iter().all(|one| one["holds"] == true), "{checks:?}");
        for name in ["signature", "iss", "aud", "exp", "nonce", "at_hash"] {
            assert!(checks.iter().any(|one| one["check"] == name), "{name}: {checks:?}");
        }
        assert_eq!(got["access_token"]["kind"], "Access token (RFC 9068)", "{got}");

        let refresh = got["response"]["refresh_token"].as_str().unwrap();
        let public = ["perform", "refresh", "--client-id", "spa", "--auth-method", "none", "--refresh-token-stdin"];
        let renewed = json_of(&folder.run_with(&[&public, &at[..], &["--output", "json"]].concat(), refresh));
        assert_ne!(renewed["response"]["access_token"], got["response"]["access_token"]);

        let own = ["--client-id", "web-app", "--client-secret-stdin"];
        for method in ["basic", "post"] {
            let line = [&["perform", "client-credentials", "--auth-method", method][..], &own, &at].concat();
            let ended = folder.run_with(&line, "client-secret\n");
            assert!(ended.code == 0 && ended.stdout.contains("token_type     Bearer"), "{ended:?}");
        }
        let line = [&["perform", "password", "--scope", "openid", "--output", "env"][..], &own, &at, &alice].concat();
        let ended = folder.run_with(&line, "client-secret\ncorrect-horse-battery\n");
        assert_eq!(ended.code, 0, "{ended:?}");
        for name in ["ACCESS_TOKEN", "REFRESH_TOKEN", "ID_TOKEN"] {
            assert!(ended.stdout.lines().any(|line| line.starts_with(&format!("{name}='"))), "{name}: {ended:?}");
        }

        let id_token = got["response"]["id_token"].as_str().unwrap();
        let verify =
            |more: &[&str], token: &str| folder.run_with(&[&["token", "verify"], &at[..], more].concat(), token);
        let good = verify(&["--audience", "spa"], id_token);
        assert!(
            good.code == 0 && good.stdout.starts_with("ID token") && good.stdout.contains("ok    signature"),
            "{good:?}"
        );
        let other = verify(&["--audience", "other"], id_token);
        assert!(other.code == 1 && other.stdout.contains("FAIL  aud"), "{other:?}");
        let (signed, signature) = id_token.rsplit_once('.').unwrap();
        let changed = format!("{signed}.{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
        let changed = verify(&[], &changed);
        assert!(changed.code == 1 && changed.stdout.contains("FAIL  signature"), "{changed:?}");
        let decoded = folder.run_with(&["token", "decode"], refresh);
        assert!(
            decoded.code == 0 && decoded.stdout.starts_with("Refresh token of a Countersign server"),
            "{decoded:?}"
        );
        let decoded = folder.run_with(&["token", "decode", "-"], id_token);
        assert!(
            decoded.code == 0 && decoded.stdout.contains("(in ") && decoded.stdout.contains("Nothing was verified")
        );
    }
);

both_folders!(
    async fn refusals_are_told_with_what_helps(folder: Folder) {
        let (_process, issuer) = dev(&folder);
        let at = ["--issuer", issuer.as_str()];
        let own = ["perform", "client-credentials", "--client-id", "web-app", "--client-secret-stdin"];
        let wrong = folder.run_with(&[&own, &at[..]].concat(), "hunter2\n");
        fails(&wrong, &["invalid_client", "--auth-method"]);
        assert!(wrong.stdout.is_empty(), "{wrong:?}");
        let alice = ["--username", "alice", "--password-stdin"];
        fails(&folder.run_with(&[&CODE, &at[..], &alice].concat(), "hunter2\n"), &["alice cannot sign in: "]);
        let unknown = ["perform", "authorization-code", "--client-id", "nobody", "--auth-method", "none"];
        fails(&folder.run_with(&[&unknown, &at[..], &alice].concat(), "hunter2\n"), &["refuses with"]);
        let elsewhere = issuer.replace("localhost", "127.0.0.1");
        assert_eq!(folder.run_with(&[&own[..], &["--issuer", &elsewhere]].concat(), "client-secret").code, 1);
        let verbose = folder.run_with(&[&own, &at[..], &["--verbose"]].concat(), "client-secret\n");
        assert!(verbose.code == 0 && verbose.stderr.contains("$ curl -s") && !verbose.stderr.contains("client-secret"));
        assert!(verbose.stderr.contains("authorization: Basic ********"), "{verbose:?}");
    }
);

both_folders!(
    async fn a_redirect_with_another_state_is_not_exchanged(folder: Folder) {
        let (_process, issuer) = dev(&folder);
        let process = folder.start(&[&CODE[..], &["--issuer", &issuer, "--no-browser"]].concat());
        let url = url::Url::parse(&process.logs("/oauth2/authorize?")).unwrap();
        let back = url.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1.into_owned();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let icon = http.get(back.replace("/callback", "/favicon.ico")).send().await.unwrap();
        assert_eq!(icon.status(), 404);
        let answer = http.get(format!("{back}?code=x&state=other")).send().await.unwrap();
        assert_eq!(answer.status(), 400);
        fails(&process.ended(), &["another state"]);
    }
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_are_away_garbled_or_of_another_name_are_told_apart() {
    let folder = Folder::new(Database::Sqlite).await;
    let ask = |issuer: &str| {
        let line = ["perform", "client-credentials", "--client-id", "a", "--auth-method", "none", "--issuer", issuer];
        folder.run(&line)
    };
    fails(&ask("http://127.0.0.1:1"), &["cannot be connected to", "countersign dev"]);
    let elsewhere = Elsewhere::start().await;
    let issuer = elsewhere.url("");
    fails(&ask(&issuer), &["has no discovery document", "--token-endpoint"]);
    let place = "/.well-known/openid-configuration";
    elsewhere.put(place, "<html>");
    fails(&ask(&issuer), &["is no JSON object"]);
    elsewhere.put(place, json!({"issuer": "https://other.example"}).to_string());
    fails(&ask(&issuer), &["another issuer", "https://other.example"]);
    elsewhere.put(place, json!({"issuer": issuer}).to_string());
    fails(&ask(&issuer), &["no token_endpoint is known"]);
    elsewhere.put(place, json!({"issuer": issuer, "token_endpoint": elsewhere.url("/token")}).to_string());
    elsewhere.put("/token", json!({"access_token": "x\u{1b}[2J", "token_type": "Bearer"}).to_string());
    let ended = ask(&issuer);
    assert!(ended.code == 0 && !ended.stdout.contains('\u{1b}'), "{ended:?}");
    elsewhere.put("/token", json!({"token_type": "Bearer"}).to_string());
    fails(&ask(&issuer), &["neither access_token nor error"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_token_that_anybody_can_have_made_is_not_handed_on() {
    let folder = Folder::new(Database::Sqlite).await;
    let elsewhere = Elsewhere::start().await;
    let issuer = elsewhere.url("");
    let (token, jwks) = (elsewhere.url("/token"), elsewhere.put("/jwks", r#"{"keys": []}"#));
    let document = json!({"issuer": issuer, "token_endpoint": token, "jwks_uri": jwks});
    elsewhere.put("/.well-known/openid-configuration", document.to_string());
    let forged = unsigned(&json!({"iss": issuer, "sub": "x", "aud": "a", "exp": 4_000_000_000_u32}));
    elsewhere.put("/token", json!({"access_token": "x", "token_type": "Bearer", "id_token": forged}).to_string());
    let line = ["perform", "client-credentials", "--client-id", "a", "--auth-method", "none", "--issuer", &issuer];
    let ended = folder.run(&[&line[..], &["--output", "env"]].concat());
    fails(&ended, &["FAIL  signature", "anybody can have made it", "must not use it"]);
    assert!(ended.stdout.is_empty(), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_in_arguments_are_refused() {
    let folder = Folder::new(Database::Sqlite).await;
    let line = ["perform", "client-credentials", "--client-id", "a", "--param", "client_secret=hunter2"];
    assert_eq!(folder.run(&line).code, 2);
    let ended = folder.run(&["token", "decode", "eyJhbGciOiJub25lIn0.e30."]);
    assert!(ended.code == 2 && ended.stderr.contains("is a secret") && !ended.stderr.contains("eyJ"), "{ended:?}");
    let ended = folder.run_with(&["token", "decode"], "nonsense");
    fails(&ended, &["no token"]);
}
