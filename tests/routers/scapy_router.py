#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A correct router for stage1 by Scapy: slow (some milliseconds a packet), and right."""
import json
import os
import select
import time

from scapy.all import ARP, ICMP, IP, Ether, checksum, conf

BROADCAST = "ff:ff:ff:ff:ff:ff"


def number(address):
    return int.from_bytes(bytes(int(part) for part in address.split(".")), "big")


class Port:
    def __init__(self, net):
        self.name, self.mac, self.address = net["interface"], net["mac"], net["address"]
        self.mask = 0xFFFFFFFF << (32 - net["prefix"]) & 0xFFFFFFFF
        self.network = number(self.address) & self.mask
        self.socket = conf.L2socket(iface=self.name, promisc=False)

    def has(self, address):
        return number(address) & self.mask == self.network

    def is_broadcast(self, address):
        return number(address) in (self.network, self.network | ~self.mask & 0xFFFFFFFF)


class Router:
    def __init__(self, lab):
        self.ports = [Port(net) for net in lab["networks"].values() if net.get("interface")]
        self.addresses = {port.address for port in self.ports}
        self.known, self.waiting = {}, {}  # by port and address: MAC; [asked when, packets]

    def send(self, port, address, packet):
        key = port, address
        if key in self.known:
            port.socket.send(Ether(src=port.mac, dst=self.known[key]) / packet)
            return
        entry = self.waiting.setdefault(key, [0.0, []])
        entry[1] = entry[1][-7:] + [packet]
        if time.monotonic() >= entry[0] + 1:
            entry[0] = time.monotonic()
            port.socket.send(Ether(src=port.mac, dst=BROADCAST) / ARP(op=1, hwsrc=port.mac, psrc=port.address,
                                                                      hwdst="00:00:00:00:00:00", pdst=address))

    def arp(self, port, arp):
        if (arp.hwtype, arp.ptype, arp.hwlen, arp.plen) != (1, 0x0800, 6, 4):
            return
        if not port.has(arp.psrc) and arp.psrc != "0.0.0.0":
            return
        key = port, arp.psrc
        if port.has(arp.psrc) and (arp.pdst == port.address or key in self.known):
            self.known[key] = arp.hwsrc
            for packet in self.waiting.pop(key, [0.0, []])[1]:
                self.send(port, arp.psrc, packet)
        if arp.pdst == port.address and arp.op == 1:
            port.socket.send(Ether(src=port.mac, dst=arp.hwsrc) / ARP(op=2, hwsrc=port.mac, psrc=port.address,
                                                                      hwdst=arp.hwsrc, pdst=arp.psrc))

    def is_host(self, address):
        first, second = (int(part) for part in address.split(".")[:2])
        return (0 < first < 224 and first != 127 and (first, second) != (169, 254)
                and not any(port.is_broadcast(address) for port in self.ports))

    def ip(self, data):
        if len(data) < 20 or data[0] >> 4 != 4:
            return
        header, total = (data[0] & 15) * 4, int.from_bytes(data[2:4], "big")
        if not 20 <= header <= total <= len(data) or checksum(data[:header]):
            return
        packet = IP(data[:total])
        if not self.is_host(packet.src) or not self.is_host(packet.dst) or packet.src in self.addresses:
            return
        if packet.dst in self.addresses:
            self.local(packet, data[header:total])
        elif packet.ttl > 1:
            self.forward(data[:header], data[header:total], packet)

    def forward(self, header, rest, packet):
        for port in self.ports:
            if port.has(packet.dst):
                header = header[:8] + bytes([packet.ttl - 1]) + header[9:10] + b"\0\0" + header[12:]
                header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
                self.send(port, packet.dst, IP(header + rest))

    def local(self, packet, message):
        if packet.proto != 1 or packet.frag or packet.flags.MF or len(message) < 8 or checksum(message):
            return
        if message[0] == 8:
            icmp = ICMP(message)
            reply = IP(src=packet.dst, dst=packet.src) / ICMP(type=0, id=icmp.id, seq=icmp.seq) / message[8:]
            for port in self.ports:
                if port.has(packet.src):
                    self.send(port, packet.src, reply)

    def receive(self, port):
        frame = port.socket.recv()
        if frame is None or Ether not in frame:
            return
        if ARP in frame and frame.dst in (port.mac, BROADCAST):
            self.arp(port, frame[ARP])
        elif frame.type == 0x0800 and frame.dst == port.mac:
            self.ip(bytes(frame.original)[14:])

    def run(self):
        by_fd = {port.socket.fileno(): port for port in self.ports}
        while True:
            for fd in select.select(list(by_fd), [], [])[0]:
                self.receive(by_fd[fd])


with open(os.environ["LAB_FILE"], encoding="utf-8") as file:
    Router(json.load(file)).run()
