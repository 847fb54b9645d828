#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One case of docker/exec on a pseudo-terminal: terminal.py CASE CONTAINER PROGRAM...

PROGRAM is called with the container and a command appended. Exits 0 when the case holds, else 1
with what was seen on stdout.
"""

import fcntl
import hashlib
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

LIMIT = 60


class Session:
    """PROGRAM on a terminal of its own, which it leads as a login shell's child would."""

    def __init__(self, argv, rows=33, cols=101, env=None):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        self.modes = termios.tcgetattr(self.slave)
        self.seen = b""
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.master)
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            for fd in (0, 1, 2):
                os.dup2(self.slave, fd)
            if self.slave > 2:
                os.close(self.slave)
            os.environ.update(env or {})
            os.execvp(argv[0], argv)

    def fail(self, why):
        print(f"{why}; the terminal showed: {self.seen!r}")
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        sys.exit(1)

    def pump(self, seconds):
        ready, _, _ = select.select([self.master], [], [], seconds)
        if ready:
            try:
                self.seen += os.read(self.master, 65536)
            except OSError:
                pass

    def expect(self, text, since=0):
        """Waits until text was shown after position since; returns the position behind it."""
        end = time.monotonic() + LIMIT
        while (at := self.seen.find(text.encode(), since)) < 0:
            if time.monotonic() > end:
                self.fail(f"{text!r} did not come")
            self.pump(0.1)
        return at + len(text)

    def type(self, text):
        os.write(self.master, text.encode())

    def resize(self, rows, cols):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def wait(self):
        """The exit code, or minus the signal."""
        end = time.monotonic() + LIMIT
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > end:
                self.fail("the program did not end")
            self.pump(0.02)
        self.pump(0)
        return os.waitstatus_to_exitcode(status)

    def check_end(self, want):
        code = self.wait()
        if code != want:
            self.fail(f"exit code {code}, not {want}")
        if termios.tcgetattr(self.slave) != self.modes:
            self.fail("the terminal's modes were not restored")

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def wait_raw(self):
        end = time.monotonic() + LIMIT
        while not self.is_raw():
            if time.monotonic() > end:
                self.fail("the terminal did not become raw")
            self.pump(0.02)


def shell(program, env=None):
    s = Session(program + ["bash", "--norc", "--noprofile", "-i"], env=env)
    s.expect("# ")
    return s


def ask(s, command, answer):
    """Runs command, whose echo must not be taken for the answer, up to the next prompt: what is
    typed before it is there may be lost in readline's switch of modes."""
    at = len(s.seen)
    s.type(command + "\n")
    s.expect("# ", s.expect(answer, at))


def sleep_token():
    return f"sleep 2{os.getpid():07d}"


def pids_of(command):
    with os.popen(f"pgrep -f '^{command}$'") as found:
        return [int(pid) for pid in found.read().split()]


def wait_for(s, command, running):
    """The command in the container does or does not run (its processes are seen from here)."""
    end = time.monotonic() + LIMIT
    while bool(pids_of(command)) != running:
        if time.monotonic() > end:
            s.fail(f"'{command}' {'does not run' if running else 'still runs'}")
        s.pump(0.05)


def case_size(program):
    """A command that looks at once sees the size at the latest when it has been passed on."""
    s = Session(program + ["sh", "-c", "until [ \"$(stty size)\" = '33 101' ]; do :; done; stty size"])
    s.expect("33 101")
    s.check_end(0)


def case_resize(program):
    """New sizes arrive, and the program is told of each: one that is not bash, which forgets a
    WINCH while its trap for another runs, and runs traps in the midst of reading a command line.
    """
    # more sizes than the first one is repeated: each must be noticed when it comes
    sizes = [(rows, 120) for rows in range(44, 48)]
    watch = ["until [ \"$(stty size)\" = '33 101' ]; do :; done; told=; echo first"]
    for rows, cols in sizes:
        come = f"[ \"$told $(stty size)\" = 'yes {rows} {cols}' ]"
        watch.append(f"until {come}; do :; done; told=; echo arrived {rows} {cols}")
    s = Session(program + ["sh", "-c", "; ".join(["trap told=yes WINCH", *watch])])
    at = s.expect("first")
    for rows, cols in sizes:
        s.resize(rows, cols)
        at = s.expect(f"arrived {rows} {cols}", at)
    s.check_end(0)


