#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Many processes that take ports from one range at the same time: the lease book beside what it replaces, in one run.

32 processes take 200 ports each (tests/bench/takers.c), by turns: from the book itself, as `labctl netport acquire`
does, from 6400 ports; by `labctl netport serve`, GET /networking/get_port, from the same 6400; and by the same call of
tests/bench/standin.py, in the manner of the service that came before (FastAPI on uvicorn, in memory, ports as the
kernel gives them). Both of ours wait for the disk with every port. Numbers are medians over rounds. Exit code 1: a port
of ours was given twice, or one of the 6400 to nobody.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
sys.path.insert(0, os.path.join(ROOT, "tests/netport"))
from service import Service  # noqa: E402
from standin_run import StandIn  # noqa: E402

TAKERS = os.path.join(ROOT, "build/release/bench/takers")
PROCESSES, EACH = 32, 200
LOWEST, HIGHEST = 10000, 32767  # the kernel gives away what is above


def ports_in_use():
    used = set()
    for name in "tcp", "tcp6", "udp", "udp6":
        with open(f"/proc/net/{name}", encoding="ascii") as f:
            used |= {int(line.split()[1].rsplit(":", 1)[1], 16) for line in list(f)[1:]}
    return used


def free_range(size):
    """FIRST-LAST that no program has a port of: all of them can be handed out."""
    used = ports_in_use()
    for first in range(LOWEST, HIGHEST - size, 50):
        if used.isdisjoint(range(first, first + size)):
            return f"{first}-{first + size - 1}"
    sys.exit(f"bench: no {size} ports in a row are free")


def takers(*how):
    argv = [TAKERS, str(PROCESSES), str(EACH), *how]
    p = subprocess.run(argv, capture_output=True, text=True, check=False)
    if p.returncode:
        sys.exit(f"bench: {' '.join(argv)}: {p.stdout}{p.stderr}")
    return json.loads(p.stdout)


def from_book(ports):
    where = tempfile.mkdtemp(prefix="labctl-leases-")
    try:
        return takers("book", f"sqlite:{where}/netport.db", ports)
    finally:
        shutil.rmtree(where)


def by_service(ports):
    s = Service(options=["-q"])
    try:
        s.run("netport", "pool", "PORT", ports)
        return takers("http", f"127.0.0.1:{s.port}", "/networking/get_port")
    finally:
        s.close()


def by_standin(_):
    s = StandIn()
    try:
        return takers("http", f"127.0.0.1:{s.port}", "/networking/get_port")
    finally:
        s.close()


SIDES = {"the book": from_book, "labctl netport serve": by_service, "stand-in for the original": by_standin}


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--json", metavar="FILE")
    ap.add_argument("--rounds", type=int, default=3)
    a = ap.parse_args()
    ports = free_range(PROCESSES * EACH)
    rounds = {side: [] for side in SIDES}
    for _ in range(a.rounds):
        for side, run in SIDES.items():
            rounds[side].append(run(ports))
    print(f"{PROCESSES} processes x {EACH} ports, of {ports}; medians of {a.rounds} rounds")
    print(f"{'':<28}{'1/s':>8}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'twice':>7}{'none':>6}")
    rates, missed = {}, False
    for side, results in rounds.items():
        rates[side] = statistics.median(r["rate"] for r in results)
        times = [statistics.median(r[k] for r in results) / 1000 for k in ("p50_us", "p99_us", "max_us")]
        twice, none = (max(r[k] for r in results) for k in ("duplicates", "none"))
        missed |= side != "stand-in for the original" and bool(twice or none)
        print(f"{side:<28}{rates[side]:>8,.0f}" + "".join(f"{t:>9.1f}" for t in times) + f"{twice:>7}{none:>6}")
    *ours, old = SIDES
    for side in ours:
        print(f"{side} / {old}: {rates[side] / rates[old]:.1f} x")
    if missed:
        print("MISSED: a port given twice, or not at all")
    if a.json:
        with open(a.json, "w", encoding="utf-8") as f:
            json.dump({"ports": ports, "processes": PROCESSES, "each": EACH, "rounds": rounds}, f, indent=1)
    sys.exit(missed)


main()
