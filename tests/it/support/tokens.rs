//! Token requests and what comes of them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::Server;
use super::server::read;

/// Status and body of an answer.
pub(crate) type Answer = (StatusCode, Value);

/// RFC 7636 appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Fails unless the answer is this refusal (RFC 6749 §5.2): status, code, and words of its sentence, in the characters that are
/// allowed there; and nothing else.
#[track_caller]
pub(crate) fn assert_refused(answer: &Answer, status: u16, error: &str, words: &str) {
    let (found, body) = answer;
    assert_eq!((found.as_u16(), &body["error"]), (status, &json!(error)), "{body}");
    let sentence = body["error_description"].as_str().unwrap_or_default();
    assert!(sentence.contains(words), "{words:?} is not in {sentence:?}");
    assert!(sentence.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\'), "{sentence:?}");
    assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
}

/// The text of a member that must be there.
#[track_caller]
pub(crate) fn text<'a>(body: &'a Value, name: &str) -> &'a str {
    body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}"))
}

/// Header and claims of a JWT, unverified.
#[track_caller]
pub(crate) fn jwt(token: &str) -> (Value, Value) {
    let part = |index| serde_json::from_slice(&B64.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap();
    (part(0), part(1))
}

impl Server {
    /// Redeems a code for `web-app`, without a redirect URI.
    pub(crate) async fn redeem(&self, code: &str) -> Answer {
        self.token(&[("grant_type", "authorization_code"), ("code", code)]).await
    }

    /// The same, which must succeed.
    pub(crate) async fn redeemed(&self, code: &str) -> Value {
        let (status, tokens) = self.redeem(code).await;
        assert_eq!(status, 200, "{tokens}");
        tokens
    }

    /// Refreshes for `web-app`.
    pub(crate) async fn refresh(&self, refresh_token: &str) -> Answer {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    /// Refreshes for `web-app`, which must succeed.
    pub(crate) async fn refreshed(&self, refresh_token: &str) -> Value {
        let (status, tokens) = self.refresh(refresh_token).await;
        assert_eq!(status, 200, "{tokens}");
        tokens
    }

    /// A token request of `web-app` for itself, which must succeed.
    pub(crate) async fn client_tokens(&self, form: &[(&str, &str)]) -> Value {
        let form: Vec<_> = [("grant_type", "client_credentials")].iter().chain(form).copied().collect();
        let (status, tokens) = self.token(&form).await;
        assert_eq!(status, 200, "{tokens}");
        tokens
    }

    /// What userinfo answers to a token.
    pub(crate) async fn userinfo(&self, token: &str) -> Answer {
        read(self.http.get(self.url("/oauth2/userinfo")).bearer_auth(token).send().await.unwrap()).await
    }

    /// Changes a document by a merge patch, which must be accepted.
    pub(crate) async fn patch(&self, path: &str, change: Value) {
        let request = self.admin("PATCH", path).header("content-type", "application/merge-patch+json");
        let (status, body) = read(request.body(change.to_string()).send().await.unwrap()).await;
        assert_eq!(status, 200, "PATCH {path}: {body}");
    }

    /// Deletes a document, which must be there.
    pub(crate) async fn delete(&self, path: &str) {
        let (status, body) = read(self.admin("DELETE", path).send().await.unwrap()).await;
        assert_eq!(status, 200, "DELETE {path}: {body}");
    }
}
