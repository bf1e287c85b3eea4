//! The code flow, as an application does it: a request that the browser carries, what has to be remembered until it comes back (sealed,
//! in a cookie), and the trade of the code for tokens. The client's secret is not among what is remembered: the callback asks for it.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};

use super::answer::refused;
use super::call::{CLIENT_SECRET, Call, Proof, UNANSWERED};
use super::flow::{Flow, Inputs, callback_uri, comes_back};
use super::token::Expected;
use super::views::{self, Exchange, Field, Input, Problem, Shown};
use super::visitor::Visitor;
use super::{PATH, href, panels};
use crate::domain::internal::Internal;
use crate::domain::pkce::CodeVerifier;
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::oauth::Params;
use crate::web::body::PageForm;
use crate::web::cookies::Cookie;
use crate::web::login::with_query;
use crate::web::page::{Page, layout, see_other};
use crate::web::{App, Door, dev, error_page};

/// Seconds in which the browser has to come back.
const LIFE: i64 = 600;
/// A request is no longer, as a query: it has to fit into a cookie.
const QUERY: usize = 2_000;
/// Where the request goes.
const AUTHORIZE: &str = "/oauth2/authorize";

/// Stands where each request has a value of its own.
const NEW: &str = "made-when-sent";

/// What is remembered of a request until the browser comes back.
struct Pending {
    /// The request.
    query: Params,
    /// The `code_verifier`, where the request has a challenge.
    verifier: Option<String>,
}

impl Pending {
    fn seal(&self, app: &App, now: Timestamp) -> Option<String> {
        let text = format!("{} {} {}", now.0, self.verifier.as_deref().unwrap_or_default(), self.query.to_query());
        Some(B64.encode(app.sandbox_key.seal(&Cookie::Sandbox.name(app), text.as_bytes())?))
    }

    /// What the browser's cookie holds, if it is ours and not too old.
    fn of(app: &App, visitor: &Visitor) -> Option<Self> {
        let sealed = B64.decode(Cookie::Sandbox.read(app, &visitor.headers)?).ok()?;
        let text = String::from_utf8(app.sandbox_key.open(&Cookie::Sandbox.name(app), &sealed)?).ok()?;
        let mut parts = text.splitn(3, ' ');
        let started = Timestamp(parts.next()?.parse().ok()?);
        let verifier = parts.next().filter(|verifier| !verifier.is_empty()).map(str::to_owned);
        let query = Params::from_form(parts.next()?.as_bytes()).ok()?;
        (0..LIFE).contains(&started.until(app.clock.now())).then_some(Self { query, verifier })
    }

    fn text(&self, name: &str) -> &str {
        self.query.text(name).unwrap_or_default()
    }
}

/// The authorization request of the inputs, with placeholders for what is made when it is sent.
pub(super) fn preview(app: &App, inputs: &Inputs) -> Shown {
    let mut pairs = request(app, inputs);
    pairs.push(("state", NEW.into()));
    pairs.push(("nonce", NEW.into()));
    if inputs.uses_pkce() {
        pairs.push(("code_challenge", NEW.into()));
        pairs.push(("code_challenge_method", "S256".into()));
    }
    Shown::of_browser("GET", &app.href(AUTHORIZE), &pairs)
}

fn request(app: &App, inputs: &Inputs) -> Vec<(&'static str, String)> {
    let fixed = [
        ("response_type", "code".to_owned()),
        ("client_id", inputs.client_id.clone()),
        ("redirect_uri", callback_uri(app)),
    ];
    fixed.into_iter().chain(inputs.authorization()).collect()
}

/// Sends the browser to the authorization endpoint.
pub(super) fn begin(app: &App, inputs: &Inputs) -> Result<Response, Problem> {
    if let Some(client) = inputs.client.as_ref().filter(|client| !comes_back(app, client)) {
        return Err(unregistered(app, &client.id));
    }
    let draw = |purpose| CodeVerifier::of_bits(app.provider.randomness().bytes(purpose));
    let random = |name: &'static str| (name, draw(name).as_str().to_owned());
    let verifier = inputs.uses_pkce().then(|| draw("verifiers"));
    let challenge = verifier.iter().flat_map(|verifier| {
        [("code_challenge", verifier.challenge().as_str().to_owned()), ("code_challenge_method", "S256".to_owned())]
    });
    let pairs = request(app, inputs).into_iter().chain([random("state"), random("nonce")]).chain(challenge);
    let query = pairs.fold(Params::default(), |query, (name, value)| query.with(name, &value));
    let pending = Pending { query, verifier: verifier.map(|verifier| verifier.as_str().to_owned()) };
    let query = pending.query.to_query();
    let cookie = Some(&pending).filter(|_| query.len() <= QUERY).and_then(|pending| pending.seal(app, app.clock.now()));
    let Some(cookie) = cookie else { return Err(Problem::told("The request is longer than the sandbox can remember")) };
    let mut response = see_other(&app.href(&with_query(AUTHORIZE, &query)));
    response.headers_mut().append(SET_COOKIE, Cookie::Sandbox.set(app, &cookie));
    Ok(response)
}

