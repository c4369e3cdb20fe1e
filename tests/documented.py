"""The commands that README and docs show, and how they are run by tests: at reduced scale, in a folder of their own."""

import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from sigma_bench.results.row import Row
from sigma_bench.results.store import Store
from sigma_bench.spec import load
from tests.results.made_up_report import run as write_run

CHECKOUT = Path(__file__).parents[1]
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
MODULE = "-m sigma_bench.cli "
CHEAP = ("tables", "report", "list", "results", "compare", "reproduce", "--version", "data where", "data lists")
"""Commands that take a second at most and compute nothing."""
SYSTEMS = ("sigma_mlp", "videomae")
TELLING = {"data lists": (0, 1), "compare": (0, 1), "reproduce": (0, 1)}
"""Commands whose exit code 1 is an answer: not all lists are there, not all was compared or reproduced."""
PLACEHOLDERS = {
    "data": {"NAME": "ucf101"},
    "eval": {"NAME": "random:nano"},
    "reproduce": {"T": "5", "S": "sigma_mlp"},
    "compare": dict(zip("AB", SYSTEMS, strict=True)),
    "pretrain": {"ablations/NAME": "ablations/projection", "PROFILE": "mlp_wider"},
}
"""Words in capitals that stand for what a user fills in, by command."""
SHORT = ("train.steps=2", "train.warmup_steps=1", "train.log_every=1", "train.save_every=2")
ONE_EPOCH = ("train.epochs=1", "train.warmup_epochs=0", "train.log_every=1")
"""Of a folder of videos, whose training is counted in epochs."""
FEW = "16"
"""Samples of each list."""


def shown(text: str) -> list[str]:
    """Return the lines of the code blocks of a page that begin with a command of ours, and those within sentences."""
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in re.sub(r"\\\n\s*", " ", block).splitlines()]
    outside = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines += re.findall(r"`(sigma-bench [^`]+)`", outside)
    return [line for line in lines if re.match(r"(sigma-bench|torchrun .*-m sigma_bench\.cli|make) ", f"{line} ")]


def documented() -> list[tuple[str, str]]:
    """Return (page, line) of every command that a page shows; `a|b|c` are several."""
    found = [(page.name, line) for page in PAGES for line in dict.fromkeys(shown(page.read_text(encoding="utf-8")))]
    return [(page, one) for page, line in found for one in alternatives(line)]


def alternatives(line: str) -> Iterator[str]:
    """Yield a line with each of the words of `a|b|c`."""
    command = line.partition(" #")[0]
    if choice := re.search(r"[\w]+(\|\w+)+", command):
        yield from (command.replace(choice[0], word) for word in choice[0].split("|"))
    else:
        yield line


def arguments(line: str) -> list[str]:
    """Return what a line gives to the command line; of torchrun what each of its processes gets."""
    words = shlex.split(line, comments=True)
    return words[1:] if words[0] == "sigma-bench" else shlex.split(line.split(MODULE)[1], comments=True)


def open_ended(line: str) -> bool:
    """Whether a line leaves words out (`...`)."""
    return bool(re.search(r"\.\.\.|…", line.partition(" #")[0]))


def command_of(words: Sequence[str]) -> str:
    """Return the command of arguments, with that of its group: `eval`, `data check`."""
    return " ".join(words[:2]) if words[0] in ("data", "ckpt", "figures", "results") else words[0]


def cheap(words: Sequence[str]) -> bool:
    return words[0] in CHEAP or command_of(words) in CHEAP


def here(words: list[str], folder: Path) -> list[str]:
    """Return arguments with what a user fills in filled in, and with absolute places below `folder`."""
    filled = PLACEHOLDERS.get(words[0], {})
    if words[:2] == ["results", "diff"]:
        rows = Store(folder / "results" / "rows").read()
        filled = dict(zip("AB", [row.id for row in rows][:2], strict=True))
    if words[0] == "verify":
        filled = {"DIR": "golden"}
    words = [filled.get(word, word) for word in words]
    words = [re.sub(r"(^|:)/(?=[a-z])", rf"\g<1>{folder}/", word) for word in words]
    words = [re.sub(r"step-N\.pt$", "*", word) for word in words]
    return [one for word in words for one in (_matches(word, folder) if "*" in word else [word])]


def _matches(pattern: str, folder: Path) -> list[str]:
    found = sorted(path.relative_to(folder).as_posix() for path in folder.glob(pattern) if path.suffix != ".sha256")
    assert found, f"nothing is called {pattern}"
    return found


