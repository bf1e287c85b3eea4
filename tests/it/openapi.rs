//! The OpenAPI document: it is OpenAPI, it is the same in each run, and it says what is served, no less and no more. Beside these
//! tests, every answer that the others get by [`crate::support`] is held against it.

use std::collections::{BTreeMap, BTreeSet};

use countersign::config::{Mode, Registration};
use serde_json::{Value, json};

use crate::support::described::{DOCUMENT, check, item, problems};
use crate::support::{Database, Folder, Server, read};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Every operation with its path and method.
fn operations() -> Vec<(&'static str, &'static str, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let of_path = |(path, item): (&'static String, &'static Value)| {
        METHODS
            .into_iter()
            .filter(|method| item.get(*method).is_some())
            .map(|method| (path.as_str(), method, &item[method]))
    };
    paths.iter().flat_map(of_path).collect()
}

/// A server with all that there may be.
async fn whole() -> Server {
    Server::start_with(Database::Sqlite, |settings| {
        (settings.mode, settings.dev_api) = (Mode::Dev, true);
        settings.registration = Registration::Open;
    })
    .await
}

/// Every value within a value.
fn within<'a>(value: &'a Value, visit: &mut impl FnMut(&'a Value)) {
    visit(value);
    match value {
        Value::Object(members) => members.values().for_each(|member| within(member, visit)),
        Value::Array(items) => items.iter().for_each(|item| within(item, visit)),
        _ => {}
    }
}

#[test]
fn it_is_openapi() {
    assert_eq!(DOCUMENT["openapi"], "3.1.0");
    let names = |pointer: &str, name: &str| -> BTreeSet<&str> {
        let items = DOCUMENT.pointer(pointer).unwrap().as_array().unwrap().iter();
        items.map(|item| item[name].as_str().unwrap()).collect()
    };
    let tags = names("/tags", "name");
    let schemes = DOCUMENT["components"]["securitySchemes"].as_object().unwrap();
    let (mut ids, mut used) = (BTreeSet::new(), BTreeSet::new());
    for (path, method, operation) in operations() {
        let place = format!("{method} {path}");
        let id = operation["operationId"].as_str().expect(&place);
        assert!(ids.insert(id), "{place}: {id} is there twice");
        assert!(!operation["summary"].as_str().expect(&place).is_empty(), "{place}");
        let tag = operation["tags"][0].as_str().expect(&place);
        assert!(tags.contains(tag), "{place}: {tag}");
        assert_eq!(tag == "dev", path.starts_with("/dev/"), "{place}: what is for developers alone is marked so");
        used.insert(tag);
        let templated: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let in_path = parameters.clone().filter(|parameter| parameter["in"] == "path");
        assert_eq!(
            in_path.map(|parameter| parameter["name"].as_str().unwrap()).collect::<BTreeSet<_>>(),
            templated,
            "{place}"
        );
        let mut seen = BTreeSet::new();
        for parameter in parameters {
            assert!(seen.insert((parameter["in"].to_string(), parameter["name"].to_string())), "{place}: {parameter}");
            assert!(parameter["in"] != "path" || parameter["required"] == true, "{place}: {parameter}");
            assert!(parameter["description"].is_string(), "{place}: {parameter}");
        }
        for requirement in operation["security"].as_array().into_iter().flatten() {
            for (scheme, scopes) in requirement.as_object().unwrap() {
                assert!(schemes.contains_key(scheme) && scopes.is_array(), "{place}: {scheme}");
            }
        }
        let answers = operation["responses"].as_object().expect(&place);
        assert!(answers.keys().any(|status| status.starts_with('2') || status.starts_with('3')), "{place}");
        for (status, answer) in answers {
            assert!(answer["description"].as_str().is_some_and(|text| !text.is_empty()), "{place} {status}");
        }
    }
    assert_eq!(used, tags, "each group has an operation");
}

#[test]
fn its_schemas_are_schemas_and_its_references_lead_somewhere() {
    let schemas = DOCUMENT["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        jsonschema::meta::validate(schema).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let mut referred = BTreeSet::new();
    within(&DOCUMENT, &mut |value| {
        // Nothing in OpenAPI is null; a JSON Schema may name it, by the word.
        assert!(
            !value.as_object().is_some_and(|members| members.get("description").is_some_and(Value::is_null)),
            "{value}"
        );
        if let Some(schema) = value.get("schema") {
            jsonschema::meta::validate(schema).unwrap_or_else(|error| panic!("{schema}: {error}"));
        }
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let name = reference.strip_prefix("#/components/schemas/").unwrap_or_else(|| panic!("{reference}"));
            assert!(schemas.contains_key(name), "{reference}");
            referred.insert(name);
        }
    });
    assert_eq!(referred, schemas.keys().map(String::as_str).collect(), "what nobody refers to is not there");
}

