//! The userinfo endpoint (OpenID Connect Core §5.3), and how tokens are presented to it (RFC 6750).

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Database, Server, both, jwt, text};

/// The answer, and the challenge that came with it.
async fn send(request: RequestBuilder) -> (Answer, Option<String>) {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let challenge = headers.get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
    ((status, response.json().await.unwrap_or(Value::Null)), challenge)
}

async fn lewis(server: &Server) {
    let document = json!({
        "userName": "lewis", "password": "correct-horse-battery", "displayName": "Lewis C.", "locale": "en-GB", "timezone": "Europe/London",
        "name": {"givenName": "Charles", "familyName": "Dodgson", "middleName": "Lutwidge"}, "gender": "male",
        "photo": "https://example.com/lewis.png", "profileUrl": "https://example.com/lewis",
        "emails": [{"value": "old@example.com"}, {"value": "lewis@example.com", "primary": true}],
        "phoneNumber": "+44 1865 276150",
        "addresses": [{"formatted": "Oxford", "streetAddress": "St Aldate's", "locality": "Oxford", "postalCode": "OX1 1DP", "country": "GB"}],
        "data": {"email_verified": true}, "roles": [{"value": "don"}],
    });
    server.put("/User/lewis", document).await;
}

async fn tokens_of(server: &Server, username: &str, scope: &str) -> Value {
    let form =
        [("grant_type", "password"), ("username", username), ("password", "correct-horse-battery"), ("scope", scope)];
    let (status, tokens) = server.token(&form).await;
    assert_eq!(status, 200, "{tokens}");
    tokens
}

// Core §5.1, §5.4
both!(
    async fn the_granted_scopes_show_their_claims_and_no_more(server: Server) {
        server.web_app(json!({})).await;
        lewis(&server).await;
        let all = [
            ("openid", json!({"sub": "lewis"})),
            ("openid email", json!({"sub": "lewis", "email": "lewis@example.com", "email_verified": true})),
            (
                "openid phone",
                json!({"sub": "lewis", "phone_number": "+44 1865 276150", "phone_number_verified": false}),
            ),
            (
                "openid address",
                json!({"sub": "lewis", "address": {"formatted": "Oxford", "street_address": "St Aldate's",
                "locality": "Oxford", "postal_code": "OX1 1DP", "country": "GB"}}),
            ),
            ("openid custom offline_access", json!({"sub": "lewis"})),
        ];
        for (scope, expected) in all {
            let tokens = tokens_of(&server, "lewis", scope).await;
            let (status, claims) = server.userinfo(text(&tokens, "access_token")).await;
            assert_eq!((status, claims), (StatusCode::OK, expected), "{scope}");
        }
        let tokens = tokens_of(&server, "lewis", "openid profile").await;
        let (_, mut claims) = server.userinfo(text(&tokens, "access_token")).await;
        let updated = claims.as_object_mut().unwrap().remove("updated_at").expect("updated_at");
        assert!(updated.as_i64().unwrap() > 1_700_000_000, "seconds (Core §5.1): {updated}");
        assert_eq!(
            claims,
            json!({
                "sub": "lewis", "name": "Lewis C.", "given_name": "Charles", "family_name": "Dodgson", "middle_name": "Lutwidge",
                "preferred_username": "lewis", "profile": "https://example.com/lewis", "picture": "https://example.com/lewis.png",
                "gender": "male", "zoneinfo": "Europe/London", "locale": "en-GB",
            })
        );
        // Core §5.3.2: the subject is that of the ID token.
        assert_eq!(jwt(text(&tokens, "id_token")).1["sub"], "lewis");
    }
);

// Core §5.3.2: a claim without a value is left out, not null or empty.
both!(
    async fn a_claim_without_a_value_is_left_out(server: Server) {
        server.web_app(json!({})).await;
        server.put("/User/bare", json!({"password": "correct-horse-battery"})).await;
        let tokens = tokens_of(&server, "bare", "openid profile email phone address").await;
        let (_, mut claims) = server.userinfo(text(&tokens, "access_token")).await;
        claims.as_object_mut().unwrap().remove("updated_at");
        assert_eq!(claims, json!({"sub": "bare"}));
    }
);

both!(
    async fn a_changed_document_shows_at_once(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let tokens = tokens_of(&server, "alice", "openid email").await;
        server.patch("/User/alice", json!({"email": "new@example.com"})).await;
        assert_eq!(server.userinfo(text(&tokens, "access_token")).await.1["email"], "new@example.com");
    }
);

