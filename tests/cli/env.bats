#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# env.sh: what a student's shell has after `. ./env.sh`, in bash, zsh and plain sh.
bats_require_minimum_version 1.5.0

setup() {
	root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	cd "$BATS_TEST_TMPDIR" || exit
	unset LABCTL_ROOT PYROUTE_ENV
	# A tree that may stand anywhere, with a binary that tells how it was called.
	tree="$BATS_TEST_TMPDIR/a tree"
	mkdir -p "$tree/build/release" "$BATS_TEST_TMPDIR/bin"
	cp "$root/env.sh" "$tree"
	cat >"$tree/build/release/labctl" <<-'STUB'
		#!/bin/sh
		case $1 in
		needs-root) [ "$2" = stage-start ] || [ "$2" = connect ] || [ "$2" = stage-stop ] ;;
		completion) echo "completed_$2=yes" ;;
		*) echo "labctl($#): $*"; exit 7 ;;
		esac
	STUB
	printf '#!/bin/sh\necho "sudo: $*"\n' >"$BATS_TEST_TMPDIR/bin/sudo"
	printf '#!/bin/sh\necho 1000\n' >"$BATS_TEST_TMPDIR/bin/id"
	chmod +x "$tree/build/release/labctl" "$BATS_TEST_TMPDIR/bin/"*
}

# shell NAME SCRIPT: after `. env.sh`, as a user who is not root.
in_shell() {
	local shell=$1 script=$2
	command -v "$shell" >/dev/null || {
		[ "${LABCTL_TEST_STRICT-}" != 1 ] || return 1
		skip "$shell is not installed"
	}
	PATH=$BATS_TEST_TMPDIR/bin:$PATH run --separate-stderr "$shell" -c "set -eu; . '$tree/env.sh'; $script"
}

variables='printf "%s\n" "$LABCTL_ROOT" "$PYROUTE_ENV" "$PYROUTE_SRC_DIR" "$PYROUTE_STAGE_DIR" "$PYROUTE_STAGE_FILE"'

expect_variables() {
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	[ "${lines[0]}" = "$tree" ]
	[ "${lines[1]}" = "$tree" ]
	[ "${lines[2]}" = "$tree/src" ]
	[ "${lines[3]}" = "$tree/stages" ]
	[ "${lines[4]}" = "$tree/.stage" ]
}

@test "bash, from another directory, under set -eu: the variables" {
	in_shell bash "$variables"
	expect_variables
}

@test "zsh, from another directory, under set -eu: the variables" {
	in_shell zsh "$variables"
	expect_variables
}

@test "plain sh, in the tree's own directory: the variables" {
	cd "$tree"
	in_shell sh "$variables"
	expect_variables
}

@test "sourcing it twice changes nothing more" {
	for shell in bash zsh; do
		in_shell "$shell" "one=\$PATH; . '$tree/env.sh'; [ \"\$one\" = \"\$PATH\" ]; command -v labctl pyroute-connect"
		[ "$status" -eq 0 ]
		[ -z "$stderr" ]
	done
}

@test "the tree's own binary comes first in PATH" {
	for shell in bash zsh sh; do
		cd "$tree"
		in_shell "$shell" 'echo "$PATH"'
		[ "$status" -eq 0 ]
		[[ "$output" == "$tree/build/release:"* ]]
	done
}

@test "verbs that need root get sudo, with the binary's path and every argument" {
	for shell in bash zsh; do
		in_shell "$shell" 'labctl stage-start "a b" --isolated'
		[ "$status" -eq 0 ]
		[ "$output" = "sudo: $tree/build/release/labctl stage-start a b --isolated" ]
	done
}

@test "sudo takes along what labctl reads from the environment" {
	DOCKER_HOST=tcp://127.0.0.1:1 LABCTL_STATE=/s in_shell bash 'labctl connect client1'
	[ "$output" = "sudo: LABCTL_STATE=/s DOCKER_HOST=tcp://127.0.0.1:1 $tree/build/release/labctl connect client1" ]
}

@test "the other verbs get none, and their exit code is passed on" {
	for shell in bash zsh; do
		in_shell "$shell" 'set +e; labctl stage-list "a b"; echo "code $?"'
		[ "${lines[0]}" = 'labctl(2): stage-list a b' ]
		[ "${lines[1]}" = 'code 7' ]
	done
}

@test "the pyroute commands are the verbs" {
	for shell in bash zsh; do
		in_shell "$shell" 'pyroute-stage-start stage1; pyroute-connect client1; pyroute-stage-stop'
		[ "$status" -eq 0 ]
		[ "${lines[0]}" = "sudo: $tree/build/release/labctl stage-start stage1" ]
		[ "${lines[1]}" = "sudo: $tree/build/release/labctl connect client1" ]
		[ "${lines[2]}" = "sudo: $tree/build/release/labctl stage-stop" ]
	done
}

@test "completion is loaded in bash" {
	in_shell bash 'echo "$completed_bash"'
	[ "$output" = yes ]
}

@test "nothing built: it says so, and the shell goes on" {
	rm "$tree/build/release/labctl"
	for shell in bash zsh; do
		in_shell "$shell" 'echo still here'
		[ "$status" -eq 0 ]
		[ "$output" = 'still here' ]
		[ "$stderr" = "env.sh: labctl is not built yet; type: sudo $tree/install.sh" ]
	done
}

@test "the real binary: completion works for words behind labctl" {
	[ -x "$root/build/release/labctl" ]
	run --separate-stderr bash -c ". '$root/env.sh' && complete -p labctl"
	[ "$status" -eq 0 ]
	[[ "$output" == complete*labctl ]]
	[ -z "$stderr" ]
}

@test "the real binary: stage-start needs root, stage-list and help do not" {
	run "$root/build/release/labctl" needs-root stage-start stage1
	[ "$status" -eq 0 ]
	run "$root/build/release/labctl" needs-root stage-list
	[ "$status" -eq 1 ]
	run "$root/build/release/labctl" needs-root stage-start --help
	[ "$status" -eq 1 ]
}