#[tokio::test]
async fn the_command_prints_it_the_same_in_each_run_without_settings_and_dev_serves_it() {
    let folder = Folder::new(Database::Sqlite).await.env("COUNTERSIGN_DATABASE_URL", "nonsense");
    let [first, second] = [(); 2].map(|()| folder.ok(&["openapi"]));
    assert!(first == second && first.ends_with("}\n"));
    let printed: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(printed, *DOCUMENT);
    assert_eq!(printed["servers"], json!([{ "url": "/" }]));

    let server = Server::dev(Database::Sqlite).await;
    server.control("POST", "/dev/realms?name=a", Value::Null).await;
    for below in ["", "/realms/a"] {
        let (status, mut told) = server.control("GET", &format!("{below}/dev/openapi.json"), Value::Null).await;
        assert_eq!((status, &told["servers"][0]["url"]), (200, &json!(format!("{}{below}", server.issuer()))));
        told["servers"] = printed["servers"].clone();
        assert_eq!(told, printed);
    }
    let real = Server::start(Database::Sqlite).await;
    assert_eq!(real.http.get(real.url("/dev/openapi.json")).send().await.unwrap().status(), 404);
}

/// `docs/dev-api.md` has a `curl` line for every call of the control API, and tells of everything that it may be given. (That the
/// lines work is another test's.)
#[test]
fn the_documentation_has_every_call_and_every_field() {
    let page = include_str!("../../docs/dev-api.md").replace("\\\n", "");
    let shown: BTreeSet<(String, &str)> = page
        .lines()
        .filter(|line| line.starts_with("curl "))
        .filter_map(|line| {
            let path = line.split("localhost:8080").nth(1)?.split([' ', '\'', '?']).next()?;
            let given = line.split_once("-X ").and_then(|(_, rest)| rest.split(' ').next());
            let has_body = line.contains(" -d ") || line.contains("--json") || line.contains("--data");
            let method = given.unwrap_or(if has_body { "POST" } else { "GET" });
            Some((method.to_lowercase(), item(path)?.0))
        })
        .collect();
    let words: BTreeSet<&str> = page.split(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c))).collect();
    let mut missing = Vec::new();
    let calls =
        operations().into_iter().filter(|(_, _, operation)| operation["security"].to_string().contains("dev_token"));
    for (path, method, operation) in calls {
        if !shown.contains(&(method.to_owned(), path)) {
            missing.push(format!("{method} {path}"));
        }
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let name = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()).unwrap_or_default();
        let fields = DOCUMENT["components"]["schemas"][name]["properties"].as_object();
        let parameters =
            operation["parameters"].as_array().into_iter().flatten().map(|one| one["name"].as_str().unwrap());
        let parameters = parameters.filter(|name| *name != "params");
        for field in fields.into_iter().flatten().map(|(name, _)| name.as_str()).chain(parameters) {
            if !words.contains(field) && !path.contains(&format!("{{{field}}}")) {
                missing.push(format!("{field} of {method} {path}"));
            }
        }
    }
    assert!(missing.is_empty(), "docs/dev-api.md lacks {missing:#?}");
}

