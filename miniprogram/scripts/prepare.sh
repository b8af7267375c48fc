#!/bin/sh
# Installs what the tests of the mini-program need, or says in one line what is missing and fails. A browser is installed
# only for root on Debian and Ubuntu, and only when there is none; CHROMIUM names one that is somewhere else.
set -eu
cd "$(dirname "$0")/.."

missing() {
	echo "miniprogram: $1 is missing: $2" >&2
	exit 1
}

# how says what installs Node.js on this machine.
how() {
	if [ "$(uname)" = Darwin ]; then echo "brew install node"; else echo "https://nodejs.org"; fi
}

command -v node >/dev/null || missing "Node.js 20" "$(how)"
node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' || missing "Node.js 20" "this is $(node --version): $(how)"
command -v npm >/dev/null || missing npm "it comes with Node.js"
if ! node scripts/chromium.mjs >/dev/null; then
	[ -z "${CHROMIUM:-}" ] || missing CHROMIUM "there is no program at $CHROMIUM"
	../scripts/install.sh chromium chromium "--cask google-chrome"
fi
chinese() { fc-list :lang=zh 2>/dev/null | grep -q . || ls /usr/share/fonts/opentype/noto/NotoSansCJK* >/dev/null 2>&1; }
[ "$(uname)" = Darwin ] || chinese || ../scripts/install.sh fonts-noto-cjk google-noto-sans-cjk-fonts -

# npm ci again only when the lock changed: it takes its time.
if ! cmp -s package-lock.json node_modules/.installed; then
	npm ci --no-audit --no-fund || missing "node_modules" "npm ci failed"
	cp package-lock.json node_modules/.installed
fi
