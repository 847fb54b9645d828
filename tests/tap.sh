#!/bin/bash
# SPDX-License-Identifier: MIT
# Run one test file of any kind and print TAP: `prove --exec tests/tap.sh FILE…`.
#
# Comments say why something failed: cmocka's on success are dropped, prove shows the others.
# With LABCTL_TEST_STRICT=1 a skipped test is a failed one. A file may take TEST_LIMIT seconds.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
export CMOCKA_MESSAGE_OUTPUT=TAP LC_ALL=C.UTF-8 LABCTL_ROOT=$PWD
export LABCTL=${LABCTL:-$PWD/build/release/labctl}

case $1 in
*.bats) command=(bats --formatter tap "$1") ;;
*.sh) command=(bash "$1") ;;
*.py) command=(/usr/bin/python3 "$1") ;;
/*) command=("$1") ;;
*) command=("./$1") ;;
esac

strict() {
	if [ "${LABCTL_TEST_STRICT-}" = 1 ]; then
		sed -u -E 's/^ok ([0-9]+.*# *skip)/not ok \1/I; s/^1\.\.0 *# *skip(.*)/1..1\nnot ok 1 - skipped:\1/I'
	else
		cat
	fi
}

# In a process group of its own, so that its limit is that of all it started: one who is left holds
# our stdout, and prove would wait for him.
run() {
	local code group left
	set -m # else SIGINT would be ignored there
	timeout --kill-after=20 "${TEST_LIMIT:-600}" "${command[@]}" </dev/null &
	group=$!
	trap 'kill -TERM "$group"' INT TERM HUP
	wait "$group"
	code=$?
	while kill -0 "$group" 2>/dev/null; do # the trap had ended the waiting
		wait "$group"
		code=$?
	done
	for _ in {1..20}; do # who was killed may still be ending
		left=$(pgrep -g "$group" -r R,S,D,T --list-full) || return "$code"
		sleep 0.1
	done
	kill -KILL -- -"$group"
	printf 'left running by %s:\n%s\n' "${command[-1]}" "$left" >&2
	return 1
}

run | sed -u '/^# ok - /d' | strict
