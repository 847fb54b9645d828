#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures the REST service beside what it replaces and beside Redis, in one run.

All sides take turns, round by round, with the same client (tests/bench/load.c, 16 connections), so
that a noisy machine disturbs all of them; numbers are medians over rounds, ratios the median of each
round's ratio. The service that came
before is stood in for by tests/bench/standin.py (FastAPI on uvicorn, in-memory store). Redis runs
with `appendfsync always` and is measured by redis-benchmark. Exit code 1: a bound was missed.
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
sys.path.insert(0, os.path.join(ROOT, "tests/netport"))
from service import Redis, Service  # noqa: E402
from standin_run import StandIn  # noqa: E402

LOAD = os.path.join(ROOT, "build/release/bench/load")
CONNECTIONS = 16


def load(port, seconds, target, body=None, header=None):
    argv = [LOAD, f"127.0.0.1:{port}", str(CONNECTIONS), str(seconds), "POST" if body else "GET",
            target, body or "", *([header] if header else [])]
    result = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
    if result["errors"]:
        sys.exit(f"bench: {target}: {result['errors']} errors")
    return result


def redis_set(redis, seconds):
    n = max(2000, int(seconds * 8000))
    out = subprocess.run(["redis-benchmark", "-p", str(redis.port), "-c", str(CONNECTIONS), "-n",
                          str(n), "-r", "1000000", "-t", "set", "--csv"], check=True,
                         capture_output=True, text=True).stdout
    return float(re.search(r'^"SET","([\d.]+)"', out, re.M)[1])


def fill(s, n):
    """Leases up to n."""
    held = 0
    while held < n:
        load(s.port, 1, f"/db/reserve?resource=FILL{held}&value=#")
        r = s.get("/api/leases?limit=1", unix=True).json
        held = r["total"]
    return held


class Table:
    def __init__(self):
        self.rows, self.missed = [], False

    def row(self, what, value, bound=None, met=None, unit=""):
        self.rows.append({"what": what, "value": value, "bound": bound, "met": met})
        mark = "" if met is None else "  ok" if met else "  MISSED"
        shown = f"{value:,.2f}" if isinstance(value, float) and value < 100 else f"{value:,.0f}"
        print(f"{what:<58} {shown:>10} {unit:<6} {bound or '':<10}{mark}", flush=True)
        self.missed |= met is False

    def ratio(self, what, value, at_least):
        self.row(what, value, f">= {at_least}", value >= at_least, "x")


def measure(rounds, seconds):
    """The median of what each side did, and of ratios between two sides in the same round."""
    m = {k: [] for k in ("get_port", "leases", "get_port_p99", "leases_p99", "read", "old_get_port",
                         "old_read", "redis")}
    redis = Redis("--appendonly", "yes", "--appendfsync", "always")
    try:
        for _ in range(rounds):
            old, s = StandIn(), Service(options=["-q"])
            try:
                auth = "Authorization: Bearer " + s.token("bench", "lease")
                s.run("netport", "pool", "PORT", "1024-65535")
                r = load(s.port, seconds, "/networking/get_port")
                m["get_port"].append(r["rate"])
                m["get_port_p99"].append(r["p99_us"] / 1000)
                m["redis"].append(redis_set(redis, seconds))
                m["old_get_port"].append(load(old.port, seconds, "/networking/get_port")["rate"])
                r = load(s.port, seconds, "/api/leases", '{"resource": "RACK", "value": "r#"}', auth)
                m["leases"].append(r["rate"])
                m["leases_p99"].append(r["p99_us"] / 1000)
                target = "/db/is_reserved?resource=PORT&value=#"
                m["read"].append(load(s.port, seconds, target)["rate"])
                m["old_read"].append(load(old.port, seconds, target)["rate"])
            finally:
                s.close()
                old.close()
    finally:
        redis.close()
    return ({k: statistics.median(v) for k, v in m.items()},
            lambda a, b: statistics.median(x / y for x, y in zip(m[a], m[b])))


def flatness(rounds, seconds):
    """Cost of a call with 60 000 leases over that with 100: (reads, writes)."""
    small, large = Service(options=["-q"]), Service(options=["-q"])
    reads, writes = [], []
    try:
        fill(large, 60000)
        for i in range(100):
            small.data("/db/reserve", resource="FILL", value=str(i))
        for i in range(rounds):
            target = "/db/is_reserved?resource=FILL&value=#"
            reads.append(load(large.port, seconds, target)["p50_us"] /
                         load(small.port, seconds, target)["p50_us"])
            # Few enough that the small book stays small.
            target = f"/db/reserve?resource=W{i}&value=#"
            writes.append(load(large.port, 0.4, target)["p50_us"] /
                          load(small.port, 0.4, target)["p50_us"])
    finally:
        small.close()
        large.close()
    return statistics.median(reads), statistics.median(writes)


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--json", metavar="FILE")
    ap.add_argument("--rounds", type=int, default=9)
    ap.add_argument("--seconds", type=float, default=1, help="at most 1.5: there are 64 512 ports")
    a = ap.parse_args()
    if not shutil.which("redis-benchmark"):
        sys.exit("bench: redis-benchmark is missing (package redis-tools)")
    os.environ.setdefault("TMPDIR", tempfile.gettempdir())
    t, began = Table(), time.monotonic()
    m, ratio = measure(a.rounds, a.seconds)
    t.row("durable acquire, GET /networking/get_port", m["get_port"], unit="1/s")
    t.row("durable acquire, POST /api/leases", m["leases"], unit="1/s")
    t.row("stand-in for the original, in memory: get_port", m["old_get_port"], unit="1/s")
    t.row("redis-server appendfsync always: SET", m["redis"], unit="1/s")
    for name in "get_port", "leases":
        t.ratio(f"{name} / stand-in's get_port", ratio(name, "old_get_port"), 10)
        t.ratio(f"{name} / Redis' SET", ratio(name, "redis"), 0.5)
        t.row(f"{name}: p99", m[name + "_p99"], "< 5", m[name + "_p99"] < 5, "ms")
    t.row("read, GET /db/is_reserved", m["read"], unit="1/s")
    t.row("stand-in for the original: is_reserved", m["old_read"], unit="1/s")
    t.ratio("is_reserved / stand-in's", ratio("read", "old_read"), 20)
    reads, writes = flatness(3, a.seconds)
    t.row("is_reserved with 60 000 leases / with 100", reads, "<= 1.5", reads <= 1.5, "x")
    t.row("reserve with 60 000 leases / with 100", writes, "<= 1.5", writes <= 1.5, "x")
    print(f"{time.monotonic() - began:.0f} s")
    if a.json:
        os.makedirs(os.path.dirname(os.path.abspath(a.json)), exist_ok=True)
        with open(a.json, "w", encoding="utf-8") as f:
            json.dump({"rows": t.rows, "medians": m, "rounds": a.rounds}, f, indent=1)
    sys.exit(t.missed)


main()
