#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A Docker Engine that misbehaves as told, for faults that the real one does not produce.

    fake-engine.py SCRIPT SOCKET                 on a Unix socket
    fake-engine.py SCRIPT HOST:PORT              on tcp; port 0 is any
    fake-engine.py SCRIPT HOST:PORT CERT KEY CA  the same with TLS, asking for a certificate of CA's

Prints its address when it listens, and ends when its standard input does. SCRIPT is JSON:

    {"api": "1.41", "rules": [RULE, ...]}

"api" is what /_ping says (null: nothing). For each request the first rule counts whose "on"
("METHOD /path", a regular expression for the whole, without version and query) fits and whose
"times" is not used up; without one: 404. A rule's keys:

    status, json | body, type      the reply (200, application/json); "repeat": the body so often
    headers                        more of them, an object
    chunks, gap                    the body as a list of pieces, so many seconds apart; chunked
    cut                            so many bytes of the body, then the connection is closed
    raw                            these bytes instead of a reply, then the connection is closed
    close                          true: closed without a reply
    hang                           true: no reply, ever
    delay                          seconds before the reply
    after                          no reply before there is this file
    read                           so many bytes of an upload are read before the reply, which
                                   ends with the connection closed
    hijack                         the connection is upgraded; a list of steps:
                                   {"frame": [1, "text"]}, {"send": "text"}, {"echo": true} (frames
                                   back what comes, until the end), {"piece": N} (from here on N
                                   bytes a write), {"hang": true}, {"reset": true}

