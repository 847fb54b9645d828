#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The host's network belongs to those who administer the host: a student's program, with raw
# sockets, never runs in it.
bats_require_minimum_version 1.5.0
load lib

setup_file() {
	attack_make
	use_lab t-sa t-sb
	stage_two two tsa 198.18
}

teardown_file() { attack_end; }

setup() { need root sudo engine image; }

# A student's own lab.
alice() { sudo_labctl alice --lab t-sa "$@"; }
bob() { sudo_labctl bob --lab t-sb "$@"; }

start() { "$1" stage-start "$WORLD/stages/two"; }

host_ns() { readlink /proc/self/ns/net; }
host_has() { ip -o link show "$1" >/dev/null 2>&1; }

@test "a student gets a private seat unasked, and is told why" {
	administrators
	try start alice
	expect 0
	expect_out "(isolated: 'labctl --lab t-sa shell' enters)" \
		"the seat is private*: user 'labt-alice' is not listed in '$WORLD/host-seat'"
	! host_has tsa1 || false
	[ -z "$(nft list tables | grep -w labctl-t-sa)" ]
	try alice status
	expect 0
	expect_out "seat labctl-t-sa (user 'labt-alice' was not listed in '$WORLD/host-seat')"
	try sudo_labctl alice doctor
	expect_out "ok * host seat * labs get a private seat (user 'labt-alice' is not listed in '$WORLD/host-seat')"
}

@test "a student's program sees its own interfaces and none of the host's" {
	try alice run -- sh -c 'readlink /proc/self/ns/net; ls /sys/class/net; ip -o link show up'
	expect 0
	[ "${lines[0]}" != "$(host_ns)" ]
	[ "$(sed -n '2,4p' <<<"$output" | xargs)" = 'lo tsa1 tsa2' ]
	# raw frames of the host's other users are not to be had
	try alice run -- /usr/bin/python3 -c '
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind(("tsa1", 0))
print(sorted(name for index, name in socket.if_nameindex()))'
	expect 0
	[ "$output" = "['lo', 'tsa1', 'tsa2']" ]
}

@test "two students run the same stage at a time, each with the stage's own interface names" {
	try start bob
	expect 0
	[ "$(bob --json status | jq -r '.networks[].interface' | xargs)" = 'tsa1 tsa2' ]
	[ "$(alice --json status | jq -r '.networks[].interface' | xargs)" = 'tsa1 tsa2' ]
	bob stage-stop
	alice stage-stop
}

@test "sudo does not let a student name a list of his own" {
	echo labt-alice >"$ALICE/list"
	try as_student alice sudo -n "LABCTL_HOST_SEAT=$ALICE/list" "$INSTALLED" --lab t-sa stage-start "$WORLD/stages/two"
	expect 1 'not allowed to set'
	try as_student alice "LABCTL_HOST_SEAT=$ALICE/list" sudo -n "$INSTALLED" --lab t-sa --json stage-start "$WORLD/stages/two"
	expect 0
	[ "$(jq -r .seat.netns <<<"$output")" = labctl-t-sa ]
	alice stage-stop
}

@test "a list that others may write to, or that is another's, counts for nothing, with a warning" {
	administrators alice
	chmod 666 "$WORLD/host-seat"
	try start alice
	expect 0 "'$WORLD/host-seat' is ignored: it must be a file that belongs to root"
	expect_out 'the seat is private*enter it: '
	! host_has tsa1 || false
	chmod 644 "$WORLD/host-seat"
	chown labt-alice "$WORLD/host-seat"
	try start alice
	expect 0 "'$WORLD/host-seat' is ignored"
	! host_has tsa1 || false
	try sudo_labctl alice doctor
	expect_out "warn * host seat * '$WORLD/host-seat' is ignored" "sudo chown root:root $WORLD/host-seat"
	chown root "$WORLD/host-seat"
	alice stage-stop
}

@test "who is listed has the host's namespace as before; --isolated stays a choice" {
	administrators alice
	try start alice
	expect 0
	[[ $output != *private* ]]
	host_has tsa1
	[ "$(alice run -- readlink /proc/self/ns/net)" = "$(host_ns)" ]
	background "$WORLD/ping" PING alice exec client1 -- ping -i 0.2 198.18.1.77
	try alice run -- timeout 60 tcpdump -c 1 -ni tsa1 arp
	kill "$started"
	expect 0 'listening on tsa1'
	expect_out 'who-has 198.18.1.77'
	try alice status
	expect_out "seat this host (user 'labt-alice' is listed in '$WORLD/host-seat')"
	try alice stage-start --isolated "$WORLD/stages/two"
	expect 0
	[[ $output != *'not listed'* ]]
	! host_has tsa1 || false
	try alice status
	expect_out 'seat labctl-t-sa (--isolated)'
	alice stage-stop
}

@test "a lab in the host's namespace whose owner is listed no more: it can be stopped, and nothing else" {
	administrators alice
	start alice
	administrators
	for verb in 'run -- true' shell; do
		# shellcheck disable=SC2086 # words
		try alice $verb
		expect 125 "lab 't-sa' is in the host's own namespace: user 'labt-alice' is not listed in '$WORLD/host-seat'" \
			'start it again with a private seat: labctl --lab t-sa stage-start '"$WORLD/stages/two"
	done
	try alice repair
	expect 1 "lab 't-sa' is in the host's own namespace"
	host_has tsa1
	try alice stage-stop
	expect 0
	! host_has tsa1 || false
}

@test "nothing is left behind" { assert_nothing_left; }
