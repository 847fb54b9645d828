#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Broken routers for stage5: see lib/mutants.py."""
import struct
import time

import stage5_reference as ref
from lib import base
from lib.mutants import around, basics, main, mutant
from lib.packets import (DONT_FRAGMENT, FRAGMENTATION_NEEDED, MORE_FRAGMENTS, NET_UNREACHABLE, OFFSET, TCP, UDP,
                         UNREACHABLE, checksum)

# Below what fits into net3: frag.* must not notice.
basics(large=300, also="frag.forward frag.df")


def on_pieces(change):
    """change(packet, list of pieces) returns the pieces to send; their checksums are put right."""
    @around(ref, "cut")
    def cut(old, packet, mtu):
        for piece in change(packet, [bytearray(piece) for piece in old(packet, mtu)]):
            header = (piece[0] & 15) * 4
            piece[10:12] = bytes(2)
            piece[10:12] = struct.pack("!H", checksum(piece[:header]))
            yield bytes(piece)


def fragment_field(piece):
    return struct.unpack_from("!H", piece, 6)[0]


def set_fragment_field(piece, value):
    struct.pack_into("!H", piece, 6, value)


def on_error(kind, code):
    """The function below gets (error, router, packet, rest) for these errors alone."""
    def replace(function):
        @around(ref.Router, "error")
        def error(old, self, packet, kind_, code_, rest=bytes(4)):
            if (kind_, code_) == (kind, code):
                function(old, self, packet, rest)
            else:
                old(self, packet, kind_, code_, rest)
        return function
    return replace


# No way

@mutant("lpm.none", "no ICMP net unreachable came")
def no_way_is_silent():
    @on_error(UNREACHABLE, NET_UNREACHABLE)
    def error(old, self, packet, rest):
        pass


@mutant("lpm.none", "as large as its network takes")
def errors_of_576_bytes_everywhere():
    @on_error(UNREACHABLE, NET_UNREACHABLE)
    def error(old, self, packet, rest):
        mtu, packet.interface.mtu = packet.interface.mtu, 576
        old(self, packet, UNREACHABLE, NET_UNREACHABLE, rest)
        packet.interface.mtu = mtu


@mutant("lpm.none", "the source address is 2.2.2.2 and should be 1.1.1.1")
def falls_back_on_the_last_route():
    @around(ref.Router, "next_hop")
    def next_hop(old, self, destination):
        return old(self, destination) or old(self, 0x0A010102)


# Cutting

@mutant("frag.forward", "did not arrive, nor any piece of it")
def cuts_nothing():
    on_pieces(lambda packet, pieces: [])


@mutant("frag.forward", "never came")
def loses_the_last_piece():
    on_pieces(lambda packet, pieces: pieces[:-1])


@mutant("frag.forward", "the last fragment has MF")
def more_fragments_everywhere():
    def change(packet, pieces):
        set_fragment_field(pieces[-1], fragment_field(pieces[-1]) | MORE_FRAGMENTS)
        return pieces
    on_pieces(change)


@mutant("frag.forward", "has MF (more fragments) not set")
def more_fragments_nowhere():
    def change(packet, pieces):
        for piece in pieces:
            set_fragment_field(piece, fragment_field(piece) & ~MORE_FRAGMENTS)
        return pieces
    on_pieces(change)


@mutant("frag.forward", "the offset counts in units of 8 bytes")
def offset_in_bytes():
    def change(packet, pieces):
        for piece in pieces:
            field = fragment_field(piece)
            set_fragment_field(piece, field & MORE_FRAGMENTS | (field & OFFSET) * 8 & OFFSET)
        return pieces
    on_pieces(change)


@mutant("frag.forward", "the next one's offset counts in units of 8")
def pieces_of_any_length():
    def change(packet, pieces):
        pieces[0] += b"xy"
        struct.pack_into("!H", pieces[0], 2, len(pieces[0]))
        return pieces
    on_pieces(change)


@mutant("frag.forward", "a fragment is wrong: the identification is")
def identification_of_its_own():
    def change(packet, pieces):
        for i, piece in enumerate(pieces):
            struct.pack_into("!H", piece, 4, packet.ident + i + 1 & 0xFFFF)
        return pieces
    on_pieces(change)


