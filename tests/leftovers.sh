#!/bin/bash
# SPDX-License-Identifier: MIT
# The last test of a run: nothing of labctl's is on the machine that was not there before.
# tests/run.sh calls it with --remember at the start; what it finds then is the user's.
set -uo pipefail

world=${LABCTL_TEST_WORLD:?is set by tests/run.sh}
socket=${DOCKER_HOST:-unix:///var/run/docker.sock}

namespaces() { find /run/netns -maxdepth 1 -name 'labctl-*' 2>/dev/null; }

# Links whose group is in labctl's range: the mark they carry from birth.
links() {
	ip -o -d link show | sed 's/@[^:]*//' | while read -r _ name rest; do
		group=$(sed -n 's/.* group \([0-9]*\) .*/\1/p' <<<"$rest")
		[ -n "$group" ] && [ "$group" -ge 447741952 ] && [ "$group" -le 448790527 ] &&
			printf '%s\n' "$name"
	done
}

containers() {
	curl -s -m 10 --unix-socket "${socket#unix://}" \
		'http://docker/containers/json?all=1&filters=%7B%22label%22%3A%5B%22labctl.lab%22%5D%7D' |
		grep -o '"Id":"[0-9a-f]*"'
}

mounts() { awk '$5 ~ "^/run/labctl" { print $5 }' /proc/self/mountinfo; }

tables() { nft list tables 2>/dev/null | grep labctl; }

files() {
	find /run/labctl /var/lib/labctl -mindepth 1 2>/dev/null | grep -v -e 'install\.state' -e 'netport\.db'
	find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'labctl-*' 2>/dev/null
}

cgroups() { find /sys/fs/cgroup -maxdepth 2 -name 'labctl-*' 2>/dev/null; }

# The attack tests make users, and let them use sudo.
users() { cut -d: -f1 /etc/passwd /etc/group | grep '^labt-'; }

rights() {
	find /etc/sudoers.d -name 'labt-*' 2>/dev/null
	find /etc/labctl 2>/dev/null
}

kinds='namespaces links containers mounts tables files cgroups users rights'

if [ "${1-}" = --remember ]; then
	for kind in $kinds; do
		"$kind" | sort >"$world/$kind"
	done
	exit 0
fi

count=0
for kind in $kinds; do
	[ -e "$world/$kind" ] || : >"$world/$kind"
	new=$("$kind" | sort | comm -13 "$world/$kind" -)
	count=$((count + 1))
	if [ -z "$new" ]; then
		printf 'ok %d - no %s left behind\n' "$count" "$kind"
	else
		printf 'not ok %d - no %s left behind\n' "$count" "$kind"
		printf '# %s\n' "${new//$'\n'/$'\n'# }"
	fi
	gone=$("$kind" | sort | comm -23 "$world/$kind" -)
	count=$((count + 1))
	if [ -z "$gone" ]; then
		printf 'ok %d - the %s of others are still there\n' "$count" "$kind"
	else
		printf 'not ok %d - the %s of others are still there\n' "$count" "$kind"
		printf '# %s\n' "${gone//$'\n'/$'\n'# }"
	fi
done
printf '1..%d\n' "$count"
