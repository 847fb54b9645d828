#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The verb check with a lab, as a student uses it.
bats_require_minimum_version 1.5.0
load ../lib/helpers

setup_file() {
	world_make
	use_lab t-chk
	stage two <<-'JSON'
		{
		  "title": "Two to be checked",
		  "networks": {
		    "tc1": { "subnet": "198.18.1.0/24", "router": "198.18.1.1" },
		    "tc2": { "subnet": "198.18.2.0/24", "router": "198.18.2.1" }
		  },
		  "clients": {
		    "client1": { "interfaces": { "eth0": { "network": "tc1", "address": "198.18.1.2" } }, "gateway": "198.18.1.1" },
		    "client2": { "interfaces": { "eth0": { "network": "tc2", "address": "198.18.2.2" } }, "gateway": "198.18.2.1" }
		  },
		  "checks": [ { "use": "arp.reply" }, { "use": "ipv4.forward" }, { "use": "ipv4.ttl" } ]
		}
	JSON
	has root && has engine && has image || return 0
	lab t-chk stage-start --isolated two >&2 </dev/null
}

teardown_file() { world_end; }

setup() { need root engine image; }

C() { lab t-chk check "$@" </dev/null; }
broken() { printf 'python3 %s/tests/routers/stage1_mutants.py %s' "$LABCTL_TREE" "$1"; }

@test "--only: what the check needs is tried, and told of when it was not passed" {
	try C --only ipv4.ttl --run "$(broken ipv4-ttl-kept)"
	expect 1
	expect_out 'FAIL  ipv4.ttl' '0 of 1 passed'
	[[ $output != *arp.reply* ]]
	try C --only ipv4.ttl --run "$(broken arp-reply-not-unicast)"
	expect 0
	[[ $output != *arp.reply* ]]
	try C --only ipv4.ttl --run "$(broken ipv4-forward-not)"
	expect 1
	expect_out 'FAIL  ipv4.forward' 'wait  ipv4.ttl *waits for ipv4.forward' '0 of 2 passed'
}

@test "--failed: what failed last time, and that was both" {
	try C --failed --run "$(broken ipv4-ttl-kept)"
	expect 1
	expect_out 'pass  ipv4.forward' 'FAIL  ipv4.ttl' '1 of 2 passed'
	try C --failed --run "$(broken ipv4-ttl-kept)"
	expect 1
	expect_out 'FAIL  ipv4.ttl' '0 of 1 passed'
}

# Two gradings for a file that is saved, the first failing check's and all.
@test "--watch --hint: one more hint each time a file is saved" {
	rm -r "$LABCTL_STATE/grade"
	background "$BATS_TEST_TMPDIR/out" 'save a file to grade again' \
		"$LABCTL_BIN" --lab t-chk check --watch --hint --run "$(broken ipv4-forward-not)"
	said() { [ "$(grep -c 'save a file to grade again' "$BATS_TEST_TMPDIR/out")" -eq "$1" ]; }
	grep -q 'Hint 1' "$BATS_TEST_TMPDIR/out"
	run ! grep -q 'Hint 2' "$BATS_TEST_TMPDIR/out"
	echo '#' >"$WORLD/src/router.py"
	wait_for 60 said 2
	kill "$started"
	wait "$started" || true
	[ "$(grep -c 'FAIL  ipv4.forward' "$BATS_TEST_TMPDIR/out")" -eq 3 ]
	[ "$(grep -c 'Hint 2' "$BATS_TEST_TMPDIR/out")" -eq 1 ]
	run ! grep -q 'Hint 3' "$BATS_TEST_TMPDIR/out"
}

@test "--run: the real root's program has CAP_NET_RAW alone, too" {
	try C --only arp.reply --run "cat /proc/self/status >$BATS_TEST_TMPDIR/graded"
	expect 1
	grep -q '^Uid:	0	' "$BATS_TEST_TMPDIR/graded"
	for set in CapInh CapPrm CapEff CapBnd CapAmb; do
		grep -qx "$set:	0000000000002000" "$BATS_TEST_TMPDIR/graded"
	done
}

