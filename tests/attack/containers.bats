#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Root in a client is root of nothing else: no devices, no new privileges, and limits of processes
# and memory that a stage may set and the administrator bounds.
bats_require_minimum_version 1.5.0
load lib

setup_file() {
	attack_make
	use_lab t-ca t-cb
	stage_two two tca 198.18
	printf 'LABCTL_LIMITS=%s\n' "$WORLD/limits" >>"$WORLD/world.env"
	has root && has sudo && has engine && has image || return 0
	mkdir "$WORLD/stages/small"
	jq '.clients.client1 += { memory: "48M", processes: 40 }' "$WORLD/stages/two/stage.json" >"$WORLD/stages/small/stage.json"
	start small >&2
}

teardown_file() { attack_end; }

setup() { need root sudo engine image; }

alice() { sudo_labctl alice --lab t-ca "$@"; }
start() { alice stage-start "$WORLD/stages/$1"; }
on() { alice exec "$1" -- "${@:2}"; }

# limits CLIENT: memory, memory with swap, processes, as the engine has them.
limits() { container "labctl-t-ca-$1" '.HostConfig | "\(.Memory) \(.MemorySwap) \(.PidsLimit)"'; }

@test "a device node cannot be made in a client, least of all in src" {
	for file in /~/src/disk /tmp/disk; do
		try on client1 mknod "$file" b 8 0
		expect 1 'Operation not permitted'
		try on client1 mknod "$file" c 1 1
		expect 1 'Operation not permitted'
	done
	[ -z "$(find "$ALICE/src" -type b -o -type c)" ]
}

@test "a client's first process and what exec starts have ten capabilities and gain no others" {
	# CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, KILL 5, SETGID 6, SETUID 7, NET_BIND_SERVICE 10,
	# NET_ADMIN 12, NET_RAW 13, SYS_CHROOT 18
	want=00000000000434eb
	for process in 1 self; do
		run -0 on client1 cat "/proc/$process/status"
		for set in CapPrm CapEff CapBnd; do
			[ "$(awk -v set="$set:" '$1 == set { print $2 }' <<<"$output")" = "$want" ]
		done
		[ "$(awk '$1 == "NoNewPrivs:" { print $2 }' <<<"$output")" = 1 ]
	done
	# a setuid program does not make another user root
	try on client1 sh -c 'cp /usr/bin/id /tmp/id && chmod 4755 /tmp/id && setpriv --reuid 65534 --regid 65534 --clear-groups /tmp/id -u'
	expect 0
	[ "$output" = 65534 ]
}

@test "what root in a client must not do, the kernel refuses" {
	try on client1 /usr/bin/python3 -c '
import ctypes, errno, os, struct, time
libc = ctypes.CDLL(None, use_errno=True)
open("/~/src/cap", "w").close()
def refused(what, call):
    try:
        failed = call() == -1 and ctypes.get_errno()
    except OSError as e:
        failed = e.errno
    print(what, errno.errorcode.get(failed, "done"))
refused("mount", lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None))
refused("namespace", lambda: libc.unshare(0x20000))
refused("hostname", lambda: libc.sethostname(b"x", 1))
refused("clock", lambda: time.clock_settime(time.CLOCK_REALTIME, 0))
refused("nice", lambda: os.setpriority(os.PRIO_PROCESS, 0, -20))
refused("file capability", lambda: os.setxattr("/~/src/cap", "security.capability",
                                               struct.pack("<5I", 0x02000001, 0x1000, 0, 0, 0)))
refused("panic", lambda: os.close(os.open("/proc/sys/kernel/panic", os.O_WRONLY)))'
	expect 0
	rm -f "$ALICE/src/cap"
	[ "$output" = 'mount EPERM
namespace EPERM
hostname EPERM
clock EPERM
nice EACCES
file capability EPERM
panic EROFS' ]
}

@test "what exercises are done with works" {
	on client1 sh -ec '
		ping -c 1 127.0.0.1
		ip link set eth0 down; ip link set eth0 up; ip address add 198.18.1.9/24 dev eth0
		ip route add 203.0.113.0/24 via 198.18.1.1; ip neigh add 198.18.1.8 lladdr 02:00:00:00:00:08 dev eth0
		timeout 2 tcpdump -i lo -c 1 -w /tmp/frames & ping -c 3 -i 0.2 127.0.0.1; wait $!
		(echo hello | nc -N -l 80 &) ; for i in 1 2 3 4 5 6 7 8 9; do nc -d 127.0.0.1 80 && break; sleep 0.1; done | grep -qx hello
		iperf3 -s -1 -D; sleep 0.3; iperf3 -c 127.0.0.1 -n 100K
		touch file; chown nobody: file; chmod 600 file; cat file; setpriv --reuid nobody --clear-groups cat file
		su -s /bin/sh nobody -c "ping -c 1 127.0.0.1"
		/usr/bin/python3 -c "from socket import *; socket(AF_PACKET, SOCK_RAW, ntohs(3)); socket(AF_INET, SOCK_RAW, 1)"
		sleep 100 & kill $!
	' >&2
}

