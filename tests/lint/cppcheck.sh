#!/bin/bash
# SPDX-License-Identifier: MIT
# cppcheck finds nothing. A finding that is wrong is answered by a comment at the line:
# `/* cppcheck-suppress ID */`, with the reason.
. "$(dirname "$0")/tap.sh"
need cppcheck

# It does not know the cleanup attribute, so it cannot see who frees (the asan flavour can), nor
# that labctl has no threads; the libraries' loops are told to it.
run() {
	cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 --library=posix \
		--enable=warning,performance,portability -j2 -Ilabctl -D_GNU_SOURCE \
		--suppress=memleak --suppress=resourceLeak --suppress=autoVariables:labctl/main.c \
		--suppress=invalidFunctionArgBool \
		--suppress=getpwuidCalled --suppress=getpwnamCalled --suppress=readdirCalled --suppress=arrayIndexThenCheck \
		--include=tests/lint/cppcheck.h \
		--template='{file}:{line}: {id}: {message}' "$@"
}

for room in labctl/*/; do
	[ -z "$(find "$room" -name '*.c')" ] || check "${room%/}" run "$room"
done
[ ! -e labctl/main.c ] || check labctl/main.c run labctl/main.c
done_testing
