# SPDX-License-Identifier: MIT
"""What every router of the later stages begins with: a router as stage 1 asks for it.

It resolves neighbours, forwards, answers ping, and says nothing when something goes wrong. What
the later stages are about is in methods and classes that their references replace:

    Router.error()      stage 2     say what went wrong
    Neighbours          stage 3     who has which address
    Router.next_hop()   stage 4     the way to a destination
    Router.transmit()   stage 5     packets that do not fit
"""
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections import deque

from lib.packets import (ARP_REPLY, ARP_REQUEST, BROADCAST_MAC, ECHO_REPLY, ECHO_REQUEST, ETH_ARP, ETH_IP, ICMP,
                         LIMITED_BROADCAST, MORE_FRAGMENTS, NET_UNREACHABLE, HOST_UNREACHABLE, OFFSET,
                         PORT_UNREACHABLE, PROTOCOL_UNREACHABLE, TIME_EXCEEDED, UDP, UNREACHABLE, Packet, checksum,
                         is_host, make_icmp, make_packet, mask, number)

ETH_P_ALL = 0x0003
FRAMES_AT_ONCE = 64  # from one interface; then the others and the clocks have their turn


class Interface:
    """One of the router's interfaces, and the packet socket on it."""

    def __init__(self, description):
        self.name = description["interface"]
        self.mac = bytes.fromhex(description["mac"].replace(":", ""))
        self.address = number(description["address"])
        self.mask = mask(description["prefix"])
        self.network = self.address & self.mask
        self.broadcast = self.network | ~self.mask & 0xFFFFFFFF
        self.mtu = description["mtu"]
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.bind((self.name, 0))
        self.socket.setblocking(False)

    def reaches(self, address):
        return address & self.mask == self.network

    def send(self, mac, kind, payload):
        try:
            self.socket.send(mac + self.mac + struct.pack("!H", kind) + payload)
        except OSError:
            pass  # the link is down, or its queue is full: lost, as on any wire

    def receive(self):
        """The frames that wait here and are for this station, or for all."""
        for _ in range(FRAMES_AT_ONCE):
            try:
                frame, (_, _, kind, _, _) = self.socket.recvfrom(65535)
            except OSError:  # nothing more, or the link went down
                return
            if kind != socket.PACKET_OUTGOING and len(frame) >= 14 and (frame[:6] in (self.mac, BROADCAST_MAC)):
                yield frame


class Neighbours:
    """ARP (RFC 826): whose MAC is it, and the packets that wait for each answer."""

    PATIENCE = 3.0  # seconds until a neighbour that does not answer counts as unreachable
    QUEUE = 16  # packets that wait for one neighbour; of more, the latest (RFC 1122, 2.3.2.2)

    def __init__(self, give_up):
        self.give_up = give_up  # called with the packet (as it came in) that cannot be delivered
        self.known = {}  # (interface, address): MAC
        self.waiting = {}  # (interface, address): what waits for it

    class Waiting:
        def __init__(self, now):
            self.since = now
            self.asked = None  # when
            self.packets = deque(maxlen=Neighbours.QUEUE)  # (data, origin)

    def send(self, interface, address, data, origin):
        """data: the packet's bytes as they go out; origin: as it came in, None when it is our own."""
        key = interface, address
        if key in self.known:
            interface.send(self.known[key], ETH_IP, data)
            return
        entry = self.waiting.setdefault(key, self.Waiting(time.monotonic()))
        entry.packets.append((data, origin))
        self.tick()

    def tick(self):
        """Asks where it is time to; returns the seconds until it is again, None for never."""
        now = time.monotonic()
        for key, entry in list(self.waiting.items()):
            if now >= entry.since + self.PATIENCE:
                del self.waiting[key]
                for _, origin in entry.packets:
                    if origin:
                        self.give_up(origin)
            elif entry.asked is None or now >= entry.asked + 1:  # RFC 1122, 2.3.2.1
                entry.asked = now
                self.say(key[0], ARP_REQUEST, BROADCAST_MAC, bytes(6), key[1])
        return 0.1 if self.waiting else None

    def say(self, interface, operation, mac, target_mac, target):
        interface.send(mac, ETH_ARP, struct.pack("!HHBBH6sI6sI", 1, ETH_IP, 6, 4, operation, interface.mac,
                                                 interface.address, target_mac, target))

    def receive(self, interface, data):
        if len(data) < 28:
            return
        hardware, protocol, hlen, plen, operation, mac, sender, _, target = struct.unpack_from("!HHBBH6sI6sI", data)
        if (hardware, protocol, hlen, plen) != (1, ETH_IP, 6, 4) or target != interface.address:
            return
        if sender == interface.address or mac[0] & 1:
            return  # nobody else can be us, or be a group
        if interface.reaches(sender):
            self.learn(interface, sender, mac)
        if operation == ARP_REQUEST:
            self.say(interface, ARP_REPLY, mac, mac, sender)

    def learn(self, interface, address, mac):
        self.known[interface, address] = mac
        entry = self.waiting.pop((interface, address), None)
        for data, _ in entry.packets if entry else ():
            interface.send(mac, ETH_IP, data)


