//! What a developer's realm lets pass that no other does, and the claims that a test has given to people. A server for real use has
//! no [`Leeway`] at all.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};

/// So many clients, and so many users, are made because somebody asked for them.
pub const MOST_MADE: i64 = 10_000;
/// So many people have claims of a test, and so many sign-ins to come.
const PEOPLE: usize = 10_000;
const SIGN_INS: usize = 1_000;
/// So many claims are given at once, of so many bytes together.
const CLAIMS: usize = 100;
const BYTES: usize = 16_384;
const LONGEST_NAME: usize = 256;

/// Claims that the protocol lives on: by them a token is known, compared and ended (RFC 7519 §4.1, RFC 7662 §2.2, RFC 9068 §2.2,
/// OpenID Connect Core §2, §3.3.2.11). The forge makes tokens in which they are wrong.
const PROTECTED: [&str; 22] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "nonce",
    "azp",
    "auth_time",
    "sid",
    "at_hash",
    "c_hash",
    "s_hash",
    "client_id",
    "scope",
    "active",
    "token_type",
    "cnf",
    "cep",
    "events",
    "countersign",
];

/// What a realm lets pass. See the module.
#[derive(Debug)]
pub struct Leeway {
    may_be_permissive: bool,
    state: Mutex<State>,
}

/// What of it a test can change, and a snapshot keeps.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Whether clients and users that are not there are made, and any client comes back to any loopback address.
    pub permissive: bool,
    /// The claims of people, by the ids of users.
    pub people: BTreeMap<String, GivenClaims>,
    /// The claims of sign-ins to come, the first first.
    pub next: VecDeque<Next>,
}

/// Claims that are said of somebody whatever the User document says; null takes one out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GivenClaims(Map<String, Value>);

/// The claims of one sign-in to come.
#[derive(Clone, Debug)]
pub struct Next {
    /// Whose; of whoever is first, where absent.
    pub user_id: Option<String>,
    /// What is said in all that comes of it.
    pub claims: GivenClaims,
}

/// There is room for no more.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{PEOPLE} people and {SIGN_INS} sign-ins to come may have claims of their own; DELETE /dev/claims ends them")]
pub struct Full;

impl GivenClaims {
    /// Reads claims; the refusal says which may not be given and why.
    pub fn parse(claims: Map<String, Value>) -> Result<Self, String> {
        if let Some(name) = claims.keys().find(|name| PROTECTED.contains(&name.as_str())) {
            return Err(match name.as_str() {
                "sub" => "sub is the id of the user: sign in as another one, or PUT /User/ID makes one".to_owned(),
                name => format!("{name} is the protocol's own; POST /dev/tokens makes tokens in which it is another"),
            });
        }
        let odd = |name: &&String| name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control);
        if claims.keys().any(|name| odd(&name)) {
            return Err(format!("the name of a claim has 1 to {LONGEST_NAME} bytes, none of a control character"));
        }
        if claims.len() > CLAIMS || Value::Object(claims.clone()).to_string().len() > BYTES {
            return Err(format!("at most {CLAIMS} claims are given at once, of {BYTES} bytes together"));
        }
        Ok(Self(claims))
    }

    /// As a test gave them.
    pub const fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The same, for who keeps them.
    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }

    /// Says them among other claims.
    pub fn put_into(&self, claims: &mut Map<String, Value>) {
        put(&self.0, claims);
    }
}

/// Says claims among others; null takes one out. What the protocol lives on stays as it is, whatever was stored.
pub fn put(given: &Map<String, Value>, claims: &mut Map<String, Value>) {
    for (name, value) in given.iter().filter(|(name, _)| !PROTECTED.contains(&name.as_str())) {
        match value {
            Value::Null => drop(claims.shift_remove(name)),
            value => drop(claims.insert(name.clone(), value.clone())),
        }
    }
}

impl Leeway {
    /// `may_be_permissive`: whether a test may have it so; `permissive`: whether it begins so.
    pub fn new(may_be_permissive: bool, permissive: bool) -> Self {
        let state = State { permissive: permissive && may_be_permissive, ..State::default() };
        Self { may_be_permissive, state: Mutex::new(state) }
    }

    /// Whether it may be permissive.
    pub const fn may_be_permissive(&self) -> bool {
        self.may_be_permissive
    }

    /// Whether whoever is named is accepted, and made where he is not there.
    pub fn is_permissive(&self) -> bool {
        self.state().permissive
    }