def case_interrupt(program):
    s = shell(program)
    at = len(s.seen)
    token = sleep_token()
    s.type(token + "; echo ne''ver\n")
    wait_for(s, token, True)
    s.type("\x03")
    at = s.expect("^C", at)
    s.expect("# ", at)
    ask(s, "echo al''ive $?", "alive 130")
    if b"never" in s.seen:
        s.fail("the command line went on")
    s.type("exit 0\n")
    s.check_end(0)


def case_end_of_input(program):
    s = shell(program)
    s.type("\x04")
    s.check_end(0)


def case_exit_code(program):
    s = shell(program)
    s.type("exit 42\n")
    s.check_end(42)


def case_control_p(program):
    """The engine's own escape must not hold back Ctrl-P."""
    s = Session(program + ["sh", "-c", "stty raw -echo; echo go; head -c1 | od -An -c"])
    s.expect("go")
    s.type("\x10")
    s.expect("020")
    s.check_end(0)


def case_bytes(program):
    """Every byte arrives as it was typed."""
    s = Session(program + ["sh", "-c", "stty raw -echo; echo go; head -c255 | md5sum"])
    s.expect("go")
    os.write(s.master, bytes(range(1, 256)))
    s.expect(hashlib.md5(bytes(range(1, 256))).hexdigest())
    s.check_end(0)


def case_killed(program, sig=signal.SIGTERM, env=None, want=None):
    token = sleep_token()
    s = Session(program + ["sh", "-c", f"echo go; exec {token}"], env=env)
    s.expect("go")
    s.wait_raw()
    os.kill(s.pid, sig)
    s.check_end(-sig if want is None else want)
    return s, token


def case_sigterm(program):
    """labctl's own way: the flag is set, the error says interrupted."""
    s, token = case_killed(program, want=130)
    s.expect("interrupted by SIGTERM")
    wait_for(s, token, False)


def case_default_sigterm(program):
    s, token = case_killed(program, env={"DRIVER_NO_INTERRUPT": "1"})
    wait_for(s, token, False)


def case_default_sighup(program):
    s, token = case_killed(program, signal.SIGHUP, env={"DRIVER_NO_INTERRUPT": "1"})
    wait_for(s, token, False)


def reap(command):
    for pid in pids_of(command):
        os.kill(pid, signal.SIGKILL)


def case_sigsegv(program):
    _, token = case_killed(program, signal.SIGSEGV)
    reap(token)


def case_sigabrt(program):
    _, token = case_killed(program, signal.SIGABRT)
    reap(token)


def case_stopped(program):
    """A stop and a shell that sets the terminal its own way: raw again afterwards."""
    s = shell(program)
    os.kill(s.pid, signal.SIGSTOP)
    os.waitpid(s.pid, os.WUNTRACED)
    termios.tcsetattr(s.slave, termios.TCSANOW, s.modes)
    os.kill(s.pid, signal.SIGCONT)
    s.wait_raw()
    ask(s, "echo al''ive", "alive")
    s.type("exit 0\n")
    s.check_end(0)


def case_cannot_start(program):
    """No such command: its message, the engine's code, and no ten seconds' wait for its end."""
    s = Session(program + ["no-such-command"])
    s.expect("no-such-command")
    before = time.monotonic()
    code = s.wait()
    if code not in (126, 127):
        s.fail(f"exit code {code}")
    if time.monotonic() - before > 9:
        s.fail("its end took more than 9 s")


def case_flood(program):
    """Output that nobody reads until the terminal is full, then all of it."""
    s = Session(program + ["sh", "-c", "stty -onlcr; yes 0123456789 | head -c 1100000; echo en''d"])
    s.wait_raw()
    s.expect("end")
    lines = s.seen.count(b"0123456789\n")
    if lines != 100000:
        s.seen = s.seen[-200:]
        s.fail(f"{lines} lines of 100000")
    s.check_end(0)


def main():
    if len(sys.argv) < 4:
        sys.exit("usage: terminal.py CASE CONTAINER PROGRAM...")
    case = globals().get("case_" + sys.argv[1])
    if not case:
        sys.exit(f"no case '{sys.argv[1]}'")
    case(sys.argv[3:] + [sys.argv[2]])


main()
