#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Many isolated labs of stage1 started at once: all work, none hears another, and what each costs.
    many.py [LABS]
"""
import os
import select
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from soaklib import RUN, TREE, Router, Tap, World, containers, engine, in_namespace, need, ping, summary

ETHERTYPE_EXPERIMENTAL = 0x88B5
QUIET_SECONDS = 1.0  # how long nothing may come before the air counts as silent


class Ear:
    """A packet socket on one interface of one lab: sends a frame of its own and hears all."""

    def __init__(self, lab, network, where, path, interface):
        self.lab, self.network, self.name = lab, network, f"{lab} {where} {interface}"
        self.mark = f"{lab}|{network}|{where}".encode().ljust(46, b"\0")
        self.heard = set()
        self.socket = in_namespace(path, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                                               socket.htons(0x0003)))
        self.socket.bind((interface, 0x0003))
        self.mac = self.socket.getsockname()[4]

    def send(self):
        self.socket.send(b"\xff" * 6 + self.mac + struct.pack("!H", ETHERTYPE_EXPERIMENTAL) + self.mark)

    def hear(self):
        frame = self.socket.recv(2048)
        if frame[12:14] == struct.pack("!H", ETHERTYPE_EXPERIMENTAL):
            self.heard.add(frame[14:60])


def ears_of(lab):
    found = [Ear(lab, net, "seat", f"/run/netns/labctl-{lab}", net) for net in ("net1", "net2")]
    for c in containers(lab):
        pid = engine("GET", f"/containers/{c['Id']}/json")["State"]["Pid"]
        client = c["Labels"]["labctl.client"]
        found.append(Ear(lab, client.replace("client", "net"), client, f"/proc/{pid}/ns/net", "eth0"))
    return found


def listen(ears):
    by_fd = {e.socket.fileno(): e for e in ears}
    poll = select.poll()
    for fd in by_fd:
        poll.register(fd, select.POLLIN)
    while ready := poll.poll(QUIET_SECONDS * 1000):
        for fd, _ in ready:
            by_fd[fd].hear()


def crossings(labs):
    """Every end of every lab sends a frame of its own; who hears what?"""
    ears = [e for lab in labs for e in ears_of(lab)]
    for e in ears:
        e.send()
    listen(ears)
    problems = []
    for e in ears:
        want = {other.mark for other in ears if other is not e and (other.lab, other.network) == (e.lab, e.network)}
        problems += [f"{e.name} hears {m.rstrip(bytes(1)).decode()}" for m in e.heard - want - {e.mark}]
        problems += [f"{e.name} does not hear {m.rstrip(bytes(1)).decode()}" for m in want - e.heard]
        e.socket.close()
    return problems, len(ears)


def start_all(w, labs):
    begin = time.monotonic()
    started = [(lab, subprocess.Popen(w.argv(lab, "stage-start", "--isolated", "stage1"), env=w.env,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.PIPE, text=True)) for lab in labs]
    problems = []
    for lab, p in started:
        _, stderr = p.communicate(timeout=300)
        if p.returncode:
            problems.append(f"{lab}: exit code {p.returncode}: {stderr}")
    return problems, time.monotonic() - begin


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    tap = Tap()
    need(tap, "many labs at once")
    with World() as w, ThreadPoolExecutor(n) as pool:
        w.env["LABCTL_STAGES"] = f"{TREE}/stages"
        labs = [f"tk-many-{RUN}{i}" for i in range(1, n + 1)]
        alone = []
        for _ in range(3):
            alone.append(w.must(labs[0], "stage-start", "--isolated", "stage1").seconds)
            w.must(labs[0], "stage-stop")
        problems, wall = start_all(w, labs)
        tap.ok(f"{n} labs of stage1 started at once", problems)
        tap.note(f"one alone: {summary(alone)}; {n} at once: {wall:.2f} s, {wall / n * 1000:.0f} ms a lab "
                 f"({wall / n / sorted(alone)[1]:.2f} of one alone)")
        routers = []
        try:
            routers += [Router(w, lab).__enter__() for lab in labs]
            answers = pool.map(lambda lab: [f"{lab}: {t}" for t in ping(w, lab, "2.2.2.2")], labs)
            tap.ok(f"in each, client1 reaches client2 through its own router, all {n} at once",
                   [t for problems in answers for t in problems])
        finally:
            for r in routers:
                r.__exit__()
        problems, ends = crossings(labs)
        tap.ok(f"no frame crosses from one lab to another ({ends} ends send one each, all listen)", problems)
        drifts = pool.map(lambda lab: w.labctl(lab, "--json", "status").stdout, labs)
        tap.ok("status of each: nothing is wrong", [t for t in drifts if '"drift": []' not in t])
        begin = time.monotonic()
        stops = list(pool.map(lambda lab: w.labctl(lab, "stage-stop"), labs))
        tap.ok(f"{n} labs stopped at once", [r.stderr for r in stops if r.returncode])
        tap.note(f"{time.monotonic() - begin:.2f} s")
        tap.ok("nothing is left", w.left())
    tap.end()


main()
