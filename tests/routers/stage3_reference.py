#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stage 3, who has?: a neighbour table that asks, waits, follows and forgets.

    labctl run -- python3 tests/routers/stage3_reference.py

An entry goes through the states of its class, below:

          no entry ──first packet──▶ RESOLVING ──answer──▶ KNOWN
                                      │  ▲                   │ LIFETIME over, and still used
                    ATTEMPTS without  │  └───────────────────┘ (its MAC stays in use meanwhile)
                    an answer         ▼
                                  forgotten, packets given up
"""
import time
from collections import deque

import stage2_reference
from lib import base
from lib.packets import ARP_REPLY, ARP_REQUEST, BROADCAST_MAC, ETH_IP

INTERVAL = 1.0  # seconds between two questions for one address (RFC 1122, 2.3.2.1)
ATTEMPTS = 3
LIFETIME = 30.0  # seconds after which knowledge is confirmed again
QUEUE = 16  # packets that wait for one address
ENTRIES = 4096  # and no more, whatever strangers send


class Neighbour:
    def __init__(self):
        self.mac = None
        self.heard = 0.0  # when it last told its MAC
        self.asked = None  # when it was last asked; None: no question is open
        self.attempts = 0
        self.queue = deque(maxlen=QUEUE)  # (data, origin); the oldest goes when it is full


class Neighbours(base.Neighbours):
    def __init__(self, give_up):
        super().__init__(give_up)
        self.entries = {}  # (interface, address): Neighbour
        self.asking = set()  # the keys with an open question

    def send(self, interface, address, data, origin):
        key = interface, address
        entry = self.entries.get(key)
        if entry is None:
            if len(self.entries) >= ENTRIES:
                self.make_room()
            entry = self.entries[key] = Neighbour()
        now = time.monotonic()
        if entry.mac:
            interface.send(entry.mac, ETH_IP, data)
            if now >= entry.heard + LIFETIME and entry.asked is None:
                self.ask(key, entry, now)
            return
        entry.queue.append((data, origin))
        if entry.asked is None:
            self.ask(key, entry, now)

    def ask(self, key, entry, now):
        interface, address = key
        entry.asked = now
        entry.attempts += 1
        self.asking.add(key)
        # Somebody known is asked by unicast (RFC 1122, 2.3.2.1): the others need not hear it.
        first = entry.mac and entry.attempts == 1
        self.say(interface, ARP_REQUEST, entry.mac if first else BROADCAST_MAC, bytes(6), address)

    def tick(self):
        now = time.monotonic()
        for key in list(self.asking):
            entry = self.entries.get(key)
            if entry is None or entry.asked is None or now < entry.asked + INTERVAL:
                continue  # giving one up sends packets, which can settle another
            if entry.attempts < ATTEMPTS:
                self.ask(key, entry, now)
                continue
            self.forget(key)
            for origin in {id(origin): origin for _, origin in entry.queue if origin}.values():
                self.give_up(origin)  # once, also when it waited in pieces
        return 0.1 if self.asking else None

    def forget(self, key):
        self.asking.discard(key)
        del self.entries[key]

    def make_room(self):
        """Forgets the entry that was heard of longest ago; those never heard of go first."""
        self.forget(min(self.entries, key=lambda key: self.entries[key].heard))

    def receive(self, interface, data):
        """RFC 826, "packet reception", in its own order: merge first, then look at the target."""
        frame = self.parse(interface, data)
        if frame is None:
            return
        operation, mac, sender, target = frame
        if sender == 0:  # a probe (RFC 5227): is this address free? It has none to learn yet
            if target == interface.address and operation == ARP_REQUEST:
                self.say(interface, ARP_REPLY, mac, mac, sender)
            return
        merged = (interface, sender) in self.entries
        if merged:
            self.learn(interface, sender, mac)
        if target != interface.address:
            return
        if not merged and len(self.entries) < ENTRIES:
            self.learn(interface, sender, mac)
        if operation == ARP_REQUEST:
            self.say(interface, ARP_REPLY, mac, mac, sender)

    def parse(self, interface, data):
        """(operation, sender's MAC and address, target's address), or None."""
        if len(data) < 28 or bytes(data[:6]) != b"\0\1\x08\0\6\4":
            return None
        operation = int.from_bytes(data[6:8], "big")
        mac, sender = bytes(data[8:14]), int.from_bytes(data[14:18], "big")
        if operation not in (ARP_REQUEST, ARP_REPLY) or mac[0] & 1 or mac == bytes(6):
            return None
        if sender and (not interface.reaches(sender)
                       or sender in (interface.address, interface.network, interface.broadcast)):
            return None
        return operation, mac, sender, int.from_bytes(data[24:28], "big")

    def learn(self, interface, address, mac):
        """The latest word counts: a neighbour whose MAC has changed is followed at once."""
        entry = self.entries.setdefault((interface, address), Neighbour())
        self.asking.discard((interface, address))
        entry.mac, entry.heard, entry.asked, entry.attempts = mac, time.monotonic(), None, 0
        while entry.queue:
            data, _ = entry.queue.popleft()
            interface.send(mac, ETH_IP, data)


class Router(stage2_reference.Router):
    Neighbours = Neighbours


if __name__ == "__main__":
    base.main(Router)
