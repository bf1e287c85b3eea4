//! JSON, `application/fhir+json` and YAML in and out (interface §4, baseline 7): both ways, strictly.

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::support::{Database, Server, both};

async fn put(server: &Server, content_type: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
    let request = server.admin("PUT", "/Client/a").header(CONTENT_TYPE, content_type).body(body);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

both!(
    async fn the_answer_has_the_format_that_was_asked_for(server: Server) {
        server.put("/Client/a", json!({"name": "x"})).await;
        for (path, accept, expected, start) in [
            ("/Client/a", "*/*", "application/json", "{"),
            ("/Client/a", "application/json", "application/json", "{"),
            ("/fhir/Client/a", "application/fhir+json", "application/fhir+json", "{"),
            ("/Client/a", "text/yaml", "text/yaml; charset=utf-8", "resourceType: Client"),
            ("/fhir/Client/a", "text/yaml", "text/yaml; charset=utf-8", "resourceType: Client"),
            // `_format` wins over `Accept`.
            ("/Client/a?_format=yaml", "application/json", "text/yaml; charset=utf-8", "resourceType: Client"),
            ("/Client/a?_format=json", "text/yaml", "application/json", "{"),
            ("/Client/a?_pretty=true", "application/json", "application/json", "{\n  \"resourceType\""),
            ("/Client?_format=text/yaml", "*/*", "text/yaml; charset=utf-8", "resourceType: Bundle"),
            ("/Client/none", "text/yaml", "text/yaml; charset=utf-8", "resourceType: OperationOutcome"),
        ] {
            let response = server.admin("GET", path).header(ACCEPT, accept).send().await.unwrap();
            assert_eq!(response.headers()[CONTENT_TYPE], expected, "{path} {accept}");
            assert_eq!(response.headers()["cache-control"], "no-store", "{path}");
            let text = response.text().await.unwrap();
            assert!(text.starts_with(start), "{path} {accept}: {text}");
        }
    }
);

both!(
    async fn text_that_yaml_could_mistake_survives(server: Server) {
        let texts = vec![
            "yes",
            "no",
            "on",
            "true",
            "null",
            "~",
            "",
            " ",
            "007",
            "1e3",
            "0x1F",
            "1_000",
            ".5",
            "-",
            "- a",
            "a: b",
            "#x",
            "&x",
            "*x",
            "!x",
            "!!str x",
            "%x",
            "@x",
            "`x",
            "{x}",
            "[x]",
            "'x'",
            "\"x\"",
            "x\ny",
            "x\n",
            "\nx",
            " x ",
            "\tx",
            "2026-01-05",
            "12:30:00",
            "<<",
            "=",
            "\u{1F600} ä",
            "a\\b",
            "? x",
            "|",
            ">",
            ".inf",
            ".nan",
            "---",
            "...",
            "x #y",
            "a'b\"c",
            "\u{85}\u{2028}",
        ];
        let document = json!({"details": {"texts": texts.clone(), "numbers": [0, -1, 2.5, 1e20, 9_007_199_254_740_993_i64], "yes": true,
            "keys": {"a: b": 1, "- x": 2, "": 3, "007": 4, "null": 5}, "empty": {}, "none": []}});
        let yaml = countersign::resources::format::to_yaml(&document);
        let (status, text) = put(&server, "text/yaml", yaml.clone()).await;
        assert_eq!(status, 201, "{text} {yaml}");
        for format in ["yaml", "json"] {
            let response = server.admin("GET", &format!("/Client/a?_format={format}")).send().await.unwrap();
            let text = response.text().await.unwrap();
            let read = if format == "yaml" {
                countersign::resources::format::yaml(&text).unwrap()
            } else {
                text.parse().unwrap()
            };
            for (read, put) in read["details"]["texts"].as_array().unwrap().iter().zip(&texts) {
                assert_eq!(read, *put, "{format}");
            }
            assert_eq!(read["details"], document["details"], "{format}");
        }
    }
);

both!(
    async fn what_cannot_be_read_with_certainty_is_400(server: Server) {
        let deep = |open: &str, close: &str| format!("{}{}", open.repeat(200), close.repeat(200));
        for (content_type, body) in [
            ("application/json", "{".to_owned()),
            ("application/json", String::new()),
            ("application/json", "{} {}".to_owned()),
            ("application/json", "{\"name\": NaN}".to_owned()),
            ("application/json", "name: x".to_owned()),
            ("application/json", r#"{"name": "a", "name": "b"}"#.to_owned()),
            ("application/json", r#"{"details": {"a": 1, "\u0061": 2}}"#.to_owned()),
            ("application/fhir+json", format!("{{\"details\": {}}}", deep("[", "]"))),
            ("text/yaml", "name: [".to_owned()),
            ("text/yaml", "name: a\nname: b".to_owned()),
            ("text/yaml", "name: &x a\ndescription: *x".to_owned()),
            ("text/yaml", "details: {<<: {a: 1}}".to_owned()),
            ("text/yaml", "name: !!binary aGk=".to_owned()),
            ("text/yaml", "name: a\n---\nname: b".to_owned()),
            ("text/yaml", format!("details: {}", deep("[", "]"))),
            ("text/yaml", "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\ndetails: [*c,*c]".to_owned()),
        ] {
            let (status, text) = put(&server, content_type, body.clone()).await;
            assert_eq!(status, 400, "{content_type} {body}: {text}");
            let outcome: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(outcome["resourceType"], "OperationOutcome", "{body}");
        }
        assert_eq!(put(&server, "application/json", b"{\"name\": \"\xff\"}".to_vec()).await.0, 400);
        for content_type in
            ["application/xml", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded"]
        {
            assert_eq!(put(&server, content_type, "{}").await.0, 415, "{content_type}");
        }
        assert_eq!(server.admin("GET", "/Client/a").send().await.unwrap().status(), 404);
    }
);

both!(
    async fn a_body_beyond_four_mebibytes_is_413(server: Server) {
        let (status, text) =
            put(&server, "application/json", format!("{{\"name\": \"{}\"}}", "x".repeat(5 << 20))).await;
        assert_eq!(status, 413, "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["resourceType"], "OperationOutcome");
        let (status, text) =
            put(&server, "application/json", format!("{{\"name\": \"{}\"}}", "x".repeat(1 << 20))).await;
        assert_eq!(status, 201, "{text}");
    }
);
