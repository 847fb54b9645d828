#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Stages of every shape: switches, wires without a router, several interfaces, MTU, IPv6, impaired
# wires, the kernel's own address, private seats.
bats_require_minimum_version 1.5.0
load ../lib/helpers

setup_file() {
	world_make
	use_lab t-topo t-topo2 t-iso1 t-iso2
	# lan: three clients and the router on a switch; far: three clients, no router; wire: two
	# clients, no router, larger frames. "mid" is in all of them and forwards between two.
	stage many <<-'JSON'
		{
		  "title": "Many ends",
		  "networks": {
		    "tq1": { "subnet": "198.18.10.0/24", "router": "198.18.10.1", "mtu": 1400 },
		    "far": { "subnet": "198.18.11.0/24", "ipv6": "fd00:11::/64" },
		    "wire": { "subnet": "198.18.12.0/24", "mtu": 9000 },
		    "tq2": { "subnet": "198.18.13.0/24", "router": "198.18.13.1", "mac": "02:00:00:00:0d:01" }
		  },
		  "clients": {
		    "one": { "interfaces": { "eth0": { "network": "tq1", "address": "198.18.10.11" } },
		             "routes": [ { "to": "198.18.11.0/24", "via": "198.18.10.12" },
		                         { "to": "203.0.113.0/24", "dev": "eth0" } ] },
		    "mid": { "interfaces": {
		               "lan0": { "network": "tq1", "address": "198.18.10.12" },
		               "far0": { "network": "far", "address": "198.18.11.12", "ipv6": "fd00:11::12" },
		               "wire0": { "network": "wire", "address": "198.18.12.12", "mac": "02:00:00:00:00:12" } },
		             "sysctls": { "net.ipv4.ip_forward": 1, "net.ipv4.conf.far0.proxy_arp": "0" } },
		    "three": { "interfaces": { "eth0": { "network": "far", "address": "198.18.11.13", "ipv6": "fd00:11::13" } },
		               "gateway": "198.18.11.12",
		               "env": { "COLOUR": "green and blue", "EMPTY": "" },
		               "command": [ "sh", "-c", "echo \"my own\"; exec sleep infinity" ],
		               "start": [ "echo $COLOUR >/tmp/colour", "ip -br addr show eth0 >>/tmp/colour", "test -d ~/src" ] },
		    "four": { "interfaces": { "eth0": { "network": "far", "address": "198.18.11.14", "ipv6": "fd00:11::14" },
		                              "eth1": { "network": "wire", "address": "198.18.12.14" },
		                              "quiet": { "network": "tq1", "mac": "02:00:00:00:00:14" } } }
		  }
		}
	JSON
	stage slow <<-'JSON'
		{ "title": "A slow wire",
		  "networks": { "wire": { "subnet": "198.18.12.0/24", "impair": { "rate": "2mbit" } } },
		  "clients": { "one": { "interfaces": { "eth0": { "network": "wire", "address": "198.18.12.11" } } },
		               "two": { "interfaces": { "eth0": { "network": "wire", "address": "198.18.12.12" } } } } }
	JSON
	stage late <<-'JSON'
		{ "title": "A late wire",
		  "networks": { "tq1": { "subnet": "198.18.10.0/24", "router": "198.18.10.1", "impair": { "delay": "30ms", "loss": "0%" } } },
		  "clients": { "one": { "interfaces": { "eth0": { "network": "tq1", "address": "198.18.10.11" } } } } }
	JSON
	stage kernel <<-'JSON'
		{ "title": "The kernel's address",
		  "networks": { "tq1": { "subnet": "198.18.10.0/24", "router": "198.18.10.1", "address": "kernel" } },
		  "clients": { "one": { "interfaces": { "eth0": { "network": "tq1", "address": "198.18.10.11" } }, "gateway": "198.18.10.1" } } }
	JSON
	stage failing <<-'JSON'
		{ "title": "A command that fails",
		  "networks": { "tq1": { "subnet": "198.18.10.0/24", "router": "198.18.10.1" } },
		  "clients": { "one": { "interfaces": { "eth0": { "network": "tq1", "address": "198.18.10.11" } },
		               "start": [ "true", "echo first line; echo second line; exit 9", "touch /tmp/never" ] } } }
	JSON
	stage_two two tq 198.18
	has root && has engine && has image || return 0
	lab t-topo stage-start many >&2 </dev/null
}

teardown_file() { world_end; }

setup() { need root engine image; }

L() { lab t-topo "$@" </dev/null; }
on() { local client=$1; shift; L exec "$client" -- "$@"; }
pings() { on "$1" ping -q -c 1 -W 10 "$2" >/dev/null; }

@test "a switch connects its clients: with a router on it, and without" {
	pings one 198.18.10.12
	pings mid 198.18.11.13
	pings mid four
	pings three 198.18.11.14
	# and what is not on it is not reached
	! on one ping -q -c 1 -W 1 198.18.11.14 >/dev/null || false
}

