#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Broken routers for stage3: see lib/mutants.py."""
import stage3_reference as ref
from lib import base
from lib.mutants import around, main, mutant
from lib.packets import ARP_REPLY, ARP_REQUEST, BROADCAST_MAC, ETH_ARP, HOST_UNREACHABLE, UNREACHABLE

ref.ATTEMPTS = 1  # nobody wants to wait three seconds for each router


def on_reply(change):
    """change(interface, payload, mac) returns what to send in place of each ARP reply, or None."""
    @around(base.Interface, "send")
    def send(old, self, mac, kind, payload):
        if kind == ETH_ARP and payload[7] == ARP_REPLY:
            changed = change(self, bytearray(payload), mac)
            if changed is None:
                return
            payload = bytes(changed)
        old(self, mac, kind, payload)


# Answering

@mutant("arp.reply", "did not answer who-has for its own address")
def answers_on_one_network_only():
    on_reply(lambda interface, payload, mac: payload if interface.name == "net1" else None)


@mutant("arp.reply", "the sender's hardware address is")
def answers_with_one_mac_everywhere():
    first = []

    def change(interface, payload, mac):
        first.append(interface.mac)
        payload[8:14] = first[0]
        return payload
    on_reply(change)


@mutant("arp.reply.other", "for an address that is not its own")
def answers_for_neighbours():
    @around(ref.Neighbours, "receive")
    def receive(old, self, interface, data):
        old(self, interface, data)
        frame = self.parse(interface, data)
        if frame and frame[0] == ARP_REQUEST and frame[3] not in (interface.address, frame[2]):
            reply = bytes(data[:6]) + b"\0\2" + interface.mac + bytes(data[24:28]) + bytes(data[8:18])
            interface.send(frame[1], ETH_ARP, reply)


@mutant("arp.malformed", "the router answers a request whose hardware type is not Ethernet")
def any_hardware():
    @around(ref.Neighbours, "parse")
    def parse(old, self, interface, data):
        return old(self, interface, b"\0\1" + bytes(data[2:]))


# Forwarding

@mutant("arp.resolve", "did not ask who has the address of the next hop")
def wrong_netmask():
    @around(base.Router, "next_hop")
    def next_hop(old, self, destination):
        way = old(self, destination)
        # As if there were nothing but /24.
        return way if way and way[0].address >> 8 == destination >> 8 else None


@mutant("ipv4.forward", "the router delivers a datagram 2 times")
def sends_twice():
    @around(ref.Neighbours, "send")
    def send(old, self, interface, address, data, origin):
        old(self, interface, address, data, origin)
        if origin and data[9] == 17:
            old(self, interface, address, data, origin)


# Asking

@mutant("arp.resolve icmp.host-unreachable", "did not ask who has the address of the next hop")
def computes_macs():
    @around(ref.Neighbours, "send")
    def send(old, self, interface, address, data, origin):
        if (interface, address) not in self.entries:
            # The lab's own convention, and right for most of the clients.
            self.learn(interface, address, b"\x02\x42" + address.to_bytes(4, "big"))
            if address.to_bytes(4, "big").hex() in ("03030702", "04040464"):
                del self.entries[interface, address]
        old(self, interface, address, data, origin)


@mutant("arp.resolve", "asks more than once a second for the same address")
def asks_for_every_packet():
    @around(ref.Neighbours, "send")
    def send(old, self, interface, address, data, origin):
        old(self, interface, address, data, origin)
        entry = self.entries[interface, address]
        if not entry.mac and len(entry.queue) > 1:
            self.say(interface, ARP_REQUEST, BROADCAST_MAC, bytes(6), address)


@mutant("icmp.host-unreachable arp.resolve", "asks more than once a second for the same address")
def asks_again_soon():
    ref.INTERVAL, ref.ATTEMPTS = 0.4, 3


@mutant("arp.resolve", "asks more than once a second for the same address")
def keeps_no_answer():
    @around(ref.Neighbours, "send")
    def send(old, self, interface, address, data, origin):
        entry = self.entries.get((interface, address))
        if entry and entry.asked is None:
            entry.mac = None
        old(self, interface, address, data, origin)


@mutant("arp.resolve", "the sender's protocol address")
def asks_with_another_networks_address():
    @around(ref.Neighbours, "say")
    def say(old, self, interface, operation, mac, target_mac, target):
        mine = interface.address
        if operation == ARP_REQUEST:
            interface.address = 0x01010101 if mine != 0x01010101 else 0x02020201
        old(self, interface, operation, mac, target_mac, target)
        interface.address = mine


@mutant("arp.queue", "the router must keep at least the latest one")
def queues_nothing():
    @around(ref.Neighbours, "learn")
    def learn(old, self, interface, address, mac):
        if (interface, address) in self.entries:
            self.entries[interface, address].queue.clear()
        old(self, interface, address, mac)


@mutant("arp.queue", "the router must keep at least the latest one")
def queues_the_oldest():
    @around(ref.Neighbours, "send")
    def send(old, self, interface, address, data, origin):
        entry = self.entries.get((interface, address))
        if not entry or entry.mac or not entry.queue:
            old(self, interface, address, data, origin)


# Following

@mutant("arp.update", "is wrong: the destination MAC is")
def never_changes_an_entry():
    @around(ref.Neighbours, "learn")
    def learn(old, self, interface, address, mac):
        entry = self.entries.get((interface, address))
        old(self, interface, address, entry.mac if entry and entry.mac else mac)


@mutant("arp.update", "is wrong: the destination MAC is")
def learns_from_replies_only():
    @around(ref.Neighbours, "learn")
    def learn(old, self, interface, address, mac):
        entry = self.entries.get((interface, address))
        if not entry or not entry.mac or entry.asked is not None:
            old(self, interface, address, mac)


@mutant("arp.update", "is wrong: the destination MAC is")
def learns_only_what_is_for_it():
    @around(ref.Neighbours, "receive")
    def receive(old, self, interface, data):
        frame = self.parse(interface, data)
        if frame and frame[3] == interface.address:
            old(self, interface, data)


# Giving up

@mutant("icmp.host-unreachable", "a neighbour that does not answer ARP")
def gives_up_silently():
    @around(ref.Router, "error")
    def error(old, self, packet, kind, code, rest=bytes(4)):
        if (kind, code) != (UNREACHABLE, HOST_UNREACHABLE):
            old(self, packet, kind, code, rest)


@mutant("icmp.host-unreachable", "a neighbour that does not answer ARP")
def never_gives_up():
    ref.ATTEMPTS = 1000000


main(ref.Router)
