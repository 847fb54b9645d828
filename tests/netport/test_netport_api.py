# SPDX-License-Identifier: MIT
"""netport's API, call by call, as its clients know it."""
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile

from service import (Service, as_user, equal, free_port, free_ports, main, own_network, true,
                     wait_for)


def detail(reply, *want):
    equal(reply.status, 422, reply)
    equal([(d["loc"], d["msg"], d["type"]) for d in reply.json["detail"]], list(want))


MISSING = "field required", "value_error.missing"
NO_INTEGER = "value is not a valid integer", "type_error.integer"


def reserve_is_true_once(s):
    equal(s.data("/db/reserve", resource="PORT", value="5000"), True)
    equal(s.data("/db/reserve", resource="PORT", value="5000"), False)
    equal(s.data("/db/reserve", unix=True, resource="PORT", value="5000"), False)
    equal(s.data("/db/reserve", resource="PORT", value="5001"), True)


def any_resource_and_value_can_be_reserved(s):
    for resource, value in [("gpu", "0"), ("GPU", "0"), ("PORT", "http"), ("my thing", "a b"),
                            ("PATH", "relative"), ("ü", "ö:ä")]:
        equal(s.data("/db/is_reserved", resource=resource, value=value), False)
        equal(s.data("/db/reserve", resource=resource, value=value), True)
        equal(s.data("/db/reserve", resource=resource, value=value), False)
        equal(s.data("/db/is_reserved", resource=resource, value=value), True)
    equal(sorted(s.data("/db/my_resources")),
          sorted(["gpu:0", "GPU:0", "PORT:http", "my thing:a b", "PATH:relative", "ü:ö:ä"]))


def is_reserved_by_anyone(s):
    equal(s.data("/db/is_reserved", resource="PORT", value="5000"), False)
    equal(s.data("/db/reserve", unix=True, resource="PORT", value="5000"), True)
    equal(s.data("/db/is_reserved", resource="PORT", value="5000"), True)
    equal(s.data("/db/is_reserved", resource="PATH", value="5000"), False)


def lists_take_regular_expressions(s):
    for resource, value in [("PORT", "5000"), ("PORT", "5010"), ("GPU", "5"), ("PATH", "/tmp/x")]:
        s.data("/db/reserve", resource=resource, value=value)
    equal(s.data("/db/my_resources", resource="PORT"), ["PORT:5000", "PORT:5010"])
    equal(s.data("/db/my_resources", resource="^P.*"), ["PATH:/tmp/x", "PORT:5000", "PORT:5010"])
    me = s.data("/networking/whats_my_ip")
    equal(me, "127.0.0.1")
    listed = s.data("/db/get_client_resources", client_ip=me, resource="PORT", value=r"50\d0")
    equal(listed, ["PORT:5000", "PORT:5010"])
    equal(s.data("/db/get_client_resources", value="(?:5000|5)$"), ["GPU:5", "PORT:5000"])
    equal(s.data("/db/get_client_resources", client_ip="10.0.0.1"), [])
    equal(len(s.data("/db/get_client_resources")), 4)
    r = s.get("/db/my_resources", resource="(")
    equal(r.status, 422, r)
    equal(r.json["detail"][0]["msg"], "not a regular expression: Unmatched ( or \\(")
    r = s.get("/db/my_resources", resource="(((a{1,200}){1,200}){1,200}){1,200}")
    equal((r.status, r.json["detail"][0]["msg"]), (422, "not a regular expression: its repeats multiply to too much"))


def release_only_one_s_own(s):
    s.data("/db/reserve", resource="PORT", value="5000")
    s.data("/db/reserve", unix=True, resource="PORT", value="5001")
    equal(s.data("/db/release_resource", resource="PORT", value="5001"), False)
    equal(s.data("/db/is_reserved", resource="PORT", value="5001"), True)
    equal(s.data("/db/release_resource", resource="PORT", value="5000"), True)
    equal(s.data("/db/release_resource", resource="PORT", value="5000"), False)
    equal(s.data("/db/is_reserved", resource="PORT", value="5000"), False)
    equal(s.data("/db/reserve", resource="PORT", value="5000"), True)


