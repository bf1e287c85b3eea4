//! Client metadata (RFC 7591 §2, OpenID Connect Registration §2) and the Client document: the one place that knows how the names
//! of the one become fields of the other, and what a client may say of itself.
//!
//! A document that comes from here has no privileged field: neither `first_party`, nor `introspect`, nor a grant or a scope that
//! administers. Members that are not in the tables are ignored (RFC 7591 §2), and so absent from what is answered.

use serde_json::{Map, Value, json};
use url::Url;

use super::redirect_uri::{RedirectUri, is_loopback};
use super::scope::{ADMIN, Scope};

/// What is wrong with metadata, in the two kinds that RFC 7591 §3.2.2 tells apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// `invalid_redirect_uri`
    RedirectUri(String),
    /// `invalid_client_metadata`
    Metadata(String),
}

/// What a member holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A page or document on the web.
    Uri,
    Text,
    Texts,
    Switch,
    Seconds,
    Keys,
}

/// The members of the same name in both, with what they hold.
const SAME: [(&str, Kind); 38] = [
    ("client_uri", Kind::Uri),
    ("logo_uri", Kind::Uri),
    ("policy_uri", Kind::Uri),
    ("tos_uri", Kind::Uri),
    ("contacts", Kind::Texts),
    ("software_id", Kind::Text),
    ("software_version", Kind::Text),
    ("software_statement", Kind::Text),
    ("application_type", Kind::Text),
    ("grant_types", Kind::Texts),
    ("response_types", Kind::Texts),
    ("token_endpoint_auth_method", Kind::Text),
    ("token_endpoint_auth_signing_alg", Kind::Text),
    ("jwks", Kind::Keys),
    ("jwks_uri", Kind::Uri),
    ("subject_type", Kind::Text),
    ("sector_identifier_uri", Kind::Uri),
    ("id_token_signed_response_alg", Kind::Text),
    ("id_token_encrypted_response_alg", Kind::Text),
    ("id_token_encrypted_response_enc", Kind::Text),
    ("userinfo_signed_response_alg", Kind::Text),
    ("userinfo_encrypted_response_alg", Kind::Text),
    ("userinfo_encrypted_response_enc", Kind::Text),
    ("request_object_signing_alg", Kind::Text),
    ("request_object_encryption_alg", Kind::Text),
    ("request_object_encryption_enc", Kind::Text),
    ("require_signed_request_object", Kind::Switch),
    ("request_uris", Kind::Texts),
    ("default_max_age", Kind::Seconds),
    ("require_auth_time", Kind::Switch),
    ("default_acr_values", Kind::Texts),
    ("initiate_login_uri", Kind::Uri),
    ("post_logout_redirect_uris", Kind::Texts),
    ("backchannel_logout_uri", Kind::Uri),
    ("backchannel_logout_session_required", Kind::Switch),
    ("frontchannel_logout_uri", Kind::Uri),
    ("frontchannel_logout_session_required", Kind::Switch),
    ("access_token_signed_response_alg", Kind::Text),
];

/// Those that may be said in several languages, as `name#tag` (RFC 7591 §2.2).
const LOCALIZED: [&str; 5] = ["client_name", "client_uri", "logo_uri", "policy_uri", "tos_uri"];

/// In how many languages a client may say them.
pub const MAX_LANGUAGES: usize = 30;

/// The grants that a client may give itself. The others are an administrator's to give.
const GRANTS: [&str; 4] = ["authorization_code", "implicit", "refresh_token", "client_credentials"];

/// The longest text, and how many there may be in a list.
const MAX_TEXT: usize = 2_048;
const MAX_NAME: usize = 200;
const MAX_STATEMENT: usize = 16_384;
const MAX_ITEMS: usize = 50;

