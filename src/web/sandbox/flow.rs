//! The flows of the sandbox: what each is for, what it asks for, which clients can use it, and the request it makes.

use std::sync::Arc;

use super::call::{Call, PASSWORD, Proof, Value};
use super::views::{Field, Form, Input, Problem, Step};
use crate::domain::client::{Client, GrantType, Introspect};
use crate::domain::internal::Internal;
use crate::domain::secret::Secret;
use crate::oauth::Params;
use crate::web::App;
use crate::web::dev;

/// A page has no more clients to choose from than this; others can be named.
const CLIENTS: i64 = 200;

/// A flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    AuthorizationCode,
    Pkce,
    ClientCredentials,
    Password,
    Refresh,
    Userinfo,
    Introspection,
    Revocation,
    Logout,
}

/// The start page: its headings, and the flows below them.
pub(super) const GROUPS: [(&str, &[Flow]); 3] = [
    ("Get tokens", &[Flow::AuthorizationCode, Flow::Pkce, Flow::ClientCredentials, Flow::Password]),
    ("Use tokens", &[Flow::Refresh, Flow::Userinfo, Flow::Introspection]),
    ("End them", &[Flow::Revocation, Flow::Logout]),
];

impl Flow {
    /// Its name in the address.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::Pkce => "pkce",
            Self::ClientCredentials => "client_credentials",
            Self::Password => "password",
            Self::Refresh => "refresh",
            Self::Userinfo => "userinfo",
            Self::Introspection => "introspection",
            Self::Revocation => "revocation",
            Self::Logout => "logout",
        }
    }

    /// The flow of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        GROUPS.iter().flat_map(|(_, flows)| flows.iter()).copied().find(|flow| flow.name() == name)
    }

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "Authorization code",
            Self::Pkce => "Public client with PKCE",
            Self::ClientCredentials => "Client credentials",
            Self::Password => "Password",
            Self::Refresh => "Refresh",
            Self::Userinfo => "Userinfo",
            Self::Introspection => "Introspection",
            Self::Revocation => "Revocation",
            Self::Logout => "Logout",
        }
    }

    /// When an application uses it.
    pub(super) const fn when(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "A person signs in to a web application, whose server keeps a secret.",
            Self::Pkce => {
                "A person signs in to an application that can keep no secret: in the browser, on a phone, on a desk."
            }
            Self::ClientCredentials => "A program acts for itself, and nobody is there to sign in.",
            Self::Password => "An old application takes the password itself. Where you can choose, use the code flow.",
            Self::Refresh => "The access token has expired, and the person need not come back.",
            Self::Userinfo => "An application asks who signed in.",
            Self::Introspection => "An API was handed a token, and asks whether it holds and what it stands for.",
            Self::Revocation => "An application gives back a token that it no longer needs.",
            Self::Logout => "A person leaves: the session ends, and every application in it is told.",
        }
    }

    /// The specification, under the heading.
    pub(super) const fn lead(self) -> &'static str {
        match self {
            Self::AuthorizationCode => {
                "RFC 6749 §4.1, with PKCE (RFC 7636) unless you leave it out. The browser fetches a code, and the application trades it for tokens."
            }
            Self::Pkce => {
                "RFC 7636 and RFC 9700 §2.1.1: what proves the application is a number that it made for this one request."
            }
            Self::ClientCredentials => "RFC 6749 §4.4",
            Self::Password => "RFC 6749 §4.3, which RFC 9700 §2.4 says must not be used in anything new.",
            Self::Refresh => "RFC 6749 §6. Each refresh answers a new refresh token, and the old one is spent.",
            Self::Userinfo => "OpenID Connect Core §5.3",
            Self::Introspection => {
                "RFC 7662. A client sees its own tokens and those meant for it, unless its document says introspect: any."
            }
            Self::Revocation => "RFC 7009. A refresh token takes everything along that came of the same sign-in.",
            Self::Logout => {
                "OpenID Connect RP-Initiated Logout 1.0. With the ID token of this session nothing is asked."
            }
        }
    }

    pub(super) const fn send(self) -> &'static str {
        match self {
            Self::AuthorizationCode | Self::Pkce => "Start in this browser",
            Self::Logout => "Sign out in this browser",
            _ => "Send the request",
        }
    }

    /// The grant whose settings decide how the client proves itself.
    pub(super) const fn grant(self) -> Option<GrantType> {
        match self {
            Self::AuthorizationCode | Self::Pkce => Some(GrantType::AuthorizationCode),
            Self::ClientCredentials => Some(GrantType::ClientCredentials),
            Self::Password => Some(GrantType::Password),
            _ => None,
        }
    }

    /// Whether a client can use it at this sandbox, which has no key of anybody's.
    fn suits(self, app: &App, client: &Client) -> bool {
        let proof = Proof::of(None, Some(client), self.grant());
        let with_a_secret = matches!(proof, Some(Proof::Basic | Proof::Post));
        client.active
            && self.grant().is_none_or(|grant| client.allows(grant))
            && match self {
                Self::AuthorizationCode => proof.is_some() && comes_back(app, client),
                Self::Pkce => proof == Some(Proof::None) && comes_back(app, client),
                Self::ClientCredentials | Self::Introspection => with_a_secret,
                Self::Password | Self::Revocation => proof.is_some(),
                Self::Refresh => {
                    proof.is_some()
                        && (client.allows(GrantType::AuthorizationCode) || client.allows(GrantType::Password))
                }
                Self::Logout => client.allows(GrantType::AuthorizationCode),
                Self::Userinfo => false,
            }
    }
}

