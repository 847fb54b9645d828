#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Broken routers for stage1: the reference with one fault each; see lib/mutants.py.

    stage1_mutants.py NAME             run that router
    stage1_mutants.py --later NAME     run one that works at first (robust.minute)
    stage1_mutants.py --losing NAME    run one that loses packets
    stage1_mutants.py --list           a line each: name, tab, checks it must fail, tab, words of the reason or the hint
"""
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import stage1.arp, stage1.eth, stage1.ipv4, stage1.icmp  # noqa: E401, E402, F401
import stage1_reference as ref  # noqa: E402
from lib.mutants import MUTANTS  # noqa: E402
from stage1.later import LATER  # noqa: E402
from stage1.losing import LOSING  # noqa: E402


def main():
    if sys.argv[1:] == ["--list"]:
        for name, (checks, words, _) in MUTANTS.items():
            print(name, checks, words, sep="\t")
        return
    if sys.argv[1:2] == ["--later"]:
        LATER[sys.argv[2]]()
    elif sys.argv[1:2] == ["--losing"]:
        LOSING[sys.argv[2]]()
    elif len(sys.argv) != 2 or sys.argv[1] not in MUTANTS:
        sys.exit("usage: stage1_mutants.py NAME | --later NAME | --losing NAME | --list")
    else:
        MUTANTS[sys.argv[1]][2]()
    with open(os.environ["LAB_FILE"]) as file:
        ref.Router(json.load(file)).run()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
