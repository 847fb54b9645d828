# SPDX-License-Identifier: MIT
"""The service itself: who may do what, limits, crashes, sockets, stores that go away."""
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

from service import (LABCTL, Redis, Reply, Service, Skip, UnixConnection, equal, free_port, main, true,
                     wait_for)

USERS = 41001, 41002


def bearer(text):
    return {"Authorization": "Bearer " + text}


# ---- who may do what ----

def as_user(s, uid, path):
    """A call on the Unix socket by another user: (status, document)."""
    script = ("import http.client, socket, sys\n"
              "c = http.client.HTTPConnection('localhost')\n"
              "c.sock = socket.socket(socket.AF_UNIX)\n"
              "c.sock.connect(sys.argv[1])\n"
              "c.request(sys.argv[2], sys.argv[3], sys.argv[4] or None)\n"
              "r = c.getresponse()\n"
              "print(r.status, r.read().decode())\n")
    method, target, body = path
    done = subprocess.run(["/usr/bin/python3", "-c", script, s.socket, method, target, body],
                          user=uid, group=uid, extra_groups=[], capture_output=True, text=True,
                          cwd="/", check=False)
    if done.returncode:
        return None, done.stderr.strip().splitlines()[-1]
    status, text = done.stdout.split(" ", 1)
    return int(status), json.loads(text) if text.strip() else None


def need_root():
    if os.geteuid():
        raise Skip("needs root")


def two_users_are_refused_each_other_s():
    need_root()
    s, port = Service(), free_port()
    try:
        anna, bert = USERS
        equal(as_user(s, anna, ("GET", "/db/my_resources", ""))[0], None, "mode 0660")
        os.chmod(s.socket, 0o666)
        for uid in USERS:
            equal(as_user(s, uid, ("GET", "/networking/whats_my_ip", "")),
                  (200, {"data": f"uid{uid}"}))
        equal(as_user(s, anna, ("GET", f"/db/reserve?resource=PORT&value={port}", "")),
              (200, {"data": True}))
        equal(as_user(s, bert, ("GET", f"/db/reserve?resource=PORT&value={port}", "")),
              (200, {"data": False}))
        equal(as_user(s, bert, ("GET", f"/db/release_resource?resource=PORT&value={port}", "")),
              (200, {"data": False}))
        equal(as_user(s, bert, ("GET", f"/db/release_client?client=uid{anna}", ""))[0], 403)
        status, doc = as_user(s, bert, ("DELETE", f"/api/leases/PORT/{port}", ""))
        equal(status, 409)
        true(doc["error"]["message"].startswith(
            f"port '{port}' is leased to 'uid{anna}' since"), doc)
        status, doc = as_user(s, bert, ("POST", f"/api/leases/PORT/{port}/renew", "{}"))
        equal(status, 409, doc)
        status, doc = as_user(s, bert, ("PUT", "/api/pools/PORT", '{"range": "1-2"}'))
        equal((status, doc["error"]["message"]),
              (403, f"'uid{bert}' may not do this: it takes the scope 'admin'"))
        equal(as_user(s, anna, ("DELETE", f"/api/leases/PORT/{port}", "")), (204, None))
        equal(as_user(s, bert, ("POST", "/api/leases", json.dumps({"resource": "PORT", "value": port})))[0],
              201)
        # Root is everybody's administrator.
        equal(s.call("DELETE", f"/api/leases/PORT/{port}", unix=True).status, 204)
    finally:
        s.close()


def the_socket_belongs_to_a_group():
    need_root()
    s = Service(options=["--group", "users"])
    try:
        st = os.stat(s.socket)
        import grp
        equal((st.st_mode & 0o777, grp.getgrgid(st.st_gid).gr_name), (0o660, "users"))
    finally:
        s.close()


