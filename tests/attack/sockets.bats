#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A socket of the host's network, handed over by the student to what has rights in his lab, gives
# those rights no hold on the host's network.
bats_require_minimum_version 1.5.0
load lib

setup_file() {
	attack_make
	use_lab labt-alice labt-bob
	has root && has sudo && has engine && has image || return 0
	ip link add labt-victim type veth peer name labt-victim2
	ip addr add 198.51.100.1/30 dev labt-victim
	ip link set labt-victim up
	cp "$LABCTL_TREE/tests/lib/handover.py" "$ALICE/src/"
	chmod 644 "$ALICE/src/handover.py"
	sudo_labctl alice stage-start --isolated stage1 >&2
}

teardown_file() {
	ip link del labt-victim 2>/dev/null || true
	attack_end
}

setup() { need root sudo engine image ip; }

teardown() {
	[ -z "${giver-}" ] || kill "$giver" 2>/dev/null || true
}

# give FAMILY: a process of alice's that hands over such a socket to whoever connects, and then says
# what it could do with it itself.
give() {
	local student
	rm -f "$ALICE/src/handover.sock"
	student alice /usr/bin/python3 src/handover.py give "$1" src/handover.sock
	"${student[@]}" >"$BATS_TEST_TMPDIR/giver" 2>&1 </dev/null 3>&- &
	giver=$!
	wait_for 10 test -S "$ALICE/src/handover.sock"
}

victim() { ip -o addr show dev labt-victim; ip -o link show dev labt-victim; }

@test "root in a client does not reach the host's network" {
	before=$(victim)
	give inet
	try sudo_labctl alice exec client1 -- /usr/bin/python3 src/handover.py network src/handover.sock labt-victim
	[ "$(victim)" = "$before" ]
	expect 1 'Address family not supported'
	# nor the other way round
	try sudo_labctl alice exec client1 -- /usr/bin/python3 -c '
import socket
socket.socket(socket.AF_UNIX).bind("src/other.sock")'
	expect 1 'Address family not supported'
	# and by no other way to such a socket
	try sudo_labctl alice exec client1 -- /usr/bin/python3 -c '
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
print(libc.syscall(425, 8, ctypes.create_string_buffer(256)), os.strerror(ctypes.get_errno()))'
	expect 0
	[ "$output" = '-1 Operation not permitted' ]
}

@test "what programs in a client need works: pairs of sockets, threads, children, network tools" {
	try sudo_labctl alice exec client1 -- /usr/bin/python3 -c '
import socket, subprocess, threading
a, b = socket.socketpair()
t = threading.Thread(target=a.send, args=(b"x",))
t.start()
t.join()
assert b.recv(1) == b"x"
for family, kind in (socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET6, socket.SOCK_DGRAM), \
        (socket.AF_PACKET, socket.SOCK_RAW), (socket.AF_NETLINK, socket.SOCK_RAW):
    socket.socket(family, kind).close()
print(subprocess.run(["ip", "-br", "link", "show", "eth0"], capture_output=True, text=True).stdout)'
	expect 0
	expect_out 'eth0@'
	try sudo_labctl alice exec client1 -- sh -c 'ip addr add 192.0.2.1/32 dev lo && ifconfig eth0 mtu 1400 && ping -c 1 -W 5 192.0.2.1'
	expect 0
	expect_out '1 received'
}

@test "the student's program does not send from addresses that are not the host's" {
	for family in inet inet6; do
		give "$family"
		try sudo_labctl alice run -- /usr/bin/python3 src/handover.py spoof src/handover.sock
		expect 0
		expect_out 'transparent: Operation not permitted' 'mark: Operation not permitted'
		wait_for 10 grep -q bind "$BATS_TEST_TMPDIR/giver"
		grep -q 'bind: Cannot assign requested address' "$BATS_TEST_TMPDIR/giver"
	done
}

@test "who administers the host has its network anyway: his clients may have Unix sockets" {
	administrators bob
	sudo_labctl bob stage-start --isolated stage1 >&2
	administrators
	try sudo_labctl bob exec client1 -- /usr/bin/python3 -c 'import socket; socket.socket(socket.AF_UNIX)'
	expect 0
	sudo_labctl bob stage-stop
}

@test "nothing is left behind" {
	sudo_labctl alice stage-stop
	assert_nothing_left
}
