//! HTTP and HTML: what arrives is parsed, handed to a verb of the rooms behind, and what they answer is drawn.
//!
//! The whole map of URLs is `router`, one file per endpoint or page. Around every request stands [`guard`] (host names
//! as [`horizon`] knows them, request ids, security headers; [`place`] bounds how many there are). Forms of browsers go through [`csrf`] and [`cookies`]; bodies of programs through [`body`].
//! [`dialect`] stands before it all where there is one. Errors become a page ([`error_page`]), an RFC 6749 body ([`protocol_error`]) or an `OperationOutcome` ([`rest`]).

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{any, get, post};
use futures_util::future::BoxFuture;
use tower_http::catch_panic::CatchPanic;

use crate::clock::Clock;
use crate::domain::secret::{MacKey, MasterKey, SealingKey};
use crate::oauth::Provider;
use crate::oauth::discovery::{REGISTRATION_PATH, paths};
use crate::registration::Registration;
use crate::resources::Documents;

mod about_client;
mod admin;
mod assets;
pub(crate) mod authorize;
pub(crate) mod body;
mod check_session;
mod client_address;
mod consent;
pub(crate) mod cookies;
pub(crate) mod cors;
pub(crate) mod csrf;
pub mod dev;
mod dev_explanations;
pub(crate) mod dialect;
mod discovery;
mod error_page;
mod explained;
pub(crate) mod guard;
pub mod hands_free;
mod health;
mod home;
mod horizon;
mod initiate_login;
mod introspect;
mod login;
mod logo;
mod logout;
mod near_miss;
mod page;
pub mod pages;
mod place;
mod protocol_error;
mod register;
mod respond;
mod rest;
mod revoke;
mod sandbox;
mod select_account;
mod session;
mod token;
mod userinfo;

pub use client_address::Peer;
pub use explained::Explained;
pub use horizon::{Advice, Internal};

/// Everything a handler needs. Clones share it.
#[derive(Clone)]
pub struct App(Arc<Inner>);

/// What an [`App`] is made of.
pub struct Inner {
    /// The protocol.
    pub provider: Provider,
    /// What administrators PUT.
    pub documents: Documents,
    /// Dynamic client registration, where it is not closed.
    pub registration: Option<Arc<Registration>>,
    /// The clock.
    pub clock: Clock,
    /// How this server is reached.
    pub reach: Reach,
    /// What is probably wrong with how it is reached.
    pub advice: Advice,
    /// The developer's pages, in `dev`.
    pub dev: Option<dev::Dev>,
    /// What is done without asking, where the control API can say so.
    pub hands_free: Option<hands_free::HandsFree>,
    /// Prebuilt answers.
    pub(crate) discovery: discovery::Prebuilt,
    pub(crate) csrf_key: MacKey,
    pub(crate) device_key: MacKey,
    pub(crate) sandbox_key: SealingKey,
    pub(crate) cookie_tag: String,
    pub(crate) places: place::Places,
    pub(crate) logos: logo::Logos,
}

/// How this server is reached.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// The path of the issuer: empty, or `/like/this`.
    pub base_path: String,
    /// Whether the issuer is https.
    pub https: bool,
    /// What the server itself speaks: `http`, or `https` where it has a certificate.
    pub scheme: &'static str,
    /// Host and port of the issuer.
    pub authority: String,
    /// The server's name among containers, where it has one.
    pub internal: Option<Internal>,
    /// The host names that are answered, with or without a port, in lower case.
    pub hosts: Vec<String>,
    /// Whether any loopback or single-label host name is answered too.
    pub any_local_host: bool,
    /// Whose forwarding headers are believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
}

impl App {
    /// Puts an application together.
    pub fn new(
        provider: Provider,
        documents: Documents,
        registration: Option<Registration>,
        clock: Clock,
        reach: Reach,
        (dev, hands_free): (Option<dev::Dev>, Option<hands_free::HandsFree>),
        master: &MasterKey,
    ) -> Self {
        Self(Arc::new(Inner {
            discovery: discovery::Prebuilt::new(&provider, &reach),
            cookie_tag: cookies::tag(provider.issuer()),
            csrf_key: master.mac_key("form tokens"),
            device_key: master.mac_key("known browsers"),
            sandbox_key: SealingKey::new(master, "sandbox"),
            places: place::Places::default(),
            logos: logo::Logos::default(),
            provider,
            documents,
            registration: registration.map(Arc::new),
            clock,
            reach,
            advice: Advice::default(),
            dev,
            hands_free,
        }))
    }

    /// A path of this server as a link.
    pub(crate) fn href(&self, path: &str) -> String {
        format!("{}{path}", self.reach.base_path)
    }
}

impl std::ops::Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// The whole site: what [`guard`] keeps, around the map of URLs. Clones share it.
#[derive(Clone)]
pub struct Site {
    app: App,
    router: CatchPanic<Router, protocol_error::Panicked>,
}

