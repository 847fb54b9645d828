#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# install.sh: what it refuses, what it repeats, what it takes back; make install and uninstall.
bats_require_minimum_version 1.5.0

setup() {
	root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	cd "$root" || exit
	export LABCTL_STATE=$BATS_TEST_TMPDIR/state LABCTL_INSTALL_LOG=$BATS_TEST_TMPDIR/install.log
	export LABCTL_HOST_SEAT=$BATS_TEST_TMPDIR/etc/host-seat
	unset SUDO_USER
}

teardown() {
	[ -z "${tree-}" ] || rm -rf "$tree"
}

need_root() {
	[ "$(id -u)" -eq 0 ] || skip_or_fail 'needs root'
}

need_engine() {
	need_root
	source ./install.sh
	set +u
	engine_answers || skip_or_fail 'needs a Docker Engine'
	[ -n "$(image_id)" ] || skip_or_fail 'needs the client image'
}

skip_or_fail() {
	if [ "${LABCTL_TEST_STRICT-}" = 1 ]; then
		echo "$1" >&2
		return 1
	fi
	skip "$1"
}

# A tree of its own, so that no step can touch the real one; others may read it.
copy_tree() {
	tree=$(mktemp -d /tmp/labctl-tree.XXXXXX)
	chmod 755 "$tree"
	cp -R install.sh env.sh images stages src VERSION "$tree"
}

@test "--help tells the options and exits 0" {
	run -0 --separate-stderr ./install.sh --help
	[[ "$output" == *'--start STAGE'*'--tests'*'--uninstall'* ]]
	[ -z "$stderr" ]
}

@test "an unknown option: usage on stderr, exit 2" {
	run -2 --separate-stderr ./install.sh --frobnicate
	[ -z "$output" ]
	[[ "$stderr" == "install.sh: unknown argument '--frobnicate'"* ]]
}

@test "--start without a stage: exit 2" {
	run -2 ./install.sh --start
	[ "$output" = "install.sh: option '--start' needs the name of a stage" ]
}

@test "without root it says what to type, and does nothing" {
	[ "$(id -u)" -eq 0 ] || skip_or_fail 'needs root to become somebody else'
	copy_tree
	cd / || exit
	run -3 setpriv --reuid=65534 --regid=65534 --clear-groups bash "$tree/install.sh" --start stage1
	[ "$output" = 'install.sh: needs root; type: sudo ./install.sh --start stage1' ]
	[ ! -e "$LABCTL_STATE" ]
}

refused() {
	need_root
	printf '%s\n' "$@" >"$BATS_TEST_TMPDIR/os-release"
	LABCTL_OS_RELEASE=$BATS_TEST_TMPDIR/os-release run -3 ./install.sh
	[[ "$output" == *'[1/7] System … failed: '*' is not supported'* ]]
	[[ "$output" == *'Hint: labctl needs Debian 12 or later, or Ubuntu 22.04 or later'* ]]
	[ "${#lines[@]}" -le 4 ]
}

@test "Debian 11 is refused" {
	refused 'ID=debian' 'VERSION_ID="11"' 'PRETTY_NAME="Debian GNU/Linux 11 (bullseye)"'
	[[ "$output" == *'Debian GNU/Linux 11 (bullseye) is not supported'* ]]
}

@test "Ubuntu 20.04 is refused" {
	refused 'ID=ubuntu' 'VERSION_ID="20.04"' 'PRETTY_NAME="Ubuntu 20.04 LTS"'
}

@test "another distribution is refused" {
	refused 'ID=fedora' 'VERSION_ID=40' 'PRETTY_NAME="Fedora Linux 40"'
}

