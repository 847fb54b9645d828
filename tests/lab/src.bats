#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Whose things are: the student's src in the clients, and the student's program by labctl run.
# shellcheck disable=SC2154 # stderr: bats sets it
bats_require_minimum_version 1.5.0
load ../lib/helpers

setup_file() {
	world_make
	use_lab t-src t-other
	stage_two two ts 198.18
	stage_two three tr 198.18
	chown 12345:12346 "$WORLD/src" 2>/dev/null || true
	has root && has engine && has image || return 0
	as_student lab t-src stage-start two >&2 </dev/null
}

teardown_file() { world_end; }

setup() { need root engine image; }

# As sudo would start it for a user that no password file knows.
as_student() { SUDO_UID=12345 SUDO_GID=12346 SUDO_USER=someone SUDO_COMMAND=x "$@"; }

L() { as_student lab t-src "$@" </dev/null; }
on() { local client=$1; shift; L exec "$client" -- "$@"; }
owner() { stat -c %u:%g "$1"; }

@test "what root makes in a client belongs to the student on the host, and the other way round" {
	on client1 sh -c 'id -u; echo made in a client >/~/src/made; mkdir /~/src/dir; ln -s made /~/src/link'
	[ "$(<"$WORLD/src/made")" = 'made in a client' ]
	for file in made dir link; do
		[ "$(owner "$WORLD/src/$file")" = 12345:12346 ]
	done
	setpriv --reuid 12345 --regid 12346 --clear-groups sh -c "echo made outside >'$WORLD/src/outside'"
	[ "$(on client2 cat src/outside)" = 'made outside' ]
	[ "$(on client2 stat -c %u:%g src/outside)" = 0:0 ]
	on client2 sh -c 'echo changed in a client >>src/outside; rm src/made'
	[ "$(tail -n 1 "$WORLD/src/outside")" = 'changed in a client' ]
	[ ! -e "$WORLD/src/made" ]
	[ "$(owner "$WORLD/src/outside")" = 12345:12346 ]
}

@test "src is at ~/src, HOME and working directory are /~" {
	[ "$(on client1 sh -c 'pwd; echo $HOME; cd ~/src && pwd')" = $'/~\n/~\n/~/src' ]
	[ "$(L --json status | jq -r '"\(.src.directory) \(.src.mode)"')" = "$WORLD/src idmapped" ]
}

@test "a setuid file made in a client is harmless, devices do not work there" {
	on client1 sh -c 'cp /usr/bin/id /~/src/suid; chmod 6755 /~/src/suid'
	[ "$(owner "$WORLD/src/suid")" = 12345:12346 ]
	options=$(awk -v dir="$LABCTL_RUN/t-src/private/src" '$5 == dir { print $6 }' /proc/self/mountinfo)
	[[ ,$options, == *,nosuid,* ]]
	[[ ,$options, == *,nodev,* ]]
	# in the client: a setuid program of the mount does not change who runs it
	[ "$(on client1 setpriv --reuid 65534 --regid 65534 --clear-groups /~/src/suid -u)" = 65534 ]
	# a device file of the real root's, seen through the mount
	mknod "$WORLD/src/zero" c 1 5
	chmod 666 "$WORLD/src/zero"
	! on client1 head -c 1 /~/src/zero || false
	rm "$WORLD/src/zero"
}

@test "root's own files in src cannot be changed from a client" {
	echo secret >"$WORLD/src/roots"
	chmod 600 "$WORLD/src/roots"
	! on client1 sh -c 'echo mine >/~/src/roots' || false
	! on client1 cat /~/src/roots || false
	[ "$(<"$WORLD/src/roots")" = secret ]
	rm "$WORLD/src/roots"
}

