#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What others do to a lab: status tells it in words, repair mends it, and the lab works again.
bats_require_minimum_version 1.5.0
load ../lib/helpers

setup_file() {
	world_make
	use_lab t-rep t-rep-iso t-rep-net
	stage_two two tq 198.18
	stage net <<-'JSON'
		{
		  "title": "A switch",
		  "networks": { "tq1": { "subnet": "198.18.1.0/24", "router": "198.18.1.1" },
		                "tq2": { "subnet": "198.18.2.0/24", "router": "198.18.2.1" } },
		  "clients": {
		    "client1": { "interfaces": { "eth0": { "network": "tq1", "address": "198.18.1.2" } }, "gateway": "198.18.1.1",
		                 "routes": [ { "to": "198.18.77.0/24", "via": "198.18.1.3" } ] },
		    "client2": { "interfaces": { "eth0": { "network": "tq2", "address": "198.18.2.2" } }, "gateway": "198.18.2.1" },
		    "client3": { "interfaces": { "eth0": { "network": "tq1", "address": "198.18.1.3" } }, "gateway": "198.18.1.1" }
		  }
		}
	JSON
	has root && has engine && has image || return 0
	lab t-rep stage-start two >&2 </dev/null
}

teardown_file() { world_end; }

setup() {
	need root engine image
	LAB=t-rep
}

L() { lab "$LAB" "$@" </dev/null; }
on() { local client=$1; shift; L exec "$client" -- "$@"; }
inside() { local client=$1; shift; nsenter -t "$(container "labctl-$LAB-$client" .State.Pid)" -n "$@"; }

# is_gone INTERFACE: the kernel takes a namespace's links away some time after its last process.
is_gone() { ! ip link show "$1"; }

# ping through the student's router
assert_works() {
	background "$BATS_TEST_TMPDIR/router" 'routing between' \
		"$LABCTL_BIN" --lab "$LAB" run -- python3 "$LABCTL_TREE/tests/routers/stage1_reference.py"
	try on client1 ping -c 1 -W 5 198.18.2.2
	kill "$started"
	wait "$started" || true
	expect 0
	expect_out 'ttl=63'
}

# assert_mended WORDS...: status says them, repair too; then all is as it should be.
assert_mended() {
	local word
	try L status
	expect 1
	for word in "$@"; do
		expect_out 'not as it should be:' "$word" "mend it: labctl --lab $LAB repair"
	done
	try L repair
	expect 0
	for word in "$@"; do
		[[ $word =~ \ is\ [a-z]+$ ]] && word="${word% is *} was ${word##* }"
		expect_out 'mended:' "$word"
	done
	expect_out 'is as its record says; each link carries frames both ways'
	[[ $output != *'still not'* && $output != *'?'* ]]
	try L --json repair
	expect 0
	[ "$(jq -c '[.was, .mended, .made, .left]' <<<"$output")" = '[[],[],[],[]]' ]
	try L status
	expect 0
	assert_works
}

@test "nothing is wrong: repair says so and touches nothing" {
	before=$(ip -o link show tq1 | cut -d: -f1)
	try L repair
	expect 0
	[ "$output" = "lab 't-rep' is as its record says; each link carries frames both ways" ]
	[ "$(ip -o link show tq1 | cut -d: -f1)" = "$before" ]
	assert_works
}

@test "who may not ask the engine is told how to: as root" {
	try setpriv --reuid 65534 --regid 65534 --clear-groups "$LABCTL_BIN" --lab t-rep status
	expect 0
	expect_out 'client1 * unknown' 'engine   no permission on ' 'look as root: sudo labctl --lab t-rep status'
}

@test "docker rm -f" {
	api /containers/labctl-t-rep-client1?force=1 -X DELETE
	wait_for 60 is_gone tq1
	assert_mended "client 'client1' is gone" "interface 'tq1' is gone"
	api /containers/labctl-t-rep-client1?force=1 -X DELETE
	try L repair
	expect 0
	expect_out "client 'client1' was gone"
	[[ $output != *"client 'client1' was made anew"* ]]
}

@test "docker stop: the client is started again and keeps its files" {
	on client2 touch /kept
	api /containers/labctl-t-rep-client2/stop?t=0 -X POST
	wait_for 60 is_gone tq2
	try L status
	expect_out "client 'client2' is stopped (exit code "
	assert_mended "client 'client2' is stopped" "interface 'tq2' is gone"
	on client2 test -e /kept
}

@test "docker pause: the client goes on" {
	on client1 touch /kept
	api /containers/labctl-t-rep-client1/pause -X POST
	try on client1 true
	expect 125 "client 'client1' is paused" 'bring it back: labctl --lab '"$LAB"' repair'
	assert_mended "client 'client1' is paused"
	on client1 test -e /kept
}

@test "ip link del, in the seat" {
	ip link del tq2
	assert_mended "interface 'tq2' is gone" "client 'client2': interface 'eth0' is gone"
}

@test "ip link del, inside the client" {
	on client1 ip link del eth0
	assert_mended "interface 'tq1' is gone" "client 'client1': interface 'eth0' is gone"
}

