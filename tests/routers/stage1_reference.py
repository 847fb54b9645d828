#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A correct IPv4 router for the stages: what a good student's program looks like.

Python's standard library only. Reads the running lab from LAB_FILE; run it by
    labctl run -- python3 tests/routers/stage1_reference.py
"""
import ipaddress
import json
import os
import select
import socket
import struct
import sys
import time

ETH_P_ALL, ETH_P_IP, ETH_P_ARP = 0x0003, 0x0800, 0x0806
BROADCAST_MAC = b"\xff" * 6
ARP_REQUEST, ARP_REPLY = 1, 2
ICMP_ECHO_REPLY, ICMP_UNREACHABLE, ICMP_ECHO_REQUEST, ICMP_TIME_EXCEEDED = 0, 3, 8, 11
NET_UNREACHABLE, HOST_UNREACHABLE, PROTOCOL_UNREACHABLE, PORT_UNREACHABLE, NEED_FRAGMENTS = range(5)
ICMP_QUERIES = {0, 8, 9, 10, 13, 14, 15, 16, 17, 18}  # every other type reports an error
PROTO_ICMP, PROTO_UDP = 1, 17
FLAG_DF, FLAG_MF, OFFSET_MASK = 0x4000, 0x2000, 0x1FFF
ARP_LIFETIME, ARP_TRIES, ARP_INTERVAL, ARP_QUEUE = 60.0, 3, 1.0, 16
ERROR_SIZE = 576  # RFC 1812, 4.3.2.3: an ICMP error is at most this long

# Never a sender's address beyond its own network, never a destination to route to (RFC 1812, 5.3.7; RFC 3927, 2.7).
MARTIANS = [ipaddress.ip_network(n) for n in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4")]


def checksum(data):
    """RFC 1071; zero over data that includes a correct checksum."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def is_martian(address):
    return any(address in net for net in MARTIANS)


class Packet:
    """A validated IPv4 packet. Raises ValueError with the reason when it is none."""

    def __init__(self, data):
        if len(data) < 20:
            raise ValueError("shorter than a header")
        first, _, total, _, self.fragment, self.ttl, self.protocol, _ = struct.unpack("!BBHHHBBH", data[:12])
        self.header_length = (first & 0xF) * 4
        if first >> 4 != 4 or self.header_length < 20 or len(data) < self.header_length:
            raise ValueError("not IPv4, or a bad header length")
        if total < self.header_length or total > len(data):
            raise ValueError("a bad total length")
        if checksum(data[: self.header_length]) != 0:
            raise ValueError("a bad header checksum")
        self.data = bytearray(data[:total])  # short frames are padded: the padding ends here
        self.source = ipaddress.IPv4Address(data[12:16])
        self.destination = ipaddress.IPv4Address(data[16:20])

    @property
    def payload(self):
        return bytes(self.data[self.header_length:])

    def decrement_ttl(self):
        """TTL minus one, and the checksum brought along (RFC 1624, equation 3)."""
        old = struct.unpack_from("!H", self.data, 8)[0]
        self.data[8] -= 1
        new = struct.unpack_from("!H", self.data, 8)[0]
        total = (~struct.unpack_from("!H", self.data, 10)[0] & 0xFFFF) + (~old & 0xFFFF) + new
        total = (total & 0xFFFF) + (total >> 16)
        total = (total & 0xFFFF) + (total >> 16)
        struct.pack_into("!H", self.data, 10, ~total & 0xFFFF)


def make_packet(source, destination, protocol, payload, ident=0, fragment=0, ttl=64, options=b""):
    header = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), ident,
                         fragment, ttl, protocol, 0, source.packed, destination.packed) + options
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def make_icmp(kind, code, rest, body):
    """An ICMP message; rest are its second four bytes."""
    message = struct.pack("!BBH4s", kind, code, 0, rest) + body
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


class Interface:
    def __init__(self, description):
        self.name = description["interface"]
        self.mac = bytes.fromhex(description["mac"].replace(":", ""))
        self.address = ipaddress.IPv4Address(description["address"])
        self.network = ipaddress.IPv4Network(description["subnet"])
        self.mtu = description.get("mtu", 1500)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.bind((self.name, 0))
        self.socket.setblocking(False)

    def send(self, destination_mac, ethertype, payload):
        try:
            self.socket.send(destination_mac + self.mac + struct.pack("!H", ethertype) + payload)
        except OSError as error:  # the link is down, or its queue is full: a router drops
            print(f"{self.name}: {error.strerror}", file=sys.stderr)

    def frames(self):
        """What has arrived for this station, our own outgoing frames left out."""
        for _ in range(64):  # then the other interfaces and the timers have their turn
            try:
                frame, address = self.socket.recvfrom(65535)
            except OSError:
                return
            if address[2] == socket.PACKET_OUTGOING or len(frame) < 14:
                continue
            if frame[:6] == self.mac or frame[0] & 1:
                yield frame


