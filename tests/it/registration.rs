//! Dynamic client registration: RFC 7591 and OpenID Connect Dynamic Client Registration 1.0.

use countersign::config::Registration;
use countersign::domain::bearer::{Bearer, Kind};
use countersign::domain::secret::Digest;
use serde_json::{Value, json};

use crate::support::{
    Answer, CHALLENGE, ClientKey, Database, Elsewhere, Server, VERIFIER, assert_refused, read, send, sign_with_secret,
    text,
};

pub(crate) const CALLBACK: &str = "https://app.example/cb";

/// What most clients send.
pub(crate) fn metadata(change: &Value) -> Value {
    let mut metadata = json!({"client_name": "An app", "redirect_uris": [CALLBACK]});
    crate::support::merge(&mut metadata, change);
    metadata
}

pub(crate) async fn server(database: Database, mode: Registration) -> Server {
    let server = Server::start_with(database, |settings| settings.registration = mode).await;
    server.alice().await;
    server
}

impl Server {
    pub(crate) async fn register(&self, bearer: Option<&str>, metadata: &Value) -> Answer {
        let mut request = self.http.post(self.url("/oauth2/register")).json(metadata);
        if let Some(token) = bearer {
            request = request.bearer_auth(token);
        }
        read(request.send().await.unwrap()).await
    }

    /// Registers with this, which must be accepted.
    pub(crate) async fn registered(&self, change: Value) -> Value {
        let (status, client) = self.register(None, &metadata(&change)).await;
        assert_eq!(status, 201, "{client}");
        client
    }

    /// An initial access token.
    async fn initial_token(&self, uses: i64) -> String {
        let token = Bearer::generate(Kind::InitialAccessToken, uuid::Uuid::new_v4());
        let expires = self.instance.clock.now().plus(3_600);
        self.instance.store.insert_initial_access_token(token.id(), token.digest(), uses, expires).await.unwrap();
        token.reveal()
    }
}

macro_rules! open {
    (async fn $name:ident($server:ident: Server) $body:block) => {
        mod $name {
            use super::*;

            async fn check($server: Server) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                check(server(Database::Sqlite, Registration::Open).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                check(server(Database::Postgres, Registration::Open).await).await;
            }
        }
    };
}
pub(crate) use open;

open!(
    // RFC 7591 §3.2.1
    async fn a_client_registers_and_is_told_all_that_it_is_now(server: Server) {
        let asked = json!({
            "redirect_uris": [CALLBACK, "https://app.example/other"], "client_name": "My App", "client_name#de": "Meine App",
            "logo_uri": "https://app.example/logo.png", "policy_uri": "https://app.example/policy", "contacts": ["dev@app.example"],
            "token_endpoint_auth_method": "client_secret_post", "scope": "openid profile offline_access",
            "grant_types": ["authorization_code", "refresh_token"], "default_max_age": 600, "software_id": "x", "vendor_extension": {"a": 1},
        });
        let response = server.http.post(server.url("/oauth2/register")).json(&asked).send().await.unwrap();
        assert_eq!(response.status(), 201);
        assert_eq!(
            (&response.headers()["cache-control"], &response.headers()["pragma"]),
            (&"no-store".parse().unwrap(), &"no-cache".parse().unwrap())
        );
        let (_, client) = read(response).await;
        for (name, value) in asked.as_object().unwrap() {
            assert_eq!(client.get(name), Some(value).filter(|_| name != "vendor_extension"), "{name}");
        }
        assert_eq!((&client["response_types"], &client["application_type"]), (&json!(["code"]), &json!("web")));
        assert_eq!(client["client_secret_expires_at"], 0);
        assert!(client["client_id_issued_at"].as_i64().unwrap() > 1_700_000_000);
        assert!(text(&client, "client_secret").len() >= 43, "256 bits: {client}");
        assert!(text(&client, "registration_access_token").starts_with("cs_ra_"));
        let uri = format!("{}/oauth2/register/{}", server.issuer(), text(&client, "client_id"));
        assert_eq!(text(&client, "registration_client_uri"), uri);

        // It is an ordinary document, marked, with nothing that could be read back.
        let (_, document) = send(&server, "GET", &format!("/Client/{}", text(&client, "client_id")), ()).await;
        assert_eq!(
            (&document["registration"], &document["secret"], &document["name"]),
            (&json!("open"), &json!("********"), &json!("My App"))
        );
        assert!(!document.to_string().contains(text(&client, "client_secret")));
    }
);

