#!/bin/sh
# SPDX-License-Identifier: MIT
# Turn a freshly installed system into a labctl client: home at /~, shell, editors, no host traces.
# Usage: setup.sh ROOT    (ROOT is / when the image is built from the Dockerfile)
set -eu
root=${1:?usage: setup.sh ROOT}
root=${root%/}

# The student's home is /~, so that `cd ~/src` leads to the mounted workspace.
mkdir -p "$root/~/src"
sed -i 's|^\(root:.*\):/root:|\1:/~:|' "$root/etc/passwd"

cat >"$root/~/.bashrc" <<'BASHRC'
case $- in *i*) ;; *) return ;; esac
PS1='\[\e[1;32m\]\h\[\e[0m\]:\[\e[1;34m\]\w\[\e[0m\]\$ '
HISTCONTROL=ignoreboth
shopt -s checkwinsize
export PAGER=less LESS=-R EDITOR=nano
alias ls='ls --color=auto' ll='ls -la' grep='grep --color=auto'
alias ip='ip -color=auto' tcpdump='tcpdump -n'
BASHRC
cat >"$root/~/.profile" <<'PROFILE'
if [ -n "${BASH_VERSION-}" ] && [ -r ~/.bashrc ]; then . ~/.bashrc; fi
PROFILE

[ -e "$root/usr/bin/vim" ] || ln -s vim.tiny "$root/usr/bin/vim"

# What the building host left: its name, its name servers, its apt options, lists and logs.
echo localhost >"$root/etc/hostname" 2>/dev/null || :
printf '127.0.0.1\tlocalhost\n::1\tlocalhost\n' >"$root/etc/hosts" 2>/dev/null || :
: >"$root/etc/resolv.conf" 2>/dev/null || :
rm -f "$root/etc/apt/apt.conf.d/99mmdebstrap" "$root/etc/machine-id"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/cache/debconf/*-old \
	"$root"/var/log/* "$root"/var/lib/dpkg/*-old