@test "Debian 13, testing without a version, Ubuntu 22.04 and 24.04 are taken" {
	source ./install.sh
	set +u
	export log=/dev/null
	for text in $'ID=debian\nVERSION_ID="13"' 'ID=debian' $'ID=ubuntu\nVERSION_ID="22.04"' $'ID=ubuntu\nVERSION_ID="24.04"'; do
		printf '%s\n' "$text" >"$BATS_TEST_TMPDIR/os-release"
		LABCTL_OS_RELEASE=$BATS_TEST_TMPDIR/os-release run -0 step_system
	done
}

@test "a step that fails is named, with the end of its own log and the log's name" {
	need_engine
	copy_tree
	printf 'all:\n\t@echo earlier; echo the compiler says no; exit 1\n' >"$tree/Makefile"
	run -3 --separate-stderr "$tree/install.sh"
	[[ "$stderr" == *'[4/7] Build … failed: make failed'* ]]
	[[ "$stderr" == *"The last lines of $LABCTL_INSTALL_LOG:"* ]]
	[[ "$stderr" == *'the compiler says no'* ]]
	[[ "$stderr" != *'[1/7]'* ]]
	grep -q 'the compiler says no' "$LABCTL_INSTALL_LOG"
}

@test "an engine that DOCKER_HOST names, but that does not answer: no other one is installed" {
	need_root
	DOCKER_HOST=unix://$BATS_TEST_TMPDIR/none.sock run -3 ./install.sh
	[[ "$output" == *"[3/7] Docker Engine … failed: no engine answers at DOCKER_HOST=unix://$BATS_TEST_TMPDIR/none.sock"* ]]
}

# What all commands so far took of the processor, in ms. Of the wall's time others have their share.
spent() {
	times >"$BATS_TEST_TMPDIR/times"
	tail -n 1 "$BATS_TEST_TMPDIR/times" | tr 'ms' '  ' |
		awk '{ printf "%d\n", ($1 * 60 + $2 + $3 * 60 + $4) * 1000 >file }' file="$BATS_TEST_TMPDIR/spent"
}

@test "a second run changes nothing and takes less than 3 seconds of work" {
	need_engine
	./install.sh >/dev/null
	before=$(dpkg-query -W | sha256sum; sha256sum <"$LABCTL_STATE/install.state"; image_id; stat -c %Y build/release/labctl)
	spent
	began=$(<"$BATS_TEST_TMPDIR/spent")
	run -0 --separate-stderr ./install.sh
	spent
	[ $(($(<"$BATS_TEST_TMPDIR/spent") - began)) -lt 3000 ]
	[ -z "$stderr" ]
	[[ "$output" == *'[2/7] Packages … all there'*'[3/7] Docker Engine … already answers ('*'[4/7] Build … up to date'*"[5/7] Client image … labctl/client:latest is there"* ]]
	after=$(dpkg-query -W | sha256sum; sha256sum <"$LABCTL_STATE/install.state"; image_id; stat -c %Y build/release/labctl)
	[ "$before" = "$after" ]
}

@test "what is built belongs to the tree's owner" {
	need_engine
	copy_tree
	printf 'all:\n\t@mkdir -p build/release && printf "#!/bin/sh\\n" > build/release/labctl && chmod +x build/release/labctl\n' >"$tree/Makefile"
	chown -R 1234:1234 "$tree"
	run -0 "$tree/install.sh"
	[ "$(find "$tree" ! -user 1234)" = '' ]
	[ -x "$tree/build/release/labctl" ]
}

@test "a missing package is looked for by what it brings, not by its name" {
	source ./install.sh
	set +u
	run -0 missing_packages 'command sh no-such-package
		file /etc/passwd no-such-package'
	[ "$output" = '' ]
	run -0 missing_packages 'command no-such-command wanted other
		module no-such-module wanted-dev
		file /no/such/file wanted-file
		package no-such-package wanted-package'
	[ "$output" = $'wanted\nwanted-dev\nwanted-file\nwanted-package' ]
}

