//! Does to the server what a sequence says, and compares each answer, and after each step every token, with the model.

use std::net::{IpAddr, Ipv4Addr};

use base64::{Engine, engine::general_purpose::STANDARD};
use countersign::domain::bearer::Bearer;
use countersign::domain::client::Client;
use countersign::domain::password;
use countersign::domain::secret::Secret;
use countersign::domain::time::Timestamp;
use countersign::identity::hashing::Hashing;
use countersign::identity::login::SignedIn;
use countersign::oauth::authorize::{Given, Rejected, Step as Next};
use countersign::oauth::client_authentication::Basic;
use countersign::oauth::token::TokenRequest;
use countersign::oauth::{Failure, Params, Provider, Rules};
use countersign::outbound::Outbound;
use countersign::randomness::Randomness;
use countersign::realm::documents;
use countersign::resources::patch::Method;
use countersign::resources::{Change, DocumentKind, Documents, Precondition, search};
use proptest::prop_assert_eq;
use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Step;
use super::model::{CAP, Expected, Model, TERMS};
use crate::support::Server;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

const REDIRECT_URI: &str = "https://app.example/cb";
/// Ten years: what is played here has nothing to do with the clock of the server, which sweeps too.
const LATER: i64 = 315_360_000;
/// A login that rests longer, or is older, is not relied on (it may rest five days, and use is noted once an hour).
const SURELY_SIGNED_IN: i64 = 400_000;

type Checked<T = ()> = Result<T, TestCaseError>;

/// One sequence: clients and users of its own, on a database that all share.
struct Play {
    provider: Provider,
    documents: Documents,
    names: [[String; 2]; 2],
    start: Timestamp,
    model: Model,
    browsers: [Option<Browser>; 2],
    passwords: u32,
}

/// A browser in which a user has signed in.
struct Browser {
    cookie: Bearer,
    signed_in: SignedIn,
    /// Which login of the model that is.
    login: usize,
    began: i64,
    used: i64,
}

/// Plays the steps from the beginning, and at the end presents every refresh token once more.
pub(super) async fn all(server: &Server, steps: &[Step], capped: bool) -> Checked {
    let mut play = Play::new(server, capped).await;
    for step in steps {
        play.step(step).await.map_err(|why| TestCaseError::fail(format!("at {step:?}: {why}\n{:?}", play.model)))?;
        play.compare().await.map_err(|why| TestCaseError::fail(format!("after {step:?}: {why}\n{:?}", play.model)))?;
    }
    for pair in 0..play.model.pairs.len() {
        let by = play.model.client_of(pair);
        play.refresh(pair, by).await?;
        play.compare().await?;
    }
    Ok(())
}

impl Play {
    async fn new(server: &Server, capped: bool) -> Self {
        let (store, master) = (server.instance.store.clone(), server.settings.master_key.clone().unwrap());
        let rules = Rules {
            internal_url: None,
            dialect: None,
            issuer: server.issuer().to_owned(),
            access_token_expiration: 3_600,
            max_refresh_token_expiration: capped.then_some(CAP),
            refresh_grace: 10,
            password_grant: false,
            implicit_grant: false,
            registration: false,
            metadata_documents: countersign::oauth::metadata_document::Hosts::Any,
            leeway: None,
        };
        let observer = json!({ "grant_types": ["client_credentials"], "introspect": "any" });
        let secret = password::fast_form(&Secret::new("secret"));
        let observer = Client::from_document("observer", 0, true, Some(secret.clone()), observer).unwrap();
        let outbound = Outbound::new(Vec::new(), false, None).unwrap();
        let own = vec![observer];
        let provider =
            Provider::new(rules, store.clone(), &master, own, Hashing::default(), outbound, Randomness::default())
                .await
                .unwrap();
        let names = ["user", "client"].map(|kind| [0, 1].map(|i| format!("{kind}-{i}-{}", uuid::Uuid::new_v4())));
        let play = Self {
            provider,
            documents: documents(&server.settings, store, &master, Hashing::default(), Randomness::default()),
            names,
            start: server.instance.clock.now().plus(LATER),
            model: Model { capped, ..Model::default() },
            browsers: [None, None],
            passwords: 0,
        };
        for (i, terms) in TERMS.iter().enumerate() {
            let flow = json!({
                "redirect_uri": REDIRECT_URI, "refresh_token": true, "access_token_expiration": terms.access,
                "refresh_token_expiration": terms.idle, "refresh_grace": terms.grace,
                "token_format": terms.first_party.then_some("jwt"),
            });
            let client = json!({
                "secret": secret, "grant_types": ["code"], "first_party": terms.first_party,
                "access_token_signed_response_alg": "EdDSA", "auth": {"authorization_code": flow},
            });
            play.change(Change::Put(DocumentKind::Client, play.client(i), client)).await;
            play.change(Change::Put(DocumentKind::User, play.user(i), json!({}))).await;
        }
        play
    }

    fn user(&self, user: usize) -> String {
        self.names[0][user].clone()
    }

    fn client(&self, client: usize) -> String {
        self.names[1][client].clone()
    }

    fn now(&self) -> Timestamp {
        self.start.plus(self.model.now)
    }

