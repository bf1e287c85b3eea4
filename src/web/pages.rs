//! What each page shows: one struct per page, drawn by the template of the same name under `templates/`.
//!
//! A view holds finished text and links and decides nothing: whoever builds it has already chosen which client, which
//! message and which address to show. Every string is escaped by the template engine, so a view takes names and
//! descriptions as they are stored. Escaping does not make an address safe to follow: a field called `…_uri` or
//! `…_href` must already be http(s) or a path of this server. Pages load nothing but the style sheet
//! (`style.css`), so they render unchanged under a content security policy without exceptions; [`FormPost`] alone has a script.

use askama::Template;

use crate::oauth::explanation::Explanation;
use crate::oauth::explanations::Record;

/// What every page needs around its content.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Address of the style sheet, with the hash of its content in its name.
    pub css_href: String,
    /// Address of the icon, named likewise.
    pub icon_href: String,
    /// Where the name in the header leads; `None` draws it as plain text, so that a half-done sign-in is not left by accident.
    pub home_href: Option<String>,
}

/// The sign-in form. Posts `csrf`, `username` and `password`.
#[derive(Template)]
#[template(path = "login.html")]
pub struct Login {
    /// Head of the page.
    pub layout: Layout,
    /// Where the form posts to.
    pub action: String,
    /// Token that binds the form to this browser.
    pub csrf: String,
    /// The client the person signs in for, as it calls itself.
    pub client_name: Option<String>,
    /// Host the person goes back to afterwards.
    pub client_host: Option<String>,
    /// The client's logo. Only an address on this server or a `data:` URI belongs here: a third party's picture would
    /// tell that party who signs in.
    pub logo_uri: Option<String>,
    /// The client's privacy policy.
    pub policy_uri: Option<String>,
    /// The client's terms of service.
    pub tos_uri: Option<String>,
    /// The client's own page.
    pub client_uri: Option<String>,
    /// What the username field starts with (`login_hint`, or the last attempt); it stays editable.
    pub username: String,
    /// Why the last attempt failed, in words that do not say which of the two was wrong.
    pub error: Option<String>,
    /// Something to know that is not an error, such as "Please sign in again".
    pub notice: Option<String>,
}

/// People to sign in as by a click, in `dev`. Posts `csrf` and `person`.
#[derive(Template)]
#[template(path = "people.html")]
pub struct People {
    /// Head of the page.
    pub layout: Layout,
    /// Where the form posts to.
    pub action: String,
    /// Where the password page is.
    pub password_href: String,
    /// Token that binds the form to this browser.
    pub csrf: String,
    /// The client's name, or its id where it has no name.
    pub client_name: String,
    /// Who can be picked.
    pub people: Vec<Person>,
    /// Whether somebody else can be named, who is made then.
    pub takes_names: bool,
    /// Why the last name will not do.
    pub error: Option<String>,
}

/// Somebody to sign in as.
pub struct Person {
    /// The user's id.
    pub id: String,
    /// The user's name.
    pub label: String,
}

/// The consent form. Posts `csrf` and `decision`, which is `approve` or `deny`.
#[derive(Template)]
#[template(path = "consent.html")]
pub struct Consent {
    /// Head of the page.
    pub layout: Layout,
    /// Where the form posts to.
    pub action: String,
    /// Token that binds the form to this browser.
    pub csrf: String,
    /// The client's name, or its id where it has no name.
    pub client_name: String,
    /// The client's `client_id`, shown because a name can be anything.
    pub client_id: String,
    /// Host of the redirect URI the answer goes to.
    pub redirect_host: String,
    /// Who is signed in.
    pub user_label: String,
    /// What is asked for, in the order of the request.
    pub scopes: Vec<ScopeLine>,
    /// The client's logo; see [`Login::logo_uri`].
    pub logo_uri: Option<String>,
    /// The client's privacy policy.
    pub policy_uri: Option<String>,
    /// The client's terms of service.
    pub tos_uri: Option<String>,
    /// The client's own page.
    pub client_uri: Option<String>,
    /// Whether nobody vouches for what the client says of itself.
    pub unverified: bool,
    /// The host that the client is described at, where that is what it is known by.
    pub described_at: Option<String>,
    /// Hosts of the resources that the access is for.
    pub resource_hosts: Vec<String>,
}

