#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures labctl beside docker-compose and beside the bare Engine API, and how fast the grader is.

Every number is a median over rounds in which both sides take turns, so that a noisy machine
disturbs both. Prints a table; --json FILE keeps everything. Exit code 1: a bound was missed.
"""
import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.environ.get("LABCTL_BUILD", os.path.join(ROOT, "build/release"))
LABCTL = os.path.join(BUILD, "labctl")
IMAGE = os.environ.get("LABCTL_IMAGE", "labctl/client:latest")
COMPOSE = "docker-compose"
CONCURRENCY = max(4, min(16, 2 * os.cpu_count()))  # as lab/up.c has it
PPS_BEYOND = 10000000  # the most that a tier may ask for
PPS_PACKETS = 6 * 8000  # ROUNDS of ROUND_MAX, as grade/checks/perf.c has them


def run(argv, **kw):
    """Runs to the end; returns (seconds, peak resident KiB). A failure ends the benchmark."""
    t0 = time.monotonic()
    p = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kw)
    out = p.stdout.read()
    _, status, usage = os.wait4(p.pid, 0)
    seconds = time.monotonic() - t0
    p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode != 0:
        sys.exit("bench: %s: exit code %d\n%s" % (" ".join(argv), p.returncode, out.decode()))
    return seconds, usage.ru_maxrss, out


def addresses(networks, per_network):
    """(network, subnet base, clients) for a stage that is alike on both sides."""
    for n in range(networks):
        yield "bn%d" % (n + 1), "10.77.%d" % n, range(n * per_network + 1, (n + 1) * per_network + 1)


def write_stage(path, networks, per_network):
    nets, clients = {}, {}
    for net, base, members in addresses(networks, per_network):
        nets[net] = {"subnet": base + ".0/24", "router": base + ".1"}
        for i, c in enumerate(members):
            clients["client%d" % c] = {
                "interfaces": {"eth0": {"network": net, "address": "%s.%d" % (base, i + 2)}},
                "gateway": base + ".1",
            }
    os.makedirs(path)
    with open(os.path.join(path, "stage.json"), "w") as f:
        json.dump({"title": "bench", "networks": nets, "clients": clients}, f, indent=1)


def write_compose(path, networks, per_network):
    """The manner of pyroute: bridge networks with fixed names, a shell with stdin open."""
    lines = ["version: '2'", "services:"]
    for net, _, members in addresses(networks, per_network):
        for c in members:
            lines += ["  client%d:" % c, "    image: " + IMAGE, "    command: bash",
                      "    stdin_open: true", "    networks: [%s]" % net]
    lines.append("networks:")
    for net, base, _ in addresses(networks, per_network):
        lines += ["  %s:" % net, "    driver: bridge", "    driver_opts:",
                  "      com.docker.network.bridge.name: " + net,
                  "    ipam: {config: [{subnet: %s.0/24}]}" % base]
    os.makedirs(path)
    with open(os.path.join(path, "docker-compose.yml"), "w") as f:
        f.write("\n".join(lines) + "\n")


class Bench:
    def __init__(self, work):
        self.work = work
        self.env = dict(os.environ, LABCTL_STATE=work + "/state", LABCTL_RUN=work + "/run",
                        LABCTL_SRC=work + "/src")
        os.makedirs(work + "/src")
        self.rows, self.missed = [], 0

    def labctl(self, *args):
        return run([LABCTL, "--lab", "bench", *args], env=self.env)

    def compose(self, directory, *args):
        return run([COMPOSE, *args], cwd=directory, env=os.environ)[0]

    def floor(self, count):
        return float(run([BUILD + "/bench/floor", IMAGE, str(count), str(CONCURRENCY)])[2])

    def row(self, what, value, unit, bound=None, better="min"):
        ok = bound is None or (value >= bound if better == "min" else value <= bound)
        self.missed += not ok
        self.rows.append({"what": what, "value": round(value, 4), "unit": unit, "bound": bound,
                          "better": better if bound is not None else None, "ok": ok})

    def up_down(self, stage):
        up, rss, _ = self.labctl("stage-start", stage)
        return up, rss, self.labctl("stage-stop")[0]


def bench_stage1(b, rounds):
    stage, comp = b.work + "/s1", b.work + "/pyroute"
    write_stage(stage, 2, 1)
    write_compose(comp, 2, 1)
    ours, theirs = {"up": [], "down": []}, {"up": [], "down": []}
    for _ in range(rounds):
        up, _, down = b.up_down(stage)
        ours["up"].append(up)
        ours["down"].append(down)
        theirs["up"].append(b.compose(comp, "up", "-d"))
        theirs["down"].append(b.compose(comp, "down"))
    med = statistics.median
    b.row("stage1: stage-start", med(ours["up"]), "s")
    b.row("stage1: docker-compose up -d", med(theirs["up"]), "s")
    b.row("stage1: start, times faster", med(theirs["up"]) / med(ours["up"]), "x", 5)
    b.row("stage1: stage-stop", med(ours["down"]), "s")
    b.row("stage1: docker-compose down", med(theirs["down"]), "s")
    b.row("stage1: stop, times faster", med(theirs["down"]) / med(ours["down"]), "x", 25)


def bench_16(b, rounds):
    stage, comp = b.work + "/s16", b.work + "/compose16"
    write_stage(stage, 4, 4)
    write_compose(comp, 4, 4)
    ours, floor, ratios, status = [], [], [], []
    for i in range(rounds * 3):
        f1 = b.floor(16) if i % 2 == 0 else None
        ours.append(b.labctl("stage-start", stage)[0])
        status += [b.labctl("status")[0] for _ in range(3)]
        b.labctl("stage-stop")
        f1 = b.floor(16) if f1 is None else f1
        floor.append(f1)
        ratios.append(ours[-1] / f1)
    up = b.compose(comp, "up", "-d")
    b.compose(comp, "down", "-t", "0")
    med = statistics.median
    b.row("16 clients: stage-start", med(ours), "s")
    b.row("16 clients: bare Engine API", med(floor), "s")
    b.row("16 clients: against the bare Engine API", med(ratios), "x", 1.10, "max")
    b.row("16 clients: docker-compose up -d", up, "s")
    b.row("16 clients: start, times faster", up / med(ours), "x", 4)
    b.row("16 clients: status", 1000 * med(status), "ms", 50, "max")
    return med(ours) / 16


def bench_100(b, rounds, per_client_16):
    stage = b.work + "/s100"
    write_stage(stage, 25, 4)
    ups, peak = [], 0
    for _ in range(rounds):
        up, rss, _ = b.up_down(stage)
        ups.append(up)
        peak = max(peak, rss)
    per_client = statistics.median(ups) / 100
    b.row("100 clients: stage-start", statistics.median(ups), "s")
    b.row("100 clients: time per client", 1000 * per_client, "ms")
    b.row("100 clients: per client against 16", per_client / per_client_16, "x", 1.2, "max")
    b.row("100 clients: peak memory of labctl", peak / 1024, "MB", 20, "max")


def write_kernel_stage(path):
    """Stage 6 with the kernel in the router's place, asked for more packets a second than there can be.
    Returns stage 6's own highest tier."""
    with open(ROOT + "/stages/stage6/stage.json") as f:
        doc = json.load(f)
    tiers = [c for c in doc["checks"] if c["use"] == "perf.pps"]
    highest = max(tiers, key=lambda c: c["pps"])
    del doc["$schema"]
    for net in doc["networks"].values():
        net["address"] = "kernel"
    doc["checks"] = [{"use": "ipv4.forward"}, {**highest, "pps": PPS_BEYOND}]
    os.makedirs(path)
    with open(path + "/stage.json", "w") as f:
        json.dump(doc, f, indent=1)
    return highest["pps"]


