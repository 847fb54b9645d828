#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Holds stages/stage.schema.json against the parser: golden files, stages, and mutations.

    stage_schema.py TEST_STAGE golden|mutations

TEST_STAGE is build/*/unit/test_stage, whose --verdict is the parser's word. What the schema
refuses, the parser must refuse. What the parser alone refuses must be something that a schema
cannot express: RELATIONS names those problems.
"""
import copy
import json
import os
import re
import subprocess
import sys
import tempfile

import jsonschema

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RELATIONS = re.compile(
    "is outside of|overlaps|there is no network|the client has no interface|already"
    "|nothing is attached|in none of the client's subnets|is not in .*'s subnet"
    "|the network's own or the broadcast|stands for all routers|the client's own address"
    "|is an address inside of a subnet|not of one IP version|larger than the delay"
    "|network '.*' has no IPv6|is too much|is too little|lets nothing through"
    "|is in no network that reaches the router|no client on .* has the address"
    "|the router's own address"
)
SAMPLES = [None, True, 0, -1, 1.5, 80.0, 10**6, "", "x", "1.1.1.1", "default", "net1", [], {},
           ["x"], {"x": 1}]
KEYS = ["zzz", "", "lo", "all", "..", "UPPER", "with space", "sla/sh", "é", "-x", "x-", "a" * 33,
        "a" * 16, "a.b", "_x", "1x"]


def fail(message):
    print(message, file=sys.stderr)
    sys.exit(1)


def verdicts(tool, paths):
    """{path: None when good, else its problems}"""
    out = subprocess.run([tool, "--verdict", *paths], check=True, capture_output=True).stdout
    result = {}
    for line in out.decode().splitlines():
        word, path, *problems = line.split("\t")
        if word == "error":
            fail(f"cannot read {path}")
        result[path] = None if word == "ok" else problems
    return result


def schema_errors(validator, value):
    return [f"{'.'.join(map(str, e.absolute_path))}: {e.message}"
            for e in validator.iter_errors(value)]


def golden(tool, validator):
    invalid = os.path.join(TOP, "tests/golden/invalid")
    with open(os.path.join(TOP, "tests/golden/beyond_schema"), encoding="utf-8") as f:
        beyond = {line.split()[0] for line in f if line.strip() and line[0] != "#"}
    good = [os.path.join(TOP, "tests/golden/valid", n)
            for n in sorted(os.listdir(os.path.join(TOP, "tests/golden/valid")))]
    for stage in sorted(os.listdir(os.path.join(TOP, "stages"))):
        path = os.path.join(TOP, "stages", stage, "stage.json")
        if os.path.exists(path):
            good.append(path)
    names = sorted(os.listdir(invalid))
    bad = {os.path.join(invalid, n, "stage.json"): n for n in names}
    said = verdicts(tool, good + list(bad))
    complaints = [f"beyond_schema names '{n}', which is not there" for n in beyond - set(names)]
    for path in good:
        with open(path, encoding="utf-8") as f:
            errors = schema_errors(validator, json.load(f))
        if said[path] is not None:
            complaints.append(f"{path}: the parser refuses it: {said[path]}")
        complaints += [f"{path}: the schema refuses it: {e}" for e in errors]
    for path, name in bad.items():
        if said[path] is None:
            complaints.append(f"{path}: the parser takes it")
        try:
            with open(path, encoding="utf-8-sig") as f:
                errors = schema_errors(validator, json.load(f))
        except ValueError:
            continue  # no JSON: nothing for a schema
        if bool(errors) == (name in beyond):
            complaints.append(f"{path}: the schema {'refuses' if errors else 'takes'} it, "
                              "against tests/golden/beyond_schema")
    if complaints:
        fail("\n".join(complaints))
    print(f"{len(good)} good files, {len(bad)} bad ones")


def places(value, path=()):
    yield path
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], path + (key,))


def at(value, path):
    for key in path:
        value = value[key]
    return value


def replaced(root, path, new):
    if not path:
        return new
    root = copy.deepcopy(root)
    at(root, path[:-1])[path[-1]] = new
    return root


def string_variants(text):
    return [text + "x", " " + text, text[:-1], text.upper(), text + text, text.replace(".", ",")]


def mutations(root):
    for path in places(root):
        value = at(root, path)
        for new in SAMPLES:
            yield f"{path} = {new!r}", replaced(root, path, new)
        if isinstance(value, str):
            for new in string_variants(value):
                yield f"{path} = {new!r}", replaced(root, path, new)
        if isinstance(value, int):
            for new in (float(value), value + 0.5, str(value), -value - 1, value * 1000):
                yield f"{path} = {new!r}", replaced(root, path, new)
        if isinstance(value, dict):
            for key in KEYS:
                for new in (1, next(iter(value.values()), "x")):
                    yield f"{path} + {key!r}", replaced(root, path, {**value, key: new})
            for key in value:
                less = {k: v for k, v in value.items() if k != key}
                yield f"{path} - {key!r}", replaced(root, path, less)
                for new in (key + "x", key.upper(), "x" + key[1:]):
                    renamed = {new if k == key else k: v for k, v in value.items()}
                    yield f"{path} {key!r} > {new!r}", replaced(root, path, renamed)
        if isinstance(value, list):
            yield f"{path} doubled", replaced(root, path, value + value)


def hold_mutations(tool, validator):
    count = {"good": 0, "bad": 0, "relations": 0}
    complaints = []
    with tempfile.TemporaryDirectory() as tmp:
        made = {}
        for name in ("everything", "ipv6", "chain"):
            with open(os.path.join(TOP, f"tests/golden/valid/{name}.json"), encoding="utf-8") as f:
                root = json.load(f)
            for what, value in mutations(root):
                path = os.path.join(tmp, f"{len(made)}")
                with open(path, "w", encoding="utf-8") as f:
                    json.dump(value, f)
                made[path] = (f"{name}: {what}", value)
        said = {}
        paths = list(made)
        for i in range(0, len(paths), 2000):
            said.update(verdicts(tool, paths[i:i + 2000]))
        for path, (what, value) in made.items():
            takes, problems = validator.is_valid(value), said[path]
            if not takes:
                count["bad"] += 1
                if problems is None:
                    errors = schema_errors(validator, value)
                    complaints.append(f"{what}: only the schema refuses it: {errors[0]}")
            elif problems is None:
                count["good"] += 1
            else:
                count["relations"] += 1
                complaints += [f"{what}: only the parser refuses it: {p}"
                               for p in problems if not RELATIONS.search(p)]
    if complaints:
        fail("\n".join(complaints[:40] + [f"{len(complaints)} disagreements"]))
    # A generator that has gone wrong would agree on everything.
    if min(count.values()) < 100:
        fail(f"too few mutations of a kind: {count}")
    print(count)


def main():
    tool, what = sys.argv[1:]
    with open(os.path.join(TOP, "stages/stage.schema.json"), encoding="utf-8") as f:
        schema = json.load(f)
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    {"golden": golden, "mutations": hold_mutations}[what](tool, validator)


main()
