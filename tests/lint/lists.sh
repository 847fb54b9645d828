#!/bin/bash
# SPDX-License-Identifier: MIT
# Lists that must agree: both ways to the client image; what the build needs and install.sh gets.
. "$(dirname "$0")/tap.sh"

same_settings() {
	diff <(grep -v '^#' images/config) <(grep -E '^(ENV|WORKDIR|CMD|ENTRYPOINT|USER|EXPOSE|LABEL) ' images/Dockerfile)
}
one_name_a_line() { ! grep -n -v -E '^(#.*|[a-z0-9][a-z0-9+.-]*|)$' images/packages; }
no_name_twice() { ! grep -v -e '^#' -e '^$' images/packages | sort | uniq -d | grep .; }
installs_what_is_linked() {
	local module modules missing=0
	read -r -a modules < <(sed -n 's/^PKGS := //p' Makefile)
	for module in "${modules[@]}"; do
		grep -q "^module  *$module " install.sh || { echo "install.sh lacks $module"; missing=1; }
	done
	return $missing
}
reads_the_list() { grep -q '^COPY packages setup.sh /tmp/$' images/Dockerfile; }

check 'images/config and the Dockerfile give the same settings' same_settings
check 'images/packages: one name a line' one_name_a_line
check 'images/packages: no name twice' no_name_twice
check 'the Dockerfile takes its packages from images/packages' reads_the_list
check 'install.sh installs every library that the Makefile links' installs_what_is_linked
done_testing
