//! A browser as far as the protocol needs one: cookies, forms, and redirects that a test follows one by one.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use reqwest::header::LOCATION;
use reqwest::{Client, StatusCode};
use scraper::{Html, Selector};
use url::Url;

/// Cookies and a connection.
pub(crate) struct Browser {
    pub(crate) http: Client,
}

/// What the browser got.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) url: Url,
    pub(crate) location: Option<String>,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) html: String,
}

/// The parameters that came back to a client.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) uri: String,
    pub(crate) pairs: BTreeMap<String, String>,
}

impl Query {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.get(name).map(String::as_str)
    }

    /// A parameter that must have come.
    pub(crate) fn expect(&self, name: &str) -> String {
        self.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}")).to_owned()
    }
}

impl Browser {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .cookie_store(true)
            .no_proxy()
            .resolve("localhost", address)
            .build()
            .unwrap();
        Self { http }
    }

    pub(crate) async fn get(&self, url: &str) -> Page {
        read(self.http.get(url).header("accept", "text/html").send().await.unwrap()).await
    }

    /// Follows a redirect to a page of ours; a redirect to a client is where the test looks at it.
    pub(crate) async fn follow(&self, page: Page) -> Page {
        let location = page.location.clone().unwrap_or_else(|| panic!("no redirect: {page:?}"));
        let target = page.url.join(&location).unwrap();
        assert_eq!(target.origin(), page.url.origin(), "a redirect away from the server");
        self.get(target.as_str()).await
    }

    /// Posts the page's form with its hidden fields and these.
    pub(crate) async fn submit(&self, page: &Page, fields: &[(&str, &str)]) -> Page {
        let (action, mut form) = page.form();
        for (name, value) in fields {
            form.insert((*name).to_owned(), (*value).to_owned());
        }
        let target = page.url.join(&action).unwrap();
        read(self.http.post(target).form(&form).send().await.unwrap()).await
    }

    pub(crate) async fn sign_in(&self, page: &Page, username: &str, password: &str) -> Page {
        assert!(page.is_login(), "not the login page: {page:?}");
        self.submit(page, &[("username", username), ("password", password)]).await
    }

    pub(crate) async fn consent(&self, page: &Page, decision: &str) -> Page {
        assert!(page.is_consent(), "not the consent page: {page:?}");
        self.submit(page, &[("decision", decision)]).await
    }

    /// As Alice, who signs in and consents as she is asked, from a page of the authorization endpoint until the browser leaves.
    pub(crate) async fn as_alice(&self, mut page: Page) -> Page {
        if page.is_login() {
            page = self.sign_in(&page, "alice", "correct-horse-battery").await;
            page = self.follow(page).await;
        }
        if page.is_consent() {
            page = self.consent(&page, "approve").await;
        }
        page
    }
}

impl Page {
    pub(crate) fn is_login(&self) -> bool {
        self.has("#password")
    }

    pub(crate) fn is_consent(&self) -> bool {
        self.has("#approve")
    }

    pub(crate) fn has(&self, selector: &str) -> bool {
        Html::parse_document(&self.html).select(&Selector::parse(selector).unwrap()).next().is_some()
    }

    /// The text of the first element that fits.
    pub(crate) fn text(&self, selector: &str) -> String {
        let html = Html::parse_document(&self.html);
        let element = html.select(&Selector::parse(selector).unwrap()).next();
        element.map(|element| element.text().collect::<String>().trim().to_owned()).unwrap_or_default()
    }

    /// An attribute of the first element that fits.
    pub(crate) fn attribute(&self, selector: &str, name: &str) -> Option<String> {
        let html = Html::parse_document(&self.html);
        html.select(&Selector::parse(selector).unwrap()).next()?.attr(name).map(str::to_owned)
    }

    /// Action and hidden fields of the page's form.
    pub(crate) fn form(&self) -> (String, BTreeMap<String, String>) {
        let action = self.attribute("form", "action").unwrap_or_else(|| panic!("no form: {self:?}"));
        let html = Html::parse_document(&self.html);
        let hidden = Selector::parse("form input[type=hidden]").unwrap();
        let fields = html
            .select(&hidden)
            .filter_map(|input| Some((input.attr("name")?.to_owned(), input.attr("value")?.to_owned())));
        (action, fields.collect())
    }

    /// The parameters of a redirect to a client.
    pub(crate) fn returned(&self) -> Query {
        let location = self.location.clone().unwrap_or_else(|| panic!("no redirect: {self:?}"));
        let (uri, query) = location.split_once(['?', '#']).unwrap_or((&location, ""));
        let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
        Query { uri: uri.to_owned(), pairs: pairs.collect() }
    }
}

impl Page {
    /// The parameters that the browser posts to a client, and where to; nothing where this page is another one.
    pub(crate) fn posted(&self) -> Option<Query> {
        let script = self.attribute("script", "src")?;
        assert!(
            script.starts_with("/static/form_post-") && self.has("button#return") && self.status == 200,
            "{self:?}"
        );
        let (uri, pairs) = self.form();
        assert!(!uri.starts_with('/'), "{uri}");
        Some(Query { uri, pairs })
    }
}

impl Browser {
    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Page {
        read(request.send().await.unwrap()).await
    }

    /// Posts the page's form with further headers, as a browser sends them of itself.
    pub(crate) async fn submit_with(&self, page: &Page, headers: &[(&str, &str)], fields: &[(&str, &str)]) -> Page {
        let (action, mut form) = page.form();
        form.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mut request = self.http.post(page.url.join(&action).unwrap()).form(&form);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request).await
    }
}

impl Page {
    /// A header of the answer; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The whole `Set-Cookie` line of one of our cookies (`login`, `browser`, `known`), where the answer sets it.
    pub(crate) fn cookie(&self, kind: &str) -> Option<String> {
        let lines = self.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
        let named = |line: &&str| line.split_once('=').is_some_and(|(name, _)| name.ends_with(&format!("-{kind}")));
        lines.into_iter().find(named).map(str::to_owned)
    }

    /// The code on an error page, which must look like one; `None` where this is no error page.
    pub(crate) fn error(&self) -> Option<String> {
        if !self.has("#error") {
            return None;
        }
        assert!(self.text("h1").contains("Error") && !self.text("#error_description").is_empty(), "{self:?}");
        assert!(self.location.is_none(), "an error page that leads away: {self:?}");
        Some(self.text("#error"))
    }

    /// Whether this is the page that leads back to the start; where to.
    pub(crate) fn start_again(&self) -> Option<String> {
        self.text("main").contains("Start again").then(|| self.attribute("main a", "href").unwrap())
    }
}

async fn read(response: reqwest::Response) -> Page {
    Page {
        status: response.status(),
        url: response.url().clone(),
        location: response.headers().get(LOCATION).map(|value| value.to_str().unwrap().to_owned()),
        headers: response.headers().clone(),
        html: response.text().await.unwrap(),
    }
}
