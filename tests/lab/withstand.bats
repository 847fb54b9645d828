#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What goes wrong: each time one clear message, the documented exit code, nothing left behind and
# nothing of others touched.
# shellcheck disable=SC2154 # stderr: bats sets it
bats_require_minimum_version 1.5.0
load ../lib/helpers

setup_file() {
	world_make
	use_lab t-with t-with2 t-with-b t-with-b-client1
	stage_two two tw 198.18
	stage_two other ty 198.18
	stage quits <<-'JSON'
		{ "title": "A client that ends at once",
		  "networks": { "tw1": { "subnet": "198.18.1.0/24", "router": "198.18.1.1" } },
		  "clients": { "one": { "interfaces": { "eth0": { "network": "tw1", "address": "198.18.1.2" } },
		               "command": [ "sh", "-c", "echo starting; echo cannot find my wits >&2; exit 7" ],
		               "start": [ "sleep 600" ] } } }
	JSON
	stage quits-soon <<-'JSON'
		{ "title": "A client that ends soon",
		  "networks": { "tw1": { "subnet": "198.18.1.0/24", "router": "198.18.1.1" } },
		  "clients": { "one": { "interfaces": { "eth0": { "network": "tw1", "address": "198.18.1.2" } },
		               "command": [ "sh", "-c", "while [ ! -e /tmp/go ]; do sleep 0.01; done; exit 8" ],
		               "start": [ "touch /tmp/go; sleep 1" ] } } }
	JSON
	stage long <<-'JSON'
		{ "title": "A long start",
		  "networks": { "tw1": { "subnet": "198.18.1.0/24", "router": "198.18.1.1" } },
		  "clients": { "one": { "interfaces": { "eth0": { "network": "tw1", "address": "198.18.1.2" } },
		               "start": [ "touch src/started; sleep 600" ] } } }
	JSON
	stage not-there <<-'JSON'
		{ "title": "A command that is not there",
		  "networks": { "tw1": { "subnet": "198.18.1.0/24", "router": "198.18.1.1" } },
		  "clients": { "one": { "interfaces": { "eth0": { "network": "tw1", "address": "198.18.1.2" } },
		               "command": [ "/no/such/thing" ] } } }
	JSON
	stage own-image <<-'JSON'
		{ "title": "An image of its own",
		  "networks": { "tw1": { "subnet": "198.18.1.0/24", "router": "198.18.1.1" } },
		  "clients": { "one": { "interfaces": { "eth0": { "network": "tw1", "address": "198.18.1.2" } },
		               "image": "t-no-such-image:1" } } }
	JSON
}

teardown_file() {
	umount "$WORLD/full" 2>/dev/null || true
	for name in tw1 twp tw-away; do ip link del "$name" 2>/dev/null; done
	world_end
}

setup() { need root engine image; }

# A test that failed leaves the next one a clean lab.
teardown() {
	[ -z "${BATS_TEST_COMPLETED-}" ] || return 0
	for job in $(jobs -p); do
		kill -9 "$job" 2>/dev/null || true
	done
	wait
	for name in $(world_labs); do
		lab "$name" stage-stop >/dev/null 2>&1 </dev/null || true
	done
}

L() { lab t-with "$@" </dev/null; }

# by_script SCRIPT COMMAND...: tries it with an engine that does what the script says.
by_script() {
	local script=$1
	shift
	mkfifo "$BATS_TEST_TMPDIR/go"
	/usr/bin/python3 "$LABCTL_TREE/tests/lib/fake-engine.py" "$script" "$WORLD/fake.sock" \
		<"$BATS_TEST_TMPDIR/go" >"$BATS_TEST_TMPDIR/fake" 3>&- &
	exec 8>"$BATS_TEST_TMPDIR/go"
	wait_for 60 grep -q unix "$BATS_TEST_TMPDIR/fake"
	DOCKER_HOST=unix://$WORLD/fake.sock try "$@"
	exec 8>&-
	wait $!
	rm "$WORLD/fake.sock" "$BATS_TEST_TMPDIR/go" "$BATS_TEST_TMPDIR/fake"
}

# --- the engine, the image ---

