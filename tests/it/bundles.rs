//! Bundles (interface §5): files and folders in YAML or JSON, applied in one transaction before the port opens; and by `apply`,
//! with `--dry-run` and `--prune`; and `export`, which `apply` takes back unchanged.

use serde_json::{Value, json};

use crate::support::{Database, Ended, Folder, both_folders};

const ADMIN: (&str, &str) = ("COUNTERSIGN_ADMIN_CLIENT_SECRET", "secret");

/// The example of the interface.
const EXAMPLE: &str = r#"
- resourceType: Client
  id: web-app
  secret: client-secret
  grant_types: [code, client_credentials]
  auth:
    authorization_code: { redirect_uri: "http://localhost:4200", secret_required: true, refresh_token: true, token_format: jwt }
- resourceType: User
  id: alice
  userName: alice
  email: alice@example.com
  password: correct-horse-battery
  name: { givenName: Alice, familyName: Liddell }
"#;

fn summary(created: u32, updated: u32, deleted: u32, unchanged: u32) -> String {
    format!("{created} created, {updated} updated, {deleted} deleted, {unchanged} unchanged")
}

/// A command that must fail with code 1 and say all of this, and applies nothing.
fn fails(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
    }
}

both_folders!(
    async fn every_form_of_a_bundle_is_applied_before_the_port_opens(folder: Folder) {
        let folder = folder.env(ADMIN.0, ADMIN.1).env("NAME_OF_B", "from the environment").env("EMPTY", "");
        folder.write("example.yaml", EXAMPLE);
        folder.write("folder/1-documents.yml", "resourceType: Client\nid: a\nname: '${NOT_SET:-default}'\n---\nresourceType: Client\nid: b\nname: ${NAME_OF_B}\ndescription: '$${NOT_FILLED} ${EMPTY:-x}'\n");
        folder.write(
            "folder/2-array.json",
            r#"[{"resourceType": "Client", "id": "c"}, {"resourceType": "User", "id": "u"}]"#,
        );
        folder.write("folder/3-one.json", r#"{"resourceType": "Client", "id": "d"}"#);
        folder.write(
            "folder/4-fhir.json",
            r#"{"resourceType": "Bundle", "type": "transaction", "entry": [
            {"resource": {"resourceType": "Client", "id": "e"}},
            {"request": {"method": "PUT", "url": "/fhir/Client/f"}, "resource": {"first_party": true}}]}"#,
        );
        // Aidbox's own, without resourceType.
        folder.write(
            "folder/5-aidbox.json",
            r#"{"type": "batch", "entry": [{"request": {"method": "PUT", "url": "/Client/g"}, "resource": {}}]}"#,
        );
        folder.write("folder/6-empty.yaml", "# nothing yet\n");
        folder.write("folder/README.md", "not a bundle");
        let (process, service) = folder.serve(&["--bundle", "example.yaml", "--bundle", "folder"]);
        for id in ["web-app", "a", "b", "c", "d", "e", "f", "g"] {
            assert_eq!(service.get(&format!("/Client/{id}")).await.0, 200, "{id}");
        }
        let name = async |id: &str| service.get(&format!("/Client/{id}")).await.1["name"].clone();
        assert_eq!((name("a").await, name("b").await), (json!("default"), json!("from the environment")));
        assert_eq!(service.get("/Client/b").await.1["description"], "${NOT_FILLED} x");
        let form = [("grant_type", "client_credentials")];
        assert_eq!(service.post("/oauth2/token", ("web-app", "client-secret"), &form).await.0, 200);
        drop(process);
        // At the next start everything is as it is: no new version, no new hash.
        let (_process, service) = folder.serve(&["--bundle", "folder", "--bundle", "example.yaml"]);
        for path in ["/Client/web-app", "/User/alice", "/Client/b"] {
            assert_eq!(service.get(path).await.1["meta"]["versionId"], "1", "{path}");
        }
    }
);