@test "--run: a file that is not there is named once, with the directory; nothing is graded" {
	cd "$WORLD/src"
	for command in './absent' 'python3 src/absent.py' 'exec python3 -u ./absent.py --fast' 'sh run.sh'; do
		file=$(grep -oE '[./a-z]*(absent|run)[.a-z]*' <<<"$command")
		try C --only arp.reply --run "$command"
		[ "$status" -eq 3 ] || { explain; false; }
		[ -z "$output" ]
		[ "$stderr" = "labctl: there is no file '$file' in '$WORLD/src'" ]
	done
	try C --only arp.reply --run 'python3 /nowhere/router.py'
	[ "$status" -eq 3 ]
	[ "$stderr" = "labctl: there is no file '/nowhere/router.py'" ]
	try C --only arp.reply --run nosuchprogram
	[ "$status" -eq 3 ]
	[ "$stderr" = 'labctl: your program could not be started: /bin/sh: 1: nosuchprogram: not found' ]
	cd "$WORLD"
	: >"$WORLD/src/mine.py"
	: >"$WORLD/src/starter.py"
	try C --only arp.reply --run 'python3 mine.py'
	expect 3 "there is no file 'mine.py' in '$WORLD'" "did you mean 'src/mine.py'?"
	try C --only arp.reply --run 'python3 src/absent.py'
	expect 3 "there is no file 'src/absent.py'" 'begin with the starter: cp src/starter.py src/absent.py'
	try C --only arp.reply --run src/mine.py
	expect 3 'Permission denied' 'it is not executable: chmod +x src/mine.py, or python3 src/mine.py'
	rm "$WORLD/src/mine.py" "$WORLD/src/starter.py"
	cd "$WORLD/src"
	# a program that misses a file of its own is another thing
	try C --only arp.reply --run 'echo "router.py: table.txt: No such file or directory" >&2; exit 2 # router.py'
	expect 1
	cd "$LABCTL_TREE"
}

@test "--run: sudo and labctl run do not stand before the program" {
	for command in 'sudo python3 src/router.py' '/usr/bin/sudo -E ./router'; do
		try C --only arp.reply --run "$command"
		expect 2 "leave 'sudo' out of --run"
	done
	for command in 'labctl run -- python3 src/router.py' "$LABCTL_BIN --lab t-chk run -- ./router"; do
		try C --only arp.reply --run "$command"
		expect 2 "leave 'labctl run --' out of --run"
	done
}

@test "a notice is in the JSON report and in the TAP report, too" {
	try C --json --only arp.reply --run 'exec sleep 100'
	[ "$status" -eq 1 ]
	[[ $(jq -r .notice <<<"$output") == 'Your program has no packet socket that listens on tc1, tc2.'* ]]
	try C --tap --only arp.reply --run 'exec sleep 100'
	[ "$status" -eq 1 ]
	[[ ${lines[3]} == '# Your program has no packet socket that listens on tc1, tc2.'* ]]
	try C --json --only arp.reply --run "python3 $LABCTL_TREE/tests/routers/stage1_reference.py"
	expect 0
	[ "$(jq .notice <<<"$output")" = null ]
}

@test "-v: a ladder of frames; --pcap: what passed everywhere, with comments" {
	dir=$BATS_TEST_TMPDIR/frames
	LC_ALL=C.UTF-8 try C -v --run "$(broken ipv4-forward-one-way)" --pcap "$dir"
	[ "$status" -eq 1 ]
	expect_out 'sent      on tc2: 198.18.2.2 > 198.18.1.2 UDP' 'Your program sent nothing after that' \
		'client1  router      client2' '│──────────→│' \
		'│←╌╌╌╌╌╌╌╌╌╌│           │  missing: 198.18.2.2 > 198.18.1.2 UDP'
	LC_ALL=C try C --run "$(broken ipv4-forward-one-way)"
	[[ $output != *missing:* ]]
	tcpdump -nr "$dir/ipv4.forward.pcap" 2>/dev/null | grep -q 'IP 198.18.1.2.* > 198.18.2.2.*: UDP'
	for text in client1/eth0 client2/eth0 'sent by labctl' \
		'missing: 198.18.2.2 > ' 'to client1' 'fail ipv4.forward: the router did not deliver'; do
		grep -qaF -- "$text" "$dir/ipv4.forward.pcap" || echo "not in the capture: $text"
		grep -qaF -- "$text" "$dir/ipv4.forward.pcap"
	done
	tcpdump -nr "$dir/arp.reply.pcap" 2>/dev/null | grep -q 'Request who-has 198.18.1.1'
}

