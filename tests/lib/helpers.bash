# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2154 # status, output, stderr: bats sets them
#
# For the tests of labs. Each file has a world of its own: state, run directory, src, stages, labs
# with unusual names and interfaces, so that it never meets a lab that somebody runs meanwhile.
#
#   setup_file()    { world_make; stage two <<'JSON' ... JSON; }
#   setup()         { need root engine image; }
#   teardown_file() { world_end; }
#   @test "nothing is left behind" { assert_nothing_left; }       # the last one

LABCTL_TREE=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
: "${LABCTL_BIN:=$LABCTL_TREE/build/${LABCTL_TEST_FLAVOUR:-release}/labctl}"

# Readable by everyone, which bats' own temporary directories are not.
world_make() {
	WORLD=$(mktemp -d "${TMPDIR:-/tmp}/labctl-test.XXXXXX")
	chmod 755 "$WORLD"
	mkdir "$WORLD/stages" "$WORLD/src"
	: >"$WORLD/src/begun" # or stage-start would put a starter there
	export WORLD LABCTL_BIN
	export LABCTL_STATE=$WORLD/state LABCTL_RUN=$WORLD/run
	export LABCTL_STAGES=$WORLD/stages LABCTL_SRC=$WORLD/src
	export LABCTL_HOST_SEAT=$WORLD/host-seat
	# users that the tests invent, and one that every host has
	printf '%s\n' uid12345 uid12347 nobody >"$LABCTL_HOST_SEAT"
	chmod 644 "$LABCTL_HOST_SEAT"
	unset SUDO_UID SUDO_GID SUDO_USER SUDO_COMMAND LABCTL_IMAGE LAB_FILE
}

