#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Broken routers for stage2: see lib/mutants.py."""
import stage2_reference as ref
from lib import packets
from lib.mutants import around, basics, main, mutant
from lib.packets import (HOST_UNREACHABLE, ICMP, NET_UNREACHABLE, PORT_UNREACHABLE, TIME_EXCEEDED,
                         UNREACHABLE, make_icmp, make_packet)

ALL_ERRORS = "icmp.time-exceeded icmp.net-unreachable icmp.host-unreachable icmp.port-unreachable"


def on_error(kind, code):
    """The function below gets (error, router, packet, kind, code, rest) for these errors alone."""
    def replace(function):
        @around(ref.Router, "error")
        def error(old, self, packet, kind_, code_, rest=bytes(4)):
            if (kind_, code_) == (kind, code):
                function(old, self, packet, kind_, code_, rest)
            else:
                old(self, packet, kind_, code_, rest)
        return function
    return replace


def on_message(change):
    """change(packet) alters each error (a bytearray) before it is sent; the sums stay as they are."""
    @around(ref.Router, "originate")
    def originate(old, self, data, destination):
        if data[9] == ICMP and data[20] in (UNREACHABLE, TIME_EXCEEDED):
            data = bytearray(data)
            data = bytes(change(data) or data)
        old(self, data, destination)


def message(source, destination, kind, code, quote, rest=bytes(4)):
    return make_packet(source, destination, ICMP, make_icmp(kind, code, rest, quote))


basics()


# Time exceeded

@mutant("icmp.time-exceeded", "no ICMP message came about a packet whose TTL ended")
def time_exceeded_none():
    @on_error(TIME_EXCEEDED, 0)
    def error(old, self, packet, kind, code, rest):
        pass


@mutant("icmp.time-exceeded", "the ICMP code is 1 and should be 0")
def time_exceeded_code():
    @on_error(TIME_EXCEEDED, 0)
    def error(old, self, packet, kind, code, rest):
        old(self, packet, kind, 1, rest)


@mutant("icmp.time-exceeded", "of type 0 code 11 and not of type 11 code 0: are type and code swapped?")
def time_exceeded_swapped():
    @on_error(TIME_EXCEEDED, 0)
    def error(old, self, packet, kind, code, rest):
        old(self, packet, code, kind, rest)


@mutant("icmp.time-exceeded", "but not about an ICMP echo request")
def time_exceeded_not_about_ping():
    @on_error(TIME_EXCEEDED, 0)
    def error(old, self, packet, kind, code, rest):
        if packet.protocol != ICMP:
            old(self, packet, kind, code, rest)


@mutant("icmp.time-exceeded", "the source address is 2.2.2.1 and should be 1.1.1.1")
def time_exceeded_from_the_other_side():
    @on_error(TIME_EXCEEDED, 0)
    def error(old, self, packet, kind, code, rest):
        way = self.next_hop(packet.destination)
        old_interface, packet.interface = packet.interface, way[0] if way else packet.interface
        old(self, packet, kind, code, rest)
        packet.interface = old_interface


@mutant("icmp.time-exceeded", "sends 2 ICMP messages about one packet")
def time_exceeded_twice():
    @on_error(TIME_EXCEEDED, 0)
    def error(old, self, packet, kind, code, rest):
        old(self, packet, kind, code, rest)
        old(self, packet, kind, code, rest)


@mutant("icmp.time-exceeded", "and forwards it all the same")
def time_exceeded_and_forwards():
    @on_error(TIME_EXCEEDED, 0)
    def error(old, self, packet, kind, code, rest):
        old(self, packet, kind, code, rest)
        way = self.next_hop(packet.destination)
        if way:
            self.neighbours.send(*way, packet.data[:8] + bytes(1) + packet.data[9:], None)


@mutant("icmp.time-exceeded", "quotes 8 bytes")
def time_exceeded_short_quote():
    @on_error(TIME_EXCEEDED, 0)
    def error(old, self, packet, kind, code, rest):
        if self.may_report(packet) and self.errors.take():
            self.originate(message(packet.interface.address, packet.source, kind, code, packet.data[:8]), packet.source)


@mutant("icmp.time-exceeded", "quotes 28 bytes")
def time_exceeded_forgets_options():
    @on_error(TIME_EXCEEDED, 0)
    def error(old, self, packet, kind, code, rest):
        if self.may_report(packet) and self.errors.take():
            self.originate(message(packet.interface.address, packet.source, kind, code, packet.data[:28]),
                           packet.source)


@mutant("icmp.time-exceeded icmp.net-unreachable icmp.port-unreachable", "as large as its network takes")
def quotes_all_of_it():
    @around(ref.Router, "error")
    def error(old, self, packet, kind, code, rest=bytes(4)):
        if self.may_report(packet) and self.errors.take():
            self.originate(message(packet.interface.address, packet.source, kind, code, packet.data), packet.source)


@mutant(ALL_ERRORS, "quotes is no IP packet")
def quote_with_ethernet_header():
    @around(ref.Router, "error")
    def error(old, self, packet, kind, code, rest=bytes(4)):
        if self.may_report(packet) and self.errors.take():
            self.originate(message(packet.interface.address, packet.source, kind, code,
                                   bytes(12) + b"\x08\0" + packet.data[:500]), packet.source)


@mutant(ALL_ERRORS, "the packet quoted in the ICMP message is wrong: the source address")
def quote_turned_round():
    def change(data):
        data[28 + 12:28 + 20] = data[28 + 16:28 + 20] + data[28 + 12:28 + 16]
        data[20:] = make_icmp(data[20], data[21], bytes(data[24:28]), bytes(data[28:]))
    on_message(change)