@test "labctl run: the student's ids, CAP_NET_RAW and no other, in every set" {
	try L run -- cat /proc/self/status
	expect 0
	[ "$(awk '$1 == "Uid:" { print $2, $3, $4, $5 }' <<<"$output")" = '12345 12345 12345 12345' ]
	[ "$(awk '$1 == "Gid:" { print $2, $3, $4, $5 }' <<<"$output")" = '12346 12346 12346 12346' ]
	[ "$(awk '$1 == "Groups:" { $1 = ""; print }' <<<"$output" | tr -d ' ')" = 12346 ]
	# NET_RAW is bit 13
	for set in CapInh CapPrm CapEff CapBnd CapAmb; do
		[ "$(awk -v set="$set:" '$1 == set { print $2 }' <<<"$output")" = 0000000000002000 ]
	done
	# What the one who started the tests ignores (nohup) stays ignored, and nothing else.
	[ "$(awk '$1 == "SigIgn:" { print $2 }' <<<"$output")" = "$(awk '$1 == "SigIgn:" { print $2 }' /proc/self/status)" ]
	[ "$(awk '$1 == "SigBlk:" { print $2 }' <<<"$output")" = 0000000000000000 ]
}

@test "labctl run for the real root: CAP_NET_RAW, and what tcpdump needs to change its user" {
	try lab t-src run -- cat /proc/self/status
	expect 0
	[ "$(awk '$1 == "Uid:" { print $2 }' <<<"$output")" = 0 ]
	# CHOWN 0, KILL 5, SETGID 6, SETUID 7, NET_RAW 13
	for set in CapPrm CapEff CapBnd; do
		[ "$(awk -v set="$set:" '$1 == set { print $2 }' <<<"$output")" = 00000000000020e1 ]
	done
}

@test "tcpdump of the real root, in run and in shell: it becomes its own user and writes its file" {
	local seat=(nsenter -t "$(container labctl-t-src-client1 .State.Pid)" -n)
	background "$BATS_TEST_TMPDIR/ping" PING "${seat[@]}" ping -i 0.2 198.18.1.77
	try lab t-src run -- timeout 60 tcpdump -c 1 -ni ts1 arp
	expect 0 'listening on ts1'
	expect_out 'who-has 198.18.1.77'
	echo "timeout 60 tcpdump -c 1 -ni ts1 -w $WORLD/root.pcap arp" >"$BATS_TEST_TMPDIR/typed"
	run lab t-src shell <"$BATS_TEST_TMPDIR/typed"
	kill "$started"
	[ "$status" -eq 0 ]
	[[ $output == *'1 packet captured'* ]]
	[ "$(tcpdump -nr "$WORLD/root.pcap" 2>/dev/null | grep -c 'who-has 198.18.1.77')" -eq 1 ]
}

@test "labctl run: raw sockets work, another's file does not" {
	try L run -- /usr/bin/python3 -c '
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind(("ts1", 0))
print("bound")
open("/etc/shadow")'
	[ "$status" -eq 1 ]
	[ "$output" = bound ]
	expect 1 'Permission denied'
}

@test "labctl run: LAB_FILE is set and readable, also with a strict umask; sudo's traces are gone" {
	try L run -- sh -c 'cat "$LAB_FILE"; env >&2'
	[ "$status" -eq 0 ]
	[ "$(jq -r .stage <<<"$output")" = two ]
	[[ $stderr != *SUDO_* ]]
	[[ $stderr == *HOME=/$'\n'* ]]
	(umask 077; as_student "$LABCTL_BIN" --lab t-other stage-start three >/dev/null </dev/null)
	try as_student lab t-other run -- sh -c 'umask; cat "$LAB_FILE"'
	as_student lab t-other stage-stop </dev/null
	expect 0
	[ "$(tail -n +2 <<<"$output" | jq -r .lab)" = t-other ]
	(umask 027; as_student "$LABCTL_BIN" --lab t-src run -- sh -c umask </dev/null) | grep -qx 0027
}

