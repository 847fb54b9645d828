# shellcheck shell=sh
# SPDX-License-Identifier: MIT
# labctl for this shell: `. ./env.sh` from any directory, in bash or zsh.
#
# Sets PATH, the PYROUTE_* variables, completion and the pyroute-* commands. Sourcing it again
# changes nothing. Fish: see README.md.

if [ -n "${BASH_VERSION-}" ]; then
	# shellcheck disable=SC3028,SC3054 # bash
	LABCTL_ROOT=${BASH_SOURCE[0]}
elif [ -n "${ZSH_VERSION-}" ]; then
	# Kept from the other shells' parsers: zsh's name of the file being sourced.
	eval 'LABCTL_ROOT=${(%):-%x}'
else
	# Other shells do not tell: what was set before, else the current directory.
	LABCTL_ROOT=${LABCTL_ROOT:-.}/env.sh
fi
LABCTL_ROOT=$(CDPATH='' cd -- "$(dirname -- "$LABCTL_ROOT")" && pwd)
export LABCTL_ROOT

case ":$PATH:" in
*":$LABCTL_ROOT/build/release:"*) ;;
*) PATH=$LABCTL_ROOT/build/release:$PATH ;;
esac
export PATH

export PYROUTE_ENV="$LABCTL_ROOT"
export PYROUTE_SRC_DIR="$LABCTL_ROOT/src"
export PYROUTE_STAGE_DIR="$LABCTL_ROOT/stages"
export PYROUTE_STAGE_FILE="$LABCTL_ROOT/.stage"

# Verbs that make or remove things need root: they get sudo, and what labctl reads from the
# environment goes along.
labctl() {
	if [ "$(id -u)" -eq 0 ] ||
		! "$LABCTL_ROOT/build/release/labctl" needs-root "$@" >/dev/null 2>&1; then
		"$LABCTL_ROOT/build/release/labctl" "$@"
		return
	fi
	set -- "$LABCTL_ROOT/build/release/labctl" "$@"
	[ -z "${DOCKER_HOST-}" ] || set -- "DOCKER_HOST=$DOCKER_HOST" "$@"
	[ -z "${LABCTL_STATE-}" ] || set -- "LABCTL_STATE=$LABCTL_STATE" "$@"
	[ -z "${LABCTL_RUN-}" ] || set -- "LABCTL_RUN=$LABCTL_RUN" "$@"
	[ -z "${LABCTL_STAGES-}" ] || set -- "LABCTL_STAGES=$LABCTL_STAGES" "$@"
	[ -z "${LABCTL_SRC-}" ] || set -- "LABCTL_SRC=$LABCTL_SRC" "$@"
	[ -z "${LABCTL_IMAGE-}" ] || set -- "LABCTL_IMAGE=$LABCTL_IMAGE" "$@"
	sudo "$@"
}

# Plain sh knows no '-' in a function's name and has no completion.
if [ -n "${BASH_VERSION-}${ZSH_VERSION-}" ]; then
	eval '
	pyroute-stage-start() { labctl stage-start "$@"; }
	pyroute-stage-stop() { labctl stage-stop "$@"; }
	pyroute-connect() { labctl connect "$@"; }
	'
fi

if [ ! -x "$LABCTL_ROOT/build/release/labctl" ]; then
	echo "env.sh: labctl is not built yet; type: sudo $LABCTL_ROOT/install.sh" >&2
elif [ -n "${BASH_VERSION-}" ]; then
	eval "$("$LABCTL_ROOT/build/release/labctl" completion bash 2>/dev/null)" || :
elif [ -n "${ZSH_VERSION-}" ]; then
	case $- in
	*i*)
		command -v compdef >/dev/null || { autoload -Uz compinit && compinit; } || :
		eval "$("$LABCTL_ROOT/build/release/labctl" completion zsh 2>/dev/null)" || :
		;;
	esac
fi