@test "links set down" {
	ip link set tq1 down
	on client2 ip link set eth0 down
	assert_mended "'tq1' is down" "client 'client2': 'eth0' is down"
}

@test "addresses deleted or changed" {
	ip addr del 198.18.1.1/24 dev tq1
	on client1 ip addr del 198.18.1.2/24 dev eth0
	on client2 ip addr flush dev eth0
	on client2 ip addr add 198.18.2.2/16 dev eth0
	assert_mended "'tq1' has lost the router's address" \
		"client 'client1': 'eth0' has lost its address 198.18.1.2/24" \
		"client 'client2': 'eth0' has lost its address 198.18.2.2/24"
}

@test "the MTU changed, at either end" {
	ip link set tq1 mtu 1400
	on client2 ip link set eth0 mtu 1300
	assert_mended "'tq1' has mtu 1400, not 1500" "client 'client2': 'eth0' has mtu 1300, not 1500"
}

@test "the MAC address changed, at either end" {
	ip link set tq1 address 02:00:00:00:00:07
	on client2 ip link set eth0 address 02:00:00:00:00:08
	assert_mended "'tq1' has another MAC address" "client 'client2': 'eth0' has another MAC address"
}

@test "offloads switched on, at either end" {
	need ethtool nsenter
	ethtool -K tq1 tx on
	inside client2 ethtool -K eth0 gro on
	assert_mended "'tq1' has the offload '" "client 'client2': 'eth0' has the offload '"
}

@test "the guard's table deleted" {
	nft delete table netdev labctl-t-rep
	assert_mended "the guard that keeps the kernel away from tq1 is gone" "the guard that keeps the kernel away from tq2 is gone"
}

@test "what would let the kernel do the router's work" {
	sysctl -qw net.ipv4.conf.tq1.forwarding=1
	ip link set tq2 down
	ip link set tq2 up
	assert_mended 'the kernel forwards what arrives on tq1' \
		"the address 198.18.2.1 is the kernel's own: it answers ARP and ping in your program's place"
	ip link add tq-br type bridge
	ip link set tq1 master tq-br
	tc qdisc add dev tq2 clsact
	assert_mended 'the interface tq1 is a port of a bridge' 'a tc filter point (clsact) sits on tq2'
	ip link del tq-br
}

@test "what repair leaves to those who made it: no command of its own is offered" {
	ip addr add 198.18.2.1/32 dev lo
	nft add table netdev tq-evil
	nft add chain netdev tq-evil c '{ type filter hook ingress device tq1 priority -600; }'
	try L repair
	left=$output code=$status
	try L --json status
	ip addr del 198.18.2.1/32 dev lo
	nft delete table netdev tq-evil
	[ "$code" -eq 1 ]
	[[ $left == *"still not as it should be:"*"the address 198.18.2.1 is the kernel's own"*"on interface 'lo' says so: remove it there"* ]]
	[[ $left == *"an nftables chain of table 'tq-evil' sits on tq1"*'delete that chain'* ]]
	[[ $left != *'mend it'* ]]
	expect 1
	[ "$(jq -c '[.drift[].remedy]' <<<"$output")" = '[null,null]' ]
	try L status
	expect 0
}

@test "lab-list knows clients that do not run" {
	try "$LABCTL_BIN" lab-list
	expect 0
	expect_out 't-rep *running *2  '
	api /containers/labctl-t-rep-client1?force=1 -X DELETE
	api /containers/labctl-t-rep-client2/pause -X POST
	try "$LABCTL_BIN" lab-list
	expect 0
	expect_out 't-rep *running *0 of 2 '
	try "$LABCTL_BIN" --json lab-list
	[ "$(jq -c '.[] | select(.lab == "t-rep") | [.clients, .clients_running]' <<<"$output")" = '[2,0]' ]
	DOCKER_HOST=unix:///nowhere try "$LABCTL_BIN" --json lab-list
	expect 0
	[ "$(jq -c '.[] | select(.lab == "t-rep") | [.clients, .clients_running]' <<<"$output")" = '[2,null]' ]
	wait_for 60 is_gone tq1
	assert_mended "client 'client1' is gone" "client 'client2' is paused"
}

@test "a client's route deleted, another's turned elsewhere" {
	on client1 ip route del default
	on client2 ip route replace default via 198.18.2.77
	assert_mended "client 'client1': the route to everywhere via 198.18.1.1 is gone" \
		"client 'client2': the route to everywhere via 198.18.2.1 is gone"
}

@test "the mount of src/ gone" {
	umount "$LABCTL_RUN/t-rep/private/src"
	assert_mended "the mount of '$WORLD/src' is gone"
}

@test "lab.json and hosts deleted" {
	rm "$LABCTL_RUN/t-rep/lab.json" "$LABCTL_RUN/t-rep/hosts"
	assert_mended "'$LABCTL_RUN/t-rep/lab.json' is gone" "'$LABCTL_RUN/t-rep/hosts' is gone"
	jq -e .networks "$LABCTL_RUN/t-rep/lab.json"
}

