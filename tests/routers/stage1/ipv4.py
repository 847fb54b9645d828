# SPDX-License-Identifier: MIT
"""Broken routers for stage1: forwarding."""
import ipaddress
import select
import struct
import sys
import time

import stage1_reference as ref
from lib.mutants import around, mutant
from stage1.change import on_forward, reseal, towards_net1


@mutant("arp.resolve", "did not ask who has the address of the next hop")
def ipv4_forward_not():
    ref.Router.forward = lambda self, packet: None


@mutant("arp.resolve", "did not ask who has the address of the next hop")
def ipv4_forward_one_way():
    @around(ref.Router, "forward")
    def forward(old, self, packet):
        if packet.destination in self.interfaces[1].network:
            old(self, packet)


@mutant("ipv4.forward", "did not deliver the datagram")
def ipv4_forward_no_udp():
    @around(ref.Router, "forward")
    def forward(old, self, packet):
        if packet.protocol != ref.PROTO_UDP:
            old(self, packet)


@mutant("ipv4.forward", "did not deliver the datagram")
def ipv4_forward_udp_only():
    @around(ref.Router, "forward")
    def forward(old, self, packet):
        if packet.protocol == ref.PROTO_UDP:
            old(self, packet)


@mutant("ipv4.forward ipv4.preserve", "byte 31 of the payload is 0x")
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


@mutant("ipv4.forward ipv4.preserve", "the payload is")
def ipv4_forward_cut():
    on_forward(lambda data: reseal(data[:2] + struct.pack("!H", 1000) + data[4:1000]) if len(data) > 1000 else data)


@mutant("ipv4.forward", "delivers a datagram 2 times")
def ipv4_forward_twice():
    @around(ref.Router, "forward")
    def forward(old, self, packet):
        again = ref.Packet(bytes(packet.data))
        old(self, packet)
        old(self, again)


def every(number, treat):
    """treat(send) for every so manieth of the packets that ipv4.forward sends, which are among the first."""
    count = [0]

    @around(ref.Neighbours, "send")
    def send(old, self, interface, address, packet, origin):
        count[0] += origin is not None
        if origin is not None and 60 < count[0] < 150 and count[0] % number == 0:
            treat(lambda: old(self, interface, address, packet, origin))
        else:
            old(self, interface, address, packet, origin)


@mutant("ipv4.forward", "datagrams to 2.2.2.2, sent 8 at a time, the router did not deliver")
def ipv4_forward_loses_second():
    every(2, lambda send: None)


@mutant("ipv4.forward", "the router did not deliver")
def ipv4_forward_loses_hundredth():
    every(100, lambda send: None)


@mutant("ipv4.forward", "delivers a datagram 2 times: datagram")
def ipv4_forward_doubles_hundredth():
    every(100, lambda send: (send(), send()))


def swap_when(wanted):
    """Where wanted(packet, count) is true, the packet behind goes first, if it is there already."""
    held, count = [], [0]

    @around(ref.Router, "receive")
    def receive(old, self, interface, frame):
        count[0] += 1
        more = select.select([interface.socket], [], [], 0)[0]
        if frame[12:14] == b"\x08\0" and more and not held and wanted(frame[14:], count[0]):
            held.append((interface, frame))
            return
        old(self, interface, frame)
        while held:
            old(self, *held.pop())


@mutant("ipv4.forward", "the router changes the order of")
def ipv4_forward_swaps():
    swap_when(lambda packet, count: count % 50 < 10 and packet[0] == 0x45)


@mutant("ipv4.forward", "the router changes the order of a datagram's fragments")
def ipv4_forward_swaps_fragments():
    swap_when(lambda packet, count: packet[6] & 0x20)


def lose(wanted):
    @around(ref.Router, "forward")
    def forward(old, self, packet):
        if not wanted(packet):
            old(self, packet)


@mutant("ipv4.forward ipv4.preserve eth.trailer", "bytes and less")
def ipv4_forward_not_small():
    lose(lambda packet: 20 < len(packet.data) < 48)


