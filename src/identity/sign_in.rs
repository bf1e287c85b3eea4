//! Sign-in with a name and a password, and how often it may be tried.
//!
//! Failures are counted under three keys, shared by all nodes: the address, the account as tried from that address, and the
//! account from anywhere, which is slow to close. A browser in which that very person has signed in before has counters of its
//! own for the account, so that a stranger can neither guess for long nor lock the owner out. An answer tells neither whether
//! the account exists nor which part was wrong, and takes the same time.

use std::net::IpAddr;
use std::sync::Arc;

use crate::domain::internal::Internal;
use crate::domain::leeway::Leeway;
use crate::domain::password::{self, Verified};
use crate::domain::secret::{MacKey, Secret};
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::identity::hashing::Hashing;
use crate::randomness::Randomness;
use crate::store::Store;
use crate::store::throttle::Limit;
use crate::store::users::Account;

/// Longer names and passwords are wrong without a look.
const MAX_NAME: usize = 320;
const MAX_PASSWORD: usize = 1_024;

/// Failures from one address before it waits, the seconds in which they are counted, and the longest wait. Many people may
/// share an address.
const ADDRESS: Limit = Limit { free: 50, window: 900, longest: 60 };
/// Failures for one account from one address.
const ACCOUNT_AT_ADDRESS: Limit = Limit { free: 5, window: 900, longest: 900 };
/// Failures for one account from anywhere, in browsers that are new to it.
const ACCOUNT: Limit = Limit { free: 100, window: 3_600, longest: 60 };

/// Why a person is not signed in.
#[derive(Debug)]
pub enum Refused {
    /// Name or password is wrong; which one is not told.
    WrongCredentials,
    /// Too many failures; the seconds to wait.
    Throttled(i64),
    /// The credentials are right, but the account is switched off.
    Inactive,
    /// The credentials are right, but the account asks for a second factor.
    SecondFactor,
    /// Nobody is called so, and nobody can be: why not.
    CannotBeMade(&'static str),
    /// Our own fault.
    Internal(Internal),
}

impl<E: Into<Internal>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Internal(error.into())
    }
}

/// One try to sign in.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// User name, e-mail or id.
    pub name: &'a str,
    /// The password.
    pub password: Secret,
    /// Where it comes from.
    pub address: IpAddr,
    /// The user who has signed in in this browser before, where its cookie says so.
    pub known_user: Option<&'a str>,
    /// The present.
    pub now: Timestamp,
}

/// Signs people in.
#[derive(Clone, Debug)]
pub struct SignIn {
    pub(super) store: Store,
    hashing: Hashing,
    keys: MacKey,
    randomness: Randomness,
    pub(super) leeway: Option<Arc<Leeway>>,
}

impl SignIn {
    /// `keys` hides accounts and addresses in the counters' table; `leeway` is what a developer's realm lets pass.
    pub const fn new(
        store: Store,
        hashing: Hashing,
        keys: MacKey,
        randomness: Randomness,
        leeway: Option<Arc<Leeway>>,
    ) -> Self {
        Self { store, hashing, keys, randomness, leeway }
    }

    /// Proves who the person is. The order of the checks is the promise: wait, then credentials, then the account's state.
    pub async fn with_password(&self, attempt: Attempt<'_>) -> Result<User, Refused> {
        let mut account = self.account(&attempt).await?;
        if account.is_none() && self.is_permissive() {
            self.make(attempt.name, attempt.now).await?;
            account = self.account(&attempt).await?;
        }
        let keys = self.counters(&attempt, account.as_ref());
        self.refuse_blocked(&keys, attempt.now).await?;
        let user = self.verify(&attempt, account).await?;
        // Guesses that come in one burst were all let in; those decided after the limit was reached learn nothing, right or wrong.
        let Some(user) = user else {
            self.count_failure(&keys, attempt.now).await?;
            tracing::warn!(event = "login_failed", address = %attempt.address, "wrong name or password");
            return Err(Refused::WrongCredentials);
        };
        self.refuse_blocked(&keys, attempt.now).await?;
        self.store.forget_failures(&keys[1]).await?;
        if !user.active {
            return Err(Refused::Inactive);
        }
        if user.needs_second_factor() {
            return Err(Refused::SecondFactor);
        }
        Ok(user)
    }

