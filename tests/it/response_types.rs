//! Response types and modes (RFC 6749 §4.2; OAuth 2.0 Multiple Response Type Encoding Practices; OAuth 2.0 Form Post Response Mode;
//! OpenID Connect Core §3.2, §3.3).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use countersign::config::AllowGrants;
use serde_json::{Value, json};

use crate::support::{Browser, Database, Server, assert_refused, both, issues, jwt, merge, send, text};

const ALL: [&str; 7] =
    ["code", "code id_token", "code token", "code id_token token", "id_token", "id_token token", "token"];
const CALLBACK: &str = "http://localhost:4200/cb";

/// A server where the implicit grant is on, a first-party client that may ask for everything, and Alice, who is signed in.
async fn started(server: &Server, change: Value) -> (Server, Browser) {
    let server = server.allowing_implicit().await;
    let mut document = json!({"first_party": true, "grant_types": ["code", "implicit"], "response_types": ALL});
    merge(&mut document, &change);
    server.web_app(document).await;
    server.alice().await;
    let browser = server.signed_in().await;
    (server, browser)
}

fn asked<'a>(response_type: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let query = [
        ("response_type", response_type),
        ("client_id", "web-app"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid profile email"),
        ("state", "s &#"),
    ];
    let query: Vec<_> = query.into_iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name)).collect();
    query.into_iter().chain(more.iter().copied()).collect()
}

fn half(alg: &str, value: &str) -> String {
    use aws_lc_rs::digest::{SHA256, SHA512, digest};
    let digest = digest(if alg == "EdDSA" { &SHA512 } else { &SHA256 }, value.as_bytes());
    B64.encode(&digest.as_ref()[..digest.as_ref().len() / 2])
}

