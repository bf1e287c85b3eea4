//! Aidbox's documents load unchanged: every field of its Client, User and Grant, and the documents seen in the wild, in JSON and
//! YAML, on both mounts, and read back equal but for secrets and `meta`.

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::support::{Database, Server, both, merge, read};

const FHIR: &str = "/fhir";

/// The document without what a server fills in or hides.
fn bare(mut document: Value) -> Value {
    let members = document.as_object_mut().unwrap();
    for name in ["resourceType", "id", "meta", "secret", "password"] {
        members.remove(name);
    }
    document
}

/// Puts the document at this mount in this format, reads it back in both formats, and compares.
async fn round_trip(server: &Server, path: &str, format: &str, document: &Value, expected: &Value) {
    let text =
        if format == "text/yaml" { countersign::resources::format::to_yaml(document) } else { document.to_string() };
    let put = server.admin("PUT", path).header(CONTENT_TYPE, format).header(ACCEPT, format).body(text.clone());
    let response = put.send().await.unwrap();
    assert!(response.status().is_success(), "{path}: {} {text}", response.text().await.unwrap());
    let written = in_format(&response.text().await.unwrap(), format);
    assert_eq!(&bare(written.clone()), expected, "{path} {format}");
    let (kind, id) = path.trim_start_matches(FHIR).trim_start_matches('/').split_once('/').unwrap();
    assert_eq!((&written["resourceType"], &written["id"]), (&json!(kind), &json!(id)));
    for format in ["application/json", "application/fhir+json", "text/yaml"] {
        let response = server.admin("GET", path).header(ACCEPT, format).send().await.unwrap();
        assert_eq!(in_format(&response.text().await.unwrap(), format), written, "{path} {format}");
    }
}

