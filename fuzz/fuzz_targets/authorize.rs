//! Authorization requests: an answer goes to a registered redirect URI or to nobody, with the state byte for byte.
#![no_main]

use std::sync::LazyLock;

use countersign::domain::client::Client;
use countersign::domain::redirect_uri::RedirectUri;
use countersign::domain::time::Timestamp;
use countersign::oauth::Params;
use countersign::oauth::authorize::Rejected;
use countersign_fuzz::{ISSUER, Server};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use url::form_urlencoded;

const URIS: [&str; 3] = ["https://app.example.com/cb", "http://127.0.0.1/cb", "com.example.app:/cb?x=1"];

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let client = |id, secret: Option<&str>, body: Value| {
        Client::from_document(id, 0, true, secret.map(str::to_owned), body).expect("a client")
    };
    let flow = json!({ "redirect_uris": URIS });
    Server::new(vec![
        client("web", Some("x"), json!({ "auth": { "authorization_code": flow }, "scope": ["openid", "profile"] })),
        client("spa", None, json!({ "auth": { "authorization_code": flow } })),
        client("old", Some("x"), json!({ "redirect_uri": URIS[0] })),
    ])
});

fuzz_target!(|query: &[u8]| {
    let Ok(params) = Params::from_form(query) else { return };
    match SERVER.run(SERVER.provider.authorization_request(&params, Timestamp(0))) {
        Err(Rejected::Internal(error)) => panic!("{error}"),
        Err(Rejected::Page(refused)) => assert!(!refused.description.is_empty()),
        Err(Rejected::Redirect(location)) => {
            let (uri, answer) = taken_apart(&location);
            assert!(URIS.iter().any(|registered| RedirectUri::stored(registered).matches(&uri)), "{location}");
            assert_eq!(answer.iter().filter(|(name, _)| name == "error").count(), 1, "{location}");
            let value = |name: &str| answer.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
            assert_eq!(value("iss"), Some(ISSUER), "{location}");
            assert_eq!(value("state"), params.text("state"), "{location}");
        }
        Ok(request) => {
            let registered = request.client.redirect_uris();
            assert!(registered.iter().any(|uri| uri.matches(&request.redirect_uri)), "{}", request.redirect_uri);
            assert!(params.refuse_repeated().is_ok());
            assert_eq!(params.text("client_id"), Some(request.client.id.as_str()));
            assert!(!request.scope.contains("admin"));
            assert!(
                request.client.id != "spa" || params.text("code_challenge").is_some(),
                "a public client needs PKCE"
            );
        }
    }
});

/// The redirect URI, and what was added to it.
fn taken_apart(location: &str) -> (String, Vec<(String, String)>) {
    let (uri, rest) = location.split_once("error=").expect("an error");
    let uri = uri.strip_suffix(['?', '&']).expect("a separator");
    (uri.to_owned(), form_urlencoded::parse(format!("error={rest}").as_bytes()).into_owned().collect())
}
