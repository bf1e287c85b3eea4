//! Request objects (RFC 9101, OpenID Connect Core §6): the parameters of an authorization request in a JWT, signed by the client, by
//! value in `request` or by reference in `request_uri`.
//!
//! The object is read once, when the request arrives. From then on the request goes on with the parameters that it held, like any
//! other; it must not be read again at every page, when it may have expired or be gone, nor ask again for what was done meanwhile.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Map, Value};

use super::explanation::Told;
use super::jws::{self, Jws};
use super::{ErrorCode, Params, Provider, Refused};
use crate::domain::client::Client;
use crate::domain::scope::OPENID;
use crate::domain::time::Timestamp;

/// The parameter that says of a request that it came as a signed object, and for how many seconds it does.
const MARK: &str = "signed_request";
const UNDER_WAY: i64 = 3_600;
/// Seconds that the clocks of clients may be ahead of ours.
const SKEW: i64 = 30;
/// A `request_uri` is no longer (Core §6.2, RFC 9101 §5.2).
const REQUEST_URI: usize = 512;
/// The parameters together are no longer, written as a query: they travel in URLs.
const MOST: usize = 16 * 1_024;
/// The members that are about the JWT and no parameters (RFC 7519 §4.1).
const ABOUT_ITSELF: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

impl Provider {
    /// The parameters that a request of this client goes on with: its own, or with those of its request object.
    pub(super) async fn with_request_object<'a>(
        &self,
        client: &Client,
        params: &'a Params,
        now: Timestamp,
    ) -> Result<Cow<'a, Params>, Refused> {
        let must_sign = client.document.require_signed_request_object;
        let sent = (params.text("request"), params.text("request_uri"));
        if sent != (None, None) {
            params.refuse_repeated()?;
        }
        let text: Cow<'_, str> = match sent {
            (None, None) if must_sign && !self.came_signed(client, params, now) => {
                return Err(Refused::invalid_request(
                    "this client sends its requests as signed objects alone (require_signed_request_object); send request or request_uri",
                )
                .compared("request, request_uri", "one of them, signed", "(not sent)")
                .fix("Send a signed request object, or set require_signed_request_object to false in the Client document."));
            }
            (None, None) => return Ok(Cow::Borrowed(params)),
            (Some(_), Some(_)) => {
                return Err(Refused::invalid_request("request and request_uri are sent together; use one of them")
                    .compared("request and request_uri", "one of them", "both")
                    .fix("Leave request or request_uri out."));
            }
            (Some(object), None) => object.into(),
            (None, Some(uri)) => self.request_object_at(client, uri).await?.into(),
        };
        let jws = Jws::read(text.trim()).ok_or_else(|| {
            invalid("the request object is no signed JWT; encrypted ones are not supported")
                .compared("the request object", "a signed JWT", "something else")
                .fix("Sign the request object, and do not encrypt it.")
        })?;
        self.is_of_client(client, &jws, now).await?;
        self.check_about_itself(client, &jws.claims, now)?;
        let merged = merged(params, jws.claims, must_sign)?;
        Ok(Cow::Owned(if must_sign { self.marked(client, merged, now) } else { merged }))
    }

    /// The parameters of a signed object, with a mark of ours by which they are known for it while they travel in URLs.
    fn marked(&self, client: &Client, params: Params, now: Timestamp) -> Params {
        let until = now.plus(UNDER_WAY).0.to_string();
        let tag = self.signed_request_key.tag(&of_the_object(client, &params, &until).each_ref().map(String::as_bytes));
        params.with(MARK, &format!("{until}.{}", B64.encode(tag)))
    }

    /// Whether they have that mark, and are as it was put on them.
    fn came_signed(&self, client: &Client, params: &Params, now: Timestamp) -> bool {
        let Some((until, tag)) = params.text(MARK).and_then(|mark| mark.split_once('.')) else { return false };
        let Ok(tag) = B64.decode(tag) else { return false };
        let parts = of_the_object(client, params, until);
        self.signed_request_key.verifies(&parts.each_ref().map(String::as_bytes), &tag)
            && until.parse().is_ok_and(|until: i64| now.0 < until)
    }

    /// Core §6.2, RFC 9101 §5.2: fetches what a registered URI leads to. A fragment says which state of it is meant, no more.
    async fn request_object_at(&self, client: &Client, uri: &str) -> Result<String, Refused> {
        let refused = |text: &str| Refused::new(ErrorCode::InvalidRequestUri, text);
        if uri.len() > REQUEST_URI {
            return Err(refused("request_uri is longer than 512 characters")
                .compared("request_uri", "512 characters at the most", Told::public(uri))
                .fix("Use a shorter request_uri."));
        }
        let place = |uri: &str| uri.split('#').next().unwrap_or_default().to_owned();
        if !client.document.request_uris.iter().any(|registered| place(registered) == place(uri)) {
            let listed = Told::list(client.document.request_uris.iter().map(String::as_str));
            return Err(refused("request_uri is not among the request_uris of this client")
                .compared("request_uri", listed, Told::public(uri))
                .fix("List the URI in request_uris of the Client document."));
        }
        let fetched = self.outbound.get(uri).await.map_err(|error| {
            tracing::warn!(event = "request_object_unavailable", client = %client.id, %error);
            refused("nothing can be fetched from request_uri")
                .compared("the answer of request_uri", "200 with a JWT", "none; the log says why")
                .fix("See that this server reaches the URI; addresses inside its network need --outbound-network.")
        })?;
        String::from_utf8(fetched.body.into()).map_err(|_| {
            refused("what is at request_uri is no text")
                .compared("what is at request_uri", "a JWT", "bytes that are no text")
                .fix("Serve the JWT itself at request_uri.")
        })
    }

    /// Core §6.3.2, RFC 9101 §6.2: signed by the client, with the algorithm that it registered. Unsigned only where it registered
    /// that.
    async fn is_of_client(&self, client: &Client, jws: &Jws<'_>, now: Timestamp) -> Result<(), Refused> {
        let registered = client.document.request_object_signing_alg.as_deref();
        if let Some(alg) = registered.filter(|alg| *alg != jws.alg) {
            let text = format!("this client signs its request objects with {alg} (request_object_signing_alg)");
            return Err(invalid(text)
                .compared("alg of the request object", Told::public(alg), Told::public(&jws.alg))
                .fix("Sign with the algorithm of request_object_signing_alg, or change it in the Client document."));
        }
        // RFC 8725 §3.11: what the client signed for another use is no request.
        if jws.typ.as_deref().is_some_and(|typ| !matches!(typ, "jwt" | "jose" | "oauth-authz-req+jwt")) {
            return Err(invalid("the typ of the request object is that of another kind of JWT")
                .compared(
                    "typ of the request object",
                    "oauth-authz-req+jwt, or none",
                    Told::public(jws.typ.as_deref().unwrap_or_default()),
                )
                .fix("Sign the request object with typ oauth-authz-req+jwt."));
        }
        if registered == Some("none") && jws.is_unsigned() && !client.document.require_signed_request_object {
            return Ok(());
        }
        if jws.alg == "none" {
            let text = "this client has not registered unsigned request objects (request_object_signing_alg none)";
            return Err(invalid(text)
                .compared("alg of the request object", "one that signs", "none")
                .fix("Sign the request object, or set request_object_signing_alg to none in the Client document."));
        }
        let verified = self.verify_of_client(client, jws, now).await;
        verified.map_err(|why| {
            invalid(format!("the request object does not verify: {why}"))
                .passed("alg of the request object", Told::public(&jws.alg))
                .compared("the signature of the request object", "one by a key in jwks or at jwks_uri", "another")
                .fix("Put the public key into jwks (or at jwks_uri) of the Client document, with the kid and alg that the object names.")
        })
    }

    /// RFC 9101 §4, §10.8: from this client, for us, now, and no assertion of who the client is.
    fn check_about_itself(&self, client: &Client, claims: &Map<String, Value>, now: Timestamp) -> Result<(), Refused> {
        let told = |name: &str| Told::claim(claims, name);
        if claims.get("iss").is_some_and(|iss| *iss != client.id.as_str()) {
            return Err(invalid("iss of the request object must be the client_id")
                .compared("iss of the request object", Told::public(&client.id), told("iss"))
                .fix("Put the client_id into iss of the request object, or leave iss out."));
        }
        let audiences = jws::audiences(claims);
        if claims.contains_key("aud") && !self.bases().any(|base| audiences.contains(&base)) {
            return Err(invalid(format!("aud of the request object must be the issuer, {}", self.iss()))
                .compared("aud of the request object", Told::public(self.iss()), told("aud"))
                .fix("Put the issuer into aud of the request object. Behind a proxy, --issuer has to be what clients see."));
        }
        if claims.get("sub").is_some_and(|sub| *sub == client.id.as_str()) {
            return Err(invalid("sub of the request object must not be the client_id")
                .compared("sub of the request object", "none", told("sub"))
                .fix("Leave sub out of the request object (RFC 9101 section 10.8)."));
        }
        let time = |name: &str| {
            let malformed = |()| {
                invalid(format!("{name} of the request object is no number of seconds"))
                    .compared("a time of the request object", "a number of seconds since 1970", told(name))
                    .fix("Write exp and nbf as numbers of seconds.")
            };
            jws::time(claims, name).map_err(malformed)
        };
        if time("exp")?.is_some_and(|until| until <= now.0) {
            return Err(invalid("the request object has expired")
                .passed("the time of this server", now.0)
                .compared("exp of the request object", "later than that", told("exp"))
                .fix("Make a new request object for each request, and compare the clocks."));
        }
        if time("nbf")?.is_some_and(|from| from > now.plus(SKEW).0) {
            return Err(invalid("nbf of the request object is in the future; compare the clocks")
                .passed("the time of this server", now.0)
                .compared("nbf of the request object", "no later than 30 seconds after that", told("nbf"))
                .fix("Compare the clocks of the client and this server."));
        }
        Ok(())
    }
}

