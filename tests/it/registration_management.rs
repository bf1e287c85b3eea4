//! The management of a registration by its client: RFC 7592.

use countersign::config::Registration;
use countersign::domain::bearer::{Bearer, Kind};
use serde_json::{Value, json};

use crate::registration::{CALLBACK, open, server};
use crate::support::{Answer, Database, Server, assert_refused, read, send, text};

impl Server {
    async fn manage(&self, method: &str, client: &Value, token: &str, body: Option<&Value>) -> Answer {
        let path = format!("/oauth2/register/{}", text(client, "client_id"));
        let mut request = self.http.request(method.parse().unwrap(), self.url(&path)).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        read(request.send().await.unwrap()).await
    }
}

/// What a client sends with an update: what it was told, without what must not be sent (§2.2).
fn update(client: &Value) -> Value {
    let mut update = client.clone();
    for member in
        ["registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"]
    {
        update.as_object_mut().unwrap().remove(member);
    }
    update
}

open!(
    // §2.1, §3
    async fn a_client_reads_what_it_is_and_its_token_rotates(server: Server) {
        let client = server.registered(json!({"policy_uri": "https://app.example/policy"})).await;
        let first = text(&client, "registration_access_token");
        let (status, found) = server.manage("GET", &client, first, None).await;
        assert_eq!(status, 200, "{found}");
        for member in [
            "client_id",
            "client_id_issued_at",
            "registration_client_uri",
            "redirect_uris",
            "client_name",
            "policy_uri",
            "grant_types",
        ] {
            assert_eq!(found[member], client[member], "{member}");
        }
        assert_eq!(found.get("client_secret"), None, "it was shown once");
        let second = text(&found, "registration_access_token");
        assert_ne!(first, second);
        // The first is good until the second is used: an answer may have been lost.
        let (status, again) = server.manage("GET", &client, first, None).await;
        assert_eq!(status, 200, "{again}");
        let third = text(&again, "registration_access_token");
        let (status, fourth) = server.manage("GET", &client, third, None).await;
        assert_eq!(status, 200);
        for spent in [first, second] {
            assert_refused(&server.manage("GET", &client, spent, None).await, 401, "invalid_token", "");
        }
        assert_eq!(server.manage("GET", &client, text(&fourth, "registration_access_token"), None).await.0, 200);
    }
);

open!(
    // §2.2
    async fn an_update_replaces_everything(server: Server) {
        let client = server.registered(json!({"policy_uri": "https://app.example/policy", "contacts": ["a@app.example"], "default_max_age": 60})).await;
        let mut changed = update(&client);
        changed["client_name"] = json!("Another name");
        changed["redirect_uris"] = json!(["https://app.example/new"]);
        changed.as_object_mut().unwrap().remove("policy_uri");
        changed["contacts"] = json!(null);
        let (status, found) =
            server.manage("PUT", &client, text(&client, "registration_access_token"), Some(&changed)).await;
        assert_eq!(status, 200, "{found}");
        assert_eq!(
            (&found["client_name"], &found["redirect_uris"]),
            (&json!("Another name"), &json!(["https://app.example/new"]))
        );
        assert_eq!(
            (found.get("policy_uri"), found.get("contacts"), &found["default_max_age"]),
            (None, None, &json!(60))
        );
        assert_eq!(found.get("client_secret"), None, "the secret is the one it has");
        let (_, document) = send(&server, "GET", &format!("/Client/{}", text(&client, "client_id")), ()).await;
        assert_eq!((document.get("policy_uri"), &document["registration"]), (None, &json!("open")));
        // The secret still proves it.
        let basic = Some((text(&client, "client_id"), text(&client, "client_secret")));
        let (_, answer) = server.post_form("/oauth2/introspect", basic, &[("token", "x")]).await;
        assert_eq!(answer, json!({"active": false}));
        // Without it, and with it again: a new one.
        let mut public = update(&found);
        public["token_endpoint_auth_method"] = json!("none");
        let (_, found) = server.manage("PUT", &client, text(&found, "registration_access_token"), Some(&public)).await;
        assert_eq!(server.post_form("/oauth2/introspect", basic, &[("token", "x")]).await.0, 401);
        let mut confidential = update(&found);
        confidential["token_endpoint_auth_method"] = json!("client_secret_basic");
        let (_, found) =
            server.manage("PUT", &client, text(&found, "registration_access_token"), Some(&confidential)).await;
        assert_ne!(text(&found, "client_secret"), text(&client, "client_secret"));
    }
);

