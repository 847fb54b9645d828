#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints every frame that arrives on the lab's networks. Run: labctl run -- python3 src/starter.py"""
import json
import os
import select
import socket

ETH_P_ALL = 0x0003  # packet(7): deliver frames of every type


def interfaces():
    """The lab's interfaces on this side, as labctl tells them; without labctl, net1 and net2."""
    path = os.environ.get("LAB_FILE")
    if not path:
        return ["net1", "net2"]
    with open(path) as lab:
        return [net["interface"] for net in json.load(lab)["networks"].values() if net.get("interface")]


def mac(octets):
    return octets.hex(":")


def main():
    sockets = {}
    for name in interfaces():
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        sock.bind((name, 0))  # frames of this interface only
        sockets[sock] = name
    print("listening on", ", ".join(sockets.values()), flush=True)
    while True:
        for sock in select.select(list(sockets), [], [])[0]:
            frame, address = sock.recvfrom(65535)
            if address[2] == socket.PACKET_OUTGOING:
                continue  # what this machine sent itself
            dst, src, ethertype = frame[0:6], frame[6:12], int.from_bytes(frame[12:14], "big")
            print(f"{sockets[sock]}  {mac(src)} > {mac(dst)}  type 0x{ethertype:04x}  {len(frame)} bytes", flush=True)
            # To answer, build a frame (bytes) and send it: sock.send(frame)


try:
    main()
except KeyboardInterrupt:
    pass