/// The parameters that count. Where the request is one of OpenID Connect, those outside count too, as far as the object is silent
/// (Core §6.1, §6.3.3); where it is one of RFC 9101, with nothing outside that OAuth requires, they do not (§6.3).
/// Nor do they where the client sends signed requests alone.
fn merged(outside: &Params, claims: Map<String, Value>, must_sign: bool) -> Result<Params, Refused> {
    let members = claims.into_iter().filter(|(name, _)| !ABOUT_ITSELF.contains(&name.as_str()));
    // Parameters that are JSON outside, such as claims, are JSON inside (Core §6.1).
    let members = members.map(|(name, value)| match value {
        Value::Array(_) | Value::Object(_) => (name, Value::String(value.to_string())),
        value => (name, value),
    });
    let inside = Params::from_object(Value::Object(members.collect())).map_err(|why| invalid(why.description))?;
    for name in ["request", "request_uri"] {
        if inside.text(name).is_some() {
            return Err(invalid(format!("the request object holds {name}, which it must not"))
                .compared("request and request_uri inside the request object", "neither", Told::public(name))
                .fix("Leave request and request_uri out of the request object."));
        }
    }
    for name in ["client_id", "response_type"] {
        if let (Some(inner), Some(outer)) = (inside.text(name), outside.text(name))
            && !are_same_words(inner, outer)
        {
            return Err(invalid(format!("{name} inside the request object is another than outside"))
                .compared("the parameter inside the request object", outside.told(name), inside.told(name))
                .fix("Send the same client_id and response_type inside and outside."));
        }
    }
    let client_id = outside.text("client_id").unwrap_or_default();
    let is_openid =
        |params: &Params| params.text("scope").is_some_and(|scope| scope.split(' ').any(|word| word == OPENID));
    let params = match outside.text("response_type") {
        _ if must_sign => inside.with("client_id", client_id),
        None => inside.with("client_id", client_id),
        Some(_) if is_openid(&inside) && !is_openid(outside) => {
            return Err(Refused::invalid_request(
                "scope outside the request object must hold openid too (OpenID Connect Core section 6.1)",
            )
            .compared("scope outside the request object", "one with openid", outside.told("scope"))
            .fix("Send scope=openid outside the request object too."));
        }
        Some(_) => outside.clone().without("request").without("request_uri").overlaid(inside),
    };
    match params.to_query().len() {
        0..=MOST => Ok(params),
        _ => Err(invalid("the request object is too long")
            .compared("the length of the parameters", "16384 bytes at the most", "more")
            .fix("Ask for less in one request.")),
    }
}

/// What the mark is over: all parameters but those that this server answers and takes away on the way from page to page.
fn of_the_object(client: &Client, params: &Params, until: &str) -> [String; 3] {
    let held = [MARK, "prompt", "max_age", "login_hint"].into_iter().fold(params.clone(), Params::without);
    [client.id.clone(), until.to_owned(), held.to_query()]
}

/// `response_type` is a set of words in any order (RFC 6749 §3.1.1).
fn are_same_words(one: &str, other: &str) -> bool {
    let words = |text: &str| {
        let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        words.sort_unstable();
        words
    };
    words(one) == words(other)
}

fn invalid(text: impl Into<String>) -> Refused {
    Refused::new(ErrorCode::InvalidRequestObject, text)
}
