//! Client ID metadata documents (draft-ietf-oauth-client-id-metadata-document): a `client_id` that is an https URL is a client that
//! is described there, without registration.
//!
//! Who begins an authorization needs a document that is fresh by its headers. For what was issued already the last one known will do
//! while a new one is fetched, so that a token is no worse for a slow site; it is kept in the database once somebody has consented.
//! A document that is gone or no longer valid is no client.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use moka::ops::compute::{CompResult, Op};
use serde_json::{Map, Value, json};
use url::Url;

use super::discovery::CLIENT_AUTHENTICATION;
use super::rate::Rate;
use crate::clock::monotonic_millis;
use crate::domain::client::{Client, Registered};
use crate::domain::client_metadata::{Wrong, to_document};
use crate::domain::internal::Internal;
use crate::domain::late::{Late, late};
use crate::domain::time::Timestamp;
use crate::outbound::{Kind, Outbound};
use crate::store::Store;

/// Which hosts' documents are clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// Those of any host.
    Any,
    /// Those of these alone; there may be none.
    Only(Vec<String>),
}

/// Seconds that a document is fresh, whatever its headers say; and where they say nothing.
const FRESH: std::ops::RangeInclusive<i64> = 60..=86_400;
const FRESH_UNSAID: i64 = 3_600;
/// How many documents are remembered at the most, and how many bytes of them: anybody can have us fetch one. How long an address may
/// be.
const REMEMBERED: u64 = 10_000;
const REMEMBERED_BYTES: u64 = 32 * 1_024 * 1_024;
const MAX_URL: usize = 512;
/// How long nobody is asked who did not answer.
const SILENCE: Duration = Duration::from_secs(5);
/// How often the documents of one host are fetched in an hour.
const FETCHES: u32 = 240;

/// The documents, remembered. Clones share them.
#[derive(Clone, Debug)]
pub struct MetadataDocuments {
    store: Store,
    outbound: Outbound,
    hosts: Arc<Hosts>,
    known: Late<Cache<String, Arc<Known>>>,
    silent: Late<moka::sync::Cache<String, ()>>,
    rate: Rate,
}

#[derive(Debug)]
struct Known {
    client: Arc<Client>,
    metadata: Map<String, Value>,
    fresh_until: u64,
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
enum Absent {
    #[error("{0}")]
    Gone(String),
    #[error("{0}")]
    Passing(String),
    #[error("{0}")]
    Silent(String),
}

impl MetadataDocuments {
    /// Those of these hosts.
    pub fn new(store: Store, outbound: Outbound, hosts: Hosts) -> Self {
        let silent = late(|| moka::sync::Cache::builder().max_capacity(REMEMBERED).time_to_live(SILENCE).build());
        Self {
            store,
            outbound,
            hosts: Arc::new(hosts),
            known: late(remembering),
            silent,
            rate: Rate::per_hour(FETCHES),
        }
    }

    /// Whether a `client_id` may be the address of such a document.
    pub fn is_one(&self, client_id: &str) -> bool {
        if !client_id.starts_with("https://") {
            return false;
        }
        // What the parser would write differently is no simple string, and dot segments are of that kind.
        let url = Url::parse(client_id).ok().filter(|url| url.as_str() == client_id && client_id.len() <= MAX_URL);
        url.is_some_and(|url| {
            let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
            let host = url.host_str().unwrap_or_default();
            let allowed = match &*self.hosts {
                Hosts::Any => true,
                Hosts::Only(hosts) => hosts.iter().any(|one| one == host),
            };
            plain && allowed && url.path() != "/"
        })
    }

    /// The client at a URL, from a document that is fresh.
    pub async fn current(&self, url: &str) -> Result<Option<Arc<Client>>, Internal> {
        match self.known.get(url).await.filter(|known| known.is_fresh()) {
            Some(known) => Ok(Some(Arc::clone(&known.client))),
            None => self.renew(url).await,
        }
    }

    /// The client at a URL as it was last known; one that is not fresh is fetched anew meanwhile.
    pub async fn last_known(&self, url: &str) -> Result<Option<Arc<Client>>, Internal> {
        let known = match self.known.get(url).await {
            Some(known) => known,
            None => match self.kept(url).await? {
                Some(known) => known,
                // Nobody has consented to it, so that nothing was issued to it: there is no reason to look for it.
                None => return Ok(None),
            },
        };
        if !known.is_fresh() {
            let (documents, url) = (self.clone(), url.to_owned());
            tokio::spawn(async move { documents.renew(&url).await.map(drop) });
        }
        Ok(Some(Arc::clone(&known.client)))
    }

