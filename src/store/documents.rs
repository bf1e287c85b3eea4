//! Documents: what administrators PUT. See `migrations/` for the columns.

use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;

use super::{Db, Result, Store, Tx};
use crate::domain::time::Timestamp;

/// A row of `document`, a tombstone included.
#[derive(Clone, Debug, FromRow)]
#[expect(missing_docs, reason = "each column is described where the table is made, in migrations/")]
pub struct Row {
    pub kind: String,
    pub id: String,
    pub version: i64,
    pub body: Json<Value>,
    pub secrets: Json<Value>,
    pub active: bool,
    pub epoch: i64,
    pub user_id: Option<String>,
    pub client_id: Option<String>,
    pub origin: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
}

const COLUMNS: &str = "SELECT kind, id, version, body, secrets, active, epoch, user_id, client_id, origin, created_at, updated_at, deleted_at FROM document";

/// A search over the documents of one kind.
#[derive(Clone, Debug)]
pub struct Query {
    /// All of these hold.
    pub filters: Vec<Filter>,
    /// By these, in turn.
    pub order: Vec<Order>,
    /// At most so many rows.
    pub limit: i64,
    /// After so many.
    pub offset: i64,
    /// Whether to count beyond 10,000.
    pub accurate: bool,
}

/// One condition.
#[derive(Clone, Debug)]
pub enum Filter {
    /// The id is one of these.
    Id(Vec<String>),
    /// The value at this path is this, or an array that holds it.
    Field(Vec<String>, String),
}

/// One order.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Order {
    Id { descending: bool },
    Updated { descending: bool },
    Created { descending: bool },
    Field { path: Vec<String>, descending: bool },
}

impl Store {
    /// The document, or its tombstone.
    pub async fn document(&self, kind: &str, id: &str) -> Result<Option<Row>> {
        let text = "SELECT kind, id, version, body, secrets, active, epoch, user_id, client_id, origin, created_at, updated_at, deleted_at
                    FROM document WHERE kind = $1 AND id = $2";
        sql!(self.reader(), fetch_optional as Row, text, kind, id)
    }

    /// A page of documents, and how many match in all (counted up to 10,000 unless an accurate number is asked for).
    pub async fn documents(&self, kind: &str, query: &Query) -> Result<(Vec<Row>, i64)> {
        let statement = Statement::new(kind, query, matches!(self.reader(), Db::Postgres(_)));
        let page = format!(
            "{COLUMNS} WHERE {} ORDER BY {} LIMIT {} OFFSET {}",
            statement.condition, statement.order, query.limit, query.offset
        );
        let limit = if query.accurate { "" } else { " LIMIT 10000" };
        let count = format!(
            "SELECT count(*) FROM (SELECT 1 AS one FROM document WHERE {}{limit}) AS counted",
            statement.condition
        );
        // Every value is bound; the text has placeholders, column names and numbers alone.
        macro_rules! run {
            ($rows:ident, $total:ident => $fetched:expr) => {{
                let mut $rows = sqlx::query_as::<_, Row>(sqlx::AssertSqlSafe(page));
                let mut $total = sqlx::query_as::<_, (i64,)>(sqlx::AssertSqlSafe(count));
                for value in &statement.binds {
                    $rows = $rows.bind(value);
                }
                for value in &statement.binds[..statement.condition_binds] {
                    $total = $total.bind(value);
                }
                $fetched
            }};
        }
        Ok(match self.patient_reader() {
            Db::Postgres(db) => run!(rows, total => (
                lent!(db, loan => rows.fetch_all(loan.ask()))?,
                lent!(db, loan => total.fetch_one(loan.ask()))?.0,
            )),
            Db::Sqlite(pool) => run!(rows, total => (rows.fetch_all(pool).await?, total.fetch_one(pool).await?.0)),
        })
    }

    /// Every living document of a kind, by id.
    pub async fn all_documents(&self, kind: &str) -> Result<Vec<Row>> {
        let text = "SELECT kind, id, version, body, secrets, active, epoch, user_id, client_id, origin, created_at, updated_at, deleted_at
                    FROM document WHERE kind = $1 AND deleted_at IS NULL ORDER BY id";
        sql!(self.patient_reader(), fetch_all as Row, text, kind)
    }

    /// The documents that bundles made.
    pub async fn documents_of_bundles(&self) -> Result<Vec<(String, String)>> {
        let text = "SELECT kind, id FROM document WHERE origin = 'bundle' AND deleted_at IS NULL ORDER BY kind, id";
        sql!(self.patient_reader(), fetch_all as (String, String), text)
    }
}

