#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Stages of the old kind: up.sh, down.sh, connect.sh, run as the calling user.
# shellcheck disable=SC2016,SC2153,SC2154 # scripts for sh; lib sets LABCTL_RUN; bats sets stderr
bats_require_minimum_version 1.5.0
load ../lib/helpers

# script STAGE NAME <TEXT
script() {
	mkdir -p "$WORLD/tree/stages/$1"
	{ echo '#!/bin/bash'; cat; } >"$WORLD/tree/stages/$1/$2"
	chmod 755 "$WORLD/tree/stages/$1/$2"
}

setup_file() {
	world_make
	use_lab t-old uid12345
	# pyroute's own layout: .stage and src beside stages
	mkdir -p "$WORLD/tree/build/release" "$WORLD/tree/src" "$WORLD/notes"
	cp "$LABCTL_BIN" "$WORLD/tree/build/release/labctl"
	chmod 777 "$WORLD/notes"
	chown -R 12345:12346 "$WORLD/tree" 2>/dev/null || true
	export NOTES=$WORLD/notes LABCTL_BIN=$WORLD/tree/build/release/labctl
	unset LABCTL_STAGES LABCTL_SRC
	script old up.sh <<-'SH'
		id -u >"$NOTES/up"
		pwd >>"$NOTES/up"
		env | grep '^PYROUTE_\|^HOME=' | sort >>"$NOTES/up"
		echo starting the old stage
	SH
	script old down.sh <<-'SH'
		echo "down as $(id -u), $PYROUTE_STAGE_DIR" >>"$NOTES/down"
	SH
	script old connect.sh <<-'SH'
		echo "connected to $1 as $(id -u)"
		cat
		exit 6
	SH
	script fails up.sh <<-'SH'
		touch "$NOTES/fails-half"
		echo 'no luck today' >&2
		exit 3
	SH
	script fails down.sh <<-'SH'
		rm "$NOTES/fails-half"
	SH
	script stays up.sh </dev/null
	script stays down.sh <<-'SH'
		[ ! -e "$NOTES/stubborn" ] || exit 4
	SH
	script sleeps up.sh <<-'SH'
		# no program: bash goes on when one that ends well is interrupted
		: >"$NOTES/sleeping"
		sleep 300
	SH
	script sleeps down.sh <<-'SH'
		rm -f "$NOTES/sleeping"
	SH
}

teardown_file() { world_end; }

setup() { need root; }

as_student() { SUDO_UID=12345 SUDO_GID=12346 SUDO_USER=someone "$@"; }
old() { as_student "$LABCTL_BIN" "$@" </dev/null; }

@test "stage-list and stage-validate know them" {
	try old stage-list
	expect 0
	expect_out old fails
	try old --json stage-list
	[ "$(jq -r '.[] | select(.name == "old") | .kind' <<<"$output")" = scripts ]
	try old stage-validate old
	expect 0
	[ "$output" = "'old' is a stage of scripts: up.sh and down.sh are executable" ]
}

