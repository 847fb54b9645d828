# SPDX-License-Identifier: MIT
"""Packets as bytes: what is read from the wire, and what is written to it.

Addresses are numbers (1.1.1.2 is 0x01010102), MACs are six bytes.
"""
import struct

ETH_IP, ETH_ARP = 0x0800, 0x0806
BROADCAST_MAC = b"\xff" * 6

ARP_REQUEST, ARP_REPLY = 1, 2

ICMP, TCP, UDP = 1, 6, 17
ECHO_REPLY, UNREACHABLE, ECHO_REQUEST, TIME_EXCEEDED = 0, 3, 8, 11
NET_UNREACHABLE, HOST_UNREACHABLE, PROTOCOL_UNREACHABLE, PORT_UNREACHABLE, FRAGMENTATION_NEEDED = range(5)

DONT_FRAGMENT, MORE_FRAGMENTS, OFFSET = 0x4000, 0x2000, 0x1FFF  # in the flags and offset field

LIMITED_BROADCAST = 0xFFFFFFFF


def number(text):
    """An address or the first address of a subnet: "1.1.1.2" or "1.1.1.0/24"."""
    return int.from_bytes(bytes(int(part) for part in text.split("/")[0].split(".")), "big")


def mask(length):
    """The netmask of a prefix length."""
    return 0xFFFFFFFF << (32 - length) & 0xFFFFFFFF


def checksum(data):
    """The Internet checksum (RFC 1071); zero over data that has a correct one in it."""
    if len(data) % 2:
        data = bytes(data) + b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def is_host(address):
    """Can this be one host's address, on any network? (RFC 1812, 5.3.7; RFC 3927 for 169.254/16)"""
    first = address >> 24
    return 0 < first < 224 and first != 127 and address >> 16 != 0xA9FE


class Packet:
    """An IPv4 packet that is well-formed (RFC 1812, 5.2.2); ValueError for everything else."""

    def __init__(self, data, interface):
        if len(data) < 20:
            raise ValueError("shorter than a header")
        (first, _, length, self.ident, self.fragment, self.ttl, self.protocol, _, self.source,
         self.destination) = struct.unpack_from("!BBHHHBBHII", data)
        self.header_length = (first & 0xF) * 4
        if first >> 4 != 4:
            raise ValueError("not version 4")
        if not 20 <= self.header_length <= length <= len(data):
            raise ValueError("lengths that contradict each other")
        if checksum(data[:self.header_length]):
            raise ValueError("a wrong header checksum")
        self.data = bytes(data[:length])  # a short frame is padded: what follows is not the packet's
        self.interface = interface  # where it came in

    @property
    def options(self):
        return self.data[20:self.header_length]

    @property
    def payload(self):
        return self.data[self.header_length:]

    def forwarded(self):
        """Its bytes with one hop less to go, and the checksum brought along (RFC 1624, eqn. 3)."""
        data = bytearray(self.data)
        before, = struct.unpack_from("!H", data, 8)
        data[8] -= 1
        after, = struct.unpack_from("!H", data, 8)
        total = (~struct.unpack_from("!H", data, 10)[0] & 0xFFFF) + (~before & 0xFFFF) + after
        total = (total & 0xFFFF) + (total >> 16)
        total = (total & 0xFFFF) + (total >> 16)
        struct.pack_into("!H", data, 10, ~total & 0xFFFF)
        return bytes(data)


def make_packet(source, destination, protocol, payload, ttl=64, tos=0, ident=0, fragment=0, options=b""):
    size = 20 + len(options)
    header = struct.pack("!BBHHHBBHII", 0x40 | size // 4, tos, size + len(payload), ident, fragment, ttl,
                         protocol, 0, source, destination) + options
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def make_icmp(kind, code, rest, body):
    """An ICMP message (RFC 792); rest are the four bytes behind its checksum."""
    message = struct.pack("!BBH4s", kind, code, 0, rest) + body
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]
