//! The map of the control API, and who may use it.

use std::sync::Arc;
use std::sync::LazyLock;

use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json, Router};
use serde_json::json;
use tower::ServiceExt as _;

use super::desk::Desk;
use super::{Desks, claims, clock, exchange, faults, forge, journal, openapi, realms, sign_in, snapshots, whose};
use crate::domain::internal::Internal;
use crate::domain::secret::Digest;
use crate::oauth::Failure;
use crate::realm::Error;
use crate::web::body::bearer;
use crate::web::map::Map;
use crate::web::{Door, csrf, guard};

/// The address as it was asked for, with the path of the issuer.
#[derive(Clone)]
struct Asked(Uri);

/// The control API, a part for each subject. All realms share it, so that a thousand of them have one map.
pub(super) fn map() -> Map {
    claims::map()
        .merge(clock::map())
        .merge(faults::map())
        .merge(forge::map())
        .merge(journal::map())
        .merge(openapi::map())
        .merge(realms::map())
        .merge(sign_in::map())
        .merge(snapshots::map())
}

static MAP: LazyLock<Router> =
    LazyLock::new(|| map().into_router().route_layer(middleware::from_fn(admit)).fallback(site));

/// Answers a request to a realm: a control call here, everything else by its site.
pub(super) async fn answer(desks: Desks, desk: Arc<Desk>, mut request: Request) -> Response {
    desk.touch();
    let path = desk.path();
    if desk.site().sends_requests(&request) {
        request.extensions_mut().insert(door(desks.clone(), Arc::clone(&desk)));
    }
    let below = request.uri().path_and_query().and_then(|asked| asked.as_str().strip_prefix(&*path));
    let Some(Ok(below)) = below.filter(|below| below.starts_with("/dev/")).map(str::parse::<Uri>) else {
        return protocol(&desk, &path, request).await;
    };
    let asked = Asked(std::mem::replace(request.uri_mut(), below));
    request.extensions_mut().insert(asked);
    request.extensions_mut().insert(desk);
    request.extensions_mut().insert(desks);
    match MAP.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// What pages of the site send comes by the desk too.
fn door(desks: Desks, desk: Arc<Desk>) -> Door {
    Door::new(move |request| Box::pin(answer(desks.clone(), Arc::clone(&desk), request)))
}

/// What is no control call: the site answers, as faults let it, and the journal has what it was.
async fn protocol(desk: &Desk, base: &str, request: Request) -> Response {
    let (asked, request) = exchange::read(base, desk.realm().provider.dialect(), request).await;
    let Some(mut asked) = asked else { return desk.site().answer(request).await };
    let realm = desk.realm();
    whose::complete(&mut asked, &realm, request.headers()).await;
    let now = realm.clock.now();
    let rule = desk.faults.of(&asked, realm.provider.randomness());
    let response = match &rule {
        Some(rule) => {
            let struck = rule.strike(&realm, desk.site(), &asked, request).await;
            struck.unwrap_or_else(IntoResponse::into_response)
        }
        None => desk.site().answer(request).await,
    };
    let response = desk.journal.note(realm.issuer.as_str(), asked, now, rule.as_ref(), response).await;
    match rule {
        Some(rule) => rule.send(response).await,
        None => response,
    }
}

/// What is no control call: the pages of `dev` have paths below `/dev` too.
async fn site(
    Extension(desk): Extension<Arc<Desk>>,
    Extension(asked): Extension<Asked>,
    mut request: Request,
) -> Response {
    *request.uri_mut() = asked.0;
    desk.site().answer(request).await
}

/// Host names, request ids and headers as everywhere; then: no page of another origin, and the token where one is set.
async fn admit(Extension(desk): Extension<Arc<Desk>>, request: Request, next: Next) -> Response {
    let admitted = tower::service_fn(move |request: Request| {
        let next = next.clone();
        async move { Ok(admitted(request, next).await) }
    });
    guard::guard(&desk.realm().app, admitted, request).await
}

async fn admitted(request: Request, next: Next) -> Response {
    if !csrf::from_our_pages(request.headers()) {
        return Wrong::new(StatusCode::FORBIDDEN, "a page of another origin must not control this server")
            .into_response();
    }
    let desk = request.extensions().get::<Arc<Desk>>().cloned();
    if let Some(token) = desk.as_ref().and_then(|desk| desk.common().settings().dev_token.as_ref())
        && !bearer(request.headers())
            .is_some_and(|shown| Digest::of(token.expose().as_bytes()).matches(Digest::of(shown.as_bytes()).as_bytes()))
    {
        return Wrong::new(StatusCode::UNAUTHORIZED, "show COUNTERSIGN_DEV_TOKEN as Authorization: Bearer")
            .into_response();
    }
    next.run(request).await
}

/// Why a control call did nothing: `{"error": …, "error_description": …}`, and the status.
#[derive(Debug)]
pub(super) struct Wrong {
    status: StatusCode,
    description: String,
}

impl Wrong {
    pub(super) fn new(status: StatusCode, description: impl Into<String>) -> Self {
        Self { status, description: description.into() }
    }

    /// The request makes no sense.
    pub(super) fn request(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, description)
    }

    /// What it is about is not there.
    pub(super) fn absent(description: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, description)
    }
}

/// The code that goes with a status.
pub(super) fn code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::CONFLICT => "conflict",
        StatusCode::UNPROCESSABLE_ENTITY => "invalid_bundle",
        status if status.is_server_error() => "server_error",
        _ => "invalid_request",
    }
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        match error {
            Error::Bundle(lines) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, lines.join("\n")),
            error => Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }
}

impl From<crate::store::Error> for Wrong {
    fn from(error: crate::store::Error) -> Self {
        Error::from(error).into()
    }
}

impl From<Internal> for Wrong {
    fn from(internal: Internal) -> Self {
        Error::from(internal).into()
    }
}

impl From<Failure> for Wrong {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(why) => Self::request(why.description),
            Failure::Internal(internal) => internal.into(),
        }
    }
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::error!(error = self.description, "a control call failed");
        }
        (self.status, Json(json!({ "error": code(self.status), "error_description": self.description })))
            .into_response()
    }
}
