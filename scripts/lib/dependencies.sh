# What the dependencies may be: licences, banned crates and sources by deny.toml, and known vulnerabilities.

# shellcheck source=scripts/lib/say.sh
source scripts/lib/say.sh

dependencies_tools=$PWD/target/tools
dependencies_version=0.20.2

dependencies_check() {
  local deny
  deny=$(dependencies_cargo_deny) || fail "cargo-deny could not be installed" \
    "Install it: cargo install --locked cargo-deny@$dependencies_version"
  step "Licences, bans and sources of dependencies" "$deny" --log-level error check licenses bans sources
  # The vulnerability database is a git repository elsewhere, which is not reachable from everywhere.
  if dependencies_fetch_advisories "$deny"; then
    step "Known vulnerabilities of dependencies" "$deny" --log-level error check --disable-fetch advisories
  else
    say "Known vulnerabilities of dependencies: NOT CHECKED, because the RustSec advisory database could not be fetched"
  fi
}

dependencies_fetch_advisories() { timeout 120 "$1" --log-level off fetch db >/dev/null 2>&1 </dev/null; }

# The path of cargo-deny: an installed one, else one built once below target/tools. Unoptimized: it is built far sooner.
dependencies_cargo_deny() {
  command -v cargo-deny && return
  local built=$dependencies_tools/bin/cargo-deny
  if [ ! -x "$built" ]; then
    say "Installing cargo-deny $dependencies_version into target/tools, once (a minute or two)"
    CARGO_TARGET_DIR=$dependencies_tools/build CARGO_PROFILE_DEV_DEBUG=0 \
      quietly cargo install --locked --debug --root "$dependencies_tools" "cargo-deny@$dependencies_version" || return 1
    rm -rf "$dependencies_tools/build"
  fi
  echo "$built"
}
