//! What `dev` fills an empty database with, and what it tells of it.

use serde_json::Value;

use super::Error;
use crate::config::{Issuer, Settings};
use crate::domain::client::Client;
use crate::domain::password::fast_form;
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::resources::Documents;
use crate::resources::apply::Options;
use crate::resources::bundle::{self, Item};
use crate::resources::kind::DocumentKind;
use crate::store::Store;
use crate::web::dev::{ADMIN_SECRET, CLIENT, Dev};

const BUNDLE: &str = include_str!("demo.yaml");
/// The password of the demo users, which everybody knows, hashed beforehand: a start should take no time.
const PASSWORD: (&str, &str) = (
    "correct-horse-battery",
    "$argon2id$v=19$m=19456,t=2,p=1$ztQ2C7UDsXr/g/49reSUlA$52uYCZhVwYmc8ESmzOUjONSD2SLtH+oc3SSdeavuQXA",
);

/// The demo, for the lines that `dev` prints.
#[derive(Clone, Debug)]
pub struct Demo {
    /// The developer's pages.
    pub page: Dev,
}

/// Fills an empty database with the demo resources. One that holds others is left alone, and so is one that holds the demo: a
/// password that was changed since must not become the well-known one again.
pub(super) async fn prepare(documents: &Documents, issuer: &Issuer, now: Timestamp) -> Result<(), Error> {
    let empty = !documents.store().begin().await?.has_documents().await?;
    if empty {
        let items: Vec<Item> = items().iter().map(|item| at_the_sandbox(hashed(item), issuer)).collect();
        documents.apply(&items, Options::default(), now).await?;
    }
    Ok(())
}

/// What is shown of a database: the demo where it holds that.
pub(super) async fn shown(settings: &Settings, documents: &Documents, issuer: &Issuer) -> Demo {
    let items = items();
    let shown = if is_demo(documents, &items).await { &items[..] } else { &[] };
    Demo { page: page(settings, documents.store(), issuer, shown) }
}

fn items() -> Vec<Item> {
    let (mut items, mut problems) = (Vec::new(), Vec::new());
    bundle::parse("demo.yaml", BUNDLE, false, &|_| None, &mut items, &mut problems);
    items
}

/// The item with the stored forms of its secrets, none of which is one.
fn hashed(item: &Item) -> Item {
    let mut item = item.clone();
    if let Some(secret) = item.document.get_mut("secret") {
        *secret = fast_form(&Secret::new(secret.as_str().unwrap_or_default())).into();
    }
    if let Some(password) = item.document.get_mut("password").filter(|password| *password == PASSWORD.0) {
        *password = PASSWORD.1.into();
    }
    item
}

/// The item so that the sandbox can use it: a client that comes back anywhere comes back there too.
fn at_the_sandbox(mut item: Item, issuer: &Issuer) -> Item {
    for (list, page) in
        [("/auth/authorization_code/redirect_uris", "callback"), ("/post_logout_redirect_uris", "signed_out")]
    {
        if let Some(uris) = item.document.pointer_mut(list).and_then(Value::as_array_mut) {
            uris.push(format!("{issuer}/sandbox/{page}").into());
        }
    }
    item
}

/// Whether the database holds the demo, from this start of `dev` or an earlier one.
async fn is_demo(documents: &Documents, items: &[Item]) -> bool {
    for item in items {
        if documents.read(item.kind, &item.id).await.is_err() {
            return false;
        }
    }
    true
}

/// The sandbox's own client: public, good for its pages only, and never in the database.
pub(super) fn own_client(issuer: &Issuer) -> Option<Client> {
    let document = serde_json::json!({
        "name": "Countersign's sandbox",
        "grant_types": ["code"],
        "auth": { "authorization_code": {
            "redirect_uri": format!("{issuer}/sandbox/callback"), "pkce": true, "refresh_token": true, "token_format": "jwt",
        } },
        "post_logout_redirect_uris": [format!("{issuer}/sandbox/signed_out")],
    });
    Client::from_document(CLIENT, 0, true, None, document).ok()
}

fn page(settings: &Settings, store: &Store, issuer: &Issuer, items: &[Item]) -> Dev {
    let text = |item: &Item, name: &str| item.document.get(name).and_then(Value::as_str).map(str::to_owned);
    let of = |kind: DocumentKind| items.iter().filter(move |item| item.kind == kind);
    let redirects = |item: &Item| -> Vec<String> {
        let uris = item.document.pointer("/auth/authorization_code/redirect_uris").and_then(Value::as_array);
        uris.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let clients: Vec<_> =
        of(DocumentKind::Client).map(|item| (item.id.clone(), text(item, "secret"), redirects(item))).collect();
    let users =
        of(DocumentKind::User).map(|item| (item.id.clone(), text(item, "password").unwrap_or_default())).collect();
    let secret = settings.admin_client_secret.as_ref().map(Secret::expose);
    // A secret of the operator's own is not for a page.
    let shown = secret.filter(|secret| *secret == ADMIN_SECRET).unwrap_or("(as you set it)");
    let credentials = if clients.is_empty() {
        format!("{}:YOUR-SECRET", settings.admin_client_id)
    } else {
        "web-app:client-secret".into()
    };
    Dev {
        database: store.kind().to_owned(),
        clients,
        users,
        admin: (settings.admin_client_id.clone(), shown.to_owned()),
        curl: format!("curl -s -u {credentials} -d grant_type=client_credentials {issuer}/oauth2/token"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::password::{Memory, Verified, verify};

    #[test]
    fn the_hash_of_the_demo_password_is_one_that_would_be_made_today() {
        assert_eq!(verify(&Secret::new(PASSWORD.0), PASSWORD.1, &mut Memory::default()), Verified::Yes);
        assert_eq!(BUNDLE.matches(PASSWORD.0).count(), BUNDLE.matches("\n  password: ").count());
    }
}