async fn redeem(server: &Server, code: &str) -> (reqwest::StatusCode, Value) {
    server.token(&[("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)]).await
}

// Core §3.2.2.5, §3.3.2.5, §3.3.2.11; Multiple Response Types §3, §5; RFC 6749 §4.2.2; RFC 9207 §2
both!(
    async fn each_response_type_in_any_order_brings_what_it_names_in_the_fragment(server: Server) {
        for (alg, format) in [("RS256", json!(null)), ("ES256", json!("jwt")), ("EdDSA", json!(null))] {
            let flow = json!({"token_format": format});
            let (server, browser) = started(
                &server,
                json!({"id_token_signed_response_alg": alg,
                "auth": {"authorization_code": flow, "implicit": {"token_format": format}}}),
            )
            .await;
            for response_type in ALL.into_iter().chain(["token id_token code", "id_token code", "token id_token"]) {
                let wants = |word: &str| response_type.split(' ').any(|one| one == word);
                let page = server.authorize(&browser, &asked(response_type, &[("nonce", "n-1")])).await;
                let location = page.location.clone().unwrap_or_else(|| panic!("{response_type} {page:?}"));
                let separator = if response_type == "code" { '?' } else { '#' };
                assert!(location.starts_with(&format!("{CALLBACK}{separator}")), "{response_type} {location}");
                let returned = page.returned();
                let mut names = vec!["iss", "session_state", "state"];
                names.extend(["code", "id_token"].into_iter().filter(|word| wants(word)));
                if wants("token") {
                    names.extend(["access_token", "expires_in", "scope", "token_type"]);
                }
                names.sort_unstable();
                assert_eq!(returned.pairs.keys().collect::<Vec<_>>(), names, "{response_type}");
                assert_eq!((returned.get("state"), returned.get("iss")), (Some("s &#"), Some(server.issuer())));

                if wants("token") {
                    assert_eq!(
                        (returned.get("token_type"), returned.get("expires_in")),
                        (Some("Bearer"), Some("3600"))
                    );
                    let access = returned.expect("access_token");
                    assert_eq!(access.contains('.'), format == "jwt", "{access}");
                    let (status, claims) = server.userinfo(&access).await;
                    assert_eq!(
                        (status.as_u16(), &claims["sub"], &claims["email"]),
                        (200, &json!("alice"), &json!("alice@example.com"))
                    );
                    assert_eq!(server.introspect(&access).await["scope"], "openid profile email");
                }
                if wants("id_token") {
                    let (header, claims) = jwt(&returned.expect("id_token"));
                    assert_eq!(
                        (&header["alg"], &claims["nonce"], &claims["aud"]),
                        (&json!(alg), &json!("n-1"), &json!("web-app"))
                    );
                    assert!(claims["auth_time"].is_number() && claims["iss"] == server.issuer(), "{claims}");
                    for (hash, value) in [("c_hash", "code"), ("at_hash", "access_token")] {
                        let expected = returned.get(value).map(|value| json!(half(alg, value)));
                        assert_eq!(claims.get(hash), expected.as_ref(), "{response_type} {hash}");
                    }
                    // Core §5.4: where an access token is issued, the scope's claims are at userinfo.
                    let alone = response_type == "id_token";
                    assert_eq!(
                        (claims.get("email").is_some(), claims.get("name").is_some()),
                        (alone, alone),
                        "{claims}"
                    );
                }
                if wants("code") {
                    let (status, tokens) = redeem(&server, &returned.expect("code")).await;
                    assert_eq!(status, 200, "{response_type} {tokens}");
                    let (_, second) = jwt(text(&tokens, "id_token"));
                    assert_eq!(second["at_hash"], half(alg, text(&tokens, "access_token")));
                    assert!(second.get("email").is_none() && second.get("name").is_none(), "Core 5.4: {second}");
                    // Core §3.3.3.6: the same issuer and subject, and the same claims about the authentication.
                    if let Some(first) = returned.get("id_token") {
                        let (_, first) = jwt(first);
                        for name in ["iss", "sub", "aud", "nonce", "auth_time"] {
                            assert_eq!(first[name], second[name], "{name}");
                        }
                    }
                    assert!(server.is_active(text(&tokens, "access_token")).await);
                }
            }
        }
    }
);

both!(
    async fn a_response_type_needs_the_document_and_mostly_the_switch_and_the_grant(server: Server) {
        for (switch, document, refused) in [
            (true, json!({}), &[][..]),
            (false, json!({}), &[(2..7, "unsupported_response_type")][..]),
            (true, json!({"grant_types": ["code"]}), &[(2..7, "unauthorized_client")]),
            (true, json!({"grant_types": ["implicit"]}), &[(0..4, "unauthorized_client")]),
            // RFC 7591 §2: `code` where none is listed.
            (true, json!({"response_types": null}), &[(1..7, "unauthorized_client")]),
            (
                true,
                json!({"response_types": ["token  id_token", "code"]}),
                &[(1..5, "unauthorized_client"), (6..7, "unauthorized_client")],
            ),
            // The documents of 2018, and Aidbox's whose only grant in a browser is the implicit one.
            (true, json!({"grant_types": null}), &[(2..7, "unauthorized_client")]),
            (true, json!({"grant_types": ["implicit"], "response_types": null}), &[(0..5, "unauthorized_client")]),
        ] {
            let server = server
                .another_with(|settings| settings.allow_grants = AllowGrants { implicit: switch, password: true })
                .await;
            let mut web_app = json!({"first_party": true, "grant_types": ["code", "implicit"], "response_types": ALL});
            merge(&mut web_app, &document);
            server.web_app(web_app).await;
            server.alice().await;
            let browser = server.signed_in().await;
            for (index, response_type) in ALL.into_iter().enumerate() {
                let page = server.authorize(&browser, &asked(response_type, &[("nonce", "n")])).await;
                let expected = refused.iter().find(|(range, _)| range.contains(&index)).map(|(_, error)| *error);
                assert_eq!(page.returned().get("error"), expected, "{switch} {document} {response_type}");
                // Multiple Response Types §5: an error travels as the answer would have.
                let separator = if response_type == "code" { '?' } else { '#' };
                assert!(page.location.unwrap().starts_with(&format!("{CALLBACK}{separator}")), "{response_type}");
            }
        }
    }
);

// Core §3.2.2.1, §3.2.2.11, §3.3.2.11, §3.1.2.1
both!(
    async fn a_nonce_is_required_wherever_an_id_token_leaves_the_authorization_endpoint(server: Server) {
        let (server, browser) = started(&server, json!({})).await;
        for response_type in ALL {
            let page = server.authorize(&browser, &asked(response_type, &[])).await;
            let required = response_type.contains("id_token");
            assert_eq!(page.returned().get("error"), required.then_some("invalid_request"), "{response_type}");
            let page = server.authorize(&browser, &asked(response_type, &[("nonce", "n"), ("scope", "profile")])).await;
            // Without openid there is no ID token to have; but for Aidbox's `code id_token`, see below.
            let refused = required && response_type != "code id_token";
            assert_eq!(page.returned().get("error"), refused.then_some("invalid_request"), "{response_type}");
        }
        let page = server.authorize(&browser, &asked("code id_token", &[("scope", "profile")])).await;
        assert!(page.location.as_ref().unwrap().starts_with(&format!("{CALLBACK}?code=")), "{page:?}");
    }
);

// Multiple Response Types §2.1, §3, §5; Form Post §2
both!(
    async fn a_response_mode_moves_the_answer_and_its_errors_and_tokens_never_into_a_query(server: Server) {
        let (server, browser) = started(&server, json!({})).await;
        for response_type in ALL {
            for mode in ["query", "fragment", "form_post", "", "other"] {
                let default = if response_type == "code" { "query" } else { "fragment" };
                let refused = mode == "other" || (mode == "query" && response_type != "code");
                let travels = if refused || mode.is_empty() { default } else { mode };
                for wrong in [false, true] {
                    let more = [("nonce", "n"), ("response_mode", mode), ("max_age", if wrong { "soon" } else { "" })];
                    let page = server.authorize(&browser, &asked(response_type, &more)).await;
                    let returned = match travels {
                        "form_post" => page.posted().unwrap_or_else(|| panic!("{page:?}")),
                        travels => {
                            let separator = if travels == "query" { '?' } else { '#' };
                            let location = page.location.clone().unwrap_or_else(|| panic!("{page:?}"));
                            assert!(location.starts_with(&format!("{CALLBACK}{separator}")), "{mode} {location}");
                            page.returned()
                        }
                    };
                    let expected = (refused || wrong).then_some("invalid_request");
                    assert_eq!(returned.get("error"), expected, "{response_type} {mode} {wrong}");
                    assert_eq!((returned.uri.as_str(), returned.get("state")), (CALLBACK, Some("s &#")));
                    assert_eq!(returned.get("iss"), Some(server.issuer()));
                }
            }
        }
    }
);

// Form Post §2, §5
both!(
    async fn form_post_is_a_page_that_posts_itself_to_the_client_and_nowhere_else(server: Server) {
        server
            .web_app(json!({"auth": {"authorization_code": {"redirect_uri": "https://app.example/cb?x=\"1\""}}}))
            .await;
        server.alice().await;
        let browser = server.browser();
        let query =
            [("response_type", "code"), ("client_id", "web-app"), ("response_mode", "form_post"), ("state", "\"><b>&")];
        let page = server.authorize(&browser, &query).await;
        let page = browser.sign_in(&page, "alice", "correct-horse-battery").await;
        let page = browser.follow(page).await;
        let page = browser.consent(&page, "approve").await;
        let posted = page.posted().unwrap_or_else(|| panic!("{page:?}"));
        assert_eq!((posted.uri.as_str(), posted.get("state")), ("https://app.example/cb?x=\"1\"", Some("\"><b>&")));
        assert_eq!(server.redeem(&posted.expect("code")).await.0, 200);
        assert_eq!(page.attribute("form", "method").as_deref(), Some("post"));
        let policy = page.header("content-security-policy");
        assert!(
            policy.contains("script-src 'self';") && policy.contains("form-action 'self' https://app.example https:;"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe") && policy.contains("default-src 'none'"), "{policy}");
        assert_eq!((page.header("cache-control"), page.header("pragma")), ("no-store", "no-cache"));
        let script = browser.get(&server.url(&page.attribute("script", "src").unwrap())).await;
        assert_eq!((script.status.as_u16(), script.header("content-type")), (200, "text/javascript; charset=utf-8"));
        assert!(script.html.contains("submit"), "{script:?}");
        // Errors too, before and after the person is asked; no other page has a script.
        let denied = server.authorize(&browser, &[&query[..], &[("prompt", "consent")]].concat()).await;
        assert!(!denied.header("content-security-policy").contains("script-src"));
        let denied = browser.consent(&denied, "deny").await.posted().unwrap();
        assert_eq!((denied.get("error"), denied.get("state")), (Some("access_denied"), Some("\"><b>&")));
        let quiet = server.authorize(&server.browser(), &[&query[..], &[("prompt", "none")]].concat()).await;
        assert_eq!(quiet.posted().unwrap().get("error"), Some("login_required"));
    }
);

// RFC 6749 §4.1.2, §4.2.2; Core §11
both!(
    async fn a_token_from_the_browser_has_no_refresh_token_and_ends_with_the_code_beside_it(server: Server) {
        let (server, browser) = started(&server, json!({"auth": {"authorization_code": {"refresh_token": true}, "implicit": {"access_token_expiration": 60}}})).await;
        let scope = ("scope", "openid offline_access");
        let page = server.authorize(&browser, &asked("code id_token token", &[("nonce", "n"), scope])).await;
        let returned = page.returned();
        let (front, code) = (returned.expect("access_token"), returned.expect("code"));
        assert!(returned.get("refresh_token").is_none());
        let (status, tokens) = redeem(&server, &code).await;
        assert_eq!(status, 200, "{tokens}");
        let tokens = server.refreshed(text(&tokens, "refresh_token")).await;
        assert!(server.is_active(&front).await && server.is_active(text(&tokens, "access_token")).await);
        assert_refused(&redeem(&server, &code).await, 400, "invalid_grant", "used before");
        for token in [&front, text(&tokens, "access_token"), text(&tokens, "refresh_token")] {
            assert!(!server.is_active(token).await, "{token}");
        }
        // A code that is not replayed leaves the token alone, and so does revoking it the tokens of the code (RFC 7009 §2.1).
        let returned = server.authorize(&browser, &asked("code token", &[scope])).await.returned();
        let (_, tokens) = redeem(&server, &returned.expect("code")).await;
        let front = returned.expect("access_token");
        let (status, _) =
            server.post_form("/oauth2/revoke", Some(("web-app", "client-secret")), &[("token", &front)]).await;
        assert_eq!((status.as_u16(), server.is_active(&front).await), (200, false));
        assert!(server.is_active(text(&tokens, "access_token")).await);

        // Without a code: the implicit flow's own settings, and nothing to refresh with.
        let returned = server.authorize(&browser, &asked("id_token token", &[("nonce", "n"), scope])).await.returned();
        assert_eq!((returned.get("expires_in"), returned.get("scope")), (Some("60"), Some("openid")));
        let token = returned.expect("access_token");
        let session = server.introspect(&token).await["jti"].as_str().unwrap().to_owned();
        let (_, session) = send(&server, "GET", &format!("/Session/{session}"), json!({})).await;
        assert_eq!(
            (&session["type"], &session["active"], &session["user"]["id"]),
            (&json!("implicit"), &json!(true), &json!("alice"))
        );
        server.wait(61);
        assert!(!server.is_active(&token).await);
    }
);

both!(
    async fn a_token_from_the_browser_ends_with_the_login_the_consent_the_user_and_the_client(server: Server) {
        let (server, _) = started(&server, json!({"first_party": false})).await;
        for what in ["consent", "logout", "user", "client"] {
            server.web_app(json!({"first_party": what == "logout", "grant_types": ["code", "implicit"], "response_types": ALL})).await;
            server.alice().await;
            let browser = server.signed_in().await;
            let returned = server.sign_in_and_consent(&browser, &asked("id_token token", &[("nonce", "n")])).await;
            let token = returned.expect("access_token");
            assert!(server.is_active(&token).await, "{what}");
            match what {
                "consent" => {
                    let grants: Value = server.admin("GET", "/Grant").send().await.unwrap().json().await.unwrap();
                    let id = grants["entry"][0]["resource"]["id"].as_str().unwrap().to_owned();
                    server.delete(&format!("/Grant/{id}")).await;
                }
                "logout" => {
                    let page = browser.get(&server.url("/oauth2/logout")).await;
                    browser.submit(&page, &[]).await;
                }
                "user" => server.patch("/User/alice", json!({"inactive": true})).await,
                _ => server.patch("/Client/web-app", json!({"active": false})).await,
            }
            assert_ne!(server.introspect(&token).await["active"], true, "{what}");
        }
    }
);

// RFC 8252 §8.6: what the front channel carries reaches whoever claims the redirect URI.
both!(
    async fn an_earlier_consent_does_not_send_tokens_to_whoever_claims_the_redirect_uri(server: Server) {
        let uri = "myapp://cb";
        let (server, browser) =
            started(&server, json!({"first_party": false, "auth": {"authorization_code": {"redirect_uri": uri}}}))
                .await;
        for (response_type, asked_again) in [("code", false), ("id_token", true), ("code token", true)] {
            let query = asked(response_type, &[("redirect_uri", uri), ("nonce", "n")]);
            server.sign_in_and_consent(&browser, &query).await.expect("state");
            assert_eq!(server.authorize(&browser, &query).await.is_consent(), asked_again, "{response_type}");
        }
    }
);

// Core §3.1.2.1: POST; and the login page on the way back
both!(
    async fn a_request_by_post_is_answered_like_one_by_get(server: Server) {
        let (server, browser) = started(&server, json!({})).await;
        let query = asked("code id_token", &[("nonce", "n"), ("response_mode", "form_post")]);
        let post = |browser: &Browser| browser.http.post(server.url("/oauth2/authorize")).form(&query);
        let page = browser.send(post(&browser)).await;
        page.posted().unwrap().expect("id_token");
        let stranger = server.browser();
        let page = stranger.send(post(&stranger)).await;
        let page = stranger.sign_in(&page, "alice", "correct-horse-battery").await;
        assert_eq!(page.status, 303);
        stranger.follow(page).await.posted().unwrap().expect("id_token");
        // A browser does not send its login cookie with another site's post; with the GET that follows it does.
        let quiet = asked("code", &[("prompt", "none")]);
        let page = stranger
            .send(server.http.post(server.url("/oauth2/authorize")).header("sec-fetch-site", "cross-site").form(&quiet))
            .await;
        assert_eq!((page.status.as_u16(), page.location.is_some()), (303, true));
        stranger.follow(page).await.returned().expect("code");
    }
);

// Core §4
both!(
    async fn a_link_of_ours_begins_a_sign_in_at_the_client(server: Server) {
        server.web_app(json!({"initiate_login_uri": "https://app.example/login?from=op"})).await;
        server.spa(json!({})).await;
        let browser = server.browser();
        let page = browser.get(&server.url("/initiate_login?client_id=web-app")).await;
        let iss = url::form_urlencoded::byte_serialize(server.issuer().as_bytes()).collect::<String>();
        assert_eq!(page.location, Some(format!("https://app.example/login?from=op&iss={iss}")));
        for query in ["", "client_id=spa", "client_id=nobody", "client_id=web-app&client_id=web-app"] {
            let page = browser.get(&server.url(&format!("/initiate_login?{query}"))).await;
            assert_eq!((page.status.as_u16(), page.error().as_deref()), (400, Some("invalid_request")), "{query}");
        }
        for uri in ["javascript:alert(1)", "myapp://login", "https://u:p@a.example/"] {
            let put = server.admin("PUT", "/Client/x").json(&json!({"initiate_login_uri": uri})).send().await.unwrap();
            assert_eq!(put.status(), 422, "{uri}");
        }
    }
);

both!(
    async fn response_types_are_checked_when_a_client_is_stored(server: Server) {
        for (listed, path) in
            [(json!(["code", "id_tokens"]), "Client.response_types[1]"), (json!("code"), "Client.response_types")]
        {
            let (status, outcome) = send(&server, "PUT", "/Client/x", json!({"response_types": listed})).await;
            assert_eq!((status, issues(&outcome)[0].0.as_str()), (422, path));
        }
        server.put("/Client/x", json!({"response_types": ALL})).await;
    }
);
