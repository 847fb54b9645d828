# SPDX-License-Identifier: MIT
"""The description of the calls, and the page that shows and tries them."""
import json
import re
import subprocess
import sys

import browser
from service import LABCTL, Skip, equal, free_port, main, true


def description():
    done = subprocess.run([LABCTL, "netport", "openapi"], capture_output=True, text=True,
                          check=True)
    return json.loads(done.stdout)


def walk(node):
    yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
        yield from walk(child)


def the_description_is_openapi_3_1():
    doc = description()
    equal(doc["openapi"], "3.1.0")
    schemas = doc["components"]["schemas"]
    used, ids = set(), []
    for node in walk(doc):
        if isinstance(node, dict) and "$ref" in node:
            used.add(node["$ref"].removeprefix("#/components/schemas/"))
    equal(sorted(used - set(schemas)), [], "references to nothing")
    equal(sorted(set(schemas) - used), [], "schemas of nothing")
    for path, item in doc["paths"].items():
        for method, op in item.items():
            true(method in ("get", "post", "put", "patch", "delete"), method)
            ids.append(op["operationId"])
            true(op["summary"] and op["responses"] and len(op["tags"]) == 1, op)
            names = [p["name"] for p in op["parameters"] if p["in"] == "path"]
            equal(names, re.findall(r"{(\w+)}", path))
            true(all(p["required"] for p in op["parameters"] if p["in"] == "path"))
            for status, response in op["responses"].items():
                true(re.fullmatch(r"[1-5]\d\d|default", status) and response["description"])
    equal(len(ids), len(set(ids)), "operationIds")
    try:
        import jsonschema
    except ImportError:
        raise Skip("python3-jsonschema is not installed") from None
    for name, schema in schemas.items():
        jsonschema.Draft202012Validator.check_schema(schema)
        for example in schema.get("examples", []):
            jsonschema.Draft202012Validator({**schema, "components": doc["components"]}) \
                .validate(example)
        true(name)


class Page:
    def __init__(self, s, path="/docs"):
        if not browser.binary():
            raise Skip("chromium is not installed")
        self.browser = browser.Browser()
        self.home = f"http://127.0.0.1:{s.port}"
        self.browser.open(self.home + path)

    def __enter__(self):
        self.browser.wait("document.body?.dataset.calls")
        return self

    def __exit__(self, *_):
        self.browser.close()

    def send(self, call, body=None, **fields):
        """Fills in the form of a call and sends it: (status, reply's text)."""
        b = self.browser
        form = f"document.querySelector('#{call} form')"
        b.run(f"document.getElementById('{call}').open = true")
        b.wait("!!" + form)
        for name, value in fields.items():
            b.run(f"{form}.elements[{json.dumps(name)}].value = {json.dumps(value)}")
        if body is not None:
            b.run(f"{form}.querySelector('textarea').value = {json.dumps(json.dumps(body))}")
        b.run(f"document.querySelector('#{call} .output').replaceChildren(); {form}.requestSubmit()")
        output = f"document.querySelector('#{call} .output')"
        b.wait(f"!!{output}.querySelector('.reply, p.bad')")
        status = b.run(f"{output}.querySelector('.status')?.textContent")
        return status and int(status), b.run(f"{output}.querySelector('.reply')?.textContent")


def every_call_can_be_read(s):
    calls = {op["operationId"] for item in description()["paths"].values() for op in item.values()}
    with Page(s) as page:
        b = page.browser
        ids = b.run("[...document.querySelectorAll('details.call')].map(e => e.id)")
        equal(sorted(ids), sorted(calls))
        equal(b.run("[...document.querySelectorAll('h2')].map(e => e.textContent)"),
              ["labctl", "netport", "portmaster"])
        b.run("document.querySelectorAll('details.call').forEach(e => { e.open = true; })")
        b.wait("[...document.querySelectorAll('details.call')].every(e => e.querySelector('form'))")
        b.run("document.getElementById('find').value = 'get_port';"
              "document.getElementById('find').dispatchEvent(new Event('input'))")
        equal(b.run("[...document.querySelectorAll('details.call:not([hidden])')].map(e => e.id)"),
              ["get_networking_get_port"])
        equal(b.errors, [])
        true(all(u.startswith((page.home + "/", "data:")) for u in b.requests), b.requests)


def calls_of_all_three_apis_can_be_tried(s):
    token = s.token("page", "lease")
    with Page(s) as page:
        b = page.browser
        port = free_port()
        status, text = page.send("get_networking_get_port", port=str(port))
        equal((status, json.loads(text)), (200, {"data": {"port": port}}))
        status, text = page.send("get_db_is_reserved", resource="PORT", value=str(port))
        equal((status, json.loads(text)), (200, {"data": True}))
        equal(page.send("get_db_is_reserved", resource="", value="1"), (None, None))
        status, text = page.send("post_v1_services", {"name": "x", "start": 2000, "end": 2001})
        equal((status, json.loads(text)["name"]), (201, "x"))
        status, text = page.send("post_v1_services_service_offers", {"name": "a"}, service="x")
        equal((status, json.loads(text)["name"]), (201, "a"))
        secret = json.loads(text)["secret"]
        status, text = page.send("post_v1_services_service_offers_secret_accept", service="x",
                                 secret=secret)
        equal((status, json.loads(text)["service"]), (201, "x"))
        status, text = page.send("get_api_leases")
        equal((status, json.loads(text)["error"]["kind"]), (401, "unauthenticated"))
        b.run(f"document.getElementById('token').value = {json.dumps(token)}")
        status, text = page.send("post_api_leases", {"resource": "RACK", "value": "r 1/ü"})
        equal((status, json.loads(text)["owner"]), (201, "token:page"))
        status, text = page.send("delete_api_leases_resource_value", resource="RACK",
                                 value="r 1/ü")
        equal((status, text), (204, "(no body)"))
        true(token not in b.run("document.body.innerText"), "the token is shown")
        own = [e for e in b.errors if "401" not in e]
        equal(own, [])
        true(all(u.startswith((page.home + "/", "data:")) for u in b.requests), b.requests)


TESTS = [the_description_is_openapi_3_1, every_call_can_be_read,
         calls_of_all_three_apis_can_be_tried]

if __name__ == "__main__":
    sys.exit(main(TESTS))
