#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Calls that pass NULL as `struct err *err`, one per line; exit status 1 if there are any."""
import glob
import re
import sys

LITERALS = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'|/\*.*?\*/|//[^\n]*', re.S)
TAKES_ERR = re.compile(r"\b(\w+)\)?\s*\((?:[^()]|\([^()]*\))*(?<!const )struct err \*\w*\)")


def code_of(path):
    """The file's text, with strings and comments overwritten in place."""
    with open(path) as file:
        return LITERALS.sub(lambda m: re.sub(r"[^\n]", "_", m.group()), file.read())


def end_of_call(text, start):
    depth = 0
    for at in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return at
    return len(text)


def main():
    sources = {path: code_of(path) for room in ("labctl", "tests")
               for path in sorted(glob.glob(room + "/**/*.[ch]", recursive=True))}
    takers = {m.group(1) for text in sources.values() for m in TAKES_ERR.finditer(text)}
    found = False
    for path, text in sources.items():
        for call in re.finditer(r"\b(\w+)\s*\(", text):
            if call.group(1) not in takers:
                continue
            arguments = text[call.end():end_of_call(text, call.end() - 1)]
            if re.search(r"(^|[,:]\s*)NULL\s*$", arguments):
                print(f"{path}:{text.count(chr(10), 0, call.start()) + 1}: {call.group(1)}")
                found = True
    return found


sys.exit(main())
