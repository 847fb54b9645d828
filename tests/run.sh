#!/bin/bash
# SPDX-License-Identifier: MIT
# The test suite, as `make check` runs it: tests/run.sh [FILE…]
#
# Gets what is missing (as root), builds, runs everything under prove, and at the end asserts
# that the machine is as it was: a lab that the user runs meanwhile is left alone.
# LABCTL_TEST_STRICT=1 (CI): a skip is a failure; linters and the asan flavour run, too.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
. ./install.sh # its functions: what is missing, whether the engine answers, the tree's owner

is_root() { [ "$(id -u)" -eq 0 ]; }

get_ready() {
	local missing
	missing=$(missing_packages "$build_needs$test_needs")
	if is_root; then
		if [ -n "$missing" ] || ! engine_answers || [ -z "$(image_id)" ]; then
			./install.sh --tests
		fi
	elif [ -n "$missing" ]; then
		printf 'missing for the tests: %s\ntype: sudo ./install.sh --tests\n' "${missing//$'\n'/ }" >&2
		exit 3
	fi
	is_root || echo '# not root: tests that need root are skipped; all of them: sudo make check'
}

# With the owner's rights, so that a later make by him finds his own files.
build() {
	local log=build/check/build.log
	mkdir -p build/check
	! is_root || chown -R --reference=. build
	if ! as_owner make --no-print-directory -j"$(nproc)" "$@" >"$log" 2>&1; then
		tail -n 40 "$log" >&2
		printf 'the build failed: make %s\n' "$*" >&2
		exit 3
	fi
}

# units NAME [FIND ARGUMENT...]
units() {
	find tests/unit -name "$1.c" "${@:2}" -printf 'build/release/unit/%f\n' | sed 's/\.c$//' | sort -r
}

# The files to run, in order; a flavour's are small wrappers under build/check.
collect() {
	local dir unit
	# The longest first: the matrices, that of stage1 in parts.
	part test_grade_matrix 1/3
	part test_grade_matrix 2/3
	part test_grade_matrix 3/3
	units 'test_grade_*' ! -name test_grade_matrix.c
	if [ "${LABCTL_TEST_STRICT-}" = 1 ]; then
		for unit in tests/unit/test_*.c; do
			case $unit in *manners*) continue ;; esac # the references are there already
			[ ! -e "$unit" ] || wrapper "$(basename "$unit" .c)"
		done
		find tests/lint -name '*.sh' ! -name tap.sh | sort
	fi
	units 'test_*' ! -name 'test_grade_*'
	for dir in cli net docker lab attack; do
		[ ! -d "tests/$dir" ] || find "tests/$dir" -maxdepth 1 -name '*.bats' | sort
	done
	find tests/attack -maxdepth 1 -name '*.py' | sort
	find tests/netport -name 'test_*.py' | sort
	printf 'tests/leftovers.sh\n'
}

# part TEST K/N: one of its parts, as a file of its own
part() {
	local file=build/check/$1-${2%/*}.sh
	printf 'exec build/release/unit/%s %s\n' "$1" "$2" >"$file"
	printf '%s\n' "$file"
}

wrapper() {
	local file=build/check/asan-$1.sh arg=
	# Of the matrices the correct routers: the broken ones would say the same, only slower.
	case $1 in test_grade_matrix | test_grade_stage*) arg=reference ;; esac
	printf 'exec build/asan/unit/%s %s\n' "$1" "$arg" >"$file"
	printf '%s\n' "$file"
}

get_ready
build all unit
[ "${LABCTL_TEST_STRICT-}" != 1 ] || build FLAVOUR=asan WERROR=1 all unit

if [ $# -gt 0 ]; then
	files=("$@")
else
	mapfile -t files < <(collect)
fi
LABCTL_TEST_WORLD=$(mktemp -d)
export LABCTL_TEST_WORLD
rows=()
# Rows that still run end with this; each is a process group of its own.
trap 'kill -TERM -- "${rows[@]/#/-}" 2>/dev/null || :; rm -rf "$LABCTL_TEST_WORLD"' EXIT
bash tests/leftovers.sh --remember

# Unit tests live in namespaces and directories of their own: side by side, as many as the cores
# bear. The rest share the host and the engine and mostly wait: labs in one row, beside it one of
# what has labs of its own names, and one of what needs no lab. What is left behind comes last.
together=() labs=() others=() lone=() last=()
for file in "${files[@]}"; do
	case $file in
	build/*) together+=("$file") ;;
	tests/lint/* | tests/netport/* | tests/cli/*) lone+=("$file") ;;
	tests/lab/grade.bats | tests/lab/check.bats) others+=("$file") ;;
	tests/lab/* | tests/docker/*) labs+=("$file") ;;
	tests/leftovers.sh) last+=("$file") ;;
	*) others+=("$file") ;;
	esac
done
status=0
run() { [ $# -eq 0 ] || prove --timer --failures --comments --exec tests/tap.sh "$@"; }

# row COMMAND...: in the background, what it prints in a file of its own
row() {
	set -m
	"$@" >"$LABCTL_TEST_WORLD/row${#rows[@]}" 2>&1 </dev/null &
	set +m
	rows+=($!)
}

if [ ${#together[@]} -gt 0 ]; then
	run --jobs 5 "${together[@]}" || status=1
fi
row run "${others[@]}"
row run "${lone[@]}"
run "${labs[@]}" || status=1
for i in "${!rows[@]}"; do
	wait "${rows[i]}" || status=1
	cat "$LABCTL_TEST_WORLD/row$i"
done
rows=()
run "${last[@]}" || status=1
exit $status
