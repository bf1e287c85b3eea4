//! The authorization code flow with PKCE (RFC 6749 §4.1, RFC 7636), as a native application performs it (RFC 8252).

use std::time::Duration;

use url::Url;

use super::args::CodeArgs;
use super::loopback::Loopback;
use super::request::{Client, refused};
use super::show::{Asked, show};
use super::{pages, password};
use crate::cli::Failure;
use crate::cli::output::progress;
use crate::cli::wire::tame;
use crate::domain::pkce::CodeVerifier;
use crate::domain::secret::{Secret, random};

pub(super) async fn run(args: CodeArgs) -> Result<(), Failure> {
    let mut client = Client::prepare(&args.common).await?;
    if client.scope.is_empty() {
        "openid".clone_into(&mut client.scope);
    }
    let password = args.username.as_deref().map(|user| password(&args.password, user)).transpose()?;
    let given = args.redirect_uri.as_deref().map(Url::parse).transpose();
    let given = given.map_err(|_| Failure::usage("--redirect-uri: is not a URL"))?;
    // Without a browser nobody comes back to a port: the redirect is read where it is sent.
    let (listener, redirect_uri) = match (given, password.is_some()) {
        (Some(uri), true) => (None, uri.to_string()),
        (uri, false) => {
            let listener = Loopback::listen(uri.as_ref(), args.port).await?;
            let uri = args.redirect_uri.clone().unwrap_or_else(|| listener.redirect_uri());
            (Some(listener), uri)
        }
        (None, true) => (None, format!("http://127.0.0.1:{}/callback", if args.port == 0 { 8_250 } else { args.port })),
    };
    let redirect_uri = args.redirect_uri.clone().unwrap_or(redirect_uri);
    let (state, verifier) = (Secret::generate(), CodeVerifier::of_bits(random()));
    let openid = client.scope.split(' ').any(|scope| scope == "openid");
    let nonce = openid.then(Secret::generate);
    let endpoint = client.endpoint(args.authorization_endpoint.as_deref(), "authorization_endpoint")?;
    let mut url = Url::parse(endpoint).map_err(|_| Failure::new(format!("{}: is not a URL", tame(endpoint))))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Failure::new(format!("{}: is not an http or https URL", tame(endpoint))));
    }
    let challenge = verifier.challenge();
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &client.id)
        .append_pair("redirect_uri", &redirect_uri)
        .append_pair("scope", &client.scope)
        .append_pair("state", state.expose())
        .extend_pairs(nonce.iter().map(|nonce| ("nonce", nonce.expose())))
        .extend_pairs(client.resources.iter().map(|resource| ("resource", resource)))
        .extend_pairs(&client.params)
        .append_pair("code_challenge", challenge.as_str())
        .append_pair("code_challenge_method", "S256");
    let came = match (listener, args.username.as_deref().zip(password.as_ref())) {
        (None, Some((user, password))) => pages::walk(&client.wire, &url, &redirect_uri, user, password).await?,
        (listener, _) => {
            let listener = listener.ok_or_else(|| Failure::new("there is nowhere to come back to"))?;
            progress(format!("open this URL in a browser, if none opens by itself:\n{url}"));
            if !args.no_browser {
                open(url.as_str());
            }
            listener.comes_back(state.expose(), Duration::from_secs(args.timeout)).await?
        }
    };
    let code = code_of(&client, &came, state.expose())?;
    let form = vec![
        ("grant_type", "authorization_code".to_owned()),
        ("code", code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", verifier.as_str().to_owned()),
    ];
    let tokens = client.ask(form, false).await?;
    show(&client, &tokens, Asked { nonce: nonce.as_ref().map(Secret::expose) }).await
}

/// The code of the answer, if that is to our request and of our issuer (RFC 6749 §4.1.2, RFC 9207 §2.4).
fn code_of(client: &Client, came: &[(String, String)], state: &str) -> Result<String, Failure> {
    let value = |name: &str| came.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    if value("state") != Some(state) {
        return Err(Failure::list(
            "the answer carries another state than the request did",
            ["somebody else began it, or an older tab did; nothing was exchanged, begin anew"],
        ));
    }
    if let Some(issuer) = &client.issuer {
        match value("iss") {
            Some(iss) if iss != issuer.name => {
                return Err(Failure::new(format!("the answer is of {}, and {} was asked", tame(iss), issuer.name)));
            }
            None if issuer.promises("authorization_response_iss_parameter_supported") => {
                return Err(Failure::new(format!("the answer has no iss, which {} promises", issuer.name)));
            }
            _ => {}
        }
    }
    match (value("code"), value("error")) {
        (_, Some(error)) => Err(refused(error, value("error_description"))),
        (Some(code), None) => Ok(code.to_owned()),
        (None, None) => Err(Failure::new("the answer has neither code nor error")),
    }
}

/// Opens the browser of this machine, if there is one; the URL was said.
fn open(url: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let (program, args) =
        if cfg!(windows) { ("rundll32", vec!["url.dll,FileProtocolHandler", url]) } else { (program, vec![url]) };
    let null = std::process::Stdio::null;
    let _ = std::process::Command::new(program).args(args).stdin(null()).stdout(null()).stderr(null()).spawn();
}
