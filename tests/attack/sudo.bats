#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A student who may run labctl by sudo does not read, write, remove or run anything as root.
bats_require_minimum_version 1.5.0
load lib

setup_file() {
	attack_make
	use_lab t-sudo
}

teardown_file() { attack_end; }

setup() {
	need root sudo jq curl
	rm -rf "$WORLD/root" # what only root may enter
	install -d -m 700 "$WORLD/root"
	secret "$WORLD/root/secret"
}

# Whatever was tried: in root's directory there is the secret, untouched, and nothing else.
assert_root_only() {
	assert_untouched "$WORLD/root/secret"
	if [ "$(ls -A "$WORLD/root")" != secret ]; then
		ls -lA "$WORLD/root" >&2
		return 1
	fi
}

# serve NAME ARGUMENT...: the service by sudo, for as long as it takes to say that it listens; then
# status is 0. Otherwise status and stderr of the refusal.
serve() {
	local student user=$1 log=$BATS_TEST_TMPDIR/serve.log
	shift
	student "$user" sudo -n "$INSTALLED" netport serve --port 0 "$@"
	"${student[@]}" >"$log" 2>&1 </dev/null 3>&- &
	served=$!
	wait_for 20 serve_decided
	if kill -0 "$served" 2>/dev/null; then
		status=0
	else
		status=0
		wait "$served" || status=$?
		served=
	fi
	output='' stderr=$(<"$log")
}

serve_decided() { grep -q listens "$BATS_TEST_TMPDIR/serve.log" || ! kill -0 "$served"; }

serve_end() {
	[ -n "$served" ] || return 0
	kill "$served"
	wait "$served" || true
	served=
}

teardown() {
	served=${served-}
	serve_end
}

# Bob administers labctl; what he names by himself is opened as him all the same.
@test "serve: a socket in root's place is neither made nor removed" {
	administrators bob
	# Not even a socket that nobody listens on, which serve would take for a stale one.
	python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$WORLD/root/stale"
	for user in alice bob; do
		for path in secret new.sock stale; do
			serve "$user" --state "$WORLD/home/$user/s" --socket "$WORLD/root/$path"
			serve_end
			[ "$status" -ne 0 ]
			[ -S "$WORLD/root/stale" ]
			as_student "$user" ln -sfn "$WORLD/root/$path" link
			serve "$user" --state "$WORLD/home/$user/s" --socket link
			serve_end
			[ -S "$WORLD/root/stale" ]
			[ ! -e "$WORLD/root/new.sock" ]
		done
	done
	rm "$WORLD/root/stale"
	assert_root_only
}

@test "serve: no book, no tokens, no directory in root's place" {
	for user in alice bob; do
		as_student "$user" mkdir l
		as_student "$user" ln -s "$WORLD/root/book.db" l/netport.db
		for places in "--store $WORLD/root/book.db --state $WORLD/home/$user/s" \
			"--store $WORLD/root/secret --state $WORLD/home/$user/s" \
			"--state $WORLD/root/state" "--state $WORLD/home/$user/l"; do
			# shellcheck disable=SC2086 # words
			serve "$user" $places --socket x.sock
			serve_end
			[ "$status" -ne 0 ]
			assert_root_only
		done
	done
}

@test "serve: lists and keys are read as the caller" {
	secret "$WORLD/root/list" /bin/true
	for user in alice bob; do
		for files in "--allow-shell $WORLD/root/secret" "--allow-shell $WORLD/root/list" \
			"--tls-key $WORLD/root/secret --tls-cert $WORLD/root/secret"; do
			for places in '' "--state $WORLD/home/$user/s --socket x.sock"; do
				# shellcheck disable=SC2086 # words
				serve "$user" $files $places
				serve_end
				[ "$status" -ne 0 ]
				[ "$user" = alice ] || [[ $stderr == *"$WORLD/root/"*'Permission denied'* ]]
				assert_nothing_says 'for root only'
			done
		done
	done
	rm "$WORLD/root/list"
	assert_root_only
}

@test "serve: what a user's list allows does not run as root" {
	local request
	request=(curl -s -m 10 -G --data-urlencode "command=touch $WORLD/root/made")
	for user in alice bob; do
		printf 'touch %s\n' "$WORLD/root/made" >"$WORLD/home/$user/list"
		chmod 644 "$WORLD/home/$user/list"
		token=$("$LABCTL_BIN" netport token add --name t --scope lease,shell --state "$WORLD/home/$user/t")
		chown -R "labt-$user:" "$WORLD/home/$user/t"
		serve "$user" --state "$WORLD/home/$user/t" --allow-shell list --socket x.sock
		if [ "$status" -eq 0 ]; then
			"${request[@]}" --unix-socket "$WORLD/home/$user/x.sock" -H "Authorization: Bearer $token" \
				http://localhost/shell/execute_command >"$BATS_TEST_TMPDIR/answer"
			grep -q data "$BATS_TEST_TMPDIR/answer" # it was started, and could not
		fi
		serve_end
		assert_root_only
	done
	[ -e "$BATS_TEST_TMPDIR/answer" ]
	administrators
}

