#!/usr/bin/env bash
# Installs the Debian packages of packages.txt whose kind is named: install_packages.sh build [test]
# Does nothing (and needs no rights and no network) where all of them are installed already.
set -euo pipefail
folder=$(cd "$(dirname "$0")" && pwd)
missing=()
for kind in "$@"; do
  while read -r package; do
    [ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" = "install ok installed" ] || missing+=("$package")
  done < <(sed -n "s/^$kind //p" "$folder/packages.txt")
done
[ ${#missing[@]} -eq 0 ] && exit 0
echo "Installing ${#missing[@]} Debian packages: ${missing[*]}"
as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "These packages are missing; install them as root: apt-get install ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
"${as_root[@]}" apt-get update -qq
# PostgreSQL is only a program here: no cluster of the system's own is made or started.
"${as_root[@]}" mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] || echo "create_main_cluster = false" | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
