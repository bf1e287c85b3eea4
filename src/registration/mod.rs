//! Dynamic client registration (RFC 7591, OpenID Connect Registration 1.0) and its management (RFC 7592).
//!
//! [`Registration`] has a verb for each: [`Registration::register`], and in [`management`] `read`, `update`, `delete`. What a client says of itself becomes an
//! ordinary Client document by [`crate::domain::client_metadata`], is held against what this server [`offered`] in discovery,
//! and goes through the same door as an administrator's ([`crate::resources`]). [`statement`] believes those who signed a software
//! statement. The field `registration` marks the document: an administrator who removes it takes the client over, and the
//! client can manage itself no more.

mod management;
mod offered;
pub mod statement;

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::domain::bearer::{Bearer, Kind};
use crate::domain::client_metadata::{self, Wrong};
use crate::domain::password;
use crate::domain::secret::{Secret, is_sealed};
use crate::domain::time::Timestamp;
use crate::identity::sign_in::network;
use crate::oauth::rate::Rate;
use crate::oauth::{ErrorCode, Failure, Provider, Refused};
use crate::randomness::Randomness;
use crate::resources::secret_fields::MASK;
use crate::resources::{DocumentKind, Documents, Problem, Row};
use crate::store::registrations::Enrolment;
use management::WRONG_TOKENS;
use offered::Offered;
use statement::Issuers;

/// What an operator decides about registration.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether anybody may register, or only who shows a token.
    pub open: bool,
    /// How many clients may be registered from one network in an hour, where registration is open.
    pub per_hour: u32,
    /// Seconds after which a client goes that nobody has consented to.
    pub unused_expiration: i64,
    /// Whose software statements are believed.
    pub statements: Issuers,
}

/// The registration endpoint, without its HTTP.
#[derive(Debug)]
pub struct Registration {
    provider: Provider,
    documents: Documents,
    rules: Rules,
    rate: Rate,
    wrong: Rate,
    offered: Offered,
    development: bool,
}

/// Who vouches for a registration.
#[derive(Debug)]
pub enum Voucher {
    /// Nobody.
    Nobody,
    /// Who handed out this initial access token.
    Token(Bearer),
    /// An administrator.
    Administrator,
}

/// The marks in a document's field `registration`.
const OPEN: &str = "open";
const TOKEN: &str = "token";
const STATEMENT: &str = "statement";

const CLIENT: DocumentKind = DocumentKind::Client;

impl Registration {
    /// Over a provider and the documents of the same store.
    pub fn new(provider: Provider, documents: Documents, rules: Rules) -> Self {
        let (rate, wrong) = (Rate::per_hour(rules.per_hour), Rate::per_hour(WRONG_TOKENS));
        let offered = Offered::new(provider.offers());
        let development = !provider.issuer().starts_with("https://");
        Self { provider, documents, rules, rate, wrong, offered, development }
    }

    /// Whether nobody needs a token.
    pub const fn is_open(&self) -> bool {
        self.rules.open
    }

    /// Whether the bearer of this may register (RFC 7591 §3): an initial access token, or an access token that administers. One
    /// that is neither is refused even where none is needed: who shows it counts on it.
    pub async fn voucher(&self, bearer: Option<&str>, address: IpAddr, now: Timestamp) -> Result<Voucher, Failure> {
        let Some(text) = bearer else {
            if !self.rules.open {
                return Err(Refused::new(ErrorCode::InvalidToken, "registration needs an initial access token")
                    .compared("the Authorization header", "Bearer and an initial access token", "(not sent)")
                    .fix("Make a token with `countersign client initial-token`, or start the server with --registration open.")
                    .into());
            }
            return match self.rate.take(network(address), now) {
                Ok(()) => Ok(Voucher::Nobody),
                Err(wait) => {
                    tracing::warn!(event = "registration_throttled", %address);
                    let refused = too_many("registrations", wait)
                        .compared("registrations from this network in an hour", i64::from(self.rules.per_hour), "more")
                        .fix("Wait, register with an initial access token, or raise --registration-rate.");
                    Err(refused.into())
                }
            };
        };
        if let Some(token) = Bearer::parse(Kind::InitialAccessToken, text) {
            if self.documents.store().is_initial_access_token(token.id(), token.digest(), now).await? {
                return Ok(Voucher::Token(token));
            }
        } else if self.provider.access_token(text, now).await?.is_some_and(|token| token.administers()) {
            return Ok(Voucher::Administrator);
        }
        Err(no_such_token().into())
    }

