#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Points without a router: the kernel forwards for a moment, the program looks for the seed, floods
# the captures, or tries the kernel's rarer doors.
# shellcheck disable=SC2016 # what submissions are made of
bats_require_minimum_version 1.5.0
load ../lib/helpers

SEED=3141592653

setup_file() {
	world_make
	stage small <<-'JSON'
		{ "title": "A few checks",
		  "networks": {
		    "net1": { "subnet": "198.18.1.0/24", "router": "198.18.1.1" },
		    "net2": { "subnet": "198.18.2.0/24", "router": "198.18.2.1" }
		  },
		  "clients": {
		    "client1": { "interfaces": { "eth0": { "network": "net1", "address": "198.18.1.2" } }, "gateway": "198.18.1.1" },
		    "client2": { "interfaces": { "eth0": { "network": "net2", "address": "198.18.2.2" } }, "gateway": "198.18.2.1" }
		  },
		  "checks": [ { "use": "arp.reply" }, { "use": "ipv4.forward" }, { "use": "ipv4.ttl" } ]
		}
	JSON
}
setup() { need root engine image jq; }
teardown_file() { world_end; }

# submission NAME: a program from stdin, and a correct router beside it.
submission() {
	mkdir -p "$WORLD/subs-$1/$1"
	cat >"$WORLD/subs-$1/$1/run"
	chmod +x "$WORLD/subs-$1/$1/run"
	cp "$LABCTL_TREE/tests/routers/stage1_reference.py" "$WORLD/subs-$1/$1/"
}

# grade_it NAME: its submission; result.json and the rest are in $WORLD/out-NAME/NAME.
grade_it() {
	"$LABCTL_BIN" grade small --submissions "$WORLD/subs-$1" --out "$WORLD/out-$1" --seed "$SEED" </dev/null 3>&-
}

# result NAME FILTER
result() { jq -r "$2" "$WORLD/out-$1/$1/result.json"; }

# forward_a_moment NAMESPACE: as who has more rights than the program could.
forward_a_moment() {
	ip netns exec "$1" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; sleep 0.1; echo 0 >/proc/sys/net/ipv4/ip_forward'
}

@test "check: the kernel forwards for 0.1 s: an error, and no points" {
	use_lab t-moment
	lab t-moment stage-start --isolated small
	lab t-moment --json check --run "touch $WORLD/begun; until [ -e $WORLD/undone ]; do sleep 0.02; done; exec python3 $LABCTL_TREE/tests/routers/stage1_reference.py" \
		>"$WORLD/moment.json" </dev/null 3>&- &
	wait_for 30 test -e "$WORLD/begun"
	forward_a_moment labctl-t-moment
	touch "$WORLD/undone"
	status=0
	wait $! || status=$?
	[ "$status" -eq 3 ]
	[ "$(jq -r '"\(.score) \(.errors) \([.checks[].status] | unique | join(" "))"' "$WORLD/moment.json")" = '0 3 error' ]
	# An inspection that fell into that moment says so first.
	jq -r '.checks[0].reason' "$WORLD/moment.json" |
		grep 'during the check, IPv4 forwarding was switched on for all interfaces; '
	# Nothing of it stays.
	try lab t-moment check --run "exec python3 $LABCTL_TREE/tests/routers/stage1_reference.py"
	expect 0
	lab t-moment stage-stop
	rm "$LABCTL_STATE/grade/t-moment.json"
}

@test "grade: likewise" {
	local pid
	submission moment <<-'SH'
		#!/bin/sh
		echo here
		until [ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ]; do sleep 0.01; done
		exec python3 stage1_reference.py
	SH
	"$LABCTL_BIN" grade small --submissions "$WORLD/subs-moment" --out "$WORLD/out-moment" >/dev/null </dev/null 3>&- &
	pid=$!
	wait_for 60 grep -q here "$WORLD/out-moment/moment/transcript.txt"
	forward_a_moment "labctl-grade-$pid-1"
	status=0
	wait "$pid" || status=$?
	[ "$status" -eq 3 ]
	[ "$(result moment '"\(.status) \(.score)"')" = 'error 0' ]
	[[ $(result moment .reason) == 'arp.reply: '*'during the check, IPv4 forwarding was switched on '* ]]
}

@test "the program cannot do it: /proc/sys is read-only" {
	submission writes <<-'SH'
		#!/bin/sh
		echo 1 >/proc/sys/net/ipv4/ip_forward
		mount -o remount,rw /proc/sys
		exec python3 stage1_reference.py
	SH
	grade_it writes
	grep -q 'ip_forward: Read-only file system' "$WORLD/out-writes/writes/transcript.txt"
	[ "$(result writes '"\(.status) \(.failed) \(.errors)"')" = 'graded 0 0' ]
}

@test "neither the seed nor the results' place is to be found, nor another process" {
	local said=$WORLD/out-spy/spy/transcript.txt
	submission spy <<-'SH'
		#!/bin/bash
		for place in /proc/1 /proc/[0-9]* /proc/self; do
			for file in cmdline environ maps mountinfo comm status; do
				echo "$place/$file: $(tr '\0' ' ' <"$place/$file" 2>&1)"
			done
			ls -l "$place/fd" "$place/cwd" "$place/exe" "$place/root" 2>&1
		done
		echo "first $(ls -d /proc/1 2>&1)"
		echo "numbers $(cd /proc && echo [0-9]*)"
		exec python3 stage1_reference.py
	SH
	grade_it spy
	grep -q '^/proc/self/mountinfo: ' "$said"
	run ! grep -a -e "$SEED" -e "$WORLD" -e grade-one -e "$LABCTL_TREE" "$said"
	grep -q '^first ls: cannot access' "$said"
	run ! grep -E '^numbers (.* )?1( |$)' "$said"
	[ "$(result spy '"\(.status) \(.failed)"')" = 'graded 0' ]
}