@test "two ends are wired directly, with the network's MTU, and a network without router is not in the seat" {
	pings mid 198.18.12.14
	on four ping -q -c 1 -W 10 -M 'do' -s 8972 198.18.12.12 >/dev/null
	[ "$(on mid cat /sys/class/net/wire0/mtu /sys/class/net/lan0/mtu | tr '\n' ' ')" = '9000 1400 ' ]
	[ "$(</sys/class/net/tq1/mtu)" = 1400 ]
	try on one ping -q -c 1 -W 1 -M 'do' -s 1400 198.18.10.12
	[ "$status" -ne 0 ]
	[ -z "$(ip -o link | grep -w -e far -e wire)" ]
	# one bridge for each network of more ends, in a namespace of the lab's own
	[ "$(ip -n labctl-t-topo-fabric -br link show type bridge | awk '{ print $1 }' | tr '\n' ' ')" = 'br1 br2 br4 ' ] ||
		ip -n labctl-t-topo-fabric -br link show type bridge >&2
	[ "$(ip -n labctl-t-topo-fabric -br link show master br1 | wc -l)" -eq 4 ]
}

@test "a client with several interfaces: names, MACs, addresses; one without an address" {
	try on mid ip -br link
	expect_out 'lan0*02:42:c6:12:0a:0c' 'far0*02:42:c6:12:0b:0c' 'wire0*02:00:00:00:00:12'
	[ "$(on four cat /sys/class/net/quiet/address)" = 02:00:00:00:00:14 ]
	[ -z "$(on four ip -4 -o addr show dev quiet)" ]
	[ "$(</sys/class/net/tq2/address)" = 02:00:00:00:0d:01 ]
}

@test "sysctls and routes: a client that forwards is a router for others" {
	[ "$(on mid cat /proc/sys/net/ipv4/ip_forward)" = 1 ]
	[ "$(on one cat /proc/sys/net/ipv4/ip_forward)" = 0 ]
	try on one ping -c 1 -W 10 198.18.11.13
	expect 0
	expect_out ttl=63
	try on one ip route
	expect_out '198.18.11.0/24 via 198.18.10.12 dev eth0' '203.0.113.0/24 dev eth0'
}

@test "command, environment and start commands of a client" {
	[ "$(on three cat /tmp/colour | head -n 1)" = 'green and blue' ]
	on three grep -q 198.18.11.13/24 /tmp/colour
	[ "$(api "/containers/labctl-t-topo-three/logs?stdout=1" --output - | tail -c +9)" = 'my own' ]
	[ "$(on three sh -c 'echo "<$EMPTY>"')" = '<>' ]
}

@test "IPv6 where the stage asks for it, and nowhere else" {
	[ -e /proc/sys/net/ipv6 ] || skip 'this kernel has no IPv6'
	pings three fd00:11::14
	pings mid fd00:11::13
	[ -z "$(on one ip -6 -o addr)" ]
}

@test "names: every client knows the others' and the routers'" {
	[ "$(on one getent hosts mid | awk '{ print $1 }' | sort | head -n 1)" = 198.18.10.12 ]
	[ "$(on one getent hosts router.tq1 | awk '{ print $1 }')" = 198.18.10.1 ]
	[ "$(on three getent hosts localhost | awk '{ print $1 }')" != '' ]
}

@test "lab.json describes it all" {
	file=$LABCTL_RUN/t-topo/lab.json
	[ "$(jq -r '.networks | keys_unsorted | join(" ")' "$file")" = 'tq1 far wire tq2' ]
	[ "$(jq -r '.networks.tq1 | "\(.interface) \(.address)/\(.prefix) \(.mtu)"' "$file")" = 'tq1 198.18.10.1/24 1400' ]
	[ "$(jq -r '.networks.far | "\(.interface) \(.ipv6)"' "$file")" = 'null fd00:11::/64' ]
	[ "$(jq -r '.clients.mid.interfaces.wire0.mac' "$file")" = 02:00:00:00:00:12 ]
	[ "$(jq -r '.clients.one.routes[0] | "\(.to) \(.via)"' "$file")" = '198.18.11.0/24 198.18.10.12' ]
	[ "$(jq -r '.seat.netns' "$file")" = null ]
}

@test "status of it: no drift; stopping takes the namespace with the switches" {
	[ "$(L --json status | jq -c .drift)" = '[]' ]
	try L stage-stop
	expect 0
	assert_gone t-topo
}

@test "an impaired wire: the rate holds" {
	L stage-start slow
	on two sh -c 'nc -l -N 5000 </dev/null >/dev/null' 3>&- &
	receiver=$!
	wait_for 60 on two grep -q ':1388 ' /proc/net/tcp
	begin=$(date +%s%N)
	on one sh -c 'head -c 200000 /dev/zero | nc -N 198.18.12.12 5000'
	wait "$receiver"
	took=$((($(date +%s%N) - begin) / 1000000))
	try on one tc qdisc show dev eth0
	L stage-stop
	# 200 kB take 800 ms at 2 Mbit/s, less what the bucket lets through at once
	[ "$took" -ge 500 ]
	expect_out 'tbf * rate 2Mbit '
}

