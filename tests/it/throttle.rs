//! How often a password may be guessed (NIST SP 800-63B §5.2.2): slow for whoever guesses, unnoticed by everybody else.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Browser, Database, Page, Server, both};

const PASSWORD: &str = "correct-horse-battery";

/// A server behind a proxy, so that a test can come from any address.
async fn behind_a_proxy(database: Database) -> Server {
    let server =
        Server::start_with(database, |settings| settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]).await;
    server.web_app(json!({})).await;
    server.alice().await;
    server
}

/// One try to sign in, from an address.
async fn attempt(server: &Server, browser: &Browser, address: &str, name: &str, password: &str) -> Page {
    let page = browser.get(&server.url("/login")).await;
    // Without it the page says who is signed in.
    let page = if page.is_login() { page } else { browser.submit(&page, &[]).await };
    let page = if page.is_login() { page } else { browser.get(&server.url("/login")).await };
    browser.submit_with(&page, &[("x-forwarded-for", address)], &[("username", name), ("password", password)]).await
}

/// The seconds that an answer says to wait, 0 where it says none.
fn wait_of(page: &Page) -> i64 {
    let throttled = page.status == StatusCode::TOO_MANY_REQUESTS;
    assert_eq!(throttled, page.headers.contains_key("retry-after"), "{page:?}");
    assert!(page.is_login() && page.cookie("login").is_none(), "{page:?}");
    assert!(!throttled || page.text("#login_error").starts_with("Too many failed attempts. Try again in "), "{page:?}");
    if throttled { page.header("retry-after").parse().unwrap() } else { 0 }
}

/// Guesses, and waits as told, until the wait is long enough for a slow test not to outlast it. The nodes take turns.
async fn exhaust(nodes: &[&Server], browser: &Browser, address: &str, name: &str) -> Page {
    for (number, node) in nodes.iter().cycle().take(60).enumerate() {
        let address = address.replace('*', &number.to_string());
        let page = attempt(node, browser, &address, name, "wrong").await;
        let wait = wait_of(&page);
        assert!(number >= 5 || wait == 0, "five guesses are free: {page:?}");
        if wait > 16 {
            return page;
        }
        node.wait(wait);
    }
    panic!("{name} can be guessed without end");
}

both!(
    async fn five_guesses_are_free_and_then_waits_double(server: Server) {
        server.alice().await;
        let browser = server.browser();
        let guess = async |password| wait_of(&attempt(&server, &browser, "", "alice", password).await);
        for _ in 0..5 {
            assert_eq!(guess("wrong").await, 0);
        }
        for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900] {
            let wait = guess("wrong").await;
            if wait == 0 && expected <= 4 {
                continue; // On a slow machine so much time has passed by itself.
            }
            assert!((expected - 4..=expected).contains(&wait) && wait > 0, "{wait} instead of {expected}");
            if expected > 4 {
                let again = guess(PASSWORD).await;
                assert!(
                    (wait - 4..=wait).contains(&again),
                    "the right one waits as well, and asking makes it no longer"
                );
            }
            server.wait(wait);
            assert_eq!(guess("wrong").await, 0, "the next guess is looked at after {wait} seconds");
        }
        // A quarter of an hour without a guess, and all is forgotten.
        assert_eq!(attempt(&server, &browser, "", "alice", PASSWORD).await.status, 303);
    }
);

