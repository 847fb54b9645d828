#!/bin/bash
# SPDX-License-Identifier: MIT
# The scripts pass shellcheck.
. "$(dirname "$0")/tap.sh"
need shellcheck

while read -r file; do
	case $file in
	# run sets $output, $stderr and others
	*.bats) check "$file" shellcheck --severity=warning --exclude=SC2154 --shell=bats "$file" ;;
	*) check "$file" shellcheck --external-sources --source-path=SCRIPTDIR "$file" ;;
	esac
done < <(find .ci install.sh env.sh images stages tests -type f \
	\( -name '*.sh' -o -name '*.bash' -o -name '*.bats' -o -path .ci/run \) | sort)
done_testing