GET /_log tells {"requests": [{"method", "path", "target", "headers", "body"}, ...],
"connections": N, "together": most requests at one time}.
"""

import json
import os
import re
import socket
import ssl
import struct
import sys
import threading
import time

LOCK = threading.Lock()


class Gone(Exception):
    """This connection is to be closed."""


class Log:
    def __init__(self):
        self.requests = []
        self.connections = 0
        self.now = 0
        self.together = 0

    def begin(self, entry):
        with LOCK:
            self.requests.append(entry)
            self.now += 1
            self.together = max(self.together, self.now)

    def end(self):
        with LOCK:
            self.now -= 1

    def text(self):
        with LOCK:
            return json.dumps({"requests": self.requests, "connections": self.connections,
                               "together": self.together})


class Connection:
    def __init__(self, sock, script, log):
        self.sock = sock
        self.file = sock.makefile("rb")
        self.script = script
        self.log = log
        self.piece = 0

    # --- requests ---

    def line(self):
        text = self.file.readline(65536)
        if not text:
            raise Gone
        return text.decode("latin-1").rstrip("\r\n")

    def chunked_body(self, limit):
        body = b""
        while limit is None or len(body) < limit:
            size = int(self.line().split(";")[0], 16)
            body += self.file.read(size)
            self.line()
            if size == 0:
                break
        return body

    def serve_one(self):
        method, target, _ = self.line().split(" ", 2)
        headers = {}
        while text := self.line():
            name, _, value = text.partition(":")
            headers[name.strip().lower()] = value.strip()
        path = re.sub(r"^/v[0-9.]+", "", target.split("?")[0])
        rule = self.find(f"{method} {path}")
        if headers.get("transfer-encoding") == "chunked":
            body = self.chunked_body(rule.get("read"))
        else:
            body = self.file.read(int(headers.get("content-length", 0)))
        entry = {"method": method, "path": path, "target": target, "headers": headers,
                 "body": body.decode("latin-1") if len(body) < 65536 else f"{len(body)} bytes"}
        self.log.begin(entry)
        try:
            self.answer(rule, method)
        finally:
            self.log.end()

    def find(self, call):
        if call.endswith(" /_log"):
            return {"body": self.log.text()}
        with LOCK:
            for rule in self.script.get("rules", []):
                if re.fullmatch(rule["on"], call) and rule.get("times", 1) > 0:
                    if "times" in rule:
                        rule["times"] -= 1
                    return rule
        if call.endswith(" /_ping"):
            api = self.script.get("api", "1.41")
            return {"body": "OK", "type": "text/plain", "headers": {"Api-Version": api} if api else {}}
        return {"status": 404, "json": {"message": f"no rule for {call}"}}

    # --- replies ---

    def send(self, data):
        step = self.piece or max(len(data), 1)
        for at in range(0, len(data), step):
            self.sock.sendall(data[at:at + step])

    def head(self, rule, lines):
        status = rule.get("status", 200)
        text = f"HTTP/1.1 {status} Whatever\r\nContent-Type: {rule.get('type', 'application/json')}\r\n"
        for name, value in {**rule.get("headers", {}), **lines}.items():
            text += f"{name}: {value}\r\n"
        self.send((text + "\r\n").encode("latin-1"))

    def answer(self, rule, method):
        time.sleep(rule.get("delay", 0))
        while "after" in rule and not os.path.exists(rule["after"]):
            time.sleep(0.02)
        if rule.get("hang"):
            self.sock.recv(1)
            raise Gone
        if rule.get("close"):
            raise Gone
        if "raw" in rule:
            self.send(rule["raw"].encode("latin-1"))
            raise Gone
        if "hijack" in rule:
            self.hijack(rule)
            raise Gone
        if "chunks" in rule:
            self.chunks(rule)
        else:
            self.whole(rule, method)
        if "read" in rule:
            # as Go's server: no more replies, and a while for the client to notice
            self.sock.shutdown(socket.SHUT_WR)
            self.sock.settimeout(5)
            while self.sock.recv(65536):
                pass
            raise Gone

    def whole(self, rule, method):
        body = json.dumps(rule["json"]) if "json" in rule else rule.get("body", "")
        body = body.encode("latin-1") * rule.get("repeat", 1)
        if rule.get("status") in (204, 304):
            self.head(rule, {})
            return
        self.head(rule, {"Content-Length": len(body)})
        if method != "HEAD":
            self.send(body[:rule["cut"]] if "cut" in rule else body)
        if "cut" in rule:
            raise Gone

    def chunks(self, rule):
        self.head(rule, {"Transfer-Encoding": "chunked"})
        for piece in rule["chunks"]:
            data = piece.encode("latin-1")
            self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            time.sleep(rule.get("gap", 0))
        if "cut" in rule:
            raise Gone
        self.send(b"0\r\n\r\n")

    def frame(self, stream, data):
        self.send(struct.pack(">BxxxI", stream, len(data)) + data)

    def hijack(self, rule):
        status = rule.get("status", 101)
        upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n" if status == 101 else ""
        head = f"HTTP/1.1 {status} UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n{upgrade}\r\n"
        # in one write with the first step: bytes behind the head belong to the stream
        pending = head.encode()
        for step in rule["hijack"]:
            if "frame" in step:
                stream, text = step["frame"]
                data = text.encode("latin-1") * step.get("repeat", 1)
                pending += struct.pack(">BxxxI", stream, len(data)) + data
                self.send(pending)
            elif "send" in step:
                self.send(pending + step["send"].encode("latin-1"))
            elif "piece" in step:
                self.piece = step["piece"]
                continue
            else:
                self.send(pending)
                self.hijack_wait(step)
            pending = b""
        self.send(pending)

    def hijack_wait(self, step):
        if "echo" in step:
            while data := self.sock.recv(65536):
                self.frame(1, data)
            self.frame(1, b"<end>")
        elif "hang" in step:
            while self.sock.recv(65536):
                pass
        elif "reset" in step:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def serve(sock, tls, script, log):
    try:
        if tls:
            sock = tls.wrap_socket(sock, server_side=True)
        with log_connection(log):
            connection = Connection(sock, script, log)
            while True:
                connection.serve_one()
    except (Gone, OSError, ValueError):
        pass
    finally:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        sock.close()


class log_connection:
    def __init__(self, log):
        self.log = log

    def __enter__(self):
        with LOCK:
            self.log.connections += 1

    def __exit__(self, *_):
        return False


def listen(address):
    if "/" in address:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(address)
        shown = "unix://" + address
    else:
        host, _, port = address.rpartition(":")
        sock = socket.socket(socket.AF_INET)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, int(port)))
        shown = "tcp://%s:%d" % sock.getsockname()
    sock.listen(128)
    return sock, shown


def main():
    script = json.loads(sys.argv[1])
    sock, shown = listen(sys.argv[2])
    tls = None
    if len(sys.argv) > 3:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(sys.argv[3], sys.argv[4])
        tls.load_verify_locations(sys.argv[5])
        tls.verify_mode = ssl.CERT_REQUIRED
    log = Log()

    def accept():
        while True:
            connection, _ = sock.accept()
            threading.Thread(target=serve, args=(connection, tls, script, log), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print(shown, flush=True)
    sys.stdin.read()


main()
