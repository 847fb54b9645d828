#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Two users' labs side by side in the computer's own namespace.
bats_require_minimum_version 1.5.0
load ../lib/helpers

ANN=12345 BOB=12347

setup_file() {
	world_make
	use_lab t-ann t-bob t-own
	stage_two two to 198.18
	sed -i 's/"title"/"checks": [ { "use": "arp.reply" } ], &/' "$WORLD/stages/two/stage.json"
	mkdir "$WORLD/src/ann" "$WORLD/src/bob"
	chown 12345:12345 "$WORLD/src/ann"
	chown 12347:12347 "$WORLD/src/bob"
	has root && has engine && has image || return 0
	as ann stage-start two >&2
	as bob stage-start two >&2
}

teardown_file() { world_end; }

setup() { need root engine image; }

# who ann|bob: sets `sudo`, which starts a command as sudo would for that user.
who() {
	local id=$ANN
	[ "$1" != bob ] || id=$BOB
	sudo=(env "SUDO_UID=$id" "SUDO_GID=$id" "SUDO_USER=$1" SUDO_COMMAND=x "LABCTL_SRC=$WORLD/src/$1")
}

# as ann|bob ARGUMENT...: labctl for that user, about his own lab.
as() {
	local sudo user=$1
	who "$user"
	shift
	"${sudo[@]}" "$LABCTL_BIN" --lab "t-$user" "$@" </dev/null
}

# router_start ann|bob: sets `router`, the process itself.
router_start() {
	local sudo
	who "$1"
	background "$BATS_TEST_TMPDIR/router-$1" 'routing between' \
		"${sudo[@]}" "$LABCTL_BIN" --lab "t-$1" run -- python3 "$LABCTL_TREE/tests/routers/stage1_reference.py"
	router=$started
}

router_stop() {
	kill "$1"
	wait "$1" || true
}

# bob_at_ann ARGUMENT...: Bob, about Ann's lab.
bob_at_ann() { as bob --lab t-ann "$@"; }

answers() { as "$1" exec client1 -- ping -c 1 -W "${2-5}" 198.18.2.2 | grep -q ttl=63; }

ping_through() {
	local router code=0
	router_start "$1"
	answers "$1" || code=1
	router_stop "$router"
	return "$code"
}

@test "the second lab gets the next free interface names; lab.json and status tell which" {
	[ "$(jq -c '[.networks | to_entries[] | [.key, .value.interface]]' "$LABCTL_RUN/t-ann/lab.json")" = \
		'[["to1","to1"],["to2","to2"]]' ]
	[ "$(jq -c '[.networks | to_entries[] | [.key, .value.interface]]' "$LABCTL_RUN/t-bob/lab.json")" = \
		'[["to1","to3"],["to2","to4"]]' ]
	try as bob status
	expect 0
	expect_out 'owner uid12347' 'to1 *198.18.1.0/24 *to3 *198.18.1.1' 'to2 *198.18.2.0/24 *to4 *198.18.2.1'
	[[ $output != *'not as it should be'* ]]
	try as bob --json status
	[ "$(jq -c '[.networks[] | [.name, .interface, .state]]' <<<"$output")" = '[["to1","to3","up"],["to2","to4","up"]]' ]
	[ "$(as ann --json status | jq -c .drift)" = '[]' ]
}

@test "the reference router works in both, one after the other and at once" {
	ping_through ann
	ping_through bob
	router_start ann
	of_ann=$router
	router_start bob
	of_bob=$router
	answers ann && answers bob || failed=1
	# Ann's alone does not serve Bob
	router_stop "$of_bob"
	answers ann || failed=1
	! answers bob 1 || failed=1
	router_stop "$of_ann"
	[ -z "${failed-}" ]
}

@test "check writes its reports with the user's rights" {
	local router="python3 $LABCTL_TREE/tests/routers/stage1_reference.py"
	try as ann check --run "$router" --junit "$WORLD/stages/ann.xml"
	expect 3 "cannot create '$WORLD/stages/ann.xml" 'Permission denied'
	expect_out 'pass  arp.reply' # that is not lost with it
	[ -z "$(find "$WORLD/stages" -name 'ann.xml*')" ]
	try as ann check --run "$router" --junit "$WORLD/src/ann/junit.xml" --pcap "$WORLD/src/ann/frames"
	expect 0
	[ "$(cd "$WORLD/src/ann" && find . -type f ! -name '.*' ! -name 'starter.*' -user $ANN | sort | tr '\n' ' ')" = './frames/arp.reply.pcap ./junit.xml ' ]
	rm -r "$LABCTL_STATE/grade" # the grader's memory outlives a lab
}

