#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# src in the clients is the student's own directory or nothing: root in a client never reaches what
# belongs to others, and other users do not reach src.
bats_require_minimum_version 1.5.0
load lib

setup_file() {
	attack_make
	use_lab t-sca
	stage_two two tsc 198.18
}

teardown_file() { attack_end; }

setup() { need root sudo engine image; }

alice() { sudo_labctl alice --lab t-sca "$@"; }
# shellcheck disable=SC2120 # bats hides its calls with arguments
start() { alice stage-start "$WORLD/stages/two" "$@"; }
on() { alice exec client1 -- "$@"; }
src() { alice --json status | jq -r '"\(.src.mode) \(.src.why)"'; }

# not_mounted WHY: the lab runs, without src, and says so.
not_mounted() {
	expect 0 "src is not mounted in the clients: $1; use --src with a directory of your own"
	[ "$(src)" = "none $1" ]
	try alice status
	expect_out "src      not mounted: $1"
	[[ $output != *'not as it should be'* ]]
	[ -z "$(awk -v dir="$LABCTL_RUN/" 'index($5, dir) == 1' /proc/self/mountinfo)" ]
	on true
	try on ls -A src
	[ -z "$output" ]
}

@test "a student's own directory is mounted, and what root makes in it is the student's" {
	try start
	expect 0
	[ "$(src)" = 'idmapped null' ]
	on touch src/made
	[ "$(stat -c %U:%G "$ALICE/src/made")" = labt-alice:labt-alice ]
}

@test "the starter is made with the student's rights, in the student's own directory alone" {
	secret "$WORLD/root/starter.c" 'not to be written'
	as_student alice mkdir "$ALICE/empty" "$ALICE/linked"
	try start --src "$ALICE/empty"
	expect 0
	[ "$(stat -c '%U:%G %a' "$ALICE/empty/starter.py" "$ALICE/empty/starter.c" | sort -u)" = 'labt-alice:labt-alice 644' ]
	as_student alice ln -s "$WORLD/root/starter.c" "$ALICE/linked/starter.c"
	try start --src "$ALICE/linked"
	expect 0
	assert_untouched "$WORLD/root/starter.c"
	mkdir -m 777 "$WORLD/everyones"
	try start --src "$WORLD/everyones"
	[ "$status" -eq 0 ]
	[ -z "$(ls -A "$WORLD/everyones")" ]
	start >/dev/null
}

@test "other users do not reach it by way of the lab's run directory, whose lab.json is public" {
	run ! as_student bob cat "$LABCTL_RUN/t-sca/private/src/made"
	run ! as_student bob ls "$LABCTL_RUN/t-sca/private"
	[ "$(stat -c '%a %U' "$LABCTL_RUN/t-sca/private")" = '700 root' ]
	as_student bob cat "$LABCTL_RUN/t-sca/lab.json" "$LABCTL_RUN/t-sca/hosts" >/dev/null
	run ! as_student bob find "$LABCTL_RUN" -name made
	[ "$(as_student bob find "$LABCTL_RUN/t-sca" -type f 2>/dev/null | sed 's|.*/||' | sort | xargs)" = 'hosts lab.json' ]
}

@test "the kernel's file systems and the whole host are refused, also for root; what runs goes on" {
	cgroup=$(awk '$3 ~ /^cgroup/ { print $2; exit }' /proc/self/mounts)
	for dir in /proc /proc/self/fd /sys "$cgroup" /dev /dev/pts / /dev/../.; do
		try start --src "$dir"
		[ "$status" -eq 2 ] || { explain; false; }
		[[ $stderr == *"it cannot be src"*"--src DIR"* ]]
		try lab t-sca stage-start "$WORLD/stages/two" --src "$dir"
		expect 2 'it cannot be src'
	done
	try start --src /
	expect 2 "'/' is the whole host: it cannot be src"
	try start --src /proc
	expect 2 "'/proc' is in a kernel file system (proc): it cannot be src"
	# by a name of the student's own
	ln -s /proc "$ALICE/link"
	try start --src "$ALICE/link"
	expect 2 "'/proc' is in a kernel file system (proc)"
	on true
}

@test "a directory of root's, or of another student's, is not mounted" {
	install -d -m 755 "$WORLD/roots"
	secret "$WORLD/roots/secret"
	try start --src "$WORLD/roots"
	not_mounted "'$WORLD/roots' belongs to user 'root', not to 'labt-alice'"
	install -d -m 777 -o labt-bob "$WORLD/bobs"
	try start --src "$WORLD/bobs"
	not_mounted "'$WORLD/bobs' belongs to user 'labt-bob', not to 'labt-alice'"
	ln -sfn "$WORLD/bobs" "$ALICE/link"
	try start --src "$ALICE/link"
	not_mounted "'$WORLD/bobs' belongs to user 'labt-bob', not to 'labt-alice'"
	try start --src /run
	not_mounted "'/run' belongs to user 'root', not to 'labt-alice'"
	assert_untouched "$WORLD/roots/secret"
}

