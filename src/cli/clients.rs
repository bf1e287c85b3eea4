//! `countersign client`: the applications that ask for tokens.

use serde_json::{Map, Value, json};

use super::Failure;
use super::args::{ClientCommand, ClientCreateArgs, InitialTokenArgs, NamedArgs};
use super::documents::Documents;
use super::output::{answer, answer_table};
use super::prompt;
use crate::clock::new_row_id;
use crate::config::Purpose;
use crate::domain::bearer::{Bearer, Kind};
use crate::domain::password::fast_form;
use crate::domain::secret::Secret;
use crate::resources::DocumentKind;

const CLIENT: DocumentKind = DocumentKind::Client;

pub(super) async fn run(command: ClientCommand) -> Result<(), Failure> {
    let settings = super::settings(Purpose::Keys, command.settings())?;
    Documents::with(&settings, async |documents| match command {
        ClientCommand::Create(args) => create(documents, args).await,
        ClientCommand::List(_) => list(documents).await,
        ClientCommand::Disable(args) => set_active(documents, &args, false).await,
        ClientCommand::Enable(args) => set_active(documents, &args, true).await,
        ClientCommand::Secret { generate, named } => set_secret(documents, &named, generate).await,
        ClientCommand::InitialToken(args) => initial_token(documents, &args).await,
    })
    .await
}

async fn create(documents: &Documents, args: ClientCreateArgs) -> Result<(), Failure> {
    if documents.exists(CLIENT, &args.id).await? {
        return Err(Failure::new(format!("there is a client {} already", args.id)));
    }
    let secret = if args.public { None } else { Some(new_secret(args.generate)?) };
    let mut body = document(&args);
    if let Some(secret) = &secret {
        body.insert("secret".into(), stored(secret, args.generate));
    }
    let id = documents.create(CLIENT, Some(args.id), Value::Object(body)).await?;
    match secret.filter(|_| args.generate) {
        Some(secret) => answer(secret.expose()),
        None => answer(id),
    }
    Ok(())
}

fn document(args: &ClientCreateArgs) -> Map<String, Value> {
    let mut body = Map::new();
    if let Some(name) = &args.name {
        body.insert("name".into(), json!(name));
    }
    body.insert("grant_types".into(), json!(args.grant_types));
    if args.first_party {
        body.insert("first_party".into(), json!(true));
    }
    if !args.scopes.is_empty() {
        body.insert("scope".into(), json!(args.scopes));
    }
    let mut flow = Map::new();
    if !args.redirect_uris.is_empty() {
        flow.insert("redirect_uris".into(), json!(args.redirect_uris));
    }
    if args.grant_types.iter().any(|grant| grant == "authorization_code") {
        flow.insert("pkce".into(), json!(true));
        flow.insert("secret_required".into(), json!(!args.public));
        body.insert("auth".into(), json!({ "authorization_code": flow }));
    }
    body
}

/// RFC 7591 §3: what an operator hands out so that somebody may register clients.
async fn initial_token(documents: &Documents, args: &InitialTokenArgs) -> Result<(), Failure> {
    let token = Bearer::generate(Kind::InitialAccessToken, new_row_id());
    let expires_at = documents.clock().now().plus(args.expires_in.into());
    let store = documents.verbs().store();
    store.insert_initial_access_token(token.id(), token.digest(), args.uses.into(), expires_at).await?;
    answer(token.reveal());
    Ok(())
}

async fn list(documents: &Documents) -> Result<(), Failure> {
    let clients = documents.list(CLIENT).await?;
    let rows: Vec<_> = clients.iter().map(row).collect();
    answer_table(["ID", "NAME", "STATE", "KIND", "GRANT TYPES"], &rows);
    Ok(())
}

fn row(client: &Value) -> [String; 5] {
    let text = |field: &str| client.get(field).and_then(Value::as_str).unwrap_or("–").to_owned();
    let state = if client.get("active") == Some(&Value::Bool(false)) { "disabled" } else { "active" };
    let by_key = client.get("token_endpoint_auth_method").is_some_and(|method| method == "private_key_jwt");
    let kind = if client.get("secret").is_some() || by_key { "confidential" } else { "public" };
    let grants = client.get("grant_types").and_then(Value::as_array).into_iter().flatten();
    let grants: Vec<&str> = grants.filter_map(Value::as_str).collect();
    [text("id"), text("name"), state.to_owned(), kind.to_owned(), grants.join(" ")]
}

async fn set_active(documents: &Documents, args: &NamedArgs, active: bool) -> Result<(), Failure> {
    known(documents, &args.id).await?;
    documents.merge(CLIENT, &args.id, json!({ "active": active })).await?;
    answer(format!("{} is {}", args.id, if active { "enabled" } else { "disabled" }));
    Ok(())
}

async fn set_secret(documents: &Documents, args: &NamedArgs, generate: bool) -> Result<(), Failure> {
    let client = known(documents, &args.id).await?;
    let secret = new_secret(generate)?;
    // Where the secret is the key of signatures, the documents' room seals it, for which it needs the secret itself.
    let signs = client["token_endpoint_auth_method"] == "client_secret_jwt";
    documents.merge(CLIENT, &args.id, json!({ "secret": stored(&secret, generate && !signs) })).await?;
    if generate {
        answer(secret.expose());
    } else {
        answer(format!("{} has a new secret", args.id));
    }
    Ok(())
}

fn new_secret(generate: bool) -> Result<Secret, Failure> {
    if generate { Ok(Secret::generate()) } else { prompt::new_secret("Secret") }
}

/// A secret as the document takes it. What we made has 256 bits, so that its fast form gives nothing away; what somebody chose
/// is for the documents' room to hash slowly.
fn stored(secret: &Secret, generated: bool) -> Value {
    if generated { json!(fast_form(secret)) } else { json!(secret.expose()) }
}

async fn known(documents: &Documents, id: &str) -> Result<Value, Failure> {
    let client = documents.body(CLIENT, id).await?;
    client.ok_or_else(|| Failure::new(format!("there is no client {id}; `countersign client list` shows them")))
}
