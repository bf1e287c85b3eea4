//! Documents: whatever passes the door can be used behind it.
#![no_main]

use countersign::domain::client::{Client, GrantType};
use countersign::domain::redirect_uri::RedirectUri;
use countersign::domain::scope::Scope;
use countersign::domain::user::User;
use countersign::resources::kind::KINDS;
use countersign::resources::secret_fields::take;
use countersign::resources::{DocumentKind, format};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

fuzz_target!(|text: &str| {
    // Null is absence, and removed before.
    let Ok(Value::Object(document)) = format::json(text) else { return };
    if text.contains("null") {
        return;
    }
    for kind in KINDS {
        let issues = kind.problems(&document, false);
        if issues.is_empty() {
            let mut body = document.clone();
            let secrets = take(kind, &mut body);
            kind.warnings(&document);
            kind.is_active(&document);
            assert!(secrets.iter().all(|(_, secret)| secret.is_string()), "{secrets:?}");
            behind_the_door(kind, &body);
        }
        for issue in issues {
            let path = issue.expression.unwrap_or_default();
            assert!(path.starts_with(kind.name()), "{path}: {}", issue.diagnostics);
        }
    }
});

fn behind_the_door(kind: DocumentKind, body: &Map<String, Value>) {
    match kind {
        DocumentKind::Client => {
            let client = Client::from_document("a", 0, true, None, Value::Object(body.clone())).expect("it reads");
            for uri in client.redirect_uris() {
                assert_eq!(RedirectUri::parse(uri.as_str(), false), Ok(uri));
            }
            for grant in [GrantType::AuthorizationCode, GrantType::ClientCredentials, GrantType::Password] {
                let flow = client.flow(grant);
                assert!(flow.access_token_expiration.is_none_or(|life| life > 0));
                assert!(flow.refresh_token_expiration.is_none_or(|life| life > 0));
                client.audiences(grant);
            }
            if let Some(scope) = client.allowed_scope() {
                assert_eq!(Scope::parse(&scope.to_string()), Some(scope));
            }
        }
        DocumentKind::User => {
            let user =
                User { id: "a".to_owned(), active: true, epoch: 0, updated_at: 0, body: Value::Object(body.clone()) };
            let scope = Scope::parse("openid profile email phone address groups").expect("a scope");
            let claims = user.claims(&user.id, &scope);
            assert!(claims.values().all(|claim| !claim.is_null()), "{claims:?}");
            assert_eq!(user.document()["sub"], "a");
        }
        DocumentKind::Grant => {}
    }
}
