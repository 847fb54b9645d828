# SPDX-License-Identifier: MIT
"""Real clients of a lab judge a router: ping, traceroute, arping and transfers of the clients' own kernels.

What they accept of a right router is wide (any first TTL, silence or an error where a stage leaves it open),
and what they find is what a person at a client would call broken.
"""
import hashlib
import ipaddress
import json
import os
import random
import re
import select
import socket
import struct
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from soaklib import containers, engine, in_namespace

LIMITS = "ulimit -v 2000000 -t 60"  # a mutant may eat memory or never end
START_LIMIT, ANSWER_LIMIT, TRANSFER_LIMIT = 10, 1, 10  # seconds
GIVEN_UP = 2  # seconds after which mutants have given a neighbour up, or asked it again
SLOW = 0.1  # seconds for the fastest of some pings: people would call that slow
OWN_TTL = range(60, 256)  # in what the router itself sends, as it arrives
IP_MTU_DISCOVER, DONT_FRAGMENT_NEVER, DONT_FRAGMENT_ALWAYS = 10, 0, 2
IP_RECVERR, IP_RECVTTL, IP_RECVTOS = 11, 12, 13
CORNERS = (0xFFFF, 0x0001, 0xFFFE, 0x00FF, 0x0100, 0x0101, 0xFF00, 0xFEFF, 0xFF01)  # of one's complement sums


class Noticed(Exception):
    """What a client noticed."""


class Program:
    """A router in the seat of a lab."""

    def __init__(self, world, lab, path):
        argv = world.argv(lab, "run", "--", "sh", "-c", f"{LIMITS}; exec python3 {path}")
        self.process = subprocess.Popen(argv, env=world.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)

    def __enter__(self):
        ready, _, _ = select.select([self.process.stdout], [], [], START_LIMIT)
        if not ready or b"routing between" not in os.read(self.process.stdout.fileno(), 1000):
            self.__exit__()
            raise Noticed("the program did not start")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Host:
    """A client, seen from outside."""

    def __init__(self, name, pid, facts):
        self.name, self.pid = name, pid
        first = facts["interfaces"]["eth0"]
        self.address, self.network, self.mac = first["address"], first["network"], first["mac"]
        self.gateway = facts.get("gateway")
        self.number = ipaddress.IPv4Address(self.address)

    def argv(self, *args):
        return ["nsenter", "-t", str(self.pid), "-n", "-m", "--", *args]

    def do(self, command):
        return subprocess.run(self.argv("sh", "-c", command), stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def socket(self, kind, protocol=0, port=None):
        s = in_namespace(f"/proc/{self.pid}/ns/net", lambda: socket.socket(socket.AF_INET, kind, protocol))
        s.settimeout(ANSWER_LIMIT)
        if port is not None:
            s.bind((self.address, port))
        return s

    def ear(self):
        """A packet socket, like tcpdump's."""
        s = in_namespace(f"/proc/{self.pid}/ns/net", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                                                           socket.htons(0x0800)))
        s.bind(("eth0", 0x0800))
        return s


