#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Nobody keeps others from starting labs: the names of labs are leased by labs only, and neither
# leases nor labs are without number.
bats_require_minimum_version 1.5.0
load lib

setup_file() {
	attack_make
	use_lab t-cl
	stage_two two tcl 198.19
}

teardown_file() { attack_end; }

setup() { need root sudo; }

@test "what labs find each other by is not leased to a student" {
	for words in 'LAB labt-alice' 'INTERFACE net1' 'NETNS labt-alice' 'GROUP g1' \
		'LAB --range a{1-9}' 'GROUP --range g{1-99999}'; do
		# shellcheck disable=SC2086 # words
		try sudo_labctl bob netport acquire $words
		expect 1 "labctl: ${words%% *} is leased by labs and by administrators only"
	done
	try sudo_labctl bob netport acquire PORT 5000 --owner lab:labt-alice
	expect 2 "labctl: 'lab:labt-alice' names a lab"
	administrators alice
	try sudo_labctl alice netport acquire LAB mine
	expect 0
	administrators_none
}

@test "a user runs sixteen labs at most, and others start theirs" {
	for i in $(seq 16); do
		"$LABCTL_BIN" netport acquire LAB "many$i" --owner "lab:many$i" >/dev/null
	done
	/usr/bin/python3 - "$LABCTL_STATE/netport.db" "$(id -u labt-bob)" <<-'SQL'
		import sqlite3, sys
		with sqlite3.connect(sys.argv[1]) as book:
		    book.execute("UPDATE lease SET uid = ? WHERE owner LIKE 'lab:many%'", (sys.argv[2],))
	SQL
	try sudo_labctl bob --lab more stage-start "$WORLD/stages/two"
	expect 1 "labctl: user 'labt-bob' runs 16 labs, and may have no more"
	"$LABCTL_BIN" netport release LAB many1
	need engine image
	try sudo_labctl bob --lab t-cl stage-start "$WORLD/stages/two"
	expect 0
	sudo_labctl bob --lab t-cl stage-stop
}