/// The way in for requests that pages of ours send: like those from outside, they pass what stands before the site.
#[derive(Clone)]
pub struct Door(Arc<dyn Fn(Request) -> BoxFuture<'static, Response> + Send + Sync>);

impl Door {
    /// One that leads here.
    pub fn new(answer: impl Fn(Request) -> BoxFuture<'static, Response> + Send + Sync + 'static) -> Self {
        Self(Arc::new(answer))
    }

    async fn answer(&self, request: Request) -> Response {
        (self.0)(request).await
    }
}

impl Site {
    /// The site of an application.
    pub fn new(app: App) -> Self {
        let router = CatchPanic::custom(router(&app), protocol_error::Panicked);
        Self { app, router }
    }

    /// Answers a request.
    pub async fn answer(self, request: Request) -> Response {
        match self.app.provider.dialect() {
            None => self.answer_plainly(request).await,
            Some(_) => dialect::answer(self, request).await,
        }
    }

    /// Whether a request is for pages that send requests themselves: they go by its [`Door`], or straight to the site.
    pub fn sends_requests(&self, request: &Request) -> bool {
        sandbox::is_asked(&self.app, request)
    }

    fn door(&self) -> Door {
        let site = self.clone();
        Door::new(move |request| Box::pin(site.clone().answer(request)))
    }

    async fn answer_plainly(self, mut request: Request) -> Response {
        if self.sends_requests(&request) && request.extensions().get::<Door>().is_none() {
            request.extensions_mut().insert(self.door());
        }
        guard::guard(&self.app, self.router, request).await
    }
}

/// The whole map of URLs. An alias is the same handler.
fn router(app: &App) -> Router {
    let mut protocol = Router::new();
    for authorize in paths("authorization_endpoint") {
        protocol = protocol.route(authorize, get(authorize::get).post(authorize::post));
    }
    for token in paths("token_endpoint") {
        protocol = protocol.route(token, post(token::post).options(cors::preflight));
    }
    for userinfo in paths("userinfo_endpoint") {
        protocol = protocol.route(userinfo, get(userinfo::get).post(userinfo::post).options(cors::preflight));
    }
    for introspect in paths("introspection_endpoint") {
        protocol = protocol.route(introspect, post(introspect::post));
    }
    for logout in paths("end_session_endpoint") {
        protocol = protocol.route(logout, get(logout::get).post(logout::post));
    }
    for login in ["/login", "/auth/login"] {
        protocol = protocol.route(login, get(login::get).post(login::post));
    }
    for consent in ["/consent", "/auth/grant"] {
        protocol = protocol.route(consent, get(authorize::begin).post(consent::post));
    }
    if app.registration.is_some() {
        let managed = get(register::get).head(register::head).put(register::put).delete(register::delete);
        protocol = protocol
            .route(REGISTRATION_PATH, post(register::post).options(cors::preflight))
            .route("/oauth2/register/{client_id}", managed);
    }
    protocol = protocol
        .route("/select_account", get(authorize::begin).post(select_account::post))
        .route("/initiate_login", get(initiate_login::get))
        .route("/oauth2/check_session", get(check_session::get).post(check_session::post))
        .route("/oauth2/revoke", post(revoke::post).options(cors::preflight))
        .route("/.well-known/jwks.json", get(discovery::jwks).options(cors::preflight))
        .route("/.well-known/openid-configuration", get(discovery::metadata).options(cors::preflight))
        .route("/.well-known/oauth-authorization-server", get(discovery::metadata).options(cors::preflight))
        .route("/static/{file}", get(assets::get))
        .route(logo::PATH, get(logo::get))
        .route("/favicon.ico", get(assets::favicon))
        .route("/healthz", get(health::live))
        .route("/health", get(health::live))
        .route("/readyz", get(health::ready));
    if app.dev.is_some() {
        protocol = protocol.route("/dev/explanations/{id}", get(dev_explanations::get));
    }
    let documents = Router::new()
        .route("/", get(home::get).put(rest::put_many).post(rest::bundle))
        .route("/fhir", any(rest::fhir_root))
        .route("/Session", any(rest::sessions).delete(session::close))
        .route("/fhir/Session", any(rest::sessions).delete(session::close))
        .route("/{kind}", any(rest::collection))
        .route("/fhir/{kind}", any(rest::collection))
        .route("/{kind}/{id}", any(rest::item))
        .route("/fhir/{kind}/{id}", any(rest::item))
        .route("/{kind}/{id}/_history/{version}", get(rest::version))
        .route("/fhir/{kind}/{id}/_history/{version}", get(rest::version));

    let all = protocol.merge(sandbox::routes(app)).merge(documents).fallback(error_page::no_route);
    let path = app.reach.base_path.as_str();
    let all = if path.is_empty() {
        all
    } else {
        // RFC 8414 §3.1 puts its document before the path of the issuer, OpenID Connect Discovery §4 behind it.
        let outside = format!("/.well-known/oauth-authorization-server{path}");
        Router::new()
            .nest(path, all)
            .route(&outside, get(discovery::metadata).options(cors::preflight))
            .route("/healthz", get(health::live))
            .route("/readyz", get(health::ready))
            .fallback(error_page::no_route)
    };
    all.with_state(app.clone())
}