/// Where this sandbox is, as a client registers it.
pub(super) fn callback_uri(app: &App) -> String {
    format!("{}/sandbox/callback", app.provider.issuer())
}

/// Whether the client has our callback among its redirect URIs.
pub(super) fn comes_back(app: &App, client: &Client) -> bool {
    let callback = callback_uri(app);
    client.redirect_uris().iter().any(|uri| uri.as_str() == callback)
}

/// The clients of the server, the settings' own among them.
pub(super) async fn clients(app: &App) -> Result<Vec<Arc<Client>>, Internal> {
    app.provider.registry().clients(CLIENTS).await
}

/// The inputs of a flow and its request, from what was posted.
pub(super) struct Inputs {
    pub(super) fields: Vec<Field>,
    pub(super) more: Vec<Field>,
    /// The client that is chosen, where one is and it is known.
    pub(super) client: Option<Arc<Client>>,
    pub(super) client_id: String,
    values: Params,
}

impl Inputs {
    /// Those of a flow, with the values that were posted, or the best to begin with.
    pub(super) async fn of(app: &App, flow: Flow, posted: Option<&Params>) -> Result<Self, Internal> {
        let values = posted.cloned().unwrap_or_default();
        let mut inputs = Self { fields: Vec::new(), more: Vec::new(), client: None, client_id: String::new(), values };
        match flow {
            Flow::Userinfo => inputs.client_id = inputs.values.text("client_id").unwrap_or_default().to_owned(),
            _ => inputs.choose_client(app, flow).await?,
        }
        let first = posted.is_none();
        match flow {
            Flow::AuthorizationCode | Flow::Pkce => {
                inputs.scope(first, &["openid", "profile", "email", "offline_access"]);
                if flow == Flow::AuthorizationCode {
                    inputs.choice("code_challenge_method", "PKCE", &[("S256", "S256"), ("none", "Without")]);
                }
                inputs.another_client();
                inputs.optional(&["prompt", "max_age", "acr_values", "login_hint", "resource"]);
            }
            Flow::ClientCredentials => {
                inputs.secret(app);
                inputs.scope(first, &[]);
                inputs.another_client();
                inputs.proof();
                inputs.optional(&["resource"]);
            }
            Flow::Password => {
                inputs.secret(app);
                let known = app.dev.as_ref().and_then(|dev| dev.users.first()).map(|(name, _)| name.clone());
                inputs.text("username", "User name", known.as_deref().filter(|_| first));
                let hint = inputs.known_password(app).map(|_| "Left empty, the demo's password is used".to_owned());
                inputs.fields.push(secret_field("password", "Password", hint));
                inputs.scope(first, &["openid", "profile", "email"]);
                inputs.another_client();
                inputs.proof();
            }
            Flow::Refresh => {
                inputs.text("refresh_token", "Refresh token", None);
                inputs.secret(app);
                inputs.another_client();
                inputs.proof();
                inputs.optional(&["scope", "resource"]);
            }
            Flow::Userinfo => inputs.text("access_token", "Access token", None),
            Flow::Introspection | Flow::Revocation => {
                inputs.text("token", "Token, of any kind", None);
                inputs.secret(app);
                inputs.another_client();
                inputs.proof();
                let hints = [("", "No hint"), ("access_token", "access_token"), ("refresh_token", "refresh_token")];
                let hint = inputs.choosing("token_type_hint", "Type hint", &hints);
                inputs.more.push(hint);
            }
            Flow::Logout => {
                inputs.text("id_token_hint", "ID token", None);
                inputs.after_logout();
                inputs.another_client();
                inputs.optional(&["state", "logout_hint"]);
            }
        }
        Ok(inputs)
    }

