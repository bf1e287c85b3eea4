//! The rules of a Client document that its table of fields cannot say.

use serde_json::{Map, Value};

use super::outcome::Issue;
use super::secret_fields::MASK;
use crate::domain::client_metadata::{MAX_LANGUAGES, hosts, languages};
use crate::domain::jwk::{KeySet, SECRET_ALGORITHMS};
use crate::domain::password;
use crate::domain::redirect_uri::{RedirectUri, leads_to_a_container};
use crate::domain::response_type::{RESPONSE_TYPES, ResponseType};
use crate::domain::scope::Scope;
use crate::domain::secret::is_sealed;

/// A client registers no more request URIs than this, and none is longer (OpenID Connect Core §6.2).
const REQUEST_URIS: usize = 50;
const REQUEST_URI: usize = 512;

/// Every problem of a Client beyond its fields.
pub(super) fn check(body: &Map<String, Value>, http_redirects: bool, issues: &mut Vec<Issue>) {
    let mut check = |path: String, uri: &str| {
        if let Err(why) = RedirectUri::parse(uri, http_redirects) {
            issues.push(Issue::invalid(path, why));
        }
    };
    for (flow, settings) in body.get("auth").and_then(Value::as_object).into_iter().flatten() {
        if let Some(uri) = settings.get("redirect_uri").and_then(Value::as_str) {
            check(format!("Client.auth.{flow}.redirect_uri"), uri);
        }
        for (index, uri) in texts(settings.get("redirect_uris")).enumerate() {
            check(format!("Client.auth.{flow}.redirect_uris[{index}]"), uri);
        }
    }
    for uri in
        body.get("redirect_uri").and_then(Value::as_str).into_iter().flat_map(|list| list.split(',')).map(str::trim)
    {
        check("Client.redirect_uri".into(), uri);
    }
    for (index, uri) in texts(body.get("post_logout_redirect_uris")).enumerate() {
        check(format!("Client.post_logout_redirect_uris[{index}]"), uri);
    }
    for (index, word) in texts(body.get("scope")).enumerate() {
        if word.is_empty() || word.contains(' ') || Scope::parse(word).is_none() {
            issues.push(Issue::invalid(
                format!("Client.scope[{index}]"),
                "expected one scope word without spaces (RFC 6749 §3.3)",
            ));
        }
    }
    for (index, text) in texts(body.get("response_types")).enumerate() {
        if ResponseType::parse(text).is_none() {
            let known = RESPONSE_TYPES.join(", ");
            issues.push(Issue::invalid(
                format!("Client.response_types[{index}]"),
                format!("unknown value; one of {known}"),
            ));
        }
    }
    if let Some(uri) = body.get("initiate_login_uri").and_then(Value::as_str) {
        // OpenID Connect Registration §2 wants https; plain http follows the rules of redirect URIs, being one.
        if !uri.starts_with("http") {
            issues.push(Issue::invalid("Client.initiate_login_uri", "must be https"));
        } else if let Err(why) = RedirectUri::parse(uri, http_redirects) {
            issues.push(Issue::invalid("Client.initiate_login_uri", why));
        }
    }
    if body.get("secret").and_then(Value::as_str) == Some("") {
        issues.push(Issue::invalid(
            "Client.secret",
            "empty secrets do not exist; leave the field out for a public client",
        ));
    }
    if languages(body) > MAX_LANGUAGES {
        issues.push(Issue::invalid(
            "Client.name",
            format!("and the links are said in more than {MAX_LANGUAGES} languages"),
        ));
    }
    sector(body, issues);
    keys(body, http_redirects, issues);
    authentication(body, issues);
    encryption(body, issues);
    request_uris(body, http_redirects, issues);
    signed_requests(body, issues);
    logout_uris(body, http_redirects, issues);
}

/// What a browser probably cannot follow.
pub(super) fn warnings(body: &Map<String, Value>) -> Vec<String> {
    redirect_uris(body)
        .filter(|uri| leads_to_a_container(uri))
        .map(|uri| {
            format!(
                "Client: the redirect URI {uri} has a host that probably only containers know, and it is the browser that goes there"
            )
        })
        .collect()
}

