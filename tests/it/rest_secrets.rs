//! Secrets in documents are write-only (interface §4, baseline 4, 23, 48, 61): masked when read, verified in every stored form,
//! never in a search, a patch test or an error text.

use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::support::{Database, Server, both, read};

/// `secret` and `123456`, as Aidbox stores them.
const SHA256: &str = "__sha256:2BB80D537B1DA3E38BD30361AA855686BDE0EACD7162FEF6A25FE97BF527A25B";
const SCRYPT: &str = "$s0$f0801$HhKy93HnLn0qSmsS2JCZnQ==$P0oAp6yx6k8bCbeFN2UT9UfjKROuggn7deLbX2Mpm2M=";
const MASK: &str = "********";

async fn send(server: &Server, method: &str, path: &str, body: Value) -> (u16, Value) {
    let (status, answer) = read(server.admin(method, path).json(&body).send().await.unwrap()).await;
    (status.as_u16(), answer)
}

/// A client with this secret, for client credentials.
async fn service(server: &Server, secret: Value) -> (u16, Value) {
    let document = json!({"secret": secret, "grant_types": ["client_credentials"], "name": "service"});
    send(server, "PUT", "/Client/service", document).await
}

/// Whether the secret gets a token.
async fn works(server: &Server, secret: &str) -> bool {
    let form = [("grant_type", "client_credentials")];
    let (status, body) = server.post_form("/oauth2/token", Some(("service", secret)), &form).await;
    let refusal = if status == 401 { "invalid_client" } else { "unauthorized_client" };
    assert!(status == 200 || body["error"] == refusal, "{status} {body}");
    status == 200
}

/// Whether the password gets Alice's token.
async fn signs_in(server: &Server, password: &str) -> bool {
    let form = [("grant_type", "password"), ("username", "alice"), ("password", password)];
    server.token(&form).await.0 == 200
}

/// The stored form of a secret.
async fn stored(server: &Server, kind: &str, id: &str, path: &str) -> String {
    let row = server.instance.store.document(kind, id).await.unwrap().unwrap();
    assert!(row.body.0.pointer("/secret").is_none() && row.body.0.pointer("/password").is_none());
    row.secrets.0[path].as_str().unwrap_or_default().to_owned()
}

both!(
    async fn no_answer_has_a_secret_or_its_hash_in_it(server: Server) {
        let client = json!({"secret": "hunter2-client", "grant_types": ["code"]});
        let user = json!({"userName": "alice", "password": "hunter2-user",
            "twoFactor": {"enabled": true, "secretKey": "HUNTER2SEED", "secret": "hunter2-seed"}});
        let batch = json!([{"resourceType": "Client", "id": "b", "secret": "hunter2-batch"}]);
        let bundle = json!({"type": "batch", "entry": [{"request": {"method": "PUT", "url": "/Client/b"},
            "resource": {"secret": "hunter2-bundle"}}]});
        let sha = json!({"secret": SHA256});
        let mut answers = Vec::new();
        for mount in ["", "/fhir"] {
            for (method, path, body) in [
                ("PUT", "/Client/a", &client),
                ("PUT", "/User/alice", &user),
                ("PUT", "", &batch),
                ("POST", "", &bundle),
                ("PUT", "/Client/sha", &sha),
                ("PATCH", "/Client/a", &json!({"secret": "hunter2-patch", "name": "n"})),
                ("PATCH", "/User/alice", &json!([{"op": "replace", "path": "/password", "value": "hunter2-op"}])),
                ("GET", "/Client/a", &Value::Null),
                ("GET", "/User/alice", &Value::Null),
                ("GET", "/Client/a/_history/3", &Value::Null),
                ("GET", "/Client?_elements=secret", &Value::Null),
                ("GET", "/User?_format=yaml", &Value::Null),
                ("DELETE", "/Client/a", &Value::Null),
                ("DELETE", "/User/alice", &Value::Null),
            ] {
                let path = if path.is_empty() && mount.is_empty() { "/".to_owned() } else { format!("{mount}{path}") };
                let response = server.admin(method, &path).json(body).send().await.unwrap();
                let (status, head) = (response.status(), format!("{:?}", response.headers()));
                let text = response.text().await.unwrap();
                assert!(status.is_success() || path.contains("_history"), "{method} {path}: {status} {text}");
                answers.push(head);
                answers.push(text);
            }
        }
        for answer in &answers {
            let lower = answer.to_lowercase();
            for word in ["hunter2", "argon2", "__sha256", "2bb80d53", "__sealed"] {
                assert!(!lower.contains(word), "{word} in {answer}");
            }
        }
        assert!(answers.iter().filter(|answer| answer.contains(MASK)).count() >= 20);
    }
);