/// What to add to a client so that it can come back here.
pub(super) fn unregistered(app: &App, client_id: &str) -> Problem {
    Problem {
        meaning: Some(format!("Add this line to auth.authorization_code.redirect_uris of Client/{client_id}:")),
        copy: Some(format!("- {}", callback_uri(app))),
        ..Problem::told(format!(
            "The browser cannot come back here from {client_id}: our redirect URI is not registered for it"
        ))
    }
}

/// `GET /dev/start`: begins the code flow with the sandbox's own client, as it is set up at first.
pub(super) async fn start(State(app): State<App>, visitor: Visitor) -> Response {
    let begun = async {
        let own = Params::default().with("client_id", dev::CLIENT).with("scope", "openid profile email offline_access");
        let inputs = Inputs::of(&app, Flow::Pkce, Some(&own)).await?;
        Ok::<_, Internal>(begin(&app, &inputs))
    };
    match begun.await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => see_other(&app.href(PATH)),
        Err(internal) => visitor.internal_error(&app, &internal),
    }
}

/// `GET /sandbox/callback`: the browser is back. The code is redeemed where nothing has to be asked for that.
pub(super) async fn callback(
    State(app): State<App>,
    Extension(door): Extension<Door>,
    visitor: Visitor,
    method: Method,
    RawQuery(query): RawQuery,
) -> Response {
    if method == Method::HEAD {
        // HEAD must not spend a code.
        return StatusCode::OK.into_response();
    }
    let Ok(params) = Params::from_form(query.unwrap_or_default().as_bytes()) else { return see_other(&app.href(PATH)) };
    match Back::of(&app, &visitor, &params) {
        Some(back) => back.answer(&app, &door, None).await,
        None => stranger(&app, &visitor),
    }
}

/// `POST /sandbox/callback`: the same with the secret that was asked for.
pub(super) async fn redeem(
    State(app): State<App>,
    Extension(door): Extension<Door>,
    visitor: Visitor,
    PageForm { fields, .. }: PageForm,
) -> Response {
    if !visitor.posted(&app, &fields) {
        return error_page::start_again(&app, &visitor.headers, href(&app, Flow::AuthorizationCode));
    }
    match Back::of(&app, &visitor, &fields) {
        Some(back) => {
            let secret = fields.secret("client_secret").unwrap_or_else(|| Secret::new(""));
            back.answer(&app, &door, Some(secret)).await
        }
        None => stranger(&app, &visitor),
    }
}

/// The answer to whoever comes with a state that is not theirs.
fn stranger(app: &App, visitor: &Visitor) -> Response {
    let again = || error_page::start_again(app, &visitor.headers, href(app, Flow::AuthorizationCode));
    visitor.refusal(app, PATH).unwrap_or_else(again)
}

/// A browser that came back with an answer to the request that it left with.
struct Back<'a> {
    visitor: &'a Visitor,
    pending: Pending,
    params: &'a Params,
}

impl<'a> Back<'a> {
    /// Whoever comes with the state that was sealed for them was let in when they left, whoever they have signed in as since.
    fn of(app: &App, visitor: &'a Visitor, params: &'a Params) -> Option<Self> {
        let pending = Pending::of(app, visitor)?;
        let state = params.text("state").filter(|state| *state == pending.text("state"));
        state.is_some().then_some(Self { visitor, pending, params })
    }

    async fn answer(self, app: &App, door: &Door, secret: Option<Secret>) -> Response {
        let drawn = self.draw(app, door, secret).await;
        drawn.unwrap_or_else(|internal| self.visitor.internal_error(app, &internal))
    }