@test "a link to another one's work is not graded as one's own" {
	submission bob <<<$'#!/bin/sh\nexec python3 stage1_reference.py'
	ln -s bob "$WORLD/subs-bob/mallory"
	run -3 grade_it bob
	[ "$(result bob '"\(.status) \(.score)"')" = "graded $(result bob .max_score)" ]
	[ "$(jq -r '"\(.status) \(.reason) \(.score) \(.sha256)"' "$WORLD/out-bob/mallory/result.json")" = \
		"error 'mallory' is a symbolic link null null" ]
}

# 64 KB at a time, by segmentation offload.
@test "a flood: captures, transcript and memory have a limit" {
	submission flood <<-'SH'
		#!/usr/bin/env python3
		import socket, struct, time
		s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
		s.setsockopt(263, 15, 1)  # SOL_PACKET, PACKET_VNET_HDR
		s.bind(("net1", 0x0800))
		data = bytes(60000)
		ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40 + len(data), 1, 0, 64, 6, 0,
		                 socket.inet_aton("198.18.1.1"), socket.inet_aton("198.18.1.2"))
		tcp = struct.pack("!HHIIBBHHH", 1, 2, 3, 4, 0x50, 0x10, 1000, 0, 0)
		frame = struct.pack("<BBHHHH", 1, 1, 54, 1448, 34, 16) + \
		    bytes.fromhex("0242c6120102" "0242c6120101" "0800") + ip + tcp + data
		print("x" * 3000000, flush=True)
		end = time.monotonic() + 4
		while time.monotonic() < end:
		    try:
		        s.send(frame)
		    except OSError:
		        pass
		time.sleep(1000)
	SH
	grade_it flood || true
	[ "$(result flood .score)" = 0 ]
	[ "$(cat "$WORLD/out-flood/flood/"*.pcap | wc -c)" -le $((65 << 20)) ]
	[ "$(stat -c %s "$WORLD/out-flood/flood/transcript.txt")" -le 1100000 ]
	if [ "$(cat "$WORLD/out-flood/flood/"*.pcap | wc -c)" -ge $((63 << 20)) ]; then
		tr -s ' \n' ' ' <"$WORLD/out-flood/flood/report.txt" | grep 'capture files are not complete'
	fi
}

@test "few devices, few socket families, no other ABI, no namespaces, no control groups" {
	local said=$WORLD/out-doors/doors/transcript.txt
	submission doors <<-'SH'
		#!/usr/bin/env python3
		import ctypes, errno, mmap, os, platform, socket, subprocess
		libc = ctypes.CDLL(None, use_errno=True)
		def name(number): return errno.errorcode.get(number, "none")
		def call(*arguments):
		    return "open" if libc.syscall(*arguments) >= 0 else name(ctypes.get_errno())
		for family in (1, 2, 10, 16, 17, 21, 29, 31, 38, 40, 44):
		    try:
		        socket.socket(family, socket.SOCK_RAW if family in (16, 17) else socket.SOCK_DGRAM, 0)
		        print("family", family, "open")
		    except OSError as e:
		        print("family", family, name(e.errno))
		print("devices", *sorted(os.listdir("/dev")))
		print("io_uring", call(425, 1, 0))
		print("userfaultfd", call(323 if platform.machine() == "x86_64" else 282, 0))
		print("unshare", subprocess.run(["unshare", "-Ur", "true"], stderr=subprocess.DEVNULL).returncode != 0)
		print("cgroup", os.listdir("/sys/fs/cgroup"))
		if platform.machine() == "x86_64":
		    print("x32", call(0x40000000 + 39))
		    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
		    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # getpid by int 0x80
		    at = ctypes.addressof(ctypes.c_char.from_buffer(code))
		    print("i386", name(-ctypes.CFUNCTYPE(ctypes.c_int)(at)()))
		else:
		    print("x32 EPERM\ni386 EPERM")
		with open("/dev/null", "w") as null, open("/dev/urandom", "rb") as random:
		    null.write(str(random.read(8)))
		os.execvp("python3", ["python3", "stage1_reference.py"])
	SH
	grade_it doors
	cat "$said"
	for family in 1 2 10 16 17; do
		grep -q -x "family $family open" "$said"
	done
	[ "$(grep -c -x -E 'family [0-9]+ EAFNOSUPPORT' "$said")" -eq 6 ]
	grep -q -x 'devices fd full null ptmx pts random shm stderr stdin stdout tty urandom zero' "$said"
	grep -q -x 'io_uring EPERM' "$said"
	grep -q -x 'userfaultfd EPERM' "$said"
	grep -q -x 'unshare True' "$said"
	grep -q -x 'cgroup \[\]' "$said"
	grep -q -x 'x32 EPERM' "$said"
	grep -q -x 'i386 EPERM' "$said"
	[ "$(result doors '"\(.status) \(.failed)"')" = 'graded 0' ]
}

@test "nothing is left behind" { assert_nothing_left; }