@test "everything at once" {
	api /containers/labctl-t-rep-client1?force=1 -X DELETE
	nft delete table netdev labctl-t-rep
	umount "$LABCTL_RUN/t-rep/private/src"
	on client2 ip route del default
	on client2 ip addr flush dev eth0
	ip addr flush dev tq2
	ip link set tq2 mtu 1400
	assert_mended "client 'client1' is gone" "'tq2' has mtu 1400" "the mount of '$WORLD/src' is gone" \
		"the guard that keeps the kernel away from tq2 is gone" "client 'client2': 'eth0' has lost its address"
}

@test "the computer was booted: status tells at once, other verbs say what to do, repair brings the lab back" {
	need jq
	jq '.boot_id = "00000000-0000-0000-0000-000000000000"' "$LABCTL_STATE/labs/t-rep.json" >"$WORLD/record"
	cp "$WORLD/record" "$LABCTL_STATE/labs/t-rep.json"
	for i in 1 2; do
		api /containers/labctl-t-rep-client$i/stop?t=0 -X POST
	done
	nft delete table netdev labctl-t-rep
	umount "$LABCTL_RUN/t-rep/private/src"
	rm -r "$LABCTL_RUN"
	wait_for 60 is_gone tq1
	try L status
	expect 1
	expect_out 'stopped since' "the host was booted since" 'mend it: labctl --lab t-rep repair'
	try L exec client1 -- true
	expect 125 "lab 't-rep' was started before the host's last boot" "labctl --lab t-rep repair; or start it again: labctl --lab t-rep stage-start two"
	try "$LABCTL_BIN" lab-list
	expect_out 't-rep * stopped '
	try "$LABCTL_BIN" gc
	expect 0
	[ "$output" = 'nothing to remove' ]
	try L repair
	expect 0
	expect_out 'was booted since' "client 'client1' was started again" 'is as its record says'
	try L --json repair
	expect 0
	[ "$(jq -c '[.was, .mended, .made, .left]' <<<"$output")" = '[[],[],[],[]]' ]
	assert_works
	L stage-stop
	assert_gone t-rep
}

@test "a private seat deleted; its interfaces' other ends stay behind and are replaced" {
	LAB=t-rep-iso
	L stage-start --isolated two
	ip netns del labctl-t-rep-iso
	assert_mended "the seat's namespace 'labctl-t-rep-iso' is gone"
	L stage-stop
}

@test "a private seat deleted while a program runs in it" {
	LAB=t-rep-iso
	L stage-start --isolated two
	"$LABCTL_BIN" --lab "$LAB" run -- sleep 100 </dev/null 3>&- &
	program=$!
	wait_for 60 sh -c "ip netns pids labctl-t-rep-iso | grep -q ."
	ip netns del labctl-t-rep-iso
	assert_mended "the seat's namespace 'labctl-t-rep-iso' is gone"
	kill "$program"
	wait "$program" || true
	L stage-stop
}

@test "switches: their namespace deleted, one of them, a port taken out, a port down" {
	LAB=t-rep-net
	L stage-start net
	ip netns del labctl-t-rep-net-fabric
	assert_mended "the namespace 'labctl-t-rep-net-fabric' of the switches is gone"
	ip -n labctl-t-rep-net-fabric link del br1
	assert_mended "the switch of 'tq1' is gone"
	ip -n labctl-t-rep-net-fabric link set br1 down
	ip -n labctl-t-rep-net-fabric link set s1 nomaster
	ip -n labctl-t-rep-net-fabric link set c1.0 down
	assert_mended "the switch of 'tq1' is down" "the switch of 'tq1': port 's1' is not in the switch any more" \
		"the switch of 'tq1': 'c1.0' is down"
	ip -n labctl-t-rep-net-fabric link del c3.0
	on client1 ip route del 198.18.77.0/24
	assert_mended "the switch of 'tq1': interface 'c3.0' is gone" "client 'client3': interface 'eth0' is gone" \
		"client 'client1': the route to 198.18.77.0/24 via 198.18.1.3 is gone"
	L stage-stop
	assert_gone t-rep-net
}

@test "a stranger's container in a client's place: repair leaves it and says so" {
	LAB=t-rep
	L stage-start two
	api /containers/labctl-t-rep-client1?force=1 -X DELETE
	api '/containers/create?name=labctl-t-rep-client1' -X POST -H 'Content-Type: application/json' \
		-d '{ "Image": "labctl/client:latest", "NetworkDisabled": true }' >"$BATS_TEST_TMPDIR/stranger"
	try L repair
	api /containers/labctl-t-rep-client1 -X DELETE
	expect 5 "client 'client1'" "a container 'labctl-t-rep-client1' is there already and is not labctl's"
	try L repair
	expect 0
	assert_works
	L stage-stop
}

@test "nothing is left behind" {
	L stage-stop >/dev/null 2>&1 || true
	assert_nothing_left
	run ! grep -w "tq[12]" /proc/net/dev
}