both_folders!(
    async fn any_error_stops_the_start_names_its_place_and_applies_nothing(folder: Folder) {
        folder.write("good.yaml", "- {resourceType: Client, id: good}\n");
        folder.write(
            "wrong.yaml",
            concat!(
                "- {resourceType: Client, id: a, nmae: x}\n",
                "- resourceType: Clientt\n  id: b\n",
                "- {id: c}\n",
                "- {resourceType: Client}\n",
                "- {resourceType: Client, id: d, secret: '${NOT_SET}'}\n",
                "- {resourceType: Client, id: good}\n",
            ),
        );
        fails(
            &folder.run(&["serve", "--listen", "127.0.0.1:0", "--bundle", "good.yaml", "--bundle", "wrong.yaml"]),
            &[
                "wrong.yaml:2: resourceType Clientt is unknown; did you mean Client?",
                "wrong.yaml:4: resourceType is missing",
                "wrong.yaml:5: id is missing",
                "wrong.yaml:6: the environment has no NOT_SET",
                "wrong.yaml:7: Client/good stands already at good.yaml:1",
            ],
        );
        folder.write("fields.yaml", concat!(
            "- {resourceType: Client, id: a, nmae: x}\n",
            "- {resourceType: Client, id: b, auth: {authorization_code: {redirect_uri: 'https://a.example/#x', pkec: true}}}\n",
        ));
        fails(
            &folder.run(&["serve", "--listen", "127.0.0.1:0", "--bundle", "good.yaml", "--bundle", "fields.yaml"]),
            &[
                "fields.yaml:1: Client.nmae: unknown field; did you mean name?",
                "fields.yaml:2: Client.auth.authorization_code.redirect_uri: has a fragment",
                "fields.yaml:2: Client.auth.authorization_code.pkec: unknown field; did you mean pkce?",
            ],
        );
        folder.write(
            "names.yaml",
            "- {resourceType: User, id: u1, email: a@x.example}\n- {resourceType: User, id: u2, email: A@x.example}\n",
        );
        fails(
            &folder.run(&["serve", "--listen", "127.0.0.1:0", "--bundle", "good.yaml", "--bundle", "names.yaml"]),
            &["names.yaml:2: User.email: another user"],
        );
        for (file, text, words) in [
            ("yaml.yaml", "- {resourceType: Client\n", "yaml.yaml"),
            ("json.json", "[{\"resourceType\": \"Client\",]", "json.json: "),
            ("twice.yaml", "- {resourceType: Client, id: a, name: x, name: y}\n", "twice.yaml"),
            ("alias.yaml", "- &a {resourceType: Client, id: a}\n- *a\n", "alias.yaml"),
            ("scalar.yaml", "hello\n", "expected a resource"),
        ] {
            folder.write(file, text);
            fails(
                &folder.run(&["serve", "--listen", "127.0.0.1:0", "--bundle", "good.yaml", "--bundle", file]),
                &[words],
            );
        }
        fails(&folder.run(&["serve", "--listen", "127.0.0.1:0", "--bundle", "nowhere"]), &["nowhere"]);
        let exported = folder.ok(&["export"]);
        assert!(!exported.contains("good") && !exported.contains("Client"), "{exported}");
    }
);

