//! Clients that manage themselves (RFC 7592): each request shows the registration access token, and each answer has the next one.

use std::net::IpAddr;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    CLIENT, OPEN, Registration, STATEMENT, give_secret, may_act_for_itself, needs_a_voucher, no_such_token, problem,
    too_many,
};
use crate::domain::bearer::{Bearer, Kind};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::identity::sign_in::network;
use crate::oauth::{ErrorCode, Failure, Refused};
use crate::resources::{Change, Precondition, Row};

/// So many wrong registration access tokens from one network in an hour are looked up.
pub(super) const WRONG_TOKENS: u32 = 300;

impl Registration {
    /// What a client is registered as (RFC 7592 §2.1), with a new token; its secret was shown once.
    pub async fn read(
        &self,
        id: &str,
        bearer: Option<&str>,
        (address, base): (IpAddr, &str),
        now: Timestamp,
    ) -> Result<Map<String, Value>, Failure> {
        let (row, presented) = self.managed(id, bearer, address, now).await?;
        let token = self.rotate(id, &presented).await?;
        Ok(Self::answer(&row, None, &token, base))
    }

    /// Replaces all that a client says of itself (RFC 7592 §2.2): a member that is not sent is no more.
    pub async fn update(
        &self,
        id: &str,
        bearer: Option<&str>,
        metadata: Map<String, Value>,
        (address, base): (IpAddr, &str),
        now: Timestamp,
    ) -> Result<Map<String, Value>, Failure> {
        let (row, presented) = self.managed(id, bearer, address, now).await?;
        let invalid = |text: &str| {
            let why = Refused::new(ErrorCode::InvalidClientMetadata, text).of_client(Some(id));
            let why = why.passed("registration_access_token", "the client's");
            Failure::from(why.compared("a member of the client metadata", "as RFC 7592 section 2.2 says", "not so").fix(
                "Send what the last answer said, without registration_access_token, registration_client_uri and the times.",
            ))
        };
        if metadata.get("client_id").and_then(Value::as_str) != Some(id) {
            return Err(invalid("client_id must be there, and the one of this client"));
        }
        for member in
            ["registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"]
        {
            if metadata.contains_key(member) {
                return Err(invalid(&format!("{member} must not be sent with an update (RFC 7592 section 2.2)")));
            }
        }
        let stored = row.secrets.0.get("secret").and_then(Value::as_str);
        if let Some(secret) = metadata.get("client_secret").filter(|secret| !secret.is_null()) {
            let same = secret
                .as_str()
                .zip(stored)
                .is_some_and(|(text, stored)| self.documents.is_secret(CLIENT, id, stored, &Secret::new(text)));
            if !same {
                return Err(invalid("client_secret is not the one of this client; a client cannot choose its secret"));
            }
        }
        let (mut document, signed) = self.document(metadata, now).await?;
        let by = row.body.0.get("registration").and_then(Value::as_str).unwrap_or(OPEN);
        let by = match (by, signed) {
            (STATEMENT | OPEN, true) => STATEMENT,
            (STATEMENT, false) => OPEN,
            (by, _) => by,
        };
        if may_act_for_itself(&document) && by == OPEN {
            return Err(needs_a_voucher().into());
        }
        document.insert("registration".into(), json!(by));
        let secret = give_secret(&mut document, stored, self.provider.randomness());
        let row = self.write(Change::Put(CLIENT, id.to_owned(), Value::Object(document)), now).await?;
        let token = self.rotate(id, &presented).await?;
        tracing::info!(event = "client_registration_updated", client = %id, by);
        Ok(Self::answer(&row, secret.as_ref(), &token, base))
    }

    /// Ends a registration and all that was issued to the client (RFC 7592 §2.3).
    pub async fn delete(&self, id: &str, bearer: Option<&str>, address: IpAddr, now: Timestamp) -> Result<(), Failure> {
        self.managed(id, bearer, address, now).await?;
        self.write(Change::Delete(CLIENT, id.to_owned()), now).await?;
        self.documents.store().forget_registration(id).await?;
        tracing::info!(event = "client_registration_deleted", client = %id);
        Ok(())
    }

    /// The client of a management request, which its token must be good for. Whatever is wrong, the answer is the same
    /// (RFC 7592 §2.1). A network that showed many wrong ones waits, whatever it shows next.
    async fn managed(
        &self,
        id: &str,
        bearer: Option<&str>,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<(Row, Bearer), Failure> {
        let throttled = |wait| {
            tracing::warn!(event = "registration_token_throttled", client = %id, %address);
            let refused = too_many("wrong registration access tokens", wait)
                .compared(
                    "wrong registration access tokens from this network in an hour",
                    i64::from(WRONG_TOKENS),
                    "more",
                )
                .fix("Wait, then send the token of the last answer.");
            Failure::from(refused.of_client(Some(id)))
        };
        self.wrong.room(&network(address), now).map_err(throttled)?;
        let managed = self.genuine(id, bearer).await;
        if matches!(&managed, Err(Failure::Refused(_))) {
            self.wrong.take(network(address), now).map_err(throttled)?;
        }
        managed
    }

    async fn genuine(&self, id: &str, bearer: Option<&str>) -> Result<(Row, Bearer), Failure> {
        let presented = bearer.and_then(|text| Bearer::parse(Kind::RegistrationAccessToken, text));
        // An id is as we make them; other texts may be such as no database takes.
        let presented = presented.filter(|_| Uuid::parse_str(id).is_ok()).ok_or_else(no_such_token)?;
        if !self.documents.store().is_registration_token(id, presented.digest()).await? {
            return Err(no_such_token().into());
        }
        let row = self.documents.store().document(CLIENT.name(), id).await?;
        let row = row.filter(|row| row.deleted_at.is_none() && row.active && row.body.0.get("registration").is_some());
        Ok((row.ok_or_else(no_such_token)?, presented))
    }

    async fn rotate(&self, id: &str, presented: &Bearer) -> Result<Bearer, Failure> {
        let token = self.provider.randomness().bearer(Kind::RegistrationAccessToken, presented.id());
        if self.documents.store().rotate_registration_token(id, presented.digest(), token.digest()).await? {
            Ok(token)
        } else {
            Err(no_such_token().into())
        }
    }

    async fn write(&self, change: Change, now: Timestamp) -> Result<Row, Failure> {
        let changes = vec![(change, Precondition::default())];
        let written = self.documents.change_all(changes, Some("registration"), now).await;
        self.provider.registry().expire();
        match written.map(|mut written| written.pop()) {
            Ok(Some(written)) => Ok(written.row),
            Ok(None) => Err(no_such_token().into()),
            Err(why) => Err(problem(why)),
        }
    }
}