@test "check: options that say opposite things are refused" {
	try as ann check --only arp --failed
	expect 2 '--only or --failed, not both'
	try as ann check --watch --failed
	expect 2 '--watch or --failed, not both'
	try as ann --json check --tap
	expect 2
	expect_out '"message": "--json or --tap, not both"'
}

@test "lab-list shows all labs with their owners, to everyone" {
	try as bob lab-list
	expect 0
	expect_out 't-ann *two *uid12345 *running' 't-bob *two *uid12347 *running'
	try as ann --json lab-list
	expect 0
	[ "$(jq -c '[.[] | [.lab, .owner, .state]]' <<<"$output")" = '[["t-ann","uid12345","running"],["t-bob","uid12347","running"]]' ]
	try setpriv --reuid 65534 --regid 65534 --clear-groups "$LABCTL_BIN" lab-list
	expect 0
	expect_out 't-ann *two *uid12345'
}

@test "nobody may look at more than the state of another's lab: each refused, exit code 5, the owner named" {
	for verb in stage-stop repair 'stage-start two'; do
		# shellcheck disable=SC2086
		try bob_at_ann $verb
		expect 5 "lab 't-ann' (two) belongs to user 'uid12345'" 'only its owner or root'
	done
	for verb in 'exec client1 -- true' 'connect client1' 'run -- true' shell; do
		# shellcheck disable=SC2086
		try bob_at_ann $verb
		expect 125 "lab 't-ann' (two) belongs to user 'uid12345'"
	done
	try bob_at_ann status
	expect 0
	[[ $output != *'not as it should be'* ]]
	ping_through ann
}

@test "another's leases cannot be released; who holds an interface is told" {
	try as bob netport release INTERFACE to1
	expect 5 "interface 'to1' is leased to lab 't-ann' (two)"
	try as bob netport who to1
	expect 0
	expect_out "interface 'to1' is leased to lab 't-ann' (two)"
	[ "$(as ann --json status | jq -c .drift)" = '[]' ]
}

@test "another's dead lab: neither gc nor stage-stop of a stranger touches it; its owner's gc does" {
	# Died after the record was written, and before.
	for point in 12 3; do
		try env LABCTL_TEST_DIE_AT=$point SUDO_UID=$ANN SUDO_GID=$ANN SUDO_USER=ann \
			"$LABCTL_BIN" --lab t-own stage-start --isolated two
		[ "$status" -eq 137 ]
		before=$(as ann netport list --json | jq -c '[.[] | select(.owner == "lab:t-own")] | length')
		[ "$before" -ge 3 ]
		try as bob gc
		expect 0
		[ "$output" = 'nothing to remove' ]
		try as bob --lab t-own stage-stop
		[ "$status" -eq 5 ] || [ "$status" -eq 6 ]
		[ "$(as ann netport list --json | jq -c '[.[] | select(.owner == "lab:t-own")] | length')" = "$before" ]
		try as ann gc
		expect 0
		expect_out removed
		assert_gone t-own
		[ "$(as ann netport list --json | jq -c '[.[] | select(.owner == "lab:t-own")] | length')" = 0 ]
	done
}

@test "the real root may all: stops one lab, the other goes on" {
	try lab t-ann stage-stop
	expect 0
	assert_gone t-ann
	[ "$(as bob --json status | jq -c .drift)" = '[]' ]
	ping_through bob
	# and the names are free for the next
	as ann stage-start two
	[ "$(jq -r .networks.to1.interface "$LABCTL_RUN/t-ann/lab.json")" = to1 ]
	try as ann stage-stop
	expect 0
	try as bob stage-stop
	expect 0
}

@test "nothing is left behind" {
	assert_nothing_left
	run ! grep -w 'to[1-4]' /proc/net/dev
	[ "$("$LABCTL_BIN" netport list --json)" = '[]' ]
}