@test "a directory that the student cannot reach is not found, whatever root could" {
	install -d -m 755 -o labt-alice "$BOB/hers"
	try start --src "$BOB/hers"
	expect 6 "no directory '$BOB/hers'"
}

@test "a file system that cannot be mapped: not mounted, and said why" {
	mkdir "$ALICE/lower" "$ALICE/merged" "$WORLD/fs" # overlayfs has no mapped mounts
	mount -t tmpfs none "$WORLD/fs"
	mkdir "$WORLD/fs/upper" "$WORLD/fs/work"
	mount -t overlay -o "lowerdir=$ALICE/lower,upperdir=$WORLD/fs/upper,workdir=$WORLD/fs/work" none "$ALICE/merged"
	chown labt-alice "$ALICE/merged"
	try start --src "$ALICE/merged"
	umount "$ALICE/merged" "$WORLD/fs"
	not_mounted "kernel and file system cannot map '$ALICE/merged' to its owner"
}

@test "what others mounted or linked below src stays out of reach" {
	mkdir -p "$ALICE/src/below" "$WORLD/roots"
	secret "$WORLD/roots/hard"
	chmod 600 "$WORLD/roots/hard"
	mount --bind "$WORLD/roots" "$ALICE/src/below"
	ln "$WORLD/roots/hard" "$ALICE/src/hard"
	as_student alice ln -s "$BOB" src/soft
	as_student bob sh -c 'echo homework >src/router.py'
	try start
	umount "$ALICE/src/below"
	expect 0
	[ -z "$(on ls -A src/below)" ]
	try on cat src/hard
	expect 1 'Permission denied'
	try on sh -c 'echo mine >src/hard; chown 0 src/hard; chmod 777 src/hard'
	[ "$status" -ne 0 ]
	run ! on cat src/soft/src/router.py
	[ "$(<"$WORLD/roots/hard")" = 'for root only' ]
	[ "$(stat -c '%U %a' "$WORLD/roots/hard")" = 'root 600' ]
	rm "$ALICE/src/hard" "$ALICE/src/soft"
}

@test "a setuid program or a capability that root makes in a client is worth nothing on the host" {
	on sh -c 'cp /usr/bin/id src/id && chmod 6755 src/id'
	[ "$(stat -c %U "$ALICE/src/id")" = labt-alice ]
	[ "$(as_student bob "$WORLD/home/alice/src/id" -u 2>&1 || true)" != "$(id -u labt-alice)" ]
	[ -z "$(getcap "$ALICE/src/id" 2>/dev/null)" ]
}

@test "the student exchanges the directory while the lab starts: never another's is mounted" {
	install -d -m 755 -o labt-alice "$ALICE/now"
	secret "$WORLD/roots/secret"
	as_student alice /usr/bin/python3 -c '
import ctypes, os, sys
libc = ctypes.CDLL(None)
os.symlink(sys.argv[1], "other")
while not os.path.exists("stop"):
    libc.renameat2(-100, b"now", -100, b"other", 2)  # RENAME_EXCHANGE' "$WORLD/roots" 3>&- &
	for _ in 1 2 3 4 5 6; do
		try start --src "$ALICE/now"
		expect 0 ''
		case $(src) in
		'idmapped null') [[ $(on ls -A src) != *secret* ]] ;;
		"none '$ALICE/now' belongs to user 'root'"* | "none '$WORLD/roots' belongs to user 'root'"*) ;;
		*) src >&2; false ;;
		esac
	done
	as_student alice touch stop
	wait
	assert_untouched "$WORLD/roots/secret"
	[[ $(ls -A "$WORLD/roots") != *starter* ]]
}

@test "a record of an earlier version with a read-only src loads, and the lab stops" {
	start >&2
	record=$LABCTL_STATE/labs/t-sca.json
	jq '.src_mode = "read-only" | del(.src_why)' "$record" >"$WORLD/record"
	cp "$WORLD/record" "$record"
	[ "$(src)" = 'none null' ]
	# where earlier versions had the mount
	mkdir "$LABCTL_RUN/t-sca/src"
	mount --bind "$WORLD/roots" "$LABCTL_RUN/t-sca/src"
	try alice stage-stop
	expect 0
	[ ! -e "$LABCTL_RUN/t-sca" ]
}

@test "nothing is left behind" { assert_nothing_left; }
