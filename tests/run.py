#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Runs test layers that make has built and adds up their results.

    tests/run.py --build build check unit bpf sock fuzz e2e vm

A layer prints what it does, then its totals; the output of a test only when it fails. The last line is
"N passed, N failed, N skipped". A program that crashes, hangs or reports nothing is one failed test, and
so is one that cannot be started. The exit code is 1 when something failed.

A machine that runs many tests at once can make one of them late. What failed is run once more, alone, when it is
no more than SECOND_ATTEMPTS in the whole run; a test that passes then counts as passed, and its name, its first
error and the number of such tests are printed, so that none goes unseen.
"""
import argparse
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

TREE = pathlib.Path(__file__).resolve().parent.parent
PYTHON = "/usr/bin/python3"  # the distribution's: python3-pytest and python3-scapy belong to it
SKIP = 77

GRACE_SECONDS = 20
SECOND_ATTEMPTS = 3
E2E_AT_A_TIME = 4

# Seconds a program may take; what is stuck is ended with its process group.
LIMITS = {"check": 120, "unit": 120, "bpf": 240, "sock": 240, "fuzz": 60, "e2e": 780, "vm": 700}


class Totals:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.again = 0  # of the passed, how many only at their second attempt

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.again += other.again

    def __bool__(self):
        return bool(self.passed or self.failed or self.skipped)

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


class SecondAttempts:
    """How many tests may still be run once more."""

    left = SECOND_ATTEMPTS

    @classmethod
    def take(cls, number):
        if not 0 < number <= cls.left:
            return False
        cls.left -= number
        return True


def say(text):
    print(text, flush=True)


def run(command, limit, env=None):
    """Returns (exit code or None when it hung, output). Nothing that it started in its process group stays."""
    process = subprocess.Popen(
        [str(word) for word in command], cwd=TREE, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=limit)
        return process.returncode, output.decode(errors="replace")
    except subprocess.TimeoutExpired:
        output = end(process)
        return None, output.decode(errors="replace") + f"\nended: not done after {limit} s"
    except BaseException:
        end(process)
        raise


def end(process):
    """Interrupts, so that fixtures can tidy up and report, then kills. Returns the output."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        return process.communicate(timeout=GRACE_SECONDS)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()[0]


def describe_end(code):
    if code is None:
        return "hung"
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def show(name, output):
    say(f"  FAIL {name}")
    for line in output.rstrip().splitlines()[-200:]:
        say(f"       {line}")


def count_junit(path):
    """Reads Criterion's and pytest's XML. Returns Totals, [(name, reason)] of what was skipped, {name: first error}."""
    totals, skips, failures = Totals(), [], {}
    cases = {}
    for suite in ElementTree.parse(path).iter("testsuite"):
        for case in suite.iter("testcase"):
            name = f'{case.get("classname") or suite.get("name")}::{case.get("name")}'
            bad = case.find("failure") is not None or case.find("error") is not None
            skipped = case.find("skipped")
            state = "failed" if bad else "skipped" if skipped is not None else "passed"
            if cases.get(name) != "failed":  # pytest reports a failing teardown as a case of its own
                cases[name] = state
            if bad:
                failures.setdefault(name, first_error(case))
            if state == "skipped" and skipped.get("message"):
                skips.append((name, skipped.get("message")))
    for state in cases.values():
        setattr(totals, state, getattr(totals, state) + 1)
    return totals, skips, failures


def first_error(case):
    for kind in ("failure", "error"):
        found = case.find(kind)
        if found is not None:
            text = found.get("message") or found.text or "no reason given"
            return text.strip().splitlines()[0][:200] if text.strip() else "no reason given"
    return "no reason given"