def tokens_open_what_their_scope_says(s):
    equal(s.get("/api/leases").status, 401)
    equal(s.get("/api/leases").headers["WWW-Authenticate"], "Bearer")
    reader, writer = s.token("reader", "read"), s.token("writer", "lease")
    equal(s.get("/api/leases", headers=bearer(reader)).status, 200)
    r = s.call("POST", "/api/leases", {"resource": "RACK", "value": "1"}, bearer(reader))
    equal((r.status, r.json["error"]["message"]),
          (403, "'token:reader' may not do this: it takes the scope 'lease'"))
    equal(s.get("/db/reserve", headers=bearer(reader), resource="x", value="1").status, 403)
    equal(s.call("POST", "/api/leases", {"resource": "RACK", "value": "1"},
                 bearer(writer)).status, 201)
    for wrong in "x", reader[:-1], reader + "x", "":
        r = s.get("/api/leases", headers=bearer(wrong))
        equal((r.status, r.json["error"]["message"]),
              (401, "the Authorization header has no valid token"))
    r = s.get("/api/leases", headers={"Authorization": "Basic " + reader})
    equal(r.status, 401)
    done = s.run("netport", "token", "add", "--name", "writer", "--scope", "lease", check=False)
    equal((done.returncode, done.stderr), (5, "labctl: there is a token 'writer' already\n"))
    done = s.run("netport", "token", "add", "--name", "w2", "--scope", "all", check=False)
    equal((done.returncode, done.stderr.splitlines()[0]), (2, "labctl: 'all' is no scope"))
    true(re.search(r"^writer +read,lease$", s.run("netport", "token", "list").stdout, re.M))
    s.run("netport", "token", "remove", "--name", "writer")
    equal(s.get("/api/leases", headers=bearer(writer)).status, 401)
    done = s.run("netport", "token", "remove", "--name", "writer", check=False)
    equal((done.returncode, done.stderr), (6, "labctl: there is no token 'writer'\n"))


def secrets_are_kept_and_logged_nowhere(s):
    token = s.token("ci", "lease")
    path = os.path.join(s.dir, "netport-tokens.json")
    equal(os.stat(path).st_mode & 0o777, 0o600)
    s.get("/api/leases", headers=bearer(token))
    s.call("POST", "/v1/services", {"name": "x", "start": 2000, "end": 2010})
    secret = s.call("POST", "/v1/services/x/offers", {"name": "a"}).json["secret"]
    s.call("POST", f"/v1/services/x/offers/{secret}/accept")
    s.call("DELETE", f"/v1/services/x/offers/{secret}")
    other = s.call("POST", "/v1/services/x/offers", {"name": "b"}).json["secret"]
    listed = s.get("/api/leases", headers=bearer(token)).body.decode()
    true(other not in listed, "an offer's secret among the leases")
    s.stop()
    log = s.text()
    for text in token, token[4:], secret, other:
        true(text not in log, "a secret in the log")
    true(re.search(r"^\S+Z 127\.0\.0\.1 \(token:ci\) GET /api/leases 200 \d+ \d+us$", log, re.M),
         log)
    true(re.search(r"POST /v1/services/x/offers/\*/accept 201 ", log), log)
    with open(path, encoding="ascii") as f:
        true(token not in f.read())


def pages_of_other_sites_are_refused(s):
    def status(**headers):
        return s.get("/db/reserve", headers={k.replace("_", "-"): v for k, v in headers.items()},
                     resource="x", value=str(random.random())).status
    own = f"127.0.0.1:{s.port}"
    equal(status(Host="evil.example"), 403)
    equal(status(Host="evil.example:7780"), 403)
    equal(status(Origin="http://evil.example"), 403)
    equal(status(Origin="null"), 403)
    equal(status(Sec_Fetch_Site="cross-site"), 403)
    equal(status(Sec_Fetch_Site="same-site"), 403)
    equal(status(Host=own, Origin="http://" + own, Sec_Fetch_Site="same-origin"), 200)
    equal(status(Host="localhost", Sec_Fetch_Site="none"), 200)
    equal(status(Host="[::1]:80"), 200)
    equal(s.data("/db/my_resources") and len(s.data("/db/my_resources")), 3)


def other_hosts_need_tls_or_a_flag():
    for options, code, message in [
            (["-H", "0.0.0.0"], 2, "labctl: '0.0.0.0' is open to other hosts"),
            (["-H", "::"], 2, "labctl: '::' is open to other hosts"),
            (["-H", "nowhere"], 2, "labctl: -H: 'nowhere'"),
            (["--tls-cert", "x"], 2, "labctl: --tls-cert and --tls-key go together"),
            (["-p", "70000"], 2, "labctl: --port: "),
            (["--group", "no-such-group"], 2, "labctl: there is no group 'no-such-group'"),
            (["--allow-shell", "/nowhere"], 6, "labctl: the list of allowed commands: cannot open"),
            (["--store", "mysql:x"], 2, "labctl: 'mysql:x' is no store of leases")]:
        try:
            Service(options=options).close()
            raise AssertionError(f"{options} was accepted")
        except AssertionError as e:
            true(message in str(e), (options, e))
            true(code)