class Router:
    Neighbours = Neighbours

    def __init__(self, lab):
        self.interfaces = [Interface(net) for net in lab["networks"].values() if "interface" in net]
        self.addresses = {interface.address for interface in self.interfaces}
        self.broadcasts = {LIMITED_BROADCAST}
        for interface in self.interfaces:
            self.broadcasts |= {interface.broadcast, interface.network}
        self.neighbours = self.Neighbours(
            lambda packet: self.error(packet, UNREACHABLE, HOST_UNREACHABLE))

    def next_hop(self, destination):
        """(interface, neighbour's address), or None when there is no way."""
        for interface in self.interfaces:
            if interface.reaches(destination):
                return interface, destination
        return None

    def receive(self, interface, frame):
        kind = int.from_bytes(frame[12:14], "big")
        if kind == ETH_ARP:
            self.neighbours.receive(interface, frame[14:])
        elif kind == ETH_IP and frame[:6] == interface.mac:  # never what went to all (RFC 1812, 5.3.4)
            try:
                packet = Packet(frame[14:], interface)
            except ValueError:
                return
            self.route(packet)

    def route(self, packet):
        if not is_host(packet.source) or packet.source in self.broadcasts or packet.source in self.addresses:
            return
        if not is_host(packet.destination) or packet.destination in self.broadcasts:
            return
        if packet.destination in self.addresses:
            self.deliver(packet)
        else:
            self.forward(packet)

    def forward(self, packet):
        way = self.next_hop(packet.destination)
        if way is None:
            self.error(packet, UNREACHABLE, NET_UNREACHABLE)
        elif packet.ttl <= 1:
            self.error(packet, TIME_EXCEEDED, 0)
        else:
            self.transmit(packet, *way)

    def transmit(self, packet, interface, neighbour):
        if len(packet.data) <= interface.mtu:
            self.neighbours.send(interface, neighbour, packet.forwarded(), packet)

    def deliver(self, packet):
        """A packet to the router itself."""
        message = packet.payload
        if packet.fragment & (MORE_FRAGMENTS | OFFSET):
            return  # this router does not put fragments together
        if packet.protocol == ICMP:
            if len(message) >= 8 and checksum(message) == 0 and message[0] == ECHO_REQUEST and message[1] == 0:
                reply = make_icmp(ECHO_REPLY, 0, message[4:8], message[8:])
                self.originate(make_packet(packet.destination, packet.source, ICMP, reply), packet.source)
        elif packet.protocol == UDP:
            self.error(packet, UNREACHABLE, PORT_UNREACHABLE)
        else:
            self.error(packet, UNREACHABLE, PROTOCOL_UNREACHABLE)

    def error(self, packet, kind, code, rest=bytes(4)):
        """Something is wrong with this packet: stage 2's reference says so."""

    def originate(self, data, destination):
        """Sends what this router itself made."""
        way = self.next_hop(destination)
        if way:
            self.neighbours.send(*way, data, None)

    def run(self):
        poll = select.epoll()
        by_fd = {interface.socket.fileno(): interface for interface in self.interfaces}
        for fd in by_fd:
            poll.register(fd, select.EPOLLIN)
        print("routing between", ", ".join(interface.name for interface in self.interfaces), flush=True)
        while True:
            for fd, _ in poll.poll(self.neighbours.tick()):
                for frame in by_fd[fd].receive():
                    self.receive(by_fd[fd], frame)


def main(router):
    """Runs a router of this class on the lab that labctl started."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if "LAB_FILE" not in os.environ:
        sys.exit("LAB_FILE is not set: start this program by labctl run")
    with open(os.environ["LAB_FILE"], encoding="utf-8") as file:
        lab = json.load(file)
    router(lab).run()