@test "engine down: exit code 3, where it was looked for and what to do; nothing left" {
	DOCKER_HOST=unix://$WORLD/no.sock try L stage-start two
	expect 3 "$WORLD/no.sock" $'\n        '
	[ "$(wc -l <<<"$stderr")" -eq 2 ]
	assert_gone t-with
	DOCKER_HOST=tcp://127.0.0.1:1 try L stage-start two
	expect 3 '127.0.0.1:1'
	assert_gone t-with
	DOCKER_HOST=ftp://nowhere try L stage-start two
	expect 2 'ftp://nowhere'
	assert_gone t-with
}

@test "engine down while a stage runs: status tells; stopping says so, and later does it" {
	L stage-start two
	DOCKER_HOST=unix://$WORLD/no.sock try L status
	expect 1
	expect_out "engine *$WORLD/no.sock" 'the clients are out of reach while the engine does not answer' 'client1 * unknown' 'tw1 * up'
	# one that hangs is not waited for as long as by a command that needs it
	by_script '{"rules": [{"on": "GET /_ping", "hang": true}]}' timeout 15 "$LABCTL_BIN" --lab t-with status
	expect 1
	expect_out "engine *$WORLD/fake.sock did not answer" 'client1 * unknown' 'tw1 * up'
	DOCKER_HOST=unix://$WORLD/no.sock try L stage-stop
	expect 3 "cannot stop 'two' entirely" "$WORLD/no.sock"
	try L status
	expect 1
	expect_out 'stopping it was not finished' 'mend it: labctl --lab t-with stage-stop'
	try L exec client1 -- true
	expect 125 "stopping lab 't-with' was not finished; what is left of it is removed first" 'no stage is running'
	L stage-start two
	DOCKER_HOST=unix://$WORLD/no.sock try L stage-stop
	[ "$status" -eq 3 ]
	try L stage-stop
	expect 0
	assert_gone t-with
}

@test "image missing: says what to run; nothing left" {
	LABCTL_IMAGE=t-no-such-image try L stage-start two
	expect 3 "the image 't-no-such-image' is not there" "run: sudo $LABCTL_BIN image-build"
	assert_gone t-with
	try L stage-start own-image
	expect 3 "client 'one': the image 't-no-such-image:1' is not there" 'docker images'
	assert_gone t-with
}

# --- clients that do not run ---

@test "a client whose command ends at once: its exit code and what it printed; exit code 4" {
	try L stage-start quits
	expect 4 "client 'one': its command ended at once with exit code 7" 'cannot find my wits'
	assert_gone t-with
}

@test "a client that ends while the lab comes up" {
	try L stage-start quits-soon
	expect 4 "client 'one': its command ended at once" 8
	assert_gone t-with
}

@test "a command that is not in the image: exit code 4, names it" {
	try L stage-start not-there
	expect 4 "client 'one': its command '/no/such/thing' cannot be run" 'no such file'
	assert_gone t-with
}

# --- what is there already ---

@test "an interface that is somebody's: whose it is, exit code 5; it is not touched" {
	ip link add tw1 type veth peer name twp
	ip link set tw1 alias 'the lodger'
	try L stage-start two
	expect 5 "interface 'tw1' is there already and is not labctl's: a veth, called 'the lodger'" \
		'use a seat of your own: labctl --lab t-with stage-start --isolated STAGE'
	[ "$(ip -j link show tw1 | jq -r '.[0].ifalias')" = 'the lodger' ]
	ip link del tw1
	assert_gone t-with
}

@test "an interface of Docker's: the message names the network" {
	id=$(api /networks/create -X POST -H 'Content-Type: application/json' \
		-d '{"Name":"t-with-net","Options":{"com.docker.network.bridge.name":"tw1"},"IPAM":{"Config":[{"Subnet":"198.18.77.0/24"}]}}' | jq -r .Id)
	try L stage-start two
	[ "$(ip -j -d link show tw1 | jq -r '.[0].linkinfo.info_kind')" = bridge ]
	api "/networks/$id" -X DELETE
	expect 5 "interface 'tw1' is there already: it belongs to the Docker network 't-with-net'" 'stage-start --isolated STAGE'
	assert_gone t-with
}