@test "labctl run: the exit code, 126, 127, death by signal; arguments arrive as they are" {
	try L run -- sh -c 'exit 42'
	expect 42
	run -127 --separate-stderr L run -- /no/such/program
	expect 127 "cannot run '/no/such/program': there is no such file"
	[[ $stderr != *'file in'* ]]
	cd "$WORLD/src"
	run -127 --separate-stderr L run -- ./none/router
	[ "$stderr" = "labctl: cannot run './none/router': there is no such file in '$WORLD/src'" ]
	printf '#!/no/such/shell\n' >myrouter
	run -126 --separate-stderr L run -- ./myrouter
	expect 126 "cannot run './myrouter': Permission denied" 'it is not executable: chmod +x ./myrouter'
	chmod 755 myrouter
	run -127 --separate-stderr L run -- ./myrouter
	expect 127 "cannot run './myrouter': what its first line names is not there"
	run -127 --separate-stderr L run -- myrouter
	expect 127 "cannot run 'myrouter': no directory of PATH has it" 'the one in this directory: ./myrouter'
	rm myrouter
	cd "$LABCTL_TREE"
	run -127 --separate-stderr L run -- 'echo hello'
	expect 127 'without quotes'
	try L run -- /etc/passwd
	expect 126 "cannot run '/etc/passwd'" 'Permission denied'
	try L run -- sh -c 'kill -KILL $$'
	expect 137
	try L run -- printf '%s|' 'a b' '' '--json' '*'
	expect 0
	[ "$output" = 'a b||--json|*|' ]
	try L run printf '%s|' -x
	[ "$output" = '-x|' ]
	run --separate-stderr bash -c "echo input | SUDO_UID=12345 '$LABCTL_BIN' --lab t-src run -- cat"
	[ "$output" = input ]
}

@test "labctl run: SIGINT and SIGTERM reach the program, and its answer is the exit code" {
	# bash's jobs in the background ignore SIGINT: python starts it as a terminal would
	cat >"$BATS_TEST_TMPDIR/signals" <<-'PY'
		import os, signal, subprocess, sys
		signal.signal(getattr(signal, "SIG" + sys.argv[2]), signal.SIG_DFL)
		program = 'trap "echo caught INT; exit 33" INT; trap "echo caught TERM; exit 34" TERM; echo ready; while :; do sleep 0.05; done'
		p = subprocess.Popen([sys.argv[1], "--lab", "t-src", "run", "--", "sh", "-c", program],
		                     stdout=subprocess.PIPE, text=True)
		print(p.stdout.readline(), end="")
		p.send_signal(getattr(signal, "SIG" + sys.argv[2]))
		print(p.stdout.read(), end="")
		print("code", p.wait(60))
		p = subprocess.Popen([sys.argv[1], "--lab", "t-src", "run", "--", "sh", "-c", "echo ready; exec sleep 500"],
		                     stdout=subprocess.PIPE, text=True)
		p.stdout.readline()
		p.send_signal(getattr(signal, "SIG" + sys.argv[2]))
		print("died of", -p.wait(60))
	PY
	for sig in INT TERM; do
		try /usr/bin/python3 "$BATS_TEST_TMPDIR/signals" "$LABCTL_BIN" "$sig"
		[ "$sig" = INT ] && want=$'ready\ncaught INT\ncode 33\ndied of 2' || want=$'ready\ncaught TERM\ncode 34\ndied of 15'
		[ "$output" = "$want" ] || { explain; false; }
	done
}

@test "a user that the computer knows: name, home, groups; status names the owner" {
	id nobody >/dev/null || skip 'there is no user nobody'
	uid=$(id -u nobody) gid=$(id -g nobody)
	mkdir "$WORLD/nobodys"
	chown "$uid:$gid" "$WORLD/nobodys"
	as_nobody() { SUDO_UID=$uid SUDO_GID=$gid SUDO_USER=nobody "$@"; }
	as_nobody lab t-other stage-start three --src "$WORLD/nobodys" >/dev/null </dev/null
	as_nobody lab t-other exec client1 -- touch src/file </dev/null
	try as_nobody lab t-other run -- sh -c 'id -un; echo "$USER $LOGNAME $HOME"'
	state=$(lab t-other --json status </dev/null)
	lab t-other stage-stop </dev/null
	expect 0
	[ "$output" = $'nobody\nnobody nobody '"$(getent passwd nobody | cut -d: -f6)" ]
	[ "$(owner "$WORLD/nobodys/file")" = "$uid:$gid" ]
	[ "$(jq -r '"\(.owner) \(.src.directory)"' <<<"$state")" = "nobody $WORLD/nobodys" ]
}