/// What a client may say of itself, as JSON Schema.
pub fn schema() -> Value {
    let own = [
        ("redirect_uris", json!({ "type": "array", "items": { "type": "string" }, "maxItems": MAX_ITEMS })),
        ("client_name", json!({ "type": "string", "maxLength": MAX_NAME })),
        ("scope", json!({ "type": "string" })),
    ];
    let of_kind = |kind| match kind {
        Kind::Uri => json!({ "type": "string", "format": "uri", "maxLength": MAX_TEXT }),
        Kind::Text => json!({ "type": "string" }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" }, "maxItems": MAX_ITEMS }),
        Kind::Switch => json!({ "type": "boolean" }),
        Kind::Seconds => json!({ "type": "integer", "minimum": 0 }),
        Kind::Keys => json!({ "type": "object", "required": ["keys"] }),
    };
    let same = SAME.into_iter().map(|(name, kind)| (name, of_kind(kind)));
    let properties: Map<String, Value> = own.into_iter().chain(same).map(|(name, is)| (name.to_owned(), is)).collect();
    json!({
        "type": "object",
        "description": "Client metadata (RFC 7591 §2). Unknown members are ignored; those for people may be said in several languages, as `name#tag`.",
        "properties": properties,
    })
}

/// The document of a client that says this of itself. `development` permits plain-http pages, as an http issuer does.
pub fn to_document(metadata: &Map<String, Value>, development: bool) -> Result<Map<String, Value>, Wrong> {
    let mut document = Map::new();
    for (member, value) in metadata.iter().filter(|(_, value)| !value.is_null()) {
        let name = untagged(member);
        if name == "client_name" {
            let text = value.as_str().filter(|text| text.chars().count() <= MAX_NAME && is_plain(text));
            let text = text.ok_or_else(|| wrong(member, "must be text of at most 200 characters"))?;
            document.insert(member.replacen("client_name", "name", 1), json!(text));
        } else if let Some((_, kind)) = SAME.iter().find(|(known, _)| *known == name) {
            document.insert(member.clone(), read(member, *kind, value, development)?);
        }
    }
    if languages(&document) > MAX_LANGUAGES {
        return Err(wrong("client_name", &format!("and the links are said in more than {MAX_LANGUAGES} languages")));
    }
    if let Some(scope) = metadata.get("scope").filter(|scope| !scope.is_null()) {
        document.insert("scope".into(), scope_list(scope)?);
    }
    grants(&mut document)?;
    let uris = redirect_uris(metadata, &mut document)?;
    let mut flow = Map::new();
    if !uris.is_empty() {
        flow.insert("redirect_uris".into(), json!(uris));
    }
    flow.insert("refresh_token".into(), json!(texts(&document, "grant_types").any(|grant| grant == "refresh_token")));
    // RFC 9068: a resource server that has no client of its own here can read what it gets.
    flow.insert("token_format".into(), json!("jwt"));
    document
        .insert("auth".into(), json!({ "authorization_code": flow, "client_credentials": { "token_format": "jwt" } }));
    keys(&document)?;
    sector(&document, &uris)?;
    Ok(document)
}

/// What a document says in the words of client metadata.
pub fn from_document(document: &Map<String, Value>) -> Map<String, Value> {
    let mut metadata = Map::new();
    for (field, value) in document {
        let name = untagged(field);
        if name == "name" {
            metadata.insert(field.replacen("name", "client_name", 1), value.clone());
        } else if SAME.iter().any(|(known, _)| *known == name) {
            metadata.insert(field.clone(), value.clone());
        }
    }
    let flow = document.get("auth").and_then(|auth| auth.get("authorization_code")).and_then(Value::as_object);
    let uris: Vec<&str> = flow.into_iter().flat_map(|flow| texts(flow, "redirect_uris")).collect();
    if !uris.is_empty() {
        metadata.insert("redirect_uris".into(), json!(uris));
    }
    if document.contains_key("scope") {
        let words: Vec<&str> = texts(document, "scope").collect();
        metadata.insert("scope".into(), json!(words.join(" ")));
    }
    metadata
}

/// The member without its language: `tos_uri#fr` is `tos_uri`.
fn untagged(member: &str) -> &str {
    match member.split_once('#') {
        Some((name, tag)) if is_tag(tag) && (LOCALIZED.contains(&name) || name == "name") => name,
        _ => member,
    }
}

/// In how many languages something is said.
pub fn languages(document: &Map<String, Value>) -> usize {
    let tags = document.keys().filter_map(|member| member.split_once('#')).map(|(_, tag)| tag.to_ascii_lowercase());
    tags.collect::<std::collections::HashSet<_>>().len()
}

/// BCP 47, as far as its alphabet and length go.
pub fn is_tag(tag: &str) -> bool {
    (2..=35).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn read(member: &str, kind: Kind, value: &Value, development: bool) -> Result<Value, Wrong> {
    let max = if member == "software_statement" { MAX_STATEMENT } else { MAX_TEXT };
    let is_text = |value: &Value| value.as_str().is_some_and(|text| text.len() <= max && is_plain(text));
    let sound = match kind {
        Kind::Text => is_text(value),
        Kind::Uri => value.as_str().is_some_and(|uri| is_web(uri, development)),
        Kind::Texts => value.as_array().is_some_and(|items| items.len() <= MAX_ITEMS && items.iter().all(is_text)),
        Kind::Switch => value.is_boolean(),
        Kind::Seconds => value.as_i64().is_some_and(|seconds| (0..=315_576_000).contains(&seconds)),
        Kind::Keys => value.get("keys").is_some_and(Value::is_array),
    };
    let expected = match kind {
        Kind::Text => "must be text",
        Kind::Uri => "must be an https URL",
        Kind::Texts => "must be an array of at most 50 texts",
        Kind::Switch => "must be true or false",
        Kind::Seconds => "must be a number of seconds",
        Kind::Keys => "must be a JSON Web Key Set, an object with the member keys",
    };
    if sound { Ok(value.clone()) } else { Err(wrong(member, expected)) }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

fn is_web(uri: &str, development: bool) -> bool {
    uri.len() <= MAX_TEXT
        && Url::parse(uri).is_ok_and(|url| {
            let scheme = url.scheme() == "https" || (development && url.scheme() == "http");
            scheme && url.has_host() && url.username().is_empty() && url.password().is_none()
        })
}

fn scope_list(scope: &Value) -> Result<Value, Wrong> {
    let scope = scope.as_str().filter(|text| text.len() <= MAX_TEXT).and_then(Scope::parse);
    let scope =
        scope.ok_or_else(|| wrong("scope", "must be words with a space between them (RFC 6749 section 3.3)"))?;
    if scope.contains(ADMIN) {
        return Err(wrong("scope", "cannot have admin: only an administrator gives the right to administer"));
    }
    Ok(json!(scope.words().collect::<Vec<_>>()))
}

/// `grant_types` and `response_types`, which must go together (RFC 7591 §2.1, OpenID Connect Registration §2). Where only one is
/// given the other follows from it.
fn grants(document: &mut Map<String, Value>) -> Result<(), Wrong> {
    let responses = match document.get("response_types") {
        Some(_) => texts(document, "response_types").map(in_order).collect(),
        None if document.contains_key("grant_types") => {
            let code = texts(document, "grant_types").any(|grant| grant == "authorization_code");
            if code { vec!["code".to_owned()] } else { Vec::new() }
        }
        None => vec!["code".to_owned()],
    };
    let asks = |word: &str| responses.iter().any(|response| response.split(' ').any(|one| one == word));
    let needed: Vec<&str> = [("authorization_code", asks("code")), ("implicit", asks("token") || asks("id_token"))]
        .into_iter()
        .filter_map(|(grant, needed)| needed.then_some(grant))
        .collect();
    let grants: Vec<String> = match document.get("grant_types") {
        Some(_) => texts(document, "grant_types").map(str::to_owned).collect(),
        None => needed.iter().map(|grant| (*grant).to_owned()).collect(),
    };
    if let Some(other) = grants.iter().find(|grant| !GRANTS.contains(&grant.as_str())) {
        return Err(wrong(
            "grant_types",
            &format!("cannot have {other}; a client registers for {}", GRANTS.join(", ")),
        ));
    }
    if let Some(lacking) = needed.iter().find(|grant| !grants.iter().any(|one| one == *grant)) {
        return Err(wrong(
            "grant_types",
            &format!("must have {lacking} for these response_types (RFC 7591 section 2.1)"),
        ));
    }
    if grants.is_empty() {
        return Err(wrong("grant_types", "is empty, so that the client could do nothing"));
    }
    document.insert("grant_types".into(), json!(grants));
    document.insert("response_types".into(), json!(responses));
    Ok(())
}

/// The words of a response type in the order of their specification: `id_token code` is `code id_token`.
pub fn in_order(response_type: &str) -> String {
    let mut words: Vec<&str> = response_type.split(' ').filter(|word| !word.is_empty()).collect();
    words.sort_unstable();
    words.dedup();
    words.join(" ")
}

fn redirect_uris(metadata: &Map<String, Value>, document: &mut Map<String, Value>) -> Result<Vec<String>, Wrong> {
    let listed = match metadata.get("redirect_uris") {
        None | Some(Value::Null) => &[][..],
        Some(Value::Array(items)) if items.len() <= MAX_ITEMS => items,
        Some(_) => return Err(Wrong::RedirectUri("redirect_uris must be an array of at most 50 URIs".into())),
    };
    let mut uris: Vec<String> = Vec::with_capacity(listed.len());
    for item in listed {
        let uri = item.as_str().ok_or_else(|| Wrong::RedirectUri("redirect_uris must be an array of text".into()))?;
        uris.push(uri.to_owned());
    }
    let implicit = texts(document, "grant_types").any(|grant| grant == "implicit");
    let redirects = implicit || texts(document, "grant_types").any(|grant| grant == "authorization_code");
    if redirects && uris.is_empty() {
        return Err(Wrong::RedirectUri("redirect_uris is missing; clients of these grant_types need one".into()));
    }
    // Registration §2 makes `web` the default. What cannot be a web client (RFC 8252 §7.1, §7.3) is registered as what it is.
    let native = match document.get("application_type").and_then(Value::as_str) {
        Some("native") => true,
        Some("web") => false,
        Some(_) => return Err(wrong("application_type", "must be web or native")),
        None => !uris.is_empty() && !uris.iter().any(|uri| uri.starts_with("https:")) && !implicit,
    };
    document.insert("application_type".into(), json!(if native { "native" } else { "web" }));
    for uri in &uris {
        may_register(uri, native, implicit)
            .map_err(|why| Wrong::RedirectUri(format!("the redirect URI {uri} {why}")))?;
    }
    for uri in texts(document, "post_logout_redirect_uris") {
        may_register(uri, native, false)
            .map_err(|why| wrong("post_logout_redirect_uris", &format!("has {uri}, which {why}")))?;
    }
    for uri in texts(document, "request_uris") {
        if !uri.starts_with("https://") {
            return Err(wrong("request_uris", &format!("has {uri}, which is not https")));
        }
    }
    Ok(uris)
}

/// RFC 9700 §2.6: https; http on this machine itself; for native applications a scheme of their own, which has the name of a domain
/// backwards (RFC 8252 §7.1, §8.4). A web client with the implicit grant must not use this machine (Registration §2).
fn may_register(uri: &str, native: bool, implicit: bool) -> Result<(), &'static str> {
    RedirectUri::parse(uri, true)?;
    let url = Url::parse(uri).map_err(|_| "is not an absolute URI")?;
    match url.scheme() {
        "https" if implicit && !native && is_loopback(&url) => {
            Err("is on localhost, which a web client with the implicit grant must not use")
        }
        "https" => Ok(()),
        "http" if !is_loopback(&url) => Err("is plain http beyond loopback; use https"),
        "http" if implicit && !native => Err("is plain http, which a web client with the implicit grant must not use"),
        "http" => Ok(()),
        _ if !native => Err("has a scheme of its own, which is for application_type native"),
        scheme if !scheme.contains('.') => Err(
            "has a scheme without a dot; take the name of a domain of yours backwards, like com.example.app (RFC 8252 section 7.1)",
        ),
        _ => Ok(()),
    }
}

/// RFC 7591 §2: one of the two; and public keys alone.
fn keys(document: &Map<String, Value>) -> Result<(), Wrong> {
    let Some(jwks) = document.get("jwks") else { return Ok(()) };
    if document.contains_key("jwks_uri") {
        return Err(wrong("jwks", "and jwks_uri cannot both be there; register one of them"));
    }
    let keys = jwks.get("keys").and_then(Value::as_array);
    let private = |key: &Value| !key.is_object() || ["d", "k", "p", "q"].iter().any(|part| key.get(part).is_some());
    if keys.is_some_and(|keys| keys.len() > MAX_ITEMS || keys.iter().any(private)) {
        return Err(wrong("jwks", "must hold public keys alone"));
    }
    Ok(())
}

/// Core §8.1: pairwise identifiers of several hosts need a sector that holds them together.
fn sector(document: &Map<String, Value>, uris: &[String]) -> Result<(), Wrong> {
    let pairwise = document.get("subject_type").and_then(Value::as_str) == Some("pairwise");
    if pairwise && !document.contains_key("sector_identifier_uri") && hosts(uris.iter().map(String::as_str)).len() > 1 {
        return Err(wrong(
            "sector_identifier_uri",
            "is missing: the redirect_uris have several hosts, and subject_type is pairwise",
        ));
    }
    Ok(())
}

/// The hosts of these URIs, each once; a URI without one stands for itself.
pub fn hosts<'a>(uris: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let host = |uri: &str| Url::parse(uri).ok().and_then(|url| url.host_str().map(str::to_owned));
    let mut hosts: Vec<String> = uris.into_iter().map(|uri| host(uri).unwrap_or_else(|| uri.to_owned())).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

fn texts<'a>(object: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a str> {
    object.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn wrong(member: &str, why: &str) -> Wrong {
    Wrong::Metadata(format!("{member} {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(metadata: Value) -> Result<Map<String, Value>, Wrong> {
        let Value::Object(metadata) = metadata else { unreachable!() };
        to_document(&metadata, false)
    }

    #[test]
    fn what_goes_in_comes_out_under_the_same_names() {
        let metadata = json!({
            "client_name": "App", "client_name#ja-Jpan-JP": "アプリ", "redirect_uris": ["https://a.example/cb"],
            "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"], "scope": "openid profile",
            "tos_uri#fr": "https://a.example/cgu", "application_type": "web", "contacts": ["a@example.com"],
            "first_party": true, "introspect": "any", "secret": "chosen", "auth": {}, "x": 1,
        });
        let document = document(metadata.clone()).unwrap();
        assert!(!["first_party", "introspect", "secret", "x"].iter().any(|field| document.contains_key(*field)));
        assert_eq!(document["name"], "App");
        assert_eq!(document["scope"], json!(["openid", "profile"]));
        let back = Value::Object(from_document(&document));
        for name in
            ["client_name", "client_name#ja-Jpan-JP", "redirect_uris", "grant_types", "scope", "tos_uri#fr", "contacts"]
        {
            assert_eq!(back[name], metadata[name], "{name}");
        }
        assert_eq!(back.get("auth"), None);
    }

    proptest::proptest! {
        #[test]
        fn whatever_it_says_it_gets_no_right(name: String, scope: String, uri: String, grant: String) {
            let metadata = json!({
                "client_name": name, "scope": scope, "redirect_uris": [uri, "https://a.example/"], "grant_types": [grant, "authorization_code"],
                "jwks": {"keys": [{"kty": name}]}, "contacts": [scope], "tos_uri": uri,
            });
            if let Ok(document) = document(metadata) {
                proptest::prop_assert!(!texts(&document, "scope").any(|word| word == ADMIN));
                proptest::prop_assert!(texts(&document, "grant_types").all(|grant| GRANTS.contains(&grant)));
                proptest::prop_assert_eq!(to_document(&from_document(&document), false), Ok(document));
            }
        }
    }

    #[test]
    fn where_a_client_may_return_to_depends_on_what_it_is() {
        let cases = [
            ("https://a.example/cb", "web", true),
            ("http://a.example/cb", "web", false),
            ("http://127.0.0.1/cb", "web", true),
            ("http://localhost:1/cb", "native", true),
            ("com.example.app:/cb", "native", true),
            ("com.example.app:/cb", "web", false),
            ("myapp://cb", "native", false),
            ("https://a.example/#x", "web", false),
            ("https://*.a.example/", "web", false),
            ("javascript:alert(1)", "native", false),
        ];
        for (uri, kind, expected) in cases {
            let found = document(json!({"redirect_uris": [uri], "application_type": kind}));
            assert_eq!(found.is_ok(), expected, "{uri} {kind} {found:?}");
            assert!(found.is_ok() || matches!(found, Err(Wrong::RedirectUri(_))), "{uri}");
        }
        let inferred = |uri: &str| document(json!({"redirect_uris": [uri]})).unwrap()["application_type"].clone();
        assert_eq!((inferred("https://a.example/"), inferred("com.example.app:/cb")), (json!("web"), json!("native")));
    }

    #[test]
    fn grants_and_responses_go_together() {
        let with = |more: Value| {
            let mut metadata = json!({"redirect_uris": ["https://a.example/cb"]});
            metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            document(metadata)
        };
        assert_eq!(with(json!({})).unwrap()["grant_types"], json!(["authorization_code"]));
        assert_eq!(
            with(json!({"response_types": ["id_token code"]})).unwrap()["grant_types"],
            json!(["authorization_code", "implicit"])
        );
        for wrong in [
            json!({"grant_types": ["authorization_code"], "response_types": ["id_token"]}),
            json!({"grant_types": ["password"]}),
            json!({"grant_types": ["basic"]}),
            json!({"grant_types": []}),
            json!({"scope": "openid admin"}),
            json!({"jwks": {"keys": [{"kty": "RSA", "d": "x"}]}}),
            json!({"jwks": {"keys": []}, "jwks_uri": "https://a.example/jwks"}),
            json!({"policy_uri": "javascript:alert(1)"}),
            json!({"default_max_age": -1}),
            json!({"client_name": "a\u{0}"}),
        ] {
            assert!(matches!(with(wrong.clone()), Err(Wrong::Metadata(_))), "{wrong}");
        }
    }
}