def release_client_own_and_foreign(s):
    for value in "5000", "5001":
        s.data("/db/reserve", resource="PORT", value=value)
    s.data("/db/reserve", unix=True, resource="PORT", value="5002")
    owner = s.data("/networking/whats_my_ip", unix=True)
    r = s.get("/db/release_client", client=owner)
    equal((r.status, r.json["detail"]),
          (403, "only an administrator may release what another client holds"))
    equal(s.data("/db/is_reserved", resource="PORT", value="5002"), True)
    equal(s.data("/db/release_client"), True)
    equal(s.data("/db/release_client"), False)
    equal(s.data("/db/my_resources"), [])
    # The service's own user is an administrator on the Unix socket.
    s.data("/db/reserve", resource="PORT", value="5003")
    equal(s.data("/db/release_client", unix=True, client="127.0.0.1"), True)
    equal(s.data("/db/is_reserved", resource="PORT", value="5003"), False)
    equal(s.data("/db/is_reserved", resource="PORT", value="5002"), True)


def all_resources_and_clients(s):
    equal(s.data("/db/get_all_resources"), {})
    equal(s.data("/db/get_all_clients"), [])
    owner = s.data("/networking/whats_my_ip", unix=True)
    s.data("/db/reserve", resource="PORT", value="5000")
    s.data("/db/reserve", resource="gpu", value="1")
    s.data("/db/reserve", unix=True, resource="PORT", value="5002")
    equal(s.data("/db/get_all_resources"),
          {"127.0.0.1": [["PORT:5000"], ["gpu:1"]], owner: [["PORT:5002"]]})
    equal(sorted(s.data("/db/get_all_clients")), sorted(["127.0.0.1", owner]))


def get_port_wanted_or_another(s):
    wanted = free_port()
    equal(s.data("/networking/get_port", port=wanted), {"port": wanted})
    other = s.data("/networking/get_port", port=wanted)
    true(other["port"] != wanted, other)
    seen = {wanted, other["port"]}
    for _ in range(20):
        port = s.data("/networking/get_port")["port"]
        true(port not in seen and 0 < port < 65536, port)
        seen.add(port)
    equal(sorted(s.data("/db/my_resources", resource="PORT")), sorted(f"PORT:{p}" for p in seen))


def get_port_is_never_one_in_use(s):
    with socket.socket() as listener, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        udp.bind(("::", 0))
        for used in listener.getsockname()[1], udp.getsockname()[1]:
            true(s.data("/networking/get_port", port=used)["port"] != used)
            equal(s.data("/networking/is_port_in_use", port=used), True)
            equal(s.data("/db/is_reserved", resource="PORT", value=used), False)
    equal(s.data("/networking/is_port_in_use", port=free_port()), False)
    equal(s.data("/networking/is_port_in_use", port=s.port), True)


def a_port_s_pool_comes_first_then_any(s):
    base = free_ports(3)
    s.run("netport", "pool", "PORT", f"{base}-{base + 2}")
    taken = {s.data("/networking/get_port")["port"] for _ in range(3)}
    equal(taken, {base, base + 1, base + 2})
    true(s.data("/networking/get_port")["port"] not in taken)


def interfaces_and_paths(s):
    # Others' come and go meanwhile.
    wait_for("the lists agree", lambda: sorted(s.data("/networking/list_interfaces")) ==
             sorted({name for _, name in socket.if_nameindex()}))
    with tempfile.NamedTemporaryFile() as f:
        equal(s.data("/fs/is_path_exist", path=f.name), True)
        equal(s.data("/fs/is_path_exist", path=f"  {f.name} "), True)
        equal(s.data("/fs/reserve_path", path=f.name), True)
        equal(s.data("/fs/reserve_path", path=f.name), False)
        equal(s.data("/db/my_resources"), [f"PATH:{f.name}"])
        gone = f.name
    equal(s.data("/fs/is_path_exist", path=gone), False)
    equal(s.data("/fs/reserve_path", path="/nowhere/at/all"), False)
    equal(s.data("/db/is_reserved", resource="PATH", value="/nowhere/at/all"), False)


