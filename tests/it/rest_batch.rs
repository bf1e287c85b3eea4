//! Many resources in one request and one transaction (interface §4): `PUT /` with an array, `POST /` with a Bundle.

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::support::{Database, Server, both, send};

async fn status(server: &Server, path: &str) -> u16 {
    server.admin("GET", path).send().await.unwrap().status().as_u16()
}

fn entry(method: &str, url: &str, resource: impl serde::Serialize) -> Value {
    json!({"request": {"method": method, "url": url}, "resource": resource})
}

fn bundle(kind: &str, entries: &[Value]) -> Value {
    json!({"resourceType": "Bundle", "type": kind, "entry": entries})
}

both!(
    async fn an_array_is_put_in_one_transaction(server: Server) {
        server.put("/Client/old", json!({"name": "old"})).await;
        let items = json!([
            {"resourceType": "User", "id": "u", "userName": "u", "password": "correct-horse-battery"},
            {"resourceType": "Client", "id": "c", "secret": "s", "grant_types": ["code"]},
            {"resourceType": "Client", "id": "old", "name": "new"},
            {"resourceType": "Grant", "id": "g", "user": {"reference": "User/u"}, "client": {"reference": "Client/c"}},
        ]);
        let (code, answer) = send(&server, "PUT", "/", &items).await;
        assert_eq!(code, 200, "{answer}");
        let ids: Vec<_> = answer.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["u", "c", "old", "g"]);
        assert_eq!((&answer[0]["password"], &answer[2]["meta"]["versionId"]), (&json!("********"), &json!("2")));
        for path in ["/User/u", "/Client/c", "/Grant/g"] {
            assert_eq!(status(&server, path).await, 200, "{path}");
        }
        let yaml = "- {resourceType: Client, id: y1}\n- {resourceType: Client, id: y2, name: '${HOME}'}\n";
        let request =
            server.admin("PUT", "/fhir").header(CONTENT_TYPE, "text/yaml").header(ACCEPT, "text/yaml").body(yaml);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let text = response.text().await.unwrap();
        // The environment is for files on disk alone, never for what came over HTTP.
        assert!(text.starts_with("- resourceType: Client") && text.contains("${HOME}"), "{text}");
    }
);

both!(
    async fn one_wrong_item_leaves_everything_as_it_was(server: Server) {
        server.alice().await;
        let good = json!({"resourceType": "Client", "id": "good"});
        for (wrong, code) in [
            (json!({"resourceType": "Client", "id": "bad", "nmae": "x"}), 422),
            (json!({"resourceType": "Client", "id": "bad", "secret": "********"}), 422),
            (json!({"resourceType": "User", "id": "bad", "userName": "alice"}), 409),
            (json!({"resourceType": "Client"}), 422),
            (json!({"id": "bad"}), 422),
            (json!({"resourceType": "Session", "id": "bad"}), 405),
            (json!({"resourceType": "SigningKey", "id": "bad"}), 405),
            (json!({"resourceType": "Nothing", "id": "bad"}), 404),
            (json!("text"), 422),
            (json!(null), 422),
        ] {
            for items in [json!([good, wrong]), json!([wrong, good])] {
                let (found, outcome) = send(&server, "PUT", "/", &items).await;
                assert_eq!((found, &outcome["resourceType"]), (code, &json!("OperationOutcome")), "{items} {outcome}");
                assert_eq!(
                    (status(&server, "/Client/good").await, status(&server, "/Client/bad").await),
                    (404, 404),
                    "{items}"
                );
            }
            let entries = [json!({"resource": good}), json!({"resource": wrong})];
            let (found, outcome) = send(&server, "POST", "/", &bundle("transaction", &entries)).await;
            assert_eq!((found, status(&server, "/Client/good").await), (code, 404), "{wrong} {outcome}");
        }
        for body in [json!({}), json!("x"), json!(null)] {
            assert_eq!(send(&server, "PUT", "/", &body).await.0, 400);
        }
        assert_eq!(send(&server, "PUT", "/", &json!([])).await, (200, json!([])));
        let many: Vec<Value> = (0..10_001).map(|n| json!({"resourceType": "Client", "id": format!("m{n}")})).collect();
        assert_eq!(send(&server, "PUT", "/", &json!(many)).await.0, 413);
        assert_eq!(status(&server, "/Client/m0").await, 404);
    }
);

