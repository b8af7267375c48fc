#!/bin/sh
# Makes the files of secrets/ that are not there yet, each with a random value; WX_SECRET is asked for. They stay out of git.
set -eu
cd "$(dirname "$0")"
umask 022
mkdir -p secrets
chmod 700 secrets # the files themselves are read by the users of the containers
for name in JWT_SECRET STORAGE_KEY MYSQL_PASSWORD ADMIN_TOKEN GRAFANA_PASSWORD; do
	[ -s "secrets/$name" ] || head -c 32 /dev/urandom | base64 | tr -d '\n' >"secrets/$name"
done
if [ ! -s secrets/WX_SECRET ]; then
	[ -n "${WX_SECRET:-}" ] || { printf 'AppSecret of the mini-program: ' && read -r WX_SECRET; }
	printf %s "$WX_SECRET" >secrets/WX_SECRET
fi