both!(
    async fn a_success_and_time_clear_what_was_counted(server: Server) {
        server.alice().await;
        let browser = server.browser();
        for _ in 0..3 {
            for _ in 0..4 {
                assert_eq!(wait_of(&attempt(&server, &browser, "", "alice", "wrong").await), 0);
            }
            assert_eq!(attempt(&server, &browser, "", "alice", PASSWORD).await.status, 303);
        }
        let stranger = server.browser();
        for _ in 0..2 {
            for _ in 0..5 {
                assert_eq!(wait_of(&attempt(&server, &stranger, "", "alice", "wrong").await), 0);
            }
            server.wait(901);
        }
    }
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_addresses_and_other_accounts_are_unaffected() {
    for database in [Database::Sqlite, Database::Postgres] {
        let server = behind_a_proxy(database).await;
        server.put("/User/bob", json!({"userName": "bob", "password": PASSWORD})).await;
        let stranger = server.browser();
        exhaust(&[&server], &stranger, "198.51.100.7", "alice").await;
        assert!(
            wait_of(&attempt(&server, &server.browser(), "198.51.100.7", "alice", PASSWORD).await) > 0,
            "a new browser helps nothing"
        );
        assert_eq!(attempt(&server, &server.browser(), "198.51.100.8", "alice", PASSWORD).await.status, 303);
        assert_eq!(attempt(&server, &server.browser(), "198.51.100.7", "bob", PASSWORD).await.status, 303);
        // A household of IPv6 is one address.
        exhaust(&[&server], &stranger, "2001:db8:1:2::*", "bob").await;
        assert!(wait_of(&attempt(&server, &stranger, "2001:db8:1:2:ffff::9", "bob", PASSWORD).await) > 0);
        assert_eq!(attempt(&server, &server.browser(), "2001:db8:1:3::1", "bob", PASSWORD).await.status, 303);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_cannot_be_invented() {
    let server = Server::start(Database::Sqlite).await;
    server.alice().await;
    let browser = server.browser();
    exhaust(&[&server], &browser, "198.51.100.*", "alice").await;
    assert!(wait_of(&attempt(&server, &browser, "203.0.113.1", "alice", PASSWORD).await) > 0);
    let proxied = behind_a_proxy(Database::Sqlite).await;
    // The last entry is what our own proxy saw.
    exhaust(&[&proxied], &proxied.browser(), "203.0.113.*, 198.51.100.7", "alice").await;
    assert!(wait_of(&attempt(&proxied, &proxied.browser(), "192.0.2.1, 198.51.100.7", "alice", PASSWORD).await) > 0);
}

both!(
    async fn a_browser_that_knows_its_owner_is_not_locked_out_by_strangers(server: Server) {
        server.alice().await;
        server.put("/User/bob", json!({"userName": "bob", "password": PASSWORD})).await;
        let (owners, stranger) = (server.signed_in().await, server.browser());
        exhaust(&[&server], &stranger, "", "alice").await;
        assert!(wait_of(&attempt(&server, &stranger, "", "alice", PASSWORD).await) > 0);
        assert_eq!(attempt(&server, &owners, "", "alice", PASSWORD).await.status, 303);
        // It is known for its owner only, and its own guesses count.
        for name in ["bob", "alice"] {
            exhaust(&[&server], &owners, "", name).await;
            assert!(wait_of(&attempt(&server, &owners, "", name, PASSWORD).await) > 0, "{name}");
        }
    }
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_addresses_together_cannot_guess_for_long_nor_lock_the_owner_out() {
    for database in [Database::Sqlite, Database::Postgres] {
        let server = behind_a_proxy(database).await;
        let (owners, stranger) = (server.signed_in().await, server.browser());
        let mut refused = 0;
        for guess in 0..104 {
            refused += i32::from(
                wait_of(&attempt(&server, &stranger, &format!("198.51.100.{guess}"), "alice", "wrong").await) > 0,
            );
        }
        assert!(refused > 0, "an account cannot be guessed at from everywhere without end");
        assert_eq!(attempt(&server, &owners, "203.0.113.1", "alice", PASSWORD).await.status, 303);
        // Whoever signs in anew waits a minute at the most.
        server.wait(60);
        assert_eq!(attempt(&server, &server.browser(), "203.0.113.1", "alice", PASSWORD).await.status, 303);
    }
}

both!(
    async fn a_known_and_an_unknown_account_are_answered_alike(server: Server) {
        server.alice().await;
        server.put("/User/off", json!({"userName": "off", "password": PASSWORD, "inactive": true})).await;
        server.put("/User/two", json!({"userName": "two", "password": PASSWORD, "twoFactor": {"enabled": true, "secretKey": "JBSWY3DPEHPK3PXP"}})).await;
        let mut answers = Vec::new();
        for name in ["alice", "nobody", "off", "two"] {
            let browser = server.browser();
            let mut pages = vec![exhaust(&[&server], &browser, "", name).await];
            server.wait(900);
            pages.push(attempt(&server, &browser, "", name, "wrong").await);
            let told = |page: &Page| (page.status.as_u16(), page.text("main").replace(char::is_numeric, ""));
            answers.push(pages.iter().map(told).collect::<Vec<_>>());
        }
        assert_eq!((answers[0][0].0, answers[0][1].0), (429, 403));
        assert!(answers.iter().all(|alike| *alike == answers[0]), "{answers:#?}");
    }
);

both!(
    async fn every_entry_and_every_spelling_counts_together(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let browser = server.browser();
        // The answer of the password grant, and how long it says to wait.
        let grant = async |name: &str, password: &str| {
            let form = [("grant_type", "password"), ("username", name), ("password", password)];
            let request =
                server.http.post(server.url("/oauth2/token")).basic_auth("web-app", Some("client-secret")).form(&form);
            let response = request.send().await.unwrap();
            let wait =
                response.headers().get("retry-after").map_or(0, |wait| wait.to_str().unwrap().parse::<i64>().unwrap());
            assert!(response.status() == 400, "{response:?}");
            assert_eq!(response.json::<Value>().await.unwrap()["error"], "invalid_grant");
            wait
        };
        exhaust(&[&server], &browser, "", "alice").await;
        for name in ["alice", "ALICE", " Alice "] {
            assert!(wait_of(&attempt(&server, &browser, "", name, PASSWORD).await) > 0, "{name}");
            assert!(grant(name, PASSWORD).await > 0, "{name}");
        }
        server.wait(901);
        let mut free = 0;
        for _ in 0..60 {
            match grant("Alice", "wrong").await {
                0 => free += 1,
                17.. => break,
                wait => server.wait(wait),
            }
        }
        assert!((5..20).contains(&free), "{free}");
        assert!(wait_of(&attempt(&server, &browser, "", "alice", PASSWORD).await) > 0);
    }
);

both!(
    async fn all_names_of_an_account_share_its_guesses(server: Server) {
        server.put("/User/u-1", json!({"userName": "alice", "email": "alice@example.com", "password": PASSWORD})).await;
        let names = ["alice", "alice@example.com", "u-1", "ALICE@example.com"];
        for spent in names {
            exhaust(&[&server], &server.browser(), "", spent).await;
            for name in names {
                assert!(wait_of(&attempt(&server, &server.browser(), "", name, PASSWORD).await) > 0, "{spent} {name}");
            }
            server.wait(901);
        }
    }
);

both!(
    async fn a_burst_of_guesses_gets_no_more_answers_than_a_patient_guesser(server: Server) {
        server.alice().await;
        let browser = server.browser();
        let page = browser.get(&server.url("/login")).await;
        let (action, hidden) = page.form();
        let guess = |number: i32| {
            let password = format!("guess-{number}");
            let form = [("csrf", hidden["csrf"].as_str()), ("username", "alice"), ("password", &password)];
            let request = browser.http.post(server.url(&action)).form(&form);
            tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
        };
        let before = server.instance.clock.now();
        let burst: Vec<_> = (0..40).map(guess).collect();
        let mut statuses = Vec::new();
        for answer in burst {
            statuses.push(answer.await.unwrap());
        }
        let seconds = before.until(server.instance.clock.now());
        let patient = 5 + usize::try_from((seconds + 1).ilog2()).unwrap();
        let looked_at = statuses.iter().filter(|status| **status == 403).count();
        assert!(statuses.iter().all(|status| matches!(status, 403 | 429)), "{statuses:?}");
        assert!(looked_at <= patient, "{looked_at} of 40 guesses in {seconds} seconds were looked at: {statuses:?}");
        // The right one is let in after the wait that the page asks for, which no burst makes long.
        let page = attempt(&server, &server.browser(), "", "alice", PASSWORD).await;
        if page.status != 303 {
            assert!(wait_of(&page) <= 2, "{page:?}");
            server.wait(wait_of(&page));
            assert_eq!(attempt(&server, &server.browser(), "", "alice", PASSWORD).await.status, 303);
        }
    }
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_count_together_and_a_restart_forgets_nothing() {
    let server = Server::start(Database::Postgres).await;
    server.alice().await;
    let other = server.another_node().await;
    exhaust(&[&server, &other], &server.browser(), "", "alice").await;
    let third = server.another_node().await;
    for node in [&server, &other, &third] {
        assert!(wait_of(&attempt(node, &node.browser(), "", "alice", PASSWORD).await) > 0);
    }
}
