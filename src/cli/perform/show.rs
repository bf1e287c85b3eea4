//! What came of it: the answer, what its tokens say, and whether the ID token holds (OpenID Connect Core §3.1.3.7).

use serde_json::{Map, Value, json};

use super::args::Output;
use super::request::Client;
use crate::cli::Failure;
use crate::cli::output::{answer, answer_text, progress};
use crate::cli::token::checks::{Checked, Expected, Outcome, check};
use crate::cli::token::kind::{Jwt, human, opaque};
use crate::cli::wire::{quoted, tame};
use crate::clock::Clock;
use crate::domain::time::Timestamp;

/// What was asked for that the answer must fit.
#[derive(Default)]
pub(super) struct Asked<'a> {
    pub(super) nonce: Option<&'a str>,
}

/// Checks and prints; fails where the ID token does not hold.
pub(super) async fn show(client: &Client, tokens: &Map<String, Value>, asked: Asked<'_>) -> Result<(), Failure> {
    let now = Clock::default().now();
    let text = |name: &str| tokens.get(name).and_then(Value::as_str);
    let checked = match text("id_token") {
        Some(token) => verify(client, token, text("access_token"), asked, now).await?,
        None if asked.nonce.is_some() => {
            return Err(Failure::new("openid was asked for, and the answer has no id_token"));
        }
        None => None,
    };
    let fails = checked.iter().flatten().any(|one| one.outcome == Outcome::Fails);
    match client.output {
        Output::Text => as_text(tokens, checked.as_deref(), now),
        Output::Json => as_json(tokens, checked.as_deref()),
        // Whoever evaluates it would not notice.
        Output::Env if fails => checked.iter().flatten().for_each(progress),
        Output::Env => {
            for (name, value) in tokens.iter().filter_map(|(name, value)| Some((name, value.as_str()?))) {
                if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && name.ends_with("_token") {
                    answer(format!("{}={}", name.to_ascii_uppercase(), quoted(&tame(value))));
                }
            }
        }
    }
    if fails { Err(Failure::new("the ID token does not verify; an application must not use it")) } else { Ok(()) }
}

/// The checks; `None` where nothing can be compared.
async fn verify(
    client: &Client,
    token: &str,
    access_token: Option<&str>,
    asked: Asked<'_>,
    now: Timestamp,
) -> Result<Option<Vec<Checked>>, Failure> {
    let Some(issuer) = &client.issuer else {
        progress("the ID token is not verified: name its issuer with --issuer");
        return Ok(None);
    };
    let Some(jwt) = Jwt::read(token) else {
        if token.split('.').count() == 5 {
            progress("the ID token is encrypted, and only the client's key opens it: it is not verified");
            return Ok(None);
        }
        return Err(Failure::new("the id_token is no JWT"));
    };
    let keys = issuer.keys(&client.wire).await?;
    let expected = Expected {
        issuer: Some(&issuer.name),
        audience: Some(&client.id),
        nonce: asked.nonce,
        access_token,
        secret: client.secret.as_ref(),
    };
    Ok(Some(check(token, &jwt, &keys, &expected, now)))
}

fn as_text(tokens: &Map<String, Value>, checked: Option<&[Checked]>, now: Timestamp) {
    for (name, value) in tokens {
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let until = value.as_i64().filter(|_| name == "expires_in").map(|seconds| human(now.plus(seconds), now));
        answer(format!(
            "{:<14} {}{}",
            tame(name),
            tame(&shown),
            until.map_or_else(String::new, |until| format!("  {until}"))
        ));
    }
    for name in ["access_token", "refresh_token", "id_token"] {
        let Some(token) = tokens.get(name).and_then(Value::as_str) else { continue };
        if let Some(jwt) = Jwt::read(token) {
            answer(format!("\n{name}: {}", jwt.kind()));
            answer_text(&jwt.show(now));
        } else if let Some(told) = opaque(token, now) {
            answer(format!("\n{name}: {told}"));
        }
        if name == "id_token" {
            checked.iter().copied().flatten().for_each(answer);
        }
    }
}

fn as_json(tokens: &Map<String, Value>, checked: Option<&[Checked]>) {
    let decoded = |name: &str| {
        let jwt = Jwt::read(tokens.get(name)?.as_str()?)?;
        Some(json!({"kind": jwt.kind(), "header": jwt.header, "claims": jwt.claims}))
    };
    let checks = checked.map(|checked| {
        let one =
            |one: &Checked| json!({"check": one.name, "holds": one.outcome == Outcome::Holds, "words": one.words});
        checked.iter().map(one).collect::<Vec<_>>()
    });
    let value = json!({
        "response": tokens,
        "access_token": decoded("access_token"),
        "id_token": decoded("id_token"),
        "id_token_checks": checks,
    });
    answer(format!("{value:#}"));
}