@test "the udev rule matches labctl's link groups and no others" {
	source ./install.sh
	set +u
	pattern=$(udev_rule_text | sed -n 's/.*netdev_group}=="\([^"]*\)".*/\1/p')
	# shellcheck disable=SC2053 # patterns are what is meant
	matches() {
		local glob globs
		IFS='|' read -r -a globs <<<"$pattern"
		for glob in "${globs[@]}"; do
			[[ $1 != $glob ]] || return 0
		done
		return 1
	}
	# 0x1ab00000..0x1abfffff, and every place where the patterns change
	for group in 447741952 447741959 447741960 447741999 447742000 447749999 447750000 447799999 \
		447800000 447999999 448000000 448699999 448700000 448789999 448790000 448790499 448790500 \
		448790519 448790520 448790527; do
		matches $group || { echo "$group is not matched"; false; }
	done
	for group in 0 1 447741951 447741899 448790528 448790600 448791000 448800000 449000000 44774195 4477419520; do
		! matches $group || { echo "$group is matched"; false; }
	done
}

@test "--uninstall with nothing recorded: says so, exit 0" {
	need_root
	run -0 ./install.sh --uninstall
	[ "$output" = "Nothing to take back: $LABCTL_STATE/install.state records nothing." ]
}

@test "--uninstall takes back what is recorded, and only that" {
	need_engine
	copy_tree
	mkdir -p "$LABCTL_STATE" "$tree/build" "$tree/kept"
	touch "$BATS_TEST_TMPDIR/written" "$BATS_TEST_TMPDIR/not ours"
	setsid sleep 300 &
	ours=$!
	printf '%s\n' "file $BATS_TEST_TMPDIR/written" "dir $tree/build" 'package no-such-package' \
		"dockerd $ours 1" 'image labctl/client:latest sha256:another' >"$LABCTL_STATE/install.state"
	before=$(dpkg-query -W | sha256sum; image_id)
	LABCTL_RUN=$BATS_TEST_TMPDIR/run run -0 "$tree/install.sh" --uninstall
	[ ! -e "$BATS_TEST_TMPDIR/written" ]
	[ -e "$BATS_TEST_TMPDIR/not ours" ]
	[ ! -e "$tree/build" ]
	[ -d "$tree/kept" ]
	[ ! -e "$LABCTL_STATE" ]
	# a pid that was handed out again, and an image built since, are not ours
	kill "$ours"
	[[ "$output" == *'labctl/client:latest is another one by now: kept'* ]]
	[[ "$output" == *'[3/6] Docker Engine … not started by this script: kept'* ]]
	[[ "$output" == *'[4/6] Packages … none to remove'* ]]
	[ "$before" = "$(dpkg-query -W | sha256sum; image_id)" ]
}

# steps USER COMMAND...: functions of install.sh, run by USER with sudo (-: by root himself).
steps() {
	local SUDO_USER=$1
	shift
	[ "$SUDO_USER" != - ] || unset SUDO_USER
	# shellcheck disable=SC2034 # install.sh's
	(source ./install.sh && log=/dev/null && "$@")
}

@test "who runs it with sudo is listed for the host seat, once, and taken off again" {
	need_root
	run -0 steps nobody step_seat
	[[ "$output" == *"Host seat … listed nobody in $LABCTL_HOST_SEAT: labs of nobody use the host's own network namespace" ]]
	[ "$(stat -c '%a %U' "$LABCTL_HOST_SEAT")" = '644 root' ]
	run -0 steps nobody step_seat
	[[ "$output" == *"Host seat … nobody is listed in $LABCTL_HOST_SEAT" ]]
	[ "$(grep -v '^#' "$LABCTL_HOST_SEAT")" = nobody ]
	[ "$(<"$LABCTL_STATE/install.state")" = 'host-seat nobody' ]
	# labctl reads it
	SUDO_UID=$(id -u nobody) run build/release/labctl doctor
	[[ "$output" == *"user 'nobody' is listed in '$LABCTL_HOST_SEAT'"* ]]
	run -0 steps - undo_seat
	[[ "$output" == *'Host seat … no user is listed' ]]
	[ ! -e "$BATS_TEST_TMPDIR/etc" ]
}

