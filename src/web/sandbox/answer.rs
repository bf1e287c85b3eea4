//! An answer for people: status, headers, JSON with indents, and what an error code means for whoever wrote the application.

use axum::http::header::{CONTENT_TYPE, LINK};
use serde_json::Value;

use super::call::Answer;
use super::views::{self, Line, Problem};
use crate::web::{App, dev_explanations};

impl Answer {
    /// The members of its JSON object; empty where it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// A member of it that is text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.json().get(name).and_then(Value::as_str).map(str::to_owned)
    }

    /// The JWT that it is, where it is one.
    pub(super) fn jwt(&self) -> Option<String> {
        let is_jwt = self.headers.get(CONTENT_TYPE).is_some_and(|value| value == "application/jwt");
        is_jwt.then(|| String::from_utf8_lossy(&self.body).into_owned())
    }

    /// Where the explanation of a refusal is, in `dev`.
    fn explanation(&self, app: &App) -> Option<String> {
        let explained = self.headers.contains_key(LINK) && app.dev.is_some();
        let id = self.headers.get("x-request-id").filter(|_| explained)?.to_str().ok()?;
        Some(dev_explanations::href(app, id))
    }

    /// The same for people.
    pub(super) fn shown(&self, app: &App) -> views::Answer {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers = self.headers.iter().map(|(name, value)| Line::new(name.as_str(), &text(value.as_bytes())));
        let json = self.json();
        let body = match &json {
            Value::Null => text(&self.body),
            json => serde_json::to_string_pretty(json).unwrap_or_default(),
        };
        let member = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
        // RFC 6750 §3: an answer about a token may say it in a header alone.
        let problem = (!self.status.is_success()).then(|| match member("error") {
            Some(code) => refused(&code, member("error_description").unwrap_or_default()),
            None if self.status == 401 => Problem {
                meaning: Some("The request carries no token, or none that reads as one.".into()),
                ..Problem::told("Not authorized")
            },
            None => Problem::told("This is not what the specification calls a success."),
        });
        views::Answer {
            status: self.status.to_string(),
            good: self.status.is_success(),
            headers: headers.collect(),
            body,
            explanation: self.explanation(app),
            problem,
        }
    }
}

/// A refusal with its meaning.
pub(super) fn refused(code: &str, description: String) -> Problem {
    Problem { code: Some(code.to_owned()), description, meaning: meaning(code).map(str::to_owned), copy: None }
}

/// What an error code means for the developer of an application.
fn meaning(code: &str) -> Option<&'static str> {
    Some(match code {
        "invalid_request" => {
            "The request itself is wrong: a parameter is missing, occurs twice or has a value that it cannot have. Sending it again does not help."
        }
        "invalid_client" => {
            "The client did not prove itself: there is no such client, the secret is another, or it was sent in a way the client is not registered for."
        }
        "invalid_grant" => {
            "What the tokens are asked for with is no good: a code or refresh token that is spent, expired, of another client or redirect URI, or a wrong password. Begin the flow again."
        }
        "unauthorized_client" => {
            "The client proved itself, but its document does not allow it this: see grant_types and response_types."
        }
        "unsupported_grant_type" => "The server does not serve this grant; the operator may have it turned off.",
        "unsupported_response_type" => "The server does not serve this response type.",
        "invalid_scope" => "A scope is malformed, or not among those that the client's document allows.",
        "invalid_target" => "The resource is no absolute URI, or one the client may not ask for (RFC 8707).",
        "access_denied" => {
            "The person, or the server on their behalf, said no. An application takes that for an answer."
        }
        "login_required" => "With prompt=none nothing is asked, and nobody is signed in. Ask again without it.",
        "consent_required" => {
            "With prompt=none nothing is asked, and the person has not consented yet. Ask again without it."
        }
        "interaction_required" | "account_selection_required" => {
            "With prompt=none nothing is asked, and something has to be. Ask again without it."
        }
        "unmet_authentication_requirements" => "The person cannot be signed in the way acr_values asks for.",
        "invalid_token" => "The access token is unknown, expired or revoked. Refresh it, or begin again.",
        "insufficient_scope" => {
            "The token is good, but does not carry the scope that this needs: for userinfo, openid."
        }
        "temporarily_unavailable" => "Too much at once, or too many wrong tries. Wait as long as Retry-After says.",
        "server_error" => "The server is at fault. Its log has the request id of this answer.",
        _ => return None,
    })
}