@test "root's own src: a plain mount, still nosuid and nodev" {
	mkdir "$WORLD/roots"
	lab t-other stage-start three --src "$WORLD/roots" >/dev/null </dev/null
	lab t-other exec client1 -- touch src/file </dev/null
	options=$(awk -v dir="$LABCTL_RUN/t-other/private/src" '$5 == dir { print $6 }' /proc/self/mountinfo)
	lab t-other stage-stop </dev/null
	[ "$(owner "$WORLD/roots/file")" = 0:0 ]
	[[ ,$options, == *,nosuid,* && ,$options, == *,nodev,* ]]
}

@test "src that is not there, or a file: says which and what to do; exit code 6, nothing made" {
	try lab t-other stage-start three --src "$WORLD/nowhere"
	expect 6 "no directory '$WORLD/nowhere'" "mkdir '$WORLD/nowhere'" '--src DIR'
	: >"$WORLD/a-file"
	try lab t-other stage-start three --src "$WORLD/a-file"
	expect 6 "no directory '$WORLD/a-file'"
	assert_gone t-other
}

@test "SUDO_UID that is no number: exit code 2" {
	SUDO_UID=12x try lab t-src status
	[ "$status" -ne 0 ]
	[[ $stderr == *'SUDO_UID'* ]]
}

@test "the mount gone: status tells; stopping works; the student's files stay" {
	umount "$LABCTL_RUN/t-src/private/src"
	try L status
	expect 1
	expect_out "the mount of '$WORLD/src' is gone"
	try L stage-stop
	expect 0
	[ -e "$WORLD/src/outside" ]
}

# --- the starter ---

# begin NAME: the student's empty directory of that name, and a lab with it.
begin() {
	mkdir -p "$WORLD/$1"
	chown 12345:12346 "$WORLD/$1"
	try as_student lab t-src stage-start two --src "$WORLD/$1"
	expect 0
}

@test "an empty src gets the starter in Python and in C, the student's own; both show what arrives" {
	mkdir "$WORLD/first"
	echo mine >"$WORLD/first/README.md"
	: >"$WORLD/first/.gitkeep"
	begin first
	expect_out "$WORLD/first/starter.py is there to begin with" "$WORLD/first/starter.c is there to begin with"
	for file in starter.py starter.c; do
		[ "$(stat -c '%u:%g %a' "$WORLD/first/$file")" = '12345:12346 644' ]
		cmp "$LABCTL_TREE/starters/$file" "$WORLD/first/$file"
	done
	cd "$WORLD/first"
	gcc -Wall -Wextra -Werror -o starter starter.c
	for program in ./starter 'python3 starter.py'; do
		# shellcheck disable=SC2086 # words
		background "$BATS_TEST_TMPDIR/said" 'listening on ts1, ts2\|listening on ts2, ts1' \
			env SUDO_UID=12345 SUDO_GID=12346 "$LABCTL_BIN" --lab t-src run -- $program
		router=$started
		try on client2 ping -c 1 -W 1 198.18.2.1
		wait_for 20 grep -q '^ts2  02:42:c6:12:02:02 > ff:ff:ff:ff:ff:ff  type 0x0806  42 bytes' "$BATS_TEST_TMPDIR/said"
		kill "$router"
		wait "$router" || true
	done
	cd "$LABCTL_TREE"
}

