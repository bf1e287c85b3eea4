//! `Client`, `User`, `Grant` and `SigningKey` as documents over REST (interface §4; Aidbox's fields and samples).

use countersign::config::DatabaseUrl;
use reqwest::header::{CONTENT_TYPE, ETAG, LAST_MODIFIED, LOCATION};
use serde_json::{Value, json};

use crate::support::{Database, Server, both, issues, read, send};

async fn get(server: &Server, path: &str) -> (u16, Value) {
    send(server, "GET", path, Value::Null).await
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
    async fn a_patch_makes_nothing_that_could_not_be_sent_and_read_again(server: Server) {
        server.put("/Client/a", json!({"description": "x".repeat(1_000_000), "details": {}})).await;
        let nested = (0..20).fold(json!(1), |value, _| json!({"a": value}));
        let into = |copies: usize| format!("/details{}", "/a".repeat(copies));
        let deeper = json!([{"op": "add", "path": "/details", "value": nested},
                            {"op": "copy", "from": "/details", "path": into(20)},
                            {"op": "copy", "from": "/details", "path": into(40)},
                            {"op": "copy", "from": "/details", "path": into(80)}]);
        let copy = |n: usize| json!({"op": "copy", "from": "/description", "path": format!("/details/{n}")});
        let larger = Value::Array((0..10).map(copy).collect());
        for patch in [deeper, larger] {
            let (status, outcome) = send(&server, "PATCH", "/Client/a", &patch).await;
            assert_eq!((status, &outcome["issue"][0]["code"]), (422, &json!("too-long")), "{outcome}");
        }
        let (status, still) = get(&server, "/Client/a").await;
        assert_eq!((status, &still["details"]), (200, &json!({})));
        let (status, _) = send(&server, "PATCH", "/Client/a", json!([{"op": "remove", "path": "/description"}])).await;
        assert_eq!(status, 200);
    }
);

both!(
    async fn signing_keys_show_their_public_part_and_cannot_be_written(server: Server) {
        let (status, found) = get(&server, "/SigningKey").await;
        assert_eq!((status, &found["total"]), (200, &json!(5)));
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
        assert_eq!(algorithms, ["ES256", "ES384", "EdDSA", "PS256", "RS256"]);
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
        assert_eq!(get(&server, "/SigningKey").await.1["total"], 5);
        assert_eq!((get(&server, "/SigningKey/none").await.0, get(&server, "/Session/none").await.0), (404, 404));
    }
);

// RFC 9110 §13: a condition that is not understood must not be passed over.
both!(
    async fn a_conditional_create_is_refused_rather_than_done_without_its_condition(server: Server) {
        let create = |path: &str| server.admin("POST", path).json(&json!({"name": "one"}));
        let conditional = [create("/Client").header("if-none-exist", "name=one"), create("/Client?name=one")];
        for request in conditional {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 400);
            assert!(answer.text().await.unwrap().contains("conditional create"));
        }
        assert_eq!(get(&server, "/Client").await.1["total"], 0);
        assert_eq!(create("/Client?_format=json").send().await.unwrap().status(), 201);
    }
);
