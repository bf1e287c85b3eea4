//! The rules of OAuth 2.0 and OpenID Connect.
//!
//! One public verb of [`Provider`] per endpoint, in the file of that name: [`authorize`], [`token`] with a file per grant,
//! [`userinfo`], [`introspect`], [`revoke`], [`logout`] with what it sets off in [`front_channel`] and [`back_channel`], [`discovery`].
//! They share the client's proof of itself ([`client_authentication`], with the keys of `client_keys`), the reading of a presented
//! token ([`access_token`]), the signing keys ([`keys`]), what is encrypted (`encryption`, `jwe`), and what a
//! node remembers of clients and keys ([`registry`]). HTTP is next door in [`crate::web`]; a failure is [`Refused`], with a
//! code that a specification names, or our own fault.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use crate::dialect::{Dialect, Facts};
use crate::domain::client::Client;
use crate::domain::internal::Internal;
use crate::domain::late::{Late, late};
use crate::domain::leeway::Leeway;
use crate::domain::secret::{MacKey, MasterKey, SealingKey};
use crate::domain::user::User;
use crate::identity::hashing::Hashing;
use crate::identity::login::Logins;
use crate::identity::sign_in::SignIn;
use crate::outbound::Outbound;
use crate::randomness::Randomness;
use crate::store::Store;

pub mod access_token;
pub mod authorize;
pub mod back_channel;
pub mod browser_session;
mod client_assertion;
pub mod client_authentication;
mod client_keys;
pub mod discovery;
mod encryption;
pub mod explanation;
pub mod explanations;
pub mod front_channel;
mod id_token_hint;
mod initiate_login;
pub mod introspect;
mod jwe;
pub(crate) mod jws;
pub mod keys;
pub mod logout;
pub mod metadata_document;
mod on_demand;
pub mod params;
pub mod rate;
pub mod refused;
pub mod registry;
mod request_object;
pub mod resource;
pub mod revoke;
pub mod subject;
pub mod token;
pub mod userinfo;

use client_keys::ClientKeys;
use explanations::Explanations;
use metadata_document::MetadataDocuments;
pub use params::Params;
pub use refused::{ErrorCode, Failure, Refused};
use registry::Registry;

/// What an operator decides about the protocol.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The issuer identifier, without a trailing slash: the base of every URL.
    pub issuer: String,
    /// How a provider speaks that this server stands in for, in `dev`.
    pub dialect: Option<Arc<Dialect>>,
    /// The base of the same URLs for containers, where it is another.
    pub internal_url: Option<String>,
    /// Life of access tokens whose client does not say, in seconds.
    pub access_token_expiration: i64,
    /// The longest life of a refresh token in seconds, counted from its first issue.
    pub max_refresh_token_expiration: Option<i64>,
    /// Seconds in which a spent refresh token still returns its successor.
    pub refresh_grace: i64,
    /// Whether the password grant is served at all (RFC 9700 §2.4: it must not be used; off unless an operator turns it on).
    pub password_grant: bool,
    /// Whether tokens may leave the authorization endpoint (RFC 9700 §2.1.2: they should not; off unless an operator turns it on).
    pub implicit_grant: bool,
    /// Whether clients may register themselves.
    pub registration: bool,
    /// Which hosts' metadata documents are clients.
    pub metadata_documents: metadata_document::Hosts,
    /// What a developer's realm lets pass besides; a server for real use has none.
    pub leeway: Option<Arc<Leeway>>,
}

impl Rules {
    /// How people prove who they are here (Core §2, `acr`), in the words of SAML 2.0's authentication contexts: with a password,
    /// over a protected transport where the issuer is https.
    pub fn acr(&self) -> &'static str {
        match self.issuer.starts_with("https://") {
            true => "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
            false => "urn:oasis:names:tc:SAML:2.0:ac:classes:Password",
        }
    }
}

/// The authorization server, without its HTTP. Clones share everything.
#[derive(Clone, Debug)]
pub struct Provider {
    pub(crate) rules: Arc<Rules>,
    iss: Arc<str>,
    pub(crate) store: Store,
    pub(crate) registry: Registry,
    pub(crate) sign_in: SignIn,
    pub(crate) randomness: Randomness,
    logins: Logins,
    pub(crate) hashing: Hashing,
    outbound: Outbound,
    client_keys: ClientKeys,
    documents_key: Arc<SealingKey>,
    refresh_key: MacKey,
    subject_key: MacKey,
    sid_key: MacKey,
    signed_request_key: MacKey,
    browser_state_key: MacKey,
    secret_cache_key: MacKey,
    verified_secrets: Late<moka::future::Cache<[u8; 32], ()>>,
    wrong_secrets: Late<moka::sync::Cache<[u8; 32], Arc<AtomicU32>>>,
    known_tokens: access_token::Known,
    explanations: Explanations,
}

