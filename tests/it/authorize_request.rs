//! What an authorization request may say, and who is told what is wrong with it (RFC 6749 §3.1, §4.1.1, §4.1.2.1; RFC 7636
//! §4.3; RFC 9207; RFC 8252 §7; OpenID Connect Core §3.1.2).

use serde_json::json;

use crate::support::{Database, Server, both, jwt, request, text};

/// The S256 example of RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

both!(
    async fn get_and_post_ask_the_same(server: Server) {
        server.web_app(json!({})).await;
        let browser = server.browser();
        assert!(server.authorize(&browser, &request(&[])).await.is_login());
        let post = browser.http.post(server.url("/oauth2/authorize")).form(&request(&[("state", "s")]));
        let page = browser.send(post).await;
        assert!(page.status == 200 && page.is_login(), "{page:?}");
        let post =
            browser.http.post(server.url("/oauth2/authorize")).form(&request(&[("scope", "a\"b"), ("state", "s")]));
        let returned = browser.send(post).await.returned();
        assert_eq!((returned.get("error"), returned.get("state")), (Some("invalid_scope"), Some("s")));
    }
);

both!(
    async fn an_unproven_client_or_redirect_uri_is_an_error_page_and_never_a_redirect(server: Server) {
        server.web_app(json!({})).await;
        server.put("/Client/off", json!({"active": false, "grant_types": ["code"], "auth": {"authorization_code": {"redirect_uri": "https://off.example/cb"}}})).await;
        server.put("/Client/nowhere", json!({"grant_types": ["code"]})).await;
        let browser = server.browser();
        let cb = "redirect_uri=http://localhost:4200/cb";
        let cases = [
            (format!("response_type=code&{cb}"), "invalid_request"),
            (format!("response_type=code&client_id=&{cb}"), "invalid_request"),
            (format!("response_type=code&client_id=nobody&{cb}"), "invalid_client"),
            ("response_type=code&client_id=off&redirect_uri=https://off.example/cb".into(), "invalid_client"),
            ("response_type=code&client_id=nowhere".into(), "invalid_request"),
            (format!("response_type=code&client_id=nowhere&{cb}"), "invalid_request"),
            (format!("response_type=code&client_id=web-app&client_id=web-app&{cb}"), "invalid_request"),
            (format!("response_type=code&client_id=web-app&{cb}&{cb}"), "invalid_request"),
            (
                format!("response_type=code&client_id=web-app&{cb}&redirect_uri=https://evil.example/"),
                "invalid_request",
            ),
            (format!("client_id=web-app&{cb}2&error=x"), "invalid_request"),
            (format!("response_type=code&client_id=web-app&{cb}&state=%ff"), "invalid_request"),
            (format!("response_type=code&client_id=web-app&{cb}&state=%"), "invalid_request"),
            (format!("response_type=code&client_id=web-app&{cb}&state=a%00b"), "invalid_request"),
            (String::new(), "invalid_request"),
        ];
        for (query, error) in cases {
            let page = browser.get(&server.url(&format!("/oauth2/authorize?{query}"))).await;
            assert_eq!((page.status.as_u16(), page.error().as_deref()), (400, Some(error)), "{query} {page:?}");
        }
    }
);

