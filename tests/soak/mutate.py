# SPDX-License-Identifier: MIT
"""Mutants of a stage's reference router: one small change each, made by rule in the syntax tree."""
import ast
import copy
import os
import random
from collections import defaultdict, namedtuple
from itertools import zip_longest

from soaklib import TREE

ROUTERS = f"{TREE}/tests/routers"
# Nobody wants to wait three seconds for each neighbour that is not there, or a minute until one is forgotten.
SHORTER = {"lib/base.py": (b"PATIENCE = 3.0", b"PATIENCE = 1.0"),
           "stage1_reference.py": (b"60.0, 3, 1.0, 16", b"1.5, 1, 1.0, 256"),
           "stage3_reference.py": (b"LIFETIME = 30.0", b"LIFETIME = 1.5")}
UNUSED = {"stage1": {"Router.fragments"}}  # all its networks take 1500 bytes

SWAPPED = {ast.Eq: ast.NotEq, ast.Lt: ast.LtE, ast.Gt: ast.GtE, ast.Is: ast.IsNot, ast.In: ast.NotIn,
           ast.Add: ast.Sub, ast.Mult: ast.FloorDiv, ast.BitAnd: ast.BitOr, ast.LShift: ast.RShift,
           ast.And: ast.Or}
SWAPPED |= {b: a for a, b in SWAPPED.items()} | {ast.Mod: ast.FloorDiv}
TWINS = {"min": "max", "any": "all"}
TWINS |= {b: a for a, b in TWINS.items()}
SILENT = {"print", "sys.exit"}  # calls that are no behaviour on the network

Mutant = namedtuple("Mutant", "number file line function rule before after start end")


class Mutator(ast.NodeVisitor):
    """Lists all mutants of one file. Each is a piece of its bytes and what stands there instead."""

    def __init__(self, file, source, dead):
        self.file, self.source, self.dead = file, source, dead
        self.lines = [0]
        for line in source.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))
        self.where, self.found = [], []
        self.visit(ast.parse(source))

    def add(self, rule, node, text):
        start = self.lines[node.lineno - 1] + node.col_offset
        end = self.lines[node.end_lineno - 1] + node.end_col_offset
        before = self.source[start:end].decode()
        if text not in (before, f"({before})"):
            self.found.append(Mutant(None, self.file, node.lineno, ".".join(self.where), rule, before, text, start, end))

    def change(self, rule, node, **fields):
        """The expression with some of its fields changed."""
        other = copy.copy(node)
        for name, value in fields.items():
            setattr(other, name, value)
        if ast.unparse(other) != ast.unparse(node):
            self.add(rule, node, f"({ast.unparse(other)})")

    def scope(self, node):
        name = ".".join([*self.where, node.name])
        if name in self.dead:
            return
        self.where.append(node.name)
        body = node.body
        if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            body = body[1:]  # the docstring
        if isinstance(node, ast.FunctionDef) and body:
            self.add("return", body[0], "return True")
            self.visit(node.args)
        for statement in body:
            self.visit(statement)
        self.where.pop()

    visit_FunctionDef = visit_ClassDef = scope

    def visit(self, node):
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.JoinedStr, ast.Raise)):
            if isinstance(node, ast.Raise):
                self.add("remove", node, "pass")
            return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return
        if isinstance(node, ast.Call) and ast.unparse(node.func) in SILENT:
            return
        if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
            return
        if isinstance(node, ast.stmt) and not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Pass)):
            self.statement(node)
        super().visit(node)

    def statement(self, node):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and ast.unparse(node.value.func) in SILENT:
            return
        self.add("remove", node, "pass")
        if self.where and isinstance(node, (ast.Expr, ast.Assign, ast.AugAssign)):
            self.add("return", node, "return")
        if isinstance(node, ast.Return) and node.value:
            self.add("return", node, "return None")
        for test in [node.test] if isinstance(node, (ast.If, ast.While)) else []:
            self.condition(test)

    def condition(self, test):
        self.add("condition", test, f"(not ({ast.unparse(test)}))")
        self.add("condition", test, "True")
        self.add("condition", test, "False")

    def visit_Continue(self, node):
        self.add("remove", node, "break")

    def visit_IfExp(self, node):
        self.condition(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node):
        for test in node.ifs:
            self.condition(test)
        self.generic_visit(node)

    def visit_BoolOp(self, node):
        self.change("boolean", node, op=SWAPPED[type(node.op)]())
        for i in range(len(node.values)):
            self.change("boolean", node, values=node.values[:i] + node.values[i + 1:])
        self.generic_visit(node)

    def visit_Compare(self, node):
        for i, op in enumerate(node.ops):
            self.change("compare", node, ops=[*node.ops[:i], SWAPPED[type(op)](), *node.ops[i + 1:]])
        self.generic_visit(node)

    def visit_BinOp(self, node):
        self.change("arithmetic", node, op=SWAPPED[type(node.op)]())
        self.generic_visit(node)

    def visit_AugAssign(self, node):
        other = copy.copy(node)
        other.op = SWAPPED[type(node.op)]()
        self.add("arithmetic", node, ast.unparse(other))
        self.visit(node.value)

    def visit_UnaryOp(self, node):
        self.add("arithmetic", node, f"({ast.unparse(node.operand)})")
        self.generic_visit(node)

    def visit_Slice(self, node):
        if node.upper:
            self.change_slice(node, upper=None)
        if node.lower:
            self.change_slice(node, lower=None)
        self.generic_visit(node)

    def change_slice(self, node, **fields):
        other = ast.Slice(**{"lower": node.lower, "upper": node.upper, "step": node.step, **fields})
        self.add("slice", node, ast.unparse(other))

    def visit_Call(self, node):
        name = ast.unparse(node.func)
        if name in TWINS:
            self.change("call", node, func=ast.Name(TWINS[name]))
        for i in range(isinstance(node.args[:1] and node.args[0], ast.Constant), len(node.args) - 1):
            self.change("call", node, args=[*node.args[:i], node.args[i + 1], node.args[i], *node.args[i + 2:]])
        self.generic_visit(node)

    def visit_Constant(self, node):
        value = node.value
        if value is None:
            return
        if isinstance(value, bool):
            others = [not value]
        elif isinstance(value, (int, float)):
            others = [value + 1, value - 1, 0]
        elif isinstance(value, bytes):
            others = [b"", bytes([value[0] ^ 1]) + value[1:]] if value else [b"\0"]
        elif value.startswith("!"):  # how a structure's numbers are written
            others = ["<" + value[1:]]
        else:
            return
        for other in dict.fromkeys(others):
            if other != value or type(other) is not type(value):
                self.add("constant", node, repr(other))


