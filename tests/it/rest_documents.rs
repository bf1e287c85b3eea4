//! `Client`, `User`, `Grant` and `SigningKey` as documents over REST (interface §4; Aidbox's fields and samples).

use countersign::config::DatabaseUrl;
use reqwest::header::{CONTENT_TYPE, ETAG, LAST_MODIFIED, LOCATION};
use serde_json::{Value, json};

use crate::support::{Database, Server, both, read};

/// A request with a JSON body: status and answer.
async fn send(server: &Server, method: &str, path: &str, body: Value) -> (u16, Value) {
    let (status, answer) = read(server.admin(method, path).json(&body).send().await.unwrap()).await;
    (status.as_u16(), answer)
}

async fn get(server: &Server, path: &str) -> (u16, Value) {
    let (status, answer) = read(server.admin("GET", path).send().await.unwrap()).await;
    (status.as_u16(), answer)
}

/// Paths and texts of the issues of an `OperationOutcome`.
fn issues(outcome: &Value) -> Vec<(String, String)> {
    assert_eq!(outcome["resourceType"], "OperationOutcome", "{outcome}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let issues = outcome["issue"].as_array().unwrap().iter();
    issues.map(|issue| (text(&issue["expression"][0]), text(&issue["diagnostics"]))).collect()
}

both!(
    async fn a_document_lives_from_put_to_delete(server: Server) {
        let response = server.admin("PUT", "/Client/a").json(&json!({"name": "one"})).send().await.unwrap();
        assert_eq!(response.status(), 201);
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header(LOCATION), Some(format!("{}/Client/a/_history/1", server.issuer())));
        assert_eq!(header(ETAG).as_deref(), Some("W/\"1\""));
        assert!(header(LAST_MODIFIED).is_some_and(|date| date.ends_with(" GMT")));
        let created: Value = response.json().await.unwrap();
        assert_eq!((&created["resourceType"], &created["id"]), (&json!("Client"), &json!("a")));
        assert_eq!(get(&server, "/Client/a/_history/1").await, (200, created.clone()));

        server.wait(60);
        let (status, replaced) = send(&server, "PUT", "/Client/a", json!({"description": "two"})).await;
        assert_eq!((status, &replaced["name"], &replaced["meta"]["versionId"]), (200, &Value::Null, &json!("2")));
        assert_eq!(replaced["meta"]["createdAt"], created["meta"]["createdAt"]);
        assert!(replaced["meta"]["lastUpdated"].as_str() > created["meta"]["lastUpdated"].as_str());
        assert_eq!(get(&server, "/Client/a").await, (200, replaced.clone()));
        let head = server.admin("HEAD", "/Client/a").send().await.unwrap();
        assert_eq!((head.status().as_u16(), &head.headers()[ETAG]), (200, &"W/\"2\"".parse().unwrap()));
        assert_eq!(get(&server, "/Client/a/_history/1").await.0, 404);

        let (status, deleted) = send(&server, "DELETE", "/Client/a", json!(null)).await;
        assert_eq!((status, &deleted["description"]), (200, &json!("two")));
        assert_eq!(get(&server, "/Client/a").await.0, 410);
        assert_eq!(send(&server, "DELETE", "/Client/a", json!(null)).await.0, 204);
        assert_eq!(send(&server, "PATCH", "/Client/a", json!({"name": "x"})).await.0, 410);
        for method in ["GET", "DELETE", "PATCH"] {
            let (status, outcome) = send(&server, method, "/Client/never", json!({})).await;
            assert_eq!((status, &outcome["id"]), (404, &json!("not-found")), "{method}");
            assert_eq!(outcome["text"]["div"], "Resource Client/never not found");
        }
        let (status, again) = send(&server, "PUT", "/Client/a", json!({})).await;
        assert_eq!((status, &again["meta"]["versionId"]), (201, &json!("4")));
        let quiet = server.admin("DELETE", "/Client/a?_no-content=true").send().await.unwrap();
        assert_eq!((quiet.status().as_u16(), quiet.bytes().await.unwrap().len()), (204, 0));
    }
);

