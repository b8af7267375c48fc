#!/usr/bin/env bash
# Installs and builds what the benchmarks need: Debian's HAProxy, nginx and h2load, the other contestants, and wxgate itself.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(haproxy nghttp2-client nginx-light libnginx-mod-http-lua lua-cjson gcc libc6-dev)
provided() { # nginx-light may be another flavour of nginx
  if [ "$1" = nginx-light ]; then command -v nginx >/dev/null; else dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; fi
}
missing=()
for package in "${packages[@]}"; do provided "$package" || missing+=("$package"); done
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update -qq
  # The services would take ports and CPU time: only the programs are wanted.
  DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

mkdir -p bin/bench
make --no-print-directory build
go build -o bin/bench/bench ./bench
go build -o bin/bench/stdlib ./bench/contestants/stdlib
gcc -O2 -o bin/bench/relay bench/contestants/relay/relay.c
if ! (cd bench/contestants/caddy && go build -trimpath -ldflags '-s -w' -o ../../../bin/bench/caddy .); then
  echo "caddy cannot be built here, and is left out" >&2
fi
