#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Nobody keeps others from starting labs: the names of labs are leased by labs only, and neither
# leases nor labs are without number.
bats_require_minimum_version 1.5.0
load lib

setup_file() {
	attack_make
	use_lab t-cl
	stage_two two tcl 198.19
}

teardown_file() { attack_end; }

setup() { need root sudo; }

@test "what labs find each other by is not leased to a student" {
	for words in 'LAB labt-alice' 'INTERFACE net1' 'NETNS labt-alice' 'GROUP g1' \
		'LAB --range a{1-9}' 'GROUP --range g{1-99999}'; do
		# shellcheck disable=SC2086 # words
		try sudo_labctl bob netport acquire $words
		expect 1 "labctl: ${words%% *} is leased by labs and by administrators only"
	done
	try sudo_labctl bob netport acquire PORT 5000 --owner lab:labt-alice
	expect 2 "labctl: 'lab:labt-alice' names a lab"
	administrators alice
	try sudo_labctl alice netport acquire LAB mine
	expect 0
	administrators
}

@test "a user runs sixteen labs at most, and others start theirs" {
	for i in $(seq 16); do
		"$LABCTL_BIN" netport acquire LAB "many$i" --owner "lab:many$i" >/dev/null
	done
	/usr/bin/python3 - "$LABCTL_STATE/netport.db" "$(id -u labt-bob)" <<-'SQL'
		import sqlite3, sys
		with sqlite3.connect(sys.argv[1]) as book:
		    book.execute("UPDATE lease SET uid = ? WHERE owner LIKE 'lab:many%'", (sys.argv[2],))
	SQL
	try sudo_labctl bob --lab more stage-start "$WORLD/stages/two"
	expect 1 "labctl: user 'labt-bob' runs 16 labs, and may have no more"
	"$LABCTL_BIN" netport release LAB many1
	need engine image
	try sudo_labctl bob --lab t-cl stage-start "$WORLD/stages/two"
	expect 0
	sudo_labctl bob --lab t-cl stage-stop
}

@test "a lab does not take the names of the namespaces and containers of another user's lab" {
	try sudo_labctl bob --lab labt-alice-fabric stage-start "$WORLD/stages/two"
	expect 2 "labctl: 'labt-alice-fabric' is not a lab name" 'not ending with .lock, .sock or -fabric'
	mkdir "$WORLD/stages/named"
	jq '.clients["alice-c"] = .clients.client1 | del(.clients.client1)' "$WORLD/stages/two/stage.json" \
		>"$WORLD/stages/named/stage.json"
	try sudo_labctl bob --lab labt stage-start "$WORLD/stages/named"
	expect 5 "labctl: the container of client 'alice-c' would have a name of user 'labt-alice'"
}

@test "who may open the directory of namespaces cannot keep labs from starting" {
	local student
	need engine image flock
	mkdir -p /run/netns
	student bob flock --exclusive /run/netns sh -c 'echo locked; exec sleep 60'
	background "$BATS_TEST_TMPDIR/lock" locked "${student[@]}"
	try timeout 30 "$LABCTL_BIN" --lab t-netns stage-start --isolated stage1
	kill "$(pgrep -P "$started" sleep)" || true
	kill "$started" || true
	expect 0
	lab t-netns stage-stop
	assert_gone t-netns
}

@test "who may read the lease book cannot hold up those who write it" {
	sudo_labctl alice netport acquire PORT --ttl 1m
	try as_student bob /usr/bin/python3 -c '
import fcntl, os, struct, sys
for name in ("netport.db", "netport.db-wal", "netport.db-shm"):
    try:
        fd = os.open(sys.argv[1] + "/" + name, os.O_RDONLY)
    except PermissionError:
        print(name, "is not for me")
        continue
    fcntl.fcntl(fd, fcntl.F_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0))
import subprocess
subprocess.run(["sudo", "-n", sys.argv[2], "netport", "acquire", "PORT", "--ttl", "1m"], check=True)
' "$LABCTL_STATE" "$INSTALLED"
	expect 0
	[[ $output == *'netport.db-shm is not for me'* ]]
	# and still reads it
	try as_student bob env LABCTL_STATE="$LABCTL_STATE" "$INSTALLED" netport list PORT
	expect 0
	[[ $output == *labt-alice* ]]
}

@test "who waits for a lab's lock cannot take it: the owner's commands go on" {
	need engine image
	sudo_labctl alice stage-start "$WORLD/stages/two"
	as_student bob /usr/bin/python3 -c '
import fcntl, os, struct, sys, time
lock = struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0)
while True:
    try:
        fd = os.open(sys.argv[1], os.O_RDONLY)
        fcntl.fcntl(fd, fcntl.F_SETLK, lock)
        time.sleep(60)
    except PermissionError:
        print("seen, not opened", flush=True)
    except OSError:
        pass
' "$LABCTL_RUN/labt-alice.lock" >"$WORLD/spin" 3>&- &
	spin=$!
	for _ in $(seq 20); do
		try sudo_labctl alice repair
		[ "$status" -eq 0 ] || break
	done
	kill "$spin"
	expect 0
	grep -q seen "$WORLD/spin"
	sudo_labctl alice stage-stop
}
