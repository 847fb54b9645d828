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


def towards_net1(data):
    return data[16] == 1


def on_net2(owner, name):
    """As around(), for methods that get the interface first; on other networks nothing changes."""
    def replace(function):
        @around(owner, name)
        def both(old, self, interface, *args):
            return function(old, self, interface, *args) if interface.name == "net2" else old(self, interface, *args)
        return function
    return replace


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


INTERFACES = []


@mutant("arp.reply.other", "for its own address on another network")
def arp_reply_own_elsewhere():
    @around(ref.Interface, "__init__")
    def init(old, self, description):
        old(self, description)
        INTERFACES.append(self)
    answer_more(lambda i, op, target: op == 1 and target in [other.address for other in INTERFACES if other is not i])


@mutant("arp.reply.other", "answers an ARP reply")
def arp_reply_to_replies_net2():
    answer_more(lambda i, op, target: op == 2 and target == i.address and i.name == "net2")


@mutant("arp.reply", "in a frame that is padded to 60 bytes")
def arp_reply_not_padded():
    @around(ref.Router, "receive")
    def receive(old, self, interface, frame):
        if frame[12:14] != b"\x08\x06" or len(frame) == 42:
            old(self, interface, frame)


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


@mutant("arp.malformed", "whose hardware type is not Ethernet")
def arp_malformed_net2():
    @on_net2(ref.Neighbours, "receive")
    def receive(old, self, interface, data):
        old(self, interface, b"\0\1" + data[2:])


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


@mutant("arp.resolve", "its bytes in reverse order")
def arp_resolve_host_order():
    @around(ref.Interface, "send")
    def send(old, self, mac, ethertype, payload):
        if ethertype == ref.ETH_P_ARP and payload[7] == ref.ARP_REQUEST:
            payload = payload[:24] + payload[27:23:-1]
        old(self, mac, ethertype, payload)


@mutant("arp.resolve", "asks more than once a second")
def arp_resolve_flood_net1():
    @around(ref.Neighbours, "send")
    def send(old, self, interface, address, packet, origin):
        if interface.name == "net1" and (interface, address) in self.waiting:
            self.transmit(interface, ref.ARP_REQUEST, ref.BROADCAST_MAC, bytes(6), address)
        old(self, interface, address, packet, origin)


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


def on_released(change):
    """change(interface, key, packets, data) alters what waits when an ARP packet, data, ends the waiting."""
    @around(ref.Neighbours, "receive")
    def receive(old, self, interface, data):
        if len(data) >= 28:
            key = interface, ipaddress.IPv4Address(data[14:18])
            if key in self.waiting:
                change(self, key, self.waiting[key][0], data)
        old(self, interface, data)


@mutant("arp.queue", "the datagram that had to wait is wrong")
def arp_queue_reply_in_buffer():
    def change(neighbours, key, packets, data):
        packets[:] = [(data[:28] + packet[28:] if origin else packet, origin) for packet, origin in packets]
    on_released(change)


@mutant("arp.queue", "the datagram that had to wait is wrong: the TTL is 62")
def arp_queue_ttl_twice():
    def change(neighbours, key, packets, data):
        for i, (packet, origin) in enumerate(packets):
            if origin:
                packet = bytearray(packet)
                packet[8] -= 1
                packets[i] = bytes(reseal(packet)), origin
    on_released(change)


@mutant("arp.queue", "must keep at least the latest one for each neighbour")
def arp_queue_one_neighbour():
    @around(ref.Neighbours, "send")
    def send(old, self, interface, address, packet, origin):
        if (interface, address) not in self.known:
            for key in [key for key in self.waiting if key != (interface, address)]:
                self.waiting[key][0].clear()
        old(self, interface, address, packet, origin)


@mutant("arp.queue", "must keep at least the latest one for each neighbour")
def arp_queue_to_whoever_answers():
    def change(neighbours, key, packets, data):
        for other in neighbours.waiting:
            if other != key:
                packets += neighbours.waiting[other][0]
                neighbours.waiting[other][0].clear()
    on_released(change)


@mutant("arp.queue", "its own packets have to wait")
def arp_queue_own_lost():
    @around(ref.Neighbours, "send")
    def send(old, self, interface, address, packet, origin):
        old(self, interface, address, packet, origin)
        if origin is None and (interface, address) in self.waiting:
            self.waiting[interface, address][0].clear()


@mutant("arp.queue", "must keep at least the latest one")
def arp_queue_small_only():
    @around(ref.Neighbours, "send")
    def send(old, self, interface, address, packet, origin):
        if len(packet) < 1000 or (interface, address) in self.known:
            old(self, interface, address, packet, origin)


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


def accept(wanted):
    """Takes frames to other MACs for its own, where wanted(interface, frame) is true."""
    @around(ref.Interface, "frames")
    def frames(old, self):
        for _ in range(64):
            try:
                frame, address = self.socket.recvfrom(65535)
            except OSError:
                return
            if address[2] == ref.socket.PACKET_OUTGOING or len(frame) < 14:
                continue
            ip = frame[12:14] == b"\x08\0"
            if ip and wanted(self, frame):
                yield self.mac + frame[6:]
            elif frame[:6] == self.mac or frame[0] & 1:
                yield frame


