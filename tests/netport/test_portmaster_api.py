# SPDX-License-Identifier: MIT
"""portmaster's API, call by call, as its clients know it."""
import re
import socket
import sys

from service import Service, equal, main, own_network, true, wait_for

DJANGO = {"name": "django", "description": "Django service", "start": 15000, "end": 15100}
WHEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
NONE = "00000000-0000-4000-8000-000000000000"


def make(s, status=201, **changes):
    r = s.call("POST", "/v1/services", {**DJANGO, **changes})
    equal(r.status, status, r)
    return r.json


def offer(s, name, service="django", status=201):
    r = s.call("POST", f"/v1/services/{service}/offers", {"name": name})
    equal(r.status, status, r)
    return r.json


def accept(s, o, status=201):
    r = s.call("POST", f"/v1/services/{o['service']}/offers/{o['secret']}/accept")
    equal(r.status, status, r)
    return r.json


def missing(r):
    equal((r.status, r.json), (404, {"detail": "Not found."}))


def services_are_made_listed_changed_deleted(s):
    equal(s.get("/v1/services").json, [])
    equal(make(s), DJANGO)
    flask = make(s, name="flask", start=16000, end=16001, description="")
    equal(s.get("/v1/services").json, [DJANGO, flask])
    equal(s.get("/v1/services/django").json, DJANGO)
    r = s.call("PUT", "/v1/services/django", {**DJANGO, "end": 15200, "description": "two"})
    equal((r.status, r.json), (200, {**DJANGO, "end": 15200, "description": "two"}))
    r = s.call("PATCH", "/v1/services/django", {"end": 15300})
    equal((r.status, r.json["end"], r.json["description"]), (200, 15300, "two"))
    equal(s.get("/v1/services/django").json["end"], 15300)
    r = s.call("DELETE", "/v1/services/django")
    equal((r.status, r.body), (204, b""))
    missing(s.get("/v1/services/django"))
    missing(s.call("DELETE", "/v1/services/django"))
    missing(s.call("PUT", "/v1/services/django", DJANGO))
    missing(s.call("PATCH", "/v1/services/django", {"end": 2000}))
    equal(s.get("/v1/services").json, [flask])


def guards_of_a_service(s):
    make(s)
    equal(make(s, 400), {"name": ["service with this name already exists."]})
    overlap = {"non_field_errors": ["Port range overlaps with existing services."]}
    for start, end in (15050, 16000), (14000, 15000), (14000, 16000), (15001, 15002), (15100, 15101):
        equal(make(s, 400, name="x", start=start, end=end), overlap)
    reserved = ["Port range is in reserved range."]
    equal(make(s, 400, name="x", start=1023, end=2000), {"start": reserved})
    equal(make(s, 400, name="x", start=40000, end=49152), {"end": reserved})
    equal(make(s, 400, name="x", start=80, end=50000), {"start": reserved, "end": reserved})
    make(s, name="low", start=1024, end=1025)
    make(s, name="high", start=49150, end=49151)
    lower = {"non_field_errors": ["Start of the range should be a lower number."]}
    equal(make(s, 400, name="x", start=3000, end=2000), lower)
    equal(make(s, 400, name="x", start=3000, end=3000), lower)
    required = ["This field is required."]
    r = s.call("POST", "/v1/services", {})
    equal((r.status, r.json), (400, {"name": required, "start": required, "end": required}))
    equal(make(s, 400, name="", start="x", end=None),
          {"name": ["This field may not be blank."], "start": ["A valid integer is required."],
           "end": ["This field may not be null."]})
    equal(make(s, 400, name=7), {"name": ["Not a valid string."]})
    equal(make(s, 400, name="n" * 65),
          {"name": ["Ensure this field has no more than 64 characters."]})
    equal(make(s, name="text", start="2000", end="2001")["start"], 2000)
    r = s.call("PATCH", "/v1/services/django", {"start": 1024})
    equal((r.status, r.json), (400, overlap))
    r = s.call("PATCH", "/v1/services/django", {"start": 15100})
    equal((r.status, r.json), (400, lower))


def bodies_that_are_no_object(s):
    for body, want in ("{", "JSON parse error"), ("", None):
        r = s.call("POST", "/v1/services", body, {"Content-Type": "application/json"})
        equal(r.status, 400, r)
        if want:
            true(r.json["detail"].startswith(want), r)
    r = s.call("POST", "/v1/services", [1])
    equal((r.status, r.json),
          (400, {"non_field_errors": ["Invalid data. Expected a dictionary."]}))
    r = s.call("POST", "/v1/services", "name=form&start=2000&end=2001&description=a+b",
               {"Content-Type": "application/x-www-form-urlencoded"})
    equal((r.status, r.json["description"], r.json["start"]), (201, "a b", 2000))


