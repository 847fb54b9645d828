#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Programs that labctl starts for someone: descriptors, environment, capabilities, terminal, end.
# shellcheck disable=SC2154 # stderr: bats sets it
bats_require_minimum_version 1.5.0
load lib

# old NAME STAGE: a stage of the old kind in that user's home.
old() {
	local dir=$WORLD/home/$1/stages/$2
	as_student "$1" mkdir -p "$dir" "$WORLD/notes"
	as_student "$1" tee "$dir/up.sh" >/dev/null <<<'#!/bin/sh'
	cat >"$WORLD/script"
	install -m 755 -o "labt-$1" "$WORLD/script" "$dir/down.sh"
	as_student "$1" chmod 755 "$dir/up.sh"
}

setup_file() {
	attack_make
	use_lab labt-alice labt-bob
	has root && has sudo && has engine && has image || return 0
	install -d -m 777 "$WORLD/notes"
	# What a program finds: descriptors but those of looking, rights, environment.
	cat >"$WORLD/look" <<-'PY'
		#!/usr/bin/env python3
		import os, sys
		out = open(sys.argv[1], "w") if len(sys.argv) > 1 else sys.stdout
		fds = []
		for name in os.listdir("/proc/self/fd"):
		    try:
		        fds.append((int(name), os.readlink("/proc/self/fd/" + name)))
		    except OSError:
		        pass  # that of listing
		fds = sorted(f for f in fds if out is sys.stdout or f[0] != out.fileno())
		print("fds", *[fd for fd, _ in fds], file=out)
		for line in open("/proc/self/status"):
		    if line.startswith(("Cap", "NoNewPrivs", "Uid", "Groups")):
		        print(*line.split(), file=out)
		for name in sorted(os.environ):
		    print("env", name + "=" + os.environ[name], file=out)
		out.close()
	PY
	chmod 755 "$WORLD/look"
	as_student alice mkdir -p "$ALICE/stages"
	sudo_labctl alice stage-start stage1 --src "$ALICE/src" >&2
}

teardown_file() { attack_end; }

setup() { need root sudo engine image; }

# looked FILE: what the program found there is what it may have.
looked() {
	cat "$1" >&2
	grep -qx 'fds 0 1 2' "$1"
	grep -qx 'NoNewPrivs: 1' "$1"
	! grep -q '^env \(SUDO_\|LABCTL_\|MAIL=\)' "$1" || false
	grep -qx "env HOME=$ALICE" "$1"
	grep -qx 'env USER=labt-alice' "$1"
	grep -qx 'env LOGNAME=labt-alice' "$1"
	grep -qx 'env SHELL=/bin/bash' "$1"
}

# Of the five sets each has CAP_NET_RAW (bit 13) and nothing else.
only_net_raw() {
	local set
	for set in CapInh CapPrm CapEff CapBnd CapAmb; do
		grep -qx "$set: 0000000000002000" "$1"
	done
}

# --- descriptors, rights and environment ---

@test "check --run: 0, 1 and 2 alone; NET_RAW alone; no engine, however it is tried" {
	try sudo_labctl alice check --only arp.reply --run "$WORLD/look $WORLD/notes/check"
	[ "$status" -eq 1 ]
	looked "$WORLD/notes/check"
	only_net_raw "$WORLD/notes/check"
	grep -q '^env LAB_FILE=/' "$WORLD/notes/check"
}

@test "run and shell: 0, 1 and 2 alone; NET_RAW alone; the caller's variables that sudo let through stay" {
	try sudo_labctl alice run -- "$WORLD/look" "$WORLD/notes/run"
	expect 0
	looked "$WORLD/notes/run"
	only_net_raw "$WORLD/notes/run"
	grep -q '^env LAB_FILE=/' "$WORLD/notes/run"
	run bash -c "echo '$WORLD/look $WORLD/notes/shell' | SUDO_UID=$(id -u labt-alice) SUDO_GID=$(id -g labt-alice) \
		KEPT=yes LABCTL_X=no '$INSTALLED' shell"
	[ "$status" -eq 0 ]
	looked "$WORLD/notes/shell"
	only_net_raw "$WORLD/notes/shell"
	grep -qx 'env KEPT=yes' "$WORLD/notes/shell"
}

@test "netport run: 0, 1 and 2 alone, no capability, the port" {
	try sudo_labctl alice netport run --port P -- "$WORLD/look" "$WORLD/notes/netport"
	expect 0
	looked "$WORLD/notes/netport"
	grep -q '^env P=[0-9]' "$WORLD/notes/netport"
	grep -qx 'CapEff: 0000000000000000' "$WORLD/notes/netport"
	[ "$(awk '$1 == "Uid:" { print $2, $3, $4, $5 }' "$WORLD/notes/netport" | tr ' ' '\n' | sort -u)" = "$(id -u labt-alice)" ]
}

