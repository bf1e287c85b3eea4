//! Paths at which nothing is and something was likely meant: `/oauth/token`, `/connect/userinfo`.

use axum::http::request::Parts;
use axum::response::Response;

use super::{App, Explained};
use crate::oauth::discovery::ENDPOINTS;
use crate::oauth::explanation::{Explanation, Told};

/// What the endpoints are called elsewhere.
const ELSEWHERE: [(&str, &str); 10] = [
    ("authorization", "authorize"),
    ("auth", "authorize"),
    ("tokens", "token"),
    ("me", "userinfo"),
    ("introspection", "introspect"),
    ("revocation", "revoke"),
    ("end_session", "logout"),
    ("endsession", "logout"),
    ("jwks", "jwks.json"),
    ("certs", "jwks.json"),
];

/// The endpoint that a path was likely meant for, by its last word. Other paths are nobody's mistake but a scan.
pub(crate) fn explanation(app: &App, parts: &Parts) -> Option<Explanation> {
    let path = parts.uri.path();
    let last = |path: &str| path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let word = last(path);
    let word = ELSEWHERE.iter().find(|(there, _)| *there == word).map_or(word.as_str(), |(_, here)| here);
    let (_, meant) = ENDPOINTS.iter().find(|(_, path)| last(path) == word)?;
    let meant = Told::public(&format!("{}{meant}", app.provider.issuer()));
    Some(Explanation::of_path(meant, Told::public(path)))
}

/// Has it kept with the answer, where there is one.
pub(crate) fn explained(app: &App, parts: &Parts, response: Response) -> Response {
    let Some(explanation) = explanation(app, parts) else { return response };
    Explained { error: Some("not_found"), description: "there is nothing at this path".into(), explanation }
        .on(response)
}
