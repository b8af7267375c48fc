#!/bin/sh
# Installs the Prometheus, with its promtool, that the tests start for themselves, or says in one line what is missing and
# fails. Only root on Debian and Ubuntu can install; nothing of the system's Prometheus is used.
set -eu

if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
	exit
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	if apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus >&2; then
		exit
	fi
fi
echo "tests: prometheus is missing: install it (Debian: apt-get install --no-install-recommends prometheus)" >&2
exit 1