@test "up.sh runs in the stage's directory as the caller, with the PYROUTE variables" {
	try old stage-start old
	expect 0 'starting the old stage'
	[ "$output" = "stage 'old' is running in lab 'uid12345'" ]
	tree=$WORLD/tree
	[ "$(<"$NOTES/up")" = "12345
$tree/stages/old
HOME=/
PYROUTE_ENV=$tree
PYROUTE_SRC_DIR=$tree/src
PYROUTE_STAGE_DIR=$tree/stages
PYROUTE_STAGE_FILE=$tree/.stage" ]
	[ "$(<"$tree/.stage")" = old ]
	try old status
	expect 0
	expect_out 'stage    old' running
	[[ $output != *'not as it should be'* ]]
	[ "$(old --json stage-list | jq -r '.[] | select(.running) | .name')" = old ]
}

@test "connect.sh runs with the client's name, our input and its exit code; there is no exec" {
	run --separate-stderr bash -c "echo typed | SUDO_UID=12345 SUDO_GID=12346 '$LABCTL_BIN' connect client7"
	[ "$status" -eq 6 ]
	[ "$output" = $'connected to client7 as 12345\ntyped' ]
	try old exec client7 -- true
	expect 125 "stage 'old' has scripts of its own: it has no 'exec'" 'labctl connect client7'
	try old connect 'client; rm'
	[ "$status" -eq 6 ]
	[ "${lines[0]}" = 'connected to client; rm as 12345' ]
}

@test "run works beside them" {
	try old run -- id -u
	expect 0
	[ "$output" = 12345 ]
}

@test "down.sh takes it down; .stage goes" {
	try old stage-stop
	expect 0
	[ "$(<"$NOTES/down")" = "down as 12345, $WORLD/tree/stages" ]
	[ ! -e "$WORLD/tree/.stage" ]
	assert_gone uid12345
	rm "$NOTES/down"
}

@test "up.sh that fails: its exit code and words, down.sh has run, nothing is recorded; exit code 1" {
	try old stage-start fails
	expect 1 'no luck today' "up.sh of stage 'fails' ended with exit code 3"
	[ ! -e "$NOTES/fails-half" ]
	[ ! -e "$WORLD/tree/.stage" ]
	assert_gone uid12345
}

@test "the stage's directory deleted while it runs: down.sh's copy does it" {
	cp -a "$WORLD/tree/stages/old" "$WORLD/tree/stages/doomed"
	old stage-start doomed 2>/dev/null
	rm -r "$WORLD/tree/stages/doomed"
	try old status
	expect 0
	try old connect client1
	expect 125 "stage 'doomed' has no connect.sh"
	try old stage-stop
	expect 0
	[ "$(<"$NOTES/down")" = "down as 12345, $WORLD/tree/stages" ]
	assert_gone uid12345
}

@test "down.sh that fails: says so, and can be tried again" {
	old stage-start stays
	touch "$NOTES/stubborn"
	try old stage-stop
	expect 1 "cannot stop 'stays' entirely" "down.sh of stage 'stays' ended with exit code 4" 'stage-stop'
	try old status
	expect 0
	rm "$NOTES/stubborn"
	try old stage-stop
	expect 0
	assert_gone uid12345
}

@test "scripts cannot be --isolated; a plan is printed all the same" {
	try old stage-start --isolated old
	expect 2 "stage 'old' has scripts of its own: it cannot be --isolated"
	try old stage-start --dry-run old
	expect 0
	expect_out up.sh
}

@test "Ctrl-C during up.sh: down.sh runs, exit code 130, nothing left" {
	cat >"$BATS_TEST_TMPDIR/interrupt" <<-'PY'
		import os, signal, subprocess, sys, time
		signal.signal(signal.SIGINT, signal.SIG_DFL)
		p = subprocess.Popen([sys.argv[1], "stage-start", "sleeps"], stdin=subprocess.DEVNULL, start_new_session=True)
		while not os.path.exists(sys.argv[2]):
		    time.sleep(0.02)
		os.killpg(p.pid, signal.SIGINT)  # as a terminal does
		print(p.wait(60))
	PY
	try as_student /usr/bin/python3 "$BATS_TEST_TMPDIR/interrupt" "$LABCTL_BIN" "$NOTES/sleeping"
	[ "${lines[-1]}" = 130 ] || { explain; false; }
	[ ! -e "$NOTES/sleeping" ]
	assert_gone uid12345
}

@test "kill -9 during up.sh: stage-stop runs down.sh" {
	cat >"$BATS_TEST_TMPDIR/kill" <<-'PY'
		import os, signal, subprocess, sys, time
		p = subprocess.Popen([sys.argv[1], "stage-start", "sleeps"], stdin=subprocess.DEVNULL, start_new_session=True)
		while not os.path.exists(sys.argv[2]):
		    time.sleep(0.02)
		p.kill()
		p.wait()
		os.killpg(p.pid, signal.SIGTERM)  # up.sh and its sleep
	PY
	try as_student /usr/bin/python3 "$BATS_TEST_TMPDIR/kill" "$LABCTL_BIN" "$NOTES/sleeping"
	[ -e "$NOTES/sleeping" ]
	try old stage-stop
	expect 0
	[ ! -e "$NOTES/sleeping" ]
	assert_gone uid12345
}

# copy_is_apart: the copy's place is a tmpfs of its own, the owner's and nobody else's.
copy_is_apart() {
	local stage=$LABCTL_RUN/uid12345/stage options
	options=$(awk -v dir="$stage" '$5 == dir { print }' /proc/self/mountinfo)
	[[ $options == *nosuid*nodev* && $options == *' - tmpfs '* && $options == *size=65536k* ]]
	[ "$(stat -c '%u %g %a' "$stage")" = '12345 12346 700' ]
}

@test "the copy cannot fill the run directory" {
	old stage-start stays
	copy_is_apart
	setpriv --reuid 12345 --regid 12346 --clear-groups --inh-caps=-all bash -c '
		head -c 70M /dev/zero >"$1/fill"; [ "$(stat -c %s "$1/fill")" -lt 70000000 ]' - "$LABCTL_RUN/uid12345/stage"
	try old stage-stop
	expect 0
	assert_gone uid12345
}

@test "a stage too large to be copied: says so, and nothing is left" {
	script large up.sh </dev/null
	script large down.sh </dev/null
	head -c 70M /dev/zero >"$WORLD/tree/stages/large/video"
	try old stage-start large
	rm -r "$WORLD/tree/stages/large"
	expect 4 "large' has more than 64 MB or 16384 files" 'keep large files elsewhere'
	assert_gone uid12345
}

@test "started by an earlier version, with the copy in a plain directory: it stops" {
	local stage=$LABCTL_RUN/uid12345/stage
	old stage-start stays
	umount "$stage"
	cp -a "$WORLD/tree/stages/stays" "$stage/"
	chown 12345:12346 "$stage"
	try old stage-stop
	expect 0
	assert_gone uid12345
}

@test "kill -9 at each step of start and stop: stage-stop removes the rest, and so does root's gc" {
	local verb n points mend=0
	for verb in 'stage-start stays' stage-stop; do
		[ "$verb" != stage-stop ] || old stage-start stays
		# shellcheck disable=SC2086 # words
		LABCTL_TEST_COUNT=$NOTES/points old $verb >&2
		points=$(<"$NOTES/points")
		[ "$points" -ge 4 ]
		[ "$verb" = stage-stop ] || old stage-stop
		for ((n = 1; n <= points; n++)); do
			[ "$verb" != stage-stop ] || old stage-start stays
			# shellcheck disable=SC2086
			LABCTL_TEST_DIE_AT=$n try old $verb
			[ "$status" -eq 137 ]
			if ((mend++ % 2)) || [ -n "$(old --json lab-list | jq -r '.[] | select(.state == "running") | .name')" ]; then
				try old stage-stop
				[ "$status" -eq 0 ] || [[ $stderr == *'no stage is running'* ]]
			else
				try "$LABCTL_BIN" gc
				expect 0
			fi
			assert_gone uid12345 || { explain; echo "$verb, point $n" >&2; false; }
		done
	done
}

@test "from one kind to the other" {
	need engine image
	mkdir -p "$WORLD/tree/stages/two"
	stage_two two to 198.18
	cp "$WORLD/stages/two/stage.json" "$WORLD/tree/stages/two/"
	rm -f "$NOTES/down"
	old stage-start old 2>/dev/null
	try old stage-start two
	expect 0
	[ -e "$NOTES/down" ]
	try old stage-start old
	expect 0 'starting the old stage'
	[ -z "$(ip -o link | grep -w 'to[12]')" ]
	old stage-stop
	assert_gone uid12345
}

@test "nothing is left behind" { assert_nothing_left; }