@mutant("ipv4.forward", "the router did not deliver the datagram")
def ipv4_forward_not_the_largest():
    @around(ref.Router, "forward")
    def forward(old, self, packet):
        if len(packet.data) < 1500 or not packet.fragment & ref.FLAG_DF:
            old(self, packet)


@mutant("ipv4.forward", "bytes, and no others")
def ipv4_forward_not_middle():
    lose(lambda packet: 700 < len(packet.data) < 800)


@mutant("ipv4.forward", ": the fragments")
def ipv4_forward_not_fragments():
    lose(lambda packet: packet.fragment & ref.OFFSET_MASK and len(packet.data) not in (20, 52))


@mutant("ipv4.forward ipv4.preserve", "the payload is")
def ipv4_forward_damages_one_length():
    on_forward(lambda data: data[:-1] + bytes([data[-1] ^ 1]) if 900 < len(data) < 1000 else None)


@mutant("ipv4.unknown", "the router asks who has that address")
def ipv4_unknown_to_last():
    @around(ref.Router, "route")
    def route(old, self, destination):
        return old(self, destination) or (self.interfaces[-1], destination)


@mutant("ipv4.unknown", "the router asks who has that address")
def ipv4_unknown_class_a():
    @around(ref.Router, "route")
    def route(old, self, destination):
        for network, interface, _ in self.routes:
            if destination in network.supernet(new_prefix=8):
                return interface, destination
        return None


@mutant("ipv4.unknown", "the router forwards a datagram to an address that is in none of its networks")
def ipv4_unknown_to_somebody():
    @around(ref.Router, "route")
    def route(old, self, destination):
        return old(self, destination) or (self.interfaces[-1], ipaddress.IPv4Address("2.2.2.2"))


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


@mutant("ipv4.ttl", "the TTL is")
def ipv4_ttl_kept_back():
    on_forward(lambda data: set_ttl(lambda ttl: ttl + 1)(data) if towards_net1(data) else None)


@mutant("ipv4.ttl", "(TCP")
def ipv4_ttl_kept_tcp():
    on_forward(lambda data: set_ttl(lambda ttl: ttl + 1)(data) if data[9] == 6 else None)


@mutant("ipv4.ttl", "a datagram with TTL 2")
def ipv4_ttl_after_decrement():
    lose(lambda packet: packet.ttl == 2)


@mutant("ipv4.checksum", "with its two bytes in the wrong order")
def ipv4_checksum_swapped():
    on_forward(lambda data: data[:10] + data[11:9:-1] + data[12:])


@mutant("ipv4.checksum", "the checksum that the packet came with")
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


def wrong_checksum_over(part):
    """part(data): the bytes that the checksum is computed over."""
    def change(data):
        data[10:12] = b"\0\0"
        data[10:12] = struct.pack("!H", ref.checksum(bytes(part(data))))
        return data
    return change


@mutant("ipv4.checksum", "of them IP options")
def ipv4_checksum_without_options():
    on_forward(wrong_checksum_over(lambda data: data[:20]))


@mutant("ipv4.checksum", "the IP header checksum is")
def ipv4_checksum_with_payload():
    on_forward(wrong_checksum_over(lambda data: data))


@mutant("ipv4.checksum", "the IP header checksum is")
def ipv4_checksum_large():
    on_forward(lambda data: wrong_checksum_over(lambda d: d)(data) if len(data) > 1000 else None)


@mutant("ipv4.checksum", "the IP header checksum is")
def ipv4_checksum_back():
    on_forward(lambda data: data[:10] + b"\0\0" + data[12:] if towards_net1(data) else None)


@mutant("ipv4.preserve", "the TOS byte is 0x00")
def ipv4_preserve_tos():
    on_forward(lambda data: reseal(data[:1] + b"\0" + data[2:]))


@mutant("ipv4.preserve", "the TOS byte is 0x00")
def ipv4_preserve_tos_back():
    on_forward(lambda data: reseal(data[:1] + b"\0" + data[2:]) if towards_net1(data) else None)


@mutant("ipv4.preserve", "the IP options field")
def ipv4_preserve_options_order():
    on_forward(lambda data: reseal(data[:20] + data[24:60] + data[20:24] + data[60:]) if data[0] == 0x4F else None)