both!(
    async fn a_transaction_does_every_method_in_turn(server: Server) {
        server.put("/Client/patched", json!({"name": "before", "grant_types": ["code"]})).await;
        server.put("/Client/deleted", json!({})).await;
        let entries = [
            entry("PUT", "/Client/put", json!({"name": "put"})),
            entry("PUT", "fhir/User/u", json!({"userName": "u"})),
            entry("POST", "Client", json!({"id": "posted"})),
            entry("POST", "/Client", json!({"name": "named by us"})),
            entry("PATCH", "Client/patched", json!({"name": "after"})),
            entry("PATCH", "Client/put", json!([{"op": "add", "path": "/description", "value": "d"}])),
            json!({"request": {"method": "DELETE", "url": "Client/deleted"}}),
            json!({"resource": {"resourceType": "Client", "id": "plain"}}),
        ];
        let (code, answer) = send(&server, "POST", "/", &bundle("transaction", &entries)).await;
        assert_eq!((code, &answer["type"]), (200, &json!("transaction-response")), "{answer}");
        let statuses: Vec<_> =
            answer["entry"].as_array().unwrap().iter().map(|one| one["response"]["status"].as_str().unwrap()).collect();
        assert_eq!(statuses, ["201", "201", "201", "201", "200", "200", "200", "201"]);
        assert_eq!(answer["entry"][2]["response"]["location"], format!("{}/Client/posted/_history/1", server.issuer()));
        assert!(answer["entry"][3]["resource"]["id"].is_string());
        let (_, put) = send(&server, "GET", "/Client/put", &Value::Null).await;
        assert_eq!((&put["name"], &put["description"]), (&json!("put"), &json!("d")));
        let (_, patched) = send(&server, "GET", "/Client/patched", &Value::Null).await;
        assert_eq!((&patched["name"], &patched["grant_types"]), (&json!("after"), &json!(["code"])));
        assert_eq!(status(&server, "/Client/deleted").await, 410);
        assert_eq!(status(&server, "/Client/plain").await, 200);

        for entries in [
            [entry("PUT", "Client", json!({}))],
            [entry("POST", "Client/x", json!({}))],
            [entry("DELETE", "Client", json!({}))],
            [entry("GET", "Client/put", json!({}))],
            [entry("", "Client/put", json!({}))],
            [entry("put", "Client/put", json!({}))],
        ] {
            assert_eq!(send(&server, "POST", "/", &bundle("transaction", &entries)).await.0, 422, "{entries:?}");
        }
        assert_eq!(send(&server, "POST", "/", &bundle("collection", &[])).await.0, 422);
        let (_, still) = send(&server, "GET", "/Client/put", &Value::Null).await;
        assert_eq!(still["name"], "put");
    }
);

both!(
    async fn a_batch_does_what_it_can_and_says_how_each_entry_went(server: Server) {
        let entries = [
            entry("PUT", "/Client/one", json!({})),
            entry("PUT", "/Client/two", json!({"nmae": "x"})),
            entry("DELETE", "/Client/none", json!(null)),
            entry("PUT", "/Nothing/x", json!({})),
            entry("POST", "Client", json!({"id": "three"})),
        ];
        for path in ["/", "/fhir"] {
            let (code, answer) = send(&server, "POST", path, &bundle("batch", &entries)).await;
            assert_eq!((code, &answer["type"]), (200, &json!("batch-response")), "{answer}");
            let response = |index: usize| &answer["entry"][index]["response"];
            assert_eq!((&response(1)["status"], &response(2)["status"]), (&json!("422"), &json!("404")));
            assert_eq!(response(1)["outcome"]["issue"][0]["expression"], json!(["Client.nmae"]));
            assert_eq!(response(3)["status"], "404");
            let expected = if path == "/" { ["201", "201"] } else { ["200", "409"] };
            assert_eq!([&response(0)["status"], &response(4)["status"]], expected);
        }
        assert_eq!((status(&server, "/Client/one").await, status(&server, "/Client/three").await), (200, 200));
        assert_eq!(status(&server, "/Client/two").await, 404);
    }
);

