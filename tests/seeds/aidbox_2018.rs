//! Aidbox's documentation page "Authorization Code Grant", in its first version of 2018: the authorization request with
//! `response_type=code id_token` and without the scope `openid`, and two token requests as `curl` commands, in JSON and as a
//! form whose parameters stand on lines of their own.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Database, Page, Query, Server, both};

/// The example of an authorization URL, on one line as a browser takes it; a browser writes the space as `%20`.
const AUTHORIZE: &str = "http://localhost:8888/oauth2/authorize?\
    response_type=code id_token\
    &client_id=web-app\
    &redirect_uri=http://localhost:4200";

/// The example of "JSON Request".
const JSON: &str = r#"curl -X POST \
  http://localhost:8888/oauth2/token \
  -H 'content-type: application/json' \
  -d '{"client_id":"web-app","client_secret":"client-secret", 
       "code": "ebf396a8-1c00-47ec-acdf-dd5771edcb3d", 
       "grant_type":"authorization_code"}'"#;

/// The example of "OAuth2.0 RFC Specification".
const FORM: &str = "curl -X POST \\
  http://localhost:8888/oauth2/token \\
  -H 'Authorization: Basic d2ViLWFwcDpjbGllbnQtc2VjcmV0' \\
  -H 'Content-Type: application/x-www-form-urlencoded' \\
  -d 'grant_type=authorization_code
      &code=ebf396a8-1c00-47ec-acdf-dd5771edcb3d'";

/// The page has the server at port 8888, and shows no document of the client.
async fn server_of_the_page(server: &Server) {
    server.alice().await;
    let client = json!({
        "secret": "client-secret", "grant_types": ["code"],
        "auth": {"authorization_code": {"redirect_uri": "http://localhost:4200"}},
    });
    server.put("/Client/web-app", client).await;
}

/// Opens an address of the page.
async fn open(server: &Server, browser: &crate::support::Browser, address: &str) -> Page {
    browser.get(&address.replace("http://localhost:8888", &server.url(""))).await
}

/// Signs in and consents at an address of the page.
async fn authorize(server: &Server, address: &str) -> Query {
    let browser = server.browser();
    let mut page = open(server, &browser, address).await;
    assert_eq!(page.status, 200, "{}", page.html);
    page = browser.sign_in(&page, "alice@example.com", "correct-horse-battery").await;
    page = browser.follow(page).await;
    if page.is_consent() {
        page = browser.consent(&page, "approve").await;
    }
    page.returned()
}

/// Runs a command of the page in a shell, with the real server and code in it. Answers status and body.
async fn curl(server: &Server, command: &str, code: &str) -> (String, Value) {
    let command =
        command.replace("http://localhost:8888", &server.url("")).replace("ebf396a8-1c00-47ec-acdf-dd5771edcb3d", code);
    let quiet = "curl() { command curl --silent --show-error --noproxy '*' --write-out '\\n%{http_code}' \"$@\"; }\n";
    let shell = move || Command::new("sh").arg("-c").arg(format!("{quiet}{command}")).output();
    let output = tokio::task::spawn_blocking(shell).await.unwrap().expect("a shell");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "curl: {}", String::from_utf8_lossy(&output.stderr));
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.to_owned(), serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}")))
}

/// The answer the page shows: these members, the type in any case (RFC 6749 §5.1), and none that is null.
fn assert_answer(answer: &(String, Value), id_token: bool) {
    let (status, body) = answer;
    assert_eq!(status, "200", "{body}");
    assert!(body["access_token"].as_str().is_some_and(|token| !token.is_empty()), "{body}");
    assert!(body["token_type"].as_str().unwrap().eq_ignore_ascii_case("bearer"), "{body}");
    match body.get("id_token") {
        Some(token) => assert!(id_token && token.as_str().unwrap().split('.').count() == 3, "{body}"),
        None => assert!(!id_token, "{body}"),
    }
    assert!(body.as_object().unwrap().values().all(|member| !member.is_null()), "{body}");
}