@mutant("ipv4.preserve", "did not deliver")
def ipv4_preserve_not_empty():
    lose(lambda packet: len(packet.data) == 20)


@mutant("ipv4.preserve", "the identification is 0x0000")
def ipv4_preserve_id():
    on_forward(lambda data: reseal(data[:4] + b"\0\0" + data[6:]))


@mutant("ipv4.preserve", "the flags field is none and should be DF set")
def ipv4_preserve_df():
    on_forward(lambda data: reseal(data[:6] + bytes([data[6] & 0xBF]) + data[7:]))


@mutant("ipv4.preserve", "the fragment offset is 0")
def ipv4_preserve_offset():
    on_forward(lambda data: reseal(data[:6] + bytes([data[6] & 0xE0]) + b"\0" + data[8:]))


@mutant("ipv4.preserve", "the header length (IHL) is 5 and should be")
def ipv4_preserve_options():
    def change(data):
        data = data[:20] + data[(data[0] & 15) * 4:]
        data[0] = 0x45
        struct.pack_into("!H", data, 2, len(data))
        return reseal(data)
    on_forward(change)


@mutant("ipv4.preserve icmp.echo.fields eth.trailer", "the total length is")
def ipv4_preserve_padding():
    @around(ref.Packet, "__init__")
    def init(old, self, data):
        old(self, data)
        if len(self.data) < len(data):
            padded = bytearray(data)
            struct.pack_into("!H", padded, 2, len(padded))
            old(self, bytes(reseal(padded)))


@mutant("ipv4.preserve ipv4.checksum", "stopped answering: does it wait")
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


@mutant("ipv4.ttl.expired", "whose TTL is 1")
def ipv4_ttl_expired_back():
    @around(ref.Router, "forward")
    def forward(old, self, packet):
        if packet.ttl == 1 and towards_net1(packet.data):
            packet.data[8] = 2
            packet = ref.Packet(bytes(reseal(packet.data)))
        old(self, packet)


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


@mutant("ipv4.invalid", "whose header checksum is wrong")
def ipv4_invalid_checksum_back():
    repair(lambda d: d[0] == 0x45 and d[9] == 17 and d[16] == 1 and 20 <= d[2] << 8 | d[3] <= len(d), lambda d: d)


@mutant("ipv4.invalid", "answers an echo request whose IP header checksum is wrong")
def ipv4_invalid_echo():
    repair(lambda d: d[0] == 0x45 and d[9] == 1 and 20 <= struct.unpack_from("!H", d, 2)[0] <= len(d), lambda d: d)


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


@mutant("ipv4.martian", "the router forwards a datagram from 127.0.0.1")
def ipv4_martian_back():
    @around(ref.Router, "packet")
    def packet(old, self, packet):
        if ref.is_martian(packet.source) and towards_net1(packet.data):
            self.forward(packet)
        else:
            old(self, packet)


def source_is_fine(wanted):
    """Datagrams of which wanted(self, packet) is true are forwarded, wherever they are from."""
    @around(ref.Router, "packet")
    def packet(old, self, packet):
        (self.forward if wanted(self, packet) else lambda p: old(self, p))(packet)


@mutant("ipv4.martian", "from a multicast address")
def ipv4_martian_multicast():
    source_is_fine(lambda self, packet: 224 <= packet.data[12] < 240)


@mutant("ipv4.martian", "from a reserved address")
def ipv4_martian_reserved():
    source_is_fine(lambda self, packet: 240 <= packet.data[12] and packet.data[12:16] != b"\xff" * 4)


@mutant("ipv4.martian", "from the broadcast address of one of its networks")
def ipv4_martian_broadcast():
    source_is_fine(lambda self, packet: packet.source == self.interfaces[0].network.broadcast_address)


@mutant("ipv4.martian", "that came with its own address as source")
def ipv4_martian_own():
    source_is_fine(lambda self, packet: packet.source == self.interfaces[1].address)


