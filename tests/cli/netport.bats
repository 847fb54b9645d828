#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# labctl netport, as people and scripts call it.
# shellcheck disable=SC2016 # what inner shells expand
bats_require_minimum_version 1.5.0
load ../lib/helpers

setup_file() {
	world_make
	# ten ports in a row that no program has
	P0=$(PYTHONPATH=$LABCTL_TREE/tests/netport /usr/bin/python3 -c 'import service; print(service.free_ports(10))')
	export P0 P1=$((P0 + 1)) P9=$((P0 + 9))
}
setup() {
	export LABCTL_STATE=$WORLD/state-$BATS_TEST_NUMBER
	me=$(id -un)
}
teardown_file() { world_end; }

netport() { "$LABCTL_BIN" netport "$@"; }
is_free() { ! netport who "$@"; }

# As another user of a shared host, by sudo for labctl alone.
as_sudo_user() {
	local uid=$1
	shift
	SUDO_UID=$uid SUDO_GID=$uid "$LABCTL_BIN" netport "$@"
}

# gives CODE STDOUT STDERR: what the last run gave.
gives() {
	[ "$status" -eq "$1" ] && [ "$output" = "$2" ] && [ "$stderr" = "$3" ] && return
	printf 'status: %s\nstdout: %s\nstderr: %s\n' "$status" "$output" "$stderr"
	return 1
}

# matches TEXT REGEX: the whole text.
hhmm='[0-2][0-9]:[0-5][0-9]'

matches() {
	[[ $1 =~ ^$2$ ]] && return
	printf 'not as expected: %s\n' "$1"
	return 1
}

@test "acquire prints the value and nothing else" {
	run --separate-stderr netport acquire PORT --range 20000-29999
	[ "$status" -eq 0 ] && [ -z "$stderr" ]
	matches "$output" '2[0-9]{4}'
	port=$output
	run --separate-stderr netport who "$port"
	[ "$status" -eq 0 ]
	matches "$output" "port '$port' is leased to '$me' since $hhmm"
}

@test "a conflict names the holder: exit 5; then release: and nobody has it: exit 6" {
	need root
	netport acquire INTERFACE np-net1 --owner lab:lab-b --note stage1
	run --separate-stderr netport acquire INTERFACE np-net1
	[ "$status" -eq 5 ] && [ -z "$output" ]
	matches "$stderr" "labctl: interface 'np-net1' is leased to lab 'lab-b' \(stage1\) since $hhmm"
	run --separate-stderr netport who np-net1
	matches "$output" "interface 'np-net1' is leased to lab 'lab-b' \(stage1\) since $hhmm"
	run --separate-stderr netport release INTERFACE np-net1
	gives 0 '' ''
	run --separate-stderr netport release INTERFACE np-net1
	gives 6 '' "labctl: interface 'np-net1' is not leased"
	run --separate-stderr netport renew INTERFACE np-net1
	gives 6 '' "labctl: interface 'np-net1' is not leased"
	run --separate-stderr netport who np-net1
	gives 6 '' "labctl: nobody holds 'np-net1'"
}

@test "with a range the value is a wish" {
	run --separate-stderr netport acquire VNI 5001 --range 5000-5002
	gives 0 5001 ''
	run --separate-stderr netport acquire VNI 5001 --range 5000-5002
	gives 0 5000 ''
	netport acquire VNI --range 5000-5002
	run --separate-stderr netport acquire VNI --range 5000-5002
	gives 5 '' "labctl: no VNI of '5000-5002' is free
        'labctl netport list VNI' shows who has them"
}

@test "subnets: any free one, and no two that overlap" {
	run --separate-stderr netport acquire SUBNET --range 10.203.0.0/22:24
	gives 0 10.203.0.0/24 ''
	run --separate-stderr netport acquire SUBNET 10.203.0.0/16
	[ "$status" -eq 5 ]
	matches "$stderr" "labctl: subnet '10.203.0.0/16' overlaps '10.203.0.0/24', which is leased to '$me' since $hhmm"
	run --separate-stderr netport who 10.203.0.77
	matches "$output" "subnet '10.203.0.0/24' is leased to '$me' since $hhmm"
	run --separate-stderr netport acquire SUBNET 127.0.0.0/16
	gives 5 '' "labctl: subnet '127.0.0.0/16' is in use: this host has an address in it"
}

@test "what the host uses is refused, unless asked for" {
	run --separate-stderr netport acquire INTERFACE lo
	gives 5 '' "labctl: interface 'lo' is in use: it exists"
	run --separate-stderr netport acquire INTERFACE lo --used-ok
	gives 0 lo ''
}

