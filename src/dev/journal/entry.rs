//! An exchange in the journal, and how it is told.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::dev::exchange::{Asked, endpoints};
use crate::dev::faults::Rule;
use crate::domain::time::Timestamp;
use crate::oauth::explanation::Explanation;

/// A request and its answer, as they were.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) at: Timestamp,
    pub(super) issuer: String,
    pub(super) asked: Asked,
    pub(super) status: u16,
    pub(super) request_id: Option<String>,
    pub(super) location: Option<String>,
    pub(super) body: Value,
    /// The code of the refusal, and why.
    pub(super) refused: Option<(String, String, Explanation)>,
    /// The fault that it suffered, and whether the answer was lost by it.
    pub(super) fault: Option<Rule>,
    pub(super) dropped: bool,
    /// How large it is, more or less, in bytes.
    pub(super) size: usize,
}

/// A request and its answer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "JournalEntry")]
pub(super) struct Shown {
    /// Its number.
    id: u64,
    /// What the clock showed.
    time: String,
    #[schemars(extend("enum" = endpoints().collect::<Vec<_>>()))]
    endpoint: &'static str,
    client_id: Option<String>,
    user: Option<String>,
    method: String,
    /// Path and query.
    target: String,
    /// Those of query and body; passwords, client secrets and assertions are masked. One that was sent several times is a list.
    parameters: Map<String, Value>,
    status: u16,
    /// `ok`, the code of the error wherever it went, or `dropped` by a fault.
    outcome: String,
    location: Option<String>,
    /// The body of the answer, where it is JSON; else its text, where it is a JWT; else nothing.
    answer: Value,
    request_id: Option<String>,
    /// The request as a line to paste; what is secret has to be filled in.
    curl: String,
    /// The fault that it suffered.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Rule>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Why>,
}

/// Why a request was refused.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Why {
    /// What the caller was told.
    description: String,
    /// What was compared with what, and the fix.
    explanation: Explanation,
}

impl Entry {
    /// `ok`, the code of the error wherever it went, or `dropped` by a fault.
    pub(super) fn outcome(&self) -> &str {
        if self.dropped {
            return "dropped";
        }
        if let Some((code, _, _)) = &self.refused {
            return code;
        }
        match self.body.get("error").and_then(Value::as_str) {
            Some(code) => code,
            None if self.status >= 400 => "error",
            None => "ok",
        }
    }

    /// As the journal tells it.
    pub(super) fn shown(&self) -> Shown {
        let Asked { endpoint, method, target, client_id, user, params, .. } = &self.asked;
        let mut request: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, value) in params {
            request.entry(name).or_default().push(value);
        }
        let parameters = request
            .into_iter()
            .map(|(name, values)| (name.to_owned(), if let [one] = values[..] { json!(one) } else { json!(values) }))
            .collect();
        Shown {
            id: self.id,
            time: self.at.rfc3339(),
            endpoint,
            client_id: client_id.clone(),
            user: user.clone(),
            method: method.to_string(),
            target: target.clone(),
            parameters,
            status: self.status,
            outcome: self.outcome().to_owned(),
            location: self.location.clone(),
            answer: self.body.clone(),
            request_id: self.request_id.clone(),
            curl: self.curl(),
            fault: self.fault.clone(),
            why: self.refused.as_ref().map(|(_, description, explanation)| Why {
                description: description.clone(),
                explanation: explanation.clone(),
            }),
        }
    }

    /// The request as a line to paste; what is secret has to be filled in.
    fn curl(&self) -> String {
        let Asked { method, target, client_id, authorization, body, .. } = &self.asked;
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let origin = self.issuer.split('/').take(3).collect::<Vec<_>>().join("/");
        let mut line = format!("curl -i -X {method} {}", quoted(&format!("{origin}{target}")));
        match authorization {
            Some(basic) if basic.starts_with("Basic") => {
                let _ = write!(line, " -u {}", quoted(&format!("{}:SECRET", client_id.as_deref().unwrap_or_default())));
            }
            Some(bearer) => {
                let _ = write!(line, " -H {}", quoted(&format!("Authorization: {bearer}")));
            }
            None => {}
        }
        for (name, value) in body {
            let _ = write!(line, " --data-urlencode {}", quoted(&format!("{name}={value}")));
        }
        line
    }
}
