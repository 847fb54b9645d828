#!/bin/bash
# SPDX-License-Identifier: MIT
# Install labctl on Debian 12+ or Ubuntu 22.04+: packages, Docker Engine, build, client image.
set -euo pipefail

usage() {
	cat <<'USAGE'
Usage: sudo ./install.sh [--start STAGE] [--tests]
       sudo ./install.sh --uninstall

Installs what labctl needs, from the distribution's packages, and builds it here.
Running it again does only what is still missing.

  --start STAGE  when all is there, start that stage (for example stage1)
  --tests        also install what `make check` needs
  --uninstall    stop all labs and take back what this script did, and only that
  -h, --help     show this text

An engine that already answers (DOCKER_HOST, else the default socket) is used as it
is. No Docker configuration and no global sysctl is changed. What was done is noted
in /var/lib/labctl/install.state; everything the steps print is in
/var/log/labctl-install.log.
USAGE
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
labctl=$root/build/release/labctl
state_dir=${LABCTL_STATE:-/var/lib/labctl}
state=$state_dir/install.state
run_dir=${LABCTL_RUN:-/run/labctl}
image=${LABCTL_IMAGE:-labctl/client:latest}
log=${LABCTL_INSTALL_LOG:-/var/log/labctl-install.log}
host_seat=${LABCTL_HOST_SEAT:-/etc/labctl/host-seat}
udev_rule=/etc/udev/rules.d/70-labctl.rules
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1

# command or pkg-config module | package | packages that serve as well
build_needs='
command gcc        gcc
file    /usr/include/stdio.h libc6-dev
command make       make
command pkg-config pkg-config
module  libcurl    libcurl4-openssl-dev libcurl4-gnutls-dev libcurl4-nss-dev
module  jansson    libjansson-dev
module  libmnl     libmnl-dev
module  libnftables libnftables-dev
module  libcap     libcap-dev
module  sqlite3    libsqlite3-dev
module  libmicrohttpd libmicrohttpd-dev
module  hiredis    libhiredis-dev
module  gnutls     libgnutls28-dev
command curl       curl
command ip         iproute2
command mmdebstrap mmdebstrap
command python3    python3
command tcpdump    tcpdump
'
test_needs='
command prove      perl
command bats       bats
module  cmocka     libcmocka-dev
command clang      clang
command clang-format clang-format
command cppcheck   cppcheck
command shellcheck shellcheck
package python3-jsonschema python3-jsonschema
package python3-scapy python3-scapy
command zsh        zsh
command fish       fish
command docker-compose docker-compose
command docker     docker.io docker-cli docker-ce-cli
command ethtool    ethtool
command nft        nftables
command expect     expect
command jq         jq
command valgrind   valgrind
command ping       iputils-ping
command strace     strace
command sudo       sudo
command redis-server redis-server
command redis-benchmark redis-tools
command openssl    openssl
command chromium   chromium
'

# --- what the user sees ---------------------------------------------------------------------

step=0 steps=7 title='' child='' packages_before=''

say() { printf '[%d/%d] %s … %s\n' "$step" "$steps" "$title" "$1"; }

begin() {
	step=$((step + 1)) title=$1
	printf '\n== [%d/%d] %s\n' "$step" "$steps" "$title" >>"$log"
}

# What this step has logged: an earlier one's or an earlier run's lines would mislead.
log_tail() {
	awk '/^== \[/ { n = 0; next } NF { line[n++] = $0 }
		END { for (i = n > 12 ? n - 12 : 0; i < n; i++) print "    " line[i] }' "$log"
}

# fail MESSAGE [HINT]: the step, the reason, the end of the log, and where the log is.
fail() {
	local tail
	tail=$(log_tail)
	{
		printf '[%d/%d] %s … failed: %s\n' "$step" "$steps" "$title" "$1"
		[ -z "$tail" ] || printf 'The last lines of %s:\n%s\n' "$log" "$tail"
		[ -z "${2-}" ] || printf 'Hint: %s\n' "$2"
		[ -n "$tail" ] || printf 'Log: %s\n' "$log"
	} >&2
	exit 3
}

# logged WHAT COMMAND…: the command's output goes to the log; a terminal shows time and last line.
logged() {
	local what=$1 began=$SECONDS spin='-=~' i=0 rc=0 width line
	shift
	printf '+ %s\n' "$*" >>"$log"
	"$@" >>"$log" 2>&1 </dev/null &
	child=$!
	if [ -t 1 ]; then
		width=$(tput cols 2>/dev/null) || width=80
		[ "${width:-0}" -ge 40 ] || width=80
		while kill -0 "$child" 2>/dev/null; do
			line=$(tail -c 400 "$log" | tr '\r' '\n' | grep -a -v '^[[:space:]]*$' | tail -n 1) || line=
			line=${line#labctl: }
			line="[$step/$steps] $title … ${spin:i++%3:1} $what, $((SECONDS - began)) s: ${line//[^[:print:]]/}"
			printf '\r\033[K%s' "${line:0:width - 1}"
			sleep 0.2
		done
		printf '\r\033[K'
	elif [ -n "$what" ]; then
		say "$what"
	fi
	wait "$child" || rc=$?
	child=''
	return "$rc"
}

# A second signal does not end the cleaning up: in the trap for EXIT it would be too late to ignore it.
on_signal() {
	trap '' INT TERM HUP
	exit "$1"
}

# Ctrl-C and every other way out: the running command is ended, what it installed is noted.
on_exit() {
	local rc=$?
	trap '' INT TERM HUP
	trap - EXIT
	if [ -n "$child" ]; then
		kill -TERM "$child" 2>/dev/null || :
		wait "$child" 2>/dev/null || :
		[ ! -t 1 ] || printf '\r\033[K'
	fi
	allow_service_starts
	note_packages
	[ "$rc" -lt 128 ] || printf '[%d/%d] %s … interrupted; run the same command again to go on\n' \
		"$step" "$steps" "$title" >&2
	exit "$rc"
}

# --- the record of what was done ------------------------------------------------------------

note() {
	mkdir -p "$state_dir"
	grep -qxF "$*" "$state" 2>/dev/null || printf '%s\n' "$*" >>"$state"
}

noted() { sed -n "s|^$1 ||p" "$state" 2>/dev/null || :; }

installed_packages() {
	# shellcheck disable=SC2016 # dpkg's own place-holders
	dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u
}

# Whatever came in since packages_before was taken is ours to remove later.
note_packages() {
	local package
	[ -n "$packages_before" ] || return 0
	while read -r package; do
		note package "$package"
	done < <(comm -13 <(printf '%s\n' "$packages_before") <(installed_packages))
	packages_before=''
}

# --- the steps ------------------------------------------------------------------------------

os_value() { sed -n "s/^$1=\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" "${LABCTL_OS_RELEASE:-/etc/os-release}" | head -n 1; }

step_system() {
	local id version name major
	begin System
	id=$(os_value ID) version=$(os_value VERSION_ID) name=$(os_value PRETTY_NAME)
	major=${version%%.*}
	case $id in
	debian | raspbian) [ "${major:-99}" -ge 12 ] || id=old ;;
	ubuntu) [ "${major:-99}" -ge 22 ] || id=old ;;
	*) id=other ;;
	esac
	case $id in
	old | other)
		fail "${name:-this system} is not supported" \
			'labctl needs Debian 12 or later, or Ubuntu 22.04 or later'
		;;
	esac
	say "$name, $(uname -m), Linux $(uname -r)"
}

