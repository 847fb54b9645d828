# SPDX-License-Identifier: MIT
"""Broken routers: a reference with one fault each.

A mutant is a function that changes the reference in one place; its decorator says which checks
are about that fault, and what the report must say. A file of mutants ends with main(), and is run

    stageN_mutants.py NAME       to be that router
    stageN_mutants.py --list     for a line each: name, tab, checks it must fail, tab, words of the reason or the hint
"""
import sys

from lib import base
from lib.packets import ARP_REPLY, ETH_ARP, UDP

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


def basics(large=1000, also=""):
    """The mutants of what every stage begins with: arp.reply, and ipv4.forward. also: the stage's further checks that
    send large datagrams."""
    @mutant("arp.reply", "did not answer who-has for its own address")
    def answers_no_arp():
        @around(base.Interface, "send")
        def send(old, self, mac, kind, payload):
            if kind != ETH_ARP or payload[7] != ARP_REPLY:
                old(self, mac, kind, payload)

    @mutant("ipv4.forward " + also, "the router did not deliver the datagram")
    def forwards_nothing_large():
        @around(base.Router, "transmit")
        def transmit(old, self, packet, interface, neighbour):
            if packet.protocol != UDP or len(packet.data) < large:
                old(self, packet, interface, neighbour)


def main(router):
    """router: the reference's class, made when the fault is in."""
    if sys.argv[1:] == ["--list"]:
        for name, (checks, words, _) in MUTANTS.items():
            print(name, checks, words, sep="\t")
        return
    base.Neighbours.PATIENCE = 1.0  # nobody wants to wait three seconds for each of them
    MUTANTS[sys.argv[1]][2]()
    base.main(router)