both!(
    async fn the_address_shows_the_authentication_page_and_leads_back_with_a_code(server: Server) {
        server_of_the_page(&server).await;
        let page = open(&server, &server.browser(), AUTHORIZE).await;
        assert!(page.status == 200 && page.is_login(), "{}", page.html);
        assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));

        let returned = authorize(&server, AUTHORIZE).await;
        assert_eq!(returned.uri, "http://localhost:4200");
        assert!(!returned.expect("code").is_empty());
        assert_eq!(returned.get("state"), None);
        let returned = authorize(&server, &format!("{AUTHORIZE}&state=a%2Bb/c==%20~")).await;
        assert_eq!(returned.get("state"), Some("a+b/c== ~"), "the exact value received from the client");
    }
);

both!(
    async fn both_curl_commands_get_tokens_whatever_the_order_of_response_type(server: Server) {
        server_of_the_page(&server).await;
        for command in [JSON, FORM] {
            for (response_type, id_token) in [("code id_token", true), ("id_token code", true), ("code", false)] {
                let address = AUTHORIZE.replace("code id_token", response_type);
                let code = authorize(&server, &address).await.expect("code");
                assert_answer(&curl(&server, command, &code).await, id_token);
                let (status, again) = curl(&server, command, &code).await;
                assert_eq!((status.as_str(), &again["error"]), ("400", &json!("invalid_grant")), "a code works once");
            }
        }
    }
);

both!(
    async fn the_scope_openid_asks_for_an_id_token_too(server: Server) {
        server_of_the_page(&server).await;
        let address = AUTHORIZE.replace("code id_token", "code") + "&scope=openid";
        let code = authorize(&server, &address).await.expect("code");
        // "REQUIRED if specified in previous step": OpenID Connect Core §3.1.3.2 means it.
        let (status, refused) = curl(&server, FORM, &code).await;
        assert_eq!((status.as_str(), &refused["error"]), ("400", &json!("invalid_grant")));
        let form = FORM.replace("\n      &code", "\n      &redirect_uri=http://localhost:4200\n      &code");
        assert_answer(&curl(&server, &form, &code).await, true);
    }
);

both!(
    async fn without_a_redirect_uri_it_is_the_one_of_the_client(server: Server) {
        server_of_the_page(&server).await;
        let address = AUTHORIZE.replace("&redirect_uri=http://localhost:4200", "");
        let returned = authorize(&server, &address).await;
        assert_eq!(returned.uri, "http://localhost:4200");
        assert_answer(&curl(&server, FORM, &returned.expect("code")).await, true);
    }
);

both!(
    async fn a_redirect_uri_at_the_token_endpoint_must_be_that_of_the_first_step(server: Server) {
        server_of_the_page(&server).await;
        let json = |uri: &str| JSON.replace(r#""grant_type""#, &format!(r#""redirect_uri":"{uri}","grant_type""#));
        let code = authorize(&server, AUTHORIZE).await.expect("code");
        let (status, refused) = curl(&server, &json("http://localhost:4200/"), &code).await;
        assert_eq!((status.as_str(), &refused["error"]), ("400", &json!("invalid_grant")));
        assert_answer(&curl(&server, &json("http://localhost:4200"), &code).await, true);
    }
);

both!(
    async fn a_wrong_secret_gets_nothing_in_either_format(server: Server) {
        server_of_the_page(&server).await;
        let code = authorize(&server, AUTHORIZE).await.expect("code");
        for command in [JSON.replace("client-secret", "client_secret"), FORM.replace("bnQtc2Vj", "bnRfc2Vj")] {
            assert!(command != JSON && command != FORM);
            let (status, refused) = curl(&server, &command, &code).await;
            assert_eq!((status.as_str(), &refused["error"]), ("401", &json!("invalid_client")));
        }
        assert_answer(&curl(&server, JSON, &code).await, true);
    }
);
