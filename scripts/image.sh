#!/usr/bin/env bash
# Builds the Dockerfile with Debian's buildah and runs the image with podman: as its user, with a read-only root and without
# any capability. What it is built from cannot be pulled everywhere, so its base is made here, under the name that the Dockerfile
# says: busybox, and the Go of this machine with its modules and what it has compiled. The image runs in a network of its own,
# and nothing is left. Needs root, and installs what is missing with apt-get.
set -euo pipefail

fail() { echo "image: $*" >&2; exit 1; }

want() { # PROGRAM PACKAGE
	command -v "$1" >/dev/null || apt-get install -y -qq --no-install-recommends "$2" >&2 || fail "$2 is missing: apt-get install $2"
}

if [ "${1:-}" != inside ]; then
	[ "$(id -u)" = 0 ] || fail "this needs to be root"
	command -v apt-get >/dev/null || fail "this is for Debian: elsewhere, docker build ."
	for pair in buildah:buildah podman:podman crun:crun conmon:conmon busybox:busybox-static ip:iproute2 curl:curl jq:jq; do want "${pair%:*}" "${pair#*:}"; done
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	# crun of Debian 12 refuses cgroups of both versions at once, so the second is hidden.
	unshare --mount --net --kill-child --fork bash -c 'umount -q /sys/fs/cgroup/unified || true; ip link set lo up; exec "$0" inside "$1"' "$0" "$work"
	exit
fi

work=$2
store=(--root "$work/root" --runroot "$work/run" --storage-driver overlay)
buildah() { command buildah "${store[@]}" "$@"; }
podman() { command podman --log-level fatal "${store[@]}" --tmpdir "$work/tmp" --cgroup-manager cgroupfs --runtime crun --events-backend none "$@"; }
export CONTAINERS_CONF=$work/containers.conf
printf '[containers]\ndefault_ulimits = []\n' >"$CONTAINERS_CONF"

base=$(sed -n 's/^FROM \(golang[^ ]*\) AS build$/\1/p' Dockerfile)
[ -n "$base" ] || fail "the Dockerfile begins with no FROM golang:… AS build"
mkdir -p "$work/base/bin" "$work/base/etc/ssl/certs" "$work/base/tmp" "$work/base/root"
cp "$(command -v busybox)" "$work/base/bin/busybox"
for applet in sh mkdir; do ln -s busybox "$work/base/bin/$applet"; done
cp /etc/ssl/certs/ca-certificates.crt "$work/base/etc/ssl/certs/"
printf 'FROM scratch\nCOPY . /\nENV PATH=/usr/local/go/bin:/bin GOPATH=/go GOCACHE=/cache\n' | buildah bud --quiet --tag "docker.io/library/$base" --file - "$work/base" >/dev/null

build() { # IMAGE DOCKERFILE
	buildah bud --quiet --pull-never --isolation chroot --format docker --tag "$1" --file "$2" --build-arg VERSION=v0.0.0 --build-arg GOPROXY=off \
		--volume "$(go env GOROOT):/usr/local/go:ro" --volume "$(go env GOMODCACHE):/go/pkg/mod" --volume "$(go env GOCACHE):/cache" . >/dev/null
}
began=$SECONDS
build wxgate Dockerfile
buildah push --quiet --compression-format gzip wxgate "oci:$work/oci:wxgate" >/dev/null
unpacked=$(podman image inspect --format '{{.Size}}' wxgate) packed=$(du --bytes --summarize "$work/oci/blobs" | cut -f 1)
echo "image: built in $((SECONDS - began)) s; $((packed / 1000000)) MB to pull, $((unpacked / 1000000)) MB unpacked"
[ "$unpacked" -lt 30000000 ] || fail "an image has at most 30 MB unpacked"
# One of these and the linker keeps every exported method of every type, 5 MB: docs/decisions/0192.
CGO_ENABLED=0 go build -o "$work/linked" -trimpath -ldflags "-s -w -dumpdep" . >"$work/reached" 2>&1 || fail "the linker does not say what it keeps: $(tail -n 3 "$work/reached")"
grep -q '^main\.main ' "$work/reached" || fail "the linker says otherwise what it keeps"
by_name=$(grep -oE '[^ ]+ <[^>]*ReflectMethod[^>]*>' "$work/reached" | sort -u || true)
[ -z "$by_name" ] || fail "methods are called by their names: $by_name"
[ "$(podman image inspect --format '{{.Config.User}}' wxgate)" = 65532:65532 ] || fail "it does not run as 65532"
podman image inspect wxgate | jq -e ".[0].Config.ExposedPorts | has(\"$(jq .containerPort container.config.json)/tcp\")" >/dev/null || fail "container.config.json has another port"

