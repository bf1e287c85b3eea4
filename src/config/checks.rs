//! What settings must be to one another: the combinations that are unsafe or cannot work, and those worth a warning.

use super::parse::{Wrong, wrong};
use super::table;
use super::typed::Places;
use super::{Consent, DatabaseUrl, Issuer, Mode, Place, Problem, Purpose, Settings, Warning};

/// An access token that lives longer than this is worth a warning (RFC 9700 §2.2 asks for short lives).
const LONG_ACCESS_TOKEN: u32 = 3600;

pub(super) fn check(
    purpose: Purpose,
    settings: &Settings,
    places: &Places,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Warning>,
) {
    let mut must = |place: &Place, result: Result<(), Wrong>| {
        if let Err(Wrong { wrong, instead }) = result {
            problems.push(Problem { place: place.clone(), wrong, instead });
        }
    };
    // A value that did not parse has its problem already; what follows from its absence is not said again.
    let serves = matches!(purpose, Purpose::Dev | Purpose::Serve);
    must(&places.issuer, issuer_may_be_http(settings));
    if let Some(place) = places.tls_cert.as_ref().or(places.tls_key.as_ref()) {
        must(place, tls_is_whole(places));
    }
    if settings.tls.is_some() {
        must(&places.issuer, fits_tls(settings.issuer.as_ref()));
        must(&places.internal_url, fits_tls(settings.internal_url.as_ref()));
    }
    must(&places.internal_url, internal_url_has_the_path(settings));
    if serves {
        if matches!(places.issuer, Place::Default(_)) {
            must(&places.issuer, issuer_is_known(settings));
        }
        must(&places.issuer, dev_beyond_loopback_is_http(settings));
    }
    if purpose == Purpose::Serve && settings.dev_api {
        must(&places.dev_api, control_is_out_of_reach(settings));
    }
    if matches!(purpose, Purpose::Serve | Purpose::Keys) && matches!(places.master_key, Place::Default(_)) {
        must(&places.master_key, master_key_is_known(settings));
    }
    if purpose == Purpose::Serve {
        must(
            &places.seed,
            is_for_dev(settings.seed.is_some(), "keys and tokens that follow from a seed are no secret"),
        );
        must(
            &places.dialect,
            is_for_dev(
                settings.dialect.is_some(),
                "a stand-in says what another provider would say, and vouches for none of it",
            ),
        );
        must(&places.clock, is_for_dev(settings.clock.is_some(), "tokens would not expire while the clock stands"));
        warn(settings, places, warnings);
    }
    for (place, given, what) in [
        (&places.permissive, settings.permissive, "whoever is named would be let in"),
        (&places.auto_login, settings.auto_login, "people would be signed in who have proved nothing"),
        (
            &places.auto_consent,
            settings.auto_consent != Consent::Ask,
            "what people allow would be decided without them",
        ),
    ] {
        match purpose {
            Purpose::Serve => must(place, is_for_dev(given, what)),
            Purpose::Dev if given => must(place, nobody_else_gets_there(settings, what)),
            _ => {}
        }
    }
}

fn issuer_may_be_http(settings: &Settings) -> Result<(), Wrong> {
    match &settings.issuer {
        Some(issuer) if !issuer.is_https() && !issuer.is_loopback() && !settings.allow_http_issuer => wrong(
            format!("`{issuer}` is plain http for a host beyond loopback"),
            format!("write {}, or allow it with --allow-http-issuer", issuer.as_str().replacen("http:", "https:", 1)),
        ),
        _ => Ok(()),
    }
}

fn issuer_is_known(settings: &Settings) -> Result<(), Wrong> {
    if settings.issuer.is_some() || settings.listen.ip().is_loopback() {
        return Ok(());
    }
    let example = match settings.mode {
        Mode::Dev => format!("http://localhost:{}", settings.listen.port()),
        Mode::Serve => "https://login.example.com".to_owned(),
    };
    wrong(
        format!("is required, because {} is reachable under names that the server cannot know", settings.listen),
        format!("write the URL that people and applications use, such as {example}"),
    )
}

/// A developer's server knows public secrets. Beyond loopback it is for containers and local networks, never the internet.
fn dev_beyond_loopback_is_http(settings: &Settings) -> Result<(), Wrong> {
    match &settings.issuer {
        Some(issuer) if settings.mode == Mode::Dev && !settings.listen.ip().is_loopback() && issuer.is_https() => {
            wrong(
                format!("`dev` does not serve `{issuer}`: its demo credentials are public"),
                "use `countersign serve`, or an http issuer for a local network",
            )
        }
        _ => Ok(()),
    }
}