both!(
    async fn post_creates_under_its_own_id_or_a_new_one_and_never_replaces(server: Server) {
        let response = server.admin("POST", "/fhir/Client").json(&json!({"name": "new"})).send().await.unwrap();
        assert_eq!(response.status(), 201);
        let location = response.headers()[LOCATION].to_str().unwrap().to_owned();
        let id = response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
        assert_eq!(location, format!("{}/fhir/Client/{id}/_history/1", server.issuer()));
        assert_eq!(get(&server, &format!("/Client/{id}")).await.1["name"], "new");
        assert_eq!(send(&server, "POST", "/Client", json!({"id": "mine"})).await.0, 201);
        let (status, outcome) = send(&server, "POST", "/Client", json!({"id": "mine", "name": "other"})).await;
        assert_eq!((status, &outcome["id"]), (409, &json!("conflict")));
        assert_eq!(get(&server, "/Client/mine").await.1["name"], Value::Null);
        for id in [json!(7), json!(""), json!("a b"), json!("a/b"), json!("é"), json!("x".repeat(129))] {
            let (status, outcome) = send(&server, "POST", "/Client", json!({"id": id})).await;
            assert_eq!((status, issues(&outcome)[0].0.as_str()), (422, "Client.id"), "{id}");
        }
        // PUT goes by its URL; the body's id is ignored, its type is not.
        assert_eq!(send(&server, "PUT", "/Client/url", json!({"id": "body"})).await.1["id"], "url");
        let (status, outcome) = send(&server, "PUT", "/Client/url", json!({"resourceType": "User"})).await;
        assert_eq!((status, issues(&outcome)[0].0.as_str()), (422, "Client.resourceType"));
    }
);

both!(
    async fn a_stale_version_changes_nothing(server: Server) {
        send(&server, "PUT", "/Client/a", json!({"name": "1"})).await;
        send(&server, "PUT", "/Client/a", json!({"name": "2"})).await;
        let with = async |method: &str, path: &str, header: &str, tag: &str| {
            let request = server.admin(method, path).header(header, tag).json(&json!({"name": "3"}));
            request.send().await.unwrap().status().as_u16()
        };
        for method in ["PUT", "PATCH", "DELETE"] {
            for tag in ["W/\"1\"", "\"1\"", "1", "W/\"3\"", "x", "", "\"\""] {
                assert_eq!(with(method, "/Client/a", "if-match", tag).await, 412, "{method} {tag}");
            }
            for tag in ["*", "1"] {
                assert_eq!(with(method, "/Client/none", "if-match", tag).await, 412, "{method} {tag}");
            }
        }
        assert_eq!(with("PUT", "/Client/a", "if-none-match", "*").await, 412);
        let (_, still) = get(&server, "/Client/a").await;
        assert_eq!((&still["name"], &still["meta"]["versionId"]), (&json!("2"), &json!("2")));
        assert_eq!(get(&server, "/Client/none").await.0, 404);
        assert_eq!(with("PUT", "/Client/a", "if-match", "W/\"2\"").await, 200);
        assert_eq!(with("PATCH", "/Client/a", "if-match", "*").await, 200);
        assert_eq!(with("PUT", "/Client/new", "if-none-match", "*").await, 201);
        assert_eq!(with("DELETE", "/Client/a", "if-match", "3").await, 200);
    }
);

both!(
    async fn of_many_writers_over_one_version_exactly_one_wins(server: Server) {
        send(&server, "PUT", "/Client/a", json!({"name": "0"})).await;
        // SQLite in memory has one node only.
        let is_postgres = matches!(server.settings.database_url, DatabaseUrl::Postgres(_));
        let node = if is_postgres { Some(server.another_node().await) } else { None };
        let writes = (0..20).map(|number| {
            let at = node.as_ref().filter(|_| number % 2 == 0).unwrap_or(&server);
            let body = json!({"name": format!("by {number}")});
            let request = at.admin("PUT", "/Client/a").header("if-match", "W/\"1\"").json(&body);
            tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
        });
        let mut statuses = Vec::new();
        for write in writes.collect::<Vec<_>>() {
            statuses.push(write.await.unwrap());
        }
        statuses.sort_unstable();
        assert_eq!((statuses[0], &statuses[1..]), (200, &[412; 19][..]));
        assert_eq!(get(&server, "/Client/a").await.1["meta"]["versionId"], "2");
        // Without a precondition nobody is turned away, and every write counts.
        let patches = (0..8).map(|number| {
            let body = json!({"details": {number.to_string(): true}});
            let request = server.admin("PATCH", "/Client/a").json(&body);
            tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
        });
        let mut done = 0;
        for patch in patches.collect::<Vec<_>>() {
            done += usize::from(patch.await.unwrap() == 200);
        }
        assert_eq!(get(&server, "/Client/a").await.1["details"].as_object().unwrap().len(), done);
        assert!(done >= 5);
    }
);

