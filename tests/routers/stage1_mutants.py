#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Broken routers for stage1: the reference with one fault each.

    stage1_mutants.py NAME       run that router
    stage1_mutants.py --list     a line each: name, tab, checks it must fail, tab, words of the lesson

A mutant is a function that changes the reference in one place; its decorator says which checks
are about that fault, and what the report must say.
"""
import ipaddress
import json
import os
import select
import struct
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import stage1_reference as ref  # noqa: E402

MUTANTS = {}


def mutant(checks, words):
    def add(function):
        MUTANTS[function.__name__.replace("_", "-")] = (checks, words, function)
        return function
    return add


def around(owner, name):
    """The function below replaces owner.name and gets the old one as its first argument."""
    def replace(function):
        old = getattr(owner, name)
        setattr(owner, name, lambda *args, **kw: function(old, *args, **kw))
        return function
    return replace


def on_arp_reply(change):
    """change(arp) alters the 28 bytes of each ARP reply; True from it: leave the reply out."""
    @around(ref.Interface, "send")
    def send(old, self, mac, ethertype, payload):
        if ethertype == ref.ETH_P_ARP and payload[7] == ref.ARP_REPLY:
            payload = bytearray(payload)
            if change(payload):
                return
        old(self, mac, ethertype, bytes(payload))


def on_forward(change):
    """change(data) alters each packet that is forwarded, after the reference is done with it."""
    @around(ref.Neighbours, "send")
    def send(old, self, interface, address, packet, origin):
        if origin is not None:
            packet = change(bytearray(packet)) or packet
        old(self, interface, address, bytes(packet), origin)


def on_echo(change):
    """change(packet) alters each echo reply; a correct ICMP checksum is put in afterwards."""
    @around(ref.Router, "output")
    def output(old, self, data):
        data = bytearray(data)
        if data[9] == ref.PROTO_ICMP and data[20] == ref.ICMP_ECHO_REPLY:
            data = bytearray(change(data) or data)
            icmp = ref.make_icmp(data[20], data[21], bytes(data[24:28]), bytes(data[28:]))
            data[20:] = icmp
        old(self, bytes(data))


def reseal(data):
    """A correct IP header checksum again."""
    hlen = (data[0] & 15) * 4
    data[10:12] = b"\0\0"
    data[10:12] = struct.pack("!H", ref.checksum(bytes(data[:hlen])))
    return data


# ARP

@mutant("arp.reply", "the router did not answer who-has for its own address")
def arp_reply_none():
    on_arp_reply(lambda arp: True)


@mutant("arp.reply", "the opcode is 1 and should be 2")
def arp_reply_opcode():
    on_arp_reply(lambda arp: arp.__setitem__(7, 1))


@mutant("arp.reply", "the sender's hardware address is")
def arp_reply_sender():
    on_arp_reply(lambda arp: arp.__setitem__(slice(8, 14), b"\x02\x42\x09\x09\x09\x09"))


@mutant("arp.reply", "the target's hardware address is 00:00:00:00:00:00")
def arp_reply_target():
    on_arp_reply(lambda arp: arp.__setitem__(slice(18, 24), bytes(6)))


@mutant("arp.reply", "sender and target as they were in the request")
def arp_reply_not_exchanged():
    on_arp_reply(lambda arp: arp.__setitem__(slice(8, 28), arp[18:28] + arp[8:18]))


@mutant("arp.reply", "gives the asker's own MAC as the sender's")
def arp_reply_macs_not_exchanged():
    def change(arp):
        arp[8:14], arp[18:24] = arp[18:24], arp[8:14]
    on_arp_reply(change)


@mutant("arp.reply", "the destination MAC is ff:ff:ff:ff:ff:ff")
def arp_reply_broadcast():
    @around(ref.Interface, "send")
    def send(old, self, mac, ethertype, payload):
        reply = ethertype == ref.ETH_P_ARP and payload[7] == ref.ARP_REPLY
        old(self, ref.BROADCAST_MAC if reply else mac, ethertype, payload)


@mutant("arp.reply", "by broadcast but not by unicast")
def arp_reply_not_unicast():
    @around(ref.Router, "receive")
    def receive(old, self, interface, frame):
        if frame[12:14] == b"\x08\x06" and frame[21] == ref.ARP_REQUEST and not frame[0] & 1:
            return
        old(self, interface, frame)


def answer_more(wanted):
    """Answers further ARP requests: those for which wanted(interface, operation, target) is true."""
    @around(ref.Neighbours, "receive")
    def receive(old, self, interface, data):
        old(self, interface, data)
        if len(data) < 28 or data[:6] != b"\0\1\x08\0\6\4":
            return
        target = ipaddress.IPv4Address(data[24:28])
        if wanted(interface, data[7], target):
            interface.send(data[8:14], ref.ETH_P_ARP, data[:6] + b"\0\2" + interface.mac + target.packed + data[8:18])


@mutant("arp.reply.other", "for an address that is not its own")
def arp_reply_for_neighbours():
    answer_more(lambda i, op, target: op == 1 and target != i.address and target in i.network)


@mutant("arp.reply.other", "for an address of another network")
def arp_reply_proxy():
    answer_more(lambda i, op, target: op == 1 and target not in i.network)


@mutant("arp.reply.other", "answers an ARP reply")
def arp_reply_to_replies():
    answer_more(lambda i, op, target: op == 2 and target == i.address)


def forgive(offset, good):
    """Takes any value at that place of an ARP packet for the good one."""
    @around(ref.Neighbours, "receive")
    def receive(old, self, interface, data):
        data = bytearray(data)
        data[offset:offset + len(good)] = good
        old(self, interface, bytes(data))


@mutant("arp.malformed", "whose hardware type is not Ethernet")
def arp_malformed_hardware():
    forgive(0, b"\0\1")


@mutant("arp.malformed", "whose protocol type is not IPv4")
def arp_malformed_protocol():
    forgive(2, b"\x08\0")


@mutant("arp.malformed", "whose hardware length is not 6")
def arp_malformed_hlen():
    forgive(4, b"\6")


@mutant("arp.malformed", "whose protocol length is not 4")
def arp_malformed_plen():
    forgive(5, b"\4")


@mutant("arp.malformed", "your program ended (exit code 1) while this was tried: struct.error")
def arp_malformed_crash():
    @around(ref.Neighbours, "receive")
    def receive(old, self, interface, data):
        struct.unpack_from("!HHBBH6s4s6s4s", data)
        old(self, interface, data)


@mutant("arp.resolve", "did not ask who has the address of the next hop")
def arp_resolve_computed():
    @around(ref.Neighbours, "send")
    def send(old, self, interface, address, packet, origin):
        interface.send(b"\x02\x42" + address.packed, ref.ETH_P_IP, packet)


@mutant("arp.resolve", "asks more than once a second")
def arp_resolve_flood():
    @around(ref.Neighbours, "send")
    def send(old, self, interface, address, packet, origin):
        if (interface, address) in self.waiting:
            self.transmit(interface, ref.ARP_REQUEST, ref.BROADCAST_MAC, bytes(6), address)
        old(self, interface, address, packet, origin)


@mutant("arp.resolve", "the sender's protocol address is")
def arp_resolve_wrong_sender():
    @around(ref.Interface, "send")
    def send(old, self, mac, ethertype, payload):
        if ethertype == ref.ETH_P_ARP and payload[7] == ref.ARP_REQUEST:
            payload = payload[:14] + bytes(4) + payload[18:]
        old(self, mac, ethertype, payload)


@mutant("arp.resolve", "the destination MAC is 02:42")
def arp_resolve_unicast():
    @around(ref.Interface, "send")
    def send(old, self, mac, ethertype, payload):
        if ethertype == ref.ETH_P_ARP and payload[7] == ref.ARP_REQUEST:
            mac = b"\x02\x42" + payload[24:28]
        old(self, mac, ethertype, payload)


@mutant("arp.resolve", "the destination MAC is 02:42")
def arp_resolve_ignores_reply():
    @around(ref.Neighbours, "receive")
    def receive(old, self, interface, data):
        if len(data) >= 28:
            data = data[:8] + b"\x02\x42" + data[14:18] + data[14:]
        old(self, interface, data)


@mutant("arp.resolve arp.queue", "while the router waits for an ARP reply it does nothing else")
def arp_resolve_waits():
    @around(ref.Neighbours, "send")
    def send(old, self, interface, address, packet, origin):
        old(self, interface, address, packet, origin)
        until = time.monotonic() + 0.5
        while (interface, address) in self.waiting and time.monotonic() < until:
            select.select([interface.socket], [], [], 0.05)
            for frame in interface.frames():
                if frame[12:14] == b"\x08\x06":
                    self.receive(interface, frame[14:])
        self.waiting.pop((interface, address), None)


@mutant("arp.queue", "must keep at least the latest one")
def arp_queue_none():
    @around(ref.Neighbours, "tick")
    def tick(old, self):
        result = old(self)
        for entry in self.waiting.values():
            entry[0].clear()
        return result


@mutant("arp.queue", "must keep at least the latest one")
def arp_queue_oldest():
    ref.ARP_QUEUE = 1


# Ethernet

@mutant("eth.mac", "which is not the MAC of that interface")
def eth_mac_own():
    @around(ref.Interface, "__init__")
    def init(old, self, description):
        old(self, description)
        self.mac = b"\x02\xaa" + self.mac[2:]


@mutant("eth.mac", "which is not the MAC of that interface")
def eth_mac_one_for_all():
    @around(ref.Router, "__init__")
    def init(old, self, lab):
        old(self, lab)
        for interface in self.interfaces:
            interface.mac = self.interfaces[0].mac


@mutant("eth.rewrite", "the source MAC is")
def eth_rewrite_source():
    @around(ref.Interface, "send")
    def send(old, self, mac, ethertype, payload):
        own = self.mac
        if ethertype == ref.ETH_P_IP:
            self.mac = b"\x02\x42" + payload[12:16]
        old(self, mac, ethertype, payload)
        self.mac = own


@mutant("eth.rewrite", "the destination MAC is ff:ff:ff:ff:ff:ff")
def eth_rewrite_broadcast():
    asked = ref.Neighbours.send

    def send(self, interface, address, packet, origin):
        if (interface, address) in self.known:
            self.known[interface, address] = ref.BROADCAST_MAC, self.known[interface, address][1]
        asked(self, interface, address, packet, origin)
    ref.Neighbours.send = send


@mutant("eth.other", "addressed to another station's MAC")
def eth_other_all():
    @around(ref.Interface, "frames")
    def frames(old, self):
        for _ in range(64):
            try:
                frame, address = self.socket.recvfrom(65535)
            except OSError:
                return
            if address[2] != ref.socket.PACKET_OUTGOING and len(frame) >= 14:
                yield frame if frame[0] & 1 else self.mac + frame[6:]


# IPv4

@mutant("arp.resolve", "did not ask who has the address of the next hop")
def ipv4_forward_not():
    ref.Router.forward = lambda self, packet: None


@mutant("ipv4.forward", "did not deliver the datagram")
def ipv4_forward_one_way():
    @around(ref.Router, "forward")
    def forward(old, self, packet):
        if packet.destination in self.interfaces[1].network:
            old(self, packet)


@mutant("ipv4.forward", "did not deliver the datagram")
def ipv4_forward_udp_only():
    @around(ref.Router, "forward")
    def forward(old, self, packet):
        if packet.protocol == ref.PROTO_UDP:
            old(self, packet)


@mutant("ipv4.forward ipv4.preserve", "the payload is")
def ipv4_forward_damaged():
    on_forward(lambda data: data[:-1] + bytes([data[-1] ^ 1]))


@mutant("ipv4.forward eth.other", "the router delivers a datagram")
def ipv4_forward_hears_itself():
    # A packet socket shows what others send on its interface: another socket of the same program, too.
    @around(ref.Interface, "__init__")
    def init(old, self, description):
        old(self, description)
        self.sender = ref.socket.socket(ref.socket.AF_PACKET, ref.socket.SOCK_RAW, 0)
        self.sender.bind((self.name, 0))

    @around(ref.Interface, "send")
    def send(old, self, mac, ethertype, payload):
        self.sender.send(mac + self.mac + struct.pack("!H", ethertype) + payload)

    @around(ref.Interface, "frames")
    def frames(old, self):
        for _ in range(64):
            try:
                frame = self.socket.recv(65535)
            except OSError:
                return
            if frame[12:14] == b"\x08\0":
                frame = self.mac + frame[6:]
            if len(frame) >= 14 and (frame[:6] == self.mac or frame[0] & 1):
                yield frame


@mutant("ipv4.forward", "the payload is")
def ipv4_forward_cut():
    on_forward(lambda data: reseal(data[:2] + struct.pack("!H", 1000) + data[4:1000]) if len(data) > 1000 else data)


@mutant("ipv4.forward", "delivers a datagram 2 times")
def ipv4_forward_twice():
    @around(ref.Router, "forward")
    def forward(old, self, packet):
        again = ref.Packet(bytes(packet.data))
        old(self, packet)
        old(self, again)


def set_ttl(value):
    def change(data):
        data[8] = value(data[8])
        return reseal(data)
    return change


@mutant("ipv4.ttl", "the TTL is 64 and should be 63")
def ipv4_ttl_kept():
    on_forward(set_ttl(lambda ttl: ttl + 1))


@mutant("ipv4.ttl", "the TTL is 62 and should be 63")
def ipv4_ttl_two():
    on_forward(set_ttl(lambda ttl: max(0, ttl - 1)))


@mutant("ipv4.ttl", "the TTL is 63 and should be 254")
def ipv4_ttl_fresh():
    on_forward(set_ttl(lambda ttl: min(ttl, 63)))


@mutant("ipv4.checksum", "the IP header checksum is")
def ipv4_checksum_kept():
    def change(data):
        data[8] += 1
        reseal(data)
        data[8] -= 1
        return data
    on_forward(change)


@mutant("ipv4.checksum", "the IP header checksum is 0x0000")
def ipv4_checksum_zero():
    on_forward(lambda data: data[:10] + b"\0\0" + data[12:])


@mutant("ipv4.checksum", "the IP header checksum is 0xffff and should be 0x0000")
def ipv4_checksum_rfc1141():
    on_forward(lambda data: data[:10] + b"\xff\xff" + data[12:] if data[10:12] == b"\0\0" else data)


@mutant("ipv4.checksum", "the IP header checksum is")
def ipv4_checksum_no_carry():
    def change(data):
        value = struct.unpack_from("!H", data, 10)[0]
        if value and value < 0x100:
            struct.pack_into("!H", data, 10, value - 1)
        return data
    on_forward(change)


@mutant("ipv4.preserve", "the TOS byte is 0x00")
def ipv4_preserve_tos():
    on_forward(lambda data: reseal(data[:1] + b"\0" + data[2:]))


@mutant("ipv4.preserve", "the identification is 0x0000")
def ipv4_preserve_id():
    on_forward(lambda data: reseal(data[:4] + b"\0\0" + data[6:]))


@mutant("ipv4.preserve", "the flags field is none and should be DF set")
def ipv4_preserve_df():
    on_forward(lambda data: reseal(data[:6] + bytes([data[6] & 0xBF]) + data[7:]))


@mutant("ipv4.preserve", "the fragment offset is 0")
def ipv4_preserve_offset():
    on_forward(lambda data: reseal(data[:6] + bytes([data[6] & 0xE0]) + b"\0" + data[8:]))


@mutant("ipv4.preserve", "the header length (IHL) is 5 and should be 7")
def ipv4_preserve_options():
    def change(data):
        data = data[:20] + data[(data[0] & 15) * 4:]
        data[0] = 0x45
        struct.pack_into("!H", data, 2, len(data))
        return reseal(data)
    on_forward(change)


@mutant("ipv4.preserve", "the total length is")
def ipv4_preserve_padding():
    @around(ref.Packet, "__init__")
    def init(old, self, data):
        old(self, data)
        if len(self.data) < len(data):
            padded = bytearray(data)
            struct.pack_into("!H", padded, 2, len(padded))
            old(self, bytes(reseal(padded)))


@mutant("ipv4.preserve", "after that your program answers nothing any more: does it wait")
def ipv4_preserve_hangs():
    @around(ref.Router, "forward")
    def forward(old, self, packet):
        while packet.header_length > 20:
            time.sleep(1)
        old(self, packet)


@mutant("ipv4.ttl.expired", "whose TTL is")
def ipv4_ttl_expired_forwarded():
    @around(ref.Router, "forward")
    def forward(old, self, packet):
        if packet.ttl > 1:
            old(self, packet)
            return
        packet.data[8] = 2
        old(self, ref.Packet(bytes(reseal(packet.data))))


@mutant("ipv4.ttl.expired", "whose TTL is 0")
def ipv4_ttl_expired_zero():
    @around(ref.Router, "forward")
    def forward(old, self, packet):
        if packet.ttl:
            old(self, packet)
            return
        packet.data[8] = 2
        old(self, ref.Packet(bytes(reseal(packet.data))))


def repair(wrong, mend):
    """Accepts what the reference drops: mend(data) for packets of which wrong(data) is true."""
    @around(ref.Packet, "__init__")
    def init(old, self, data):
        if len(data) >= 20 and wrong(data):
            data = bytes(reseal(bytearray(mend(data))))
        old(self, data)


@mutant("ipv4.invalid", "whose IP version is not 4")
def ipv4_invalid_version():
    repair(lambda d: d[0] >> 4 != 4, lambda d: bytes([0x40 | d[0] & 15]) + d[1:])


@mutant("ipv4.invalid", "whose header length is less than 20 bytes")
def ipv4_invalid_ihl():
    repair(lambda d: d[0] & 15 < 5, lambda d: b"\x45" + d[1:])


@mutant("ipv4.invalid", "whose header is longer than its total length")
def ipv4_invalid_long_header():
    repair(lambda d: (d[0] & 15) * 4 > struct.unpack_from("!H", d, 2)[0] > 20, lambda d: b"\x45" + d[1:])


@mutant("ipv4.invalid", "whose total length is less than its header")
def ipv4_invalid_short():
    repair(lambda d: struct.unpack_from("!H", d, 2)[0] < 20, lambda d: d[:2] + struct.pack("!H", len(d)) + d[4:])


@mutant("ipv4.invalid", "its total length is more than arrived")
def ipv4_invalid_cut():
    repair(lambda d: struct.unpack_from("!H", d, 2)[0] > len(d), lambda d: d[:2] + struct.pack("!H", len(d)) + d[4:])


@mutant("ipv4.invalid", "whose header checksum is wrong")
def ipv4_invalid_checksum():
    repair(lambda d: d[0] == 0x45 and 20 <= struct.unpack_from("!H", d, 2)[0] <= len(d), lambda d: d)


@mutant("ipv4.invalid", "your program ended (exit code 1)")
def ipv4_invalid_crash():
    @around(ref.Packet, "__init__")
    def init(old, self, data):
        try:
            old(self, data)
        except ValueError as error:
            sys.exit(str(error))


@mutant("ipv4.martian", "the router forwards a datagram from")
def ipv4_martian_forwarded():
    ref.MARTIANS = []
    ref.Router.is_broadcast = lambda self, address: False


@mutant("ipv4.martian", "from a link-local address")
def ipv4_martian_link_local():
    ref.MARTIANS = [net for net in ref.MARTIANS if str(net) != "169.254.0.0/16"]


# ICMP

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


@mutant("icmp.echo.fields icmp.checksum", "after this your program ended (exit code 1): IndexError: too much")
def icmp_echo_ends():
    @around(ref.Router, "local")
    def local(old, self, packet):
        old(self, packet)
        if len(packet.data) > 1000:
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


# All three at once: what the issue calls half-right.
@mutant("ipv4.checksum icmp.echo.fields", "the identifier is 0x0000")
def half_right():
    ipv4_checksum_kept()
    icmp_echo_identifier()


def main():
    if sys.argv[1:] == ["--list"]:
        for name, (checks, words, _) in MUTANTS.items():
            print(name, checks, words, sep="\t")
        return
    if len(sys.argv) != 2 or sys.argv[1] not in MUTANTS:
        sys.exit("usage: stage1_mutants.py NAME | --list")
    MUTANTS[sys.argv[1]][2]()
    with open(os.environ["LAB_FILE"]) as file:
        ref.Router(json.load(file)).run()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