def furnish(folder: Path, trained: Path | None = None) -> None:
    """Write what documented commands read: rows of two systems with their samples, and run folders with logs.

    Args:
        folder: The working directory.
        trained: A run folder that every run folder is a copy of, and whose checkpoint is that of the first system;
            without it they hold a made-up log alone.
    """
    sums = ["1" * 64, "2" * 64]
    if trained is not None:
        sums[0] = next((trained / "checkpoints").glob("*.sha256")).read_text().split()[0]
    store = Store(folder / "results" / "rows")
    for number, name in enumerate(SYSTEMS):
        right = np.random.default_rng(number).random(200) < 0.6 - 0.2 * number
        row = Row(
            system=name, suite="quick", task="linear/ucf101", task_version=1, evaluator="linear", metric="top1",
            settings_sha256="5" * 64, checkpoint_sha256=sums[number], data="miniature", status="ok",
            value=100 * float(right.mean()), n_expected=200, n_present=200, n_decoded=200,
        )  # fmt: skip
        samples = pd.DataFrame({"id": [f"v{i}" for i in range(200)], "label": 1, "prediction": right.astype(int)})
        path = store.write_samples(row.id, samples.assign(error=None))
        store.append("quick", [row.model_copy(update={"artifacts": {"samples": f"samples/{path.name}"}})])
    for name in sorted({word for _, line in documented() for word in line.split() if re.match(r"RUN\b|runs/", word)}):
        place = folder / name.strip("`")
        if place.exists() or "checkpoints" in name or "*" in name:
            continue
        if place.name == "rows":
            shutil.copytree(store.folder, place)
            continue
        run = place / "sigma_mlp" if place.name == "runs" else place
        if trained is None:
            write_run(run, 0, steps=5)
        else:
            shutil.copytree(trained, run)


def with_option(words: list[str], option: str, *values: str) -> list[str]:
    """Return arguments in which an option has other values, one after the other; without any it is left out."""
    kept: list[str] = []
    skipping = False
    for word in words:
        skipping = word == option or (skipping and not word.startswith("-"))
        if not skipping:
            kept.append(word)
    return [*kept, *(part for value in values for part in (option, value))]


def reduced(words: list[str], checkpoint: str) -> list[str]:
    """Return arguments of a computing command that ask for the same on the miniature, in seconds.

    Args:
        words: From `here`.
        checkpoint: What stands for weights that have to be downloaded.
    """
    command = command_of(words)
    official = "miniature" not in words and not any(word.startswith("folder:") for word in words)
    if command == "pretrain":
        words = with_option([word.replace("_every=100", "_every=2") for word in words], "--size", "nano")
        words = [word.replace("micro_batch=64", "micro_batch=16") for word in words]
        words += [part for setting in (SHORT if official else ONE_EPOCH) for part in ("--set", setting)]
        return with_option(words, "--data", "miniature") if official else words
    if command == "figures prototypes":
        words = with_option(words, "--teacher")
        words = with_option(words, "--video", "all") if "davis" in words else words
    if command == "figures segments":
        words = with_option(words, "--clips") if official else words
    if command == "eval":
        if "--suite" in words:
            suite = words[words.index("--suite") + 1]
            words = with_option(words, "--tasks", load.suite(suite).tasks[-1])
        elif "--task" not in words:
            words = [*words, "--suite", "quick", "--tasks", "linear/ucf101"]
        words = with_option(with_option(with_option(words, "--gpus"), "--as"), "--family")
        words = with_option(words, "--results", "measured/rows")
        if "severe/ucf_rc" in words:
            words = [*with_option(words, "--profile"), "--set", "counting.epochs=1"]
        given = [one for one in values(words, "--ckpt") if Path(one).exists() or one.startswith("random:")]
        words = with_option(words, "--ckpt", *(given or [checkpoint]))
    limits = {"eval": ("--limit", FEW), "plan": ("--seconds", "1"), "data bench": ("--clips", "8")}
    if command in limits:
        words = with_option(words, *limits[command])
    if command == "data check":
        words = [*words, "--quick"]
    if not official or command in ("figures masks", "figures curves", "verify"):
        return words
    return (
        words
        if command == "figures prototypes" and "--data" not in words
        else with_option(words, "--data", "miniature")
    )


def values(words: list[str], option: str) -> list[str]:
    """Return the values of an option that takes several."""
    found = []
    for place, word in enumerate(words):
        if word == option:
            rest = words[place + 1 :]
            found += rest[: next((i for i, one in enumerate(rest) if one.startswith("-")), len(rest))]
    return found
