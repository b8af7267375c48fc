#!/bin/sh
# Installs the MariaDB that the tests start for themselves, or says in one line what is missing and fails. With "galera" it
# also installs what a cluster needs. Only root on Debian and Ubuntu can install; nothing of the system's MariaDB is used.
set -eu
install=$(dirname "$0")/install.sh
PATH=$PATH:/usr/sbin

command -v mariadbd >/dev/null || "$install" mariadb-server mariadb-server mariadb
if [ "${1:-}" = galera ]; then
	[ -e /usr/lib/galera/libgalera_smm.so ] || [ -e /usr/lib64/galera/libgalera_smm.so ] || "$install" galera-4 galera -
	command -v rsync >/dev/null || "$install" rsync rsync rsync
fi