both!(
    async fn both_kinds_of_patch_change_a_document_in_place(server: Server) {
        let document = json!({"name": "a", "grant_types": ["code"], "details": {"x": 1, "y": 2}});
        send(&server, "PUT", "/Client/a", document).await;
        let patch = async |content_type: &str, query: &str, body: Value| {
            let request = server.admin("PATCH", &format!("/Client/a{query}")).header(CONTENT_TYPE, content_type);
            let (status, body) = read(request.body(body.to_string()).send().await.unwrap()).await;
            (status.as_u16(), body)
        };
        let merge = json!({"name": null, "details": {"x": null, "z": 3}});
        let (status, merged) = patch("application/merge-patch+json", "", merge).await;
        assert_eq!((status, &merged["name"], &merged["details"]), (200, &Value::Null, &json!({"y": 2, "z": 3})));
        let add = json!([{"op": "test", "path": "/grant_types/0", "value": "code"},
                         {"op": "add", "path": "/grant_types/-", "value": "basic"},
                         {"op": "remove", "path": "/details/y"}]);
        let (status, patched) = patch("application/json-patch+json", "", add).await;
        assert_eq!((status, &patched["grant_types"]), (200, &json!(["code", "basic"])));
        // The kind is seen where it is not said.
        assert_eq!(patch("application/json", "", json!({"name": "b"})).await.1["name"], "b");
        let replace = json!([{"op": "replace", "path": "/name", "value": "c"}]);
        assert_eq!(patch("application/json", "", replace.clone()).await.1["name"], "c");
        assert_eq!(patch("text/yaml", "", json!({"name": "d"})).await.1["name"], "d");
        assert_eq!(patch("application/json", "?_method=json-patch", replace).await.1["name"], "c");

        for (content_type, query, body, expected) in [
            ("application/json-patch+json", "", json!({"name": "x"}), 400),
            ("application/merge-patch+json", "", json!("x"), 400),
            ("application/json", "?_method=json-patch", json!({"name": "x"}), 400),
            ("application/json", "?_method=other", json!({"name": "x"}), 400),
            ("application/json", "", json!([{"op": "jump", "path": "/name"}]), 400),
            ("application/json", "", json!([{"op": "test", "path": "/name", "value": "x"}]), 422),
            ("application/json", "", json!([{"op": "remove", "path": "/nothing"}]), 422),
            // All or nothing (RFC 6902 §5), and what results is validated as a whole.
            ("application/json", "", json!([{"op": "remove", "path": "/name"}, {"op": "remove", "path": "/no"}]), 422),
            ("application/json", "", json!([{"op": "add", "path": "/nmae", "value": "x"}]), 422),
            ("application/json", "", json!({"grant_types": "code"}), 422),
        ] {
            let (status, outcome) = patch(content_type, query, body.clone()).await;
            assert_eq!((status, &outcome["resourceType"]), (expected, &json!("OperationOutcome")), "{body} {outcome}");
        }
        let (_, still) = get(&server, "/Client/a").await;
        assert_eq!((&still["name"], &still["grant_types"]), (&json!("c"), &json!(["code", "basic"])));
    }
);

