//! What a client sees as `sub` (Core §8): the user's id, or for `subject_type: pairwise` a value of its sector.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};

use super::Provider;
use crate::domain::client::{Client, SubjectType};

impl Provider {
    /// The `sub` of a person for a client. Core §8.1: it cannot be led back to the person, is another one for each sector, and the
    /// same each time; the salt comes of the master key, which no database holds.
    pub fn subject<'a>(&self, client: &Client, user_id: &'a str) -> Cow<'a, str> {
        match client.document.subject_type {
            SubjectType::Public => Cow::Borrowed(user_id),
            SubjectType::Pairwise => {
                let tag = self.subject_key.tag(&[client.sector().as_bytes(), user_id.as_bytes()]);
                Cow::Owned(B64.encode(tag))
            }
        }
    }

    /// Whether a `sub` that a client brings back, in an `id_token_hint` or the `claims` parameter, is this person.
    pub fn is_subject(&self, client: &Client, sub: &str, user_id: &str) -> bool {
        self.subject(client, user_id) == sub
    }
}
