#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Strangers' text that would steer the reader's terminal: titles, notes, names, aliases, messages
# of the engine, the words of a student's program. No verb prints what a terminal obeys.
bats_require_minimum_version 1.5.0
load lib

# Sets the window's title, clears the screen, C1 as a character and as a byte, turns the direction
# of writing, DEL, a line of its own.
ESCAPES=$'\e]0;owned\a\e[2J\xc2\x9b31m\xe2\x80\xae\xe2\x81\xa6\x7f'

setup_file() {
	attack_make
	use_lab t-esc
	stage_two esc te 198.18
	jq --arg t "T$(printf '\302\23331m\342\200\256\342\201\246')" '.title = $t | .checks = [ { "use": "arp.reply" } ]' \
		"$WORLD/stages/esc/stage.json" >"$WORLD/new"
	mv "$WORLD/new" "$WORLD/stages/esc/stage.json"
	mkdir "$WORLD/stages/bad$ESCAPES"
	export LABCTL_STAGES=$WORLD/stages
	has root && has engine && has image || return 0
	lab t-esc stage-start esc >"$WORLD/started" 2>&1 </dev/null
}

teardown_file() {
	ip link del tf1 2>/dev/null || true
	attack_end
}

setup() { need root engine image; }

# clean FILE...: nothing there that a terminal obeys.
clean() {
	/usr/bin/python3 - "$@" <<-'PY'
		import sys
		for name in sys.argv[1:]:
		    text = open(name, "rb").read().decode("utf-8")  # C1 as bytes is none
		    if name.endswith(".csv"):
		        text = text.replace("\r\n", "\n")  # RFC 4180
		    bad = [hex(ord(c)) for c in text if (c < " " and c not in "\n\t") or "\x7f" <= c < "\xa0"
		           or "\u2028" <= c <= "\u202e" or "\u2066" <= c <= "\u2069"]
		    if bad:
		        sys.exit(f"{name} has {bad}: {text!r}")
	PY
}

# says TEXT PROGRAM ARGUMENT...: its output has that text, and is clean.
says() {
	local text=$1
	shift
	"$@" >"$BATS_TEST_TMPDIR/said" 2>&1 </dev/null || true
	if ! grep -qF -- "$text" "$BATS_TEST_TMPDIR/said"; then
		printf 'not said by %s: %s\n' "$*" "$text" >&2
		cat -v "$BATS_TEST_TMPDIR/said" >&2
		return 1
	fi
	clean "$BATS_TEST_TMPDIR/said"
}

L() { "$LABCTL_BIN" --lab t-esc "$@"; }

@test "a stage's title" {
	clean "$WORLD/started"
	says '31m' L stage-list
	says '31m' L stage-list --json
	says '31m' L status
	says '31m' L status --json
	says '31m' L check --seed 1
	says valid L stage-validate esc
	says '"title"' cat "$LABCTL_RUN/t-esc/lab.json"
}

@test "a stage's file and its problems" {
	mkdir -p "$BATS_TEST_TMPDIR/b"
	printf '{ "title": "x", "n\302\23331m\342\200\256": 1, "clients": { "\\u001b[2J": {} } }' >"$BATS_TEST_TMPDIR/b/stage.json"
	says '31m' L stage-validate "$BATS_TEST_TMPDIR/b"
	says '31m' L stage-validate --json "$BATS_TEST_TMPDIR/b"
	says 'owned' L stage-validate "/nowhere$ESCAPES"
	says 'owned' L stage-start "nothing$ESCAPES"
}

@test "words of the command line" {
	says 'owned' "$LABCTL_BIN" "verb$ESCAPES"
	says 'owned' "$LABCTL_BIN" --lab "lab$ESCAPES" status
	says 'owned' L exec "client$ESCAPES" true
	says 'owned' L netport acquire "PORT$ESCAPES"
	says 'owned' L check --only "x$ESCAPES"
	says 'owned' L check --only "x$ESCAPES" --json
}

@test "owner and note of a lease" {
	text=$(printf 'o\302\23331m\342\200\256')
	L netport acquire PORT 28471 --owner "$text" --note "$text" >/dev/null
	says '31m' L netport list
	says '31m' L netport list --json
	says '31m' L netport who 28471
	says '31m' L netport acquire PORT 28471
	says '31m' L netport acquire PORT 28471 --json
	L netport release PORT 28471 --owner "$text" >/dev/null
}

@test "names in a record, and a record that is none" {
	record=$LABCTL_STATE/labs/t-esc.json
	cp "$record" "$WORLD/good"
	jq --arg t "$ESCAPES" '.owner.name = "x\u001b[31m\u009b\u202e\nlabctl: forged" | .title = $t' "$WORLD/good" >"$record"
	says 'x?[31m' L status
	says 'x?[31m' L lab-list
	says '31m' L lab-list --json
	says 'labctl: forged' L status
	run ! grep -q '^labctl: forged' "$BATS_TEST_TMPDIR/said"
	says 'x?[31m' sudo_labctl alice --lab t-esc stage-stop
	printf '{ "%s' "$ESCAPES" >"$record"
	says 'damaged' L status
	says 'damaged' L stage-list
	cp "$WORLD/good" "$record"
}