@mutant("frag.forward", "the IP header checksum is")
def checksum_of_the_whole():
    @around(ref, "cut")
    def cut(old, packet, mtu):
        for piece in old(packet, mtu):
            yield piece[:10] + packet.data[10:12] + piece[12:]


@mutant("frag.forward", "the others only those whose first bit")
def options_in_every_piece():
    ref.copied_options = lambda options: options


@mutant("frag.forward", "the TTL is")
def ttl_kept():
    def change(packet, pieces):
        for piece in pieces:
            piece[8] += 1
        return pieces
    on_pieces(change)


@mutant("frag.forward", "are not the packet's data")
def data_shifted():
    def change(packet, pieces):
        for piece in pieces[1:]:
            piece[-1:] = bytes([piece[-1] ^ 1])
        return pieces
    on_pieces(change)


# Cutting again

@mutant("frag.refragment", "are not the packet's data")
def offset_begins_at_zero():
    def change(packet, pieces):
        for piece in pieces:
            set_fragment_field(piece, fragment_field(piece) - (packet.fragment & OFFSET))
        return pieces
    on_pieces(change)


@mutant("frag.refragment", "has MF (more fragments) not set")
def every_cut_has_an_end():
    def change(packet, pieces):
        set_fragment_field(pieces[-1], fragment_field(pieces[-1]) & ~MORE_FRAGMENTS)
        return pieces
    on_pieces(change)


# Don't fragment

@mutant("frag.df", "no ICMP message came about a packet that is too large")
def black_hole():
    @on_error(UNREACHABLE, FRAGMENTATION_NEEDED)
    def error(old, self, packet, rest):
        pass


@mutant("frag.df", "no ICMP message came about a packet that is too large")
def cuts_all_the_same():
    @around(ref.Router, "transmit")
    def transmit(old, self, packet, interface, neighbour):
        packet.fragment &= ~DONT_FRAGMENT
        old(self, packet, interface, neighbour)


@mutant("frag.df", "says that the MTU is 0, but it is 576")
def no_mtu():
    @on_error(UNREACHABLE, FRAGMENTATION_NEEDED)
    def error(old, self, packet, rest):
        old(self, packet, UNREACHABLE, FRAGMENTATION_NEEDED, bytes(4))


@mutant("frag.df", "the MTU in the wrong half")
def mtu_in_the_wrong_half():
    @on_error(UNREACHABLE, FRAGMENTATION_NEEDED)
    def error(old, self, packet, rest):
        old(self, packet, UNREACHABLE, FRAGMENTATION_NEEDED, rest[2:] + rest[:2])


@mutant("frag.df", "and sent on all the same")
def reports_and_sends_on():
    @on_error(UNREACHABLE, FRAGMENTATION_NEEDED)
    def error(old, self, packet, rest):
        old(self, packet, UNREACHABLE, FRAGMENTATION_NEEDED, rest)
        fragment, packet.fragment = packet.fragment, 0
        self.transmit(packet, *self.next_hop(packet.destination))
        packet.fragment = fragment


# Transfers

@mutant("udp.transfer", "got lost")
def loses_one_in_ten_from_afar():
    seen = set()

    @around(base.Router, "route")
    def route(old, self, packet):
        if packet.protocol == UDP and packet.source == 0x0A010102:
            seen.add(packet.ident)
            if len(seen) % 10 == 5:
                return
        old(self, packet)


@mutant("tcp.transfer", "has stopped")
def loses_large_tcp():
    @around(base.Router, "route")
    def route(old, self, packet):
        if packet.protocol != TCP or len(packet.data) < 200 or packet.payload[13] == 4:  # RST alone
            old(self, packet)


@mutant("tcp.transfer", "crawls")
def lets_a_large_packet_through_now_and_then():
    last = [0.0]

    @around(base.Router, "route")
    def route(old, self, packet):
        if packet.protocol == TCP and len(packet.data) > 200 and packet.payload[13] != 4:  # RST alone
            if time.monotonic() < last[0] + 0.1:
                return
            last[0] = time.monotonic()
        old(self, packet)


main(ref.Router)
