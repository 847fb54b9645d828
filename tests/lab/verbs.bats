#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The command line: start, status, stop, their JSON, exit codes, help, completion.
bats_require_minimum_version 1.5.0
load ../lib/helpers

verbs='stage-list stage-start stage-stop status connect exec run shell doctor image-build stage-validate completion version help'

setup_file() {
	world_make
	use_lab t-verbs
	stage_two two tv 198.18
	stage_two twin tv 198.18
	mkdir "$WORLD/stages/broken"
	cat >"$WORLD/stages/broken/stage.json" <<-'JSON'
		{ "title": "Broken",
		  "networks": { "tv1": { "subnet": "198.18.1.0/24", "router": "198.18.9.1", "mtv": 3 } },
		  "clients": { "client1": { "interfaces": { "eth0": { "network": "tv7", "address": "198.18.1.2" } } } } }
	JSON
}

teardown_file() { world_end; }

L() { lab t-verbs "$@"; }

# --- without a lab ---

@test "no verb: usage on stderr, exit code 2" {
	try "$LABCTL_BIN"
	expect 2 'usage: labctl' 'stage-start'
	[ -z "$output" ]
}

@test "an unknown verb, option, stage, client: the nearest is suggested" {
	try "$LABCTL_BIN" stage-strat two
	expect 2 "no verb 'stage-strat'" "did you mean 'labctl stage-start'?"
	try "$LABCTL_BIN" start stage1
	expect 2 "no verb 'start'" "did you mean 'labctl stage-start'?"
	try "$LABCTL_BIN" stop
	expect 2 "did you mean 'labctl stage-stop'?"
	try "$LABCTL_BIN" list
	expect 2 "did you mean 'labctl stage-list' or 'labctl lab-list'?"
	try "$LABCTL_BIN" validat .
	expect 2 "did you mean 'labctl stage-validate'?"
	try "$LABCTL_BIN" build
	expect 2 "did you mean 'labctl image-build'?"
	try "$LABCTL_BIN" stats
	expect 2 "did you mean 'labctl status'?"
	try "$LABCTL_BIN" frobnicate
	expect 2 "'labctl help' lists the verbs"
	try "$LABCTL_BIN" stage-start --isolate two
	expect 2 "no option '--isolate' for stage-start" "did you mean '--isolated'?"
	try "$LABCTL_BIN" --jsn status
	expect 2 "no option '--jsn'" "did you mean '--json'?"
	try L stage-start --dry-run twoo
	expect 6 "'twoo'" "did you mean 'two'"
	try L stage-start --dry-run nothing-like-it
	expect 6 "'nothing-like-it'"
}

@test "wrong numbers of arguments, values missing or too many: exit code 2, the usage" {
	try "$LABCTL_BIN" stage-start
	expect 2 "'labctl stage-start' needs STAGE" 'usage: labctl stage-start'
	try "$LABCTL_BIN" stage-start a b
	expect 2 "'labctl stage-start' does not take 'b'"
	try "$LABCTL_BIN" exec client1
	expect 2 "'labctl exec' needs CLIENT"
	try "$LABCTL_BIN" run
	expect 2 "'labctl run' needs"
	try "$LABCTL_BIN" --lab
	expect 2 "'--lab' needs a value"
	try "$LABCTL_BIN" --json=yes status
	expect 2 "'--json' takes no value"
	try "$LABCTL_BIN" --lab 'Not/a name' status
	expect 2 "'Not/a name' is not a lab name" 'a-z'
}

@test "nothing runs: status, connect, exec, run, shell, stage-stop say so" {
	need root
	for verb in status stage-stop; do
		try L $verb
		expect 6 "no stage is running in lab 't-verbs'" 'start one: labctl --lab t-verbs stage-start'
	done
	for verb in 'connect client1' 'exec client1 -- true' 'run -- true' shell; do
		try L $verb
		expect 125 "no stage is running in lab 't-verbs'" 'start one: labctl --lab t-verbs stage-start'
	done
	assert_nothing_left
}

