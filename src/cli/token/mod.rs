//! `countersign token decode | verify`: what a token is, what it says, and whether it holds. [`kind`] takes it apart,
//! [`checks`] has the rules, which [`super::perform`] applies too.

pub(super) mod args;
pub(super) mod checks;
pub(super) mod kind;

use std::io::Read;
use std::path::Path;

use self::args::{DecodeArgs, TokenCommand, VerifyArgs};
use self::checks::{Expected, Outcome, check};
use self::kind::{Jwt, opaque};
use super::Failure;
use super::issuer::{Issuer, LOCAL};
use super::output::{answer, answer_text};
use super::wire::{Shown, Wire};
use crate::clock::Clock;
use crate::domain::jwk::KeySet;

/// No token is longer, in bytes.
const MAX_TOKEN: u64 = 64 * 1_024;

pub(super) async fn run(command: TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Decode(args) => decode(&args),
        TokenCommand::Verify(args) => verify(&args).await,
    }
}

fn decode(args: &DecodeArgs) -> Result<(), Failure> {
    let (text, now) = (token(args.file.as_deref())?, Clock::default().now());
    if let Some(told) = opaque(&text, now) {
        answer(told);
        return Ok(());
    }
    let jwt = Jwt::read(&text).ok_or_else(unreadable)?;
    answer(jwt.kind());
    answer_text(&jwt.show(now));
    answer("Nothing was verified; `countersign token verify` does that.");
    Ok(())
}

async fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    let text = token(args.file.as_deref())?;
    let now = Clock::default().now();
    if let Some(told) = opaque(&text, now) {
        let way = "it has no signature; its issuer knows it, at the introspection endpoint";
        return Err(Failure::list(told, [way]));
    }
    let jwt = Jwt::read(&text).ok_or_else(unreadable)?;
    let issuer = args.issuer.as_deref().or_else(|| args.jwks.is_none().then_some(LOCAL));
    let keys = match (&args.jwks, issuer) {
        (Some(file), _) => keys_of(file)?,
        (None, issuer) => {
            let wire = Wire::new(args.ca.as_deref(), Shown::Not)?;
            Issuer::discover(&wire, issuer.unwrap_or(LOCAL)).await?.keys(&wire).await?
        }
    };
    let expected = Expected { issuer, audience: args.audience.as_deref(), ..Expected::default() };
    let checked = check(&text, &jwt, &keys, &expected, now);
    answer(jwt.kind());
    checked.iter().for_each(answer);
    match checked.iter().filter(|one| one.outcome == Outcome::Fails).count() {
        0 => Ok(()),
        1 => Err(Failure::new("one check fails")),
        many => Err(Failure::new(format!("{many} checks fail"))),
    }
}

fn keys_of(file: &Path) -> Result<KeySet, Failure> {
    let wrong = |why: String| Failure::new(format!("--jwks {}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let value = serde_json::from_str(&text).map_err(|error| wrong(format!("is no JSON ({error})")))?;
    KeySet::read(&value).map_err(wrong)
}

fn token(file: Option<&Path>) -> Result<String, Failure> {
    let mut text = String::new();
    let read = match file.filter(|file| *file != Path::new("-")) {
        Some(file) => std::fs::File::open(file)
            .map_err(|error| match looks_like_a_token(&file.to_string_lossy()) {
                // Not repeated: errors are kept and copied.
                true => Failure::usage(
                    "the argument is a token rather than a file; a token is a secret, and process lists show arguments: \
                     give it on stdin or in a file",
                ),
                false => Failure::new(format!("{}: {error}", file.display())),
            })?
            .take(MAX_TOKEN)
            .read_to_string(&mut text),
        None => std::io::stdin().lock().take(MAX_TOKEN).read_to_string(&mut text),
    };
    read.map_err(|error| Failure::new(format!("cannot read the token: {error}")))?;
    let text = text.trim();
    let text = text.strip_prefix("Bearer ").unwrap_or(text).trim();
    if text.is_empty() { Err(Failure::new("there is no token on stdin or in the file")) } else { Ok(text.to_owned()) }
}

fn looks_like_a_token(text: &str) -> bool {
    text.starts_with("eyJ") || text.starts_with("cs_")
}

fn unreadable() -> Failure {
    Failure::list(
        "this is no token that can be taken apart",
        [
            "a JWT has three parts of base64url with points between them; tokens of other servers may be opaque, which only they can read",
        ],
    )
}
