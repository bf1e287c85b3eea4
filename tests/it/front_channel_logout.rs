//! OpenID Connect Front-Channel Logout 1.0: the browser loads a page of each client of the session, then goes on.

use serde_json::json;
use url::Url;

use crate::support::{Browser, Database, Page, Server, both, issues, jwt, request, send, text};

const DONE: &str = "https://app.example/done?a=b";

/// Two clients that listen in the browser, and one browser in which Alice is signed in at both: with her ID token for `web-app`.
async fn set_up(server: &Server) -> (Browser, String) {
    server
        .web_app(json!({
            "first_party": true,
            "auth": {"authorization_code": {"redirect_uris": ["https://app.example/cb"]}},
            "post_logout_redirect_uris": [DONE],
            "frontchannel_logout_uri": "https://app.example/out?tenant=1",
            "frontchannel_logout_session_required": true,
        }))
        .await;
    let second = json!({
        "secret": "second-secret", "grant_types": ["code"], "first_party": true,
        "auth": {"authorization_code": {"redirect_uri": "https://second.example:8443/cb"}},
        "frontchannel_logout_uri": "https://second.example:8443/out",
    });
    server.put("/Client/second", second).await;
    server.alice().await;
    let browser = server.signed_in().await;
    let query = request(&[("scope", "openid"), ("redirect_uri", "https://app.example/cb")]);
    let code = server.authorize(&browser, &query).await.returned().expect("code");
    let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", "https://app.example/cb")];
    let (_, tokens) = server.token(&form).await;
    let query = [("response_type", "code"), ("client_id", "second"), ("scope", "openid")];
    server.authorize(&browser, &query).await.returned().expect("code");
    (browser, text(&tokens, "id_token").to_owned())
}

async fn logout(server: &Server, browser: &Browser, query: &[(&str, &str)]) -> Page {
    browser.send(browser.http.get(server.url("/oauth2/logout")).query(query)).await
}

/// The addresses of the frames, by their origin.
fn frames(page: &Page) -> Vec<Url> {
    let html = scraper::Html::parse_document(&page.html);
    let selector = scraper::Selector::parse("iframe").unwrap();
    let mut urls: Vec<Url> = html.select(&selector).map(|frame| frame.attr("src").unwrap().parse().unwrap()).collect();
    urls.sort();
    urls
}

// §3
both!(
    async fn discovery_says_that_it_is_supported_with_sessions(server: Server) {
        let metadata = server.metadata().await;
        assert_eq!(metadata["frontchannel_logout_supported"], true);
        assert_eq!(metadata["frontchannel_logout_session_supported"], true);
    }
);

// §2, §4
both!(
    async fn every_client_of_the_session_is_loaded_with_iss_and_sid_and_the_browser_goes_on(server: Server) {
        let (browser, id_token) = set_up(&server).await;
        let sid = jwt(&id_token).1["sid"].as_str().unwrap().to_owned();
        let query = [("id_token_hint", id_token.as_str()), ("post_logout_redirect_uri", DONE), ("state", "\"s&")];
        let page = logout(&server, &browser, &query).await;
        assert_eq!((page.status.as_u16(), page.text("h1").as_str()), (200, "Signed out"));
        let urls = frames(&page);
        let base = |url: &Url| url.as_str().split('?').next().unwrap().to_owned();
        assert_eq!(
            urls.iter().map(base).collect::<Vec<_>>(),
            ["https://app.example/out", "https://second.example:8443/out"]
        );
        for url in &urls {
            let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            let rest = &pairs[pairs.len() - 2..];
            assert_eq!(rest, [("iss".to_owned(), server.issuer().to_owned()), ("sid".to_owned(), sid.clone())]);
        }
        assert_eq!(urls[0].query_pairs().next().unwrap(), ("tenant".into(), "1".into()));
        let policy = page.header("content-security-policy");
        assert!(policy.contains("frame-src https://app.example https://second.example:8443;"), "{policy}");
        assert!(policy.contains("default-src 'none'") && !policy.contains("script"), "{policy}");
        // On to the client, by itself or by hand.
        let target = "https://app.example/done?a=b&state=%22s%26";
        assert_eq!(page.attribute("meta[http-equiv=refresh]", "content").unwrap(), format!("1; url={target}"));
        assert_eq!(page.attribute("#continue", "href").as_deref(), Some(target));
        assert!(page.cookie("login").unwrap().contains("Max-Age=0"));
        assert!(!server.is_signed_in(&browser).await);
        // Loaded again it has nothing more to do.
        assert_eq!(logout(&server, &browser, &query).await.location.as_deref(), Some(target));
    }
);

both!(
    async fn without_a_return_uri_the_page_stays(server: Server) {
        let (browser, id_token) = set_up(&server).await;
        let page = logout(&server, &browser, &[("id_token_hint", &id_token)]).await;
        assert_eq!((page.text("h1").as_str(), frames(&page).len()), ("Signed out", 2));
        assert!(!page.has("meta[http-equiv=refresh]") && !page.has("#continue"), "{page:?}");
    }
);

both!(
    async fn a_session_without_such_clients_has_no_frames(server: Server) {
        set_up(&server).await;
        let browser = server.signed_in().await;
        let page = logout(&server, &browser, &[]).await;
        let page = browser.submit(&page, &[]).await;
        assert_eq!((page.text("h1").as_str(), frames(&page).len()), ("Signed out", 0));
        assert!(!page.header("content-security-policy").contains("frame-src"));
    }
);

// §2
both!(
    async fn the_page_must_be_where_the_client_has_a_redirect_uri(server: Server) {
        let document = |uri: &str| {
            json!({
                "grant_types": ["code"], "frontchannel_logout_uri": uri,
                "auth": {"authorization_code": {"redirect_uri": "https://app.example/cb", "redirect_uris": ["https://b.example/cb"]}},
            })
        };
        for uri in [
            "https://evil.example/out",
            "http://app.example/out",
            "https://app.example:444/out",
            "https://app.example/out#f",
            "data:text/html,x",
        ] {
            let (status, outcome) = send(&server, "PUT", "/Client/x", document(uri)).await;
            assert_eq!((status, issues(&outcome)[0].0.as_str()), (422, "Client.frontchannel_logout_uri"), "{outcome}");
        }
        for uri in ["https://app.example/out?x", "https://b.example"] {
            assert!(send(&server, "PUT", "/Client/x", document(uri)).await.0 < 300);
        }
    }
);
