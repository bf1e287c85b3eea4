//! `/sandbox`: every flow of this server to try, with its own clients. Each page takes its inputs, shows the requests as they are sent,
//! and what comes back, with tokens decoded and verified.
//!
//! The sandbox is an application: its requests go through the whole site ([`call`]), its code flow ends at a callback of its own ([`code`]),
//! and it knows nothing that an application would not, but for the list of clients ([`flow`]). In `dev` everybody may use it, elsewhere
//! an administrator ([`visitor`]). Secrets that are typed in are sent once: they are in no address, no cookie, no page and no log.

use axum::Extension;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::response::{IntoResponse, Response};

use self::call::Answer;
use self::call::UNANSWERED;
use self::flow::{Flow, GROUPS, Inputs, callback_uri, clients, comes_back};
use self::token::{Expected, Kind, panel};
use self::views::{Card, Exchange, Problem, Shown, Submit, Token};
use self::visitor::{Admitted, Visitor};
use super::body::{PageForm, PageQuery};
use super::described::pages;
use super::map::{Map, get};
use super::page::{Page, layout, see_other};
use super::{App, Door, error_page};
use crate::domain::client::GrantType;
use crate::domain::internal::Internal;
use crate::oauth::Params;

mod answer;
mod call;
mod code;
mod flow;
mod token;
mod views;
mod visitor;

/// Its start page; the others are below.
const PATH: &str = "/sandbox";

/// Its part of the map of URLs; in `dev` with a link that begins the code flow at once.
pub(super) fn map(dev: bool) -> Map<App> {
    let map = match dev {
        true => Map::new().route(["/dev/start"], get(code::start, pages::dev_start)),
        false => Map::new(),
    };
    map.route([PATH], get(index, pages::sandbox))
        .route(
            ["/sandbox/callback"],
            get(code::callback, pages::sandbox_callback).post(code::redeem, pages::sandbox_redeem),
        )
        .route(["/sandbox/signed_out"], get(signed_out, pages::sandbox_signed_out))
        .route(["/sandbox/{flow}"], get(show, pages::sandbox_flow).post(post, pages::sandbox_send))
}

/// Whether a request is for the sandbox, which sends requests through the site itself.
pub(super) fn is_asked(app: &App, request: &Request) -> bool {
    let path = request.uri().path().strip_prefix(app.reach.base_path.as_str());
    path.is_some_and(|path| path.starts_with(PATH))
}

/// `GET /sandbox`
async fn index(State(app): State<App>, Admitted(visitor): Admitted) -> Response {
    let clients = match clients(&app).await {
        Ok(clients) => clients,
        Err(internal) => return visitor.internal_error(&app, &internal),
    };
    let with_code = clients.iter().filter(|client| client.active && client.allows(GrantType::AuthorizationCode));
    let named = with_code.map(|client| (client.id.clone(), comes_back(&app, client)));
    let (ready, others): (Vec<_>, Vec<_>) = named.partition(|(_, comes)| *comes);
    let ids = |named: Vec<(String, bool)>| named.into_iter().map(|(id, _)| id).collect();
    let card = |flow: &Flow| Card { href: href(&app, *flow), title: flow.title(), when: flow.when() };
    let view = views::Index {
        layout: layout(&app, Some("/")),
        groups: GROUPS.iter().map(|(name, flows)| (*name, flows.iter().map(card).collect())).collect(),
        callback: callback_uri(&app),
        ready: ids(ready),
        others: ids(others),
    };
    Page::new(view).into_response()
}

/// `GET /sandbox/{flow}`
async fn show(State(app): State<App>, Admitted(visitor): Admitted, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let name = Path::<String>::from_request_parts(&mut parts, &()).await.ok();
    let Some(flow) = name.and_then(|Path(name)| Flow::named(&name)) else { return error_page::not_found(&app, &parts) };
    draw(&app, &visitor, flow, None, Sent::Nothing).await
}

