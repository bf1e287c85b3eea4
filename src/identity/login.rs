//! The login session of a browser: what its cookie stands for.

use uuid::Uuid;

use crate::clock::new_row_id;
use crate::domain::bearer::{Bearer, Kind};
use crate::domain::internal::Internal;
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::store::Store;
use crate::store::sessions::Session;

/// A login ends after so many seconds without use (five days, Aidbox's), and in any case after thirty days.
pub const IDLE: i64 = 432_000;
const ABSOLUTE: i64 = 2_592_000;
/// Use is noted at most this often, in seconds.
const NOTED_EVERY: i64 = 3_600;

/// A signed-in browser.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The login's row.
    pub id: Uuid,
    /// The person.
    pub user: User,
    /// When the person last proved who they are.
    pub auth_time: Timestamp,
}

/// The logins of browsers.
#[derive(Clone, Debug)]
pub struct Logins {
    store: Store,
}

impl Logins {
    /// Those of a store.
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Starts a login for a person who has just proved who they are; the value is the cookie's.
    pub async fn start(&self, user: &User, now: Timestamp) -> Result<(Bearer, SignedIn), Internal> {
        let id = new_row_id();
        let cookie = Bearer::generate(Kind::LoginSession, id);
        let session = Session {
            id,
            kind: "login".into(),
            family: id,
            parent: None,
            shared: false,
            user_id: Some(user.id.clone()),
            user_epoch: Some(user.epoch),
            client_id: None,
            client_epoch: None,
            scope: String::new(),
            granted_scope: String::new(),
            audience: String::new(),
            id_token: false,
            token_digest: Some(cookie.digest().as_bytes().into()),
            token_expires_at: now.plus(ABSOLUTE),
            refresh_digest: None,
            refresh_expires_at: None,
            refresh_limit: None,
            rotated_at: None,
            successor: None,
            auth_time: Some(now),
            seen_at: now,
            created_at: now,
            ended_at: None,
        };
        self.store.insert_session(session).await?;
        Ok((cookie, SignedIn { id, user: user.clone(), auth_time: now }))
    }

    /// The login that a cookie stands for, if it still does.
    pub async fn find(&self, cookie: &str, now: Timestamp) -> Result<Option<SignedIn>, Internal> {
        let Some(cookie) = Bearer::parse(Kind::LoginSession, cookie) else { return Ok(None) };
        let Some(found) = self.store.session(cookie.id()).await? else { return Ok(None) };
        let session = found.session;
        let genuine =
            session.kind == "login" && session.token_digest.is_some_and(|stored| cookie.digest().matches(&stored));
        let current = found.live
            && session.ended_at.is_none()
            && session.token_expires_at > now
            && session.seen_at.plus(IDLE) > now;
        let (Some(person), Some(user_id), Some(auth_time)) = (found.person, session.user_id, session.auth_time) else {
            return Ok(None);
        };
        if !genuine || !current {
            return Ok(None);
        }
        if session.seen_at.plus(NOTED_EVERY) < now {
            self.store.touch_login(session.id, now).await?;
        }
        let user = User {
            id: user_id,
            active: true,
            epoch: session.user_epoch.unwrap_or_default(),
            updated_at: found.person_updated_at.unwrap_or_default(),
            body: person.0,
        };
        Ok(Some(SignedIn { id: session.id, user, auth_time }))
    }

    /// Ends a login, and with it the sessions that first-party clients share with it.
    pub async fn end(&self, id: Uuid, now: Timestamp) -> Result<(), Internal> {
        self.store.end_family(id, now).await?;
        Ok(())
    }
}
