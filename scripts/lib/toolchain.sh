# The Rust toolchain: asked of people, not installed for them, except for what belongs to it.

# shellcheck source=scripts/lib/packages.sh
source scripts/lib/packages.sh

toolchain_check() {
  command -v cargo >/dev/null || fail "cargo is not on the PATH" "Install Rust: https://www.rust-lang.org/tools/install"
  command -v cc >/dev/null || packages_provide "the C compiler that Rust links with" gcc libc6-dev || true
  command -v cc >/dev/null || fail "no C compiler (cc), which Rust links with" "Install one: apt-get install gcc libc6-dev"
  local component
  for component in fmt clippy; do
    cargo "$component" --version >/dev/null 2>&1 && continue
    say "Adding the missing component: rustup component add ${component/fmt/rustfmt}"
    rustup component add "${component/fmt/rustfmt}" || fail "cargo $component is missing, and could not be added"
  done
}