both!(
    async fn an_unknown_field_is_told_with_its_path_and_the_nearest_name(server: Server) {
        let document = json!({
            "grant_type": ["code"], "grant_types": ["cdoe"], "first-party": true, "zzzzz": 1,
            "auth": {"authorization_code": {"pkec": true}, "authorisation_code": {}},
        });
        let (status, outcome) = send(&server, "PUT", "/Client/a", document).await;
        assert_eq!((status, &outcome["id"], &outcome["issue"][0]["code"]), (422, &json!("invalid"), &json!("invalid")));
        let found = issues(&outcome);
        for (path, near) in [
            ("Client.grant_type", "grant_types"),
            ("Client.grant_types[0]", "code"),
            ("Client.first-party", "first_party"),
            ("Client.zzzzz", "unknown field"),
            ("Client.auth.authorization_code.pkec", "pkce"),
            ("Client.auth.authorisation_code", "authorization_code"),
        ] {
            assert!(found.iter().any(|(at, text)| at == path && text.contains(near)), "{path} {near}: {found:?}");
        }
        assert_eq!(found.len(), 6);
        let user = json!({"username": "a", "name": {"given": "A"}, "roles": [{"valeu": "admin"}]});
        let (status, outcome) = send(&server, "PUT", "/User/a", user).await;
        let paths: Vec<_> = issues(&outcome).into_iter().map(|(path, text)| format!("{path} {text}")).collect();
        assert_eq!((status, paths.len()), (422, 3));
        assert!(paths[0].starts_with("User.username") && paths[0].contains("userName"), "{paths:?}");
        assert!(paths[1].starts_with("User.name.given") && paths[1].contains("givenName"), "{paths:?}");
        assert!(paths[2].starts_with("User.roles[0].valeu") && paths[2].contains("value"), "{paths:?}");
        assert_eq!((get(&server, "/Client/a").await.0, get(&server, "/User/a").await.0), (404, 404));
        let (status, outcome) = get(&server, "/Clientt/a").await;
        assert_eq!((status, outcome["issue"][0]["diagnostics"].as_str().unwrap().contains("Client?")), (404, true));
    }
);

both!(
    async fn a_value_of_the_wrong_kind_is_told_with_its_path(server: Server) {
        let flow = |setting: Value| json!({"auth": {"authorization_code": setting}});
        for (document, path, word) in [
            (json!({"grant_types": "code"}), "Client.grant_types", "array"),
            (json!({"grant_types": [1]}), "Client.grant_types[0]", "one of"),
            (json!({"first_party": "yes"}), "Client.first_party", "true or false"),
            (json!({"name": 1}), "Client.name", "text"),
            (json!({"auth": []}), "Client.auth", "object"),
            (json!({"jwks_uri": "keys"}), "Client.jwks_uri", "URL"),
            (json!({"introspect": "all"}), "Client.introspect", "own"),
            (json!({"scope": "openid profile"}), "Client.scope", "array"),
            (json!({"scope": ["openid profile"]}), "Client.scope[0]", "one scope"),
            (json!({"scope": ["a\"b"]}), "Client.scope[0]", "RFC 6749"),
            (json!({"secret": 5}), "Client.secret", "text"),
            (json!({"secret": ""}), "Client.secret", "public"),
            (json!({"allowed-scopes": ["openid"]}), "Client.allowed-scopes[0]", "reference"),
            // Interface §7: zero and negative lifetimes are refused.
            (
                flow(json!({"access_token_expiration": 0})),
                "Client.auth.authorization_code.access_token_expiration",
                "0",
            ),
            (
                flow(json!({"access_token_expiration": -5})),
                "Client.auth.authorization_code.access_token_expiration",
                "0",
            ),
            (
                flow(json!({"access_token_expiration": 1.5})),
                "Client.auth.authorization_code.access_token_expiration",
                "n",
            ),
            (
                flow(json!({"refresh_token_expiration": 0})),
                "Client.auth.authorization_code.refresh_token_expiration",
                "0",
            ),
            (flow(json!({"refresh_grace": -1})), "Client.auth.authorization_code.refresh_grace", "0"),
            (flow(json!({"token_format": "opaque"})), "Client.auth.authorization_code.token_format", "jwt"),
            (
                flow(json!({"redirect_uris": ["https://a.example/cb", 1]})),
                "Client.auth.authorization_code.redirect_uris[1]",
                "text",
            ),
        ] {
            let (status, outcome) = send(&server, "PUT", "/Client/a", document.clone()).await;
            let found = issues(&outcome);
            assert_eq!((status, found[0].0.as_str()), (422, path), "{document} {outcome}");
            assert!(found[0].1.contains(word), "{word}: {found:?}");
        }
        for document in [json!([]), json!("x"), json!(1), json!(null)] {
            assert_eq!(send(&server, "PUT", "/Client/a", document).await.0, 400);
        }
        assert_eq!(get(&server, "/Client/a").await.0, 404);
        // Null is absence, as in a merge patch.
        let (status, stored) =
            send(&server, "PUT", "/Client/a", json!({"name": null, "auth": {"password": null}})).await;
        assert_eq!((status, stored.get("name"), &stored["auth"]), (201, None, &json!({})));
    }
);

