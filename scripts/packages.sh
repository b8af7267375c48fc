#!/usr/bin/env bash
# Installs, starts, upgrades, removes and purges the .deb, and the .rpm, each in a copy of this machine that is thrown away
# afterwards. A stand-in for systemctl starts what the unit says, as the unit's user. Needs root, Debian's dpkg, rpm, curl and
# node; `make long WHAT=packages` builds what it takes: packages.sh FOLDER-OF-ONE-VERSION FOLDER-OF-A-NEWER-ONE.
# "packages.sh tools" only says what is missing.
set -euo pipefail

fail() { echo "packages: $*" >&2; exit 1; }

# tools fails where something is missing.
tools() {
	for tool in dpkg rpm curl node setpriv systemd-analyze; do
		command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install ${tool/systemd-analyze/systemd}"
	done
	[ "$(id -u)" = 0 ] || fail "this needs to be root"
}

# outside prepares the copy, an overlay of this machine's files in memory, and goes on in it.
outside() {
	disk=$(mktemp -d) # wxgate refuses to keep users in memory, or in an overlay
	trap 'rm -rf "$disk"' EXIT
	for format in deb rpm; do
		mkdir "$disk/$format"
		unshare --mount --pid --fork --kill-child bash -euo pipefail -c '
			mount -t tmpfs none /mnt
			mkdir /mnt/changes /mnt/work /mnt/root
			mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/changes,workdir=/mnt/work /mnt/root
			mkdir /mnt/root/packages && cp "$2"/*."$1" /mnt/root/packages/first."$1" && cp "$3"/*."$1" /mnt/root/packages/second."$1"
			cp "$4" /mnt/root/packages/inside && cp docs/install.md /mnt/root/packages/install.md
			mkdir /mnt/root/var/lib/wxgate && mount --bind "$5/$1" /mnt/root/var/lib/wxgate
			mount -t proc proc /mnt/root/proc && mount --rbind /dev /mnt/root/dev && mount -t tmpfs none /mnt/root/run
			exec chroot /mnt/root bash /packages/inside inside "$1"
		' outside "$format" "$1" "$2" "${BASH_SOURCE[0]}" "$disk"
	done
}

# systemctl is the stand-in: it knows "enable --now", and "stop", of wxgate.service.
systemctl() {
	local unit=/usr/lib/systemd/system/wxgate.service
	of() { sed -n "s/^$1=//p" $unit; }
	if [ "$1" = stop ]; then
		kill -TERM "$started"
		wait "$started" || fail "after SIGTERM the exit code is $?"
		return
	fi
	local credentials=/run/credentials/wxgate.service runas
	rm -rf $credentials && mkdir -p $credentials
	of LoadCredential | while IFS=: read -r name file; do cp "$file" "$credentials/$name"; done
	chown -R wxgate $credentials && chmod 500 $credentials && chmod 400 $credentials/*
	runas="setpriv --reuid=$(of User) --regid=$(of Group) --init-groups --no-new-privs --bounding-set=-all env -i CREDENTIALS_DIRECTORY=$credentials"
	cd "$(of WorkingDirectory)"
	$runas $(of ExecStartPre) >/tmp/check.log 2>&1 || { cat /tmp/check.log >&2; return 1; }
	: >/tmp/wxgate.log
	$runas $(of ExecStart) >>/tmp/wxgate.log 2>&1 &
	started=$!
	cd /
	for _ in $(seq 200); do
		if grep -q '"msg":"serving"' /tmp/wxgate.log; then return; fi
		kill -0 "$started" || break
		read -rt 0.1 <>/run/pause || true
	done
	cat /tmp/wxgate.log >&2
	return 1
}

# page is a block of docs/install.md: the one that has a text.
page() { awk -v want="$1" '/^```/ { if (block && text ~ want) { printf "%s", text; exit } block = !block; text = ""; next } block { text = text $0 "\n" }' /packages/install.md; }

sudo() { if [[ $1 == *=* ]]; then env "$@"; else "$@"; fi; }

inside() {
	local format=$1
	mkfifo /run/pause
	! getent passwd wxgate >/dev/null && [ ! -e /usr/bin/wxgate ] && [ ! -e /etc/wxgate ] || fail "wxgate is on this machine already"
	[ "$format" = deb ] || rpm --initdb
	node -e 'require("http").createServer((req, res) => res.end()).listen(3000, "127.0.0.1")' &
	local service=$!

	local began=$EPOCHREALTIME
	cd /packages
	if [ "$format" = deb ]; then
		dpkg -i first.deb >/tmp/install.log
	else
		rpm -i --nodeps first.rpm >/tmp/install.log # Debian's rpm knows nothing of what dpkg installed
	fi
	cd /
	grep -q "wxgate is installed and not started" /tmp/install.log || fail "the installation said: $(cat /tmp/install.log)"
	if systemctl enable --now wxgate 2>/tmp/unset; then fail "it started without an appid"; fi
	grep -q "wechat.appid" /tmp/unset || fail "a start without an appid said: $(cat /tmp/unset)"
	WX_SECRET=0123456789abcdef0123456789abcdef
	eval "$(page 'sed -i')"
	eval "$(page 'enable --now')" >/tmp/answer 2>/dev/null
	echo "$format: from the first command to the answer in $(awk "BEGIN { printf \"%.1f\", $EPOCHREALTIME - $began }") s"
	grep -q "HTTP/1.1 401" /tmp/answer && grep -q token_missing /tmp/answer || fail "the gateway answered: $(cat /tmp/answer)"

	systemd-analyze verify /usr/lib/systemd/system/wxgate.{service,socket}
	systemd-analyze security --offline=true --threshold=20 wxgate.service >/tmp/security.log || fail "$(cat /tmp/security.log)"
	echo "$format: $(tail -1 /tmp/security.log)"
	local mode
	mode=$(stat -c '%U:%G %a' /etc/wxgate/gateway.yaml /etc/wxgate/secrets /etc/wxgate/secrets/JWT_SECRET /var/lib/wxgate | tr '\n' ' ')
	[ "$mode" = "root:wxgate 640 root:root 700 root:root 600 wxgate:wxgate 700 " ] || fail "owners and modes: $mode"
	[ "$(stat -c %U /var/lib/wxgate/data)" = wxgate ] || fail "the data folder is not wxgate's"

	local key config
	key=$(cat /etc/wxgate/secrets/JWT_SECRET) config=$(cat /etc/wxgate/gateway.yaml)
	systemctl stop wxgate
	if [ "$format" = deb ]; then dpkg -i /packages/second.deb >/dev/null; else rpm -U --nodeps /packages/second.rpm; fi
	systemctl enable --now wxgate
	wxgate -c /etc/wxgate/gateway.yaml health >/dev/null
	[ "$key" = "$(cat /etc/wxgate/secrets/JWT_SECRET)" ] && [ "$config" = "$(cat /etc/wxgate/gateway.yaml)" ] || fail "the upgrade changed the configuration"
	echo "$format: upgraded to $(wxgate version)"
	systemctl stop wxgate

	if [ "$format" = deb ]; then
		dpkg -r wxgate >/dev/null
		[ -e /etc/wxgate/gateway.yaml ] && [ -e /etc/wxgate/secrets/JWT_SECRET ] || fail "a removal took the configuration"
		dpkg -P wxgate >/tmp/purge.log 2>&1
		grep -q "users and sessions stay" /tmp/purge.log || fail "the purge said: $(cat /tmp/purge.log)"
		[ ! -e /etc/wxgate ] || fail "after the purge: $(find /etc/wxgate)"
	else
		rpm -e wxgate >/tmp/purge.log 2>&1
		[ -e /etc/wxgate/gateway.yaml.rpmsave ] || fail "the changed configuration is gone: $(cat /tmp/purge.log)"
	fi
	[ ! -e /usr/bin/wxgate ] && [ ! -e /usr/lib/systemd/system/wxgate.service ] || fail "files are left"
	[ -d /var/lib/wxgate/data ] || fail "the data are gone"
	echo "$format: removed, with the data left"
	kill $service
}

case "${1:-}" in
inside) inside "$2" ;;
tools) tools ;;
*) tools; outside "$@" ;;
esac
