# SPDX-License-Identifier: GPL-2.0
"""The admin endpoint: metrics that Prometheus accepts, the status page in a browser, and what it must not do."""
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import urllib.parse

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from harness.servers import wait_for
from instance import PORT, TREE, WAIT_SECONDS, run

ADMIN = 9180
CONFIG = """
listen = {{ "127.0.0.1:8080" }}
admin = "127.0.0.1:9180"
pool site {{ root = "{root}" prefixes = {{ "http://*:8080/" }} }}
pool second {{ root = "{root}" prefixes = {{ "http://*:8080/second/" }} }}
"""


@pytest.fixture
def instance(weir, site):
    return weir(config=CONFIG.format(root=site.path))


def admin(instance, path="/", *options):
    return instance.curl(*options, f"http://127.0.0.1:{ADMIN}{path}").stdout


def samples(text):
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
            if line and not line.startswith("#")}


def test_promtool_accepts_the_metrics(instance):
    text = admin(instance, "/metrics")
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True)
    assert checked.returncode == 0 and not checked.stdout + checked.stderr, checked.stdout + checked.stderr


def test_promtool_accepts_the_rules_and_their_tests():
    rules = TREE / "examples/monitoring/rules.yml"
    run("promtool", "check", "rules", rules)
    run("promtool", "test", "rules", TREE / "examples/monitoring/rules_test.yml")


def test_every_metric_of_rules_and_dashboard_exists(instance):
    text = admin(instance, "/metrics")
    known = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    used = (TREE / "examples/monitoring/rules.yml").read_text() + (TREE / "examples/monitoring/dashboard.json").read_text()
    for name in set(re.findall(r"\bweir_[a-z0-9_]+", used)):
        assert re.sub(r"_(bucket|sum|count)$", "", name) in known or name in known, name


def test_the_metrics_count_what_clients_counted(instance, site):
    connection = instance.connect()
    for _ in range(50):
        assert instance.get(connection, "/small.txt") == (200, site.files["small.txt"])
    assert instance.get(connection, "/none")[0] == 404

    def counted():
        now = samples(admin(instance, "/metrics"))
        return (now['weir_pool_kernel_hits_total{pool="site"}'] + now['weir_pool_requests_total{pool="site"}'],
                now['weir_pool_responses_4xx_total{pool="site"}'],
                now['weir_pool_request_seconds_count{pool="site"}'] == now['weir_pool_requests_total{pool="site"}'])
    wait_for("51 requests are counted", lambda: counted() == (51, 1, True))
    connection.close()


@pytest.mark.parametrize("request_text, status", [
    (b"POST /metrics HTTP/1.1\r\nHost: a\r\n\r\n", b"405"),
    (b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", b"404"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", b"400"),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"431"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9000 + b"\r\n\r\n", b"431"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
], ids=["method", "path", "two-hosts", "body", "target", "head", "tls"])
def test_bad_requests_are_refused_and_others_go_on(instance, request_text, status):
    with instance.netns.connect("127.0.0.1", ADMIN, WAIT_SECONDS) as s:
        s.sendall(request_text)
        assert s.recv(65536).split(b" ")[1] == status
    assert admin(instance, "/health") == "ok\n"


def test_silent_clients_do_not_lock_others_out(instance):
    idle = [instance.netns.connect("127.0.0.1", ADMIN, WAIT_SECONDS) for _ in range(20)]
    assert admin(instance, "/health") == "ok\n"
    for s in idle:
        s.close()


def admin_pid(instance):
    for pid in instance.processes():
        with contextlib.suppress(OSError):
            if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "weir-admin":
                return pid
    return None


def healthy(instance):
    return instance.curl(f"http://127.0.0.1:{ADMIN}/health", check=False).stdout == "ok\n"


def serving_admin_pid(instance):
    """The process names itself, and gives up its rights, after it was forked."""
    wait_for("the admin process serves", lambda: healthy(instance))
    return admin_pid(instance)


def test_the_process_has_no_rights(instance):
    pid = serving_admin_pid(instance)
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split()[0] != "0" and int(fields["CapEff"], 16) == 0
    assert fields["NoNewPrivs"] == "1" and fields["Seccomp"] == "2"
    opened = [os.readlink(f) for f in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
    assert not [name for name in opened if "bpf" in name]


def test_a_killed_admin_process_is_started_again(instance):
    first = serving_admin_pid(instance)
    os.kill(first, signal.SIGKILL)
    wait_for("another one serves", lambda: admin_pid(instance) not in (None, first), timeout=15)
    wait_for("it answers", lambda: healthy(instance))


def test_status_as_json(instance):
    state = json.loads(admin(instance, "/api/status"))
    assert state["status"]["pools"]["site"]["state"] == "started"
    assert state["stats"]["kernel"]["hits"] >= 0


@pytest.fixture
def browser(instance, tmp_path):

    script = tmp_path / "chromium"  # the browser belongs into the namespace
    script.write_text(f'#!/bin/sh\nexec nsenter --net={instance.netns.path} /usr/bin/chromium "$@"\n')
    script.chmod(0o755)
    options = webdriver.ChromeOptions()
    options.binary_location = str(script)
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile",
                 "--remote-debugging-pipe"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    yield driver
    driver.quit()


def test_the_status_page_lives_in_a_browser(instance, browser, site):
    connection = instance.connect()
    for _ in range(30):
        instance.get(connection, "/small.txt")
    for width in (360, 1200):
        browser.set_window_size(width, 900)
        browser.get(f"http://127.0.0.1:{ADMIN}/")
        wait_for("the page has numbers", lambda: browser.execute_script(
            "return document.getElementById('state').textContent === 'live' && "
            "document.querySelectorAll('#pools tr').length === 2 && document.querySelectorAll('#cards .card').length === 6"))
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth"), width
    for _ in range(30):
        instance.get(connection, "/small.txt")
    wait_for("the busiest URL is shown", lambda: "/small.txt" in browser.execute_script(
        "return document.getElementById('urls').textContent"))
    wait_for("a line is drawn", lambda: browser.execute_script(
        "return document.querySelector('#rate path.a').getAttribute('d').length > 10"))
    colours = []
    for scheme in ("light", "dark"):
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        colours.append(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert colours[0] != colours[1]
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    asked = {json.loads(entry["message"])["message"]["params"]["request"]["url"] for entry in browser.get_log("performance")
             if json.loads(entry["message"])["message"]["method"] == "Network.requestWillBeSent"}
    assert asked and {urllib.parse.urlsplit(url).netloc for url in asked
                      if not url.startswith(("data:", "chrome:"))} == {f"127.0.0.1:{ADMIN}"}
    connection.close()