    async fn change(&self, change: Change) {
        self.documents.change(change, &Precondition::default(), self.now()).await.unwrap();
        self.provider.registry().expire();
    }

    async fn patch(&self, kind: DocumentKind, id: String, change: Value) {
        self.change(Change::Patch(kind, id, Method::Merge, change)).await;
    }

    async fn step(&mut self, step: &Step) -> Checked {
        let pairs = self.model.pairs.len();
        match step {
            Step::Authorize { user, client } => self.authorize(*user, *client).await?,
            Step::Redeem { code, stranger } if !self.model.codes.is_empty() => {
                let code = newest_but(*code, self.model.codes.len());
                self.redeem(code, self.model.codes[code].origin.client ^ usize::from(*stranger)).await?;
            }
            Step::Refresh { token, stranger } if pairs > 0 => {
                let pair = newest_but(*token, pairs);
                self.refresh(pair, self.model.client_of(pair) ^ usize::from(*stranger)).await?;
            }
            Step::Revoke { token, stranger, access } if pairs > 0 => {
                let pair = newest_but(*token, pairs);
                self.revoke(pair, self.model.client_of(pair) ^ usize::from(*stranger), *access).await?;
            }
            Step::Close { token } if pairs > 0 => {
                let pair = newest_but(*token, pairs);
                let token = self.provider.access_token(&self.model.pairs[pair].access, self.now()).await.unwrap();
                if let Some(token) = token {
                    self.provider.close_session(&token, self.now()).await.unwrap();
                }
                self.model.close(pair);
            }
            Step::SignOut { user } => {
                if let Some(Browser { signed_in, login, .. }) = &self.browsers[*user] {
                    self.provider.logins().end(signed_in.id, self.now()).await.unwrap();
                    self.model.logins[*login] = true;
                }
            }
            Step::Withdraw { user, client } => self.withdraw(*user, *client).await,
            Step::User { user, on } => {
                self.patch(DocumentKind::User, self.user(*user), json!({ "inactive": !on })).await;
                self.model.users[*user].switch(*on);
            }
            Step::Client { client, on } => {
                self.patch(DocumentKind::Client, self.client(*client), json!({ "active": on })).await;
                self.model.clients[*client].switch(*on);
            }
            Step::Password { user } => {
                self.passwords += 1;
                let form = password::fast_form(&Secret::new(self.passwords.to_string()));
                self.patch(DocumentKind::User, self.user(*user), json!({ "password": form })).await;
                self.model.users[*user].epoch += 1;
            }
            Step::Wait { seconds } => self.model.now += seconds,
            Step::Sweep => while self.documents.store().sweep(self.now(), 500).await.unwrap() > 0 {},
            _ => {}
        }
        Ok(())
    }

    /// The user's login, where the person is or can be signed in.
    async fn signed_in(&mut self, user: usize) -> Checked<Option<(SignedIn, usize)>> {
        let (now, present, party) = (self.now(), self.model.now, self.model.users[user]);
        if let Some(Browser { cookie, signed_in, login, began, used }) = &mut self.browsers[user] {
            let found = self.provider.logins().find(&cookie.reveal(), now).await.unwrap();
            let stands = !party.off && i64::from(party.epoch) == signed_in.user.epoch && !self.model.logins[*login];
            if stands && present - *used < SURELY_SIGNED_IN && present - *began < SURELY_SIGNED_IN {
                prop_assert_eq!(found.as_ref().map(|found| found.id), Some(signed_in.id));
            }
            if let Some(found) = found.filter(|_| present - *began < SURELY_SIGNED_IN) {
                proptest::prop_assert!(stands, "a login that has ended still signs in");
                *used = present;
                return Ok(Some((found, *login)));
            }
        }
        let person = self.documents.store().user(&self.user(user)).await.unwrap().unwrap();
        prop_assert_eq!((person.active, person.epoch), (!party.off, i64::from(party.epoch)));
        if party.off {
            return Ok(None);
        }
        let (cookie, signed_in) = self.provider.logins().start(&person, now).await.unwrap();
        let login = self.model.logins.len();
        self.model.logins.push(false);
        self.browsers[user] =
            Some(Browser { cookie, signed_in: signed_in.clone(), login, began: present, used: present });
        Ok(Some((signed_in, login)))
    }

    async fn authorize(&mut self, user: usize, client: usize) -> Checked {
        let Some((signed_in, login)) = self.signed_in(user).await? else { return Ok(()) };
        let params = Params::default()
            .with("response_type", "code")
            .with("client_id", &self.client(client))
            .with("scope", "profile");
        let request = match self.provider.authorization_request(&params, self.now()).await {
            Err(Rejected::Page(_)) if self.model.clients[client].off => return Ok(()),
            request => request.unwrap(),
        };
        proptest::prop_assert!(!self.model.clients[client].off, "a client that is switched off gets a code");
        let given = if TERMS[client].first_party { Given::Nothing } else { Given::Consent };
        let next = self.provider.next_step(&request, Some(&signed_in), given, self.now()).await.unwrap();
        let Next::Respond(response) = next else { return Err(TestCaseError::fail(format!("no code: {next:?}"))) };
        let (_, code) = response.members.into_iter().find(|(name, _)| *name == "code").unwrap();
        self.model.authorized(user, client, login, code);
        Ok(())
    }

