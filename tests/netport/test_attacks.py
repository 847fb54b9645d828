# SPDX-License-Identifier: MIT
"""The service against those who try: other users of this host, web pages, costly requests."""
import http.client
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time

from service import Service, Skip, as_user, equal, main, own_network, true, wait_for

ALICE, MALLORY = 12001, 12002  # users that only the kernel knows


def asks(s, uid, path, /, **query):
    def call():
        reply = s.get(path, **query)
        return reply.status, reply.json
    return as_user(uid, call)


def data(s, uid, path, /, **query):
    status, doc = asks(s, uid, path, **query)
    equal(status, 200, doc)
    return doc["data"]


def a_lease_is_its_user_s_not_loopback_s(s):
    equal(data(s, ALICE, "/db/reserve", resource="PORT", value="5000"), True)
    equal(data(s, ALICE, "/db/reserve", resource="seat", value="7"), True)
    # Everyone is still called by the address.
    equal(data(s, MALLORY, "/networking/whats_my_ip"), "127.0.0.1")
    equal(data(s, MALLORY, "/db/get_all_resources"), {"127.0.0.1": [["PORT:5000"], ["seat:7"]]})
    equal(data(s, MALLORY, "/db/my_resources"), [])
    for query in {}, {"client": "127.0.0.1"}, {"client": ""}:
        equal(data(s, MALLORY, "/db/release_client", **query), False)
    equal(data(s, MALLORY, "/db/release_resource", resource="PORT", value="5000"), False)
    equal(data(s, MALLORY, "/db/reserve", resource="PORT", value="5000"), False)
    equal(sorted(data(s, ALICE, "/db/my_resources")), ["PORT:5000", "seat:7"])
    equal(data(s, ALICE, "/db/release_resource", resource="PORT", value="5000"), True)
    equal(data(s, ALICE, "/db/release_client"), True)
    equal(s.data("/db/get_all_clients"), [])


def ipv6_s_loopback_tells_its_user_too():
    for host, names in ("::1", ["::1"]), ("::", ["::1", "127.0.0.1"]):
        s = Service(options=["-H", host] + (["--allow-remote"] if host == "::" else []))
        try:
            for name in names:
                def ask(path, name=name):
                    c = http.client.HTTPConnection(name, s.port, timeout=30)
                    c.request("GET", path, headers={"Host": "localhost"})
                    return json.loads(c.getresponse().read())["data"]
                equal(as_user(ALICE, lambda: ask("/db/reserve?resource=seat&value=7")), True)
                equal(as_user(MALLORY, lambda: ask("/networking/whats_my_ip")), name)
                equal(as_user(MALLORY, lambda: ask("/db/release_client")), False)
                equal(as_user(ALICE, lambda: ask("/db/release_client")), True)
        finally:
            s.close()


def a_service_of_portmaster_is_its_user_s(s):
    def make():
        r = s.call("POST", "/v1/services", {"name": "web", "start": 5000, "end": 5010})
        return r.status

    def remove():
        return s.call("DELETE", "/v1/services/web").status
    equal(as_user(ALICE, make), 201)
    equal(as_user(MALLORY, remove), 403)
    equal(s.get("/v1/services/web").status, 200)
    equal(as_user(ALICE, remove), 204)


def one_who_closes_before_he_is_known_is_nobody(s):
    """The kernel gives a socket that nobody has open any more to root."""
    equal(s.data("/db/reserve", resource="PORT", value="5000"), True)  # root's
    text = b"GET /db/release_client HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def hit_and_run():
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", s.port)) as c:
                c.sendall(text)
    os.kill(s.process.pid, signal.SIGSTOP)  # so that it meets them all closed
    try:
        as_user(MALLORY, hit_and_run)
    finally:
        os.kill(s.process.pid, signal.SIGCONT)
    wait_for("it has read them", lambda: s.text().count("/db/release_client 401") == 50, 10)
    equal(s.data("/db/my_resources"), ["PORT:5000"])


def one_user_s_connections_do_not_shut_others_out(s):
    ready, done = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setgroups([])
        os.setresuid(MALLORY, MALLORY, MALLORY)
        kept = [socket.create_connection(("127.0.0.1", s.port)) for _ in range(140)]
        os.write(ready[1], b"x")
        os.read(done[0], 1)
        del kept
        os._exit(0)
    try:
        os.read(ready[0], 1)
        equal(data(s, ALICE, "/db/my_resources"), [])
    finally:
        os.write(done[1], b"x")
        os.waitpid(pid, 0)
        for fd in (*ready, *done):
            os.close(fd)


