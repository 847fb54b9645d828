# SPDX-License-Identifier: MIT
"""Broken routers for stage1: Ethernet."""
import struct
import sys

import stage1_reference as ref
from lib.mutants import around, mutant
from stage1.change import on_forward


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


def on_other_types(treat):
    @around(ref.Router, "receive")
    def receive(old, self, interface, frame):
        if frame[12:14] not in (b"\x08\0", b"\x08\x06"):
            treat(self, interface, frame)
        else:
            old(self, interface, frame)


@mutant("eth.other", "your program ended (exit code 7) while this was tried")
def eth_other_ends_at_ipv6():
    on_other_types(lambda self, interface, frame: sys.exit(7) if frame[12:14] == b"\x86\xdd" else None)


@mutant("eth.other", "your program ended (exit code 7) while this was tried")
def eth_other_ends_at_length():
    on_other_types(lambda self, interface, frame: sys.exit(7) if frame[12] < 6 else None)


@mutant("eth.other", "your program ended (exit code 7) while this was tried")
def eth_other_ends_at_lldp():
    on_other_types(lambda self, interface, frame: sys.exit(7) if frame[12:14] == b"\x88\xcc" else None)


@mutant("eth.other", "sends an IPv6 frame on")
def eth_other_bridges():
    def treat(self, interface, frame):
        for other in self.interfaces:
            if other is not interface:
                other.send(frame[:6], 0x86dd, frame[14:])
    on_other_types(treat)


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


def carried_if(wanted):
    """The bytes behind the datagram go along where wanted(datagram, tail) is true."""
    tail = [b""]
    with_tail(lambda bytes_behind: tail.__setitem__(0, bytes_behind))
    on_forward(lambda data: data + tail[0] if wanted(data, tail[0]) else None)


@mutant("eth.trailer", "bytes behind the end of the datagram")
def eth_trailer_large_tail():
    carried_if(lambda data, tail: len(tail) > 300)


@mutant("eth.trailer", "bytes behind the end of the datagram")
def eth_trailer_large_datagram():
    carried_if(lambda data, tail: len(data) > 500)
