//! Searches (interface §4, baseline 63): fields, dot expressions, order, pages, totals; the same on both databases.

use std::collections::BTreeMap;

use countersign::domain::time::Timestamp;
use countersign::store::Json;
use countersign::store::documents::Row;
use serde_json::{Value, json};

use crate::support::{Database, Server, both, read};

async fn find(server: &Server, path: &str) -> Value {
    let (status, bundle) = read(server.admin("GET", path).send().await.unwrap()).await;
    assert_eq!(status, 200, "{path}: {bundle}");
    assert_eq!((&bundle["resourceType"], &bundle["type"]), (&json!("Bundle"), &json!("searchset")));
    bundle
}

/// The ids found, in their order.
async fn ids(server: &Server, path: &str) -> Vec<String> {
    let bundle = find(server, path).await;
    let entries = bundle["entry"].as_array().unwrap().iter();
    entries.map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned()).collect()
}

fn links(bundle: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    bundle["link"].as_array().unwrap().iter().map(|link| (text(&link["relation"]), text(&link["url"]))).collect()
}

/// Four clients and two users, the later ones a minute apart.
async fn fill(server: &Server) {
    for (id, document) in [
        (
            "a",
            json!({"name": "Zoo", "active": true, "grant_types": ["code"], "details": {"level": 2, "team": {"x-y": "red"}}}),
        ),
        ("b", json!({"name": "apple", "active": false, "grant_types": ["code", "basic"], "details": {"level": 10}})),
        (
            "c",
            json!({"name": "Äpfel", "grant_types": ["basic"], "scope": ["read", "write"], "details": {"level": "2"}}),
        ),
        ("d", json!({"description": "no name", "first_party": true, "details": {"name": "Zoo"}})),
    ] {
        server.put(&format!("/Client/{id}"), document).await;
        server.wait(60);
    }
    server.alice().await;
    server
        .put("/User/bob", json!({"userName": "bob", "name": {"givenName": "Alice"}, "emails": [{"value": "b@x"}]}))
        .await;
    for (user, client) in [("alice", "a"), ("alice", "b"), ("bob", "a")] {
        let grant =
            json!({"user": {"reference": format!("User/{user}")}, "client": {"reference": format!("Client/{client}")}});
        server.put(&format!("/Grant/{user}-{client}"), grant).await;
    }
}

both!(
    async fn fields_and_dot_expressions_find_what_has_that_value(server: Server) {
        fill(&server).await;
        for (path, expected) in [
            ("Client", &["a", "b", "c", "d"][..]),
            ("Client?name=Zoo", &["a"]),
            ("Client?.name=Zoo", &["a"]),
            ("Client?name=zoo", &[]),
            ("Client?name=%C3%84pfel", &["c"]),
            ("Client?name=Zoo&name=apple", &[]),
            ("Client?grant_types=basic", &["b", "c"]),
            ("Client?grant_types=code&grant_types=basic", &["b"]),
            ("Client?scope=write", &["c"]),
            ("Client?active=true", &["a"]),
            ("Client?active=false", &["b"]),
            ("Client?active=1", &[]),
            ("Client?first_party=true", &["d"]),
            ("Client?.details.level=2", &["a", "c"]),
            ("Client?.details.level=10", &["b"]),
            ("Client?.details.team.x-y=red", &["a"]),
            ("Client?.details.name=Zoo", &["d"]),
            ("Client?details=Zoo", &[]),
            ("Client?_id=a", &["a"]),
            ("Client?_id=a,c,none", &["a", "c"]),
            ("Client?_id=a&name=apple", &[]),
            ("User?email=alice@example.com", &["alice"]),
            ("User?.name.givenName=Alice", &["alice", "bob"]),
            ("User?name=Alice", &[]),
            ("Grant?user=alice", &["alice-a", "alice-b"]),
            ("Grant?.user.id=alice&.client.id=a", &["alice-a"]),
            ("Grant?client=a", &["alice-a", "bob-a"]),
            ("Grant?.user.resourceType=User", &["alice-a", "alice-b", "bob-a"]),
        ] {
            for mount in ["/", "/fhir/"] {
                assert_eq!(ids(&server, &format!("{mount}{path}")).await, expected, "{mount}{path}");
            }
        }
        server.admin("DELETE", "/Client/a").send().await.unwrap();
        assert_eq!(ids(&server, "/Client?name=Zoo").await, [""; 0]);
        assert_eq!(find(&server, "/Client").await["total"], 3);
    }
);