/// Whoever reaches the control API can sign in as anybody.
fn control_is_out_of_reach(settings: &Settings) -> Result<(), Wrong> {
    match &settings.issuer {
        Some(issuer) if issuer.is_public() => wrong(
            format!("would let tests take over `{issuer}`"),
            "turn it off, or use an issuer on this machine or a local network",
        ),
        _ if settings.listen.ip().is_loopback() || settings.dev_token.is_some() => Ok(()),
        _ => wrong(
            format!("is open to everybody who reaches {}", settings.listen),
            "listen on loopback, or set COUNTERSIGN_DEV_TOKEN",
        ),
    }
}

fn is_for_dev(given: bool, why: &str) -> Result<(), Wrong> {
    if given { wrong(format!("is for `countersign dev` alone: {why}"), "leave it out") } else { Ok(()) }
}

/// Not even `dev` does so where the internet could come by.
fn nobody_else_gets_there(settings: &Settings, what: &str) -> Result<(), Wrong> {
    match &settings.issuer {
        Some(issuer) if issuer.is_public() => wrong(
            format!("is refused for `{issuer}`, which the internet could know: {what}"),
            "leave it out, or use an issuer on this machine or a local network",
        ),
        _ => Ok(()),
    }
}

fn tls_is_whole(places: &Places) -> Result<(), Wrong> {
    match (&places.tls_cert, &places.tls_key) {
        (Some(_), None) => wrong("has no key", "add --tls-key"),
        (None, Some(_)) => wrong("has no certificate", "add --tls-cert"),
        _ => Ok(()),
    }
}

fn fits_tls(url: Option<&Issuer>) -> Result<(), Wrong> {
    match url {
        Some(url) if !url.is_https() => wrong(
            format!("`{url}` is http, but the server speaks HTTPS (--tls-cert)"),
            format!("write {}", url.as_str().replacen("http:", "https:", 1)),
        ),
        _ => Ok(()),
    }
}

/// The paths of the server are those of its issuer, whatever name it is reached by.
fn internal_url_has_the_path(settings: &Settings) -> Result<(), Wrong> {
    let path = settings.issuer.as_ref().map_or("", Issuer::path);
    match &settings.internal_url {
        Some(url) if url.path() != path => {
            let origin = url.as_str().strip_suffix(url.path()).unwrap_or(url.as_str());
            wrong(format!("`{url}` has another path than the issuer"), format!("write {origin}{path}"))
        }
        _ => Ok(()),
    }
}

fn master_key_is_known(settings: &Settings) -> Result<(), Wrong> {
    if settings.master_key.is_some() || !matches!(settings.database_url, DatabaseUrl::Postgres(_)) {
        return Ok(());
    }
    wrong(
        "is required with PostgreSQL, so that every node opens the same signing keys",
        "set it to the output of `openssl rand -base64 32`, the same on every node",
    )
}

fn warn(settings: &Settings, places: &Places, warnings: &mut Vec<Warning>) {
    let mut say = |place: Place, text: &str| warnings.push(Warning { place, text: text.to_owned() });
    let https = settings.issuer.as_ref().is_some_and(Issuer::is_https);
    if settings.issuer.as_ref().is_some_and(|issuer| !issuer.is_https() && !issuer.is_loopback()) {
        say(
            places.issuer.clone(),
            "the issuer is plain http beyond loopback: passwords and tokens travel in the clear",
        );
    }
    if https && settings.internal_url.as_ref().is_some_and(|url| !url.is_https() && !url.is_loopback()) {
        say(
            places.internal_url.clone(),
            "the internal URL is plain http: what containers send there, their secrets too, travels in the clear",
        );
    }
    if https && settings.tls.is_none() && settings.trusted_proxies.is_empty() {
        say(
            Place::Default(&table::TRUSTED_PROXY),
            "the issuer is https and no proxy is trusted, so that all requests through one seem to come from its address",
        );
    }
    if settings.allow_http_redirects && https {
        say(
            places.allow_http_redirects.clone(),
            "plain-http redirect URIs are accepted: codes may travel in the clear",
        );
    }
    if settings.allow_grants.implicit || settings.allow_grants.password {
        say(places.allow_grants.clone(), "turns on a grant that RFC 9700 advises against (§2.1.2, §2.4)");
    }
    if settings.database_url == DatabaseUrl::SqliteMemory {
        say(places.database_url.clone(), "the database is in memory: everything is gone when the server stops");
    }
    if settings.access_token_expiration > LONG_ACCESS_TOKEN {
        say(places.access_token_expiration.clone(), "access tokens live longer than an hour; minutes are safer");
    }
    if settings.max_refresh_token_expiration.is_none() {
        say(
            Place::Default(&table::MAX_REFRESH_TOKEN_EXPIRATION),
            "refresh tokens have no cap: where a client's document sets no refresh_token_expiration they never expire",
        );
    }
}
