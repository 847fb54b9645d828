#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The wires of a lab: the student's program is the router, and the kernel is silent.
bats_require_minimum_version 1.5.0
load ../lib/helpers

setup_file() {
	world_make
	use_lab t-data
	stage_two two tp 198.19
	has root && has engine && has image || return 0
	route_before=$(ip route get 198.19.1.1)
	export route_before
	forward_before=$(</proc/sys/net/ipv4/ip_forward)
	export forward_before
	lab t-data stage-start two >&2 </dev/null
}

teardown_file() {
	[ -z "${forward_before-}" ] || echo "$forward_before" >/proc/sys/net/ipv4/ip_forward
	world_end
}

setup() { need root engine image; }

teardown() { router_stop; }

L() { lab t-data "$@" </dev/null; }
on() { local client=$1; shift; L exec "$client" -- "$@"; }

# The reference router, in the seat by labctl run.
router_start() {
	background "$BATS_TEST_TMPDIR/router" 'routing between' \
		"$LABCTL_BIN" --lab t-data run -- python3 "$LABCTL_TREE/tests/routers/stage1_reference.py"
	router=$started
}

router_stop() {
	[ -n "${router-}" ] || return 0
	kill "$router" 2>/dev/null || true
	wait "$router" 2>/dev/null || true
	router=
}

# client1 gets no answer: not to ARP, not to a ping of the router or of client2, and, with the
# router's MAC address put into its hand, not to IP packets either.
assert_silence() {
	on client1 sh -c '
		arping -q -c 2 -w 1 -I eth0 198.19.1.1 && echo arp
		ip neigh replace 198.19.1.1 lladdr 02:42:c6:13:01:01 dev eth0 nud permanent
		for to in 198.19.1.1 198.19.2.2 198.19.2.1; do
			ping -q -c 2 -i 0.2 -W 1 $to >/dev/null && echo ping $to &
		done
		nc -z -w 1 198.19.1.1 22 && echo tcp
		wait
		ip neigh del 198.19.1.1 dev eth0' >"$BATS_TEST_TMPDIR/answers" || true
	[ ! -s "$BATS_TEST_TMPDIR/answers" ] || { cat "$BATS_TEST_TMPDIR/answers" >&2; return 1; }
}

@test "the reference router connects the clients: ping with ttl=63, both ways; traceroute names it" {
	router_start
	try on client1 ping -c 2 -i 0.2 -W 5 198.19.2.2
	expect 0
	expect_out 'ttl=63' '2 received'
	try on client2 ping -c 1 -W 5 client1
	expect 0
	expect_out 'ttl=63'
	try on client1 traceroute -n -q 1 -w 10 198.19.2.2
	expect 0
	expect_out '1 *198.19.1.1 ' '2 *198.19.2.2 '
}

@test "TCP: 5 MB arrive unharmed through a router that never touches TCP checksums" {
	router_start
	on client2 sh -c 'nc -l -N 5000 </dev/null | sha256sum' >"$BATS_TEST_TMPDIR/got" 3>&- &
	receiver=$!
	wait_for 60 on client2 sh -c 'ss -ltn 2>/dev/null | grep -q :5000 || grep -q ":1388 " /proc/net/tcp'
	sent=$(on client1 sh -c 'head -c 5000000 /dev/urandom >/tmp/data; nc -N -w 20 198.19.2.2 5000 </tmp/data; sha256sum </tmp/data')
	wait "$receiver"
	[ "$(<"$BATS_TEST_TMPDIR/got")" = "$sent" ]
}

@test "no router, no answer" {
	assert_silence
}

@test "no answer with ip_forward=1 either, nor after the link was down and up; status tells of it" {
	echo 1 >/proc/sys/net/ipv4/ip_forward
	ip link set tp1 down
	ip link set tp2 down
	try L status
	expect 1
	expect_out "'tp1' is down" 'mend it: labctl --lab t-data repair'
	[[ $output != *'ip link'* ]]
	ip link set tp1 up
	ip link set tp2 up
	wait_for 60 sh -c 'ip -br link show tp1 | grep -q LOWER_UP && ip -br link show tp2 | grep -q LOWER_UP'
	assert_silence
	try L status
	expect 1
	expect_out "the address 198.19.1.1 is the kernel's own" 'when a link was down and up'
	router_start
	try on client1 ping -c 1 -W 5 198.19.2.2
	expect 0
	router_stop
	echo "$forward_before" >/proc/sys/net/ipv4/ip_forward
	L stage-start two
	[ "$(L --json status | jq -c .drift)" = '[]' ]
}

@test "the host's own way to the router's address is what it was" {
	[ "$(ip route get 198.19.1.1 | head -n 1)" = "$(head -n 1 <<<"$route_before")" ]
	[ -z "$(ip route show table all | grep 198.19)" ]
	# but it is shown, and programs find it
	[ "$(ip -br -4 addr show dev tp1 | awk '{ print $3 }')" = 198.19.1.1/24 ]
}

@test "the guard: a chain at ingress of each interface, policy drop" {
	for i in 1 2; do
		nft list table netdev labctl-t-data | grep -A1 "chain .*tp$i" | grep "type filter hook ingress device \"tp$i\".* policy drop;"
	done
	[ "$(nft list table netdev labctl-t-data | grep -c 'hook ingress')" -eq 2 ]
}

