//! HTTP and HTML: what arrives is parsed, handed to a verb of the rooms behind, and what they answer is drawn.
//!
//! The whole map of URLs is `map`, one file per endpoint or page; [`described`] has what each is for. Around every request stands [`guard`] (host names
//! as [`horizon`] knows them, request ids, security headers; [`place`] bounds how many there are). Forms of browsers go through [`csrf`] and [`cookies`]; bodies of programs through [`body`].
//! [`dialect`] stands before it all where there is one. Errors become a page ([`error_page`]), an RFC 6749 body ([`protocol_error`]) or an `OperationOutcome` ([`rest`]).

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{self, MethodRouter, any};
use futures_util::future::BoxFuture;
use tower_http::catch_panic::CatchPanic;

use crate::clock::Clock;
use crate::domain::secret::{MacKey, MasterKey, SealingKey};
use crate::oauth::Provider;
use crate::oauth::discovery::{REGISTRATION_PATH, paths};
use crate::openapi::Document;
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
pub(crate) mod described;
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
pub(crate) mod map;
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

use described as says;
use map::{Map, get, post};

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

/// What an issuer may have or not.
#[derive(Clone, Copy, Debug)]
struct Has {
    registration: bool,
    dev: bool,
}

/// The whole map of URLs.
fn map(has: Has) -> Map<App> {
    let mut map = Map::new()
        .route(
            paths("authorization_endpoint"),
            get(authorize::get, says::oauth::authorize).post(authorize::post, says::oauth::authorize_post),
        )
        .route(paths("token_endpoint"), post(token::post, says::oauth::token).besides(preflight))
        .route(
            paths("userinfo_endpoint"),
            get(userinfo::get, says::oauth::userinfo)
                .post(userinfo::post, says::oauth::userinfo_post)
                .besides(preflight),
        )
        .route(paths("introspection_endpoint"), post(introspect::post, says::oauth::introspect))
        .route(paths("revocation_endpoint"), post(revoke::post, says::oauth::revoke).besides(preflight))
        .route(
            paths("end_session_endpoint"),
            get(logout::get, says::oauth::logout).post(logout::post, says::oauth::logout_post),
        )
        .route(
            paths("check_session_iframe"),
            get(check_session::get, says::oauth::check_session)
                .post(check_session::post, says::oauth::check_session_post),
        )
        .route(["/initiate_login"], get(initiate_login::get, says::oauth::initiate_login))
        .route(paths("jwks_uri"), get(discovery::jwks, says::discovery::jwks).besides(preflight))
        .route(
            ["/.well-known/openid-configuration"],
            get(discovery::metadata, says::discovery::metadata).besides(preflight),
        )
        .route(
            ["/.well-known/oauth-authorization-server"],
            get(discovery::metadata, says::discovery::metadata).besides(preflight),
        );
    if has.registration {
        map = map
            .route([REGISTRATION_PATH], post(register::post, says::registration::register).besides(preflight))
            .route(
                ["/oauth2/register/{client_id}"],
                get(register::get, says::registration::read)
                    .put(register::put, says::registration::update)
                    .delete(register::delete, says::registration::delete)
                    .besides(|methods| methods.head(register::head)),
            );
    }
    map = map
        .route(["/login", "/auth/login"], get(login::get, says::pages::login).post(login::post, says::pages::sign_in))
        .route(
            ["/consent", "/auth/grant"],
            get(authorize::begin, says::pages::step).post(consent::post, says::pages::consent),
        )
        .route(
            ["/select_account"],
            get(authorize::begin, says::pages::step).post(select_account::post, says::pages::select_account),
        )
        .route(["/static/{file}"], get(assets::get, says::pages::asset))
        .route([logo::PATH], get(logo::get, says::pages::logo))
        .route(["/favicon.ico"], get(assets::favicon, says::pages::favicon))
        .route(["/healthz", "/health"], get(health::live, says::discovery::live))
        .route(["/readyz"], get(health::ready, says::discovery::ready))
        .merge(sandbox::map(has.dev));
    if has.dev {
        map = map.route(["/dev/explanations/{id}"], get(dev_explanations::get, says::pages::explanation));
    }
    map.route(
        ["/"],
        get(home::get, says::pages::home)
            .put(rest::put_many, says::rest::put_many)
            .post(rest::bundle, says::rest::bundle),
    )
    .kinds(["/fhir"], &any(rest::fhir_root), says::rest::fhir_root)
    .kinds(["/Session", "/fhir/Session"], &any(rest::sessions).delete(session::close), says::rest::all_sessions)
    .kinds(["/{kind}", "/fhir/{kind}"], &any(rest::collection), says::rest::collection)
    .kinds(["/{kind}/{id}", "/fhir/{kind}/{id}"], &any(rest::item), says::rest::item)
    .kinds(
        ["/{kind}/{id}/_history/{version}", "/fhir/{kind}/{id}/_history/{version}"],
        &routing::get(rest::version),
        says::rest::version,
    )
}

fn preflight(methods: MethodRouter<App>) -> MethodRouter<App> {
    methods.options(cors::preflight)
}

/// Describes all that an issuer may have.
pub(crate) fn describe(document: &mut Document) {
    map(Has { registration: true, dev: true }).describe(document);
}

/// What answers below the path of the issuer, and what is asked outside of it.
fn router(app: &App) -> Router {
    let has = Has { registration: app.registration.is_some(), dev: app.dev.is_some() };
    let all = map(has).into_router().fallback(error_page::no_route);
    let path = app.reach.base_path.as_str();
    let all = if path.is_empty() {
        all
    } else {
        // RFC 8414 §3.1 puts its document before the path of the issuer, OpenID Connect Discovery §4 behind it.
        let outside = format!("/.well-known/oauth-authorization-server{path}");
        Router::new()
            .nest(path, all)
            .route(&outside, routing::get(discovery::metadata).options(cors::preflight))
            .route("/healthz", routing::get(health::live))
            .route("/readyz", routing::get(health::ready))
            .fallback(error_page::no_route)
    };
    all.with_state(app.clone())
}
