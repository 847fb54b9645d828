#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# labctl grade: good and bad submissions side by side, and some that want to do harm. Each gets its
# report, none disturbs another, nothing is left behind.
# shellcheck disable=SC2016 # what submissions are made of
bats_require_minimum_version 1.5.0
load ../lib/helpers

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
		  "checks": [
		    { "use": "arp.reply" },
		    { "use": "ipv4.forward", "from": "client1", "to": "client2", "points": 3 },
		    { "use": "ipv4.checksum", "points": 2 }
		  ]
		}
	JSON
	chmod 700 "$WORLD/src" && echo secret >"$WORLD/src/secret"
	gradings | sort >"$WORLD/before" || true
	if has root && has engine && has image; then
		make_submissions
		"$LABCTL_BIN" grade small --submissions "$WORLD/subs" --out "$WORLD/out" -j 6 --seed 7 --timeout 300 \
			--csv "$WORLD/out.csv" --json "$WORLD/out.json" >"$WORLD/out.txt" 2>"$WORLD/out.err" </dev/null || status=$?
		echo "${status-0}" >"$WORLD/out.status"
	fi
}
setup() { need root engine image jq; }
teardown_file() { world_end; }

# sub DIRECTORY/NAME [FILE]: a submission of one file, from stdin; router.py, or an executable.
sub() {
	local file=$WORLD/$1/${2-router.py}
	mkdir -p "$WORLD/$1"
	cat >"$file"
	[ $# -eq 1 ] || chmod +x "$file"
}

# correct DIRECTORY/NAME...
correct() {
	local name
	for name in "$@"; do
		sub "$name" <"$LABCTL_TREE/tests/routers/stage1_reference.py"
	done
}

make_submissions() {
	correct subs/correct 'subs/Ünal, A. "x" (17)'
	sub subs/mutant stage1_mutants.py <"$LABCTL_TREE/tests/routers/stage1_mutants.py"
	sub subs/mutant stage1_reference.py <"$LABCTL_TREE/tests/routers/stage1_reference.py"
	cp -r "$LABCTL_TREE/tests/routers/lib" "$LABCTL_TREE/tests/routers/stage1" "$WORLD/subs/mutant"
	sub subs/mutant run <<<$'#!/bin/sh\nexec python3 stage1_mutants.py ipv4-checksum-kept'
	echo "a name for sha256sum" >"$WORLD/subs/correct/"$'two\nlines\\'
	sub subs/unpacked <<<"#!/bin/sh"
	mv "$WORLD/subs/unpacked/router.py" "$WORLD/subs/unpacked/run"
	mkdir "$WORLD/subs/empty" "$WORLD/subs/=1+cmd|' '!A1, B"
	sub subs/crash <<<'raise RuntimeError("my wits have ended")'
	sub $'subs/caf\xe9' <<<$'import os\nos.write(1, b"\\xff\\x1b[2Jgarbled\\xc3\\n")\nos._exit(9)'
	sub subs/silent <<<$'import time\ntime.sleep(1000)'
	sub subs/fork-bomb <<-'PY'
		import os
		while True:
		    try:
		        os.fork()
		    except OSError:
		        pass
	PY
	sub subs/memory <<-'PY'
		hoard = []
		while True:
		    hoard.append(bytearray(16 << 20))
	PY
	sub subs/talks run <<<$'#!/bin/sh\nexec yes "all work and no play"'
	sub subs/stubborn <<-'PY'
		import signal, time
		for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
		    signal.signal(number, signal.SIG_IGN)
		while True:
		    time.sleep(1)
	PY
	sub subs/kills run <<<$'#!/bin/sh\nkill -9 -1\nkill -9 1\nexec sleep 1000'
	sub subs/removes run <<-'SH'
		#!/bin/sh
		rm -rf --no-preserve-root / 2>/dev/null
		exec sleep 1000
	SH
	sub subs/forwards run <<-'SH'
		#!/bin/sh
		echo 1 >/proc/sys/net/ipv4/ip_forward
		exec sleep 1000
	SH
	spy | sub subs/spy run
}

# Says what it finds, then is a correct router.
spy() {
	printf '#!/bin/sh\nworld=%s tree=%s\n' "$WORLD" "$LABCTL_TREE"
	cat <<-'SH'
		echo "id $(id -u) groups $(id -G | wc -w)"
		grep -E '^(CapBnd|CapAmb|NoNewPrivs)' /proc/self/status
		echo "environment $(env | sort | cut -d= -f1 | tr '\n' ' ')"
		echo "links $(ls /sys/class/net | tr '\n' ' ')"
		echo "processes $(ls -d /proc/[0-9]* | wc -l)"
		for path in "$world" "$tree/tests" /run/docker.sock /var/run/docker.sock /run/netns /var/lib/docker; do
			[ ! -e "$path" ] || echo "sees $path"
		done
		for path in /root /home /run /mnt; do
			echo "in $path: $(ls -A "$path" | tr '\n' ' ')"
		done
		for path in /etc/x /usr/x /mnt/x /dev/x /x; do
			! touch "$path" 2>/dev/null || echo "writes $path"
		done
		touch /tmp/x x && echo writes its own
		unshare -r true 2>/dev/null && echo is root somewhere
		jq -r .stage "$LAB_FILE" 2>/dev/null || grep -o '"stage": *"[a-z]*"' "$LAB_FILE"
	SH
	echo 'exec python3 - <<"PY"'
	cat "$LABCTL_TREE/tests/routers/stage1_reference.py"
	echo PY
}

# result NAME FILTER: of its result.json.
result() { jq -r "$2" "$WORLD/out/$1/result.json"; }

# graded NAME SCORE REASON-PATTERN
graded() {
	local got
	got=$(result "$1" '"\(.status) \(.score)/\(.max_score) \(.reason)"')
	# shellcheck disable=SC2053 # a pattern
	if [[ $got != "graded $2/6 "$3 ]]; then
		printf '%s: %s\n' "$1" "$got" >&2
		cat "$WORLD/out/$1/"{report,transcript}.txt "$WORLD/out.err" >&2
		return 1
	fi
}

# Labs, namespaces, control groups, processes of gradings.
gradings() {
	find "$LABCTL_STATE/labs" -name 'grade-*' 2>/dev/null
	find /sys/fs/cgroup -maxdepth 2 -name 'labctl-grade-*' 2>/dev/null
	find /run/netns -name 'labctl-grade-*' 2>/dev/null
	local pid
	for pid in $(pgrep -f 'labctl .* grade-one'); do
		! tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null | grep -q -x "LABCTL_STATE=$LABCTL_STATE" || echo "process $pid"
	done
}

# What somebody else grades meanwhile is not ours.
assert_no_gradings() {
	local found
	found=$(gradings | sort | comm -13 "$WORLD/before" -)
	if [ -n "$found" ]; then
		printf 'left:\n%s\n' "$found" >&2
		return 1
	fi
}

@test "the exit code says that some could not be graded, the table which and why" {
	[ "$(cat "$WORLD/out.status")" = 3 ]
	[ ! -s "$WORLD/out.err" ]
	grep -q -E '^empty +- .* error: no program found$' "$WORLD/out.txt"
	grep -q -E "^unpacked +- .* error: no program found: 'run' is not executable$" "$WORLD/out.txt"
	grep -q -E '^correct +6/6 +3 +0 +0 +0 +[0-9.]+$' "$WORLD/out.txt"
	grep -q -E '^14 of 17 graded \(small, seed 7, ' "$WORLD/out.txt"
}

@test "correct ones have full points, whoever runs beside them" {
	graded correct 6 null
	graded 'Ünal, A. "x" (17)' 6 null
	[ "$(result correct .sha256)" = "$(cd "$WORLD/subs/correct" &&
		find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)" ]
}

@test "a broken one: its fault is named, with a capture of the failed check alone" {
	graded mutant 4 'ipv4.checksum: *the IP header checksum is *'
	[ "$(cd "$WORLD/out/mutant" && echo *.pcap)" = ipv4.checksum.pcap ]
	grep -q 'FAIL  ipv4.checksum' "$WORLD/out/mutant/report.txt"
	tcpdump -nr "$WORLD/out/mutant/ipv4.checksum.pcap" 2>/dev/null | grep -q '198.18'
}

@test "a crash: its last words" {
	graded crash 0 'arp.reply: your program ended (exit code 1) before it answered anything: RuntimeError: my wits have ended'
	grep -q 'RuntimeError: my wits have ended' "$WORLD/out/crash/transcript.txt"
}

@test "names and output that are no text do no harm" {
	[ "$(jq -r '.submissions[] | select(.name == "caf?") | .reason' "$WORLD/out.json")" = \
		'arp.reply: your program ended (exit code 9) before it answered anything: ??[2Jgarbled?' ]
	grep -q -a -E '^caf\? +0/6 ' "$WORLD/out.txt"
	run ! grep -a $'\e' "$WORLD/out.txt"
	grep -q -x $'caf?,graded,0,6,0,0,0\r' "$WORLD/out.csv"
}

@test "a memory hog is killed by its own limit, and told so" {
	graded memory 0 'arp.reply: your program ended (signal 9 (Killed)) before it answered anything: killed: it took more than 512 MB of memory'
	[ "$(result memory .limits.killed_for_memory)" -ge 1 ]
}

@test "a fork bomb has 64 processes" {
	graded fork-bomb 0 'arp.reply: the router did not answer *'
	[ "$(result fork-bomb .limits.forks_refused)" -ge 1 ]
}

@test "endless output: the transcript ends at 1 MiB" {
	graded talks 0 'arp.reply: the router did not answer *'
	[ "$(stat -c %s "$WORLD/out/talks/transcript.txt")" -lt 1100000 ]
	tail -n 1 "$WORLD/out/talks/transcript.txt" | grep -q 'the transcript ends here'
}

@test "silent, deaf to signals, kill -9 -1, rm -rf /: no points, and that is all" {
	local name
	for name in silent stubborn kills removes; do
		graded "$name" 0 'arp.reply: *'
	done
	[ -s "$WORLD/subs/removes/run" ]
	[ -s "$WORLD/src/secret" ]
}

@test "who wants the kernel to forward finds /proc/sys read-only" {
	graded forwards 0 'arp.reply: the router did not answer *'
	grep -q "cannot create /proc/sys/net/ipv4/ip_forward: Read-only file system" "$WORLD/out/forwards/transcript.txt"
}

@test "what a program finds: its own files, its own networks, nobody else" {
	local said=$WORLD/out/spy/transcript.txt
	graded spy 6 null
	grep -q -E '^id 1[0-9]{9} groups 1$' "$said"
	grep -q -E '^CapBnd:	0000000000002000$' "$said"
	grep -q -E '^NoNewPrivs:	1$' "$said"
	grep -q -x 'environment HOME LAB_FILE LANG PATH PWD PYTHONUNBUFFERED ' "$said"
	grep -q -x 'links lo net1 net2 ' "$said"
	grep -q -x -E 'processes [2-5]' "$said"
	grep -q -x 'in /run: ' "$said"
	grep -q -x 'in /root: ' "$said"
	grep -q -x 'in /mnt: lab.json submission ' "$said"
	grep -q -x 'writes its own' "$said"
	run ! grep -E '^(sees|writes /|is root)' "$said"
}

@test "CSV: a row for each, a column for each check" {
	[ "$(head -n 1 "$WORLD/out.csv")" = $'name,status,score,max,arp.reply,ipv4.forward,ipv4.checksum\r' ]
	grep -q -x $'mutant,graded,4,6,1,3,0\r' "$WORLD/out.csv"
	grep -q -x $'empty,error,,6,,,\r' "$WORLD/out.csv"
	grep -q -x "\"'=1+cmd|' '!A1, B\",error,,6,,,"$'\r' "$WORLD/out.csv" # no formula
	grep -q -x $'"Ünal, A. ""x"" (17)",graded,6,6,1,3,2\r' "$WORLD/out.csv"
	[ "$(wc -l <"$WORLD/out.csv")" -eq 18 ]
}

@test "JSON: which labctl, stage, seed; signed off by its SHA-256" {
	[ "$(jq -r '"\(.stage) \(.seed) \(.graded) \(.not_graded) \(.labctl)"' "$WORLD/out.json")" = \
		"small 7 14 3 $(cat "$LABCTL_TREE/VERSION")" ]
	[ "$(jq -r .stage_sha256 "$WORLD/out.json")" = "$(sha256sum <"$WORLD/stages/small/stage.json" | cut -d' ' -f1)" ]
	[ "$(jq -r '.submissions[] | select(.name == "mutant") | .checks[] | select(.status == "fail") | .id' "$WORLD/out.json")" = ipv4.checksum ]
	grep -q -x "SHA-256 of $WORLD/out.json: $(sha256sum <"$WORLD/out.json" | cut -d' ' -f1)" "$WORLD/out.txt"
}

@test "nothing is left of them" { assert_no_gradings; }

@test "--run with {}, and the time limit: the other one is graded" {
	local pid
	correct subs2/good
	sub subs2/bad prog.py <<<$'import time\nprint("here", flush=True)\ntime.sleep(1000)'
	mv "$WORLD/subs2/good/router.py" "$WORLD/subs2/good/prog.py"
	"$LABCTL_BIN" grade small --submissions "$WORLD/subs2" --out "$WORLD/out2" -j 2 --timeout 20 \
		--run 'exec python3 {}/prog.py' >"$WORLD/out2.txt" 2>&1 </dev/null 3>&- &
	pid=$!
	wait_for 60 grep -q here "$WORLD/out2/bad/transcript.txt"
	# However fast the machine is: this grading comes to no end.
	kill -STOP "$(pgrep -P "$pid" -f -- "--lab=grade-$pid-1 grade-one")"
	status=0
	wait "$pid" || status=$?
	[ "$status" -eq 3 ]
	output=$(<"$WORLD/out2.txt")
	expect_out 'timeout: not done after 20 s' 'good ' ' 6/6 '
	assert_no_gradings
}

@test "an interrupt takes all labs down" {
	local pid
	sub subs3/one <<<$'import time\nprint("here", flush=True)\ntime.sleep(1000)'
	sub subs3/two <"$WORLD/subs3/one/router.py"
	"$LABCTL_BIN" grade small --submissions "$WORLD/subs3" --out "$WORLD/out3" -j 2 >/dev/null 2>"$WORLD/err3" </dev/null 3>&- &
	pid=$!
	wait_for 60 grep -q here "$WORLD/out3/one/transcript.txt"
	kill -TERM "$pid"
	status=0
	wait "$pid" || status=$?
	[ "$status" -eq 130 ]
	grep -q 'interrupted by SIGTERM' "$WORLD/err3"
	assert_no_gradings
}

@test "a grader that is killed: its lab is taken down, the others are graded" {
	local pid worker
	sub subs4/a <"$WORLD/subs3/one/router.py"
	correct subs4/b
	"$LABCTL_BIN" grade small --submissions "$WORLD/subs4" --out "$WORLD/out4" -j 1 >"$WORLD/out4.txt" 2>&1 </dev/null 3>&- &
	pid=$!
	wait_for 60 grep -q here "$WORLD/out4/a/transcript.txt"
	worker=$(pgrep -P "$pid" -f grade-one)
	kill -KILL "$worker"
	status=0
	wait "$pid" || status=$?
	[ "$status" -eq 3 ]
	[ "$(jq -r .reason "$WORLD/out4/a/result.json")" = 'the grading ended by signal 9' ]
	[ "$(jq -r '"\(.status) \(.score)"' "$WORLD/out4/b/result.json")" = 'graded 6' ]
	assert_no_gradings
}

@test "files are read and written with the caller's rights" {
	correct subs5/good
	ln -s "$WORLD/src/secret" "$WORLD/subs5/good/secret"
	mkdir "$WORLD/out5"
	chown -R -h 4242:4242 "$WORLD/subs5" "$WORLD/out5"
	chmod -R go= "$WORLD/subs5"
	SUDO_UID=4242 SUDO_GID=4242 try "$LABCTL_BIN" grade small --submissions "$WORLD/subs5" --out "$WORLD/out5"
	expect 0
	expect_out ' 6/6 '
	[ -z "$(find "$WORLD/out5" ! -user 4242)" ]
	SUDO_UID=4242 SUDO_GID=4242 try "$LABCTL_BIN" grade small --submissions "$WORLD/src" --out "$WORLD/out5"
	expect 3 "cannot open the submissions' directory '$WORLD/src': Permission denied"
	SUDO_UID=4242 SUDO_GID=4242 try "$LABCTL_BIN" grade small --submissions "$WORLD/subs5" --out "$WORLD/stages/x"
	expect 3 "cannot make the directory '$WORLD/stages/x': Permission denied"
}

@test "what makes no sense is said before anything starts" {
	try "$LABCTL_BIN" grade small
	expect 2 'where are the submissions?' '--submissions DIR'
	try "$LABCTL_BIN" grade --submissions "$WORLD/subs5"
	expect 2 'which stage?'
	try "$LABCTL_BIN" grade smal --submissions "$WORLD/subs5"
	expect 6 "no stage 'smal'" "did you mean 'small'?"
	try "$LABCTL_BIN" grade small --submissions "$WORLD/subs5" --out "$WORLD/subs5/out"
	expect 2 'the results would be among the submissions'
	rmdir "$WORLD/subs5/out"
	try "$LABCTL_BIN" grade small --submissions "$WORLD/src"
	expect 6 'there are no submissions in'
	try "$LABCTL_BIN" grade small --submissions "$WORLD/subs5" -j 0
	expect 2 '--jobs'
	mkdir "$WORLD/stages/wrong"
	sed 's/ipv4.forward/ipv4.foward/' "$WORLD/stages/small/stage.json" >"$WORLD/stages/wrong/stage.json"
	try "$LABCTL_BIN" grade wrong --submissions "$WORLD/subs5"
	expect 4 "there is no check 'ipv4.foward'" "did you mean 'ipv4.forward'?"
}

@test "nothing is left behind" { assert_nothing_left; }
