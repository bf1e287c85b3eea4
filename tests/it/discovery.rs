//! Discovery tells the truth: what is advertised works, and what is not advertised is refused (OpenID Connect Discovery 1.0 §3, §4;
//! RFC 8414 §2, §3).

use std::collections::BTreeSet;

use countersign::config::AllowGrants;
use serde_json::{Value, json};

use crate::support::{Browser, CHALLENGE, ClientKey, Database, Server, both, jwt, request, sign_with_secret, text};

/// The words of a list in the metadata.
fn list<'a>(metadata: &'a Value, name: &str) -> Vec<&'a str> {
    let list = metadata[name].as_array().unwrap_or_else(|| panic!("no {name} in {metadata}"));
    list.iter().map(|word| word.as_str().unwrap()).collect()
}

/// The error that an authorization request comes back with; `None` where it comes back with what it asks for, or asks the person.
async fn refused(server: &Server, browser: &Browser, more: &[(&str, &str)]) -> Option<String> {
    let query: Vec<_> = [("client_id", "web-app")].iter().chain(more).copied().collect();
    let page = server.authorize(browser, &query).await;
    if page.location.is_none() {
        assert!(
            page.is_login() || page.is_consent() || page.has("#continue_as") || page.posted().is_some(),
            "{page:?}"
        );
        return None;
    }
    page.returned().get("error").map(str::to_owned)
}

both!(
    async fn both_documents_are_the_same_and_may_be_cached_and_read_by_any_page(server: Server) {
        let first = server.metadata().await;
        for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
            let get =
                || server.http.get(server.url(path)).header("origin", "https://any.example").header("accept", "*/*");
            let response = get().send().await.unwrap();
            let headers = response.headers().clone();
            assert!(headers["cache-control"].to_str().unwrap().contains("max-age="), "{headers:?}");
            assert_eq!(headers["access-control-allow-origin"], "*");
            assert!(!headers.contains_key("access-control-allow-credentials") && !headers.contains_key("set-cookie"));
            assert_eq!(response.json::<Value>().await.unwrap(), first);
            let again = get().header("if-none-match", &headers["etag"]).send().await.unwrap();
            assert_eq!((again.status().as_u16(), again.text().await.unwrap().as_str()), (304, ""));
            assert_eq!(server.http.post(server.url(path)).send().await.unwrap().status(), 405);
        }
        assert_eq!(first["issuer"], server.issuer());
        assert!(
            first
                .as_object()
                .unwrap()
                .values()
                .all(|value| !value.is_null() && *value != json!([]) && *value != json!(""))
        );
        // Discovery §3, RFC 8414 §2: required, or required where it is not the default.
        for name in [
            "authorization_endpoint",
            "token_endpoint",
            "jwks_uri",
            "response_types_supported",
            "subject_types_supported",
            "id_token_signing_alg_values_supported",
        ] {
            assert!(first.get(name).is_some(), "{name}");
        }
        assert!(list(&first, "id_token_signing_alg_values_supported").contains(&"RS256"));
        assert!(list(&first, "scopes_supported").contains(&"openid"));
        for absent in
            ["registration_endpoint", "pushed_authorization_request_endpoint", "device_authorization_endpoint"]
        {
            assert!(first.get(absent).is_none(), "{absent} is not served");
        }
    }
);

both!(
    async fn every_endpoint_is_where_it_says_and_answers(server: Server) {
        let metadata = server.metadata().await;
        // What each answers to an empty GET: 405 where it wants a POST, never 404.
        let answers = [
            ("authorization_endpoint", 400),
            ("token_endpoint", 405),
            ("userinfo_endpoint", 401),
            ("introspection_endpoint", 405),
            ("revocation_endpoint", 405),
            ("end_session_endpoint", 200),
            ("jwks_uri", 200),
        ];
        let named: BTreeSet<&str> = metadata
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .filter(|name| name.ends_with("_endpoint") || name.ends_with("_uri"))
            .collect();
        assert_eq!(named, answers.iter().map(|(name, _)| *name).collect());
        for (name, status) in answers {
            let url = text(&metadata, name);
            assert!(url.starts_with(&format!("{}/", server.issuer())), "{url}");
            assert_eq!(server.http.get(url).send().await.unwrap().status(), status, "{name}");
        }
        for (path, name) in [
            ("/oauth2/register", "registration"),
            ("/oauth2/par", "PAR"),
            ("/oauth2/device_authorization", "device grant"),
        ] {
            let status = server.http.post(server.url(path)).form(&[("client_id", "x")]).send().await.unwrap().status();
            assert!(matches!(status.as_u16(), 401 | 404 | 405), "{name}: {status}");
        }
    }
);