    /// The value of an input.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let mut all = self.fields.iter().chain(&self.more);
        all.find(|field| field.name == name).map(|field| field.value.trim()).filter(|value| !value.is_empty())
    }

    /// Whether the authorization request has a challenge.
    pub(super) fn uses_pkce(&self) -> bool {
        self.value("code_challenge_method") != Some("none")
    }

    /// What keeps the flow from working, whatever is typed.
    pub(super) fn obstacle(&self, app: &App, flow: Flow) -> Option<Problem> {
        if flow == Flow::Password && !app.provider.rules.password_grant {
            return Some(Problem::told(
                "This server does not serve the password grant; the operator turns it on with --allow-grant password",
            ));
        }
        let nobody = self.client_id.is_empty() && matches!(flow, Flow::AuthorizationCode | Flow::Pkce);
        nobody.then(|| Problem {
            meaning: Some("Add this line to auth.authorization_code.redirect_uris of one:".into()),
            copy: Some(format!("- {}", callback_uri(app))),
            ..Problem::told("No client that could use this flow has the sandbox among its redirect URIs")
        })
    }

    /// The form, which posts to this address.
    pub(super) fn form(self, action: String, flow: Flow) -> Form {
        let carried = (flow == Flow::Userinfo && !self.client_id.is_empty()).then_some(("client_id", self.client_id));
        Form {
            action,
            hidden: carried.into_iter().collect(),
            open: self.more.iter().any(|field| !field.value.is_empty()),
            fields: self.fields,
            more: self.more,
            // The request to sign out is the browser's own.
            send: (flow != Flow::Logout).then(|| flow.send()),
            previews: true,
        }
    }

    /// The client by its own name, or by the one that is chosen, or the best there is.
    async fn choose_client(&mut self, app: &App, flow: Flow) -> Result<(), Internal> {
        let registry = app.provider.registry();
        let mut suited = clients(app).await?;
        suited.retain(|client| flow.suits(app, client));
        // One that is carried here may be one of many, or be described elsewhere.
        let carried = self.values.text("client_id").filter(|id| suited.iter().all(|client| client.id != *id));
        if let Some(id) = carried {
            suited.extend(registry.client(id).await?.filter(|client| flow.suits(app, client)));
        }
        // Whoever may look into everything is the best to look; for the rest an application is better than an administrator.
        suited.sort_by_key(|client| match flow {
            Flow::Introspection => client.document.introspect != Introspect::Any,
            _ => client.may_administer(),
        });
        let listed = |id: &str| suited.iter().any(|client| client.id == id);
        let chosen = self.values.text("client_id").filter(|id| listed(id)).map(str::to_owned);
        let first = || suited.first().map(|client| client.id.clone());
        let listed_id = chosen.or_else(first).unwrap_or_default();
        let other = self.values.text("other_client_id").map(str::to_owned);
        self.client_id = other.unwrap_or_else(|| listed_id.clone());
        self.client = match suited.iter().find(|client| client.id == self.client_id) {
            Some(client) => Some(Arc::clone(client)),
            None => registry.client(&self.client_id).await?,
        };
        let options = suited.iter().map(|client| (client.id.clone(), label(client))).collect();
        let hint = suited.is_empty().then(|| "No client of this server can use this flow here".to_owned());
        self.fields.push(Field {
            name: "client_id",
            label: "Client",
            hint,
            value: listed_id,
            input: Input::Choice(options),
        });
        Ok(())
    }

    fn text(&mut self, name: &'static str, label: &'static str, first: Option<&str>) {
        let value = self.values.text(name).or(first).unwrap_or_default().to_owned();
        self.fields.push(Field { name, label, hint: None, value, input: Input::Text });
    }

    /// The scope to begin with, as far as the client may ask for it.
    fn scope(&mut self, first: bool, words: &[&str]) {
        let allowed = self.client.as_ref().and_then(|client| client.allowed_scope());
        let fits = |word: &&&str| allowed.as_ref().is_none_or(|allowed| allowed.contains(word));
        let best = words.iter().filter(fits).copied().collect::<Vec<_>>().join(" ");
        self.text("scope", "Scope", Some(best.as_str()).filter(|_| first));
    }

    fn secret(&mut self, app: &App) {
        let hint = match (self.known_secret(app), &self.client) {
            (Some(_), _) => Some("Left empty, the demo's secret is used".to_owned()),
            (None, Some(client)) if client.is_public() => Some("This client has none".to_owned()),
            _ => Some("Sent once, and kept nowhere".to_owned()),
        };
        self.fields.push(secret_field("client_secret", "Client secret", hint));
    }

    fn choosing(&self, name: &'static str, label: &'static str, options: &[(&str, &str)]) -> Field {
        let said = self.values.text(name).filter(|said| options.iter().any(|(value, _)| value == said));
        let value = said.or(options.first().map(|(value, _)| *value)).unwrap_or_default().to_owned();
        let options = options.iter().map(|(value, label)| ((*value).to_owned(), (*label).to_owned())).collect();
        Field { name, label, hint: None, value, input: Input::Choice(options) }
    }

    fn choice(&mut self, name: &'static str, label: &'static str, options: &[(&str, &str)]) {
        let field = self.choosing(name, label, options);
        self.fields.push(field);
    }

    fn another_client(&mut self) {
        let value = self.values.text("other_client_id").unwrap_or_default().to_owned();
        let hint = Some("Instead of the one above, to see what happens".to_owned());
        self.more.push(Field { name: "other_client_id", label: "Another client ID", hint, value, input: Input::Text });
    }

    fn proof(&mut self) {
        let options = [
            ("", "As it is registered"),
            ("client_secret_basic", "client_secret_basic"),
            ("client_secret_post", "client_secret_post"),
            ("none", "none"),
        ];
        let field = self.choosing("auth_method", "The client proves itself", &options);
        self.more.push(field);
    }

    fn optional(&mut self, names: &[&'static str]) {
        for name in names {
            let value = match *name {
                "resource" => self.values.resources().next().unwrap_or_default(),
                name => self.values.text(name).unwrap_or_default(),
            };
            self.more.push(Field { name, label: name, hint: None, value: value.to_owned(), input: Input::Text });
        }
    }

    /// Where the browser may go after signing out; our own page first.
    fn after_logout(&mut self) {
        let registered = self.client.as_ref().map(|client| client.document.post_logout_redirect_uris.clone());
        let mut uris = registered.unwrap_or_default();
        uris.sort_by_key(|uri| !uri.ends_with("/sandbox/signed_out"));
        let mut options: Vec<(&str, &str)> = uris.iter().map(|uri| (uri.as_str(), uri.as_str())).collect();
        options.push(("", "Stay on the page of this server"));
        self.choice("post_logout_redirect_uri", "Afterwards", &options);
    }

    /// The secret that was typed, else the one that everybody knows.
    pub(super) fn client_secret(&self, app: &App) -> Secret {
        let typed = self.values.secret("client_secret");
        typed.or_else(|| self.known_secret(app).map(Secret::new)).unwrap_or_else(|| Secret::new(""))
    }

    fn known_secret<'a>(&self, app: &'a App) -> Option<&'a str> {
        app.dev.as_ref()?.secret_of(&self.client_id)
    }

    fn known_password<'a>(&self, app: &'a App) -> Option<&'a str> {
        let users = &app.dev.as_ref()?.users;
        let name = self.value("username")?;
        users.iter().find(|(known, _)| known == name).map(|(_, password)| password.as_str())
    }

    /// The variables of the command whose values everybody knows, because nothing else was typed.
    pub(super) fn known<'a>(&self, app: &'a App) -> Vec<(&'static str, &'a str)> {
        let secret = self.known_secret(app).filter(|_| self.values.text("client_secret").is_none());
        let password = self.known_password(app).filter(|_| self.values.text("password").is_none());
        let secret = secret.map(|secret| (super::call::CLIENT_SECRET, secret));
        secret.into_iter().chain(password.map(|password| (PASSWORD, password))).collect()
    }

    /// How the client proves itself.
    pub(super) fn proves(&self, flow: Flow) -> Proof {
        Proof::of(self.value("auth_method"), self.client.as_deref(), flow.grant()).unwrap_or(Proof::Basic)
    }

    /// The request of the application.
    pub(super) fn call(&self, app: &App, flow: Flow) -> Call {
        let open = |call: Call, name: &'static str| call.with(name, self.value(name));
        let by_client = |call: Call| call.proven(self.proves(flow), &self.client_id, self.client_secret(app));
        let token = |grant: &str| by_client(Call::post("/oauth2/token").with("grant_type", Some(grant)));
        match flow {
            Flow::ClientCredentials => open(open(token("client_credentials"), "scope"), "resource"),
            Flow::Password => {
                let mut call = open(token("password"), "username");
                let typed = self.values.secret("password");
                let password = typed.or_else(|| self.known_password(app).map(Secret::new));
                call.form.push(("password", Value::Hidden(PASSWORD, password.unwrap_or_else(|| Secret::new("")))));
                open(call, "scope")
            }
            Flow::Refresh => open(open(open(token("refresh_token"), "refresh_token"), "scope"), "resource"),
            Flow::Introspection => by_client(open(open(Call::post("/oauth2/introspect"), "token"), "token_type_hint")),
            Flow::Revocation => by_client(open(open(Call::post("/oauth2/revoke"), "token"), "token_type_hint")),
            Flow::Userinfo => {
                Call::with_token("/oauth2/userinfo", self.value("access_token").unwrap_or_default().to_owned())
            }
            Flow::AuthorizationCode | Flow::Pkce | Flow::Logout => Call::post("/oauth2/logout"),
        }
    }

    /// The parameters of the browser's logout request.
    pub(super) fn logout(&self) -> Vec<(&'static str, String)> {
        let said = |name: &'static str| self.value(name).map(|value| (name, value.to_owned()));
        let names = ["id_token_hint", "post_logout_redirect_uri", "state", "logout_hint"];
        let client = (!self.client_id.is_empty()).then(|| ("client_id", self.client_id.clone()));
        names.into_iter().filter_map(said).chain(client).collect()
    }

    /// The parameters of the authorization request that a person chose.
    pub(super) fn authorization(&self) -> impl Iterator<Item = (&'static str, String)> + '_ {
        let names = ["scope", "prompt", "max_age", "acr_values", "login_hint", "resource"];
        names.into_iter().filter_map(|name| Some((name, self.value(name)?.to_owned())))
    }
}

fn label(client: &Client) -> String {
    match client.name == client.id || client.id == dev::CLIENT {
        true => client.id.clone(),
        false => format!("{} ({})", client.id, client.name),
    }
}

fn secret_field(name: &'static str, label: &'static str, hint: Option<String>) -> Field {
    Field { name, label, hint, value: String::new(), input: Input::Secret }
}

/// The way to a flow's page, with values to carry.
pub(super) fn step(app: &App, flow: Flow, label: &'static str, carried: Vec<(&'static str, String)>) -> Step {
    Step { action: app.href(&format!("/sandbox/{}", flow.name())), label, carried }
}
