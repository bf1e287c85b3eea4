//! Resource indicators (RFC 8707): for which resources an access token is asked.
//!
//! A client whose document names audiences may name those. Any other may name any absolute URI: a token is of use there alone, and
//! the person sees on the consent page where it will be.

use url::Url;

use super::explanation::Told;
use super::{ErrorCode, Params, Refused};
use crate::domain::client::{Client, GrantType};

/// The parameter. It may occur several times (RFC 8707 §2).
pub const RESOURCE: &str = "resource";
/// More of them are not named together.
pub const MAX_RESOURCES: usize = 10;
const MAX_LENGTH: usize = 1_024;

/// The resources that a request names, each once, in the order of their spelling; `None` where it names none.
pub fn requested(client: &Client, grant: GrantType, params: &Params) -> Result<Option<Vec<String>>, Refused> {
    let allowed = client.audiences(grant);
    let mut resources: Vec<String> = Vec::new();
    for resource in params.resources() {
        // RFC 8707 §2: an absolute URI, without a fragment. A space would be the end of it where it is kept.
        let sound = resource.len() <= MAX_LENGTH
            && resource.bytes().all(|b| b.is_ascii_graphic())
            && !resource.contains('#')
            && Url::parse(resource).is_ok();
        if !sound {
            return Err(invalid("resource must be an absolute URI without a fragment (RFC 8707 section 2)".to_owned())
                .compared("resource", "an absolute URI without a fragment", Told::public(resource))
                .fix("Send the identifier of the resource server as a whole URI, such as https://api.example.com."));
        }
        if !allowed.is_empty() && !allowed.iter().any(|name| name == resource) {
            return Err(invalid(format!(
                "the resource {resource} is not among the audiences of the client's document"
            ))
            .compared("resource", Told::list(allowed.iter().map(|one| &**one)), Told::public(resource))
            .fix(
                "Add the resource to the audience of this grant in the Client document, or name one that is listed.",
            ));
        }
        resources.push(resource.to_owned());
    }
    resources.sort();
    resources.dedup();
    Ok((!resources.is_empty()).then_some(resources))
}

/// RFC 8707 §2.2: a token request names resources that were granted, or none.
pub fn within(requested: &[String], granted: &str) -> Result<(), Refused> {
    match requested.iter().find(|resource| !granted.split(' ').any(|one| one == *resource)) {
        Some(other) => Err(invalid(format!("the resource {other} was not granted"))
            .compared("resource", Told::public(granted), Told::public(other))
            .fix("Name the resource in the authorization request already; later requests may name fewer, not others.")),
        None => Ok(()),
    }
}

fn invalid(text: String) -> Refused {
    Refused::new(ErrorCode::InvalidTarget, text)
}
