//! What the door of data files lets in, what it says of the rest, and how templates are filled.

use serde_json::{Map, Value, json};

use super::file::parse;
use super::template::{Facts, Template};
use super::{BUILT_IN, load};
use crate::domain::user::User;

const SMALLEST: &str = "title: Mine\npaths: {token_endpoint: /t}\n";

#[test]
fn the_dialects_that_are_built_in_are_sound() {
    for (name, _) in BUILT_IN {
        let dialect = load(name).unwrap_or_else(|why| panic!("{why}"));
        let way = dialect.path("token_endpoint").unwrap();
        assert_eq!(dialect.endpoint(way), Some("token_endpoint"), "{name}");
        assert!(dialect.path("configuration").is_some() && dialect.path("jwks_uri").is_some(), "{name}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_what_was_meant() {
    for (more, line, said) in [
        ("discovry: {}", "line 3", "did you mean discovery?"),
        ("id_token: {sets: {}}", "line 3", "did you mean set?"),
        ("clients: {token_formt: jwt}", "line 3", "did you mean token_format?"),
        ("\nsubject: '{usr.id}'", "line 4", "did you mean user.id?"),
        ("subject: '{user.id|uid}'", "line 3", "did you mean uuid?"),
        ("subject: '{user.id'", "line 3", "not closed"),
        ("userinfo: {set: {sub: x}}", "line 3", "cannot be set"),
        ("access_token: {set: {countersign: x}}", "line 3", "cannot be set"),
        ("id_token: {keep: [iss]}", "line 3", "lacks sub"),
        ("error: {status: {invalid_grant: 200}}", "line 3", "not one of an error"),
        ("issuer: /{tenant}", "line 3", "not in variables"),
        ("issuer: /a b", "line 3", "neither letters"),
        ("variables: {tenant: a/b}", "line 3", "not text of letters"),
        ("parameters: {end_session_endpoint: {a: b}}", "line 3", "a path of its own"),
        ("userinfo: {typ: JWT}", "line 3", "for access_token alone"),
    ] {
        let why = parse(&format!("{SMALLEST}{more}\n"), &[]).unwrap_err();
        assert!(why.contains(line) && why.contains(said), "{more}: {why}");
    }
    let why = parse("title: Mine\npaths:\n  token_endpont: /t\n", &[]).unwrap_err();
    assert!(why.contains("line 3") && why.contains("did you mean token_endpoint?"), "{why}");
}

#[test]
fn a_setting_that_names_nothing_says_what_there_is() {
    for (setting, said) in [
        ("entr", "did you mean entra?"),
        ("./none.yaml", "none.yaml"),
        ("entra,tenant", "is not a variable with its value"),
        ("entra,realm=x", "it has tenant"),
        ("entra,tenant=a/b", "not text of letters"),
    ] {
        let why = load(setting).unwrap_err();
        assert!(why.contains(said), "{setting}: {why}");
    }
    assert_eq!(load("entra,tenant=contoso").unwrap().issuer, "/contoso/v2.0");
}

#[test]
fn a_variable_in_a_path_is_any_one_segment() {
    let dialect = load("entra").unwrap();
    for tenant in ["common", "contoso.onmicrosoft.com", "8d6f0c3a-5a3e-4f39-9f0b-6f2f6c1d7b11"] {
        assert_eq!(dialect.endpoint(&format!("/{tenant}/oauth2/v2.0/token")), Some("token_endpoint"));
    }
    for path in ["/oauth2/v2.0/token", "//oauth2/v2.0/token", "/a/b/oauth2/v2.0/token", "/a/oauth2/v2.0/token/", "/"] {
        assert_eq!(dialect.endpoint(path), None, "{path}");
    }
}

#[test]
fn places_are_filled_with_what_there_is() {
    let body = json!({"userName": "ann", "data": {"n": 7, "list": ["a", "b"], "none": null}});
    let user = User { id: "u".into(), active: true, epoch: 0, updated_at: 1_700_000_000, body };
    let plain: Map<String, Value> = [("aud".to_owned(), json!(["x", "y"]))].into_iter().collect();
    let facts = Facts {
        user: Some(&user),
        plain: Some(&plain),
        scope: "openid offline_access https://api.example/a/Read.All api://x/.default",
        ..Facts::default()
    };
    for (template, value) in [
        (json!("{user.data.n}"), json!(7)),
        (json!("n={user.data.n}"), json!("n=7")),
        (json!("{user.data.n|text}"), json!("7")),
        (json!("{user.data.list.1}"), json!("b")),
        (json!("{user.data.none}"), Value::Null),
        (json!("-{user.data.none}-"), Value::Null),
        (json!("{user.data.none, 'a constant'}"), json!("a constant")),
        (json!("{claim.email, claim.preferred_username}"), json!("ann")),
        (json!("{claim.updated_at|date}"), json!("2023-11-14T22:13:20Z")),
        (json!("{scope|resource}"), json!("https://api.example/a")),
        (json!("{scope|permissions}"), json!("openid Read.All")),
        (json!("{scope|permissions|words}"), json!(["openid", "Read.All"])),
        (json!("{variable}"), json!("its value")),
        (json!(["{plain.aud}", "z", "x", "{user.data.none}"]), json!(["x", "y", "z"])),
        (json!({"roles": "{claim.groups}"}), Value::Null),
        (json!({"a": true, "b": "{user.data.none}"}), json!({"a": true})),
    ] {
        let parsed = Template::parse(template.clone(), &[("variable".into(), "its value".into())]).unwrap();
        assert_eq!(parsed.fill(&facts).unwrap_or_default(), value, "{template}");
    }
    let text = |template: &str| Template::parse(json!(template), &[]).unwrap().text(&facts).unwrap();
    let (uuid, digits) = (text("{user.id|uuid}"), text("{user.id|digits}"));
    assert_eq!(
        (text("{user.id|uuid}"), uuid::Uuid::parse_str(&uuid).map(|uuid| uuid.get_version_num())),
        (uuid.clone(), Ok(4))
    );
    assert!(digits.len() == 21 && digits.bytes().all(|byte| byte.is_ascii_digit()), "{digits}");
}
