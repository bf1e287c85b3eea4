//! What sign-in and issuing need of clients, users and consents; the documents themselves are [`super::documents`]'s.

use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Db, Result, Store, Tx};
use crate::domain::client::Client;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::domain::user::User;

#[derive(FromRow)]
struct Row {
    id: String,
    active: bool,
    epoch: i64,
    updated_at: i64,
    body: Json<Value>,
    secrets: Json<Value>,
}

/// A user with the stored form of the password.
#[derive(Debug)]
pub struct Account {
    /// The person.
    pub user: User,
    /// The hash to verify against; a user without one cannot sign in with a password.
    pub password: Option<String>,
}

impl Row {
    fn secret(&self, name: &str) -> Option<String> {
        self.secrets.get(name).and_then(Value::as_str).map(str::to_owned)
    }

    fn into_client(self) -> Result<Client> {
        let secret = self.secret("secret");
        Client::from_document(&self.id, self.epoch, self.active, secret, self.body.0)
            .map_err(|error| sqlx::Error::Decode(error.into()))
    }

    fn into_account(self) -> Account {
        let password = self.secret("password");
        let user = User {
            id: self.id,
            active: self.active,
            epoch: self.epoch,
            updated_at: self.updated_at,
            body: self.body.0,
        };
        Account { user, password }
    }
}

impl Store {
    /// The client of this id. A document that no longer reads as a client is an error, not an absent client.
    pub async fn client(&self, id: &str) -> Result<Option<Client>> {
        let row = sql!(
            self.reader(),
            fetch_optional as Row,
            "SELECT id, active, epoch, updated_at, body, secrets FROM document WHERE kind = 'Client' AND id = $1 AND deleted_at IS NULL",
            id,
        )?;
        row.map(Row::into_client).transpose()
    }

    /// The first clients by id, at most so many.
    pub async fn clients(&self, limit: i64) -> Result<Vec<Client>> {
        let rows = sql!(
            self.reader(),
            fetch_all as Row,
            "SELECT id, active, epoch, updated_at, body, secrets FROM document WHERE kind = 'Client' AND deleted_at IS NULL
             ORDER BY id LIMIT $1",
            limit,
        )?;
        rows.into_iter().map(Row::into_client).collect()
    }

    /// The account that a name typed at sign-in leads to: user name, e-mail or id, in any case.
    pub async fn account_by_login_name(&self, name: &str) -> Result<Option<Account>> {
        let row = sql!(
            self.reader(),
            fetch_optional as Row,
            "SELECT d.id, d.active, d.epoch, d.updated_at, d.body, d.secrets FROM login_name n
             JOIN document d ON d.kind = 'User' AND d.id = n.user_id AND d.deleted_at IS NULL WHERE n.name = $1",
            name.to_lowercase(),
        )?;
        Ok(row.map(Row::into_account))
    }

    /// The user of this id.
    pub async fn user(&self, id: &str) -> Result<Option<User>> {
        let row = sql!(
            self.reader(),
            fetch_optional as Row,
            "SELECT id, active, epoch, updated_at, body, secrets FROM document WHERE kind = 'User' AND id = $1 AND deleted_at IS NULL",
            id,
        )?;
        Ok(row.map(|row| row.into_account().user))
    }

    /// Puts a new hash of the same password in the place of the old one, unless the password changed meanwhile.
    pub async fn upgrade_password(&self, user_id: &str, old: &str, new: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        let row = sql!(
            tx.conn(),
            fetch_optional as (Json<Value>,),
            "SELECT secrets FROM document WHERE kind = 'User' AND id = $1 AND deleted_at IS NULL",
            user_id,
        )?;
        if let Some((Json(mut secrets),)) = row
            && secrets.get("password").and_then(Value::as_str) == Some(old)
        {
            let before = Json(secrets.clone());
            secrets["password"] = Value::from(new);
            sql!(
                tx.conn(),
                execute,
                "UPDATE document SET secrets = $2 WHERE kind = 'User' AND id = $1 AND secrets = $3",
                user_id,
                Json(secrets),
                before,
            )?;
        }
        tx.commit().await
    }

    /// What the user's Grants for this client cover; `None` where there is no Grant, not even of an empty scope.
    pub async fn consented(&self, user_id: &str, client_id: &str) -> Result<Option<Consented>> {
        let rows = sql!(
            self.reader(),
            fetch_all as (Json<Value>,),
            "SELECT body FROM document WHERE kind = 'Grant' AND user_id = $1 AND client_id = $2 AND active AND deleted_at IS NULL",
            user_id,
            client_id,
        )?;
        Ok(rows.iter().map(|(Json(body),)| Consented::of(body)).reduce(Consented::with))
    }