/// The choice between going on as whoever is signed in and signing in as somebody else. Posts `csrf` and `decision`, which is
/// `continue` or `another`.
#[derive(Template)]
#[template(path = "select_account.html")]
pub struct SelectAccount {
    /// Head of the page.
    pub layout: Layout,
    /// Where the form posts to.
    pub action: String,
    /// Token that binds the form to this browser.
    pub csrf: String,
    /// The client's name, or its id where it has no name.
    pub client_name: String,
    /// Host the person goes back to afterwards.
    pub client_host: String,
    /// Who is signed in.
    pub user_label: String,
    /// The name that person signs in with, where it is not the label.
    pub user_name: Option<String>,
    /// The client's logo; see [`Login::logo_uri`].
    pub logo_uri: Option<String>,
    /// The client's own page.
    pub client_uri: Option<String>,
    /// The client's privacy policy.
    pub policy_uri: Option<String>,
    /// The client's terms of service.
    pub tos_uri: Option<String>,
}

/// An answer that the browser posts to a client: at once by a script, or by a button where there is none.
#[derive(Template)]
#[template(path = "form_post.html")]
pub struct FormPost {
    /// Head of the page.
    pub layout: Layout,
    /// Address of the script.
    pub script_href: String,
    /// The client's redirect URI.
    pub action: String,
    /// Its host, for people.
    pub client_host: String,
    /// Names and values of the answer.
    pub members: Vec<(&'static str, String)>,
}

/// One scope on the consent page.
#[derive(Clone, Debug)]
pub struct ScopeLine {
    /// The scope token, as in the request.
    pub name: String,
    /// What it allows, in words; empty where nothing is known about it.
    pub description: String,
    /// Whether this person allowed it to this client before.
    pub already_granted: bool,
}

/// A request that cannot go on, told to a person.
#[derive(Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    /// Head of the page.
    pub layout: Layout,
    /// The heading; `None` is "Error". The word "Error" stands on the page either way.
    pub title: Option<String>,
    /// The error code of RFC 6749 or `OpenID` Connect, in `#error`.
    pub error: String,
    /// What happened, in `#error_description`.
    pub description: String,
    /// The `X-Request-Id` of the answer, under which the log has the details.
    pub request_id: String,
    /// What to change so that it works.
    pub hint: Option<String>,
    /// What was looked at, in `dev`.
    pub explanation: Option<Explanation>,
}

/// A form that expired, was used, or was opened in another browser.
#[derive(Template)]
#[template(path = "start_again.html")]
pub struct StartAgain {
    /// Head of the page.
    pub layout: Layout,
    /// Why the form cannot be used, as a sentence.
    pub reason: String,
    /// Where "Start again" leads.
    pub href: String,
}

/// Asks before ending a session. Posts `csrf` and the parameters of the logout request.
#[derive(Template)]
#[template(path = "logout_confirm.html")]
pub struct LogoutConfirm {
    /// Head of the page.
    pub layout: Layout,
    /// Where the form posts to.
    pub action: String,
    /// Token that binds the form to this browser.
    pub csrf: String,
    /// Who is signed in.
    pub user_label: String,
    /// Names and values of hidden fields: the logout request, carried over.
    pub params: Vec<(String, String)>,
    /// Where "Stay signed in" leads.
    pub cancel: String,
}

/// The end of a session.
#[derive(Template)]
#[template(path = "signed_out.html")]
pub struct SignedOut {
    /// Head of the page.
    pub layout: Layout,
    /// Pages of clients to load, so that they end their own sessions (Front-Channel Logout §3); the browser goes on once they have.
    pub frames: Vec<String>,
    /// Address and text of the link onwards, where there is one.
    pub continue_to: Option<(String, String)>,
    /// Whether the browser follows it by itself.
    pub leads_back: bool,
}