def an_offer_is_accepted(s):
    make(s)
    o = offer(s, "web-01")
    equal(sorted(o), ["created", "name", "port", "secret", "service"])
    equal((o["service"], o["name"], o["port"]), ("django", "web-01", 15000))
    true(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", o["secret"]), o)
    true(WHEN.fullmatch(o["created"]), o)
    # The secret is told once, and not listed.
    listed = {k: v for k, v in o.items() if k != "secret"}
    equal(s.get("/v1/services/django/offers").json, [listed])
    equal(s.get(f"/v1/services/django/offers/{o['secret']}").json, o)
    equal(s.get("/v1/services/django/ports").json, [])
    missing(s.get("/v1/services/django/ports/15000"))
    p = accept(s, o)
    equal(sorted(p), ["created", "name", "port", "service"])
    equal((p["service"], p["name"], p["port"]), ("django", "web-01", 15000))
    true(WHEN.fullmatch(p["created"]) and p["created"] >= o["created"], p)
    equal(s.get("/v1/services/django/offers").json, [])
    equal(s.get("/v1/services/django/ports").json, [p])
    equal(s.get("/v1/services/django/ports/15000").json, p)
    equal(s.get("/v1/services/django/ports/web-01").json, p)
    accept(s, o, 404)
    second = offer(s, "web-02")
    r = s.call("PUT", f"/v1/services/django/offers/{second['secret']}")
    equal((r.status, r.json["port"]), (201, 15001))
    r = s.call("DELETE", "/v1/services/django/ports/web-01")
    equal((r.status, r.body), (204, b""))
    missing(s.call("DELETE", "/v1/services/django/ports/web-01"))
    equal(s.call("DELETE", "/v1/services/django/ports/15001").status, 204)
    equal(s.get("/v1/services/django/ports").json, [])


def an_offer_is_rejected(s):
    make(s)
    for how in ("POST", "/reject"), ("DELETE", ""):
        o = offer(s, "web-01")
        equal(o["port"], 15000)
        r = s.call(how[0], f"/v1/services/django/offers/{o['secret']}{how[1]}")
        equal((r.status, r.body), (204, b""))
        missing(s.call(how[0], f"/v1/services/django/offers/{o['secret']}{how[1]}"))
        accept(s, o, 404)
    equal(s.get("/v1/services/django/offers").json, [])
    equal(s.get("/v1/services/django/ports").json, [])


def a_secret_opens_its_own_offer_only(s):
    make(s)
    make(s, name="flask", start=16000, end=16010)
    o = offer(s, "web-01")
    other = o["secret"][:8].translate(str.maketrans("0123456789abcdef", "123456789abcdef0"))
    for secret in NONE, "x", other + o["secret"][8:], o["secret"][:-1]:
        missing(s.get(f"/v1/services/django/offers/{secret}"))
        missing(s.call("POST", f"/v1/services/django/offers/{secret}/accept"))
        missing(s.call("POST", f"/v1/services/django/offers/{secret}/reject"))
    missing(s.call("POST", f"/v1/services/flask/offers/{o['secret']}/accept"))
    missing(s.call("POST", "/v1/services/nowhere/offers", {"name": "x"}))
    accept(s, o)


def the_lowest_free_port_that_no_program_uses(s):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 15001))
        listener.listen()
        make(s)
        s.data("/db/reserve", resource="PORT", value="15003")
        offers = [offer(s, f"web-{i}") for i in range(4)]
        equal([o["port"] for o in offers], [15000, 15002, 15004, 15005])
    accept(s, offers[1])
    equal(offer(s, "web-5")["port"], 15001)
    equal(s.call("DELETE", "/v1/services/django/ports/15002").status, 204)
    s.data("/db/release_resource", resource="PORT", value="15003")
    equal([offer(s, f"again-{i}")["port"] for i in range(3)], [15002, 15003, 15006])
    # A port is nobody else's meanwhile, in any of the APIs.
    equal(s.data("/db/is_reserved", resource="PORT", value="15000"), True)
    true(s.data("/networking/get_port", port=15000)["port"] != 15000)


def out_of_ports(s):
    make(s, start=15000, end=15001)
    first, second = offer(s, "a"), offer(s, "b")
    full = {"port": ["Port range has been completely utilized."]}
    equal(offer(s, "c", status=400), full)
    accept(s, first)
    equal(offer(s, "c", status=400), full)
    s.call("POST", f"/v1/services/django/offers/{second['secret']}/reject")
    equal(offer(s, "c")["port"], 15001)