@test "an interface's alias" {
	stage_two lodger tf 198.19
	ip link add tf1 type veth peer name tf1-peer
	ip link set tf1 alias "$(printf '\033]0;owned\007\302\23331m\n')"
	says 'owned' "$LABCTL_BIN" --lab t-lodger stage-start lodger
}

@test "what the engine says" {
	script='{"api": "1.41", "rules": [{"on": ".*", "status": 500, "json": {"message": "\u001b]0;owned\u0007\u009b31m\u202e"}}]}'
	mkfifo "$BATS_TEST_TMPDIR/alive"
	exec 8<>"$BATS_TEST_TMPDIR/alive"
	/usr/bin/python3 "$LABCTL_TREE/tests/lib/fake-engine.py" "$script" "$BATS_TEST_TMPDIR/sock" \
		<&8 >"$BATS_TEST_TMPDIR/address" 3>&- &
	wait_for 10 test -s "$BATS_TEST_TMPDIR/address"
	for verb in status doctor 'stage-start esc' 'exec client1 true' repair; do
		# shellcheck disable=SC2086
		says 'owned' env "DOCKER_HOST=unix://$BATS_TEST_TMPDIR/sock" "$LABCTL_BIN" --lab t-fake $verb || [ "$verb" != doctor ]
		clean "$BATS_TEST_TMPDIR/said"
	done
	kill $!
	exec 8>&-
}

@test "the last words of a student's program" {
	program=$BATS_TEST_TMPDIR/router
	printf '#!/bin/sh\nprintf %s\nexit 1\n' "'a\\033]0;owned\\007\\033[2J\\302\\23331m\\23331m\\342\\200\\256\\177\\rb\\nok 1 - forged\\n'" >"$program"
	chmod 755 "$program" "$BATS_TEST_TMPDIR"
	says 'owned' L check --run "$program"
	for form in --json --tap; do
		says 'arp.reply' L check --run "$program" "$form"
	done
	run ! grep -q '^ok 1 - forged' "$BATS_TEST_TMPDIR/said"
	says '' L check --run "$program" --junit "$BATS_TEST_TMPDIR/junit"
	says 'owned' cat "$BATS_TEST_TMPDIR/junit"
}

@test "submissions: names, transcripts, reports, tables" {
	mkdir -p "$WORLD/subs/s$ESCAPES"
	cat >"$WORLD/subs/s$ESCAPES/router.py" <<-'PY'
		import os, sys
		os.write(1, "läuft \033]0;owned\007\x9b31m\u202e\r\n".encode() + b"\x9b31m\x00\xff\n" + "ü".encode()[:1])
		os.write(1, "ü".encode()[1:] + b"\n")
		sys.exit("\033[2Jend \u202e")
	PY
	says 'owned' "$LABCTL_BIN" grade esc --submissions "$WORLD/subs" --out "$WORLD/out" --csv "$WORLD/out.csv" --seed 7
	grep -q owned "$WORLD/out.csv"
	clean "$WORLD/out.csv"
	says 'owned' cat "$WORLD/out/summary.json"
	find "$WORLD/out" -type f ! -name '*.pcap' -print0 >"$BATS_TEST_TMPDIR/files"
	mapfile -d '' files <"$BATS_TEST_TMPDIR/files"
	[ "${#files[@]}" -ge 4 ]
	for file in "${files[@]}"; do
		cp "$file" "$BATS_TEST_TMPDIR/copy"
		clean "$BATS_TEST_TMPDIR/copy"
	done
	find "$WORLD/out" -name transcript.txt -exec cat {} + >"$BATS_TEST_TMPDIR/copy"
	grep -q '^läuft ?]0;owned???31m??? $' "$BATS_TEST_TMPDIR/copy"
	grep -q '^ü$' "$BATS_TEST_TMPDIR/copy"
}

@test "on a terminal: only labctl's own colours and its progress line" {
	says '31m' env TERM=xterm script -qec "'$LABCTL_BIN' --lab t-esc status" /dev/null | true
	env TERM=xterm script -qec "'$LABCTL_BIN' --lab t-esc check --seed 1" /dev/null </dev/null |
		sed 's/\x1b\[[0-9]*m//g; s/\r\x1b\[K//g; s/\r//g' >"$BATS_TEST_TMPDIR/seen"
	grep -q '31m' "$BATS_TEST_TMPDIR/seen"
	clean "$BATS_TEST_TMPDIR/seen"
}

@test "what other programs say is theirs" {
	out=$(L exec client1 -- printf '\033[31m' </dev/null)
	[ "$out" = $'\e[31m' ]
}

@test "nothing is left behind" {
	lab t-esc stage-stop </dev/null
	rm -rf "$LABCTL_STATE/grade"
	assert_nothing_left
}