    /// Keeps the document of a client that somebody has consented to.
    pub async fn keep(&self, url: &str, now: Timestamp) -> Result<(), Internal> {
        match self.known.get(url).await {
            Some(known) => Ok(self.store.keep_metadata_document(url, &known.metadata, now).await?),
            None => Ok(()),
        }
    }

    async fn kept(&self, url: &str) -> Result<Option<Arc<Known>>, Internal> {
        let Some(metadata) = self.store.metadata_document(url).await? else { return Ok(None) };
        let Ok(client) = client(url, &metadata) else { return Ok(None) };
        let known = Arc::new(Known { client: Arc::new(client), metadata, fresh_until: 0 });
        self.known.insert(url.to_owned(), Arc::clone(&known)).await;
        Ok(Some(known))
    }

    /// Fetches the document; of many who want it at once, one does.
    async fn renew(&self, url: &str) -> Result<Option<Arc<Client>>, Internal> {
        let renewed = self.known.entry_by_ref(url).and_try_compute_with(
            async |known: Option<moka::Entry<String, Arc<Known>>>| {
                if known.is_some_and(|known| known.value().is_fresh()) {
                    return Ok(Op::Nop);
                }
                // Whoever waited while nobody answered need not wait in turn.
                if self.silent.contains_key(url) {
                    return Err(Absent::Passing("nobody answered there a moment ago".into()));
                }
                self.fetch(url).await.map(|known| Op::Put(Arc::new(known)))
            },
        );
        match renewed.await {
            Ok(CompResult::Inserted(one) | CompResult::ReplacedWith(one) | CompResult::Unchanged(one)) => {
                Ok(Some(Arc::clone(&one.value().client)))
            }
            Ok(CompResult::Removed(_) | CompResult::StillNone(_)) => Ok(None),
            Err(absent) => {
                tracing::info!(client = url, %absent, "a client ID metadata document is not to be had");
                match absent {
                    Absent::Gone(_) => {
                        self.known.invalidate(url).await;
                        self.store.forget_metadata_document(url).await?;
                    }
                    Absent::Silent(_) => self.silent.insert(url.to_owned(), ()),
                    Absent::Passing(_) => {}
                }
                Ok(None)
            }
        }
    }

