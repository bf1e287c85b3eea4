//! The scenarios by name, and what each connection has to have before the clock starts.

use std::sync::Arc;

use clap::ValueEnum;

use super::http::{Connection, Credentials, Requests, form};
use super::work::{
    Authentication, Introspections, Login, Many, Mixed, Numbers, Refresh, Refreshes, TokenRequests, Wants, Work,
};
use crate::Result;
use crate::fill::Filled;
use crate::profile::{Client, Profile};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Scenario {
    /// All of them, except large-tables
    All,
    /// The discovery document
    Discovery,
    /// The public keys
    Jwks,
    /// Opaque access tokens by `client_credentials`; the secret by HTTP Basic
    CredentialsOpaque,
    /// The same with the secret in the body
    CredentialsOpaqueBody,
    /// JWT access tokens signed with ES256
    CredentialsEs256,
    /// The same with the secret in the body
    CredentialsEs256Body,
    /// JWT access tokens signed with `EdDSA`
    CredentialsEddsa,
    /// The same with the secret in the body
    CredentialsEddsaBody,
    /// JWT access tokens signed with RS256
    CredentialsRs256,
    /// The same with the secret in the body
    CredentialsRs256Body,
    /// Introspection of a person's opaque token
    Introspection,
    /// Userinfo with a person's opaque token
    Userinfo,
    /// Refreshing, each time with the token of the time before
    Refresh,
    /// The code flow of somebody who is signed in: authorize, then token
    Code,
    /// A whole sign-in: login page, password, code, tokens
    Login,
    /// 70 % introspection, 15 % refresh, 10 % code, 5 % login
    Mixed,
    /// Opaque tokens for one of 10,000 clients at random
    ManyClients,
    /// Introspection, `client_credentials` and refresh with few and with many tokens in the table; needs --database
    LargeTables,
}

use Scenario::{
    All, Code, CredentialsEddsa, CredentialsEddsaBody, CredentialsEs256, CredentialsEs256Body, CredentialsOpaque,
    CredentialsOpaqueBody, CredentialsRs256, CredentialsRs256Body, Discovery, Introspection, Jwks, LargeTables,
    ManyClients, Userinfo,
};

impl Scenario {
    /// Those of `all`, in this order.
    pub(crate) const EVERY: [Self; 17] = [
        Discovery,
        Jwks,
        CredentialsOpaque,
        CredentialsOpaqueBody,
        CredentialsEs256,
        CredentialsEs256Body,
        CredentialsEddsa,
        CredentialsEddsaBody,
        CredentialsRs256,
        CredentialsRs256Body,
        Introspection,
        Userinfo,
        Scenario::Refresh,
        Code,
        Scenario::Login,
        Scenario::Mixed,
        ManyClients,
    ];

    /// Its name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The scenarios that a list of names stands for.
    pub(crate) fn chosen(named: &[Self]) -> Vec<Self> {
        let mut chosen = Vec::new();
        for scenario in named {
            match scenario {
                All => chosen.extend(Self::EVERY),
                one => chosen.push(*one),
            }
        }
        chosen.dedup();
        chosen
    }

    /// How it proves the client.
    const fn authentication(self) -> Authentication {
        match self {
            CredentialsOpaqueBody | CredentialsEs256Body | CredentialsEddsaBody | CredentialsRs256Body => {
                Authentication::Body
            }
            _ => Authentication::Basic,
        }
    }
}

/// What the connections of a scenario have in common.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    profile: Profile,
    requests: Requests,
    /// Tokens that were filled into the table, where that is what is measured.
    filled: Option<Filled>,
    /// The requests of the many clients, where there are some.
    many: Option<Arc<[Vec<u8>]>>,
}

impl Setup {
    pub(crate) fn new(profile: &Profile, scenario: Scenario, filled: Option<Filled>) -> Result<Self> {
        let many = profile.clients.many.as_ref().filter(|_| scenario == ManyClients);
        let many = many.map(|client| Many::requests(profile, client)).transpose()?;
        Ok(Self { profile: profile.clone(), requests: Requests { host: profile.host() }, filled, many })
    }