/// Before the browser leaves for a client for which nobody vouched.
#[derive(Template)]
#[template(path = "leave.html")]
pub struct Leave {
    /// Head of the page.
    pub layout: Layout,
    /// Host the link leads to.
    pub host: String,
    /// The link.
    pub href: String,
}

/// The frame by which pages of clients notice that the session changed. It shows nothing.
#[derive(Template)]
#[template(path = "check_session.html")]
pub struct CheckSession {
    /// Address of its script.
    pub script_href: String,
    /// Name of the cookie that the script reads.
    pub cookie: String,
}

/// The sign-in page for somebody who is signed in and has nowhere to go. Posts `csrf` to sign out.
#[derive(Template)]
#[template(path = "signed_in.html")]
pub struct SignedIn {
    /// Head of the page.
    pub layout: Layout,
    /// Who is signed in.
    pub user_label: String,
    /// Where the sign-out form posts to.
    pub action: String,
    /// Token that binds the form to this browser.
    pub csrf: String,
}

/// The root page of a server in real use. It says no more than discovery does.
#[derive(Template)]
#[template(path = "welcome.html")]
pub struct Welcome {
    /// Head of the page.
    pub layout: Layout,
    /// The issuer identifier.
    pub issuer: String,
    /// Address of the discovery document.
    pub discovery_href: String,
}

/// The start page of `countersign dev`. It prints secrets, so it belongs to demo resources only.
#[derive(Template)]
#[template(path = "dev_home.html")]
pub struct DevHome {
    /// Head of the page.
    pub layout: Layout,
    /// The issuer identifier.
    pub issuer: String,
    /// Whose stand-in it is, if anybody's.
    pub dialect: Option<String>,
    /// Whether whoever is named is accepted.
    pub permissive: bool,
    /// Where containers reach the server, if not at the issuer.
    pub internal_url: Option<String>,
    /// What is probably wrong with how the server is reached.
    pub advice: Vec<String>,
    /// Why the bundles on disk are not what is in force; empty where they are.
    pub bundle_problems: Vec<String>,
    /// Version of the server.
    pub version: String,
    /// The database in words, such as "`SQLite`, in memory"; no credentials.
    pub database: String,
    /// Demo clients for people signing in.
    pub clients: Vec<DemoClient>,
    /// Demo users.
    pub users: Vec<DemoUser>,
    /// Where "Try the code flow" leads.
    pub try_href: String,
    /// Where every flow can be tried.
    pub sandbox_href: String,
    /// A shell command that works when pasted; may have several lines.
    pub curl: String,
    /// The last refusals, newest first.
    pub refusals: Vec<Refusal>,
    /// `client_id` of the client that may change everything.
    pub admin_client_id: String,
    /// Its secret.
    pub admin_client_secret: String,
    /// Names and URLs of the endpoints.
    pub endpoints: Vec<(String, String)>,
}

/// A refusal on the start page.
pub struct Refusal {
    /// Where it is explained.
    pub href: String,
    /// What there is to tell.
    pub record: Record,
}

/// Why a request was refused, in `dev`.
#[derive(Template)]
#[template(path = "dev_explanation.html")]
pub struct DevExplanation {
    /// Head of the page.
    pub layout: Layout,
    /// What there is to tell.
    pub record: Record,
}

/// A client on the start page.
#[derive(Clone)]
pub struct DemoClient {
    /// The `client_id`.
    pub id: String,
    /// The secret; `None` is a public client, which uses PKCE alone.
    pub secret: Option<String>,
    /// Registered redirect URIs; empty for a client without a browser flow.
    pub redirect_uris: Vec<String>,
}

/// A user on the start page.
#[derive(Clone)]
pub struct DemoUser {
    /// The user name.
    pub name: String,
    /// The password.
    pub password: String,
}