@test "run: not an interface, an address, a firewall, a sysctl, nor through sudo or su" {
	for command in 'ip link set net1 mtu 1400' 'ip link set net1 promisc on' 'ip addr add 9.9.9.9/24 dev net1' \
		'ip route add 9.9.9.0/24 dev net1' 'nft add table ip evil' 'sysctl -w net.ipv4.ip_forward=1' \
		'sudo -n true' 'mount -t tmpfs none /mnt' 'mknod /tmp/labt-node c 1 3'; do
		# shellcheck disable=SC2086 # words
		try sudo_labctl alice run -- $command
		[ "$status" -ne 0 ]
		[ -n "$stderr" ]
	done
	# a setuid program has nothing more, whoever it belongs to
	install -m 4755 "$(command -v id)" "$WORLD/notes/suid"
	try sudo_labctl alice run -- "$WORLD/notes/suid" -u
	expect 0
	[ "$output" = "$(id -u labt-alice)" ]
}

@test "run: packet sockets, and membership in place of promiscuous mode" {
	try sudo_labctl alice run -- /usr/bin/python3 -c '
import socket, struct
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind(("net1", 0))
s.setsockopt(263, 1, struct.pack("iHH8s", socket.if_nametoindex("net1"), 1, 0, b""))
s.send(b"\xff" * 6 + s.getsockname()[4] + b"\x08\x06" + bytes(46))
print("fine")'
	expect 0
	[ "$output" = fine ]
	background "$WORLD/ping" PING sudo_labctl alice exec client1 -- ping -i 0.2 1.1.1.77
	try sudo_labctl alice run -- timeout 60 tcpdump -c 1 -n -i net1 arp
	kill "$started"
	expect 0 'listening on net1'
	expect_out 'who-has 1.1.1.77'
}

@test "shell: tcpdump works, and -Z, which changes the user, gets nobody another's rights" {
	background "$WORLD/ping" PING sudo_labctl alice exec client1 -- ping -i 0.2 1.1.1.77
	student alice sudo -n "$INSTALLED" shell
	run "${student[@]}" <<<'timeout 60 tcpdump -c 1 -n -i net1 arp'
	[ "$status" -eq 0 ]
	[[ $output == *'who-has 1.1.1.77'* ]]
	for user in root labt-bob tcpdump; do
		run "${student[@]}" <<<"tcpdump -c 1 -n -i net1 -Z $user -w $WORLD/notes/by-$user; id -u"
		[ ! -e "$WORLD/notes/by-$user" ] || [ "$(stat -c %U "$WORLD/notes/by-$user")" = labt-alice ]
		[ "${lines[-1]}" = "$(id -u labt-alice)" ]
		rm -f "$WORLD/notes/by-$user"
	done
	kill "$started"
	for program in 'os.setuid(0)' 'os.setgid(0)' 'os.setgroups([0])' 'os.chown("/proc/self/cwd", 0, 0)'; do
		try sudo_labctl alice run -- /usr/bin/python3 -c "import os; $program"
		expect 1 'Operation not permitted'
	done
}

@test "check --run: 'Operation not permitted' as the last words gets its reason" {
	try sudo_labctl alice check --only arp.reply --run 'ip link set net1 promisc on'
	[ "$status" -eq 1 ]
	output=$(tr -s ' \n' ' ' <<<"$output") # it is folded
	expect_out 'Operation not permitted' 'the capability NET_RAW and no other' 'a packet socket gets all frames'
}

# --- the end ---

@test "check --run: daemons end with the check, also when labctl is killed" {
	local n=$RANDOM
	daemon="setsid sh -c 'sleep 77.1$n & exec setsid sleep 77.2$n' & sleep 77.3$n"
	try sudo_labctl alice check --only arp.reply --run "$daemon"
	[ "$status" -eq 1 ]
	! pgrep -f "^sleep 77.[123]$n" || false
	sudo_labctl alice check --run "$daemon" >/dev/null 2>&1 3>&- &
	for i in 1 2 3; do
		wait_for 20 pgrep -f "^sleep 77.$i$n"
	done
	# the labctl that is its parent's parent, not sudo, which would tell it
	pid=$(pgrep -f "^sleep 77.3$n")
	while [ "$(ps -o comm= -p "$pid")" != labctl ] || [ "$(ps -o pgid= -p "$pid")" -eq "$pid" ]; do
		pid=$(ps -o ppid= -p "$pid" | tr -d ' ')
		[ "$pid" -gt 1 ]
	done
	kill -KILL "$pid"
	wait_for 20 sh -c "! pgrep -f '^sleep 77.[123]$n'"
	wait
}

