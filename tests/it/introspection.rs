//! Token introspection (RFC 7662): who learns what.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};

use crate::support::{Answer, Database, Server, assert_refused, both, text};

async fn introspect_as(server: &Server, id: &str, secret: &str, token: &str) -> Answer {
    server.post_form("/oauth2/introspect", Some((id, secret)), &[("token", token)]).await
}

fn inactive() -> Answer {
    (reqwest::StatusCode::OK, json!({"active": false}))
}

// RFC 7662 §2.2; whether a token is opaque or a JWT makes no difference.
both!(
    async fn an_active_token_is_described(server: Server) {
        server.alice().await;
        for format in [json!(null), json!("jwt")] {
            let flow =
                json!({"token_format": format, "audience": "https://api.example", "access_token_expiration": 600});
            server.web_app(json!({"auth": {"authorization_code": flow}})).await;
            let tokens = server.tokens("openid email").await;
            let (status, seen) =
                introspect_as(&server, "web-app", "client-secret", text(&tokens, "access_token")).await;
            assert_eq!(status, 200);
            let times = ["iat", "exp", "auth_time"].map(|name| seen[name].as_i64().expect("a time"));
            assert!(times[1] - times[0] == 600 && times[2] <= times[0], "{seen}");
            let expected = json!({
                "active": true, "iss": server.issuer(), "client_id": "web-app", "token_type": "Bearer", "scope": "openid email",
                "sub": "alice", "username": "Alice", "aud": "https://api.example", "iat": times[0], "exp": times[1],
                "jti": seen["jti"], "auth_time": times[2],
            });
            assert_eq!(seen, expected);
            assert!(uuid::Uuid::parse_str(text(&seen, "jti")).is_ok());
        }
    }
);

// RFC 7662 §2.2: what the caller may not see is like what there is not.
both!(
    async fn the_document_says_whose_tokens_a_client_may_look_into(server: Server) {
        let api = |introspect: Value| json!({"secret": "api-secret", "introspect": introspect, "grant_types": ["client_credentials"]});
        for format in [json!(null), json!("jwt")] {
            server.web_app(json!({"auth": {"client_credentials": {"token_format": format}}})).await;
            let foreign = server.client_tokens(&[("audience", "somebody")]).await;
            let for_api = server.client_tokens(&[("audience", "api")]).await;
            let cases = [
                (json!("own"), [false, false]),
                (json!(null), [true, false]),
                (json!("audience"), [true, false]),
                (json!("any"), [true, true]),
            ];
            for (introspect, expected) in cases {
                server.put("/Client/api", api(introspect.clone())).await;
                let form = [("grant_type", "client_credentials")];
                let (_, own) = server.post_form("/oauth2/token", Some(("api", "api-secret")), &form).await;
                let expected = [(&own, true), (&for_api, expected[0]), (&foreign, expected[1])];
                for (tokens, visible) in expected {
                    let answer = introspect_as(&server, "api", "api-secret", text(tokens, "access_token")).await;
                    if visible {
                        assert_eq!(answer.1["active"], true, "{introspect}");
                    } else {
                        assert_eq!(answer, inactive(), "{introspect}");
                    }
                }
            }
        }
    }
);

// RFC 7662 §2.1
both!(
    async fn the_caller_must_prove_itself(server: Server) {
        server.web_app(json!({})).await;
        server.spa(json!({})).await;
        server.alice().await;
        let tokens = server.tokens("openid").await;
        let token = text(&tokens, "access_token");
        let post = async |basic, form: &[(&str, &str)]| server.post_form("/oauth2/introspect", basic, form).await;
        assert_refused(&post(None, &[("token", token)]).await, 401, "invalid_client", "no client");
        assert_refused(
            &post(None, &[("token", token), ("client_id", "spa")]).await,
            401,
            "invalid_client",
            "with a secret",
        );
        assert_refused(
            &post(Some(("web-app", "wrong")), &[("token", token)]).await,
            401,
            "invalid_client",
            "unknown client",
        );
        let bearer = server.http.post(server.url("/oauth2/introspect")).bearer_auth(token).form(&[("token", token)]);
        assert_eq!(bearer.send().await.unwrap().status(), 401);
        let basic = Some(("web-app", "client-secret"));
        assert_refused(&post(basic, &[]).await, 400, "invalid_request", "token is missing");
        assert_refused(
            &post(basic, &[("token", token), ("token", token)]).await,
            400,
            "invalid_request",
            "more than once",
        );
        let query = server.post_form(&format!("/oauth2/introspect?token={token}"), basic, &[]).await;
        assert_refused(&query, 400, "invalid_request", "not in the URL");
        let form = [
            ("token", token),
            ("token_type_hint", "refresh_token"),
            ("client_id", "web-app"),
            ("client_secret", "client-secret"),
        ];
        assert_eq!(post(None, &form).await.1["active"], true);
    }
);

both!(
    async fn a_refresh_token_is_its_clients_own_affair(server: Server) {
        server
            .web_app(json!({"auth": {"authorization_code": {"audience": ["api"], "refresh_token_expiration": 500}}}))
            .await;
        server.put("/Client/api", json!({"secret": "api-secret"})).await;
        server.alice().await;
        let tokens = server.tokens("openid email").await;
        let token = text(&tokens, "refresh_token");
        assert_eq!(introspect_as(&server, "api", "api-secret", token).await, inactive());
        let (_, seen) = introspect_as(&server, "web-app", "client-secret", token).await;
        assert_eq!(
            [text(&seen, "sub"), text(&seen, "scope"), text(&seen, "client_id")],
            ["alice", "openid email", "web-app"]
        );
        assert_eq!(
            (&seen["active"], seen["exp"].as_i64().unwrap() - seen["iat"].as_i64().unwrap()),
            (&json!(true), 500)
        );
        server.refreshed(token).await;
        assert_eq!(introspect_as(&server, "web-app", "client-secret", token).await, inactive(), "it is spent");
    }
);