@test "errors as JSON: kind, message, hint, exit code; stderr stays empty" {
	try L --json status
	expect 6
	[ "$(jq -r '.error.kind' <<<"$output")" = not-found ]
	[ "$(jq -r '.error.exit_code' <<<"$output")" = 6 ]
	[[ "$(jq -r '.error.message' <<<"$output")" = *"no stage is running"* ]]
	[[ "$(jq -r '.error.hint' <<<"$output")" = *stage-start* ]]
	try "$LABCTL_BIN" --json stage-strat
	[ "$status" -eq 2 ]
	[ "$(jq -r '.error.kind' <<<"$output")" = usage ]
}

@test "a malformed stage: all problems with line and path, exit code 4, nothing made" {
	for verb in 'stage-validate' 'stage-start --dry-run' 'stage-start'; do
		[ "$verb" != stage-start ] || need root
		try L $verb broken
		# they are the result of one verb, and in the way of the other
		[ "$verb" != stage-validate ] || {
			expect 4
			stderr=$output output=
		}
		expect 4 'broken/stage.json:2: networks.tv1' "'mtv'" "did you mean 'mtu'" '198.18.9.1' "'tv7'" \
			'stage.json'"'"' has ' problems
		[ -z "$output" ]
		[ "$verb" = stage-validate ] || expect 4 "then: labctl stage-validate $WORLD/stages/broken/stage.json"
	done
	assert_nothing_left
	try L --json stage-validate broken
	expect 4
	[ "$(jq -r .valid <<<"$output")" = false ]
	[ "$(jq '.problems | length' <<<"$output")" -ge 3 ]
	jq -e '.problems[] | select(.path == "networks.tv1.mtv" and .line == 2)' <<<"$output"
}

@test "stage-list and stage-validate, plain and JSON; a broken stage does not hide the others" {
	try L stage-list
	expect 0
	expect_out 'two  ' 'Two for a test' 'broken' '\(broken'
	try L --json stage-list
	expect 0
	[ "$(jq -r 'map(.name) | join(" ")' <<<"$output")" = 'broken twin two' ]
	[ "$(jq -r '.[1] | "\(.title) \(.clients) \(.networks) \(.running) \(.kind)"' <<<"$output")" = 'Two for a test 2 2 false json' ]
	jq -e '.[0].error' <<<"$output"
	try L stage-validate two
	expect 0
	[ "$output" = "'two' is valid: 2 networks, 2 clients, 0 checks" ]
	try L stage-validate "$WORLD/stages/two"
	expect 0
	expect_out valid
	try L stage-validate two --json
	expect 0
	[ "$(jq -r .valid <<<"$output")" = true ]
}

