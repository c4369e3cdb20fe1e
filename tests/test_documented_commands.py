"""Every command that README and docs show is one that the command line takes, with options it has."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from sigma_bench.cli import app, spread

CHECKOUT = Path(__file__).parents[1]
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
MODULE = "-m sigma_bench.cli "


def shown(text: str) -> list[str]:
    """Return the lines of the code blocks of a page that begin with a command of ours, and those within sentences."""
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in re.sub(r"\\\n\s*", " ", block).splitlines()]
    outside = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines += re.findall(r"`(sigma-bench [^`]+)`", outside)
    return [line for line in lines if re.match(r"(sigma-bench|torchrun .*-m sigma_bench\.cli|make) ", f"{line} ")]


def documented() -> list[tuple[str, str]]:
    return [(page.name, line) for page in PAGES for line in dict.fromkeys(shown(page.read_text(encoding="utf-8")))]


def arguments(line: str) -> list[str]:
    words = shlex.split(line, comments=True)
    return words[1:] if words[0] == "sigma-bench" else shlex.split(line.split(MODULE)[1], comments=True)


def open_ended(line: str) -> bool:
    """Whether a line names several commands or leaves words out (`list recipes|suites`, `...`)."""
    return bool(re.search(r"\w\|\w|\.\.\.|…", line.partition(" #")[0]))


OURS = [(page, line) for page, line in documented() if not line.startswith("make") and not open_ended(line)]


def muted(command):
    """Return a command of the command line that parses its arguments and then does nothing."""
    for inner in getattr(command, "commands", {}).values():
        muted(inner)
    if not hasattr(command, "commands"):
        command.callback = lambda **_: None
    return command


@pytest.fixture(scope="module")
def command():
    return muted(typer.main.get_command(app))


def parse(command, words):
    """Return what is wrong with words: nothing where they can be parsed."""
    try:
        command(args=spread(words), prog_name="sigma-bench", standalone_mode=False)
    except Exception as error:  # noqa: BLE001 - typer keeps its usage errors to itself
        return error
    return None


@pytest.mark.parametrize(("page", "line"), OURS, ids=[f"{page}: {line}"[:90] for page, line in OURS])
def test_the_command_line_takes_it(command, page, line):
    wrong = parse(command, arguments(line))
    named_only = type(wrong).__name__ in ("NoArgsIsHelpError", "MissingParameter") and len(arguments(line)) < 3
    assert wrong is None or named_only, f"{page}: {line}: {type(wrong).__name__}: {wrong}"


def test_targets_of_make_exist():
    targets = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    asked = {word for _, line in documented() if line.startswith("make") for word in line.partition("#")[0].split()[1:]
             if "=" not in word and re.fullmatch(r"[a-z-]+", word)}  # fmt: skip
    assert asked
    assert asked <= targets, asked - targets


def test_pages_show_commands_and_a_wrong_one_is_noticed(command):
    assert len(OURS) > 60
    for wrong in ("sigma-bench tables --no-such-option 3", "sigma-bench nothing x", "sigma-bench eval --suite quick"):
        with pytest.raises(AssertionError):
            test_the_command_line_takes_it(command, "none", wrong + " --seeds 3" * wrong.endswith("quick"))
