#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A file that is not a record where one should be: named, never followed or waited for, and
# everybody else's labs go on.
bats_require_minimum_version 1.5.0
load lib

setup_file() {
	attack_make
	use_lab t-rotten t-well labt-alice labt-bob
	stage_two one tm 198.18
	stage_two other tn 198.19
	cp -r "$WORLD/stages/"* "$LABCTL_STAGES"
	has root && has sudo && has engine && has image || return 0
	lab t-rotten stage-start one >&2 </dev/null
	cp "$LABCTL_STATE/labs/t-rotten.json" "$WORLD/good"
	secret "$WORLD/secret" 'the-secret-word'
}

teardown_file() {
	[ ! -e "$WORLD/good" ] || record_restore
	attack_end
}

setup() {
	need root sudo engine image
	record=$LABCTL_STATE/labs/t-rotten.json
}

teardown() { [ ! -e "$WORLD/good" ] || record_restore; }

record_restore() {
	rm -rf "$LABCTL_STATE/labs/t-rotten.json"
	cp "$WORLD/good" "$LABCTL_STATE/labs/t-rotten.json"
}

soon() { timeout --kill-after 1 20 "$LABCTL_BIN" "$@"; }

# The kinds of damage; each leaves $record as its name says.
broken() { echo '{"broken":' >"$record"; }
empty() { : >"$record"; }
number() { echo 7 >"$record"; }
array() { echo '[[{}]]' >"$record"; }
wrong_types() { jq '.owner = [] | .networks = "x" | .ports = {} | .stage = 3' "$WORLD/good" >"$record"; }
of_another_lab() { jq '.lab = "t-well"' "$WORLD/good" >"$record"; }
deep() { python3 -c 'print("[" * 100000)' >"$record"; }
nul_bytes() { head -c 4096 /dev/zero >"$record"; }
huge() { truncate -s 3G "$record"; }
directory() { mkdir "$record"; }
fifo() { mkfifo "$record"; }
device() { mknod "$record" c 1 5; }
socket_file() { python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$record"; }
link_to_secret() { ln -s "$WORLD/secret" "$record"; }
link_to_itself() { ln -s t-rotten.json "$record"; }

DAMAGES='broken empty number array wrong_types of_another_lab deep nul_bytes huge directory fifo device socket_file
	link_to_secret link_to_itself'

FEW='broken wrong_types fifo directory link_to_secret'

damage() {
	rm -rf "$record"
	"$1"
}

@test "the damaged lab's own verbs name the file and what to do" {
	for what in $DAMAGES; do
		damage "$what"
		try soon --lab t-rotten status
		expect 3 "the record '$record' is damaged" 'remove that file'
		assert_nothing_says the-secret-word
	done
	for what in $FEW; do
		damage "$what"
		for verb in stage-stop repair 'stage-start other' "grade --submissions $WORLD"; do
			# shellcheck disable=SC2086
			try soon --lab t-rotten $verb
			expect 3 "the record '$record' is damaged" 'remove that file'
		done
		try soon --lab t-rotten stage-list
		expect 0 "warning: the record '$record' is damaged"
		expect_out 'Two for a test'
	done
}

@test "lists, gc and doctor go on" {
	for what in $DAMAGES; do
		damage "$what"
		try soon --json lab-list
		expect 0
		[[ $(jq -r '.[] | select(.lab == "t-rotten").error' <<<"$output") = *'is damaged'* ]] || { explain; false; }
		assert_nothing_says the-secret-word
	done
	for what in $FEW; do
		damage "$what"
		try soon gc
		expect 0
		try soon netport list
		expect 0
		try soon --json doctor
		[[ $(jq -r '.[] | select(.check == "leftovers") | .text + .mend' <<<"$output") = *'is damaged'*"rm $record"* ]] || { explain; false; }
	done
}

@test "other users' verbs go on" {
	for what in $FEW; do
		damage "$what"
		for verb in lab-list 'stage-list --json'; do
			# shellcheck disable=SC2086
			try sudo_labctl bob $verb
			expect 0
			assert_nothing_says the-secret-word
		done
		try sudo_labctl bob status
		expect 6 "no stage is running"
	done
}

@test "another lab that wants the damaged lab's interface is told both facts, and others start" {
	for what in broken fifo directory; do
		damage "$what"
		try soon --lab t-well stage-start one
		expect 5 "warning: the record '$record' is damaged" "interface 'tm1' carries labctl's mark"
		try soon --lab t-well stage-start other
		expect 0
		try soon --lab t-well stage-stop
		expect 0
	done
	damage broken
	try sudo_labctl bob stage-start --isolated other
	expect 0
	try sudo_labctl bob stage-stop
	expect 0
}

@test "a damaged memory of gradings costs hints, not the verdict" {
	lab t-well stage-start other </dev/null
	mkdir -p "$LABCTL_STATE/grade"
	for what in 'echo "{\"broken\":" >' 'echo "{\"stage\":\"other\",\"checks\":{\"arp.reply\":7}}" >' mkfifo mkdir \
		'ln -s /dev/zero'; do
		rm -rf "$LABCTL_STATE/grade/t-well.json"
		eval "$what" "$LABCTL_STATE/grade/t-well.json"
		try soon --lab t-well check --failed --list
		[ "$status" -le 2 ]
	done
	rm -rf "$LABCTL_STATE/grade"
	lab t-well stage-stop </dev/null
}

@test "what is no lock where a lab's lock should be: nobody waits for it" {
	for what in 'echo "{\"broken\":" >' mkfifo mkdir; do
		eval "$what" "$LABCTL_RUN/t-other.lock"
		try soon lab-list
		expect 0
		try soon gc
		[ "$status" -eq 0 ] || expect 3 't-other.lock'
		rm -rf "$LABCTL_RUN/t-other.lock"
	done
}

@test "nothing is left behind" {
	record_restore
	lab t-rotten stage-stop </dev/null
	rm "$WORLD/good"
	assert_nothing_left
}