@mutant(ALL_ERRORS, "the ICMP checksum is")
def error_checksum():
    def change(data):
        data[22] ^= 0x10
    on_message(change)


@mutant(ALL_ERRORS, "the IP header checksum is")
def error_header_checksum():
    def change(data):
        data[10] ^= 0x10
    on_message(change)


# Unreachable

@mutant("icmp.net-unreachable", "an address that the router has no way to")
def net_unreachable_none():
    @on_error(UNREACHABLE, NET_UNREACHABLE)
    def error(old, self, packet, kind, code, rest):
        pass


@mutant("icmp.net-unreachable", "the ICMP code is 1 and should be 0")
def net_unreachable_is_host_unreachable():
    @on_error(UNREACHABLE, NET_UNREACHABLE)
    def error(old, self, packet, kind, code, rest):
        old(self, packet, kind, HOST_UNREACHABLE, rest)


@mutant("icmp.host-unreachable", "times about one packet")
def host_unreachable_twice():
    @on_error(UNREACHABLE, HOST_UNREACHABLE)
    def error(old, self, packet, kind, code, rest):
        old(self, packet, kind, code, rest)
        old(self, packet, kind, code, rest)


@mutant("icmp.host-unreachable", "a neighbour that does not answer ARP")
def host_unreachable_none():
    @on_error(UNREACHABLE, HOST_UNREACHABLE)
    def error(old, self, packet, kind, code, rest):
        pass


@mutant("icmp.host-unreachable", "the ICMP type is 11 and should be 3")
def host_unreachable_is_time_exceeded():
    @on_error(UNREACHABLE, HOST_UNREACHABLE)
    def error(old, self, packet, kind, code, rest):
        old(self, packet, TIME_EXCEEDED, 1, rest)


@mutant("icmp.port-unreachable", "a UDP datagram to the router's own address")
def port_unreachable_none():
    @on_error(UNREACHABLE, PORT_UNREACHABLE)
    def error(old, self, packet, kind, code, rest):
        pass


@mutant("icmp.port-unreachable", "all its addresses are its own")
def port_unreachable_near_address_only():
    @on_error(UNREACHABLE, PORT_UNREACHABLE)
    def error(old, self, packet, kind, code, rest):
        if packet.destination == packet.interface.address:
            old(self, packet, kind, code, rest)


@mutant("icmp.port-unreachable", "comes from 9.9.9.9, which is no address of the router's")
def port_unreachable_from_a_stranger():
    @on_error(UNREACHABLE, PORT_UNREACHABLE)
    def error(old, self, packet, kind, code, rest):
        near = packet.destination == packet.interface.address
        source = packet.interface.address if near else packets.number("9.9.9.9")
        if self.may_report(packet) and self.errors.take():
            self.originate(message(source, packet.source, kind, code, packet.data[:500]), packet.source)


# Silence

@mutant("icmp.no-error-about-error", "an ICMP error about an ICMP error")
def error_about_error():
    @around(ref.Router, "may_report")
    def may_report(old, self, packet):
        return packet.protocol == ICMP and packet.payload[0] in (3, 11) or old(self, packet)


@mutant("icmp.no-error-about-error", "about a fragment that is not the first")
def error_about_later_fragment():
    @around(ref.Router, "may_report")
    def may_report(old, self, packet):
        return packet.fragment & packets.OFFSET or old(self, packet)


def more_packets(wanted):
    """Packets for which wanted(router, interface, packet) is true end at the router, with a message."""
    @around(ref.Router, "receive")
    def receive(old, self, interface, frame):
        old(self, interface, frame)
        try:
            packet = packets.Packet(frame[14:], interface) if frame[12:14] == b"\x08\0" else None
        except ValueError:
            return
        if packet and wanted(self, frame, packet):
            data = message(interface.address, packet.source, TIME_EXCEEDED, 0, packet.data[:500])
            interface.send(frame[6:12], packets.ETH_IP, data)


@mutant("icmp.no-error-about-error", "about a packet to many")
def error_about_broadcast():
    more_packets(lambda self, frame, packet: packet.destination in self.broadcasts)


@mutant("icmp.no-error-about-error", "in a frame to all stations")
def error_about_broadcast_frame():
    more_packets(lambda self, frame, packet: frame[0] == 0xFF and packet.ttl == 1)


@mutant("icmp.no-error-about-error", "to an address that is no host's")
def error_to_nobody():
    more_packets(lambda self, frame, packet: not packets.is_host(packet.source))


@mutant("icmp.no-error-about-error", "to an address that is no host's")
def error_to_all():
    more_packets(lambda self, frame, packet: packet.source in self.broadcasts and packet.ttl == 1)


# How many

@mutant("icmp.rate", "what it originates must be limited")
def rate_unlimited():
    ref.Bucket.take = lambda self: True


@mutant("icmp.rate", "20 right after each other must be possible")
def rate_one_a_second():
    @around(ref.Bucket, "take")
    def take(old, self):
        # Three right after each other, then one each tenth of a second: traceroute gets gaps.
        self.burst, self.rate = 3, 10
        return old(self)


@mutant("icmp.rate", "after a flood the router says nothing any more")
def rate_never_recovers():
    @around(ref.Bucket, "take")
    def take(old, self):
        self.rate = 0 if self.tokens < 2 else self.rate
        return old(self)


main(ref.Router)
