#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# images/build-rootfs.sh: its command line, and that an interrupted build leaves nothing.
bats_require_minimum_version 1.5.0

setup() {
	script=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)/images/build-rootfs.sh
	cd "$BATS_TEST_TMPDIR" || exit
}

@test "--help tells the usage; without an output file it goes to stderr, exit 2" {
	run -0 --separate-stderr "$script" --help
	[[ "$output" == 'Usage: images/build-rootfs.sh OUT.tar [--suite SUITE]'* ]]
	run -2 --separate-stderr "$script"
	[ -z "$output" ]
	[[ "$stderr" == 'Usage: '* ]]
}

@test "mistakes on the command line: one message, exit 2" {
	run -2 "$script" --frobnicate
	[ "$output" = "rootfs: unknown option '--frobnicate'" ]
	run -2 "$script" a.tar b.tar
	[ "$output" = "rootfs: more than one output file: 'a.tar' and 'b.tar'" ]
	run -2 "$script" a.tar --suite
	[ "$output" = "rootfs: option '--suite' needs a value" ]
	run -2 "$script" no/such/a.tar
	[ "$output" = "rootfs: no directory 'no/such'" ]
}

# wait_for TEXT FILE: at most a minute.
wait_for() {
	local i
	for ((i = 0; i < 600; i++)); do
		! grep -q "$1" "$2" || return 0
		sleep 0.1
	done
	cat "$2"
	return 1
}

@test "interrupted twice in the middle: no file, no directory, no process left" {
	if [ "$(id -u)" -ne 0 ] || ! command -v mmdebstrap >/dev/null; then
		[ "${LABCTL_TEST_STRICT-}" != 1 ]
		skip 'needs root and mmdebstrap'
	fi
	before=$(find /var/tmp -maxdepth 1 -name 'labctl-rootfs.*' | sort)
	: >log
	"$script" out.tar >log 2>&1 3>&- &
	pid=$!
	wait_for '% fetching the base system' log
	work=$(find /var/tmp -maxdepth 1 -name 'labctl-rootfs.*' | sort | comm -13 <(echo "$before") - | head -n 1)
	[ -n "$work" ]
	kill -TERM "$pid"
	sleep 0.00$((RANDOM % 10)) # at any moment of the cleaning up
	kill -TERM "$pid"
	code=0
	wait "$pid" || code=$?
	[ "$code" -eq 143 ]
	[ ! -e "$work" ]
	[ -z "$(find . -name 'out.tar*')" ]
	run ! grep "$work" /proc/mounts
	run ! pgrep -f "$work"
}