// Core §5.3.1, RFC 6750 §2
both!(
    async fn the_token_comes_in_the_header_or_in_a_form_and_only_once(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let tokens = tokens_of(&server, "alice", "openid").await;
        let token = text(&tokens, "access_token");
        let (get, post) =
            (|| server.http.get(server.url("/oauth2/userinfo")), || server.http.post(server.url("/oauth2/userinfo")));
        let form = [("access_token", token)];
        let lower = get().header("authorization", format!("bearer {token}"));
        for request in [get().bearer_auth(token), post().bearer_auth(token), post().form(&form), lower] {
            let (answer, _) = send(request).await;
            assert_eq!(answer, (StatusCode::OK, json!({"sub": "alice"})));
        }
        for request in [post().bearer_auth(token).form(&form), post().form(&[form[0], form[0]])] {
            let ((status, body), challenge) = send(request).await;
            assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_request")), "{body}");
            // RFC 6750 §3.1
            assert!(challenge.unwrap().starts_with("Bearer realm=\"countersign\", error=\"invalid_request\""));
        }
        // Nor from the URL (RFC 6750 §2.3), another body, or another scheme.
        let elsewhere = [
            get().query(&form),
            post().query(&form),
            post().json(&json!({"access_token": token})),
            get().header("authorization", format!("Basic {token}")),
            get().header("authorization", token),
            get().header("cookie", format!("access_token={token}")),
        ];
        for request in elsewhere {
            let ((status, _), challenge) = send(request).await;
            // RFC 6750 §3.1: without a token the challenge has no error code.
            assert_eq!((status.as_u16(), challenge.as_deref()), (401, Some("Bearer realm=\"countersign\"")));
        }
        let ((status, _), _) = send(post().query(&form).form(&[("x", "y")])).await;
        assert_eq!(status, 400);
    }
);

// RFC 6750 §3.1
both!(
    async fn a_token_that_will_not_do_is_told_why(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let tokens = server.tokens("openid").await;
        let expired = text(&tokens, "access_token").to_owned();
        server.wait(3601);
        let tokens = server.tokens("openid").await;
        let code = server.code("openid").await;
        for wrong in ["x", &expired, text(&tokens, "refresh_token"), text(&tokens, "id_token"), &code] {
            let (answer, challenge) = send(server.http.get(server.url("/oauth2/userinfo")).bearer_auth(wrong)).await;
            assert_eq!((answer.0.as_u16(), &answer.1["error"]), (401, &json!("invalid_token")));
            let challenge = challenge.unwrap();
            assert!(challenge.starts_with("Bearer ") && challenge.contains("error=\"invalid_token\""), "{challenge}");
        }
        let no_openid = tokens_of(&server, "alice", "email").await;
        let no_person = server.client_tokens(&[("scope", "openid")]).await;
        for tokens in [no_openid, no_person] {
            let request = server.http.get(server.url("/oauth2/userinfo")).bearer_auth(text(&tokens, "access_token"));
            let (answer, challenge) = send(request).await;
            assert_eq!((answer.0.as_u16(), &answer.1["error"]), (403, &json!("insufficient_scope")));
            assert!(challenge.unwrap().contains("error=\"insufficient_scope\""));
        }
    }
);

both!(
    async fn pages_of_the_client_may_read_that_its_token_is_good_no_more_and_no_others(server: Server) {
        server.alice().await;
        for format in [json!("jwt"), json!(null)] {
            let flow = json!({"redirect_uri": "https://app.example/cb", "token_format": format});
            server.web_app(json!({"auth": {"authorization_code": flow}})).await;
            let tokens = server.tokens("openid").await;
            let token = text(&tokens, "access_token");
            server.wait(3601);
            for (origin, token, may_read) in [
                ("https://app.example", token, true),
                ("https://evil.example", token, false),
                ("https://app.example", &token[..token.len() - 2], false),
            ] {
                let asked =
                    || server.http.get(server.url("/oauth2/userinfo")).header("origin", origin).bearer_auth(token);
                let posted = server.http.post(server.url("/oauth2/userinfo")).header("origin", origin);
                let form = [("access_token", token)];
                let twice = [form[0], form[0]];
                for (request, status) in
                    [(asked(), 401), (posted.try_clone().unwrap().form(&form), 401), (posted.form(&twice), 400)]
                {
                    let response = request.send().await.unwrap();
                    let headers = response.headers();
                    assert!(response.status() == status && headers.contains_key("www-authenticate"), "{response:?}");
                    let allowed = headers.get("access-control-allow-origin").map(|value| value.to_str().unwrap());
                    assert_eq!(allowed, Some(origin).filter(|_| may_read), "{origin} {token}");
                    let exposed = headers.get("access-control-expose-headers").map(|value| value.to_str().unwrap());
                    assert_eq!(exposed, Some("www-authenticate").filter(|_| may_read));
                    assert_eq!(headers["vary"], "origin");
                }
            }
        }
    }
);