both!(
    async fn what_is_wrong_with_the_rest_is_told_to_the_client(server: Server) {
        server.web_app(json!({"scope": ["openid", "profile"]})).await;
        let browser = server.browser();
        let challenge = format!("response_type=code&code_challenge={CHALLENGE}");
        let cases = [
            ("x=1".into(), "invalid_request"),
            ("response_type=".into(), "invalid_request"),
            ("response_type=token".into(), "unsupported_response_type"),
            ("response_type=id_token".into(), "unsupported_response_type"),
            ("response_type=code+token".into(), "unsupported_response_type"),
            ("response_type=none".into(), "unsupported_response_type"),
            ("response_type=CODE".into(), "unsupported_response_type"),
            // The OpenID Connect hybrid flow (Core §3.3) is not served.
            ("response_type=code+id_token&scope=openid".into(), "unsupported_response_type"),
            ("response_type=code&scope=open%22id".into(), "invalid_scope"),
            ("response_type=code&scope=openid+email".into(), "invalid_scope"),
            ("response_type=code&scope=admin".into(), "invalid_scope"),
            ("response_type=code&response_mode=fragment".into(), "invalid_request"),
            ("response_type=code&response_mode=form_post".into(), "invalid_request"),
            // Core §6 and §7.2.1
            ("response_type=code&request=e30.e30.".into(), "invalid_request_object"),
            ("response_type=code&request_uri=https://app.example/r".into(), "invalid_request_uri"),
            ("response_type=code&registration=%7B%7D".into(), "registration_not_supported"),
            ("response_type=code&prompt=create".into(), "invalid_request"),
            ("response_type=code&prompt=none+login".into(), "invalid_request"),
            ("response_type=code&max_age=-1".into(), "invalid_request"),
            ("response_type=code&max_age=soon".into(), "invalid_request"),
            // RFC 7636 §4.4.1: `plain` is not supported, and it is what an absent method means (§4.3).
            (challenge.clone(), "invalid_request"),
            (format!("{challenge}&code_challenge_method=plain"), "invalid_request"),
            (format!("{challenge}x&code_challenge_method=S256"), "invalid_request"),
            ("response_type=code&code_challenge_method=S256".into(), "invalid_request"),
            ("response_type=code&code_challenge=%20&code_challenge_method=S256".into(), "invalid_request"),
            // §3.1: no parameter more than once
            ("response_type=code&response_type=code".into(), "invalid_request"),
            ("response_type=code&scope=openid&scope=profile".into(), "invalid_request"),
            ("response_type=code&nonce=1&nonce=1".into(), "invalid_request"),
            (format!("{challenge}&{challenge}&code_challenge_method=S256"), "invalid_request"),
        ];
        for (query, error) in cases {
            let page =
                browser.get(&server.url(&format!("/oauth2/authorize?client_id=web-app&state=x%2By%26&{query}"))).await;
            let returned = page.returned();
            assert_eq!((page.status.as_u16(), returned.uri.as_str()), (303, "http://localhost:4200/cb"), "{query}");
            assert_eq!(returned.get("error"), Some(error), "{query} {returned:?}");
            assert_eq!((returned.get("state"), returned.get("iss")), (Some("x+y&"), Some(server.issuer())), "{query}");
            assert!(returned.get("code").is_none() && !returned.expect("error_description").is_empty(), "{query}");
        }
        let page =
            browser.get(&server.url("/oauth2/authorize?response_type=code&client_id=web-app&state=a&state=b")).await;
        assert_eq!(page.returned().get("error"), Some("invalid_request"));
        assert!(page.location.unwrap().matches("state=").count() <= 1);
    }
);

both!(
    async fn a_client_whose_document_does_not_list_the_flow_is_told_so(server: Server) {
        server.web_app(json!({"grant_types": ["client_credentials", "password", "implicit"]})).await;
        let returned = server.authorize(&server.browser(), &request(&[("state", "s")])).await.returned();
        assert_eq!((returned.get("error"), returned.get("state")), (Some("unauthorized_client"), Some("s")));
    }
);

both!(
    async fn unknown_parameters_are_ignored_and_empty_ones_count_as_absent(server: Server) {
        server.web_app(json!({"first_party": true})).await;
        server.alice().await;
        let browser = server.signed_in().await;
        let query = request(&[
            ("foo", "bar"),
            ("ui_locales", "de"),
            ("scope", ""),
            ("prompt", ""),
            ("max_age", ""),
            ("state", ""),
            ("redirect_uri", ""),
        ]);
        let returned = server.authorize(&browser, &query).await.returned();
        assert!(returned.expect("code").starts_with("cs_ac_"));
        assert_eq!(returned.pairs.keys().collect::<Vec<_>>(), ["code", "iss"]);
    }
);