// RFC 8725 §3: what is signed otherwise, by nobody, or for another purpose is no access token.
both!(
    async fn forged_and_misused_tokens_are_inactive(server: Server) {
        server.web_app(json!({"auth": {"authorization_code": {"token_format": "jwt"}}})).await;
        server.alice().await;
        let code = server.code("openid").await;
        let tokens = server.tokens("openid").await;
        let jwt = text(&tokens, "access_token");
        let [header, claims, signature] = jwt.split('.').collect::<Vec<_>>()[..] else { panic!("{jwt}") };
        let changed = |part: &str, change: Value| {
            let mut value: Value = serde_json::from_slice(&B64.decode(part).unwrap()).unwrap();
            crate::support::merge(&mut value, &change);
            B64.encode(value.to_string())
        };
        let keys: Value =
            server.http.get(server.url("/.well-known/jwks.json")).send().await.unwrap().json().await.unwrap();
        let rsa = keys["keys"].as_array().unwrap().iter().find(|key| key["alg"] == "RS256").unwrap().clone();
        let hmac = |key: &[u8], header: &str| {
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
            B64.encode(aws_lc_rs::hmac::sign(&key, format!("{header}.{claims}").as_bytes()))
        };
        let hs256 = changed(header, json!({"alg": "HS256"}));
        let (flat, other) = (B64.encode(rsa.to_string()), changed(claims, json!({"sub": "bob"})));
        for forged in [
            format!("{}.{claims}.", changed(header, json!({"alg": "none"}))),
            format!("{}.{claims}.{signature}", changed(header, json!({"alg": "none"}))),
            format!("{hs256}.{claims}.{}", hmac(rsa.to_string().as_bytes(), &hs256)),
            format!("{hs256}.{claims}.{}", hmac(text(&rsa, "n").as_bytes(), &hs256)),
            format!("{}.{claims}.{signature}", changed(header, json!({"kid": "unknown"}))),
            format!("{}.{claims}.{signature}", changed(header, json!({"kid": null, "jwk": rsa}))),
            format!("{}.{claims}.{signature}", changed(header, json!({"typ": "JWT"}))),
            format!("{header}.{other}.{signature}"),
            format!("{header}.{claims}."),
            format!("{header}.{claims}"),
            format!("{header}.{claims}.{signature}.x"),
            format!("{header}.{claims}.{}", "A".repeat(signature.len())),
            format!("{header}.{flat}.{signature}"),
            "..".to_owned(),
            text(&tokens, "id_token").to_owned(),
            code.clone(),
            code.replace("cs_ac_", "cs_at_"),
            text(&tokens, "refresh_token").replace("cs_rt_", "cs_at_"),
        ] {
            assert_eq!(introspect_as(&server, "root", "secret", &forged).await, inactive(), "{forged}");
            assert_eq!(server.userinfo(&forged).await.0, 401, "{forged}");
        }
        assert!(server.is_active(jwt).await);
        assert_eq!(server.redeem(&code).await.0, 200);
    }
);

// A login cookie is a bearer value of a row of the same table, and still no token.
both!(
    async fn the_cookie_of_a_browser_is_no_token(server: Server) {
        server.web_app(json!({})).await;
        server.alice().await;
        let query = [("response_type", "code"), ("client_id", "web-app")];
        let browser = server.browser();
        let page = server.authorize(&browser, &query).await;
        let page = browser.sign_in(&page, "alice", "correct-horse-battery").await;
        let cookies = page.headers.get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok());
        let value = cookies.flat_map(|cookie| cookie.split(['=', ';'])).find(|part| part.starts_with("cs_ls_"));
        let value = value.expect("the login cookie");
        for kind in ["cs_ls_", "cs_at_", "cs_rt_"] {
            assert_eq!(
                introspect_as(&server, "root", "secret", &value.replace("cs_ls_", kind)).await,
                inactive(),
                "{kind}"
            );
            assert_eq!(server.userinfo(&value.replace("cs_ls_", kind)).await.0, 401, "{kind}");
        }
    }
);

both!(
    async fn a_token_of_a_user_or_client_that_is_off_is_inactive(server: Server) {
        server.alice().await;
        for format in [json!(null), json!("jwt")] {
            server.web_app(json!({"auth": {"authorization_code": {"token_format": format}}})).await;
            for (path, off, on) in [
                ("/User/alice", json!({"inactive": true}), json!({"inactive": null})),
                ("/Client/web-app", json!({"active": false}), json!({"active": null})),
            ] {
                let tokens = server.tokens("openid").await;
                server.patch(path, off).await;
                for token in ["access_token", "refresh_token"] {
                    assert_eq!(
                        introspect_as(&server, "root", "secret", text(&tokens, token)).await,
                        inactive(),
                        "{path} {token}"
                    );
                }
                assert_eq!(server.userinfo(text(&tokens, "access_token")).await.0, 401);
                server.patch(path, on).await;
            }
        }
    }
);
