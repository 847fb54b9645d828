#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Mutants of the reference routers are judged by the checks and by real clients: who fails with a client
must fail a check.
    mutants.py [--stage STAGE]... [--sample N] [--only N] [--report FILE]
"""
import argparse
import json
import os
import queue
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

from mutate import Mutants
from oracle import LIMITS, Oracle
from soaklib import RUN, TREE, Tap, World, need

CHECK_LIMIT = 300  # seconds for one grading
STAGES = sorted(n for n in os.listdir(f"{TREE}/stages") if os.path.exists(f"{TREE}/tests/routers/{n}_reference.py"))
BAD = ("fail", "error")
NOT_GRADED = "(not graded)"


def graded(world, lab, path, seed):
    """The ids of the checks that a program fails, in their order; all there is to show."""
    command = f"sh -c {shlex.quote(f'{LIMITS}; exec python3 {path}')}"
    try:
        r = world.labctl(lab, "--json", "check", "--seed", str(seed), "--run", command, timeout=CHECK_LIMIT)
    except subprocess.TimeoutExpired:
        return [NOT_GRADED], f"not done in {CHECK_LIMIT} seconds"
    try:
        checks = json.loads(r.stdout)["checks"]
    except (ValueError, KeyError):
        return [NOT_GRADED], r.stderr or r.stdout
    failed = [c["id"] for c in checks if c["status"] in BAD]
    if r.returncode and not failed:
        return [NOT_GRADED], r.stderr or r.stdout
    return failed, "\n".join(f"{c['id']}: {c['status']}: {c['reason']}" for c in checks if c["status"] in BAD)


class Worker(threading.Thread):
    """One lab, and the mutants it has time for."""

    def __init__(self, task, name):
        super().__init__()
        self.task, self.lab, self.failure = task, name, None

    def run(self):
        try:
            self.task.world.must(self.lab, "stage-start", "--isolated", self.task.stage)
            self.oracle = Oracle(self.task.world, self.lab, self.task.stage)
            while not self.task.stop.is_set():
                self.task.judged(self.judge(self.task.todo.get_nowait()))
        except queue.Empty:
            pass
        except Exception as e:  # the main thread raises it
            self.failure = e
            self.task.stop.set()
        finally:
            self.task.world.labctl(self.lab, "stage-stop")

    def judge(self, mutant):
        o = self.task.options
        begin = time.monotonic()
        path = self.task.mutants.write(mutant, f"{self.task.world.dir}/src/{self.lab}-{mutant and mutant.number}")
        failed, told_of = graded(self.task.world, self.lab, path, o.seed)
        begin, check_seconds = time.monotonic(), time.monotonic() - begin
        noticed = None if failed and o.quick else self.oracle.judge(path)
        once = None
        if mutant and noticed and not failed:  # only what is so each time is a hole
            for seed in (o.seed + 1, o.seed + 2):
                failed = failed or graded(self.task.world, self.lab, path, seed)[0]
            once, noticed = noticed, self.oracle.judge(path) and self.oracle.judge(path)
        return {"mutant": mutant, "failed": failed, "told": told_of, "noticed": noticed, "earlier": [],
                "once": None if noticed else once,
                "check_seconds": round(check_seconds, 2), "oracle_seconds": round(time.monotonic() - begin, 2)}


class Run:
    """All mutants of one stage."""

    def __init__(self, world, stage, options, stop):
        self.world, self.stage, self.options, self.stop = world, stage, options, stop
        self.mutants = Mutants(stage)
        self.todo, self.results, self.lock = queue.Queue(), [], threading.Lock()
        chosen = self.mutants.sample(options.sample, options.seed)
        if options.only:
            chosen = [m for m in self.mutants.all if m.number in options.only]
        if options.times:
            chosen = [None] * options.times
        for m in chosen:
            self.todo.put(m)
        self.count = len(chosen)

    def judged(self, result):
        with self.lock:
            if self.stop.is_set():  # what interrupts us interrupts the clients' programs, too
                return
            self.results.append(result)
            if self.options.only or self.options.verbose:
                Tap.note(f"[{len(self.results)}/{self.count}] {told(result)}\n  {result['told']}")

    def work(self):
        workers = [Worker(self, f"mut-{RUN}-{self.stage}-{i}") for i in range(min(self.options.jobs, self.count))]
        for w in workers:
            w.start()
        for w in workers:
            while w.is_alive():  # a join without limit hears no signal
                w.join(0.2)
        for w in workers:
            if w.failure:
                raise w.failure
        self.ask_earlier()
        self.results.sort(key=lambda r: r["mutant"] or 0)

    def ask_earlier(self):
        """What passed here and failed with clients: do the checks of an earlier stage know it?"""
        holes = [r for r in self.results if r["mutant"] and r["noticed"] and not r["failed"]]
        for stage in [s for s in STAGES if s < self.stage] if holes else []:
            lab = f"mut-{RUN}-{self.stage}-{stage}"
            self.world.must(lab, "stage-start", "--isolated", stage)
            for r in holes:
                path = self.mutants.write(r["mutant"], f"{self.world.dir}/src/{lab}-{r['mutant'].number}")
                r["earlier"] += [f"{stage}:{name}" for name in graded(self.world, lab, path, self.options.seed)[0]]
            self.world.must(lab, "stage-stop")


def told(result):
    m = result["mutant"]
    what = "the reference" if m is None else (
        f"{m.number} {m.file}:{m.line} {m.function} ({m.rule}): {shown(m.before)}  ->  {shown(m.after)}")
    earlier = f"; of an earlier stage it fails {' '.join(result['earlier'])}" if result["earlier"] else ""
    return (f"{what}\n  failed: {' '.join(result['failed']) or 'none'}; "
            f"noticed: {result['noticed'] or 'nothing'}{earlier} "
            f"({result['check_seconds']} s, {result['oracle_seconds']} s)")


def shown(text):
    text = " ".join(text.split())
    return text if len(text) < 160 else f"{text[:100]} ... {text[-55:]}"


def report(tap, run):
    """What it says of one stage; its part of the report file."""
    results = run.results
    if run.options.times:
        tap.ok(f"{run.stage}: its reference passes {run.count} times, checks and clients",
               [told(r) for r in results if r["failed"] or r["noticed"]])
        return {}
    kinds = {(True, True): [], (True, False): [], (False, True): [], (False, False): []}
    for r in results:
        kinds[bool(r["failed"]), bool(r["noticed"])].append(r)
    tap.ok(f"{run.stage}: each mutant is graded, in time",
           [f"{told(r)}\n  {r['told']}" for r in results if NOT_GRADED in r["failed"]])
    silent, earlier = kinds[False, False], [r for r in kinds[False, True] if r["earlier"]]
    holes = [r for r in kinds[False, True] if not r["earlier"]]
    killed, noticed = len(kinds[True, True]) + len(kinds[True, False]), len(kinds[True, True]) + len(kinds[False, True])
    tap.ok(f"{run.stage}: what a client notices of a mutant, a check notices", [told(r) for r in holes])
    tap.note(f"{run.stage}: {len(results)} of {len(run.mutants.all)} mutants; {killed} killed by checks, "
             f"{noticed} noticed by clients, {len(kinds[True, False])} killed though "
             f"no client noticed{' (not asked)' if run.options.quick else ''}, {len(silent)} that nobody noticed, "
             f"{len(earlier)} noticed that only an earlier stage's checks know, {len(holes)} holes")
    shares = {}
    first = Counter(r["failed"][0] for r in results if r["failed"])
    for name, n in Counter(i for r in results for i in set(r["failed"])).most_common():
        shares[name] = {"first": first[name], "any": n, "share": round(n / max(1, killed), 3)}
        tap.note(f"  {name:28} fails {n:4} ({100 * n / killed:5.1f} % of the killed), first {first[name]:4}")
    for r in earlier:
        tap.note(told(r))
    tap.note("survived, and no client noticed:")
    for r in silent:
        tap.note(f"  {told(r).splitlines()[0]}{' (noticed once: ' + r['once'] + ')' if r['once'] else ''}")
    return {"stage": run.stage, "mutants": len(run.mutants.all), "tried": len(results), "killed": killed,
            "noticed": noticed, "checks": shares, "seed": run.options.seed,
            "holes": [plain(r) for r in holes], "earlier": [plain(r) for r in earlier],
            "unnoticed": [plain(r) for r in silent],
            "killed_unnoticed": [plain(r) for r in kinds[True, False]],
            "killed_noticed": [plain(r) for r in kinds[True, True]]}


def plain(result):
    m = result["mutant"]
    return {**{k: getattr(m, k) for k in ("number", "file", "line", "function", "rule", "before", "after")},
            **{k: v for k, v in result.items() if k != "mutant"}}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--stage", action="append", choices=STAGES, help=f"default: {' '.join(STAGES)}")
    a.add_argument("--sample", type=int, default=300, help="how many of a stage's mutants (default 300)")
    a.add_argument("--seed", type=int, default=1, help="of the sample and of the gradings (default 1)")
    a.add_argument("--only", type=int, action="append", help="this mutant alone, with all that it failed")
    a.add_argument("--times", type=int, help="instead of mutants, the reference itself, so many times")
    a.add_argument("--jobs", type=int, default=4, help="labs at once (default 4)")
    a.add_argument("--quick", action="store_true", help="ask the clients only where all checks passed")
    a.add_argument("--verbose", action="store_true", help="tell of each mutant")
    a.add_argument("--report", help="a file for all of it, in JSON")
    o = a.parse_args()
    tap, stop, found = Tap(), threading.Event(), []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    need(tap, "mutants of the references")
    with World() as w:
        w.env.update(LABCTL_STAGES=f"{TREE}/stages", PYTHONDONTWRITEBYTECODE="1")
        for stage in o.stage or STAGES:
            if not stop.is_set():
                run = Run(w, stage, o, stop)
                run.work()
                found.append(report(tap, run))
        if o.report:
            with open(o.report, "w", encoding="utf-8") as f:
                json.dump(found, f, indent=1)
        if stop.is_set():
            tap.ok("all mutants are judged", ["interrupted"])
        tap.ok("nothing is left", [t for t in w.left() if "/grade/" not in t])
    tap.end()


if __name__ == "__main__":
    main()
