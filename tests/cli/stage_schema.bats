#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# stages/stage.schema.json and the parser say the same, as far as a schema can speak.

setup() {
	TOP=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	TOOL=${LABCTL_BUILD:-$TOP/build/release}/unit/test_stage
	PYTHON=${PYTHON:-/usr/bin/python3}
	if ! "$PYTHON" -c 'import jsonschema' 2>/dev/null; then
		[ "${LABCTL_TEST_STRICT:-}" = 1 ] && { echo "python3-jsonschema is missing"; return 1; }
		skip "python3-jsonschema is missing"
	fi
	[ -x "$TOOL" ] || { echo "$TOOL is missing: make unit"; return 1; }
}

@test "golden files and stages: schema and parser agree" {
	run "$PYTHON" "$BATS_TEST_DIRNAME/stage_schema.py" "$TOOL" golden
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output =~ ^[1-9][0-9]*\ good\ files,\ [1-9][0-9]*\ bad\ ones$ ]]
}

@test "mutations of good files: schema and parser agree" {
	run "$PYTHON" "$BATS_TEST_DIRNAME/stage_schema.py" "$TOOL" mutations
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"'good': "* ]]
}
