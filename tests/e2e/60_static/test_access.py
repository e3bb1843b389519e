# SPDX-License-Identifier: GPL-2.0
"""Pools that ask who comes: by address, by password. XDP never answers for them."""
from harness.net import CLIENT_IP4, SERVER_IP4
from instance import run
from static_pools import URL, config, get, hits, never_from_kernel, second_from_kernel


def test_addresses(weir, site, netns_pair):
    text = config(site, f'access = {{ "deny {CLIENT_IP4}", "allow 127.0.0.0/8" }}')
    w = weir(config=text.replace('"127.0.0.1:8080"', f'"127.0.0.1:8080", "{SERVER_IP4}:8080"') + 'attach = "generic"\n',
             netns=netns_pair.server)
    # who may comes first, and again: nothing of it may be there for who may not
    for _ in range(2):
        assert get(w, "/small.txt").body == site.files["small.txt"]
    curl = ["curl", "-sS", "--max-time", "10", "-o", "/dev/null", "-w", "%{http_code}"]
    for _ in range(3):
        assert run(*netns_pair.client.argv(*curl, f"http://{SERVER_IP4}:8080/small.txt")).stdout == "403"
        assert get(w, "/small.txt").status == 200
    assert hits(w) == 0 and "small.txt" not in w.command("cache", "list").stdout


def test_passwords(weir, site):
    users = site.path.parent / f"{site.path.name}.users"
    try:
        run("htpasswd", "-cbB", users, "alice", "open sesame")
        run("htpasswd", "-bm", users, "bob", "other")
        users.chmod(0o644)
        w = weir(config=config(site, f'auth_file = "{users}"\nauth_realm = "here"'))
        first, second = never_from_kernel(w, "/small.txt")
        assert first.status == second.status == 401
        assert second.fields["www-authenticate"] == 'Basic realm="here", charset="UTF-8"'
        for name in ("alice:open sesame", "bob:other"):
            for _ in range(2):
                assert w.curl("-u", name, f"{URL}/small.txt").stdout.encode() == site.files["small.txt"]
        for name in ("alice:other", "bob:open sesame", "eve:other", "alice:"):
            assert w.curl("-u", name, "-o", "/dev/null", "-w", "%{http_code}", f"{URL}/small.txt").stdout == "401"
        assert get(w, "/small.txt").status == 401
        assert hits(w) == 0 and "small.txt" not in w.command("cache", "list").stdout
    finally:
        users.unlink(missing_ok=True)


def test_one_pool_that_asks_beside_one_that_does_not(weir, site):
    text = config(site) + f"""
pool inner {{
	root = "{site.path}/dir"
	prefixes = {{"http://*:8080/inner/"}}
	access = {{ "deny all" }}
}}
"""
    w = weir(config=text)
    assert second_from_kernel(w, "/small.txt").status == 200
    assert {answer.status for answer in never_from_kernel(w, "/inner/")} == {403}


def test_why_names_the_reason(weir, site):
    w = weir(config=config(site, 'access = { "allow 127.0.0.0/8" }'))
    get(w, "/small.txt")
    assert "access" in w.command("why", f"{URL}/small.txt").stdout