class Try:
    """A command on a client that runs while others do, and what is wrong with its output."""

    def __init__(self, host, *argv, judge):
        self.host, self.line, self.judge = host, " ".join(argv), judge
        self.process = subprocess.Popen(host.argv(*argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)

    def result(self):
        text = self.process.communicate()[0].decode(errors="replace")
        problem = self.judge(text)
        return problem and f"{self.host.name}: {self.line}: {problem}"


def together(tries):
    """All at once. Raises with the first that noticed something."""
    found = [t.result() for t in list(tries)]
    for text in filter(None, found):
        raise Noticed(text)


def ping(host, to, *options, ttl, count=1, words=()):
    """ttl: which may be seen in the answers; words: what else must be printed."""
    def judge(text):
        answers = [(int(seq), int(t)) for seq, t in re.findall(r"bytes from .*icmp_seq=(\d+) ttl=(\d+)", text)]
        quick = re.search(r"min/avg/max/mdev = ([\d.]+)", text)
        odd = [line for line in text.splitlines() if re.search(r"DUP!|BAD|wrong|truncated|From |unknown|rror", line)]
        lost = set(range(1, count + 1)) - {seq for seq, _ in answers}
        if odd:
            return odd[0]
        if lost:
            return f"{len(lost)} of {count} not answered, first {min(lost)}"
        if any(t not in ttl for _, t in answers):
            return f"ttl={[t for _, t in answers if t not in ttl][0]}"
        if count >= 50 and quick and float(quick[1]) > SLOW * 1000:
            return f"no answer faster than {quick[1]} ms"
        return next((f"no '{w}' in the output" for w in words if w not in text), None)
    # By itself ping waits for its last answer only twice as long as the others took; with -w for count answers.
    limit = ["-W", str(ANSWER_LIMIT)] if count == 1 else ["-w", str(2 + count // 50)]
    return Try(host, "ping", "-n", "-c", str(count), *limit, *options, to, judge=judge)


def ping_error(host, to, message, origin, *options, wait=1):
    """A ping that has to end with this ICMP error from there."""
    def judge(text):
        said = re.findall(r"From (\S+) .*?icmp_seq=\d+ (.*)", text)
        if "bytes from" in text:
            return "answered"
        if not said:
            return f"no word of '{message}'"
        wrong = [s for s in said if not s[1].startswith(message) or s[0] != origin]
        return wrong and f"'{wrong[0][1]}' from {wrong[0][0]} instead of '{message}' from {origin}"
    return Try(host, "ping", "-n", "-c", "1", "-W", str(wait), *options, to, judge=judge)


def ping_silent(host, to, *options):
    def judge(text):
        return "answered" if "bytes from" in text else None
    return Try(host, "ping", "-n", "-c", "1", "-W", "0.3", *options, to, judge=judge)


def arping(host, to, mac, *options, count=2):
    """mac None: nobody may answer."""
    def judge(text):
        macs = re.findall(r"bytes from (\S+)", text)
        if mac is None:
            return f"{macs[0]} answered" if macs else None
        if any(m != mac for m in macs):
            return f"answered from {[m for m in macs if m != mac][0]} instead of {mac}"
        return None if 0 < len(macs) <= count else f"{len(macs)} answers to {count} requests"
    wait = "0.4" if mac is None else "1"
    return Try(host, "arping", "-c", str(count), "-w", wait, "-W", "0.05", *options, "-i", "eth0", to, judge=judge)


def traceroute(host, to, hops, *options):
    def judge(text):
        seen = [line.split()[1:2] for line in text.splitlines()[1:]]
        seen = [hop[0] if hop else "" for hop in seen]
        if seen != hops or " * " in text or text.rstrip().endswith("*") or "!" in text:
            return f"{' '.join(text.splitlines()[1:])} instead of {' '.join(hops)}"
        return None
    return Try(host, "traceroute", "-n", "-w", "1", "-m", "6", *options, to, judge=judge)


def confirmed(host, router, mac):
    """The client's kernel asks its gateway by unicast whether it is still there."""
    def judge(text):
        return None if "REACHABLE" in text and mac in text else f"its unicast request was not answered: {text.strip()}"
    return Try(host, "sh", "-c", f"ip neigh replace {router} dev eth0 lladdr {mac} nud probe; for i in 1 2 3 4 5 6 7 8; "
               f"do sleep 0.05; ip neigh show {router} | grep -q REACHABLE && break; done; ip neigh show {router}",
               judge=judge)


def fold(total):
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def corner(a, b, want):
    """A datagram without identification whose header's words add up to want."""
    rest = 0x4500 + 0x4000 + sum(divmod(int(a.number), 65536)) + sum(divmod(int(b.number), 65536))
    for ttl in range(2, 256):
        size = (want - fold(rest + (ttl << 8 | socket.IPPROTO_UDP))) % 0xFFFF
        if 28 <= size <= 1500:
            return DONT_FRAGMENT_ALWAYS, ttl, 0, size - 28
    raise ValueError("there is none")


def datagrams(a, b, hops, sizes=(), fragments=(), corners=True):
    """UDP from a to b, checked by the kernel there: each once and in order, with its bytes, TTL and TOS."""
    rng = random.Random(len(sizes))
    plan = [(DONT_FRAGMENT_ALWAYS, 64 - i, 4 * i, size) for i, size in enumerate(sizes)]
    plan += [(DONT_FRAGMENT_NEVER, 255, 0x2C, size) for size in (*sizes[:3], *fragments)]
    if corners:  # around the checksum's two zeros, before and after a hop (RFC 1624)
        plan += [corner(a, b, want) for want in CORNERS]
    with a.socket(socket.SOCK_DGRAM) as out, b.socket(socket.SOCK_DGRAM, port=0) as to:
        for option in (IP_RECVTTL, IP_RECVTOS):
            to.setsockopt(socket.IPPROTO_IP, option, 1)
        port = to.getsockname()[1]
        for discover, ttl, tos, size in plan:
            data = rng.randbytes(size)
            out.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, discover)
            out.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            out.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
            what = f"UDP from {a.name} to {b.name}, {size} bytes, TTL {ttl}, TOS {tos}"
            try:
                out.sendto(data, (b.address, port))
                got, controls, _, peer = to.recvmsg(65536, 1000)
            except OSError as e:
                raise Noticed(f"{what}: {e}") from None
            seen = {kind: value[0] for _, kind, value in controls}
            if got != data or peer[0] != a.address:
                raise Noticed(f"{what}: arrived changed, {len(got)} bytes from {peer[0]}")
            if seen.get(socket.IP_TTL) != ttl - hops or seen.get(socket.IP_TOS) != tos:
                raise Noticed(f"{what}: arrived with TTL {seen.get(socket.IP_TTL)}, TOS {seen.get(socket.IP_TOS)}")
        burst(out, to, port, b, f"UDP from {a.name} to {b.name}")
        to.settimeout(0.02)
        try:
            to.recv(65536)
        except TimeoutError:
            return
        raise Noticed(f"UDP from {a.name} to {b.name}: a datagram arrived twice")


def burst(out, to, port, b, what, count=30):
    """Right after each other, and so they arrive."""
    for i in range(count):
        out.sendto(bytes([i]) * 100, (b.address, port))
    for i in range(count):
        try:
            got = to.recv(1000)
        except OSError:
            raise Noticed(f"{what}: number {i} of {count} in a row did not arrive") from None
        if got != bytes([i]) * 100:
            raise Noticed(f"{what}: of {count} in a row, number {got[0]} came as number {i}")


def transfer(a, b, size):
    """TCP from a to b with both sides sending at once. Hashes must agree."""
    rng = random.Random(size)
    texts = [rng.randbytes(size), rng.randbytes(size)]
    found = []

    def side(s, mine, other):
        try:
            s.settimeout(TRANSFER_LIMIT)
            sender = threading.Thread(target=send, args=(s, mine))
            sender.start()
            digest = hashlib.sha256()
            while piece := s.recv(65536):
                digest.update(piece)
            sender.join()
            if digest.digest() != hashlib.sha256(other).digest():
                found.append("other bytes arrived than were sent")
        except OSError as e:
            found.append(str(e))

    def send(s, text):
        try:
            s.sendall(text)
            s.shutdown(socket.SHUT_WR)
        except OSError as e:
            found.append(str(e))

    what = f"TCP between {a.name} and {b.name}, {size} bytes each way"
    with b.socket(socket.SOCK_STREAM, port=0) as ear, a.socket(socket.SOCK_STREAM) as near:
        ear.listen()
        near.settimeout(3)
        try:
            near.connect(ear.getsockname())
            far, _ = ear.accept()
        except OSError as e:
            raise Noticed(f"{what}: {e}") from None
        with far:
            threads = [threading.Thread(target=side, args=args) for args in ((near, *texts), (far, *texts[::-1]))]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
    if found:
        raise Noticed(f"{what}: {found[0]}")


def echoes(host, to, count=60):
    """Pings with random data, and such that the answer's checksum comes to its corners."""
    rng = random.Random(count)
    wants = [None] * count + list(CORNERS)
    with host.socket(socket.SOCK_RAW, socket.IPPROTO_ICMP) as s:
        for seq, want in enumerate(wants):
            data = bytearray(rng.randbytes(rng.randrange(2, host.mtu - 27)) if want is None else rng.randbytes(64))
            ident = rng.randrange(65536)
            if want is not None:
                data[:2] = bytes(2)
                data[:2] = struct.pack("!H", (want - words(struct.pack("!HH", ident, seq) + data)) % 0xFFFF)
            rest = struct.pack("!HH", ident, seq) + data
            s.sendto(struct.pack("!BBH", 8, 0, ~fold(0x800 + words(rest)) & 0xFFFF) + rest, (to, 0))
            if not answered(s, rest):
                raise Noticed(f"{host.name}: ping {to}, {len(data)} random bytes: no right answer")


def refused(host, to, kind, code, ttl=64, size=100):
    """A datagram about which the client's kernel gets an ICMP error that it can match to the socket."""
    what = f"{host.name}: UDP to {to}, {size} bytes, TTL {ttl}"
    with host.socket(socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        s.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, DONT_FRAGMENT_NEVER)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        data = random.Random(size).randbytes(size)
        s.connect((to, 33333))
        s.send(data)
        poll = select.poll()
        poll.register(s, 0)  # errors alone
        if not poll.poll(ANSWER_LIMIT * 1000):
            raise Noticed(f"{what}: no error")
        quoted, controls, _, _ = s.recvmsg(65536, 1000, socket.MSG_ERRQUEUE)
        _, _, seen_kind, seen_code, _, _, _, _, _, origin = struct.unpack_from("=IBBBBIIHH4s", controls[0][2])
        if (seen_kind, seen_code, socket.inet_ntoa(origin)) != (kind, code, host.router):
            raise Noticed(f"{what}: ICMP type {seen_kind}, code {seen_code} from {socket.inet_ntoa(origin)} "
                          f"instead of type {kind}, code {code} from {host.router}")
        if data[:len(quoted)] != quoted[:len(data)]:
            raise Noticed(f"{what}: the error quotes other bytes than were sent")


def words(data):
    data = bytes(data) + bytes(len(data) % 2)
    return fold(sum(struct.unpack(f"!{len(data) // 2}H", data)))


def answered(s, rest):
    end = time.monotonic() + ANSWER_LIMIT
    while time.monotonic() < end:
        try:
            packet = s.recv(65536)
        except OSError:
            return False
        message = packet[(packet[0] & 15) * 4:]
        if message[4:8] == rest[:4] and message[0] == 0:
            return message[1] == 0 and message[4:] == rest and words(message) == 0xFFFF
    return False


class Oracle:
    """All that the clients of one lab try. A stage adds what its routers can besides."""

    def __init__(self, world, lab, stage):
        self.world, self.lab, self.stage = world, lab, int(stage.removeprefix("stage"))
        facts = json.loads(world.must(lab, "run", "--", "sh", "-c", "cat $LAB_FILE").stdout)
        pids = {c["Labels"]["labctl.client"]: engine("GET", f"/containers/{c['Id']}/json")["State"]["Pid"]
                for c in containers(lab)}
        self.nets = {name: net for name, net in facts["networks"].items() if "interface" in net}
        self.hosts = [Host(name, pids[name], client) for name, client in facts["clients"].items()]
        for h in self.hosts:
            self.place(h, facts)
        self.near = [h for h in self.hosts if not h.depth]
        self.pairs = [(a, b) for a in self.hosts for b in self.hosts if a.entry != b.entry]
        self.first, self.last = self.near[0], self.near[-1]
        self.routes = facts["routes"]

    def place(self, host, facts):
        """Where it reaches the router: the network, the router's address there, and how many others are between."""
        host.entry, host.depth = host.network, 0
        if host.network not in self.nets:
            gateway = next(c for c in facts["clients"].values()
                           if host.network in [i["network"] for i in list(c["interfaces"].values())[1:]])
            host.entry, host.depth = gateway["interfaces"]["eth0"]["network"], 1
            host.hop_out, host.hop_in = host.gateway, gateway["interfaces"]["eth0"]["address"]
        host.subnet = ipaddress.IPv4Network(self.nets[host.entry]["subnet"])
        host.mtu = self.nets[host.entry]["mtu"]
        host.router, host.router_mac = self.nets[host.entry]["address"], self.nets[host.entry]["mac"]

    def free(self, host, count=1):
        """Addresses of a host's network that nobody has, the last ones first."""
        used = {h.address for h in self.hosts} | {n["address"] for n in self.nets.values()}
        return [str(a) for a in reversed(list(host.subnet.hosts())[-8:]) if str(a) not in used][:count]

    @staticmethod
    def hops(a, b):
        return 1 + a.depth + b.depth

    def ping(self, a, b, *options, **more):
        return ping(a, b.address, *options, ttl=[64 - self.hops(a, b)], **more)

    def forget(self):
        for h in self.hosts:  # with the tools of the host: in a container /proc/sys is read-only
            command = ["nsenter", "-t", str(h.pid), "-n", "sh", "-c", "ip neigh flush all; ip route flush cache"]
            subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)

    def judge(self, path):
        """What the first client noticed who noticed something, or None."""
        try:
            for a, b in ((self.first, self.last), (self.last, self.first)):
                self.forget()
                with Program(self.world, self.lab, path):
                    together([self.ping(a, b)])
                    together(self.ping(*pair) for pair in self.pairs)
            with Program(self.world, self.lab, path):  # the clients know the router, it does not know them
                together(ping(h, h.router, ttl=OWN_TTL) for h in self.near)
                self.warm()
        except Noticed as e:
            return str(e)
        return None

    def warm(self):
        a, b = self.first, self.last
        together(t for pair in ((a, b), (b, a)) for t in self.through(*pair))
        together(t for h in {a, b} for net in self.nets.values() for t in self.router_itself(h, net["address"]))
        for options in ([], ["-0"]):  # one after the other: arping counts the answers to others, too
            together(arping(h, h.router, h.router_mac, *options) for h in self.near)
        together(t for h in self.near for t in self.arp(h))
        for x, y in ((a, b), (b, a)):
            self.carry(x, y)
        begin = time.monotonic()
        together(self.late(a, b))
        time.sleep(max(0, begin + GIVEN_UP - time.monotonic()))
        together(self.ping(x, y, "-i", "0.01", count=3) for x, y in ((a, b), (b, a)))
        for since, tries in ((2, self.errors), (3, self.moves), (4, self.table), (5, self.pipes), (6, self.traffic)):
            if self.stage >= since:
                tries()

    def through(self, a, b):
        small = min(a.mtu, b.mtu)
        for size in (0, 1, 2, 17, 56, 57, small - 28):
            yield self.ping(a, b, "-s", str(size), "-i", "0.05", count=2)
        yield self.ping(a, b, "-t", str(1 + self.hops(a, b)))
        yield self.ping(a, b, "-t", "255", "-Q", "0x1c")
        yield self.ping(a, b, "-p", "ff", "-s", str(small - 28), "-M", "do")
        yield self.ping(a, b, "-p", "00", "-s", str(small - 29), "-M", "dont")
        yield self.ping(a, b, "-M", "dont", "-s", "3000")
        yield self.ping(a, b, "-R", words=["RR:", a.address, b.address])
        yield self.ping(a, b, "-T", "tsonly", words=["TS:"])
        yield self.ping(a, b, "-l", "3", "-i", "0.01", count=3)
        if self.stage == 1:  # silence or an error: both are right
            yield ping_silent(a, b.address, "-t", "1")

    @staticmethod
    def router_itself(host, address):
        for options in ("-s 0", "-s 1", "-s 57", f"-s {host.mtu - 28}", "-t 1", "-t 5", "-p ff -s 101", "-Q 0x1c",
                        "-R", "-l 3 -c 3 -i 0.01"):
            yield ping(host, address, *options.split(), ttl=OWN_TTL, count=3 if "-c" in options else 1)

    def arp(self, host):
        other = next(h for h in self.near if h.entry != host.entry)
        for address in (other.router, other.address, *self.free(host)):
            yield arping(host, address, None)
        yield confirmed(host, host.router, host.router_mac)

    def carry(self, a, b):
        small = min(a.mtu, b.mtu)
        datagrams(a, b, self.hops(a, b), sizes=(0, 1, 2, 17, 18, 19, 100, 255, small - 29, small - 28),
                  fragments=(1473, 3000, 8000), corners=small == 1500)
        transfer(a, b, 100000)
        echoes(a, b.router)

    def late(self, a, b):
        """Many pings, one to nobody, and one to a neighbour that comes later."""
        there, nowhere = self.free(b, 2)
        tries = [self.ping(a, b, "-i", "0.005", count=200), self.ping(b, a, "-i", "0.005", count=200),
                 ping_silent(a, nowhere) if self.stage == 1 else
                 ping_error(a, nowhere, "Destination Host Unreachable", a.router, wait=5),
                 Try(a, "sh", "-c", f"for i in 1 2 3 4 5 6 7 8 9; do ping -n -c 1 -W 0.2 {there} && break; done",
                     judge=lambda text: None if "bytes from" in text else "a neighbour that came later got nothing")]
        time.sleep(0.3)
        b.do(f"ip addr add {there}/32 dev eth0")
        try:
            for t in tries:
                t.process.wait()
        finally:
            b.do(f"ip addr del {there}/32 dev eth0")
        return tries

    def path(self, a, b):
        """What traceroute shows."""
        hops = ([a.hop_out] if a.depth else []) + [a.router] + ([b.hop_in] if b.depth else [])
        return [*hops, b.address]

    def errors(self):
        a, b = self.first, self.last
        tries = [ping_error(h, o.address, "Time to live exceeded", h.router, "-t", str(1 + h.depth), *options)
                 for h, o, options in ((a, b, ()), (b, a, ()), (a, b, ("-s", "0")), (b, a, ("-s", str(b.mtu - 28))),
                                       (a, b, ("-R",)), (self.hosts[-1], a, ()))]
        if self.stage != 4:  # there everything has a route
            tries += [ping_error(h, "9.9.9.9", "Destination Net Unreachable", h.router) for h in (a, b)]
        together(tries)
        together(traceroute(h, o.address, self.path(h, o), "-q", "1", "-N", "1") for h, o in ((a, b), (b, a)))
        together(traceroute(h, o.address, self.path(h, o), "-I", "-q", "1", "-N", "4") for h, o in ((a, b), (b, a)))
        together([traceroute(a, b.router, [a.router], "-q", "3", "-N", "16"), traceroute(b, a.router, [a.router], "-I")])
        time.sleep(1)  # a router may say no more than 20 things at once
        for h, o in ((a, b), (b, a)):
            for size in (0, 3, h.mtu - 28):
                refused(h, o.router, 3, 3, size=size)
                refused(h, h.router, 3, 3, size=size)
                refused(h, o.address, 11, 0, ttl=1, size=size)
        together(self.ping(*pair) for pair in ((a, b), (b, a)))

    def moves(self):
        """A neighbour gets another MAC address, and an address another neighbour."""
        a, b = self.first, self.last
        try:
            b.do("ip link set eth0 address 02:00:00:00:00:99")
            together([ping(b, b.router, ttl=OWN_TTL)])
            together([self.ping(a, b), self.ping(b, a)])
        finally:
            b.do(f"ip link set eth0 address {b.mac}")
        together([ping(b, b.router, ttl=OWN_TTL)])
        together([self.ping(a, b)])
        for x, y in [(x, y) for x, y in zip(self.near, self.near[1:]) if x.entry == y.entry]:
            other = a if a.entry != x.entry else b
            moving = self.free(x)[0]
            for holder in (x, y):
                try:
                    holder.do(f"ip addr add {moving}/32 dev eth0; arping -c 1 -w 1 -i eth0 -S {moving} {holder.router}")
                    together([ping(other, moving, ttl=[63])])
                finally:
                    holder.do(f"ip addr del {moving}/32 dev eth0")

    def table(self):
        """To which neighbour goes what? The first host sends, tcpdump would see it on the others."""
        a, rng = self.first, random.Random(1)
        routes = [(ipaddress.IPv4Network(r["to"].replace("default", "0.0.0.0/0")), r["via"]) for r in self.routes]
        routes += [(h.subnet, None) for h in self.near]
        plan = {}
        for network, _ in routes:
            for number in (0, network.num_addresses - 1, *(rng.randrange(network.num_addresses) for _ in range(3))):
                for address in (network[number], ipaddress.IPv4Address(int(network[number]) ^ 1 << 32 - max(
                        1, network.prefixlen))):
                    via = max((r for r in routes if address in r[0]), key=lambda r: r[0].prefixlen, default=(0, 0))[1]
                    if via and address not in a.subnet and 0 < int(address) >> 24 < 224 and not (
                            address.is_loopback or address.is_link_local):
                        plan[str(address)] = via
        ears = {h.address: h.ear() for h in self.near if h is not a}
        with a.socket(socket.SOCK_DGRAM) as s:
            s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 2)  # its neighbours may not send it on
            for address in plan:
                s.sendto(b"which way", (address, 33333))
                time.sleep(0.001)
        seen = {}
        end = time.monotonic() + ANSWER_LIMIT
        while set(plan) - set(seen) and time.monotonic() < end:
            for s in select.select(list(ears.values()), [], [], 0.1)[0]:
                frame = s.recv(2048)
                if frame.endswith(b"which way") and frame[23] == socket.IPPROTO_UDP and frame[:6] == s.getsockname()[4]:
                    seen[socket.inet_ntoa(frame[30:34])] = next(via for via, ear in ears.items() if ear is s)
        for s in ears.values():
            s.close()
        for address, via in plan.items():
            if seen.get(address) != via:
                raise Noticed(f"{a.name}: UDP to {address} goes to {seen.get(address)} instead of {via}")

    def pipes(self):
        """Larger than the next network takes."""
        wide = [(a, b) for a, b in self.pairs if not a.depth and a.mtu > b.mtu]
        if self.stage == 5:
            self.forget()  # what they learnt of the path
            together(ping_error(a, b.address, f"Frag needed and DF set (mtu = {b.mtu})", a.router, "-M", "do",
                                "-s", str(a.mtu - 28)) for a, b in wide)
            self.forget()
        for size in (b.mtu - 20 - 8 + extra for _, b in wide[:1] for extra in (1, 8, 9, 500)):
            together(self.ping(a, b, "-M", "dont", "-s", str(size)) for a, b in wide)
        together(self.ping(a, b, "-M", "dont", "-s", "1000", *o) for a, b in wide for o in (("-R",), ("-Q", "0x1c")))
        for a, b in wide:
            datagrams(a, b, self.hops(a, b), fragments=(b.mtu - 28, b.mtu - 27, 1400, 3000), corners=False)

    def traffic(self):
        """Several large transfers at once, and pings as fast as they come back."""
        with ThreadPoolExecutor() as pool:
            for done in [pool.submit(transfer, a, b, 1000000) for a, b in self.pairs[:4]]:
                done.result()
        together(self.ping(a, b, "-i", "0", count=1000) for a, b in self.pairs[:1])
