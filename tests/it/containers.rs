//! One issuer, two names: browsers come by the issuer's, containers by the internal one; and the usual mistakes are explained.

use countersign::config::{Issuer, Mode, Registration, Settings};
use serde_json::{Value, json};

use crate::support::{Database, Folder, Server, read, sign_with_secret, text};

const BOTH: [Database; 2] = [Database::Sqlite, Database::Postgres];
const INTERNAL: &str = "http://countersign:8080";
/// What a browser is sent to.
const IN_THE_BROWSER: [&str; 3] = ["authorization_endpoint", "end_session_endpoint", "check_session_iframe"];

fn split(settings: &mut Settings) {
    settings.internal_url = Issuer::parse(INTERNAL).ok();
    settings.registration = Registration::Open;
}

/// The discovery document for who comes by this name.
async fn discovered(server: &Server, host: &str) -> Value {
    let (status, document) = get(server, "/.well-known/openid-configuration", host).await;
    assert_eq!(status, 200, "{host}");
    document
}

async fn get(server: &Server, path: &str, host: &str) -> (u16, Value) {
    let (status, body) = read(server.http.get(server.url(path)).header("host", host).send().await.unwrap()).await;
    (status.as_u16(), body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_by_the_internal_name_is_told_endpoints_that_containers_reach() {
    for database in BOTH {
        let server = Server::start_with(database, split).await;
        let outside = server.metadata().await;
        for host in ["countersign:8080", "COUNTERSIGN:8080", "countersign", "countersign:9999"] {
            let inside = discovered(&server, host).await;
            assert_eq!(inside["issuer"], server.issuer(), "one issuer, whoever asks");
            for (name, value) in inside.as_object().unwrap() {
                let url = value.as_str().unwrap_or_default();
                let is_url =
                    name.ends_with("_endpoint") || matches!(name.as_str(), "jwks_uri" | "check_session_iframe");
                if !is_url || IN_THE_BROWSER.contains(&name.as_str()) {
                    assert_eq!(*value, outside[name], "{name}");
                } else {
                    let path = text(&outside, name).strip_prefix(server.issuer()).unwrap();
                    assert_eq!(url, format!("{INTERNAL}{path}"), "{name}");
                }
            }
        }
        assert_eq!(
            get(&server, "/.well-known/oauth-authorization-server", "countersign:8080").await.1["issuer"],
            server.issuer()
        );
        let name = server.issuer().strip_prefix("http://").unwrap();
        assert_eq!(discovered(&server, name).await, outside);
        assert_eq!(get(&server, "/.well-known/openid-configuration", "elsewhere:8080").await.0, 421);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_works_by_the_internal_name_alone_with_tokens_of_the_one_issuer() {
    for database in BOTH {
        let server = Server::start_with(database, split).await;
        server.web_app(json!({"auth": {"client_credentials": {"token_format": "jwt"}}, "introspect": "any"})).await;
        let post = |path: &str, form: &[(&str, &str)]| {
            let request = server.http.post(server.url(path)).header("host", "countersign:8080");
            request.basic_auth("web-app", Some("client-secret")).form(form).send()
        };
        let (status, tokens) =
            read(post("/oauth2/token", &[("grant_type", "client_credentials")]).await.unwrap()).await;
        assert_eq!(status, 200, "{tokens}");
        let (_, seen) =
            read(post("/oauth2/introspect", &[("token", text(&tokens, "access_token"))]).await.unwrap()).await;
        assert_eq!((&seen["active"], &seen["iss"]), (&json!(true), &json!(server.issuer())), "{seen}");

        let registered = |host: &str| {
            let body = json!({"redirect_uris": ["http://localhost:4200/cb"]});
            server.http.post(server.url("/oauth2/register")).header("host", host.to_owned()).json(&body).send()
        };
        let (_, inside) = read(registered("countersign:8080").await.unwrap()).await;
        let managed =
            text(&inside, "registration_client_uri").strip_prefix(INTERNAL).expect("the internal base").to_owned();
        let management = server.http.get(server.url(&managed)).header("host", "countersign:8080");
        let (status, read_back) =
            read(management.bearer_auth(text(&inside, "registration_access_token")).send().await.unwrap()).await;
        assert_eq!(status, 200, "{read_back}");
        assert!(text(&read_back, "registration_client_uri").starts_with(INTERNAL));
        let name = server.issuer().strip_prefix("http://").unwrap().to_owned();
        let (_, outside) = read(registered(&name).await.unwrap()).await;
        assert!(text(&outside, "registration_client_uri").starts_with(server.issuer()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assertion_names_the_server_by_either_name() {
    const SECRET: &str = "a-secret-of-more-than-thirty-two-characters";
    for database in BOTH {
        let server = Server::start_with(database, split).await;
        server
            .put(
                "/Client/signer",
                json!({"secret": SECRET, "grant_types": ["client_credentials"],
                    "token_endpoint_auth_method": "client_secret_jwt"}),
            )
            .await;
        let issuer = server.issuer().to_owned();
        for (audience, status) in [
            (issuer.clone(), 200),
            (format!("{issuer}/oauth2/token"), 200),
            (INTERNAL.to_owned(), 200),
            (format!("{INTERNAL}/oauth2/token"), 200),
            ("http://countersign:8081/oauth2/token".to_owned(), 401),
            (format!("{INTERNAL}.evil.example/oauth2/token"), 401),
        ] {
            let now = server.instance.clock.now().0;
            let claims = json!({"iss": "signer", "sub": "signer", "aud": audience, "exp": now + 60, "jti": audience});
            let form = [
                ("grant_type", "client_credentials"),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", &sign_with_secret("HS256", SECRET, &claims)),
            ];
            let answer = server.http.post(server.url("/oauth2/token")).form(&form).send().await.unwrap();
            assert_eq!(answer.status(), status, "{audience}: {}", answer.text().await.unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_not_ours_is_answered_with_the_flag_to_set_and_explained_in_the_log() {
    for database in BOTH {
        let folder = Folder::new(database).await;
        let (process, service) = folder.serve(&[]);
        for (host, flag, logged) in [
            ("countersign:8080", "--internal-url", Some("--internal-url http://countersign:8080.")),
            ("host.docker.internal:80", "--internal-url", Some("--internal-url http://host.docker.internal:80.")),
            (
                "auth.default.svc.cluster.local",
                "--internal-url",
                Some("--internal-url http://auth.default.svc.cluster.local."),
            ),
            ("login.example.com", "--allowed-host", Some("--allowed-host login.example.com.")),
            ("a/<b>", "--allowed-host", None),
        ] {
            for _ in 0..2 {
                let answer = service.http.get(service.url("/")).header("host", host).send().await.unwrap();
                assert_eq!(answer.status(), 421, "{host}");
                let said = answer.text().await.unwrap();
                assert!(said.contains(flag) && !said.contains(host) && !said.contains("localhost"), "{host}: {said}");
            }
            if let Some(logged) = logged {
                process.logs(logged);
                assert_eq!(process.output()[1].matches(logged).count(), 1, "each is said once");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_start_page_of_dev_explains_the_usual_mistakes_once() {
    for database in BOTH {
        let server = Server::start_with(database, |settings| settings.mode = Mode::Dev).await;
        let advice = async || {
            let page = server.browser().get(&server.url("/")).await;
            page.text("section[aria-labelledby=advice]")
        };
        let before = advice().await;
        for _ in 0..2 {
            discovered(&server, "countersign:8080").await;
            discovered(&server, "127.0.0.1").await;
            discovered(&server, "localhost:1").await;
            get(&server, "/", "host.docker.internal:8080").await;
        }
        let uri = "http://web:3000/callback";
        server
            .put(
                "/Client/contained",
                json!({"grant_types": ["code"], "secret": "x", "auth": {"authorization_code": {"redirect_uri": uri}}}),
            )
            .await;
        let query = [("response_type", "code"), ("client_id", "contained"), ("redirect_uri", uri)];
        server.authorize(&server.browser(), &query).await;
        let after = advice().await;
        for (words, told) in [
            ("--internal-url http://countersign:8080", 1),
            ("--internal-url http://host.docker.internal:8080", 1),
            ("--issuer http://localhost:1 ", 1),
            ("somebody came by `127.0.0.1`", 1),
            ("http://web:3000/callback", 1),
        ] {
            assert!(!before.contains(words), "{before}");
            assert_eq!(after.matches(words).count(), told, "{words}: {after}");
        }
        // Whoever sends requests does not fill the page.
        for n in 0..40 {
            get(&server, "/", &format!("host-{n}.example")).await;
        }
        assert!(advice().await.matches("was answered 421").count() <= 16);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_start_says_which_url_is_for_whom() {
    for database in BOTH {
        let folder = Folder::new(database).await;
        let issuer = ["--issuer", "http://localhost:8080", "--internal-url", "http://auth:8080"];
        let dev = folder.start(&[&["dev", "--listen", "127.0.0.1:0"], &issuer[..]].concat());
        dev.says("Issuer        http://localhost:8080");
        dev.says("In containers http://auth:8080");
        drop(dev);
        let (server, _) = folder.serve(&issuer);
        let line = server.logs("containers use http://auth:8080");
        assert!(line.contains("browsers use http://localhost:8080"), "{line}");
        drop(server);
        let refused =
            folder.run(&["serve", "--issuer", "http://localhost:8080/t", "--internal-url", "http://auth:8080"]);
        assert!(refused.code != 0 && refused.stderr.contains("write http://auth:8080/t"), "{refused:?}");
    }
}
