#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each stage's reference is graded again and again, each time with another seed: every verdict is a pass.
    flaky.py [--times N] [--loaded] [--seed N] [STAGE...]
"""
import argparse
import json
import os
import subprocess
import sys
import time

from soaklib import RUN, TREE, Tap, World, kill_process, need, summary

CHECK_LIMIT = 600  # seconds for one grading; far beyond what it takes under load
SPIN = "while True: pass"


class Load:
    """As many busy loops as there are processors."""

    def __init__(self, wanted):
        n = len(os.sched_getaffinity(0)) if wanted else 0
        self.loops = [subprocess.Popen([sys.executable, "-S", "-E", "-c", SPIN]) for _ in range(n)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for loop in self.loops:
            kill_process(loop)


def graded(w, lab, stage, seed):
    """One grading. What is wrong with it, in words, and what it took: seconds, and of each check milliseconds."""
    router = f"python3 {TREE}/tests/routers/{stage}_reference.py"
    r = w.labctl(lab, "--json", "check", "--seed", str(seed), "--run", router, timeout=CHECK_LIMIT)
    try:
        checks = json.loads(r.stdout)["checks"]
    except (ValueError, KeyError):
        return [f"seed {seed}: exit code {r.returncode}: {r.stderr}"], r.seconds, {}
    problems = [f"seed {seed}: {c['id']}: {c['status']} after {c['ms']:.0f} ms: {c['reason']}\n"
                f"  expected {json.dumps(c['expected'])}\n  seen {json.dumps(c['seen'])}"
                for c in checks if c["status"] != "pass"]
    if r.returncode and not problems:
        problems.append(f"seed {seed}: all passed, and yet exit code {r.returncode}: {r.stderr}")
    return problems, r.seconds, {c["id"]: c["ms"] for c in checks}


def soak(tap, w, stage, times, loaded, seed):
    lab, took, slowest = f"tk-{stage}-{RUN}", [], {}
    w.must(lab, "stage-start", "--isolated", stage)
    problems, passed = [], 0
    with Load(loaded):
        for i in range(times):
            wrong, seconds, checks = graded(w, lab, stage, seed + i)
            problems += wrong
            passed += not wrong
            took.append(seconds)
            for name, ms in checks.items():
                slowest[name] = max(ms, slowest.get(name, 0))
    how = "with every processor busy" if loaded else "idle"
    tap.ok(f"{stage}: its reference passes {times} times out of {times}, {how}", problems)
    last = sorted(slowest.items(), key=lambda item: -item[1])[:3]
    tap.note(f"{passed} of {times}; {summary(took)}; slowest checks: "
             + ", ".join(f"{name} {ms:.0f} ms" for name, ms in last))
    w.must(lab, "stage-stop")


def main():
    stages = sorted(n for n in os.listdir(f"{TREE}/stages") if os.path.exists(f"{TREE}/tests/routers/{n}_reference.py"))
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--times", type=int, default=50)
    a.add_argument("--loaded", action="store_true", help="with as many busy loops as there are processors")
    a.add_argument("--seed", type=int, default=int(time.time()), help="of the first grading; each next one adds 1")
    a.add_argument("stages", nargs="*", metavar="STAGE", help=f"default: {' '.join(stages)}")
    o = a.parse_args()
    tap = Tap()
    need(tap, "references, again and again")
    with World() as w:
        w.env["LABCTL_STAGES"] = f"{TREE}/stages"
        for stage in o.stages or stages:
            soak(tap, w, stage, o.times, o.loaded, o.seed)
        tap.ok("nothing is left", [t for t in w.left() if "/grade/" not in t])
    tap.end()


main()