@mutant("ipv4.invalid", "with IP options whose header checksum is wrong")
def ipv4_invalid_checksum_options():
    repair(lambda d: d[0] in range(0x46, 0x4F) and d[0] % 16 * 4 <= d[2] << 8 | d[3] <= len(d), lambda d: d)


@mutant("ipv4.checksum", "the IP header checksum is 0xffff and should be 0xfffe")
def ipv4_checksum_folds_once():
    def change(data):
        data[10:12] = b"\0\0"
        total = sum(struct.unpack(f"!{(data[0] & 15) * 2}H", data[:(data[0] & 15) * 4]))
        data[10:12] = struct.pack("!H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF)
        return data
    on_forward(change)


@mutant("ipv4.forward ipv4.preserve", "those with identification 0")
def ipv4_forward_not_id_0():
    lose(lambda packet: packet.data[4:6] == b"\0\0")


@mutant("ipv4.forward", "those of protocol 47 (GRE)")
def ipv4_forward_not_gre():
    lose(lambda packet: packet.protocol == 47)


@mutant("ipv4.forward", "those of other protocols than ICMP, TCP and UDP")
def ipv4_forward_three_protocols():
    lose(lambda packet: packet.protocol not in (1, 6, 17))


@mutant("ipv4.checksum ipv4.preserve", "those with IP options")
def ipv4_preserve_drops_options():
    lose(lambda packet: packet.header_length > 20)


def after_thousand(treat):
    """treat() in place of each forwarded packet behind the thousandth."""
    count = [0]

    @around(ref.Router, "forward")
    def forward(old, self, packet):
        count[0] += 1
        if count[0] <= 1000 or treat():
            old(self, packet)


@mutant("robust.thousand", "the router did not deliver")
def robust_thousand_stops():
    after_thousand(lambda: False)


@mutant("robust.thousand", "your program ended (exit code 1) while this was tried: IndexError")
def robust_thousand_ends():
    table = []
    after_thousand(lambda: table[0])


@mutant("robust.thousand", "the router did not deliver")
def robust_thousand_one_in_hundred():
    count = [0]

    def treat():
        count[0] += 1
        return count[0] % 30
    after_thousand(treat)


def forward_unless(unwanted):
    @around(ref.Router, "forward")
    def forward(old, self, packet):
        if not unwanted(packet):
            old(self, packet)


@mutant("ipv4.forward", "the router did not deliver")
def ipv4_forward_no_syn():
    forward_unless(lambda packet: packet.protocol == 6 and packet.payload[13:14] == b"\2")


@mutant("ipv4.forward", "the router did not deliver")
def ipv4_forward_no_icmp_errors():
    forward_unless(lambda packet: packet.protocol == 1 and packet.payload[0] in (3, 11, 12)
                   and not packet.fragment & ref.OFFSET_MASK)


@mutant("ipv4.forward", "the router did not deliver")
def ipv4_forward_no_far_fragments():
    forward_unless(lambda packet: packet.fragment & ref.OFFSET_MASK >= 1024)


@mutant("ipv4.preserve", "the router did not deliver")
def ipv4_preserve_no_repeated_id():
    before = set()

    def known(packet):
        key = bytes(packet.data[2:6] + packet.data[12:20])
        new = key not in before
        if bytes(packet.data[4:6]) == b"\0\0" and len(packet.data) == 60:
            before.add(key)
        return not new
    forward_unless(known)


@mutant("ipv4.martian", "to the broadcast address of one of its networks")
def ipv4_martian_directed_broadcast():
    @around(ref.Router, "packet")
    def packet(old, self, packet):
        for interface in self.interfaces:
            if packet.destination == interface.network.broadcast_address:
                packet.decrement_ttl()
                return interface.send(ref.BROADCAST_MAC, ref.ETH_P_IP, bytes(packet.data))
        return old(self, packet)


@mutant("ipv4.unknown", "answers an echo request to an address that is not its own")
def ipv4_unknown_answers():
    @around(ref.Router, "forward")
    def forward(old, self, packet):
        if self.route(packet.destination) is None:
            self.local(packet)
        else:
            old(self, packet)