@test "a src with something in it, and another user's, gets nothing; nothing is overwritten" {
	mkdir "$WORLD/second"
	ln -s /nowhere/else "$WORLD/second/starter.py"
	begin second
	[[ $output != *'to begin with'* ]]
	[ "$(ls -A "$WORLD/second")" = starter.py ]
	mkdir "$WORLD/third"
	try as_student lab t-src --json stage-start two --src "$WORLD/third"
	[ "$status" -eq 0 ]
	[ -z "$(ls -A "$WORLD/third")" ]
	# root's own lab in a student's directory: what is made is the student's
	chown 12345:12346 "$WORLD/third"
	try lab t-other stage-start three --src "$WORLD/third"
	expect 0
	[ "$(owner "$WORLD/third/starter.c")" = 12345:12346 ]
	lab t-other stage-stop >&2 </dev/null
	# one who may not write there has his lab all the same
	mkdir "$WORLD/closed"
	chmod 555 "$WORLD/closed"
	chown 12345:12346 "$WORLD/closed"
	try as_student lab t-src stage-start two --src "$WORLD/closed"
	expect 0 "'$WORLD/closed' gets no starter: cannot make 'starter.py': Permission denied"
	[ -z "$(ls -A "$WORLD/closed")" ]
	L stage-stop
}

# --- .stage ---

# A copy of the built tree: the default lab writes .stage in its root.
tree_make() {
	tree=$WORLD/tree
	mkdir -p "$tree/build/release" "$tree/src"
	cp "$LABCTL_BIN" "$tree/build/release/labctl"
	cp -r "$WORLD/stages" "$tree/stages"
	chown 12345:12346 "$tree" "$tree/src"
	# the default lab is called after the user
	use_lab uid12345
	unset LABCTL_STAGES LABCTL_SRC
}

@test ".stage is there while the default lab runs, and belongs to the user; other labs write none" {
	tree_make
	cd /
	as_student "$tree/build/release/labctl" stage-start three </dev/null
	[ "$(<"$tree/.stage")" = three ]
	[ "$(owner "$tree/.stage")" = 12345:12346 ]
	[ "$(stat -c %a "$tree/.stage")" = 644 ]
	as_student "$tree/build/release/labctl" exec client1 -- touch src/here </dev/null
	[ "$(owner "$tree/src/here")" = 12345:12346 ]
	as_student "$tree/build/release/labctl" stage-stop </dev/null
	[ ! -e "$tree/.stage" ]
	as_student "$tree/build/release/labctl" --lab t-other stage-start three </dev/null
	[ ! -e "$tree/.stage" ]
	as_student "$tree/build/release/labctl" --lab t-other stage-stop </dev/null
}

@test "in a tree that is somebody else's there is no .stage, and the lab runs all the same" {
	tree=$WORLD/tree
	unset LABCTL_STAGES LABCTL_SRC
	chown 0:0 "$tree"
	try as_student "$tree/build/release/labctl" stage-start three
	made=$([ ! -e "$tree/.stage" ] || echo made)
	as_student "$tree/build/release/labctl" stage-stop </dev/null
	chown 12345:12346 "$tree"
	expect 0
	[ -z "$made" ]
}

@test ".stage that is a link of the student's: what it points to is not touched" {
	tree=$WORLD/tree
	unset LABCTL_STAGES LABCTL_SRC
	echo precious >"$WORLD/precious"
	ln -s "$WORLD/precious" "$tree/.stage"
	as_student "$tree/build/release/labctl" stage-start three </dev/null
	first=$(<"$tree/.stage")
	as_student "$tree/build/release/labctl" stage-stop </dev/null
	[ "$first" = three ]
	[ "$(<"$WORLD/precious")" = precious ]
	[ "$(owner "$WORLD/precious")" = 0:0 ]
}

@test "nothing is left behind" {
	assert_nothing_left
	[ -z "$(ip -o link | grep -w 't[sr][12]')" ]
}
