# SPDX-License-Identifier: MIT
"""Broken routers for stage1: echo."""
import select
import struct

import stage1_reference as ref
from lib.mutants import around, mutant
from stage1.change import on_echo, reseal
from stage1.ipv4 import ipv4_checksum_kept, set_ttl


@mutant("icmp.echo", "did not answer an echo request to its own address")
def icmp_echo_none():
    ref.Router.local = lambda self, packet: None


@mutant("icmp.echo", "to its address on another network")
def icmp_echo_near_only():
    @around(ref.Router, "local")
    def local(old, self, packet):
        near = self.route(packet.source)
        if near and near[0].address == packet.destination:
            old(self, packet)


@mutant("icmp.echo", "an echo request with TTL 1")
def icmp_echo_ttl():
    @around(ref.Router, "local")
    def local(old, self, packet):
        if packet.ttl > 1:
            old(self, packet)


@mutant("icmp.echo", "answers one echo request 2 times")
def icmp_echo_twice():
    @around(ref.Router, "local")
    def local(old, self, packet):
        old(self, packet)
        old(self, packet)


@mutant("icmp.echo", "the source address is")
def icmp_echo_source():
    def change(data):
        data[15] ^= 2
        return reseal(data)
    on_echo(change)


def echo_requests(change):
    """change(packet) is called before each packet to the router itself; True from it: it is lost."""
    @around(ref.Router, "local")
    def local(old, self, packet):
        if not change(packet):
            old(self, packet)


@mutant("icmp.echo", "with IP options")
def icmp_echo_options():
    echo_requests(lambda packet: packet.header_length > 20)


@mutant("icmp.echo", "of several echo requests right after each other")
def icmp_echo_one_at_a_time():
    remember_sockets()
    echo_requests(lambda packet: select.select(SOCKETS, [], [], 0)[0])


SOCKETS = []


def remember_sockets():
    @around(ref.Interface, "__init__")
    def init(old, self, description):
        old(self, description)
        SOCKETS.append(self.socket)


@mutant("icmp.echo.fields", "the TTL of the echo reply depends on that of the request")
def icmp_echo_copies_ttl():
    ttl = [0]
    echo_requests(lambda packet: ttl.__setitem__(0, packet.ttl))

    def change(data):
        data[8] = ttl[0]
        return reseal(data)
    on_echo(change)


@mutant("icmp.echo.fields", "the TTL of the echo reply is 8")
def icmp_echo_low_ttl():
    on_echo(set_ttl(lambda ttl: 8))


@mutant("icmp.echo.fields", "the sequence number is 1")
def icmp_echo_sequence_net2():
    on_echo(lambda data: data[:26] + b"\0\1" + data[28:] if data[16] == 2 else data)


@mutant("icmp.checksum", "the ICMP checksum is 0x0000")
def icmp_checksum_net2():
    @around(ref.Router, "output")
    def output(old, self, data):
        old(self, data[:22] + b"\0\0" + data[24:] if data[16] == 2 else data)


@mutant("icmp.echo.fields", "the identifier is 0x0000")
def icmp_echo_identifier():
    on_echo(lambda data: data[:24] + b"\0\0" + data[26:])


@mutant("icmp.echo.fields", "the sequence number is 1")
def icmp_echo_sequence():
    on_echo(lambda data: data[:26] + b"\0\1" + data[28:])


def echo_data(data, body):
    return reseal(data[:2] + struct.pack("!H", 28 + len(body)) + data[4:28] + body)


@mutant("icmp.echo.fields", "the payload is 32 bytes")
def icmp_echo_cut():
    on_echo(lambda data: echo_data(data, data[28:60]))


@mutant("icmp.echo.fields", "the payload is 58 bytes")
def icmp_echo_even():
    on_echo(lambda data: echo_data(data, data[28:] + b"\0") if len(data) > 29 and len(data) % 2 else data)


