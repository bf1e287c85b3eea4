//! The clients and people of the scenarios, put into a Countersign server over REST, and the profile that names them.

use std::fmt::Write as _;
use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::Args;
use serde_json::{Value, json};
use url::Url;

use crate::Result;
use crate::load::http::{Connection, Credentials, Requests};
use crate::profile::{Client, Profile, Users};
use crate::report::say;

/// The arguments of `prepare`.
#[derive(Args, Debug)]
pub(crate) struct PrepareArgs {
    /// The server, which is Countersign's issuer too
    #[arg(long, value_name = "URL", default_value = "http://localhost:8080")]
    base_url: Url,
    /// The administrator's client id
    #[arg(long, value_name = "ID", default_value = "root")]
    admin: String,
    /// Its secret
    #[arg(long, value_name = "SECRET", env = "COUNTERSIGN_ADMIN_CLIENT_SECRET", hide_env_values = true)]
    admin_secret: String,
    /// Clients for many-clients
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    clients: u32,
    /// People
    #[arg(long, value_name = "N", default_value_t = 64)]
    users: u32,
    /// Where to write the profile
    #[arg(long, value_name = "FILE", default_value = "countersign.profile.json")]
    profile: PathBuf,
}

/// Resources of one request, which is well below the server's limit on bodies.
const BATCH: usize = 500;
const REDIRECT_URI: &str = "http://localhost:4200/callback";

/// Runs `prepare`.
pub(crate) async fn run(args: PrepareArgs) -> Result<()> {
    let profile = prepare(args.base_url, (&args.admin, &args.admin_secret), args.clients, args.users).await?;
    profile.write(&args.profile)?;
    say(&format!("the profile is in {}", args.profile.display()));
    Ok(())
}

/// Puts everything there, and answers the profile.
pub(crate) async fn prepare(base_url: Url, admin: (&str, &str), clients: u32, users: u32) -> Result<Profile> {
    let (profile, resources) = resources(base_url, clients, users)?;
    say(&format!("putting {} resources into {}", resources.len(), profile.base_url));
    let requests = Requests { host: profile.host() };
    let mut connection = Connection::new(profile.address()?);
    for batch in resources.chunks(BATCH) {
        let body = serde_json::to_string(batch)?;
        let request = requests.json("PUT", "/", Credentials::Basic(admin.0, admin.1), &body);
        let answer = connection.exchange(&request).await?;
        if answer.status != 200 {
            return Err(format!("PUT /: {}", answer.describe()).into());
        }
    }
    Ok(profile)
}

/// The profile, and the documents that it speaks of.
fn resources(base_url: Url, clients: u32, users: u32) -> Result<(Profile, Vec<Value>)> {
    let mut profile = Profile::new("Countersign", base_url);
    let mut all = Vec::new();
    for (slot, id, alg) in [
        (&mut profile.clients.opaque, "bench-opaque", None),
        (&mut profile.clients.es256, "bench-es256", Some("ES256")),
        (&mut profile.clients.eddsa, "bench-eddsa", Some("EdDSA")),
        (&mut profile.clients.rs256, "bench-rs256", Some("RS256")),
    ] {
        let client = client(id)?;
        let flow = if alg.is_some() { json!({ "token_format": "jwt" }) } else { json!({}) };
        let mut document = json!({
            "resourceType": "Client", "id": id, "secret": client.secret,
            "grant_types": ["client_credentials"], "auth": { "client_credentials": flow },
        });
        if let Some(alg) = alg {
            document["access_token_signed_response_alg"] = json!(alg);
        }
        all.push(document);
        *slot = Some(client);
    }

    let code = Client {
        redirect_uri: Some(REDIRECT_URI.into()),
        scope: Some("openid profile".into()),
        ..client("bench-code")?
    };
    all.push(json!({
        "resourceType": "Client", "id": code.id, "secret": code.secret, "first_party": true, "grant_types": ["code"],
        "auth": { "authorization_code": { "redirect_uri": REDIRECT_URI, "refresh_token": true, "secret_required": true, "pkce": true } },
        "id_token_signed_response_alg": "ES256", "token_response_userinfo": false,
    }));
    profile.clients.code = Some(code);

    let introspector = client("bench-introspector")?;
    all.push(json!({
        "resourceType": "Client", "id": introspector.id, "secret": introspector.secret,
        "grant_types": ["client_credentials"], "introspect": "any",
    }));
    profile.clients.introspector = Some(introspector);

    // Secrets of 256 bits need no slow hash: their SHA-256 is a stored form, and ten thousand of them are put in seconds.
    let many = Client { count: Some(clients), ..client("bench-many-{n}")? };
    let form = sha256_form(&many.secret);
    all.extend((0..clients).map(|n| {
        json!({ "resourceType": "Client", "id": many.numbered(n).id, "secret": form, "grant_types": ["client_credentials"] })
    }));
    profile.clients.many = Some(many);

    let people = Users { username: "bench-user-{n}".into(), password: secret()?, count: users.max(1) };
    all.extend((0..people.count).map(|n| {
        let name = people.name(n as usize);
        json!({
            "resourceType": "User", "id": name, "userName": name, "password": people.password, "email": format!("{name}@example.com"),
            "name": { "givenName": "Bench", "familyName": "User" },
        })
    }));
    profile.users = Some(people);
    Ok((profile, all))
}

fn client(id: &str) -> Result<Client> {
    Ok(Client { id: id.to_owned(), secret: secret()?, ..Client::default() })
}

/// 256 random bits.
pub(crate) fn secret() -> Result<String> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "no randomness")?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn sha256_form(secret: &str) -> String {
    let mut text = String::from("__sha256:");
    for byte in digest(&SHA256, secret.as_bytes()).as_ref() {
        let _ = write!(text, "{byte:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_of_the_profile_is_put_once() {
        let (profile, all) = resources("http://localhost:1".parse().unwrap(), 3, 2).unwrap();
        let mut ids: Vec<_> = all.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids.len(), 4 + 2 + 3 + 2);
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all.len());
        assert!(ids.contains(&profile.clients.many.unwrap().numbered(2).id));
        assert!(ids.contains(&profile.users.unwrap().name(3)));
    }

    #[test]
    fn the_stored_form_is_that_of_the_secret() {
        assert_eq!(sha256_form("abc"), "__sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD");
    }
}
