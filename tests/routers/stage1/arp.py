# SPDX-License-Identifier: MIT
"""Broken routers for stage1: ARP."""
import ipaddress
import select
import struct
import time

import stage1_reference as ref
from lib.mutants import around, mutant
from stage1.change import on_arp_reply, on_net2, reseal


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


@mutant("arp.reply", "An ARP reply goes to the asker alone")
def arp_reply_broadcast():
    @around(ref.Interface, "send")
    def send(old, self, mac, ethertype, payload):
        reply = ethertype == ref.ETH_P_ARP and payload[7] == ref.ARP_REPLY
        old(self, ref.BROADCAST_MAC if reply else mac, ethertype, payload)


@mutant("arp.reply", "answers one who-has from 0.0.0.0 (RFC 5227) 2 times")
def arp_reply_to_probes_twice():
    @around(ref.Interface, "send")
    def send(old, self, mac, ethertype, payload):
        old(self, mac, ethertype, payload)
        if ethertype == ref.ETH_P_ARP and payload[7] == ref.ARP_REPLY and payload[24:28] == bytes(4):
            old(self, mac, ethertype, payload)


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


@mutant("arp.reply", "does not answer who-has from 0.0.0.0")
def arp_reply_not_to_probes():
    @around(ref.Neighbours, "receive")
    def receive(old, self, interface, data):
        if data[14:18] != bytes(4):
            old(self, interface, data)


def forgive(offset, good):
    """Takes any value at that place of an ARP packet for the good one."""
    @around(ref.Neighbours, "receive")
    def receive(old, self, interface, data):
        data = bytearray(data)
        data[offset:offset + len(good)] = good
        old(self, interface, bytes(data))


@mutant("arp.resolve", "once more after")
def arp_resolve_each_tenth_of_a_second():
    ref.ARP_INTERVAL, ref.ARP_TRIES = 0.1, 30


@mutant("arp.resolve", "on the network of client1, too, where nobody can have it")
def arp_resolve_everywhere():
    interfaces = []

    @around(ref.Interface, "__init__")
    def init(old, self, description):
        old(self, description)
        interfaces.append(self)

    @around(ref.Neighbours, "transmit")
    def transmit(old, self, interface, operation, to_mac, target_mac, target):
        for other in interfaces if operation == ref.ARP_REQUEST else [interface]:
            old(self, other, operation, to_mac, target_mac, target)


@mutant("arp.queue", "in another order than they came in")
def arp_queue_last_first():
    @around(ref.Neighbours, "receive")
    def receive(old, self, interface, data):
        for (at, _), (packets, *_) in self.waiting.items():
            if at is interface:
                packets.reverse()
        old(self, interface, data)


@mutant("arp.malformed", "whose opcode is neither request (1) nor reply (2)")
def arp_malformed_opcode():
    @around(ref.Neighbours, "receive")
    def receive(old, self, interface, data):
        other = len(data) >= 28 and data[7] != ref.ARP_REPLY
        old(self, interface, data[:7] + bytes([ref.ARP_REQUEST]) + data[8:] if other else data)


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


@mutant("arp.resolve", "An ARP request goes to all stations")
def arp_resolve_unicast():
    @around(ref.Interface, "send")
    def send(old, self, mac, ethertype, payload):
        if ethertype == ref.ETH_P_ARP and payload[7] == ref.ARP_REQUEST:
            mac = b"\x02\x42" + payload[24:28]
        old(self, mac, ethertype, payload)


@mutant("arp.resolve arp.reply", "the destination MAC is 02:42")
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


@mutant("arp.queue", "sends a datagram that had to wait for the ARP reply 2 times")
def arp_queue_twice():
    @around(ref.Neighbours, "receive")
    def receive(old, self, interface, data):
        waiting = {key: entry[0][:] for key, entry in self.waiting.items()}
        old(self, interface, data)
        for key in waiting.keys() - self.waiting.keys():
            for packet, origin in waiting[key]:
                self.send(*key, packet, origin)


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


@mutant("arp.queue", "datagram")
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