    async fn redeem(&mut self, code: usize, by: usize) -> Checked {
        let params = [("grant_type", "authorization_code"), ("code", &self.model.codes[code].text)];
        let answer = self.token(by, &params).await;
        let expected = self.model.redeem(code, by, is_unknown(&answer, "code"));
        self.answered(&answer, expected)
    }

    async fn refresh(&mut self, pair: usize, by: usize) -> Checked {
        let params = [("grant_type", "refresh_token"), ("refresh_token", &self.model.pairs[pair].refresh)];
        let answer = self.token(by, &params).await;
        let expected = self.model.refresh(pair, by, is_unknown(&answer, "refresh token"));
        self.answered(&answer, expected)
    }

    async fn token(&self, by: usize, params: &[(&str, &str)]) -> Answer {
        let params = params.iter().fold(Params::default(), |params, (name, value)| params.with(name, value));
        let (basic, address) = (basic(&self.client(by)), HERE);
        let request = TokenRequest { basic: Some(&basic), params: &params, address, now: self.now() };
        self.provider.token(&request).await.map(|answer| Value::Object(answer.0)).map_err(refusal)
    }

    fn answered(&mut self, answer: &Answer, expected: Expected) -> Checked {
        let tokens =
            |body: &Value| ["access_token", "refresh_token"].map(|name| body[name].as_str().unwrap().to_owned());
        match (answer, expected) {
            (Ok(body), Expected::New(family)) => {
                let [access, refresh] = tokens(body);
                self.model.issued(family, access, refresh);
            }
            (Ok(body), Expected::Again(pair)) => {
                let pair = &self.model.pairs[pair];
                prop_assert_eq!(tokens(body), [pair.access.clone(), pair.refresh.clone()]);
            }
            (Err((code, _)), Expected::Refused(expected)) => prop_assert_eq!(*code, expected),
            _ => return Err(TestCaseError::fail(format!("expected {expected:?}, answered {answer:?}"))),
        }
        Ok(())
    }

    async fn revoke(&mut self, pair: usize, by: usize, access: bool) -> Checked {
        let tokens = &self.model.pairs[pair];
        let token = if access { &tokens.access } else { &tokens.refresh };
        let params = Params::default().with("token", token);
        let answer = self.provider.revoke(Some(&basic(&self.client(by))), &params, HERE, self.now()).await;
        prop_assert_eq!(answer.map_err(|failure| refusal(failure).0).err(), self.model.revoke(pair, by, access));
        Ok(())
    }

    /// Deletes the Grant, where there is one.
    async fn withdraw(&mut self, user: usize, client: usize) {
        let of = [(".user.id".to_owned(), self.user(user)), (".client.id".to_owned(), self.client(client))];
        let search = search::read(DocumentKind::Grant, &of).unwrap();
        let (grants, _) = self.documents.search(DocumentKind::Grant, &search).await.unwrap();
        for grant in grants {
            self.change(Change::Delete(DocumentKind::Grant, grant.id)).await;
            self.model.withdraw(user, client);
        }
    }

    /// Introspects every token ever issued, all at once.
    async fn compare(&self) -> Checked {
        let mut asked = JoinSet::new();
        for pair in 0..self.model.pairs.len() {
            let (tokens, now) = (&self.model.pairs[pair], self.now());
            for (kind, text) in [("access", &tokens.access), ("refresh", &tokens.refresh)] {
                let (provider, params) = (self.provider.clone(), Params::default().with("token", text));
                asked.spawn(async move {
                    let answer = provider.introspect(Some(&basic("observer")), &params, HERE, now).await.unwrap();
                    (pair, kind, answer.contains("\"active\":true"))
                });
            }
        }
        let mut answers = asked.join_all().await;
        answers.sort_unstable();
        for (pair, kind, active) in answers {
            let expected = match kind {
                "access" => self.model.access_is_active(pair),
                _ => self.model.refresh_is_active(pair),
            };
            prop_assert_eq!(active, expected, "{} token {}", kind, pair);
        }
        Ok(())
    }
}

/// The index of what so many of `length` are newer than; of the oldest where there are not so many.
fn newest_but(newer: usize, length: usize) -> usize {
    (length - 1).saturating_sub(newer)
}

/// The body, or the code and the description of a refusal.
type Answer = Result<Value, (&'static str, String)>;

fn refusal(failure: Failure) -> (&'static str, String) {
    match failure {
        Failure::Refused(refused) => (refused.code.as_str(), refused.description),
        Failure::Internal(internal) => panic!("{internal}"),
    }
}

fn is_unknown(answer: &Answer, what: &str) -> bool {
    answer.as_ref().is_err_and(|(_, description)| description.contains(&format!("there is no such {what}")))
}

fn basic(client: &str) -> Basic {
    let header = format!("Basic {}", STANDARD.encode(format!("{client}:secret")));
    Basic::parse(header.as_bytes()).unwrap().unwrap()
}
