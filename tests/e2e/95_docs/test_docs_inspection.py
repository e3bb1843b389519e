# SPDX-License-Identifier: GPL-2.0
"""What Weir puts into the kernel can be found and read: names, pins, type information, and a page that has them all."""
import json
import re

import docs_pages
from instance import PINS, run

PROGRAMS = {"weir_xdp", "weir_tc", "weir_steer", "weir_sock"}
UNTYPED = {"array_of_maps", "hash_of_maps", "reuseport_sockarray", "ringbuf"}  # the kernel takes no BTF for their values


def pins(instance):
    """name: (path, what it is)"""
    folder = PINS / instance.control.stem
    found = {}
    for path in folder.iterdir():
        kind = "link" if path.name.startswith("link_") else "prog" if path.name in PROGRAMS else "map"
        found[path.name] = json.loads(run("bpftool", "-j", kind, "show", "pinned", path).stdout)
    return found


def test_everything_is_pinned_with_its_name_and_types(weir, site):
    found = pins(weir("--root", site.path, "--listen", "127.0.0.1:8080"))
    assert PROGRAMS | {"link_xdp_lo", "link_sock", "weir_flows", "pool_default_cache_s"} <= set(found)
    for pin, item in found.items():
        if pin.startswith("link_"):
            continue
        assert item["name"].startswith("weir_"), (pin, item)
        assert "btf_id" in item or item["type"] in UNTYPED, (pin, item)
    maps = {item["id"] for pin, item in found.items() if pin not in PROGRAMS and not pin.startswith("link_")}
    used = {number for pin in PROGRAMS for number in found[pin].get("map_ids", [])}
    names = {json.loads(run("bpftool", "-j", "map", "show", "id", number).stdout)["name"] for number in used - maps}
    assert names <= {"weir_bpf.rodata"}, "maps that programs use and that have no pin"


def test_every_pin_is_on_the_page(weir, site):
    page = (docs_pages.DOCS / "inspect.md").read_text()
    listed = set()
    for row in re.findall(r"^\| (`.*?) \|", page, re.M):
        names = re.findall(r"`([\w]+)`", row)
        listed |= {name if not name.startswith("_") else re.sub(r"_[a-z]$", "", names[0]) + name for name in names}
    for pin in pins(weir("--root", site.path, "--listen", "127.0.0.1:8080")):
        name = re.sub(r"^link_xdp_.*", "link_xdp_IF", pin).replace("pool_default_", "pool_NAME_")
        assert name in listed, f"docs/inspect.md does not say what {pin} is"