@test "another lab has the interfaces: the next free names, and lab.json and status tell" {
	L stage-start two
	try lab t-with2 --json stage-start two
	second=$(lab t-with2 --json status </dev/null)
	lab t-with2 stage-stop </dev/null
	expect 0
	[ "$(jq -r '.networks.tw1.interface + " " + .networks.tw2.interface' <<<"$output")" = 'tw3 tw4' ]
	[ "$(jq -r '.networks[0] | "\(.name) \(.interface) \(.state)"' <<<"$second")" = 'tw1 tw3 up' ]
	[ "$(jq -c .drift <<<"$second")" = '[]' ]
	# the first one is unharmed
	[ "$(L --json status | jq -c .drift)" = '[]' ]
}

@test "a stranger's container has the name: exit code 5, and it stays" {
	id=$(api '/containers/create?name=labctl-t-with2-client1' -X POST -H 'Content-Type: application/json' \
		-d '{"Image":"labctl/client:latest","NetworkDisabled":true}' | jq -r .Id)
	try lab t-with2 stage-start other
	still=$(container labctl-t-with2-client1 .Id)
	api "/containers/$id?force=1" -X DELETE
	expect 5 "client 'client1': a container 'labctl-t-with2-client1' is there already and is not labctl's" 'docker rename'
	[ "$still" = "$id" ]
	assert_gone t-with2
}

@test "names of two labs that meet: exit code 5 names the other lab, whose container stays" {
	# "t-with-b" and its client "client1" against "t-with" ... "b-client1"
	stage meets <<-'JSON'
		{ "title": "Names that meet",
		  "networks": { "ty1": { "subnet": "198.18.1.0/24", "router": "198.18.1.1" } },
		  "clients": { "b-client1": { "interfaces": { "eth0": { "network": "ty1", "address": "198.18.1.2" } } } } }
	JSON
	L stage-stop
	lab t-with-b stage-start two </dev/null >/dev/null
	try lab t-with stage-start meets
	drift=$(lab t-with-b --json status </dev/null | jq -c .drift)
	lab t-with-b stage-stop </dev/null
	expect 5 "'labctl-t-with-b-client1' is taken by lab 't-with-b'"
	[ "$drift" = '[]' ]
	assert_gone t-with t-with-b
}

# --- two at a time ---

@test "two stage-start of one lab at once: one wins, the other says who is at work; exit code 5" {
	stage pause <<-'JSON'
		{ "title": "A start that waits",
		  "networks": { "tw1": { "subnet": "198.18.1.0/24", "router": "198.18.1.1" } },
		  "clients": { "one": { "interfaces": { "eth0": { "network": "tw1", "address": "198.18.1.2" } }, "start": [ "until [ -e src/go ]; do sleep 0.05; done" ] } } }
	JSON
	"$LABCTL_BIN" --lab t-with stage-start pause >"$BATS_TEST_TMPDIR/first" 2>&1 </dev/null 3>&- &
	first=$!
	wait_for 60 test -e "$LABCTL_STATE/labs/t-with.json"
	try L stage-start pause
	expect 5 "'labctl stage-start' (process $first, user root) is at work on lab 't-with'" 'try again'
	try L stage-stop
	expect 5 "process $first"
	try L --json status
	[ "$(jq -r .state <<<"$output")" = starting ] || { explain; false; }
	try L exec one -- true
	expect 125 "stage 'pause' is starting in lab 't-with'"
	touch "$WORLD/src/go"
	wait "$first"
	grep -q "stage 'pause' is running" "$BATS_TEST_TMPDIR/first"
	L stage-stop
	assert_gone t-with
}

@test "many stage-start at once: exactly one starts, all others are busy" {
	for i in 1 2 3 4 5; do
		{ code=0; L stage-start two >/dev/null 2>&1 || code=$?; echo "$code" >"$BATS_TEST_TMPDIR/code$i"; } 3>&- &
	done
	wait
	# a later one may have found the lab started, and started it anew: 0 too
	[ -z "$(cat "$BATS_TEST_TMPDIR"/code* | grep -v -e '^0$' -e '^5$')" ]
	grep -q '^0$' "$BATS_TEST_TMPDIR"/code*
	[ "$(L --json status | jq -c '[.state, .drift]')" = '["running",[]]' ]
	L stage-stop
}

# --- files that go away ---