def a_web_page_is_refused(s):
    own = f"127.0.0.1:{s.port}"
    chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"

    def status(path="/db/release_client", **headers):
        r = s.get(path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        return r.status, r.json.get("detail")
    other = 403, "a page of another site may not call this service"
    silent = 403, "a browser must say which page this call comes from (Sec-Fetch-Site)"
    # What a browser sends for <img src="http://0.0.0.0:7780/db/release_client">
    zero = f"0.0.0.0:{s.port}"
    equal(status(Host=zero, User_Agent=chrome, Referer="http://evil.example/"),
          (403, f"this host is not called '{zero}'"))
    equal(status(Host=zero), (403, f"this host is not called '{zero}'"))
    equal(status(Host="[::]")[0], 403)
    equal(status(Host="8.8.8.8")[0], 403)
    equal(status(Host=socket.gethostname())[0], 403)
    equal(status(Host="localhost.evil.example")[0], 403)
    equal(status(Host="127.0.0.1.evil.example")[0], 403)
    equal(status(Host=own, User_Agent=chrome, Referer="http://evil.example/page"), other)
    equal(status(Host=own, Referer=f"http://{own}.evil.example/"), other)
    equal(status(Host=own, Origin="http://localhost:1"), other)
    equal(status(Host=own, Sec_Fetch_Site="same-site"), other)
    equal(status(Host=own, User_Agent=chrome), silent)
    # It may look, and our own page may do everything; so may programs.
    equal(status("/db/get_all_clients", Host=own, User_Agent=chrome)[0], 200)
    equal(status(Host=own, User_Agent=chrome, Sec_Fetch_Site="same-origin")[0], 200)
    equal(status(Host=own, User_Agent=chrome, Referer=f"http://{own}/docs")[0], 200)
    for agent in "curl/7.88.1", "python-requests/2.28", "Wget/1.21":
        equal(status(Host=own, User_Agent=agent)[0], 200)
    for host in "localhost", "LOCALHOST:1", "127.8.9.1", "[::1]:80":
        equal(status(Host=host)[0], 200)


def a_costly_pattern_is_refused_at_once(s):
    bombs = ["((a{1,2000}){1,2000})", "((((a{30}){30}){30}){30})", "(a{1000}|b{1000}){30000}",
             "(((((((((((a*)*)*)*)*){99})*)*){99})*)*){99}", "a{32767}{32767}", "(" * 250,
             "()" * 100 + "{32767}", "((a{0,500}){0}|b{0,500}){2}", "[a-z]{999}{2}"]
    for bomb in bombs:
        for query in {"resource": bomb}, {"value": bomb}:
            began = time.monotonic()
            r = s.get("/db/my_resources", **query)
            took = time.monotonic() - began
            equal(r.status, 422, (bomb, r))
            true(r.json["detail"][0]["msg"].startswith("not a regular expression: "), r)
            true(took < 0.05, (bomb, took))


def a_pattern_s_search_is_bounded(s):
    for n in range(200):
        s.data("/db/reserve", resource="text", value=f"{n}" + "a" * 4000)
    for value in "(a|aa)+$", "(a*)*b", "(a|b)*a(a|b){200}c", "(.*)(.*)(.*)(.*)[^a]{3}x":
        began = time.monotonic()
        r = s.get("/db/my_resources", value=value)
        took = time.monotonic() - began
        true(r.status in (200, 422), r)
        true(took < 1, (value, took))
        if r.status == 422:
            true("takes too long" in r.json["detail"][0]["msg"], r)
    with open(f"/proc/{s.process.pid}/status", encoding="ascii") as f:
        peak = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
    true(peak < 100 << 10, f"{peak} KiB")


def paths_are_looked_up_as_the_caller(s):
    if os.geteuid() != 0:
        raise Skip("needs root")
    top = tempfile.mkdtemp(prefix="labctl-attack-")
    try:
        os.chmod(top, 0o755)
        for uid in 0, ALICE:
            private = os.path.join(top, str(uid))
            os.makedirs(os.path.join(private, "secret"))
            os.chown(private, uid, uid)
            os.chmod(private, 0o700)
        of_root, of_alice = (os.path.join(top, str(uid), "secret") for uid in (0, ALICE))
        token = {"Authorization": "Bearer " + s.token("ci", "lease")}
        for path, uid, want in [(of_root, MALLORY, False), (of_alice, MALLORY, False),
                                (of_root, ALICE, False), (of_alice, ALICE, True),
                                (top, MALLORY, True), (of_root, 0, True)]:
            equal(data(s, uid, "/fs/is_path_exist", path=path), want, (path, uid))
            equal(data(s, uid, "/fs/reserve_path", path=path), want, (path, uid))
        # Who is no user of this host is nobody.
        for path, want in (of_root, False), (of_alice, False), ("/etc", True):
            equal(s.data("/fs/is_path_exist", path=path, headers=token), want, path)
        # And the service is itself again.
        equal(s.data("/fs/is_path_exist", path=of_root), True)
    finally:
        shutil.rmtree(top)


def names_of_labs_are_refused(s):
    said = "{} is leased by labs and by administrators only"
    token = {"Authorization": "Bearer " + s.token("ci", "lease")}
    for resource, value in [("LAB", "bob"), ("INTERFACE", "net1"), ("NETNS", "lab1"),
                            ("GROUP", "g1")]:
        equal(asks(s, MALLORY, "/db/reserve", resource=resource, value=value),
              (403, {"detail": said.format(resource)}))
        r = s.call("POST", "/api/leases", {"resource": resource, "value": value}, token)
        equal((r.status, r.json["error"]["message"]), (403, said.format(resource)))
        equal(s.data("/db/is_reserved", resource=resource, value=value), False)
    # Root on loopback is a program, or a page, that found root's browser.
    equal(asks(s, 0, "/db/reserve", resource="LAB", value="bob")[0], 403)
    equal(s.data("/db/reserve", unix=True, resource="LAB", value="bob"), True)


def a_user_holds_no_more_than_his_quota(s):
    for n in range(5):
        equal(data(s, MALLORY, "/db/reserve", resource="seat", value=n), True)
    full = 429, {"detail": f"user {MALLORY} holds 5 leases, and may have no more"}
    equal(asks(s, MALLORY, "/db/reserve", resource="seat", value=5), full)
    equal(asks(s, MALLORY, "/networking/get_port"), full)
    equal(asks(s, MALLORY, "/fs/reserve_path", path="/tmp"), full)
    equal(asks(s, MALLORY, "/db/reserve", resource="seat", value=1), full)

    def service():
        r = s.call("POST", "/v1/services", {"name": "web", "start": 5000, "end": 5010})
        return r.status, r.json
    equal(as_user(MALLORY, service), full)
    equal(data(s, ALICE, "/db/reserve", resource="seat", value=5), True)
    ci, other = ({"Authorization": "Bearer " + s.token(name, "lease")} for name in ("ci", "other"))
    for n in range(6, 11):
        equal(s.data("/db/reserve", headers=ci, resource="seat", value=n), True)
    equal(s.get("/db/reserve", headers=ci, resource="seat", value=11).status, 429)
    equal(s.data("/db/reserve", headers=other, resource="seat", value=11), True)
    equal(data(s, MALLORY, "/db/release_resource", resource="seat", value=0), True)
    equal(data(s, MALLORY, "/db/reserve", resource="seat", value=0), True)
    for n in range(20, 30):  # root's
        equal(s.data("/db/reserve", resource="seat", value=n), True)


a_user_holds_no_more_than_his_quota.options = ("--quota", "5")


def an_offer_s_secret_is_in_no_file(s):
    s.call("POST", "/v1/services", {"name": "web", "start": 5000, "end": 5010})
    secret = s.call("POST", "/v1/services/web/offers", {"name": "a"}).json["secret"]
    for path, uid in ("/v1/services/web/offers", 0), ("/v1/services/web/offers", MALLORY):
        true(secret not in str(asks(s, uid, path)))
    true(secret not in s.run("netport", "list", "--json").stdout)
    for name in os.listdir(s.dir):
        path = os.path.join(s.dir, name)
        if os.path.isfile(path):
            with open(path, "rb") as f:
                true(secret.encode() not in f.read(), name)
    if not s.store:
        equal(os.stat(os.path.join(s.dir, "netport.db")).st_mode & 0o777, 0o644)
    s.token("ci", "lease")
    equal(os.stat(os.path.join(s.dir, "netport-tokens.json")).st_mode & 0o777, 0o600)
    r = s.call("POST", f"/v1/services/web/offers/{secret.upper()}/accept")
    equal((r.status, r.json["port"]), (201, 5000))


def the_command_line_knows_rights_too(s):
    def labctl(*words):
        done = s.run("netport", *words, check=False)
        return done.returncode, done.stderr.strip()
    if os.geteuid() == 0:
        # As sudo starts it for mallory.
        s.env = {"SUDO_UID": str(MALLORY), "SUDO_GID": str(MALLORY)}
    else:
        raise Skip("needs root")
    for resource in "LAB", "INTERFACE", "NETNS", "GROUP":
        for words in (resource, "bob"), (resource, "--range", "bob{1-3}"):
            equal(labctl("acquire", *words),
                  (1, f"labctl: {resource} is leased by labs and by administrators only"))
    for owner in "portmaster", "portmaster:web/a", "lab:bob":
        equal(labctl("acquire", "PORT", "5000", "--owner", owner)[0], 2)
    equal(labctl("acquire", "PORT", "22", "--range", "1-10"),
          (2, "labctl: port '22' is not in '1-10'"))
    bomb = "((a{1,2000}){1,2000})"
    equal(labctl("list", "--match", bomb),
          (2, f"labctl: '{bomb}' is not a regular expression: its repeats multiply to too much"))


TESTS = [a_lease_is_its_user_s_not_loopback_s, ipv6_s_loopback_tells_its_user_too, a_service_of_portmaster_is_its_user_s,
         one_who_closes_before_he_is_known_is_nobody,
         one_user_s_connections_do_not_shut_others_out, a_web_page_is_refused,
         a_costly_pattern_is_refused_at_once, a_pattern_s_search_is_bounded,
         paths_are_looked_up_as_the_caller, names_of_labs_are_refused,
         a_user_holds_no_more_than_his_quota, an_offer_s_secret_is_in_no_file,
         the_command_line_knows_rights_too]

if __name__ == "__main__":
    own_network()
    sys.exit(main(TESTS, with_stores=True))