impl Tx {
    /// Writes a document over version `base` of it (0: there is none yet, not even a tombstone). `false` where somebody else was
    /// faster.
    pub async fn write_document(&mut self, row: &Row, base: i64) -> Result<bool> {
        let written = if base == 0 {
            sql!(
                self.conn(),
                execute,
                "INSERT INTO document (kind, id, version, body, secrets, active, epoch, user_id, client_id, origin, created_at, updated_at, deleted_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (kind, id) DO NOTHING",
                &row.kind, &row.id, row.version, &row.body, &row.secrets, row.active, row.epoch, &row.user_id, &row.client_id, &row.origin,
                row.created_at, row.updated_at, row.deleted_at,
            )?
        } else {
            sql!(
                self.conn(),
                execute,
                "UPDATE document SET version = $3, body = $4, secrets = $5, active = $6, epoch = $7, user_id = $8, client_id = $9, origin = $10,
                   created_at = $11, updated_at = $12, deleted_at = $13 WHERE kind = $1 AND id = $2 AND version = $14",
                &row.kind, &row.id, row.version, &row.body, &row.secrets, row.active, row.epoch, &row.user_id, &row.client_id, &row.origin,
                row.created_at, row.updated_at, row.deleted_at, base,
            )?
        };
        Ok(written > 0)
    }

    /// Gives a user these sign-in names and no others. Answers one that belongs to somebody else already.
    pub async fn set_login_names(&mut self, user_id: &str, names: &[String]) -> Result<Option<String>> {
        sql!(self.conn(), execute, "DELETE FROM login_name WHERE user_id = $1", user_id)?;
        for name in names {
            let taken = sql!(
                self.conn(),
                execute,
                "INSERT INTO login_name (name, user_id) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
                name,
                user_id,
            )? == 0;
            if taken {
                return Ok(Some(name.clone()));
            }
        }
        Ok(None)
    }

    /// Deletes the Grants of a user or a client.
    pub async fn delete_grants_of(
        &mut self,
        user_id: Option<&str>,
        client_id: Option<&str>,
        now: Timestamp,
    ) -> Result<()> {
        sql!(
            self.conn(),
            execute,
            "UPDATE document SET deleted_at = $3, version = version + 1, active = FALSE
             WHERE kind = 'Grant' AND deleted_at IS NULL AND (user_id = $1 OR client_id = $2)",
            user_id,
            client_id,
            now,
        )
        .map(drop)
    }
}

/// The variable part of a search.
struct Statement {
    condition: String,
    order: String,
    binds: Vec<String>,
    condition_binds: usize,
}

impl Statement {
    fn new(kind: &str, query: &Query, postgres: bool) -> Self {
        let mut statement = Self {
            condition: "kind = $1 AND deleted_at IS NULL".into(),
            order: String::new(),
            binds: vec![kind.into()],
            condition_binds: 0,
        };
        for filter in &query.filters {
            let condition = match filter {
                Filter::Id(ids) => {
                    let marks: Vec<String> = ids.iter().map(|id| statement.bind(id.clone())).collect();
                    format!("id IN ({})", marks.join(", "))
                }
                Filter::Field(path, value) if postgres => {
                    let (path, value) = (statement.bind(postgres_path(path)), statement.bind(value.clone()));
                    format!(
                        "(body #>> CAST({path} AS text[]) = {value} OR body #> CAST({path} AS text[]) @> to_jsonb({value}))"
                    )
                }
                Filter::Field(path, value) => {
                    let (path, value) = (statement.bind(sqlite_path(path)), statement.bind(value.clone()));
                    // `json_each` goes through the members of an object too, and says 1 and 0 for true and false.
                    format!(
                        "(json_type(body, {path}) <> 'object' AND EXISTS (SELECT 1 FROM json_each(body, {path}) AS found
                          WHERE CASE WHEN found.type IN ('true', 'false') THEN found.type ELSE CAST(found.value AS TEXT) END = {value}))"
                    )
                }
            };
            statement.condition.push_str(" AND ");
            statement.condition.push_str(&condition);
        }
        statement.condition_binds = statement.binds.len();
        let mut order: Vec<String> = query.order.iter().map(|order| statement.order(order, postgres)).collect();
        order.push("id".into());
        statement.order = order.join(", ");
        statement
    }

    fn bind(&mut self, value: String) -> String {
        self.binds.push(value);
        format!("${}", self.binds.len())
    }

    fn order(&mut self, order: &Order, postgres: bool) -> String {
        let (key, descending) = match order {
            Order::Id { descending } => ("id".to_owned(), descending),
            Order::Updated { descending } => ("updated_at".to_owned(), descending),
            Order::Created { descending } => ("created_at".to_owned(), descending),
            Order::Field { path, descending } if postgres => {
                let path = self.bind(postgres_path(path));
                (format!("body #>> CAST({path} AS text[]) COLLATE \"C\""), descending)
            }
            Order::Field { path, descending } => {
                let path = self.bind(sqlite_path(path));
                (format!("CAST(body ->> {path} AS TEXT)"), descending)
            }
        };
        // What lacks the field comes last, on both databases and in both directions.
        let nulls = if matches!(order, Order::Field { .. }) { " NULLS LAST" } else { "" };
        format!("{key}{}{nulls}", if *descending { " DESC" } else { "" })
    }
}

/// `{user,id}`; segments are words of letters, digits, `_` and `-`.
fn postgres_path(path: &[String]) -> String {
    format!("{{{}}}", path.join(","))
}

/// `$."user"."id"`
fn sqlite_path(path: &[String]) -> String {
    path.iter().fold("$".to_owned(), |all, segment| format!("{all}.\"{segment}\""))
}
