#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stage 6, real traffic: the router of stage 5 with a fast path in front of it.

    labctl run -- python3 tests/routers/stage6_reference.py

Nearly all packets of a real transfer are alike: well-formed, without options, between two
addresses for which a packet was forwarded just before. What the slow path found out about such a
pair (the way, the neighbour's MAC) is written into a table, FLOWS, and the next packet of the
pair takes a handful of operations: it is read into a buffer that is there already, changed where
it lies, and sent from there. All that is unusual goes the slow way, which knows all the rules.

What is in the table is true for a second at most: it is emptied whenever a neighbour's MAC is
learnt, and once a second, so that neighbours age as if the fast path were not there.
"""
import mmap
import select
import socket
import struct
import time

import stage5_reference
from lib import base
from lib.packets import ETH_IP

SOL_PACKET, PACKET_RX_RING, PACKET_IGNORE_OUTGOING, TP_STATUS_USER = 263, 5, 23, 1  # linux/if_packet.h
BATCH = 64  # frames from one interface; then the others have their turn
FLOWS = 4096  # pairs of addresses

# Ethernet and IPv4 headers in one go: MAC, type, version and header length, total length, TTL,
# protocol, checksum, source and destination as one text of 8 bytes.
HEADERS = struct.Struct("!6s6xHBxH4xBBH8s")
WORDS = struct.Struct("!10H")  # the IPv4 header as the checksum sees it
HOP = struct.Struct("!BBH")  # TTL, protocol, checksum: what changes at a hop
PLAIN_HEADER = 0x45  # version 4, 20 bytes


class Ring:
    """Frames as the kernel writes them into shared memory (packet(7)). Bursts wait here: unlike a
    socket's buffer it may be as large as one likes."""
    FRAMES = 4096  # that wait
    ROOM = 2048  # bytes for each
    BLOCK = 1 << 16
    HEAD = struct.Struct("LIIHH")  # tpacket_hdr: status, length, bytes here, where they begin

    def __init__(self, of):
        size = self.FRAMES * self.ROOM
        of.setsockopt(SOL_PACKET, PACKET_RX_RING,
                      struct.pack("4I", self.BLOCK, size // self.BLOCK, self.ROOM, self.FRAMES))
        self.socket, self.memory, self.size, self.at = of, mmap.mmap(of.fileno(), size), size, 0

    def recv_into(self, buffer):
        status, _, length, start, _ = self.HEAD.unpack_from(self.memory, self.at)
        if not status & TP_STATUS_USER:
            self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # once for a link that went down
            raise BlockingIOError
        start += self.at
        buffer[:length] = self.memory[start:start + length]
        struct.pack_into("L", self.memory, self.at, 0)
        self.at = (self.at + self.ROOM) % self.size
        return length


class Neighbours(stage5_reference.Router.Neighbours):
    changed = staticmethod(lambda: None)  # called when a MAC was learnt

    def learn(self, interface, address, mac):
        super().learn(interface, address, mac)
        self.changed()

    def forget(self, key):
        super().forget(key)
        self.changed()


class Router(stage5_reference.Router):
    Neighbours = Neighbours

    def __init__(self, lab):
        super().__init__(lab)
        self.flows = {}  # source and destination: (send, both MACs, MTU)
        self.neighbours.changed = self.flows.clear
        for interface in self.interfaces:
            # Not to hear what one says oneself halves the work, and recv_into() is enough then.
            interface.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            interface.ring = Ring(interface.socket)

    def transmit(self, packet, interface, neighbour):
        """The slow path forwards; the next packet between these two may go fast."""
        super().transmit(packet, interface, neighbour)
        entry = self.neighbours.entries.get((interface, neighbour))
        if entry and entry.mac:
            if len(self.flows) >= FLOWS:
                self.flows.clear()
            self.flows[packet.data[12:20]] = interface.socket.send, entry.mac + interface.mac, interface.mtu

    def receive_batch(self, interface, buffer, view):
        """Up to BATCH frames. The names are local because Python finds those fastest."""
        receive, flows, mac = interface.ring.recv_into, self.flows, interface.mac
        headers, words, hop = HEADERS.unpack_from, WORDS.unpack_from, HOP.pack_into
        for _ in range(BATCH):
            try:
                size = receive(buffer)
            except OSError:  # nothing more, or the link went down
                return
            if size >= 34:
                to, kind, first, length, ttl, protocol, check, pair = headers(buffer)
                if kind == ETH_IP and first == PLAIN_HEADER and ttl > 1 and to == mac and 20 <= length <= size - 14:
                    flow = flows.get(pair)
                    # A right checksum makes the sum a multiple of 0xFFFF: no need to fold.
                    if flow and length <= flow[2] and not sum(words(buffer, 14)) % 0xFFFF:
                        send, macs, _ = flow
                        check += 0x0100  # the TTL's byte loses one, the checksum gains it
                        if check >= 0xFFFF:  # carried round; 0xFFFF itself is 0 (RFC 1624)
                            check -= 0xFFFF
                        hop(buffer, 22, ttl - 1, protocol, check)
                        buffer[:12] = macs
                        try:
                            send(view[:14 + length])
                        except OSError:
                            pass  # the link is down, or its queue is full
                        continue
            if size >= 14 and (buffer[:6] == mac or buffer[0] == 0xFF):
                self.receive(interface, bytes(view[:size]))

    def run(self):
        poll = select.epoll()
        by_fd = {interface.socket.fileno(): interface for interface in self.interfaces}
        for fd in by_fd:
            poll.register(fd, select.EPOLLIN)
        buffer = bytearray(65536)
        view = memoryview(buffer)
        due = time.monotonic()
        print("routing between", ", ".join(interface.name for interface in self.interfaces), flush=True)
        while True:
            for fd, _ in poll.poll(0.1 if self.neighbours.asking else 1.0):
                self.receive_batch(by_fd[fd], buffer, view)
            self.neighbours.tick()
            if time.monotonic() >= due:
                due = time.monotonic() + 1.0
                self.flows.clear()


if __name__ == "__main__":
    base.main(Router)
