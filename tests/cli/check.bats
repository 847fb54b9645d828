#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The verb check as far as it needs neither root nor a lab.

labctl=$BATS_TEST_DIRNAME/../../build/release/labctl

@test "check --explain: a check's page, with its hints" {
	run "$labctl" check --explain ipv4.ttl
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = 'ipv4.ttl: the router decrements TTL by exactly one (RFC 1812 5.3.1)' ]
	[[ $output == *'  3. ttl = ttl - 1'* ]]
	[[ $output == *'Waits for ipv4.forward: not tried while a fault there may hide what this is about'* ]]
}

@test "check --explain all: the catalogue" {
	run "$labctl" check --explain all
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -ge 37 ]
	[ "${lines[0]}" = 'arp.reply                 answers who-has for its own address (RFC 826)' ]
}

@test "check --explain: a near miss" {
	run "$labctl" check --explain arp.replay
	[ "$status" -eq 6 ]
	[ "${lines[0]}" = "labctl: there is no check 'arp.replay'" ]
	[ "${lines[1]}" = "        did you mean 'arp.reply'?" ]
}
