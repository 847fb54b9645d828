#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The room docker/ with the real engine: containers, commands, terminals, images.
bats_require_minimum_version 1.5.0
load ../lib/helpers

setup_file() {
	export NAME="t-engine-$$" TAG="t-engine-$$"
	export DRIVER="$BATS_TEST_DIRNAME/../../build/${LABCTL_TEST_FLAVOUR:-release}/unit/docker_driver"
	if has engine && has image; then
		D run "$NAME" labctl/client:latest "$NAME" \
			sh -c 'echo to stdout; echo to stderr >&2; exec sleep infinity'
	fi
}

teardown_file() {
	api "/containers/$NAME?force=1" -X DELETE >/dev/null || true
	api "/images/labctl-$TAG:one" -X DELETE >/dev/null || true
	api "/images/labctl-$TAG:two" -X DELETE >/dev/null || true
}

setup() { need engine image; }

D() { "$DRIVER" "$@"; }

# In the container's process namespace, seen from here: by the arguments that only this test has.
runs() { pgrep -f "^$1\$" >/dev/null; }
runs_not() { ! runs "$1"; }

# signalled SIGNAL COMMAND: runs it in the container, sends the driver a signal once it runs.
signalled() {
	local sig=$1 command=$2 pid
	shift 2
	# what runs in the background of a script ignores SIGINT
	env --default-signal=INT "$DRIVER" exec "$NAME" "$@" </dev/null >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" &
	pid=$!
	wait_for 60 runs "$command"
	kill -s "$sig" "$pid"
	status=0
	wait "$pid" || status=$?
	output=$(<"$BATS_TEST_TMPDIR/out")
	stderr=$(<"$BATS_TEST_TMPDIR/err")
}

# --- containers ---

@test "a container is as the body says: no network, a mount, a host name" {
	[ "$(container "$NAME" .Config.NetworkDisabled)" = true ]
	[ "$(container "$NAME" .HostConfig.RestartPolicy.Name)" = no ]
	[ "$(container "$NAME" '.Mounts[0] | .Source + " " + .Destination + " " + (.RW | tostring)')" = '/tmp /mnt false' ]
	try D exec "$NAME" sh -c 'hostname; ls /sys/class/net'
	expect 0
	[ "$output" = $'client1\nlo' ]
}

@test "containers are found by their label" {
	try D list "labctl.test=$NAME"
	expect 0
	[ "$output" = "$NAME running $NAME" ]
	try D list labctl.test=nobody-has-this
	expect 0
	[ -z "$output" ]
}

@test "the log's tail has both streams" {
	try D log "$NAME"
	expect 0
	expect_out 'to stdout' 'to stderr'
}

# --- commands ---

@test "stdout, stderr and the exit code of a command stay apart" {
	try D exec "$NAME" sh -c 'echo out; echo err >&2; exit 42'
	[ "$status" -eq 42 ]
	[ "$output" = out ]
	[ "$stderr" = err ]
}

@test "environment and working directory" {
	try D exec -e 'A=b c' -w /usr "$NAME" sh -c 'echo "$A $PWD"'
	expect 0
	[ "$output" = 'b c /usr' ]
}

@test "stdin arrives whole, and its end" {
	head -c 3000000 /dev/urandom >"$BATS_TEST_TMPDIR/in"
	D exec -i "$NAME" sh -c 'cat; echo end' <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out"
	{ cat "$BATS_TEST_TMPDIR/in"; echo end; } | cmp - "$BATS_TEST_TMPDIR/out"
	[ "$(printf 'a\nb\n' | D exec -i "$NAME" wc -l)" = 2 ]
}

@test "a command that does not read its input ends all the same" {
	run bash -c "yes | '$DRIVER' exec -i '$NAME' sh -c 'echo done; exit 3'"
	[ "$status" -eq 3 ]
	[ "$output" = "done" ]
}

@test "a command that cannot be started: 126 or 127, and the engine's words" {
	try D exec "$NAME" no-such-command
	[ "$status" -eq 126 ] || [ "$status" -eq 127 ]
	expect_out no-such-command
}

@test "no such container; one that does not run" {
	try D exec no-such-container true
	expect 6 "not-found: the Docker Engine refuses 'POST /containers/no-such-container/exec' (404): No such container"
	api "/containers/create?name=$NAME-2" -H 'Content-Type: application/json' \
		-d '{"Image": "labctl/client:latest"}' >/dev/null
	try D exec "$NAME-2" true
	api "/containers/$NAME-2?force=1" -X DELETE
	expect 5 'conflict: ' 'is not running'
}

@test "Ctrl-C and SIGTERM end the command, whose code is passed on" {
	signalled INT 'sleep 31001' sleep 31001
	[ "$status" -eq 130 ]
	[ -z "$stderr" ]
	wait_for 60 runs_not 'sleep 31001'
	# its children, too
	signalled TERM 'sleep 31002' sh -c 'sleep 31002; echo never'
	[ "$status" -eq 143 ]
	[ -z "$output" ]
	wait_for 60 runs_not 'sleep 31002'
	# and it may answer in its own way
	signalled TERM 'sleep 31003' sh -c 'trap "echo caught; exit 9" TERM; sleep 31003'
	[ "$status" -eq 9 ]
	[ "$output" = caught ]
}

@test "a reader that goes away ends the command quietly" {
	run bash -c "'$DRIVER' exec '$NAME' yes 31004 2>&1 | head -n 2; echo \${PIPESTATUS[0]}"
	[ "$output" = $'31004\n31004\n141' ]
	wait_for 60 runs_not 'yes 31004'
}