open!(
    async fn a_registered_client_takes_a_person_through_the_code_flow_and_refreshes(server: Server) {
        let client = server.registered(json!({"grant_types": ["authorization_code", "refresh_token"]})).await;
        let (id, secret) = (text(&client, "client_id"), text(&client, "client_secret"));
        let query =
            [("response_type", "code"), ("client_id", id), ("scope", "openid email"), ("redirect_uri", CALLBACK)];
        let browser = server.browser();
        let login = server.authorize(&browser, &query).await;
        let page = browser.sign_in(&login, "alice", "correct-horse-battery").await;
        let consent = browser.follow(page).await;
        assert!(consent.is_consent() && consent.has("#unverified"), "{consent:?}");
        let code = browser.consent(&consent, "approve").await.returned().expect("code");
        let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)];
        let (status, tokens) = server.post_form("/oauth2/token", Some((id, secret)), &form).await;
        assert_eq!(status, 200, "{tokens}");
        let form = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens, "refresh_token"))];
        let (status, again) = server.post_form("/oauth2/token", Some((id, secret)), &form).await;
        assert_eq!(status, 200, "{again}");
        assert_eq!(server.userinfo(text(&again, "access_token")).await.1["email"], "alice@example.com");
        // Only the method that it registered, which is the default of RFC 7591 §2.
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", text(&again, "refresh_token")),
            ("client_id", id),
            ("client_secret", secret),
        ];
        assert_refused(
            &server.post_form("/oauth2/token", None, &form).await,
            401,
            "invalid_client",
            "client_secret_basic",
        );
    }
);

open!(
    async fn a_public_client_gets_no_secret_and_must_use_pkce(server: Server) {
        let client = server.registered(json!({"token_endpoint_auth_method": "none"})).await;
        assert_eq!((client.get("client_secret"), client.get("client_secret_expires_at")), (None, None));
        let id = text(&client, "client_id");
        let mut query =
            vec![("response_type", "code"), ("client_id", id), ("scope", "openid"), ("redirect_uri", CALLBACK)];
        let browser = server.signed_in().await;
        assert_eq!(server.authorize(&browser, &query).await.returned().expect("error"), "invalid_request");
        query.extend([("code_challenge", CHALLENGE), ("code_challenge_method", "S256")]);
        let code = server.sign_in_and_consent(&browser, &query).await.expect("code");
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("client_id", id),
            ("code_verifier", VERIFIER),
        ];
        let (status, tokens) = server.post_form("/oauth2/token", None, &form).await;
        assert_eq!(status, 200, "{tokens}");
        assert_eq!(tokens.get("refresh_token"), None, "its grant_types do not have refresh_token");
    }
);

