# Debian packages, with root rights or without. With them a package is installed; without them it is downloaded and unpacked
# below target/debian, from where programs run just as well.

# shellcheck source=scripts/lib/say.sh
source scripts/lib/say.sh

packages_tree=$PWD/target/debian
packages_updated=no

# packages_provide WHAT PACKAGE…: installs as root or through sudo. Returns 1 without root rights.
packages_provide() {
  local what=$1 as_root=()
  shift
  if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || return 1
    as_root=(sudo -n)
  fi
  command -v apt-get >/dev/null || return 1
  say "Installing $what: apt-get install $*"
  # Another installation may hold the lock for a while: wait for it.
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300)
  if [ "$packages_updated" = no ]; then
    quietly "${apt[@]}" update || say "apt-get update failed; trying with the package lists that are here"
    packages_updated=yes
  fi
  quietly "${apt[@]}" install --no-install-recommends "$@" || return 1
}

# packages_unpack WHAT PACKAGE…: without root rights. apt-get works in folders of its own there: it downloads the packages and
# whatever they need beyond what the machine has, and dpkg-deb unpacks them.
packages_unpack() {
  local what=$1 state=$packages_tree/.apt deb
  shift
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
  say "No root rights, so unpacking $what below target/debian: $*"
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
  local apt=(apt-get -q -y -o Debug::NoLocking=1 -o Dir::State="$state" -o Dir::State::lists="$state/lists"
    -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache="$state/cache" -o APT::Sandbox::User=)
  if [ "$packages_updated" = no ]; then
    quietly "${apt[@]}" update || return 1
    packages_updated=yes
  fi
  quietly "${apt[@]}" install --download-only --no-install-recommends "$@" || return 1
  for deb in "$state"/cache/archives/*.deb; do
    [ -e "$deb" ] || return 1
    quietly dpkg-deb -x "$deb" "$packages_tree" || return 1
    rm -f "$deb"
  done
}

# The shared libraries of unpacked packages. Only for the programs that come from there: nothing else should see them.
packages_libraries() {
  local triplet
  triplet=$(dpkg-architecture -q DEB_HOST_MULTIARCH 2>/dev/null || echo "$(uname -m)-linux-gnu")
  echo "$packages_tree/usr/lib/$triplet:$packages_tree/lib/$triplet:$packages_tree/usr/lib/$triplet/pulseaudio"
}
