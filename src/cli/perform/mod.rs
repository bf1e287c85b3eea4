//! `countersign perform`: gets tokens from any issuer as a client does. [`request`] asks the token endpoint, [`code`] goes through the
//! code flow with [`loopback`] (the browser) or [`pages`] (without one), [`show`] checks and prints what came.

pub(super) mod args;
mod code;
mod html;
mod loopback;
mod pages;
mod request;
mod show;

use self::args::{PasswordSource, Performed, RefreshArgs};
use self::request::Client;
use self::show::Asked;
use super::Failure;
use super::prompt::Source;
use crate::domain::secret::Secret;

pub(super) async fn run(command: Performed) -> Result<(), Failure> {
    match command {
        Performed::AuthorizationCode(args) => code::run(args).await,
        Performed::ClientCredentials(common) => {
            let client = Client::prepare(&common).await?;
            let tokens = client.ask(vec![("grant_type", "client_credentials".to_owned())], true).await?;
            show::show(&client, &tokens, Asked::default()).await
        }
        Performed::Password(args) => {
            let client = Client::prepare(&args.common).await?;
            let password = password(&args.password, &args.username)?;
            let form = vec![
                ("grant_type", "password".to_owned()),
                ("username", args.username),
                ("password", password.expose().to_owned()),
            ];
            let tokens = client.ask(form, true).await?;
            show::show(&client, &tokens, Asked::default()).await
        }
        Performed::Refresh(args) => refresh(args).await,
    }
}

async fn refresh(args: RefreshArgs) -> Result<(), Failure> {
    let client = Client::prepare(&args.common).await?;
    let source = Source {
        what: "Refresh token",
        variable: "OAUTH_REFRESH_TOKEN",
        stdin: args.refresh_token_stdin,
        file: args.refresh_token_file.as_deref(),
    };
    let none =
        || Failure::usage("the refresh token: give --refresh-token-stdin, --refresh-token-file or OAUTH_REFRESH_TOKEN");
    let token = source.read()?.ok_or_else(none)?;
    let form = vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", token.expose().to_owned())];
    let tokens = client.ask(form, true).await?;
    show::show(&client, &tokens, Asked::default()).await
}

fn password(source: &PasswordSource, user: &str) -> Result<Secret, Failure> {
    let source = Source {
        what: &format!("Password of {user}"),
        variable: "OAUTH_PASSWORD",
        stdin: source.password_stdin,
        file: source.password_file.as_deref(),
    };
    let none =
        || Failure::usage(format!("the password of {user}: give --password-stdin, --password-file or OAUTH_PASSWORD"));
    source.read()?.ok_or_else(none)
}
