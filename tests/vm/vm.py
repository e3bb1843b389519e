#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Boots Debian's stock kernels in QEMU and tests Weir on them; `make vmtest` calls it through tests/run.py.

    tests/vm/vm.py --build build [--kernel 6.12] [--console]

The kernels come by `apt-get download` from the sources of this machine and stay in build/vm/. The initramfs
holds busybox, the modules that Weir needs, Weir with its libraries, a site, and tests/vm/init, which tests.
KVM is not used: it runs where a virtual machine cannot start another one, about 20 times slower.
Prints "ok ...", "not ok ..." and "skipped ..." lines. Exits 77 when QEMU cannot be installed.
"""
import argparse
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parent.parent
BOOT_SECONDS = 300
SKIP = 77

KERNELS = {
    "6.12": r"linux-image-6\.12\.[0-9]+\+deb[0-9]+-cloud-amd64",
    "6.1": r"linux-image-6\.1\.0-[0-9]+-cloud-amd64",
}
MODULES = ["veth", "sch_ingress", "cls_bpf"]
PROGRAMS = ["weir", "tests/check/verifier", "bpftool"]  # from the build or from this machine, with their libraries

SITE = {
    "index.html": b"<!doctype html><title>Weir</title><p>A page from the virtual machine.\n",
    "fresh.txt": b"asked for once, in the middle of a connection\n",
    "other.txt": b"asked for once, before a seize\n",
    "a/one.txt": b"from pool a\n",
    "b/two.txt": b"from pool b\n",
}
POOLS = """listen = { "127.0.0.1:8080" }
pool a { root = "/site/a" prefixes = { "http://*:8080/" } }
pool b { root = "/site/b" prefixes = { "http://*:8080/b/" } }
"""


def output_of(*command, cwd=None):
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout


def fetch_kernel(version, vm):
    """Returns the folder with the unpacked kernel package, or None when apt has none."""
    pattern = re.compile(KERNELS[version])

    def newest(names):
        names = [name for name in names if pattern.fullmatch(name)]
        return max(names, key=lambda name: [int(n) for n in re.findall(r"[0-9]+", name)], default=None)

    have = newest(path.name for path in vm.iterdir())
    if have:
        return vm / have
    for is_second in (False, True):
        if is_second:
            subprocess.run(["apt-get", "update"], capture_output=True, check=False)
        name = newest(output_of("apt-cache", "pkgnames", f"linux-image-{version}.").split())
        if name:
            break
    else:
        return None
    download = vm / "download"
    shutil.rmtree(download, ignore_errors=True)
    download.mkdir()
    output_of("apt-get", "download", name, cwd=download)
    unpacked = download / "unpacked"
    output_of("dpkg-deb", "-x", next(download.glob("*.deb")), unpacked)
    unpacked.rename(vm / name)
    shutil.rmtree(download)
    return vm / name


def copy(source, root, place):
    target = root / str(place).lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def copy_program(source, root, place):
    copy(source, root, place)
    for library in re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", source], capture_output=True, text=True,
                                                             check=False).stdout):
        copy(library, root, library)


def copy_modules(kernel, root):
    """Unpacks MODULES and what they depend on, and writes the order to load them in."""
    files = {re.sub(r"\.ko.*", "", path.name).replace("-", "_"): path for path in kernel.glob("lib/modules/**/*.ko*")}
    order = []

    def add(name):
        if name in order or name not in files:  # not there: built in
            return
        data = files[name].read_bytes()
        if files[name].suffix == ".xz":
            data = lzma.decompress(data)
        depends = re.search(rb"\0depends=([^\0]*)\0", data)
        for other in depends.group(1).decode().split(",") if depends else []:
            add(other.replace("-", "_"))
        order.append(name)
        (root / "modules" / name).write_bytes(data)

    (root / "modules").mkdir()
    for module in MODULES:
        add(module)
    (root / "modules/order").write_text("".join(f"{name}\n" for name in order))


def make_initramfs(kernel, build, vm):
    root = vm / "root"
    shutil.rmtree(root, ignore_errors=True)
    for folder in ("bin", "etc", "site"):
        (root / folder).mkdir(parents=True)
    copy(shutil.which("busybox"), root, "/bin/busybox")
    copy(HERE / "init", root, "/init")
    for name in PROGRAMS:
        own = build / name
        copy_program(own if own.exists() else shutil.which(name), root, f"/bin/{own.name}")
    copy(build / "weir.bpf.o", root, "/weir.bpf.o")
    output_of("gcc", "-O2", "-D_GNU_SOURCE", "-static", HERE / "probe.c", "-ljansson", "-o", root / "bin/probe")
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\n")
    copy("/etc/mime.types", root, "/etc/mime.types")
    (root / "etc/pools.conf").write_text(POOLS)
    for name, content in SITE.items():
        (root / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "site" / name).write_bytes(content)
    copy_modules(kernel, root)
    image = vm / "initramfs"
    subprocess.run("find . -print0 | cpio --null -o -H newc --owner 0:0 --quiet", shell=True, cwd=root, check=True,
                   stdout=open(image, "wb"))
    return image


def boot(kernel, image):
    """Returns what the machine wrote to its console."""
    command = [
        "timeout", "--kill-after=5", str(BOOT_SECONDS),
        "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024",
        "-nographic", "-no-reboot", "-nic", "none",
        "-kernel", str(next(kernel.glob("boot/vmlinuz-*"))), "-initrd", str(image),
        "-append", "console=ttyS0 quiet panic=-1",
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    console = (done.stdout + done.stderr).decode(errors="replace").replace("\r", "")
    return re.sub(r"\x1b(c|\[[?0-9;]*[a-zA-Z])", "", console)


def test_kernel(version, build, is_console):
    vm = build / "vm"
    vm.mkdir(parents=True, exist_ok=True)
    kernel = fetch_kernel(version, vm)
    if not kernel:
        print(f"skipped vm {version}: apt of this machine has no cloud kernel {version}")
        return True
    console = boot(kernel, make_initramfs(kernel, build, vm))
    shown = [line for line in console.splitlines() if is_console or re.match(r"(not )?ok |  ", line)]
    print("\n".join(shown))
    if not re.search(r"^done$", console, re.M):
        print("\n".join(console.splitlines()[-40:]))
        print(f"not ok vm {version}: did not get to its end within {BOOT_SECONDS} s")
        return False
    return not re.search(r"^not ok ", console, re.M)


def main():
    parser = argparse.ArgumentParser(description="Tests Weir on Debian's stock kernels in QEMU.")
    parser.add_argument("--build", type=pathlib.Path, default=TREE / "build")
    parser.add_argument("--kernel", choices=KERNELS, action="append", help="only this one")
    parser.add_argument("--console", action="store_true", help="print all that the machine prints")
    arguments = parser.parse_args()
    if os.uname().machine != "x86_64":
        print("the virtual machines are for x86_64 alone")
        return SKIP
    if subprocess.run([TREE / "tests/deps.sh", "vm"], check=False).returncode:
        print("left out: QEMU is not installed and cannot be installed (see above)")
        return SKIP
    results = [test_kernel(version, arguments.build.resolve(), arguments.console)
               for version in arguments.kernel or KERNELS]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
