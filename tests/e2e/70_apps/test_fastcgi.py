# SPDX-License-Identifier: GPL-2.0
"""FastCGI with scripts and applications that do what they should not, and with bodies of any size."""
import hashlib
import http.client
import json
import pathlib
import re
import threading

import pytest

from apps import EXAMPLES, Client, program, resident_kb
from harness.servers import wait_for

SCRIPTS = {
    "in.php": "<?php $h = hash_init('sha256'); $n = 0; $f = fopen('php://input', 'rb');"
              "while (!feof($f)) { $d = fread($f, 65536); $n += strlen($d); hash_update($h, $d); }"
              "echo $n, ' ', hash_final($h);",
    "big.php": "<?php $d = str_repeat(\"0123456789abcdef\", 65536); for ($i = 0; $i < 200; $i++) echo $d;",
    "warn.php": "<?php ini_set('display_errors', '0'); ini_set('log_errors', '1'); ini_set('error_log', '');"
                "trigger_error(\"first\\nsecond \\x1b[31m\", E_USER_WARNING); echo 'went on';",
    "status.php": "<?php http_response_code(418); header('X-A: 1'); header('X-A: 2', false);"
                  "header('Connection: close'); header('Transfer-Encoding: chunked'); echo 'tea';",
    "dies.php": "<?php exec('kill -9 ' . getmypid()); sleep(5);",
    "dies_late.php": "<?php header('X: 1'); echo str_repeat('x', 100000); flush(); exec('kill -9 ' . getmypid()); sleep(5);",
    "head.php": "<?php header('X-Large: ' . str_repeat('x', 20000)); echo 'large';",
    "info.php": "<?php echo json_encode($_SERVER);",
    "sub/index.php": "<?php echo 'index of sub ', $_SERVER['SCRIPT_NAME'];",
}


@pytest.fixture
def php(weir, site):
    for name, text in SCRIPTS.items():
        site.write(name, text.encode())
    site.write("photo.jpg", b"not really <?php echo 'evil'; ?>")
    site.write("SOURCE.PHP", b"<?php secret")
    (pathlib.Path(site.path) / "out.php").symlink_to("/etc/passwd")
    return weir(config=f"""
listen = {{ "127.0.0.1:8080" }}
pool php {{
	handler = fastcgi
	root = "{site.path}"
	exec = {{ "/usr/sbin/php-fpm8.2", "--nodaemonize", "--fpm-config", "{EXAMPLES}/php/php-fpm.conf" }}
	exec_stop = SIGQUIT
	environment = {{ "FPM_SOCKETS=/run/weir-php.sock=3" }}
	fastcgi_params = {{ "APP_MODE=test" }}
	prefixes = {{ "http://*:8080/", "http://*:8080/app/" }}
}}
""")


def worker_of(weir, pool):
    return json.loads(weir.command("status", "--json").stdout)["pools"][pool]["workers"][0]["worker_pid"]


def is_broken(weir, target):
    """Half a response is not passed off as a whole one: the client sees a 502, or an end before the end."""
    try:
        return Client(weir).get(target).status == 502
    except (http.client.IncompleteRead, ConnectionResetError):
        return True


def test_large_bodies_in_both_directions_take_no_memory(php):
    assert Client(php).get("/info.php").status == 200
    before = resident_kb(worker_of(php, "php"))
    block, blocks = bytes(range(256)) * 4096, 60
    connection = php.connect()
    connection.putrequest("POST", "/in.php")
    connection.putheader("Content-Length", str(len(block) * blocks))
    connection.endheaders()
    for _ in range(blocks):
        connection.send(block)
    reply = connection.getresponse().read().decode()
    assert reply == f"{len(block) * blocks} {hashlib.sha256(block * blocks).hexdigest()}"

    connection = php.connect()
    connection.request("GET", "/big.php")
    response, digest, size = connection.getresponse(), hashlib.sha256(), 0
    while part := response.read(1 << 20):
        digest.update(part)
        size += len(part)
    assert size == 200 << 20 and digest.hexdigest() == hashlib.sha256(b"0123456789abcdef" * (200 << 16)).hexdigest()
    assert resident_kb(worker_of(php, "php")) < before + 8192


def test_scripts_that_misbehave(php):
    visitor = Client(php)
    reply = visitor.get("/status.php")
    assert reply.status == 418 and reply.headers.get_all("X-A") == ["1", "2"] and reply.text == "tea"
    assert reply.headers["Connection"] == "keep-alive", "the connection is none of the script's business"
    assert visitor.get("/warn.php").text == "went on"
    wait_for("the warning is in the log", lambda: "first" in php.log and "second ?[31m" in php.log)
    for _ in range(2):
        reply = visitor.get("/dies.php")
        assert reply.status == 502 and "did not give a usable answer" in reply.text
    assert re.search(r"it (reset|closed) the connection before .* \(GET /dies.php\)", php.log)
    assert is_broken(php, "/dies_late.php")
    assert Client(php).get("/head.php").status == 502
    assert "response_head_max" in php.log
    assert program(php, "php")["restarts"] == 0