@test "--dry-run prints the plan, also without root and without the engine, and makes nothing" {
	plain=(env DOCKER_HOST=unix:///nowhere)
	[ "$(id -u)" -ne 0 ] || plain=(setpriv --reuid 65534 --regid 65534 --clear-groups "${plain[@]}")
	export LABCTL_STATE=$WORLD/dry-state LABCTL_RUN=$WORLD/dry-run
	try "${plain[@]}" "$LABCTL_BIN" --lab t-verbs stage-start --dry-run two
	expect 0
	expect_out '1  directory' 'container  client1: labctl-t-verbs-client1 from labctl/client:latest' \
		'link*tv1: tv1 02:42:c6:12:01:01 198.18.1.1/24 -- client1 eth0 02:42:c6:12:01:02 198.18.1.2/24, mtu 1500' \
		'routes*client1: default via 198.18.1.1' verify publish
	try "${plain[@]}" "$LABCTL_BIN" --lab t-verbs stage-start -n --json two
	expect 0
	[ "$(jq -r '.plan[0].step + " " + .plan[-1].step' <<<"$output")" = 'directory publish' ]
	[ ! -e "$LABCTL_STATE" ]
	[ ! -e "$LABCTL_RUN" ]
}

@test "every verb is in --help, has its own help, and a verb that does not exist has none" {
	try "$LABCTL_BIN" --help
	expect 0
	overview=$output
	for verb in $verbs; do
		[[ $overview == *$'\n'"  $verb "* ]]
		try "$LABCTL_BIN" help "$verb"
		expect 0
		expect_out "usage: labctl $verb" 'options for every verb:' '--json'
		[ "$(sed -n 3p <<<"$output")" = "$(sed -n "s/^  $verb  *//p" <<<"$overview")" ]
		by_verb=$output
		try "$LABCTL_BIN" "$verb" --help
		expect 0
		[ "$output" = "$by_verb" ]
	done
	# and the other way round
	listed=$(sed -n '/^verbs:/,/^$/s/^  \([a-z-]*\) .*/\1/p' <<<"$overview")
	for verb in $listed; do
		[[ " $verbs " == *" $verb "* ]] || [ "$(wc -w <<<"$listed")" -gt "$(wc -w <<<"$verbs")" ]
	done
	try "$LABCTL_BIN" help stage-strat
	expect 2 "did you mean 'labctl stage-start'?"
	try "$LABCTL_BIN" --json help
	expect 0
	[ "$(jq -r '.verbs | map(select(.hidden | not) | .name) | join("\n")' <<<"$output")" = "$listed" ]
}

@test "version, plain, as an option, as JSON" {
	version=$(<"$LABCTL_TREE/VERSION")
	for words in version --version; do
		try "$LABCTL_BIN" $words
		expect 0
		[ "$output" = "labctl $version" ]
	done
	try "$LABCTL_BIN" --json version
	[ "$(jq -r .version <<<"$output")" = "$version" ]
}

@test "a full disk behind stdout is an error" {
	run --separate-stderr bash -c "'$LABCTL_BIN' --help >/dev/full"
	expect 3 'cannot write to standard output'
}

# --- completion ---

# In a bash of its own: what Tab offers for the words, the last one unfinished.
offers() {
	PATH=$(dirname "$LABCTL_BIN"):$PATH bash --norc --noprofile -c '
		. <(labctl completion bash) || exit 1
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_labctl labctl "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
		printf "%s\n" "${COMPREPLY[@]}"' bash labctl "$@"
}

@test "bash: verbs, stages, options, shells" {
	try offers ''
	expect 0
	[ "$(sort <<<"$output")" = "$(tr ' ' '\n' <<<"$verbs" | sort)" ] ||
		for verb in $verbs; do grep -qx -- "$verb" <<<"$output"; done
	try offers stage-st
	[ "$output" = $'stage-start\nstage-stop' ]
	try offers stage-start tw
	[ "$output" = $'two\ntwin' ] || [ "$output" = $'twin\ntwo' ]
	try offers stage-start --d
	[ "$output" = --dry-run ]
	try offers --j
	[ "$output" = --json ]
	try offers --lab x stage-start --isolated br
	[ "$output" = broken ]
	try offers completion ''
	[ "$output" = $'bash\nzsh\nfish' ]
	try offers help run
	[ "$output" = run ]
	try offers stage-start two ''
	[ -z "$output" ]
}

@test "zsh: the script is sound and offers the verbs" {
	need zsh
	"$LABCTL_BIN" completion zsh >"$BATS_TEST_TMPDIR/_labctl"
	try zsh -n "$BATS_TEST_TMPDIR/_labctl"
	expect 0
	# the function, with zsh's helpers replaced by ones that tell what they were given
	PATH=$(dirname "$LABCTL_BIN"):$PATH try zsh -f -c '
		compdef() { :; }
		_arguments() { print -l -- "$@"; state=verb; }
		_describe() { print -l -- "${(P@)4}"; }
		. "$1"; words=(labctl); _labctl' zsh "$BATS_TEST_TMPDIR/_labctl"
	expect 0
	for verb in $verbs; do
		grep -q "^$verb:." <<<"$output"
	done
	grep -q -- '--json' <<<"$output"
}

@test "fish: the script is sound and offers the verbs, stages, options" {
	need fish
	"$LABCTL_BIN" completion fish >"$BATS_TEST_TMPDIR/labctl.fish"
	try fish -n "$BATS_TEST_TMPDIR/labctl.fish"
	expect 0
	export HOME=$BATS_TEST_TMPDIR PATH="${LABCTL_BIN%/*}:$PATH"
	asked() { try fish --no-config -c "source $BATS_TEST_TMPDIR/labctl.fish; complete -C '$1'"; }
	asked 'labctl '
	for verb in $verbs; do
		grep -q "^$verb"$'\t' <<<"$output"
	done
	asked 'labctl stage-start tw'
	[ "$(sort <<<"$output")" = $'twin\ntwo' ]
	asked 'labctl stage-start --dr'
	[[ $output == --dry-run* ]]
}

@test "an unknown shell has no completion" {
	try "$LABCTL_BIN" completion tcsh
	expect 2 "no completion for 'tcsh': bash, zsh or fish"
}

# --- a lab ---

@test "stage-start: quiet on stderr, one line on stdout; again with --json it starts anew" {
	need root engine image
	try L stage-start two
	expect 0
	[ "$output" = "stage 'two' is running in lab 't-verbs': 2 clients; tv1 198.18.1.1/24, tv2 198.18.2.1/24" ]
	before=$(container labctl-t-verbs-client1 .Id)
	try L --json stage-start two
	expect 0
	[ "$(jq -r '"\(.version) \(.lab) \(.stage) \(.networks.tv1.mac) \(.clients.client2.interfaces.eth0.address)"' <<<"$output")" = \
		'1 t-verbs two 02:42:c6:12:01:01 198.18.2.2' ]
	[ "$output" = "$(<"$LABCTL_RUN/t-verbs/lab.json")" ]
	[ "$(container labctl-t-verbs-client1 .Id)" != "$before" ]
}

@test "status of a sound lab, plain and JSON: no drift, nothing on stderr" {
	need root engine image
	try L status
	expect 0
	expect_out 'stage    two (Two for a test), running since' 'lab      t-verbs, owner root, seat this host (root has the host seat)' \
		"src      $LABCTL_SRC at" 'tv1 *198.18.1.0/24 *tv1 *198.18.1.1 *02:42:c6:12:01:01 *1500 *up *ingress' \
		'client2 *running *eth0 *tv2 *198.18.2.2/24 *02:42:c6:12:02:02'
	[[ $output != *'not as it should be'* ]]
	try L --json status
	expect 0
	[ "$(jq -c .drift <<<"$output")" = '[]' ]
	[ "$(jq -r '"\(.state) \(.engine) \(.isolated) \(.seat) \(.src.mode)"' <<<"$output")" = 'running ok false null plain' ]
	[ "$(jq -r '.clients[0] | "\(.name) \(.container) \(.state)"' <<<"$output")" = 'client1 labctl-t-verbs-client1 running' ]
	[ "$(jq -r '.networks[1] | "\(.interface) \(.state) \(.guard) \(.mtu)"' <<<"$output")" = 'tv2 up ingress 1500' ]
	try L --json stage-list
	[ "$(jq -r 'map(select(.running) | .name) | join(" ")' <<<"$output")" = two ]
}

@test "status needs no root" {
	need root engine image setpriv
	try setpriv --reuid 65534 --regid 65534 --clear-groups "$LABCTL_BIN" --lab t-verbs --json status
	expect 0
	[ "$(jq -r .state <<<"$output")" = running ]
	[ "$(jq -r '.clients[0].state' <<<"$output")" = unknown ]
	[[ "$(jq -r .engine <<<"$output")" = *ermission* ]]
	[ "$(jq -r '.networks[0].state' <<<"$output")" = up ]
	[ "$(jq -c .drift <<<"$output")" = '[]' ]
}

@test "completion offers running clients and labs" {
	need root engine image
	try offers --lab ''
	[ "$output" = t-verbs ]
	try offers --lab t-verbs connect cl
	[ "$output" = $'client1\nclient2' ]
}

@test "a client that does not exist: the nearest is suggested, 125" {
	need root engine image
	try L exec clint1 -- true
	expect 125 "no client 'clint1' in 'two'" "did you mean 'client1'?"
	try L connect nobody-at-all
	expect 125 "no client 'nobody-at-all'" 'the clients are: client1, client2'
}

@test "stage-stop, twice: the second time exit code 6; nothing is left" {
	need root engine image
	try L stage-stop
	expect 0
	[ "$output" = "stage 'two' is stopped" ]
	assert_gone t-verbs
	try L stage-stop
	expect 6 'no stage is running'
	L stage-start -q two >/dev/null
	try L --json stage-stop
	expect 0
	[ "$(jq -r '"\(.lab) \(.stopped)"' <<<"$output")" = 't-verbs two' ]
}

@test "no privileges: exit code 3 and the exact command; looking is allowed" {
	need root setpriv
	nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	try "${nobody[@]}" "$LABCTL_BIN" --lab t-verbs stage-start two
	expect 3 "'labctl stage-start' needs root" "run: sudo $LABCTL_BIN --lab t-verbs stage-start two"
	try "${nobody[@]}" "$LABCTL_BIN" stage-stop
	expect 3 "run: sudo $LABCTL_BIN stage-stop"
	try "${nobody[@]}" "$LABCTL_BIN" run -- ls -l
	expect 125 "run: sudo $LABCTL_BIN run -- ls -l"
	try "${nobody[@]}" "$LABCTL_BIN" stage-list
	expect 0
	try "${nobody[@]}" "$LABCTL_BIN" --lab t-verbs status
	expect 6 'no stage is running'
	try "${nobody[@]}" "$LABCTL_BIN" --json doctor
	jq -e '.[] | select(.check == "privileges" and .status == "warn") | .mend | startswith("sudo ")' <<<"$output"
	[ -z "$stderr" ]
	try "${nobody[@]}" "$LABCTL_BIN" needs-root stage-start two
	[ "$status" -eq 0 ]
}

@test "doctor: every check has its verdict; what is missing has the command that mends it" {
	need root engine image
	try "$LABCTL_BIN" doctor
	expect 0
	expect_out 'ok * engine * version' 'ok * privileges' 'ok * links' "ok * src * '$LABCTL_SRC'"
	try "$LABCTL_BIN" --json doctor
	expect 0
	[ "$(jq -r 'map(.check) | unique | join(",")' <<<"$output")" = \
		'engine,guard,host seat,idmapped mounts,image,kernel,leftovers,links,netem,privileges,src' ]
	LABCTL_IMAGE=t-nope LABCTL_SRC=$WORLD/nowhere DOCKER_HOST='' try "$LABCTL_BIN" doctor
	expect 3
	expect_out "fail * image * 't-nope' is not there" "sudo $LABCTL_BIN image-build" "mkdir -p $WORLD/nowhere"
	DOCKER_HOST=unix:///nowhere.sock try "$LABCTL_BIN" doctor
	expect 3
	expect_out 'fail * engine' '/nowhere.sock'
}

@test "doctor: nothing that it names makes a user root, or somebody else's tree his" {
	need root engine
	try setpriv --reuid 65534 --regid 65534 --clear-groups "$LABCTL_BIN" doctor
	expect 3
	expect_out 'fail * engine * no permission' 'run it with sudo' \
		"'$LABCTL_SRC' does not belong to user 'nobody'" 'mkdir -p ~/src; labctl stage-start --src ~/src STAGE'
	[[ $output != *usermod* && $output != *chown* ]]
}

@test "nothing is left behind" {
	need root
	assert_nothing_left
}
