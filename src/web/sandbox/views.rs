//! What the pages of the sandbox show. As in [`crate::web::pages`], a view decides nothing.

use askama::Template;

use super::call::encoded;
use crate::web::pages::Layout;

/// The start: a card for each flow.
#[derive(Template)]
#[template(path = "sandbox.html")]
pub(super) struct Index {
    pub(super) layout: Layout,
    /// Headings with their cards.
    pub(super) groups: Vec<(&'static str, Vec<Card>)>,
    /// The redirect URI that a client needs here.
    pub(super) callback: String,
    /// Clients that have it.
    pub(super) ready: Vec<String>,
    /// Clients that use the code flow and have it not.
    pub(super) others: Vec<String>,
}

/// A flow on the start page.
pub(super) struct Card {
    pub(super) href: String,
    pub(super) title: &'static str,
    pub(super) when: &'static str,
}

/// A flow: what goes in, what is sent, what comes back.
#[derive(Template)]
#[template(path = "sandbox_flow.html")]
pub(super) struct Flow {
    pub(super) layout: Layout,
    pub(super) index_href: String,
    pub(super) title: String,
    pub(super) lead: String,
    /// What keeps the request from being sent, or ended the flow early.
    pub(super) problem: Option<Problem>,
    pub(super) csrf: String,
    pub(super) form: Option<Form>,
    /// Address and text of the way to begin again.
    pub(super) again: Option<(String, &'static str)>,
    pub(super) exchanges: Vec<Exchange>,
    /// What was verified of an answer, and whether it held.
    pub(super) checks: Vec<(bool, String)>,
    pub(super) tokens: Vec<Token>,
}

/// Something to mend.
pub(super) struct Problem {
    /// The error code, where it is one of the protocol.
    pub(super) code: Option<String>,
    pub(super) description: String,
    /// What it means, or what to do.
    pub(super) meaning: Option<String>,
    /// A text to copy.
    pub(super) copy: Option<String>,
}

/// The inputs.
pub(super) struct Form {
    pub(super) action: String,
    /// Names and values that are not for typing.
    pub(super) hidden: Vec<(&'static str, String)>,
    pub(super) fields: Vec<Field>,
    /// Those that few need.
    pub(super) more: Vec<Field>,
    /// Whether one of the latter has a value.
    pub(super) open: bool,
    /// The label of the button, where there is one.
    pub(super) send: Option<&'static str>,
    /// Whether there is something to look at before it is sent.
    pub(super) previews: bool,
}

/// One input.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) hint: Option<String>,
    pub(super) value: String,
    pub(super) input: Input,
}

/// What kind of input.
pub(super) enum Input {
    Text,
    Secret,
    /// Values and their labels.
    Choice(Vec<(String, String)>),
}

/// A request, with its answer where it was sent.
pub(super) struct Exchange {
    pub(super) title: String,
    pub(super) request: Shown,
    /// The form by which the browser itself makes the request.
    pub(super) submit: Option<Submit>,
    pub(super) answer: Option<Answer>,
}

/// A request that the browser makes of itself.
pub(super) struct Submit {
    pub(super) action: String,
    pub(super) fields: Vec<(&'static str, String)>,
    pub(super) label: &'static str,
}

/// A request as it is sent.
pub(super) struct Shown {
    pub(super) line: String,
    pub(super) headers: Vec<Line>,
    /// The parameters of the body, or of the query.
    pub(super) body: Vec<String>,
    /// The command; absent for what only a browser can do.
    pub(super) curl: Option<String>,
    /// Lines to type before it.
    pub(super) first: Vec<String>,
}

/// A header.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) value: String,
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: String,
    pub(super) good: bool,
    pub(super) headers: Vec<Line>,
    pub(super) body: String,
    /// Where it is told why, in `dev`.
    pub(super) explanation: Option<String>,
    /// What its error means.
    pub(super) problem: Option<Problem>,
}

/// A token, as far as it can be read.
pub(super) struct Token {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) text: String,
    /// What it is, in a word or two.
    pub(super) kind: String,
    /// What was verified, and whether it held.
    pub(super) checks: Vec<(bool, String)>,
    pub(super) header: Option<String>,
    pub(super) claims: Vec<Claim>,
    pub(super) steps: Vec<Step>,
}

/// A claim.
pub(super) struct Claim {
    pub(super) name: String,
    pub(super) value: String,
    /// The same for people, where it is a time.
    pub(super) note: Option<String>,
}

/// What can be done next, with values to carry.
pub(super) struct Step {
    pub(super) action: String,
    pub(super) label: &'static str,
    pub(super) carried: Vec<(&'static str, String)>,
}

/// After signing out of the sandbox.
#[derive(Template)]
#[template(path = "sandbox_signed_out.html")]
pub(super) struct SignedOut {
    pub(super) layout: Layout,
    pub(super) state: Option<String>,
    pub(super) index_href: String,
}

impl Shown {
    /// A request that a browser makes: by its address, or by a form.
    pub(super) fn of_browser(method: &str, path: &str, pairs: &[(&'static str, String)]) -> Self {
        let body = pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        Self { line: format!("{method} {path}"), headers: Vec::new(), body, curl: None, first: Vec::new() }
    }
}

impl Line {
    pub(super) fn new(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: value.to_owned() }
    }
}

impl Problem {
    pub(super) fn told(description: impl Into<String>) -> Self {
        Self { code: None, description: description.into(), meaning: None, copy: None }
    }
}