@test "the host seat of root himself needs no list; names that an administrator wrote stay" {
	need_root
	run -0 steps - step_seat
	[[ "$output" == *"Host seat … root has it; other users are listed in $LABCTL_HOST_SEAT" ]]
	run -0 steps root step_seat
	run -0 steps no-such-user step_seat
	[ ! -e "$LABCTL_HOST_SEAT" ]
	mkdir "$BATS_TEST_TMPDIR/etc"
	printf 'ann\nnobody' >"$LABCTL_HOST_SEAT"
	run -0 steps nobody step_seat
	run -0 steps daemon step_seat
	[ "$(<"$LABCTL_HOST_SEAT")" = $'ann\nnobody\ndaemon' ]
	run -0 steps - undo_seat
	[[ "$output" == *"Host seat … $LABCTL_HOST_SEAT lists others: kept" ]]
	[ "$(<"$LABCTL_HOST_SEAT")" = $'ann\nnobody' ]
}

@test "--uninstall spares packages that others came to need" {
	source ./install.sh
	set +u
	command -v apt-get >/dev/null || skip_or_fail 'needs apt'
	# libc6 is needed by nearly everything; a list that holds it alone can lose nothing.
	run -0 removable libc6
	[ "$output" = '' ]
}

@test "dockerd is started by the script itself where no init system does it" {
	need_root
	command -v dockerd >/dev/null || skip_or_fail 'needs dockerd'
	[ -d /run/systemd/system ] && skip 'PID 1 is systemd: the service is used'
	cat >"$BATS_TEST_TMPDIR/engine.sh" <<-SCRIPT
		set -eu
		mount -t tmpfs none /run
		mount -t tmpfs none /var/lib/docker
		mkdir -p /run/lock
		# the init script's way is no way here
		mkdir -p $BATS_TEST_TMPDIR/init.d && mount --bind $BATS_TEST_TMPDIR/init.d /etc/init.d
		ip link set lo up
		export LABCTL_DOCKERD_LOG=$BATS_TEST_TMPDIR/dockerd.log
		unset DOCKER_HOST
		. $root/install.sh
		log=$BATS_TEST_TMPDIR/log
		step_engine
		engine_answers && echo answers
		step_engine
		read -r pid time <<<"\$(noted dockerd)"
		[ "\$(start_time "\$pid")" = "\$time" ] && echo noted
		undo_dockerd
		[ ! -d "/proc/\$pid" ] && echo gone
		engine_answers || echo silent
	SCRIPT
	run -0 unshare --mount --net --pid --fork --mount-proc bash "$BATS_TEST_TMPDIR/engine.sh"
	[[ "$output" == *'Docker Engine … started ('*answers*'Docker Engine … already answers ('*noted*'stopped dockerd ('*gone*silent* ]]
}

@test "make install and uninstall: DESTDIR and PREFIX, nothing left" {
	dest=$BATS_TEST_TMPDIR/dest
	make --no-print-directory install DESTDIR="$dest" >/dev/null
	[ -x "$dest/usr/local/bin/labctl" ]
	[ -s "$dest/usr/local/share/labctl/stages/stage1/stage.json" ]
	[ -x "$dest/usr/local/share/labctl/images/build-rootfs.sh" ]
	[ -s "$dest/usr/local/share/bash-completion/completions/labctl" ]
	[ -s "$dest/usr/local/share/zsh/site-functions/_labctl" ]
	[ -s "$dest/usr/local/share/fish/vendor_completions.d/labctl.fish" ]
	make --no-print-directory uninstall DESTDIR="$dest" >/dev/null
	[ "$(find "$dest" ! -type d)" = '' ]
	[ ! -e "$dest/usr/local/share/labctl" ]
}
