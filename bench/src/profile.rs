//! The profile of a server: where its endpoints are, and the clients and people that the scenarios use. Written by
//! [`crate::prepare`] for Countersign and by [`crate::floor`] for the floor; for any other server, by hand.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::Result;

/// A server, as the scenarios see it. Paths may be whole URLs of the same server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// What the report calls it.
    pub(crate) name: String,
    /// `http://` and a loopback host.
    pub(crate) base_url: Url,
    #[serde(default = "paths::discovery")]
    pub(crate) discovery: String,
    #[serde(default = "paths::jwks")]
    pub(crate) jwks: String,
    #[serde(default = "paths::token")]
    pub(crate) token: String,
    #[serde(default = "paths::introspection")]
    pub(crate) introspection: String,
    #[serde(default = "paths::userinfo")]
    pub(crate) userinfo: String,
    #[serde(default = "paths::authorization")]
    pub(crate) authorization: String,
    pub(crate) clients: Clients,
    /// Who signs in.
    pub(crate) users: Option<Users>,
    #[serde(default)]
    pub(crate) login: Login,
}

/// The clients; a scenario whose client is missing cannot run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Clients {
    /// Gets opaque access tokens by `client_credentials`.
    pub(crate) opaque: Option<Client>,
    /// Gets JWTs signed so.
    pub(crate) es256: Option<Client>,
    pub(crate) eddsa: Option<Client>,
    pub(crate) rs256: Option<Client>,
    /// May use the code flow without asking, with refresh tokens.
    pub(crate) code: Option<Client>,
    /// May introspect the tokens of the others.
    pub(crate) introspector: Option<Client>,
    /// Many clients like `opaque`: `{n}` in the id is the number of one, below `count`.
    pub(crate) many: Option<Client>,
}

/// A client and how it speaks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) redirect_uri: Option<String>,
    /// Where it sends token requests, unless to `token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// Where it sends refresh requests, unless to the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh: Option<String>,
    /// How many there are of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u32>,
}

/// People: `{n}` in the name is the number of one, below `count`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Users {
    pub(crate) username: String,
    pub(crate) password: String,
    #[serde(default = "one")]
    pub(crate) count: u32,
}

/// How to get through the pages between the authorization endpoint and the code.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Login {
    /// The name of the login form's field for the user name.
    pub(crate) username_field: String,
    /// The name of its field for the password.
    pub(crate) password_field: String,
    /// More fields of the login form, beyond those that it has filled in itself.
    pub(crate) fields: Vec<(String, String)>,
    /// The fields of the consent page's form, where there is such a page.
    pub(crate) consent: Vec<(String, String)>,
    /// An endpoint that verifies a name and a password and does nothing else: a sign-in is a POST to it alone. For a floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) check: Option<String>,
}

impl Default for Login {
    fn default() -> Self {
        Self {
            username_field: "username".to_owned(),
            password_field: "password".to_owned(),
            fields: Vec::new(),
            consent: Vec::new(),
            check: None,
        }
    }
}

const fn one() -> u32 {
    1
}

/// The paths of Countersign, which a profile need not repeat.
mod paths {
    pub(super) fn discovery() -> String {
        "/.well-known/openid-configuration".to_owned()
    }
    pub(super) fn jwks() -> String {
        "/.well-known/jwks.json".to_owned()
    }
    pub(super) fn token() -> String {
        "/oauth2/token".to_owned()
    }
    pub(super) fn introspection() -> String {
        "/oauth2/introspect".to_owned()
    }
    pub(super) fn userinfo() -> String {
        "/oauth2/userinfo".to_owned()
    }
    pub(super) fn authorization() -> String {
        "/oauth2/authorize".to_owned()
    }
}

impl Profile {
    /// A profile with Countersign's paths.
    pub(crate) fn new(name: &str, base_url: Url) -> Self {
        Self {
            name: name.to_owned(),
            base_url,
            discovery: paths::discovery(),
            jwks: paths::jwks(),
            token: paths::token(),
            introspection: paths::introspection(),
            userinfo: paths::userinfo(),
            authorization: paths::authorization(),
            clients: Clients::default(),
            users: None,
            login: Login::default(),
        }
    }