package_is_installed() {
	# shellcheck disable=SC2016 # dpkg's own place-holders
	dpkg-query -W -f '${db:Status-Status}\n' "$@" 2>/dev/null | grep -qx installed
}

# need_met KIND WHAT PACKAGE…: is the thing itself there, whichever package brought it?
need_met() {
	local kind=$1 what=$2
	shift 2
	case $kind in
	command) command -v "$what" >/dev/null ;;
	file) [ -e "$what" ] ;;
	package) package_is_installed "$@" ;;
	module)
		if command -v pkg-config >/dev/null; then
			pkg-config --exists "$what"
		else
			package_is_installed "$@"
		fi
		;;
	esac
}

missing_packages() {
	local kind what packages
	while read -r kind what packages; do
		[ -n "$kind" ] || continue
		# shellcheck disable=SC2086 # a list of words
		need_met "$kind" "$what" $packages || printf '%s\n' "${packages%% *}"
	done <<<"$1"
}

# Without systemd a package's own attempt to start its service may fail, and the package with it;
# what must run is started by the next step. policy-rc.d is Debian's word for that.
policy=/usr/sbin/policy-rc.d policy_made=''

deny_service_starts() {
	if [ -d /run/systemd/system ] || [ -e "$policy" ]; then return; fi
	policy_made=1
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
}

