#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Mixed load on the REST service for a while: no error, and neither memory nor descriptors grow.

soak.py [SECONDS]
"""
import json
import os
import subprocess
import sys
import threading
import time

from service import Service

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
LOAD = os.path.join(ROOT, "build/release/bench/load")
GROWTH_KIB = 4096  # of what SQLite and malloc keep; a leak of 8 bytes a request is far above


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith("VmRSS:")).split()[1])


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def take_and_give(s, until, totals):
    """Every call of a port's life, over both sockets, with connections that come and go."""
    n = 0
    while time.monotonic() < until:
        for unix in False, True:
            port = s.data("/networking/get_port", unix=unix)["port"]
            assert s.data("/db/is_reserved", unix=unix, resource="PORT", value=port) is True
            assert s.data("/db/release_resource", unix=unix, resource="PORT", value=port) is True
        name = f"w{threading.get_ident()}-{n}"
        offer = s.call("POST", "/v1/services/soak/offers", {"name": name})
        assert offer.status == 201, offer
        path = f"/v1/services/soak/offers/{offer.json['secret']}"
        assert s.call("POST", path + "/accept").status == 201
        assert s.call("DELETE", f"/v1/services/soak/ports/{name}").status == 204
        lease = s.call("POST", "/api/leases", {"resource": "SUBNET", "ttl": 60}, unix=True)
        assert lease.status == 201, lease
        value = lease.json["value"].replace("/", "%2F")
        assert s.call("DELETE", f"/api/leases/SUBNET/{value}", unix=True).status == 204
        assert s.get("/db/reserve").status == 422
        assert s.get("/metrics").status == 200
        n += 1
    totals.append(n * 14)


def guard(function, failures, *args):
    try:
        function(*args)
    except BaseException as e:  # pylint: disable=broad-except
        failures.append(repr(e))


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600
    s = Service(options=["-q"])
    failures, totals = [], []
    try:
        pid = s.process.pid
        s.call("POST", "/v1/services", {"name": "soak", "start": 30000, "end": 30100})
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=guard, args=(take_and_give, failures, s, until, totals))
                   for _ in range(4)]
        reads = subprocess.Popen([LOAD, f"127.0.0.1:{s.port}", "16", str(seconds), "GET",
                                  "/db/is_reserved?resource=PORT&value=#"], stdout=subprocess.PIPE)
        for t in threads:
            t.start()
        time.sleep(min(30, seconds / 4))
        first = resident(pid), descriptors(pid)
        print(f"begins: {first[0]} KiB, {first[1]} descriptors", flush=True)
        while time.monotonic() < until and not failures:
            time.sleep(min(10, max(0, until - time.monotonic())))
        last = resident(pid)
        for t in threads:
            t.join()
        load = json.loads(reads.communicate()[0])
        s.get("/healthz")
        print(f"ends:   {last} KiB, {descriptors(pid)} descriptors; "
              f"{load['requests'] + sum(totals)} requests", flush=True)
        if load["errors"]:
            failures.append(f"{load['errors']} reads failed")
        if last - first[0] > GROWTH_KIB:
            failures.append(f"memory grew by {last - first[0]} KiB")
        # All but the listening sockets and the book are gone with their connections.
        if descriptors(pid) > 24:
            failures.append(f"{descriptors(pid)} descriptors are open")
    finally:
        s.close()
    for f in failures:
        print("failed:", f)
    sys.exit(bool(failures))


main()
