//! What a document must be (interface §4, §7, baseline 12): every problem with its path, unknown names with the nearest one.

use serde_json::{Value, json};

use crate::support::{Database, Server, both, issues, read, send};

async fn get(server: &Server, path: &str) -> (u16, Value) {
    send(server, "GET", path, Value::Null).await
}

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
    async fn a_text_with_nul_is_refused_and_a_path_with_it_names_nothing(server: Server) {
        let text = |name: &str, value: &str| format!("{{\"{name}\": {value}}}");
        for (content_type, body) in [
            ("application/json", text("displayName", "\"a\\u0000\"")),
            ("application/json", text("userName", "\"a\\u0000\"")),
            ("application/json", text("data", "{\"a\\u0000\": 1}")),
            ("application/json", text("data", "[[\"\\u0000\"]]")),
            ("text/yaml", "displayName: \"a\\0\"".to_owned()),
        ] {
            let request = server.admin("PUT", "/User/nul").header("content-type", content_type).body(body.clone());
            let (status, outcome) = read(request.send().await.unwrap()).await;
            assert_eq!(status, 400, "{body}: {outcome}");
            assert!(issues(&outcome)[0].1.contains("U+0000"), "{body}: {outcome}");
        }
        for path in
            ["/User/nul", "/User/%00", "/Client/a%00b", "/Grant/%00/_history/1", "/Session/%00", "/SigningKey/%00"]
        {
            assert_eq!(get(&server, path).await.0, 404, "{path}");
        }
    }
);

both!(
    async fn a_grant_refers_to_what_may_be_an_id(server: Server) {
        for id in [json!(""), json!("a/b"), json!("a b"), json!("ä"), json!("x".repeat(129)), json!("x".repeat(9_000))]
        {
            for name in ["user", "client"] {
                let mut grant = json!({"user": {"resourceType": "User", "id": "a"}, "client": {"resourceType": "Client", "id": "a"}});
                grant[name]["id"] = id.clone();
                let (status, outcome) = send(&server, "PUT", "/Grant/g", grant).await;
                let at = &issues(&outcome)[0].0;
                assert_eq!((status, at.starts_with(&format!("Grant.{name}"))), (422, true), "{id}: {outcome}");
            }
        }
        assert_eq!(get(&server, "/Grant/g").await.0, 404);
    }
);