class Neighbours:
    """Who has which address on which interface: ARP (RFC 826), with packets waiting for it."""

    def __init__(self, unreachable):
        self.known = {}  # (interface, address) -> (mac, learnt when)
        self.waiting = {}  # (interface, address) -> [packets, requests sent, next request when]
        self.unreachable = unreachable  # called with each packet given up

    def send(self, interface, address, packet, origin):
        """Send packet (bytes) to the neighbour; origin: what came in, None for our own packets."""
        key = interface, address
        mac, learnt = self.known.get(key, (None, 0))
        if mac and time.monotonic() - learnt < ARP_LIFETIME:
            interface.send(mac, ETH_P_IP, packet)
            return
        entry = self.waiting.setdefault(key, [[], 0, 0.0])
        if len(entry[0]) < ARP_QUEUE:
            entry[0].append((packet, origin))
        self.tick()

    def tick(self):
        """Ask where it is time to; give up where nobody answered. Seconds until the next call."""
        now = time.monotonic()
        for key, entry in list(self.waiting.items()):
            packets, tries, due = entry
            if now < due or key not in self.waiting:  # giving one up may have settled another
                continue
            if tries < ARP_TRIES:
                self.transmit(key[0], ARP_REQUEST, BROADCAST_MAC, b"\0" * 6, key[1])
                entry[1:] = tries + 1, now + ARP_INTERVAL
            else:
                del self.waiting[key]
                for origin in [origin for _, origin in packets if origin]:
                    self.unreachable(origin)
        return min((max(0.0, entry[2] - now) for entry in self.waiting.values()), default=None)

    def transmit(self, interface, operation, to_mac, target_mac, target):
        interface.send(to_mac, ETH_P_ARP, struct.pack(
            "!HHBBH6s4s6s4s", 1, ETH_P_IP, 6, 4, operation, interface.mac, interface.address.packed,
            target_mac, target.packed))

    def receive(self, interface, data):
        if len(data) < 28:
            return
        hardware, protocol, hlen, plen, operation, mac, sender, _, target = struct.unpack("!HHBBH6s4s6s4s", data[:28])
        if (hardware, protocol, hlen, plen) != (1, ETH_P_IP, 6, 4) or mac[0] & 1:
            return
        sender, target = ipaddress.IPv4Address(sender), ipaddress.IPv4Address(target)
        if sender == interface.address:
            return  # somebody else claims our address: nothing to learn from that
        for_us = target == interface.address
        key = interface, sender
        if sender in interface.network and (for_us or key in self.known):
            self.known[key] = mac, time.monotonic()
            for packet, _ in self.waiting.pop(key, [[]])[0]:
                interface.send(mac, ETH_P_IP, packet)
        if for_us and operation == ARP_REQUEST:
            self.transmit(interface, ARP_REPLY, mac, mac, sender)


