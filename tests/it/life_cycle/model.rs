//! What should be: a token lives as long as everything it hangs on.

/// The settings of a client.
pub(super) struct Terms {
    /// Its sessions end with the browser's login, and it needs no consent.
    pub(super) first_party: bool,
    /// Life of an access token in seconds.
    pub(super) access: i64,
    /// Idle life of a refresh token.
    pub(super) idle: Option<i64>,
    /// Seconds in which a spent refresh token returns its successor.
    pub(super) grace: i64,
}

/// The clients of [`super::play`].
pub(super) const TERMS: [Terms; 2] = [
    Terms { first_party: false, access: 60, idle: Some(100), grace: 10 },
    Terms { first_party: true, access: 600, idle: None, grace: 0 },
];
/// The longest life of a refresh token with all its successors, where the server caps it.
pub(super) const CAP: i64 = 1_000;
/// Life of a code, and for how long its replay is recognised after that.
const CODE: i64 = 60;
const CODE_KEPT: i64 = 600;
/// For how long the reuse of a spent refresh token is recognised.
const SPENT_KEPT: i64 = 7_776_000;

/// A user or a client. What is issued bears the epoch it was issued in; switching off and a new password begin another.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Party {
    pub(super) off: bool,
    pub(super) epoch: u32,
}

impl Party {
    fn stands(self, epoch: u32) -> bool {
        !self.off && self.epoch == epoch
    }

    pub(super) fn switch(&mut self, on: bool) {
        self.epoch += u32::from(!self.off && !on);
        self.off = !on;
    }
}

/// Who consented to what at which login.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) user: usize,
    pub(super) client: usize,
    pub(super) login: usize,
    user_epoch: u32,
    client_epoch: u32,
}

#[derive(Debug)]
pub(super) struct Code {
    pub(super) origin: Origin,
    pub(super) text: String,
    expires: i64,
    claimed: bool,
    /// What came of it.
    family: Option<usize>,
}

#[derive(Debug)]
pub(super) struct Family {
    origin: Origin,
    limit: Option<i64>,
    ended: bool,
}

/// An access token and the refresh token beside it.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) family: usize,
    pub(super) access: String,
    pub(super) refresh: String,
    access_expires: i64,
    refresh_expires: Option<i64>,
    access_revoked: bool,
    /// When, and the pair that came of it.
    spent: Option<(i64, usize)>,
}

/// What a token request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// New tokens of this family.
    New(usize),
    /// Those of this pair once more.
    Again(usize),
    /// A refusal with this code.
    Refused(&'static str),
}

const NO_CLIENT: Expected = Expected::Refused("invalid_client");
const NO_GRANT: Expected = Expected::Refused("invalid_grant");

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) now: i64,
    pub(super) capped: bool,
    pub(super) users: [Party; 2],
    pub(super) clients: [Party; 2],
    /// Whether each was ended.
    pub(super) logins: Vec<bool>,
    pub(super) codes: Vec<Code>,
    pub(super) families: Vec<Family>,
    pub(super) pairs: Vec<Pair>,
}

impl Model {
    /// Whether family, login and user stand.
    fn is_live(&self, family: usize) -> bool {
        let Family { origin, ended, .. } = &self.families[family];
        let signed_out = TERMS[origin.client].first_party && self.logins[origin.login];
        !ended && !signed_out && self.users[origin.user].stands(origin.user_epoch)
    }

    fn stands(&self, family: usize) -> bool {
        let origin = &self.families[family].origin;
        self.is_live(family) && self.clients[origin.client].stands(origin.client_epoch)
    }

    pub(super) fn access_is_active(&self, pair: usize) -> bool {
        let Pair { family, access_expires, access_revoked, .. } = self.pairs[pair];
        self.stands(family) && !access_revoked && access_expires > self.now
    }

    pub(super) fn refresh_is_active(&self, pair: usize) -> bool {
        let Pair { family, refresh_expires, spent, .. } = self.pairs[pair];
        self.stands(family) && spent.is_none() && refresh_expires.is_none_or(|at| at > self.now)
    }

    pub(super) fn client_of(&self, pair: usize) -> usize {
        self.families[self.pairs[pair].family].origin.client
    }

    pub(super) fn authorized(&mut self, user: usize, client: usize, login: usize, text: String) {
        let (user_epoch, client_epoch) = (self.users[user].epoch, self.clients[client].epoch);
        let origin = Origin { user, client, login, user_epoch, client_epoch };
        self.codes.push(Code { origin, text, expires: self.now + CODE, claimed: false, family: None });
    }

