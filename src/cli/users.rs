//! `countersign user`: the people who sign in.

use serde_json::{Map, Value, json};

use super::Failure;
use super::args::{NamedArgs, UserCommand, UserCreateArgs};
use super::documents::Documents;
use super::output::{answer, answer_table};
use super::prompt;
use crate::config::Purpose;
use crate::resources::DocumentKind;

const USER: DocumentKind = DocumentKind::User;

pub(super) async fn run(command: UserCommand) -> Result<(), Failure> {
    let settings = super::settings(Purpose::Keys, command.settings())?;
    Documents::with(&settings, async |documents| match command {
        UserCommand::Create(args) => create(documents, args).await,
        UserCommand::List(_) => list(documents).await,
        UserCommand::Disable(args) => set_inactive(documents, &args, true).await,
        UserCommand::Enable(args) => set_inactive(documents, &args, false).await,
        UserCommand::Password(args) => set_password(documents, &args).await,
    })
    .await
}

async fn create(documents: &Documents, args: UserCreateArgs) -> Result<(), Failure> {
    if documents.user_id(&args.user_name).await?.is_some() {
        return Err(Failure::new(format!("there is a user {} already", args.user_name)));
    }
    let password = prompt::new_secret("Password")?;
    let mut body = Map::new();
    body.insert("userName".into(), json!(args.user_name));
    body.insert("password".into(), json!(password.expose()));
    if let Some(email) = args.email {
        body.insert("email".into(), json!(email));
    }
    let name: Map<String, Value> = [("givenName", args.given_name), ("familyName", args.family_name)]
        .into_iter()
        .filter_map(|(field, value)| Some((field.to_owned(), json!(value?))))
        .collect();
    if !name.is_empty() {
        body.insert("name".into(), Value::Object(name));
    }
    if !args.roles.is_empty() {
        body.insert("roles".into(), args.roles.iter().map(|role| json!({ "value": role })).collect());
    }
    let id = documents.create(USER, args.id, Value::Object(body)).await?;
    answer(id);
    Ok(())
}

async fn list(documents: &Documents) -> Result<(), Failure> {
    let users = documents.list(USER).await?;
    let rows: Vec<_> = users.iter().map(row).collect();
    answer_table(["ID", "USER NAME", "E-MAIL", "STATE", "ROLES"], &rows);
    Ok(())
}

fn row(user: &Value) -> [String; 5] {
    let text = |field: &str| user.get(field).and_then(Value::as_str).unwrap_or("–").to_owned();
    let state = if user.get("inactive") == Some(&Value::Bool(true)) { "disabled" } else { "active" };
    let roles = user.get("roles").and_then(Value::as_array).into_iter().flatten();
    let roles: Vec<&str> = roles.filter_map(|role| role.get("value")?.as_str()).collect();
    [text("id"), text("userName"), text("email"), state.to_owned(), roles.join(" ")]
}

async fn set_inactive(documents: &Documents, args: &NamedArgs, inactive: bool) -> Result<(), Failure> {
    let id = known(documents, &args.id).await?;
    documents.merge(USER, &id, json!({ "inactive": inactive })).await?;
    answer(format!("{id} is {}", if inactive { "disabled" } else { "enabled" }));
    Ok(())
}

async fn set_password(documents: &Documents, args: &NamedArgs) -> Result<(), Failure> {
    let id = known(documents, &args.id).await?;
    let password = prompt::new_secret("New password")?;
    documents.merge(USER, &id, json!({ "password": password.expose() })).await?;
    answer(format!("{id} has a new password"));
    Ok(())
}

async fn known(documents: &Documents, name: &str) -> Result<String, Failure> {
    let unknown = || Failure::new(format!("there is no user {name}; `countersign user list` shows them"));
    documents.user_id(name).await?.ok_or_else(unknown)
}
