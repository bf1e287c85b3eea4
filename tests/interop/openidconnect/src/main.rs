//! `openidconnect` as application: discovery, the code flow with PKCE and nonce, ID tokens, userinfo, refresh, introspection, the
//! end of the session, client credentials, and registration; no revocation, for which the library takes no server without https.
//!
//! Run by tests/interop/main.rs: `openidconnect ISSUER`. A line on standard output is an address that the browser is sent to; the
//! line that comes back on standard input is where it ended.

use std::error::Error;
use std::io::stdin;

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthenticationFlow, CoreClaimName, CoreClaimType, CoreClient, CoreClientAuthMethod,
    CoreClientRegistrationRequest, CoreErrorResponseType, CoreGrantType, CoreIdToken, CoreIdTokenVerifier,
    CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm,
    CoreRequestTokenError, CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType, CoreTokenResponse,
    CoreUserInfoClaims,
};
use openidconnect::url::Url;
use openidconnect::{
    AccessToken, AccessTokenHash, AdditionalProviderMetadata, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IntrospectionUrl, IssuerUrl, LogoutProviderMetadata, LogoutRequest,
    Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, PostLogoutRedirectUrl, ProviderMetadata,
    RedirectUrl, RefreshToken, Scope, TokenIntrospectionResponse, TokenResponse, reqwest,
};
use serde::{Deserialize, Serialize};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;
type Http = reqwest::blocking::Client;

const CALLBACK: &str = "http://localhost:4200/cb";
const AFTER_LOGOUT: &str = "http://localhost:4200/bye";

/// What the library does not look for in the discovery document by itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Endpoints {
    introspection_endpoint: IntrospectionUrl,
}

impl AdditionalProviderMetadata for Endpoints {}

type Metadata = ProviderMetadata<
    LogoutProviderMetadata<Endpoints>,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

type Application =
    CoreClient<EndpointSet, EndpointNotSet, EndpointSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// Ends the program where something is not as it must be.
fn expect(fact: bool, what: impl std::fmt::Display) -> Outcome {
    if fact { Ok(()) } else { Err(format!("NOT AS EXPECTED: {what}").into()) }
}

/// It must fail with this error of the server.
fn refused<T: std::fmt::Debug, E: Error + 'static>(
    error: CoreErrorResponseType,
    answer: Result<T, CoreRequestTokenError<E>>,
) -> Outcome {
    match answer {
        Err(CoreRequestTokenError::ServerResponse(said)) if *said.error() == error => Ok(()),
        answer => expect(false, format!("{error:?}, not {answer:?}")),
    }
}

/// Sends the browser; answers where it ended.
fn browse(url: &Url) -> Outcome<Url> {
    println!("{url}");
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    Ok(line.trim().parse()?)
}

/// What an ID token says, if everything about it is right: signature, issuer, audience, times, nonce and `at_hash`.
fn check_id_token(
    verifier: &CoreIdTokenVerifier<'_>,
    tokens: &CoreTokenResponse,
    nonce: Option<&Nonce>,
    signed_with: &CoreJwsSigningAlgorithm,
) -> Outcome<CoreIdToken> {
    let id_token = tokens.id_token().ok_or("no ID token")?;
    let claims = match nonce {
        Some(nonce) => id_token.claims(verifier, nonce)?,
        // OpenID Connect Core §12.2: that of a refresh should have none, or the first.
        None => id_token.claims(verifier, |_: Option<&Nonce>| Ok(()))?,
    };
    expect(claims.subject().as_str() == "alice", format!("the ID token: {claims:?}"))?;
    let alg = id_token.signing_alg()?;
    expect(alg == signed_with, format!("the algorithm: {alg:?}"))?;
    let hash = AccessTokenHash::from_token(tokens.access_token(), alg, id_token.signing_key(verifier)?)?;
    expect(claims.access_token_hash() == Some(&hash), format!("at_hash: {claims:?}"))?;
    Ok(id_token.clone())
}

/// An application by its id and, where it is confidential, its secret.
fn application(metadata: &Metadata, id: &str, secret: Option<&str>) -> Outcome<Application> {
    let endpoints = &metadata.additional_metadata().additional_metadata;
    let secret = secret.map(|secret| ClientSecret::new(secret.into()));
    Ok(CoreClient::from_provider_metadata(metadata.clone(), ClientId::new(id.into()), secret)
        .set_introspection_url(endpoints.introspection_endpoint.clone())
        .set_redirect_uri(RedirectUrl::new(CALLBACK.into())?))
}

