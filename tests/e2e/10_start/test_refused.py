# SPDX-License-Identifier: GPL-2.0
"""A start that cannot work says why, and leaves what was there alone."""
import os
import pathlib
import shutil
import socket
import tempfile

from instance import PROGRAM, attached, run


def refuse(netns, *options):
    """Runs a start that must fail at once; returns what it said."""
    done = run(*netns.argv(str(PROGRAM), "run", *options), check=False)
    assert done.returncode not in (0, None)
    assert len(done.stderr) < 2000, done.stderr
    return done.stderr


def test_second_instance_is_refused(weir, site):
    w = weir("--root", site.path, "--listen", "127.0.0.1:8080")
    said = refuse(w.netns, "--root", site.path, "--listen", "127.0.0.1:8081", "--control", w.control)
    assert str(w.control) in said
    assert w.curl("http://127.0.0.1:8080/").stdout.encode() == site.files["index.html"]


def test_taken_port_names_its_holder(netns, site):
    with netns.call(socket.create_server, ("127.0.0.1", 8080)):
        said = refuse(netns, "--root", site.path, "--listen", "127.0.0.1:8080", "--control", site.path / "s")
    assert "127.0.0.1:8080" in said
    assert str(os.getpid()) in said, "the message names the process that holds the port"


def test_not_root_is_told(netns, site):
    with tempfile.TemporaryDirectory(prefix="weir_run_") as folder:
        os.chmod(folder, 0o755)
        program = shutil.copy(PROGRAM, pathlib.Path(folder, "weir"))  # the build may be in a private folder
        done = run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program, "run", "--root", site.path,
                   "--listen", "127.0.0.1:8080", "--control", f"{folder}/s", check=False)
    assert done.returncode not in (0, None)
    assert "root" in done.stderr


def test_missing_root_is_named(netns, site):
    said = refuse(netns, "--root", site.path / "nowhere", "--listen", "127.0.0.1:8080", "--control", site.path / "s")
    assert str(site.path / "nowhere") in said


def test_unknown_interface_is_named(netns, site):
    said = refuse(netns, "--root", site.path, "--listen", "127.0.0.1:8080", "--interface", "nosuch0",
                  "--control", site.path / "s")
    assert "nosuch0" in said
    assert not attached(netns)


def test_error_in_configuration_has_its_place(netns, site):
    config = site.path / "weir.conf"
    config.write_text('listen = { "127.0.0.1:8080" }\n\npool a { rooot = "/" }\n')
    said = refuse(netns, "-c", config, "--control", site.path / "s")
    assert f"{config}:3" in said