@test "a port that a program has is passed over" {
	need root unshare python3
	run --separate-stderr unshare -n sh -c '
		ip link set lo up
		exec python3 - "$@"' sh "$LABCTL_BIN" <<-'PY'
		import socket, subprocess, sys
		tcp = socket.create_server(("127.0.0.1", 20000))
		udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
		udp.bind(("::1", 20002))
		acquire = [sys.argv[1], "netport", "acquire", "PORT"]
		for arguments in (["--range", "20000-20002"], ["20000"], ["20002"]):
		    done = subprocess.run(acquire + arguments, capture_output=True, text=True)
		    print(done.returncode, done.stdout.strip(), done.stderr.strip())
	PY
	gives 0 "0 20001 
5  labctl: port '20000' is in use: a program uses it
5  labctl: port '20002' is in use: a program uses it" ''
}

@test "--json: acquire, renew, list, who, pool, release, errors" {
	need jq
	netport acquire COLOUR red --ttl 1h --note 'for me' --json >"$BATS_TEST_TMPDIR/a"
	jq -e '.resource == "COLOUR" and .value == "red" and .note == "for me" and
		.expires - .created == 3600 and .bound_to == null and (.id | type) == "number"' "$BATS_TEST_TMPDIR/a"
	netport renew COLOUR red --json | jq -e '.expires == null and .value == "red"'
	netport list --json | jq -e 'length == 1 and .[0].value == "red"'
	netport who red --json | jq -e --arg me "$me" '.[0].owner == $me'
	netport pool PORT --json | jq -e '.[0] == {"resource": "PORT", "range": "20000-29999", "size": 10000, "leased": 0}'
	run netport acquire COLOUR red --json
	jq -e '.error.kind == "conflict" and .error.exit_code == 5' <<<"$output"
	netport release COLOUR red --json | jq -e '. == {"released": 1}'
	[ "$(netport list --json)" = '[]' ]
	run --separate-stderr netport list
	gives 0 '' ''
}

@test "a lease with a time ends by itself" {
	netport acquire COLOUR red --ttl 1h
	run --separate-stderr netport acquire COLOUR red
	[ "$status" -eq 5 ]
	netport renew COLOUR red --ttl 1
	wait_for 60 is_free COLOUR red
	run --separate-stderr netport acquire COLOUR red --ttl 15m
	gives 0 red ''
	run --separate-stderr netport acquire COLOUR blue --ttl soon
	gives 2 '' "labctl: 'soon' is not a duration
        use seconds, or 90s, 15m, 2h, 1d"
}

@test "a lease with --pid ends with the process" {
	sleep 60 3>&- &
	pid=$!
	netport acquire COLOUR red --pid $pid
	run --separate-stderr netport list COLOUR
	matches "${lines[1]}" "COLOUR    red    $me +$hhmm  process $pid  "
	kill $pid
	wait $pid || true
	run --separate-stderr netport who red
	gives 6 '' "labctl: nobody holds 'red'"
	run --separate-stderr netport acquire COLOUR red --pid $pid
	gives 6 '' "labctl: there is no process $pid"
}

@test "run: ports in the environment, the command's exit code, nothing left" {
	run --separate-stderr netport run --port "A=$P0-$P9" --port B -- \
		sh -c '"$1" netport list PORT; echo "$A $B"; exit 7' sh "$LABCTL_BIN"
	[ "$status" -eq 7 ] && [ -z "$stderr" ]
	matches "${lines[3]}" '[0-9]{5} 2[0-9]{4}'
	[ "${lines[3]% *}" -ge "$P0" ] && [ "${lines[3]% *}" -le "$P9" ]
	[[ $output == *"process "* ]]
	[ -z "$(netport list)" ]
}

@test "run: two at once get two ports" {
	run --separate-stderr netport run --port "P=$P0-$P1" -- "$LABCTL_BIN" netport run --port "Q=$P0-$P1" -- \
		sh -c '[ "$P" != "$Q" ] && echo differ'
	gives 0 differ ''
	run --separate-stderr netport run --port "P=$P0" -- "$LABCTL_BIN" netport run --port "Q=$P0" -- true
	gives 125 '' "labctl: no port of '$P0' is free
        'labctl netport list PORT' shows who has them"
}

@test "run: the lease is gone when the command dies from a signal" {
	run netport run --port "P=$P0-$P9" -- sh -c 'kill -9 $$'
	[ "$status" -eq 137 ]
	[ -z "$(netport list)" ]
}

@test "run: a signal to labctl is the command's" {
	"$LABCTL_BIN" netport run --port "P=$P0" -- \
		sh -c 'trap "exit 9" TERM; touch "$1"; while :; do sleep 0.02; done' sh "$BATS_TEST_TMPDIR/ready" 3>&- &
	pid=$!
	wait_for 60 test -e "$BATS_TEST_TMPDIR/ready"
	netport who PORT "$P0"
	kill -TERM $pid
	status=0
	wait $pid || status=$?
	[ "$status" -eq 9 ]
	[ -z "$(netport list)" ]
}