def wrong_parameters_are_422(s):
    resource, value = (["query", "resource"], *MISSING), (["query", "value"], *MISSING)
    for path in "/db/reserve", "/db/is_reserved", "/db/release_resource":
        detail(s.get(path), resource, value)
        detail(s.get(path, resource="PORT"), value)
    detail(s.get("/networking/is_port_in_use"), (["query", "port"], *MISSING))
    detail(s.get("/networking/is_port_in_use", port="http"), (["query", "port"], *NO_INTEGER))
    detail(s.get("/networking/get_port", port="1.5"), (["query", "port"], *NO_INTEGER))
    detail(s.get("/networking/get_port", port=70000),
           (["query", "port"], "ensure this value is less than or equal to 65535",
            "value_error.number.not_le"))
    for path, name in ("/fs/is_path_exist", "path"), ("/fs/reserve_path", "path"), \
            ("/shell/run_process", "command"), ("/shell/execute_command", "command"), \
            ("/shell/is_process_running", "name"):
        detail(s.get(path), (["query", name], *MISSING))


def unknown_paths_and_methods(s):
    r = s.get("/db/nothing")
    equal((r.status, r.json), (404, {"detail": "Not Found"}))
    r = s.call("POST", "/db/reserve", {})
    equal((r.status, r.json, r.headers["Allow"]), (405, {"detail": "Method Not Allowed"}, "GET"))
    r = s.get("/db/reserve?resource=%zz&value=1")
    equal(r.status, 400, r)
    equal(r.json["error"]["message"], "a '%' in the URL lacks its two digits")


def shell_is_shut_without_a_list(s):
    for call in "run_process", "execute_command":
        r = s.get(f"/shell/{call}", unix=True, command="true")
        equal((r.status, r.json["detail"]),
              (403, "this service starts no programs: it runs without --allow-shell"))


def shell_starts_what_the_list_allows(s):
    rules = os.path.join(s.dir, "rules")
    with open(rules, "w", encoding="ascii") as f:
        f.write("# what may run\n\ntrue\nfalse\nsleep [0-9]*\ntest ...\n")
    t = Service(s.store, ["--allow-shell", rules])
    try:
        def run(call, command, **more):
            return t.get("/shell/" + call, command=command, **more)
        equal(run("execute_command", "true", unix=True).json, {"data": True})
        equal(run("execute_command", "false", unix=True).json, {"data": False})
        equal(run("execute_command", "test -d /tmp", unix=True).json, {"data": True})
        for bad in "true; id", "sh -c id", "sleep x", "true x", "/bin/true", "":
            r = run("execute_command", bad, unix=True)
            equal((r.status, r.json["detail"]),
                  (403, "the list of allowed commands does not have this one"), bad)
        r = run("run_process", "sleep 1000")
        equal((r.status, r.json["detail"]),
              (403, "'127.0.0.1' may not start programs: it takes the scope 'shell'"))
        shell = {"Authorization": "Bearer " + t.token("sh", "lease,shell")}
        pid = run("run_process", "sleep 1000", headers=shell).json["data"]
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            equal(f.read(), b"sleep\x001000\x00")
        equal(run("run_process", "sleep 1000", headers=shell).json, {"data": -1})
        equal(t.data("/db/is_reserved", resource="PROCESS", value="sleep 1000"), True)
        true("sleep" in t.data("/shell/is_process_running", name="SLEEP"))
        os.kill(pid, 9)
        # The reservation ends with the process.
        wait_for("nobody has it", lambda: not t.data("/db/is_reserved", resource="PROCESS",
                                                     value="sleep 1000"))
        again = run("run_process", "sleep 1000", headers=shell).json["data"]
        true(again not in (pid, -1), again)
        os.kill(again, 9)
    finally:
        t.close()


def a_running_process_is_found_by_name(s):
    # The first that fits: it may be a lab's labctl-forward.
    true("labctl" in s.data("/shell/is_process_running", name="labctl"))
    equal(s.data("/shell/is_process_running", name="no-such-program-anywhere"), False)