/// Whether the server needs the secret itself, as the key of signatures (OpenID Connect Core §10.1).
pub(super) fn keeps_its_secret(body: &Map<String, Value>) -> bool {
    text(body, "token_endpoint_auth_method") == Some("client_secret_jwt")
}

/// RFC 7591 §2: keys are in the document, or where it says, not both.
fn keys(body: &Map<String, Value>, http: bool, issues: &mut Vec<Issue>) {
    if let Some(Err(why)) = body.get("jwks").map(KeySet::parse) {
        issues.push(Issue::invalid("Client.jwks", why));
    }
    if body.contains_key("jwks") && body.contains_key("jwks_uri") {
        issues.push(Issue::invalid("Client.jwks_uri", "is there beside jwks; give one of the two (RFC 7591 §2)"));
    }
    if let Some(uri) = text(body, "jwks_uri").filter(|uri| !is_fetchable(uri, http)) {
        issues.push(Issue::invalid("Client.jwks_uri", format!("{uri} is not an https URL")));
    }
}

/// What a method of authentication needs is there, and the algorithm is one of its own.
fn authentication(body: &Map<String, Value>, issues: &mut Vec<Issue>) {
    let method = text(body, "token_endpoint_auth_method").unwrap_or_default();
    let alg = text(body, "token_endpoint_auth_signing_alg");
    let symmetric = alg.is_some_and(|alg| SECRET_ALGORITHMS.contains(&alg));
    match method {
        "private_key_jwt" if !body.contains_key("jwks") && !body.contains_key("jwks_uri") => {
            issues.push(Issue::invalid(
                "Client.token_endpoint_auth_method",
                "private_key_jwt needs the client's keys: give jwks or jwks_uri",
            ));
        }
        "client_secret_jwt" => issues.extend(signing_secret(text(body, "secret"), alg).err()),
        _ => {}
    }
    if alg.is_some() && (method == "client_secret_jwt" && !symmetric || method == "private_key_jwt" && symmetric) {
        let right = if symmetric { "RS256 to EdDSA" } else { "HS256, HS384 or HS512" };
        let why = format!("{method} needs another algorithm: {right}");
        issues.push(Issue::invalid("Client.token_endpoint_auth_signing_alg", why));
    }
}

/// RFC 7518 §3.2: the secret is at least as long as the hash. Whether what is kept already will do is seen when it is opened.
fn signing_secret(secret: Option<&str>, alg: Option<&str>) -> Result<(), Issue> {
    let least = match alg {
        Some("HS512") => 64,
        Some("HS384") => 48,
        _ => 32,
    };
    let why = match secret {
        None => "client_secret_jwt needs a secret".to_owned(),
        Some(hash) if password::stored_form(hash).is_some() => {
            "client_secret_jwt needs the secret itself, and this is a hash; give the secret".to_owned()
        }
        Some(secret) if secret != MASK && !is_sealed(secret) && secret.len() < least => {
            format!("client_secret_jwt needs a secret of {least} characters or more (RFC 7518 §3.2)")
        }
        Some(_) => return Ok(()),
    };
    Err(Issue::invalid("Client.secret", why))
}

/// Core §8.1: pairwise subjects of several hosts need a sector that holds them together.
fn sector(body: &Map<String, Value>, issues: &mut Vec<Issue>) {
    let pairwise = body.get("subject_type").and_then(Value::as_str) == Some("pairwise");
    if pairwise && !body.contains_key("sector_identifier_uri") && hosts(redirect_uris(body)).len() > 1 {
        issues.push(Issue::invalid(
            "Client.sector_identifier_uri",
            "required with subject_type pairwise where the redirect URIs have several hosts (OpenID Connect Core §8.1)",
        ));
    }
}

