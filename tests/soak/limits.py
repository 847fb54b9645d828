#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Full disks, too few file descriptors, an engine that is lost in the middle: a clear message, and nothing left after the
next command.
    limits.py [--every N] [--random N] [--seed N] [--only disk|descriptors|lost|engine]
"""
import argparse
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from soaklib import ENGINE_SOCKET, EXIT_CODES, PREFIX, RUN, Tap, World, containers, engine, need, ping_through

LAB = f"tk-limit-{RUN}"


def told(r, what, words=()):
    """A failure must have a documented exit code, one message, and the cause in it."""
    if r.returncode == 1 and "not as it should be" in r.stdout:
        return []  # that is what status and repair have to say
    problems = []
    if r.returncode not in EXIT_CODES:
        problems.append(f"{what}: exit code {r.returncode}: {r.stderr}")
    if r.returncode and not r.stderr.startswith("labctl: "):
        problems.append(f"{what}: no message: {r.stderr!r}")
    if r.returncode and words and not any(w in r.stderr for w in words):
        problems.append(f"{what}: the message does not tell why: {r.stderr}")
    return problems


def settle(w, what, stop_first=True):
    problems = []
    for verb in (("stage-stop",) if stop_first else ("stage-start", "two")), ("stage-stop",):
        r = w.labctl(LAB, *verb)
        if r.returncode not in (0, 6):
            problems.append(f"{what}: {verb[0]} afterwards: exit code {r.returncode}: {r.stderr}")
    return problems + [f"{what}: left: {t}" for t in w.left(LAB)]


class Disk:
    """A small file system for state and run directory, as full as wanted."""

    def __init__(self, world):
        self.path = f"{world.dir}/disk"
        os.mkdir(self.path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", self.path], check=True)
        world.state, world.run_dir = f"{self.path}/state", f"{self.path}/run"
        world.env.update(LABCTL_STATE=world.state, LABCTL_RUN=world.run_dir)

    def fill(self, leave):
        """Leaves that many pages of 4 KiB."""
        self.empty()
        page = b"\0" * 4096
        with open(f"{self.path}/filler", "wb", buffering=0) as f:
            try:
                while True:
                    f.write(page)
            except OSError:
                pass
            f.truncate(max(0, os.fstat(f.fileno()).st_size // 4096 * 4096 - leave * 4096))

    def empty(self):
        if os.path.exists(f"{self.path}/filler"):
            os.unlink(f"{self.path}/filler")


def full_disk(tap, every):
    with World() as w:
        disk = Disk(w)
        w.stage("two", "198.18")
        words = ("No space left", "no space")
        problems, failed, n = [], 0, 0
        for leave in range(0, 60, every):
            for fresh in (True, False):
                if fresh:
                    shutil.rmtree(w.state, ignore_errors=True)
                disk.fill(leave)
                r = w.labctl(LAB, "stage-start", "two")
                what = f"stage-start with {leave} pages left ({'no book yet' if fresh else 'a book'})"
                n += 1
                failed += r.returncode != 0
                problems += told(r, what, words)
                if r.returncode:
                    # Leases cannot even be given back without room; the next command does.
                    problems += [f"{what}: not rolled back: {t}" for t in w.left(LAB)
                                 if not t.startswith(("lease ", "netport list"))]
                disk.empty()
                problems += settle(w, what, leave % 2)
        tap.ok(f"{n} starts on a disk that is full or nearly so", problems)
        tap.note(f"{failed} of them failed")
        problems = []
        for leave in range(0, 12):
            w.must(LAB, "stage-start", "two")
            disk.fill(leave)
            if leave % 2:
                r = w.labctl(LAB, "repair")
                problems += told(r, f"repair with {leave} pages left", words)
            r = w.labctl(LAB, "status")
            if r.returncode not in (0, 1):
                problems.append(f"status with {leave} pages left: {r.stderr}")
            r = w.labctl(LAB, "stage-stop")
            what = f"stage-stop with {leave} pages left"
            problems += told(r, what, words)
            disk.empty()
            problems += settle(w, what)
        tap.ok("status, repair, stage-stop on a full disk", problems)
        w.labs.clear()


def few_descriptors(tap, every):
    with World() as w:
        w.stage("two", "198.18")
        words = ("Too many open files", "unable to open", "cannot open", "cannot find", "resource", "not answer",
                 "cannot")
        problems, failed, n = [], {}, 0
        for verb in (("stage-start", "two"), ("stage-start", "--isolated", "two"), ("repair",), ("status",),
                     ("stage-stop",)):
            for limit in range(3, 40, every):
                if verb[0] != "stage-start":
                    w.must(LAB, "stage-start", "two")
                r = w.labctl(LAB, *verb,
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
                what = f"{' '.join(verb)} with {limit} descriptors"
                n += 1
                if r.returncode:
                    failed[verb[0]] = max(limit, failed.get(verb[0], 0))
                if r.returncode == 127 and "shared libraries" in r.stderr:
                    problems += settle(w, what)
                    continue  # not even a program can be loaded
                problems += told(r, what, words)
                problems += settle(w, what, limit % 2)
        tap.ok(f"{n} commands with 3 to 40 file descriptors", problems)
        tap.note(", ".join(f"{verb} fails up to {limit}" for verb, limit in failed.items()))


class Proxy:
    """Stands before the engine's socket, until lose()."""

    def __init__(self, path):
        self.path, self.lost, self.pairs = path, False, []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while not self.lost:
            try:
                client, _ = self.listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(ENGINE_SOCKET)
            except OSError:
                return
            self.pairs.append((client, server))
            for a, b in ((client, server), (server, client)):
                threading.Thread(target=self.copy, args=(a, b), daemon=True).start()

    @staticmethod
    def copy(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        try:
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def lose(self):
        if self.lost:
            return
        self.lost = True
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener.close()
        for pair in self.pairs:
            for s in pair:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                s.close()


def lost_engine(tap, rounds, dice):
    with World() as w:
        w.stage("two", "198.18")
        path = f"{w.dir}/engine.sock"
        problems, failed = [], 0
        usual = {"stage-start": w.must(LAB, "stage-start", "two").seconds, "repair": w.must(LAB, "repair").seconds,
                 "status": w.must(LAB, "status").seconds, "stage-stop": w.must(LAB, "stage-stop").seconds}
        for i in range(rounds):
            verb = dice.choice(list(usual))
            if verb != "stage-start":
                w.must(LAB, "stage-start", "two")
                if verb == "repair":
                    engine("DELETE", f"/containers/labctl-{LAB}-client1?force=1")
            proxy = Proxy(path)
            after = dice.uniform(0, usual[verb])
            timer = threading.Timer(after, proxy.lose)
            timer.start()
            r = w.labctl(LAB, *((verb, "two") if verb == "stage-start" else (verb,)),
                         env={"DOCKER_HOST": f"unix://{path}"})
            timer.cancel()
            timer.join()
            proxy.lose()
            what = f"{verb}, the engine lost after {after * 1000:.1f} ms"
            failed += r.returncode != 0
            problems += told(r, what, ("engine", "Engine"))
            # status tells of it as of every fault.
            if r.returncode not in ((0, 1, 3) if verb == "status" else (0, 3)):
                problems.append(f"{what}: exit code {r.returncode}, not 3: {r.stderr}")
            problems += settle(w, what, i % 2)
        tap.ok(f"the engine lost in the middle of {rounds} commands", problems)
        tap.note(f"{failed} of them failed")


class PrivateEngine:
    """A dockerd of our own, which may be killed, and the containerd below it, which stays."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="labctl-engine.", dir="/var/tmp")
        self.socket, self.below = f"{self.dir}/engine.sock", f"{self.dir}/containerd.sock"
        self.log = open(f"{self.dir}/log", "w")
        with open(f"{self.dir}/containerd.toml", "w") as f:
            f.write(f"""version = 2
root = "{self.dir}/containerd"
state = "{self.dir}/containerd-state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{self.below}"
""")
        self.containerd = self.spawn("containerd", "--config", f"{self.dir}/containerd.toml")
        self.wait_for("containerd", lambda: socket.socket(socket.AF_UNIX).connect(self.below))
        self.start()

    def spawn(self, *argv):
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                start_new_session=True)

    def wait_for(self, what, answers):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                answers()
                return
            except OSError:
                time.sleep(0.05)
        with open(f"{self.dir}/log") as f:
            raise RuntimeError(f"the private {what} does not come up: " + "".join(f.readlines()[-10:]))

    def start(self):
        # In a network namespace of its own: "--bridge=none" removes the docker0 that it finds.
        self.process = self.spawn("unshare", "--net", "dockerd", "--containerd", self.below, "--data-root", f"{self.dir}/data", "--exec-root",
                                  f"{self.dir}/exec", "--pidfile", f"{self.dir}/pid", "-H", f"unix://{self.socket}",
                                  "--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false")
        self.wait_for("engine", lambda: engine("GET", "/version", socket_path=self.socket))

    def stop(self, number):
        self.process.send_signal(number)
        self.process.wait()
        if number == signal.SIGKILL and os.path.exists(f"{self.dir}/pid"):
            os.unlink(f"{self.dir}/pid")

    def kill_containers(self):
        """Those whose engine did not come back: their keepers name this engine's directory."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline") as f:
                    if "containerd-shim" not in (line := f.read()) or f"{self.dir}/" not in line:
                        continue
                with open(f"/proc/{pid}/task/{pid}/children") as f:
                    for child in [*f.read().split(), pid]:
                        os.kill(int(child), signal.SIGKILL)
            except OSError:
                continue

    def end(self):
        if self.process.poll() is None:
            self.stop(signal.SIGTERM)
        self.containerd.terminate()
        self.containerd.wait()
        self.kill_containers()
        self.log.close()
        with open("/proc/self/mountinfo") as f:
            points = [line.split()[4] for line in f if line.split()[4].startswith(self.dir + "/")]
        for p in reversed(points):
            subprocess.run(["umount", "-l", p], capture_output=True)
        shutil.rmtree(self.dir, ignore_errors=True)


def copy_image(to):
    """The client image into another engine."""
    save = subprocess.Popen(["curl", "-sf", "--unix-socket", ENGINE_SOCKET,
                             "http://engine/images/labctl/client:latest/get"], stdout=subprocess.PIPE)
    subprocess.run(["curl", "-sf", "--unix-socket", to, "-X", "POST", "-T", "-", "-H", "Content-Type: application/x-tar",
                    "http://engine/images/load"], stdin=save.stdout, check=True, stdout=subprocess.DEVNULL)
    save.wait()


def restarted_engine(tap, rounds, dice):
    if not (shutil.which("dockerd") and shutil.which("containerd")):
        tap.skip("the engine really restarted", "needs dockerd and containerd")
        return
    e = PrivateEngine()
    try:
        copy_image(e.socket)
        with World(socket_path=e.socket) as w:
            w.stage("two", "198.18")
            problems = []
            for number in (signal.SIGTERM, signal.SIGKILL):
                w.must(LAB, "stage-start", "two")
                e.stop(number)
                r = w.labctl(LAB, "status")
                if r.returncode or "engine " not in r.stdout:
                    problems.append(f"status without an engine: {r.returncode}: {r.stdout}{r.stderr}")
                r = w.labctl(LAB, "stage-stop")
                problems += told(r, "stage-stop without an engine", ("ngine",))
                if r.returncode != 3:
                    problems.append(f"stage-stop without an engine: exit code {r.returncode}")
                e.start()
                problems += settle(w, "engine back after stage-stop without it")
                w.must(LAB, "stage-start", "two")
                e.stop(number)
                e.start()
                r = w.labctl(LAB, "status")
                if "client 'client1' is" not in r.stdout:
                    problems.append(f"status after a restart ({number.name}) is silent: {r.stdout}")
                r = w.labctl(LAB, "repair")
                if r.returncode:
                    problems.append(f"repair after a restart ({number.name}): {r.stdout}{r.stderr}")
                problems += ping_through(w, LAB, "198.18.2.2")
                w.must(LAB, "stage-stop")
                problems += w.left(LAB)
            tap.ok("the engine restarted under a running lab: status tells, repair mends it", problems)
            problems = []
            usual = {"stage-start": 0.3, "repair": 0.3, "stage-stop": 0.3}
            for i in range(rounds):
                verb = dice.choice(list(usual))
                if verb != "stage-start":
                    w.must(LAB, "stage-start", "two")
                    if verb == "repair":
                        engine("DELETE", f"/containers/labctl-{LAB}-client1?force=1", socket_path=e.socket)
                p = subprocess.Popen(w.argv(LAB, *((verb, "two") if verb == "stage-start" else (verb,))), env=w.env,
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                     text=True)
                after = dice.uniform(0, usual[verb])
                time.sleep(after)
                number = dice.choice((signal.SIGTERM, signal.SIGKILL))
                e.stop(number)
                p.stderr_text = p.communicate(timeout=120)[1]
                what = f"{verb}, engine restarted by {number.name} after {after * 1000:.0f} ms"
                if p.returncode not in (0, 3):
                    problems.append(f"{what}: exit code {p.returncode}: {p.stderr_text}")
                e.start()
                problems += settle(w, what, i % 2)
            tap.ok(f"the engine really restarted in the middle of {rounds} commands", problems)
    finally:
        e.end()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--every", type=int, default=1)
    p.add_argument("--random", type=int, default=60)
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--only", default="")
    o = p.parse_args()
    tap = Tap()
    need(tap, "limits")
    seed = o.seed if o.seed is not None else random.randrange(1 << 32)
    dice = random.Random(seed)
    tap.note(f"seed {seed}")
    tap.note(f"interfaces: {PREFIX}1, {PREFIX}2")
    parts = {"disk": lambda: full_disk(tap, o.every), "descriptors": lambda: few_descriptors(tap, o.every),
             "lost": lambda: lost_engine(tap, o.random, dice),
             "engine": lambda: restarted_engine(tap, max(1, o.random // 3), dice)}
    for name, part in parts.items():
        if o.only in name:
            begin = time.monotonic()
            part()
            tap.note(f"{time.monotonic() - begin:.1f} s")
    tap.end()


main()
