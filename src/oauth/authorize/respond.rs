//! Answers to a client: every authorization response is written here.

use super::AuthorizationRequest;
use crate::clock::new_row_id;
use crate::domain::bearer::{Bearer, Kind};
use crate::domain::internal::Internal;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::identity::login::SignedIn;
use crate::oauth::{Provider, Refused};
use crate::store::codes::Code;

/// Life of an authorization code in seconds (RFC 6749 §4.1.2 recommends ten minutes at the most; a minute is plenty).
pub const CODE_LIFE: i64 = 60;

impl Provider {
    pub(super) async fn issue_code(
        &self,
        request: &AuthorizationRequest,
        login: &SignedIn,
        scope: &Scope,
        now: Timestamp,
    ) -> Result<Bearer, Internal> {
        let code = Bearer::generate(Kind::AuthorizationCode, new_row_id());
        let row = Code {
            id: code.id(),
            digest: code.digest().as_bytes().into(),
            client_id: request.client.id.clone(),
            client_epoch: request.client.epoch,
            redirect_uri: request.redirect_uri.clone(),
            redirect_required: request.redirect_required,
            code_challenge: request.code_challenge.as_ref().map(|challenge| challenge.as_str().to_owned()),
            user_id: login.user.id.clone(),
            user_epoch: login.user.epoch,
            login_id: login.id,
            shared: request.client.document.first_party,
            scope: scope.to_string(),
            id_token: request.id_token,
            nonce: request.nonce.clone(),
            auth_time: login.auth_time,
            expires_at: now.plus(CODE_LIFE),
            claimed_at: None,
            session_id: None,
        };
        self.store.insert_code(row).await?;
        Ok(code)
    }

    pub(super) fn error_redirect(&self, redirect_uri: &str, state: Option<&str>, refused: &Refused) -> String {
        self.redirect(
            redirect_uri,
            state,
            &[("error", refused.code.as_str()), ("error_description", &refused.description)],
        )
    }

    /// The one place that writes an authorization response: the members, `state` byte for byte, and `iss` (RFC 9207 §2), each
    /// once, after whatever query the registered URI has.
    pub(super) fn redirect(&self, redirect_uri: &str, state: Option<&str>, members: &[(&str, &str)]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(members);
        query.extend_pairs(state.map(|state| ("state", state)));
        query.append_pair("iss", self.issuer());
        let separator = if redirect_uri.contains('?') { '&' } else { '?' };
        format!("{redirect_uri}{separator}{}", query.finish())
    }
}
