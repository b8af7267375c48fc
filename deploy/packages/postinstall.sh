#!/bin/sh
# dpkg calls this with "configure" and the version before, rpm with how many versions are installed now.
set -e
if ! getent passwd wxgate >/dev/null; then
	useradd --system --user-group --home-dir /var/lib/wxgate --no-create-home --shell /usr/sbin/nologin wxgate
fi
chown wxgate:wxgate /var/lib/wxgate && chmod 700 /var/lib/wxgate
chgrp wxgate /etc/wxgate/gateway.yaml

umask 077
secrets=/etc/wxgate/secrets
[ -e $secrets/JWT_SECRET ] || head -c 48 /dev/urandom | base64 -w 0 >$secrets/JWT_SECRET
[ -e $secrets/WX_SECRET ] || : >$secrets/WX_SECRET

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl try-restart wxgate.service # after an upgrade, if it ran
fi
if [ ! -s $secrets/WX_SECRET ]; then
	cat <<-END
		wxgate is installed and not started. Next:
		  1. /etc/wxgate/gateway.yaml: the appid, and the address of your service
		  2. /etc/wxgate/secrets/WX_SECRET: the AppSecret
		  3. systemctl enable --now wxgate
		More: /usr/share/doc/wxgate/install.md, 中文: install.zh.md
	END
fi
