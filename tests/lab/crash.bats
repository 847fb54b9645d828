#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Samples of `make soak`, small enough for every run: kills, failures, full disks, lost engines, labs side by side.
bats_require_minimum_version 1.5.0
load ../lib/helpers

setup() { need root engine image; }

# soak FILE ARGUMENT...: its TAP explains a failure.
soak() {
	LABCTL=$LABCTL_BIN /usr/bin/python3 "$LABCTL_TREE/tests/soak/$1" "${@:2}" >"$BATS_TEST_TMPDIR/tap" 2>&1 </dev/null 3>&- || {
		cat "$BATS_TEST_TMPDIR/tap" >&2
		return 1
	}
	! grep '# skip' "$BATS_TEST_TMPDIR/tap"
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

@test "too few file descriptors" {
	soak limits.py --only descriptors --every 12
}

@test "the engine lost in the middle" {
	soak limits.py --only lost --random 6
}

@test "4 isolated labs of stage1 started at once: all work, no frame crosses" {
	soak many.py 4
}
