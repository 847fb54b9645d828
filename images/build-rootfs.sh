#!/bin/bash
# SPDX-License-Identifier: MIT
# Build the clients' root file system as a tar archive, from the distribution's packages alone.
set -euo pipefail

usage() {
	cat <<'USAGE'
Usage: images/build-rootfs.sh OUT.tar [--suite SUITE]

Installs the packages listed in images/packages into a fresh system of the
host's own distribution and release (or of SUITE) and packs it into OUT.tar.
Progress goes to stderr, one line a step; OUT.tar appears only when complete.
USAGE
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out='' suite='' work='' builder=''

die() {
	printf 'rootfs: %s\n' "$1" >&2
	exit "${2:-1}"
}

parse_args() {
	while [ $# -gt 0 ]; do
		case $1 in
		-h | --help) usage; exit 0 ;;
		--suite)
			[ $# -ge 2 ] || die "option '--suite' needs a value" 2
			suite=$2
			shift
			;;
		-*) die "unknown option '$1'" 2 ;;
		*)
			[ -z "$out" ] || die "more than one output file: '$out' and '$1'" 2
			out=$1
			;;
		esac
		shift
	done
	if [ -z "$out" ]; then
		usage >&2
		exit 2
	fi
}

os_release() {
	# shellcheck disable=SC1091 # the file is the host's
	(. /etc/os-release && eval "printf '%s' \"\${$1-}\"")
}

# The packages wanted, separated by commas.
packages() {
	sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$here/packages" | tr -s ' \t\n' ',' | sed 's/,$//'
}

# The host's own mirrors that carry the suite, as sources.list lines; foreign repositories stay out.
mirrors() {
	# shellcheck disable=SC2016 # apt's own place-holders
	apt-get indextargets 'Created-By: Packages' \
		--format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)' 2>/dev/null |
		awk -v suite="$suite" '
			$4 != "Debian" && $4 != "Ubuntu" { next }
			$2 == suite || $2 == suite "-updates" || $2 == suite "-security" {
				if (!seen[$1, $2, $3]++)
					print "deb", $1, $2, $3
			}'
}

# How the host's apt reaches its mirrors (proxies and the like); setup.sh takes it out again.
apt_options() {
	apt-config dump Acquire |
		grep -E '^Acquire::(http|https|Check-|Retries|ForceIPv|AllowInsecure)' |
		grep -v ' "";$' || :
	printf 'APT::Install-Recommends "false";\nAcquire::Languages "none";\n'
}

# mmdebstrap's output as progress lines. Weights: where the time goes, in percent.
progress() {
	awk '
		function say(p, what) {
			if (p > 99) p = 99
			if (p > last) last = p
			printf "rootfs: %d%% %s\n", last, what
			fflush()
		}
		/newly installed/ { for (i = 1; i < NF; i++) if ($(i + 1) == "newly") todo = 2 * $i; n = 0 }
		/^I: running apt-get update/ { say(1, "reading the package lists") }
		/^I: downloading packages/ { say(4, "fetching the base system"); base = 8; span = 42 }
		/^I: installing essential/ { n = 0 }
		/^I: installing remaining/ { say(50, "fetching the tools"); base = 52; span = 42 }
		/^(Unpacking|Setting up) / {
			name = $1 == "Setting" ? $3 : $2
			say(base + span * (todo ? ++n / todo : 0), tolower($1) ($1 == "Setting" ? " up " : " ") name)
		}
		/^I: creating tarball/ { say(96, "packing") }
		/^[EW]: / { print "rootfs: " $0; fflush() }
	' >&2
}

# An interrupted or failed build leaves nothing. mmdebstrap alone would wait for its children to
# finish: its whole process group is told, and has ten seconds to unmount and leave.
stop_builder() {
	local i
	[ -n "$builder" ] || return 0
	kill -TERM -- "-$builder" 2>/dev/null || :
	for ((i = 0; i < 50; i++)); do
		kill -0 -- "-$builder" 2>/dev/null || break
		sleep 0.2
	done
	kill -KILL -- "-$builder" 2>/dev/null || :
	wait "$builder" 2>/dev/null || :
}

# A second signal (the terminal's, then the caller's) does not end the cleaning up: in the trap for
# EXIT it would be too late to ignore it.
on_signal() {
	trap '' INT TERM HUP
	exit "$1"
}

cleanup() {
	local rc=$?
	trap '' INT TERM HUP
	trap - EXIT
	stop_builder
	[ -z "$work" ] || rm -rf --one-file-system "$work"
	[ -z "$out" ] || rm -f "$out.part"
	exit "$rc"
}

# mmdebstrap has sh write to a descriptor of its own, which fails from number 10 on: what this
# script's callers left open would push it there.
close_inherited() {
	local fd
	for fd in /proc/self/fd/*; do
		fd=${fd##*/}
		if [ "$fd" -gt 2 ] && [ "$fd" -ne 255 ]; then eval "exec $fd>&-"; fi
	done
}

build() {
	local tool hooks=() sources=() components=main reader rc=0
	for tool in mmdebstrap apt-get awk; do
		command -v "$tool" >/dev/null || die "'$tool' is missing: apt-get install $tool" 3
	done
	[ -n "$suite" ] || suite=$(os_release VERSION_CODENAME)
	[ -n "$suite" ] || die "cannot tell the release from /etc/os-release: use --suite" 3
	[ -d "$(dirname "$out")" ] || die "no directory '$(dirname "$out")'" 2

	trap cleanup EXIT
	trap 'on_signal 130' INT
	trap 'on_signal 143' TERM HUP
	work=$(mktemp -d /var/tmp/labctl-rootfs.XXXXXX)
	chmod 755 "$work"
	apt_options >"$work/apt.conf"
	mirrors >"$work/sources.list"
	[ ! -s "$work/sources.list" ] || sources=("$work/sources.list")
	# Without it bookworm's init-system-helpers draws in usrmerge and all of perl: 50 MB.
	if [ "$suite" = bookworm ] && [ -d /usr/share/mmdebstrap/hooks/maybe-merged-usr ]; then
		hooks=(--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr)
	fi

	[ "$(os_release ID)" != ubuntu ] || components=main,universe

	mkfifo "$work/log.pipe"
	# The log is kept whole for the case of failure; only progress is shown.
	tee "$work/log" <"$work/log.pipe" | progress &
	reader=$!
	TMPDIR=$work LC_ALL=C DEBIAN_FRONTEND=noninteractive setsid mmdebstrap --verbose \
		--variant=apt --format=tar --components="$components" \
		"${hooks[@]}" \
		--aptopt="$work/apt.conf" \
		--dpkgopt=force-unsafe-io \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/info/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-include=/usr/share/doc/*/copyright' \
		--include="$(packages)" \
		--customize-hook="sh '$here/setup.sh' \"\$1\"" \
		"$suite" "$out.part" "${sources[@]}" >"$work/log.pipe" 2>&1 </dev/null &
	builder=$!
	wait "$builder" || rc=$?
	builder=''
	wait "$reader" || :
	if [ "$rc" -ne 0 ]; then
		printf 'rootfs: the last lines of mmdebstrap:\n' >&2
		tail -n 15 "$work/log" >&2
		die "mmdebstrap failed with exit code $rc"
	fi
	mv "$out.part" "$out"
	printf 'rootfs: 100%% done: %s, %s MB\n' "$out" "$(($(stat -c %s "$out") >> 20))" >&2
}

parse_args "$@"
close_inherited
build