class Router:
    def __init__(self, lab):
        self.interfaces = [Interface(net) for net in lab["networks"].values() if net.get("interface")]
        self.routes = [(i.network, i, None) for i in self.interfaces]
        for route in lab.get("routes", []):
            via = ipaddress.IPv4Address(route["via"])
            self.routes += [(ipaddress.IPv4Network(route["to"]), i, via) for i in self.interfaces if via in i.network]
        self.routes.sort(key=lambda route: -route[0].prefixlen)  # the longest prefix first
        self.neighbours = Neighbours(lambda packet: self.error(packet, ICMP_UNREACHABLE, HOST_UNREACHABLE))

    def route(self, destination):
        """(interface, next hop), or None."""
        for network, interface, via in self.routes:
            if destination in network:
                return interface, via or destination
        return None

    def is_broadcast(self, address):
        return address == ipaddress.IPv4Address("255.255.255.255") or any(
            address in (i.network.broadcast_address, i.network.network_address)
            for i in self.interfaces if i.network.prefixlen < 31)

    def receive(self, interface, frame):
        ethertype = struct.unpack_from("!H", frame, 12)[0]
        if ethertype == ETH_P_ARP:
            self.neighbours.receive(interface, frame[14:])
        elif ethertype == ETH_P_IP and frame[:6] == interface.mac:
            # A frame sent to all stations is nothing to route or to answer (RFC 1812, 5.3.4).
            try:
                packet = Packet(frame[14:])
            except ValueError:
                return
            self.packet(packet)

    def packet(self, packet):
        own = [i.address for i in self.interfaces]
        if is_martian(packet.source) or self.is_broadcast(packet.source) or packet.source in own:
            return
        if is_martian(packet.destination) or self.is_broadcast(packet.destination):
            return
        if packet.destination in own:
            self.local(packet)
        else:
            self.forward(packet)

    def local(self, packet):
        if packet.fragment & (FLAG_MF | OFFSET_MASK):
            return  # this router puts no fragments together
        if packet.protocol == PROTO_UDP:
            self.error(packet, ICMP_UNREACHABLE, PORT_UNREACHABLE)
        elif packet.protocol != PROTO_ICMP:
            self.error(packet, ICMP_UNREACHABLE, PROTOCOL_UNREACHABLE)
        elif len(packet.payload) >= 8 and checksum(packet.payload) == 0 and packet.payload[0] == ICMP_ECHO_REQUEST:
            answer = make_icmp(ICMP_ECHO_REPLY, 0, packet.payload[4:8], packet.payload[8:])
            self.output(make_packet(packet.destination, packet.source, PROTO_ICMP, answer))

    def forward(self, packet):
        way = self.route(packet.destination)
        if way is None:
            self.error(packet, ICMP_UNREACHABLE, NET_UNREACHABLE)
        elif packet.ttl <= 1:
            self.error(packet, ICMP_TIME_EXCEEDED, 0)
        elif len(packet.data) <= way[0].mtu:
            origin = Packet(bytes(packet.data))  # as it came: an error quotes it so
            packet.decrement_ttl()
            self.neighbours.send(*way, bytes(packet.data), origin)
        elif packet.fragment & FLAG_DF:
            self.error(packet, ICMP_UNREACHABLE, NEED_FRAGMENTS, struct.pack("!HH", 0, way[0].mtu))
        else:
            for piece in self.fragments(packet, way[0].mtu):
                self.neighbours.send(*way, piece, packet)

    def fragments(self, packet, mtu):
        """RFC 791, 3.2; options are repeated in every piece."""
        size = (mtu - packet.header_length) // 8 * 8
        ident = struct.unpack_from("!H", packet.data, 4)[0]
        for start in range(0, len(packet.payload), size):
            piece = packet.payload[start:start + size]
            more = FLAG_MF if start + size < len(packet.payload) else packet.fragment & FLAG_MF
            yield make_packet(packet.source, packet.destination, packet.protocol, piece, ident,
                              more | (packet.fragment & OFFSET_MASK) + start // 8, packet.ttl - 1,
                              bytes(packet.data[20:packet.header_length]))

    def error(self, packet, kind, code, rest=b"\0" * 4):
        """An ICMP error about packet, where RFC 1812, 4.3.2.7 allows one."""
        if packet.fragment & OFFSET_MASK:
            return
        if packet.protocol == PROTO_ICMP and packet.payload[:1] and packet.payload[0] not in ICMP_QUERIES:
            return
        way = self.route(packet.source)
        if way is None:
            return
        quoted = bytes(packet.data[:ERROR_SIZE - 28])
        self.output(make_packet(way[0].address, packet.source, PROTO_ICMP, make_icmp(kind, code, rest, quoted)))

    def output(self, data):
        """Send what this router itself made; what cannot be delivered of it is dropped."""
        way = self.route(ipaddress.IPv4Address(data[16:20]))
        if way:
            self.neighbours.send(*way, data, None)

    def run(self):
        poll = select.epoll()
        by_fd = {i.socket.fileno(): i for i in self.interfaces}
        for fd in by_fd:
            poll.register(fd, select.EPOLLIN)
        print("routing between", ", ".join(i.name for i in self.interfaces), flush=True)
        while True:
            for fd, _ in poll.poll(self.neighbours.tick()):
                for frame in by_fd[fd].frames():
                    self.receive(by_fd[fd], frame)


if __name__ == "__main__":
    try:
        with open(os.environ["LAB_FILE"]) as file:
            Router(json.load(file)).run()
    except KeyboardInterrupt:
        pass
    except KeyError:
        sys.exit("LAB_FILE is not set: start this program by labctl run")
