//! `OperationOutcome`: how the REST surface says what went wrong.

use serde_json::{Value, json};

use crate::domain::internal::Internal;

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// FHIR's issue type: `invalid`, `not-found`, `conflict` …
    pub code: &'static str,
    /// Where, as a path from the resource: `Client.auth.authorization_code.redirect_uri`.
    pub expression: Option<String>,
    /// What, in words.
    pub diagnostics: String,
}

/// Why a request to the REST surface fails.
#[derive(Debug)]
pub enum Problem {
    /// The request is at fault.
    Outcome(Outcome),
    /// We are.
    Internal(Internal),
}

/// A refusal with its HTTP status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The HTTP status.
    pub status: u16,
    /// What is wrong; at least one.
    pub issues: Vec<Issue>,
}

impl<E: Into<Internal>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self::Internal(error.into())
    }
}

impl From<Outcome> for Problem {
    fn from(outcome: Outcome) -> Self {
        Self::Outcome(outcome)
    }
}

impl Issue {
    /// The codes that are in use.
    pub const CODES: [&'static str; 10] = [
        "conflict",
        "deleted",
        "exception",
        "forbidden",
        "invalid",
        "login",
        "not-found",
        "not-supported",
        "required",
        "too-long",
    ];

    /// Something invalid at a path.
    pub fn invalid(path: impl Into<String>, diagnostics: impl Into<String>) -> Self {
        Self { code: "invalid", expression: Some(path.into()), diagnostics: diagnostics.into() }
    }
}

impl Outcome {
    /// A refusal with one issue.
    pub fn new(status: u16, code: &'static str, diagnostics: impl Into<String>) -> Self {
        Self { status, issues: vec![Issue { code, expression: None, diagnostics: diagnostics.into() }] }
    }

    /// 422: the document is understood and wrong.
    pub const fn invalid(issues: Vec<Issue>) -> Self {
        Self { status: 422, issues }
    }

    /// 404
    pub fn not_found(kind: &str, id: &str) -> Self {
        Self::new(404, "not-found", format!("Resource {kind}/{id} not found"))
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        let first = self.issues.first();
        debug_assert!(self.issues.iter().all(|issue| Issue::CODES.contains(&issue.code)), "{self:?}");
        let issue = |issue: &Issue| {
            let mut one = json!({ "severity": "fatal", "code": issue.code, "diagnostics": issue.diagnostics });
            if let Some(path) = &issue.expression {
                one["expression"] = json!([path]);
            }
            one
        };
        json!({
            "resourceType": "OperationOutcome",
            "id": first.map_or("exception", |issue| issue.code),
            "text": { "status": "generated", "div": first.map_or("", |issue| &issue.diagnostics) },
            "issue": self.issues.iter().map(issue).collect::<Vec<_>>(),
        })
    }

    /// One line an issue, for people.
    pub fn lines(&self) -> Vec<String> {
        self.issues
            .iter()
            .map(|issue| match &issue.expression {
                Some(path) => format!("{path}: {}", issue.diagnostics),
                None => issue.diagnostics.clone(),
            })
            .collect()
    }
}
