# SPDX-License-Identifier: GPL-2.0
"""The URL namespace in one running instance: the table of tests/unit/route/cases.h, which XDP's and the workers' router
are tested with, asked of `weir route`, `weir why` and by requests; reservations, punycode, ten thousand prefixes."""
import contextlib
import json
import pathlib
import re
import time
import urllib.parse

import pytest

from harness.servers import wait_for
from instance import PINS, PROGRAM, run

CASES = pathlib.Path(__file__).resolve().parents[2] / "unit" / "route" / "cases.h"
POOLS = 5
PORTS, OTHER_PORTS = 10000, 20000
STRING = r'"((?:[^"\\]|\\.)*)"'
ROW = re.compile(r"^\t\{ " + STRING + r", \{ (.*?) \}, (\d+), " + STRING + ", " + STRING + r", (NULL|" + STRING + r") \},$",
                 re.MULTILINE)


def read_cases():
    text = CASES.read_text()
    block = text[text.index("route_listens[]"):text.index("struct route_case {")]
    listens = re.findall(STRING, block)
    rows = [(what, re.findall(STRING, prefixes), listens[int(endpoint)], host, path, None if last == "NULL" else expected)
            for what, prefixes, endpoint, host, path, last, expected in ROW.findall(text)]
    assert len(listens) == 4 and len(rows) == text[text.index("route_cases[]"):].count("\n\t{ "), "each row is understood"
    return rows


class Case:
    """A row of the table, on a port of its own: endpoints and prefixes keep their address or host."""

    def __init__(self, number, row):
        self.what, prefixes, listen, self.host, self.path, expected = row
        self.address, port = listen.rsplit(":", 1)
        self.port = PORTS + number
        self.listen = f"{self.address}:{self.port}"

        def move(prefix):
            host, was, path = re.fullmatch(r"(http://.*?):(\d+)(/.*|)", prefix).groups()
            return f"{host}:{self.port if was == port else OTHER_PORTS + number}{path}"

        self.prefixes = [move(prefix) for prefix in prefixes]
        self.expected = move(expected) if expected else None
        self.pool = f"p{self.prefixes.index(self.expected)}" if expected else None

    @property
    def url(self):
        return f"http://{self.host or self.address}:{self.port}{urllib.parse.quote(self.path)}"


@pytest.fixture
def cases(weir, netns, site):
    """(instance, cases): every row of the table at the same time."""
    table = [Case(n, row) for n, row in enumerate(read_cases())]
    assert len(table) <= 64, "an instance has 64 endpoints: split the table"
    for address in ("192.0.2.1/32", "192.0.2.2/32"):
        netns.sh("ip", "address", "add", address, "dev", "lo")
    netns.sh("ip", "address", "add", "2001:db8::1/128", "dev", "lo", "nodad")
    prefixes = [[p for case in table for p in case.prefixes[n:n + 1]] for n in range(POOLS)]
    config = "listen = { " + ", ".join(f'"{case.listen}"' for case in table) + " }\n"
    for n, own in enumerate(prefixes):
        quoted = ",\n".join(f'"{p}"' for p in own)
        config += f'pool p{n} {{\nroot = "{site.path}"\nthreads = 2\nprefixes = {{\n{quoted} }}\n}}\n'
    instance = weir(config=config)
    for n in range(POOLS):
        wait_for(f"pool p{n}", lambda n=n: json.loads(
            instance.command("status", "--json").stdout)["pools"][f"p{n}"]["state"] == "started")
    return instance, table


def row_of(instance, command, case):
    """What a command says of the case's endpoint; None: the URL does not belong there."""
    rows = json.loads(instance.command(command, case.url, "--json").stdout)["routes"]
    return next((row for row in rows if row["endpoint"] == case.listen), None)