@test "run: labctl killed, the lease stays the command's as long as it lives" {
	"$LABCTL_BIN" netport run --port "P=$P0" -- \
		sh -c 'echo $$ >"$1"; exec sleep 60' sh "$BATS_TEST_TMPDIR/pid" 3>&- &
	pid=$!
	wait_for 60 test -s "$BATS_TEST_TMPDIR/pid"
	command_pid=$(cat "$BATS_TEST_TMPDIR/pid")
	kill -9 $pid
	wait $pid || true
	run --separate-stderr netport acquire PORT "$P0"
	[ "$status" -eq 5 ]
	kill "$command_pid"
	wait_for 60 is_free PORT "$P0"
	run --separate-stderr netport acquire PORT "$P0"
	gives 0 "$P0" ''
}

@test "run: what cannot be run" {
	run -127 --separate-stderr netport run --port P -- "$WORLD/nothing"
	gives 127 '' "labctl: cannot run '$WORLD/nothing': No such file or directory"
	run --separate-stderr netport run --port P -- "$WORLD"
	gives 126 '' "labctl: cannot run '$WORLD': Permission denied"
	run --separate-stderr netport run -- true
	gives 125 '' "labctl: 'labctl netport run' needs a port
        use --port NAME=RANGE"
	run --separate-stderr netport run --port P --port "P=$P0" -- true
	gives 125 '' "labctl: 'P' names two ports"
	run --separate-stderr netport run --port 1=2 -- true
	gives 125 '' "labctl: '1=2' does not begin with a variable's name
        use --port NAME=RANGE, for example --port PORT=20000-29999"
	run --separate-stderr netport run --port P=x -- true
	gives 125 '' "labctl: 'x' is not a range of PORT: 'x' is not a number from 1 to 65535
        a range of PORT looks like: 20000-29999"
	[ -z "$(netport list)" ]
}

@test "each user gives back only what he took; the real root everything" {
	need root
	as_sudo_user 64001 acquire COLOUR red --owner anna
	as_sudo_user 64001 acquire COLOUR blue --owner anna
	run --separate-stderr as_sudo_user 64002 release COLOUR red
	[ "$status" -eq 5 ]
	matches "$stderr" "labctl: COLOUR 'red' is leased to 'anna' since $hhmm"
	run --separate-stderr as_sudo_user 64002 renew COLOUR red --ttl 1
	[ "$status" -eq 5 ]
	run --separate-stderr as_sudo_user 64002 release --owner anna --json
	gives 0 '{
  "released": 0
}' ''
	run --separate-stderr as_sudo_user 64002 acquire COLOUR green --owner lab:lab-b
	gives 2 '' "labctl: 'lab:lab-b' names a lab
        choose another --owner; labs take their leases themselves"
	run --separate-stderr as_sudo_user 64002 pool PORT 1-9
	gives 3 '' "labctl: changing pools: 'labctl netport pool' is for administrators of this host, not for 'uid64002'
        administrators are root and the users listed in '$LABCTL_HOST_SEAT'"
	as_sudo_user 64001 release COLOUR red
	[ "$(as_sudo_user 64001 list --mine | wc -l)" -eq 2 ]
	[ -z "$(as_sudo_user 64002 list --mine)" ]
	netport release --owner anna
	[ -z "$(netport list)" ]
}

@test "run under sudo is the user's, not root's" {
	need root
	run --separate-stderr as_sudo_user 64001 run --port P -- id -u
	gives 0 64001 ''
}

@test "without root: reading works, writing says how" {
	need root setpriv
	run --separate-stderr setpriv --reuid 64001 --regid 64001 --clear-groups "$LABCTL_BIN" netport list
	gives 0 '' ''
	netport acquire COLOUR red
	run --separate-stderr setpriv --reuid 64001 --regid 64001 --clear-groups "$LABCTL_BIN" netport who red
	[ "$status" -eq 0 ]
	matches "$output" "COLOUR 'red' is leased to '$me' since $hhmm"
	run --separate-stderr setpriv --reuid 64001 --regid 64001 --clear-groups "$LABCTL_BIN" netport acquire COLOUR blue
	gives 3 '' "labctl: 'labctl netport acquire' needs root
        run: sudo $LABCTL_BIN netport acquire COLOUR blue"
	run setpriv --reuid 64001 --regid 64001 --clear-groups "$LABCTL_BIN" needs-root netport acquire PORT
	[ "$status" -eq 0 ]
	run setpriv --reuid 64001 --regid 64001 --clear-groups "$LABCTL_BIN" needs-root netport list
	[ "$status" -eq 1 ]
	# His own book is his own affair.
	install -d -o 64001 "$LABCTL_STATE-own"
	LABCTL_STATE=$LABCTL_STATE-own run --separate-stderr setpriv --reuid 64001 --regid 64001 --clear-groups \
		"$LABCTL_BIN" netport acquire COLOUR blue
	gives 0 blue ''
}

