#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Damaged records, damaged books: a clear message, nothing touched, nothing lost.
bats_require_minimum_version 1.5.0
load ../lib/helpers

setup_file() {
	world_make
	use_lab t-rec t-rec2
	stage_two two tc 198.18
	has root && has engine && has image || return 0
	lab t-rec stage-start two >&2 </dev/null
	cp "$LABCTL_STATE/labs/t-rec.json" "$WORLD/good"
}

teardown_file() {
	[ ! -e "$WORLD/good" ] || [ ! -e "$LABCTL_STATE/labs/t-rec.json" ] || cp "$WORLD/good" "$LABCTL_STATE/labs/t-rec.json"
	world_end
}

setup() {
	need root engine image
	record=$LABCTL_STATE/labs/t-rec.json
	book=$LABCTL_STATE/netport.db
}

L() { lab t-rec "$@" </dev/null; }

# damaged WORDS: the record as it is now. Every verb says so; the lab itself is untouched.
assert_damaged() {
	local verb sum
	sum=$(sha256sum <"$record")
	for verb in status stage-stop repair 'stage-start two'; do
		# shellcheck disable=SC2086
		try L $verb
		expect 3 "the record '$record' is damaged: $1" 'put it right, or give the lab up' ' gc'
	done
	try L exec client1 -- true
	expect 125 "the record '$record' is damaged: $1"
	try "$LABCTL_BIN" lab-list
	expect 0
	expect_out "t-rec *the record * is damaged"
	try "$LABCTL_BIN" gc
	expect 0
	[ "$output" = 'nothing to remove' ]
	try "$LABCTL_BIN" --json doctor
	[[ $(jq -r '.[] | select(.check == "leftovers") | .text + .mend' <<<"$output") = *'is damaged'*"rm $record"* ]] || { explain; false; }
	[ "$(sha256sum <"$record")" = "$sum" ]
	[ ! -e "$LABCTL_RUN/t-rec.lock" ]
	cp "$WORLD/good" "$record"
	[ "$(L --json status | jq -c .drift)" = '[]' ]
}

@test "a record cut off" {
	head -c 300 "$WORLD/good" >"$record"
	assert_damaged 'line *'
}

@test "an empty record" {
	: >"$record"
	assert_damaged 'line 1'
}

@test "a record of random bytes" {
	head -c 5000 /dev/urandom >"$record"
	assert_damaged 'line 1'
}

@test "a record of another version" {
	jq '.version = 99' "$WORLD/good" >"$record"
	assert_damaged 'version 99, this labctl knows version 1'
}

@test "records with wrong or missing parts" {
	for change in 'del(.owner)' '.owner = 7' 'del(.networks)' '.networks[0].mac = "x"' '.state = "dancing"' '.group = 0' \
		'.stage_text = "{}"' '.lab = "a name that is much too long for any lab, far beyond its end"' \
		'.networks[0].ifname = "longer-than-any-interface"' '[.]'; do
		jq "$change" "$WORLD/good" >"$record"
		assert_damaged ''
	done
}

@test "a record given up: gc removes all that the lab had" {
	L stage-start two
	echo '{' >"$record"
	try "$LABCTL_BIN" gc
	expect 0
	[ "$output" = 'nothing to remove' ]
	rm "$record"
	try "$LABCTL_BIN" gc
	expect 0
	expect_out "removed: container 'labctl-t-rec-client1'" "removed: interface 'tc1'" "removed: leases of lab 't-rec'" \
		"$LABCTL_RUN/t-rec/private/src"
	assert_gone t-rec
	[ "$("$LABCTL_BIN" netport list --json)" = '[]' ]
	try "$LABCTL_BIN" gc
	[ "$output" = 'nothing to remove' ]
	L stage-start two
	cp "$record" "$WORLD/good"
}

@test "a damaged book: status still answers; what needs the book says so; the book stays as it is" {
	for damage in 'head -c 1000 /dev/urandom' 'head -c 3000 "$WORLD/book"' 'true'; do
		L stage-start two
		"$LABCTL_BIN" netport acquire PORT 25999 --owner keep >/dev/null
		mkdir "$WORLD/saved"
		cp "$book"* "$WORLD/saved"
		cp "$book" "$WORLD/book"
		rm "$book"*
		eval "$damage" >"$book"
		sum=$(sha256sum <"$book")
		try L status
		expect 1
		expect_out 'running since' "the lease book cannot be read: the lease book '$book' is damaged"
		try lab t-rec2 stage-start two
		expect 3 "the lease book '$book' is damaged"
		assert_gone t-rec2
		try L repair
		expect 3 "the lease book '$book' is damaged"
		try "$LABCTL_BIN" gc
		expect 3 "the lease book '$book' is damaged"
		try L exec client1 -- true
		expect 0
		[ "$(sha256sum <"$book")" = "$sum" ]
		# put back: nothing was lost
		rm "$book"*
		cp "$WORLD/saved/"* "$LABCTL_STATE"
		rm -r "$WORLD/saved"
		[ "$(L --json status | jq -c .drift)" = '[]' ]
		[ "$("$LABCTL_BIN" netport list --json | jq -c '[.[] | select(.owner == "keep") | .value]')" = '["25999"]' ]
		"$LABCTL_BIN" netport release PORT 25999 --owner keep
	done
}

@test "a damaged book: stage-stop takes the lab down all the same, and tells" {
	L stage-start two
	cp "$book" "$WORLD/book"
	rm "$book"*
	head -c 5000 /dev/urandom >"$book"
	try L stage-stop
	expect 3 "the lease book '$book' is damaged"
	run ! grep tc1 /proc/net/dev
	[ -z "$(api '/containers/json?all=1' | jq -r '.[].Names[0]' | grep labctl-t-rec-)" ]
	rm "$book"*
	try L stage-stop
	expect 6 'no stage is running'
	assert_gone t-rec
}

@test "the book gone: status tells which leases, repair takes them again" {
	L stage-start two
	rm "$book"*
	try L status
	expect 1
	expect_out "the lease of interface 'tc1' is gone" "the lease of lab name 't-rec' is gone"
	try L repair
	expect 0
	[ "$(L --json status | jq -c .drift)" = '[]' ]
	[ "$("$LABCTL_BIN" netport who tc2 --json | jq -r '.[0].owner')" = lab:t-rec ]
	L stage-stop
}

@test "nothing is left behind" {
	L stage-stop >/dev/null 2>&1 || true
	assert_nothing_left
	[ "$("$LABCTL_BIN" netport list --json)" = '[]' ]
}
