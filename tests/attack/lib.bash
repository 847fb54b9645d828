# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2154 # status, output, stderr: bats sets them
#
# For the attack tests: a shared host as README.md describes it. labctl is installed where only
# root can write, two real users are in a group that may run it with the real sudo, and nothing
# else. The world's directories reach labctl by sudo's env_file, which the users cannot change.
#
#   setup_file()    { attack_make; }
#   setup()         { need root sudo engine image; }
#   teardown_file() { attack_end; }
#
# The users are labt-alice and labt-bob; helpers take the short names.

# shellcheck source=tests/lib/helpers.bash
. "${BASH_SOURCE[0]%/*}/../lib/helpers.bash"

ATTACK_GROUP=labt-lab
ATTACK_SUDOERS=/etc/sudoers.d/labt-attack

# Sets INSTALLED, the labctl that the users may call, ALICE and BOB, their homes, and the world.
attack_make() {
	world_make
	export INSTALLED=$WORLD/local/bin/labctl ALICE=$WORLD/home/alice BOB=$WORLD/home/bob
	has root || return 0
	attack_users_remove
	rm -f "$ATTACK_SUDOERS"
	install -D -m 755 "$LABCTL_BIN" "$INSTALLED"
	mkdir -p "$WORLD/local/share/labctl" "$WORLD/home"
	cp -r "$LABCTL_TREE/stages" "$LABCTL_TREE/images" "$WORLD/local/share/labctl/"
	chown -R root:root "$WORLD/local"
	LABCTL_STAGES=$WORLD/local/share/labctl/stages
	unset LABCTL_SRC
	groupadd --system "$ATTACK_GROUP"
	attack_user alice
	attack_user bob
	! has sudo || attack_sudoers
}

attack_user() {
	useradd --system --user-group --groups "$ATTACK_GROUP" --no-create-home \
		--home-dir "$WORLD/home/$1" --shell /bin/bash "labt-$1"
	install -d -m 700 -o "labt-$1" -g "labt-$1" "$WORLD/home/$1" "$WORLD/home/$1/src"
}

# README's line, with this world's group and program; checked before sudo sees it.
attack_sudoers() {
	local new=$WORLD/sudoers
	: >"$WORLD/host-seat"
	printf '%s\n' "LABCTL_STATE=$LABCTL_STATE" "LABCTL_RUN=$LABCTL_RUN" \
		"LABCTL_HOST_SEAT=$WORLD/host-seat" >"$WORLD/world.env"
	cat >"$new" <<-SUDOERS
		Defaults!$INSTALLED env_file=$WORLD/world.env
		%$ATTACK_GROUP ALL=(root) NOPASSWD: $INSTALLED
	SUDOERS
	visudo -cqf "$new"
	install -m 440 -o root -g root "$new" "$ATTACK_SUDOERS"
}

# Removes what attack_make() made, also when a test failed half-way.
attack_end() {
	if has root; then
		rm -f "$ATTACK_SUDOERS"
		attack_users_remove
	fi
	world_end
}

# Users with these names belong to no one else: an earlier run that was killed left them.
attack_users_remove() {
	local user pid
	for user in labt-alice labt-bob; do
		id "$user" >/dev/null 2>&1 || continue
		for pid in $(pgrep -u "$user"); do
			kill -KILL "$pid" 2>/dev/null || true
		done
		userdel "$user" 2>/dev/null || userdel --force "$user"
	done
	! getent group "$ATTACK_GROUP" >/dev/null || groupdel "$ATTACK_GROUP"
}

# administrators [NAME...]: of the two users these administer the host, and no others.
administrators() {
	local name
	: >"$WORLD/host-seat"
	for name in "$@"; do
		printf 'labt-%s\n' "$name" >>"$WORLD/host-seat"
	done
}

# student NAME COMMAND...: sets `student`, that command as that user from his home, with the
# environment of a login.
student() {
	local user=labt-$1 home=$WORLD/home/$1
	shift
	student=(env -C "$home" setpriv --reuid "$user" --regid "$user" --init-groups --inh-caps=-all
		env -i "HOME=$home" "USER=$user" "LOGNAME=$user" SHELL=/bin/bash LANG=C.UTF-8
		PATH=/usr/local/bin:/usr/bin:/bin "$@")
}

# as_student NAME COMMAND...: runs it.
as_student() {
	local student
	student "$@"
	"${student[@]}" </dev/null
}

# sudo_labctl NAME ARGUMENT...: that user types `sudo labctl ARGUMENT...`.
sudo_labctl() {
	local name=$1
	shift
	as_student "$name" sudo -n "$INSTALLED" "$@"
}

# secret FILE [TEXT]: a file that only root can read, with its hash noted for assert_untouched.
secret() {
	mkdir -p "${1%/*}"
	(umask 077 && printf '%s\n' "${2-for root only}" >"$1")
	attack_print "$1" >"$WORLD/untouched-${1//\//,}"
}

attack_print() { stat -c '%u %g %a %i %s %Y' "$1" && sha256sum <"$1"; }

# assert_untouched FILE...: same owner, mode, inode and content as when secret() made it.
assert_untouched() {
	local file
	for file in "$@"; do
		if ! attack_print "$file" | diff "$WORLD/untouched-${file//\//,}" - >&2; then
			printf 'was touched: %s\n' "$file" >&2
			return 1
		fi
	done
}

# assert_nothing_says TEXT: neither stdout nor stderr of the last `try` has it.
assert_nothing_says() {
	if [[ $output$stderr == *"$1"* ]]; then
		printf 'told: %s\n' "$1" >&2
		explain
		return 1
	fi
}