    /// Registers a client: what it is now, with its credentials and the URL below `base` at which it is managed (RFC 7591 §3.2.1).
    pub async fn register(
        &self,
        metadata: Map<String, Value>,
        voucher: &Voucher,
        base: &str,
        now: Timestamp,
    ) -> Result<Map<String, Value>, Failure> {
        let (mut document, signed) = self.document(metadata, now).await?;
        let by = match voucher {
            Voucher::Nobody if signed => STATEMENT,
            Voucher::Nobody => OPEN,
            Voucher::Token(_) | Voucher::Administrator => TOKEN,
        };
        document.insert("registration".into(), json!(by));
        let for_itself = may_act_for_itself(&document);
        if for_itself && by == OPEN {
            return Err(needs_a_voucher().into());
        }
        let secret = give_secret(&mut document, None, self.provider.randomness());
        let id = self.provider.randomness().row_id("clients");
        let token = self.provider.randomness().bearer(Kind::RegistrationAccessToken, id);
        // Nothing tells whether a client that acts for itself is in use.
        let expires_at = (!for_itself).then(|| now.plus(self.rules.unused_expiration));
        let id = id.to_string();
        let let_in_by = match voucher {
            Voucher::Token(token) => Some((token.id(), token.digest())),
            Voucher::Nobody | Voucher::Administrator => None,
        };
        let enrolment = Enrolment { digest: token.digest(), expires_at, let_in_by };
        let row = self.documents.enrol(id.clone(), Value::Object(document), &enrolment, now).await;
        let row = row.map_err(problem)?.ok_or_else(no_such_token)?;
        tracing::info!(event = "client_registered", client = %id, by);
        Ok(Self::answer(&row, secret.as_ref(), &token, base))
    }

    /// The document that metadata asks for; and whether somebody we believe signed it.
    async fn document(
        &self,
        mut metadata: Map<String, Value>,
        now: Timestamp,
    ) -> Result<(Map<String, Value>, bool), Failure> {
        let signed = match metadata.get("software_statement").filter(|statement| !statement.is_null()) {
            None => false,
            Some(statement) => {
                let claims = self.rules.statements.verify(statement.as_str().unwrap_or_default(), now)?;
                // RFC 7591 §2.3: what is signed stands before what is said.
                metadata.extend(claims);
                true
            }
        };
        let document = client_metadata::to_document(&metadata, self.development).map_err(refused)?;
        let document = self.offered.hold_against(document).map_err(refused)?;
        self.check_sector(&document).await?;
        Ok((document, signed))
    }

    /// Core §8.1, Registration §5: what is at `sector_identifier_uri` lists every redirect URI.
    async fn check_sector(&self, document: &Map<String, Value>) -> Result<(), Failure> {
        let Some(uri) = document.get("sector_identifier_uri").and_then(Value::as_str) else { return Ok(()) };
        let invalid = |text: &str| {
            Failure::from(
                Refused::new(ErrorCode::InvalidClientMetadata, text)
                    .compared("what is at sector_identifier_uri", "a JSON array of all redirect_uris", "not so, or nothing; the log says why")
                    .fix("Serve the JSON array at sector_identifier_uri, where this server reaches it (--outbound-network)."),
            )
        };
        let fetched = self.provider.outbound().get(uri).await.map_err(|error| {
            tracing::info!(%error, "a sector_identifier_uri could not be fetched");
            invalid("sector_identifier_uri cannot be fetched")
        })?;
        let listed: Vec<String> = serde_json::from_slice(&fetched.body)
            .map_err(|_| invalid("sector_identifier_uri does not lead to a JSON array of redirect URIs"))?;
        let uris = document.get("auth").and_then(|auth| auth.pointer("/authorization_code/redirect_uris"));
        let uris = uris.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        match uris.into_iter().find(|uri| !listed.iter().any(|one| one == uri)) {
            Some(missing) => Err(invalid(&format!("sector_identifier_uri does not list the redirect URI {missing}"))),
            None => Ok(()),
        }
    }

