#!/bin/sh
# dpkg calls this with "remove", "purge" or "upgrade", rpm with how many versions stay. Users and sessions outlive a purge.
set -e
if [ "$1" = purge ]; then
	rm -rf /etc/wxgate/secrets
	rmdir /etc/wxgate 2>/dev/null || true
fi
if [ -d /var/lib/wxgate ]; then
	case "$1" in
	purge | 0) echo "wxgate: users and sessions stay in /var/lib/wxgate; remove it and the user wxgate yourself" ;;
	esac
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