both_folders!(
    async fn apply_says_what_changes_and_a_dry_run_changes_nothing(folder: Folder) {
        folder.ok(&["migrate"]);
        folder.write("b.yaml", EXAMPLE);
        let dry = folder.ok(&["apply", "--dry-run", "b.yaml"]);
        assert!(
            dry.contains("+ Client/web-app\n+ User/alice\n")
                && dry.contains(&summary(2, 0, 0, 0))
                && dry.contains("dry run"),
            "{dry}"
        );
        assert!(!folder.ok(&["export"]).contains("web-app"));
        assert_eq!(
            folder.ok(&["apply", "b.yaml"]),
            format!("+ Client/web-app\n+ User/alice\n{}\n", summary(2, 0, 0, 0))
        );
        // A secret that its hash verifies is no change.
        assert_eq!(folder.ok(&["apply", "b.yaml"]), format!("{}\n", summary(0, 0, 0, 2)));
        let changed =
            EXAMPLE.replace("client-secret", "other-secret").replace("Liddell", "Hargreaves").replace("alice@", "a@");
        folder.write("b.yaml", &changed);
        let before = folder.ok(&["export"]);
        for args in [&["apply", "--dry-run", "b.yaml"][..], &["apply", "b.yaml"]] {
            let told = folder.ok(args);
            for word in [
                "~ Client/web-app: Client.secret",
                "~ User/alice:",
                "User.email",
                "User.name.familyName",
                &summary(0, 2, 0, 0),
            ] {
                assert!(told.contains(word), "{word}: {told}");
            }
            for secret in ["other-secret", "client-secret", "argon2"] {
                assert!(!told.contains(secret), "{told}");
            }
            assert_eq!(folder.ok(&["export"]) == before, args.contains(&"--dry-run"));
        }
        folder.write("wrong.yaml", "- {resourceType: Client, id: x}\n- {resourceType: Client, id: y, nmae: x}\n");
        for args in [&["apply", "wrong.yaml"][..], &["apply", "--dry-run", "b.yaml", "wrong.yaml"]] {
            fails(&folder.run(args), &["nothing was applied", "wrong.yaml:2: Client.nmae"]);
        }
        assert!(!folder.ok(&["export"]).contains("id: x"));
    }
);

both_folders!(
    async fn prune_removes_what_an_earlier_bundle_made_and_nothing_else(folder: Folder) {
        folder.ok(&["migrate"]);
        folder.write(
            "b.yaml",
            "- {resourceType: Client, id: a}\n- {resourceType: Client, id: b}\n- {resourceType: User, id: u}\n",
        );
        folder.ok(&["apply", "b.yaml"]);
        let made =
            folder.run_with(&["client", "create", "by-hand", "--public", "--redirect-uri", "https://a.example/cb"], "");
        assert_eq!(made.code, 0, "{made:?}");
        folder.write("b.yaml", "- {resourceType: Client, id: a}\n");
        assert_eq!(folder.ok(&["apply", "b.yaml"]), format!("{}\n", summary(0, 0, 0, 1)));
        let told = folder.ok(&["apply", "--prune", "--dry-run", "b.yaml"]);
        assert!(told.contains("- Client/b") && told.contains("- User/u") && !told.contains("by-hand"), "{told}");
        assert!(folder.ok(&["export"]).contains("id: u"));
        let told = folder.ok(&["apply", "--prune", "b.yaml"]);
        assert!(told.contains(&summary(0, 0, 2, 1)), "{told}");
        let left = folder.ok(&["export"]);
        assert!(
            left.contains("id: a\n")
                && left.contains("id: by-hand")
                && !left.contains("id: b\n")
                && !left.contains("id: u"),
            "{left}"
        );
        assert_eq!(folder.ok(&["apply", "--prune", "b.yaml"]), format!("{}\n", summary(0, 0, 0, 1)));
    }
);

