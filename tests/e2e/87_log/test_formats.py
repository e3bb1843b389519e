# SPDX-License-Identifier: GPL-2.0
"""What a line says, in each format; that no client can forge one; and that a log analyser reads them."""
import json
import subprocess

from log_files import HIT, MISS, COMBINED, jsons


def some_of_each(it):
    """Hits and misses, a refusal, a query, fields."""
    for _ in range(3):
        it.get(HIT)
    it.get(MISS + "?a=b&c", ["Referer: http://example.com/from", "User-Agent: Tester/1.0 (x; y)"])
    it.get("/none.txt", status=404)
    it.raw(b"GET / HTTP/1.1\r\n\r\n")
    it.wait_lines(6)


def goaccess(it, log_format):
    """What GoAccess counts: (valid, failed)."""
    done = subprocess.run(["goaccess", str(it.folder / "access.log"), f"--log-format={log_format}", "--no-global-config",
                           "-o", str(it.folder / "report.json")], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    general = json.loads((it.folder / "report.json").read_text())["general"]
    return general["valid_requests"], general["failed_requests"]


def test_combined_lines_can_be_parsed_back(logs):
    it = logs()
    some_of_each(it)
    rows = [COMBINED.fullmatch(line) for line in it.lines()]
    assert all(rows), it.lines()
    requests = [(row["request"], row["status"]) for row in rows]
    assert requests.count((f"GET {HIT} HTTP/1.1", "200")) == 3
    row = next(row for row in rows if "?" in row["request"])
    assert row["request"] == f"GET {MISS}?a=b&c HTTP/1.1" and row["referer"] == "http://example.com/from"
    assert row["agent"] == "Tester/1.0 (x; y)" and row["client"] == "10.77.0.2"
    assert it.weir.stat("kernel.hits") > 0, "no line came from the kernel side"
    assert goaccess(it, "COMBINED") == (6, 0)


def test_w3c_lines_have_the_fields_of_their_directive(logs):
    it = logs("log_format = w3c")
    some_of_each(it)
    text = it.text()
    fields = next(line for line in text.splitlines() if line.startswith("#Fields: ")).split()[1:]
    assert text.startswith("#Software: Weir") and "#Version: 1.0\n" in text
    rows = [dict(zip(fields, line.split(" "), strict=True)) for line in it.lines()]
    row = next(row for row in rows if row["cs-uri-query"] != "-")
    assert (row["cs-uri-stem"], row["cs-uri-query"]) == (MISS, "a=b&c") and row["cs(User-Agent)"] == "Tester/1.0+(x;+y)"
    assert row["s-sitename"] == "plain" and row["x-answered-by"] == "static" and row["s-port"] == "8080"
    by = {row["x-answered-by"] for row in rows if row["cs-uri-stem"] == HIT}
    assert "kernel" in by
    assert next(row for row in rows if row["sc-status"] == "400")["s-reason"] == "Hostname"
    assert goaccess(it, "W3C") == (6, 0)


def test_json_lines_are_json(logs):
    it = logs("log_format = json")
    some_of_each(it)
    rows = jsons(it)
    hits = [row for row in rows if row["answered_by"] == "kernel"]
    assert hits and all(row["target"] == HIT and row["status"] == 200 and row["pool"] == "site" for row in hits)
    assert all(isinstance(row["us"], int) and row["sent"] > 0 and row["host"].startswith("10.77.0.1") for row in hits)


def test_selected_fields_come_in_their_order(logs):
    it = logs('log_format = w3c\nlog_fields = "sc-status cs-uri c-ip x-time-us x-answered-by"')
    it.get(MISS)
    it.wait_lines(1)
    status, uri, client, _, by = it.lines()[0].split(" ")
    assert (status, uri, client, by) == ("200", MISS, "10.77.0.2", "static")


def test_combined_appends_selected_fields(logs):
    it = logs('log_fields = "s-sitename x-answered-by"')
    it.get(MISS)
    it.wait_lines(1)
    assert it.lines()[0].endswith(" plain static")


def test_no_client_can_forge_a_line(logs):
    """Bytes that could end a line or a quotation, in every text a client sends, over kernel and worker."""
    evil = ['User-Agent: a" 200 1 "\\', "Referer: \"'# %n"]
    it = logs()
    for _ in range(3):
        it.get(HIT, evil)
        it.get(MISS, [*evil, "Referer: ü\tx"])
    it.raw(b"GET /a\x01b HTTP/1.1\r\nHost: a\r\n\r\n")
    it.raw(b"\"\n- - HTTP/1.1\r\nHost: a\r\n\r\n")
    it.wait_lines(8)
    assert len(it.lines()) == 8 and sum(it.statuses().values()) == 8
    for line in it.lines():
        assert line.isascii() and line.isprintable(), line
    it.errors()
    assert it.weir.stat("kernel.hits") > 0


def test_error_log_has_a_reason_for_each_refusal(logs):
    it = logs()
    it.raw(b"GET / HTTP/1.1\r\n\r\n")
    it.raw(b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n")
    it.raw(b"GET / HTTP/2.5\r\nHost: a\r\n\r\n")
    it.raw(b"GET / HTTP/1.1\r\nHost: a\r\nA b: c\r\n\r\n")
    it.wait_lines(4, "error.log")
    rows = it.errors()
    assert [row["s-reason"] for row in rows] == ["Hostname", "Verb", "Version_N/S", "Header"]
    assert rows[0]["sc-status"] == "400" and rows[0]["c-ip"] == "10.77.0.2" and rows[0]["s-queuename"] == "site"
    assert rows[2]["sc-status"] == "505" and rows[1]["cs-method"] == "G(T"
