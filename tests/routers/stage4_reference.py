#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stage 4, longest prefix: a routing table, read from LAB_FILE.

    labctl run -- python3 tests/routers/stage4_reference.py
"""
import stage3_reference
from lib import base
from lib.packets import mask, number


class Table:
    """Routes by prefix length: at most 33 look-ups, however many routes there are."""

    def __init__(self):
        self.by_length = {}  # length: {prefix: (interface, via)}
        self.lengths = []  # (length, mask, routes), the longest first

    def add(self, prefix, length, interface, via):
        """via None: the destination is a neighbour itself."""
        self.by_length.setdefault(length, {})[prefix] = interface, via
        self.lengths = [(length, mask(length), self.by_length[length])
                        for length in sorted(self.by_length, reverse=True)]

    def find(self, destination):
        """(interface, via) of the route with the longest prefix that matches, or None."""
        for _, bits, routes in self.lengths:
            route = routes.get(destination & bits)
            if route:
                return route
        return None


class Router(stage3_reference.Router):
    def __init__(self, lab):
        super().__init__(lab)
        self.table = Table()
        by_name = {interface.name: interface for interface in self.interfaces}
        for net in lab["networks"].values():
            if "interface" in net:
                self.table.add(number(net["subnet"]), net["prefix"], by_name[net["interface"]], None)
        for route in lab["routes"]:
            if "." in route["via"]:
                length = int(route["to"].split("/")[1])
                self.table.add(number(route["to"]), length, by_name[route["interface"]], number(route["via"]))

    def next_hop(self, destination):
        route = self.table.find(destination)
        if route is None:
            return None
        interface, via = route
        return interface, destination if via is None else via


if __name__ == "__main__":
    base.main(Router)