both!(
    async fn an_unsafe_redirect_uri_is_never_stored(server: Server) {
        let strict = Server::start_with(Database::Sqlite, |settings| settings.allow_http_redirects = false).await;
        for uri in [
            "https://*.example/cb",
            "https://a.example/*",
            "https://a.example/cb#x",
            "https://u:p@a.example/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "/cb",
            "a.example/cb",
            "",
            "https://a.example/c b",
            "https://",
            "https:a.example",
        ] {
            for (document, path) in [
                (
                    json!({"auth": {"authorization_code": {"redirect_uri": uri}}}),
                    "Client.auth.authorization_code.redirect_uri",
                ),
                (
                    json!({"auth": {"authorization_code": {"redirect_uris": [uri]}}}),
                    "Client.auth.authorization_code.redirect_uris[0]",
                ),
                (json!({"auth": {"implicit": {"redirect_uri": uri}}}), "Client.auth.implicit.redirect_uri"),
                (json!({"redirect_uri": format!("https://a.example/cb, {uri}")}), "Client.redirect_uri"),
                (json!({"post_logout_redirect_uris": [uri]}), "Client.post_logout_redirect_uris[0]"),
            ] {
                let (status, outcome) = send(&server, "PUT", "/Client/a", document.clone()).await;
                assert_eq!((status, issues(&outcome)[0].0.as_str()), (422, path), "{document}");
            }
        }
        // Plain http beyond loopback only behind its switch (baseline 12).
        let http = json!({"auth": {"authorization_code": {"redirect_uri": "http://app.example/cb"}}});
        assert_eq!(send(&strict, "PUT", "/Client/a", http.clone()).await.0, 422);
        assert_eq!(send(&server, "PUT", "/Client/a", http).await.0, 201);
        for uri in
            ["http://localhost:3000/cb", "http://127.0.0.1/cb", "http://[::1]/cb", "myapp://cb", "com.example.app:/cb"]
        {
            let document = json!({"auth": {"authorization_code": {"redirect_uri": uri}}});
            assert!(send(&strict, "PUT", "/Client/a", document).await.0 < 300, "{uri}");
        }
    }
);

both!(
    async fn a_lifetime_that_looks_like_milliseconds_is_kept_with_a_warning(server: Server) {
        let document = json!({"auth": {"authorization_code": {"access_token_expiration": 3_600_000_000_i64}}});
        let response = server.admin("PUT", "/Client/a").json(&document).send().await.unwrap();
        assert_eq!(response.status(), 201);
        let warning = response.headers()["warning"].to_str().unwrap().to_owned();
        assert!(
            warning.contains("milliseconds") && warning.contains("auth.authorization_code.access_token_expiration")
        );
        let stored: Value = response.json().await.unwrap();
        assert_eq!(stored["auth"], document["auth"]);
        let plain = server.admin("PUT", "/Client/b").json(&json!({})).send().await.unwrap();
        assert!(!plain.headers().contains_key("warning"));
    }
);

