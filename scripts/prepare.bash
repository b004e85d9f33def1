# Sourced by scripts/demo and scripts/test: the packages of npm, and a MySQL-compatible server to work with.

say() { echo "==> $*" >&2; }

give_up() {
  echo "error: $*" >&2
  exit 1
}

# Runs a command as root: as it is, or through sudo. Where a password would be needed but nobody can type it, fails.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    sudo "$@"
  else
    return 1
  fi
}

install_npm_packages() {
  command -v npm >/dev/null || give_up "npm is missing: install Node 20 or later with npm (Debian: apt-get install nodejs npm)"
  say "npm ci"
  npm ci --no-progress --loglevel=error >&2
}

has_program() {
  local folder
  command -v "$1" >/dev/null && return 0
  for folder in /usr/sbin /usr/local/sbin; do
    if [ -x "$folder/$1" ]; then return 0; fi
  done
  return 1
}

# Asks only where a person is at the terminal; a script that is run without one was started to get things done.
agree_to() {
  local answer
  if [ ! -t 0 ]; then return 0; fi
  read -r -p "$1 [Y/n] " answer
  case "$answer" in
    '' | [Yy]*) return 0 ;;
    *) return 1 ;;
  esac
}

update_package_lists() {
  if [ "${PACKAGE_LISTS:-}" = fresh ]; then return 0; fi
  say "apt-get update"
  as_root apt-get -q update >&2 && PACKAGE_LISTS=fresh
}

install_packages() {
  update_package_lists || return 1
  say "apt-get install $*"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$@" >&2
}

# The server's program without the service: nothing is started, now or at the next boot. Releases whose core package
# has another name get the whole one, with its service held back.
install_mariadb() {
  update_package_lists || return 1
  if apt-cache policy mariadb-server-core 2>/dev/null | grep -qE 'Candidate: [0-9]'; then
    install_packages mariadb-server-core mariadb-client-core
    return
  fi
  local guard=/usr/sbin/policy-rc.d status=0 guarded=no
  if [ ! -e "$guard" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$guard" >/dev/null && as_root chmod 755 "$guard" && guarded=yes
  fi
  install_packages mariadb-server || status=$?
  if [ "$guarded" = yes ]; then as_root rm -f "$guard"; fi
  if command -v systemctl >/dev/null; then as_root systemctl disable mariadb >/dev/null 2>&1 || true; fi
  return "$status"
}

# In this order: addresses from the environment, a server program on this machine, Debian's package, Docker.
find_server() {
  if [ -n "${SHARDGATE_TEST_SERVERS:-}" ]; then
    say "servers: $SHARDGATE_TEST_SERVERS"
  elif has_program mysqld || has_program mariadbd; then
    say "servers: the mysqld or mariadbd of this machine"
  elif command -v apt-get >/dev/null && agree_to "No MySQL-compatible server is installed here. Install MariaDB with apt-get?" && install_mariadb; then
    say "servers: MariaDB, just installed (no service was started)"
  elif command -v docker >/dev/null && docker info >/dev/null 2>&1; then
    say "servers: in Docker"
  else
    give_up "no MySQL-compatible server: put mysqld or mariadbd on the PATH, start Docker, or name running servers in SHARDGATE_TEST_SERVERS=host:port,…"
  fi
}
