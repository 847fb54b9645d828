#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Run labctl as sudo starts it for a user, and report every file that it touched as root.

    file_rights.py --user NAME --report FILE [--own DIR]... [--until WORDS] -- LABCTL ARGUMENT...

strace records what the process and its children do with names of files and with their own
credentials; the credentials are replayed, so that for each name the user is known whose rights
decided. A name that root looked up is reported unless it is one of root's own: below an --own
directory (state, run directory) or in the table here. A lookup with the user's id but a group of
root's is reported, too. FILE gets one line for each; the exit code is the program's. With --until
the program is ended (SIGTERM) when its stderr has the words.
"""
import argparse
import codecs
import os
import pwd
import re
import signal
import subprocess
import sys
import tempfile

# What root reads or writes for itself. Nothing here can be placed by a user.
OWN = ["/run/netns", "/var/run/netns", "/sys", "/proc", "/dev/null", "/dev/urandom", "/dev/random",
       "/dev/net/tun", "/dev/ptmx", "/dev/pts", "/dev/tty", "/var/run/docker.sock",
       "/run/docker.sock"]
# Root's and readable by everyone: programs, libraries, the files of libc and of TLS.
READ = ["/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc/ld.so.cache", "/etc/ld.so.preload",
        "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/localtime", "/etc/ssl",
        "/etc/gnutls", "/etc/protocols", "/etc/services", "/etc/host.conf", "/etc/hosts",
        "/etc/resolv.conf", "/etc/labctl", "/var/run/nscd", "/run/nscd",
        "/etc/iproute2", "/etc/connlabel.conf", "/etc/userdb", "/run/userdb", "/run/host",
        "/run/systemd/userdb", "/etc/suid-debug"]
# Links that lead out of /proc, to wherever a process is.
LEADS_OUT = re.compile(r"^/proc/(self|thread-self|\d+)(/task/\d+)?/(root|cwd|fd/\d+|map_files)/.")
# Where ids and names mean something else.
APART = re.compile("CLONE_NEWUSER|CLONE_NEWNS")

CREDENTIALS = "setuid,setgid,setreuid,setregid,setresuid,setresgid,setfsuid,setfsgid,setgroups"
OTHERS = "clone,clone3,fork,vfork,unshare,setns,fchdir,connect,bind,open_tree,move_mount,fsopen"
TRACE = "trace=%file," + CREDENTIALS + "," + OTHERS

LINE = re.compile(r"^(\w+)\((.*)\)\s+= (-?\d+|\?)(.*)$")
NAME = re.compile(r'(?:(AT_FDCWD|-?\d+)(?:<([^>]*)>)?, )?"((?:[^"\\]|\\.)*)"')
UNIX = re.compile(r'sun_path="((?:[^"\\]|\\.)*)"')
HOST_PID = re.compile(r"/\* (\d+) in strace's PID NS \*/")

# How many names a call has; one unless told here.
TWO = {"rename", "renameat", "renameat2", "link", "linkat", "mount", "pivot_root", "move_mount"}
LAST = {"symlink", "symlinkat"}  # what a link says is no lookup
LOOKS = ("open", "openat", "openat2", "access", "faccessat", "faccessat2", "stat", "lstat",
         "newfstatat", "statx", "readlink", "readlinkat", "connect", "statfs", "execve")


def below(path, directories):
    return any(path == d or path.startswith(d.rstrip("/") + "/") for d in directories)


def text(quoted):
    return codecs.decode(quoted, "unicode_escape").encode("latin-1").decode("utf-8", "replace")


class Task:
    """One thread: whose rights it has, where it is."""

    def __init__(self, cwd):
        self.uid = self.euid = self.fsuid = 0
        self.gid = self.egid = self.fsgid = 0
        self.groups = [0]
        self.cwd = cwd
        self.apart = False  # another program, or namespaces of its own: not labctl on this host

    def copy(self):
        other = Task(self.cwd)
        other.__dict__.update(self.__dict__)
        return other


class Replay:
    def __init__(self, prefix, labctl, own, user):
        self.prefix, self.labctl, self.user = prefix, labctl, user
        self.own = OWN + own
        self.found = {}
        self.done = set()

    def report(self, line):
        self.found.setdefault(line)

    # ---- names

    def is_own(self, path, call, args):
        if LEADS_OUT.match(path):
            return False
        if below(path, self.own):
            return True
        writes = call in ("open", "openat", "openat2") and re.search(r"O_(WRONLY|RDWR|CREAT)", args)
        # The way to root's own is root's, too; to make it again does nothing.
        way = any(o.startswith(path + "/") for o in self.own + READ)
        if way and not writes and call in LOOKS + ("mkdir",):
            return True
        return call in LOOKS and not writes and (below(path, READ) or path == self.labctl)

    def looked_up(self, task, call, path, args):
        path = os.path.normpath(os.path.join(task.cwd, path))
        if path == "/" or call in ("execve", "execveat") and path == self.labctl:
            return
        # access(2) asks for the real user, whatever the file rights are.
        asks_real = call == "access" or (call.startswith("faccessat") and "AT_EACCESS" not in args)
        uid = task.uid if asks_real else task.fsuid
        gid = task.gid if asks_real else task.fsgid
        if uid == 0:
            if not self.is_own(path, call, args):
                self.report(f"{call} {path}: as root")
        elif gid == 0 or 0 in task.groups:
            self.report(f"{call} {path}: with root's groups")

    def names(self, task, call, args):
        if call in ("connect", "bind"):
            for m in UNIX.finditer(args):
                self.looked_up(task, call, text(m.group(1)), args)
            return
        found = NAME.findall(args)
        if call in ("execve", "execveat") or call not in TWO | LAST:
            found = found[:1]
        elif call in LAST:
            found = found[-1:]
        else:
            found = found[:2]
        for fd, directory, name in found:
            if not name or (call == "mount" and not name.startswith("/")):
                continue
            base = text(directory) if fd and directory else task.cwd
            self.looked_up(task, call, os.path.join(base, text(name)), args)

    # ---- credentials

    def credentials(self, t, call, args):
        if call == "setgroups":
            inside = re.search(r"\[(.*)\]", args)
            t.groups = [int(g) for g in inside.group(1).split(",") if g.strip()] if inside else []
            return
        v = [int(a) for a in re.findall(r"-?\d+", args)]
        kind = "uid" if call.endswith("uid") else "gid"
        real, effective, fs = kind, "e" + kind, "fs" + kind
        if call == "setfs" + kind:
            if v[0] not in (-1, 2**32 - 1):
                setattr(t, fs, v[0])
            return
        if call == "set" + kind:
            v = [v[0], v[0]]
        if v[0] != -1:
            setattr(t, real, v[0])
        if v[1] != -1:
            setattr(t, effective, v[1])
        setattr(t, fs, getattr(t, effective))

    # ---- events

    def event(self, t, call, args, ret, rest):
        ok = ret != "?" and int(ret) >= 0
        if call in CREDENTIALS.split(","):
            if ok:
                self.credentials(t, call, args)
        elif call in ("clone", "clone3", "fork", "vfork"):
            if ok and int(ret) > 0:
                child = t.copy()
                child.apart = t.apart or bool(APART.search(args))
                host = HOST_PID.search(rest)
                self.task(int(host.group(1) if host else ret), child)
        elif call in ("unshare", "setns"):
            t.apart = t.apart or (ok and bool(APART.search(args)))
        elif not t.apart:
            if call not in ("fchdir", "getcwd") and not (call == "chroot" and not ok):
                self.names(t, call, args)
            self.moved(t, call, args, ok)

    def moved(self, t, call, args, ok):
        if not ok:
            return
        name = NAME.search(args)
        if call == "chdir" and name:
            t.cwd = os.path.normpath(os.path.join(t.cwd, text(name.group(3))))
        elif call == "fchdir":
            where = re.search(r"<([^>]*)>", args)
            t.cwd = text(where.group(1)) if where else t.cwd
        elif call in ("chroot", "pivot_root"):
            t.apart = True
        elif call in ("execve", "execveat") and name:
            t.fsuid, t.fsgid = t.euid, t.egid
            program = os.path.join(t.cwd, text(name.group(3)))
            t.apart = program != self.labctl and program != "/proc/self/exe"

    def task(self, pid, t):
        path = f"{self.prefix}.{pid}"
        if pid in self.done or not os.path.exists(path):
            return
        self.done.add(pid)
        with open(path, errors="surrogateescape") as f:
            for line in f:
                m = LINE.match(line)
                if m:
                    self.event(t, *m.groups())


def sudo_environment(user, keep):
    env = {"SUDO_UID": str(user.pw_uid), "SUDO_GID": str(user.pw_gid), "SUDO_USER": user.pw_name,
           "SUDO_COMMAND": "labctl", "HOME": "/root", "USER": "root", "LOGNAME": "root",
           "LANG": "C.UTF-8", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    env.update({k: v for k, v in os.environ.items() if k in keep})
    return env


def end_after(strace, words):
    for line in strace.stderr:
        sys.stderr.buffer.write(line)
        if words.encode() in line:
            with open(f"/proc/{strace.pid}/task/{strace.pid}/children") as f:
                os.kill(int(f.read().split()[0]), signal.SIGTERM)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--user", required=True)
    ap.add_argument("--report", required=True)
    ap.add_argument("--own", action="append", default=[])
    ap.add_argument("--until")
    ap.add_argument("command", nargs="+")
    a = ap.parse_args()
    user = pwd.getpwnam(a.user)
    labctl = os.path.realpath(a.command[0])
    own = [os.path.normpath(d) for d in a.own]
    with tempfile.TemporaryDirectory(prefix="labctl-rights-") as d:
        prefix = os.path.join(d, "t")
        strace = ["strace", "-ff", "-qq", "-y", "-s", "4096", "--seccomp-bpf", "-f",
                  "--decode-pids=pidns", "-e", TRACE, "-e", "signal=none", "-o", prefix, "--"]
        env = sudo_environment(user, ("LABCTL_STATE", "LABCTL_RUN", "LABCTL_HOST_SEAT"))
        p = subprocess.Popen(strace + [labctl] + a.command[1:], env=env, cwd=user.pw_dir,
                             preexec_fn=lambda: os.setgroups([0]),
                             stderr=subprocess.PIPE if a.until else None)
        if a.until:
            end_after(p, a.until)
        code = p.wait()
        first = {}
        replay = Replay(prefix, labctl, own, user)
        for name in os.listdir(d):
            with open(os.path.join(d, name), errors="surrogateescape") as f:
                first[int(name.rsplit(".", 1)[1])] = f.readline()
        roots = [pid for pid, line in first.items() if line.startswith(f'execve("{labctl}"')]
        for pid in sorted(roots):
            replay.task(pid, Task(user.pw_dir))
        lost = sorted(set(first) - replay.done)
        if not roots or lost:
            replay.report(f"trace: whose children are {lost or 'all'}?")
    with open(a.report, "w") as f:
        f.writelines(line + "\n" for line in replay.found)
    return code if code >= 0 else 128 - code


sys.exit(main())