@mutant("eth.other", "from a frame that was sent to all stations")
def eth_other_broadcast():
    accept(lambda interface, frame: frame[:6] == ref.BROADCAST_MAC)


@mutant("eth.other", "from a frame that was sent to a group of stations")
def eth_other_multicast():
    accept(lambda interface, frame: frame[0] & 1 and frame[:6] != ref.BROADCAST_MAC)


@mutant("eth.other", "addressed to another station's MAC")
def eth_other_net2():
    accept(lambda interface, frame: interface.name == "net2" and not frame[0] & 1)


@mutant("eth.rewrite", "the source MAC is")
def eth_rewrite_source_large():
    @around(ref.Interface, "send")
    def send(old, self, mac, ethertype, payload):
        own = self.mac
        if ethertype == ref.ETH_P_IP and len(payload) > 1000:
            self.mac = b"\x02\x42" + payload[12:16]
        old(self, mac, ethertype, payload)
        self.mac = own


@mutant("eth.rewrite", "an echo request that came in a frame from another MAC")
def eth_rewrite_to_frame_source():
    came_from = []

    @around(ref.Router, "receive")
    def receive(old, self, interface, frame):
        came_from[:] = [frame[6:12], interface]
        old(self, interface, frame)

    @around(ref.Router, "output")
    def output(old, self, data):
        came_from[1].send(came_from[0], ref.ETH_P_IP, data)


def with_tail(use):
    """use(tail) is called for each frame with what it has behind the datagram's end."""
    @around(ref.Router, "receive")
    def receive(old, self, interface, frame):
        use(frame[14 + struct.unpack_from("!H", frame, 16)[0]:] if frame[12:14] == b"\x08\0" else b"")
        old(self, interface, frame)


@mutant("eth.trailer", "the forwarded frame came with 64 bytes behind the end")
def eth_trailer_carried():
    tail = [b""]
    with_tail(lambda bytes_behind: tail.__setitem__(0, bytes_behind))
    on_forward(lambda data: data + tail[0])


@mutant("eth.trailer", "the echo reply came with 40 bytes behind the end")
def eth_trailer_reply():
    tail = [b""]
    with_tail(lambda bytes_behind: tail.__setitem__(0, bytes_behind))

    @around(ref.Router, "output")
    def output(old, self, data):
        old(self, data + tail[0])


@mutant("eth.trailer", "bytes behind the end of the datagram")
def eth_trailer_leaks():
    on_forward(lambda data: data + b"secret"[:max(0, 46 - len(data))])


# IPv4

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


@mutant("ipv4.forward", "datagrams to 2.2.2.2, sent 16 at a time, the router did not deliver")
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


@mutant("ipv4.forward", "the router changes the order of datagrams")
def ipv4_forward_swaps():
    swap_when(lambda packet, count: count % 50 < 10)


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


@mutant("ipv4.preserve ipv4.checksum", "after that your program answers nothing any more: does it wait")
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


# All three at once: what the issue calls half-right.
@mutant("ipv4.checksum icmp.echo.fields", "the identifier is 0x0000")
def half_right():
    ipv4_checksum_kept()
    icmp_echo_identifier()


# Routers that work at first: for robust.minute, which no stage asks (--later NAME).

LATER = {}


def later(function):
    LATER[function.__name__.replace("_", "-")] = function


@later
def stops_after_seconds():
    start = time.monotonic()

    @around(ref.Router, "forward")
    def forward(old, self, packet):
        if time.monotonic() < start + 3:
            old(self, packet)


@later
def dies_when_it_gives_up():
    @around(ref.Neighbours, "__init__")
    def init(old, self, unreachable):
        old(self, unreachable)
        del self.unreachable


@later
def never_asks_again():
    # What has grown old is forgotten, and who has been asked once is not asked again.
    asked = set()
    ref.ARP_LIFETIME = 2.5

    @around(ref.Neighbours, "transmit")
    def transmit(old, self, interface, operation, to_mac, target_mac, target):
        if operation == ref.ARP_REQUEST and target in asked:
            return
        if operation == ref.ARP_REQUEST:
            asked.add(target)
        old(self, interface, operation, to_mac, target_mac, target)


def main():
    if sys.argv[1:] == ["--list"]:
        for name, (checks, words, _) in MUTANTS.items():
            print(name, checks, words, sep="\t")
        return
    if sys.argv[1:2] == ["--later"]:
        LATER[sys.argv[2]]()
    elif len(sys.argv) != 2 or sys.argv[1] not in MUTANTS:
        sys.exit("usage: stage1_mutants.py NAME | --later NAME | --list")
    else:
        MUTANTS[sys.argv[1]][2]()
    with open(os.environ["LAB_FILE"]) as file:
        ref.Router(json.load(file)).run()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