@test "--keep-output: what the program prints stands with its check, and steers no terminal" {
	try C --keep-output --run "printf 'hullo \\033[31mred\\n'; $(broken ipv4-ttl-kept)"
	expect 1
	expect_out 'Your program said meanwhile:' '| hullo ?[31mred'
	try C --run "printf 'hullo\\n'; $(broken ipv4-ttl-kept)"
	[[ $output != *hullo* ]]
	try C --json --keep-output --run "printf 'hullo \\377\\n'; $(broken ipv4-ttl-kept)"
	[ "$(jq -r '.checks[0].output' <<<"$output" | head -1)" = 'hullo ?' ]
}

@test "--only: a check that the stage does not ask for" {
	try C --only robust.thousand --run "$(broken robust-thousand-stops)"
	expect 1
	expect_out 'FAIL  robust.thousand' '0 of 1 passed'
	try C --only icmp.echo.fields --run "$(broken ipv4-ttl-kept)"
	expect 0
	expect_out '1 of 1 passed'
	try C --only lpm.default --run true
	expect 6 "stage 'two' does not ask for 'lpm.default', nor can it be tried there"
}

@test "--replay: a check's frames again and again, for a program in another terminal" {
	try C --replay ipv4.ttl --run true
	expect 2 '--replay or --run, not both' 'labctl --lab t-chk run -- COMMAND'
	try C --replay ipv4.tll
	expect 6 "there is no check 'ipv4.tll'" "did you mean 'ipv4.ttl'?"
	[ -z "$output" ]
	try C --replay lpm.match
	expect 6 "stage 'two' does not ask for 'lpm.match', nor can it be tried there" 'routes'
	[ -z "$output" ]
	PYTHONUNBUFFERED=1 background "$BATS_TEST_TMPDIR/router" 'routing between' \
		"$LABCTL_BIN" --lab t-chk run -- python3 "$LABCTL_TREE/tests/routers/stage1_mutants.py" ipv4-ttl-kept
	router=$started
	background "$BATS_TEST_TMPDIR/out" 'round 2 is over' \
		"$LABCTL_BIN" --lab t-chk check --replay ipv4.ttl --seed 5
	kill "$started"
	wait "$started" || true
	kill "$router"
	wait "$router" || true
	grep -q '^ipv4.ttl, seed 5' "$BATS_TEST_TMPDIR/out"
	grep -q '  client1 > router: 198.18.1.2 > 198.18.2.2 UDP .* ttl 64, 32 bytes$' "$BATS_TEST_TMPDIR/out"
	grep -q '  router > client2: 198.18.1.2 > 198.18.2.2 UDP .* ttl 64, 32 bytes$' "$BATS_TEST_TMPDIR/out"
	[ "$(grep -c 'FAIL  ipv4.ttl' "$BATS_TEST_TMPDIR/out")" -ge 2 ]
}

@test "a client that is gone: what mends it" {
	api /containers/labctl-t-chk-client1?force=1 -X DELETE
	try C
	expect 3 "client 'client1': its container 'labctl-t-chk-client1' is gone" 'labctl --lab t-chk repair'
	try lab t-chk exec client1 -- true
	expect 125 "client 'client1'" 'bring it back: labctl --lab t-* repair'
	api /containers/labctl-t-chk-client2/kill -X POST
	lab t-chk repair >&2
	api /containers/labctl-t-chk-client2/kill -X POST
	try C
	expect 3 "client 'client2': its container 'labctl-t-chk-client2' does not run" 'labctl --lab t-chk repair'
}

@test "nothing is left behind" {
	lab t-chk stage-stop >&2
	rm -r "$LABCTL_STATE/grade" # the grader's memory outlives a lab
	assert_nothing_left
}
