#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stage 5, narrow pipes: packets that are larger than the next network takes.

    labctl run -- python3 tests/routers/stage5_reference.py
"""
import struct

import stage4_reference
from lib import base
from lib.packets import (DONT_FRAGMENT, FRAGMENTATION_NEEDED, MORE_FRAGMENTS, OFFSET, UNREACHABLE, Packet,
                         make_packet)

OPTION_END, OPTION_FILLER, OPTION_COPIED = 0, 1, 0x80


def copied_options(options):
    """The options that each fragment repeats (RFC 791, 3.1: the first bit says so)."""
    kept, at = b"", 0
    while at < len(options) and options[at] != OPTION_END:
        length = 1 if options[at] == OPTION_FILLER else max(2, int.from_bytes(options[at + 1:at + 2], "big"))
        if options[at] & OPTION_COPIED:
            kept += options[at:at + length]
        at += length
    return kept + bytes(-len(kept) % 4)


def cut(packet, mtu):
    """The packet (already one hop further) as fragments of at most mtu bytes (RFC 791, 3.2).

    A packet that is a fragment itself is cut just so: its pieces go on counting where it began,
    and only the last piece of the last fragment ends the whole.
    """
    offset, last = packet.fragment & OFFSET, not packet.fragment & MORE_FRAGMENTS
    options, rest = packet.options, packet.payload
    while rest:
        room = mtu - 20 - len(options)
        if len(rest) > room:
            room -= room % 8  # offsets count in units of 8 bytes
        piece, rest = rest[:room], rest[room:]
        more = 0 if last and not rest else MORE_FRAGMENTS
        yield make_packet(packet.source, packet.destination, packet.protocol, piece, packet.ttl, packet.data[1],
                          packet.ident, more | offset, options)
        offset += len(piece) // 8
        options = copied_options(packet.options)


class Router(stage4_reference.Router):
    def transmit(self, packet, interface, neighbour):
        if len(packet.data) <= interface.mtu:
            super().transmit(packet, interface, neighbour)
        elif packet.fragment & DONT_FRAGMENT:
            # The MTU is the message's news: path MTU discovery lives on it (RFC 1191, 4).
            self.error(packet, UNREACHABLE, FRAGMENTATION_NEEDED, struct.pack("!HH", 0, interface.mtu))
        else:
            for piece in cut(Packet(packet.forwarded(), packet.interface), interface.mtu):
                self.neighbours.send(interface, neighbour, piece, packet)


if __name__ == "__main__":
    base.main(Router)