    /// What the connection of this number does, after everything that has to be there has been made through it.
    pub(crate) async fn work(&self, scenario: Scenario, number: usize, connection: &mut Connection) -> Result<Work> {
        let clients = &self.profile.clients;
        match scenario {
            Discovery => self.get(&self.profile.discovery, Wants::Text("token_endpoint")),
            Jwks => self.get(&self.profile.jwks, Wants::Text("kty")),
            CredentialsOpaque | CredentialsOpaqueBody => {
                self.credentials(clients.opaque.as_ref(), scenario, connection).await
            }
            CredentialsEs256 | CredentialsEs256Body => {
                self.credentials(clients.es256.as_ref(), scenario, connection).await
            }
            CredentialsEddsa | CredentialsEddsaBody => {
                self.credentials(clients.eddsa.as_ref(), scenario, connection).await
            }
            CredentialsRs256 | CredentialsRs256Body => {
                self.credentials(clients.rs256.as_ref(), scenario, connection).await
            }
            ManyClients => Ok(Work::Many(Box::new(Many {
                requests: self.many.clone().ok_or("the profile has no client for many")?,
                numbers: Numbers(number as u64),
            }))),
            Introspection => match &self.filled {
                Some(filled) => Ok(Work::Introspections(Box::new(Introspections {
                    requests: self.requests.clone(),
                    path: self.profile.path(&self.profile.introspection)?,
                    client: named(clients.introspector.as_ref(), "introspector")?.clone(),
                    filled: filled.clone(),
                    numbers: Numbers(number as u64),
                }))),
                None => self.introspection(number, connection).await,
            },
            Userinfo => {
                let tokens = self.login(number)?.tokens(connection).await?;
                let path = self.profile.path(&self.profile.userinfo)?;
                let request = self.requests.get(&path, Credentials::Bearer(&tokens.access));
                repeated(request, Wants::Text("sub"), connection).await
            }
            Scenario::Refresh => match &self.filled {
                Some(filled) => Ok(Work::Refreshes(Box::new(Refreshes {
                    requests: TokenRequests::new(&self.profile, self.code_client()?)?,
                    filled: filled.clone(),
                }))),
                None => self.refresh(number, connection).await,
            },
            Code => self.code(number, connection).await,
            Scenario::Login => Ok(Work::Login(Box::new(self.login(number)?))),
            Scenario::Mixed => Ok(Work::Mixed(Box::new(Mixed {
                introspection: self.introspection(number, connection).await?,
                refresh: self.refresh(number, connection).await?,
                code: self.code(number, connection).await?,
                login: Work::Login(Box::new(self.login(number)?)),
                numbers: Numbers(number as u64),
            }))),
            All | LargeTables => Err("this is a name for several scenarios".into()),
        }
    }

    fn get(&self, endpoint: &str, wants: Wants) -> Result<Work> {
        Ok(Work::Repeat { request: self.requests.get(&self.profile.path(endpoint)?, Credentials::None), wants })
    }

    async fn credentials(
        &self,
        client: Option<&Client>,
        scenario: Scenario,
        connection: &mut Connection,
    ) -> Result<Work> {
        let requests = TokenRequests::new(&self.profile, named(client, "this kind of token")?)?;
        let request = requests.client_credentials(scenario.authentication());
        repeated(request, Wants::Text("access_token"), connection).await
    }

    async fn introspection(&self, number: usize, connection: &mut Connection) -> Result<Work> {
        let client = named(self.profile.clients.introspector.as_ref(), "introspector")?;
        let tokens = self.login(number)?.tokens(connection).await?;
        let path = self.profile.path(&self.profile.introspection)?;
        let credentials = Credentials::Basic(&client.id, &client.secret);
        let request = self.requests.form(&path, credentials, &form([("token", tokens.access.as_str())]));
        repeated(request, Wants::True("active"), connection).await
    }

    async fn refresh(&self, number: usize, connection: &mut Connection) -> Result<Work> {
        let tokens = self.login(number)?.tokens(connection).await?;
        let requests = TokenRequests::new(&self.profile, self.code_client()?)?;
        Ok(Work::Refresh(Box::new(Refresh::new(requests, tokens)?)))
    }

    async fn code(&self, number: usize, connection: &mut Connection) -> Result<Work> {
        let mut login = self.login(number)?;
        login.tokens(connection).await?;
        Ok(Work::Code(Box::new(login.code())))
    }

    fn login(&self, number: usize) -> Result<Login> {
        Login::new(&self.profile, self.code_client()?, number)
    }

    fn code_client(&self) -> Result<&Client> {
        named(self.profile.clients.code.as_ref(), "code")
    }
}

/// The same request again and again. The first is not measured: a server hashes a client's secret slowly when it sees it first.
async fn repeated(request: Vec<u8>, wants: Wants, connection: &mut Connection) -> Result<Work> {
    let mut work = Work::Repeat { request, wants };
    work.step(connection).await?;
    Ok(work)
}

fn named<'a>(client: Option<&'a Client>, what: &str) -> Result<&'a Client> {
    client.ok_or_else(|| format!("the profile has no client for {what}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_every_scenario_that_needs_nothing_else() {
        assert_eq!(Scenario::chosen(&[All]), Scenario::EVERY);
        assert_eq!(Scenario::chosen(&[Jwks, Jwks, Code]), [Jwks, Code]);
        let names = Scenario::value_variants().len();
        assert_eq!(names, Scenario::EVERY.len() + 2, "a new scenario belongs to `all`");
    }

    #[test]
    fn names_are_those_of_the_command_line() {
        assert_eq!(CredentialsEs256Body.name(), "credentials-es256-body");
    }
}
