# SPDX-License-Identifier: MIT
"""The service under test: `labctl netport serve` for real, on SQLite or on a real Redis; and TAP."""
import ctypes
import errno
import http.client
import itertools
import json
import os
import pickle
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse

LABCTL = os.environ.get("LABCTL") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "../../build/release/labctl")


class Skip(Exception):
    pass


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self.path)


class Reply:
    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


def wait_for(what, condition, seconds=120):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"did not happen in {seconds} s: {what}")
        time.sleep(0.01)


def is_free(port):
    for family, kind in itertools.product((socket.AF_INET, socket.AF_INET6),
                                          (socket.SOCK_STREAM, socket.SOCK_DGRAM)):
        try:
            with socket.socket(family, kind) as s:
                s.bind(("", port))
        except OSError as e:
            if e.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                return False
    return True


def free_ports(n):
    """The first of n free ports in a row, which the kernel gives nobody who does not ask for them."""
    while True:
        first = random.randrange(18000, 19900)  # beside those that tests name
        if all(is_free(port) for port in range(first, first + n)):
            return first


def free_port():
    return free_ports(1)


def own_network():
    """Root's tests that name ports get a network in which nobody has them."""
    if os.geteuid() == 0:
        clone_newnet = 0x40000000
        if ctypes.CDLL(None, use_errno=True).unshare(clone_newnet):
            raise OSError(ctypes.get_errno(), "unshare")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def as_user(uid, function):
    """What the function returns in a process of this user."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            result = (True, function())
        except BaseException:  # pylint: disable=broad-except
            result = (False, traceback.format_exc())
        with os.fdopen(writer, "wb") as f:
            f.write(pickle.dumps(result))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as f:
        fine, value = pickle.loads(f.read())
    os.waitpid(pid, 0)
    if not fine:
        raise AssertionError(value)
    return value


class Redis:
    def __init__(self, *options):
        if not shutil.which("redis-server"):
            raise Skip("redis-server is not installed")
        self.dir = tempfile.mkdtemp(prefix="labctl-redis-")
        self.port = free_port()
        self.options = options
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--dir", self.dir, *self.options], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        wait_for("redis-server answers", self.answers)

    def command(self, *words):
        with socket.create_connection(("127.0.0.1", self.port), 10) as s:
            text = b"*%d\r\n" % len(words)
            for w in words:
                text += b"$%d\r\n%s\r\n" % (len(w), w.encode())
            s.sendall(text)
            return s.recv(1 << 16)

    def answers(self):
        try:
            return self.command("PING").startswith(b"+PONG")
        except OSError:
            return False

    def url(self):
        return f"redis://127.0.0.1:{self.port}/3"

    def stop(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


class Service:
    """One running service; stop() or close() ends it. options: of `netport serve`."""

    def __init__(self, store=None, options=(), state=None, env=None, mode=0o755):
        self.own = state is None
        self.dir = state or tempfile.mkdtemp(prefix="labctl-netport-")
        os.chmod(self.dir, mode)
        self.store, self.options, self.env = store, list(options), env or {}
        self.socket = os.path.join(self.dir, "run", "netport.sock")
        self.port = free_port()
        self.log = os.path.join(self.dir, "log")
        try:
            self.start()
        except AssertionError:
            self.remove()
            raise

    def remove(self):
        if self.own:
            shutil.rmtree(self.dir, ignore_errors=True)

    def environment(self):
        return {**os.environ, "LABCTL_STATE": self.dir, "LABCTL_RUN": os.path.join(self.dir, "run"),
                "LABCTL_STORE": self.store or "", **self.env}

    def start(self):
        with open(self.log, "ab") as log:
            self.said = len(self.text())
            self.process = subprocess.Popen(
                [LABCTL, "netport", "serve", "-p", str(self.port), "--socket", self.socket,
                 *self.options], env=self.environment(), stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=log)
        wait_for("the service listens: " + self.text(), self.is_ready)

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError("the service ended: " + self.text())
        # The Unix socket comes first: that it answers does not say that TCP does.
        if "-q" not in self.options:
            return "netport listens on" in self.text()[self.said:]
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        except OSError:
            return False

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def run(self, *words, check=True):
        done = subprocess.run([LABCTL, *words], env=self.environment(), capture_output=True,
                              text=True, errors="replace", timeout=60)
        if check and done.returncode:
            raise AssertionError(f"labctl {' '.join(words)}: {done.returncode} {done.stderr}")
        return done

    def token(self, name, scope):
        return self.run("netport", "token", "add", "--name", name, "--scope", scope).stdout.strip()

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(30)

    def close(self):
        if self.process.poll() is None:
            code = self.stop()
        else:
            code = self.process.returncode
        self.remove()
        return code

    def connect(self, unix=False):
        if unix:
            return UnixConnection(self.socket)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def call(self, method, path, /, body=None, headers=None, unix=False, **query):
        if query:
            path += "?" + urllib.parse.urlencode(query)
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        c = self.connect(unix)
        try:
            c.request(method, path, body, headers)
            r = c.getresponse()
            return Reply(r, r.read())
        finally:
            c.close()

    def get(self, path, /, unix=False, headers=None, **query):
        return self.call("GET", path, unix=unix, headers=headers, **query)

    def data(self, path, /, unix=False, headers=None, **query):
        """The data of one of netport's calls, which must succeed."""
        r = self.get(path, unix=unix, headers=headers, **query)
        equal(r.status, 200, r)
        equal(list(r.json), ["data"])
        return r.json["data"]


def equal(got, want, what=""):
    if got != want:
        raise AssertionError(f"{got!r} is not {want!r} {what!r}")


def true(value, what=""):
    if not value:
        raise AssertionError(f"not true: {what!r}")


def stores():
    """(name, maker of a URL or None, closer) for each store that is to be tried."""
    yield "sqlite", None
    yield "redis", Redis


def main(tests, with_stores=False):
    """Runs every test: those that take a service get a fresh one, on each store."""
    cases = []
    for test in tests:
        for store, maker in stores() if with_stores else [("", None)]:
            cases.append((test.__name__.replace("_", " ") + (f" ({store})" if store else ""), test,
                          maker))
    wanted = sys.argv[1:]
    if wanted:
        cases = [c for c in cases if any(w in c[0] for w in wanted)]
    print(f"1..{len(cases)}", flush=True)
    failed = False
    redis = None
    for number, (name, test, maker) in enumerate(cases, 1):
        service = None
        try:
            if maker:
                redis = redis or maker()
                redis.command("FLUSHALL")
            if test.__code__.co_argcount:
                options = getattr(test, "options", ())
                service = Service(redis.url() if maker else None, options)
                test(service)
                equal(service.close(), 0, "exit code of the service")
            else:
                test()
            print(f"ok {number} - {name}", flush=True)
        except Skip as why:
            print(f"ok {number} - {name} # SKIP {why}", flush=True)
        except BaseException:  # pylint: disable=broad-except
            failed = True
            print(f"not ok {number} - {name}", flush=True)
            for line in traceback.format_exc().splitlines():
                print("#", line, flush=True)
            if service:
                for line in service.text().splitlines()[-10:]:
                    print("# log:", line, flush=True)
        finally:
            if service:
                service.close()
    if redis:
        redis.close()
    sys.exit(failed)
