//! Requests of ours to other servers: whom they reach, and what they take.

use std::time::Duration;

use countersign::outbound::{Kind, Outbound};

use crate::support::Elsewhere;

fn loopback() -> Outbound {
    Outbound::new(vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()], true, None).unwrap()
}

async fn kind(outbound: &Outbound, url: &str) -> Kind {
    outbound.get(url).await.expect_err(url).kind
}

#[tokio::test]
async fn a_network_of_the_settings_is_reached_over_http_and_no_other() {
    let elsewhere = Elsewhere::start().await;
    let url = elsewhere.put_with("/a", 200, &[("content-type", "Application/JSON; charset=utf-8")], "{}");
    let fetched = loopback().get(&format!("{url}?b=c#d")).await.unwrap();
    assert_eq!((&*fetched.body, fetched.media_type().as_deref()), (&b"{}"[..], Some("application/json")));
    assert_eq!(loopback().get(&url.replace("localhost", "127.0.0.1")).await.unwrap().body, fetched.body);

    let elsewhere_allowed = Outbound::new(vec!["10.0.0.0/8".parse().unwrap()], true, None).unwrap();
    assert!(matches!(kind(&elsewhere_allowed, &url).await, Kind::NotPublic(_)));
    let with_https_issuer = Outbound::new(vec!["127.0.0.0/8".parse().unwrap()], false, None).unwrap();
    assert!(matches!(kind(&with_https_issuer, &url).await, Kind::PlainHttp));
    assert_eq!(elsewhere.hits("/a"), 2, "nobody came who was not allowed to");
}

#[tokio::test]
async fn certificates_are_checked_and_an_authority_of_ones_own_can_be_named() {
    let elsewhere = Elsewhere::start_tls().await;
    let url = elsewhere.put("/a", "x");
    let networks = || vec!["127.0.0.1/32".parse().unwrap()];
    let error = Outbound::new(networks(), false, None).unwrap().get(&url).await.unwrap_err();
    assert!(matches!(error.kind, Kind::Tls(_)) && error.to_string().contains("--outbound-ca"), "{error}");
    let trusting = Outbound::new(networks(), false, elsewhere.ca.as_deref()).unwrap();
    assert_eq!(&*trusting.get(&url).await.unwrap().body, b"x");
    assert_eq!(&*trusting.get(&url.replace("localhost", "127.0.0.1")).await.unwrap().body, b"x");
    assert!(matches!(kind(&trusting, &url.replace("https", "http")).await, Kind::PlainHttp));
    // The authority is not a licence to go anywhere.
    let elsewhere_allowed = Outbound::new(Vec::new(), false, elsewhere.ca.as_deref()).unwrap();
    assert!(matches!(kind(&elsewhere_allowed, &url).await, Kind::NotPublic(_)));
    assert!(Outbound::new(Vec::new(), false, Some(std::path::Path::new("Cargo.toml"))).is_err());
    assert!(Outbound::new(Vec::new(), false, Some(std::path::Path::new("no.pem"))).is_err());
}

#[tokio::test]
async fn no_redirect_is_followed_and_only_200_is_an_answer() {
    let elsewhere = Elsewhere::start().await;
    elsewhere.put("/target", "x");
    for status in [301, 302, 303, 307, 308] {
        let url = elsewhere.put_with("/a", status, &[("location", "/target")], "");
        assert!(matches!(kind(&loopback(), &url).await, Kind::Redirects(found) if found == status));
    }
    for status in [201, 204, 400, 404, 500] {
        let url = elsewhere.put_with("/a", status, &[], "");
        assert!(matches!(kind(&loopback(), &url).await, Kind::Status(found) if found == status));
    }
    assert_eq!(elsewhere.hits("/target"), 0);
}

#[tokio::test]
async fn an_answer_that_is_long_or_late_is_not_waited_for() {
    let elsewhere = Elsewhere::start().await;
    let most = elsewhere.put("/a", "x".repeat(64 * 1_024));
    assert_eq!(loopback().get(&most).await.unwrap().body.len(), 64 * 1_024);
    let more = elsewhere.put("/a", "x".repeat(64 * 1_024 + 1));
    assert!(matches!(kind(&loopback(), &more).await, Kind::TooLong));
    let late = elsewhere.put("/late", "x");
    elsewhere.delay("/late", Duration::from_mins(1));
    assert!(matches!(kind(&loopback(), &late).await, Kind::TimedOut));
}

#[tokio::test]
async fn who_does_not_answer_in_http_is_told_from_who_is_not_there() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let talks = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 mail.example.com ESMTP\r\n").await.unwrap();
    });
    assert!(matches!(kind(&loopback(), &url).await, Kind::Http(_)));
    talks.await.unwrap();
    assert!(matches!(kind(&loopback(), &url).await, Kind::Unreachable(_)), "the listener is gone");
    assert!(matches!(kind(&loopback(), "https://name.invalid/").await, Kind::Unresolved(_)));
}

#[tokio::test]
async fn a_form_is_posted_and_the_status_answered() {
    let elsewhere = Elsewhere::start().await;
    for status in [200, 204, 302, 400, 501] {
        let url = elsewhere.put_with("/logout", status, &[], "whatever");
        assert_eq!(loopback().post_form(&url, &[("logout_token", "a.b+c"), ("x", "é")]).await.unwrap(), status);
    }
    assert_eq!(elsewhere.posted("/logout"), vec!["logout_token=a.b%2Bc&x=%C3%A9"; 5]);
}