open!(
    // RFC 7591 §3.2.2
    async fn what_cannot_be_registered_is_refused_with_the_code_of_the_specification(server: Server) {
        for uris in [
            json!(null),
            json!([]),
            json!(["http://app.example/cb"]),
            json!(["https://app.example/#fragment"]),
            json!(["https://*.example/"]),
            json!(["javascript:alert(1)"]),
            json!(["/relative"]),
            json!([1]),
            json!("https://app.example/cb"),
            json!(["https://u:p@app.example/"]),
        ] {
            let answer = server.register(None, &metadata(&json!({"redirect_uris": uris}))).await;
            assert_refused(&answer, 400, "invalid_redirect_uri", "");
        }
        for change in [
            json!({"scope": "openid admin"}),
            json!({"scope": ["openid"]}),
            json!({"grant_types": ["password"]}),
            json!({"grant_types": ["basic"]}),
            json!({"grant_types": ["client_credentials"], "redirect_uris": []}),
            json!({"response_types": ["token"]}),
            json!({"grant_types": ["authorization_code"], "response_types": ["id_token"]}),
            json!({"token_endpoint_auth_method": "tls_client_auth"}),
            json!({"id_token_signed_response_alg": "none"}),
            json!({"subject_type": "secret"}),
            json!({"policy_uri": "javascript:alert(1)"}),
            json!({"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}}),
            json!({"default_max_age": "soon"}),
            json!({"contacts": "me"}),
            json!({"application_type": "other"}),
            json!({"client_name": 7}),
        ] {
            let answer = server.register(None, &metadata(&change)).await;
            assert_refused(&answer, 400, "invalid_client_metadata", "");
        }
        let post = |body: &'static str, kind: &'static str| {
            server.http.post(server.url("/oauth2/register")).header("content-type", kind).body(body).send()
        };
        for (body, kind) in [
            ("{", "application/json"),
            ("[]", "application/json"),
            ("a=b", "application/x-www-form-urlencoded"),
            (r#"{"redirect_uris": [], "redirect_uris": []}"#, "application/json"),
        ] {
            assert_refused(&read(post(body, kind).await.unwrap()).await, 400, "invalid_client_metadata", "");
        }
    }
);

open!(
    // RFC 7591 §5: what a client says of itself gives it no right.
    async fn privileged_fields_are_never_settable(server: Server) {
        let client = server.registered(json!({
            "first_party": true, "trusted": true, "introspect": "any", "secret": "chosen-secret", "client_secret": "chosen-secret",
            "client_id": "root", "active": true, "registration": "token", "allowed_origins": ["https://evil.example"], "name": "x", "token_response_userinfo": true,
            "audience": ["https://api.example"], "auth": {"authorization_code": {"secret_required": false, "access_token_expiration": 999_999}},
        })).await;
        let id = text(&client, "client_id");
        assert!(id != "root" && text(&client, "client_secret") != "chosen-secret");
        let (_, document) = send(&server, "GET", &format!("/Client/{id}"), ()).await;
        for field in
            ["first_party", "trusted", "introspect", "active", "allowed_origins", "audience", "token_response_userinfo"]
        {
            assert_eq!(document.get(field), None, "{field}");
        }
        assert_eq!(document["registration"], "open");
        assert_eq!(document.pointer("/auth/authorization_code/secret_required"), None);
        assert_eq!(document.pointer("/auth/authorization_code/access_token_expiration"), None);
        let basic = server
            .http
            .get(server.url("/Client"))
            .basic_auth(id, client["client_secret"].as_str())
            .send()
            .await
            .unwrap();
        assert_eq!(basic.status(), 403);
    }
);

open!(
    async fn native_applications_return_to_their_own_scheme_or_to_loopback(server: Server) {
        for uri in ["com.example.app:/cb", "http://127.0.0.1/cb", "http://localhost:8080/cb", "http://[::1]/cb"] {
            let client = server.registered(json!({"redirect_uris": [uri], "token_endpoint_auth_method": "none"})).await;
            assert_eq!(client["application_type"], "native", "{uri}");
        }
        let web = metadata(&json!({"redirect_uris": ["com.example.app:/cb"], "application_type": "web"}));
        assert_refused(&server.register(None, &web).await, 400, "invalid_redirect_uri", "application_type native");
        let short = metadata(&json!({"redirect_uris": ["myapp://cb"]}));
        assert_refused(&server.register(None, &short).await, 400, "invalid_redirect_uri", "without a dot");
    }
);

open!(
    // Registration §5, Core §8.1
    async fn a_sector_identifier_uri_is_fetched_and_lists_every_redirect_uri(server: Server) {
        let elsewhere = Elsewhere::start().await;
        let good = elsewhere.put("/good", json!([CALLBACK, "https://other.example/cb"]).to_string());
        let bad = elsewhere.put("/bad", json!(["https://other.example/cb"]).to_string());
        let odd = elsewhere.put("/odd", "{}");
        let client = server.registered(json!({"sector_identifier_uri": good, "subject_type": "pairwise"})).await;
        assert_eq!((&client["sector_identifier_uri"], &client["subject_type"]), (&json!(good), &json!("pairwise")));
        for uri in [bad, odd, elsewhere.url("/none")] {
            let answer = server.register(None, &metadata(&json!({"sector_identifier_uri": uri}))).await;
            assert_refused(&answer, 400, "invalid_client_metadata", "sector_identifier_uri");
        }
        let several =
            metadata(&json!({"redirect_uris": [CALLBACK, "https://other.example/cb"], "subject_type": "pairwise"}));
        assert_refused(&server.register(None, &several).await, 400, "invalid_client_metadata", "several hosts");
    }
);

/// A client's assertion (RFC 7523 §3).
pub(crate) fn assertion(server: &Server, id: &str) -> Value {
    let now = server.instance.clock.now().0;
    json!({"iss": id, "sub": id, "aud": server.issuer(), "exp": now + 60, "iat": now, "jti": uuid::Uuid::new_v4().to_string()})
}

/// The status of an introspection by a client that proves itself so.
async fn proven(server: &Server, assertion: &str) -> u16 {
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let form = [("token", "x"), ("client_assertion_type", kind), ("client_assertion", assertion)];
    server.post_form("/oauth2/introspect", None, &form).await.0.as_u16()
}

open!(
    async fn a_client_registers_its_keys_or_a_secret_to_sign_with(server: Server) {
        let key = ClientKey::new("ES256", "k");
        let elsewhere = Elsewhere::start().await;
        let there = elsewhere.put("/jwks", key.jwks().to_string());
        for keys in [json!({"jwks": key.jwks()}), json!({"jwks_uri": there})] {
            let mut change = keys.clone();
            change["token_endpoint_auth_method"] = json!("private_key_jwt");
            let client = server.registered(change).await;
            assert_eq!(
                (client.get("client_secret"), client.get("jwks"), client.get("jwks_uri")),
                (None, keys.get("jwks"), keys.get("jwks_uri"))
            );
            let id = text(&client, "client_id");
            assert_eq!(proven(&server, &key.sign(&assertion(&server, id))).await, 200);
            assert_eq!(proven(&server, &ClientKey::new("ES256", "k").sign(&assertion(&server, id))).await, 401);
        }
        for alg in ["HS256", "HS512"] {
            let change =
                json!({"token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": alg});
            let client = server.registered(change).await;
            let (id, secret) = (text(&client, "client_id"), text(&client, "client_secret"));
            assert_eq!(proven(&server, &sign_with_secret(alg, secret, &assertion(&server, id))).await, 200, "{alg}");
        }
        let bare = metadata(&json!({"token_endpoint_auth_method": "private_key_jwt"}));
        assert_refused(&server.register(None, &bare).await, 400, "invalid_client_metadata", "jwks");
        let both = metadata(&json!({"jwks": key.jwks(), "jwks_uri": "https://app.example/jwks"}));
        assert_refused(&server.register(None, &both).await, 400, "invalid_client_metadata", "jwks");
    }
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_is_the_default_and_serves_nothing() {
    let server = Server::start(Database::Sqlite).await;
    assert_eq!(server.register(None, &metadata(&json!({}))).await.0, 404);
    let discovery = server.metadata().await;
    assert_eq!(discovery.get("registration_endpoint"), None);
}

mod a_token_is_needed_where_the_mode_says_so {
    use super::*;

    async fn check(server: Server) {
        let discovery = server.metadata().await;
        assert_eq!(discovery["registration_endpoint"], format!("{}/oauth2/register", server.issuer()));
        let bare = server.http.post(server.url("/oauth2/register")).json(&metadata(&json!({}))).send().await.unwrap();
        assert_eq!(
            (bare.status().as_u16(), &bare.headers()["www-authenticate"]),
            (401, &"Bearer realm=\"countersign\"".parse().unwrap())
        );
        assert_refused(&server.register(Some("cs_it_wrong"), &metadata(&json!({}))).await, 401, "invalid_token", "");

        // As often as it says, and a refused registration costs nothing.
        let token = server.initial_token(2).await;
        assert_refused(
            &server.register(Some(&token), &metadata(&json!({"redirect_uris": []}))).await,
            400,
            "invalid_redirect_uri",
            "",
        );
        // Neither does what only the door of documents refuses.
        let keyless =
            json!({"id_token_encrypted_response_alg": "ECDH-ES", "id_token_encrypted_response_enc": "A128GCM"});
        for _ in 0..3 {
            let refused = server.register(Some(&token), &metadata(&keyless)).await;
            assert_refused(&refused, 400, "invalid_client_metadata", "jwks");
        }
        for _ in 0..2 {
            let (status, client) = server
                .register(
                    Some(&token),
                    &metadata(&json!({"grant_types": ["authorization_code", "client_credentials"]})),
                )
                .await;
            assert_eq!(status, 201, "{client}");
            let (_, document) = send(&server, "GET", &format!("/Client/{}", text(&client, "client_id")), ()).await;
            assert_eq!(document["registration"], "token");
        }
        assert_refused(&server.register(Some(&token), &metadata(&json!({}))).await, 401, "invalid_token", "");
        let token = server.initial_token(2).await;
        server.wait(3_601);
        assert_refused(&server.register(Some(&token), &metadata(&json!({}))).await, 401, "invalid_token", "");

        // An administrator's token does as well; another one does not.
        let admin = server
            .post_form(
                "/oauth2/token",
                Some(("root", "secret")),
                &[("grant_type", "client_credentials"), ("scope", "admin")],
            )
            .await
            .1;
        assert_eq!(server.register(Some(text(&admin, "access_token")), &metadata(&json!({}))).await.0, 201);
        server.web_app(json!({})).await;
        let other = server.client_tokens(&[]).await;
        assert_refused(
            &server.register(Some(text(&other, "access_token")), &metadata(&json!({}))).await,
            401,
            "invalid_token",
            "",
        );
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn sqlite() {
        check(server(Database::Sqlite, Registration::Token).await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn postgres() {
        check(server(Database::Postgres, Registration::Token).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_network_registers_so_many_clients_in_an_hour() {
    let server = Server::start_with(Database::Sqlite, |settings| {
        settings.registration = Registration::Open;
        settings.registration_rate = 3;
    })
    .await;
    for _ in 0..3 {
        server.registered(json!({})).await;
    }
    let refused = server.http.post(server.url("/oauth2/register")).json(&metadata(&json!({}))).send().await.unwrap();
    assert_eq!(refused.status(), 429);
    let wait: i64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=1_200).contains(&wait), "{wait}");
    server.wait(wait);
    server.registered(json!({})).await;
}

open!(
    // RFC 9700 §4.11.2
    async fn an_unverified_client_is_told_of_a_wrong_request_once_the_person_has_signed_in(server: Server) {
        let client = server.registered(json!({})).await;
        let id = text(&client, "client_id");
        let query = [("response_type", "nonsense"), ("client_id", id), ("redirect_uri", CALLBACK), ("state", "s")];
        let browser = server.browser();
        let page = server.authorize(&browser, &query).await;
        assert!(page.is_login(), "nobody is sent on to a stranger: {page:?}");
        let wrong = browser.sign_in(&page, "alice", "wrong").await;
        for page in [&page, &wrong] {
            // Chromium lets a form lead no further than this says.
            assert!(
                page.header("content-security-policy").contains("form-action 'self' https://app.example;"),
                "{page:?}"
            );
            assert!(page.text("main").contains("app.example"), "it says where one returns: {page:?}");
        }
        let page = browser.sign_in(&wrong, "alice", "correct-horse-battery").await;
        let returned = browser.follow(page).await.returned();
        assert_eq!(
            (returned.uri.as_str(), returned.expect("error").as_str(), returned.get("state")),
            (CALLBACK, "unsupported_response_type", Some("s"))
        );
        assert_eq!(server.authorize(&browser, &query).await.returned().expect("error"), "unsupported_response_type");
        // Who asks for no page gets none.
        let silent = [
            ("response_type", "code"),
            ("client_id", id),
            ("redirect_uri", CALLBACK),
            ("prompt", "none"),
            ("scope", "openid"),
            ("max_age", "x"),
        ];
        assert_eq!(server.authorize(&server.browser(), &silent).await.returned().expect("error"), "invalid_request");
    }
);

open!(
    async fn a_client_that_nobody_uses_goes_and_one_that_somebody_uses_stays(server: Server) {
        let (unused, used, taken) = (
            server.registered(json!({})).await,
            server.registered(json!({})).await,
            server.registered(json!({})).await,
        );
        let id = text(&used, "client_id");
        server.code_for(id).await;
        // An administrator takes one over.
        server.patch(&format!("/Client/{}", text(&taken, "client_id")), json!({"registration": null})).await;
        server.wait(2_592_000 + 4_000);
        server.instance.sweep().await.unwrap();
        let status =
            async |client: &Value| send(&server, "GET", &format!("/Client/{}", text(client, "client_id")), ()).await.0;
        assert_eq!((status(&unused).await, status(&used).await, status(&taken).await), (410, 200, 200));
        let unused = format!("/oauth2/register/{}", text(&unused, "client_id"));
        let gone = server.http.get(server.url(&unused)).bearer_auth("cs_ra_x").send().await.unwrap();
        assert_eq!(gone.status(), 401);
    }
);

open!(
    // RFC 9700 §4.11: whoever registers chooses where these lead
    async fn nobody_is_sent_on_to_a_stranger_by_a_link_of_ours(server: Server) {
        let bye = "https://app.example/bye";
        let change = json!({"post_logout_redirect_uris": [bye], "initiate_login_uri": "https://app.example/begin"});
        let client = server.registered(change).await;
        let (id, secret) = (text(&client, "client_id"), text(&client, "client_secret"));
        let browser = server.browser();
        let query = [("response_type", "code"), ("client_id", id), ("scope", "openid"), ("redirect_uri", CALLBACK)];
        let code = server.sign_in_and_consent(&browser, &query).await.expect("code");
        let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)];
        let tokens = server.post_form("/oauth2/token", Some((id, secret)), &form).await.1;
        let logout = async |browser: &crate::support::Browser, more: (&str, &str)| {
            let query = [("client_id", id), ("post_logout_redirect_uri", bye), more];
            browser
                .send(browser.http.get(server.url("/oauth2/logout")).header("accept", "text/html").query(&query))
                .await
        };
        // Its own hint is as easily had as the client.
        let hint = ("id_token_hint", text(&tokens, "id_token"));
        for more in [("state", "s"), hint] {
            let page = logout(&server.browser(), more).await;
            assert_eq!((page.status.as_u16(), page.location.as_deref()), (200, None), "{page:?}");
            assert!(
                !page.has("meta[http-equiv=refresh]") && page.text("#continue").contains("app.example"),
                "{page:?}"
            );
        }
        let page = server.browser().get(&server.url(&format!("/initiate_login?client_id={id}"))).await;
        assert_eq!((page.status.as_u16(), page.location.as_deref()), (200, None), "{page:?}");
        let href = page.attribute("#continue", "href").unwrap();
        assert!(href.starts_with("https://app.example/begin?iss=") && page.text("main").contains("app.example"));
        // Who has a session there that ends comes from there.
        assert_eq!(logout(&browser, hint).await.location.as_deref(), Some(bye));
    }
);

open!(
    async fn what_a_database_cannot_hold_is_the_clients_mistake(server: Server) {
        for change in [
            json!({"jwks": {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "a", "kid": "a\u{0}"}]}}),
            json!({"jwks": {"keys": [], "a\u{0}": 1}}),
        ] {
            let answer = server.register(None, &metadata(&change)).await;
            assert_refused(&answer, 400, "invalid_client_metadata", "");
        }
        let token = Bearer::generate(Kind::RegistrationAccessToken, uuid::Uuid::new_v4()).reveal();
        let url = server.url("/oauth2/register/a%00");
        assert_eq!(server.http.get(url).bearer_auth(token).send().await.unwrap().status(), 401);
    }
);

open!(
    async fn a_client_that_asks_for_no_consent_stays(server: Server) {
        let client = server.registered(json!({})).await;
        let path = format!("/Client/{}", text(&client, "client_id"));
        server.patch(&path, json!({"first_party": true})).await;
        server.wait(2_592_000 + 4_000);
        server.instance.sweep().await.unwrap();
        assert_eq!(send(&server, "GET", &path, ()).await.0, 200);
    }
);

impl Server {
    /// Has Alice consent to a registered client.
    pub(crate) async fn code_for(&self, id: &str) -> String {
        let query = [("response_type", "code"), ("client_id", id), ("scope", "openid"), ("redirect_uri", CALLBACK)];
        self.sign_in_and_consent(&self.browser(), &query).await.expect("code")
    }
}

mod software_statements {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};

    use super::*;

    fn statement(key: &Ed25519KeyPair, claims: &Value) -> String {
        let part = |value: &Value| B64.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "EdDSA", "typ": "JWT", "kid": "a"})), part(claims));
        let signature = B64.encode(key.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    // RFC 7591 §2.3, §3.1.1
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_somebody_signed_whom_we_believe_stands_before_what_is_said() {
        let key = Ed25519KeyPair::generate().unwrap();
        let stranger = Ed25519KeyPair::generate().unwrap();
        let jwk =
            json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": B64.encode(key.public_key().as_ref())}]});
        let file = std::env::temp_dir().join(format!("countersign-{}.json", uuid::Uuid::new_v4()));
        std::fs::write(&file, jwk.to_string()).unwrap();
        let issuers = vec![("https://directory.example".to_owned(), file.clone())];
        let server = Server::start_with(Database::Sqlite, |settings| {
            settings.registration = Registration::Open;
            settings.software_statement_issuers = issuers;
        })
        .await;
        std::fs::remove_file(file).unwrap();

        let claims = json!({"iss": "https://directory.example", "iat": 1, "software_id": "s1", "client_name": "Signed", "redirect_uris": [CALLBACK]});
        let good = statement(&key, &claims);
        let asked = json!({"client_name": "Said", "redirect_uris": ["https://evil.example/"], "software_statement": good, "tos_uri": "https://app.example/tos"});
        let (status, client) = server.register(None, &asked).await;
        assert_eq!(status, 201, "{client}");
        assert_eq!(
            (&client["client_name"], &client["redirect_uris"], &client["tos_uri"]),
            (&json!("Signed"), &json!([CALLBACK]), &json!("https://app.example/tos"))
        );
        assert_eq!(client["software_statement"], good, "unmodified (RFC 7591 section 3.2.1)");
        let (_, document) = send(&server, "GET", &format!("/Client/{}", text(&client, "client_id")), ()).await;
        assert_eq!(document["registration"], "statement");

        let with = |statement: String| metadata(&json!({"software_statement": statement}));
        let expired = json!({"iss": "https://directory.example", "exp": 1_000});
        for wrong in [
            "x".to_owned(),
            statement(&stranger, &claims),
            statement(&key, &expired),
            statement(&key, &json!({})),
            format!("{good}x"),
        ] {
            assert_refused(&server.register(None, &with(wrong)).await, 400, "invalid_software_statement", "");
        }
        let other = statement(&stranger, &json!({"iss": "https://other.example"}));
        assert_refused(
            &server.register(None, &with(other)).await,
            400,
            "unapproved_software_statement",
            "other.example",
        );
    }
}

open!(
    // Clients that are pages register from where they are.
    async fn scripts_of_any_page_may_register(server: Server) {
        let url = server.url("/oauth2/register");
        let asks = server
            .http
            .request(reqwest::Method::OPTIONS, &url)
            .header("origin", "https://app.example")
            .send()
            .await
            .unwrap();
        assert!(asks.headers()["access-control-allow-headers"].to_str().unwrap().contains("content-type"));
        for body in [metadata(&json!({})), json!({})] {
            let answer =
                server.http.post(&url).header("origin", "https://app.example").json(&body).send().await.unwrap();
            assert_eq!(answer.headers()["access-control-allow-origin"], "*");
            assert_eq!(answer.headers().get("access-control-allow-credentials"), None);
        }
        let client = server.registered(json!({})).await;
        let path = server.url(&format!("/oauth2/register/{}", text(&client, "client_id")));
        let head =
            server.http.head(&path).bearer_auth(text(&client, "registration_access_token")).send().await.unwrap();
        assert_eq!(head.status(), 405, "a look must not change the token");
    }
);

#[test]
fn tokens_are_kept_as_digests() {
    let token = Bearer::generate(Kind::RegistrationAccessToken, uuid::Uuid::new_v4());
    assert!(Bearer::parse(Kind::InitialAccessToken, &token.reveal()).is_none());
    assert!(!Digest::of(token.reveal().as_bytes()).matches(token.digest().as_bytes()));
}