def the_mac_is_the_one_that_python_takes():
    """libuuid's choice: the first interface with an IPv4 address and a hardware address."""
    def compare():
        own_network()
        for words in ("add bare type bridge", "add br7 type bridge", "add seven type veth peer eight",
                      "set bare up", "set br7 up", "set seven up", "set eight up"):
            subprocess.run(["ip", "link", *words.split()], check=True)
        for name, address in ("seven", "10.7.1.1/24"), ("br7", "10.7.0.1/24"):
            subprocess.run(["ip", "addr", "add", address, "dev", name], check=True)
        for gone in "br7", "seven":
            s = Service()
            try:
                system_info_in_python_s_words(s)
            finally:
                s.close()
            subprocess.run(["ip", "link", "del", gone], check=True)
    as_user(0, compare)


def run_python(text):
    return subprocess.run(["/usr/bin/python3", "-c", text], capture_output=True, text=True,
                          check=True).stdout.strip()


def system_info_in_python_s_words(s):
    info = s.data("/system/get_system_info")
    equal(list(info), ["platform", "platform-release", "platform-version", "architecture",
                       "hostname", "ip-address", "mac-address", "processor", "ram"])
    equal([info["platform"], info["platform-release"], info["platform-version"],
           info["architecture"], info["hostname"]],
          [platform.system(), platform.release(), platform.version(), platform.machine(),
           socket.gethostname()])
    true(re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", info["mac-address"]), info)
    nodes = {run_python("import uuid; print(f'{uuid.getnode():012x}')") for _ in range(2)}
    if len(nodes) == 1:  # else it is a random one, as no interface has an address
        equal(info["mac-address"].replace(":", ""), nodes.pop())
    true(re.fullmatch(r"\d+\.\d+\.\d+\.\d+", info["ip-address"]), info)
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    equal(info["ram"], f"{round(total / 1024 ** 3)} GB")


def the_service_s_own_records_are_no_resources(s):
    for resource in "PORTMASTER", "IDEMPOTENCY":
        equal(s.data("/db/reserve", resource=resource, value="web"), True)
        equal(s.data("/db/reserve", resource=resource, value="web"), False)
        true(f"{resource}:web" in s.data("/db/my_resources"))
    r = s.call("POST", "/v1/services", {"name": "web", "start": 5000, "end": 5001})
    equal(r.status, 201, r)
    equal(s.data("/db/release_resource", resource="PORTMASTER", value="web"), True)
    equal(s.get("/v1/services/web").status, 200)


def a_path_of_any_bytes_is_listed(s):
    path = os.fsdecode(b"/tmp/\xff")
    done = s.run("netport", "acquire", "PATH", path, "--owner", "odd", check=False)
    if s.store:
        equal(done.returncode, 2, done.stderr)
        true("keeps UTF-8 text only" in done.stderr, done.stderr)
        return
    equal(done.returncode, 0, done.stderr)
    equal(s.data("/db/get_client_resources", client_ip="odd"), ["PATH:/tmp/?"])
    equal(s.data("/db/get_all_resources"), {"odd": [["PATH:/tmp/?"]]})


TESTS = [reserve_is_true_once, any_resource_and_value_can_be_reserved, is_reserved_by_anyone,
         lists_take_regular_expressions, release_only_one_s_own, release_client_own_and_foreign,
         all_resources_and_clients, get_port_wanted_or_another, get_port_is_never_one_in_use,
         a_port_s_pool_comes_first_then_any, interfaces_and_paths, wrong_parameters_are_422,
         unknown_paths_and_methods, shell_is_shut_without_a_list,
         shell_starts_what_the_list_allows, a_running_process_is_found_by_name,
         system_info_in_python_s_words, the_mac_is_the_one_that_python_takes, the_service_s_own_records_are_no_resources,
         a_path_of_any_bytes_is_listed]

if __name__ == "__main__":
    sys.exit(main(TESTS, with_stores=True))
