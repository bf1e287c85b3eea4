//! Why a request was refused: kept under its id for the operator, shown in `dev`, and told to no caller of a real server.

use std::time::Duration;

use countersign::config::Mode;
use countersign::oauth::explanation::Told;
use countersign::oauth::explanations::{Explanations, Record};
use reqwest::{RequestBuilder, Response};
use serde_json::json;

use crate::support::{ClientKey, Database, Folder, Server, VERIFIER, both, both_folders, request};

/// Waits until the explanation of an answer is written.
async fn explained(server: &Server, response: &Response) -> Record {
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    by_id(server, &id).await.unwrap_or_else(|| panic!("{id} is not explained"))
}

async fn by_id(server: &Server, id: &str) -> Option<Record> {
    let explanations = Explanations::new(server.instance.store.clone());
    for _ in 0..250 {
        if let Some(record) = explanations.find(id, 1).await.unwrap().unwrap().pop() {
            return Some(record);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    None
}

/// What failed, and how to mend it, in one text.
fn told(record: &Record) -> String {
    let failed = record.explanation.steps.iter().filter(|step| step.failed());
    let failed: Vec<String> = failed
        .map(|step| {
            let expected = step.expected.as_ref().map(Told::as_str).unwrap_or_default();
            format!("{}: {expected} / {}", step.what, step.found.as_str())
        })
        .collect();
    assert_eq!(failed.len(), 1, "{record:?}");
    format!("{} | {}", failed.join("; "), record.explanation.fix.as_deref().unwrap_or_else(|| panic!("{record:?}")))
}

fn post(server: &Server, path: &str, basic: Option<(&str, &str)>, form: &[(&str, &str)]) -> RequestBuilder {
    let request = server.http.post(server.url(path)).form(form);
    match basic {
        Some((id, secret)) => request.basic_auth(id, Some(secret)),
        None => request,
    }
}

const WEB_APP: Option<(&str, &str)> = Some(("web-app", "client-secret"));

/// A request, and what its explanation must name.
type Case = (RequestBuilder, &'static [&'static str]);

async fn each_names_what_failed_and_the_fix(server: &Server, cases: Vec<Case>) {
    for (request, words) in cases {
        let response = request.send().await.unwrap();
        assert!(response.status().is_client_error(), "{response:?} {words:?}");
        assert!(!response.headers().contains_key("link"), "{response:?}");
        let record = explained(server, &response).await;
        let (body, told) = (response.text().await.unwrap(), told(&record));
        assert!(words.iter().all(|word| told.contains(word)), "{words:?}: {told}");
        assert!(!body.contains(record.explanation.fix.as_deref().unwrap()), "{body}");
    }
}

const TOKEN: &str = "/oauth2/token";
const CC: (&str, &str) = ("grant_type", "client_credentials");

both!(
    async fn a_client_that_does_not_prove_itself(server: Server) {
        server.web_app(json!({"scope": ["openid"]})).await;
        server.spa(json!({})).await;
        let off = json!({"active": false, "secret": "s", "grant_types": ["client_credentials"]});
        server.put("/Client/off", off).await;
        let cases: Vec<Case> = vec![
            (post(&server, TOKEN, None, &[CC]), &["client_id", "(not sent)", "HTTP Basic"]),
            (
                post(&server, TOKEN, Some(("nobody", "x")), &[CC]),
                &["registered here / nobody", "countersign client create"],
            ),
            (post(&server, TOKEN, Some(("off", "s")), &[CC]), &["switched off", "active"]),
            (
                post(&server, TOKEN, Some(("web-app", "wrong")), &[CC]),
                &["client's secret", "countersign client secret"],
            ),
            (post(&server, TOKEN, Some(("spa", "x")), &[CC]), &["none: the client is public", "client_secret"]),
            (post(&server, TOKEN, WEB_APP, &[CC, ("client_secret", "x")]), &["one / HTTP Basic, and", "Authorization"]),
        ];
        each_names_what_failed_and_the_fix(&server, cases).await;
    }
);

both!(
    async fn a_grant_that_is_not_to_be_had(server: Server) {
        server.web_app(json!({"scope": ["openid"]})).await;
        server.spa(json!({})).await;
        server.alice().await;
        let code = server.code("openid").await;
        let tokens = server.tokens("openid").await;
        let refresh = tokens["refresh_token"].as_str().unwrap().to_owned();
        let code_form = [("grant_type", "authorization_code"), ("code", code.as_str())];
        let cases: Vec<Case> = vec![
            (post(&server, TOKEN, WEB_APP, &[]), &["grant_type", "Send the parameter"]),
            (post(&server, TOKEN, WEB_APP, &[CC, CC]), &["once / grant_type", "once"]),
            (post(&server, TOKEN, WEB_APP, &[("grant_type", "magic")]), &["/ magic", "grant_types_supported"]),
            (
                post(&server, TOKEN, None, &[CC, ("client_id", "spa")]),
                &["authorization_code / client_credentials", "grant_types"],
            ),
            (
                post(&server, TOKEN, WEB_APP, &[CC, ("scope", "openid blue")]),
                &["scope: openid / blue", "scope of the Client document"],
            ),
            (post(&server, TOKEN, WEB_APP, &[CC, ("resource", "blue")]), &["absolute URI", "resource server"]),
            (
                post(&server, TOKEN, WEB_APP, &[("grant_type", "authorization_code"), ("code", "x")]),
                &["code:", "as it came"],
            ),
            (
                post(
                    &server,
                    TOKEN,
                    WEB_APP,
                    &[&code_form[..], &[("redirect_uri", "http://localhost:4200/cb/")]].concat(),
                ),
                &["http://localhost:4200/cb / http://localhost:4200/cb/", "to the letter"],
            ),
            (
                post(
                    &server,
                    TOKEN,
                    WEB_APP,
                    &[&code_form[..], &[("redirect_uri", "http://localhost:4200/cb"), ("code_verifier", VERIFIER)]]
                        .concat(),
                ),
                &["code_challenge", "code_challenge_method"],
            ),
            (
                post(&server, TOKEN, WEB_APP, &[("grant_type", "refresh_token"), ("refresh_token", "x")]),
                &["refresh_token", "last answer"],
            ),
            (
                post(
                    &server,
                    TOKEN,
                    WEB_APP,
                    &[("grant_type", "refresh_token"), ("refresh_token", &refresh), ("scope", "openid email")],
                ),
                &["scope", "scope"],
            ),
            (
                post(
                    &server,
                    TOKEN,
                    None,
                    &[("grant_type", "refresh_token"), ("refresh_token", &refresh), ("client_id", "spa")],
                ),
                &["of another client", "sign in anew"],
            ),
            (
                post(
                    &server,
                    TOKEN,
                    WEB_APP,
                    &[("grant_type", "password"), ("username", "alice"), ("password", "wrong")],
                ),
                &["not shown", "countersign user password"],
            ),
        ];
        each_names_what_failed_and_the_fix(&server, cases).await;
    }
);

both!(
    async fn an_assertion_that_will_not_do(server: Server) {
        let key = ClientKey::new("ES256", "k");
        let keyed = json!({"grant_types": ["client_credentials"], "token_endpoint_auth_method": "private_key_jwt", "jwks": key.jwks()});
        server.put("/Client/keyed", keyed).await;
        let assertion = |claims| {
            let text = key.sign(&claims);
            vec![
                CC,
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", Box::leak(text.into_boxed_str()) as &str),
            ]
        };
        let cases: Vec<Case> = vec![
            (
                post(
                    &server,
                    TOKEN,
                    None,
                    &assertion(
                        json!({"iss": "keyed", "sub": "keyed", "aud": "https://elsewhere.example", "exp": 9_999_999_999_i64, "jti": "1"}),
                    ),
                ),
                &["aud of client_assertion", "/ https://elsewhere.example", "--issuer"],
            ),
            (
                post(&server, TOKEN, None, &assertion(json!({"iss": "x", "sub": "keyed"}))),
                &["iss of client_assertion: keyed / x", "iss and sub"],
            ),
            (
                post(
                    &server,
                    TOKEN,
                    None,
                    &assertion(json!({"iss": "keyed", "sub": "keyed", "aud": server.issuer(), "exp": 1, "jti": "1"})),
                ),
                &["later than that / 1", "clocks"],
            ),
        ];
        each_names_what_failed_and_the_fix(&server, cases).await;
    }
);

both!(
    async fn a_token_a_body_or_a_path_that_will_not_do(server: Server) {
        server.web_app(json!({})).await;
        server.spa(json!({})).await;
        let own = server.token(&[CC]).await.1;
        let own = own["access_token"].as_str().unwrap().to_owned();
        let cases: Vec<Case> = vec![
            (
                post(&server, "/oauth2/introspect", None, &[("client_id", "spa"), ("token", "x")]),
                &["it is public", "may not introspect"],
            ),
            (post(&server, "/oauth2/revoke", WEB_APP, &[]), &["token", "Send the parameter"]),
            (server.http.get(server.url("/oauth2/userinfo")), &["none of that kind", "Bearer"]),
            (server.http.get(server.url("/oauth2/userinfo")).bearer_auth("x"), &["not shown", "new access token"]),
            (
                server.http.get(server.url("/oauth2/userinfo")).bearer_auth(&own),
                &["a person / the client itself", "authorization code"],
            ),
            (server.http.post(server.url("/oauth2/token?code=x")), &["the query of the URL", "in the body"]),
            (
                server.http.post(server.url(TOKEN)).header("content-type", "text/plain").body("x"),
                &["Content-Type", "/ text/plain"],
            ),
            (server.http.post(server.url("/oauth/token")), &["/oauth2/token / /oauth/token", "discovery"]),
            (server.http.get(server.url("/a/b/c/userinfo")), &["/oauth2/userinfo / /a/b/c/userinfo", "discovery"]),
            (
                server.http.get(server.url("/")).header("host", "evil.example"),
                &["the Host header", "/ evil.example", "--allowed-host"],
            ),
        ];
        each_names_what_failed_and_the_fix(&server, cases).await;
    }
);

both!(
    async fn every_refusal_of_the_pages_names_what_failed_and_the_fix(server: Server) {
        server.web_app(json!({"scope": ["openid"], "post_logout_redirect_uris": ["http://localhost:4200/bye"]})).await;
        server.spa(json!({})).await;
        server.alice().await;
        let browser = server.browser();
        let ok = "client_id=web-app&response_type=code&redirect_uri=http://localhost:4200/cb";
        let spa = "client_id=spa&response_type=code&redirect_uri=http://localhost:4200/cb";
        let authorize = |query: &str| format!("/oauth2/authorize?{query}");
        let cases: Vec<(String, &[&str])> = vec![
            (authorize(""), &["client_id", "Send the parameter"]),
            (authorize("client_id=nobody"), &["/ nobody", "Register the client"]),
            (authorize(&format!("{ok}/")), &["http://localhost:4200/cb / http://localhost:4200/cb/", "redirect_uris"]),
            (authorize(&format!("{ok}&state=%zz")), &["percent-encoding", "%25"]),
            (authorize(&format!("{ok}&scope=openid+blue")), &["openid / blue", "scope of the Client document"]),
            (authorize(&format!("{ok}&response_mode=magic")), &["/ magic", "response_mode"]),
            (authorize(&format!("{ok}&prompt=magic")), &["none, login, consent, select_account / magic", "prompt"]),
            (authorize(&format!("{ok}&max_age=soon")), &["/ soon", "max_age"]),
            (authorize(&ok.replace("code", "token")), &["/ token", "--allow-grant implicit"]),
            (authorize(&format!("{ok}&code_challenge=x&code_challenge_method=plain")), &["S256 / plain", "SHA-256"]),
            (authorize(spa), &["code_challenge", "PKCE"]),
            (authorize(&format!("{ok}&prompt=none")), &["a sign-in is needed", "prompt=none"]),
            (authorize(&format!("{ok}&request=x")), &["the request object", "Sign"]),
            (
                authorize(&format!("{ok}&request_uri=https://app.example/r")),
                &["(none) / https://app.example/r", "request_uris"],
            ),
            (authorize(&format!("{ok}&id_token_hint=x")), &["id_token_hint", "issued"]),
            (
                "/oauth2/logout?client_id=web-app&post_logout_redirect_uri=https://evil.example".into(),
                &["http://localhost:4200/bye / https://evil.example", "post_logout_redirect_uris"],
            ),
            ("/initiate_login?client_id=web-app".into(), &["initiate_login_uri", "Client document"]),
        ];
        for (path, words) in cases {
            let page = browser.get(&server.url(&path)).await;
            let record = by_id(&server, page.header("x-request-id")).await.unwrap_or_else(|| panic!("{path} {page:?}"));
            let told = told(&record);
            assert!(words.iter().all(|word| told.contains(word)), "{path} {words:?}: {told}");
            assert!(!page.html.contains(record.explanation.fix.as_deref().unwrap()), "{page:?}");
            assert!(!page.has(".trace"), "{page:?}");
        }
        // A wrong password, and a form of no page of ours.
        let login = server.authorize(&browser, &request(&[])).await;
        let page = browser.sign_in(&login, "alice", "wrong").await;
        let record = by_id(&server, page.header("x-request-id")).await.unwrap();
        assert!(told(&record).contains("countersign user password"), "{record:?}");
        assert_eq!(record.explanation.client_id.unwrap().as_str(), "web-app");
        let page = browser.send(browser.http.post(server.url("/login")).form(&[("csrf", "x")])).await;
        let record = by_id(&server, page.header("x-request-id")).await.unwrap();
        assert!(told(&record).contains("the form's token") && page.start_again().is_some(), "{record:?}");
    }
);

both!(
    async fn secrets_are_in_no_explanation(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let names = [
            "client_secret",
            "code",
            "code_verifier",
            "refresh_token",
            "access_token",
            "token",
            "password",
            "username",
            "client_assertion",
            "id_token_hint",
            "state",
            "nonce",
            "csrf",
            "request",
            "login_hint",
            "claims",
            "assertion",
        ];
        let secret = |name: &str| format!("hush-{name}-hush");
        let mut ids = Vec::new();
        for grant in ["authorization_code", "refresh_token", "password", "client_credentials", "magic"] {
            for skipped in [&["client_secret", "client_assertion"][..], &["client_assertion"], &["client_secret"]] {
                let sent =
                    names.iter().filter(|name| !skipped.contains(name)).map(|name| ((*name).to_owned(), secret(name)));
                let mut form: Vec<(String, String)> = sent.collect();
                form.push(("grant_type".into(), grant.into()));
                form.push(("client_id".into(), "web-app".into()));
                for path in [
                    "/oauth2/token",
                    "/oauth2/introspect",
                    "/oauth2/revoke",
                    "/oauth2/userinfo",
                    "/oauth2/authorize",
                    "/oauth2/logout",
                    "/login",
                ] {
                    let plain = server.http.post(server.url(path)).form(&form);
                    let basic =
                        server.http.post(server.url(path)).form(&form).basic_auth("web-app", Some("hush-basic-hush"));
                    let bearer = server.http.post(server.url(path)).form(&form).bearer_auth("hush-bearer-hush");
                    for request in [plain, basic, bearer] {
                        let response = request.send().await.unwrap();
                        ids.push(response.headers()["x-request-id"].to_str().unwrap().to_owned());
                    }
                }
            }
        }
        assert!(ids.len() > 300);
        let explanations = Explanations::new(server.instance.store.clone());
        let kept = async || explanations.recent(1_000).await.unwrap();
        for _ in 0..100 {
            if kept().await.len() > 100 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let kept = kept().await;
        assert!(kept.len() > 100, "{}", kept.len());
        let text = serde_json::to_string(&kept).unwrap();
        assert!(!text.contains("hush"), "{}", &text[text.find("hush").unwrap_or(0).saturating_sub(300)..]);
        // And no more of a minute than so many, however many come: two minutes may have been touched.
        assert!(kept.len() <= 240, "{}", kept.len());
    }
);

both!(
    async fn explanations_are_gone_after_a_week(server: Server) {
        let response = post(&server, "/oauth2/token", WEB_APP, &[]).send().await.unwrap();
        let record = explained(&server, &response).await;
        server.instance.sweep().await.unwrap();
        assert!(by_id(&server, &record.request_id).await.is_some());
        server.wait(8 * 86_400);
        server.instance.sweep().await.unwrap();
        let explanations = Explanations::new(server.instance.store.clone());
        assert!(explanations.find(&record.request_id, 1).await.unwrap().unwrap().is_empty());
    }
);

both_folders!(
    async fn explain_tells_the_operator_after_a_stop_and_after_a_crash(folder: Folder) {
        let folder = folder.env("COUNTERSIGN_ADMIN_CLIENT_SECRET", "secret");
        let (mut process, service) = folder.serve(&["--issuer", "http://localhost:8080"]);
        let refused = async || {
            let form = [
                ("client_id", "x"),
                ("client_secret", "hush"),
                ("grant_type", "password"),
                ("password", "hush"),
                ("code", "hush"),
            ];
            let response = service.http.post(service.url("/oauth2/token")).form(&form).send().await.unwrap();
            response.headers()["x-request-id"].to_str().unwrap().to_owned()
        };
        let (first, second) = (refused().await, refused().await);
        // Written within a moment, which another process sees.
        let mut ended = folder.run(&["explain", &first, &second]);
        for _ in 0..100 {
            if ended.code == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            ended = folder.run(&["explain", &first, &second]);
        }
        process.kill();
        assert!(
            !process.output().concat().contains("hush") && !ended.stdout.contains("hush"),
            "{:?}",
            process.output()
        );
        let after = folder.run(&["explain", &first, &second]);
        assert_eq!((after.code, &after.stdout), (0, &ended.stdout), "{after:?}");
        for word in [
            &*first,
            &*second,
            "POST /oauth2/token",
            "400 unsupported_grant_type",
            "FAILED",
            "expected",
            "found",
            "fix",
        ] {
            assert!(after.stdout.contains(word), "{word}: {after:?}");
        }
        let json: serde_json::Value = serde_json::from_str(&folder.ok(&["explain", "--json", &first[..12]])).unwrap();
        assert!(json.as_array().unwrap().iter().any(|one| one["request_id"] == *first), "{json}");
        let unknown = folder.run(&["explain", "00000000000000000000000000000000"]);
        assert!(unknown.code == 1 && unknown.stderr.contains("older than 7 days"), "{unknown:?}");
        let wrong = folder.run(&["explain", "xyz"]);
        assert!(wrong.code == 2 && wrong.stderr.contains("no request id"), "{wrong:?}");
        // What waits when the server is told to stop is written before it ends.
        let (process, service) = folder.serve(&["--issuer", "http://localhost:8080"]);
        let response = service.http.post(service.url("/oauth2/token")).send().await.unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        process.signal("TERM");
        process.ended();
        assert!(folder.ok(&["explain", &id]).contains(&id));
        let memory = folder.run_as(&[("COUNTERSIGN_DATABASE_URL", "sqlite::memory:")], &["explain", &id]);
        assert!(memory.code == 1 && memory.stderr.contains("in memory"), "{memory:?}");
    }
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_shows_the_trace_and_the_fix() {
    for database in [Database::Sqlite, Database::Postgres] {
        let server = Server::start_with(database, |settings| settings.mode = Mode::Dev).await;
        let browser = server.browser();
        let path =
            "/oauth2/authorize?client_id=web-app&response_type=code&redirect_uri=http://localhost:4200/no%3Cb%3E";
        let page = browser.get(&server.url(path)).await;
        assert!(page.text("main").contains("redirect_uris of the Client document"), "{page:?}");
        assert!(
            page.text(".trace .failed").contains("http://localhost:4200/no<b>") && !page.has(".trace b"),
            "{page:?}"
        );
        let id = page.header("x-request-id").to_owned();
        assert!(page.header("link").contains(&format!("/dev/explanations/{id}>; rel=\"help\"")), "{page:?}");
        let shown = browser
            .send(browser.http.get(server.url(&format!("/dev/explanations/{id}"))).header("accept", "text/html"))
            .await;
        assert!(shown.status == 200 && shown.text("#fix").contains("redirect_uris"), "{shown:?}");
        assert!(shown.text(".trace .passed").contains("web-app"), "{shown:?}");
        let json = server.http.get(server.url(&format!("/dev/explanations/{id}"))).send().await.unwrap();
        let json: serde_json::Value = json.json().await.unwrap();
        assert!(json["error"] == "invalid_request" && json["steps"][1]["verdict"] == "failed", "{json}");
        let home = browser.get(&server.url("/")).await;
        assert!(home.attribute("section[aria-labelledby=refusals] a", "href").unwrap().ends_with(&id), "{home:?}");
        let missing =
            server.http.get(server.url("/dev/explanations/00000000000000000000000000000000")).send().await.unwrap();
        assert_eq!(missing.status(), 404);
        let miss = browser.send(browser.http.post(server.url("/oauth/token")).header("accept", "text/html")).await;
        assert!(miss.status == 404 && miss.text(".trace").contains("/oauth2/token"), "{miss:?}");
    }
    let server = Server::start(Database::Sqlite).await;
    let response =
        server.http.get(server.url("/dev/explanations/00000000000000000000000000000000")).send().await.unwrap();
    assert_eq!(response.status(), 404);
}
