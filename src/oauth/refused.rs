//! Refusals: the answers that the specifications name, word for word on the wire.

use super::explanation::{Explanation, Told};
use crate::domain::internal::Internal;

/// An error code and the specification it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the code of that name in the section above it")]
pub enum ErrorCode {
    // RFC 6749 §4.1.2.1 and §5.2
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    UnsupportedResponseType,
    InvalidScope,
    AccessDenied,
    // OpenID Connect Core §3.1.2.6
    LoginRequired,
    ConsentRequired,
    InteractionRequired,
    AccountSelectionRequired,
    InvalidRequestUri,
    InvalidRequestObject,
    RegistrationNotSupported,
    // OpenID Connect Core Error Code unmet_authentication_requirements 1.0
    UnmetAuthenticationRequirements,
    // RFC 6750 §3.1
    InvalidToken,
    InsufficientScope,
    // RFC 7009 §2.2.1
    UnsupportedTokenType,
    // RFC 8707 §2
    InvalidTarget,
    // RFC 7591 §3.2.2
    InvalidRedirectUri,
    InvalidClientMetadata,
    InvalidSoftwareStatement,
    UnapprovedSoftwareStatement,
    // RFC 6749 §4.1.2.1: too many requests
    TemporarilyUnavailable,
}

impl ErrorCode {
    /// The code on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::AccessDenied => "access_denied",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::InteractionRequired => "interaction_required",
            Self::AccountSelectionRequired => "account_selection_required",
            Self::InvalidRequestUri => "invalid_request_uri",
            Self::InvalidRequestObject => "invalid_request_object",
            Self::RegistrationNotSupported => "registration_not_supported",
            Self::UnmetAuthenticationRequirements => "unmet_authentication_requirements",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::UnsupportedTokenType => "unsupported_token_type",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::InvalidSoftwareStatement => "invalid_software_statement",
            Self::UnapprovedSoftwareStatement => "unapproved_software_statement",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }
}

/// A refusal: the code, and a sentence for the developer who reads it. The sentence holds printable ASCII without quotes and
/// backslashes (RFC 6749 §5.2), and no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The code.
    pub code: ErrorCode,
    /// What was wrong and what would be right.
    pub description: String,
    /// Seconds after which another try may succeed, where waiting is the cure.
    pub retry_after: Option<i64>,
    /// Why, for whoever runs this server; never for the caller.
    pub why: Box<Explanation>,
}

impl Refused {
    /// A refusal with its sentence.
    pub fn new(code: ErrorCode, description: impl Into<String>) -> Self {
        let description = description.into().chars().map(printable).collect();
        Self { code, description, retry_after: None, why: Box::default() }
    }

    /// `invalid_request`
    pub fn invalid_request(description: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidRequest, description)
    }

    /// `invalid_grant`
    pub fn invalid_grant(description: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidGrant, description)
    }

    /// `invalid_client`
    pub fn invalid_client(description: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidClient, description)
    }

    /// `invalid_token`: a bearer token that is good for nothing.
    pub fn dead_token() -> Self {
        Self::new(ErrorCode::InvalidToken, "the access token is unknown, expired or revoked")
            .compared("the access token", "a live one of this issuer", "another (not shown)")
            .fix("Get a new access token; look at its life (access_token_expiration), and at whether the session was signed out. An ID token or a refresh token is none.")
    }

    /// Tells what was looked at before, and found to be in order.
    #[must_use]
    pub fn passed(mut self, what: &'static str, found: impl Into<Told>) -> Self {
        self.why.step(what, None, found.into());
        self
    }

    /// Tells what was compared and is not as it should be.
    #[must_use]
    pub fn compared(mut self, what: &'static str, expected: impl Into<Told>, found: impl Into<Told>) -> Self {
        self.why.step(what, Some(expected.into()), found.into());
        self
    }

    /// Tells what to change: the field of a document, the flag, the parameter.
    #[must_use]
    pub fn fix(mut self, fix: &'static str) -> Self {
        self.why.fix = Some(fix.into());
        self
    }

    /// Tells which client the request names.
    #[must_use]
    pub fn of_client(mut self, id: Option<&str>) -> Self {
        self.why.client_id = self.why.client_id.or_else(|| id.map(Told::public));
        self
    }
}

fn printable(c: char) -> char {
    match c {
        '"' => '\'',
        '\\' => '/',
        ' '..='~' => c,
        _ => '?',
    }
}

/// Why an endpoint did not do what was asked.
#[derive(Debug)]
pub enum Failure {
    /// The request is at fault.
    Refused(Refused),
    /// We are.
    Internal(Internal),
}

impl Failure {
    /// Tells which client the request names.
    #[must_use]
    pub fn of_client(self, id: Option<&str>) -> Self {
        match self {
            Self::Refused(why) => Self::Refused(why.of_client(id)),
            internal @ Self::Internal(_) => internal,
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl<E: Into<Internal>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Internal(error.into())
    }
}