/// `POST /sandbox/{flow}`: draws the page with what was posted, and where that is what the person wants, sends the request.
async fn post(
    State(app): State<App>,
    Extension(door): Extension<Door>,
    Path(name): Path<String>,
    Admitted(visitor): Admitted,
    PageForm { fields, .. }: PageForm,
) -> Response {
    let Some(flow) = Flow::named(&name) else { return see_other(&app.href(PATH)) };
    if !visitor.posted(&app, &fields) {
        return error_page::start_again(&app, &visitor.headers, href(&app, flow));
    }
    let mut sent = Sent::Nothing;
    if fields.text("decision") == Some("send") {
        let inputs = match Inputs::of(&app, flow, Some(&fields)).await {
            Ok(inputs) => inputs,
            Err(internal) => return visitor.internal_error(&app, &internal),
        };
        tracing::info!(event = "sandbox", flow = flow.name(), client = inputs.client_id, user = visitor.name());
        sent = match flow {
            Flow::AuthorizationCode | Flow::Pkce => match code::begin(&app, &inputs) {
                Ok(response) => return response,
                Err(problem) => Sent::Not(problem),
            },
            _ => match inputs.call(&app, flow).send(&app, &door, visitor.address).await {
                Some(answer) => Sent::Answered(answer),
                None => Sent::Not(Problem::told(UNANSWERED)),
            },
        };
    }
    draw(&app, &visitor, flow, Some(&fields), sent).await
}

/// What came of a request.
enum Sent {
    Nothing,
    Not(Problem),
    Answered(Answer),
}

async fn draw(app: &App, visitor: &Visitor, flow: Flow, posted: Option<&Params>, sent: Sent) -> Response {
    let drawn = async {
        let inputs = Inputs::of(app, flow, posted).await?;
        let (answer, mut problem) = match sent {
            Sent::Nothing => (None, None),
            Sent::Not(problem) => (None, Some(problem)),
            Sent::Answered(answer) => (Some(answer), None),
        };
        let tokens = match &answer {
            Some(answer) => {
                let expected = Expected { client_id: &inputs.client_id, nonce: None, now: app.clock.now() };
                panels(app, answer, expected).await?
            }
            None => Vec::new(),
        };
        problem = problem.or_else(|| inputs.obstacle(app, flow));
        let (request, submit) = match flow {
            Flow::AuthorizationCode | Flow::Pkce => (code::preview(app, &inputs), None),
            Flow::Logout => {
                let fields = inputs.logout();
                let submit = Submit { action: app.href("/oauth2/logout"), fields: fields.clone(), label: flow.send() };
                (Shown::of_browser("POST", &app.href("/oauth2/logout"), &fields), Some(submit))
            }
            _ => (inputs.call(app, flow).shown(app, &inputs.known(app)), None),
        };
        let (csrf, cookie) = visitor.csrf(app);
        let target = inputs.value("post_logout_redirect_uri").map(str::to_owned);
        let title = if answer.is_some() { "What was sent" } else { "What will be sent" };
        let view = views::Flow {
            layout: layout(app, Some("/")),
            index_href: app.href(PATH),
            title: flow.title().to_owned(),
            lead: flow.lead().to_owned(),
            problem,
            csrf,
            form: Some(inputs.form(href(app, flow), flow)),
            again: None,
            exchanges: vec![Exchange {
                title: title.to_owned(),
                request,
                submit,
                answer: answer.as_ref().map(|answer| answer.shown(app)),
            }],
            checks: Vec::new(),
            tokens,
        };
        let mut page = Page::new(view).cookie(cookie);
        if let Some(uri) = target {
            page = page.form_target(&uri);
        }
        Ok::<_, Internal>(page.into_response())
    };
    drawn.await.unwrap_or_else(|internal| visitor.internal_error(app, &internal))
}

/// The tokens of an answer.
async fn panels(app: &App, answer: &Answer, expected: Expected<'_>) -> Result<Vec<Token>, Internal> {
    let mut panels = Vec::new();
    for (kind, name) in [(Kind::Id, "id_token"), (Kind::Access, "access_token"), (Kind::Refresh, "refresh_token")] {
        if let Some(text) = answer.text(name) {
            panels.push(panel(app, kind, text, expected).await?);
        }
    }
    if let Some(text) = answer.jwt() {
        panels.push(panel(app, Kind::Userinfo, text, expected).await?);
    }
    Ok(panels)
}

/// `GET /sandbox/signed_out`: where the browser comes back to after logout. Whoever signed out is nobody here any more.
async fn signed_out(State(app): State<App>, PageQuery(params): PageQuery) -> Response {
    let state = params.text("state").map(str::to_owned);
    let view = views::SignedOut { layout: layout(&app, Some("/")), state, index_href: app.href(PATH) };
    Page::new(view).into_response()
}

/// The page of a flow.
fn href(app: &App, flow: Flow) -> String {
    app.href(&format!("{PATH}/{}", flow.name()))
}