both!(
    async fn aidboxs_shape_is_for_first_party_clients_and_without_secrets(server: Server) {
        server.alice().await;
        let fhir = async |scope: &str| {
            let tokens = server.tokens(scope).await;
            let request = server.http.get(server.url("/auth/userinfo")).bearer_auth(text(&tokens, "access_token"));
            send(request.header("accept", "application/fhir+json")).await.0
        };
        server.web_app(json!({"first_party": true})).await;
        let (status, user) = fhir("").await;
        assert_eq!(
            (status, &user["resourceType"], &user["id"], &user["sub"]),
            (StatusCode::OK, &json!("User"), &json!("alice"), &json!("alice"))
        );
        assert_eq!(user["name"]["givenName"], "Alice");
        assert!(user.get("password").is_none() && !user.to_string().contains("argon2"), "{user}");
        server.web_app(json!({"token_response_userinfo": true})).await;
        assert_eq!(fhir("openid").await, (StatusCode::OK, json!({"sub": "alice"})));
        assert_eq!(fhir("email").await.0, 403);
    }
);

both!(
    async fn answers_are_never_kept_by_a_cache(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let tokens = tokens_of(&server, "alice", "openid").await;
        for token in [text(&tokens, "access_token"), "x"] {
            let response = server.http.get(server.url("/userinfo")).bearer_auth(token).send().await.unwrap();
            assert_eq!(response.headers()["cache-control"], "no-store");
        }
    }
);

// Core §5.3.2, OpenID Connect Registration §2
both!(
    async fn a_client_that_asks_for_it_gets_a_signed_jwt(server: Server) {
        server.alice().await;
        for alg in ["RS256", "ES256", "EdDSA"] {
            server.web_app(json!({"userinfo_signed_response_alg": alg, "first_party": true})).await;
            let tokens = tokens_of(&server, "alice", "openid email").await;
            let get = || server.http.get(server.url("/userinfo")).bearer_auth(text(&tokens, "access_token"));
            let response = get().send().await.unwrap();
            assert_eq!(response.headers()["content-type"], "application/jwt");
            let signed = response.text().await.unwrap();
            let (header, claims) = jwt(&signed);
            assert_eq!(header["alg"], alg);
            assert_eq!(
                claims,
                json!({"sub": "alice", "email": "alice@example.com", "email_verified": false, "iss": server.issuer(), "aud": "web-app"})
            );
            // It is no ID token, and is not taken for one.
            let query = [("response_type", "code"), ("client_id", "web-app"), ("id_token_hint", signed.as_str())];
            let page = server.authorize(&server.browser(), &query).await;
            assert_eq!(page.returned().get("error"), Some("invalid_request"));
            let aidbox = get().header("accept", "application/fhir+json").send().await.unwrap();
            assert_eq!(aidbox.json::<Value>().await.unwrap()["resourceType"], "User");
        }
        let (status, _) =
            crate::support::send(&server, "PUT", "/Client/x", json!({"userinfo_signed_response_alg": "HS256"})).await;
        assert_eq!(status, 422);
    }
);

// Core §5.1, §5.1.1
both!(
    async fn claims_have_the_types_of_the_specification_and_are_never_empty(server: Server) {
        server.web_app(json!({})).await;
        server.put("/User/odd", json!({
            "userName": "odd", "password": "correct-horse-battery", "displayName": "", "name": {"formatted": "", "givenName": "O", "familyName": ""},
            "email": "odd@example.com", "emails": [{"value": ""}], "photo": "", "photos": [{"value": "https://a.example/p.png"}], "locale": "",
            "preferredLanguage": "fr-CA", "phoneNumbers": [{"value": "+1 1"}], "roles": [], "gender": "", "timezone": "",
            "data": {"website": 7, "birthdate": "0000-10-31", "nickname": "", "phone_number_verified": true, "email_verified": "yes"},
            "addresses": [{"locality": "", "country": "CA", "type": "home"}],
        })).await;
        let tokens = tokens_of(&server, "odd", "openid profile email phone address groups").await;
        let (_, mut claims) = server.userinfo(text(&tokens, "access_token")).await;
        assert!(claims.as_object_mut().unwrap().remove("updated_at").unwrap().is_i64());
        assert_eq!(
            claims,
            json!({
                "sub": "odd", "name": "O", "given_name": "O", "preferred_username": "odd", "picture": "https://a.example/p.png",
                "birthdate": "0000-10-31", "locale": "fr-CA", "email": "odd@example.com", "email_verified": false,
                "phone_number": "+1 1", "phone_number_verified": true, "address": {"country": "CA"},
            })
        );
    }
);