# --- another's scripts ---

@test "a student's down.sh, run when root stops his lab, does not type into root's terminal" {
	old alice evil <<-SH
		#!/usr/bin/env python3
		import fcntl, os, subprocess, termios
		found = []
		for name, flags in ("/dev/tty", os.O_RDWR), ("/dev/stdin", os.O_RDWR), ("/dev/stdout", os.O_RDWR):
		    try:
		        fd = os.open(name, flags)
		        for c in b"echo typed\n":
		            fcntl.ioctl(fd, termios.TIOCSTI, bytes([c]))
		        found.append(name)
		    except OSError:
		        pass
		for fd in 0, 1, 2:
		    try:
		        found.append(os.ttyname(fd))
		        fcntl.ioctl(fd, termios.TIOCSTI, b"t")
		    except OSError:
		        pass
		found.append("sid" if os.getsid(0) == os.getpid() else "no sid")
		subprocess.run(["$WORLD/look", "$WORLD/notes/down"], check=True)
		open("$WORLD/notes/tty", "w").write(" ".join(found))
		print("\x1b]0;owned\x07said", flush=True)
	SH
	sudo_labctl alice stage-stop
	as_student alice sudo -n "$INSTALLED" stage-start "$ALICE/stages/evil" >&2
	cat >"$WORLD/terminal" <<-'PY'
		import fcntl, os, pty, select, sys, termios
		pid, master = pty.fork()
		if pid == 0:
		    os.environ["SECRET"] = "root's own"
		    os.execv(sys.argv[1], sys.argv[1:])
		seen = b""
		while True:
		    try:
		        got = os.read(master, 65536)
		    except OSError:
		        break
		    if not got:
		        break
		    seen += got
		print("code", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
		print(repr(seen))
	PY
	try timeout 60 /usr/bin/python3 "$WORLD/terminal" "$INSTALLED" --lab labt-alice stage-stop
	expect 0
	expect_out 'code 0' 'owned?said'
	[[ $output != *typed* ]]
	[[ $output != *'x1b]'* ]]
	[ "$(<"$WORLD/notes/tty")" = sid ]
	looked "$WORLD/notes/down"
	! grep -q SECRET "$WORLD/notes/down" || false
	grep -qx 'CapEff: 0000000000000000' "$WORLD/notes/down"
	grep -q '^env PYROUTE_STAGE_DIR=' "$WORLD/notes/down"
	sudo_labctl alice stage-start stage1 --src "$ALICE/src" >&2
}

@test "a student's down.sh that never ends: root's Ctrl-C ends it" {
	old bob endless <<-SH
		#!/bin/sh
		echo waiting
		trap '' INT TERM HUP
		while :; do sleep 77.4; done
	SH
	as_student bob sudo -n "$INSTALLED" stage-start "$BOB/stages/endless" >&2
	background "$WORLD/out" waiting env --default-signal=INT "$INSTALLED" --lab labt-bob stage-stop
	kill -INT "$started"
	! wait "$started" || false
	wait_for 20 sh -c "! pgrep -u labt-bob"
	printf '#!/bin/sh\n' >"$BOB/stages/endless/down.sh"
	sudo_labctl bob stage-stop
}

@test "the service's programs: 0, 1 and 2 alone, none of its variables" {
	printf '%s ...\n' "$WORLD/look" >"$WORLD/allowed"
	LABCTL_STORE='' SECRET=x background "$WORLD/service" 'listens on' "$INSTALLED" netport serve \
		--port 0 --socket "$WORLD/service.sock" --allow-shell "$WORLD/allowed"
	curl -sf --unix-socket "$WORLD/service.sock" -G "http://service/shell/execute_command" \
		--data-urlencode "command=$WORLD/look $WORLD/notes/service" >&2
	kill "$started"
	wait "$started" || true
	grep -qx 'fds 0 1 2' "$WORLD/notes/service"
	grep -qx 'NoNewPrivs: 1' "$WORLD/notes/service"
	! grep -q 'SECRET\|LABCTL_' "$WORLD/notes/service" || false
}

@test "nothing is left behind" {
	sudo_labctl alice stage-stop
	rm -f "$LABCTL_STATE/grade/labt-alice.json" # what check remembers of alice's work
	assert_nothing_left
}
