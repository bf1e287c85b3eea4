//! People who are there as soon as somebody names them, in a realm that lets that pass (`dev --permissive`).

use std::borrow::Cow;

use serde_json::json;

use super::sign_in::{Refused, SignIn};
use crate::domain::document_id::is_id;
use crate::domain::internal::Internal;
use crate::domain::leeway::MOST_MADE;
use crate::domain::secret::Digest;
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::store::on_demand::{Draft, Made};

/// No longer name is anybody's.
const LONGEST: usize = 128;

impl SignIn {
    /// Whether whoever is named is accepted.
    pub fn is_permissive(&self) -> bool {
        self.leeway.as_ref().is_some_and(|leeway| leeway.is_permissive())
    }

    /// The active user of this name, who has proved nothing; made where nobody is called so, and the realm lets that pass.
    pub async fn named_or_made(&self, name: &str, now: Timestamp) -> Result<Option<User>, Refused> {
        match self.named(name).await? {
            None if self.is_permissive() => {
                self.make(name, now).await?;
                Ok(self.named(name).await?)
            }
            known => Ok(known),
        }
    }

    /// Makes a user of this name, where nobody is called so.
    pub(super) async fn make(&self, name: &str, now: Timestamp) -> Result<(), Refused> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > LONGEST || name.chars().any(char::is_control) {
            return Err(Refused::CannotBeMade("a user name has 1 to 128 characters, none of them a control character"));
        }
        let id = id_of(name);
        // An address that leads to somebody else is left out.
        for email in [Some(email_of(name)), None] {
            let mut names = vec![id.to_lowercase(), name.to_lowercase()];
            names.extend(email.as_deref().map(str::to_lowercase));
            names.sort();
            names.dedup();
            let mut body = json!({ "userName": name, "displayName": name });
            if let Some(email) = email {
                body["email"] = email.into();
                body["data"] = json!({ "email_verified": true });
            }
            let draft = Draft { kind: "User", id: &id, body, secrets: json!({}), names: &names };
            match self.store.make(draft, MOST_MADE, now).await.map_err(Internal::from)? {
                Made::There => return Ok(()),
                Made::Full => {
                    return Err(Refused::CannotBeMade(
                        "10000 users were made on demand already; POST /dev/reset, or delete some",
                    ));
                }
                Made::NameTaken => {}
            }
        }
        Ok(())
    }
}

/// The name itself, which tokens then have as `sub`; for one that cannot be part of a path, an id that is the same each time.
fn id_of(name: &str) -> Cow<'_, str> {
    if is_id(name) {
        return Cow::Borrowed(name);
    }
    let mut bytes = [0; 16];
    for (byte, of_name) in bytes.iter_mut().zip(Digest::of(name.to_lowercase().as_bytes()).as_bytes()) {
        *byte = *of_name;
    }
    Cow::Owned(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
}

/// The name where it is an address, else one that nobody has (RFC 2606 §3).
fn email_of(name: &str) -> String {
    match name.split_once('@') {
        Some((local, host)) if !local.is_empty() && host.contains('.') => name.to_owned(),
        _ => {
            let plain = |c: char| if c.is_ascii_alphanumeric() || "-._+".contains(c) { c } else { '-' };
            let local: String = name.chars().map(plain).collect();
            format!("{}@example.com", local.trim_matches('.'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_can_be_an_id_is_one() {
        assert_eq!(id_of("carol"), "carol");
        assert_eq!(id_of("carol@example.com"), "carol@example.com");
        assert_eq!(id_of("Zoë Müller"), id_of("zoë müller"));
        assert!(is_id(&id_of("Zoë Müller")) && id_of("a b") != id_of("a c"));
    }

    #[test]
    fn everybody_has_an_address() {
        for (name, email) in [
            ("carol", "carol@example.com"),
            ("carol@corp.example", "carol@corp.example"),
            ("carol@home", "carol-home@example.com"),
            ("Zoë Müller", "Zo--M-ller@example.com"),
            (".carol.", "carol@example.com"),
        ] {
            assert_eq!(email_of(name), email);
        }
    }
}