@test "pools: shown, set, used, reset" {
	run --separate-stderr netport pool PORT "$P0-$P0"
	gives 0 '' ''
	run --separate-stderr netport acquire PORT
	gives 0 "$P0" ''
	run --separate-stderr netport pool PORT
	gives 0 "RESOURCE  RANGE        SIZE  LEASED
PORT      $P0-$P0  1     1" ''
	netport pool PORT --reset
	[[ $(netport pool) == *'PORT       20000-29999       10000     0'* ]]
	run --separate-stderr netport acquire COLOUR
	gives 6 '' "labctl: COLOUR has no pool
        give a range (--range), or a pool: labctl netport pool COLOUR RANGE"
	run --separate-stderr netport pool PORT 9-8
	gives 2 '' "labctl: '9-8' is not a range of PORT: 9 comes after 8
        a range of PORT looks like: 20000-29999"
	run --separate-stderr netport pool PORT 1-2 --reset
	gives 2 '' 'labctl: give a range, or --reset
        usage: labctl netport pool RESOURCE RANGE|--reset'
}

@test "a damaged or newer book: said, and left as it is" {
	need sqlite3
	netport acquire COLOUR red
	sqlite3 "$LABCTL_STATE/netport.db" 'PRAGMA user_version=9'
	run --separate-stderr netport acquire COLOUR blue
	gives 3 '' "labctl: the lease book '$LABCTL_STATE/netport.db' has version 9, this labctl knows up to 3
        it was left as it is; use the newer labctl that wrote it, or choose another place with LABCTL_STATE"
	rm -f "$LABCTL_STATE"/netport.db*
	echo garbage >"$LABCTL_STATE/netport.db"
	for verb in list 'acquire COLOUR red'; do
		# shellcheck disable=SC2086 # words
		run --separate-stderr netport $verb
		[ "$status" -eq 3 ]
		[[ $stderr == "labctl: the lease book '$LABCTL_STATE/netport.db' is damaged: file is not a database"* ]]
	done
	[ "$(cat "$LABCTL_STATE/netport.db")" = garbage ]
}

@test "wrong command lines: exit 2, and what was meant" {
	run --separate-stderr netport
	gives 2 '' "labctl: 'labctl netport' needs a verb
        see 'labctl help netport'"
	run --separate-stderr netport aquire PORT
	gives 2 '' "labctl: 'labctl netport' has no verb 'aquire'
        did you mean 'labctl netport acquire'?"
	run --separate-stderr netport acquire
	gives 2 '' "labctl: 'labctl netport acquire' needs RESOURCE [VALUE]
        usage: labctl netport acquire RESOURCE [VALUE]"
	run --separate-stderr netport acquire port
	gives 2 '' "labctl: 'port' is not the name of a resource
        PORT, INTERFACE, SUBNET, MAC, VNI, NETNS, LAB, PATH, PROCESS, or one of your own: up to 32 of A-Z 0-9 _ . -"
	run --separate-stderr netport acquire PORT 0
	gives 2 '' "labctl: not a value of PORT: '0' is not a number from 1 to 65535"
	run --separate-stderr netport acquire PORT --rang 1-2
	gives 2 '' "labctl: there is no option '--rang' for netport acquire
        did you mean '--range'?"
	run --separate-stderr netport release
	gives 2 '' "labctl: what is to be released?
        give RESOURCE and VALUE, or --owner NAME alone"
	run --separate-stderr netport list --match '('
	gives 2 '' "labctl: '(' is not a regular expression: Unmatched ( or \("
}

@test "help and completion know the verbs of the group" {
	run --separate-stderr "$LABCTL_BIN" help netport
	[ "$status" -eq 0 ]
	for verb in acquire renew release list who pool run; do
		[[ $output == *$'\n'"  $verb "* ]]
		"$LABCTL_BIN" help netport "$verb" | grep -q "^usage: labctl netport $verb"
		netport "$verb" --help | grep -q "^usage: labctl netport $verb"
	done
	run --separate-stderr "$LABCTL_BIN" help status list
	gives 2 '' "labctl: 'labctl status' has no verbs of its own"
	PATH=$(dirname "$LABCTL_BIN"):$PATH run bash -c '
		. <(labctl completion bash)
		t() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _labctl; echo "${COMPREPLY[*]}"; }
		t labctl netport re
		t labctl netport acquire P
		t labctl netport acquire --t'
	[ "$output" = $'renew release\nPORT PATH PROCESS\n--ttl' ]
}
