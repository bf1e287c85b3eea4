//! `countersign explain`: why a request was refused, from the database of the settings.

use super::Failure;
use super::args::ExplainArgs;
use super::database;
use super::output::answer;
use crate::config::{DatabaseUrl, Purpose};
use crate::oauth::explanations::{Explanations, Record};

/// No more are printed of ids that begin alike.
const MOST: i64 = 50;

const NOT_THERE: &str = "It may be older than 7 days; of a request that was not refused, or that another server with another \
database answered; one of so many refusals in a minute that it was dropped (the log says explanations_dropped); or still being \
written: try again in a second.";

pub(super) async fn run(args: ExplainArgs) -> Result<(), Failure> {
    let settings = super::settings(Purpose::Store, &args.settings.0)?;
    if settings.database_url == DatabaseUrl::SqliteMemory {
        return Err(Failure::new(
            "the database of the settings is in memory, which only its server sees: open the start page of `countersign dev`, \
             or /dev/explanations/ID below its issuer; or name the server's database with --database-url",
        ));
    }
    let found = database::with(&settings, async |store| {
        let explanations = Explanations::new(store.clone());
        let mut all = Vec::new();
        for id in &args.ids {
            let found = explanations.find(id, MOST).await?.ok_or_else(|| {
                Failure::usage(format!(
                    "`{id}` is no request id: those are 32 hexadecimal digits, and 8 or more of the first will do"
                ))
            })?;
            if found.is_empty() {
                let text = format!("there is no explanation of {id} in {}. {NOT_THERE}", settings.database_url);
                return Err(Failure::new(text));
            }
            all.extend(found);
        }
        Ok(all)
    })
    .await?;
    if args.json {
        answer(serde_json::to_string_pretty(&found).map_err(Failure::new)?);
        return Ok(());
    }
    for (at, record) in found.iter().enumerate() {
        if at > 0 {
            answer("");
        }
        print(record);
    }
    Ok(())
}

fn print(record: &Record) {
    let Record { request_id, at, method, endpoint, status, error, description, explanation } = record;
    answer(format!("{request_id}  {}  {method} {}  {status} {error}", at.rfc3339(), endpoint.as_str()));
    if let Some(client_id) = &explanation.client_id {
        answer(format!("  client    {}", client_id.as_str()));
    }
    answer(format!("  answered  {description}"));
    for step in &explanation.steps {
        let found = step.found.as_str();
        match &step.expected {
            None => answer(format!("  passed    {}: {found}", step.what)),
            Some(expected) => {
                answer(format!("  FAILED    {}", step.what));
                answer(format!("              expected  {}", expected.as_str()));
                answer(format!("              found     {found}"));
            }
        }
    }
    if let Some(fix) = &explanation.fix {
        answer(format!("  fix       {fix}"));
    }
}
