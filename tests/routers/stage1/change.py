# SPDX-License-Identifier: MIT
"""Places of stage1's reference where a mutant changes it."""
import struct

import stage1_reference as ref
from lib.mutants import around


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