def count_lines(name, code, output):
    """Totals of a program that prints a line "ok ..." or "not ok ..." for each case."""
    totals = Totals()
    totals.passed = len(re.findall(r"^ok ", output, re.M))
    totals.failed = len(re.findall(r"^not ok ", output, re.M))
    totals.skipped = len(re.findall(r"^skipped ", output, re.M))
    for reason in re.findall(r"^skipped (.*)", output, re.M):
        say(f"  SKIP {reason}")
    if code == SKIP and totals.failed == 0:
        totals.skipped += 1
        say(f"  SKIP {name}: {output.strip().splitlines()[-1] if output.strip() else 'no reason given'}")
    elif code not in (0, 1) or not totals or (code == 1 and not totals.failed):
        totals.failed += 1
        output += f"\n{describe_end(code)}"
    if totals.failed:
        show(name, output)
    return totals


def run_program(program, prefix, layer):
    """One run of a Criterion program. Returns Totals, output and {name: first error}."""
    report = program.with_name(program.name + ".xml")
    report.unlink(missing_ok=True)
    jobs = "-j0" if layer == "unit" else "-j1"
    try:
        code, output = run([*prefix, program, "--verbose", "--timeout=60", jobs, f"--xml={report}"], LIMITS[layer])
    except OSError as error:
        code, output = None, str(error)
    try:
        totals, _, failures = count_junit(report)
    except (OSError, ElementTree.ParseError):
        totals, failures = Totals(), {}
    if code == SKIP:
        totals.skipped += 1
        say(f"  SKIP {program.name}: {output.strip().splitlines()[-1] if output.strip() else 'no reason given'}")
    elif (code != 0 and not totals.failed) or not totals:
        totals.failed += 1
        failures[program.name] = describe_end(code)
        output += f"\n{describe_end(code)}"
    for reason in re.findall(r"^\[SKIP\] (.*)", output, re.M):
        say(f"  SKIP {program.name}: {reason}")
    return totals, output, failures


def run_criterion(build, layer, prefix=()):
    """One program for each tests/LAYER/**/*.c, at the same place under the build directory."""
    totals = Totals()
    for source in sorted((TREE / "tests" / layer).rglob("*.c")):
        name = source.relative_to(TREE / "tests").with_suffix("")
        program = build / "tests" / name
        mine, output, failures = run_program(program, prefix, layer)
        if mine.failed:
            show(name, output)
            if SecondAttempts.take(mine.failed):
                again, output, failed = run_program(program, prefix, layer)
                if again.failed:
                    show(f"{name}, second attempt", output)
                mine = second_attempt(mine, failures, again, failed)
        totals.add(mine)
    return totals


def second_attempt(first, failures, totals, failures_again):
    """Says which tests passed only now. Returns the totals that count."""
    for test, error in failures.items():
        if test not in failures_again:
            say(f"  AGAIN {test}: passed at the second attempt; the first: {error}")
    result = Totals()
    result.failed = totals.failed
    result.again = max(first.failed - totals.failed, 0)
    result.passed = first.passed + result.again
    result.skipped = first.skipped
    return result


def run_check(build):
    totals = Totals()
    for script in sorted((TREE / "tests/check").glob("*.sh")):
        if os.access(script, os.X_OK):
            totals.add(count_lines(f"check/{script.name}", *run([script], LIMITS["check"])))
    verifier = build / "tests/check/verifier"
    if verifier.exists():
        command = [verifier, build / "weir.bpf.o", TREE / "tests/check/verifier.txt"]
        totals.add(count_lines("check/verifier", *run(command, LIMITS["check"])))
    return totals


def run_unit(build):
    return run_criterion(build, "unit")


def run_bpf(build):
    return run_criterion(build, "bpf")


