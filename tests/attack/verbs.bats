#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Each verb by a user with sudo: who may call it, and that it touches no file as root but root's own.
bats_require_minimum_version 1.5.0
load lib

setup_file() {
	attack_make
	use_lab labt-alice labt-bob
	has root && has sudo && has engine && has image || return 0
	sudo_labctl alice stage-start --isolated stage1 >&2
}

teardown_file() { attack_end; }

setup() { need root sudo engine image jq strace; }

# Who may call each verb; a new verb stands here before it stands anywhere else.
who_may() {
	cat <<-'TABLE'
		check owner
		complete everyone
		completion everyone
		connect owner
		doctor everyone
		exec owner
		forward owner
		gc everyone
		grade everyone
		grade-one everyone
		help everyone
		image-build administrator
		lab-list everyone
		needs-root everyone
		netport acquire everyone
		netport list everyone
		netport openapi everyone
		netport pool everyone
		netport release everyone
		netport renew everyone
		netport run everyone
		netport serve administrator
		netport token administrator
		netport who everyone
		repair owner
		run owner
		shell owner
		stage-list everyone
		stage-new everyone
		stage-start owner
		stage-stop owner
		stage-validate everyone
		status everyone
		version everyone
	TABLE
}

verbs_of() { who_may | awk -v who="$1" '$NF == who { NF--; print }'; }

# arguments VERB: what it takes at least.
arguments() {
	case $1 in
	exec) echo 'client1 -- true' ;;
	connect) echo client1 ;;
	run) echo '-- true' ;;
	stage-start) echo stage1 ;;
	forward) echo 9 ;;
	'netport token') echo 'add --name x' ;;
	esac
}

# What alice's lab consists of.
lab_print() {
	sha256sum "$LABCTL_RUN/labt-alice/lab.json" "$LABCTL_STATE/labs/labt-alice.json"
	api '/containers/json?all=1' | jq -r '.[] | .Names[0] + " " + .Id + " " + .State' | grep labt-alice
	"$LABCTL_BIN" netport list --owner lab:labt-alice
}

# rights NAME ARGUMENT...: labctl as sudo starts it for that user. Fails when a file was touched as root.
rights() {
	local until=() report=$BATS_TEST_TMPDIR/report user=labt-$1
	shift
	[ -z "${UNTIL-}" ] || until=(--until "$UNTIL")
	rm -f "$report"
	try python3 "$LABCTL_TREE/tests/lib/file_rights.py" --user "$user" --report "$report" \
		--own "$LABCTL_STATE" --own "$LABCTL_RUN" --own "$WORLD/host-seat" "${until[@]}" -- "$INSTALLED" "$@"
	if [ -s "$report" ] || [ ! -e "$report" ]; then
		printf 'labctl %s:\n' "$*" >&2
		cat "$report" >&2 || explain
		touched=1
	fi
}

@test "each verb of the tables says who may call it" {
	listed() {
		"$LABCTL_BIN" help --json | jq -r '[.verbs[], (.verbs[] | .verbs // [] | .[])][]
			| select(.verbs | not) | .name + " " + .who' | sort
	}
	diff <(who_may | sort) <(listed) >&2
}

@test "the owner's verbs: another user is refused by the owner's name, and nothing is done" {
	lab_print >"$BATS_TEST_TMPDIR/before"
	while read -r verb; do
		# shellcheck disable=SC2046,SC2086 # words
		try sudo_labctl bob --lab labt-alice $verb $(arguments "$verb")
		case $verb in
		connect | exec | run | shell) expect 125 "'labt-alice'" "belongs to user 'labt-alice'" ;;
		*) expect 5 "'labt-alice'" "belongs to user 'labt-alice'" ;;
		esac
		[ -z "$output" ]
	done < <(verbs_of owner)
	lab_print | diff "$BATS_TEST_TMPDIR/before" - >&2
}

@test "the owner's verbs: so is an administrator who is not root" {
	administrators bob
	try sudo_labctl bob --lab labt-alice stage-stop
	administrators
	expect 5 "belongs to user 'labt-alice'"
}

@test "the administrator's verbs: others are refused, who is listed is not" {
	while read -r verb; do
		# shellcheck disable=SC2046,SC2086 # words
		try sudo_labctl alice $verb $(arguments "$verb")
		expect 3 "'labctl $verb' is for administrators of this host, not for 'labt-alice'" "'$WORLD/host-seat'"
		[ -z "$output" ]
	done < <(verbs_of administrator)
	administrators bob
	try sudo_labctl bob netport token list
	expect 0
	try sudo_labctl bob netport serve --port 0 --group no-such-group
	[[ $stderr != *administrators* ]]
	try sudo_labctl bob image-build --base none
	[[ $stderr != *administrators* ]]
	administrators
}