def instance_names_are_unique_in_their_service(s):
    make(s)
    make(s, name="flask", start=16000, end=16010)
    o = offer(s, "web")
    equal(offer(s, "web", status=400), {"name": ["offer with this name already exists."]})
    accept(s, o)
    equal(offer(s, "web", status=400),
          {"name": ["Service instance with this name already exists."]})
    equal(offer(s, "web", "flask")["port"], 16000)
    required = {"name": ["This field is required."]}
    r = s.call("POST", "/v1/services/django/offers", {})
    equal((r.status, r.json), (400, required))
    equal(offer(s, "", status=400), {"name": ["This field may not be blank."]})
    odd = offer(s, "a/b ü")
    accept(s, odd)
    equal(s.get("/v1/services/django/ports/a%2Fb%20%C3%BC").json["port"], odd["port"])


def a_changed_range_strands_nobody(s):
    make(s)
    accept(s, offer(s, "web-01"))
    accept(s, offer(s, "web-02"))
    stranded = {"non_field_errors": ["Defined service instances fall outside of the range."]}
    r = s.call("PUT", "/v1/services/django", {**DJANGO, "start": 15001})
    equal((r.status, r.json), (400, stranded))
    r = s.call("PATCH", "/v1/services/django", {"start": 16000, "end": 17000})
    equal((r.status, r.json), (400, stranded))
    equal(s.get("/v1/services/django").json, DJANGO)
    r = s.call("PATCH", "/v1/services/django", {"end": 15001})
    equal(r.status, 200, r)
    equal(offer(s, "c", status=400), {"port": ["Port range has been completely utilized."]})


def deleting_a_service_frees_its_ports(s):
    make(s)
    accept(s, offer(s, "web-01"))
    offer(s, "web-02")
    equal(s.call("DELETE", "/v1/services/django").status, 204)
    for port in "15000", "15001":
        equal(s.data("/db/is_reserved", resource="PORT", value=port), False)
    make(s)
    equal(s.get("/v1/services/django/ports").json, [])
    equal(offer(s, "web-01")["port"], 15000)


def offers_die_by_themselves(s):
    t = Service(s.store, ["--offer-ttl", "1s"])
    try:
        make(t)
        kept, o = offer(t, "kept"), offer(t, "web-01")
        accept(t, kept)
        wait_for("the offer is gone", lambda: t.get("/v1/services/django/offers").json == [])
        accept(t, o, 404)
        equal(t.data("/db/is_reserved", resource="PORT", value=o["port"]), False)
        equal(offer(t, "web-01")["port"], o["port"])
        equal(t.get("/v1/services/django/ports").json[0]["port"], kept["port"])
    finally:
        t.close()


def other_users_change_nothing(s):
    """The Unix socket's user is another caller than the address."""
    token = {"Authorization": "Bearer " + s.token("ci", "lease")}
    make(s)
    accept(s, offer(s, "web-01"))
    forbidden = {"detail": "You do not have permission to perform this action."}
    for method, path, body in [("DELETE", "/v1/services/django", None),
                               ("PUT", "/v1/services/django", DJANGO),
                               ("PATCH", "/v1/services/django", {"end": 15200}),
                               ("DELETE", "/v1/services/django/ports/15000", None)]:
        r = s.call(method, path, body, token)
        equal((r.status, r.json), (403, forbidden), path)
    r = s.call("POST", "/v1/services/django/offers", {"name": "ci-1"}, token)
    equal((r.status, r.json["port"]), (201, 15001))
    equal(s.call("DELETE", "/v1/services/django", unix=True).status, 204)


def unknown_paths_and_methods(s):
    make(s)
    o = offer(s, "web")
    for path in "/v1", "/v1/nothing", "/v1/services/django/nothing", "/v1/services/none/ports/1":
        missing(s.get(path))
    for method, path, allow in [
            ("DELETE", "/v1/services", "GET, POST"),
            ("POST", "/v1/services/django", "GET, PUT, PATCH, DELETE"),
            ("PATCH", f"/v1/services/django/offers/{o['secret']}", "GET, PUT, DELETE"),
            ("GET", f"/v1/services/django/offers/{o['secret']}/accept", "POST"),
            ("POST", "/v1/services/django/ports", "GET"),
            ("PUT", "/v1/services/django/ports/15000", "GET, DELETE")]:
        r = s.call(method, path, {})
        equal((r.status, r.json, r.headers["Allow"]),
              (405, {"detail": f'Method "{method}" not allowed.'}, allow), path)
    equal(s.get("/v1/services/").json, [DJANGO])
    equal(s.get("/v1/services/none/offers").json, [])


TESTS = [services_are_made_listed_changed_deleted, guards_of_a_service, bodies_that_are_no_object,
         an_offer_is_accepted, an_offer_is_rejected, a_secret_opens_its_own_offer_only,
         the_lowest_free_port_that_no_program_uses, out_of_ports,
         instance_names_are_unique_in_their_service, a_changed_range_strands_nobody,
         deleting_a_service_frees_its_ports, offers_die_by_themselves, other_users_change_nothing,
         unknown_paths_and_methods]

if __name__ == "__main__":
    own_network()
    sys.exit(main(TESTS, with_stores=True))