def run_sock(build):
    return run_criterion(build, "sock", ("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$0" "$@"'))


def run_fuzz(build):
    """Replays the inputs of each driver; with FUZZ_SECONDS in the environment looks for new ones after that."""
    totals = Totals()
    seconds = int(os.environ.get("FUZZ_SECONDS", 0))
    inputs = TREE / "tests/fuzz"
    for source in sorted(inputs.glob("*.c")):
        name = source.stem
        learned = build / "fuzz/corpus" / name
        learned.mkdir(parents=True, exist_ok=True)
        known = [path for path in (inputs / "corpus" / name, inputs / "regression" / name) if path.exists()]
        program = [build / "fuzz" / name, f"-artifact_prefix={build}/fuzz/{name}_", "-timeout=10", "-verbosity=0"]
        dictionary = inputs / "dict" / ("config.dict" if name in ("config", "address") else "http.dict")
        commands = [[*program, *(file for folder in known for file in sorted(folder.iterdir()))]]
        if seconds:
            commands.append([*program, f"-dict={dictionary}", f"-max_total_time={seconds}", learned, *known])
        for command in commands:
            code, output = run(command, LIMITS["fuzz"] + seconds)
            if code != 0:
                totals.failed += 1
                show(f"fuzz/{name}", f"{output}\n{describe_end(code)}")
                break
        else:
            totals.passed += 1
    return totals


def run_pytest(build, name, words):
    """One run of the end-to-end tests that `words` choose. Returns Totals and {name: first error}."""
    report = build / f"tests/e2e-{name}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    env = dict(os.environ, BUILD=str(build), PYTHONDONTWRITEBYTECODE="1")
    command = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *words]
    code, output = run(command, LIMITS["e2e"], env)
    try:
        totals, skips, failures = count_junit(report)
    except (OSError, ElementTree.ParseError):
        totals, skips, failures = Totals(), [], {}
    for test, reason in skips:
        say(f"  SKIP {test}: {reason}")
    if code not in (0, 1, 5) or (code == 1 and not totals.failed):  # 5: no tests
        totals.failed += 1
        failures[f"e2e {name}"] = describe_end(code)
        output += f"\npytest: {describe_end(code)}"
    report.with_suffix(".log").write_text(output)
    if totals.failed:
        for test, error in failures.items():
            say(f"  FAIL {test}: {error}")
        show(f"e2e, all of it in {report.with_suffix('.log')}", output)
    return totals, failures


def node_id(test):
    """What pytest calls a test that its XML calls tests.e2e.40_lend.test_x::test_y[z]; None when there is none."""
    module, _, name = test.partition("::")
    path = pathlib.Path(*module.split(".")).with_suffix(".py")
    return f"{path}::{name}" if name and (TREE / path).exists() else None


def run_e2e(build):
    """Tests mostly wait for each other's events: several at a time, but those that load the machine one by one."""
    totals, failures = Totals(), {}
    for name, words in (("together", ["-m", "not alone", "-n", str(E2E_AT_A_TIME), "--dist", "load"]),
                        ("alone", ["-m", "alone"])):
        mine, failed = run_pytest(build, name, [*words, "tests/e2e"])
        totals.add(mine)
        failures.update(failed)
    nodes = [node_id(test) for test in failures]
    if nodes and all(nodes) and SecondAttempts.take(totals.failed):
        totals = second_attempt(totals, failures, *run_pytest(build, "again", nodes))
    return totals


def run_vm(build):
    return count_lines("vm", *run([PYTHON, TREE / "tests/vm/vm.py", "--build", build], LIMITS["vm"]))


LAYERS = {
    "check": (run_check, "style that a program can check, and the verifier's budget"),
    "unit": (run_unit, "one module at a time"),
    "bpf": (run_bpf, "packets through the BPF programs"),
    "sock": (run_sock, "socket programs on real connections, each in its own network namespace"),
    "fuzz": (run_fuzz, "known inputs of the fuzz drivers"),
    "e2e": (run_e2e, "the whole of Weir with real clients"),
    "vm": (run_vm, "Debian's stock kernels in QEMU"),
}


def main():
    parser = argparse.ArgumentParser(description="Runs test layers and adds up their results.")
    parser.add_argument("--build", type=pathlib.Path, default=TREE / "build")
    parser.add_argument("layers", nargs="+", choices=LAYERS)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    totals = Totals()
    for layer in arguments.layers:
        function, what = LAYERS[layer]
        say(f"{layer}: {what}")
        began = time.monotonic()
        mine = function(arguments.build.resolve())
        say(f"{layer}: {mine} ({time.monotonic() - began:.1f} s)")
        totals.add(mine)
    if totals.again:
        say(f"{totals.again} of the passed did so at the second attempt")
    say(totals)
    return 1 if totals.failed else 0


if __name__ == "__main__":
    sys.exit(main())