both!(
    async fn a_chosen_secret_is_hashed_slowly_and_never_stored_as_it_is(server: Server) {
        let (_, first) = service(&server, json!("chosen-secret")).await;
        assert_eq!(first["secret"], MASK);
        assert!(stored(&server, "Client", "service", "secret").await.starts_with("$argon2id$v=19$m="));
        assert!(works(&server, "chosen-secret").await && works(&server, "chosen-secret").await);
        for wrong in ["Chosen-secret", "chosen-secret ", "", MASK] {
            assert!(!works(&server, wrong).await, "{wrong}");
        }
        // What is stored is no credential (baseline 48).
        let form = stored(&server, "Client", "service", "secret").await;
        assert!(!works(&server, &form).await);
        server.alice().await;
        assert!(stored(&server, "User", "alice", "password").await.starts_with("$argon2id$"));
        send(&server, "PATCH", "/User/alice", json!({"twoFactor": {"secretKey": "SEED"}})).await;
        assert!(stored(&server, "User", "alice", "twoFactor.secretKey").await.starts_with("__sealed:"));
    }
);

both!(
    async fn the_stored_forms_of_aidbox_are_kept_and_verify(server: Server) {
        for (form, secret) in [(SHA256, "secret"), (&SHA256.to_lowercase(), "secret"), (SCRYPT, "123456")] {
            service(&server, json!(form)).await;
            assert_eq!(stored(&server, "Client", "service", "secret").await, form);
            assert!(works(&server, secret).await, "{form}");
            for wrong in [form, "wrong", "secret1", "1234567"] {
                assert!(!works(&server, wrong).await, "{form} {wrong}");
            }
        }
        // Almost a stored form is a chosen secret.
        for almost in ["__sha256:2BB8", "$s0$f0801$x", "$argon2id$", "$s0$ff0801$AAAA$AAAA"] {
            service(&server, json!(almost)).await;
            assert!(stored(&server, "Client", "service", "secret").await.starts_with("$argon2id$v=19$"), "{almost}");
            assert!(works(&server, almost).await, "{almost}");
        }
        // One that would cost minutes to verify is not believed (baseline 48).
        let huge = "$argon2id$v=19$m=4194304,t=100,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        service(&server, json!(huge)).await;
        assert_ne!(stored(&server, "Client", "service", "secret").await, huge);
        assert!(!works(&server, "x").await);
    }
);

both!(
    async fn an_old_password_hash_verifies_and_is_made_anew_at_sign_in(server: Server) {
        server.web_app(json!({})).await;
        let weak = "$argon2id$v=19$m=1024,t=1,p=1$c2FsdHNhbHRzYWx0$";
        server.put("/User/alice", json!({"userName": "alice", "password": SCRYPT})).await;
        assert_eq!(stored(&server, "User", "alice", "password").await, SCRYPT);
        assert!(!signs_in(&server, "wrong").await && !signs_in(&server, SCRYPT).await);
        assert_eq!(stored(&server, "User", "alice", "password").await, SCRYPT);
        assert!(signs_in(&server, "123456").await);
        let renewed = stored(&server, "User", "alice", "password").await;
        assert!(renewed.starts_with("$argon2id$v=19$") && !renewed.starts_with(weak), "{renewed}");
        assert!(signs_in(&server, "123456").await && !signs_in(&server, "wrong").await);
        assert_eq!(stored(&server, "User", "alice", "password").await, renewed);
        server.put("/User/alice", json!({"userName": "alice", "password": SHA256})).await;
        assert!(signs_in(&server, "secret").await);
    }
);

both!(
    async fn the_mask_put_back_keeps_the_secret(server: Server) {
        service(&server, json!("chosen-secret")).await;
        let (_, mut shown) = send(&server, "GET", "/fhir/Client/service", Value::Null).await;
        shown["name"] = json!("renamed");
        assert_eq!(send(&server, "PUT", "/fhir/Client/service", shown).await.0, 200);
        assert!(works(&server, "chosen-secret").await);
        let unchanged = stored(&server, "Client", "service", "secret").await;
        // The same secret again is no change.
        let (_, before) = send(&server, "GET", "/Client/service", Value::Null).await;
        let (_, again) = send(&server, "PATCH", "/Client/service", json!({"secret": "chosen-secret"})).await;
        assert_eq!((&before, stored(&server, "Client", "service", "secret").await), (&again, unchanged));
        // A new one takes over at once, and without one the client is public.
        send(&server, "PATCH", "/Client/service", json!({"secret": "another"})).await;
        assert!(works(&server, "another").await && !works(&server, "chosen-secret").await);
        send(&server, "PATCH", "/Client/service", json!([{"op": "remove", "path": "/secret"}])).await;
        assert!(!works(&server, "another").await && !works(&server, "").await);
        assert!(send(&server, "GET", "/Client/service", Value::Null).await.1.get("secret").is_none());
        // There is nothing to keep where there is none.
        let (status, outcome) = send(&server, "PATCH", "/Client/service", json!({"secret": MASK})).await;
        assert_eq!((status, &outcome["issue"][0]["expression"]), (422, &json!(["Client.secret"])));
        let (status, outcome) = send(&server, "PUT", "/User/x", json!({"password": MASK})).await;
        assert_eq!((status, &outcome["issue"][0]["expression"]), (422, &json!(["User.password"])));
        // Nor does a deleted document leave its secret to the next of its name.
        service(&server, json!("chosen-secret")).await;
        send(&server, "DELETE", "/Client/service", Value::Null).await;
        assert_eq!(service(&server, json!(MASK)).await.0, 422);
    }
);