    /// Reads a profile in YAML or JSON.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).map_err(|error| format!("{}: {error}", path.display()).into())
    }

    fn parse(text: &str) -> Result<Self> {
        let profile: Self = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        profile.address()?;
        Ok(profile)
    }

    /// Writes it as JSON; `-` is the standard output.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        crate::report::write_to(path, &text)
    }

    /// Where the server listens: on this machine, or it is not measured. Load on other people's servers is not for this program.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        if self.base_url.scheme() != "http" {
            return Err("base_url must begin with http://: TLS is not what is measured".into());
        }
        let host = self.base_url.host_str().ok_or("base_url has no host")?;
        let port = self.base_url.port_or_known_default().unwrap_or(80);
        let mut addresses: Vec<SocketAddr> = (host.trim_matches(['[', ']']), port)
            .to_socket_addrs()
            .map_err(|error| format!("base_url: {host}: {error}"))?
            .filter(|address| address.ip().is_loopback())
            .collect();
        addresses.sort_by_key(SocketAddr::is_ipv6);
        addresses.first().copied().ok_or_else(|| format!("base_url: {host} is not this machine").into())
    }

    /// Host and port as they stand in a request's head.
    pub(crate) fn host(&self) -> String {
        let host = self.base_url.host_str().unwrap_or_default();
        self.base_url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Path and query of an endpoint.
    pub(crate) fn path(&self, endpoint: &str) -> Result<String> {
        let url = self.base_url.join(endpoint).map_err(|error| format!("{endpoint}: {error}"))?;
        if url.origin() != self.base_url.origin() {
            return Err(format!("{endpoint} is at another server than base_url").into());
        }
        Ok(url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path())))
    }
}

impl Client {
    /// The number `n` of many.
    pub(crate) fn numbered(&self, n: u32) -> Self {
        Self { id: self.id.replace("{n}", &n.to_string()), ..self.clone() }
    }
}

impl Users {
    /// The name of the person who uses this connection.
    pub(crate) fn name(&self, connection: usize) -> String {
        let n = u32::try_from(connection).unwrap_or_default() % self.count.max(1);
        self.username.replace("{n}", &n.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "
name: Another server
base_url: http://127.0.0.1:4444
token: /token
clients:
  opaque: { id: a, secret: b, scope: read }
users: { username: 'user-{n}', password: p, count: 3 }
login: { username_field: login }
";

    #[test]
    fn yaml_and_json_are_read_and_defaults_filled_in() {
        let profile = Profile::parse(YAML).unwrap();
        assert_eq!(profile.path(&profile.token).unwrap(), "/token");
        assert_eq!(profile.path(&profile.jwks).unwrap(), "/.well-known/jwks.json");
        assert_eq!(profile.login.username_field, "login");
        assert_eq!(profile.login.password_field, "password");
        assert_eq!(profile.users.as_ref().unwrap().name(4), "user-1");
        let json = serde_json::to_string(&profile).unwrap();
        assert_eq!(Profile::parse(&json).unwrap().clients.opaque.unwrap().scope.as_deref(), Some("read"));
    }

    #[test]
    fn only_this_machine_is_measured() {
        for base_url in ["http://192.0.2.1/", "https://127.0.0.1/", "http://[2001:db8::1]:80/"] {
            assert!(
                Profile::parse(&YAML.replace("http://127.0.0.1:4444", &format!("'{base_url}'"))).is_err(),
                "{base_url}"
            );
        }
        let profile = Profile::parse(&YAML.replace("127.0.0.1", "localhost")).unwrap();
        assert_eq!((profile.host().as_str(), profile.address().unwrap().port()), ("localhost:4444", 4444));
    }

    #[test]
    fn a_misspelt_key_and_an_endpoint_elsewhere_are_errors() {
        assert!(Profile::parse(&YAML.replace("token:", "tokens:")).is_err());
        let profile = Profile::parse(YAML).unwrap();
        assert!(profile.path("http://127.0.0.1:4445/token").is_err());
        assert_eq!(profile.path("http://127.0.0.1:4444/a?b=c").unwrap(), "/a?b=c");
    }
}