@test "token: the service's real book of tokens is the administrator's" {
	"$LABCTL_BIN" netport token add --name keep --scope read >/dev/null
	secret "$LABCTL_STATE/probe" # the state directory's own rights stay
	for action in 'add --name mine --scope admin,shell' 'remove --name keep' \
		'add --name keep --scope admin'; do
		# shellcheck disable=SC2086 # words
		try sudo_labctl alice netport token $action
		expect 3 'administrator'
	done
	try sudo_labctl alice netport token add --name mine --scope admin --state "$LABCTL_STATE"
	[ "$status" -ne 0 ]
	[ "$("$LABCTL_BIN" netport token list)" = "$(printf '%-24s %s' keep read)" ]
	# who is listed may
	administrators bob
	try sudo_labctl alice netport token add --name mine --scope admin
	expect 3 'administrator'
	try sudo_labctl bob netport token add --name bobs --scope read
	expect 0
	administrators
	try sudo_labctl bob netport token remove --name keep
	expect 3 'administrator'
	[ "$("$LABCTL_BIN" netport token list | wc -l)" -eq 2 ]
	"$LABCTL_BIN" netport token remove --name keep
	"$LABCTL_BIN" netport token remove --name bobs
	assert_untouched "$LABCTL_STATE/probe"
	rm -f "$LABCTL_STATE/probe" "$LABCTL_STATE"/*tokens*
}

@test "openapi: written as the caller" {
	try sudo_labctl alice netport openapi --path "$WORLD/root/secret"
	expect 3 "$WORLD/root/secret" 'Permission denied'
	try sudo_labctl alice netport openapi --path "$WORLD/root/new.json"
	expect 3 'Permission denied'
	as_student alice ln -s "$WORLD/root/secret" "$ALICE/api.json"
	try sudo_labctl alice netport openapi --path "$ALICE/api.json"
	assert_root_only
	rm -f "$ALICE/api.json"
	try sudo_labctl alice netport openapi --path "$ALICE/api.json"
	expect 0
	[ "$(stat -c %U "$ALICE/api.json")" = labt-alice ]
}

@test "image-build: the image of all labs is the administrator's" {
	need engine
	id() { api /images/labctl/client:latest/json | jq -r .Id; }
	before=$(id)
	for arguments in '' '--dockerfile' '--dockerfile --base labt/evil'; do
		# shellcheck disable=SC2086 # words
		try timeout -k 1 5 "${BASH:-bash}" -c '. "$1"; shift; sudo_labctl alice image-build "$@"' \
			x "$BATS_TEST_DIRNAME/lib.bash" $arguments
		expect 3 'administrator'
	done
	[ "$(id)" = "$before" ]
}

@test "--lab: another login's name and the names of other files are refused" {
	for name in labt-bob root labt-bob.lock netport.sock x.sock; do
		for verb in 'stage-start stage1' stage-stop repair 'forward 9'; do
			# shellcheck disable=SC2086 # words
			try sudo_labctl alice --lab "$name" $verb
			if [ "$status" -ne 2 ] && [ "$status" -ne 5 ]; then
				printf '%s, %s\n' "$name" "$verb" >&2
				explain
				return 1
			fi
			[[ $stderr == *"'$name'"* ]]
		done
	done
	[ -z "$(find "$LABCTL_STATE/labs" "$LABCTL_RUN" -name '*bob*' -o -name '*.lock*' -o -name '*.sock*')" ]
	try sudo_labctl bob stage-start --dry-run stage1
	expect 0
}

@test "stages are read as the caller" {
	secret "$WORLD/root/secret.json" '{ "title": "for root only", "networks": { "for root": 1 } }'
	as_student alice mkdir -p "$ALICE/st/leak" "$ALICE/dirs"
	as_student alice ln -s "$WORLD/root/secret.json" "$ALICE/st/leak/stage.json"
	as_student alice ln -s "$WORLD/root" "$ALICE/dirs/root"
	for verb in stage-validate stage-start 'stage-start --dry-run' \
		'grade --submissions src --out out'; do
		for stage in "$ALICE/st/leak" ./st/leak "$WORLD/root"; do
			# shellcheck disable=SC2086 # words
			try sudo_labctl alice $verb "$stage"
			[ "$status" -ne 0 ]
			assert_nothing_says 'for root'
		done
	done
	try sudo_labctl alice stage-validate "$ALICE/st/leak"
	expect 3 "$ALICE/st/leak/stage.json" 'Permission denied'
	rm "$WORLD/root/secret.json"
	assert_root_only
}

@test "nothing is left behind" {
	assert_nothing_left
}