both!(
    async fn a_secret_takes_no_part_in_searches(server: Server) {
        service(&server, json!(SHA256)).await;
        server.alice().await;
        for query in [
            format!("Client?secret={SHA256}"),
            format!("Client?.secret={MASK}"),
            "Client?_sort=secret".into(),
            "Client?_sort=name,-.secret".into(),
            "Client?.secret.x=1".into(),
            "Client?secrets=x".into(),
            "User?password=x".into(),
            "User?_sort=-password".into(),
            "User?.twoFactor.secretKey=x".into(),
            "User?twoFactor=x".into(),
            "User?.twoFactor.secret=x".into(),
        ] {
            for mount in ["/", "/fhir/"] {
                let (status, outcome) = send(&server, "GET", &format!("{mount}{query}"), Value::Null).await;
                assert_eq!((status, &outcome["resourceType"]), (400, &json!("OperationOutcome")), "{query}");
            }
        }
    }
);

both!(
    async fn a_secret_cannot_be_tested_copied_or_moved(server: Server) {
        service(&server, json!("chosen-secret")).await;
        send(&server, "PUT", "/User/alice", json!({"twoFactor": {"secretKey": "SEED", "enabled": true}})).await;
        for (path, op) in [
            ("/Client/service", json!({"op": "test", "path": "/secret", "value": MASK})),
            ("/Client/service", json!({"op": "test", "path": "/secret", "value": "chosen-secret"})),
            ("/Client/service", json!({"op": "copy", "from": "/secret", "path": "/name"})),
            ("/Client/service", json!({"op": "move", "from": "/secret", "path": "/details"})),
            ("/Client/service", json!({"op": "test", "path": "", "value": {}})),
            ("/Client/service", json!({"op": "copy", "from": "", "path": "/details"})),
            ("/User/alice", json!({"op": "test", "path": "/twoFactor", "value": {}})),
            ("/User/alice", json!({"op": "copy", "from": "/twoFactor/secretKey", "path": "/title"})),
            ("/User/alice", json!({"op": "move", "from": "/twoFactor", "path": "/data"})),
        ] {
            let (status, outcome) = send(&server, "PATCH", path, json!([op])).await;
            assert_eq!((status, &outcome["id"]), (422, &json!("forbidden")), "{op} {outcome}");
        }
        let (_, client) = send(&server, "GET", "/Client/service", Value::Null).await;
        assert_eq!((&client["name"], &client["meta"]["versionId"]), (&json!("service"), &json!("1")));
        assert!(works(&server, "chosen-secret").await);
    }
);

both!(
    async fn an_error_never_repeats_a_secret(server: Server) {
        for (content_type, path, body) in [
            ("application/json", "/Client/a", r#"{"secret": ["hunter2"]}"#),
            ("application/json", "/Client/a", r#"{"secret": {"hunter2": 1}}"#),
            ("application/json", "/Client/a", r#"{"secret": "hunter2", "nmae": 1}"#),
            ("application/json", "/Client/a", r#"{"secret": "hunter2""#),
            ("application/json", "/Client/a", r#"{"secret": "hunter2", "secret": "hunter2"}"#),
            ("application/json", "/User/a", r#"{"password": 12, "twoFactor": {"secretKey": ["hunter2"]}}"#),
            ("application/json", "/User/a", r#"{"userName": "alice", "password": "hunter2"}"#),
            ("text/yaml", "/Client/a", "secret: hunter2: x"),
            ("text/yaml", "/Client/a", "secret: !hunter2x hunter2"),
            ("text/yaml", "/Client/a", "secret: [hunter2"),
            ("text/yaml", "/Client/a", "secret: hunter2\nsecret: hunter2"),
            ("text/yaml", "/Client/a", "secret: *hunter2"),
            ("text/yaml", "/Client/a", "secret: \"hunter2"),
            ("application/xml", "/Client/a", "<secret>hunter2</secret>"),
        ] {
            server.alice().await;
            let request = server.admin("PUT", path).header(CONTENT_TYPE, content_type).body(body);
            let response = request.send().await.unwrap();
            assert!(response.status().is_client_error(), "{body}: {}", response.status());
            let text = response.text().await.unwrap();
            assert!(!text.contains("hunter2"), "{body}: {text}");
        }
        server.put("/Client/a", json!({})).await;
        for patch in [
            json!([{"op": "replace", "path": "secret", "value": "hunter2"}]),
            json!([{"op": "replaec", "path": "/secret", "value": "hunter2"}]),
            json!([{"op": "replace", "path": "/secret", "value": "hunter2"}]),
            json!([{"op": "add", "path": "/secret/x", "value": "hunter2"}]),
            json!({"secret": {"x": "hunter2"}}),
        ] {
            let (status, outcome) = send(&server, "PATCH", "/Client/a", patch.clone()).await;
            assert!((400..500).contains(&status) && !outcome.to_string().contains("hunter2"), "{patch} {outcome}");
        }
    }
);
