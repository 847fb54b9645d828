#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Broken routers for stage6: see lib/mutants.py."""
import select
import socket
import time

import stage6_reference as ref
from lib import base, packets
from lib.mutants import MUTANTS, around, basics, main, mutant
from lib.packets import TCP, UDP

basics(also="udp.transfer")


def slow_path_only():
    """All packets go the way of the former stages, where faults are easy to put in."""
    @around(ref.Router, "transmit")
    def transmit(old, self, packet, interface, neighbour):
        super(ref.Router, self).transmit(packet, interface, neighbour)


for name in ("answers-no-arp", "forwards-nothing-large"):
    checks, words, function = MUTANTS[name]
    MUTANTS[name] = checks, words, lambda function=function: (slow_path_only(), function())


@mutant("ipv4.forward", "nothing more after the first")
def forwards_a_thousand():
    slow_path_only()
    count = []

    @around(base.Router, "transmit")
    def transmit(old, self, packet, interface, neighbour):
        count.append(0)
        if len(count) <= 1000:
            old(self, packet, interface, neighbour)


# Transfers

@mutant("tcp.transfer", "has stopped")
def loses_large_tcp():
    slow_path_only()

    @around(base.Router, "route")
    def route(old, self, packet):
        if packet.protocol != TCP or len(packet.data) < 1000 or packet.payload[13] == 4:  # RST alone
            old(self, packet)


@mutant("tcp.transfer", "cannot connect to")
def loses_tcp_options():
    slow_path_only()

    @around(base.Router, "route")
    def route(old, self, packet):
        if packet.protocol != TCP or packet.payload[12] == 0x50:  # a header without options
            old(self, packet)


def large_udp(change):
    """change(data) alters each forwarded packet of udp.transfer."""
    slow_path_only()

    @around(packets.Packet, "forwarded")
    def forwarded(old, self):
        data = bytearray(old(self))
        return bytes(change(self, data) or data) if self.protocol == UDP and len(data) == 1428 and not self.fragment else bytes(data)


@mutant("udp.transfer", "sends packets on with a wrong IP header checksum")
def keeps_the_checksum_of_large_packets():
    large_udp(lambda packet, data: data[:10] + packet.data[10:12] + data[12:])


@mutant("udp.transfer", "sends packets on with a wrong UDP checksum, or with data")
def changes_the_data_of_large_packets():
    large_udp(lambda packet, data: data[:-1] + bytes([data[-1] ^ 1]))


@mutant("udp.transfer", "got lost")
def loses_one_datagram_in_twenty():
    slow_path_only()
    count = []

    @around(base.Router, "route")
    def route(old, self, packet):
        if len(packet.data) == 1428:
            count.append(0)
            if len(count) % 20 == 0:
                return
        old(self, packet)


@mutant("udp.transfer", "came twice")
def repeats_a_datagram():
    slow_path_only()

    @around(base.Router, "route")
    def route(old, self, packet):
        old(self, packet)
        if len(packet.data) == 1428 and packet.payload[11] == 7:  # the eighth
            old(self, packet)


# Speed

def busy(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


@mutant("perf.pps", "packets a second; this tier asks for")
def slow():
    @around(ref.Router, "receive_batch")
    def receive_batch(old, self, interface, buffer, view):
        ref.BATCH = 1
        busy(0.0003)
        old(self, interface, buffer, view)


@mutant("perf.latency", "a packet that comes alone takes")
def naps():
    @around(base.Router, "__init__")
    def init(old, self, lab):
        old(self, lab)
        make = select.epoll

        class Napping:
            """Sleeps after it had to wait: who comes alone waits for that."""

            def __init__(self):
                self.poll_ = make()
                self.register = self.poll_.register

            def poll(self, timeout):
                ready = self.poll_.poll(0.001)
                if ready:
                    return ready
                ready = self.poll_.poll(timeout)
                time.sleep(0.008)
                return ready
        select.epoll = Napping


@mutant("perf.burst", "right after each other, at least")
def small_buffer():
    ref.Ring.FRAMES = 32


# Living on

@mutant("robust.noise", "it must not add to it")
def repeats_broadcasts():
    @around(ref.Router, "receive")
    def receive(old, self, interface, frame):
        old(self, interface, frame)
        if frame[0] & 1 and frame[12:14] == b"\x08\0":
            for other in self.interfaces:
                if other is not interface:
                    other.socket.send(frame)


@mutant("robust.noise", "the program takes more memory")
def keeps_everything():
    kept = []

    @around(ref.Router, "receive_batch")
    def receive_batch(old, self, interface, buffer, view):
        kept.append(bytes(view[:2000 * ref.BATCH]))
        old(self, interface, buffer, view)


@mutant("robust.noise", "the program takes more memory")
def keeps_every_address():
    seen = {}

    @around(ref.Router, "receive")
    def receive(old, self, interface, frame):
        old(self, interface, frame)
        if frame[12:14] == b"\x08\x06":
            seen[frame[22:32]] = time.monotonic()
        else:
            seen[frame[26:30]] = time.monotonic()


@mutant("robust.flap", "your program ended (exit code 1) while this was tried: OSError")
def ends_when_a_link_goes_down():
    @around(ref.Router, "receive_batch")
    def receive_batch(old, self, interface, buffer, view):
        if interface.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError("Network is down")
        old(self, interface, buffer, view)


@mutant("robust.flap", "for 5 seconds the router forwards nothing more to it")
def gives_a_link_up():
    @around(base.Router, "__init__")
    def init(old, self, lab):
        old(self, lab)
        self.gone = set()

    @around(ref.Router, "receive_batch")
    def receive_batch(old, self, interface, buffer, view):
        if interface.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.gone.add(interface)
            self.flows.clear()
        old(self, interface, buffer, view)

    @around(ref.Router, "transmit")
    def transmit(old, self, packet, interface, neighbour):
        if interface not in self.gone:
            old(self, packet, interface, neighbour)


@mutant("robust.fuzz", "your program ended (exit code 1) while this was tried: ValueError")
def believes_what_comes():
    @around(ref.Router, "receive")
    def receive(old, self, interface, frame):
        if frame[12:14] == b"\x08\0":
            packets.Packet(frame[14:], interface)
        old(self, interface, frame)


@mutant("robust.fuzz", "the router no longer")
def stops_at_a_bad_checksum():
    @around(ref.Router, "receive")
    def receive(old, self, interface, frame):
        if frame[12:14] == b"\x08\0" and len(frame) > 40 and packets.checksum(frame[14:34]) and frame[14] == 0x45:
            while True:  # it never comes back from here
                time.sleep(1)
        old(self, interface, frame)


main(ref.Router)
