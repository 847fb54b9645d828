# SPDX-License-Identifier: MIT
"""The lease book in Redis: the same pages as SQLite's, at the cost of a page; books of earlier versions."""
import json
import os
import re
import socket
import subprocess

from service import LABCTL, Redis, Service, equal, main, true

PLACE = os.path.dirname(os.path.abspath(__file__))
UNIT = os.path.join(PLACE, "../../build/release/unit")


def redis_do(redis, commands):
    """What it answers to each; in database 3, which Redis.url() names."""
    with socket.create_connection(("127.0.0.1", redis.port), 10) as s, s.makefile("rb") as f:
        text = b""
        for command in (("SELECT", 3), *commands):
            text += b"*%d\r\n" % len(command)
            for w in command:
                w = str(w).encode()
                text += b"$%d\r\n%s\r\n" % (len(w), w)
        s.sendall(text)
        return [read_reply(f) for _ in range(len(commands) + 1)][1:]


def read_reply(f):
    line = f.readline().decode().rstrip("\r\n")
    kind, rest = line[0], line[1:]
    if kind == "$":
        return f.read(int(rest) + 2)[:-2].decode() if int(rest) >= 0 else None
    if kind == "*":
        return [read_reply(f) for _ in range(int(rest))]
    return int(rest) if kind == ":" else rest


def take(s, resource, value, owner="token:t", ttl=None):
    words = ["netport", "acquire", resource, str(value), "--owner", owner]
    s.run(*words, *(["--ttl", str(ttl)] if ttl else []))


def pages_are_those_of_sqlite():
    redis = Redis()
    one, two = Service(), Service(redis.url())
    try:
        for s in one, two:
            for value in 9, 10, 100, 11:
                take(s, "PORT", 20000 + value, "anna")
                take(s, "PORT.X", value, "bert")
                take(s, "VNI", value, "anna")
            for resource, value in (("SUBNET", "10.7.0.0/16"), ("SUBNET", "10.10.0.0/16"),
                                    ("RACK", " a  b"), ("RACK", "ä:1"), ("RACK", "-"), ("RACK", "A 0"),
                                    ("IDEMPOTENCY", "x"), ("PORTMASTER", "y"), ("A", "11"), ("_", "11")):
                take(s, resource, value, "bert:1")
        for query in ("", "limit=1", "limit=5&offset=3", "limit=100&offset=21", "offset=22", "offset=99999999999999999",
                      "resource=PORT", "resource=PORT&limit=2&offset=1", "resource=PORT.X", "resource=PORT.",
                      "resource=IDEMPOTENCY", "resource=RACK%200", "resource=", "value=", "owner=", "owner=anna",
                      "owner=anna&offset=3&limit=3", "owner=bert%3A1&limit=4", "owner=anna&resource=VNI",
                      "value=11", "value=11&limit=1&offset=2", "value=11&resource=VNI", "value=x",
                      "value=11&owner=anna", "value=%20a%20%20b", "mine=1", "value=*", "resource=[A-Z]"):
            pages = []
            for s in one, two:
                page = s.get("/api/leases?" + query, unix=True).json
                for l in page["leases"]:
                    del l["created"], l["id"]
                pages.append(page)
            equal(pages[1], pages[0], query)
        lists = [s.run("netport", "list", "--json").stdout for s in (one, two)]
        lists = [re.sub(r'"(created|id)": [^\n]*', "", text) for text in lists]
        equal(lists[1], lists[0])
        one.run("netport", "release", "--owner", "bert")
        two.run("netport", "release", "--owner", "bert")
        equal([s.get("/api/leases", unix=True).json["total"] for s in (one, two)], [16, 16])
    finally:
        one.close()
        two.close()
        redis.close()


NOBODY = 65534


def old_book(redis, leases):
    """As version 1 wrote it: (resource, value, owner, uid, expires, note); its first form had no sets by uid."""
    commands = []
    for i, (resource, value, owner, uid, expires, note) in enumerate(leases, 1):
        lease = {"id": i, "resource": resource, "value": str(value), "owner": owner, "uid": uid, "note": note,
                 "created": 1700000000000 + i, "expires": expires, "bound": 0, "host": "", "boot_id": "", "pid": 0,
                 "start": 0}
        field = f"{resource}:{value}"
        if resource == "PORT":
            lease["number"] = value
            commands.append(("SETBIT", "labctl:bits:PORT", value, 1))
        if resource == "SUBNET":
            lease.update(lo="40a070000", hi="40a07ffff")
            commands.append(("ZADD", "labctl:extent:SUBNET", 0, f"40a070000 40a07ffff {value}"))
        if expires:
            commands.append(("ZADD", "labctl:expires", expires, field))
        commands.append(("HSET", "labctl:leases", field, json.dumps(lease)))
        commands.append(("SADD", "labctl:owner:" + owner, field))
        if i % 2:
            commands.append(("SADD", f"labctl:uid:{uid}", field))
    commands.append(("SET", "labctl:id", len(leases)))
    redis_do(redis, commands)