fn in_format(text: &str, format: &str) -> Value {
    if format == "text/yaml" {
        countersign::resources::format::yaml(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    } else {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

async fn everywhere(server: &Server, kind: &str, id: &str, document: &Value) {
    for (mount, format) in
        [("", "application/json"), ("", "text/yaml"), (FHIR, "application/fhir+json"), (FHIR, "text/yaml")]
    {
        let expected = bare(document.clone());
        round_trip(server, &format!("{mount}/{kind}/{id}"), format, document, &expected).await;
        server.admin("DELETE", &format!("/{kind}/{id}")).send().await.unwrap();
    }
}

both!(
    async fn the_documents_seen_in_the_wild_all_load(server: Server) {
        let assertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let inferno = json!({"pkce": true, "audience": ["https://h/fhir"], "redirect_uri": "https://inferno.test/cb",
            "refresh_token": true, "secret_required": true, "token_format": "jwt", "access_token_expiration": 300});
        let mut public = inferno.clone();
        public.as_object_mut().unwrap().remove("secret_required");
        public["client_assertion_types"] = json!([assertion]);
        let key = json!({"kty": "RSA", "n": "AQAB".repeat(86), "e": "AQAB", "kid": "k1", "alg": "RS384", "use": "sig"});
        let grant_types = json!(["authorization_code", "basic"]);
        let smart = json!({"launch_uri": "https://inferno.test/launch"});
        for (index, document) in [
            json!({"secret": "x", "grant_types": ["basic"]}),
            json!({"id": "inferno-client", "secret": "verysecret", "type": "smart-app", "grant_types": grant_types,
                "auth": {"authorization_code": inferno}, "smart": smart, "jwks_uri": "https://inferno.test/jwks.json"}),
            json!({"resourceType": "Client", "id": "inferno-public", "type": "smart-app", "grant_types": grant_types,
                "auth": {"authorization_code": public}, "smart": smart, "jwks_uri": "https://inferno.test/jwks.json"}),
            json!({"type": "bulk-api-client", "active": true, "scope": ["system/*.read"], "jwks": [key],
                "grant_types": ["client_credentials"], "auth": {"client_credentials": {"token_format": "jwt",
                "client_assertion_types": [assertion], "access_token_expiration": 300}}}),
            json!({"first_party": true, "grant_types": ["code"], "scope": ["openid", "profile", "email"],
                "auth": {"authorization_code": {"pkce": true, "redirect_uri": "https://portal.test/cb"}}}),
            json!({"first_party": true, "grant_types": ["implicit"],
                "auth": {"implicit": {"redirect_uri": "http://localhost:3449/index.html"}}}),
            json!({"id": "web-app", "secret": "verysecret", "redirect_uri": "http://a,https://b"}),
            // The vendor's own slip: milliseconds.
            json!({"auth": {"implicit": {"access_token_expiration": 3_600_000}}, "grant_types": ["implicit"]}),
        ]
        .iter()
        .enumerate()
        {
            everywhere(&server, "Client", &format!("wild-{index}"), document).await;
        }
    }
);

both!(
    async fn every_field_of_a_client_is_stored_and_returned(server: Server) {
        let flow = json!({
            "redirect_uri": "https://a.example/cb", "token_format": "jwt", "access_token_expiration": 300,
            "refresh_token": true, "refresh_token_expiration": 86400, "audience": ["https://api.example", "#regex.*"],
            "secret_required": true, "pkce": false,
            "client_assertion_types": ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"],
        });
        let mut code = flow.clone();
        // Ours.
        code["redirect_uris"] = json!(["https://b.example/cb"]);
        code["refresh_grace"] = json!(0);
        code["refresh_scope_from_grant"] = json!(true);
        let mut document = json!({
            "secret": "verysecret", "active": true, "name": "Name", "description": "Description", "type": "smart-app",
            "first_party": false, "trusted": true,
            "grant_types": ["basic", "authorization_code", "code", "password", "client_credentials", "implicit",
                "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"],
            "auth": {"authorization_code": code, "client_credentials": flow, "password": flow, "implicit": flow,
                "token_exchange": flow},
            "allowed_origins": ["https://*.example.com", "https://a.example/path?x#y"],
            "allowedIssuers": ["https://ehr.test"], "scope": ["openid", "system/*.read", "launch/patient"],
            "jwks": [{"kid": "k", "kty": "RSA", "alg": "RS384", "e": "AQAB", "n": "AQAB".repeat(86), "use": "sig"}],
            "smart": {"launch_uri": "https://a.example/launch", "name": "n", "description": "d", "logo_url": "x",
                "tos_url": "x", "privacy_url": "x", "organization": {"name": "n", "url": "u"}},
            "fhir-base-url": "/patient/fhir",
            "details": {"user-id": "u", "status": "active", "nested": [{"deep": [1, 2.5, true, null, "x"]}]},
            "_source": "code", "redirect_uri": "http://localhost:1/cb, https://c.example/cb", "audience": "#.*",
        });
        let metadata = json!({
            // Ours, and RFC 7591 §2 with its relatives.
            "introspect": "any", "token_response_userinfo": true, "access_token_signed_response_alg": "EdDSA",
            "client_uri": "https://a.example", "logo_uri": "https://a.example/logo.png",
            "policy_uri": "https://a.example/policy", "tos_uri": "https://a.example/tos", "contacts": ["a@example.com"],
            "software_id": "s", "software_version": "1", "application_type": "web", "response_types": ["code"],
            "token_endpoint_auth_signing_alg": "PS384", "request_object_signing_alg": "none",
            "request_uris": ["https://a.example/request#hash"],
            "token_endpoint_auth_method": "client_secret_basic", "id_token_signed_response_alg": "ES256",
            "subject_type": "public", "default_max_age": 0, "require_auth_time": true, "default_acr_values": ["1"],
            "initiate_login_uri": "https://a.example/login", "post_logout_redirect_uris": ["https://a.example/bye"],
            "backchannel_logout_uri": "https://a.example/back", "backchannel_logout_session_required": true,
            "frontchannel_logout_uri": "https://a.example/front", "frontchannel_logout_session_required": false,
        });
        merge(&mut document, &metadata);
        everywhere(&server, "Client", "full", &document).await;
        // RFC 7591 §2: in one of the two places.
        let uri = document.as_object_mut().unwrap().remove("jwks").map(|_| json!("https://a.example/jwks"));
        document["jwks_uri"] = uri.unwrap();
        everywhere(&server, "Client", "full", &document).await;
    }
);

both!(
    async fn every_field_of_a_user_is_stored_and_returned(server: Server) {
        let many = json!([{"value": "v", "display": "d", "type": "work", "primary": true}, {"value": "w"}]);
        let document = json!({
            "userName": "ann", "email": "ann@example.com", "password": "correct-horse-battery", "inactive": false,
            "active": true, "passwordResetJti": "jti",
            "identifier": [{"system": "https://idp.test", "value": "42", "period": {"start": "2026-01-01"}}],
            "data": {"groups": ["a"], "nested": {"x": 1}}, "securityLabel": [{"system": "s", "code": "c"}],
            "roles": many, "emails": many, "phoneNumbers": many, "ims": many, "photos": many, "entitlements": many,
            "x509Certificates": many,
            "name": {"formatted": "Ann B", "familyName": "B", "givenName": "Ann", "middleName": "M",
                "honorificPrefix": "Dr", "honorificSuffix": "Jr"},
            "displayName": "Ann", "title": "t", "userType": "u", "gender": "female", "locale": "de-CH",
            "timezone": "Europe/Zurich", "preferredLanguage": "de", "photo": "https://a.example/ann.png",
            "profileUrl": "https://a.example/ann", "phoneNumber": "+41", "employeeNumber": "007", "costCenter": "1e3",
            "department": "yes", "division": "null",
            "addresses": [{"formatted": "f\nline", "streetAddress": "s", "locality": "l", "region": "r",
                "postalCode": "01234", "country": "CH", "type": "home"}],
        });
        everywhere(&server, "User", "ann", &document).await;
        // What has references or secrets inside is compared as it is shown.
        let factor = json!({"twoFactor": {"enabled": true, "transport": "sms", "secretKey": "JBSWY3DPEHPK3PXP"}});
        let shown = json!({"twoFactor": {"enabled": true, "transport": "sms", "secretKey": "********"}});
        round_trip(&server, "/User/two", "application/json", &factor, &shown).await;
        round_trip(&server, "/fhir/User/two", "text/yaml", &factor, &shown).await;
    }
);

both!(
    async fn a_reference_may_have_either_form_on_either_mount(server: Server) {
        let aidbox = |kind: &str, id: &str| json!({"resourceType": kind, "id": id});
        let fhir = |kind: &str, id: &str| json!({"reference": format!("{kind}/{id}")});
        let client = |reference: &dyn Fn(&str, &str) -> Value| {
            json!({"allowed-scopes": [reference("Scope", "s1")],
                "scopes": [{"policy": reference("AccessPolicy", "p"), "parameters": {"x": 1}}],
                "auth": {"authorization_code": {"default_identity_provider": reference("IdentityProvider", "i")}}})
        };
        let user = |reference: &dyn Fn(&str, &str) -> Value| {
            json!({"fhirUser": reference("Patient", "p1"), "manager": reference("User", "boss"),
                "organization": reference("Organization", "o"), "link": [{"link": reference("Patient", "p"), "type": "t"}]})
        };
        let grant = |reference: &dyn Fn(&str, &str) -> Value| json!({"user": reference("User", "u"), "client": reference("Client", "c"), "patient": reference("Patient", "p")});
        for (kind, in_aidbox, in_fhir) in [
            ("Client", client(&aidbox), client(&fhir)),
            ("User", user(&aidbox), user(&fhir)),
            ("Grant", grant(&aidbox), grant(&fhir)),
        ] {
            for document in [&in_aidbox, &in_fhir] {
                round_trip(&server, &format!("/{kind}/r"), "application/json", document, &in_aidbox).await;
                round_trip(&server, &format!("/fhir/{kind}/r"), "text/yaml", document, &in_fhir).await;
            }
        }
        let (_, fhir) = read(server.admin("GET", "/fhir/Client/r").send().await.unwrap()).await;
        assert!(fhir["meta"].get("createdAt").is_none() && fhir["meta"]["extension"][0]["valueInstant"].is_string());
        let (_, plain) = read(server.admin("GET", "/Client/r").send().await.unwrap()).await;
        assert!(plain["meta"]["createdAt"].is_string() && plain["meta"].get("extension").is_none());
    }
);
