# SPDX-License-Identifier: MIT
"""Stands in for the netport service that came before, where that cannot be installed.

The same framework and server (FastAPI on uvicorn, with uvloop and httptools where they are there),
the same kind of store (lists of texts in memory), the same work a call: what is measured is what
that design costs. Only the calls that the benchmark uses.
"""
import re
import socket
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from pydantic import BaseModel


class Answer(BaseModel):
    data: Any

    def __init__(self, data):
        super().__init__(data=data)


app = FastAPI()
held = {}


def is_held(record):
    return any(record in records for records in held.values())


def take(client, record):
    if is_held(record):
        return False
    held.setdefault(client, []).append(record)
    return True


def in_use(port):
    with socket.socket() as s:
        return s.connect_ex(("localhost", port)) == 0


@app.get("/db/reserve")
def reserve(request: Request, resource: str, value: str):
    return Answer(take(request.client.host, f"{resource}:{value}"))


@app.get("/db/is_reserved")
def is_reserved(resource: str, value: str):
    return Answer(is_held(f"{resource}:{value}"))


@app.get("/db/my_resources")
def my_resources(request: Request, resource: str = "(.)+"):
    records = held.get(request.client.host, [])
    return Answer([r for r in records if re.search(resource + ":", r)])


@app.get("/networking/get_port")
def get_port(request: Request, port: int = 0):
    if port and not in_use(port) and take(request.client.host, f"PORT:{port}"):
        return Answer({"port": port})
    with socket.socket() as s:
        s.bind(("", 0))
        port = s.getsockname()[1]
    return Answer({"port": port} if take(request.client.host, f"PORT:{port}") else False)


if __name__ == "__main__":
    import sys
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]))
