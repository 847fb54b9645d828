#!/bin/bash
# SPDX-License-Identifier: MIT
# Every header compiles on its own.
. "$(dirname "$0")/tap.sh"
need "${CC:-cc}"

read -r -a flags <<<"$(make -s cflags)"
compiles() { "${CC:-cc}" "${flags[@]}" -Werror -fsyntax-only -x c - <<<"#include \"$1\""; }

while read -r header; do
	check "$header" compiles "${header#labctl/}"
done < <(find labctl -name '*.h' | sort)
done_testing
