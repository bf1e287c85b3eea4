//! Whose request it is where it does not say: whose code or token it shows, or who is signed in in its browser.

use axum::http::HeaderMap;

use super::exchange::Asked;
use crate::domain::bearer::{Bearer, Kind};
use crate::realm::Realm;
use crate::web::authorize::signed_in;

/// The parameters that are of somebody.
const SHOWN: [&str; 4] = ["code", "refresh_token", "token", "access_token"];

/// Names client and user where the request has not. Whether what it shows is worth anything is for the endpoint to say.
pub(super) async fn complete(asked: &mut Asked, realm: &Realm, headers: &HeaderMap) {
    if asked.client_id.is_some() && asked.user.is_some() {
        return;
    }
    let bearer = asked.authorization.as_deref().and_then(|value| value.strip_prefix("Bearer "));
    let parameters = asked.params.iter().filter(|(name, _)| SHOWN.contains(&&**name)).map(|(_, value)| value.as_str());
    let shown: Vec<String> = parameters.chain(bearer).map(str::to_owned).collect();
    for text in shown {
        if let Some((client_id, user)) = holders(realm, &text).await {
            asked.client_id = asked.client_id.take().or(client_id);
            asked.user = asked.user.take().or(user);
        }
    }
    if asked.user.is_none() && matches!(asked.endpoint, "authorize" | "login" | "logout") {
        asked.user = signed_in(&realm.app, headers).await.ok().flatten().map(|login| login.user.id.clone());
    }
}

/// The client and the user of a code or token.
async fn holders(realm: &Realm, text: &str) -> Option<(Option<String>, Option<String>)> {
    let id = |kind| Bearer::parse(kind, text).map(|bearer| bearer.id());
    if let Some(id) = id(Kind::AuthorizationCode) {
        let code = realm.store.code(id).await.ok()??;
        return Some((Some(code.client_id), Some(code.user_id)));
    }
    let opaque = id(Kind::AccessToken).or_else(|| id(Kind::RefreshToken));
    let id = opaque.or_else(|| realm.provider.row_named_by(text))?;
    let session = realm.store.session(id).await.ok()??.session;
    Some((session.client_id, session.user_id))
}