@test "everyone's verbs are refused to nobody" {
	while read -r verb; do
		# shellcheck disable=SC2086 # words
		try sudo_labctl bob $verb --help
		expect 0
		expect_out usage
	done < <(verbs_of everyone)
	for verb in status lab-list doctor gc stage-list version help 'netport list' 'netport pool' 'netport openapi'; do
		# shellcheck disable=SC2086 # words
		try sudo_labctl bob $verb
		[[ $stderr != *administrator* && $stderr != *belongs* ]]
	done
}

@test "no file as root: the lab's verbs" {
	touched=
	cp -r "$LABCTL_TREE/tests/routers/lib" "$LABCTL_TREE/tests/routers/stage1_reference.py" "$ALICE/src/"
	rights alice status
	expect 0
	rights alice --json status
	rights alice exec client1 -- id
	expect 0
	rights alice connect client1
	expect 0
	rights alice run -- /bin/true
	expect 0
	rights alice shell
	expect 0
	rights alice check --run 'python3 src/stage1_reference.py' --only arp.reply --pcap pcap --junit junit.xml
	expect 0
	rights alice check --run 'python3 src/none.py' --failed --tap --junit /root/none/junit.xml
	rights alice check --explain all
	expect 0
	rights alice repair
	expect 0
	rights alice lab-list
	rights alice gc
	rights alice doctor
	rights alice complete clients
	rights alice complete labs
	rights alice stage-stop
	expect 0
	rights alice forward 9
	[ -z "$touched" ]
}

@test "no file as root: starting, also what cannot be started" {
	touched=
	mkdir -p "$ALICE/scripts" "$ALICE/mine"
	printf '#!/bin/sh\necho up\n' >"$ALICE/scripts/up.sh"
	printf '#!/bin/sh\necho down\n' >"$ALICE/scripts/down.sh"
	chmod 755 "$ALICE"/scripts/*.sh
	cp "$LABCTL_TREE/stages/stage1/stage.json" "$ALICE/mine/"
	chown -R labt-alice: "$ALICE/scripts" "$ALICE/mine"
	rights alice stage-start --dry-run stage1
	expect 0
	rights alice stage-start --dry-run /root/none
	rights alice stage-start /root/none
	rights alice stage-start --isolated --src /root/none stage1
	rights alice stage-start --isolated --src src ./mine
	expect 0
	rights alice stage-start ./scripts
	expect 0 up
	rights alice stage-stop
	expect 0 down
	rights alice stage-list
	expect 0
	rights alice stage-validate ./mine
	expect 0
	rights alice stage-validate /root/none
	rights alice stage-new ./new
	expect 0
	rights alice stage-new new-among-the-stages
	rights alice complete stages
	rights alice help
	rights alice version
	rights alice completion bash
	rights alice needs-root stage-start
	[ -z "$touched" ]
}

@test "no file as root: leases" {
	touched=
	rights alice netport acquire PORT
	expect 0
	port=$output
	rights alice netport renew PORT "$port" --ttl 1h
	expect 0
	rights alice netport who "$port"
	expect 0
	rights alice netport list --mine
	rights alice netport release PORT "$port"
	expect 0
	rights alice netport acquire PATH "$ALICE/x"
	rights alice netport acquire PATH /root/none
	rights alice netport acquire PROCESS x --pid $$
	rights alice netport acquire NETNS labt-x
	rights alice netport release --owner labt-alice
	rights alice netport pool
	rights alice netport pool PORT 30000-30010
	rights alice netport run --port X -- /bin/true
	expect 0
	rights alice netport openapi --path api.json
	expect 0
	rights alice netport openapi --path /root/none.json
	rights alice netport token list
	UNTIL=listens rights alice netport serve --port 0
	[ -z "$touched" ]
}

@test "no file as root: what an administrator calls" {
	touched=
	administrators bob
	printf '/bin/true\n' >"$BOB/list"
	rights bob netport token add --name x
	expect 0
	rights bob netport token list
	rights bob netport token remove --name x
	rights bob netport token add --name x --state "$BOB/s"
	UNTIL=listens rights bob netport serve --port 0
	UNTIL=listens rights bob netport serve --port 0 --allow-shell list
	UNTIL=listens rights bob netport serve --port 0 --allow-shell /root/none
	UNTIL=listens rights bob netport serve --port 0 --state "$BOB/s" --socket x.sock
	rights bob image-build --dockerfile --base labt/none:none
	administrators
	[ -z "$touched" ]
}

@test "no file as root: grading" {
	touched=
	mkdir -p "$ALICE/in/one"
	printf '#!/bin/sh\nexit 0\n' >"$ALICE/in/one/run"
	chmod -R 755 "$ALICE/in"
	chown -R labt-alice: "$ALICE/in"
	rights alice grade stage1 --submissions in --out out --csv out.csv --json out.json --timeout 10
	rights alice grade stage1 --submissions /root/none --out out
	rights alice grade-one stage1 in/one out1 --timeout 10
	[ -z "$touched" ]
}

@test "nothing is left behind" {
	sudo_labctl alice stage-stop || true
	rm -rf "$LABCTL_STATE/grade" "$LABCTL_STATE"/*tokens*
	assert_nothing_left
}
