#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The verb stage-new: a skeleton that is valid at once.
bats_require_minimum_version 1.5.0
load ../lib/helpers

setup_file() { world_make; }
teardown_file() { rm -rf "$WORLD"; }

@test "a new stage is valid, has the schema and a README, and can be planned" {
	try "$LABCTL_BIN" stage-new first
	expect 0
	expect_out "$WORLD/stages/first: stage.json and README.md" 'labctl stage-start first'
	try "$LABCTL_BIN" stage-validate first
	expect 0
	expect_out "'first' is valid: 2 networks, 2 clients, 5 checks"
	[ "$(jq -r '."$schema"' "$WORLD/stages/first/stage.json")" = "$LABCTL_TREE/stages/stage.schema.json" ]
	[ "$(grep -c '^## ' "$WORLD/stages/first/README.md")" -eq 5 ]
	run grep @ "$WORLD/stages/first/"*
	[ "$status" -eq 1 ]
	try "$LABCTL_BIN" stage-start --dry-run first
	expect 0
}

@test "a check that is not in the catalogue, a key that is not its own, a client that is not there" {
	"$LABCTL_BIN" stage-new typing >/dev/null
	jq '.checks = [ { "use": "arp.reply" }, { "use": "ipv4.foward" }, { "use": "ipv4.ttl", "form": "client1" },
		{ "use": "ipv4.forward", "from": "client3", "to": 2 }, { "use": "perf.pps", "pps": "many" } ]' \
		"$WORLD/stages/typing/stage.json" >"$WORLD/new.json"
	mv "$WORLD/new.json" "$WORLD/stages/typing/stage.json"
	try "$LABCTL_BIN" stage-validate typing
	expect 4
	expect_out ": checks?1?.use: there is no check 'ipv4.foward'" "hint: did you mean 'ipv4.forward'?" \
		": checks?2?.form: check 'ipv4.ttl' has no key 'form'" 'its keys are: use points from to' \
		": checks?3?.from: there is no client 'client3'" ': checks?3?.to: expected the name of a client' \
		': checks?4?.pps: expected a whole number' "stage.json' has 5 problems"
	line=$(grep -n foward "$WORLD/stages/typing/stage.json" | cut -d: -f1)
	[[ $output == *"stage.json:$((line - 1)): checks[1].use"* ]]
	try "$LABCTL_BIN" --json stage-validate typing
	[ "$status" -eq 4 ]
	[ "$(jq -c '[.valid, (.problems | length)]' <<<"$output")" = '[false,5]' ]
}

@test "beside the schema it is named by a short way" {
	cp "$LABCTL_TREE/stages/stage.schema.json" "$WORLD/stages"
	try "$LABCTL_BIN" stage-new second
	expect 0
	[ "$(jq -r '."$schema"' "$WORLD/stages/second/stage.json")" = ../stage.schema.json ]
}

@test "a path is taken as it is" {
	cd "$WORLD"
	try "$LABCTL_BIN" stage-new ./third/ --json
	expect 0
	[ "$(jq -r .name <<<"$output")" = third ]
	try "$LABCTL_BIN" stage-validate ./third
	expect 0
}

@test "its README has the headings of the stages that are there" {
	"$LABCTL_BIN" stage-new fourth >/dev/null
	diff <(grep '^## ' "$WORLD/stages/fourth/README.md") <(grep '^## ' "$LABCTL_TREE/stages/stage4/README.md")
}

@test "nothing is overwritten" {
	echo mine >"$WORLD/stages/first/stage.json"
	try "$LABCTL_BIN" stage-new first
	expect 5 "'$WORLD/stages/first' is there already"
	[ "$(cat "$WORLD/stages/first/stage.json")" = mine ]
	ln -s /nowhere "$WORLD/stages/dangling"
	try "$LABCTL_BIN" stage-new dangling
	expect 5 'is there already'
}

@test "names that no stage can have, places that are not there" {
	try "$LABCTL_BIN" stage-new Uppercase
	expect 2 "a stage cannot be called 'Uppercase'" 'lower-case'
	try "$LABCTL_BIN" stage-new "$WORLD/no/where"
	expect 3 "cannot make the directory '$WORLD/no/where': No such file or directory"
	[ ! -e "$WORLD/no" ]
}

@test "it belongs to the caller, who needs the right to make it" {
	need root
	mkdir "$WORLD/his" && chown 4242:4242 "$WORLD/his"
	SUDO_UID=4242 SUDO_GID=4242 try "$LABCTL_BIN" stage-new "$WORLD/his/one"
	expect 0
	[ -z "$(find "$WORLD/his" ! -user 4242)" ]
	SUDO_UID=4242 SUDO_GID=4242 try "$LABCTL_BIN" stage-new two
	expect 3 'Permission denied' 'labctl stage-new ./two'
	[ ! -e "$WORLD/stages/two" ]
}

@test "the stages that labctl brings have all parts that a new one has, and say how to be graded" {
	local readme part
	for readme in "$LABCTL_TREE"/stages/stage[1-6]/README.md; do
		for part in 'What it must do' 'The theory' 'What to read' 'Trying it by hand' 'When it does not work'; do
			grep -q -x "## $part" "$readme" || { echo "$readme: $part" && false; }
		done
		sed -n '/^## The theory$/,/^## What to read$/p' "$readme" | grep -q '^```' || { echo "$readme: no diagram" && false; }
		grep -q 'labctl check' "$readme" || { echo "$readme: no labctl check" && false; }
	done
}