both!(
    async fn modes_prompts_and_challenges(server: Server) {
        server.web_app(json!({"first_party": true})).await;
        server.alice().await;
        let metadata = server.metadata().await;
        let browser = server.signed_in().await;
        for mode in ["query", "fragment", "form_post", "jwt", "web_message"] {
            let error = refused(&server, &browser, &[("response_type", "code"), ("response_mode", mode)]).await;
            assert_eq!(error.is_none(), list(&metadata, "response_modes_supported").contains(&mode), "{mode}");
        }
        for prompt in ["none", "login", "consent", "select_account", "create"] {
            let error = refused(&server, &browser, &[("response_type", "code"), ("prompt", prompt)]).await;
            assert_eq!(error.is_none(), list(&metadata, "prompt_values_supported").contains(&prompt), "{prompt}");
        }
        for method in ["S256", "plain", "S512"] {
            let challenge =
                [("response_type", "code"), ("code_challenge", CHALLENGE), ("code_challenge_method", method)];
            let works = refused(&server, &browser, &challenge).await.is_none();
            assert_eq!(works, list(&metadata, "code_challenge_methods_supported").contains(&method), "{method}");
        }
        // RFC 9207 §3, and what Core §6 calls optional.
        assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
        assert_eq!(
            server.authorize(&browser, &request(&[])).await.returned().get("iss"),
            Some(text(&metadata, "issuer"))
        );
        for (flag, parameter, error) in [
            ("request_parameter_supported", "request", "invalid_request_object"),
            ("request_uri_parameter_supported", "request_uri", "invalid_request_uri"),
        ] {
            assert_eq!(metadata[flag], true);
            let refused =
                refused(&server, &browser, &[("response_type", "code"), (parameter, "https://app.example/x")]).await;
            assert_eq!(refused.as_deref(), Some(error), "it is read");
        }
        assert_eq!(metadata["require_request_uri_registration"], true);
    }
);

both!(
    async fn scopes_and_claims(server: Server) {
        server.web_app(json!({"first_party": true})).await;
        server.put("/User/alice", json!({
            "userName": "alice", "email": "alice@example.com", "password": "correct-horse-battery", "displayName": "Alice L.",
            "name": {"givenName": "Alice", "familyName": "Liddell", "middleName": "P."}, "phoneNumber": "+44 1", "profileUrl": "https://alice.example",
            "photo": "https://alice.example/me.png", "gender": "female", "timezone": "Europe/London", "locale": "en-GB", "data": {"nickname": "al", "website": "https://alice.example/blog", "birthdate": "1852-05-04"},
            "addresses": [{"formatted": "Oxford"}], "roles": [{"value": "reader"}],
        })).await;
        let metadata = server.metadata().await;
        let browser = server.signed_in().await;
        let scopes = list(&metadata, "scopes_supported").join(" ");
        let code = server
            .authorize(&browser, &request(&[("scope", &scopes), ("nonce", "n"), ("acr_values", "1")]))
            .await
            .returned()
            .expect("code");
        let tokens = server.redeemed(&code).await;
        assert_eq!(tokens["scope"], scopes.as_str());
        let (status, userinfo) = server.userinfo(text(&tokens, "access_token")).await;
        assert_eq!(status, 200);
        let (_, id_token) = jwt(text(&tokens, "id_token"));
        let found: BTreeSet<&str> = [&userinfo, &id_token]
            .iter()
            .flat_map(|claims| claims.as_object().unwrap().keys())
            .map(String::as_str)
            .collect();
        let claimed: BTreeSet<&str> = list(&metadata, "claims_supported").into_iter().collect();
        assert!(claimed.is_subset(&found), "not delivered: {:?}", claimed.difference(&found).collect::<Vec<_>>());
        let own = ["jti", "sid", "azp"].into();
        assert!(
            found.is_subset(&claimed.union(&own).copied().collect()),
            "not advertised: {:?}",
            found.difference(&claimed).collect::<Vec<_>>()
        );
    }
);

both!(
    async fn signing_algorithms(server: Server) {
        server.alice().await;
        let metadata = server.metadata().await;
        let keys: Value = server.http.get(text(&metadata, "jwks_uri")).send().await.unwrap().json().await.unwrap();
        let algorithms = list(&metadata, "id_token_signing_alg_values_supported");
        for alg in ["RS256", "ES256", "EdDSA", "HS256", "PS256", "none"] {
            let document = json!({
                "secret": "client-secret", "first_party": true, "id_token_signed_response_alg": alg, "grant_types": ["code"],
                "auth": {"authorization_code": {"redirect_uri": "http://localhost:4200/cb"}},
            });
            let put = server.admin("PUT", "/Client/web-app").json(&document).send().await.unwrap();
            assert_eq!(put.status().is_success(), algorithms.contains(&alg), "{alg}");
            if put.status().is_success() {
                let code = server
                    .authorize(&server.signed_in().await, &request(&[("scope", "openid")]))
                    .await
                    .returned()
                    .expect("code");
                let (header, _) = jwt(text(&server.redeemed(&code).await, "id_token"));
                assert_eq!(header["alg"], alg);
                assert!(
                    keys["keys"].as_array().unwrap().iter().any(|key| key["kid"] == header["kid"] && key["alg"] == alg),
                    "{header}"
                );
            }
        }
    }
);