/// The code flow of an application, with all that follows; answers the ID token.
fn code_flow(
    http: &Http,
    app: &Application,
    confidential: bool,
    alg: &CoreJwsSigningAlgorithm,
) -> Outcome<CoreIdToken> {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state, nonce) = app
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
        .add_scopes(["profile", "email"].map(|scope| Scope::new(scope.into())))
        .set_pkce_challenge(challenge)
        .url();
    let returned = browse(&url)?;
    let parameter =
        |name: &str| returned.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned());
    expect(parameter("state").as_deref() == Some(state.secret()), format!("the state in {returned}"))?;
    let code = AuthorizationCode::new(parameter("code").ok_or_else(|| format!("no code in {returned}"))?);
    let redeem = |verifier: PkceCodeVerifier| -> Outcome<_> {
        Ok(app.exchange_code(code.clone())?.set_pkce_verifier(verifier).request(http))
    };
    refused(CoreErrorResponseType::InvalidGrant, redeem(PkceCodeChallenge::new_random_sha256().1)?)?;
    let tokens = redeem(verifier)??;
    let id_token_verifier = app.id_token_verifier();
    let id_token = check_id_token(&id_token_verifier, &tokens, Some(&nonce), alg)?;
    let foreign = id_token.claims(&id_token_verifier, &Nonce::new_random());
    expect(foreign.is_err(), "another nonce is not that of the ID token")?;

    let subject = id_token.claims(&id_token_verifier, &nonce)?.subject().clone();
    let user: CoreUserInfoClaims = app.user_info(tokens.access_token().clone(), Some(subject))?.request(http)?;
    let email = user.email().map(|email| email.as_str());
    let name = user.given_name().and_then(|names| names.get(None)).map(|name| name.as_str());
    expect((email, name) == (Some("alice@example.com"), Some("Alice")), format!("userinfo: {user:?}"))?;

    let first = tokens.refresh_token().ok_or("no refresh token")?;
    let refreshed = app.exchange_refresh_token(first)?.request(http)?;
    check_id_token(&id_token_verifier, &refreshed, None, alg)?;
    let second = refreshed.refresh_token().ok_or("no second refresh token")?;
    expect(first.secret() != second.secret(), "the refresh token is rotated")?;
    if confidential {
        let said = app.introspect(refreshed.access_token()).request(http)?;
        let is_hers = said.sub() == Some("alice") && said.client_id() == Some(app.client_id());
        expect(said.active() && is_hers, format!("introspection: {said:?}"))?;
        let said = app.introspect(&AccessToken::new("unknown".into())).request(http)?;
        expect(!said.active(), format!("introspection of an unknown token: {said:?}"))?;
    }
    let unknown = RefreshToken::new("unknown".into());
    refused(CoreErrorResponseType::InvalidGrant, app.exchange_refresh_token(&unknown)?.request(http))?;
    Ok(id_token)
}

fn sign_out(metadata: &Metadata, id_token: &CoreIdToken) -> Outcome {
    let endpoint = metadata.additional_metadata().end_session_endpoint.clone().ok_or("no end_session_endpoint")?;
    let logout = LogoutRequest::from(endpoint)
        .set_id_token_hint(id_token)
        .set_post_logout_redirect_uri(PostLogoutRedirectUrl::new(AFTER_LOGOUT.into())?)
        .set_state(CsrfToken::new("done".into()));
    let bye = browse(&logout.http_get_url())?;
    expect(bye.as_str() == format!("{AFTER_LOGOUT}?state=done"), format!("the end of the session: {bye}"))
}

fn client_credentials(http: &Http, app: &Application) -> Outcome {
    let tokens = app.exchange_client_credentials()?.add_scope(Scope::new("things.read".into())).request(http)?;
    expect(tokens.refresh_token().is_none() && tokens.id_token().is_none(), "nobody is behind client credentials")
}

/// A client that nobody prepared (OpenID Connect Dynamic Client Registration §3).
fn registered(http: &Http, metadata: &Metadata) -> Outcome<Application> {
    let endpoint = metadata.registration_endpoint().ok_or("no registration_endpoint")?;
    let wanted = CoreClientRegistrationRequest::new(vec![RedirectUrl::new(CALLBACK.into())?], Default::default())
        .set_grant_types(Some(vec![CoreGrantType::AuthorizationCode, CoreGrantType::RefreshToken]))
        .set_id_token_signed_response_alg(Some(CoreJwsSigningAlgorithm::EcdsaP384Sha384));
    let given = wanted.register(endpoint, http)?;
    let is_so = given.id_token_signed_response_alg() == Some(&CoreJwsSigningAlgorithm::EcdsaP384Sha384);
    expect(is_so, format!("what was registered: {given:?}"))?;
    application(metadata, given.client_id(), given.client_secret().map(|secret| secret.secret().as_str()))
}

fn main() -> Outcome {
    let issuer = IssuerUrl::new(std::env::args().nth(1).ok_or("which ISSUER?")?)?;
    // As the library's documentation has it: redirects are not followed.
    let http = Http::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
    let metadata = Metadata::discover(&issuer, &http)?;

    let rs256 = CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256;
    for (id, secret, alg) in [
        ("web-app", Some("client-secret"), rs256.clone()),
        ("spa", None, rs256.clone()),
        ("jwt-RS256", Some("client-secret"), rs256),
        ("jwt-PS256", Some("client-secret"), CoreJwsSigningAlgorithm::RsaSsaPssSha256),
        ("jwt-ES256", Some("client-secret"), CoreJwsSigningAlgorithm::EcdsaP256Sha256),
        ("jwt-ES384", Some("client-secret"), CoreJwsSigningAlgorithm::EcdsaP384Sha384),
        ("jwt-EdDSA", Some("client-secret"), CoreJwsSigningAlgorithm::EdDsa),
    ] {
        let app = application(&metadata, id, secret)?;
        let id_token = code_flow(&http, &app, secret.is_some(), &alg)?;
        sign_out(&metadata, &id_token)?;
        if secret.is_some() {
            client_credentials(&http, &app)?;
        }
    }
    let app = registered(&http, &metadata)?;
    code_flow(&http, &app, true, &CoreJwsSigningAlgorithm::EcdsaP384Sha384).map(drop)
}
