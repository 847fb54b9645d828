#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Broken routers for stage4: see lib/mutants.py."""
import stage4_reference as ref
from lib import base
from lib.mutants import around, basics, main, mutant
from lib.packets import TCP, TIME_EXCEEDED, mask

basics()


class ListTable(ref.Table):
    """The routes as a list, in the order in which they were added: the interfaces' own first."""

    def __init__(self):
        super().__init__()
        self.routes = []

    def add(self, prefix, length, interface, via):
        self.routes.append((prefix, length, (interface, via)))

    def matching(self, destination):
        return [(length, route) for prefix, length, route in self.routes if destination & mask(length) == prefix]


def table(find):
    """find(routes that match, as (length, route)) returns the one to take."""
    class Table(ListTable):
        def find(self, destination):
            matching = self.matching(destination)
            return find(matching)[1] if matching else None
    ref.Table = Table


@mutant("lpm.match", "matches longest and leads to")
def first_match():
    # With the default route at the end, as it should be.
    table(lambda matching: next((m for m in matching if m[0]), matching[0]))


@mutant("lpm.match", "matches longest and leads to")
def last_match():
    table(lambda matching: [m for m in matching if m[0] or len(matching) == 1][-1])


@mutant("lpm.match", "matches longest and leads to")
def shortest_prefix():
    table(lambda matching: min((m for m in matching if m[0]), key=lambda m: m[0], default=matching[0]))


@mutant("lpm.match lpm.default", "matches longest and leads to")
def mask_off_by_one():
    class Table(ListTable):
        def matching(self, destination):
            return [(length, route) for prefix, length, route in self.routes
                    if (destination ^ prefix) & mask(length - (0 < length < 28)) == 0]

        def find(self, destination):
            matching = self.matching(destination)
            return max(matching, key=lambda m: m[0])[1] if matching else None
    ref.Table = Table


@mutant("lpm.match", "that is no neighbour")
def own_networks_first():
    @around(ref.Router, "next_hop")
    def next_hop(old, self, destination):
        return base.Router.next_hop(self, destination) or old(self, destination)


@mutant("lpm.match", "2.2.2.0/24 matches longest and leads to 2.2.2.2")
def own_networks_last():
    @around(ref.Table, "find")
    def find(old, self, destination):
        best = None
        for _, bits, routes in self.lengths:
            route = routes.get(destination & bits)
            if route and route[1] is not None and bits:
                return route
            best = best or route
        return best


@mutant("lpm.match lpm.default", "that is no neighbour")
def asks_for_the_destination():
    @around(ref.Router, "next_hop")
    def next_hop(old, self, destination):
        way = old(self, destination)
        return way and (way[0], destination)


@mutant("lpm.default", "did not arrive")
def no_default():
    @around(ref.Table, "add")
    def add(old, self, prefix, length, interface, via):
        if length:
            old(self, prefix, length, interface, via)


@mutant("lpm.default", "0.0.0.0/0 matches longest and leads to 4.4.4.2")
def default_by_the_first_neighbour():
    @around(ref.Router, "__init__")
    def init(old, self, lab):
        old(self, lab)
        self.table.by_length[0][0] = self.table.by_length[8][10 << 24]


@mutant("icmp.time-exceeded", "no ICMP message came about a packet whose TTL ended")
def time_exceeded_none():
    @around(ref.Router, "error")
    def error(old, self, packet, kind, code, rest=bytes(4)):
        if kind != TIME_EXCEEDED:
            old(self, packet, kind, code, rest)


@mutant("icmp.time-exceeded", "the ICMP message was sent on net2 and not on net1")
def time_exceeded_by_another_way():
    @around(base.Router, "originate")
    def originate(old, self, data, destination):
        if data[20] == TIME_EXCEEDED:
            self.neighbours.send(*self.next_hop(0x0A010102), data, None)
        else:
            old(self, data, destination)


@mutant("tcp.transfer", "has stopped")
def loses_large_tcp():
    @around(base.Router, "transmit")
    def transmit(old, self, packet, interface, neighbour):
        if packet.protocol != TCP or len(packet.data) < 500 or packet.payload[13] == 4:  # RST alone
            old(self, packet, interface, neighbour)


main(ref.Router)
