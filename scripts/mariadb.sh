#!/bin/sh
# Installs the MariaDB that the tests start for themselves, or says in one line what is missing and fails. With "galera" it
# also installs what a cluster needs. Only root on Debian and Ubuntu can install; nothing of the system's MariaDB is used.
set -eu
PATH=$PATH:/usr/sbin

# want PROGRAM-OR-FILE PACKAGE: installs the package where this process may.
want() {
	if command -v "$1" >/dev/null || [ -e "$1" ]; then
		return
	fi
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		if apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >&2; then
			return
		fi
	fi
	echo "tests: $2 is missing: install it (Debian: apt-get install --no-install-recommends $2)" >&2
	exit 1
}

want mariadbd mariadb-server
if [ "${1:-}" = galera ]; then
	want /usr/lib/galera/libgalera_smm.so galera-4
	want rsync rsync
fi
