//! What one connection does, step by step. A step is one operation with all its requests; whatever answer is not the expected one is
//! a failure.

use std::sync::Arc;

use super::browser::{Browser, VERIFIER, code_of};
use super::http::{Answer, Connection, Credentials, Requests, form};
use crate::Result;
use crate::profile::{Client, Profile};

/// How a client proves itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authentication {
    Basic,
    Body,
}

/// The work of one connection.
#[derive(Debug)]
pub(crate) enum Work {
    /// The same request again and again; the answer has to hold this text.
    Repeat {
        request: Vec<u8>,
        wants: Wants,
    },
    /// A `client_credentials` request of another client each time.
    Many(Box<Many>),
    Refresh(Box<Refresh>),
    Code(Box<Code>),
    Login(Box<Login>),
    Mixed(Box<Mixed>),
    Introspections(Box<Introspections>),
    Refreshes(Box<Refreshes>),
}

/// What makes an answer the right one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wants {
    /// A JSON member with text.
    Text(&'static str),
    /// A JSON member that is true.
    True(&'static str),
    /// Status 200.
    Ok,
}

impl Wants {
    fn check(self, answer: &Answer<'_>) -> Result<()> {
        let right = match self {
            Self::Text(name) => answer.text(name).is_some(),
            Self::True(name) => answer.is_true(name),
            Self::Ok => true,
        };
        if answer.status == 200 && right { Ok(()) } else { Err(answer.describe().into()) }
    }
}

impl Work {
    /// Does one operation.
    pub(crate) async fn step(&mut self, connection: &mut Connection) -> Result<()> {
        match self {
            Self::Repeat { request, wants } => wants.check(&connection.exchange(request).await?),
            Self::Many(many) => many.step(connection).await,
            Self::Refresh(refresh) => refresh.step(connection).await,
            Self::Code(code) => code.step(connection).await,
            Self::Login(login) => login.step(connection).await,
            Self::Mixed(mixed) => mixed.step(connection).await,
            Self::Introspections(many) => many.step(connection).await,
            Self::Refreshes(many) => many.step(connection).await,
        }
    }
}

/// A client's token requests.
#[derive(Clone, Debug)]
pub(crate) struct TokenRequests {
    requests: Requests,
    path: String,
    refresh_path: String,
    client: Client,
}

impl TokenRequests {
    pub(crate) fn new(profile: &Profile, client: &Client) -> Result<Self> {
        let token = client.token.as_deref().unwrap_or(&profile.token);
        Ok(Self {
            requests: Requests { host: profile.host() },
            path: profile.path(token)?,
            refresh_path: profile.path(client.refresh.as_deref().unwrap_or(token))?,
            client: client.clone(),
        })
    }

    pub(crate) fn client_credentials(&self, authentication: Authentication) -> Vec<u8> {
        let mut fields = vec![("grant_type", "client_credentials")];
        fields.extend(self.client.scope.as_deref().map(|scope| ("scope", scope)));
        self.send(&self.path, authentication, fields)
    }

    fn code(&self, code: &str) -> Vec<u8> {
        let mut fields = vec![("grant_type", "authorization_code"), ("code", code), ("code_verifier", VERIFIER)];
        fields.extend(self.client.redirect_uri.as_deref().map(|uri| ("redirect_uri", uri)));
        self.send(&self.path, Authentication::Basic, fields)
    }

    fn refresh(&self, token: &str) -> Vec<u8> {
        let fields = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
        self.send(&self.refresh_path, Authentication::Basic, fields)
    }

    fn send<'a>(&'a self, path: &str, authentication: Authentication, mut fields: Vec<(&'a str, &'a str)>) -> Vec<u8> {
        let Client { id, secret, .. } = &self.client;
        let credentials = match authentication {
            Authentication::Basic => Credentials::Basic(id, secret),
            Authentication::Body => {
                fields.extend([("client_id", id.as_str()), ("client_secret", secret)]);
                Credentials::None
            }
        };
        self.requests.form(path, credentials, &form(fields))
    }
}

/// The tokens of a code flow.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
}

impl Tokens {
    fn of(answer: &Answer<'_>) -> Result<Self> {
        let access = answer.text("access_token").filter(|_| answer.status == 200).ok_or_else(|| answer.describe())?;
        Ok(Self { access: access.to_owned(), refresh: answer.text("refresh_token").map(str::to_owned) })
    }
}

/// A small generator of numbers that look random (splitmix64); the same ones for the same seed.
#[derive(Debug)]
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit.max(1)
    }
}

/// A request of one of many clients, at random.
#[derive(Debug)]
pub(crate) struct Many {
    pub(crate) requests: Arc<[Vec<u8>]>,
    pub(crate) numbers: Numbers,
}

impl Many {
    /// The requests of all of them, ready.
    pub(crate) fn requests(profile: &Profile, client: &Client) -> Result<Arc<[Vec<u8>]>> {
        let one = |n| Ok(TokenRequests::new(profile, &client.numbered(n))?.client_credentials(Authentication::Basic));
        (0..client.count.unwrap_or(1)).map(one).collect()
    }

    async fn step(&mut self, connection: &mut Connection) -> Result<()> {
        let number = usize::try_from(self.numbers.below(self.requests.len() as u64))?;
        let request = self.requests.get(number).ok_or("there are no clients")?;
        Wants::Text("access_token").check(&connection.exchange(request).await?)
    }
}

/// Refreshing, each time with the token of the time before.
#[derive(Debug)]
pub(crate) struct Refresh {
    requests: TokenRequests,
    token: String,
}

impl Refresh {
    pub(crate) fn new(requests: TokenRequests, tokens: Tokens) -> Result<Self> {
        let token = tokens
            .refresh
            .ok_or("the code flow gives no refresh token; does the scope of clients.code ask for one?")?;
        Ok(Self { requests, token })
    }

