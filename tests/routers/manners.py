#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Correct routers in other manners than the references'.

    manners.py STAGE NAME       run that router
    manners.py STAGE --list     for a line each: name, tab, checks it must fail (none, for most), tab

Whoever is right in another way has to pass as well.
"""
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from lib import base  # noqa: E402

MANNERS = {}


def manner(checks="", stages=("stage1", "stage2", "stage3", "stage4", "stage5")):
    def add(function):
        MANNERS[function.__name__.replace("_", "-")] = (checks, stages, function)
        return function
    return add


class Reference:
    """A stage's reference, and what its parts are called there."""

    def __init__(self, stage):
        self.module = importlib.import_module(stage + "_reference")
        self.first = stage == "stage1"
        self.Interface = self.module.Interface if self.first else base.Interface
        self.Router = self.module.Router
        self.Neighbours = self.module.Neighbours if self.first else self.Router.Neighbours
        self.frames = "frames" if self.first else "receive"

    def set_queue(self, length):
        if self.first:
            self.module.ARP_QUEUE = length
        elif hasattr(self.module, "QUEUE"):
            self.module.QUEUE = length
        self.Neighbours.QUEUE = length

    def replace_run(self, run):
        base.Router.run = self.module.Router.run = run


def frames_of(reference, interface):
    return getattr(interface, reference.frames)()


@manner()
def polls(reference):
    """Looks every 10 ms whether something has come."""
    def run(self):
        while True:
            time.sleep(0.01)
            for interface in self.interfaces:
                for frame in frames_of(reference, interface):
                    self.receive(interface, frame)
            self.neighbours.tick()
    reference.replace_run(run)


@manner()
def batches(reference):
    """Collects for 5 ms, then works through all of it, the interface that came last first."""
    def run(self):
        while True:
            batch = []
            end = time.monotonic() + 0.005
            while time.monotonic() < end:
                for interface in reversed(self.interfaces):
                    batch += [(interface, frame) for frame in frames_of(reference, interface)]
                time.sleep(0.001)
            for interface, frame in batch:
                self.receive(interface, frame)
            self.neighbours.tick()
    reference.replace_run(run)


@manner()
def threads(reference):
    """A thread for each interface, and one for the clock."""
    def serve(self, interface, lock):
        interface.socket.setblocking(True)
        interface.socket.settimeout(0.05)
        while True:
            for frame in frames_of(reference, interface):
                with lock:
                    self.receive(interface, frame)

    def run(self):
        lock = threading.Lock()
        for interface in self.interfaces:
            threading.Thread(target=serve, args=(self, interface, lock), daemon=True).start()
        while True:
            time.sleep(0.05)
            with lock:
                self.neighbours.tick()
    reference.replace_run(run)


@manner()
def forgets(reference):
    """Forgets a neighbour half a second after it was heard of: 30 s, in a hurry."""
    lifetime = 0.5
    if reference.first:
        reference.module.ARP_LIFETIME = lifetime
        return
    if hasattr(reference.module, "LIFETIME"):
        reference.module.LIFETIME = lifetime
        return
    learn, send, heard = reference.Neighbours.learn, reference.Neighbours.send, {}

    def note(self, interface, address, mac):
        heard[interface, address] = time.monotonic()
        learn(self, interface, address, mac)

    def send_or_ask(self, interface, address, data, origin):
        if heard.get((interface, address), 0) + lifetime < time.monotonic() and hasattr(self, "known"):
            self.known.pop((interface, address), None)
        send(self, interface, address, data, origin)
    reference.Neighbours.learn, reference.Neighbours.send = note, send_or_ask


@manner()
def keeps_one(reference):
    """One packet waits for each neighbour, the latest."""
    if not reference.first:
        reference.set_queue(1)
        return
    send = reference.Neighbours.send

    def latest(self, interface, address, packet, origin):
        if (interface, address) in self.waiting:
            self.waiting[interface, address][0].clear()
        send(self, interface, address, packet, origin)
    reference.Neighbours.send = latest


@manner()
def keeps_hundred(reference):
    reference.set_queue(100)


@manner("eth.mac", stages=("stage1",))
def own_mac(reference):
    """A MAC of its own for each interface, used consistently: every client reaches it."""
    old = reference.Interface.__init__

    def init(self, description):
        old(self, description)
        self.mac = b"\x02\xaa" + self.mac[2:]
    reference.Interface.__init__ = init


@manner("arp.reply")
def no_arp_replies(reference):
    """Complete but for that: with a static entry for it, a client reaches everything."""
    old = reference.Interface.send

    def send(self, mac, kind, payload):
        if kind != 0x0806 or payload[7] != 2:
            old(self, mac, kind, payload)
    reference.Interface.send = send


@manner(stages=("stage1",))
def c(_):
    with open(os.environ["LAB_FILE"], encoding="utf-8") as file:
        nets = [net for net in json.load(file)["networks"].values() if net.get("interface")]
    arguments = [word for net in nets for word in (net["interface"], net["mac"], f"{net['address']}/{net['prefix']}")]
    place = tempfile.mkdtemp(prefix="labctl-router-")
    try:
        subprocess.run(["cc", "-O1", "-o", place + "/router", HERE + "/router.c"], check=True)
        program = os.open(place + "/router", os.O_RDONLY)
    finally:
        shutil.rmtree(place)
    os.set_inheritable(program, True)
    os.execv(f"/proc/self/fd/{program}", ["router", *arguments])


@manner(stages=("stage1",))
def scapy(_):
    # Debian's interpreter has Debian's Scapy.
    os.execv("/usr/bin/python3", ["/usr/bin/python3", "-B", HERE + "/scapy_router.py"])


def main():
    stage, name = sys.argv[1:]
    if name == "--list":
        for key, (checks, stages, _) in MANNERS.items():
            if stage in stages:
                print(key, checks, "", sep="\t")
        return
    reference = Reference(stage)
    MANNERS[name][2](reference)
    with open(os.environ["LAB_FILE"], encoding="utf-8") as file:
        reference.Router(json.load(file)).run()


if __name__ == "__main__":
    main()
