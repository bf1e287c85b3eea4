//! `keys`, `user` and `client` on the command line (interface §1): what they do holds in a running server within a second.

use serde_json::Value;

use crate::support::{Database, Folder, Service, both_folders, within_a_second};

/// A command that must work, with this on stdin; its stdout.
fn ok(folder: &Folder, args: &[&str], stdin: &str) -> String {
    let ended = folder.run_with(args, stdin);
    assert_eq!(ended.code, 0, "{args:?} {ended:?}");
    let secret = stdin.trim();
    assert!(secret.is_empty() || !format!("{}{}", ended.stdout, ended.stderr).contains(secret), "{ended:?}");
    ended.stdout
}

async fn signs_in(service: &Service, client: (&str, &str), name: &str, password: &str) -> bool {
    let form = [("grant_type", "password"), ("username", name), ("password", password)];
    service.post("/oauth2/token", client, &form).await.0 == 200
}

async fn gets_token(service: &Service, client: (&str, &str)) -> bool {
    service.post("/oauth2/token", client, &[("grant_type", "client_credentials")]).await.0 == 200
}

/// The row of a table that begins with this word, its cells.
fn row(table: &str, id: &str) -> Vec<String> {
    let line = table.lines().find(|line| line.split_whitespace().next() == Some(id));
    line.unwrap_or_else(|| panic!("no {id} in {table}"))
        .split("  ")
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .map(str::to_owned)
        .collect()
}

both_folders!(
    async fn users_are_created_disabled_and_given_passwords(folder: Folder) {
        folder.ok(&["migrate"]);
        let folder = folder.env("RUST_LOG", "trace");
        let grants = ["--grant-type", "password"];
        ok(&folder, &[&["client", "create", "app"][..], &grants].concat(), "app-secret\n");
        let args = [
            "user",
            "create",
            "ann",
            "--id",
            "u1",
            "--email",
            "ann@x.example",
            "--given-name",
            "Ann",
            "--family-name",
            "Lee",
            "--role",
            "admin",
        ];
        assert_eq!(ok(&folder, &args, "first-password\n"), "u1\n");
        let id = ok(&folder, &["user", "create", "bob"], "bobs-password\r\n").trim().to_owned();
        let table = folder.ok(&["user", "list"]);
        assert_eq!(row(&table, "u1"), ["u1", "ann", "ann@x.example", "active", "admin"]);
        assert_eq!(row(&table, &id)[1], "bob");
        let (_process, service) = folder.serve(&["--allow-grant", "password"]);
        let app = ("app", "app-secret");
        assert!(
            signs_in(&service, app, "ann", "first-password").await
                && signs_in(&service, app, "bob", "bobs-password").await
        );
        assert!(!signs_in(&service, app, "ann", "first-password\n").await);

        for (args, stdin) in [
            (["user", "create", "ann"], "x\n"),
            (["user", "create", "ANN@x.example"], "x\n"),
            (["user", "create", "carl"], ""),
            (["user", "create", "carl"], "\n"),
        ] {
            assert_eq!(folder.run_with(&args, stdin).code, 1, "{args:?}");
        }
        for command in ["disable", "enable", "password"] {
            let ended = folder.run_with(&["user", command, "nobody"], "x\n");
            assert!(ended.code == 1 && ended.stderr.contains("there is no user nobody"), "{ended:?}");
        }
        assert_eq!(folder.ok(&["user", "list"]).lines().count(), 3);

        // By id, user name or e-mail address.
        ok(&folder, &["user", "disable", "ann@x.example"], "");
        assert_eq!(row(&folder.ok(&["user", "list"]), "u1")[3], "disabled");
        within_a_second(async || !signs_in(&service, app, "ann", "first-password").await).await;
        ok(&folder, &["user", "enable", "u1"], "");
        within_a_second(async || signs_in(&service, app, "ann", "first-password").await).await;
        ok(&folder, &["user", "password", "ann"], "second-password\n");
        within_a_second(async || signs_in(&service, app, "ann", "second-password").await).await;
        assert!(!signs_in(&service, app, "ann", "first-password").await);
    }
);