@test "the stage's directory deleted while it runs: status tells, everything goes on, stopping works" {
	stage_two doomed tw 198.18
	L stage-start doomed
	rm -r "$WORLD/stages/doomed"
	try L status
	expect 1
	expect_out "the stage's directory '$WORLD/stages/doomed' is gone; the lab runs on without it"
	try L exec client1 -- true
	expect 0
	try L stage-stop
	expect 0
	[ "$output" = "stage 'doomed' is stopped" ]
	assert_gone t-with
}

@test "a damaged record: says which file; exit code 3" {
	L stage-start two
	cp "$LABCTL_STATE/labs/t-with.json" "$WORLD/record"
	for damage in '' '{' '[]' '{"version": 99}'; do
		printf '%s' "$damage" >"$LABCTL_STATE/labs/t-with.json"
		for verb in status stage-stop 'stage-start two' 'exec client1 -- true'; do
			# shellcheck disable=SC2086 # words
			try L $verb
			[ "$status" -eq 3 ] || [ "$status" -eq 125 ]
			[[ $stderr == *"the record '$LABCTL_STATE/labs/t-with.json' is damaged"* ]]
		done
	done
	cp "$WORLD/record" "$LABCTL_STATE/labs/t-with.json"
	L stage-stop
	assert_gone t-with
}

@test "a state directory that cannot be written: exit code 3, nothing left" {
	: >"$WORLD/file"
	LABCTL_STATE=$WORLD/file/state try L stage-start two
	expect 3 "$WORLD/file"
	LABCTL_RUN=$WORLD/file/run try L stage-start two
	expect 3 "$WORLD/file"
	assert_gone t-with
}

# --- dying and interrupts ---

# Ctrl-C (or another signal) after so many milliseconds, or when the stage "long" waits; prints the
# exit code. Python, as bash's background jobs ignore SIGINT, and what they start with them.
signalled() {
	rm -f "$WORLD/src/started"
	/usr/bin/python3 - "$WORLD/src/started" "$LABCTL_BIN" "$@" <<-'PY'
		import os, signal, subprocess, sys, time
		started, binary, name, after, *words = sys.argv[1:]
		if name != "KILL":
		    signal.signal(getattr(signal, "SIG" + name), signal.SIG_DFL)
		p = subprocess.Popen([binary, *words], stdin=subprocess.DEVNULL)
		if after == "when-it-waits":
		    while not os.path.exists(started) and p.poll() is None:
		        time.sleep(0.02)
		else:
		    time.sleep(float(after) / 1000)
		p.send_signal(getattr(signal, "SIG" + name))
		print(p.wait(60))
	PY
}

@test "Ctrl-C at many moments of a start: exit code 130, nothing left; or it was too late" {
	late=0
	for after in 2 10 25 45 65 90 120 150 180 210 240 280 330; do
		try signalled INT "$after" --lab t-with -q stage-start two
		case ${lines[-1]} in
		130)
			[[ $stderr == *'interrupted'* ]] || { explain; false; }
			assert_gone t-with || { echo "after $after ms" >&2; false; }
			;;
		-2) assert_gone t-with ;; # before labctl could say what to do with it
		0)
			late=$((late + 1))
			L stage-stop >/dev/null
			;;
		*)
			explain
			false
			;;
		esac
	done
	[ "$late" -lt 13 ]
}

@test "SIGTERM and SIGHUP likewise" {
	for name in TERM HUP; do
		try signalled "$name" when-it-waits --lab t-with -q stage-start long
		[ "${lines[-1]}" = 130 ]
		assert_gone t-with
	done
}

@test "Ctrl-C during a start command: at once, nothing left" {
	try signalled INT when-it-waits --lab t-with stage-start long
	[ "${lines[-1]}" = 130 ]
	[ "$stderr" = "labctl: interrupted: stage 'long' is not started" ]
	assert_gone t-with
}

@test "Ctrl-C during a stop does not leave half of it" {
	for after in 3 30 80; do
		L stage-start two >/dev/null
		try signalled INT "$after" --lab t-with stage-stop
		L stage-stop >/dev/null 2>&1 || true
		assert_gone t-with
	done
}