both!(
    async fn a_name_leads_to_one_user(server: Server) {
        server.alice().await;
        for (document, path) in [
            (json!({"userName": "ALICE"}), "User.userName"),
            (json!({"email": "Alice@Example.com"}), "User.email"),
            (json!({"userName": "alice@example.com"}), "User.userName"),
            (json!({"email": "alice"}), "User.email"),
        ] {
            let (status, outcome) = send(&server, "PUT", "/User/bob", document.clone()).await;
            assert_eq!((status, issues(&outcome)[0].0.as_str()), (409, path), "{document}");
        }
        assert_eq!(send(&server, "PUT", "/User/ALICE", json!({})).await.0, 409);
        assert_eq!(get(&server, "/User/bob").await.0, 404);
        // A name that was given up is free again.
        send(&server, "DELETE", "/User/alice", json!(null)).await;
        assert_eq!(send(&server, "PUT", "/User/bob", json!({"userName": "alice"})).await.0, 201);
    }
);

both!(
    async fn a_grant_names_user_and_client_and_goes_with_them(server: Server) {
        server.alice().await;
        server.web_app(json!({})).await;
        let grant = json!({
            "user": {"resourceType": "User", "id": "alice"}, "client": {"reference": "Client/web-app"},
            "patient": {"resourceType": "Patient", "id": "p1"}, "requested-scope": ["a", "b"], "provided-scope": ["a"],
            "scope": "a", "start": "2026-01-05T10:00:00Z",
        });
        let (status, stored) = send(&server, "POST", "/Grant", grant).await;
        assert_eq!((status, &stored["client"]), (201, &json!({"resourceType": "Client", "id": "web-app"})));
        assert_eq!((&stored["provided-scope"], &stored["start"]), (&json!(["a"]), &json!("2026-01-05T10:00:00Z")));
        for wrong in [
            json!({}),
            json!({"user": {"reference": "User/alice"}}),
            json!({"user": {"reference": "Client/web-app"}, "client": {"reference": "User/alice"}}),
        ] {
            assert_eq!(send(&server, "POST", "/Grant", wrong.clone()).await.0, 422, "{wrong}");
        }
        send(&server, "DELETE", "/User/alice", json!(null)).await;
        assert_eq!(get(&server, &format!("/Grant/{}", stored["id"].as_str().unwrap())).await.0, 410);
    }
);

both!(
    async fn signing_keys_show_their_public_part_and_cannot_be_written(server: Server) {
        let (status, found) = get(&server, "/SigningKey").await;
        assert_eq!((status, &found["total"]), (200, &json!(3)));
        let mut algorithms = Vec::new();
        for entry in found["entry"].as_array().unwrap() {
            let key = &entry["resource"];
            algorithms.push(key["alg"].as_str().unwrap().to_owned());
            assert_eq!(key["jwk"]["kid"], key["id"]);
            for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                assert!(key["jwk"].get(private).is_none(), "{key}");
            }
            assert!(!key.to_string().to_lowercase().contains("private"), "{key}");
            assert_eq!(get(&server, &format!("/SigningKey/{}", key["id"].as_str().unwrap())).await, (200, key.clone()));
        }
        algorithms.sort();
        assert_eq!(algorithms, ["ES256", "EdDSA", "RS256"]);
        let id = found["entry"][0]["resource"]["id"].as_str().unwrap();
        for (method, path) in [
            ("POST", "/SigningKey".into()),
            ("PUT", format!("/SigningKey/{id}")),
            ("DELETE", format!("/SigningKey/{id}")),
        ] {
            let (status, outcome) = send(&server, method, &path, json!({})).await;
            assert_eq!((status, &outcome["id"]), (405, &json!("not-supported")), "{method}");
        }
        for (method, path) in [
            ("POST", "/Session"),
            ("PUT", "/Session/x"),
            ("PATCH", "/Session/x"),
            ("DELETE", "/Client"),
            ("PUT", "/User"),
        ] {
            let (status, outcome) = send(&server, method, path, json!({})).await;
            assert_eq!((status, &outcome["id"]), (405, &json!("not-supported")), "{method} {path}");
        }
        assert_eq!(get(&server, "/SigningKey").await.1["total"], 3);
        assert_eq!((get(&server, "/SigningKey/none").await.0, get(&server, "/Session/none").await.0), (404, 404));
    }
);