@test "a fork bomb ends at the client's limit; the host and the other client go on" {
	[ "$(limits client1)" = '50331648 50331648 40' ]
	try on client1 /usr/bin/python3 -c '
import os, time
children = []
try:
    while True:
        pid = os.fork()
        if pid == 0:
            time.sleep(100)
            os._exit(0)
        children.append(pid)
except BlockingIOError:
    print(len(children))
for pid in children:
    os.kill(pid, 9)'
	expect 0
	[ "$output" -lt 40 ]
	[ "$output" -gt 20 ]
	on client2 true
	# and a real one
	run timeout 5 bash -c "$(declare -f alice sudo_labctl as_student); alice exec client1 -- sh -c 'bomb() { bomb | bomb & }; bomb; sleep 1'"
	on client2 ping -c 1 127.0.0.1 >&2
	[ "$(container labctl-t-ca-client1 .State.Running)" = true ]
}

@test "who takes too much memory is killed in the client" {
	alice stage-start "$WORLD/stages/small" >&2
	try on client1 /usr/bin/python3 -c 'print(len(bytearray(200 << 20)))'
	expect 137
	[ -z "$output" ]
	[ "$(on client2 /usr/bin/python3 -c 'print(len(bytearray(200 << 20)))')" = 209715200 ]
	on client1 true
}

@test "a client of which the stage says nothing has the defaults, and its log an end" {
	[ "$(limits client2)" = '536870912 536870912 512' ]
	[ "$(container labctl-t-ca-client2 '.HostConfig.LogConfig.Config."max-size"')" = 4m ]
}

# asks JSON: a stage whose client1 wants that.
asks() {
	mkdir -p "$WORLD/stages/asks"
	jq ".clients.client1 += $1" "$WORLD/stages/two/stage.json" >"$WORLD/stages/asks/stage.json"
	try start asks
}

@test "the ceiling: a student's stage may not ask for more, the administrator says how much" {
	asks '{ memory: "3G" }'
	expect 4 "client 'client1' asks for more memory than this host allows" \
		"an administrator can allow more in $WORLD/limits"
	asks '{ processes: 5000 }'
	expect 4 "client 'client1' asks for more processes than this host allows"
	# what ran before still runs
	on client1 true
	printf '# for the course\nmemory 128M  # each\n\nprocesses\t5000\n' >"$WORLD/limits"
	asks '{ memory: "129M" }'
	expect 4 'more memory than this host allows'
	asks '{ processes: 5000 }'
	expect 0
	# a default is no reason for more
	[ "$(limits client1)" = '134217728 134217728 5000' ]
	[ "$(limits client2)" = '134217728 134217728 512' ]
}

@test "the ceiling is for who does not administer the host" {
	administrators alice
	asks '{ memory: "3G", processes: 20000 }'
	administrators
	expect 0
	[ "$(limits client1)" = '3221225472 3221225472 20000' ]
	try lab t-ca stage-start "$WORLD/stages/asks"
	expect 0
	[ "$(limits client1)" = '3221225472 3221225472 20000' ]
	lab t-ca stage-stop
}

@test "all labs of a student together may have so many clients" {
	local one two in=0
	echo 'clients 3' >"$WORLD/limits"
	try start two
	expect 0
	try sudo_labctl alice --lab t-cb stage-start "$WORLD/stages/two"
	expect 5 "stage 'two' has 2 clients, other labs of user 'labt-alice' have 2, and one user may have 3" \
		"'labctl lab-list'" "an administrator can allow more in $WORLD/limits"
	assert_gone t-cb
	# in the place of the lab that runs; and others have theirs
	try start two
	expect 0
	try sudo_labctl bob --lab t-cb stage-start "$WORLD/stages/two"
	expect 0
	sudo_labctl bob --lab t-cb stage-stop
	echo 'clients 1' >"$WORLD/limits"
	try start two
	expect 5 "one user may have 1"
	# what ran before still runs
	on client1 true
	administrators alice
	try sudo_labctl alice --lab t-cb stage-start "$WORLD/stages/two"
	administrators
	expect 0
	lab t-cb stage-stop
	alice stage-stop
	# two at the same time are not both let in
	echo 'clients 3' >"$WORLD/limits"
	alice stage-start "$WORLD/stages/two" 2>"$WORLD/one" </dev/null 3>&- &
	one=$!
	sudo_labctl alice --lab t-cb stage-start "$WORLD/stages/two" 2>"$WORLD/two" </dev/null 3>&- &
	two=$!
	! wait "$one" || ((++in))
	! wait "$two" || ((++in))
	[ "$in" -le 1 ]
	cat "$WORLD/one" "$WORLD/two" | grep 'one user may have 3'
	lab t-ca stage-stop || true
	lab t-cb stage-stop || true
	assert_gone t-ca t-cb
}

@test "a list of limits that cannot be read or relied on: nothing is started" {
	printf 'memory 1G\nprocesses none\n' >"$WORLD/limits"
	asks '{}'
	expect 3 "$WORLD/limits:2: 'none' is not a number from 1 to 32768"
	echo 'disk 1G' >"$WORLD/limits"
	asks '{}'
	expect 3 "$WORLD/limits:1: 'disk' is none of 'memory', 'processes', 'clients'"
	echo 'memory lots' >"$WORLD/limits"
	asks '{}'
	expect 3 "$WORLD/limits:1: 'lots' is no amount of memory, as 512M or 2G"
	chown labt-alice "$WORLD/limits"
	asks '{}'
	expect 3 "'$WORLD/limits' is ignored"
}

@test "nothing is left behind" { assert_nothing_left; }
