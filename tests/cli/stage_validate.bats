#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The verb stage-validate: every problem at once, on stdout, whatever the stage is called by.
bats_require_minimum_version 1.5.0
load ../lib/helpers

setup_file() { world_make; }
teardown_file() { rm -rf "$WORLD"; }

# checked NAME CHECKS [JQ]: two networks of MTU 1500, client1 and client3 on the first.
checked() {
	stage "$1" <<-JSON
		{
		  "title": "Checked",
		  "networks": {
		    "net1": { "subnet": "198.18.1.0/24", "router": "198.18.1.1" },
		    "net2": { "subnet": "198.18.2.0/24", "router": "198.18.2.1" },
		    "lan": { "subnet": "198.18.3.0/24" }
		  },
		  "clients": {
		    "client1": { "interfaces": { "eth0": { "network": "net1", "address": "198.18.1.2" } } },
		    "client2": { "interfaces": { "eth0": { "network": "net2", "address": "198.18.2.2" } } },
		    "client3": { "interfaces": { "eth0": { "network": "net1", "address": "198.18.1.3" } } },
		    "far": { "interfaces": { "eth0": { "network": "lan", "address": "198.18.3.2" } } }
		  },
		  "checks": [ $2 ]
		}
	JSON
	[ $# -lt 3 ] || edit "$1" "$3"
}

edit() {
	jq "$2" "$WORLD/stages/$1/stage.json" >"$WORLD/edited"
	mv "$WORLD/edited" "$WORLD/stages/$1/stage.json"
}

# refused CHECK WORDS HINT [JQ]: that check alone is the stage's only problem.
refused() {
	checked args "$1" ${4+"$4"}
	try "$LABCTL_BIN" stage-validate args
	expect 4
	expect_out "checks?0?.use: $2" "hint: *$3" "has 1 problem"
}

@test "a wrong type hides no check and no client" {
	checked hidden '{ "use": "arp.repyl" }, { "use": "ipv4.ttl", "from": "cleint1", "form": 1 }, { "use": "eth.rewrite",
		"from": "client1", "to": "client3" }, { "points": 0 }' '.title = 5'
	try "$LABCTL_BIN" stage-validate hidden
	expect 4
	[ "$(grep -v hint: <<<"$output" | sed 's/^[^ ]*:[0-9]*: //')" = "title: expected a string, found the number 5
checks[0].use: there is no check 'arp.repyl'
checks[1].from: there is no client 'cleint1'
checks[1].form: check 'ipv4.ttl' has no key 'form'
checks[2].use: 'from' and 'to' are both on network 'net1'
checks[3]: the key 'use' is missing
checks[3].points: expected a whole number from 1 to 1000, found the number 0
'$WORLD/stages/hidden/stage.json' has 7 problems" ]
	# what a check asks of clients and networks is nothing to be told while those are wrong
	edit hidden '.networks.net1.mtu = "x"'
	try "$LABCTL_BIN" --json stage-validate hidden
	expect 4
	[ "$(jq -r '[.problems[].path] | join(" ")' <<<"$output")" = \
		'title networks.net1.mtu checks[0].use checks[1].from checks[1].form checks[3] checks[3].points' ]
	edit hidden '.clients = 3'
	try "$LABCTL_BIN" --json stage-validate hidden
	[ "$(jq -r '[.problems[].path] | join(" ")' <<<"$output")" = \
		'title networks.net1.mtu clients checks[0].use checks[1].form checks[3] checks[3].points' ]
}

@test "arguments that do not go with the topology" {
	for id in frag.forward frag.refragment frag.df; do
		refused "{ \"use\": \"$id\", \"from\": \"client1\", \"to\": \"client2\" }" \
			"nothing is too large on the way from 'client1' (net1, MTU 1500) to 'client2' (net2, MTU 1500)" \
			'give net2 a smaller "mtu"'
		checked args "{ \"use\": \"$id\" }" '.networks.net2.mtu = 576'
		try "$LABCTL_BIN" stage-validate args
		expect 0
		refused "{ \"use\": \"$id\", \"from\": \"client2\" }" "nothing is too large on the way from 'client2' (net2, MTU 576)" \
			'give net1 a smaller' '.networks.net2.mtu = 576'
	done
	refused '{ "use": "ipv4.forward", "from": "client1", "to": "client3" }' "'from' and 'to' are both on network 'net1'" \
		'the router between them'
	refused '{ "use": "ipv4.forward", "from": "far" }' "'from' names client 'far', which is on no network of the router's" \
		"the router's neighbour"
	refused '{ "use": "arp.reply", "on": "far" }' "'on' names client 'far'" "the router's neighbour"
	refused '{ "use": "lpm.match" }' 'the stage has no routes' '"routes"'
	refused '{ "use": "lpm.default" }' 'the stage has no default route' '"to": "default"' \
		'.routes = [ { "to": "10.0.0.0/8", "via": "198.18.2.2" } ]'
	for id in lpm.none icmp.net-unreachable; do
		refused "{ \"use\": \"$id\" }" 'the stage has a default route' 'leave the check out' \
			'.routes = [ { "to": "default", "via": "198.18.2.2" } ]'
	done
	refused '{ "use": "perf.pps", "size": 1514 }' "frames of 1514 bytes do not pass on network 'net2', whose MTU is 576" \
		'at most 590' '.networks.net2.mtu = 576'
	refused '{ "use": "tcp.transfer", "from": "far", "to": "far" }' "'from' and 'to' are the same client" 'two clients'
	refused '{ "use": "udp.transfer", "from": "far" }' "'from' or 'to' is missing" 'two clients'
	refused '{ "use": "ipv4.ttl" }' "it needs clients on two networks of the router's" 'a second network' \
		'del(.networks.net2, .clients.client2)'
	checked args '{ "use": "tcp.transfer", "from": "far", "to": "client1" }'
	try "$LABCTL_BIN" stage-validate args
	expect 0
}

@test "every stage that comes with labctl is valid" {
	for dir in "$LABCTL_TREE"/stages/stage*/; do
		try "$LABCTL_BIN" stage-validate "$dir"
		expect 0
	done
}

@test "a directory by '.', by its stage.json, and by a name that needs './'" {
	checked here ''
	cd "$WORLD/stages/here"
	for name in . ./ stage.json ./stage.json ../here "$PWD/stage.json" ../here/stage.json; do
		try "$LABCTL_BIN" stage-validate "$name"
		expect 0
		expect_out "'here' is valid: 3 networks, 4 clients, 0 checks"
	done
	try "$LABCTL_BIN" stage-start --dry-run .
	expect 0
	mkdir -p "$WORLD/mine"
	mv "$WORLD/stages/here" "$WORLD/mine/Here"
	cd "$WORLD/mine"
	try "$LABCTL_BIN" stage-validate Here
	expect 6 "no stage 'Here'" 'for the directory of that name: ./Here'
	try "$LABCTL_BIN" stage-validate ./nowhere/stage.json
	expect 6 "there is no stage directory './nowhere'"
}