cat >"$work/gateway.yaml" <<-END
	wechat: { appid: wx1234567890abcdef, secret: "\${WX_SECRET}" }
	upstreams: { service: "http://127.0.0.1:3000" }
	routes: [{ path: /api/**, upstream: service }]
END
chmod 644 "$work/gateway.yaml"
mkdir "$work/secrets"
printf 0123456789abcdef0123456789abcdef >"$work/secrets/WX_SECRET"
head -c 48 /dev/urandom | base64 -w 0 >"$work/secrets/JWT_SECRET"
chmod 644 "$work"/secrets/*
start() {
	podman run --detach --name gateway --replace --read-only --read-only-tmpfs=false --cap-drop ALL --security-opt no-new-privileges \
		--network host --cgroups disabled --volume wxgate-data:/data --volume "$work/gateway.yaml:/gateway.yaml:ro" \
		--volume "$work/secrets:/run/secrets:ro" --env CREDENTIALS_DIRECTORY=/run/secrets "$@" wxgate >/dev/null
	for _ in $(seq 100); do
		if podman healthcheck run gateway >"$work/health" 2>&1; then return; fi
		read -rt 0.2 <>"$work/pause" || true
	done
	podman logs gateway >&2
	fail "it is not healthy: $(cat "$work/health")"
}
mkfifo "$work/pause"
start
pid=$(podman inspect --format '{{.State.Pid}}' gateway)
status=$(grep -E '^(Uid|CapEff|CapBnd|NoNewPrivs):' "/proc/$pid/status" | tr '\t\n' '  ')
[ "$status" = "Uid: 65532 65532 65532 65532 CapEff: 0000000000000000 CapBnd: 0000000000000000 NoNewPrivs: 1 " ] || fail "the process is $status"
grep -qE '^[0-9]+ [0-9]+ [0-9:]+ /[^ ]* / ro' "/proc/$pid/mountinfo" || fail "its root is no read-only one"
curl -s http://127.0.0.1:8080/api/recipes | grep -q token_missing || fail "a request without a token was not refused"
[ "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9090/readyz)" = 200 ] || fail "/readyz"
podman exec gateway /usr/local/bin/wxgate version | grep -q v0.0.0 || fail "the version is not embedded"
podman stop --time 40 gateway >/dev/null
[ "$(podman inspect --format '{{.State.ExitCode}}' gateway)" = 0 ] || fail "after SIGTERM: $(podman logs gateway 2>&1 | tail -3)"
start --env PORT=8081 # as WeChat Cloud Run does; the data are there already
curl -s http://127.0.0.1:8081/healthz >/dev/null || fail "PORT is ignored"
podman logs gateway 2>&1 | grep -q '"level":"ERROR"' && fail "$(podman logs gateway 2>&1)"

build recipes deploy/compose/recipes.Dockerfile
podman run --detach --name recipes --read-only --read-only-tmpfs=false --cap-drop ALL --network host --cgroups disabled recipes >/dev/null
curl -s --retry 20 --retry-connrefused --retry-delay 1 http://127.0.0.1:3000/api/v1/recipes | grep -q '"data"' || fail "the recipes of deploy/compose: $(podman logs recipes 2>&1)"
podman rm --force --time 10 recipes >/dev/null
podman rm --force --time 10 gateway >/dev/null
podman volume rm wxgate-data >/dev/null
echo "image: healthy as 65532 without capabilities, on a read-only root with a volume; stopped with 0, and started again on its data"
