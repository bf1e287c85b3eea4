//! Request objects (RFC 9101, OpenID Connect Core §6): the parameters of an authorization request in a JWT, signed by the client, by
//! value in `request` or by reference in `request_uri`.
//!
//! The object is read once, when the request arrives. From then on the request goes on with the parameters that it held, like any
//! other; it must not be read again at every page, when it may have expired or be gone, nor ask again for what was done meanwhile.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::jws::{self, Jws};
use super::{ErrorCode, Params, Provider, Refused};
use crate::domain::client::Client;
use crate::domain::scope::OPENID;
use crate::domain::time::Timestamp;

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
        let sent = (params.text("request"), params.text("request_uri"));
        if sent != (None, None) {
            params.refuse_repeated()?;
        }
        let text: Cow<'_, str> = match sent {
            (None, None) => return Ok(Cow::Borrowed(params)),
            (Some(_), Some(_)) => {
                return Err(Refused::invalid_request("request and request_uri are sent together; use one of them"));
            }
            (Some(object), None) => object.into(),
            (None, Some(uri)) => self.request_object_at(client, uri).await?.into(),
        };
        let jws = Jws::read(text.trim())
            .ok_or_else(|| invalid("the request object is no signed JWT; encrypted ones are not supported"))?;
        self.is_of_client(client, &jws, now).await?;
        self.check_about_itself(client, &jws.claims, now)?;
        merged(params, jws.claims).map(Cow::Owned)
    }

    /// Core §6.2, RFC 9101 §5.2: fetches what a registered URI leads to. A fragment says which state of it is meant, no more.
    async fn request_object_at(&self, client: &Client, uri: &str) -> Result<String, Refused> {
        let refused = |text: &str| Refused::new(ErrorCode::InvalidRequestUri, text);
        if uri.len() > REQUEST_URI {
            return Err(refused("request_uri is longer than 512 characters"));
        }
        let place = |uri: &str| uri.split('#').next().unwrap_or_default().to_owned();
        if !client.document.request_uris.iter().any(|registered| place(registered) == place(uri)) {
            return Err(refused("request_uri is not among the request_uris of this client"));
        }
        let fetched = self.outbound.get(uri).await.map_err(|error| {
            tracing::warn!(event = "request_object_unavailable", client = %client.id, %error);
            refused("nothing can be fetched from request_uri")
        })?;
        String::from_utf8(fetched.body.into()).map_err(|_| refused("what is at request_uri is no text"))
    }

    /// Core §6.3.2, RFC 9101 §6.2: signed by the client, with the algorithm that it registered. Unsigned only where it registered
    /// that.
    async fn is_of_client(&self, client: &Client, jws: &Jws<'_>, now: Timestamp) -> Result<(), Refused> {
        let registered = client.document.request_object_signing_alg.as_deref();
        if let Some(alg) = registered.filter(|alg| *alg != jws.alg) {
            let text = format!("this client signs its request objects with {alg} (request_object_signing_alg)");
            return Err(invalid(text));
        }
        // RFC 8725 §3.11: what the client signed for another use is no request.
        if jws.typ.as_deref().is_some_and(|typ| !matches!(typ, "jwt" | "jose" | "oauth-authz-req+jwt")) {
            return Err(invalid("the typ of the request object is that of another kind of JWT"));
        }
        if registered == Some("none") && jws.is_unsigned() {
            return Ok(());
        }
        if jws.alg == "none" {
            let text = "this client has not registered unsigned request objects (request_object_signing_alg none)";
            return Err(invalid(text));
        }
        let verified = self.verify_of_client(client, jws, now).await;
        verified.map_err(|why| invalid(format!("the request object does not verify: {why}")))
    }

    /// RFC 9101 §4, §10.8: from this client, for us, now, and no assertion of who the client is.
    fn check_about_itself(&self, client: &Client, claims: &Map<String, Value>, now: Timestamp) -> Result<(), Refused> {
        if claims.get("iss").is_some_and(|iss| *iss != client.id.as_str()) {
            return Err(invalid("iss of the request object must be the client_id"));
        }
        let audiences = jws::audiences(claims);
        if claims.contains_key("aud") && !self.bases().any(|base| audiences.contains(&base)) {
            return Err(invalid(format!("aud of the request object must be the issuer, {}", self.issuer())));
        }
        if claims.get("sub").is_some_and(|sub| *sub == client.id.as_str()) {
            return Err(invalid("sub of the request object must not be the client_id"));
        }
        let time = |name: &str| {
            let malformed = |()| invalid(format!("{name} of the request object is no number of seconds"));
            jws::time(claims, name).map_err(malformed)
        };
        if time("exp")?.is_some_and(|until| until <= now.0) {
            return Err(invalid("the request object has expired"));
        }
        if time("nbf")?.is_some_and(|from| from > now.plus(SKEW).0) {
            return Err(invalid("nbf of the request object is in the future; compare the clocks"));
        }
        Ok(())
    }
}

/// The parameters that count. Where the request is one of OpenID Connect, those outside count too, as far as the object is silent
/// (Core §6.1, §6.3.3); where it is one of RFC 9101, with nothing outside that OAuth requires, they do not (§6.3).
fn merged(outside: &Params, claims: Map<String, Value>) -> Result<Params, Refused> {
    let members = claims.into_iter().filter(|(name, _)| !ABOUT_ITSELF.contains(&name.as_str()));
    // Parameters that are JSON outside, such as claims, are JSON inside (Core §6.1).
    let members = members.map(|(name, value)| match value {
        Value::Array(_) | Value::Object(_) => (name, Value::String(value.to_string())),
        value => (name, value),
    });
    let inside = Params::from_object(Value::Object(members.collect())).map_err(|why| invalid(why.description))?;
    for name in ["request", "request_uri"] {
        if inside.text(name).is_some() {
            return Err(invalid(format!("the request object holds {name}, which it must not")));
        }
    }
    for name in ["client_id", "response_type"] {
        if let (Some(inner), Some(outer)) = (inside.text(name), outside.text(name))
            && !are_same_words(inner, outer)
        {
            return Err(invalid(format!("{name} inside the request object is another than outside")));
        }
    }
    let client_id = outside.text("client_id").unwrap_or_default();
    let is_openid =
        |params: &Params| params.text("scope").is_some_and(|scope| scope.split(' ').any(|word| word == OPENID));
    let params = match outside.text("response_type") {
        None => inside.with("client_id", client_id),
        Some(_) if is_openid(&inside) && !is_openid(outside) => {
            return Err(Refused::invalid_request(
                "scope outside the request object must hold openid too (OpenID Connect Core section 6.1)",
            ));
        }
        Some(_) => outside.clone().without("request").without("request_uri").overlaid(inside),
    };
    match params.to_query().len() {
        0..=MOST => Ok(params),
        _ => Err(invalid("the request object is too long")),
    }
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