both_folders!(
    async fn an_initial_access_token_registers_as_many_clients_as_it_says(folder: Folder) {
        folder.ok(&["migrate"]);
        let folder = folder.env("COUNTERSIGN_ADMIN_CLIENT_SECRET", "secret").env("COUNTERSIGN_REGISTRATION", "token");
        let token = ok(&folder, &["client", "initial-token", "--uses", "1"], "");
        assert!(token.starts_with("cs_it_") && token.lines().count() == 1, "{token}");
        let (_process, service) = folder.serve(&[]);
        let url = service.url("/oauth2/register");
        let client = serde_json::json!({"redirect_uris": ["https://a.example/cb"]});
        let mut found = Vec::new();
        for _ in 0..2 {
            let request = service.http.post(&url).json(&client);
            found.push(request.bearer_auth(token.trim()).send().await.unwrap().status().as_u16());
        }
        assert_eq!(found, [201, 401]);
    }
);

both_folders!(
    async fn clients_are_created_disabled_and_given_secrets(folder: Folder) {
        folder.ok(&["migrate"]);
        let folder = folder.env("RUST_LOG", "trace").env("COUNTERSIGN_ADMIN_CLIENT_SECRET", "secret");
        assert_eq!(
            ok(
                &folder,
                &["client", "create", "chosen", "--grant-type", "client_credentials", "--name", "A name"],
                "chosen-secret\n"
            ),
            "chosen\n"
        );
        let made = ok(&folder, &["client", "create", "made", "--grant-type", "client_credentials", "--generate"], "");
        let made = made.trim();
        assert!(made.len() == 43 && made.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{made}");
        let public = [
            "client",
            "create",
            "spa",
            "--public",
            "--redirect-uri",
            "https://a.example/cb",
            "--redirect-uri",
            "https://b.example/cb",
            "--scope",
            "openid",
            "--first-party",
        ];
        assert_eq!(ok(&folder, &public, ""), "spa\n");
        let table = folder.ok(&["client", "list"]);
        assert_eq!(row(&table, "chosen"), ["chosen", "A name", "active", "confidential", "client_credentials"]);
        assert_eq!(row(&table, "spa")[3], "public");
        let (_process, service) = folder.serve(&[]);
        assert!(gets_token(&service, ("chosen", "chosen-secret")).await && gets_token(&service, ("made", made)).await);
        let (_, spa) = service.get("/Client/spa").await;
        let flow = &spa["auth"]["authorization_code"];
        assert_eq!(
            (flow["redirect_uris"].as_array().map(Vec::len), &flow["pkce"], &spa["first_party"]),
            (Some(2), &true.into(), &true.into())
        );

        for (args, stdin) in [
            (&["client", "create", "chosen"][..], "x\n"),
            (&["client", "create", "none"], ""),
            (&["client", "create", "bad", "--redirect-uri", "https://*.example/cb"], "x\n"),
            (&["client", "secret", "nobody", "--generate"], ""),
            (&["client", "disable", "nobody"], ""),
        ] {
            let ended = folder.run_with(args, stdin);
            assert!(ended.code == 1 && ended.stdout.is_empty(), "{args:?} {ended:?}");
        }
        assert_eq!(folder.ok(&["client", "list"]).lines().count(), 4);

        ok(&folder, &["client", "disable", "made"], "");
        within_a_second(async || !gets_token(&service, ("made", made)).await).await;
        ok(&folder, &["client", "enable", "made"], "");
        within_a_second(async || gets_token(&service, ("made", made)).await).await;
        let renewed = ok(&folder, &["client", "secret", "made", "--generate"], "");
        within_a_second(async || gets_token(&service, ("made", renewed.trim())).await).await;
        assert!(!gets_token(&service, ("made", made)).await && renewed.trim() != made);
        ok(&folder, &["client", "secret", "chosen"], "another-secret\n");
        within_a_second(async || gets_token(&service, ("chosen", "another-secret")).await).await;
        let exported = folder.ok(&["export"]);
        for secret in [made, renewed.trim(), "another-secret", "chosen-secret"] {
            assert!(!exported.contains(secret), "{secret}");
        }
    }
);

// OpenID Connect Core §9: the secret is the key of signatures, so that its hash will not do.
both_folders!(
    async fn a_secret_that_signs_can_be_made_and_goes_along_in_an_export(folder: Folder) {
        folder.write(
            "hmac.yaml",
            "- {resourceType: Client, id: hmac, token_endpoint_auth_method: client_secret_jwt, secret: 0123456789abcdef0123456789abcdef}\n",
        );
        folder.ok(&["migrate"]);
        folder.ok(&["apply", "hmac.yaml"]);
        let made = folder.ok(&["client", "secret", "hmac", "--generate"]);
        let exported = folder.ok(&["export"]);
        assert!(exported.contains("__sealed:") && !exported.contains(made.trim()), "{exported}");
        folder.write("export.yaml", &exported);
        let applied = folder.ok(&["apply", "--dry-run", "export.yaml"]);
        assert!(applied.contains("0 updated, 0 deleted, 1 unchanged"), "{applied}");
    }
);

async fn published(service: &Service) -> Vec<String> {
    let response = service.http.get(service.url("/.well-known/jwks.json")).send().await.unwrap();
    let set: Value = response.json().await.unwrap();
    let mut kids: Vec<_> =
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect();
    kids.sort();
    kids
}

fn listed(folder: &Folder) -> Vec<String> {
    let table = folder.ok(&["keys", "list"]);
    assert!(!table.to_lowercase().contains("private"));
    let mut kids: Vec<_> =
        table.lines().skip(1).map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
    kids.sort();
    kids
}

both_folders!(
    async fn keys_are_listed_rotated_with_overlap_and_retired_at_once(folder: Folder) {
        let folder = folder.env("COUNTERSIGN_ADMIN_CLIENT_SECRET", "secret");
        folder.write("b.yaml", "- {resourceType: Client, id: jwt, secret: jwt-secret, grant_types: [client_credentials], auth: {client_credentials: {token_format: jwt}}}\n");
        let (_process, service) = folder.serve(&["--bundle", "b.yaml"]);
        // The key set waits for the slowest key of the very first start, the command line does not.
        let first = published(&service).await;
        assert_eq!((first.len(), &listed(&folder)), (5, &first));
        let form = [("grant_type", "client_credentials")];
        let token = async || {
            service.post("/oauth2/token", ("jwt", "jwt-secret"), &form).await.1["access_token"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let is_active = async |token: &str| {
            service.post("/oauth2/introspect", ("root", "secret"), &[("token", token)]).await.1["active"] == true
        };
        let kid = |token: &str| {
            use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
            let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
            serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
        };
        let old = token().await;
        assert!(is_active(&old).await);

        // The new ones are published at once, and sign later; the old ones go on.
        folder.ok(&["keys", "rotate"]);
        let both = listed(&folder);
        assert!(both.len() == 10 && first.iter().all(|kid| both.contains(kid)));
        within_a_second(async || published(&service).await == both).await;
        let after = token().await;
        assert!(first.contains(&kid(&after)) && is_active(&after).await && is_active(&old).await);

        // Retired: what it signed is no longer valid, and another key signs.
        let ended = folder.run(&["keys", "retire", "nothing"]);
        assert!(ended.code == 1 && ended.stderr.contains("there is no key nothing"), "{ended:?}");
        assert_eq!(listed(&folder), both);
        folder.ok(&["keys", "retire", &kid(&old)]);
        within_a_second(async || !published(&service).await.contains(&kid(&old))).await;
        assert!(!is_active(&old).await && !is_active(&after).await);
        let fresh = token().await;
        assert!(
            is_active(&fresh).await && kid(&fresh) != kid(&old) && published(&service).await.contains(&kid(&fresh))
        );

        // One algorithm alone, and none that there is not.
        let before = listed(&folder).len();
        folder.ok(&["keys", "rotate", "--algorithm", "ES256"]);
        assert_eq!(listed(&folder).len(), before + 1);
        let unknown = folder.run(&["keys", "rotate", "--algorithm", "HS256"]);
        assert!(unknown.code == 2 && unknown.stderr.contains("RS256"), "{unknown:?}");
    }
);