allow_service_starts() {
	[ -z "$policy_made" ] || rm -f "$policy"
	policy_made=''
}

# apt_install PACKAGE…: never removes anything to make room for them.
apt_install() {
	local count=$#
	[ -n "$packages_before" ] || packages_before=$(installed_packages)
	logged 'reading the package lists' apt-get update -q -o DPkg::Lock::Timeout=120 ||
		say 'some package lists could not be read; going on with what is there'
	deny_service_starts
	logged "installing $count: $*" apt-get install -q --yes --no-install-recommends --no-remove \
		-o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "$@" || {
		allow_service_starts
		note_packages
		fail "apt-get could not install: $*" \
			'when packages are broken: dpkg --configure -a; apt-get -f install'
	}
	allow_service_starts
	note_packages
}

step_packages() {
	local needs=$build_needs missing
	begin Packages
	[ -z "$with_tests" ] || needs+=$test_needs
	mapfile -t missing < <(missing_packages "$needs")
	if [ ${#missing[@]} -eq 0 ]; then
		say 'all there'
	else
		apt_install "${missing[@]}"
		say "installed ${missing[*]}"
	fi
}

# engine METHOD PATH [curl options]: one request to the Docker Engine.
engine() {
	local host=${DOCKER_HOST:-unix:///var/run/docker.sock} method=$1 path=$2 tls=()
	shift 2
	if [ -n "${DOCKER_TLS_VERIFY-}" ]; then
		local certs=${DOCKER_CERT_PATH:-$HOME/.docker}
		tls=(--cacert "$certs/ca.pem" --cert "$certs/cert.pem" --key "$certs/key.pem")
	fi
	case $host in
	unix://*) curl -sS -f -X "$method" --unix-socket "${host#unix://}" "$@" "http://docker$path" ;;
	tcp://*) curl -sS -f -X "$method" "${tls[@]}" "$@" "http${tls:+s}://${host#tcp://}$path" ;;
	*) return 1 ;;
	esac
}

engine_answers() { engine GET /_ping -m 5 >/dev/null 2>&1; }

engine_version() { engine GET /version -m 5 2>/dev/null | sed -n 's/.*"Version":"\([^"]*\)".*/\1/p'; }

# wait_for_engine SECONDS [PID]: until it answers, the time is up, or its process is gone.
wait_for_engine() {
	local until=$((SECONDS + $1))
	while ! engine_answers; do
		[ "$SECONDS" -lt "$until" ] || return 1
		[ -z "${2-}" ] || kill -0 "$2" 2>/dev/null || return 1
		sleep 0.2
	done
}

start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# Without systemd, and where the init script gives up (it raises limits, which containers refuse).
start_dockerd() {
	local dockerd_log=${LABCTL_DOCKERD_LOG:-/var/log/labctl-dockerd.log} pid
	if ! [ -e /sys/fs/cgroup/cgroup.controllers ] && ! [ -d /sys/fs/cgroup/memory ]; then
		mount -t cgroup2 none /sys/fs/cgroup >>"$log" 2>&1 || :
	fi
	[ -e "$dockerd_log" ] || note file "$dockerd_log"
	setsid nohup dockerd >"$dockerd_log" 2>&1 </dev/null &
	pid=$!
	note dockerd "$pid" "$(start_time "$pid")"
	if ! logged 'starting dockerd' wait_for_engine 60 "$pid"; then
		tail -n 12 "$dockerd_log" >>"$log" || :
		fail 'dockerd does not answer' "its own log is $dockerd_log"
	fi
}

step_engine() {
	begin 'Docker Engine'
	if engine_answers; then
		say "already answers ($(engine_version))"
		return
	fi
	[ -z "${DOCKER_HOST-}" ] || fail "no engine answers at DOCKER_HOST=$DOCKER_HOST" \
		'start that engine, or unset DOCKER_HOST to use the local one'
	if ! command -v dockerd >/dev/null; then
		local wanted=(docker.io)
		# With AppArmor in the kernel the engine cannot start a container without its parser.
		if [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] &&
			! command -v apparmor_parser >/dev/null; then
			wanted+=(apparmor)
		fi
		apt_install "${wanted[@]}"
	fi
	if [ -d /run/systemd/system ]; then
		logged 'starting the service' systemctl start docker ||
			fail 'systemctl start docker failed' 'see: journalctl -u docker'
		logged 'waiting for its socket' wait_for_engine 60 ||
			fail 'the service runs, but does not answer' 'see: journalctl -u docker'
	else
		if ! engine_answers && [ -x /etc/init.d/docker ]; then
			if logged 'starting the service' service docker start; then wait_for_engine 5 || :; fi
		fi
		engine_answers || start_dockerd
	fi
	say "started ($(engine_version))"
}

# The files of the tree stay its owner's, so that a later `make` needs no root.
as_owner() {
	local uid gid
	uid=$(stat -c %u "$root") gid=$(stat -c %g "$root")
	if [ "$uid" = 0 ]; then
		"$@"
	else
		setpriv --reuid="$uid" --regid="$gid" --clear-groups "$@"
	fi
}

step_build() {
	local before=''
	begin Build
	if [ ! -d "$root/build" ]; then
		note dir "$root/build"
		mkdir "$root/build"
	fi
	chown -R --reference="$root" "$root/build"
	[ ! -x "$labctl" ] || before=$(stat -c %Y%i "$labctl")
	logged 'compiling' as_owner make -C "$root" -j"$(nproc)" all ||
		fail 'make failed' 'make V=1 shows the commands'
	if [ "$before" = "$(stat -c %Y%i "$labctl")" ]; then
		say 'up to date'
	else
		say "built $("$labctl" version 2>/dev/null | head -n 1)"
	fi
}

image_id() { engine GET "/images/$image/json" -m 10 2>/dev/null | sed -n 's/.*"Id":"\([^"]*\)".*/\1/p'; }

step_image() {
	local began=$SECONDS
	begin 'Client image'
	if [ -n "$(image_id)" ]; then
		say "$image is there"
		return
	fi
	logged 'building' "$labctl" -v image-build ||
		fail "labctl image-build failed" "try it by hand: sudo $labctl image-build"
	[ -n "$(image_id)" ] || fail "labctl image-build made no image '$image'"
	note image "$image" "$(image_id)"
	say "built $image in $((SECONDS - began)) s"
}

# NetworkManager is told to leave labctl's links alone: they carry a group in
# 0x1ab00000..0x1abfffff from birth, here as decimal patterns.
udev_rule_text() {
	cat <<'RULE'
# Written by labctl's install.sh: links of labs are not NetworkManager's to manage.
ACTION!="remove", SUBSYSTEM=="net", ATTR{netdev_group}=="44774195[2-9]|4477419[6-9]?|44774[2-9]???|4477[5-9]????|447[89]?????|448[0-6]?????|4487[0-8]????|448790[0-4]??|4487905[01]?|44879052[0-7]", ENV{NM_UNMANAGED}="1"
RULE
}

step_host() {
	begin 'Host rules'
	if [ ! -S /run/udev/control ]; then
		say 'none needed (no udev here)'
	elif [ -e "$udev_rule" ] && udev_rule_text | cmp -s - "$udev_rule"; then
		say "$udev_rule is there"
	else
		[ -e "$udev_rule" ] || note file "$udev_rule"
		mkdir -p "$(dirname "$udev_rule")"
		udev_rule_text >"$udev_rule" || fail "cannot write $udev_rule"
		udevadm control --reload >>"$log" 2>&1 || :
		say "wrote $udev_rule"
	fi
}

host_seat_text() {
	cat <<'LIST'
# Who may have the host's own network namespace as a lab's seat, one login name a line.
# Whoever is listed administers this host; everyone else gets a private seat.
LIST
}

# Who called sudo administers this host already. Prints nothing for root himself.
sudo_user() {
	[ -n "${SUDO_USER-}" ] && [ "$(id -u -- "$SUDO_USER" 2>/dev/null || echo 0)" -ne 0 ] || return 0
	printf '%s\n' "$SUDO_USER"
}

step_seat() {
	local user
	begin 'Host seat'
	user=$(sudo_user)
	if [ -z "$user" ]; then
		say "root has it; other users are listed in $host_seat"
	elif grep -qxF -- "$user" "$host_seat" 2>/dev/null; then
		say "$user is listed in $host_seat"
	else
		(
			umask 022
			mkdir -p "$(dirname "$host_seat")"
			[ -e "$host_seat" ] || host_seat_text >"$host_seat"
			[ -z "$(tail -c 1 "$host_seat")" ] || echo >>"$host_seat"
			printf '%s\n' "$user" >>"$host_seat"
		) || fail "cannot write $host_seat"
		note host-seat "$user"
		say "listed $user in $host_seat: labs of $user use the host's own network namespace"
	fi
}

step_start() {
	begin "Stage '$1'"
	say 'starting'
	"$labctl" stage-start "$1" || fail "labctl stage-start $1 failed" "what is amiss: sudo $labctl doctor"
}

what_next() {
	printf '\nReady. In your shell, type:\n\n    . %s/env.sh\n' "$root"
	if [ -n "$1" ]; then
		cat <<'NEXT'
    labctl status
    labctl run -- python3 src/starter.py      # shows the frames that arrive (Ctrl-C ends it)
    labctl connect client1                    # a shell on a client, in a second terminal
    labctl stage-stop
NEXT
		printf '\nYour task: %s/stages/%s/README.md\n' "$root" "$1"
	else
		printf '    labctl stage-list\n    labctl stage-start stage1\n'
	fi
}

# --- taking it back -------------------------------------------------------------------------

# takes_along LIST PACKAGE…: does removing the packages take others along than those in LIST?
takes_along() {
	local list=$1 plan
	shift
	# A removal that apt refuses even to plan takes too much along.
	plan=$(LC_ALL=C apt-get -s remove "$@" 2>/dev/null) || return 0
	sed -n 's/^Remv \([^ :]*\).*/\1/p' <<<"$plan" | sort | comm -13 <(sort <<<"$list") - | grep -q .
}

# Of the packages given, those that nothing else has come to need, one a line.
removable() {
	local list package
	list=$(printf '%s\n' "$@")
	if ! takes_along "$list" "$@"; then
		printf '%s\n' "$list"
		return
	fi
	for package in "$@"; do
		takes_along "$list" "$package" || printf '%s\n' "$package"
	done
}

undo_labs() {
	local lab name
	begin 'Labs'
	for lab in "$run_dir"/*/lab.json; do
		[ -e "$lab" ] || continue
		name=$(basename "$(dirname "$lab")")
		logged "stopping $name" "$labctl" --lab "$name" stage-stop ||
			fail "labctl --lab $name stage-stop failed"
	done
	say 'none runs'
}

undo_image() {
	local name id
	begin 'Client image'
	read -r name id <<<"$(noted image)"
	if [ -z "$name" ]; then
		say 'not built by this script: kept'
	elif image=$name && [ "$(image_id)" != "$id" ]; then
		say "$name is another one by now: kept"
	else
		logged '' engine DELETE "/images/$name" || fail "the engine refuses to remove $name"
		say "removed $name"
	fi
}

# Our own dockerd is known by its pid together with its start time.
undo_dockerd() {
	local pid time i
	begin 'Docker Engine'
	while read -r pid time; do
		if [ -z "$pid" ] || [ "$(start_time "$pid")" != "$time" ]; then continue; fi
		if [ "$(engine GET /containers/json 2>/dev/null)" != '[]' ]; then
			say 'containers run: dockerd is kept'
			return
		fi
		kill -TERM "$pid"
		for ((i = 0; i < 150; i++)); do
			[ -d "/proc/$pid" ] || break
			sleep 0.2
		done
		say "stopped dockerd ($pid)"
		return
	done <<<"$(noted dockerd)"
	say 'not started by this script: kept'
}

undo_packages() {
	local ours=() package gone=() count
	begin Packages
	while read -r package; do
		if [ -n "$package" ] && package_is_installed "$package"; then ours+=("$package"); fi
	done <<<"$(noted package)"
	if [ ${#ours[@]} -gt 0 ]; then
		say "looking which of ${#ours[@]} nothing else needs by now"
		mapfile -t gone < <(removable "${ours[@]}")
	fi
	if [ ${#gone[@]} -eq 0 ]; then
		say 'none to remove'
		return
	fi
	count=${#gone[@]}
	logged "removing $count" apt-get remove -q --yes -o DPkg::Lock::Timeout=120 "${gone[@]}" ||
		fail 'apt-get remove failed'
	# What was installed by us left its configuration too, but a purge of the engine would
	# take the images and volumes with it, which may be the user's.
	mapfile -t gone < <(printf '%s\n' "${gone[@]}" | grep -v -x -e docker.io -e containerd)
	logged 'removing their configuration' dpkg --purge "${gone[@]}" || :
	say "removed $count (docker's data in /var/lib/docker, if any, stays)"
}

# The list stays as long as it names somebody.
undo_seat() {
	local user rest
	begin 'Host seat'
	while read -r user; do
		if [ -z "$user" ] || [ ! -e "$host_seat" ]; then continue; fi
		rest=$(grep -vxF -- "$user" "$host_seat") || :
		printf '%s\n' "$rest" >"$host_seat"
	done <<<"$(noted host-seat)"
	if [ -e "$host_seat" ] && host_seat_text | cmp -s - "$host_seat"; then
		rm -f "$host_seat"
		rmdir --ignore-fail-on-non-empty "$(dirname "$host_seat")"
	fi
	if [ -e "$host_seat" ]; then say "$host_seat lists others: kept"; else say 'no user is listed'; fi
}

undo_files() {
	local path
	begin Files
	while read -r path; do
		[ -z "$path" ] || rm -f "$path"
	done <<<"$(noted file)"
	[ ! -S /run/udev/control ] || udevadm control --reload >>"$log" 2>&1 || :
	while read -r path; do
		[ -z "$path" ] || rm -rf "$path"
	done <<<"$(noted dir)"
	rm -f "$state"
	# What labctl itself keeps there is empty by now, unless others hold leases.
	find "$state_dir" -depth -empty -delete 2>/dev/null || :
	say 'removed what was written'
}

uninstall() {
	steps=6
	undo_labs
	undo_image
	undo_dockerd
	undo_packages
	undo_seat
	undo_files
}

# --- main -----------------------------------------------------------------------------------

with_tests='' start_stage='' do_uninstall=''

parse_args() {
	while [ $# -gt 0 ]; do
		case $1 in
		-h | --help) usage; exit 0 ;;
		--tests) with_tests=1 ;;
		--uninstall) do_uninstall=1 ;;
		--start)
			if [ $# -lt 2 ] || [ -z "$2" ]; then
				printf "install.sh: option '--start' needs the name of a stage\n" >&2
				exit 2
			fi
			start_stage=$2
			shift
			;;
		*)
			printf "install.sh: unknown argument '%s'\n" "$1" >&2
			usage >&2
			exit 2
			;;
		esac
		shift
	done
}

open_log() {
	[ -e "$log" ] || note file "$log"
	if ! { : >>"$log"; } 2>/dev/null; then
		mkdir -p "$root/build"
		log=$root/build/install.log
	fi
	# Old runs are kept as long as they are small.
	[ "$(stat -c %s "$log")" -lt 1000000 ] || : >"$log"
	printf '\n#### %s: install.sh %s\n' "$(date '+%F %T')" "$*" >>"$log"
}

main() {
	parse_args "$@"
	if [ "$(id -u)" -ne 0 ]; then
		printf 'install.sh: needs root; type: sudo ./install.sh %s\n' "$*" >&2
		exit 3
	fi
	if [ -n "$do_uninstall" ] && [ ! -s "$state" ]; then
		printf 'Nothing to take back: %s records nothing.\n' "$state"
		return
	fi
	open_log "$@"
	trap on_exit EXIT
	trap 'on_signal 130' INT
	trap 'on_signal 143' TERM HUP
	if [ -n "$do_uninstall" ]; then
		uninstall
		return
	fi
	[ -z "$start_stage" ] || steps=8
	step_system
	step_packages
	step_engine
	step_build
	step_image
	step_host
	step_seat
	[ -z "$start_stage" ] || step_start "$start_stage"
	what_next "$start_stage"
}

# Sourced by the tests for its single steps.
[ "${BASH_SOURCE[0]}" != "$0" ] || main "$@"