/// A path that leads somewhere, or would if there were such a thing.
fn filled(path: &str) -> String {
    let fill = |part: &str| if part.starts_with('{') { "1".to_owned() } else { part.to_owned() };
    path.split('/').map(fill).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn what_is_described_is_served_and_what_is_not_is_not() {
    let server = whole().await;
    let mut wrong = Vec::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        let aliases = item["x-aliases"].as_array().into_iter().flatten().map(|alias| alias.as_str().unwrap());
        for path in std::iter::once(path.as_str()).chain(aliases) {
            for method in METHODS {
                let request = server.admin(&method.to_uppercase(), &filled(path)).header("accept", "application/json");
                let response = request.send().await.unwrap();
                let (status, body) = read(response).await;
                let no_route = ["there is no resource type", "there is nothing at this path"];
                let no_route = status == 404 && no_route.iter().any(|text| body.to_string().contains(text));
                let described = item.get(method).is_some();
                if described == (status == 405 || no_route) {
                    wrong.push(format!("{method} {path}: described: {described}, and {status}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The schemas are true of requests too: what they allow is taken, and what they do not is refused.
#[tokio::test]
async fn what_control_calls_take_is_what_their_schemas_say() {
    let server = Server::dev(Database::Sqlite).await;
    let cases = [
        ("/dev/clock", json!({"advance": "1h 30m", "freeze": "true"}), true),
        ("/dev/clock", json!({"set": "2030-01-01T00:00:00Z", "unfreeze": true}), true),
        ("/dev/clock", json!({"advanse": 5}), false),
        ("/dev/clock", json!({"freeze": "yes"}), false),
        ("/dev/clock", json!({"set": -5}), false),
        ("/dev/faults", json!({"endpoint": "token", "status": 503, "times": "1"}), true),
        ("/dev/faults", json!({"endpoint": "tokens", "status": 503}), false),
        ("/dev/faults", json!({"status": 700}), false),
        ("/dev/faults", json!({"delay": 26}), false),
        ("/dev/faults", json!({"drop": "between"}), false),
        ("/dev/faults", json!({"drip": 1, "probability": 1.5}), false),
        (
            "/dev/tokens",
            json!({"client_id": "web-app", "user": "alice", "expires_in": "5m", "audience": ["a", "b"]}),
            true,
        ),
        ("/dev/tokens", json!({"client_id": "web-app", "format": "opaque", "expires_in": null}), true),
        ("/dev/tokens", json!({"user": "alice"}), false),
        ("/dev/tokens", json!({"client_id": "web-app", "expires_in": 0}), false),
        ("/dev/tokens", json!({"client_id": "web-app", "defect": "unlucky"}), false),
        ("/dev/sign-in", json!({"user": "alice"}), true),
        ("/dev/sign-in", json!({"user": 1}), false),
        ("/dev/hands-free", json!({"auto_login": true, "consent": "approve"}), true),
        ("/dev/hands-free", json!({"consent": "perhaps"}), false),
    ];
    for (path, body, sound) in cases {
        let schema = &DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"];
        let allowed = problems(schema, &body).is_empty();
        let (status, answer) = server.control("POST", path, body.clone()).await;
        assert_eq!((allowed, status < 400), (sound, sound), "{path} {body}: {status} {answer}");
    }
}

/// The documents' schemas come from the table that documents are checked against: both say the same of each.
#[tokio::test]
async fn documents_are_taken_as_their_schemas_say() {
    let server = Server::start(Database::Sqlite).await;
    let cases = [
        (
            "Client",
            json!({"name": "A", "name#fr": "B", "grant_types": ["code"], "auth": {"authorization_code": {"redirect_uri": "https://a.example", "audience": "x"}}}),
            true,
        ),
        ("Client", json!({"grant_type": ["code"]}), false),
        ("Client", json!({"grant_types": ["kode"]}), false),
        ("Client", json!({"auth": {"authorization_code": {"access_token_expiration": 0}}}), false),
        ("Client", json!({"auth": {"authorization_code": {"pkec": true}}}), false),
        ("Client", json!({"description#fr": "x"}), false),
        (
            "User",
            json!({"userName": "u", "emails": [{"value": "a@b.example"}], "roles": {"value": "admin"}, "manager": {"reference": "User/a"}}),
            true,
        ),
        ("User", json!({"manager": {"id": "a"}}), false),
        (
            "Grant",
            json!({"user": {"resourceType": "User", "id": "a"}, "client": {"reference": "Client/a"}, "requested-scope": ["a"]}),
            true,
        ),
    ];
    for (kind, document, sound) in cases {
        let schema = &DOCUMENT["components"]["schemas"][kind];
        let allowed = problems(schema, &document).is_empty();
        let response = server.admin("PUT", &format!("/{kind}/one")).json(&document).send().await.unwrap();
        let (status, answer) = read(response).await;
        assert_eq!((allowed, status.is_success()), (sound, sound), "{kind} {document}: {status} {answer}");
    }
}

/// The answers that the other tests get in other ways.
#[tokio::test]
async fn answers_are_as_their_schemas_say() {
    let server = whole().await;
    let (_, tokens) = server
        .control(
            "POST",
            "/dev/tokens",
            json!({"client_id": "web-app", "user": "alice", "scope": "openid profile email"}),
        )
        .await;
    let token = tokens["token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    let (_, registered) = {
        let metadata = json!({"client_name": "R", "redirect_uris": ["https://r.example/cb"]});
        get(&server, "POST", "/oauth2/register", "", Some(metadata)).await
    };
    let managed = format!("/oauth2/register/{}", registered["client_id"].as_str().unwrap());
    let access = format!("Bearer {}", registered["registration_access_token"].as_str().unwrap());
    let (_, read) = get(&server, "GET", &managed, &access, None).await;
    let access = format!("Bearer {}", read["registration_access_token"].as_str().unwrap());
    let mut seen: BTreeMap<String, u16> = BTreeMap::new();
    for (method, path, authorization, body) in [
        ("GET", "/", "", None),
        ("GET", "/.well-known/openid-configuration", "", None),
        ("GET", "/.well-known/oauth-authorization-server", "", None),
        ("GET", "/.well-known/jwks.json", "", None),
        ("GET", "/healthz", "", None),
        ("GET", "/health", "", None),
        ("GET", "/readyz", "", None),
        ("GET", "/oauth2/userinfo", bearer.as_str(), None),
        ("GET", "/auth/userinfo", "Bearer nothing", None),
        ("GET", "/userinfo", "", None),
        ("GET", "/oauth2/authorize", "", None),
        ("GET", "/oauth2/authorize?client_id=web-app&redirect_uri=http://localhost:4200&response_type=kode", "", None),
        ("GET", "/oauth2/check_session", "", None),
        ("GET", "/oauth2/logout", "", None),
        ("GET", "/login", "", None),
        ("GET", "/sandbox", "", None),
        ("GET", "/sandbox/userinfo", "", None),
        ("GET", "/sandbox/nothing", "", None),
        ("GET", "/static/nothing", "", None),
        ("GET", "/client-logo", "", None),
        ("GET", "/initiate_login?client_id=web-app", "", None),
        ("POST", "/oauth2/register", "Bearer nothing", Some(json!({}))),
        ("POST", "/oauth2/register", "", Some(json!({"redirect_uris": ["nonsense"]}))),
        ("DELETE", managed.as_str(), access.as_str(), None),
        ("GET", "/Client", "", None),
        ("GET", "/Client", "Basic", None),
        ("GET", "/Client/web-app", "Basic", None),
        ("GET", "/fhir/Client/web-app", "Basic", None),
        ("GET", "/Client/nobody", "Basic", None),
        ("GET", "/User?_count=1&_total=accurate", "Basic", None),
        ("GET", "/User?password=x", "Basic", None),
        ("GET", "/Grant", "Basic", None),
        ("GET", "/Session", "Basic", None),
        ("GET", "/fhir/Session?user=alice", "Basic", None),
        ("GET", "/Session?nothing=x", "Basic", None),
        ("GET", "/SigningKey", "Basic", None),
        ("PATCH", "/User/bob", "Basic", Some(json!({"title": "x"}))),
        ("PATCH", "/User/bob", "Basic", Some(json!({"titel": "x"}))),
        ("PUT", "/", "Basic", Some(json!([{"resourceType": "User", "id": "carol", "userName": "carol"}]))),
        (
            "POST",
            "/",
            "Basic",
            Some(
                json!({"type": "batch", "entry": [{"resource": {"resourceType": "User", "id": "dave", "titel": "x"}}]}),
            ),
        ),
        ("POST", "/fhir", "Basic", Some(json!({"type": "history"}))),
        ("DELETE", "/User/carol", "Basic", None),
        ("GET", "/User/carol", "Basic", None),
        ("DELETE", "/Session", "Bearer nothing", None),
        ("DELETE", "/Session", bearer.as_str(), None),
    ] {
        let (status, _) = get(&server, method, path, authorization, body).await;
        seen.insert(format!("{method} {path} {authorization}"), status);
    }
    let well = seen.values().filter(|status| **status < 400).count();
    assert!(well >= 20 && seen.len() - well >= 10, "{seen:#?}");
}

/// A request, whose answer is held against the document.
async fn get(server: &Server, method: &str, path: &str, authorization: &str, body: Option<Value>) -> (u16, Value) {
    let mut request = server.http.request(method.parse().unwrap(), server.url(path));
    match authorization {
        "" => {}
        "Basic" => request = request.basic_auth("root", Some("secret")),
        bearer => request = request.header("authorization", bearer),
    }
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await.unwrap();
    let content_type = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
    let (status, answer) = read(response).await;
    check(method, path, status.as_u16(), content_type.as_deref().unwrap_or_default(), &answer);
    (status.as_u16(), answer)
}
