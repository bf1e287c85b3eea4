//! What is probably wrong with a server that has just started, seen from inside: the address it listens on and the name it has do
//! not fit the container that it seems to run in.

use std::net::SocketAddr;
use std::path::Path;

use crate::config::{Issuer, Settings};

/// What to tell, where the file system of this process begins at `root`.
pub(super) fn hints(settings: &Settings, issuer: &Issuer, listen: SocketAddr, root: &Path) -> Vec<String> {
    let container = is_container(root);
    // Nobody publishes a port that the system chose: who asked for any is in here too, such as the tests of a CI job.
    if container && listen.ip().is_loopback() && settings.listen.port() != 0 {
        return vec![format!(
            "this is probably a container, and {listen} is its own loopback, which nothing outside reaches: published ports lead \
             nowhere. Set --listen 0.0.0.0:{0} and --issuer http://localhost:{0}, or whatever port is published.",
            listen.port()
        )];
    }
    let elsewhere = issuer.is_loopback() && issuer.port() != listen.port();
    if !container && elsewhere && listen.ip().is_loopback() && settings.trusted_proxies.is_empty() {
        return vec![format!(
            "the issuer is {issuer} and the server listens on {listen}: unless something leads from the one port to the other, the \
             issuer is probably wrong. Set --issuer {}.",
            Issuer::localhost(settings.tls.is_some(), listen.port())
        )];
    }
    Vec::new()
}

/// Whether it looks like one: Docker and Podman leave a file, the others a name in the control groups.
fn is_container(root: &Path) -> bool {
    let groups = std::fs::read_to_string(root.join("proc/1/cgroup")).unwrap_or_default();
    [".dockerenv", "run/.containerenv", "var/run/secrets/kubernetes.io"].iter().any(|name| root.join(name).exists())
        || ["/docker", "/kubepods", "/lxc/", "containerd"].iter().any(|name| groups.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_that_nothing_reaches_is_told_in_a_container_only() {
        let root = std::env::temp_dir().join(format!("countersign-container-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let settings = Settings::dev_defaults();
        let hints = |issuer: &Issuer, listen: &str| hints(&settings, issuer, listen.parse().unwrap(), &root);
        let [loopback, everywhere] = ["127.0.0.1:8080", "0.0.0.0:8080"];
        let issuer = Issuer::localhost(false, 8080);
        assert!(hints(&issuer, loopback).is_empty());
        let other = hints(&Issuer::localhost(false, 9090), loopback);
        assert!(other[0].contains("probably") && other[0].ends_with("--issuer http://localhost:8080."), "{other:?}");
        std::fs::write(root.join(".dockerenv"), "").unwrap();
        let found = hints(&issuer, loopback);
        assert!(found[0].contains("probably") && found[0].contains("--listen 0.0.0.0:8080"), "{found:?}");
        assert!(hints(&issuer, everywhere).is_empty());
        assert!(hints(&Issuer::localhost(false, 9090), everywhere).is_empty(), "published as another port");
        std::fs::remove_file(root.join(".dockerenv")).unwrap();
        std::fs::create_dir_all(root.join("proc/1")).unwrap();
        std::fs::write(root.join("proc/1/cgroup"), "0::/kubepods/besteffort/pod1\n").unwrap();
        assert_eq!(hints(&issuer, loopback).len(), 1);
        let mut any_port = Settings::dev_defaults();
        any_port.listen.set_port(0);
        assert!(super::hints(&any_port, &issuer, loopback.parse().unwrap(), &root).is_empty());
        std::fs::remove_dir_all(&root).unwrap();
    }
}
