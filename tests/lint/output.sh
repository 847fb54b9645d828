#!/bin/bash
# SPDX-License-Identifier: MIT
# What labctl says goes through base/out.h, where it becomes printable.
. "$(dirname "$0")/tap.sh"

prints='(^|[^_[:alnum:]])(v?f?printf|puts|putchar|fputs|f?putc|perror|fwrite|json_dumpf|json_dumpfd|dprintf)[[:space:]]*\('

verbs_use_out() { ! grep -nE "$prints" labctl/main.c labctl/cmd/*.c; }
# base/mem.c speaks when memory is out. What libraries write to a FILE or descriptor of their own is
# another matter.
libraries_are_silent() {
	local others
	mapfile -t others < <(find labctl/*/ -name '*.c' ! -path 'labctl/cmd/*' ! -path labctl/base/out.c ! -path labctl/base/mem.c)
	! grep -nE '[(,] *(stdout|stderr)[,)]|(^|[^_[:alnum:]])(printf|puts|putchar|perror)[[:space:]]*\(' "${others[@]}"
}

check 'verbs and main.c print through base/out.h' verbs_use_out
check 'libraries do not print' libraries_are_silent
done_testing