@test "kill -9 at many moments of a start: stage-stop cleans up" {
	for after in 5 20 40 60 85 110 140 170 200 240 290; do
		try signalled KILL "$after" --lab t-with -q stage-start two
		code=0
		L stage-stop >"$BATS_TEST_TMPDIR/out" 2>&1 || code=$?
		[ "$code" -eq 0 ] || [ "$code" -eq 6 ] || { cat "$BATS_TEST_TMPDIR/out" >&2; false; }
		wait_for 60 assert_gone t-with || { echo "killed after $after ms" >&2; assert_gone t-with; }
	done
}

@test "kill -9 at many moments of a start: the next start works, and a stop takes all" {
	for after in 15 50 75 100 130 160 190 220; do
		try signalled KILL "$after" --lab t-with -q stage-start two
		try L stage-start two
		[ "$status" -eq 0 ] || { explain; echo "killed after $after ms" >&2; false; }
		[ "$(L --json status | jq -c '[.state, .drift]')" = '["running",[]]' ]
		[ "$(api '/containers/json?all=1&filters=%7B%22label%22%3A%5B%22labctl.lab%3Dt-with%22%5D%7D' | jq length)" -eq 2 ]
		L stage-stop >/dev/null
		assert_gone t-with
	done
}

@test "kill -9 of a stop: the next one finishes it" {
	for after in 2 10 30 60 100; do
		L stage-start two >/dev/null
		try signalled KILL "$after" --lab t-with stage-stop
		code=0
		L stage-stop >/dev/null 2>&1 || code=$?
		[ "$code" -eq 0 ] || [ "$code" -eq 6 ]
		assert_gone t-with
	done
}

@test "status of a start that died: says so and what to do" {
	try signalled KILL when-it-waits --lab t-with -q stage-start long
	try L status
	expect 1
	expect_out 'starting it was not finished' 'mend it: labctl --lab t-with stage-stop'
	try L stage-stop
	expect 0
	assert_gone t-with
}

# A start of stage $1 with an engine that has one container, and these further rules.
start_by_script() {
	local stage=$1 script
	shift
	script='{"rules": ['$(printf '%s, ' "$@")'
		{"on": "GET /containers/json", "json": []},
		{"on": "POST /containers/create", "status": 201, "json": {"Id": "c0ffee"}},
		{"on": "POST /containers/c0ffee/start", "status": 204}]}'
	by_script "$script" L stage-start "$stage"
}

@test "a client's process, or its container, goes while it is wired: which it was, or how it ended" {
	local gone inspected ended
	sleep 0 &
	gone=$!
	wait "$gone"
	inspected='{"on": "GET /containers/c0ffee/json", "json": {"State": {"Running": true, "Pid": '$gone', "ExitCode": 0}}}'
	ended='{"on": "POST /containers/c0ffee/wait", "json": {"StatusCode": 7}, "delay": 0.3}'
	start_by_script two '{"on": "GET /nothing"}'
	expect 3 "client 'client?': *GET /containers/c0ffee/json*(404)"
	assert_gone t-with
	start_by_script two "$inspected"
	expect 3 "client 'client?': its process $gone ended while it was being wired"
	assert_gone t-with
	start_by_script two "$inspected" "$ended"
	expect 3 "client 'client?': its command ended at once with exit code 7"
	assert_gone t-with
	start_by_script quits "$inspected" "$ended"
	expect 4 "client 'one': its command ended at once with exit code 7"
	assert_gone t-with
}

@test "a client that ends once it is wired, of which the engine has yet to hear: how it ended" {
	local wired='until ip route | grep -q default; do sleep 0.02; done' once
	stage ends <<-'JSON'
		{ "title": "A client that ends",
		  "networks": { "tw1": { "subnet": "198.18.1.0/24", "router": "198.18.1.1" } },
		  "clients": { "one": { "interfaces": { "eth0": { "network": "tw1", "address": "198.18.1.2" } },
		               "gateway": "198.18.1.1", "command": [ "some", "thing" ] } } }
	JSON
	{
		unshare -n sh -c "$wired" &
		echo $! >"$BATS_TEST_TMPDIR/pid"
		wait
		touch "$BATS_TEST_TMPDIR/ended"
	} 3>&- &
	wait_for 60 test -s "$BATS_TEST_TMPDIR/pid"
	once='{"on": "GET /containers/json", "times": 1,'
	start_by_script ends "$once \"json\": []}" \
		'{"on": "GET /containers/c0ffee/json", "json": {"State": {"Running": true, "Pid": '"$(<"$BATS_TEST_TMPDIR/pid")"', "ExitCode": 0}}}' \
		"$once \"after\": \"$BATS_TEST_TMPDIR/ended\", \"json\": [{\"Id\": \"c0ffee\", \"Names\": [\"/labctl-t-with-one\"],
			\"State\": \"running\", \"Labels\": {\"labctl.lab\": \"t-with\", \"labctl.book\": \"$LABCTL_STATE\"}}]}" \
		'{"on": "POST /containers/c0ffee/wait", "json": {"StatusCode": 9}}'
	expect 4 "client 'one': its command ended at once with exit code 9"
	assert_gone t-with
}

