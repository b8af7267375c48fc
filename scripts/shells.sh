#!/bin/sh
# Installs the shells whose completion is tested, or says in one line what is missing and fails. Only root on Debian and
# Ubuntu can install.
set -eu

for shell in bash zsh fish; do
	command -v "$shell" >/dev/null && continue
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$shell" >&2 && continue
	fi
	echo "tests: $shell is missing: install it (Debian: apt-get install --no-install-recommends $shell; macOS: brew install $shell)" >&2
	exit 1
done
