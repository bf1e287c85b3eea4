//! Why an endpoint decided as it did, on its way out: in the extensions of a response, for what stands around every request.

use axum::http::header::{HeaderValue, LINK};
use axum::response::Response;

use super::{App, dev_explanations};
use crate::oauth::Refused;
use crate::oauth::explanation::{Explanation, Told};
use crate::oauth::explanations::Record;

/// A decision and its explanation.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The code of the refusal; `None` where what was asked for was done.
    pub error: Option<&'static str>,
    /// What the caller was told.
    pub description: String,
    /// What the caller was not told.
    pub explanation: Explanation,
}

impl From<&Refused> for Explained {
    fn from(why: &Refused) -> Self {
        Self { error: Some(why.code.as_str()), description: why.description.clone(), explanation: (*why.why).clone() }
    }
}

impl Explained {
    /// Puts it on a response.
    #[must_use]
    pub(crate) fn on(self, mut response: Response) -> Response {
        response.extensions_mut().insert(self);
        response
    }
}

/// Has the explanation of a refusal kept, where a response has one, under the id of its request.
pub(crate) fn keep(app: &App, request_id: &str, method: &str, path: &str, response: &Response) {
    let Some(Explained { error: Some(error), description, explanation }) = response.extensions().get() else { return };
    app.provider.explanations().keep(Record {
        request_id: request_id.to_owned(),
        at: app.clock.now(),
        method: method.to_owned(),
        endpoint: Told::public(path),
        status: response.status().as_u16(),
        error: (*error).to_owned(),
        description: description.clone(),
        explanation: explanation.clone(),
    });
}

/// Says in `dev` where the explanation of a refusal is; the answer itself is as everywhere.
pub(crate) fn link(app: &App, request_id: &str, response: &mut Response) {
    if app.dev.is_none() || response.extensions().get::<Explained>().is_none_or(|explained| explained.error.is_none()) {
        return;
    }
    let link = format!("<{}>; rel=\"help\"", dev_explanations::href(app, request_id));
    if let Ok(link) = HeaderValue::from_str(&link) {
        response.headers_mut().append(LINK, link);
    }
}
