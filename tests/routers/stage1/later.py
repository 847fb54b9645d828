# SPDX-License-Identifier: MIT
"""Routers that work at first, for robust.minute, which no stage asks."""
import time

import stage1_reference as ref
from lib.mutants import around


LATER = {}


def later(function):
    LATER[function.__name__.replace("_", "-")] = function


@later
def stops_after_seconds():
    start = time.monotonic()

    @around(ref.Router, "forward")
    def forward(old, self, packet):
        if time.monotonic() < start + 3:
            old(self, packet)


@later
def dies_when_it_gives_up():
    @around(ref.Neighbours, "__init__")
    def init(old, self, unreachable):
        old(self, unreachable)
        del self.unreachable


@later
def never_asks_again():
    # What has grown old is forgotten, and who has been asked once is not asked again.
    asked = set()
    ref.ARP_LIFETIME = 2.5

    @around(ref.Neighbours, "transmit")
    def transmit(old, self, interface, operation, to_mac, target_mac, target):
        if operation == ref.ARP_REQUEST and target in asked:
            return
        if operation == ref.ARP_REQUEST:
            asked.add(target)
        old(self, interface, operation, to_mac, target_mac, target)


@later
def gives_up_for_ever():
    @around(ref.Neighbours, "send")
    def send(old, self, interface, address, packet, origin):
        if (interface, address) not in given_up:
            old(self, interface, address, packet, origin)

    @around(ref.Neighbours, "tick")
    def tick(old, self):
        before = set(self.waiting)
        result = old(self)
        given_up.update(key for key in before - set(self.waiting) if key not in self.known)
        return result
    given_up = set()