both!(
    async fn state_comes_back_byte_for_byte_and_each_parameter_once(server: Server) {
        server.web_app(json!({"first_party": true, "auth": {"authorization_code": {"redirect_uri": "http://localhost:4200/cb?tenant=a%20b"}}})).await;
        server.alice().await;
        let browser = server.signed_in().await;
        let long = "x".repeat(4_000);
        let plain = (b' '..=b'~').map(char::from).collect::<String>();
        for state in [
            plain.as_str(),
            "a b+/=&%#?",
            "%2B%20+",
            " lead and trail ",
            "eyJoYXNoIjoiIn0=",
            "äß€😀",
            "code=1&iss=2",
            &long,
        ] {
            let page = server.authorize(&browser, &request(&[("state", state)])).await;
            let location = page.location.clone().unwrap();
            let query =
                location.strip_prefix("http://localhost:4200/cb?tenant=a%20b&").unwrap_or_else(|| panic!("{location}"));
            let mut pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            pairs.retain(|(name, _)| name != "code");
            assert_eq!(pairs, [("state".into(), state.into()), ("iss".into(), server.issuer().to_owned())]);
            assert_eq!(query.matches("code=cs_ac_").count(), 1, "{location}");
        }
    }
);

both!(
    async fn a_redirect_uri_is_compared_to_the_letter_but_for_a_loopback_port(server: Server) {
        let registered = [
            "https://app.example/cb",
            "http://127.0.0.1/cb",
            "http://[::1]:9000/cb",
            "http://localhost:4200/cb",
            "myapp://cb",
            "com.example.app:/oauth",
        ];
        server.web_app(json!({"first_party": true, "auth": {"authorization_code": {"redirect_uri": null, "redirect_uris": registered}}})).await;
        server.alice().await;
        let browser = server.signed_in().await;
        // RFC 8252 §7.3: any port of a loopback IP literal, `localhost` not being one (§8.3).
        let native = ["http://127.0.0.1:51004/cb", "http://127.0.0.1:1/cb", "http://[::1]/cb", "http://[::1]:65535/cb"];
        for uri in registered.into_iter().chain(native) {
            let returned = server.authorize(&browser, &request(&[("redirect_uri", uri)])).await.returned();
            assert_eq!(returned.uri, uri);
            assert!(returned.get("code").is_some(), "{uri} {returned:?}");
        }
        let strangers = [
            "https://app.example/cb/",
            "https://app.example/CB",
            "https://APP.example/cb",
            "https://app.example:443/cb",
            "http://app.example/cb",
            "https://app.example/cb?x=1",
            "https://app.example/cb#",
            "https://app.example/cb/../evil",
            "https://app.example/%63b",
            "https://app.example@evil.example/cb",
            "https://app.example.evil.example/cb",
            "https://evil.example/?https://app.example/cb",
            "//app.example/cb",
            "/cb",
            "https://app.example\\@evil.example/cb",
            " https://app.example/cb",
            "https://app.example/cb ",
            "https://app.example/cb\r\nset-cookie: a=b",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://app.example/cb,myapp://cb",
            "http://127.0.0.1:80@evil.example/cb",
            "http://127.0.0.1.evil.example/cb",
            "http://127.0.0.1:99999/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:8123/other",
            "http://127.0.0.1:8123/cb?x",
            "https://127.0.0.1:8123/cb",
            "http://127.0.0.2/cb",
            "http://2130706433/cb",
            "http://[0:0:0:0:0:0:0:1]:9000/cb",
            "http://localhost:4201/cb",
            "http://localhost/cb",
            "myapp://cb/x",
            "myapp:cb",
            "MYAPP://cb",
            "otherapp://cb",
            "com.example.app:/oauth2",
        ];
        for uri in strangers {
            let page = server.authorize(&browser, &request(&[("redirect_uri", uri)])).await;
            assert_eq!(
                (page.status.as_u16(), page.error().as_deref()),
                (400, Some("invalid_request")),
                "{uri:?} {page:?}"
            );
        }
    }
);

