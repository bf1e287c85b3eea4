//! Facts about the container image and the compose file that can be checked without a container engine: nothing runs as root,
//! health is asked of the server itself, and every variable is a setting that the server knows.

use std::collections::BTreeSet;

use countersign::config::table::SETTINGS;
use serde_json::{Value, json};

use super::assert_none;
use super::source::read;

/// The instructions of the last stage of the Dockerfile, which is the image that is shipped.
fn image() -> Vec<(String, String)> {
    let instructions: Vec<(String, String)> = read("Dockerfile")
        .replace("\\\n", " ")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.trim().split_once(' '))
        .map(|(instruction, arguments)| (instruction.to_owned(), arguments.trim().to_owned()))
        .collect();
    let last = instructions.iter().rposition(|(instruction, _)| instruction == "FROM").expect("a stage");
    instructions[last..].to_vec()
}

fn argument(instruction: &str) -> String {
    let image = image();
    let found = image.iter().rfind(|(name, _)| name == instruction);
    found.unwrap_or_else(|| panic!("the Dockerfile has no {instruction}")).1.clone()
}

fn compose() -> Value {
    serde_saphyr::from_str(&read("docker-compose.yml")).expect("docker-compose.yml is YAML")
}

/// Variables that begin like one of ours and are none: the server would refuse to start.
fn unknown<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let known: BTreeSet<String> =
        SETTINGS.iter().flat_map(|setting| [Some(setting.env.to_owned()), setting.env_file()]).flatten().collect();
    names.filter(|name| name.starts_with("COUNTERSIGN_") && !known.contains(*name)).map(str::to_owned).collect()
}

/// The names in `${NAME:?…}` and `${NAME:-…}` of a text, with whether each is required.
fn interpolations(text: &str) -> BTreeSet<(&str, bool)> {
    let parts = text.split("${").skip(1).filter_map(|part| part.split_once('}'));
    parts.map(|(inside, _)| (inside.split(':').next().unwrap_or(inside), inside.contains(":?"))).collect()
}

#[test]
fn the_image_runs_as_a_user_without_rights() {
    let user = argument("USER");
    let ids: Vec<u32> = user.split(':').map(|id| id.parse().expect("a number, which needs no /etc/passwd")).collect();
    assert!(ids.len() == 2 && ids.iter().all(|id| *id >= 1000), "USER {user}");
}

#[test]
fn the_image_starts_the_server_and_asks_it_for_its_health() {
    assert_eq!(argument("ENTRYPOINT"), r#"["/countersign"]"#);
    assert_eq!(argument("CMD"), r#"["serve"]"#);
    // The exec form: there is no shell.
    assert!(argument("HEALTHCHECK").ends_with(r#"CMD ["/countersign", "health"]"#));
    assert_eq!(argument("VOLUME"), argument("WORKDIR"), "the default database is made where a volume is");
}

#[test]
fn the_image_sets_only_what_the_server_knows() {
    let image = image();
    let variables = image.iter().filter(|(name, _)| name == "ENV").flat_map(|(_, pairs)| pairs.split_whitespace());
    let names: Vec<&str> = variables.filter_map(|pair| pair.split_once('=')).map(|(name, _)| name).collect();
    assert!(!names.is_empty(), "the image listens beyond its own loopback");
    assert_none(&unknown(names.into_iter()), "The Dockerfile sets these variables, which are not settings.");
    assert!(argument("ENV").ends_with(&format!(":{}", argument("EXPOSE"))), "the exposed port is listened on");
}

#[test]
fn the_image_has_what_the_build_needs_and_no_secrets() {
    let ignored = read(".dockerignore");
    let lines: BTreeSet<&str> = ignored.lines().collect();
    for secret in [".env", "**/*.master-key", "**/*.db", ".git"] {
        assert!(lines.contains(secret), "{secret} would get into an image");
    }
    for needed in ["src", "dialects", "migrations", "templates", "scripts", "Cargo.lock", "build.rs"] {
        assert!(!lines.contains(needed), "{needed} is needed by the build");
    }
}

#[test]
fn compose_waits_for_health_and_gives_no_rights() {
    let compose = compose();
    let server = &compose["services"]["countersign"];
    assert_eq!(server["depends_on"]["postgres"]["condition"], "service_healthy");
    assert_eq!(server["healthcheck"]["test"], json!(["CMD", "/countersign", "health"]));
    assert_eq!(compose["services"]["postgres"]["healthcheck"]["test"][1], "pg_isready");
    assert_eq!(server["read_only"], true);
    assert_eq!(server["cap_drop"], json!(["ALL"]));
    assert_eq!(server["security_opt"], json!(["no-new-privileges:true"]));
    assert_eq!(server["user"], argument("USER"));
}

#[test]
fn compose_sets_only_what_the_server_knows() {
    let compose = compose();
    let environment = compose["services"]["countersign"]["environment"].as_object().expect("variables by name");
    assert_none(
        &unknown(environment.keys().map(String::as_str)),
        "docker-compose.yml sets these variables, which are not settings.",
    );
    let port = environment["COUNTERSIGN_LISTEN"].as_str().and_then(|listen| listen.rsplit(':').next()).expect("a port");
    let published = compose["services"]["countersign"]["ports"][0].as_str().expect("a published port");
    assert!(published.ends_with(&format!(":{port}")), "{published} leads to {port}");
}

#[test]
fn compose_has_no_secret_of_its_own_and_says_who_makes_them() {
    let text = read("docker-compose.yml");
    let required: BTreeSet<&str> =
        interpolations(&text).into_iter().filter(|(_, required)| *required).map(|(name, _)| name).collect();
    let script = read("scripts/new-env");
    let made: BTreeSet<&str> = script
        .lines()
        .filter_map(|line| line.trim().strip_prefix("echo \"")?.split_once("=$("))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(required, made, "scripts/new-env makes just what docker-compose.yml requires");
    for secret in ["POSTGRES_PASSWORD", "COUNTERSIGN_MASTER_KEY", "COUNTERSIGN_ADMIN_CLIENT_SECRET"] {
        assert!(required.contains(secret), "{secret} has no default");
    }
}

#[test]
fn the_services_of_the_examples_are_what_their_tests_are_told() {
    let yaml =
        |name: &str| -> Value { serde_saphyr::from_str(&read(&format!("examples/fixtures/{name}"))).expect("YAML") };
    let job = &yaml("github-actions/test.yml")["jobs"]["test"];
    let compose = &yaml("docker-compose/compose.yaml")["services"]["countersign"];
    let service = &job["services"]["countersign"];
    let exposed = argument("EXPOSE");
    for (service, environment) in [(service, &service["env"]), (compose, &compose["environment"])] {
        let environment = environment.as_object().expect("variables by name");
        assert_none(&unknown(environment.keys().map(String::as_str)), "An example sets these, which are not settings.");
        assert_eq!(service["command"], "dev", "which has the control API");
        let issuer = environment["COUNTERSIGN_ISSUER"].as_str().expect("an issuer");
        assert_eq!(job["env"]["COUNTERSIGN"], issuer, "tests reach the server by its issuer");
        let published = service["ports"][0].as_str().expect("a published port");
        let port = issuer.rsplit(':').next().expect("a port");
        assert!(published.ends_with(&format!("{port}:{exposed}")), "{published} leads from {issuer} to {exposed}");
    }
    assert_eq!(compose["healthcheck"]["test"], json!(["CMD", "/countersign", "health"]));
}
