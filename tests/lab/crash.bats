#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Samples of `make soak`, small enough for every run: kills, failures, full disks, lost engines, labs side by side.
bats_require_minimum_version 1.5.0
load ../lib/helpers

setup() { need root engine image; }

# soak FILE ARGUMENT...: its TAP explains a failure; it stays in $tap.
soak() {
	local tap=${tap:-$BATS_TEST_TMPDIR/tap}
	LABCTL=$LABCTL_BIN /usr/bin/python3 "$LABCTL_TREE/tests/soak/$1" "${@:2}" >"$tap" 2>&1 </dev/null 3>&- || {
		cat "$tap" >&2
		return 1
	}
	! grep '# skip' "$tap"
}

@test "killed, or one request failing, at some of the steps of start, stop and repair: the next command leaves nothing" {
	soak kill.py --every 16 --random 0 --flavours host
}

@test "the same with a private seat, and at random instants" {
	soak kill.py --every 40 --random 5 --flavours isolated
}

@test "the same with a switch and a port of the computer" {
	soak kill.py --every 30 --random 0 --flavours bridged --only stage-start
}

@test "a full disk" {
	soak limits.py --only disk --every 20
}

@test "too few file descriptors; two soaks at once do not meet" {
	local first=0 names
	tap=$BATS_TEST_TMPDIR/first soak limits.py --only descriptors --every 12 &
	tap=$BATS_TEST_TMPDIR/second soak limits.py --only descriptors --every 12
	wait $! || first=$?
	[ "$first" -eq 0 ]
	names=$(sed -n 's/^# interfaces: //p' "$BATS_TEST_TMPDIR/first" "$BATS_TEST_TMPDIR/second")
	[ "$(wc -l <<<"$names")" -eq 2 ]
	[ "$(sort -u <<<"$names" | wc -l)" -eq 2 ]
}

@test "the engine lost in the middle" {
	soak limits.py --only lost --random 6
}

@test "4 isolated labs of stage1 started at once: all work, no frame crosses" {
	soak many.py 4
}
