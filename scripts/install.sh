#!/bin/sh
# install.sh DEBIAN FEDORA HOMEBREW: installs a package, by its name in each of the three, for root on Debian and Ubuntu. Nobody
# else's machine is changed: they read in one line what to run, and the script fails. "-" is a package that a system lacks.
set -eu
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	if apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >&2; then
		exit
	fi
fi
how="apt-get install --no-install-recommends $1"
if [ "$(uname)" = Darwin ]; then
	how="brew install $3"
	[ "$3" != - ] || how="there is none for macOS: use a Linux machine"
elif command -v dnf >/dev/null; then
	how="dnf install $2"
elif ! command -v apt-get >/dev/null; then
	how="$how (Debian), dnf install $2 (Fedora)"
fi
echo "tests: $1 is missing: $how" >&2
exit 1
