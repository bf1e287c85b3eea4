//! `--watch`: a bundle that changes on disk is applied at once, and one that is wrong changes nothing.

use std::path::PathBuf;
use std::time::Duration;

use countersign::config::Mode;

use crate::support::{Database, Server};

const BOTH: [Database; 2] = [Database::Sqlite, Database::Postgres];

/// A folder of bundles that goes with the test.
struct Bundles(PathBuf);

impl Bundles {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("countersign-watch-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    /// As editors do that write by rename.
    fn replace(&self, name: &str, text: &str) {
        self.write(".draft", text);
        std::fs::rename(self.0.join(".draft"), self.0.join(name)).unwrap();
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.0.join(name)).unwrap();
    }
}

impl Drop for Bundles {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn client(id: &str, name: &str) -> String {
    format!(
        "- resourceType: Client\n  id: {id}\n  name: {name}\n  secret: a-secret\n  grant_types: [client_credentials]\n"
    )
}

async fn start(database: Database, mode: Mode, watch: bool, path: PathBuf) -> Server {
    Server::start_with(database, |settings| {
        (settings.mode, settings.watch) = (mode, watch);
        settings.bundles = vec![path];
    })
    .await
}

/// The name of a client; none where there is no such client.
async fn name(server: &Server, id: &str) -> Option<String> {
    let response = server.admin("GET", &format!("/Client/{id}")).send().await.unwrap();
    let found = response.status() == 200;
    let document: serde_json::Value = response.json().await.unwrap();
    found.then(|| document["name"].as_str().unwrap_or_default().to_owned())
}

/// Waits until a client has this name, or is gone.
async fn until(server: &Server, id: &str, expected: Option<&str>) {
    for _ in 0..400 {
        if name(server, id).await.as_deref() == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{id} does not become {expected:?}: {:?}", name(server, id).await);
}

/// What the start page says of the bundles, once it says something, or nothing any more.
async fn told(server: &Server, something: bool) -> String {
    for _ in 0..400 {
        let page = server.browser().get(&server.url("/")).await;
        if page.has("#bundles") == something {
            return page.text("section[aria-labelledby=bundles]");
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the start page does not change");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_on_disk_is_in_force_at_once_and_what_is_left_out_goes() {
    for database in BOTH {
        let bundles = Bundles::new();
        bundles.write("a.yaml", &(client("one", "One") + &client("two", "Two")));
        let server = start(database, Mode::Dev, true, bundles.0.clone()).await;
        assert_eq!(name(&server, "one").await.as_deref(), Some("One"));
        // Written in place, in several steps; by rename; a new file beside it.
        for step in ["- resourceType: Cl", "- resourceType: Client\n  id: one\n"] {
            bundles.write("a.yaml", step);
        }
        bundles.write("a.yaml", &(client("one", "Uno") + &client("two", "Two")));
        until(&server, "one", Some("Uno")).await;
        bundles.replace("a.yaml", &(client("one", "Eins") + &client("two", "Two")));
        until(&server, "one", Some("Eins")).await;
        bundles.write("b.yaml", &client("three", "Three"));
        until(&server, "three", Some("Three")).await;
        // What the version before made and this one lacks goes, with its file or without.
        bundles.replace("a.yaml", &client("one", "Eins"));
        until(&server, "two", None).await;
        bundles.remove("b.yaml");
        until(&server, "three", None).await;
        // The demo, and what somebody else made, are not the bundle's to remove.
        assert!(name(&server, "web-app").await.is_some() && name(&server, "one").await.is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_that_is_wrong_changes_nothing_and_is_explained_with_its_place() {
    for database in BOTH {
        let bundles = Bundles::new();
        bundles.write("a.yaml", &client("one", "One"));
        let file = bundles.0.join("a.yaml");
        let server = start(database, Mode::Dev, true, file.clone()).await;
        for (wrong, place, why) in [
            (client("one", "Other") + "  grant_typos: [code]\n", "a.yaml:1", "grant_typos"),
            ("- resourceType: [".to_owned(), "a.yaml", "a.yaml"),
        ] {
            bundles.replace("a.yaml", &wrong);
            let text = told(&server, true).await;
            assert!(text.contains(place) && text.contains(why) && text.contains("still in force"), "{text}");
            assert_eq!(name(&server, "one").await.as_deref(), Some("One"));
            bundles.replace("a.yaml", &client("one", "One"));
            told(&server, false).await;
        }
        // Gone for a moment is not gone; gone for good is told, and what it said stays.
        bundles.remove("a.yaml");
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert!(!server.browser().get(&server.url("/")).await.has("#bundles"));
        bundles.write("a.yaml", &client("one", "Back"));
        until(&server, "one", Some("Back")).await;
        bundles.remove("a.yaml");
        let text = told(&server, true).await;
        assert!(text.contains("a.yaml") && name(&server, "one").await.is_some(), "{text}");
        bundles.write("a.yaml", &client("one", "Again"));
        until(&server, "one", Some("Again")).await;
        told(&server, false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_watches_only_where_it_is_told_to() {
    for database in BOTH {
        let [on, off] = [true, false].map(|watch| {
            let bundles = Bundles::new();
            bundles.write("a.yaml", &client("one", "One"));
            (watch, bundles)
        });
        let still = start(database, Mode::Serve, off.0, off.1.0.clone()).await;
        let watching = start(database, Mode::Serve, on.0, on.1.0.clone()).await;
        for bundles in [&on.1, &off.1] {
            bundles.replace("a.yaml", &client("one", "Other"));
        }
        until(&watching, "one", Some("Other")).await;
        assert_eq!(name(&still, "one").await.as_deref(), Some("One"));
    }
}
