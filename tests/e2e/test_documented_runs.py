"""Every command that README and docs show is run: at reduced scale, or as it stands to the message of what is missing.

Not run, and why: lines with `...` (words are left out); `demo` and `make demo` (`test_packaging` runs them, from a
wheel); `--specs docs/examples/...` (`test_example_package` installs and runs it); `make test`, `install` and `docs`
(only what they would do: they are what runs this, download gigabytes, and what `make check` does).
"""

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sigma_bench.cli import main
from sigma_bench.data.miniatures.ucf101 import write as write_ucf101
from sigma_bench.runs.miniatures import miniatures
from tests import documented as doc
from tests.documented import CHECKOUT, arguments, command_of, documented

pytestmark = pytest.mark.slow

MISSING = re.compile(r"no data at \S+|no such folder|give either --suite|Missing (argument|option)|Usage:")
"""What a message says that names what has to be there."""
ELSEWHERE = ("demo", "docs/examples/patch_colours/specs")
DRY = ("test", "install", "docs", "demo")
"""Targets of make of which only what they would do is looked at."""
PAGE_NAMES = sorted({page for page, _ in documented()})
done: set[tuple[str, ...]] = set()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder as a user has one: miniatures, checkpoints, run folders, rows, a clip, own videos; no official data."""
    folder = tmp_path_factory.mktemp("documented")
    here_and_now = pytest.MonkeyPatch()
    here_and_now.chdir(folder)
    here_and_now.setenv("SIGMA_BENCH_CACHE", str(folder / "cache"))
    here_and_now.setenv("SIGMA_BENCH_DATA", str(folder / "data"))
    here_and_now.setenv("HF_HUB_OFFLINE", "1")
    miniatures("all", folder / "data", 0)
    for recipe in ("sigma_mlp", "videomae"):
        assert call(doc.reduced(["pretrain", recipe], ""))[0] == 0
    doc.furnish(folder, folder / "runs" / "sigma_mlp.miniature.nano.seed0")
    checkpoint = next((folder / "runs" / "x" / "checkpoints").glob("*.pt"))
    words = {word for page in doc.PAGES for word in re.findall(r"\b\w+\.pth\b", page.read_text(encoding="utf-8"))}
    for name in words:
        shutil.copy(checkpoint, folder / name)
    golden = folder / "golden"
    golden.mkdir()
    shutil.copy(CHECKOUT / "tests" / "golden" / "sinkhorn_single.pt", golden)
    write_ucf101(folder / "own", seed=0, groups=8, clips_per_group=1)
    videos = sorted((folder / "own").rglob("*.avi"))
    for number, video in enumerate(videos[:8]):
        (folder / "my" / "videos" / f"class{number % 2}").mkdir(parents=True, exist_ok=True)
        shutil.copy(video, folder / "my" / "videos" / f"class{number % 2}")
        (folder / "my" / "clips").mkdir(exist_ok=True)
    for name in ("one", "two"):
        (folder / "my" / "clips" / name).mkdir()
        subprocess.run(["ffmpeg", "-loglevel", "error", "-i", videos[0], f"my/clips/{name}/%05d.jpg"], check=True)
    subprocess.run(["ffmpeg", "-loglevel", "error", "-i", videos[0], "clip.mp4"], check=True)
    yield folder
    here_and_now.undo()


def call(words: list[str]) -> tuple[int, str]:
    """Run a command in this process; return its exit code and what it said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main(list(words))
        except SystemExit as stop:
            return int(stop.code or 0), said.getvalue()
    return 0, said.getvalue()


def asks_for_official_data(words: list[str]) -> bool:
    """Whether a command as it stands needs data that has to be downloaded."""
    if "miniature" in words or any(word.startswith("folder:") for word in words) or doc.cheap(words):
        return False
    command = command_of(words)
    if command in ("data check", "data transcode", "data pack", "data bench", "eval", "figures segments"):
        return True
    return "--data" in words or command == "figures clips"


def wrong_with(line: str, place: Path) -> str:
    """Run a line as it stands where that is cheap or must fail, and at reduced scale; return what is wrong."""
    words = doc.here(arguments(line), place)
    if tuple(words) in done or any(word in ELSEWHERE for word in words):
        return ""
    done.add(tuple(words))
    fine = doc.TELLING.get(command_of(words), (0,))
    if doc.cheap(words) or words[:2] in (["data", "miniature"], ["ckpt", "inspect"], ["ckpt", "export"]):
        code, said = call(words)
        called = code in fine or (code == 2 and "Usage:" in said)
        return "" if called else f"{line}: {code}: {said[-600:]}"
    if asks_for_official_data(words) and command_of(words) != "plan" and "--gpus" not in words:
        fresh = doc.with_option(words, "--out", "runs/none") if words[0] == "pretrain" else words
        code, said = call(fresh)
        if code != 2 or not MISSING.search(said):
            return f"{line}: as it stands {code}, and names nothing that is missing: {said[-600:]}"
        if "Usage:" in said or len(words) == 1:
            return ""
    smaller = doc.reduced(words, "random:nano")
    if words[0] == "pretrain" and "--resume" not in words:
        smaller = doc.with_option(smaller, "--out", f"runs/documented{len(done)}")
    code, said = call(smaller)
    if "--test-only" in words:  # a finetuned file is what is missing
        fine = (2,) if re.search("a classifier is required", said) else ()
    called = code in fine or (code == 2 and "Usage:" in said)
    return "" if called else f"{line}\n  as {shlex.join(smaller)}: {code}: {said[-900:]}"


@pytest.mark.parametrize("page", PAGE_NAMES)
def test_commands_of_a_page(page, place):
    lines = [
        one for name, one in documented() if name == page and not one.startswith("make") and not doc.open_ended(one)
    ]
    wrong = [found for line in lines if (found := wrong_with(line, place))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_commands_of_make(place):
    lines = dict.fromkeys(one.partition(" #")[0].strip() for _, one in documented() if one.startswith("make"))
    outside = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    few = {"pretrain": f"ARGS={shlex.join(doc.reduced(['pretrain', 'x'], '')[2:-2])} --out runs/made",
           "compare": f"EVAL_ARGS=--limit {'{}'} --tasks linear/ucf101".format(40)}  # fmt: skip
    for line in lines:
        target, *variables = shlex.split(line)[1:]
        command = ["make", "--no-print-directory", "-f", CHECKOUT / "Makefile", "-o", "install", target, *variables]
        needs = "DATA=k400" in variables
        smaller = ["ARGS=--out runs/none"] if needs else [few[target]] if target in few else []
        command += [f"RUN={sys.executable} -m sigma_bench.cli", *smaller, *(["-n"] if target in DRY else [])]
        ended = subprocess.run(
            command, cwd=place, env=outside | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
        )
        assert ended.returncode == (2 if needs else 0), f"{line}: {ended.stdout[-500:]} {ended.stderr[-900:]}"
        assert not needs or re.search(r"no data at \S*k400", ended.stderr), ended.stderr
