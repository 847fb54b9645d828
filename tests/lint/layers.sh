#!/bin/bash
# SPDX-License-Identifier: MIT
# The rooms' order (a folder includes only what stands to its left) and what each source begins
# and ends with.
. "$(dirname "$0")/tap.sh"

declare -A rank=([base]=0 [docker]=1 [net]=1 [netport]=2 [stage]=3 [lab]=4 [grade]=5 [cmd]=6)

# The quoted includes of a file, one a line.
includes() { sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$1"; }

layers() {
	local file=$1 room path to
	room=$(cut -d/ -f2 <<<"$file")
	[ "$file" != labctl/main.c ] || return 0
	[ -n "${rank[$room]-}" ] || { echo "'$room' is no room: see design, the tree"; return 1; }
	while read -r path; do
		to=${path%%/*}
		[ "$path" != version.h ] || continue
		if [ -z "${rank[$to]-}" ]; then
			echo "\"$path\": includes name the room: \"$room/$path\"?"
			return 1
		elif [ "$to" != "$room" ] && [ "${rank[$to]}" -ge "${rank[$room]}" ]; then
			echo "$room/ may not include \"$path\""
			return 1
		fi
	done < <(includes "$file")
}

only_http_uses_curl() {
	! grep -l '<curl/' -r labctl | grep -v -x 'labctl/docker/\(http.c\|transfer.[ch]\)'
}

own_header_first() {
	local header=${1%.c}.h first
	[ -e "$header" ] || return 0
	first=$(grep -m 1 '^#include' "$1")
	[ "$first" = "#include \"${header#labctl/}\"" ] || { echo "begins with $first"; return 1; }
}

banned_last() {
	[ "$(includes "$1" | tail -n 1)" = base/banned.h ] || { echo 'base/banned.h is not the last include'; return 1; }
	[ "$(grep '^#include' "$1" | tail -n 1)" = '#include "base/banned.h"' ]
}

# Line 1, or 2 where the first is for the system (or a linter).
has_spdx() { head -n 2 "$1" | grep -q 'SPDX-License-Identifier: MIT' || { echo 'no SPDX line'; return 1; }; }

while read -r file; do
	check "$file: includes its rooms only" layers "$file"
	case $file in
	*.c)
		check "$file: own header first" own_header_first "$file"
		check "$file: banned.h last" banned_last "$file"
		;;
	esac
done < <(find labctl -name '*.[ch]' | sort)
check 'only docker/http.c and docker/transfer.c use curl' only_http_uses_curl
while read -r file; do
	check "$file: SPDX" has_spdx "$file"
done < <(find labctl tests images src .ci install.sh env.sh Makefile -type f \
	\( -name '*.[ch]' -o -name '*.sh' -o -name '*.py' -o -name '*.bats' -o -name '*.bash' \
	-o -name Makefile -o -name Dockerfile -o -path '.ci/run' \) | sort)
done_testing
