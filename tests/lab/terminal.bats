#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# connect and exec: pipes, exit codes, terminals; progress on a terminal.
# shellcheck disable=SC2154 # stderr: bats sets it
bats_require_minimum_version 1.5.0
load ../lib/helpers

setup_file() {
	world_make
	use_lab t-term
	stage_two two tt 198.18
	has root && has engine && has image || return 0
	lab t-term stage-start two >&2 </dev/null
}

teardown_file() { world_end; }

setup() { need root engine image; }

L() { lab t-term "$@"; }

# --- pipes ---

@test "exec: stdout and stderr apart, the exit code, arguments as they are" {
	try L exec client1 -- sh -c 'echo to stdout; echo to stderr >&2; exit 41'
	expect 41 'to stderr'
	[ "$output" = 'to stdout' ]
	[ "$stderr" = 'to stderr' ]
	try L exec client1 printf '%s|' 'a b' '' -x '$HOME' '*'
	expect 0
	[ "$output" = 'a b||-x|$HOME|*|' ]
	try L --json exec client1 -- sh -c 'exit 3'
	expect 3
}

@test "exec: 126 and 127 are the command's, 125 is labctl's" {
	try L exec client1 -- no-such-command
	[ "$status" -eq 126 ] || [ "$status" -eq 127 ] # as the engine has it
	[[ $output$stderr == *no-such-command* ]]
	try L exec client1 -- /etc/passwd
	[ "$status" -eq 126 ]
	try L exec client9 -- true
	expect 125 "no client 'client9'"
	try L exec --tty client1 -- true
	expect 125 'standard input is no terminal'
}

@test "exec: 1 MB of every byte goes in and comes out unharmed" {
	head -c 1000000 /dev/urandom >"$BATS_TEST_TMPDIR/in"
	L exec client1 -- cat <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out"
	cmp "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
	[ "$(L exec client2 -- sha256sum <"$BATS_TEST_TMPDIR/in")" = "$(sha256sum <"$BATS_TEST_TMPDIR/in")" ]
}

@test "exec: the end of the input arrives; a command that reads none ends; a reader that goes away" {
	[ "$(printf 'a\nb\n' | L exec client1 -- wc -l)" -eq 2 ]
	mkfifo "$BATS_TEST_TMPDIR/endless"
	run --separate-stderr timeout 60 bash -c "'$LABCTL_BIN' --lab t-term exec client1 -- true <>'$BATS_TEST_TMPDIR/endless'"
	expect 0
	run --separate-stderr timeout 60 bash -c "'$LABCTL_BIN' --lab t-term exec client1 -- yes </dev/null | head -n 1"
	[ "$output" = y ]
	[ -z "$stderr" ]
	run --separate-stderr timeout 60 bash -c "echo from stdin | '$LABCTL_BIN' --lab t-term connect client1 2>&1 >/dev/null; echo 'echo \$HOSTNAME; exit 9' | '$LABCTL_BIN' --lab t-term connect client1"
	[ "$status" -eq 9 ]
	[ "${lines[-1]}" = client1 ]
}

@test "exec: SIGTERM and SIGINT end the command in the client, too" {
	cat >"$BATS_TEST_TMPDIR/signals" <<-'PY'
		import signal, subprocess, sys
		for name in "SIGINT", "SIGTERM":
		    signal.signal(getattr(signal, name), signal.SIG_DFL)
		    p = subprocess.Popen([sys.argv[1], "--lab", "t-term", "exec", "client1", "--", "sh", "-c",
		                          "echo ready; exec sleep 4242"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
		    p.stdout.readline()
		    p.send_signal(getattr(signal, name))
		    print(name, p.wait(60))
	PY
	try /usr/bin/python3 "$BATS_TEST_TMPDIR/signals" "$LABCTL_BIN"
	expect 0
	[ "$output" = $'SIGINT 130\nSIGTERM 143' ]
	wait_for 60 sh -c "! '$LABCTL_BIN' --lab t-term exec client1 -- pgrep -f 'sleep 4242' </dev/null"
}

# --- a terminal ---

on_terminal() {
	try /usr/bin/python3 "$LABCTL_TREE/tests/docker/terminal.py" "$1" client1 "$LABCTL_BIN" --lab t-term exec -t
	expect 0
}

@test "exec -t: a new window size arrives" { on_terminal resize; }
@test "exec -t: Ctrl-C goes to the client's program" { on_terminal interrupt; }
@test "exec -t: the terminal is restored after SIGTERM" { on_terminal sigterm; }

@test "connect: prompt, window size, Ctrl-C, Ctrl-D, exit code; the terminal as before" {
	cat >"$BATS_TEST_TMPDIR/connect" <<-'PY'
		import fcntl, os, pty, struct, sys, termios, time, select
		master, slave = pty.openpty()
		fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
		before = termios.tcgetattr(slave)
		pid = os.fork()
		if pid == 0:
		    os.setsid()
		    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
		    for fd in 0, 1, 2:
		        os.dup2(slave, fd)
		    os.execv(sys.argv[1], sys.argv[1:])
		seen = b""

		def expect(text, since):
		    global seen
		    end = time.monotonic() + 60
		    while seen.find(text, since) < 0:
		        if time.monotonic() > end:
		            sys.exit(f"{text} did not come: {seen}")
		        if select.select([master], [], [], 0.1)[0]:
		            seen += os.read(master, 65536)

		# what is typed before the next prompt is there may be lost: readline's switch of modes
		def ask(line, answer, prompt=True):
		    at = len(seen)
		    os.write(master, line)
		    expect(answer, at)
		    if prompt:
		        expect(b"# ", seen.find(answer, at) + len(answer))

		expect(b"client1", 0)
		expect(b"# ", 0)
		# old engines are told the size when the shell runs already
		ask(b"until [ \"$(stty size)\" = '40 120' ]; do :; done; pw''d\n", b"/~\r\n")
		ask(b"echo wai''ting; cat\n", b"waiting\r\n", prompt=False)
		ask(b"through\n", b"through\r\nthrough", prompt=False)
		ask(b"\x03", b"^C")
		ask(b"echo al''ive\n", b"alive\r\n")
		ask(b"tt''y; echo $TERM\n", b"/dev/pts/")
		ask(b"PS1='rea''dy# '; (exit 7)\n", b"ready")
		os.write(master, b"\x04")
		code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
		print("code", code)
		print("restored", termios.tcgetattr(slave) == before)
	PY
	try env TERM=xterm-256color timeout 300 /usr/bin/python3 "$BATS_TEST_TMPDIR/connect" "$LABCTL_BIN" --lab t-term connect client1
	expect 0
	[ "$output" = $'code 7\nrestored True' ]
}

@test "stage-start on a terminal shows each client coming up, and leaves a clean line; --quiet shows nothing" {
	need script
	on_tty() { script -qec "$LABCTL_BIN --lab t-term $*" /dev/null </dev/null; }
	shown=$(on_tty stage-start two)
	for i in 1 2; do
		grep -q "\[$i/2\] client. is up" <<<"$shown"
	done
	# the last thing is the result, on a line that was wiped
	[[ ${shown##*$'\e[K'} == "stage 'two' is running in lab 't-term': 2 clients"* ]]
	quiet=$(on_tty -q stage-start two)
	[[ $quiet != *$'\e'* ]]
	# stderr elsewhere: nothing
	try L stage-start two
	expect 0
	try L -v stage-start two
	expect 0 'labctl: link' 'client1'
}

@test "nothing is left behind" {
	L stage-stop </dev/null
	assert_nothing_left
}