both!(
    async fn the_order_is_the_one_that_was_asked_for_on_both_databases(server: Server) {
        fill(&server).await;
        for (sort, expected) in [
            ("_id", ["a", "b", "c", "d"]),
            ("-_id", ["d", "c", "b", "a"]),
            ("_lastUpdated", ["a", "b", "c", "d"]),
            ("-_lastUpdated", ["d", "c", "b", "a"]),
            // By code points; what has no value comes last.
            ("name", ["a", "b", "c", "d"]),
            ("-name", ["c", "b", "a", "d"]),
            ("first_party,-_id", ["d", "c", "b", "a"]),
            (".details.team.x-y", ["a", "b", "c", "d"]),
        ] {
            assert_eq!(ids(&server, &format!("/Client?_sort={sort}")).await, expected, "{sort}");
        }
        server.put("/Client/b", json!({"name": "touched"})).await;
        assert_eq!(ids(&server, "/Client?_sort=-_lastUpdated").await, ["b", "d", "c", "a"]);
        assert_eq!(ids(&server, "/Client?_sort=-_createdAt").await, ["d", "c", "b", "a"]);
    }
);

both!(
    async fn pages_cover_everything_once_and_lead_to_one_another(server: Server) {
        let all: Vec<Value> =
            (0..25).map(|n| json!({"resourceType": "Client", "id": format!("c{n:02}"), "type": "x y&z"})).collect();
        server.put("/", json!(all)).await;
        let mut seen = Vec::new();
        let mut url = format!("{}/fhir/Client?type=x%20y%26z&_count=10&_sort=-_id", server.issuer());
        loop {
            let path = url.strip_prefix(server.issuer()).unwrap().to_owned();
            let bundle = find(&server, &path).await;
            assert_eq!(bundle["total"], 25);
            for entry in bundle["entry"].as_array().unwrap() {
                let id = entry["resource"]["id"].as_str().unwrap();
                assert_eq!(entry["fullUrl"], format!("{}/fhir/Client/{id}", server.issuer()));
                assert_eq!(entry["search"]["mode"], "match");
                seen.push(id.to_owned());
            }
            let links = links(&bundle);
            assert!(links["first"].ends_with("_page=1") && links["last"].ends_with("_page=3"), "{links:?}");
            assert_eq!(links.contains_key("previous"), seen.len() > 10);
            let Some(next) = links.get("next") else { break };
            url.clone_from(next);
        }
        let expected: Vec<String> = (0..25).rev().map(|n| format!("c{n:02}")).collect();
        assert_eq!(seen, expected);
        assert_eq!(ids(&server, "/Client?_count=10&_page=3&_sort=_id").await.len(), 5);
        assert_eq!(ids(&server, "/Client?_count=10&_page=4").await.len(), 0);
        assert_eq!(ids(&server, "/Client?_count=0").await.len(), 0);
        assert_eq!(find(&server, "/Client?_count=0").await["total"], 25);
    }
);

both!(
    async fn elements_leaves_out_the_rest(server: Server) {
        fill(&server).await;
        let bundle = find(&server, "/Client?_elements=name,active&_id=a").await;
        let mut names: Vec<&String> = bundle["entry"][0]["resource"].as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["active", "id", "meta", "name", "resourceType"]);
    }
);

both!(
    async fn a_search_that_makes_no_sense_is_400_not_everything(server: Server) {
        fill(&server).await;
        for query in [
            "nmae=x",
            "_cuont=1",
            "_count=x",
            "_count=-1",
            "_count=1e9",
            "_page=x",
            "_page=-1",
            "_sort=nmae",
            "_sort=",
            "_sort=,",
            "..name=x",
            "name..x=1",
            ".=1",
            "=x",
            "name%27=x",
            "name%22=x",
            "details.a%22%5D%27=1",
            "_sort=name;drop",
            "_sort=name%20desc",
            ".a.b.c.d.e.f.g.h.i=1",
            "name:exact=x",
            "userName=alice",
            "name=a%00b",
            "name=%ff",
            "_sort=--name",
        ] {
            let (status, outcome) = read(server.admin("GET", &format!("/Client?{query}")).send().await.unwrap()).await;
            assert_eq!(
                (status.as_u16(), &outcome["resourceType"]),
                (400, &json!("OperationOutcome")),
                "{query}: {outcome}"
            );
        }
        let (_, outcome) = read(server.admin("GET", "/Client?nmae=x").send().await.unwrap()).await;
        assert!(outcome["issue"][0]["diagnostics"].as_str().unwrap().contains("did you mean name?"), "{outcome}");
        // As many as a URL holds would be more than either database takes.
        for many in [
            ["name=x"; 21].join("&"),
            format!("_id={}&", ",".repeat(7_000)).repeat(4),
            format!("_sort={}name", "name,".repeat(3_000)),
        ] {
            let status = server.admin("GET", &format!("/Client?{many}")).send().await.unwrap().status();
            assert_eq!(status, 400, "{}", &many[..20]);
        }
    }
);

