//! Settings as sentences: each test gives its own command line, environment and files.

use std::io;
use std::path::Path;

use super::*;

/// What one test gives.
#[derive(Default)]
struct Given {
    flags: Overrides,
    env: Environment,
    files: Vec<(&'static str, &'static str)>,
}

impl Given {
    fn flag(mut self, flag: &'static str, values: &[&str]) -> Self {
        self.flags.0.insert(flag, values.iter().map(|&value| value.to_owned()).collect());
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn file(mut self, name: &'static str, text: &'static str) -> Self {
        self.files.push((name, text));
        self
    }

    fn resolve(&self, purpose: Purpose) -> Result<(Settings, Vec<Warning>), Vec<Problem>> {
        let read = |path: &Path| {
            let file = self.files.iter().find(|(name, _)| Path::new("/work-folder").join(name) == path);
            file.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
        };
        Settings::resolve(
            purpose,
            Inputs { flags: &self.flags, env: &self.env, read: &read, cwd: Path::new("/work-folder") },
        )
    }

    fn settings(&self, purpose: Purpose) -> Settings {
        self.resolve(purpose).expect("settings without problems").0
    }

    fn problems(&self, purpose: Purpose) -> Vec<String> {
        match self.resolve(purpose) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.iter().map(ToString::to_string).collect(),
        }
    }
}

#[track_caller]
fn assert_says(problems: &[String], parts: &[&str]) {
    assert!(
        problems.iter().any(|problem| parts.iter().all(|part| problem.contains(part))),
        "{parts:?} in {problems:#?}"
    );
}

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let given = Given::default();
    assert_eq!(given.settings(Purpose::Serve).listen.port(), 8080);
    let given = given.file("countersign.yaml", "listen: 127.0.0.1:1\n");
    assert_eq!(given.settings(Purpose::Serve).listen.port(), 1);
    let given = given.env("COUNTERSIGN_LISTEN", "127.0.0.1:2");
    assert_eq!(given.settings(Purpose::Serve).listen.port(), 2);
    let given = given.flag("listen", &["127.0.0.1:3"]);
    assert_eq!(given.settings(Purpose::Serve).listen.port(), 3);
}

#[test]
fn the_defaults_of_dev_and_serve_are_free_of_problems() {
    let dev = Settings::dev_defaults();
    assert!(Given::default().resolve(Purpose::Dev).is_ok());
    assert_eq!(dev.database_url, DatabaseUrl::SqliteMemory);
    assert_eq!(dev.admin_client_secret.as_ref().map(Secret::expose), Some("secret"));
    assert!(dev.allow_grants.implicit && dev.allow_grants.password && dev.allow_http_redirects);
    assert_eq!(dev.issuer_at(4711).as_str(), "http://localhost:4711");

    let serve = Given::default().settings(Purpose::Serve);
    assert_eq!(serve.database_url, DatabaseUrl::SqliteFile("countersign.db".into()));
    assert_eq!(serve.master_key_file(), Some("countersign.db.master-key".into()));
    assert!(serve.admin_client_secret.is_none());
    assert_eq!(serve.allow_grants, AllowGrants::default());
    assert_eq!((serve.refresh_grace, serve.access_token_expiration), (10, 3600));
}