def ask(instance, case):
    """Sends the request; its status."""
    address = case.address.strip("[]")
    with instance.netns.connect(address, case.port, 20) as sock:
        sock.sendall(f"GET {urllib.parse.quote(case.path)} HTTP/1.1\r\nHost: {case.host}\r\nConnection: close\r\n\r\n"
                     .encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            more = sock.recv(65536)
            assert more, f"{case.what}: {answer}"
            answer += more
    return int(answer.split(b" ", 2)[1])


def served(instance):
    return {name: pool["requests"] + pool["hits"] for name, pool in instance.stats()["pools"].items()}


def wait_moved(instance, before):
    """The pools that have served a request since; a worker counts it when the client may have read the answer already."""
    with contextlib.suppress(TimeoutError):
        wait_for("somebody counts the request", lambda: served(instance) != before, timeout=5)
    return [name for name, n in served(instance).items() if n > before[name]]


def test_each_row_of_the_table_is_what_route_and_why_say_and_workers_do(cases):
    instance, table = cases
    wrong = []
    for case in table:
        for command in ("route", "why"):
            row = row_of(instance, command, case)
            if (row and row["prefix"]) != case.expected:
                wrong.append(f"{command}: {case.what}: {row}, expected {case.expected}")
            elif row and case.expected:
                lines = (instance.folder / "weir.conf").read_text().splitlines()
                assert case.expected in lines[row["line"] - 1], f"{case.what}: {row}"
        before = served(instance)
        status = ask(instance, case)
        moved = wait_moved(instance, before) if case.expected else []
        if case.expected and (moved != [case.pool] or status == 400):
            wrong.append(f"request: {case.what}: {status} from {moved}, expected {case.pool}")
        if not case.expected and status != 400:
            wrong.append(f"request: {case.what}: {status} from {moved}, expected 400")
    assert not wrong, "\n".join(wrong)


HEAD = 'listen = { "127.0.0.1:8080" }\n'


def get(instance, target, host="weir.test"):
    connection = instance.connect()
    try:
        connection.request("GET", target, headers={"Host": host, "Accept-Encoding": "gzip, deflate, br"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def hits(instance):
    return instance.stats()["pools"]["site"]["hits"]


def warm(instance, target):
    def is_hit():
        before = hits(instance)
        assert get(instance, target)[0] == 200
        return hits(instance) > before

    wait_for(f"{target} is a kernel hit", is_hit)


def test_reservation_is_never_answered_from_a_weaker_bucket(weir, site):
    pool = f'pool site {{\nroot = "{site.path}"\nprefixes = {{ "http://*:8080/" }}\n}}\n'
    instance = weir(config=HEAD + pool)
    warm(instance, "/dir/index.html")
    warm(instance, "/small.txt")
    config = instance.folder / "weir.conf"
    config.write_text(HEAD + 'reserve = { "http://+:8080/dir/" }\n' + pool)
    out = instance.command("reload").stdout
    assert "go on: site" in out, "the pool itself is as it was, its cache too"
    before = hits(instance)
    for _ in range(5):
        status, body = get(instance, "/dir/index.html")
        assert status == 400 and b"reserved" in body
    assert hits(instance) == before
    assert get(instance, "/small.txt")[0] == 200 and hits(instance) == before + 1
    said = instance.command("why", "http://weir.test:8080/dir/index.html").stdout
    assert "http://+:8080/dir/ (bucket strong" in said and f"{config}:2" in said and "reserved" in said, said
    # and back
    config.write_text(HEAD + pool)
    instance.command("reload")
    assert get(instance, "/dir/index.html")[0] == 200 and hits(instance) == before + 2


def test_stopped_pool_gives_503_and_why_says_so(weir, site):
    instance = weir(config=HEAD + f'pool site {{\nroot = "{site.path}"\nprefixes = {{ "http://*:8080/" }}\n}}\n')
    assert get(instance, "/small.txt")[0] == 200
    instance.command("pool", "stop", "site")
    assert get(instance, "/small.txt")[0] == 503
    said = instance.command("why", "http://weir.test:8080/small.txt").stdout
    assert "503 (Disabled)" in said, said


def test_host_outside_of_ascii_is_asked_for_in_punycode(weir, site):
    instance = weir(config=HEAD + f"""
pool site {{
	root = "{site.path}"
	prefixes = {{ "http://bücher.example:8080/", "http://*.straße.example:8080/" }}
}}
""")
    assert get(instance, "/small.txt", "xn--bcher-kva.example")[0] == 200
    assert get(instance, "/small.txt", "XN--BCHER-KVA.Example:8080")[0] == 200
    assert get(instance, "/small.txt", "a.xn--strae-oqa.example")[0] == 200
    assert get(instance, "/small.txt", "bucher.example")[0] == 400
    for url in ("http://bücher.example:8080/", "http://xn--bcher-kva.example:8080/", "http://BÜCHER.example:8080/"):
        assert "bücher.example:8080/ (bucket host" in instance.command("route", url).stdout


def test_conflicts_name_both_lines_and_https_is_refused(site, tmp_path):
    config = tmp_path / "weir.conf"
    config.write_text(HEAD + f"""pool a {{ root = "{site.path}"
prefixes = {{ "http://b%C3%BCcher.example:8080/" }} }}
pool b {{ root = "{site.path}"
prefixes = {{ "http://bücher.example:8080/x/",
"http://BÜCHER.example:8080/x/",
"https://*:8080/" }} }}
""")
    done = run(PROGRAM, "check", "-c", config, check=False)
    assert done.returncode == 1
    assert f"{config}:6: prefix 'http://BÜCHER.example:8080/x/' is the same as" in done.stderr
    assert "in line 5" in done.stderr and f"{config}:7: prefix 'https://*:8080/': https needs TLS" in done.stderr


COUNT = 10000


def many(first):
    half = COUNT // 2
    hosts = [f'"http://h{first + n}.example:8080/"' for n in range(half)]
    paths = [f'"http://*:8080/app{first + n}/"' for n in range(half)]
    return ",\n".join(hosts + paths)


def test_ten_thousand_prefixes_load_route_and_reload(weir, site):
    keep = f'pool site {{\nroot = "{site.path}"\nprefixes = {{ "http://site.example:8080/" }}\n}}\n'

    def text(first):
        return 'listen = { "*:8080" }\n' + keep + f'pool many {{\nroot = "{site.path}"\nprefixes = {{\n{many(first)} }}\n}}\n'

    begin = time.monotonic()
    instance = weir(config=text(0))
    wait_for("the workers", lambda: get(instance, "/small.txt", "h0.example")[0] == 200)
    started = time.monotonic() - begin
    assert get(instance, "/small.txt", f"h{COUNT // 2 - 1}.example")[0] == 200
    assert get(instance, "/app4321/small.txt")[0] == 200
    assert get(instance, "/app5000/small.txt")[0] == 400
    assert "app77/" in instance.command("route", "http://x:8080/app77/x").stdout
    hit = ("/small.txt", "h17.example")
    wait_for("a kernel hit", lambda: get(instance, *hit)[0] == 200 and
             instance.stats()["pools"]["many"]["hits"] > 0)
    (instance.folder / "weir.conf").write_text(text(COUNT))
    begin = time.monotonic()
    assert "go on: site" in instance.command("reload").stdout
    reloaded = time.monotonic() - begin
    wait_for("the new workers", lambda: get(instance, "/small.txt", f"h{COUNT}.example")[0] == 200)
    assert get(instance, "/small.txt", "h0.example")[0] == 400
    assert get(instance, "/app4321/small.txt")[0] == 400
    assert get(instance, "/small.txt", "site.example")[0] == 200
    rows = json.loads(run("bpftool", "-j", "map", "dump", "pinned", PINS / instance.folder.name / "weir_routes").stdout)
    assert len(rows) == COUNT + 1, "the kernel's table holds the new prefixes and none of the old ones"
    print(f"start {started:.1f} s, reload {reloaded:.1f} s")
    assert started < 20 and reloaded < 20
