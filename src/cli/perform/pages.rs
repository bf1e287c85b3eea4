//! The login and consent pages without a browser: their forms are found by the ids that Countersign promises to automation.

use bytes::Bytes;
use hyper::Response;
use hyper::header::{LOCATION, SET_COOKIE};
use url::Url;

use super::html::{tags, text_of};
use crate::cli::Failure;
use crate::cli::output::progress;
use crate::cli::wire::{Sent, Wire, tame};
use crate::domain::secret::Secret;

/// No sign-in has more pages and redirects.
const STEPS: usize = 12;

/// A form, filled in.
struct Filled {
    action: String,
    fields: Vec<(String, String)>,
}

/// Walks from the authorization endpoint to the redirect URI, and answers the parameters that are sent there.
pub(super) async fn walk(
    wire: &Wire,
    start: &Url,
    redirect_uri: &str,
    user: &str,
    password: &Secret,
) -> Result<Vec<(String, String)>, Failure> {
    let (mut url, mut form, mut signed_in) = (start.clone(), None, false);
    let mut cookies: Vec<(String, String)> = Vec::new();
    for _ in 0..STEPS {
        let cookie = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        let sent = Sent { url: url.as_str(), form: form.take(), authorization: None, cookie: Some(cookie) };
        let answer = wire.send(&sent).await?;
        keep(&mut cookies, &answer);
        if let Some(location) = answer.headers().get(LOCATION).filter(|_| answer.status().is_redirection()) {
            let next = location.to_str().ok().and_then(|location| url.join(location).ok());
            let next = next.ok_or_else(|| Failure::new("the server redirects to what is no URL"))?;
            if is_at(&next, redirect_uri) {
                return Ok(next.query_pairs().into_owned().collect());
            }
            url = same_server(start, next)?;
            continue;
        }
        let page = String::from_utf8_lossy(answer.body());
        let filled = if let Some(filled) = login(&page, user, password) {
            if signed_in {
                let why = text_of(&page, "login_error").unwrap_or_else(|| "the login page comes again".to_owned());
                return Err(Failure::new(format!("{user} cannot sign in: {}", tame(&why))));
            }
            progress(format!("signing in as {user}"));
            signed_in = true;
            filled
        } else if let Some(filled) = fill(&page, "approve") {
            progress("allowing access");
            filled
        } else {
            return Err(stuck(&page, &answer));
        };
        url =
            same_server(start, url.join(&filled.action).map_err(|_| Failure::new("a form leads to what is no URL"))?)?;
        form = Some(filled.fields);
    }
    Err(Failure::new(format!(
        "after {STEPS} pages and redirects there is no end; try in the browser, without --username"
    )))
}

/// Neither password nor cookies go anywhere else.
fn same_server(start: &Url, next: Url) -> Result<Url, Failure> {
    if next.origin() == start.origin() {
        return Ok(next);
    }
    let to = next.origin().ascii_serialization();
    Err(Failure::new(format!(
        "the server leads on to {to}, where nothing is filled in; sign in with the browser, without --username"
    )))
}

fn is_at(url: &Url, redirect_uri: &str) -> bool {
    Url::parse(redirect_uri).is_ok_and(|uri| {
        (url.scheme(), url.host_str(), url.port_or_known_default(), url.path())
            == (uri.scheme(), uri.host_str(), uri.port_or_known_default(), uri.path())
    })
}

fn keep(cookies: &mut Vec<(String, String)>, answer: &Response<Bytes>) {
    for cookie in answer.headers().get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok()) {
        let Some((name, value)) = cookie.split(';').next().and_then(|pair| pair.split_once('=')) else { continue };
        cookies.retain(|(known, _)| known != name);
        if !value.is_empty() {
            cookies.push((name.to_owned(), value.to_owned()));
        }
    }
}

fn login(page: &str, user: &str, password: &Secret) -> Option<Filled> {
    let mut filled = fill(page, "login")?;
    for (id, text) in [("username", user), ("password", password.expose())] {
        let tags = tags(page);
        let name = tags.iter().find(|tag| tag.name == "input" && tag.get("id") == Some(id))?.get("name")?;
        filled.fields.retain(|(known, _)| known != name);
        filled.fields.push((name.to_owned(), text.to_owned()));
    }
    Some(filled)
}

/// The form with the button of this id, as a browser sends it when that is pressed.
fn fill(page: &str, button: &str) -> Option<Filled> {
    let mut open: Option<Filled> = None;
    let mut pressed = false;
    for tag in tags(page) {
        match (tag.name.as_str(), &mut open) {
            ("form", open) => {
                *open = Some(Filled { action: tag.get("action").unwrap_or_default().to_owned(), fields: Vec::new() });
            }
            ("/form", open) => {
                if pressed {
                    return open.take();
                }
                *open = None;
            }
            ("input" | "button", Some(form)) => {
                let is_button = tag.name == "button" || tag.get("type") == Some("submit");
                let this = tag.get("id") == Some(button);
                pressed |= this;
                if let Some(name) = tag.get("name").filter(|_| !is_button || this) {
                    form.fields.push((name.to_owned(), tag.get("value").unwrap_or_default().to_owned()));
                }
            }
            _ => {}
        }
    }
    None
}

fn stuck(page: &str, answer: &Response<Bytes>) -> Failure {
    if let Some(error) = text_of(page, "error") {
        let said = text_of(page, "error_description").unwrap_or_default();
        return Failure::list(format!("the server refuses with {}", tame(&error)), [tame(&said)]);
    }
    let why = match text_of(page, "verify") {
        Some(_) => "the server asks for a second factor".to_owned(),
        None => format!("the page ({}) has neither #login nor #approve", answer.status()),
    };
    Failure::list(why, ["sign in with the browser, without --username"])
}