both!(
    async fn client_authentication_methods(server: Server) {
        server.web_app(json!({"introspect": "any"})).await;
        server.spa(json!({})).await;
        let (key, secret) = (ClientKey::new("ES256", "k"), "x".repeat(64));
        for (method, name, value) in
            [("client_secret_jwt", "secret", json!(secret)), ("private_key_jwt", "jwks", key.jwks())]
        {
            let document =
                json!({"token_endpoint_auth_method": method, name: value, "grant_types": ["client_credentials"]});
            server.put(&format!("/Client/{method}"), document).await;
        }
        let metadata = server.metadata().await;
        for (list_name, path, extra) in [
            ("token_endpoint_auth_methods_supported", "/oauth2/token", ("grant_type", "client_credentials")),
            ("introspection_endpoint_auth_methods_supported", "/oauth2/introspect", ("token", "x")),
            ("revocation_endpoint_auth_methods_supported", "/oauth2/revoke", ("token", "x")),
        ] {
            let methods = list(&metadata, list_name);
            for method in [
                "client_secret_basic",
                "client_secret_post",
                "none",
                "client_secret_jwt",
                "private_key_jwt",
                "tls_client_auth",
            ] {
                let now = server.instance.clock.now().0;
                let claims =
                    json!({"iss": method, "sub": method, "aud": server.issuer(), "exp": now + 60, "jti": path});
                let jwt = match method {
                    "client_secret_jwt" => sign_with_secret("HS256", &secret, &claims),
                    _ => key.sign(&claims),
                };
                let assertion = [
                    extra,
                    ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                    ("client_assertion", jwt.as_str()),
                ];
                let (status, body) = match method {
                    "client_secret_basic" => server.post_form(path, Some(("web-app", "client-secret")), &[extra]).await,
                    "client_secret_post" => {
                        server
                            .post_form(
                                path,
                                None,
                                &[extra, ("client_id", "web-app"), ("client_secret", "client-secret")],
                            )
                            .await
                    }
                    "none" => server.post_form(path, None, &[extra, ("client_id", "spa")]).await,
                    _ => server.post_form(path, None, &assertion).await,
                };
                // A public client gets past its authentication: what it is refused is the grant.
                let authenticated = body["error"] != "invalid_client" && status != 401;
                assert_eq!(authenticated, methods.contains(&method), "{list_name} {method} {status} {body}");
            }
        }
    }
);

#[tokio::test]
async fn response_types_are_those_that_the_operator_allows() {
    for implicit in [true, false] {
        let server = Server::start_with(Database::Sqlite, |settings| {
            settings.allow_grants = AllowGrants { implicit, password: false }
        })
        .await;
        server.alice().await;
        let always = ["code", "code id_token"];
        let gated = ["code token", "code id_token token", "id_token", "id_token token", "token"];
        let all = [&always[..], &gated[..]].concat();
        server.web_app(json!({"first_party": true, "grant_types": ["code", "implicit"], "response_types": all})).await;
        let metadata = server.metadata().await;
        let expected = if implicit { all.clone() } else { always.to_vec() };
        assert_eq!(list(&metadata, "response_types_supported"), expected);
        assert_eq!(list(&metadata, "grant_types_supported").contains(&"implicit"), implicit);
        let browser = server.signed_in().await;
        for response_type in all.into_iter().chain(["none", "device_code", "code code"]) {
            let query = [("response_type", response_type), ("scope", "openid"), ("nonce", "n")];
            let error = refused(&server, &browser, &query).await;
            let works = expected.contains(&response_type);
            assert_eq!(error.as_deref(), (!works).then_some("unsupported_response_type"), "{response_type}");
        }
    }
}

#[tokio::test]
async fn grant_types_are_those_that_the_operator_allows() {
    for password in [true, false] {
        let server = Server::start_with(Database::Sqlite, |settings| {
            settings.allow_grants = AllowGrants { implicit: false, password }
        })
        .await;
        server.web_app(json!({"grant_types": null})).await;
        server.alice().await;
        let metadata = server.metadata().await;
        let grants = list(&metadata, "grant_types_supported");
        assert_eq!(grants.contains(&"password"), password);
        for grant in [
            "authorization_code",
            "refresh_token",
            "client_credentials",
            "password",
            "implicit",
            "urn:ietf:params:oauth:grant-type:device_code",
            "urn:ietf:params:oauth:grant-type:token-exchange",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "urn:openid:params:grant-type:ciba",
        ] {
            let form = [
                ("grant_type", grant),
                ("username", "alice"),
                ("password", "correct-horse-battery"),
                ("code", "x"),
                ("refresh_token", "x"),
            ];
            let (_, body) = server.token(&form).await;
            assert_eq!(body["error"] != "unsupported_grant_type", grants.contains(&grant), "{grant} {body}");
        }
    }
}
