//! Authorization requests: an answer goes to a registered redirect URI or to nobody, with the state byte for byte.
#![no_main]

use std::sync::LazyLock;

use countersign::domain::client::Client;
use countersign::domain::redirect_uri::RedirectUri;
use countersign::domain::time::Timestamp;
use countersign::oauth::Params;
use countersign::oauth::authorize::{AuthorizationResponse, Rejected};
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
        client("front", None, json!({ "auth": { "implicit": flow }, "grant_types": ["implicit"] })),
        client("old", Some("x"), json!({ "redirect_uri": URIS[0] })),
    ])
});

fuzz_target!(|query: &[u8]| {
    let Ok(params) = Params::from_form(query) else { return };
    match SERVER.run(SERVER.provider.authorization_request(&params, Timestamp(0))) {
        Err(Rejected::Internal(error)) => panic!("{error}"),
        Err(Rejected::Page(refused)) => assert!(!refused.description.is_empty()),
        Err(Rejected::Client(response) | Rejected::SignInFirst(response)) => {
            let (location, answer) = (response.location(), taken_apart(&response));
            let uri = &response.redirect_uri;
            assert!(URIS.iter().any(|registered| RedirectUri::stored(registered).matches(uri)), "{location}");
            assert_eq!(answer.iter().filter(|(name, _)| name == "error").count(), 1, "{location}");
            let value = |name: &str| answer.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
            assert_eq!(value("iss"), Some(ISSUER), "{location}");
            assert_eq!(value("state"), params.text("state"), "{location}");
        }
        Ok(request) => {
            let registered = request.client.redirect_uris();
            assert!(registered.iter().any(|uri| uri.matches(&request.return_to.redirect_uri)), "{:?}", request.return_to);
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

/// What was added to the redirect URI.
fn taken_apart(response: &AuthorizationResponse) -> Vec<(String, String)> {
    let location = response.location();
    let rest = location.strip_prefix(&response.redirect_uri).and_then(|rest| rest.strip_prefix(['?', '&', '#']));
    form_urlencoded::parse(rest.expect("a separator").as_bytes()).into_owned().collect()
}
