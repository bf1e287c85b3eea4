//! What a client sees as `sub` and as `sid`. `sub` (Core §8) is the user's id, or for `subject_type: pairwise` a value of its sector.

use std::borrow::Cow;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use uuid::Uuid;

use super::Provider;
use crate::domain::client::{Client, SubjectType};

impl Provider {
    /// The `sub` of a person for a client. Core §8.1: it cannot be led back to the person, is another one for each sector, and the
    /// same each time; the salt comes of the master key, which no database holds.
    pub fn subject<'a>(&self, client: &Client, user_id: &'a str) -> Cow<'a, str> {
        match client.document.subject_type {
            SubjectType::Public => {
                let theirs = self.dialect().and_then(|dialect| dialect.subject(user_id));
                theirs.map_or(Cow::Borrowed(user_id), Cow::Owned)
            }
            SubjectType::Pairwise => {
                let tag = self.subject_key.tag(&[client.sector().as_bytes(), user_id.as_bytes()]);
                Cow::Owned(B64.encode(tag))
            }
        }
    }

    /// The `sid` of a login for a client (Back-Channel Logout §2.1): the same in all that it gets. Of two sectors with pairwise subjects
    /// each has its own, or they would know by it who is the same person; it is the login's id, wrapped with a key of the sector.
    pub fn sid(&self, client: &Client, login: Uuid) -> Result<String, Unspecified> {
        match client.document.subject_type {
            SubjectType::Public => Ok(login.to_string()),
            SubjectType::Pairwise => {
                let mut wrapped = [0; 24];
                self.sector_key(client)?.wrap(login.as_bytes(), &mut wrapped)?;
                Ok(B64.encode(wrapped))
            }
        }
    }

    /// The login that a `sid` of a client stands for. The bare id is that of an ID token from before pairwise ones had their own.
    pub(super) fn login_of(&self, client: &Client, sid: &str) -> Option<Uuid> {
        if client.document.subject_type == SubjectType::Pairwise
            && let Ok(wrapped) = B64.decode(sid)
        {
            let mut login = [0; 24];
            if let Ok(login) = self.sector_key(client).and_then(|key| key.unwrap(&wrapped, &mut login)) {
                return Uuid::from_slice(login).ok();
            }
        }
        Uuid::parse_str(sid).ok()
    }

    fn sector_key(&self, client: &Client) -> Result<AesKek, Unspecified> {
        AesKek::new(&AES_256, &self.sid_key.tag(&[client.sector().as_bytes()]))
    }

    /// Whether a `sub` that a client brings back, in an `id_token_hint` or the `claims` parameter, is this person.
    pub fn is_subject(&self, client: &Client, sub: &str, user_id: &str) -> bool {
        self.subject(client, user_id) == sub
    }
}
