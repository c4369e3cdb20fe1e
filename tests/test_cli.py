"""The command line: nothing heavy at import, options that take several values."""

import subprocess
import sys

import pytest

from sigma_bench import cli
from sigma_bench.cli import main, spread


def test_nothing_heavy_is_imported_for_help():
    code = (
        "import sys\nfrom sigma_bench import cli\n"
        "try:\n    cli.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "names = ('torch', 'timm', 'sklearn', 'pandas', 'pyarrow', 'numpy', 'pydantic', 'yaml', 'scipy')\n"
        "heavy = set(names) & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "pretrain" in done.stdout


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("eval --ckpt a b c --force", "eval --ckpt a --ckpt b --ckpt c --force"),
        ("eval --task x y --ckpt a --seeds 2", "eval --task x --task y --ckpt a --seeds 2"),
        ("tables --table 1 2 --out d", "tables --table 1 --table 2 --out d"),
        ("pretrain sigma_mlp --set a=1", "pretrain sigma_mlp --set a=1"),
        ("eval --data miniature --ckpt a", "eval --data miniature --ckpt a"),
    ],
)
def test_options_that_take_several_values(given, expected):
    assert spread(given.split()) == expected.split()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["demo", "--seeds", "3,x"], "--seeds 3,x"),
        (["tables", "--out", "{file}"], "{file}"),
        (["data", "miniature", "ucf101", "--data-root", "{file}"], "{file}"),
        (["pretrain", "sigma_mlp", "--out", "{file}"], "{file}"),
    ],
)
def test_a_bad_value_or_path_ends_with_one_message(arguments, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(SystemExit) as ended:
        main([a.format(file=file) for a in arguments])
    assert ended.value.code == 2
    assert said.format(file=file) in capsys.readouterr().err


def test_an_error_of_ours_keeps_its_traceback(monkeypatch):
    def broken(**_):
        raise OSError("no errno: not the user's")

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(OSError, match="no errno"):
        main(["list", "zoo"])


def test_an_interrupt_ends_with_a_word_and_its_own_code(monkeypatch, capsys):
    from sigma_bench.runs import where

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(where, "where", stopped)
    with pytest.raises(SystemExit) as stop:
        main(["data", "where"])
    assert stop.value.code == 130
    assert capsys.readouterr().err == "sigma-bench: interrupted\n"
