#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The real Docker Engine behind a proxy that dies: dying-engine.py SOCKET N [ENGINE SOCKET]

Passes N requests on, with their replies; at the next one it closes everything, its own socket
first, as an engine that is killed does. Prints "listening" when it does.
"""

import os
import socket
import sys
import threading

LOCK = threading.Lock()


def close(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


class Proxy:
    def __init__(self, path, requests, engine):
        self.path, self.left, self.engine = path, requests, engine
        self.open = []
        self.dead = False

    def die(self, listener):
        self.dead = True
        os.unlink(self.path)
        listener.shutdown(socket.SHUT_RDWR)  # wakes the accept()
        for sock in self.open:
            close(sock)

    def admit(self, listener):
        """One more request has come: may it pass?"""
        with LOCK:
            if self.dead:
                return False
            if self.left == 0:
                self.die(listener)
                return False
            self.left -= 1
            return True

    def replies(self, engine, client):
        try:
            while data := engine.recv(65536):
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def serve(self, client, listener):
        engine = socket.socket(socket.AF_UNIX)
        engine.connect(self.engine)
        with LOCK:
            self.open += [client, engine]
            if self.dead:
                close(client)
        threading.Thread(target=self.replies, args=(engine, client), daemon=True).start()
        try:
            # one request at a time on a connection, and small: its first bytes are its method
            while data := client.recv(65536):
                if data.split(b" ")[0] in (b"GET", b"POST", b"DELETE", b"HEAD", b"PUT") and not self.admit(listener):
                    return
                engine.sendall(data)
        except OSError:
            pass

    def run(self):
        listener = socket.socket(socket.AF_UNIX)
        if os.path.exists(self.path):
            os.unlink(self.path)  # of one before this that was killed
        listener.bind(self.path)
        listener.listen(64)
        print("listening", flush=True)
        try:
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self.serve, args=(client, listener), daemon=True).start()
        except OSError:
            listener.close()
            threading.Event().wait()


Proxy(sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "/var/run/docker.sock").run()
