//! The documents of a database, for the commands that create and change single ones.

use serde_json::Value;

use super::{Failure, database};
use crate::clock::Clock;
use crate::config::Settings;
use crate::identity::hashing::Hashing;
use crate::randomness::Randomness;
use crate::realm;
use crate::resources::patch::Method;
use crate::resources::render::{self, Mount};
use crate::resources::{Change, DocumentKind, Precondition, Problem};

pub(super) struct Documents {
    inner: crate::resources::Documents,
    clock: Clock,
}

impl Documents {
    /// Works on the documents of the settings' database.
    pub(super) async fn with<T>(
        settings: &Settings,
        work: impl AsyncFnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let master = settings.obtain_master_key()?;
        database::with(settings, async |store| {
            let inner = realm::documents(settings, store.clone(), &master, Hashing::default(), Randomness::default());
            work(&Self { inner, clock: Clock::default() }).await
        })
        .await
    }

    /// The verbs themselves.
    pub(super) const fn verbs(&self) -> &crate::resources::Documents {
        &self.inner
    }

    /// The clock of this command.
    pub(super) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The id of the user with this id, user name or e-mail address.
    pub(super) async fn user_id(&self, name: &str) -> Result<Option<String>, Failure> {
        let store = self.inner.store();
        if let Some(user) = store.user(name).await? {
            return Ok(Some(user.id));
        }
        Ok(store.account_by_login_name(name).await?.map(|account| account.user.id))
    }

    pub(super) async fn exists(&self, kind: DocumentKind, id: &str) -> Result<bool, Failure> {
        Ok(self.body(kind, id).await?.is_some())
    }

    /// The living document of this id, without its secrets.
    pub(super) async fn body(&self, kind: DocumentKind, id: &str) -> Result<Option<Value>, Failure> {
        let row = self.inner.store().document(kind.name(), id).await?;
        Ok(row.filter(|row| row.deleted_at.is_none()).map(|row| row.body.0))
    }

    /// Every living document of a kind, secrets masked.
    pub(super) async fn list(&self, kind: DocumentKind) -> Result<Vec<Value>, Failure> {
        let rows = self.inner.store().all_documents(kind.name()).await?;
        Ok(rows.iter().map(|row| render::document(row, Mount::Aidbox)).collect())
    }

    /// Creates a document; its id is `id`, its body's, or a new one.
    pub(super) async fn create(&self, kind: DocumentKind, id: Option<String>, body: Value) -> Result<String, Failure> {
        let mut body = body;
        if let (Some(id), Some(members)) = (id, body.as_object_mut()) {
            members.insert("id".into(), id.into());
        }
        self.change(Change::Post(kind, body)).await
    }

    /// Changes a document by a merge patch.
    pub(super) async fn merge(&self, kind: DocumentKind, id: &str, patch: Value) -> Result<(), Failure> {
        self.change(Change::Patch(kind, id.to_owned(), Method::Merge, patch)).await.map(drop)
    }

    async fn change(&self, change: Change) -> Result<String, Failure> {
        let written = self.inner.change(change, &Precondition::default(), self.clock.now()).await?;
        for warning in &written.warnings {
            tracing::warn!("{warning}");
        }
        Ok(written.row.id)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Outcome(outcome) => Self::list("this is not accepted:", outcome.lines()),
            Problem::Internal(internal) => internal.into(),
        }
    }
}