    /// Makes it so or not; `false` where it may not be.
    pub fn set_permissive(&self, permissive: bool) -> bool {
        let allowed = self.may_be_permissive || !permissive;
        if allowed {
            self.state().permissive = permissive;
        }
        allowed
    }

    /// Has these claims said of a user from now on, and no others; none ends it.
    pub fn give(&self, user_id: &str, claims: GivenClaims) -> Result<(), Full> {
        let mut state = self.state();
        if claims.0.is_empty() {
            state.people.remove(user_id);
        } else if state.people.len() < PEOPLE || state.people.contains_key(user_id) {
            state.people.insert(user_id.to_owned(), claims);
        } else {
            return Err(Full);
        }
        Ok(())
    }

    /// Has claims said in what comes of one sign-in.
    pub fn give_next(&self, next: Next) -> Result<(), Full> {
        let mut state = self.state();
        if state.next.len() >= SIGN_INS {
            return Err(Full);
        }
        state.next.push_back(next);
        Ok(())
    }

    /// Takes the claims that wait for this user's sign-in.
    pub fn take_next(&self, user_id: &str) -> Option<GivenClaims> {
        let mut state = self.state();
        let fits = |next: &Next| next.user_id.as_deref().is_none_or(|named| named == user_id);
        let at = state.next.iter().position(fits)?;
        state.next.remove(at).map(|next| next.claims)
    }

    /// Says the claims of a user among other claims.
    pub fn put_claims(&self, user_id: &str, claims: &mut Map<String, Value>) {
        if let Some(given) = self.state().people.get(user_id) {
            given.put_into(claims);
        }
    }

    /// Ends all claims that were given.
    pub fn forget_claims(&self) {
        let mut state = self.state();
        state.people.clear();
        state.next.clear();
    }

    /// As it is now.
    pub fn kept(&self) -> State {
        self.state().clone()
    }

    /// Makes it as it was.
    pub fn put_back(&self, state: State) {
        *self.state() = state;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn given(claims: Value) -> Result<GivenClaims, String> {
        match claims {
            Value::Object(claims) => GivenClaims::parse(claims),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn what_the_protocol_lives_on_is_not_given() {
        for name in PROTECTED {
            assert!(given(json!({ (name): "x" })).unwrap_err().contains(name), "{name}");
            // Not by way of the database either.
            let mut claims = json!({ (name): 1 }).as_object().cloned().unwrap();
            put(json!({ (name): 2 }).as_object().unwrap(), &mut claims);
            assert_eq!(claims[name], 1);
        }
        assert!(given(json!({ "": 1 })).is_err() && given(json!({ "a\n": 1 })).is_err());
        assert!(given(json!({ "long": "x".repeat(BYTES) })).is_err());
        let many: Map<String, Value> = (0..=CLAIMS).map(|n| (format!("c{n}"), json!(n))).collect();
        assert!(GivenClaims::parse(many).is_err());
    }

    #[test]
    fn claims_are_put_over_others_and_null_takes_one_out() {
        let mut claims = json!({"a": 1, "b": 2}).as_object().cloned().unwrap();
        given(json!({"a": [3], "b": null, "c": {"d": 4}})).unwrap().put_into(&mut claims);
        assert_eq!(Value::Object(claims), json!({"a": [3], "c": {"d": 4}}));
    }

    #[test]
    fn the_first_that_fits_is_taken_once() {
        let leeway = Leeway::new(true, false);
        let next = |user_id: Option<&str>, n: i32| Next {
            user_id: user_id.map(str::to_owned),
            claims: given(json!({ "n": n })).unwrap(),
        };
        for one in [next(Some("bob"), 1), next(None, 2), next(Some("alice"), 3)] {
            leeway.give_next(one).unwrap();
        }
        let n = |user: &str| leeway.take_next(user).map(|claims| claims.as_map()["n"].clone());
        assert_eq!((n("alice"), n("alice"), n("alice")), (Some(json!(2)), Some(json!(3)), None));
        assert_eq!((n("bob"), n("bob")), (Some(json!(1)), None));
    }

    #[test]
    fn what_may_not_be_permissive_never_is() {
        let leeway = Leeway::new(false, true);
        assert!(!leeway.is_permissive() && !leeway.set_permissive(true) && !leeway.is_permissive());
        assert!(leeway.set_permissive(false));
    }
}
