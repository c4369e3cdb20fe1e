"""What was read of a large file is kept, and never believed of other bytes."""

from pathlib import Path

import pytest

from sigma_bench.results import line as lines
from sigma_bench.results import parsed
from sigma_bench.results.store import Store, read_file


@pytest.fixture
def kept(tmp_path, monkeypatch) -> Path:
    """Keep what is read of files of any size; return the folder."""
    monkeypatch.setenv("SIGMA_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(parsed, "WORTH", 1)
    return tmp_path / "cache" / "rows"


def anew(file: Path, monkeypatch):
    """Read a file without what is kept."""
    with monkeypatch.context() as context:
        context.setattr(parsed, "WORTH", 1 << 40)
        return read_file(file)


@pytest.fixture
def varied(make_row):
    """Rows of all kinds of cells."""
    return [
        make_row(variant="a\\nb\n, \"c' é"),
        make_row(status="failed", value=None, n_decoded=0, error="out\nof \\ memory"),
        make_row(selection={"grid": [[1e-05, None, "x\n"]], "é": {}}, marks=("m,1", "n"), artifacts={"a": "b\\n.pt"}),
        make_row(limit=2**70, seed=-(2**62), params_m=0.1, family_guessed=True, value=-0.0),
        make_row(motion_guidance="n/a", views="2 x 3"),
    ]


def test_what_is_kept_is_what_would_be_read_anew(tmp_path, make_row, varied, kept, monkeypatch):
    store = Store(tmp_path / "rows")
    file = store.append("linear", varied)
    with open(file, "ab") as stream:
        stream.write(b"<<<<<<< HEAD\n")
    old = [name for name in lines.COLUMNS if name not in ("decoder", "precision")]
    cells = dict(zip(lines.HEADER, lines.split(lines.encode(make_row(seed=8))[:-1]), strict=True))
    with open(file, "ab") as stream:
        stream.write(lines._joined(old) + lines._joined([cells[name] for name in old]))
    for _ in range(3):
        found = store.read()
        assert len(list(kept.iterdir())) == 1
        assert list(found) == list(anew(file, monkeypatch))
        assert [type(v) for row in found for v in vars(row).values()] == [
            type(v) for row in anew(file, monkeypatch) for v in vars(row).values()
        ]
        assert [row.model_dump_json() for row in found] == [r.model_dump_json() for r in anew(file, monkeypatch)]
        assert found.problems == anew(file, monkeypatch).problems
        store.append("linear", [make_row(seed=100 + len(found))])
    assert len(found.problems) == 1
    assert found.problems[0].number == len(varied) + 2


@pytest.mark.parametrize("ended", [True, False])
def test_only_new_lines_are_read(tmp_path, make_row, varied, kept, monkeypatch, ended):
    store = Store(tmp_path / "rows")
    file = store.append("linear", varied)
    store.read()
    store.append("linear", [make_row(seed=5)])
    if not ended:
        file.write_bytes(file.read_bytes() + b"1,2026")
    taken = []
    split = lines.split
    monkeypatch.setattr("sigma_bench.results.line.split", lambda part: taken.append(part) or split(part))
    found = store.read()
    assert [row.seed for row in found][-1] == 5
    assert len(taken) == (1 if ended else 2)
    assert [problem.number for problem in found.problems] == ([] if ended else [len(varied) + 3])


def test_other_bytes_of_the_same_size_and_time_are_noticed(tmp_path, varied, kept, monkeypatch):
    import os

    file = Store(tmp_path / "rows").append("linear", varied)
    assert len(read_file(file)) == len(varied)
    about = file.stat()
    file.write_bytes(file.read_bytes().replace(b"2 x 3", b"2 x 4"))
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    found = read_file(file)
    assert len(found) == len(varied) - 1
    assert "edited by hand" in str(found.problems[0])
    file.write_bytes(file.read_bytes()[: about.st_size // 2])
    assert list(read_file(file)) == list(anew(file, monkeypatch))


def test_a_damaged_or_foreign_keeping_is_not_believed(tmp_path, varied, kept, monkeypatch):
    file = Store(tmp_path / "rows").append("linear", varied)
    want = list(read_file(file))
    (stored,) = kept.iterdir()
    content = stored.read_bytes()
    for position in range(4, len(content), max(1, len(content) // 97)):
        damaged = bytearray(content)
        damaged[position] ^= 0x41
        stored.write_bytes(damaged)
        assert list(read_file(file)) == want, position
    for foreign in (b"", b"PAR1", b"x" * 1000):
        stored.write_bytes(foreign)
        assert list(read_file(file)) == want
    monkeypatch.setattr(parsed, "_code", lambda: "other code")
    assert parsed.load(file, file.read_bytes()) is None


def test_nothing_is_kept_of_small_files_nor_where_it_cannot_be(tmp_path, varied, monkeypatch):
    monkeypatch.setenv("SIGMA_BENCH_CACHE", str(tmp_path / "cache"))
    file = Store(tmp_path / "rows").append("linear", varied)
    assert len(read_file(file)) == len(varied)
    assert not (tmp_path / "cache").exists()
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setattr(parsed, "WORTH", 1)
    assert list(read_file(file)) == list(read_file(file)) == varied


def test_what_arrow_cannot_hold_is_read_and_not_kept(tmp_path, varied, kept, monkeypatch):
    import pyarrow

    def full(*_):
        raise pyarrow.ArrowCapacityError("array cannot contain more than 2147483646 bytes")

    file = Store(tmp_path / "rows").append("linear", varied)
    monkeypatch.setattr(pyarrow, "concat_tables", full)
    assert list(read_file(file)) == varied
    assert not kept.exists() or not list(kept.iterdir())


def test_the_longest_unused_go(tmp_path, make_row, kept, monkeypatch):
    monkeypatch.setattr(parsed, "MOST", 2)
    store = Store(tmp_path / "rows")
    for suite in "abc":
        store.append(suite, [make_row(suite=suite)])
    assert len(store.read()) == 3
    assert len(list(kept.iterdir())) == 2
