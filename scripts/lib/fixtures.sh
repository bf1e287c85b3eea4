# The example in Rust is a package of its own, which has the server as a dependency. Those in other languages are run by
# tests/fixtures.

# shellcheck source=scripts/lib/interop.sh
source scripts/lib/interop.sh

fixtures_rust() {
  local package=examples/fixtures/rust
  # Begins with the versions of the server, so that what is built already is not built again.
  if ! interop_unchanged fixtures-rust Cargo.lock; then
    cp Cargo.lock "$package/Cargo.lock"
    interop_done fixtures-rust Cargo.lock
  fi
  # The server alone is built anew, for which optimizing it would take far longer than these tests do without.
  CARGO_TARGET_DIR=$PWD/target cargo test --manifest-path "$package/Cargo.toml" \
    --config profile.dev.package.countersign.opt-level=0
}
