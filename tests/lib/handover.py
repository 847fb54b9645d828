#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Hand a socket over from one network namespace to a process in another, and use it there.

    handover.py give inet|inet6 PATH     waits at the Unix socket PATH
    handover.py network PATH INTERFACE   takes the socket and changes that interface by it
    handover.py spoof PATH               takes it and asks for any source address
"""
import fcntl
import os
import socket
import struct
import sys

IP_TRANSPARENT, IPV6_TRANSPARENT, SO_MARK = 19, 75, 36
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFMTU = 0x8914, 0x8916, 0x8922


def give(family, path):
    six = family == "inet6"
    s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    waiting = socket.socket(socket.AF_UNIX)
    waiting.bind(path)
    waiting.listen()
    os.chmod(path, 0o777)
    peer, _ = waiting.accept()
    socket.send_fds(peer, [b"x"], [s.fileno()])
    peer.recv(1)
    try:
        s.bind(("2001:db8::1" if six else "203.0.113.9", 5353))
        print("bind: done")
    except OSError as e:
        print("bind:", e.strerror)


def attempt(name, call, *args):
    try:
        call(*args)
        print(name + ": done")
    except OSError as e:
        print(name + ":", e.strerror)


def take(path):
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(path)
    return peer, socket.socket(fileno=socket.recv_fds(peer, 1, 1)[1][0])


def network(path, interface):
    peer, s = take(path)
    name = interface.encode()
    attempt("down", fcntl.ioctl, s, SIOCSIFFLAGS, struct.pack("16sh14x", name, 0))
    attempt("mtu", fcntl.ioctl, s, SIOCSIFMTU, struct.pack("16si12x", name, 999))
    attempt("address", fcntl.ioctl, s, SIOCSIFADDR,
            struct.pack("16sHH4s8x", name, socket.AF_INET, 0, bytes([203, 0, 113, 9])))
    peer.send(b"x")


def spoof(path):
    peer, s = take(path)
    level, option = (socket.IPPROTO_IPV6, IPV6_TRANSPARENT) \
        if s.family == socket.AF_INET6 else (socket.SOL_IP, IP_TRANSPARENT)
    attempt("transparent", s.setsockopt, level, option, 1)
    attempt("mark", s.setsockopt, socket.SOL_SOCKET, SO_MARK, 7)
    peer.send(b"x")


{"give": give, "network": network, "spoof": spoof}[sys.argv[1]](*sys.argv[2:])