def bench_grader(b, rounds):
    """What the grader can send, receive and match: its own check, all rounds of it, as the tier is missed."""
    stage, rates = b.work + "/ceiling", []
    highest = write_kernel_stage(stage)
    b.labctl("stage-start", "--isolated", stage)
    run(["ip", "netns", "exec", "labctl-bench", "sh", "-c",
         "for i in /proc/sys/net/ipv4/conf/*/forwarding; do echo 1 >$i; done"])
    for _ in range(rounds):
        out = subprocess.run([LABCTL, "--lab", "bench", "--json", "check"], env=b.env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, check=False).stdout
        check = json.loads(out)["checks"][1]
        if check["status"] != "fail" or "packets a second" not in check["reason"]:
            sys.exit("bench: the tier beyond all should be missed: %s" % check)
        rates.append(PPS_PACKETS / (check["ms"] / 1000))
    b.labctl("stage-stop")
    ceiling = max(rates)  # nothing makes it faster than it is
    b.row("grader: through a forwarding kernel", ceiling, "pps")
    b.row("grader: stage6's highest tier", highest, "pps")
    b.row("grader: ceiling against that tier", ceiling / highest, "x", 2)


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--json", metavar="FILE")
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--only", choices=["stage1", "16", "100", "grader"])
    a = ap.parse_args()
    if os.geteuid() != 0:
        sys.exit("bench: needs root")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    work = tempfile.mkdtemp(prefix="labctl-bench-")
    b = Bench(work)
    try:
        if a.only in (None, "stage1"):
            bench_stage1(b, a.rounds)
        per_client = bench_16(b, a.rounds) if a.only in (None, "16", "100") else None
        if a.only in (None, "100"):
            bench_100(b, max(1, a.rounds - 1), per_client)
        if a.only in (None, "grader"):
            bench_grader(b, a.rounds)
    finally:
        subprocess.run([LABCTL, "-q", "--lab", "bench", "stage-stop"], env=b.env,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(work, ignore_errors=True)
    for r in b.rows:
        bound = "" if r["bound"] is None else "  %s %g  %s" % (
            "at least" if r["better"] == "min" else "at most", r["bound"], "ok" if r["ok"] else "MISSED")
        print("%-42s %10.3f %-3s%s" % (r["what"], r["value"], r["unit"], bound))
    if a.json:
        with open(a.json, "w") as f:
            json.dump({"rows": b.rows, "rounds": a.rounds, "concurrency": CONCURRENCY}, f, indent=1)
    return 1 if b.missed else 0


if __name__ == "__main__":
    sys.exit(main())