# Takes down what a failed test left, and the world.
world_end() {
	local record
	for record in "$LABCTL_STATE"/labs/*.json; do
		[ ! -e "$record" ] ||
			DOCKER_HOST='' lab "$(basename "$record" .json)" stage-stop >/dev/null 2>&1 </dev/null || true
	done
	rm -rf "$WORLD"
}

# need root|engine|image|COMMAND...: the test is skipped without them; in CI it fails.
need() {
	local what
	for what in "$@"; do
		has "$what" && continue
		if [ "${LABCTL_TEST_STRICT-}" = 1 ]; then
			printf 'this test needs %s\n' "$what" >&2
			return 1
		fi
		skip "needs $what"
	done
}

has() {
	case $1 in
	root) [ "$(id -u)" -eq 0 ] ;;
	engine) api /_ping >/dev/null ;;
	image) api /images/labctl/client:latest/json >/dev/null ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

# api PATH [CURL ARGUMENT...]: one call of the real engine, whatever DOCKER_HOST a test has set.
api() {
	local path=$1
	shift
	curl -sf -m 60 --unix-socket "${ENGINE_SOCKET:-/var/run/docker.sock}" "$@" "http://engine$path"
}

# container NAME FORMAT: a field of its description, by jq.
container() { api "/containers/$1/json" | jq -r "$2"; }

# stage NAME <JSON: a stage of this world.
stage() {
	mkdir -p "$WORLD/stages/$1"
	cat >"$WORLD/stages/$1/stage.json"
}

# lab NAME ARGUMENT...: labctl about that lab.
lab() {
	local name=$1
	shift
	"$LABCTL_BIN" --lab "$name" "$@"
}

# try ARGUMENT...: runs it without a terminal; sets status, output, stderr and their lines.
try() { run --separate-stderr "$@" </dev/null; }

# Says what was got when a test fails.
explain() { printf 'status %s\nstdout: %s\nstderr: %s\n' "$status" "$output" "$stderr" >&2; }

# expect STATUS [STDERR PATTERN...]: the exit code, and what stderr says, each a glob for a part.
# Without a pattern stderr must be empty.
expect() {
	local want=$1 part
	shift
	if [ "$status" -ne "$want" ]; then
		printf 'expected status %s\n' "$want" >&2
		explain
		return 1
	fi
	if [ $# -eq 0 ] && [ -n "$stderr" ]; then
		printf 'expected nothing on stderr\n' >&2
		explain
		return 1
	fi
	for part in "$@"; do
		# shellcheck disable=SC2053 # a pattern
		if [[ $stderr != *$part* ]]; then
			printf 'expected on stderr: %s\n' "$part" >&2
			explain
			return 1
		fi
	done
}

# expect_out PATTERN...: each a glob for a part of stdout.
expect_out() {
	local part
	for part in "$@"; do
		# shellcheck disable=SC2053 # a pattern
		if [[ $output != *$part* ]]; then
			printf 'expected on stdout: %s\n' "$part" >&2
			explain
			return 1
		fi
	done
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		if [ "$SECONDS" -gt "$end" ]; then
			printf 'waited in vain for: %s\n' "$*" >&2
			return 1
		fi
		sleep 0.02
	done
}

# background FILE WORDS PROGRAM ARGUMENT...: runs it beside the test, with what it says in FILE, and
# waits for it to say WORDS. Sets `started`, the process itself.
background() {
	local file=$1 words=$2
	shift 2
	rm -f "$file" # one before may have said the same
	"$@" >"$file" 2>&1 </dev/null 3>&- &
	# shellcheck disable=SC2034 # for who called
	started=$!
	wait_for 60 grep -q "$words" "$file"
}

# The labs of this world, also those that have no record any more: each test file names its labs
# "t-...", with its own word behind.
world_labs() { find "$WORLD" -maxdepth 1 -name 'lab-*' -printf '%f\n' | sed 's/^lab-//'; }

# use_lab NAME...: assert_nothing_left looks after them, too.
use_lab() {
	local name
	for name in "$@"; do
		: >"$WORLD/lab-$name"
	done
}

# left LAB: whatever a lab has on this machine, a line each.
left() {
	api "/containers/json?all=1&filters=%7B%22label%22%3A%5B%22labctl.lab%3D$1%22%5D%7D" |
		jq -r '.[] | "container " + .Names[0]'
	ip -o link show | grep "labctl-$1-\|lab '$1'" | sed 's/^/link /'
	find /run/netns -maxdepth 1 \( -name "labctl-$1" -o -name "labctl-$1-fabric" \) -printf 'namespace %p\n' 2>/dev/null
	nft list tables 2>/dev/null | grep -w "labctl-$1"
	awk -v dir="$LABCTL_RUN/$1/" 'index($5, dir) == 1 { print "mount", $5 }' /proc/self/mountinfo
	find "$LABCTL_RUN/$1" "$LABCTL_RUN/$1.lock" "$LABCTL_STATE/labs/$1.json" -printf 'file %p\n' 2>/dev/null
	find "$LABCTL_STATE/groups" -lname "$1" -printf 'group %p\n' 2>/dev/null
	true
}

# assert_gone LAB...: there is nothing of theirs.
assert_gone() {
	local name found
	for name in "$@"; do
		found=$(left "$name")
		if [ -n "$found" ]; then
			printf 'left of lab %s:\n%s\n' "$name" "$found" >&2
			return 1
		fi
	done
}

# Nothing of any lab of this world, no file below its state and run but the lease book.
assert_nothing_left() {
	local name found
	for name in $(world_labs); do
		assert_gone "$name"
	done
	found=$(find "$LABCTL_STATE" "$LABCTL_RUN" ! -type d ! -name 'netport.db*' 2>/dev/null) || true
	if [ -n "$found" ]; then
		printf 'files left:\n%s\n' "$found" >&2
		return 1
	fi
}

# stage_two NAME PREFIX NET: client1 and client2 with a router between them. The seat's interfaces
# are PREFIX1 and PREFIX2, the subnets NET.1.0/24 and NET.2.0/24 (NET: two numbers).
stage_two() {
	stage "$1" <<-JSON
		{
		  "title": "Two for a test",
		  "networks": {
		    "${2}1": { "subnet": "$3.1.0/24", "router": "$3.1.1" },
		    "${2}2": { "subnet": "$3.2.0/24", "router": "$3.2.1" }
		  },
		  "clients": {
		    "client1": {
		      "interfaces": { "eth0": { "network": "${2}1", "address": "$3.1.2" } }, "gateway": "$3.1.1"
		    },
		    "client2": {
		      "interfaces": { "eth0": { "network": "${2}2", "address": "$3.2.2" } }, "gateway": "$3.2.1"
		    }
		  }
		}
	JSON
}