#[test]
fn lists_come_repeated_comma_separated_or_as_yaml_lists() {
    let expected = vec![PathBuf::from("a.yaml"), PathBuf::from("b")];
    let flags = Given::default().flag("bundle", &["a.yaml", "b"]);
    let env = Given::default().env("COUNTERSIGN_BUNDLE", "a.yaml, b");
    let file = Given::default().file("countersign.yaml", "bundle: [a.yaml, b]");
    for given in [flags, env, file] {
        assert_eq!(given.settings(Purpose::Serve).bundles, expected);
    }
    let none = Given::default().env("COUNTERSIGN_ALLOW_GRANTS", "none").settings(Purpose::Dev);
    assert_eq!(none.allow_grants, AllowGrants::default());
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest_one() {
    let problems = Given::default()
        .env("COUNTERSIGN_ISUER", "https://a.example")
        .file("countersign.yaml", "admin_client_ident: root\nzzz: 1\n")
        .problems(Purpose::Serve);
    assert_says(&problems, &["environment COUNTERSIGN_ISUER", "did you mean COUNTERSIGN_ISSUER?"]);
    assert_says(&problems, &["countersign.yaml: admin_client_ident", "did you mean admin_client_id?"]);
    assert_says(&problems, &["countersign.yaml: zzz", "is not a setting"]);
}

#[test]
fn what_kubernetes_sets_for_a_service_of_this_name_is_not_mistaken_for_a_setting() {
    let given = Given::default()
        .env("COUNTERSIGN_SERVICE_HOST", "10.0.0.1")
        .env("COUNTERSIGN_SERVICE_PORT_HTTP", "8080")
        .env("COUNTERSIGN_PORT", "tcp://10.0.0.1:8080")
        .env("COUNTERSIGN_PORT_8080_TCP", "tcp://10.0.0.1:8080")
        .env("COUNTERSIGN_PORT_8080_TCP_ADDR", "10.0.0.1");
    assert_eq!(given.problems(Purpose::Serve), Vec::<String>::new());
    assert_says(&Given::default().env("COUNTERSIGN_PORT", "8080").problems(Purpose::Serve), &["COUNTERSIGN_PORT"]);
}

#[test]
fn all_problems_are_told_at_once_each_with_its_place() {
    let problems = Given::default()
        .flag("listen", &["8080"])
        .env("COUNTERSIGN_REFRESH_GRACE", "soon")
        .env("COUNTERSIGN_REGISTRATION", "all")
        .env("COUNTERSIGN_DATABASE_URL", "postgres://u:p@db/x")
        .file("countersign.yaml", "tls_cert: cert.pem\nallow_grant: [pasword]\nallowed_host: https://x/\n")
        .problems(Purpose::Serve);
    assert_says(&problems, &["flag --listen", "`8080`", "write 127.0.0.1:8080"]);
    assert_says(&problems, &["environment COUNTERSIGN_REFRESH_GRACE", "`soon`"]);
    assert_says(&problems, &["environment COUNTERSIGN_REGISTRATION", "write closed, token or open"]);
    assert_says(&problems, &["countersign.yaml: tls_cert", "add --tls-key"]);
    assert_says(&problems, &["countersign.yaml: allow_grant", "did you mean password?"]);
    assert_says(&problems, &["countersign.yaml: allowed_host", "is not a host name"]);
    assert_says(&problems, &["COUNTERSIGN_MASTER_KEY", "is required with PostgreSQL"]);
    assert_eq!(problems.len(), 7, "{problems:#?}");
}

#[test]
fn no_secret_is_ever_quoted() {
    let given = Given::default()
        .env("COUNTERSIGN_MASTER_KEY", "hunter2")
        .env("COUNTERSIGN_ADMIN_CLIENT_SECRET_FILE", "hunter2")
        .env("COUNTERSIGN_DATABASE_URL", "mysql://u:hunter2@db/x");
    let problems = given.problems(Purpose::Serve);
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert!(!format!("{problems:?}").contains("hunter2"), "{problems:#?}");

    let settings = Given::default()
        .env("COUNTERSIGN_MASTER_KEY", "aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMmh1bnQ=")
        .env("COUNTERSIGN_ADMIN_CLIENT_SECRET", "hunter2")
        .env("COUNTERSIGN_DATABASE_URL", "postgres://hunter2:hunter2@db/x")
        .settings(Purpose::Serve);
    assert!(settings.master_key.is_some());
    let shown = format!("{settings:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVy") && shown.contains("postgres://db/x"), "{shown}");
}

#[test]
fn a_secret_may_come_from_a_file_but_not_from_both() {
    let given =
        Given::default().env("COUNTERSIGN_ADMIN_CLIENT_SECRET_FILE", "run/secret").file("run/secret", "s3cret value\n");
    let secret = given.settings(Purpose::Serve).admin_client_secret;
    assert_eq!(secret.as_ref().map(Secret::expose), Some("s3cret value"));
    let both = given.env("COUNTERSIGN_ADMIN_CLIENT_SECRET", "x").problems(Purpose::Serve);
    assert_says(&both, &["COUNTERSIGN_ADMIN_CLIENT_SECRET_FILE", "set one of the two"]);
    let number = Given::default().file("countersign.yaml", "admin_client_secret: 0123").problems(Purpose::Serve);
    assert_says(&number, &["countersign.yaml: admin_client_secret", "put it in quotes"]);
}

#[test]
fn database_url_is_the_fallback_of_the_longer_name() {
    let given = Given::default().env("DATABASE_URL", "sqlite://other.db");
    assert_eq!(given.settings(Purpose::Store).database_url, DatabaseUrl::SqliteFile("other.db".into()));
    let given = given.env("COUNTERSIGN_DATABASE_URL", "sqlite::memory:");
    assert_eq!(given.settings(Purpose::Store).database_url, DatabaseUrl::SqliteMemory);
}

