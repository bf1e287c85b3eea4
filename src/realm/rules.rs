//! What the settings say, as the rooms that obey it want to hear it.

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::{self, DatabaseUrl, Issuer, Mode, Settings};
use crate::dialect::Dialect;
use crate::domain::client::Client;
use crate::domain::leeway::Leeway;
use crate::domain::password;
use crate::domain::scope::ADMIN;
use crate::domain::secret::{MasterKey, SealingKey};
use crate::identity::hashing::Hashing;
use crate::oauth::Rules;
use crate::oauth::metadata_document::Hosts;
use crate::outbound::Outbound;
use crate::randomness::Randomness;
use crate::registration;
use crate::resources::{Documents, Keeper};
use crate::store::{Location, Store};
use crate::web;
use crate::web::hands_free::{HandsFree, Policy};

/// The database of the settings.
pub fn location(settings: &Settings) -> Location {
    match &settings.database_url {
        DatabaseUrl::SqliteMemory => Location::SqliteMemory,
        DatabaseUrl::SqliteFile(path) => Location::SqliteFile(path.clone()),
        DatabaseUrl::Postgres(url) => Location::Postgres(url.clone()),
    }
}

/// The documents of a store, under the rules of the settings.
pub fn documents(
    settings: &Settings,
    store: Store,
    master: &MasterKey,
    hashing: Hashing,
    randomness: Randomness,
) -> Documents {
    let sealing = Arc::new(SealingKey::for_documents(master));
    let bootstrap = settings.admin_client_secret.as_ref().map(|_| settings.admin_client_id.clone());
    Documents::new(store, settings.allow_http_redirects, bootstrap, Keeper { hashing, sealing, randomness })
}

/// Where chance comes from: a seed is for `dev` alone.
pub(super) fn randomness(settings: &Settings, issuer: &Issuer, clock: &Clock) -> Randomness {
    let seed = settings.seed.filter(|_| settings.mode == Mode::Dev);
    seed.map_or_else(Randomness::default, |seed| Randomness::seeded(seed, issuer.path(), clock.clone()))
}

/// The way to other servers, under the rules of the settings.
pub fn outbound(settings: &Settings, issuer: &Issuer) -> Result<Outbound, String> {
    Outbound::new(settings.outbound_networks.clone(), !issuer.is_https(), settings.outbound_ca.as_deref())
}

/// The rules of registration, unless it is closed.
pub fn registration(settings: &Settings) -> Result<Option<registration::Rules>, String> {
    let mut statements = registration::statement::Issuers::default();
    for (issuer, file) in &settings.software_statement_issuers {
        let said = |error: String| format!("{}: {error}", file.display());
        let jwks = std::fs::read_to_string(file).map_err(|error| said(error.to_string()))?;
        statements.add(issuer, &jwks).map_err(said)?;
    }
    let open = match settings.registration {
        config::Registration::Closed => return Ok(None),
        config::Registration::Token => false,
        config::Registration::Open => true,
    };
    Ok(Some(registration::Rules {
        open,
        per_hour: settings.registration_rate,
        unused_expiration: settings.registration_unused_expiration.into(),
        statements,
    }))
}

/// The hosts whose metadata documents are clients; `none` beside others means those others.
fn metadata_documents(hosts: &[String]) -> Hosts {
    match hosts.iter().any(|host| host == "any") {
        true => Hosts::Any,
        false => Hosts::Only(hosts.iter().filter(|host| *host != "none").cloned().collect()),
    }
}

pub(super) fn rules(settings: &Settings, issuer: &Issuer, dialect: Option<Arc<Dialect>>) -> Rules {
    Rules {
        issuer: issuer.as_str().to_owned(),
        dialect,
        internal_url: internal_url(settings, issuer),
        access_token_expiration: settings.access_token_expiration.into(),
        max_refresh_token_expiration: settings.max_refresh_token_expiration.map(Into::into),
        refresh_grace: settings.refresh_grace.into(),
        password_grant: settings.allow_grants.password,
        implicit_grant: settings.allow_grants.implicit,
        registration: settings.registration != config::Registration::Closed,
        metadata_documents: metadata_documents(&settings.metadata_documents),
        leeway: is_conducted(settings).then(|| Arc::new(leeway(settings, issuer))),
    }
}

/// Whether somebody may do for the person what the person would do: in `dev`, and where there is the control API.
fn is_conducted(settings: &Settings) -> bool {
    settings.mode == Mode::Dev || settings.dev_api
}

/// What a developer's realm lets pass. Whoever is named is let in by `dev` alone, and never where the internet could come by.
fn leeway(settings: &Settings, issuer: &Issuer) -> Leeway {
    Leeway::new(settings.mode == Mode::Dev && !issuer.is_public(), settings.permissive)
}

/// What is done without asking, to begin with.
pub(super) fn hands_free(settings: &Settings) -> Option<HandsFree> {
    let begun = Policy { auto_login: settings.auto_login, consent: settings.auto_consent };
    let policy = if settings.mode == Mode::Dev { begun } else { Policy::default() };
    is_conducted(settings).then(|| HandsFree::new(policy))
}

/// Where containers reach this issuer: the settings say where they reach the server's own.
fn internal_url(settings: &Settings, issuer: &Issuer) -> Option<String> {
    let url = settings.internal_url.as_ref()?;
    let below = issuer.path().strip_prefix(url.path()).unwrap_or_default();
    Some(format!("{url}{below}"))
}

/// The administrator's client that settings name. It is not a document: it goes with its setting.
pub(super) fn bootstrap(settings: &Settings) -> Option<Client> {
    let secret = settings.admin_client_secret.as_ref()?;
    let body =
        serde_json::json!({ "grant_types": ["basic", "client_credentials"], "scope": [ADMIN], "introspect": "any" });
    // A setting is read once and kept in memory only, so that its fast form is never at rest.
    Client::from_document(&settings.admin_client_id, 0, true, Some(password::fast_form(secret)), body).ok()
}

pub(super) fn reach(settings: &Settings, issuer: &Issuer) -> web::Reach {
    let mut hosts = vec![issuer.authority().to_ascii_lowercase(), issuer.host().to_ascii_lowercase()];
    hosts.extend(settings.allowed_hosts.iter().map(|host| host.to_ascii_lowercase()));
    let internal = settings.internal_url.as_ref().filter(|url| url.as_str() != issuer.as_str());
    hosts.extend(internal.iter().flat_map(|url| [url.authority(), url.host()]).map(str::to_ascii_lowercase));
    if issuer.is_loopback() {
        hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
    }
    web::Reach {
        base_path: issuer.path().to_owned(),
        https: issuer.is_https(),
        scheme: if settings.tls.is_some() { "https" } else { "http" },
        authority: issuer.authority().to_owned(),
        internal: internal
            .zip(internal_url(settings, issuer))
            .map(|(at, url)| web::Internal { url, authority: at.authority().to_owned() }),
        hosts,
        any_local_host: settings.mode == Mode::Dev,
        trusted_proxies: settings.trusted_proxies.clone(),
    }
}
