//! `countersign token`: its arguments and its help.

use std::path::PathBuf;

use clap::{Args, Subcommand};

pub(in crate::cli) const HELP: &str = "Examples:
  pbpaste | countersign token decode             what it is and says; nothing is verified
  countersign token decode token.txt
  countersign token verify --issuer https://login.example.com --audience api token.txt
  countersign token verify --jwks keys.json < token.txt

A token is a secret: it comes from stdin or a file, not as an argument, which every process list shows.
Exit codes: 0 every check holds, 1 one fails or it cannot be read, 2 the command line makes no sense.";

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TokenCommand {
    /// Print what a token is and says, without believing it
    #[command(after_help = HELP)]
    Decode(DecodeArgs),
    /// Check a token's signature and claims, with a line for each check
    #[command(after_help = HELP)]
    Verify(VerifyArgs),
}

#[derive(Args, Debug)]
pub(in crate::cli) struct DecodeArgs {
    /// The file that holds it; stdin where absent or `-`
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct VerifyArgs {
    /// The file that holds it; stdin where absent or `-`
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Who must have issued it; its keys are fetched unless --jwks has them. The local server (port 8080) where neither is given
    #[arg(long, value_name = "URL")]
    pub(super) issuer: Option<String>,
    /// A file of public keys (a JWK Set), rather than the issuer's
    #[arg(long, value_name = "FILE")]
    pub(super) jwks: Option<PathBuf>,
    /// Whom it must be meant for: a client's id for ID tokens, an API's name for access tokens
    #[arg(long, value_name = "AUDIENCE")]
    pub(super) audience: Option<String>,
    /// Certificates (PEM) of an authority to trust besides the public ones
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
}