    /// Remembers that the user consented to this for this client, beside what was consented to before.
    pub async fn remember_consent(
        &self,
        user_id: &str,
        client_id: &str,
        consented: Consented,
        now: Timestamp,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        let id = uuid::Builder::from_custom_bytes(consent_id(user_id, client_id)).into_uuid();
        tx.lock_consent(id).await?;
        let id = id.to_string();
        macro_rules! existing {
            () => {
                "SELECT body, deleted_at IS NULL FROM document WHERE kind = 'Grant' AND id = $1"
            };
        }
        // Locked, so that what is withdrawn at this moment does not come back.
        let existing: Option<(Json<Value>, bool)> = match tx.conn() {
            Db::Postgres(db) => {
                let query = sqlx::query_as(concat!(existing!(), " FOR UPDATE")).bind(&id);
                lent!(db, loan => query.fetch_optional(loan.ask()))?
            }
            Db::Sqlite(db) => sqlx::query_as(existing!()).bind(&id).fetch_optional(db).await?,
        };
        let before = existing
            .as_ref()
            .filter(|(_, there)| *there)
            .map(|(Json(body), _)| Consented::of(body))
            .unwrap_or_default();
        let Consented { scope, resources } = before.with(consented);
        let words: Vec<String> = scope.words().map(str::to_owned).collect();
        let mut body = serde_json::json!({
            "user": {"resourceType": "User", "id": user_id},
            "client": {"resourceType": "Client", "id": client_id},
            "requested-scope": words,
            "provided-scope": words,
            "start": now.rfc3339(),
        });
        if !resources.is_empty() {
            body["resource"] = resources.into();
        }
        sql!(
            tx.conn(),
            execute,
            "INSERT INTO document (kind, id, version, body, secrets, active, epoch, user_id, client_id, created_at, updated_at)
             VALUES ('Grant', $1, 1, $2, $3, TRUE, 0, $4, $5, $6, $6)
             ON CONFLICT (kind, id) DO UPDATE SET version = document.version + 1, body = excluded.body, active = TRUE,
               user_id = excluded.user_id, client_id = excluded.client_id, updated_at = excluded.updated_at, deleted_at = NULL",
            &id,
            Json(body),
            Json(serde_json::json!({})),
            user_id,
            client_id,
            now,
        )?;
        tx.commit().await
    }
}

/// What a user consented to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consented {
    /// The scopes.
    pub scope: Scope,
    /// The resources that access was asked for (RFC 8707), each once.
    pub resources: Vec<String>,
}

impl Consented {
    /// What a Grant covers.
    pub fn of(body: &Value) -> Self {
        let resources = body.get("resource").and_then(Value::as_array).into_iter().flatten();
        let resources = resources.filter_map(Value::as_str).map(str::to_owned).collect();
        Self { scope: provided_scope(body), resources }
    }

    fn with(mut self, other: Self) -> Self {
        self.resources.extend(other.resources);
        self.resources.sort();
        self.resources.dedup();
        Self { scope: self.scope.union(&other.scope), resources: self.resources }
    }

    /// Whether it covers another.
    pub fn covers(&self, other: &Self) -> bool {
        other.scope.is_within(&self.scope) && other.resources.iter().all(|one| self.resources.contains(one))
    }
}

fn provided_scope(body: &Value) -> Scope {
    let listed = body.get("provided-scope").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let written =
        body.get("scope").and_then(Value::as_str).unwrap_or_default().split(' ').filter(|word| !word.is_empty());
    Scope::from_words(listed.chain(written))
}

/// One Grant per user and client: its id follows from both.
fn consent_id(user_id: &str, client_id: &str) -> [u8; 16] {
    let digest = crate::domain::secret::Digest::of(format!("{}:{user_id}{client_id}", user_id.len()).as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&digest.as_bytes()[..16]);
    id
}

impl Tx {
    /// Waits until no other node is in a transaction that remembers a consent of this id: there may be no row to lock yet.
    async fn lock_consent(&mut self, id: Uuid) -> Result<()> {
        match self.conn() {
            Db::Postgres(db) => {
                let (key, _) = id.as_u64_pair();
                let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(key.cast_signed());
                lent!(db, loan => lock.execute(loan.ask())).map(drop)
            }
            Db::Sqlite(_) => Ok(()),
        }
    }

    /// Whether any document is there yet.
    pub async fn has_documents(&mut self) -> Result<bool> {
        let found =
            sql!(self.conn(), fetch_optional as (String,), "SELECT id FROM document WHERE deleted_at IS NULL LIMIT 1")?;
        Ok(found.is_some())
    }
}