@test "the engine dies after N requests of a start: exit code 3, one message; then stage-stop cleans up" {
	for n in 0 1 2 3 4 5 6 7 8 9 10 11 12; do
		background "$BATS_TEST_TMPDIR/proxy" listening \
			/usr/bin/python3 "$LABCTL_TREE/tests/lib/dying-engine.py" "$WORLD/dying.sock" "$n"
		DOCKER_HOST=unix://$WORLD/dying.sock try L stage-start two
		kill "$started"
		wait "$started" || true
		[ "$status" -ne 0 ] || break
		expect 3 "labctl: " || { echo "after $n requests" >&2; false; }
		[ "$(grep -c '^labctl: ' <<<"$stderr")" -eq 1 ] || { explain; false; }
		code=0
		L stage-stop >"$BATS_TEST_TMPDIR/out" 2>&1 || code=$?
		[ "$code" -eq 0 ] || [ "$code" -eq 6 ] || { cat "$BATS_TEST_TMPDIR/out" >&2; false; }
		wait_for 60 assert_gone t-with || { echo "after $n requests" >&2; assert_gone t-with; }
	done
	[ "$status" -eq 0 ]
	[ "$n" -ge 6 ]
	L stage-stop >/dev/null
}

@test "a full disk under state and run: exit code 3, nothing left" {
	mkdir "$WORLD/full"
	mount -t tmpfs -o size=16k tmpfs "$WORLD/full"
	mkdir "$WORLD/full/state"
	head -c 100000 /dev/zero >"$WORLD/full/fill" 2>/dev/null || true
	LABCTL_STATE=$WORLD/full/state try L stage-start two
	umount "$WORLD/full"
	expect 3 'no space' 'make room'
	[ -z "$(left t-with)" ]
}

@test "a disk that fills up while a stage runs: stopping takes all down but the leases, and says what gives them back" {
	mkdir -p "$WORLD/full"
	mount -t tmpfs -o size=400k tmpfs "$WORLD/full"
	export LABCTL_STATE=$WORLD/full/state
	L stage-start two
	head -c 1000000 /dev/zero >"$WORLD/full/fill" 2>/dev/null || true
	try L stage-stop
	run_gc() { rm "$WORLD/full/fill"; "$LABCTL_BIN" gc </dev/null; }
	given_back=$(run_gc)
	umount "$WORLD/full"
	expect 3 "cannot stop 'two' entirely: its leases stay until 'labctl gc': no space for the lease book" 'make room'
	[ -z "$(left t-with)" ]
	[[ $given_back == *"removed: leases of lab 't-with'"* ]]
}

@test "a state directory on a read-only file system: that is what is said, also to root" {
	mkdir -p "$WORLD/full"
	mount -t tmpfs -o size=1m tmpfs "$WORLD/full"
	export LABCTL_STATE=$WORLD/full/state
	mount -o remount,ro "$WORLD/full"
	try "$LABCTL_BIN" netport acquire COLOUR red
	none_yet=$status$stderr
	mount -o remount,rw "$WORLD/full"
	"$LABCTL_BIN" netport acquire COLOUR red
	mount -o remount,ro "$WORLD/full"
	try L stage-start two
	umount "$WORLD/full"
	[[ $none_yet == 3*'Read-only file system' ]]
	expect 3 "cannot write the lease book '$LABCTL_STATE/netport.db': Read-only file system"
	[[ $stderr != *sudo* ]]
	[ -z "$(left t-with)" ]
}

@test "nothing is left behind" {
	assert_nothing_left
	[ -z "$(ip -o link | grep -w 't[wy][0-9p]')" ]
}
