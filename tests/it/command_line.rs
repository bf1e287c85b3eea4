//! The command line (interface §1, §2): help, settings and their errors, and the commands that look into a database and change it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::support::{Database, Ended, Folder, both_folders};

const COMMANDS: [&str; 12] =
    ["dev", "serve", "migrate", "check", "apply", "export", "keys", "user", "client", "perform", "token", "health"];

fn fails(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
    }
}

/// Every file of the folder with its content.
fn files(folder: &Folder) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(&folder.path).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), std::fs::read(path).unwrap_or_default())).collect()
}

/// A folder without any setting.
async fn bare() -> Folder {
    Folder::new(Database::Sqlite).await.env("COUNTERSIGN_DATABASE_URL", "")
}

#[tokio::test]
async fn without_a_command_it_prints_help_and_every_command_has_its_own() {
    let folder = bare().await;
    let help = folder.ok(&[]);
    assert_eq!(help, folder.ok(&["--help"]));
    for command in COMMANDS {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "{command}: {help}");
        let own = folder.ok(&[command, "--help"]);
        assert!(own.contains("Usage: countersign") && own.contains("Examples:"), "{own}");
    }
    for (command, sub) in [
        ("keys", "list rotate retire"),
        ("user", "create list disable enable password"),
        ("client", "create list disable enable secret"),
    ] {
        for sub in sub.split(' ') {
            assert!(folder.ok(&[command, sub, "--help"]).contains("--database-url"), "{command} {sub}");
        }
    }
    // Every setting of interface §2 that may be a flag, with its variable.
    let serve = folder.ok(&["serve", "--help"]);
    for (flag, variable) in [
        ("--listen", "LISTEN"),
        ("--issuer", "ISSUER"),
        ("--database-url", "DATABASE_URL"),
        ("--bundle", "BUNDLE"),
        ("--admin-client-id", "ADMIN_CLIENT_ID"),
        ("--allow-http-redirects", "ALLOW_HTTP_REDIRECTS"),
        ("--allowed-host", "ALLOWED_HOSTS"),
        ("--allow-grant", "ALLOW_GRANTS"),
        ("--registration", "REGISTRATION"),
        ("--registration-rate", "REGISTRATION_RATE"),
        ("--registration-unused-expiration", "REGISTRATION_UNUSED_EXPIRATION"),
        ("--software-statement-issuer", "SOFTWARE_STATEMENT_ISSUERS"),
        ("--metadata-documents", "METADATA_DOCUMENTS"),
        ("--refresh-grace", "REFRESH_GRACE"),
        ("--access-token-expiration", "ACCESS_TOKEN_EXPIRATION"),
        ("--max-refresh-token-expiration", "MAX_REFRESH_TOKEN_EXPIRATION"),
        ("--tls-cert", "TLS_CERT"),
        ("--tls-key", "TLS_KEY"),
        ("--trusted-proxy", "TRUSTED_PROXIES"),
        ("--log-format", "LOG_FORMAT"),
        ("--shutdown-grace", "SHUTDOWN_GRACE"),
        ("--allow-http-issuer", "ALLOW_HTTP_ISSUER"),
        ("", "MASTER_KEY_FILE"),
        ("", "ADMIN_CLIENT_SECRET_FILE"),
        ("", "MASTER_KEY"),
        ("", "ADMIN_CLIENT_SECRET"),
    ] {
        assert!(serve.contains(flag) && serve.contains(&format!("COUNTERSIGN_{variable}")), "{flag} {variable}");
    }
    assert!(!serve.contains("--master-key") && !serve.contains("--admin-client-secret"));
    for args in [
        &["srve"][..],
        &["serve", "--isuer", "x"],
        &["serve", "extra"],
        &["apply"],
        &["keys", "retire"],
        &["client", "create"],
    ] {
        let ended = folder.run(args);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
        assert!(ended.stderr.contains("Usage:") || ended.stderr.contains("similar"), "{ended:?}");
    }
    assert!(folder.run(&["serve", "--isuer", "x"]).stderr.contains("--issuer"));
    assert!(files(&folder).is_empty(), "help makes no file");
}

