//! The life of tokens against a model: whatever is done to them in whatever order, introspection says of every token ever issued, and
//! a refresh answers, what the model says (RFC 6749 §4.1.2 and §6, RFC 7009, RFC 7662, RFC 9700 §4.14.2).
//!
//! The one test here that does not speak HTTP: it calls the verbs behind the endpoints with a `now` of its own, so that hundreds of
//! sequences take seconds. [`model`] is what should be, [`play`] does the same to the server. More sequences: `PROPTEST_CASES=1000`.

mod model;
mod play;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Database, Server};

/// Sequences on each database where `PROPTEST_CASES` does not say.
const CASES: u32 = 64;

/// What happens to tokens. A code or a token is picked by how many are newer.
#[derive(Clone, Debug)]
enum Step {
    /// The person consents, and the client gets a code.
    Authorize { user: usize, client: usize },
    /// A client redeems a code, mostly its own.
    Redeem { code: usize, stranger: bool },
    /// A client presents a refresh token, mostly its own.
    Refresh { token: usize, stranger: bool },
    /// A client revokes an access token or, with all its family, a refresh token.
    Revoke { token: usize, stranger: bool, access: bool },
    /// The holder of an access token closes its session.
    Close { token: usize },
    /// The person signs out.
    SignOut { user: usize },
    /// The person withdraws the consent.
    Withdraw { user: usize, client: usize },
    /// The administrator switches a user on or off.
    User { user: usize, on: bool },
    /// The administrator switches a client on or off.
    Client { client: usize, on: bool },
    /// The user gets another password.
    Password { user: usize },
    /// Time passes.
    Wait { seconds: i64 },
    /// What has expired is removed.
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let one_of_two = 0..2_usize;
    let parties = (one_of_two.clone(), one_of_two.clone());
    let one = || prop_oneof![6 => Just(0_usize), 3 => Just(1), 2 => Just(2), 2 => 3..20_usize];
    let token = (one(), prop::bool::weighted(0.05));
    // Around each limit: grace 10, codes 60, access tokens 60 and 600, refresh tokens 100, the cap 1,000, what is kept of codes 600.
    let seconds = prop_oneof![
        6 => prop::sample::select(vec![1, 5, 9, 10, 11]),
        3 => prop::sample::select(vec![30, 50, 59, 60, 61, 99, 101]),
        1 => prop::sample::select(vec![550, 601, 999, 4_000, 432_001, 7_776_001]),
    ];
    prop_oneof![
        6 => parties.clone().prop_map(|(user, client)| Step::Authorize { user, client }),
        7 => token.clone().prop_map(|(code, stranger)| Step::Redeem { code, stranger }),
        9 => token.clone().prop_map(|(token, stranger)| Step::Refresh { token, stranger }),
        2 => (token, any::<bool>()).prop_map(|((token, stranger), access)| Step::Revoke { token, stranger, access }),
        1 => one().prop_map(|token| Step::Close { token }),
        1 => one_of_two.clone().prop_map(|user| Step::SignOut { user }),
        1 => parties.prop_map(|(user, client)| Step::Withdraw { user, client }),
        1 => (one_of_two.clone(), any::<bool>()).prop_map(|(user, on)| Step::User { user, on }),
        1 => (one_of_two.clone(), any::<bool>()).prop_map(|(client, on)| Step::Client { client, on }),
        1 => one_of_two.prop_map(|user| Step::Password { user }),
        5 => seconds.prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Sweep),
    ]
}

fn check(database: Database) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start(database));
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    let sequences = (prop::collection::vec(step(), 1..60), any::<bool>());
    let result =
        TestRunner::new(config).run(&sequences, |(steps, capped)| runtime.block_on(play::all(&server, &steps, capped)));
    runtime.block_on(async { drop(server) });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn whatever_happens_to_tokens_sqlite_answers_as_the_model_does() {
    check(Database::Sqlite);
}

#[test]
fn whatever_happens_to_tokens_postgres_answers_as_the_model_does() {
    check(Database::Postgres);
}
