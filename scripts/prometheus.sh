#!/bin/sh
# Installs the Prometheus, with its promtool, that the tests start for themselves, or says in one line what is missing and
# fails. Only root on Debian and Ubuntu can install; nothing of the system's Prometheus is used.
set -eu
if ! command -v prometheus >/dev/null || ! command -v promtool >/dev/null; then
	"$(dirname "$0")/install.sh" prometheus golang-github-prometheus prometheus
fi
