#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The stages that come with labctl, as real labs: started, graded with their reference, by hand.
bats_require_minimum_version 1.5.0
load ../lib/helpers

setup_file() {
	world_make
	use_lab t-stages
}

setup() { need root engine image; }
teardown_file() { world_end; }

L() { lab t-stages "$@"; }

started() {
	try L stage-start --isolated "$LABCTL_TREE/stages/$1"
	[ "$status" -eq 0 ]
	[ "$(L --json status </dev/null | jq -c .drift)" = '[]' ]
}

# graded STAGE: its reference passes everything.
graded() {
	try L --json check --run "python3 $LABCTL_TREE/tests/routers/$1_reference.py"
	[ "$status" -eq 0 ] || jq -c '.checks[] | select(.status != "pass") | [.id, .status, .reason]' <<<"$output" >&2
	[ "$status" -eq 0 ]
	[ "$(jq -c '[.score == .max_score, .failed, .errors, .pending]' <<<"$output")" = '[true,0,0,0]' ]
	[ "$(L --json status </dev/null | jq -c .drift)" = '[]' ]
}

# with_router STAGE COMMAND...: meanwhile its reference runs.
with_router() {
	background "$BATS_TEST_TMPDIR/router" 'routing between' \
		"$LABCTL_BIN" --lab t-stages run -- python3 "$LABCTL_TREE/tests/routers/$1_reference.py"
	shift
	try "$@"
	kill "$started"
	wait "$started" || true
}

@test "stage1" {
	started stage1
	graded stage1
}

@test "stage2; traceroute works for real" {
	started stage2
	with_router stage2 L exec client1 -- traceroute -n -q 1 2.2.2.2
	expect 0
	[[ ${lines[1]} == ' 1  1.1.1.1 '* ]]
	[[ ${lines[2]} == ' 2  2.2.2.2 '* ]]
	with_router stage2 L exec client1 -- ping -c 1 9.9.9.9
	[ "$status" -eq 1 ]
	expect_out 'From 1.1.1.1 icmp_seq=1 Destination Net Unreachable'
	graded stage2
}

@test "stage3; subnets of other sizes, MACs of their own" {
	started stage3
	with_router stage3 L exec client2 -- ping -c 1 -W 5 3.3.7.2
	expect 0
	expect_out ttl=63
	graded stage3
}

@test "stage4; the table is in lab.json, and leads through other routers" {
	started stage4
	try jq -c '.routes[] | select(.to == "0.0.0.0/0" or .to == "10.1.2.129/32")' "$LABCTL_RUN/t-stages/lab.json"
	[ "${lines[0]}" = '{"to":"0.0.0.0/0","via":"4.4.4.2","interface":"net4"}' ]
	[ "${lines[1]}" = '{"to":"10.1.2.129/32","via":"2.2.2.2","interface":"net2"}' ]
	with_router stage4 L exec client1 -- traceroute -n -q 1 8.8.8.8
	expect 0
	[[ ${lines[1]} == ' 1  1.1.1.1 '* ]]
	[[ ${lines[2]} == ' 2  4.4.4.2 '* ]]
	[[ ${lines[3]} == ' 3  8.8.8.8 '* ]]
	graded stage4
}

@test "stage5; cut twice on the way, and path MTU discovery" {
	started stage5
	with_router stage5 L exec client2 -- ping -M dont -c 1 -W 5 -s 3000 4.4.4.2
	expect 0
	expect_out '3008 bytes from 4.4.4.2' ttl=62
	with_router stage5 L exec client1 -- ping -M 'do' -c 1 -s 1400 3.3.3.2
	[ "$status" -eq 1 ]
	expect_out 'Frag needed and DF set (mtu = 576)'
	graded stage5
}

@test "stage6" {
	started stage6
	graded stage6
}

# kernel STAGE: the stage with the kernel as its router, which forwards by the stage's table.
kernel() {
	local sysctl=/proc/sys/net/ipv4
	mkdir -p "$WORLD/stages/$1-kernel"
	jq 'del(."$schema") | .networks[] |= if .router then .address = "kernel" else . end' \
		"$LABCTL_TREE/stages/$1/stage.json" >"$WORLD/stages/$1-kernel/stage.json"
	try L stage-start --isolated "$1-kernel"
	[ "$status" -eq 0 ]
	ip netns exec labctl-t-stages sh -c "for i in $sysctl/conf/*/forwarding; do echo 1 >\$i; done; echo 0 >$sysctl/icmp_ratelimit; echo 1 >$sysctl/conf/all/arp_ignore"
	jq -r '.routes[] | "route add \(.to) via \(.via)"' "$LABCTL_RUN/t-stages/lab.json" |
		ip netns exec labctl-t-stages ip -batch -
	try L --json check
	jq -r '.checks[] | select(.status != "pass") | "\(.id): \(.reason)"' <<<"$output" >"$BATS_TEST_TMPDIR/failed"
	cat "$BATS_TEST_TMPDIR/failed" >&2
}

@test "another implementation: the kernel as the router passes, its own habits aside" {
	# Without arp_ignore it answers ARP for all its addresses on each network.
	kernel stage1 # since Linux 5.3 0/8 is a network like others
	[ "$(cut -d: -f1 "$BATS_TEST_TMPDIR/failed")" = ipv4.martian ]
	kernel stage2 # it tells the broadcast address, too
	[ "$(cut -d: -f1 "$BATS_TEST_TMPDIR/failed")" = icmp.no-error-about-error ]
	kernel stage3 # it believes a new MAC after a second only (neigh/*/locktime)
	[ "$(cut -d: -f1 "$BATS_TEST_TMPDIR/failed" | xargs)" = 'arp.update#1 arp.update#2' ]
	for stage in stage4 stage5 stage6; do
		kernel $stage
		[ ! -s "$BATS_TEST_TMPDIR/failed" ]
	done
}

@test "stopping" {
	try L stage-stop
	expect 0
	rm -rf "$LABCTL_STATE/grade"
}

@test "nothing is left behind" { assert_nothing_left; }