def chain(stage):
    """The files a stage's reference is made of, the deepest last."""
    found, todo = [], [f"{stage}_reference.py"]
    while todo:
        file = todo.pop(0)
        if file in found:
            continue
        found.append(file)
        with open(f"{ROUTERS}/{file}", "rb") as f:
            tree = ast.parse(f.read())
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{a.name}" for a in node.names] + [node.module]
            paths = [name.replace(".", "/") + ".py" for name in names]
            todo += [p for p in paths if os.path.exists(f"{ROUTERS}/{p}")]
    return found


def overridden(sources):
    """Of each file, the methods that a file before it replaces without calling them."""
    gone, dead = set(), {}
    for file, source in sources.items():
        dead[file], here = set(gone), set()
        for owner in [n for n in ast.parse(source).body if isinstance(n, ast.ClassDef)]:
            for method in [n for n in owner.body if isinstance(n, ast.FunctionDef)]:
                if f"super().{method.name}(" not in ast.unparse(method):
                    here.add(f"{owner.name}.{method.name}")
        gone |= here
    return dead


class Mutants:
    def __init__(self, stage):
        self.stage = stage
        self.sources = {}
        for file in chain(stage):
            with open(f"{ROUTERS}/{file}", "rb") as f:
                self.sources[file] = f.read()
            if file in SHORTER:
                assert SHORTER[file][0] in self.sources[file]
                self.sources[file] = self.sources[file].replace(*SHORTER[file])
        dead, unused = overridden(self.sources), UNUSED.get(stage, set())
        found = [m for file, source in self.sources.items() for m in Mutator(file, source, dead[file] | unused).found]
        unique = {(m.file, m.start, m.end, m.after): m for m in reversed(found)}
        found = sorted(unique.values(), key=lambda m: (list(self.sources).index(m.file), m.start, m.end, m.after))
        self.all = [m._replace(number=n) for n, m in enumerate(found, 1)]

    def sample(self, count, seed):
        """Some of them, evenly over rules and functions; in a stage that builds on others, half from its own file."""
        own = f"{self.stage}_reference.py"
        mine = self.evenly([m for m in self.all if m.file == own], seed)
        others = self.evenly([m for m in self.all if m.file != own], seed)
        share = max(count // 2, count - len(others))
        mine = mine[:share]
        return sorted(mine + others[:count - len(mine)])

    @staticmethod
    def evenly(mutants, seed):
        groups = defaultdict(list)
        for m in mutants:
            groups[m.file, m.function, m.rule].append(m)
        rng = random.Random(seed)
        for group in groups.values():
            rng.shuffle(group)
        order = list(groups.values())
        rng.shuffle(order)
        return [m for turn in zip_longest(*order) for m in turn if m]

    def write(self, mutant, directory):
        """All the files, one of them changed (none for None). The program's path."""
        for file, source in self.sources.items():
            if mutant and file == mutant.file:
                source = source[:mutant.start] + mutant.after.encode() + source[mutant.end:]
            path = f"{directory}/{file}"
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(source)
        return f"{directory}/{self.stage}_reference.py"