both!(
    async fn values_are_bound_and_never_become_part_of_a_query(server: Server) {
        fill(&server).await;
        for value in [
            "' OR '1'='1",
            "'; DROP TABLE document; --",
            "$1",
            "%",
            "_",
            "\" OR 1",
            "{}",
            "\\",
            "*",
            "null",
            "a') OR ('1'='1",
        ] {
            for name in ["name", "_id", ".details.team.x-y", "grant_types"] {
                let request = server.admin("GET", "/Client").query(&[(name, value)]);
                let (status, bundle) = read(request.send().await.unwrap()).await;
                assert_eq!((status.as_u16(), &bundle["total"]), (200, &json!(0)), "{name}={value}: {bundle}");
            }
        }
        assert_eq!(find(&server, "/Client").await["total"], 4);
    }
);

both!(
    async fn the_total_is_exact_up_to_ten_thousand_and_beyond_on_request(server: Server) {
        let mut tx = server.instance.store.begin().await.unwrap();
        for number in 0..10_050 {
            let row = Row {
                kind: "Client".into(),
                id: format!("c{number:05}"),
                version: 1,
                body: Json(json!({"name": "many"})),
                secrets: Json(json!({})),
                active: true,
                epoch: 0,
                user_id: None,
                client_id: None,
                origin: None,
                created_at: Timestamp(0),
                updated_at: Timestamp(0),
                deleted_at: None,
            };
            assert!(tx.write_document(&row, 0).await.unwrap());
        }
        tx.commit().await.unwrap();
        assert_eq!(find(&server, "/Client?name=many&_count=1").await["total"], 10_000);
        assert_eq!(find(&server, "/Client?name=many&_count=1&_total=accurate").await["total"], 10_050);
        // Page sizes are clamped (baseline 63); without one it is 100.
        assert_eq!(ids(&server, "/Client?_count=1000000").await.len(), 1_000);
        assert_eq!(ids(&server, "/Client").await.len(), 100);
        assert_eq!(
            ids(&server, "/Client?_page=101").await,
            (10_000..10_050).map(|n| format!("c{n:05}")).collect::<Vec<_>>()
        );
    }
);

both!(
    async fn sessions_are_found_by_user_client_and_jti(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let form = [("grant_type", "password"), ("username", "alice"), ("password", "correct-horse-battery")];
        assert_eq!(server.token(&form).await.0, 200);
        assert_eq!(server.token(&[("grant_type", "client_credentials")]).await.0, 200);
        assert_eq!(find(&server, "/Session?user=alice").await["total"], 1);
        assert_eq!(find(&server, "/fhir/Session?.client.id=web-app").await["total"], 2);
        assert_eq!(find(&server, "/Session?client=other").await["total"], 0);
        let session = find(&server, "/Session?.user.id=alice&.client.id=web-app").await["entry"][0]["resource"].clone();
        assert_eq!((&session["type"], &session["active"]), (&json!("password"), &json!(true)));
        assert!(!session.to_string().contains("cs_at_") && !session.to_string().contains("sha256"));
        let jti = session["jti"].as_str().unwrap();
        assert_eq!(find(&server, &format!("/Session?jti={jti}")).await["total"], 1);
        for query in ["access_token=x", "user=alice&_count=0", "_page=0", "refresh_token=x"] {
            let response = server.admin("GET", &format!("/Session?{query}")).send().await.unwrap();
            assert_eq!(response.status(), 400, "{query}");
        }
        // Closed by its id: the token ends.
        let closed = server.admin("DELETE", &format!("/fhir/Session/{jti}")).send().await.unwrap();
        assert_eq!(closed.status(), 200);
        assert_eq!(find(&server, "/Session?user=alice&active=true").await["total"], 0);
        assert_eq!(server.admin("DELETE", "/Session/none").send().await.unwrap().status(), 404);
    }
);