    /// RFC 6749 §4.1.2 and §4.1.3. `forgotten`: the server says that there is no such code.
    pub(super) fn redeem(&mut self, code: usize, by: usize, forgotten: bool) -> Expected {
        if self.clients[by].off {
            return NO_CLIENT;
        }
        let Code { origin, expires, claimed, family, .. } = &mut self.codes[code];
        if origin.client != by || origin.client_epoch != self.clients[by].epoch {
            return NO_GRANT;
        }
        if *claimed {
            // Used twice: every token that came from it ends.
            assert!(!forgotten || *expires + CODE_KEPT <= self.now, "the replay of a code must be recognised");
            if let Some(family) = (*family).filter(|_| !forgotten) {
                self.families[family].ended = true;
            }
            return NO_GRANT;
        }
        if *expires <= self.now || self.logins[origin.login] {
            return NO_GRANT;
        }
        *claimed = true;
        if !self.users[origin.user].stands(origin.user_epoch) {
            return NO_GRANT;
        }
        let new = self.families.len();
        *family = Some(new);
        let limit = self.capped.then_some(self.now + CAP);
        self.families.push(Family { origin: origin.clone(), limit, ended: false });
        Expected::New(new)
    }

    /// RFC 6749 §6, RFC 9700 §4.14.2. `forgotten`: the server says that there is no such refresh token.
    pub(super) fn refresh(&mut self, pair: usize, by: usize, forgotten: bool) -> Expected {
        if self.clients[by].off {
            return NO_CLIENT;
        }
        let (next, Pair { family, spent, refresh_expires, .. }) = (self.pairs.len(), &self.pairs[pair]);
        let (family, origin) = (*family, &self.families[*family].origin);
        if origin.client != by || origin.client_epoch != self.clients[by].epoch || !self.is_live(family) {
            return NO_GRANT;
        }
        let Some((at, successor)) = *spent else {
            if refresh_expires.is_some_and(|at| at <= self.now) {
                return NO_GRANT;
            }
            self.pairs[pair].spent = Some((self.now, next));
            return Expected::New(family);
        };
        if self.now - at < TERMS[by].grace && self.pairs[successor].spent.is_none() {
            return Expected::Again(successor);
        }
        let kept = refresh_expires.map_or(i64::MAX, |expires| expires).min(at + SPENT_KEPT);
        assert!(!forgotten || kept <= self.now, "the reuse of a refresh token must be recognised");
        self.families[family].ended |= !forgotten;
        NO_GRANT
    }

    /// Keeps what a token request was answered.
    pub(super) fn issued(&mut self, family: usize, access: String, refresh: String) {
        let Family { origin, limit, .. } = &self.families[family];
        let terms = &TERMS[origin.client];
        let refresh_expires = terms.idle.map(|idle| self.now + idle).into_iter().chain(*limit).min();
        let access_expires = self.now + terms.access;
        let (access_revoked, spent) = (false, None);
        self.pairs.push(Pair { family, access, refresh, access_expires, refresh_expires, access_revoked, spent });
    }

    /// RFC 7009 §2.1 and §2.2: a refresh token takes its family along, an access token goes alone, another client's stays.
    pub(super) fn revoke(&mut self, pair: usize, by: usize, access: bool) -> Option<&'static str> {
        if self.clients[by].off {
            return Some("invalid_client");
        }
        if self.client_of(pair) == by {
            let family = self.pairs[pair].family;
            match access {
                true => self.pairs[pair].access_revoked |= self.access_is_active(pair),
                false => self.families[family].ended = true,
            }
        }
        None
    }

    /// The holder of an access token closes its session; a dead one closes nothing.
    pub(super) fn close(&mut self, pair: usize) {
        if self.access_is_active(pair) {
            let Family { origin, ended, .. } = &mut self.families[self.pairs[pair].family];
            *ended = true;
            self.logins[origin.login] |= TERMS[origin.client].first_party;
        }
    }

    /// A consent taken back ends what was issued under it.
    pub(super) fn withdraw(&mut self, user: usize, client: usize) {
        let of = |origin: &Origin| (origin.user, origin.client) == (user, client);
        self.codes.iter_mut().filter(|code| of(&code.origin) && !code.claimed).for_each(|code| {
            code.expires = code.expires.min(self.now);
        });
        self.families.iter_mut().filter(|family| of(&family.origin)).for_each(|family| family.ended = true);
    }
}
