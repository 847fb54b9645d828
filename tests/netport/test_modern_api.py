# SPDX-License-Identifier: MIT
"""labctl's own API: leases, pools, labs, and the description of all calls."""
import json
import os
import re
import subprocess
import sys

from service import LABCTL, Service, Skip, equal, free_port, free_ports, main, true, wait_for


class Caller:
    """Calls with a token over TCP."""

    def __init__(self, s, name, scope="lease"):
        self.s, self.name = s, "token:" + name
        self.headers = {"Authorization": "Bearer " + s.token(name, scope)}

    def __call__(self, method, path, body=None, **headers):
        return self.s.call(method, path, body, {**self.headers, **headers})

    def lease(self, status=201, key=None, **body):
        headers = {"Idempotency-Key": key} if key else {}
        r = self("POST", "/api/leases", body, **headers)
        equal(r.status, status, r)
        return r.json


def error(r, status, kind, message):
    equal((r.status, r.json["error"]["kind"], r.json["error"]["message"]),
          (status, kind, message))


def a_lease_is_taken_read_renewed_released(s):
    ci = Caller(s, "ci")
    port = free_port()
    l = ci.lease(resource="PORT", value=port, ttl=60, note="web")
    equal([l[k] for k in ("resource", "value", "owner", "note", "bound")],
          ["PORT", str(port), "token:ci", "web", "none"])
    true(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", l["created"]), l)
    true(l["expires"] > l["created"], l)
    path = f"/api/leases/PORT/{port}"
    equal(ci("GET", path).json, l)
    longer = ci("POST", path + "/renew", {"ttl": 7200})
    equal(longer.status, 200, longer)
    true(longer.json["expires"] > l["expires"])
    equal(ci("POST", path + "/renew", {}).json["expires"], None)
    equal(ci("DELETE", path).status, 204)
    error(ci("DELETE", path), 404, "not_found", f"port '{port}' is not leased")
    error(ci("GET", path), 404, "not_found", f"nobody holds port '{port}'")
    error(ci("POST", path + "/renew", {"ttl": 1}), 404, "not_found", f"port '{port}' is not leased")


def curl_s_default_type_is_forgiven(s):
    """`curl -d '{…}'` calls any body a form."""
    token = {"Authorization": "Bearer " + s.token("curl", "lease"),
             "Content-Type": "application/x-www-form-urlencoded"}
    r = s.call("POST", "/api/leases", '{"resource": "RACK", "value": "1"}', token)
    equal((r.status, r.json["value"]), (201, "1"))
    r = s.call("POST", "/api/leases", "resource=RACK&value=2", token)
    equal((r.status, r.json["value"]), (201, "2"))


def any_value_of_a_range_or_the_pool(s):
    ci = Caller(s, "ci")
    got = [ci.lease(resource="RACK", range="r{1-3}", order="lowest")["value"] for _ in range(3)]
    equal(got, ["r1", "r2", "r3"])
    error(ci("POST", "/api/leases", {"resource": "RACK", "range": "r{1-3}"}), 409, "conflict",
          "no RACK of 'r{1-3}' is free")
    first = free_ports(11)
    eleven = {"resource": "PORT", "range": f"{first}-{first + 10}"}
    equal(ci.lease(**eleven, order="lowest")["value"], str(first))
    equal(ci.lease(**eleven, prefer=first + 7)["value"], str(first + 7))
    true(ci.lease(**eleven, prefer=first + 7)["value"] != str(first + 7))
    true(20000 <= int(ci.lease(resource="PORT")["value"]) <= 29999)
    true(ci.lease(resource="SUBNET")["value"].endswith("/24"))
    r = ci("POST", "/api/leases", {"resource": "RACK"})
    error(r, 404, "not_found", "RACK has no pool")


def a_port_is_free_again_when_its_lease_has_expired(s):
    ci = Caller(s, "ci")
    first = free_ports(2)
    both = f"{first}-{first + 1}"
    some = {"resource": "PORT", "range": both, "order": "lowest"}
    equal(ci.lease(**some)["value"], str(first))
    # Named, and one that was found: both expire, by acquiring and by renewing.
    ci.lease(resource="PORT", value=first + 1, ttl=3600)
    error(ci("POST", "/api/leases", some), 409, "conflict", f"no port of '{both}' is free")
    for port in first + 1, first:
        equal(ci("POST", f"/api/leases/PORT/{port}/renew", {"ttl": 0.2}).status, 200)
        wait_for("the port is free", lambda: ci("POST", "/api/leases", some).status == 201)
        equal(ci("GET", f"/api/leases/PORT/{port}").json["expires"], None)
    ci("DELETE", f"/api/leases/PORT/{first}")
    ci.lease(resource="PORT", value=first, ttl=0.2)
    wait_for("the port is free", lambda: ci("POST", "/api/leases", some).status == 201)


def what_is_held_or_in_use_is_refused(s):
    ci, other = Caller(s, "ci"), Caller(s, "other")
    l = ci.lease(resource="SUBNET", value="10.9.0.0/16")
    r = other("POST", "/api/leases", {"resource": "SUBNET", "value": "10.9.1.0/24"})
    equal(r.status, 409, r)
    true(r.json["error"]["message"].startswith(
        "subnet '10.9.1.0/24' overlaps '10.9.0.0/16', which is leased to 'token:ci' since"), r)
    for method, path in ("DELETE", ""), ("POST", "/renew"):
        r = other(method, "/api/leases/SUBNET/10.9.0.0%2F16" + path, {} if path else None)
        equal((r.status, r.json["error"]["kind"]), (409, "conflict"), r)
    equal(ci("GET", "/api/leases/SUBNET/10.9.0.0%2F16").json, l)
    r = ci("POST", "/api/leases", {"resource": "PORT", "value": s.port})
    error(r, 409, "conflict", f"port '{s.port}' is in use: a program uses it")
    ci.lease(resource="PORT", value=s.port, check=False)
    r = Caller(s, "boss", "admin")("POST", "/api/leases", {"resource": "INTERFACE", "value": "lo"})
    error(r, 409, "conflict", "interface 'lo' is in use: it exists")


def bad_requests_say_what_is_wrong(s):
    ci = Caller(s, "ci")
    for body, message in [
            ({}, "'resource' is missing"), ({"resource": 1}, "'resource' is a text"),
            ({"resource": "port"}, "'port' is not the name of a resource"),
            ({"resource": "PORT", "value": "x"}, "not a value of PORT: 'x' is not a number"),
            ({"resource": "PORT", "value": []}, "'value' is a text or a whole number"),
            ({"resource": "PORT", "ttl": -1}, "'ttl' is a number of seconds, more than 0"),
            ({"resource": "PORT", "ttl": "1"}, "'ttl' is a number of seconds, more than 0"),
            ({"resource": "PORT", "owner": "me"}, "there is no 'owner' in this request"),
            ({"resource": "PORT", "order": "x"}, "'order' is 'lowest' or 'spread'"),
            ({"resource": "PORT", "prefer": 22, "range": "1-10"}, "port '22' is not in '1-10'"),
            ({"resource": "RACK", "prefer": "s1", "range": "r{1-3}"},
             "RACK 's1' is not in 'r{1-3}'"),
            ({"resource": "PORT", "value": 1, "range": "1-2"},
             "'value' asks for one; 'range' and 'prefer' for any"),
            ({"resource": "PORTMASTER", "value": "x"}, "'PORTMASTER' is kept by the service itself"),
            ({"resource": "PATH", "value": "/x\u0000y"}, "the body is not JSON: ")]:
        r = ci("POST", "/api/leases", body)
        equal(r.status, 400, r)
        true(r.json["error"]["message"].startswith(message), (r, message))
    r = ci("POST", "/api/leases", "{")
    true(r.status == 400 and r.json["error"]["message"].startswith("the body is not JSON: "), r)
    r = ci("POST", "/api/leases", '{"resource": "PORT", "resource": "VNI"}')
    true(r.status == 400 and "duplicate" in r.json["error"]["message"], r)
    error(ci("GET", "/api/leases?limit=x"), 400, "bad_request",
          "parameter 'limit': value is not a valid integer")
    error(ci("GET", "/api/nothing"), 404, "not_found", "there is nothing at this path")
    r = ci("DELETE", "/api/leases")
    error(r, 405, "method_not_allowed", "this path answers GET, POST")


def an_idempotency_key_makes_a_request_safe_to_repeat(s):
    ci, other = Caller(s, "ci"), Caller(s, "other")
    first = ci.lease(key="k1", resource="PORT", ttl=60)
    equal(ci.lease(key="k1", resource="PORT", ttl=60), first)
    true(ci.lease(key="k2", resource="PORT", ttl=60)["value"] != first["value"])
    true(other.lease(key="k1", resource="PORT", ttl=60)["value"] != first["value"])
    r = ci("POST", "/api/leases", {"resource": "PORT"}, **{"Idempotency-Key": "k1"})
    equal((r.status, r.json["error"]["message"]),
          (422, "this idempotency key came with another request before"))
    equal(ci("DELETE", f"/api/leases/PORT/{first['value']}").status, 204)
    r = ci("POST", "/api/leases", {"resource": "PORT", "ttl": 60}, **{"Idempotency-Key": "k1"})
    error(r, 409, "conflict",
          f"what this idempotency key got, port '{first['value']}', has been given back")
    equal(len(ci("GET", "/api/leases").json["leases"]), 2)


def lists_can_be_filtered_and_paged(s):
    ci, other = Caller(s, "ci"), Caller(s, "other")
    for i in range(5):
        ci.lease(resource="RACK", value=f"r{i}")
    other.lease(resource="RACK", value="r9")
    other.lease(resource="VNI", value=7)

    def values(query):
        return [l["value"] for l in ci("GET", "/api/leases?" + query).json["leases"]]
    equal(values("resource=RACK"), ["r0", "r1", "r2", "r3", "r4", "r9"])
    equal(values("mine=true"), ["r0", "r1", "r2", "r3", "r4"])
    equal(values("owner=token:other"), ["r9", "7"])
    equal(values("resource=RACK&value=r3"), ["r3"])
    page = ci("GET", "/api/leases?resource=RACK&limit=2&offset=3").json
    equal([l["value"] for l in page["leases"]], ["r3", "r4"])
    equal(page["total"], 6)


def a_lease_ends_at_its_time(s):
    ci = Caller(s, "ci")
    ci.lease(resource="RACK", value="r1", ttl=0.2)
    wait_for("it is free again", lambda: ci("GET", "/api/leases/RACK/r1").status == 404)
    ci.lease(resource="RACK", value="r1")


def pools_are_read_and_set(s):
    ci, admin = Caller(s, "ci"), Caller(s, "boss", "admin")
    pools = {p["resource"]: p for p in ci("GET", "/api/pools").json["pools"]}
    equal(pools["PORT"], {"resource": "PORT", "range": "20000-29999", "size": 10000,
                          "builtin": True})
    error(ci("PUT", "/api/pools/PORT", {"range": "30000-30009"}), 403, "forbidden",
          "'token:ci' may not do this: it takes the scope 'admin'")
    r = admin("PUT", "/api/pools/PORT", {"range": "30000-30009"})
    equal((r.status, r.json["range"], r.json["builtin"]), (200, "30000-30009", False))
    true(30000 <= int(ci.lease(resource="PORT")["value"]) <= 30009)
    true(30000 <= s.data("/networking/get_port")["port"] <= 30009)
    r = admin("PUT", "/api/pools/PORT", {"range": "x"})
    true(r.status == 400 and r.json["error"]["message"].startswith("'x' is not a range of PORT"), r)
    equal(admin("DELETE", "/api/pools/PORT").status, 204)
    equal(ci("GET", "/api/pools/PORT").json["range"], "20000-29999")
    equal(ci("GET", "/api/pools/RACK").status, 404)


def labs_and_what_they_hold(s):
    ci, admin = Caller(s, "ci"), Caller(s, "boss", "admin")
    equal(ci("GET", "/api/labs").json, {"labs": []})
    for words in ("LAB", "demo", "--note", "stage1"), ("INTERFACE", "net77", "--used-ok"):
        s.run("netport", "acquire", *words, "--owner", "lab:demo")
    labs = ci("GET", "/api/labs").json["labs"]
    equal([(l["name"], l["stage"], [x["value"] for x in l["leases"]]) for l in labs],
          [("demo", "stage1", ["net77"])])
    equal(ci("GET", "/api/labs/demo").json, labs[0])
    error(ci("GET", "/api/labs/none"), 404, "not_found", "there is no lab 'none'")
    error(admin("DELETE", "/api/leases/INTERFACE/net77"), 409, "conflict",
          "'net77' is a lab's: it ends when that lab is stopped")
    # A name that somebody keeps is no lab.
    equal(s.data("/db/reserve", unix=True, resource="LAB", value="kept"), True)
    equal(ci("GET", "/api/labs").json["labs"], labs)
    error(ci("GET", "/api/labs/kept"), 404, "not_found", "there is no lab 'kept'")
    r = s.get("/db/release_client", unix=True, client="lab:demo")
    equal((r.status, r.json["detail"]), (403, "what a lab holds ends when that lab is stopped"))


def the_command_line_and_the_service_share_one_book(s):
    ci = Caller(s, "ci")
    l = ci.lease(resource="RACK", value="r1")
    done = s.run("netport", "acquire", "RACK", "r1", check=False)
    equal(done.returncode, 5, done.stderr)
    true("RACK 'r1' is leased to 'token:ci' since" in done.stderr, done.stderr)
    s.run("netport", "acquire", "RACK", "r2", "--ttl", "1h")
    r = ci("POST", "/api/leases", {"resource": "RACK", "value": "r2"})
    equal(r.status, 409, r)
    s.run("netport", "release", "RACK", l["value"])
    equal(ci("GET", "/api/leases/RACK/r1").status, 404)
    # Also what the service remembers of ports.
    first = free_ports(2)
    s.run("netport", "pool", "PORT", f"{first}-{first + 1}")
    got = {int(s.run("netport", "acquire", "PORT", str(first), "--used-ok").stdout),
           s.data("/networking/get_port")["port"]}
    equal(got, {first, first + 1})
    s.run("netport", "release", "PORT", str(first))
    equal(ci.lease(resource="PORT", check=False, value=first)["value"], str(first))


def health_metrics_whoami(s):
    r = s.get("/healthz")
    equal((r.status, r.json["status"]), (200, "ok"))
    s.data("/db/reserve", resource="RACK", value="1")
    r = s.get("/metrics")
    equal(r.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
    lines = r.body.decode().splitlines()
    true('labctl_netport_requests_total{api="netport",status="2xx"} 1' in lines, lines)
    for line in lines:
        true(line.startswith("# ") or
             re.fullmatch(r'labctl_netport_\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [0-9.e+-]+', line),
             line)
    equal(Caller(s, "ci")("GET", "/api/whoami").json,
          {"owner": "token:ci", "uid": 65534, "scopes": "read,lease"})
    equal(s.get("/api/whoami", unix=True).json["uid"], os.geteuid())


def description():
    done = subprocess.run([LABCTL, "netport", "openapi"], capture_output=True, text=True,
                          check=True)
    return json.loads(done.stdout)


def replies_fit_the_description(s):
    try:
        import jsonschema
    except ImportError:
        raise Skip("python3-jsonschema is not installed") from None
    doc = s.get("/openapi.json").json
    equal(doc, description())
    root = Caller(s, "boss", "admin")
    s.call("POST", "/v1/services", {"name": "x", "start": 17000, "end": 17010})
    s.call("POST", "/v1/services/x/offers", {"name": "a"})
    secret = s.call("POST", "/v1/services/x/offers", {"name": "b"}).json["secret"]
    s.call("POST", f"/v1/services/x/offers/{secret}/accept")
    third = s.call("POST", "/v1/services/x/offers", {"name": "c"}).json["secret"]
    root.lease(resource="RACK", value="r1")
    s.run("netport", "acquire", "LAB", "demo", "--owner", "lab:demo")
    given = {"{resource}/{value}": "RACK/r1", "pools/{resource}": "pools/PORT",
             "{name}": "x", "{service}": "x", "{secret}": third, "{port}": "b"}
    query = {"resource": "RACK", "value": "r1", "port": "1", "path": "/", "name": "labctl"}
    tried = 0
    for path, item in doc["paths"].items():
        op = item.get("get")
        if not op or path in ("/docs", "/metrics") or "release" in path or "command" in str(op["parameters"]):
            continue
        target = path.replace("/labs/{name}", "/labs/demo")
        for name, value in given.items():
            target = target.replace(name, value)
        words = [f"{p['name']}={query[p['name']]}" for p in op["parameters"] if p["in"] == "query"
                 and p["required"]]
        r = root("GET", target + ("?" + "&".join(words) if words else ""))
        equal(r.status, 200, (target, r))
        schema = op["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.Draft202012Validator({**schema, "components": doc["components"]}) \
            .validate(r.json)
        tried += 1
    true(tried >= 25, tried)
    r = s.get("/db/reserve")
    jsonschema.Draft202012Validator({**doc["components"]["schemas"]["Unprocessable"]}) \
        .validate(r.json)


BOTH = [a_lease_is_taken_read_renewed_released, any_value_of_a_range_or_the_pool, curl_s_default_type_is_forgiven,
        what_is_held_or_in_use_is_refused,
         a_port_is_free_again_when_its_lease_has_expired, bad_requests_say_what_is_wrong,
        an_idempotency_key_makes_a_request_safe_to_repeat, lists_can_be_filtered_and_paged,
        a_lease_ends_at_its_time, pools_are_read_and_set, labs_and_what_they_hold,
        the_command_line_and_the_service_share_one_book, health_metrics_whoami,
        replies_fit_the_description]

if __name__ == "__main__":
    sys.exit(main(BOTH, with_stores=True))