open!(
    async fn an_update_that_is_wrong_changes_nothing(server: Server) {
        let client = server.registered(json!({})).await;
        let token = text(&client, "registration_access_token");
        for (change, error) in [
            (json!({"client_id": "another"}), "invalid_client_metadata"),
            (json!({"client_id": null}), "invalid_client_metadata"),
            (json!({"client_secret": "chosen"}), "invalid_client_metadata"),
            (json!({"registration_access_token": "x"}), "invalid_client_metadata"),
            (json!({"client_id_issued_at": 1}), "invalid_client_metadata"),
            (json!({"scope": "admin"}), "invalid_client_metadata"),
            (json!({"grant_types": ["client_credentials"]}), "invalid_client_metadata"),
            (json!({"redirect_uris": ["http://app.example/"]}), "invalid_redirect_uri"),
        ] {
            let mut wrong = update(&client);
            wrong.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            assert_refused(&server.manage("PUT", &client, token, Some(&wrong)).await, 400, error, "");
        }
        let (status, found) = server.manage("GET", &client, token, None).await;
        assert_eq!((status.as_u16(), &found["redirect_uris"]), (200, &json!([CALLBACK])));
    }
);

open!(
    // §2.3
    async fn a_client_that_deletes_itself_takes_everything_along(server: Server) {
        let client = server.registered(json!({"grant_types": ["authorization_code", "refresh_token"]})).await;
        let (id, secret) = (text(&client, "client_id"), text(&client, "client_secret"));
        let code = server.code_for(id).await;
        let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)];
        let tokens = server.post_form("/oauth2/token", Some((id, secret)), &form).await.1;
        let token = text(&client, "registration_access_token");
        assert_eq!(server.manage("DELETE", &client, token, None).await.0, 204);
        for method in ["GET", "DELETE"] {
            assert_refused(&server.manage(method, &client, token, None).await, 401, "invalid_token", "");
        }
        assert!(!server.is_active(text(&tokens, "access_token")).await);
        assert_eq!(server.post_form("/oauth2/introspect", Some((id, secret)), &[("token", "x")]).await.0, 401);
        assert_eq!(send(&server, "GET", &format!("/Client/{id}"), ()).await.0, 410);
    }
);

open!(
    async fn wrong_tokens_are_limited_for_each_network(server: Server) {
        let client = server.registered(json!({})).await;
        let token = text(&client, "registration_access_token");
        let wrong = Bearer::generate(Kind::RegistrationAccessToken, uuid::Uuid::new_v4()).reveal();
        for n in 0..300 {
            let method = ["GET", "DELETE"][n % 2];
            assert_eq!(server.manage(method, &client, &wrong, None).await.0, 401, "{n}");
        }
        for token in [wrong.as_str(), token] {
            assert_refused(&server.manage("GET", &client, token, None).await, 429, "temporarily_unavailable", "later");
        }
        let update = update(&client);
        assert_eq!(server.manage("PUT", &client, token, Some(&update)).await.0, 429);
        let response =
            server.http.get(text(&client, "registration_client_uri")).bearer_auth(token).send().await.unwrap();
        let wait: i64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=12).contains(&wait), "{wait}");
        server.wait(wait);
        // A right one is not counted.
        let (status, found) = server.manage("GET", &client, token, None).await;
        assert_eq!(status, 200, "{found}");
        assert_eq!(server.manage("GET", &client, text(&found, "registration_access_token"), None).await.0, 200);
    }
);

open!(
    async fn only_the_clients_own_token_manages_it(server: Server) {
        let (one, other) = (server.registered(json!({})).await, server.registered(json!({})).await);
        let stolen = text(&other, "registration_access_token");
        for token in [stolen, "x", text(&one, "client_secret")] {
            for method in ["GET", "DELETE"] {
                assert_refused(&server.manage(method, &one, token, None).await, 401, "invalid_token", "");
            }
            assert_refused(&server.manage("PUT", &one, token, Some(&update(&one))).await, 401, "invalid_token", "");
        }
        let path = server.url(&format!("/oauth2/register/{}", text(&one, "client_id")));
        let bare = server.http.get(&path).send().await.unwrap();
        assert_eq!(bare.status(), 401);
        assert!(bare.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer "));
        let missing = json!({"client_id": "there-is-none"});
        assert_refused(&server.manage("GET", &missing, stolen, None).await, 401, "invalid_token", "");
        // Nor does it once the client is switched off, or an administrator has taken it over.
        let id = text(&one, "client_id");
        server.patch(&format!("/Client/{id}"), json!({"active": false})).await;
        assert_eq!(server.manage("GET", &one, text(&one, "registration_access_token"), None).await.0, 401);
        server.patch(&format!("/Client/{id}"), json!({"active": true, "registration": null})).await;
        assert_eq!(server.manage("GET", &one, text(&one, "registration_access_token"), None).await.0, 401);
    }
);