    /// The page, for which the code is redeemed unless its client's secret is still to be asked for.
    async fn draw(&self, app: &App, door: &Door, secret: Option<Secret>) -> Result<Response, Internal> {
        let client_id = self.pending.text("client_id");
        let (csrf, cookie) = self.visitor.csrf(app);
        let authorization = Exchange {
            title: "The browser was sent to the authorization endpoint".into(),
            request: Shown::of_browser("GET", &app.href(AUTHORIZE), &pairs(&self.pending.query)),
            submit: None,
            answer: None,
        };
        let mut view = views::Flow {
            layout: layout(app, Some("/")),
            index_href: app.href(PATH),
            title: "The code flow ended early".into(),
            lead: "What the authorization endpoint answered.".into(),
            problem: None,
            csrf,
            form: None,
            again: Some((self.again(app), "Run it again")),
            exchanges: vec![authorization],
            checks: Vec::new(),
            tokens: Vec::new(),
        };
        let issuer = self.params.text("iss");
        if let Some(code) = self.params.text("error") {
            let description = self.params.text("error_description").unwrap_or_default();
            view.problem = Some(refused(code, description.to_owned()));
            return Ok(ended(app, view, cookie));
        }
        // RFC 9207 §2.4: an answer of another server is none.
        if self.params.is_repeated("code") || issuer.is_some_and(|issuer| issuer != app.provider.iss()) {
            view.problem = Some(Problem::told("The answer is not of this server, or says something twice"));
            return Ok(ended(app, view, cookie));
        }
        view.checks.push((true, "The state that came back is the one that was sent".into()));
        if issuer.is_some() {
            view.checks.push((true, "The answer names this server as its issuer".into()));
        }

        let client = app.provider.registry().client(client_id).await?;
        let proof = Proof::of(None, client.as_deref(), Flow::AuthorizationCode.grant()).unwrap_or(Proof::Basic);
        let known = app.dev.as_ref().and_then(|dev| dev.secret_of(client_id));
        let asked = secret.is_none() && known.is_none() && proof != Proof::None;
        let typed = secret.filter(|secret| !secret.expose().is_empty());
        let shown: Vec<_> = known.filter(|_| typed.is_none()).map(|known| (CLIENT_SECRET, known)).into_iter().collect();
        let secret = typed.or_else(|| known.map(Secret::new)).unwrap_or_else(|| Secret::new(""));
        let call = Call::post("/oauth2/token")
            .with("grant_type", Some("authorization_code"))
            .with("code", self.params.text("code"))
            .with("redirect_uri", Some(&callback_uri(app)))
            .with("code_verifier", self.pending.verifier.as_deref())
            .proven(proof, client_id, secret);
        let mut exchange = Exchange {
            title: "The code is traded for tokens".into(),
            request: call.shown(app, &shown),
            submit: None,
            answer: None,
        };
        if asked {
            view.title = "The code is here".into();
            view.lead = format!("It lasts a minute. To trade it for tokens {client_id} proves itself.");
            view.form = Some(self.secret_form(app));
            view.exchanges.push(exchange);
            return Ok(Page::new(view).cookie(cookie).into_response());
        }
        tracing::info!(event = "sandbox", flow = "authorization_code", client = client_id, user = self.visitor.name());
        let Some(answer) = call.send(app, door, self.visitor.address).await else {
            view.problem = Some(Problem::told(UNANSWERED));
            return Ok(ended(app, view, cookie));
        };
        exchange.answer = Some(answer.shown(app));
        view.exchanges.push(exchange);
        if answer.status.is_success() {
            view.title = "The code flow worked".into();
            view.lead = "Every step, and what came back.".into();
            let nonce = self.pending.query.text("nonce");
            view.tokens = panels(app, &answer, Expected { client_id, nonce, now: app.clock.now() }).await?;
        } else {
            view.problem = answer.shown(app).problem;
            // A wrong secret does not spend the code.
            if answer.status == StatusCode::UNAUTHORIZED {
                view.form = Some(self.secret_form(app));
                return Ok(Page::new(view).cookie(cookie).into_response());
            }
        }
        Ok(ended(app, view, cookie))
    }

    fn again(&self, app: &App) -> String {
        match self.pending.text("client_id") == dev::CLIENT {
            true => app.href("/dev/start"),
            false => href(app, Flow::AuthorizationCode),
        }
    }

    fn secret_form(&self, app: &App) -> views::Form {
        let carried = ["code", "state", "iss"];
        let carried = carried.into_iter().filter_map(|name| Some((name, self.params.text(name)?.to_owned())));
        views::Form {
            action: app.href("/sandbox/callback"),
            hidden: carried.collect(),
            fields: vec![Field {
                name: "client_secret",
                label: "Client secret",
                hint: Some("Sent once, and kept nowhere".into()),
                value: String::new(),
                input: Input::Secret,
            }],
            more: Vec::new(),
            open: false,
            send: Some("Trade the code for tokens"),
            previews: false,
        }
    }
}

/// The page after which nothing is to be remembered: a state is good for one answer.
fn ended(app: &App, view: views::Flow, cookie: Option<HeaderValue>) -> Response {
    Page::new(view).cookie(cookie).cookie(Some(Cookie::Sandbox.clear(app))).into_response()
}

/// The parameters of a request in the order in which people think of them.
fn pairs(query: &Params) -> Vec<(&'static str, String)> {
    let names = [
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "prompt",
        "max_age",
        "acr_values",
        "login_hint",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
    ];
    let said = names.into_iter().filter_map(|name| Some((name, query.text(name)?.to_owned())));
    said.chain(query.resources().map(|resource| ("resource", resource.to_owned()))).collect()
}
