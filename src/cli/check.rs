//! `countersign check`: would `serve` start? Every finding, and nothing changed.

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::args::ServerArgs;
use super::output::answer;
use super::{Failure, bundles};
use crate::clock::Clock;
use crate::config::{DatabaseUrl, Purpose, Settings, Tls, table};
use crate::domain::secret::MasterKey;
use crate::identity::hashing::Hashing;
use crate::oauth::registry::Registry;
use crate::randomness::Randomness;
use crate::realm;
use crate::resources::apply::{ApplyError, Options};
use crate::resources::{Documents, bundle::Item};
use crate::store::{Location, Store};

pub(super) async fn check(args: ServerArgs) -> Result<(), Failure> {
    let (settings, problems) = super::examined(Purpose::Serve, &args.settings.0)?;
    let mut findings = Findings::default();
    // What stands in for a wrong value says nothing of what is there.
    let is_right = |setting| !problems.iter().any(|problem| problem.is_about(setting));
    let wrong = problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    findings.say("settings", if wrong.is_empty() { Ok(()) } else { Err(wrong) });
    if let Some(files) = &settings.tls {
        findings.say("TLS", tls(files));
    }
    if settings.outbound_ca.is_some() {
        let issuer = settings.issuer_at(settings.listen.port());
        findings.say("outbound CA", realm::outbound(&settings, &issuer).map(drop).map_err(|finding| vec![finding]));
    }
    if !settings.software_statement_issuers.is_empty() {
        findings.say("software statements", realm::registration(&settings).map(drop).map_err(|finding| vec![finding]));
    }
    let master = if is_right(&table::MASTER_KEY) { findings.master_key(&settings) } else { None };
    let store = if is_right(&table::DATABASE_URL) { findings.database(&settings, master.as_ref()).await } else { None };
    if !settings.bundles.is_empty() {
        match bundles::read(&settings.bundles) {
            Ok(items) => findings.bundles(&settings, store.as_ref(), master, &items).await?,
            Err(failure) => findings.say("bundles", Err(failure.findings())),
        }
    }
    if let Some(store) = store {
        store.close().await;
    }
    if findings.0.is_empty() { Ok(()) } else { Err(Failure::list("`serve` would not start:", findings.0)) }
}

fn tls(files: &Tls) -> Result<(), Vec<String>> {
    let chain = CertificateDer::pem_file_iter(&files.cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let key = PrivateKeyDer::from_pem_file(&files.key);
    let findings: Vec<String> =
        [chain.err().map(|error| (&files.cert, error)), key.err().map(|error| (&files.key, error))]
            .into_iter()
            .flatten()
            .map(|(path, error)| format!("{}: {error}", path.display()))
            .collect();
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn say(&mut self, what: &str, result: Result<(), Vec<String>>) {
        match result {
            Ok(()) => answer(format!("{what}: fine")),
            Err(findings) => self.0.extend(findings.into_iter().map(|finding| format!("{what}: {finding}"))),
        }
    }

    fn master_key(&mut self, settings: &Settings) -> Option<MasterKey> {
        match settings.find_master_key() {
            Ok(Some(key)) => Some(key),
            Ok(None) => {
                answer("master key: will be made at the first start");
                None
            }
            Err(error) => {
                self.say("master key", Err(vec![error.to_string()]));
                None
            }
        }
    }

    /// Looks into the database; answers it where its schema is this version's.
    async fn database(&mut self, settings: &Settings, master: Option<&MasterKey>) -> Option<Store> {
        match &settings.database_url {
            DatabaseUrl::SqliteFile(path) if !path.exists() => {
                answer(format!("database: {} will be made at the first start", path.display()));
                return None;
            }
            DatabaseUrl::SqliteMemory => return None,
            DatabaseUrl::SqliteFile(_) | DatabaseUrl::Postgres(_) => {}
        }
        let store = match Store::open(&realm::location(settings)).await {
            Ok(store) => store,
            Err(error) => {
                self.say("database", Err(vec![format!("{}: {error}", settings.database_url)]));
                return None;
            }
        };
        match store.pending_migrations().await {
            Ok(Some(0)) => {}
            Ok(Some(n)) => {
                answer(format!("database: {n} migrations will be applied"));
                return None;
            }
            Ok(None) => {
                answer("database: empty; all migrations will be applied");
                return None;
            }
            Err(error) => {
                self.say("database", Err(vec![error.to_string()]));
                return None;
            }
        }
        answer("database: fine");
        if let Some(master) = master {
            let keys = Registry::of_store(store.clone(), master).await;
            self.say("signing keys", keys.map(drop).map_err(|error| vec![error.to_string()]));
        }
        Some(store)
    }

    /// Rehearses the bundles on the database, or on an empty one where there is none yet.
    async fn bundles(
        &mut self,
        settings: &Settings,
        store: Option<&Store>,
        master: Option<MasterKey>,
        items: &[Item],
    ) -> Result<(), Failure> {
        let store = if let Some(store) = store {
            store.clone()
        } else {
            let empty = Store::open(&Location::SqliteMemory).await?;
            empty.migrate().await?;
            empty
        };
        let documents: Documents = realm::documents(
            settings,
            store,
            &master.unwrap_or_else(MasterKey::generate),
            Hashing::default(),
            Randomness::default(),
        );
        let options = Options { dry_run: true, ..Options::default() };
        let result = match documents.apply(items, options, Clock::default().now()).await {
            Ok(_) => Ok(()),
            Err(ApplyError::Invalid(problems)) => Err(problems),
            Err(ApplyError::Internal(internal)) => return Err(internal.into()),
        };
        self.say("bundles", result);
        Ok(())
    }
}
