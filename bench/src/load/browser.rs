//! A browser as far as signing in needs one: cookies, redirects, the login page, and a consent page where there is one.

use url::Url;

use super::http::{Answer, Connection, Credentials, Requests, form};
use super::page::Form;
use crate::Result;
use crate::profile::{Client, Profile};

/// The `code_verifier` of every request, and its S256 challenge: the example of RFC 7636, appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Pages and redirects until the code; more is a loop.
const MOST_STEPS: usize = 12;

/// Everything that a browser needs for one client, and its cookies.
#[derive(Debug)]
pub(crate) struct Browser {
    profile: Profile,
    requests: Requests,
    redirect_uri: String,
    /// Path and query of the authorization request.
    authorization: String,
    username: String,
    password: String,
    cookies: Vec<(String, String)>,
}

/// What to do next.
enum Next {
    Get(String),
    Post(String, String),
    Code(String),
}

impl Browser {
    /// A browser without cookies, for the person who uses this connection.
    pub(crate) fn new(profile: &Profile, client: &Client, connection: usize) -> Result<Self> {
        let redirect_uri = client.redirect_uri.clone().ok_or("clients.code needs a redirect_uri")?;
        let query = form([
            ("response_type", "code"),
            ("client_id", &client.id),
            ("redirect_uri", &redirect_uri),
            ("scope", client.scope.as_deref().unwrap_or("openid")),
            ("state", "af0ifjsldkj"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]);
        let path = profile.path(&profile.authorization)?;
        let separator = if path.contains('?') { '&' } else { '?' };
        let users = profile.users.as_ref();
        Ok(Self {
            requests: Requests { host: profile.host() },
            redirect_uri,
            authorization: format!("{path}{separator}{query}"),
            username: users.map(|users| users.name(connection)).unwrap_or_default(),
            password: users.map(|users| users.password.clone()).unwrap_or_default(),
            cookies: Vec::new(),
            profile: profile.clone(),
        })
    }

    /// Throws the cookies away.
    pub(crate) fn forget(&mut self) {
        self.cookies.clear();
    }

    /// The authorization request of a browser with these cookies, as bytes.
    pub(crate) fn request(&self) -> Vec<u8> {
        self.requests.get(&self.authorization, Credentials::Cookie(&self.cookie()))
    }

    /// Goes from the authorization endpoint to the code, through whatever pages there are.
    pub(crate) async fn code(&mut self, connection: &mut Connection) -> Result<String> {
        let mut next = Next::Get(self.authorization.clone());
        for _ in 0..MOST_STEPS {
            let cookie = self.cookie();
            let request = match &next {
                Next::Get(path) => self.requests.get(path, Credentials::Cookie(&cookie)),
                Next::Post(path, body) => self.requests.form(path, Credentials::Cookie(&cookie), body),
                Next::Code(code) => return Ok(code.clone()),
            };
            let answer = connection.exchange(&request).await?;
            self.keep_cookies(&answer);
            let at = match &next {
                Next::Get(path) | Next::Post(path, _) => path,
                Next::Code(_) => "",
            };
            next = self.next(at, &answer).map_err(|why| format!("{why}: at {at}: {}", answer.describe()))?;
        }
        Err("no code after a dozen pages".into())
    }

    fn next(&self, at: &str, answer: &Answer<'_>) -> Result<Next> {
        if let Some(location) = answer.header("location") {
            if location.starts_with(&self.redirect_uri) {
                return Ok(Next::Code(code_of(location).ok_or("there is no code")?.to_owned()));
            }
            return Ok(Next::Get(self.resolve(at, location)?));
        }
        let login = &self.profile.login;
        if let Some(form) = Form::with_field(answer.body, &login.password_field) {
            let own = [(&*login.username_field, &*self.username), (&*login.password_field, &*self.password)];
            let more = login.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            return Ok(Next::Post(self.resolve(at, &form.action)?, form.body(own.into_iter().chain(more))));
        }
        let form = Form::first(answer.body).ok_or("a page without a form")?;
        let consent = login.consent.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Ok(Next::Post(self.resolve(at, &form.action)?, form.body(consent)))
    }

    /// Path and query of a reference on the page `at`.
    fn resolve(&self, at: &str, reference: &str) -> Result<String> {
        let url: Url = self.profile.base_url.join(at)?.join(reference)?;
        self.profile.path(url.as_str())
    }

    fn cookie(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep_cookies(&mut self, answer: &Answer<'_>) {
        for line in answer.headers("set-cookie") {
            let Some((name, value)) = line.split(';').next().and_then(|pair| pair.split_once('=')) else { continue };
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }
}

/// The code in the address that a client gets.
pub(crate) fn code_of(location: &str) -> Option<&str> {
    let query = location.split_once('?')?.1;
    query.split('&').find_map(|pair| pair.strip_prefix("code="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_found_among_other_parameters() {
        assert_eq!(code_of("http://localhost/cb?state=x&code=abc&iss=y"), Some("abc"));
        assert_eq!(code_of("http://localhost/cb?error=access_denied"), None);
        assert_eq!(code_of("http://localhost/cb"), None);
    }

    #[test]
    fn the_challenge_is_that_of_the_verifier() {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, VERIFIER.as_bytes());
        assert_eq!(URL_SAFE_NO_PAD.encode(digest), CHALLENGE);
    }
}