def test_what_is_a_script_and_what_is_not(php):
    visitor = Client(php)
    for target, status in (("/photo.jpg/x.php", 404), ("/photo.jpg/", 404), ("/SOURCE.PHP", 403), ("/out.php", 403),
                           ("/none.php", 404), ("/none", 404), ("/%2e%2e/%2e%2e/etc/passwd", 404)):
        reply = visitor.get(target)
        assert reply.status == status and b"<?php" not in reply.body and b"root:" not in reply.body, target
    assert visitor.get("/photo.jpg").headers["Content-Type"] == "image/jpeg"
    assert visitor.get("/sub/").text == "index of sub /sub/index.php"
    assert visitor.get("/app/sub/").text == "index of sub /app/sub/index.php"
    assert visitor.get("/sub").headers["Location"] == "/sub/"
    assert visitor.get("/dir/").text == "<p>the page of a folder\n"
    assert visitor.ask("POST", "/photo.jpg", b"x").status == 405


def test_parameters(php, site):
    visitor = Client(php)
    seen = json.loads(visitor.get("/app/info.php/a%20b?q=1&q=2", Proxy="http://evil/", X_Thing="1").text)
    expected = {
        "SCRIPT_FILENAME": f"{site.path}/info.php", "SCRIPT_NAME": "/app/info.php", "PATH_INFO": "/a b",
        "QUERY_STRING": "q=1&q=2", "REQUEST_URI": "/app/info.php/a%20b?q=1&q=2", "DOCUMENT_ROOT": str(site.path),
        "REQUEST_METHOD": "GET", "SERVER_PORT": "8080", "SERVER_NAME": "127.0.0.1", "REMOTE_ADDR": "127.0.0.1",
        "HTTP_X_THING": "1", "REDIRECT_STATUS": "200", "APP_MODE": "test", "PHP_SELF": "/app/info.php/a b",
    }
    assert {name: seen.get(name) for name in expected} == expected
    assert "HTTP_PROXY" not in seen and "HTTPS" not in seen


def test_body_of_unknown_length_is_asked_for_its_length(php):
    connection = php.connect()
    connection.request("POST", "/in.php", iter([b"abc"]), encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked"})
    assert connection.getresponse().status == 411


def test_client_that_waits_for_continue_is_told(php):
    sock = php.connect().sock
    sock.sendall(b"POST /in.php HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    stream = sock.makefile("rb")
    assert stream.readline() == b"HTTP/1.1 100 Continue\r\n" and stream.readline() == b"\r\n"
    sock.sendall(b"abc")
    assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
    text = b""
    while hashlib.sha256(b"abc").hexdigest().encode() not in text:
        part = stream.read1(4096)
        assert part, text
        text += part


@pytest.fixture
def app(weir):
    return weir(config=f"""
listen = {{ "127.0.0.1:8080" }}
pool app {{
	handler = fastcgi
	exec = {{ "/usr/bin/python3", "{pathlib.Path(__file__).with_name('fcgi_app.py')}" }}
	fastcgi_all = on
	fastcgi_keep_conn = on
	prefixes = {{ "http://*:8080/app/" }}
}}
""")


def test_application_of_its_own_keeps_its_connection(app):
    visitor = Client(app)
    replies = [visitor.ask("POST", "/app/any/where?x=1", bytes(100_000)) for _ in range(3)]
    seen = [json.loads(reply.text) for reply in replies]
    assert [one["connections"] for one in seen] == [1, 1, 1], "one connection for all"
    assert seen[0]["SCRIPT_NAME"] == "/app" and seen[0]["PATH_INFO"] == "/any/where" and seen[0]["body"] == 100_000
    assert replies[0].headers["Content-Type"] == "application/json"
    split = visitor.get("/app/split")
    assert json.loads(split.text)["PATH_INFO"] == "/split", "a record for each byte, with messages between"


def test_application_that_misbehaves(app):
    visitor = Client(app)
    for path, why in (("/garbage", "it does not speak FastCGI"), ("/overloaded", "it is overloaded"),
                      ("/silent", "it ended without a response")):
        reply = visitor.get(f"/app{path}")
        assert reply.status == 502, path
        wait_for(f"the log says why {path}", lambda: why in app.log)
    assert "says: I have nothing to say (GET /app/silent)" in app.log and "says: in two lines" in app.log
    assert is_broken(app, "/app/cut")
    assert json.loads(Client(app).get("/app/fine").text)["PATH_INFO"] == "/fine"


def test_requests_at_once(php):
    wrong = []

    def run(number):
        visitor = Client(php)
        for _ in range(20):
            seen = json.loads(visitor.get(f"/info.php?n={number}").text)
            if seen["QUERY_STRING"] != f"n={number}":
                wrong.append(seen["QUERY_STRING"])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
