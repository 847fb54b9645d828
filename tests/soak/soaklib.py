# SPDX-License-Identifier: MIT
"""What the soak tests share: a world of their own, labctl in it, whatever a lab can leave behind."""
import ctypes
import http.client
import json
import os
import re
import shutil
import signal
import socket
import string
import subprocess
import sys
import tempfile
import time
import urllib.parse

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LABCTL = os.environ.get("LABCTL") or f"{TREE}/build/release/labctl"
ROUTER = f"{TREE}/tests/routers/stage1_reference.py"
ENGINE_SOCKET = os.environ.get("ENGINE_SOCKET", "/var/run/docker.sock")
CLONE_NEWNET = 0x40000000
GROUP_BASE, GROUP_MASK = 0x1AB00000, 0xFFF00000
EXIT_CODES = (0, 1, 2, 3, 4, 5, 6, 70)  # what labctl documents

libc = ctypes.CDLL(None, use_errno=True)


def letters(number):
    text = ""
    while number or not text:
        number, digit = divmod(number, 26)
        text += string.ascii_lowercase[digit]
    return text


# Interfaces, namespaces and containers of labs are the whole machine's, whatever book they stand in: each run has
# names of its own, or two at once would meet between one's look at the names and its making of the interface.
RUN = letters(os.getpid())
PREFIX = f"tk{RUN}"  # of the interfaces, which a number follows


class Tap:
    """TAP on stdout. Of a failure, the first few lines that say why."""

    def __init__(self):
        self.count = self.failed = 0

    def ok(self, name, problems=()):
        self.count += 1
        problems = list(problems)
        self.failed += bool(problems)
        print(f"{'not ok' if problems else 'ok'} {self.count} - {name}", flush=True)
        for text in problems[:20]:
            self.note(text)
        if len(problems) > 20:
            self.note(f"... and {len(problems) - 20} more")
        return not problems

    def skip(self, name, why):
        self.count += 1
        print(f"ok {self.count} - {name} # skip {why}", flush=True)

    @staticmethod
    def note(text):
        for line in str(text).splitlines():
            print(f"# {line}", flush=True)

    def end(self):
        print(f"1..{self.count}")
        sys.exit(1 if self.failed else 0)


class EngineConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("engine", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


def engine(method, path, body=None, socket_path=None):
    """One call of the engine; its JSON, or None when it says nothing. Raises OSError on failure."""
    c = EngineConnection(socket_path or ENGINE_SOCKET)
    try:
        data = None if body is None else json.dumps(body)
        c.request(method, path, data, {"Content-Type": "application/json"})
        r = c.getresponse()
        text = r.read()
    finally:
        c.close()
    if r.status >= 400:
        raise OSError(f"{method} {path}: {r.status} {text[:200]!r}")
    return json.loads(text) if text else None


def containers(lab, socket_path=None):
    filters = urllib.parse.quote(json.dumps({"label": [f"labctl.lab={lab}"]}))
    return engine("GET", f"/containers/json?all=1&filters={filters}", socket_path=socket_path)


def in_namespace(path, function):
    """What function returns, called in that network namespace."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(path, os.O_RDONLY)
    try:
        if libc.setns(there, CLONE_NEWNET) < 0:
            raise OSError(ctypes.get_errno(), f"setns {path}")
        try:
            return function()
        finally:
            libc.setns(home, CLONE_NEWNET)
    finally:
        os.close(there)
        os.close(home)


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def summary(values):
    """Of seconds, in milliseconds."""
    return (f"median {percentile(values, 0.5) * 1000:.0f} ms, 90 % {percentile(values, 0.9) * 1000:.0f} ms, "
            f"max {max(values) * 1000:.0f} ms")


class World:
    """State, run directory, stages and src apart from everybody else's; removed at the end."""

    def __init__(self, socket_path=None, base=None):
        self.dir = tempfile.mkdtemp(prefix="labctl-soak.", dir=base)
        os.chmod(self.dir, 0o755)
        for name in ("stages", "src"):
            os.mkdir(f"{self.dir}/{name}")
        self.state, self.run_dir = f"{self.dir}/state", f"{self.dir}/run"
        self.socket_path = socket_path
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("SUDO_", "LABCTL_TEST_", "LAB_FILE"))}
        self.env.update(LABCTL_STATE=self.state, LABCTL_RUN=self.run_dir, LABCTL_STAGES=f"{self.dir}/stages",
                        LABCTL_SRC=f"{self.dir}/src")
        if socket_path:
            self.env["DOCKER_HOST"] = f"unix://{socket_path}"
        self.labs = set()

    def stage(self, name, net):
        """stage1 with interfaces PREFIX1 and PREFIX2 and subnets NET.1.0/24 and NET.2.0/24."""
        clients, networks = {}, {}
        for i in (1, 2):
            networks[f"{PREFIX}{i}"] = {"subnet": f"{net}.{i}.0/24", "router": f"{net}.{i}.1"}
            clients[f"client{i}"] = {"interfaces": {"eth0": {"network": f"{PREFIX}{i}", "address": f"{net}.{i}.2"}},
                                     "gateway": f"{net}.{i}.1"}
        self.write_stage(name, {"title": "Two neighbours", "networks": networks, "clients": clients})

    def write_stage(self, name, doc):
        os.makedirs(f"{self.dir}/stages/{name}")
        with open(f"{self.dir}/stages/{name}/stage.json", "w") as f:
            json.dump(doc, f)

    def argv(self, lab, *args):
        self.labs.add(lab)
        return [LABCTL, "--lab", lab, *args]

    def labctl(self, lab, *args, env=None, timeout=120, **popen):
        """Runs it to its end. The result has .returncode, .stdout, .stderr, .seconds."""
        begin = time.monotonic()
        r = subprocess.run(self.argv(lab, *args), env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=timeout, **popen)
        r.seconds = time.monotonic() - begin
        return r

    def count(self, lab, *args):
        """How many fault points a command passes."""
        path = f"{self.dir}/count"
        r = self.labctl(lab, *args, env={"LABCTL_TEST_COUNT": path})
        if r.returncode:
            raise RuntimeError(f"{args}: {r.stderr}")
        with open(path) as f:
            return int(f.read())

    def must(self, lab, *args, **kwargs):
        r = self.labctl(lab, *args, **kwargs)
        if r.returncode:
            raise RuntimeError(f"labctl --lab {lab} {' '.join(args)}: exit code {r.returncode}: {r.stderr}")
        return r

    def left(self, lab=None):
        """All that labs of this world have on the machine, in words."""
        labs = [lab] if lab else sorted(self.labs)
        found = []
        for name in labs:
            found += [f"container {c['Names'][0]} ({c['State']})" for c in containers(name, self.socket_path)]
        found += self.links() + self.namespaces(labs) + self.tables(labs) + self.mounts() + self.processes()
        found += self.files() + self.leases()
        return found

    def links(self):
        text = subprocess.run(["ip", "-j", "-d", "link"], capture_output=True, text=True, check=True).stdout
        found = []
        for link in json.loads(text, strict=False):  # an alias may hold anything
            ours = re.fullmatch(f"{PREFIX}[0-9]+", link.get("ifname", ""))
            ours = ours or any(f"lab '{lab}'" in link.get("ifalias", "") for lab in self.labs)
            if ours:
                found.append(f"link {link['ifname']} group {link.get('group')}")
        return found

    @staticmethod
    def namespaces(labs):
        names = os.listdir("/run/netns") if os.path.isdir("/run/netns") else []
        return [f"namespace {n}" for n in names for lab in labs if n in (f"labctl-{lab}", f"labctl-{lab}-fabric")]

    @staticmethod
    def tables(labs):
        text = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
        return [line for line in text.splitlines() if line.split()[-1] in [f"labctl-{lab}" for lab in labs]]

    def mounts(self):
        with open("/proc/self/mountinfo") as f:
            points = [line.split()[4] for line in f]
        return [f"mount {p}" for p in points if p.startswith(self.run_dir + "/")]

    def processes(self):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/exe") != os.path.realpath(LABCTL):
                    continue
                with open(f"/proc/{pid}/environ") as e, open(f"/proc/{pid}/cmdline") as c:
                    if f"LABCTL_STATE={self.state}\0" in e.read():
                        found.append(f"process {pid}: {c.read()}".replace("\0", " "))
            except OSError:
                continue
        return found

    def files(self):
        found = []
        for top in (self.state, self.run_dir):
            for where, _, names in os.walk(top):
                found += [f"file {where}/{n}" for n in names if not re.fullmatch(r"netport\.db(-wal|-shm)?", n)]
                if os.path.dirname(where) == self.run_dir:
                    found.append(f"directory {where}")
        return found

    def leases(self):
        r = subprocess.run([LABCTL, "netport", "list", "--json"], env=self.env, capture_output=True, text=True)
        if r.returncode:
            return [f"netport list: {r.stderr}"]
        return [f"lease {l['resource']} {l['value']} of {l['owner']}" for l in json.loads(r.stdout)]

    def end(self):
        for lab in self.labs:
            r = self.labctl(lab, "stage-stop")
            if r.returncode not in (0, 6):
                Tap.note(f"lab '{lab}' stays, and so does its record in {self.state}: {r.stderr}")
                return
        subprocess.run([LABCTL, "gc"], env=self.env, capture_output=True)
        with open("/proc/self/mountinfo") as f:
            points = [line.split()[4] for line in f if line.split()[4].startswith(self.dir + "/")]
        for p in reversed(points):
            subprocess.run(["umount", "-l", p], capture_output=True)
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class Router:
    """The reference router in the seat of a lab."""

    def __init__(self, world, lab):
        self.process = subprocess.Popen(world.argv(lab, "run", "--", "/usr/bin/python3", ROUTER), env=world.env,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        self.first = self.process.stdout.readline()

    def __enter__(self):
        if "routing between" not in self.first:
            raise RuntimeError(f"the router did not start: {self.first}{self.process.stdout.read()}")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


def ping(world, lab, to, client="client1", count=1):
    r = world.labctl(lab, "exec", client, "--", "ping", "-n", "-c", str(count), "-W", "5", to)
    return [] if r.returncode == 0 and "ttl=63" in r.stdout else [f"no answer from {to}: {r.stdout}{r.stderr}"]


def ping_through(world, lab, to):
    """Does the lab work? A list of what is wrong."""
    try:
        with Router(world, lab):
            return ping(world, lab, to)
    except RuntimeError as e:
        return [str(e)]


def need(tap, what):
    """Root, an engine and the image, or the end (a skip; a failure where skips are failures)."""
    why = None
    if os.geteuid() != 0:
        why = "needs root"
    else:
        try:
            engine("GET", "/images/labctl/client:latest/json")
        except OSError as e:
            why = f"needs the engine and the client image ({e})"
    if why:
        tap.skip(what, why)
        tap.end()


def kill_process(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