/// How many verified client secrets are remembered at the most.
const VERIFIED_SECRETS: u64 = 20_000;

impl Provider {
    /// A provider over an open, migrated store that has its keys; a master key that does not open them is an error. `own` are
    /// clients that go with the settings and are no documents; `hashing` is the process's one queue for slow hashes, `outbound` its
    /// one way to other servers.
    pub async fn new(
        rules: Rules,
        store: Store,
        master: &MasterKey,
        own: Vec<Client>,
        hashing: Hashing,
        outbound: Outbound,
        randomness: Randomness,
    ) -> Result<Self, Internal> {
        let documents = MetadataDocuments::new(store.clone(), outbound.clone(), rules.metadata_documents.clone());
        let defaults = rules.dialect.as_ref().map(|dialect| dialect.clients.clone());
        let registry = Registry::new(store.clone(), master, own, Some(documents), defaults, randomness.clone()).await?;
        let path = rules.dialect.as_ref().map(|dialect| dialect.issuer.as_str()).unwrap_or_default();
        let throttle = master.mac_key("sign-in throttle");
        let sign_in = SignIn::new(store.clone(), hashing.clone(), throttle, randomness.clone(), rules.leeway.clone());
        Ok(Self {
            iss: format!("{}{path}", rules.issuer).into(),
            rules: Arc::new(rules),
            logins: Logins::new(store.clone(), randomness.clone()),
            explanations: Explanations::new(store.clone()),
            randomness,
            store,
            registry,
            sign_in,
            hashing,
            browser_state_key: master.mac_key("browser state"),
            client_keys: ClientKeys::new(outbound.clone()),
            outbound,
            documents_key: Arc::new(SealingKey::for_documents(master)),
            refresh_key: master.mac_key("refresh token succession"),
            subject_key: master.mac_key("pairwise subjects"),
            sid_key: master.mac_key("pairwise sessions"),
            signed_request_key: master.mac_key("signed requests"),
            secret_cache_key: MacKey::ephemeral(),
            known_tokens: access_token::Known::default(),
            verified_secrets: late(|| moka::future::Cache::new(VERIFIED_SECRETS)),
            wrong_secrets: late(|| {
                let counts = moka::sync::Cache::builder().max_capacity(VERIFIED_SECRETS);
                counts.time_to_live(Duration::from_mins(15)).build()
            }),
        })
    }

    /// Where this server is: the base of its URLs, and the issuer identifier unless a dialect has another.
    pub fn issuer(&self) -> &str {
        &self.rules.issuer
    }

    /// The issuer identifier, as discovery, tokens and answers say it.
    pub fn iss(&self) -> &str {
        &self.iss
    }

    /// How the provider speaks that this server stands in for.
    pub fn dialect(&self) -> Option<&Dialect> {
        self.rules.dialect.as_deref()
    }

    /// What the places of a dialect's templates are filled from, for a client and a person.
    fn facts<'a>(&'a self, client: &'a Client, user: Option<&'a User>, scope: &'a str) -> Facts<'a> {
        Facts { client: Some(client), user, scope, issuer: self.iss(), base: self.issuer(), ..Facts::default() }
    }

    /// What a developer's realm lets pass besides.
    pub fn leeway(&self) -> Option<&Leeway> {
        self.rules.leeway.as_deref()
    }

    /// The names by which we may be meant, the issuer first.
    pub(crate) fn bases(&self) -> impl Iterator<Item = &str> {
        let base = Some(self.issuer()).filter(|base| *base != self.iss());
        std::iter::once(self.iss()).chain(base).chain(self.rules.internal_url.as_deref())
    }

    /// How people prove who they are here.
    pub fn acr(&self) -> &'static str {
        self.rules.acr()
    }

    /// Where chance comes from.
    pub const fn randomness(&self) -> &Randomness {
        &self.randomness
    }

    /// What this node remembers of clients and keys.
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The explanations of refusals.
    pub const fn explanations(&self) -> &Explanations {
        &self.explanations
    }

    /// The logins of browsers.
    pub const fn logins(&self) -> &Logins {
        &self.logins
    }

    /// The way to other people's servers.
    pub const fn outbound(&self) -> &Outbound {
        &self.outbound
    }

    /// Whether database and keys answer.
    pub async fn ready(&self) -> Result<(), Internal> {
        self.store.ping().await?;
        self.registry.key_ring().await.map(drop)
    }

    /// Signs people in.
    pub const fn sign_in(&self) -> &SignIn {
        &self.sign_in
    }
}

/// A failure of the database, for the room that must tell a passing one from a lasting one.
pub use crate::store::{Error as StoreError, is_passing};
