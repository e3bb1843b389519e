# SPDX-License-Identifier: GPL-2.0
"""The completion scripts, in the shells themselves."""
import pytest

from instance import PROGRAM, run


@pytest.fixture
def script(tmp_path):
    def write(shell):
        path = tmp_path / f"weir.{shell}"
        path.write_text(run(PROGRAM, "completion", shell).stdout)
        return path
    return write


@pytest.mark.parametrize("words, expected", [
    (("weir", "sta"), {"status", "stats"}),
    (("weir", "pool", ""), {"list", "show", "start", "stop", "recycle", "enable", "disable"}),
    (("weir", "cache", "li"), {"list"}),
    (("weir", "status", "--"), {"--control", "--json"}),
    (("weir", "cache", "list", "--l"), {"--limit"}),
])
def test_bash_offers_what_the_program_takes(script, words, expected):
    typed = " ".join(f"'{word}'" for word in words)
    done = run("bash", "-c", f"source {script('bash')}; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _weir; "
                             'printf "%s\\n" "${COMPREPLY[@]}"')
    assert set(done.stdout.split()) == expected


def test_fish_offers_what_the_program_takes(script):
    offered = run("fish", "--no-config", "-c", f"source {script('fish')}; complete -C 'weir pool '").stdout
    assert {line.split("\t")[0] for line in offered.splitlines()} >= {"list", "show", "recycle"}


def test_zsh_understands_the_script(script):
    run("zsh", "-n", script("zsh"))


def test_an_unknown_shell_is_named():
    done = run(PROGRAM, "completion", "tcsh", check=False)
    assert done.returncode == 2 and "tcsh" in done.stderr
