# SPDX-License-Identifier: MIT
"""Runs tests/bench/standin.py for a benchmark. tests/netport must be on the path."""
import os
import subprocess
import sys

from service import free_port, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))


class StandIn:
    def __init__(self):
        self.port = free_port()
        self.process = subprocess.Popen(
            ["/usr/bin/python3", os.path.join(HERE, "standin.py"), str(self.port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def answers():
            if self.process.poll() is not None:
                sys.exit("bench: the stand-in needs python3-fastapi and uvicorn")
            return subprocess.run(["curl", "-sfo", "/dev/null",
                                   f"http://127.0.0.1:{self.port}/docs"], check=False
                                  ).returncode == 0
        wait_for("the stand-in answers", answers)

    def close(self):
        self.process.terminate()
        self.process.wait()