#[tokio::test]
async fn all_settings_errors_come_at_once_each_with_place_and_nearest_name() {
    let folder = bare()
        .await
        .env("COUNTERSIGN_ISUER", "https://a.example")
        .env("COUNTERSIGN_REFRESH_GRACE", "soon")
        .env("COUNTERSIGN_MASTER_KEY", "hunter2")
        .env("COUNTERSIGN_ADMIN_CLIENT_SECRET_FILE", "hunter2-file");
    folder.write("countersign.yaml", "listn: 127.0.0.1:1\nallow_grant: [pasword]\nlog_format: xml\n");
    for command in ["serve", "check", "dev"] {
        let mut ended = folder.run(&[command, "--listen", "8080", "--issuer", "http://login.example.com"]);
        if command == "check" {
            // It goes on to what the wrong settings leave to look at.
            assert!(ended.stdout.starts_with("database: "), "{ended:?}");
            ended.stdout.clear();
        }
        fails(
            &ended,
            1,
            &[
                "environment COUNTERSIGN_ISUER: is not a setting; did you mean COUNTERSIGN_ISSUER?",
                "environment COUNTERSIGN_REFRESH_GRACE: `soon`",
                "environment COUNTERSIGN_MASTER_KEY: is not 32 bytes in base64",
                "environment COUNTERSIGN_ADMIN_CLIENT_SECRET_FILE: the file that it names cannot be read",
                "countersign.yaml: listn: is not a setting; did you mean listen?",
                "countersign.yaml: allow_grant: `pasword`",
                "did you mean password?",
                "countersign.yaml: log_format: `xml`",
                "flag --listen: `8080`",
                "flag --issuer: `http://login.example.com` is plain http for a host beyond loopback",
            ],
        );
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
    assert_eq!(files(&folder).len(), 1, "nothing was made");
    // Every command minds unknown variables.
    for args in [
        &["migrate"][..],
        &["export"],
        &["keys", "list"],
        &["user", "list"],
        &["client", "list"],
        &["health"],
        &["apply", "x"],
    ] {
        fails(&folder.run(args), 1, &["COUNTERSIGN_ISUER", "did you mean COUNTERSIGN_ISSUER?"]);
    }
}

#[tokio::test]
async fn serve_refuses_what_is_unsafe_or_missing() {
    for (args, variables, words) in [
        (&["--listen", "0.0.0.0:0"][..], &[][..], &["--issuer (COUNTERSIGN_ISSUER): is required"][..]),
        (&["--issuer", "http://id.example"], &[], &["write https://id.example", "--allow-http-issuer"]),
        (
            &["--database-url", "postgres://u:hunter2@db/x"],
            &[],
            &["COUNTERSIGN_MASTER_KEY: is required with PostgreSQL"],
        ),
        (
            &["--database-url", "mysql://u:hunter2@db/x"],
            &[],
            &["flag --database-url: names neither SQLite nor PostgreSQL"],
        ),
        (&["--registration", "all"], &[], &["flag --registration", "write closed, token or open"]),
        (&["--software-statement-issuer", "https://a.example"], &[], &["write ISSUER=FILE"]),
        (&["--metadata-documents", "https://a.example"], &[], &["is not a host name"]),
        (&["--registration-rate", "0"], &[], &["is not a number above 0"]),
        (&["--access-token-expiration", "0"], &[], &["flag --access-token-expiration: is 0"]),
        (&["--tls-cert", "cert.pem"], &[], &["flag --tls-cert: has no key; add --tls-key"]),
        (
            &["--tls-cert", "c.pem", "--tls-key", "k.pem", "--issuer", "http://localhost:1"],
            &[],
            &["is http, but the server speaks HTTPS"],
        ),
        (&["--tls-cert", "c.pem", "--tls-key", "k.pem"], &[], &["c.pem"]),
        (&["--outbound-ca", "ca.pem"], &[], &["--outbound-ca: ca.pem"]),
        (&["--outbound-network", "here"], &[], &["flag --outbound-network: `here` is not a network"]),
        (&["--config", "other.yaml"], &[], &["flag --config: the file other.yaml cannot be read"]),
        (&["--trusted-proxy", "proxy"], &[], &["flag --trusted-proxy: `proxy` is not a network"]),
        (
            &[],
            &[("COUNTERSIGN_ADMIN_CLIENT_SECRET", "x"), ("COUNTERSIGN_ADMIN_CLIENT_SECRET_FILE", "y")],
            &["set one of the two"],
        ),
    ] {
        let folder = variables.iter().fold(bare().await, |folder, (name, value)| folder.env(name, value));
        let args = [&["serve", "--listen", "127.0.0.1:0"], args].concat();
        let args = if args.len() > 4 && args[3] == "--listen" { [&args[..1], &args[3..]].concat() } else { args };
        let ended = folder.run(&args);
        fails(&ended, 1, words);
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
        assert!(!folder.path.join("countersign.db").exists(), "{args:?}");
    }
}

#[tokio::test]
async fn a_flag_wins_over_the_environment_over_the_file_and_secrets_come_from_files() {
    let folder = bare()
        .await
        .env("COUNTERSIGN_ADMIN_CLIENT_SECRET_FILE", "secret.txt")
        .env("DATABASE_URL", "sqlite://fallback.db");
    folder.write("secret.txt", "from-a-file\n");
    folder.write(
        "countersign.yaml",
        "issuer: http://localhost:1\nadmin_client_id: boss\nallowed_host: [other.example]\n",
    );
    let folder = folder.env("COUNTERSIGN_ISSUER", "http://localhost:2");
    let (_process, service) = folder.serve(&["--issuer", "http://localhost:3/base"]);
    let url = service.url("/base/.well-known/openid-configuration");
    let metadata: serde_json::Value = service.http.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(metadata["issuer"], "http://localhost:3/base");
    for (secret, status) in [("from-a-file", 200), ("from-a-file\n", 401)] {
        let request = service.http.get(service.url("/base/Client")).basic_auth("boss", Some(secret));
        assert_eq!(request.send().await.unwrap().status(), status);
    }
    for (host, status) in [("other.example", 401), ("stranger.example", 421)] {
        let request = service.http.get(service.url("/base/Client")).header("host", host);
        assert_eq!(request.send().await.unwrap().status(), status, "{host}");
    }
    assert!(folder.path.join("fallback.db").exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let key = std::fs::metadata(folder.path.join("fallback.db.master-key")).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
    }
}

both_folders!(
    async fn migrate_makes_the_schema_and_may_be_repeated(folder: Folder) {
        for args in [&["export"][..], &["keys", "list"], &["user", "list"], &["apply", "b.yaml"], &["keys", "rotate"]] {
            folder.write("b.yaml", "[]");
            fails(&folder.run(args), 1, &["run `countersign migrate`"]);
        }
        for _ in 0..2 {
            let told = folder.ok(&["migrate"]);
            assert!(told.contains("is up to date") && !told.contains("search_path"), "{told}");
        }
        assert_eq!(folder.ok(&["user", "list"]).lines().count(), 1);
    }
);

both_folders!(
    async fn check_tells_everything_and_changes_nothing(folder: Folder) {
        // Nothing there yet: `serve` would make it, `check` does not.
        assert!(folder.ok(&["check"]).contains("settings: fine"));
        assert!(files(&folder).is_empty(), "{:?}", files(&folder).keys());
        fails(&folder.run(&["export"]), 1, &["run `countersign migrate`"]);
        drop(folder.serve(&[]));
        folder.ok(&["migrate"]);
        folder.write("good.yaml", "- {resourceType: Client, id: good}\n");
        let (before, exported) = (files(&folder), folder.ok(&["export"]));
        let told = folder.ok(&["check", "--bundle", "good.yaml"]);
        for line in ["settings: fine", "database: fine", "signing keys: fine", "bundles: fine"] {
            assert!(told.lines().any(|found| found == line), "{line}: {told}");
        }
        folder.write(
            "wrong.yaml",
            "- {resourceType: Client, id: a, nmae: x}\n- {resourceType: User, id: b, passwrd: hunter2}\n",
        );
        let other = "b3RoZXIga2V5IG90aGVyIGtleSBvdGhlciBrZXkgb3Q=";
        let wrong_key = [("COUNTERSIGN_MASTER_KEY", other)];
        let ended = folder.run_as(
            &[wrong_key[0], ("COUNTERSIGN_REFRESH_GRACE", "soon")],
            &[
                "check",
                "--bundle",
                "good.yaml",
                "--bundle",
                "wrong.yaml",
                "--tls-cert",
                "no.pem",
                "--tls-key",
                "no.key",
                "--outbound-ca",
                "no-ca.pem",
            ],
        );
        assert_eq!(ended.code, 1, "{ended:?}");
        for finding in [
            "COUNTERSIGN_REFRESH_GRACE: `soon`",
            "no.pem",
            "no.key",
            "outbound CA: no-ca.pem",
            "COUNTERSIGN_MASTER_KEY is not the one",
            "wrong.yaml:1: Client.nmae",
            "wrong.yaml:2: User.passwrd",
        ] {
            assert!(ended.stderr.contains(finding), "{finding}: {ended:?}");
        }
        assert!(!ended.stderr.contains("hunter2") && !ended.stderr.contains(other));
        std::fs::remove_file(folder.path.join("wrong.yaml")).unwrap();
        let after = files(&folder);
        assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
        assert!(after == before, "a file is another one");
        assert_eq!(folder.ok(&["export"]), exported);
        // And `serve` refuses the wrong key too, clearly.
        let refused = folder.run_as(&wrong_key, &["serve", "--listen", "127.0.0.1:0"]);
        assert_eq!(refused.code, 1);
        assert!(
            refused.stderr.contains("COUNTERSIGN_MASTER_KEY is not the one this database was made with"),
            "{refused:?}"
        );
    }
);

both_folders!(
    async fn a_database_that_cannot_be_reached_is_a_finding(folder: Folder) {
        let away = match folder.database {
            Database::Sqlite => "sqlite://no/such/folder/x.db",
            Database::Postgres => "postgres://u:hunter2@127.0.0.1:1/x",
        };
        std::fs::create_dir(folder.path.join("dir.db")).unwrap();
        let folder = folder.env("COUNTERSIGN_DATABASE_URL", away);
        for args in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"], &["user", "list"]] {
            let ended = folder.run(args);
            assert!(
                ended.code == 1 && !ended.stderr.contains("hunter2") && !ended.stderr.contains("panicked"),
                "{ended:?}"
            );
        }
        let folder = if folder.database == Database::Sqlite {
            folder.env("COUNTERSIGN_DATABASE_URL", "sqlite://dir.db")
        } else {
            folder
        };
        let ended = folder.run(&["check"]);
        assert!(
            ended.code == 1 && ended.stderr.contains("database:") && !ended.stderr.contains("hunter2"),
            "{ended:?}"
        );
    }
);

#[tokio::test]
async fn health_tells_by_its_exit_code() {
    let folder = bare().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!("127.0.0.1:{port}");
    fails(&folder.run(&["health", "--listen", &listen]), 1, &[&listen]);
    fails(&folder.run(&["health", "--url", "localhost"]), 2, &["is not the URL of a server"]);
    fails(&folder.run(&["health", "--listen", "127.0.0.1:0"]), 1, &["--url"]);
    let process = folder.start(&["serve", "--listen", &listen]);
    process.logs("listening");
    assert_eq!(folder.ok(&["health", "--listen", &listen]), "ready\n");
    assert_eq!(folder.ok(&["health", "--url", &format!("http://localhost:{port}")]), "ready\n");
    fails(&folder.run(&["health", "--url", &format!("http://localhost:{port}/oauth2/nothing")]), 1, &["404"]);
}
