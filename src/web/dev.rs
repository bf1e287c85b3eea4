//! The developer's pages of `countersign dev`: what runs, the demo credentials, and a code flow that ends on a page which shows
//! everything it brought. None of this exists in `serve`.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::{RawQuery, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::Value;

use super::cookies::Cookie;
use super::page::{Page, layout, see_other};
use super::pages::{DemoClient, DemoUser, DevCallback, DevHome};
use super::{App, dev_explanations, error_page};
use crate::domain::pkce::CodeVerifier;
use crate::oauth::token::TokenRequest;
use crate::oauth::{Failure, Params, discovery};

/// The public client whose redirect URI is our own callback page.
pub const CLIENT: &str = "countersign-dev";

/// What the root page shows.
#[derive(Clone, Debug)]
pub struct Dev {
    /// The database, for people.
    pub database: String,
    /// The demo clients: id, secret, redirect URIs.
    pub clients: Vec<(String, Option<String>, Vec<String>)>,
    /// The demo users: name and password.
    pub users: Vec<(String, String)>,
    /// The bootstrap admin client, with its secret where that is the well-known one.
    pub admin: (String, String),
    /// A line to paste.
    pub curl: String,
}

/// The root page.
pub(crate) async fn home(app: &App, dev: &Dev) -> Response {
    let issuer = app.provider.issuer();
    let client =
        |(id, secret, redirect_uris): (String, Option<String>, Vec<String>)| DemoClient { id, secret, redirect_uris };
    let user = |(name, password): (String, String)| DemoUser { name, password };
    let view = DevHome {
        layout: layout(app, Some("/")),
        issuer: issuer.to_owned(),
        internal_url: app.reach.internal.as_ref().map(|internal| internal.url.clone()),
        advice: app.advice.told(),
        bundle_problems: app.advice.bundles(),
        version: env!("CARGO_PKG_VERSION").into(),
        database: dev.database.clone(),
        clients: dev.clients.iter().cloned().map(client).collect(),
        users: dev.users.iter().cloned().map(user).collect(),
        try_href: app.href("/dev/start"),
        curl: dev.curl.clone(),
        refusals: dev_explanations::recent(app).await,
        admin_client_id: dev.admin.0.clone(),
        admin_client_secret: dev.admin.1.clone(),
        endpoints: discovery::ENDPOINTS
            .iter()
            .map(|(name, path)| ((*name).to_owned(), format!("{issuer}{path}")))
            .collect(),
    };
    Page::new(view).into_response()
}

/// `GET /dev/start`: begins a code flow, as an application would.
pub(crate) async fn start(State(app): State<App>) -> Response {
    let [verifier, state] =
        ["verifiers", "states"].map(|purpose| CodeVerifier::of_bits(app.provider.randomness().bytes(purpose)));
    let params = Params::default()
        .with("response_type", "code")
        .with("client_id", CLIENT)
        .with("redirect_uri", &callback_uri(&app))
        .with("scope", "openid profile email offline_access")
        .with("state", state.as_str())
        .with("code_challenge", verifier.challenge().as_str())
        .with("code_challenge_method", "S256");
    let mut response = see_other(&format!("{}?{}", app.href("/oauth2/authorize"), params.to_query()));
    let cookie = Cookie::Dev.set(&app, &format!("{}.{}", state.as_str(), verifier.as_str()));
    response.headers_mut().append(SET_COOKIE, cookie);
    response
}

/// `GET /dev/callback`: redeems the code, as an application would, and shows what came.
pub(crate) async fn callback(
    State(app): State<App>,
    method: Method,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    if method == Method::HEAD {
        // HEAD must not spend a code.
        return StatusCode::OK.into_response();
    }
    let Ok(params) = Params::from_form(query.unwrap_or_default().as_bytes()) else { return see_other(&app.href("/")) };
    let cookie = Cookie::Dev.read(&app, &headers).unwrap_or_default();
    let (state, verifier) = cookie.split_once('.').unwrap_or_default();
    let mut view = DevCallback {
        layout: layout(&app, Some("/")),
        code: params.text("code").map(str::to_owned),
        state: params.text("state").map(str::to_owned),
        tokens_json: None,
        access_token: None,
        id_token_claims: None,
        access_token_claims: None,
        userinfo: None,
        error: None,
        again_href: app.href("/dev/start"),
    };
    if let Some(error) = params.text("error") {
        view.error = Some((error.to_owned(), params.text("error_description").unwrap_or_default().to_owned()));
        return Page::new(view).into_response();
    }
    if params.text("state") != Some(state) {
        return error_page::start_again(&app, app.href("/dev/start"));
    }
    let body = Params::default()
        .with("grant_type", "authorization_code")
        .with("client_id", CLIENT)
        .with("redirect_uri", &callback_uri(&app))
        .with("code", params.text("code").unwrap_or_default())
        .with("code_verifier", verifier);
    let request =
        TokenRequest { basic: None, params: &body, address: IpAddr::V4(Ipv4Addr::LOCALHOST), now: app.clock.now() };
    match app.provider.token(&request).await {
        Ok(tokens) => show(&app, &mut view, &tokens.0).await,
        Err(Failure::Refused(why)) => view.error = Some((why.code.as_str().to_owned(), why.description)),
        Err(Failure::Internal(internal)) => view.error = Some(("server_error".into(), internal.to_string())),
    }
    Page::new(view).into_response()
}

async fn show(app: &App, view: &mut DevCallback, tokens: &serde_json::Map<String, Value>) {
    let text = |name: &str| tokens.get(name).and_then(Value::as_str);
    view.tokens_json = serde_json::to_string_pretty(tokens).ok();
    view.id_token_claims = text("id_token").and_then(claims);
    let Some(access) = text("access_token") else { return };
    view.access_token = Some(access.to_owned());
    view.access_token_claims = claims(access);
    if let Ok(Some(token)) = app.provider.access_token(access, app.clock.now()).await
        && let Ok(claims) = app.provider.userinfo(&token)
    {
        view.userinfo = serde_json::to_string_pretty(&claims).ok();
    }
}

/// The claims of a JWT, to look at.
fn claims(jwt: &str) -> Option<String> {
    let payload = B64.decode(jwt.split('.').nth(1)?).ok()?;
    serde_json::to_string_pretty(&serde_json::from_slice::<Value>(&payload).ok()?).ok()
}

fn callback_uri(app: &App) -> String {
    format!("{}/dev/callback", app.provider.issuer())
}
