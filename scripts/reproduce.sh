#!/usr/bin/env bash
# Builds the release of this commit a second time, from a clone in another folder and with nothing compiled before, and
# compares: the files must be the same to the byte. Then it looks at what is in them.
set -euo pipefail
[ -z "$(git status --porcelain)" ] || { echo "reproduce: commit first: a release is of a commit" >&2; exit 1; }
tools=$PWD/bin dist=$PWD/dist
go run ./scripts/release -tools "$tools" -o "$dist" "$@"

other=$(mktemp -d)
trap 'chmod -R u+w "$other"; rm -rf "$other"' EXIT
git clone --quiet . "$other/clone"
git -C "$other/clone" checkout --quiet "$(git rev-parse HEAD)"
(cd "$other/clone" && GOCACHE=$other/cache go run ./scripts/release -tools "$tools" -o "$other/dist" "$@")
cmp "$dist/SHA256SUMS" "$other/dist/SHA256SUMS"

cd "$dist"
sha256sum --quiet --check SHA256SUMS
for archive in *.tar.gz; do [ "$(tar -tzf "$archive" | grep -c '/wxgate$')" = 1 ] || { echo "reproduce: $archive has no wxgate" >&2; exit 1; }; done
for list in *.cdx.json; do
	grep -q '"bomFormat": "CycloneDX"' "$list" && grep -q 'pkg:golang/github.com/dgraph-io/badger/v4@' "$list" || { echo "reproduce: $list is no list of modules" >&2; exit 1; }
done
echo "$(wc -l <SHA256SUMS) files, twice the same:"
cat SHA256SUMS
