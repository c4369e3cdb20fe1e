"""Every command that README and docs show is one that the command line takes; those that cost nothing are run."""

import re

import pytest
import typer

from sigma_bench.cli import app, main, spread
from tests.documented import CHECKOUT, TELLING, arguments, cheap, command_of, documented, furnish, here, open_ended

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


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a few rows and runs."""
    folder = tmp_path_factory.mktemp("place")
    furnish(folder)
    return folder


def test_those_that_cost_nothing_do_what_is_said(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    monkeypatch.setenv("SIGMA_BENCH_CACHE", str(place / "cache"))
    calls = {tuple(here(arguments(line), place)): line for _, line in OURS if cheap(arguments(line))}
    kinds, wrong = {}, []
    for words, line in calls.items():  # of those that differ in values alone one; the slow test runs all
        options = tuple(word for word in words if word.startswith("-"))
        kind = (
            words if words[:2] == ("results", "bundle") else (command_of(words), options, words[0] == "list" and words)
        )
        if words != ("results", "diff"):  # names a command, without its arguments
            kinds.setdefault(kind, (words, line))
    for words, line in kinds.values():
        if words[0] == "report" or words[-1] in ("png", "decoders"):  # take seconds
            continue
        with pytest.raises(SystemExit) as stop:
            main(list(words))
        said = capsys.readouterr()
        if (stop.value.code or 0) not in TELLING.get(command_of(words), (0,)) or not said.out.strip():
            wrong.append((line, stop.value.code, said.err))
    assert not wrong
    assert len(kinds) > 18


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
