# SPDX-License-Identifier: MIT
"""Routers that lose some packets, whatever these are; see tests/unit/test_grade_loss.c."""
import random

import stage1_reference as ref
from lib.mutants import around


def lose(wanted, method="forward"):
    """wanted(n): is the n-th packet lost?"""
    count = [0]

    @around(ref.Router, method)
    def take(old, self, packet):
        count[0] += 1
        if not wanted(count[0]):
            old(self, packet)


def third_and_ttl_2():
    lose(lambda n: n % 3 == 0)

    @around(ref.Router, "forward")
    def forward(old, self, packet):
        if packet.ttl != 2:
            old(self, packet)


LOSING = {
    "second": lambda: lose(lambda n: n % 2 == 0),
    "third": lambda: lose(lambda n: n % 3 == 0),
    "tenth": lambda: lose(lambda n: n % 10 == 0),
    "fifth-at-random": lambda: lose(lambda n: random.random() < 0.2),
    "third-of-all": lambda: lose(lambda n: n % 3 == 0, "packet"),
    "third-and-ttl-2": third_and_ttl_2,
}