@test "offloads are off at both ends" {
	need ethtool nsenter
	pid=$(container labctl-t-data-client1 .State.Pid)
	for where in "ethtool -k tp1" "nsenter -t $pid -n ethtool -k eth0"; do
		$where >"$BATS_TEST_TMPDIR/features"
		[ -z "$(grep -E '(checksum|segmentation|scatter-gather|receive-offload|gro|gso).*: on' "$BATS_TEST_TMPDIR/features" |
			grep -v -e fixed -e rx-checksumming)" ]
		grep -q 'tx-checksumming: off' "$BATS_TEST_TMPDIR/features"
		grep -q 'generic-receive-offload: off' "$BATS_TEST_TMPDIR/features"
	done
}

@test "no forwarding, no IPv6 on the seat's interfaces; clients do not forward, and have their gateway" {
	[ "$(</proc/sys/net/ipv4/conf/tp1/forwarding)" = 0 ]
	[ ! -e /proc/sys/net/ipv6/conf/tp1 ] || [ "$(</proc/sys/net/ipv6/conf/tp1/disable_ipv6)" = 1 ]
	[ "$(on client1 cat /proc/sys/net/ipv4/ip_forward)" = 0 ]
	[ "$(on client1 cat /proc/sys/net/ipv4/conf/eth0/rp_filter)" = 0 ]
	try on client1 ip -br addr
	expect 0
	expect_out 'eth0' '198.19.1.2/24'
	[[ $output != *fe80* ]]
	try on client1 ip route
	expect_out 'default via 198.19.1.1 dev eth0'
	[ "$(on client1 hostname)" = client1 ]
	# Docker's own networking has no part in it
	[ "$(container labctl-t-data-client1 '.NetworkSettings.Networks | length')" = 0 ]
}

@test "marks of ownership: group, alternative name, alias, labels; MACs from addresses" {
	group=$(jq .group "$LABCTL_STATE/labs/t-data.json")
	for i in 1 2; do
		ip -j -d link show dev "tp$i" >"$BATS_TEST_TMPDIR/link"
		[ "$(jq -r '.[0].group' "$BATS_TEST_TMPDIR/link")" = "$group" ]
		[ "$(jq -r '.[0].altnames[0]' "$BATS_TEST_TMPDIR/link")" = "labctl-t-data-tp$i" ]
		[ "$(jq -r '.[0].ifalias' "$BATS_TEST_TMPDIR/link")" = "labctl lab 't-data' stage 'two' network 'tp$i'" ]
		[ "$(jq -r '.[0].address' "$BATS_TEST_TMPDIR/link")" = "02:42:c6:13:0$i:01" ]
	done
	[ "$(on client2 cat /sys/class/net/eth0/address)" = 02:42:c6:13:02:02 ]
	[ "$(container labctl-t-data-client2 '.Config.Labels | "\(."labctl.lab") \(."labctl.stage") \(."labctl.client") \(."labctl.owner")"')" = \
		't-data two client2 0' ]
	[ "$(container labctl-t-data-client2 .HostConfig.RestartPolicy.Name)" = no ]
}

@test "drift is told in words: offload, MTU, MAC, address, guard" {
	need ethtool
	ethtool -K tp2 tx on
	ip link set tp2 mtu 1400
	ip link set tp2 address 02:00:00:00:00:07
	ip addr del 198.19.2.1/24 dev tp2
	nft delete table netdev labctl-t-data
	try L status
	expect 1
	expect_out 'not as it should be:' "'tp2' has mtu 1400, not 1500" "'tp2' has another MAC address" \
		"'tp2' has lost the router's address" "'tp2' has the offload '" "the guard that keeps the kernel away from tp1 is gone"
	L stage-start two
	[ "$(L --json status | jq -c .drift)" = '[]' ]
}

@test "a client removed and a link deleted behind labctl's back: status tells, stage-stop cleans up" {
	api /containers/labctl-t-data-client1?force=1 -X DELETE
	wait_for 60 sh -c '! ip link show tp1' # some time after its last process
	ip link del tp2
	try L status
	expect 1
	expect_out "client 'client1' is gone" "interface 'tp2' is gone" 'tp1 *gone' "interface 'tp1' is gone"
	try L exec client1 -- true
	expect 125 "labctl: client 'client1' is gone" 'bring it back: labctl --lab t-* repair'
	try L stage-stop
	expect 0
	assert_gone t-data
}

@test "a client whose process died: status tells its exit code" {
	L stage-start two
	api /containers/labctl-t-data-client2/kill?signal=KILL -X POST
	wait_for 60 sh -c "curl -s --unix-socket /var/run/docker.sock http://d/containers/labctl-t-data-client2/json | grep -q '\"Running\":false'"
	try L status
	expect 1
	expect_out "client 'client2' is stopped (exit code 137)"
	try L exec client2 -- true
	expect 125 "labctl: client 'client2' is not running" 'bring it back: labctl --lab t-* repair'
	try L stage-stop
	expect 0
}

@test "nothing is left behind" {
	assert_nothing_left
	[ -z "$(ip -o link | grep -w 'tp[12]')" ]
}