#[test]
fn an_http_issuer_is_for_loopback_unless_allowed_by_name() {
    let given = Given::default().flag("issuer", &["http://login.example.com"]);
    assert_says(&given.problems(Purpose::Serve), &["flag --issuer", "write https://login.example.com"]);
    let allowed = given.flag("allow-http-issuer", &["true"]).settings(Purpose::Serve);
    assert!(allowed.allow_http_redirects);
    for issuer in ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:9/auth", "https://a.example/tenant"] {
        assert_eq!(Given::default().flag("issuer", &[issuer]).problems(Purpose::Serve), Vec::<String>::new());
    }
    for issuer in [
        "https://a.example/",
        "https://A.example",
        "https://a.example?x",
        "https://u@a.example",
        "a.example",
        "https://a.example:443",
    ] {
        assert_eq!(Given::default().flag("issuer", &[issuer]).problems(Purpose::Serve).len(), 1, "{issuer}");
    }
}

#[test]
fn beyond_loopback_the_issuer_is_required_and_dev_takes_no_https_one() {
    let given = Given::default().flag("listen", &["0.0.0.0:8080"]);
    assert_says(&given.problems(Purpose::Serve), &["--issuer", "is required"]);
    assert_says(&given.problems(Purpose::Dev), &["--issuer", "http://localhost:8080"]);
    let https = given.flag("issuer", &["https://a.example"]);
    assert_says(&https.problems(Purpose::Dev), &["flag --issuer", "demo credentials are public"]);
    assert!(!https.settings(Purpose::Serve).allow_http_redirects);
}

#[test]
fn a_server_without_a_cap_on_refresh_tokens_says_so() {
    let says_so = |given: Given| {
        let warnings = given.resolve(Purpose::Serve).expect("settings").1;
        warnings.iter().any(|warning| warning.to_string().contains("--max-refresh-token-expiration"))
    };
    assert!(says_so(Given::default()));
    assert!(!says_so(Given::default().env("COUNTERSIGN_MAX_REFRESH_TOKEN_EXPIRATION", "7776000")));
}

#[test]
fn a_settings_file_that_was_named_must_be_there_and_be_yaml() {
    let missing = Given::default().flag("config", &["other.yaml"]);
    assert_says(&missing.problems(Purpose::Serve), &["flag --config", "cannot be read"]);
    let twice = Given::default().file("countersign.yaml", "listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n");
    assert_says(&twice.problems(Purpose::Serve), &["countersign.yaml"]);
    assert!(Given::default().file("countersign.yaml", "# nothing yet\n").resolve(Purpose::Serve).is_ok());
}

#[test]
fn every_setting_has_a_row_and_no_name_stands_twice() {
    let table = settings_table_markdown();
    let mut names = std::collections::HashSet::new();
    for setting in table::SETTINGS {
        assert!(names.insert(setting.flag) && names.insert(setting.env), "{}", setting.flag);
        assert!(table.contains(&format!("`{}`", setting.env)), "{}", setting.flag);
    }
}

#[test]
fn what_does_without_the_person_is_for_dev_on_no_public_issuer() {
    let flags = [("permissive", "true"), ("auto-login", "true"), ("auto-consent", "approve")];
    for (flag, value) in flags {
        let given = Given::default().flag(flag, &[value]);
        let name = format!("--{flag}");
        assert_says(&given.problems(Purpose::Serve), &[&name, "`countersign dev` alone", "leave it out"]);
        assert_says(&given.flag("dev-api", &["true"]).problems(Purpose::Serve), &[&name, "`countersign dev` alone"]);
        let public = Given::default().flag(flag, &[value]).flag("issuer", &["https://login.example.com"]);
        assert_says(&public.problems(Purpose::Dev), &[&name, "https://login.example.com", "local network"]);
        assert!(Given::default().flag(flag, &[value]).resolve(Purpose::Dev).is_ok());
    }
    let dev = Settings::dev_defaults();
    assert_eq!((dev.permissive, dev.auto_login, dev.auto_consent), (false, false, Consent::Ask));
    let env = Given::default().env("COUNTERSIGN_AUTO_CONSENT", "deny").env("COUNTERSIGN_PERMISSIVE", "true");
    let file = Given::default().file("countersign.yaml", "auto_consent: deny\npermissive: true\n");
    for given in [env, file] {
        let settings = given.settings(Purpose::Dev);
        assert_eq!((settings.permissive, settings.auto_consent), (true, Consent::Deny));
    }
    assert_says(&Given::default().flag("auto-consent", &["yes"]).problems(Purpose::Dev), &["ask, approve or deny"]);
}
