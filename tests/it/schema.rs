//! The two databases have the same schema: the same tables, with the same columns, of kinds that correspond, null in the same
//! places, with the same keys and indexes.

use std::collections::BTreeMap;

use sqlx::Row;

use crate::support::{Database, Server};

/// Table and column → kind, whether it may be null, whether it is of the primary key.
type Columns = BTreeMap<(String, String), (&'static str, bool, bool)>;

fn kind(declared: &str) -> &'static str {
    match declared.to_lowercase().as_str() {
        // SQLite has neither booleans nor JSON of its own.
        "bigint" | "integer" | "boolean" => "number",
        "text" | "jsonb" => "text",
        "bytea" | "blob" | "uuid" => "bytes",
        other => panic!("a column of another kind: {other}"),
    }
}

async fn postgres(url: &str) -> (Columns, Vec<String>) {
    let pool = sqlx::PgPool::connect(url).await.unwrap();
    let text = "SELECT c.table_name::text, c.column_name::text, c.data_type::text, c.is_nullable = 'YES', EXISTS (
          SELECT 1 FROM information_schema.table_constraints t JOIN information_schema.key_column_usage k USING (constraint_schema, constraint_name)
          WHERE t.constraint_type = 'PRIMARY KEY' AND k.table_schema = c.table_schema AND k.table_name = c.table_name AND k.column_name = c.column_name)
        FROM information_schema.columns c WHERE c.table_schema = current_schema() AND c.table_name NOT LIKE '\\_sqlx%'";
    let rows = sqlx::query(text).fetch_all(&pool).await.unwrap();
    let column = |row: &sqlx::postgres::PgRow| ((row.get(0), row.get(1)), (kind(row.get(2)), row.get(3), row.get(4)));
    let indexes = "SELECT indexname::text FROM pg_indexes WHERE schemaname = current_schema() AND indexname NOT LIKE '%\\_pkey' ORDER BY 1";
    let indexes = sqlx::query_scalar(indexes).fetch_all(&pool).await.unwrap();
    (rows.iter().map(column).collect(), indexes)
}

async fn sqlite(path: &std::path::Path) -> (Columns, Vec<String>) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let text =
        "SELECT m.name, c.name, c.type, c.\"notnull\" = 0, c.pk > 0 FROM sqlite_schema m, pragma_table_info(m.name) c
        WHERE m.type = 'table' AND m.name NOT LIKE '\\_sqlx%' ESCAPE '\\' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let rows = sqlx::query(text).fetch_all(&pool).await.unwrap();
    let column = |row: &sqlx::sqlite::SqliteRow| {
        let declared: String = row.get(2);
        ((row.get(0), row.get(1)), (kind(&declared), row.get(3), row.get(4)))
    };
    let indexes = "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY 1";
    let indexes = sqlx::query_scalar(indexes).fetch_all(&pool).await.unwrap();
    (rows.iter().map(column).collect(), indexes)
}

#[tokio::test]
async fn both_databases_have_the_same_schema() {
    let (on_file, on_postgres) = (Server::on_a_file().await, Server::start(Database::Postgres).await);
    let countersign::config::DatabaseUrl::SqliteFile(path) = &on_file.settings.database_url else { unreachable!() };
    let countersign::config::DatabaseUrl::Postgres(url) = &on_postgres.settings.database_url else { unreachable!() };
    let ((left, left_indexes), (right, right_indexes)) = (sqlite(path).await, postgres(url).await);
    for column in left.keys().chain(right.keys()) {
        assert_eq!(left.get(column), right.get(column), "{column:?}: SQLite on the left, PostgreSQL on the right");
    }
    assert_eq!(left_indexes, right_indexes);
    assert!(left.len() > 50 && left_indexes.len() > 5);
}

/// Kept apart, so that a migration that is added to one side alone is seen at once.
#[test]
fn both_databases_have_the_same_migrations() {
    let names = |kind: &str| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(kind);
        let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names("sqlite"), names("postgres"));
}