def a_page_costs_no_more_than_itself():
    """Of 3000 leases of an old book, ten are read: Redis counts what it is asked for."""
    redis = Redis()
    old_book(redis, [("PORT", 20000 + i, "alice", 64001, 0, "") for i in range(3000)])
    s = Service(redis.url())
    try:
        page = s.get("/api/leases?limit=10&offset=2000", unix=True).json
        equal((page["total"], [l["value"] for l in page["leases"]]),
              (3000, [str(22000 + i) for i in range(10)]))
        for query in "offset=2000", "resource=PORT", "owner=alice", "value=22000", "value=22000&resource=PORT":
            redis_do(redis, [("CONFIG", "RESETSTAT")])
            s.get("/api/leases?limit=10&" + query, unix=True)
            stats = redis_do(redis, [("INFO", "all")])[0]
            calls = {name.lower(): int(n) for name, n in re.findall(r"cmdstat_(\w+):calls=(\d+)", stats)}
            true(sum(calls.values()) < 30, (query, calls))
            true(not {"hgetall", "hvals", "hkeys"} & set(calls), (query, calls))
            sent = re.search(r"total_net_output_bytes:(\d+)", stats)[1]
            true(int(sent) < 10000, (query, sent))
    finally:
        s.close()
        redis.close()


def a_book_of_the_version_before_is_brought_up_to_date():
    redis = Redis()
    old_book(redis, [("PORT", 20009, "alice", 64001, 0, "web"), ("PORT", 20010, "bert", 64002, 0, ""),
                     ("SUBNET", "10.7.0.0/16", "alice", 64001, 0, ""),
                     ("RACK", "gone", "alice", 64001, 1700000000000, ""),
                     ("PORT", 20011, "portmaster:x", NOBODY, 0, '{"secret":"s"}')] +
             [("RACK", f"r{i}", "token:ci", NOBODY, 0, "") for i in range(1000)])
    s = Service(redis.url())
    try:
        page = s.get("/api/leases?owner=alice", unix=True).json
        equal([(l["id"], l["resource"], l["value"], l["note"]) for l in page["leases"]],
              [(1, "PORT", "20009", "web"), (3, "SUBNET", "10.7.0.0/16", "")])
        equal(s.get("/api/leases?limit=1", unix=True).json["total"], 1003)
        # Still theirs, and counted.
        for words, why in ((("PORT", "20010"), r"port '20010' is leased to 'bert' since .*"),
                           (("SUBNET", "10.7.3.0/24"), r"subnet '10.7.3.0/24' .*'10.7.0.0/16'.* 'alice'.*")):
            done = s.run("netport", "acquire", *words, check=False)
            true(done.returncode == 5 and re.search(why, done.stderr), done)
        take(s, "PORT", 20011)
        ci = {"Authorization": "Bearer " + s.token("ci", "lease")}
        r = s.call("POST", "/api/leases", {"resource": "RACK", "value": "one more"}, ci)
        equal(r.json["error"]["message"], "'token:ci' holds 1000 leases, and may have no more", r)
        # An owner's name chosen by another user does not count against him.
        equal(s.call("DELETE", "/api/leases/RACK/r7", headers=ci).status, 204)
        take(s, "RACK", "not ci's", "token:ci")
        r = s.call("POST", "/api/leases", {"resource": "RACK", "value": "one more"}, ci)
        equal(r.status, 201, r)
        # The labctl of that time fails before it changes anything.
        for command in ("HGET", "labctl:leases", "PORT:1"), ("HSET", "labctl:leases", "PORT:1", "{}"):
            true(redis_do(redis, [command])[0].startswith("WRONGTYPE"), command)
        for owner in "alice", "bert", "token:ci", "token:t":
            s.run("netport", "release", "--owner", owner)
        equal(s.get("/api/leases", unix=True).json, {"leases": [], "total": 0})
        left = redis_do(redis, [("KEYS", "labctl:*")])[0]
        equal(sorted(left), ["labctl:bits:PORT", "labctl:id", "labctl:leases"])
    finally:
        s.close()
        redis.close()


def a_book_that_cannot_be_brought_up_to_date_is_left_as_it_is():
    redis = Redis()
    env = {**os.environ, "LABCTL_STORE": redis.url()}
    book = f"the lease book at '{redis.url()}'"
    try:
        for commands, why in (
                ([("SET", "labctl:leases", "3")],
                 f"labctl: {book} has version 3, this labctl knows up to 2\n"
                 "        it was left as it is; use the newer labctl that wrote it\n"),
                ([("DEL", "labctl:leases"), ("HSET", "labctl:leases", "PORT:1", "{"),
                  ("SADD", "labctl:owner:a", "PORT:1")],
                 f"labctl: {book} cannot be brought up to date: ")):
            redis_do(redis, commands)
            before = redis_do(redis, [("TYPE", "labctl:leases"), ("KEYS", "*")])
            for words in ("list",), ("acquire", "RACK", "1"):
                done = subprocess.run([LABCTL, "netport", *words], env=env, capture_output=True, text=True)
                true(done.returncode == 3 and done.stderr.startswith(why), done)
            equal(redis_do(redis, [("TYPE", "labctl:leases"), ("KEYS", "*")]), before)
    finally:
        redis.close()


def what_leases_mean_holds_in_redis():
    """The unit test of leases, on this store."""
    redis = Redis()
    try:
        done = subprocess.run([os.path.join(UNIT, "test_netport_lease")], capture_output=True, text=True, timeout=120,
                              env={**os.environ, "LABCTL_TEST_STORE": redis.url()})
        equal(done.returncode, 0, done.stdout + done.stderr)
    finally:
        redis.close()


main([pages_are_those_of_sqlite, a_page_costs_no_more_than_itself, a_book_of_the_version_before_is_brought_up_to_date,
      a_book_that_cannot_be_brought_up_to_date_is_left_as_it_is, what_leases_mean_holds_in_redis])