@mutant("icmp.echo.fields", "after this your program ended (exit code 1): IndexError: too much")
def icmp_echo_ends():
    @around(ref.Router, "local")
    def local(old, self, packet):
        old(self, packet)
        if packet.ttl > 64 and packet.data[12] == 2:
            raise IndexError("too much")


@mutant("icmp.checksum", "the ICMP checksum is 0x0000")
def icmp_checksum_none():
    @around(ref, "make_icmp")
    def make_icmp(old, *args):
        message = old(*args)
        return message[:2] + b"\0\0" + message[4:]


@mutant("icmp.checksum", "the ICMP checksum is")
def icmp_checksum_odd():
    @around(ref, "make_icmp")
    def make_icmp(old, kind, code, rest, body):
        message = old(kind, code, rest, body)
        if len(body) % 2 == 0:
            return message
        return message[:2] + old(kind, code, rest, body[:-1] + b"\0" + body[-1:])[2:4] + message[4:]


@mutant("icmp.checksum", "the IP header checksum is 0x0000")
def icmp_checksum_ip_header():
    @around(ref, "make_packet")
    def make_packet(old, *args, **kw):
        data = old(*args, **kw)
        return data[:10] + b"\0\0" + data[12:]


@mutant("icmp.echo.fields", "the payload is")
def icmp_echo_large_odd():
    on_echo(lambda data: echo_data(data, data[28:-1]) if len(data) > 228 and len(data) % 2 else data)


def fold_once(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


@mutant("icmp.checksum", "the ICMP checksum is 0xffff and should be 0xfffe")
def icmp_checksum_folds_once():
    @around(ref, "make_icmp")
    def make_icmp(old, *args):
        message = old(*args)
        return message[:2] + struct.pack("!H", fold_once(message[:2] + b"\0\0" + message[4:])) + message[4:]


def fragment_word(high, low=0):
    return lambda data: reseal(data[:6] + bytes([high, low]) + data[8:])


@mutant("icmp.echo icmp.echo.fields", "the echo reply is wrong: the flags field is MF set and should be none")
def icmp_echo_more_fragments():
    on_echo(fragment_word(0x20))


@mutant("icmp.echo icmp.echo.fields eth.trailer", "the fragment offset is 5 and should be 0")
def icmp_echo_offset():
    @around(ref.Router, "output")
    def output(old, self, data):
        large = data[9] == ref.PROTO_ICMP and len(data) == 84
        old(self, bytes(fragment_word(0, 5)(bytearray(data))) if large else data)


def answer_as(wanted):
    """Messages of which wanted(packet) is true are taken for echo requests."""
    @around(ref.Router, "local")
    def local(old, self, packet):
        body = packet.payload
        if packet.protocol != ref.PROTO_ICMP or not wanted(packet) or ref.checksum(body):
            old(self, packet)
            return
        reply = ref.make_icmp(ref.ICMP_ECHO_REPLY, 0, body[4:8], body[8:])
        self.output(ref.make_packet(packet.destination, packet.source, ref.PROTO_ICMP, reply))


@mutant("icmp.echo", "answers an ICMP message of type 0 with an echo reply")
def icmp_echo_answers_replies():
    answer_as(lambda packet: packet.payload[:1] == b"\0")


@mutant("icmp.echo", "answers an ICMP message of type 42 with an echo reply")
def icmp_echo_answers_unknown():
    answer_as(lambda packet: packet.payload[:1] == b"\x2a")


@mutant("icmp.echo", "answers the first fragment of an echo request")
def icmp_echo_answers_fragments():
    answer_as(lambda packet: packet.fragment & ref.FLAG_MF)


# All three at once: what the issue calls half-right.
@mutant("ipv4.checksum icmp.echo.fields", "the identifier is 0x0000")
def half_right():
    ipv4_checksum_kept()
    icmp_echo_identifier()


@mutant("icmp.echo", "the router loses packets: of")
def icmp_echo_not_the_first_nine():
    @around(ref.Router, "local")
    def local(old, self, packet):
        if not b"\0\1" <= packet.payload[6:8] <= b"\0\x09":
            old(self, packet)