both!(
    async fn a_precondition_of_an_entry_holds(server: Server) {
        server.put("/Client/a", json!({"name": "1"})).await;
        server.put("/Client/a", json!({"name": "2"})).await;
        let with = |member: &str, value: &str| {
            let mut one = entry("PUT", "Client/a", json!({"name": "3"}));
            one["request"][member] = json!(value);
            bundle("transaction", &[entry("PUT", "Client/b", json!({})), one])
        };
        for (member, value, expected) in [
            ("ifMatch", "W/\"1\"", 412),
            ("ifNoneMatch", "*", 412),
            ("ifNoneExist", "name=x", 422),
            ("ifMatch", "W/\"2\"", 200),
        ] {
            assert_eq!(send(&server, "POST", "/", &with(member, value)).await.0, expected, "{member}");
            let (_, now) = send(&server, "GET", "/Client/a", &Value::Null).await;
            assert_eq!(now["name"], if expected == 200 { "3" } else { "2" }, "{member}");
            assert_eq!(status(&server, "/Client/b").await, if expected == 200 { 200 } else { 404 });
        }
    }
);

both!(
    async fn names_may_be_exchanged_within_a_transaction(server: Server) {
        let users = |first: &str, second: &str| json!([{"resourceType": "User", "id": "u1", "email": first}, {"resourceType": "User", "id": "u2", "email": second}]);
        assert_eq!(send(&server, "PUT", "/", &users("a@x.example", "b@x.example")).await.0, 200);
        let (code, answer) = send(&server, "PUT", "/", &users("b@x.example", "a@x.example")).await;
        assert_eq!((code, &answer[0]["email"]), (200, &json!("b@x.example")), "{answer}");
        assert_eq!(send(&server, "PUT", "/", &users("c@x.example", "c@x.example")).await.0, 409);
        let (_, still) = send(&server, "GET", "/User/u1", &Value::Null).await;
        assert_eq!(still["email"], "b@x.example");
        // A name of somebody who is deleted in the same breath is free.
        let entries =
            [entry("PUT", "User/a0", json!({"email": "b@x.example"})), entry("DELETE", "User/u1", json!(null))];
        assert_eq!(send(&server, "POST", "/", &bundle("transaction", &entries)).await.0, 200);
    }
);

both!(
    async fn two_nodes_may_write_the_same_resources_at_once(server: Server) {
        let items: Vec<Value> =
            (0..10).map(|n| json!({"resourceType": "Client", "id": format!("c{n}"), "type": "t"})).collect();
        let mut reversed = items.clone();
        reversed.reverse();
        let both = (0..6).map(|round| {
            let mut items = if round % 2 == 0 { items.clone() } else { reversed.clone() };
            for item in &mut items {
                item["name"] = json!(format!("round {round}"));
            }
            let request = server.admin("PUT", "/").json(&items);
            tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
        });
        for one in both.collect::<Vec<_>>() {
            let code = one.await.unwrap();
            assert!(code == 200 || code == 409, "{code}");
        }
        // All of one round: no transaction was torn.
        let (_, found) = send(&server, "GET", "/Client?type=t", &Value::Null).await;
        let names: std::collections::BTreeSet<_> =
            found["entry"].as_array().unwrap().iter().map(|entry| entry["resource"]["name"].to_string()).collect();
        assert_eq!((found["total"].as_i64(), names.len()), (Some(10), 1), "{names:?}");
    }
);

both!(
    async fn what_is_no_bundle_is_refused_rather_than_done_as_an_empty_one(server: Server) {
        let client = json!({"resourceType": "Client", "id": "a"});
        for body in
            [json!([client]), json!("x"), json!(null), json!({"entry": {"resource": client}}), json!({"entry": null})]
        {
            let (code, answer) = send(&server, "POST", "/", &body).await;
            assert_eq!((code, &answer["resourceType"]), (400, &json!("OperationOutcome")), "{body}: {answer}");
        }
        assert_eq!(status(&server, "/Client/a").await, 404);
        assert_eq!(send(&server, "POST", "/", json!({"resourceType": "Bundle", "type": "batch"})).await.0, 200);
    }
);