/// OpenID Connect Registration §2. The content algorithm is named: what stands for an absent one there is not served here.
fn encryption(body: &Map<String, Value>, issues: &mut Vec<Issue>) {
    for what in ["id_token", "userinfo"] {
        let names = ["alg", "enc"].map(|part| format!("{what}_encrypted_response_{part}"));
        let [alg, enc] = [&names[0], &names[1]].map(|name| body.contains_key(name));
        let problem = match (alg, enc) {
            (false, false) => continue,
            (true, true) if body.contains_key("jwks") || body.contains_key("jwks_uri") => continue,
            (true, true) => (&names[0], "needs the client's keys: give jwks or jwks_uri".to_owned()),
            (true, false) => (&names[0], format!("needs {} beside it: A128GCM or A256GCM", names[1])),
            (false, true) => (&names[1], format!("needs {} beside it", names[0])),
        };
        issues.push(Issue::invalid(format!("Client.{}", problem.0), problem.1));
    }
}

/// Back-Channel Logout §2.2 and Front-Channel Logout §2: pages of the client on the web, the latter of an origin that the client has
/// a redirect URI at, since browsers are sent there.
fn logout_uris(body: &Map<String, Value>, http: bool, issues: &mut Vec<Issue>) {
    let origin = |uri: &str| url::Url::parse(uri).ok().map(|url| url.origin()).filter(url::Origin::is_tuple);
    for name in ["backchannel_logout_uri", "frontchannel_logout_uri"] {
        let Some(uri) = text(body, name) else { continue };
        let problem = if !is_fetchable(uri, http) || origin(uri).is_none() || uri.contains('#') {
            Some("must be an https URL without a fragment")
        } else if name == "frontchannel_logout_uri" && !redirect_uris(body).any(|one| origin(one) == origin(uri)) {
            Some("must have the scheme, host and port of one of the client's redirect URIs (Front-Channel Logout §2)")
        } else {
            None
        };
        issues.extend(problem.map(|problem| Issue::invalid(format!("Client.{name}"), problem)));
    }
}

/// Every redirect URI of a document, wherever it stands.
fn redirect_uris(body: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let flows = body.get("auth").and_then(Value::as_object).into_iter().flatten().map(|(_, flow)| flow);
    let of_flows = flows.flat_map(|flow| {
        flow.get("redirect_uri").and_then(Value::as_str).into_iter().chain(texts(flow.get("redirect_uris")))
    });
    let legacy = text(body, "redirect_uri").into_iter().flat_map(|list| list.split(','));
    of_flows.chain(legacy.map(str::trim))
}

/// RFC 9101 §10.5: who sends signed requests alone has something to sign them with.
fn signed_requests(body: &Map<String, Value>, issues: &mut Vec<Issue>) {
    if body.get("require_signed_request_object") != Some(&Value::Bool(true)) {
        return;
    }
    let why = if text(body, "request_object_signing_alg") == Some("none") {
        "goes with a request_object_signing_alg other than none (RFC 9101 §10.5)"
    } else if !body.contains_key("jwks") && !body.contains_key("jwks_uri") {
        "needs the client's keys: give jwks or jwks_uri"
    } else {
        return;
    };
    issues.push(Issue::invalid("Client.require_signed_request_object", why));
}

fn request_uris(body: &Map<String, Value>, http: bool, issues: &mut Vec<Issue>) {
    for (index, uri) in texts(body.get("request_uris")).enumerate() {
        let path = format!("Client.request_uris[{index}]");
        if index == REQUEST_URIS {
            return issues.push(Issue::invalid(path, format!("at most {REQUEST_URIS} request URIs are kept")));
        }
        if uri.len() > REQUEST_URI || !is_fetchable(uri, http) {
            let why = format!("expected an https URL of at most {REQUEST_URI} characters (OpenID Connect Core §6.2)");
            issues.push(Issue::invalid(path, why));
        }
    }
}

/// Whether a URL is one that the server would fetch; the address is checked when it does.
fn is_fetchable(uri: &str, http: bool) -> bool {
    url::Url::parse(uri).is_ok_and(|url| {
        (url.scheme() == "https" || http && url.scheme() == "http")
            && url.username().is_empty()
            && url.password().is_none()
    })
}

fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Value::as_str)
}

fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}