@test "delay without netem: says so, and nothing is left; with it: it delays" {
	try L stage-start late
	if [ "$status" -eq 0 ]; then
		try on one tc qdisc show dev eth0
		L stage-stop
		expect_out 'netem*delay 30ms'
		return
	fi
	expect 3 "network 'tq1'" 'no netem' sch_netem
	assert_gone t-topo
	[ -z "$(ip -o link | grep -w tq1)" ]
}

@test "the kernel's own address: the host answers, and there is no guard" {
	L stage-start kernel
	pings one 198.18.10.1
	try L --json status
	[ "$(jq -r '.networks[0].guard' <<<"$output")" = none ]
	[ "$(jq -c .drift <<<"$output")" = '[]' ]
	L stage-stop
	[ -z "$(ip route | grep 198.18.10)" ]
}

@test "the kernel's own address that would hide a route of the host: exit code 5, nothing left" {
	ip link add tq9 type veth peer name tq8
	ip addr add 198.18.10.77/28 dev tq9
	ip link set tq9 up
	try L stage-start kernel
	ip link del tq9
	expect 5 "network 'tq1': subnet '198.18.10.0/24' is in use: this host has an address in it" --isolated
	assert_gone t-topo
}

@test "a start command that fails: which, its exit code, what it said; exit code 4, nothing left" {
	try L stage-start failing
	expect 4 "client 'one': start command 'echo first line; echo second line; exit 9' ended with exit code 9" \
		$'\n        it printed: first line | second line'
	assert_gone t-topo
}

# --- private seats ---

@test "--isolated: two labs of one stage at a time, each with its own interfaces, none in the host's namespace" {
	try lab t-iso1 stage-start --isolated two
	expect 0
	expect_out "(isolated: 'labctl --lab t-* shell' enters)"
	lab t-iso2 stage-start two --isolated >/dev/null </dev/null
	[ "$(ip -br link | awk '{ print $1 }' | grep -w 'tq[12]')" = '' ]
	for lab in t-iso1 t-iso2; do
		try lab $lab run -- ip -br -4 addr
		expect 0
		expect_out 'tq1@*198.18.1.1/24' 'tq2@*198.18.2.1/24'
		[[ $output != *eth0* ]]
		try lab $lab run -- ls /sys/class/net
		expect_out tq1 tq2
		[[ $output != *docker0* && $output != *eth0* ]]
		[ "$(lab $lab --json status </dev/null | jq -r '"\(.isolated) \(.seat) \(.drift | length)"')" = "true labctl-$lab 0" ]
	done
	try lab t-iso1 run -- ip link show lo
	expect_out 'UP'
}

@test "--isolated: a router in one seat connects its own lab's clients and not the other's" {
	background "$BATS_TEST_TMPDIR/router" 'routing between' \
		"$LABCTL_BIN" --lab t-iso1 run -- python3 "$LABCTL_TREE/tests/routers/stage1_reference.py"
	router=$started
	try lab t-iso1 exec client1 -- ping -c 1 -W 5 198.18.2.2
	kill "$router"
	wait "$router" || true
	expect 0
	expect_out ttl=63
	try lab t-iso2 exec client1 -- ping -q -c 1 -W 1 198.18.2.2
	[ "$status" -eq 1 ]
}

@test "labctl shell is in the seat, with the shell's exit code" {
	run --separate-stderr bash -c "echo 'ls /sys/class/net; exit 5' | SHELL=/bin/sh '$LABCTL_BIN' --lab t-iso1 shell"
	[ "$status" -eq 5 ]
	expect_out tq1
	[[ $output != *docker0* ]]
}

@test "--isolated: stopping one leaves the other; a program in the seat does not hold it up" {
	background "$BATS_TEST_TMPDIR/sleeper" ready "$LABCTL_BIN" --lab t-iso1 run -- sh -c 'echo ready; exec sleep 600'
	try lab t-iso1 stage-stop
	kill "$started"
	wait "$started" || true
	expect 0
	assert_gone t-iso1
	[ "$(lab t-iso2 --json status </dev/null | jq -c .drift)" = '[]' ]
	lab t-iso2 stage-stop </dev/null
}

@test "a namespace of that name that is somebody's: exit code 5, and it stays" {
	ip netns add labctl-t-iso1
	try lab t-iso1 stage-start --isolated two
	made=$([ -e /run/netns/labctl-t-iso1 ] && echo there)
	ip netns del labctl-t-iso1
	expect 5 "namespace 'labctl-t-iso1' is in use: it exists" 'use another lab name'
	[ "$made" = there ]
}

@test "nothing is left behind" {
	assert_nothing_left
	[ -z "$(ip -o link | grep -w 'tq[0-9]')" ]
}