def tls_for_other_hosts():
    if not shutil.which("openssl"):
        raise Skip("openssl is not installed")
    s = Service()
    key, cert = (os.path.join(s.dir, n) for n in ("key.pem", "cert.pem"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-keyout", key, "-out", cert], check=True,
                   capture_output=True)
    token = s.token("far", "lease")
    t = Service(options=["-H", "0.0.0.0", "--tls-cert", cert, "--tls-key", key, "--state", s.dir])
    try:
        context = ssl.create_default_context(cafile=cert)
        context.check_hostname = False
        import http.client
        c = http.client.HTTPSConnection("127.0.0.1", t.port, context=context, timeout=20)
        c.request("GET", "/api/whoami", headers=bearer(token))
        r = c.getresponse()
        equal((r.status, json.loads(r.read())["owner"]), (200, "token:far"))
        c.close()
    finally:
        t.close()
        s.close()


# ---- limits ----

def raw(s, data, wait=True, seconds=30):
    with socket.create_connection(("127.0.0.1", s.port), seconds) as c:
        c.sendall(data)
        got = b""
        while wait:
            try:
                chunk = c.recv(1 << 16)
            except (ConnectionResetError, TimeoutError):
                break
            if not chunk:
                break
            got += chunk
            if b"\r\n\r\n" in got:
                break
        return got


def too_large_is_refused(s):
    r = s.call("POST", "/v1/services", "{" + " " * 70000 + "}", {"Content-Type": "application/json"})
    equal((r.status, r.json["detail"]), (413, "a body has at most 65536 bytes"))
    chunked = (b"POST /v1/services HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
               + b"1000\r\n" + b" " * 4096 + b"\r\n")
    got = raw(s, chunked + (b"1000\r\n" + b" " * 4096 + b"\r\n") * 20 + b"0\r\n\r\n")
    true(got.startswith(b"HTTP/1.1 413 "), got)
    got = raw(s, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40000 + b"\r\n\r\n")
    true(got.startswith(b"HTTP/1.1 431 ") or got.startswith(b"HTTP/1.1 413 "), got)
    got = raw(s, b"GET /" + b"x" * 40000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    true(got.startswith(b"HTTP/1.1 414 ") or got.startswith(b"HTTP/1.1 431 "), got)
    query = "&".join(f"a{i}=1" for i in range(100))
    equal(s.get("/db/is_reserved?" + query).status, 400)
    equal(s.get("/a" * 20).status, 400)
    equal(s.get("/healthz").status, 200)


def nonsense_is_refused(s):
    for data in b"\0\0\0\0\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\0", \
            b"POST /v1/services HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", \
            b"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n":
        got = raw(s, data, data.endswith(b"\n"), 1)
        true(not got or re.match(rb"HTTP/1\.[01] (4|505)", got), (data, got))
    for target in "/db/is_reserved?resource=%ff&value=1", "/%00", "/%", "/%c0%af":
        equal(s.get(target).status, 400, target)
    equal(s.call("BREW", "/healthz").status, 405)
    head = s.call("HEAD", "/healthz")
    equal((head.status, head.body), (200, b""))
    for target in "/db/reserve?resource=x&value=1", "/shell/execute_command?command=true":
        equal(s.call("HEAD", target, unix=True).status, 405, target)
    equal(s.get("/healthz").status, 200)


def one_peer_s_flood_is_answered_with_429(s):
    held, refused = [], []
    poll = select.poll()

    def hear():
        for fd, _ in poll.poll(100):
            refused.append(next(c for c in held if c.fileno() == fd).recv(4096))
            poll.unregister(fd)
        return len(refused) >= 160 - 128
    try:
        for _ in range(160):
            c = socket.create_connection(("127.0.0.1", s.port), 10)
            held.append(c)
            poll.register(c, select.POLLIN)
        wait_for("32 are refused", hear)
        for got in refused:
            equal(got.split(b"\r\n")[0], b"HTTP/1.1 429 Too Many Requests")
            true(b"Retry-After: 1" in got, got)
        # Others are served meanwhile.
        equal(s.get("/healthz", unix=True).status, 200)
        hear()
        equal(len(refused), 160 - 128)
    finally:
        for c in held:
            c.close()
    wait_for("the peer is served again", lambda: s.get("/healthz").status == 200)
    text = s.get("/metrics").body.decode()
    n = int(re.search(r"^labctl_netport_connections_refused_total (\d+)$", text, re.M)[1])
    true(n >= 32, text)


def slow_clients_are_dropped():
    s = Service(options=["--idle", "2s"])
    try:
        with socket.create_connection(("127.0.0.1", s.port), 10) as c:
            c.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ")
            began = time.monotonic()
            try:
                while time.monotonic() - began < 60:
                    c.sendall(b"x")
                    c.settimeout(0.2)
                    try:
                        if not c.recv(4096):
                            break
                    except TimeoutError:
                        pass
            except OSError:
                pass
            took = time.monotonic() - began
            true(1 < took < 60, took)
        true("labctl_netport_connections_timed_out_total 1" in s.get("/metrics").body.decode())
    finally:
        s.close()


# ---- crashes ----

def hammer(s, replies, stop, unix):
    """Takes one value after the other, and keeps those that were promised."""
    c = s.connect(unix)
    while not stop.is_set():
        value = f"{threading.get_ident()}-{len(replies)}-{random.random()}"
        try:
            c.request("GET", f"/db/reserve?resource=KILL&value={value}")
            r = c.getresponse()
            if r.status == 200 and json.loads(r.read())["data"] is True:
                replies.append(value)
        except OSError:
            return
        except Exception:  # pylint: disable=broad-except
            return


def hang_up(s, times):
    linger = struct.pack("ii", 1, 0)
    for i in range(times):
        call = "reserve" if i % 4 else "is_reserved"
        c = socket.create_connection(("127.0.0.1", s.port))
        c.sendall(f"GET /db/{call}?resource=GONE&value={i} HTTP/1.1\r\n"
                  "Host: localhost\r\n\r\n".encode())
        if i % 2:
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            c.close()
            continue
        c.shutdown(socket.SHUT_WR)
        c.settimeout(60)
        reply = c.makefile("rb").read()
        true(b'{"data":' in reply, f"half closed, and still answered: {i}: {reply}")
        c.close()


def many_requests_and_an_end_get_all_replies(s):
    """Pipelined, as by printf | nc."""
    for unix in False, True:
        for call in "/networking/get_port", "/db/my_resources":
            with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as c:
                c.settimeout(60)
                c.connect(s.socket if unix else ("127.0.0.1", s.port))
                c.sendall(f"GET {call} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 300)
                c.shutdown(socket.SHUT_WR)
                equal(c.makefile("rb").read().count(b'{"data":'), 300, (unix, call))


def clients_that_hang_up_at_once_disturb_nobody(s):
    """In the middle of a batch, by a reset and in good order; others are answered meanwhile."""
    stop, replies = threading.Event(), []
    neighbour = threading.Thread(target=hammer, args=(s, replies, stop, False))
    neighbour.start()
    try:
        hang_up(s, 200)
    finally:
        stop.set()
        neighbour.join()
    true(replies, "the neighbour was answered")
    for value in replies[::10]:
        equal(s.data("/db/is_reserved", resource="KILL", value=value), True)
    equal(s.data("/db/is_reserved", resource="GONE", value="2"), True)


def kill_9_loses_no_promised_lease():
    s = Service()
    promised = []
    try:
        for _ in range(3):
            lists, stop = [[] for _ in range(8)], threading.Event()
            threads = [threading.Thread(target=hammer, args=(s, l, stop, i % 2 == 0))
                       for i, l in enumerate(lists)]
            for t in threads:
                t.start()
            wait_for("some leases", lambda: sum(map(len, lists)) > 300)
            time.sleep(random.random() / 10)
            equal(s.stop(signal.SIGKILL), -9)
            stop.set()
            for t in threads:
                t.join()
            promised += [v for l in lists for v in l]
            s.start()
        held = {record.split(":", 1)[1] for records in s.data("/db/get_all_resources").values()
                for record, in records if record.startswith("KILL:")}
        true(len(promised) > 900, len(promised))
        equal([v for v in promised if v not in held], [])
        # What was not promised may be there: at most one of each thread.
        true(len(held) <= len(promised) + 3 * 8, (len(held), len(promised)))
        s.run("netport", "list")
    finally:
        s.close()


def every_value_goes_to_one_only(s):
    got, threads = [[] for _ in range(8)], []

    def take(mine, unix):
        c = s.connect(unix)
        for _ in range(50):
            c.request("GET", "/networking/get_port")
            mine.append(json.loads(c.getresponse().read())["data"]["port"])
        c.close()
    for i, mine in enumerate(got):
        threads.append(threading.Thread(target=take, args=(mine, i % 2 == 0)))
        threads[-1].start()
    for t in threads:
        t.join()
    ports = [p for mine in got for p in mine]
    equal((len(ports), len(set(ports))), (400, 400))


def it_stops_and_starts_again_cleanly():
    s = Service()
    try:
        s.data("/db/reserve", resource="RACK", value="1")
        equal(s.stop(), 0)
        true(not os.path.exists(s.socket), "the socket's file stays")
        s.start()
        equal(s.data("/db/is_reserved", resource="RACK", value="1"), True)
        s.stop(signal.SIGKILL)
        true(os.path.exists(s.socket))
        s.start()
        equal(s.data("/db/is_reserved", resource="RACK", value="1"), True)
        done = s.run("netport", "serve", "-p", "0", "--socket", s.socket, check=False)
        equal((done.returncode, done.stderr),
              (5, f"labctl: a service answers at '{s.socket}' already\n"))
        done = s.run("netport", "serve", "-p", str(s.port), "--socket", s.socket + "2", check=False)
        equal((done.returncode, done.stderr),
              (5, f"labctl: cannot listen on 127.0.0.1 port {s.port}: Address already in use\n"))
        true(not os.path.exists(s.socket + "2"))
        with open(s.socket + "3", "w", encoding="ascii"):
            pass
        done = s.run("netport", "serve", "-p", "0", "--socket", s.socket + "3", check=False)
        equal((done.returncode, done.stderr),
              (5, f"labctl: '{s.socket}3' is there and is no socket\n"))
    finally:
        s.close()


def sockets_of_the_service_manager():
    """The protocol of sd_listen_fds(3)."""
    s = Service()
    s.stop()
    path = os.path.join(s.dir, "activated.sock")
    with socket.socket(socket.AF_UNIX) as unix, socket.socket() as tcp:
        unix.bind(path)
        tcp.bind(("127.0.0.1", 0))
        for one in unix, tcp:
            one.listen()
        start = f"exec 8<&{unix.fileno()} 9<&{tcp.fileno()}; exec 3<&8 4<&9 8<&- 9<&-; " \
                "export LISTEN_PID=$$ LISTEN_FDS=2; exec \"$@\""
        process = subprocess.Popen(["bash", "-c", start, "x", LABCTL, "netport", "serve"],
                                   env=s.environment(), pass_fds=(unix.fileno(), tcp.fileno()),
                                   stderr=subprocess.DEVNULL)
        try:
            c = UnixConnection(path)
            c.request("GET", "/healthz")
            r = c.getresponse()
            equal(Reply(r, r.read()).status, 200)
            c.close()
            s.port = tcp.getsockname()[1]
            equal(s.get("/networking/whats_my_ip").json, {"data": "127.0.0.1"})
        finally:
            process.terminate()
            equal(process.wait(20), 0)
    true(os.path.exists(path), "the manager's socket was removed")
    s.close()


# ---- stores ----

def a_redis_that_goes_away_and_comes_back():
    redis = Redis("--appendonly", "yes", "--appendfsync", "always")
    s = Service(redis.url())
    try:
        s.data("/db/reserve", resource="RACK", value="1")
        redis.stop()
        for path in "/db/reserve", "/db/is_reserved":
            r = s.get(path, resource="RACK", value="2")
            equal((r.status, r.headers["Retry-After"]), (503, "1"), r)
            true(re.match(r"(the connection to|cannot reach) the lease book at 'redis://127",
                          r.json["detail"]), r)
        equal(s.get("/healthz").status, 503)
        redis.start()
        wait_for("the service is well again", lambda: s.get("/healthz").status == 200)
        equal(s.data("/db/is_reserved", resource="RACK", value="1"), True)
        equal(s.data("/db/is_reserved", resource="RACK", value="2"), False)
        equal(s.data("/db/reserve", resource="RACK", value="2"), True)
        # Its scripts are gone, the connection stays.
        redis.command("SELECT", "0")
        redis.command("SCRIPT", "FLUSH")
        equal(s.data("/db/reserve", resource="RACK", value="3"), True)
    finally:
        s.close()
        redis.close()


def several_hosts_share_one_redis():
    redis = Redis()
    one, two = Service(redis.url()), Service(redis.url())
    try:
        equal(one.data("/db/reserve", resource="RACK", value="1"), True)
        equal(two.data("/db/reserve", resource="RACK", value="1"), False)
        one.run("netport", "acquire", "RACK", "2")
        equal(two.data("/db/is_reserved", resource="RACK", value="2"), True)
        true("RACK" in two.run("netport", "list").stdout)
        done = two.run("netport", "acquire", "RACK", "1", check=False)
        equal(done.returncode, 5, done.stderr)
        got, threads = [], []
        for s in (one, two) * 4:
            threads.append(threading.Thread(target=lambda s=s: got.extend(
                s.data("/networking/get_port")["port"] for _ in range(20))))
            threads[-1].start()
        for t in threads:
            t.join()
        equal((len(got), len(set(got))), (160, 160))
        threads, statuses = [], []
        for i, s in enumerate((one, two) * 4):
            body = {"name": f"s{i}", "start": 3000 + i, "end": 3010 + i}
            threads.append(threading.Thread(target=lambda s=s, b=body: statuses.append(
                s.call("POST", "/v1/services", b).status)))
            threads[-1].start()
        for t in threads:
            t.join()
        equal(sorted(statuses), [201] + [400] * 7, "ranges overlap")
    finally:
        one.close()
        two.close()
        redis.close()


def a_redis_that_is_not_there():
    try:
        Service("redis://127.0.0.1:1/0").close()
        raise AssertionError("it started")
    except AssertionError as e:
        true("cannot reach the lease book at 'redis://127.0.0.1:1/0': Connection refused" in str(e),
             e)
    done = subprocess.run([LABCTL, "netport", "list"], capture_output=True, text=True, check=False,
                          env={**os.environ, "LABCTL_STORE": "redis://:secret@127.0.0.1:1/0"})
    equal(done.returncode, 3)
    true("secret" not in done.stderr, done.stderr)


def a_book_that_another_writes_waits_its_turn(s):
    """A lab's command holds the book for a moment: requests wait, and none is lost."""
    import sqlite3
    book = sqlite3.connect(os.path.join(s.dir, "netport.db"), isolation_level=None)
    book.execute("BEGIN IMMEDIATE")
    got = []
    t = threading.Thread(target=lambda: got.append(
        s.data("/db/reserve", resource="RACK", value="1")))
    t.start()
    time.sleep(0.3)
    equal(got, [])
    book.execute("ROLLBACK")
    t.join()
    book.close()
    equal(got, [True])


def children(s):
    """The states of the service's child processes."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                state, parent = f.read().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if int(parent) == s.process.pid:
            found.append(state)
    return found


def commands_end_with_their_clients(s):
    rules = os.path.join(s.dir, "rules")
    with open(rules, "w", encoding="ascii") as f:
        f.write("sleep *\n")
    t = Service(options=["--allow-shell", rules])
    held = []
    try:
        for i in range(20):
            c = t.connect(unix=True)
            c.request("GET", "/shell/execute_command?command=sleep+1000")
            held.append(c)
            wait_for("it runs", lambda: len(children(t)) > i or i >= 16)
        for c in held[16:]:
            r = c.getresponse()
            equal((r.status, json.loads(r.read())["detail"]),
                  (503, "too many commands run at once"))
        # Those that were too many leave no zombies, although others still run.
        wait_for("16 commands are left", lambda: len(children(t)) == 16)
        for c in held[:10]:
            c.close()
        wait_for("6 commands are left", lambda: len(children(t)) == 6)
        equal("Z" in children(t), False)
        equal(t.get("/shell/execute_command", unix=True, command="sleep 0").json, {"data": True})
    finally:
        for c in held:
            c.close()
        equal(t.close(), 0)


TESTS = [two_users_are_refused_each_other_s, the_socket_belongs_to_a_group,
         tokens_open_what_their_scope_says, secrets_are_kept_and_logged_nowhere,
         pages_of_other_sites_are_refused, other_hosts_need_tls_or_a_flag, tls_for_other_hosts,
         too_large_is_refused, nonsense_is_refused, one_peer_s_flood_is_answered_with_429,
         slow_clients_are_dropped, many_requests_and_an_end_get_all_replies,
         clients_that_hang_up_at_once_disturb_nobody, kill_9_loses_no_promised_lease, every_value_goes_to_one_only,
         it_stops_and_starts_again_cleanly, sockets_of_the_service_manager,
         a_redis_that_goes_away_and_comes_back, several_hosts_share_one_redis,
         commands_end_with_their_clients, a_redis_that_is_not_there, a_book_that_another_writes_waits_its_turn]

if __name__ == "__main__":
    sys.exit(main(TESTS))
