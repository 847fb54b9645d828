#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""labctl killed at every step and at random instants; every request of it failing once.

After a kill, the next ordinary command must leave nothing but what it was asked for. After a failure everything must be
as before, at once, with a message and a documented exit code.
    kill.py [--every N] [--random N] [--seed N] [--only WORD]
"""
import argparse
import itertools
import random
import subprocess
import time

from soaklib import EXIT_CODES, PREFIX, RUN, Tap, World, kill_process, need, ping_through, summary

LAB = f"tk-kill-{RUN}"
FLAVOURS = {"host": (), "isolated": ("--isolated",), "bridged": ()}


def start_args(flavour):
    return ("stage-start", *FLAVOURS[flavour], "bridged" if flavour == "bridged" else "two")


def make_stages(w):
    w.stage("two", "198.18")
    clients = {f"client{i}": {"interfaces": {"eth0": {"network": f"{PREFIX}1", "address": f"198.18.1.{i + 1}"}},
                              "gateway": "198.18.1.1"} for i in (1, 2)}
    clients["client1"]["start"] = ["true"]
    clients["client1"]["ports"] = {"web": 80}
    networks = {f"{PREFIX}1": {"subnet": "198.18.1.0/24", "router": "198.18.1.1"}}
    w.write_stage("bridged", {"title": "A switch", "networks": networks, "clients": clients})


class Killer:
    def __init__(self, world, flavour):
        self.w, self.flavour, self.start = world, flavour, start_args(flavour)
        self.after = itertools.cycle(("stop", "start", "gc", "use"))
        self.recovery = []

    def prepare(self, verb):
        """The lab as the verb should find it. None: it is as it should be already."""
        if verb == "stage-start":
            return self.start
        self.w.must(LAB, *self.start)
        if verb == "repair":
            self.damage()
        return (verb,)

    def damage(self):
        lab, w = LAB, self.w
        subprocess.run(["docker", "rm", "-f", f"labctl-{lab}-client1"], env=w.env, capture_output=True)

    def settle(self, what, told=False):
        """The next ordinary command, and what it leaves; in words what is wrong. told: the user knows of the fault, and
        does more than to use the lab."""
        w, problems = self.w, []
        how = next(self.after)
        if told and how == "use":
            how = next(self.after)
        begin = time.monotonic()
        if how == "start":
            r = w.labctl(LAB, *self.start)
            self.recovery.append(time.monotonic() - begin)
            if r.returncode:
                problems.append(f"{what}: stage-start afterwards: exit code {r.returncode}: {r.stderr}")
            drift = w.labctl(LAB, "--json", "status").stdout
            if r.returncode == 0 and '"drift": []' not in drift:
                problems.append(f"{what}: stage-start afterwards, but: {drift}")
            r = w.labctl(LAB, "stage-stop")
            if r.returncode:
                problems.append(f"{what}: stage-stop after stage-start: exit code {r.returncode}: {r.stderr}")
        elif how == "stop":
            r = w.labctl(LAB, "stage-stop")
            self.recovery.append(time.monotonic() - begin)
            if r.returncode not in (0, 6):
                problems.append(f"{what}: stage-stop afterwards: exit code {r.returncode}: {r.stderr}")
        elif how == "gc":
            r = w.labctl(LAB, "gc")
            self.recovery.append(time.monotonic() - begin)
            if r.returncode:
                problems.append(f"{what}: gc afterwards: exit code {r.returncode}: {r.stderr}")
            problems += self.stop_if_running(what)
        else:  # a verb that only wants to use the lab
            r = w.labctl(LAB, "exec", "client1", "--", "true")
            self.recovery.append(time.monotonic() - begin)
            if r.returncode not in (0, 125):
                problems.append(f"{what}: exec afterwards: exit code {r.returncode}: {r.stderr}")
            problems += self.stop_if_running(what)
        problems += [f"{what}; then {how}: left: {t}" for t in w.left(LAB)]
        if problems:
            w.labctl(LAB, "stage-stop")
            w.labctl(LAB, "gc")
            problems += [f"{what}; even after stage-stop and gc: {t}" for t in w.left(LAB)]
        return problems

    def stop_if_running(self, what):
        """A lab that was whole when its labctl was killed may go on: gc and exec leave it."""
        r = self.w.labctl(LAB, "--json", "status")
        if r.returncode == 6:
            return []
        if r.returncode not in (0, 1) or '"state": "running"' not in r.stdout:
            return [f"{what}: status afterwards: exit code {r.returncode}: {r.stdout}{r.stderr}"]
        r = self.w.labctl(LAB, "stage-stop")
        return [f"{what}: stage-stop of the whole lab: {r.stderr}"] if r.returncode else []

    def die_at(self, verb, n):
        args = self.prepare(verb)
        r = self.w.labctl(LAB, *args, env={"LABCTL_TEST_DIE_AT": str(n)})
        what = f"{verb} ({self.flavour}) killed at point {n}"
        if r.returncode != -9:
            return [f"{what}: was not killed but ended with {r.returncode}: {r.stderr}"] + self.settle(what)
        return self.settle(what)

    def die_after(self, verb, seconds):
        args = self.prepare(verb)
        p = subprocess.Popen(self.w.argv(LAB, *args), env=self.w.env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        kill_process(p)
        return self.settle(f"{verb} ({self.flavour}) killed after {seconds * 1000:.1f} ms")

    def fail_at(self, verb, n):
        args = self.prepare(verb)
        r = self.w.labctl(LAB, *args, env={"LABCTL_TEST_FAIL_AT": str(n)})
        what = f"{verb} ({self.flavour}) with point {n} failing"
        problems = []
        if r.returncode == 0:
            # Some failures do not matter (a hint that could not be had); then the result must be whole.
            self.harmless.append(f"{verb} {n}")
            if verb == "stage-stop":
                return [f"{what}: success, but left: {t}" for t in self.w.left(LAB)] or problems
            drift = self.w.labctl(LAB, "--json", "status").stdout
            if '"drift": []' not in drift:
                problems.append(f"{what}: success, but: {drift}")
            return problems + self.settle(what, told=True)
        if r.returncode not in EXIT_CODES or not r.stderr.startswith("labctl: "):
            problems.append(f"{what}: exit code {r.returncode}: {r.stderr}")
        if "fault on demand" not in r.stderr:
            problems.append(f"{what}: the message does not tell why: {r.stderr}")
        if verb == "stage-start":
            problems += [f"{what}: not rolled back: {t}: {r.stderr}" for t in self.w.left(LAB)]
        return problems + self.settle(what, told=True)


def points(w, k, verb):
    args = k.prepare(verb)
    n = w.count(LAB, *args)
    if verb != "stage-stop":
        w.must(LAB, "stage-stop")
    return n


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--every", type=int, default=1, help="every N-th point only")
    p.add_argument("--random", type=int, default=200, help="random instants")
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--only", default="", help="tests with this word in their name")
    p.add_argument("--flavours", default=",".join(FLAVOURS))
    o = p.parse_args()
    tap = Tap()
    need(tap, "kills")
    seed = o.seed if o.seed is not None else random.randrange(1 << 32)
    dice = random.Random(seed)

    def run(name, problems_of):
        if o.only not in name:
            return
        begin = time.monotonic()
        tap.ok(name, problems_of())
        tap.note(f"{time.monotonic() - begin:.1f} s")

    with World() as w:
        make_stages(w)
        for flavour in o.flavours.split(","):
            k = Killer(w, flavour)
            k.harmless = []
            for verb in ("stage-start", "stage-stop", "repair"):
                n = points(w, k, verb)
                first = dice.randrange(o.every) + 1
                chosen = sorted({*range(first, n + 1, o.every), *((2, 4, n) if o.every > 1 else ())})
                run(f"{verb} ({flavour}) killed at {len(chosen)} of its {n} points",
                    lambda: [t for i in chosen for t in k.die_at(verb, i)])
                run(f"{verb} ({flavour}) with {len(chosen)} of its {n} points failing",
                    lambda: [t for i in chosen for t in k.fail_at(verb, i)])
                if k.harmless:
                    tap.note(f"harmless: {', '.join(k.harmless)}")
                    k.harmless.clear()
            if k.recovery:
                tap.note(f"{flavour}: the next command after {len(k.recovery)} faults: {summary(k.recovery)}")
        k = {f: Killer(w, f) for f in o.flavours.split(",")}
        times = {}
        for f in k:
            times[f, "stage-start"] = w.must(LAB, *k[f].start).seconds
            k[f].damage()
            times[f, "repair"] = w.must(LAB, "repair").seconds
            times[f, "stage-stop"] = w.must(LAB, "stage-stop").seconds

        def random_kills():
            for _ in range(o.random):
                f, verb = dice.choice(list(k)), dice.choice(("stage-start", "stage-start", "stage-stop", "repair"))
                yield from k[f].die_after(verb, dice.uniform(0, times[f, verb]))

        run(f"killed at {o.random} random instants (seed {seed})", lambda: list(random_kills()))
        recovery = [s for f in k for s in k[f].recovery]
        if recovery:
            tap.note(f"the next command after {len(recovery)} kills: {summary(recovery)}")
        w.must(LAB, *start_args("isolated"))
        tap.ok("after all of that a lab starts and works", ping_through(w, LAB, "198.18.2.2"))
        w.must(LAB, "stage-stop")
        tap.ok("nothing is left", w.left())
    tap.end()


main()