both!(
    async fn a_missing_redirect_uri_is_the_first_registered_one_and_with_openid_the_only_one(server: Server) {
        let one = json!({"redirect_uri": "https://one.example/cb"});
        let two = json!({"redirect_uri": "https://one.example/cb", "redirect_uris": ["https://two.example/cb"]});
        let browser = server.browser();
        for (flow, scope, leads_on) in
            [(&one, "profile", true), (&one, "openid", true), (&two, "profile", true), (&two, "profile openid", false)]
        {
            server.web_app(json!({"auth": {"authorization_code": flow}})).await;
            let page = server.authorize(&browser, &request(&[("scope", scope)])).await;
            assert_eq!(
                (page.is_login(), page.error().as_deref()),
                (leads_on, (!leads_on).then_some("invalid_request")),
                "{flow} {scope}"
            );
            // What is wrong with the rest goes to the same place.
            let page = server.authorize(&browser, &request(&[("scope", scope), ("prompt", "none")])).await;
            assert_eq!(
                page.location.is_some_and(|to| to.starts_with("https://one.example/cb?")),
                leads_on,
                "{flow} {scope}"
            );
        }
        // The documents of 2018: a list at the top level.
        server.web_app(json!({"auth": null, "redirect_uri": "https://old.example/cb, https://older.example/cb"})).await;
        let returned = server.authorize(&browser, &request(&[("prompt", "none")])).await.returned();
        assert_eq!((returned.uri.as_str(), returned.get("error")), ("https://old.example/cb", Some("login_required")));
        let page = server.authorize(&browser, &request(&[("redirect_uri", "https://older.example/cb")])).await;
        assert!(page.is_login(), "{page:?}");
    }
);

both!(
    async fn code_id_token_in_either_order_without_openid_brings_the_id_token_from_the_token_endpoint(server: Server) {
        server.web_app(json!({"first_party": true})).await;
        server.alice().await;
        let browser = server.signed_in().await;
        for (response_type, scope) in [("code id_token", ""), ("id_token code", ""), ("code id_token", "profile")] {
            let query = [
                ("response_type", response_type),
                ("client_id", "web-app"),
                ("scope", scope),
                ("nonce", "n-1"),
                ("state", "s"),
            ];
            let page = server.authorize(&browser, &query).await;
            assert!(!page.location.as_ref().unwrap().contains(['#']), "{page:?}");
            let returned = page.returned();
            assert_eq!(returned.pairs.keys().collect::<Vec<_>>(), ["code", "iss", "state"]);
            let id_token = jwt(text(&server.redeemed(&returned.expect("code")).await, "id_token")).1;
            assert_eq!(
                (&id_token["sub"], &id_token["aud"], &id_token["nonce"]),
                (&json!("alice"), &json!("web-app"), &json!("n-1"))
            );
        }
        let code = server.authorize(&browser, &request(&[("scope", "profile")])).await.returned().expect("code");
        assert!(server.redeemed(&code).await.get("id_token").is_none(), "nobody asked for one");
    }
);

both!(
    async fn pkce_is_required_of_clients_without_proof_and_a_challenge_is_always_verified(server: Server) {
        server.alice().await;
        let browser = server.signed_in().await;
        let s256 = [("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
        for (document, required) in [
            (json!({}), false),
            (json!({"auth": {"authorization_code": {"pkce": false, "secret_required": true}}}), false),
            (json!({"secret": null, "grant_types": ["code"]}), true),
            (json!({"auth": {"authorization_code": {"pkce": true}}}), true),
            (json!({"auth": {"authorization_code": {"secret_required": false}}}), true),
        ] {
            let mut with_consent = document.clone();
            with_consent["first_party"] = json!(true);
            server.web_app(with_consent).await;
            let returned = server.authorize(&browser, &request(&[])).await.returned();
            assert_eq!(returned.get("error"), required.then_some("invalid_request"), "{document}");
            assert_eq!(returned.get("code").is_none(), required, "{document}");
            let returned = server.authorize(&browser, &request(&s256)).await.returned();
            assert!(returned.get("code").is_some(), "{document} {returned:?}");
        }
        server.web_app(json!({"first_party": true})).await;
        let code = server.authorize(&browser, &request(&s256)).await.returned().expect("code");
        for verifier in ["", CHALLENGE, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK"] {
            let (status, body) = server
                .token(&[("grant_type", "authorization_code"), ("code", &code), ("code_verifier", verifier)])
                .await;
            assert_eq!((status.as_u16(), &body["error"]), (400, &json!("invalid_grant")), "{verifier:?} {body}");
        }
        let (status, body) =
            server.token(&[("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER)]).await;
        assert_eq!(status, 200, "{body}");
    }
);
