//! Third-party initiated login (OpenID Connect Core §4): we are the third party, and send a browser to where a client begins.

use super::{Failure, Params, Provider, Refused};

impl Provider {
    /// The client's `initiate_login_uri` with our `iss`. Nothing else goes along: whoever is signed in is told to a client only once
    /// it asks, and the person has consented. And whether somebody vouched for the client: the link of another must not lead people
    /// anywhere under our name (RFC 9700 §4.11).
    pub async fn initiated_login(&self, params: &Params) -> Result<(String, bool), Failure> {
        params.refuse_repeated()?;
        let client = self.registry.client(params.required("client_id")?).await?.filter(|client| client.active);
        let vouched = client.as_ref().is_some_and(|client| !client.is_unverified());
        let uri = client.and_then(|client| client.document.initiate_login_uri.clone());
        let uri = uri.ok_or_else(|| {
            Refused::invalid_request("there is no client of this client_id that has an initiate_login_uri registered")
                .compared("initiate_login_uri of the client", "one that is registered", params.told("client_id"))
                .fix("Set initiate_login_uri in the Client document, or check client_id.")
        })?;
        let separator = if uri.contains('?') { '&' } else { '?' };
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("iss", self.iss()).finish();
        Ok((format!("{uri}{separator}{query}"), vouched))
    }
}