    /// The active user of this name, who has proved nothing: for developers, and for what they ask of the control API.
    pub async fn named(&self, name: &str) -> Result<Option<User>, Internal> {
        if name.len() > MAX_NAME {
            return Ok(None);
        }
        let account = self.store.account_by_login_name(name.trim()).await?;
        let user = match account {
            Some(account) => Some(account.user),
            None => self.store.user(name).await?,
        };
        Ok(user.filter(|user| user.active))
    }

    async fn account(&self, attempt: &Attempt<'_>) -> Result<Option<Account>, Internal> {
        if attempt.name.len() > MAX_NAME {
            return Ok(None);
        }
        Ok(self.store.account_by_login_name(attempt.name.trim()).await?)
    }

    /// The user, where the password is the account's. Takes as long where there is no account.
    async fn verify(&self, attempt: &Attempt<'_>, account: Option<Account>) -> Result<Option<User>, Internal> {
        let plain = attempt.password.clone();
        if plain.expose().len() > MAX_PASSWORD {
            return Ok(None);
        }
        // Who was made because somebody named them has no password, and so any.
        if let Some(Account { user, password: None }) = &account
            && self.is_permissive()
        {
            return Ok(Some(user.clone()));
        }
        let Some((user, stored)) = account.and_then(|account| Some((account.user, account.password?))) else {
            self.hashing.run(move |memory| password::verify_nothing(&plain, memory)).await?;
            return Ok(None);
        };
        let compared = stored.clone();
        let (verified, plain) = self
            .hashing
            .run(move |memory| {
                let verified = password::verify(&plain, &compared, memory);
                if password::is_fast(&compared) {
                    password::verify_nothing(&plain, memory);
                }
                (verified, plain)
            })
            .await?;
        if verified == Verified::Outdated || (verified == Verified::Yes && password::is_fast(&stored)) {
            let salt = self.randomness.bytes("salts");
            let new = self.hashing.run(move |memory| password::hash(&plain, salt, memory)).await?;
            self.store.upgrade_password(&user.id, &stored, &new).await?;
        }
        Ok((verified != Verified::No).then_some(user))
    }

    async fn refuse_blocked(&self, keys: &[[u8; 32]; 3], now: Timestamp) -> Result<(), Refused> {
        match self.store.blocked_until(keys, ACCOUNT_AT_ADDRESS.longest, now).await? {
            Some(until) => Err(Refused::Throttled(now.until(until).max(1))),
            None => Ok(()),
        }
    }

    /// Counts a failure; one that comes while others have used up what is free is told to wait, like the right password would be.
    async fn count_failure(&self, keys: &[[u8; 32]; 3], now: Timestamp) -> Result<(), Refused> {
        for (key, limit) in keys.iter().zip([ADDRESS, ACCOUNT_AT_ADDRESS, ACCOUNT]) {
            if !self.store.count_failure(key, &limit, now).await? {
                self.refuse_blocked(keys, now).await?;
            }
        }
        Ok(())
    }

    fn counters(&self, attempt: &Attempt<'_>, account: Option<&Account>) -> [[u8; 32]; 3] {
        // One account is one counter, however it is spelled: id, user name or e-mail.
        let name = account.map_or_else(|| attempt.name.trim().to_lowercase(), |account| account.user.id.to_lowercase());
        let network = network(attempt.address);
        // In a browser where this very person has signed in before, the account has counters of its own, which nobody else fills.
        let known = attempt.known_user.filter(|known| account.is_some_and(|account| account.user.id == *known));
        let browser: &[u8] = if known.is_some() { b"known" } else { b"new" };
        [
            self.keys.tag(&[b"address", &network]),
            self.keys.tag(&[b"account at address", browser, name.as_bytes(), &network]),
            self.keys.tag(&[b"account", browser, name.as_bytes()]),
        ]
    }
}

/// One IPv4 address, or the /64 that one IPv6 household has.
pub(crate) fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets()[..8].to_vec(),
    }
}