    async fn step(&mut self, connection: &mut Connection) -> Result<()> {
        let answer = connection.exchange(&self.requests.refresh(&self.token)).await?;
        let tokens = Tokens::of(&answer)?;
        // A server that does not rotate goes on with the same one.
        if let Some(next) = tokens.refresh {
            self.token = next;
        }
        Ok(())
    }
}

/// The code flow of somebody who is signed in: the authorization request with the cookie, then the token request.
#[derive(Debug)]
pub(crate) struct Code {
    authorization: Vec<u8>,
    requests: TokenRequests,
}

impl Code {
    /// For a browser that has signed in.
    pub(crate) fn new(browser: &Browser, requests: TokenRequests) -> Self {
        Self { authorization: browser.request(), requests }
    }

    async fn step(&mut self, connection: &mut Connection) -> Result<()> {
        let answer = connection.exchange(&self.authorization).await?;
        let code = answer.header("location").and_then(code_of).ok_or_else(|| answer.describe())?;
        let request = self.requests.code(code);
        Tokens::of(&connection.exchange(&request).await?).map(drop)
    }
}

/// A whole sign-in by somebody without cookies: pages, password, code, tokens.
#[derive(Debug)]
pub(crate) struct Login {
    browser: Browser,
    requests: TokenRequests,
    check: Option<Vec<u8>>,
}

impl Login {
    pub(crate) fn new(profile: &Profile, client: &Client, number: usize) -> Result<Self> {
        let users = profile.users.as_ref().ok_or("the profile has no users")?;
        let fields = form([("username", users.name(number).as_str()), ("password", &users.password)]);
        let requests = Requests { host: profile.host() };
        let check = profile
            .login
            .check
            .as_deref()
            .map(|check| profile.path(check).map(|path| requests.form(&path, Credentials::None, &fields)));
        Ok(Self {
            browser: Browser::new(profile, client, number)?,
            requests: TokenRequests::new(profile, client)?,
            check: check.transpose()?,
        })
    }

    /// Signs in for good: what is asked next comes from a browser that is known.
    pub(crate) async fn tokens(&mut self, connection: &mut Connection) -> Result<Tokens> {
        let code = self.browser.code(connection).await?;
        Tokens::of(&connection.exchange(&self.requests.code(&code)).await?)
    }

    /// The code flow as this browser goes on with it.
    pub(crate) fn code(&self) -> Code {
        Code::new(&self.browser, self.requests.clone())
    }

    async fn step(&mut self, connection: &mut Connection) -> Result<()> {
        if let Some(check) = &self.check {
            return Wants::Ok.check(&connection.exchange(check).await?);
        }
        self.browser.forget();
        self.tokens(connection).await.map(drop)
    }
}

/// A day: of twenty operations fourteen introspections, three refreshes, two code flows and a login.
#[derive(Debug)]
pub(crate) struct Mixed {
    pub(crate) introspection: Work,
    pub(crate) refresh: Work,
    pub(crate) code: Work,
    pub(crate) login: Work,
    pub(crate) numbers: Numbers,
}

impl Mixed {
    async fn step(&mut self, connection: &mut Connection) -> Result<()> {
        let work = match self.numbers.below(20) {
            0..14 => &mut self.introspection,
            14..17 => &mut self.refresh,
            17..19 => &mut self.code,
            _ => &mut self.login,
        };
        Box::pin(work.step(connection)).await
    }
}

/// Introspecting one of many filled-in tokens, at random.
#[derive(Debug)]
pub(crate) struct Introspections {
    pub(crate) requests: Requests,
    pub(crate) path: String,
    pub(crate) client: Client,
    pub(crate) filled: crate::fill::Filled,
    pub(crate) numbers: Numbers,
}

impl Introspections {
    async fn step(&mut self, connection: &mut Connection) -> Result<()> {
        let token = self.filled.access_token(self.numbers.below(self.filled.rows));
        let credentials = Credentials::Basic(&self.client.id, &self.client.secret);
        let request = self.requests.form(&self.path, credentials, &form([("token", token.as_str())]));
        Wants::True("active").check(&connection.exchange(&request).await?)
    }
}

/// Refreshing another of many filled-in tokens each time, all over the table.
#[derive(Debug)]
pub(crate) struct Refreshes {
    pub(crate) requests: TokenRequests,
    pub(crate) filled: crate::fill::Filled,
}

impl Refreshes {
    async fn step(&mut self, connection: &mut Connection) -> Result<()> {
        let token = self.filled.fresh_refresh_token()?;
        Tokens::of(&connection.exchange(&self.requests.refresh(&token)).await?).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_spread_and_repeat() {
        let draw = |seed| {
            let mut numbers = Numbers(seed);
            (0..2000).map(|_| numbers.below(20)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let introspections = draw(3).iter().filter(|n| **n < 14).count();
        assert!((1300..1500).contains(&introspections), "{introspections}");
    }

    #[test]
    fn secrets_go_into_the_head_or_the_body() {
        let client = Client { id: "a".to_owned(), secret: "b".to_owned(), ..Client::default() };
        let profile = Profile::new("x", "http://localhost:1".parse().unwrap());
        let requests = TokenRequests::new(&profile, &client).unwrap();
        let text = |authentication| String::from_utf8(requests.client_credentials(authentication)).unwrap();
        assert!(text(Authentication::Basic).ends_with("\r\n\r\ngrant_type=client_credentials"));
        assert!(text(Authentication::Body).ends_with("grant_type=client_credentials&client_id=a&client_secret=b"));
        assert!(!text(Authentication::Body).contains("Authorization"));
    }
}
