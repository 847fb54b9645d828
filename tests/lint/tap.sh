# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# For the linters: one TAP line a thing looked at. Sourced, at the repository's root.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tap_count=0

# ok NAME
ok() { printf 'ok %d - %s\n' "$((++tap_count))" "$1"; }

# not_ok NAME TEXT: the text becomes the diagnostics.
not_ok() {
	printf 'not ok %d - %s\n' "$((++tap_count))" "$1"
	[ -z "${2-}" ] || printf '%s\n' "$2" | sed 's/^/# /'
}

# check NAME COMMAND…: passes when the command does, whose output explains a failure.
check() {
	local name=$1 text
	shift
	if text=$("$@" 2>&1); then ok "$name"; else not_ok "$name" "$text"; fi
}

done_testing() { printf '1..%d\n' "$tap_count"; }

# need TOOL…: all of this file's tests are skipped without them.
need() {
	local tool
	for tool in "$@"; do
		command -v "$tool" >/dev/null && continue
		printf '1..0 # skip %s is not installed\n' "$tool"
		exit 0
	done
}

c_files() { find labctl tests -name '*.[ch]' -not -path '*/.*' | sort; }