    /// RFC 7591 §3.2.1, RFC 7592 §3.
    fn answer(row: &Row, secret: Option<&Secret>, token: &Bearer, base: &str) -> Map<String, Value> {
        let mut answer = Map::from_iter([("client_id".to_owned(), json!(row.id))]);
        answer.insert("client_id_issued_at".into(), json!(row.created_at.0));
        if let Some(secret) = secret {
            answer.insert("client_secret".into(), json!(secret.expose()));
            answer.insert("client_secret_expires_at".into(), json!(0));
        }
        answer.insert("registration_access_token".into(), json!(token.reveal()));
        let uri = format!("{base}/oauth2/register/{}", row.id);
        answer.insert("registration_client_uri".into(), json!(uri));
        let empty = Map::new();
        answer.extend(client_metadata::from_document(row.body.0.as_object().unwrap_or(&empty)));
        answer
    }
}

/// Whether it lists a grant that needs nobody's consent.
fn may_act_for_itself(document: &Map<String, Value>) -> bool {
    let grants = document.get("grant_types").and_then(Value::as_array);
    grants.into_iter().flatten().any(|grant| grant == "client_credentials")
}

/// Gives a document the secret that its authentication method needs: the one it has, or a new one of 256 bits.
fn give_secret(document: &mut Map<String, Value>, stored: Option<&str>, randomness: &Randomness) -> Option<Secret> {
    let new = || randomness.secret("client secrets");
    let method = document.get("token_endpoint_auth_method").and_then(Value::as_str).unwrap_or_default();
    if !method.starts_with("client_secret_") {
        return None;
    }
    // Of a hash no key of signatures is made.
    if stored.is_some_and(|stored| is_sealed(stored) || method != "client_secret_jwt") {
        document.insert("secret".into(), json!(MASK));
        return None;
    }
    // RFC 7518 §3.2: as a key of signatures it is itself what is kept, and as long as the longest hash. Otherwise its hash will do.
    let secret = match method {
        "client_secret_jwt" => Secret::new([new(), new()].map(|half| half.expose().to_owned()).concat()),
        _ => new(),
    };
    let kept = if method == "client_secret_jwt" { secret.expose().to_owned() } else { password::fast_form(&secret) };
    document.insert("secret".into(), json!(kept));
    Some(secret)
}

fn too_many(what: &str, wait: i64) -> Refused {
    let text = format!("too many {what} from this network; try again later");
    let mut refused = Refused::new(ErrorCode::TemporarilyUnavailable, text);
    refused.retry_after = Some(wait);
    refused
}

fn refused(wrong: Wrong) -> Failure {
    match wrong {
        Wrong::RedirectUri(text) => Refused::new(ErrorCode::InvalidRedirectUri, text)
            .compared(
                "redirect_uris",
                "absolute URIs without a fragment: https, http on loopback, or a scheme of its own",
                "others",
            )
            .fix("Correct redirect_uris of the client metadata.")
            .into(),
        Wrong::Metadata(text) => Refused::new(ErrorCode::InvalidClientMetadata, text)
            .compared("the client metadata", "what discovery says this server serves", "something else")
            .fix("Correct the member that the description names.")
            .into(),
    }
}

fn problem(problem: Problem) -> Failure {
    match problem {
        Problem::Outcome(outcome) => Refused::new(ErrorCode::InvalidClientMetadata, outcome.lines().join("; "))
            .compared("the client as a document", "one that an administrator might PUT", "not so")
            .fix("Correct the members that the description names.")
            .into(),
        Problem::Internal(internal) => Failure::Internal(internal),
    }
}

fn needs_a_voucher() -> Refused {
    let text = "client_credentials needs a registration with an initial access token or a software statement";
    Refused::new(ErrorCode::InvalidClientMetadata, text)
        .compared("who vouches for the client", "an initial access token or a software statement", "nobody")
        .fix("Register with a token of `countersign client initial-token`, or leave client_credentials out of grant_types.")
}

fn no_such_token() -> Refused {
    Refused::new(ErrorCode::InvalidToken, "the token is unknown, used up or expired, or the client is no more")
        .compared("the bearer token", "an initial or registration access token that is good", "another (not shown)")
        .fix("Make a new one with `countersign client initial-token`; a client keeps the registration_access_token of each answer.")
}
