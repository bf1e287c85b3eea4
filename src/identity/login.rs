//! The login session of a browser: what its cookie stands for.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use uuid::Uuid;

use crate::domain::bearer::{Bearer, Kind};
use crate::domain::internal::Internal;
use crate::domain::late::{Late, late};
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::randomness::Randomness;
use crate::store::Store;
use crate::store::sessions::{Found, Session};

/// A login ends after so many seconds without use (five days, Aidbox's), and in any case after thirty days.
pub const IDLE: i64 = 432_000;
/// The latter.
pub const ABSOLUTE: i64 = 2_592_000;
/// Use is noted at most this often, in seconds.
const NOTED_EVERY: i64 = 3_600;

/// How many logins are remembered at the most, a few kB each with the user's document, and for how long after they were last used.
const KNOWN: u64 = 4_096;
const KNOWN_FOR: Duration = Duration::from_mins(10);

/// A signed-in browser.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The login's row.
    pub id: Uuid,
    /// The person.
    pub user: Arc<User>,
    /// When the person last proved who they are.
    pub auth_time: Timestamp,
}

/// The logins of browsers.
#[derive(Clone, Debug)]
pub struct Logins {
    store: Store,
    randomness: Randomness,
    known: Late<Cache<Uuid, Arc<Known>>>,
}

impl Logins {
    /// Those of a store.
    pub fn new(store: Store, randomness: Randomness) -> Self {
        Self { store, randomness, known: late(|| Cache::builder().max_capacity(KNOWN).time_to_idle(KNOWN_FOR).build()) }
    }

    /// Starts a login for a person who has just proved who they are; the value is the cookie's.
    pub async fn start(&self, user: &User, now: Timestamp) -> Result<(Bearer, SignedIn), Internal> {
        let id = self.randomness.row_id("logins");
        let cookie = self.randomness.bearer(Kind::LoginSession, id);
        let session = Session {
            user_id: Some(user.id.clone()),
            user_epoch: Some(user.epoch),
            token_digest: Some(cookie.digest().as_bytes().into()),
            auth_time: Some(now),
            ..Session::new(id, "login", now.plus(ABSOLUTE), now)
        };
        self.store.insert_session(session).await?;
        Ok((cookie, SignedIn { id, user: Arc::new(user.clone()), auth_time: now }))
    }

    /// The login that a cookie stands for, if it still does.
    pub async fn find(&self, cookie: &str, now: Timestamp) -> Result<Option<SignedIn>, Internal> {
        let Some(cookie) = Bearer::parse(Kind::LoginSession, cookie) else { return Ok(None) };
        if let Some(known) = self.known.get(&cookie.id())
            && known.is_current(&cookie, now)
            && self.store.still_stands(cookie.id(), known.person_version).await?
        {
            return Ok(Some(known.login.clone()));
        }
        let Some(found) = self.store.session(cookie.id()).await? else { return Ok(None) };
        let Some(mut known) = Known::of(found, now).filter(|known| known.is_genuine(&cookie)) else { return Ok(None) };
        if known.seen_at.plus(NOTED_EVERY) < now {
            self.store.touch_login(known.login.id, now).await?;
            known.seen_at = now;
        }
        let login = known.login.clone();
        self.known.insert(login.id, Arc::new(known));
        Ok(Some(login))
    }

    /// The login of this id, if it lasts. Whoever asks has not shown its cookie.
    pub async fn named(&self, id: Uuid, now: Timestamp) -> Result<Option<SignedIn>, Internal> {
        Ok(self.store.session(id).await?.and_then(|found| Known::of(found, now)).map(|known| known.login))
    }

    /// Ends a login, and with it what clients have of it. Answers those that are to be told.
    pub async fn end(&self, id: Uuid, now: Timestamp) -> Result<Vec<String>, Internal> {
        Ok(self.store.end_login(id, now).await?.unwrap_or_default())
    }
}

/// A login whose cookie was seen before. Whether it still stands is asked of the database each time; the rest of it need not be.
#[derive(Debug)]
struct Known {
    login: SignedIn,
    digest: Vec<u8>,
    expires_at: Timestamp,
    seen_at: Timestamp,
    person_version: Option<i64>,
}

impl Known {
    /// A row as a login, where it is one and still lasts.
    fn of(found: Found, now: Timestamp) -> Option<Self> {
        let lasts = found.live
            && found.session.kind == "login"
            && found.session.ended_at.is_none()
            && found.session.token_expires_at > now
            && found.session.seen_at.plus(IDLE) > now;
        let (session, user, person_version) = found.apart();
        let user = user.filter(|_| lasts).map(Arc::new)?;
        Some(Self {
            login: SignedIn { id: session.id, user, auth_time: session.auth_time? },
            digest: session.token_digest?,
            expires_at: session.token_expires_at,
            seen_at: session.seen_at,
            person_version,
        })
    }

    fn is_genuine(&self, cookie: &Bearer) -> bool {
        cookie.digest().matches(&self.digest)
    }

    /// Whether nothing has to be looked at anew or noted.
    fn is_current(&self, cookie: &Bearer, now: Timestamp) -> bool {
        self.is_genuine(cookie) && self.expires_at > now && self.seen_at.plus(NOTED_EVERY) >= now
    }
}