@test "a container that goes away under a command" {
	api "/containers/create?name=$NAME-3" -H 'Content-Type: application/json' \
		-d '{"Image": "labctl/client:latest", "Cmd": ["sleep", "infinity"]}' >/dev/null
	api "/containers/$NAME-3/start" -X POST
	"$DRIVER" exec "$NAME-3" sleep 31005 2>"$BATS_TEST_TMPDIR/err" &
	pid=$!
	wait_for 60 runs 'sleep 31005'
	api "/containers/$NAME-3?force=1" -X DELETE
	status=0
	wait "$pid" || status=$?
	# killed, or gone before it could be asked
	[ "$status" -eq 137 ] || [ "$status" -eq 6 ]
}

@test "output and code of a command that is only noted" {
	try D capture "$NAME" sh -c 'echo out; exit 5'
	[ "$status" -eq 5 ]
	[ "$output" = out ]
}

# --- a terminal ---

on_terminal() {
	run /usr/bin/python3 "$BATS_TEST_DIRNAME/terminal.py" "$1" "$NAME" "$DRIVER" exec -t
	[ "$status" -eq 0 ] || {
		printf '%s\n' "$output" >&2
		return 1
	}
}

@test "terminal: its size arrives" { on_terminal size; }
@test "terminal: a new size arrives" { on_terminal resize; }
@test "terminal: Ctrl-C goes to the client's program, the shell lives on" { on_terminal interrupt; }
@test "terminal: Ctrl-D ends the shell" { on_terminal end_of_input; }
@test "terminal: the exit code is passed on" { on_terminal exit_code; }
@test "terminal: Ctrl-P is not held back" { on_terminal control_p; }
@test "terminal: every byte arrives" { on_terminal bytes; }
@test "terminal: much output arrives whole" { on_terminal flood; }
@test "terminal: restored after SIGTERM, the command ended" { on_terminal sigterm; }
@test "terminal: restored where SIGTERM kills" { on_terminal default_sigterm; }
@test "terminal: restored where SIGHUP kills" { on_terminal default_sighup; }
@test "terminal: restored after a crash" { on_terminal sigsegv; }
@test "terminal: restored after an abort" { on_terminal sigabrt; }
@test "terminal: raw again after a stop" { on_terminal stopped; }
@test "terminal: no such command" { on_terminal cannot_start; }

# --- images ---

@test "an image is imported, looked at, removed" {
	mkdir -p "$BATS_TEST_TMPDIR/root/etc"
	echo hello >"$BATS_TEST_TMPDIR/root/etc/hello"
	head -c 5000000 /dev/zero >"$BATS_TEST_TMPDIR/root/zero"
	run bash -c "tar -C '$BATS_TEST_TMPDIR/root' -c . | '$DRIVER' import labctl-$TAG:one 'WORKDIR /~' 'ENV A=b'"
	[ "$status" -eq 0 ]
	[[ $output == *'progress: 4 MiB sent'* ]]
	[ "$(api "/images/labctl-$TAG:one/json" | jq -r '.Config.WorkingDir + " " + .Config.Env[0]')" = '/~ A=b' ]
	try D inspect "labctl-$TAG:one"
	expect 0
	[[ $output == sha256:*' 5000006 20'* ]]
	try D remove "labctl-$TAG:one"
	expect 0
	try D remove "labctl-$TAG:one"
	expect 6 "not-found: the Docker Engine has no image 'labctl-$TAG:one'"
}

@test "what is no archive is refused in the engine's words" {
	head -c 20000000 /dev/urandom >"$BATS_TEST_TMPDIR/noise"
	run --separate-stderr "$DRIVER" import "labctl-$TAG:two" <"$BATS_TEST_TMPDIR/noise"
	expect 3 "importing image 'labctl-$TAG:two': " 'tar'
	run --separate-stderr "$DRIVER" import "LABCTL-$TAG:two" <"$BATS_TEST_TMPDIR/noise"
	expect 3 'repository name must be lowercase'
}

@test "an image is built; the build's output arrives line by line; its failure too" {
	mkdir "$BATS_TEST_TMPDIR/context"
	printf '%s\n' 'FROM labctl/client:latest' 'ARG A=none' 'LABEL a=$A' >"$BATS_TEST_TMPDIR/context/Dockerfile"
	run bash -c "tar -C '$BATS_TEST_TMPDIR/context' -c . | '$DRIVER' build labctl-$TAG:two 'A=x=y z'"
	[ "$status" -eq 0 ]
	[[ $output == *'progress: Step 1/3 : FROM labctl/client:latest'*"progress: Successfully tagged labctl-$TAG:two" ]]
	[ "$(api "/images/labctl-$TAG:two/json" | jq -r .Config.Labels.a)" = 'x=y z' ]
	try D remove "labctl-$TAG:two"
	expect 0
	printf '%s\n' 'FROM labctl/client:latest' 'RUN exit 9' >"$BATS_TEST_TMPDIR/context/Dockerfile"
	tar -C "$BATS_TEST_TMPDIR/context" -c . >"$BATS_TEST_TMPDIR/context.tar"
	run --separate-stderr "$DRIVER" build "labctl-$TAG:two" <"$BATS_TEST_TMPDIR/context.tar"
	expect 3 "building image 'labctl-$TAG:two': The command '/bin/sh -c exit 9' returned a non-zero code: 9"
}

@test "nothing is left behind" {
	[ -z "$(api '/containers/json?all=1' | jq -r '.[].Names[0]' | grep "^/$NAME-")" ]
	[ -z "$(api '/images/json' | jq -r '.[].RepoTags[]?' | grep "^labctl-$TAG")" ]
}