both_folders!(
    async fn an_export_is_a_bundle_that_apply_takes_back_unchanged(folder: Folder) {
        folder.ok(&["migrate"]);
        folder.write("b.yaml", &format!("{EXAMPLE}{}", r#"
- {resourceType: Client, id: sha, secret: "__sha256:2BB80D537B1DA3E38BD30361AA855686BDE0EACD7162FEF6A25FE97BF527A25B"}
- {resourceType: Client, id: odd, name: "a$${b} yes", description: "no", details: {n: [1, 2.5, null, "007"], t: "x\ny: #z"}}
- {resourceType: User, id: scrypt, password: "$s0$f0801$HhKy93HnLn0qSmsS2JCZnQ==$P0oAp6yx6k8bCbeFN2UT9UfjKROuggn7deLbX2Mpm2M=",
   twoFactor: {enabled: true, secretKey: SEEDSEEDSEED}}
- {resourceType: Grant, id: g, user: {reference: User/alice}, client: {reference: Client/web-app}, provided-scope: [openid]}
"#));
        folder.ok(&["apply", "b.yaml"]);
        let exported = folder.ok(&["export"]);
        for plain in ["client-secret", "correct-horse-battery", "SEEDSEEDSEED", "********"] {
            assert!(!exported.contains(plain), "{plain} in {exported}");
        }
        for form in ["$argon2id$", "__sha256:2BB8", "$s0$f0801$", "Grant"] {
            assert!(exported.contains(form), "{form} in {exported}");
        }
        folder.write("exported.yaml", &exported);
        assert_eq!(folder.ok(&["apply", "--prune", "exported.yaml"]), format!("{}\n", summary(0, 0, 0, 6)));
        // Into an empty database, of the other kind at that, with the same master key: the same, and the secrets work.
        let key = match folder.database {
            Database::Sqlite => std::fs::read_to_string(folder.path.join("it.db.master-key")).unwrap(),
            Database::Postgres => "aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMmh1bnQ=".to_owned(),
        };
        let other = if folder.database == Database::Sqlite { Database::Postgres } else { Database::Sqlite };
        let other = Folder::new(other).await.env("COUNTERSIGN_MASTER_KEY", key.trim()).env(ADMIN.0, ADMIN.1);
        other.write("exported.yaml", &exported);
        other.ok(&["migrate"]);
        other.ok(&["apply", "exported.yaml"]);
        let read = |text: &str| countersign::resources::format::yaml(text).unwrap();
        assert_eq!(read(&other.ok(&["export"])), read(&exported));
        let (_process, service) = other.serve(&[]);
        let form = [("grant_type", "client_credentials")];
        assert_eq!(service.post("/oauth2/token", ("web-app", "client-secret"), &form).await.0, 200);
        assert_eq!(service.get("/Client/odd").await.1["name"], "a${b} yes");
        let (_, bundle): (_, Value) = service.get("/Grant?user=alice").await;
        assert_eq!(bundle["total"], 1);
    }
);

both_folders!(
    async fn a_problem_in_json_is_told_with_its_line(folder: Folder) {
        folder.ok(&["migrate"]);
        folder.write("b.json", "[\n  {\"resourceType\": \"Client\", \"id\": \"a\"},\n  {\"resourceType\": \"Client\", \"id\": \"b\", \"nmae\": 1}\n]\n");
        fails(&folder.run(&["apply", "b.json"]), &["b.json:3: Client.nmae"]);
        folder.write("f.json", "{\"type\": \"batch\",\n \"entry\": [\n  {\"resource\": {\"resourceType\": \"Client\", \"id\": \"a\"}},\n  {\"resource\":\n {\"resourceType\": \"Clientt\", \"id\": \"b\"}}\n]}\n");
        fails(&folder.run(&["apply", "f.json"]), &["f.json:4: resourceType Clientt"]);
    }
);

// docs/conformance.md
both_folders!(
    async fn the_person_and_the_clients_for_the_official_suite_are_applied(folder: Folder) {
        let folder = folder.env(ADMIN.0, ADMIN.1).env("SUITE", "https://suite.example");
        let folder =
            folder.env("CONFORMANCE_PASSWORD", "correct-horse-battery").env("CONFORMANCE_SECRET", "of-the-suite");
        folder.write("conformance.yaml", include_str!("../../docs/conformance.yaml"));
        folder.ok(&["migrate"]);
        let said = folder.ok(&["apply", "conformance.yaml"]);
        assert!(said.ends_with(&format!("{}\n", summary(5, 0, 0, 0))), "{said}");
    }
);