    async fn fetch(&self, url: &str) -> Result<Known, Absent> {
        let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        let seconds = i64::try_from(monotonic_millis() / 1_000).unwrap_or(i64::MAX);
        if self.rate.take(host.into_bytes(), Timestamp(seconds)).is_err() {
            return Err(Absent::Passing("documents of this host were fetched too often within an hour".into()));
        }
        let fetched = self.outbound.get(url).await.map_err(|error| match error.kind {
            Kind::Status(404 | 410) | Kind::Redirects(_) => Absent::Gone(error.to_string()),
            Kind::Status(_) => Absent::Passing(error.to_string()),
            _ => Absent::Silent(error.to_string()),
        })?;
        let media_type = fetched.media_type().unwrap_or_default();
        if media_type != "application/json"
            && !(media_type.starts_with("application/") && media_type.ends_with("+json"))
        {
            return Err(Absent::Gone(format!("it is of the media type {media_type:?}, not application/json")));
        }
        // PostgreSQL keeps no text with it, and nobody means it.
        if fetched.body.windows(6).any(|bytes| bytes == b"\\u0000") {
            return Err(Absent::Gone("it has the character U+0000 in it".into()));
        }
        let metadata: Map<String, Value> = serde_json::from_slice(&fetched.body)
            .map_err(|error| Absent::Gone(format!("it is no JSON object: {error}")))?;
        let client = client(url, &metadata).map_err(Absent::Gone)?;
        let fresh_for = u64::try_from(fetched.fresh_for(FRESH, FRESH_UNSAID)).unwrap_or_default();
        Ok(Known { client: Arc::new(client), metadata, fresh_until: monotonic_millis() + fresh_for * 1_000 })
    }
}

/// An empty cache. Small documents count as large as keeps their number down.
fn remembering() -> Cache<String, Arc<Known>> {
    let least = u32::try_from(REMEMBERED_BYTES / REMEMBERED).unwrap_or(u32::MAX);
    let size = move |_: &String, known: &Arc<Known>| {
        let text = serde_json::to_string(&known.metadata).unwrap_or_default();
        u32::try_from(text.len()).unwrap_or(u32::MAX).max(least)
    };
    Cache::builder().max_capacity(REMEMBERED_BYTES).weigher(size).build()
}

impl Known {
    fn is_fresh(&self) -> bool {
        monotonic_millis() < self.fresh_until
    }
}

/// The client that a document describes; or what is wrong with it (§4).
fn client(url: &str, metadata: &Map<String, Value>) -> Result<Client, String> {
    if metadata.get("client_id").and_then(Value::as_str) != Some(url) {
        return Err("its client_id is not its own URL".into());
    }
    if ["client_secret", "client_secret_expires_at"].iter().any(|member| metadata.contains_key(*member)) {
        return Err("it holds a secret, which everybody can read".into());
    }
    let mut document = to_document(metadata, false).map_err(|wrong| match wrong {
        Wrong::RedirectUri(text) | Wrong::Metadata(text) => text,
    })?;
    let method = document.entry("token_endpoint_auth_method").or_insert_with(|| json!("none"));
    let offered =
        |method: &str| method == "none" || (method == "private_key_jwt" && CLIENT_AUTHENTICATION.contains(&method));
    if !method.as_str().is_some_and(offered) {
        return Err(format!(
            "token_endpoint_auth_method {method} is not for clients that share no secret with us, or not served"
        ));
    }
    // It vouches for nobody that it acts for: no grant without a person, and none that brings tokens through the browser.
    let grants = document.get("grant_types").and_then(Value::as_array).into_iter().flatten();
    let grants: Vec<Value> =
        grants.filter(|grant| *grant == "authorization_code" || *grant == "refresh_token").cloned().collect();
    if !grants.iter().any(|grant| grant == "authorization_code") {
        return Err("its grant_types do not have authorization_code".into());
    }
    document.insert("grant_types".into(), json!(grants));
    document.insert("response_types".into(), json!(["code"]));
    // Whoever controls the host is the client: it neither sends codes to another site, nor shows another's pages as its own.
    let origin = |uri: &str| Url::parse(uri).ok().map(|url| url.origin());
    let own = |uri: &str| origin(uri) == origin(url);
    // Applications on a device have a scheme of their own, or this machine itself.
    let foreign = |uri: &str| Url::parse(uri).is_ok_and(|url| url.scheme() == "https") && !own(uri);
    let uris = document
        .get("auth")
        .and_then(|auth| auth.pointer("/authorization_code/redirect_uris"))
        .and_then(Value::as_array);
    let mut uris = uris.into_iter().flatten().filter_map(Value::as_str);
    if let Some(foreign) = uris.find(|uri| foreign(uri)) {
        return Err(format!("the redirect URI {foreign} is of another origin"));
    }
    document.retain(|field, value| match value {
        Value::String(uri) => !field.split('#').any(|name| name.ends_with("_uri")) || own(uri),
        Value::Array(uris) if field.ends_with("_uris") => {
            uris.retain(|uri| uri.as_str().is_some_and(|uri| !foreign(uri)));
            true
        }
        _ => true,
    });
    // Nor does it learn what another's sector knows people by (Core §8.1).
    document.insert("sector_identifier_uri".into(), json!(url));
    let mut client =
        Client::from_document(url, 0, true, None, Value::Object(document)).map_err(|error| error.to_string())?;
    client.document.registration = Some(Registered::MetadataDocument);
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn large_documents_do_not_fill_the_memory() {
        let cache = remembering();
        let url = "https://a.example/client.json";
        let sound = json!({"client_id": url, "redirect_uris": ["https://a.example/cb"], "x": "x".repeat(60_000)});
        let metadata = sound.as_object().unwrap().clone();
        let client = Arc::new(client(url, &metadata).unwrap());
        for index in 0..1_000 {
            let known = Known { client: Arc::clone(&client), metadata: metadata.clone(), fresh_until: 0 };
            cache.insert(format!("{url}?{index}"), Arc::new(known)).await;
        }
        cache.run_pending_tasks().await;
        assert!((100..600).contains(&cache.entry_count()), "{}", cache.entry_count());
    }
}
