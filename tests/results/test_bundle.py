"""A bundle holds what is behind the rows, tells nothing of the machine, and a check notices each change."""

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sigma_bench import __version__
from sigma_bench.contracts import UserError
from sigma_bench.results import archive, bundle, bundle_check, settings
from sigma_bench.results.scrub import Scrubber
from sigma_bench.results.store import Store

ENVIRONMENT = {"package_version": __version__, "git_commit": "abc", "python": "3.11"}


def draw(rows, out):
    """Stand-in for the tables: one line a row."""
    out.mkdir(parents=True)
    found = Store(rows).read(settle=False)
    (out / "all.md").write_text("".join(f"{row.system} {row.value}\n" for row in found))


@pytest.fixture
def folder(tmp_path, make_row):
    """Two rows with samples and settings that are full of paths and names, and a failed one."""
    store = Store(tmp_path / "rows")
    content = {"probe": {"epochs": 30}}
    for number, system in enumerate(("/home/alice/a/x.pth", "/home/alice/b/x.pth")):
        right = np.random.default_rng(number).random(20) < 0.5
        row = make_row(
            system=system, checkpoint_sha256=f"{number}" * 64, data="miniature", value=100 * float(right.mean()),
            settings_sha256=settings.sha256_of(content), n_expected=20, n_present=20, n_decoded=20,
            marks=["read from /home/alice/b"], selection={"file": "/home/alice/c.json"},
            artifacts={"curve": "/home/alice/out/curve.png"},
        )  # fmt: skip
        samples = pd.DataFrame({"id": [f"v{i}" for i in range(20)], "label": 1, "prediction": right.astype(int)})
        samples["error"] = pd.Series([None] * 20, dtype=object)
        samples["note"] = "/home/alice/videos/a.avi"
        path = store.write_samples(row.id, samples)
        kept = settings.save(store.folder, content, "probe: {epochs: 30}\n")
        artifacts = {**row.artifacts, "samples": f"samples/{path.name}", "settings": kept}
        store.append("linear", [row.model_copy(update={"artifacts": artifacts})])
    failed = {"value": None, "status": "failed", "n_decoded": 0, "error": "/home/alice/v.avi by alice", "seed": 9}
    store.append("linear", [make_row(**failed)])
    return store.folder


@pytest.fixture
def pack(folder, tmp_path):
    def packed(name="b.zip", rows=None, scrubber=Scrubber(("alice",))):
        staging = tmp_path / f"staging-{name}"
        rows = Store(folder).read() if rows is None else rows
        found = bundle.pack(rows, folder, tmp_path / name, scrubber, ENVIRONMENT, draw, staging)
        return found, tmp_path / name

    return packed


@pytest.fixture
def check(tmp_path):
    def checked(file, version=__version__):
        return bundle_check.check(file, tmp_path / f"checked-{len(list(tmp_path.iterdir()))}", draw, version)

    return checked


@pytest.fixture
def unpacked(pack, tmp_path):
    """The files of a sound bundle, and a function that packs them again, their sums brought up to date if wanted."""
    _, file = pack()
    root = tmp_path / "open"
    archive.extract(file, root)
    top = root / bundle.ROOT

    def again(sums=True):
        if sums:
            files = [p for p in sorted(top.rglob("*")) if p.is_file() and p.name != bundle.SUMS]
            lines = [f"{bundle.digest(p)}  {p.relative_to(top).as_posix()}\n" for p in files]
            (top / bundle.SUMS).write_text("".join(lines))
        made = tmp_path / "again.zip"
        archive.write(made, {p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.is_file()})
        return made

    return top, again


def test_everything_behind_the_rows_is_in_it_and_it_is_sound(pack, check, tmp_path):
    found, file = pack()
    assert (found.rows, found.samples, found.settings) == (3, 2, 1)
    names = {name.removeprefix(f"{bundle.ROOT}/") for name in archive.extract(file, tmp_path / "out")}
    assert {"README.md", "SHA256SUMS", "bundle.json", "environment.json", "rows/linear.csv", "tables/all.md"} < names
    assert sum(name.startswith("rows/samples/") for name in names) == 2
    assert sum(name.startswith("rows/settings/") for name in names) == 2
    result = check(file)
    assert result.problems == []
    assert (result.rows, result.confirmed, result.files) == (3, 2, len(names))
    assert result.lines()[-1] == f"{len(names)} files, 3 rows, the records of 2 give their value: as packed"


@pytest.mark.parametrize("suffix", archive.SUFFIXES)
def test_the_same_rows_give_the_same_bytes(pack, suffix):
    one, other = (pack(f"{name}{suffix}")[1].read_bytes() for name in ("one", "other"))
    assert one == other


def test_rows_come_back_with_their_ids_and_values(pack, folder, tmp_path):
    _, file = pack()
    archive.extract(file, tmp_path / "out")
    before, after = Store(folder).read(), Store(tmp_path / "out" / bundle.ROOT / "rows").read()
    assert after.problems == ()
    assert [(row.id, row.value) for row in after] == [(row.id, row.value) for row in before]


def test_nothing_tells_of_the_machine_and_systems_stay_apart(pack, tmp_path):
    found, file = pack()
    archive.extract(file, tmp_path / "out")
    root = tmp_path / "out" / bundle.ROOT
    for path in root.rglob("*"):
        if path.is_file():
            assert b"alice" not in path.read_bytes(), path
            assert b"/home" not in path.read_bytes(), path
    rows = Store(root / "rows").read()
    assert [row.system for row in rows] == [".../x.pth", ".../x.pth (11111111)", "sigma_dino"]
    assert rows[0].marks == ("read from .../b",)
    assert rows[0].selection == {"file": ".../c.json"}
    assert set(rows[0].artifacts) == {"samples", "settings"}
    assert rows[2].error == ".../v.avi by user"
    frame = pd.read_parquet(root / "rows" / rows[0].artifacts["samples"])
    assert set(frame["note"]) == {".../a.avi"}
    assert any("curve is no file of the folder of rows" in reason for reason in found.left_out)


def test_what_cannot_be_packed_is_left_out_and_told(pack, folder, make_row, check):
    store = Store(folder)
    content = {"dataset": {"name": "folder:/home/alice/videos"}}
    path = settings.save(folder, content, "dataset: {name: 'folder:/home/alice/videos'}\n")
    row = make_row(settings_sha256=settings.sha256_of(content), seed=5)
    gone = make_row(seed=6, artifacts={"samples": "samples/gone.parquet"})
    torn = make_row(seed=7, artifacts={"samples": "samples/torn.parquet"})
    (folder / "samples" / "torn.parquet").write_text("no parquet")
    store.append("linear", [row.model_copy(update={"artifacts": {"settings": path}}), gone, torn])
    found, file = pack()
    told = "; ".join(found.left_out)
    assert "names a folder of this machine, and its hash must stay" in told
    assert "samples/gone.parquet is not there" in told
    assert "samples/torn.parquet cannot be read" in told
    result = check(file)
    assert result.problems == []
    assert any("left out when it was packed" in note for note in result.notes)


@pytest.mark.parametrize("place", ["/etc/passwd", "../secret", "samples/../../secret", "samples/deep/x", "x.csv"])
def test_no_file_outside_of_the_folder_is_packed(pack, folder, make_row, place):
    (folder.parent / "secret").write_text("secret")
    Store(folder).append("linear", [make_row(seed=5, artifacts={"samples": place})])
    found, file = pack()
    assert any("is no file of the folder of rows" in reason for reason in found.left_out)
    assert b"secret" not in b"".join(zipfile.ZipFile(file).read(name) for name in zipfile.ZipFile(file).namelist())


def test_a_link_out_of_the_folder_is_not_packed(pack, folder):
    file = next((folder / "samples").iterdir())
    file.rename(folder.parent / "outside.parquet")
    file.symlink_to(folder.parent / "outside.parquet")
    found, _ = pack()
    assert found.samples == 1


def test_ids_that_only_their_folders_tell_apart_leave_the_records_out(pack, folder, make_row):
    store = Store(folder)
    samples = pd.DataFrame({"id": ["/home/alice/1/a.avi", "/home/alice/2/a.avi"], "label": 1, "prediction": 1})
    row = make_row(seed=5, value=100.0, n_expected=2, n_present=2, n_decoded=2)
    path = store.write_samples(row.id, samples.assign(error=None))
    store.append("linear", [row.model_copy(update={"artifacts": {"samples": f"samples/{path.name}"}})])
    found, _ = pack()
    assert any("ids that are told apart by their folder only" in reason for reason in found.left_out)


def test_no_rows_or_a_leak_write_nothing(pack, tmp_path, folder):
    with pytest.raises(UserError, match="no rows to pack"):
        pack(rows=[])
    assert not (tmp_path / "b.zip").exists()

    def leaking(rows, out):
        out.mkdir(parents=True)
        (out / "all.md").write_text("drawn from /home/alice/rows")

    with pytest.raises(UserError, match="would tell of this machine: '/home/alice/rows'; nothing was written"):
        bundle.pack(
            Store(folder).read(), folder, tmp_path / "c.zip", Scrubber(), ENVIRONMENT, leaking, tmp_path / "leak"
        )
    assert not (tmp_path / "c.zip").exists()


def change(kind, top):
    rows = top / "rows" / "linear.csv"
    if kind == "value":
        line = rows.read_text().splitlines()[1]
        rows.write_text(rows.read_text().replace(line, line.replace("miniature", "official")))
    elif kind == "row gone":
        rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:-1]))
    elif kind == "samples":
        file = next((top / "rows" / "samples").iterdir())
        frame = pd.read_parquet(file)
        frame.assign(prediction=1 - frame["prediction"]).to_parquet(file)
    elif kind == "samples torn":
        next((top / "rows" / "samples").iterdir()).write_text("no parquet")
    elif kind == "samples gone":
        next((top / "rows" / "samples").iterdir()).unlink()
    elif kind == "settings":
        next((top / "rows" / "settings").glob("*.json")).write_text('{"probe": {"epochs": 31}}')
    elif kind == "tables":
        (top / "tables" / "all.md").write_text("better numbers\n")
    elif kind == "path":
        (top / "README.md").write_text("see /home/alice/x")
    elif kind == "more":
        (top / "rows" / "extra.csv").write_text("")
    elif kind == "facts":
        (top / "bundle.json").write_text("{")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("value", "no row: the check does not fit the line"),
        ("row gone", "2 rows; bundle.json says 3"),
        ("samples", "its records do not give its top1 of"),
        ("samples torn", "cannot be read as Parquet"),
        ("samples gone", "its samples are not there"),
        ("settings", "its settings are not those of their name"),
        ("tables", "tables that the rows do not give: all.md"),
        ("path", "names an absolute path, '/home/alice/x'"),
        ("facts", "bundle.json: no JSON"),
    ],
)
def test_a_change_is_noticed_even_where_the_sums_were_brought_up_to_date(unpacked, check, kind, said):
    top, again = unpacked
    change(kind, top)
    assert said in "; ".join(check(again()).problems)


@pytest.mark.parametrize("kind", ["value", "samples", "samples gone", "settings", "tables", "more", "path"])
def test_a_change_is_noticed_by_the_sums(unpacked, check, kind):
    top, again = unpacked
    change(kind, top)
    problems = "; ".join(check(again(sums=False)).problems)
    assert any(text in problems for text in ("its SHA-256 is another", "is missing", "is not in SHA256SUMS"))


def test_sums_that_are_none_are_told(unpacked, check):
    top, again = unpacked
    sums = top / bundle.SUMS
    sums.write_text(sums.read_text() + "hello\n" + sums.read_text().splitlines()[0] + "\n")
    assert "no line of hash and name, or a name twice" in check(again(sums=False)).problems[0]
    sums.write_text(f"{'a' * 64}  ../../outside\n")
    assert any("../../outside: is missing" in problem for problem in check(again(sums=False)).problems)


def test_tables_of_another_version_may_be_drawn_otherwise(unpacked, check):
    top, again = unpacked
    change("tables", top)
    found = check(again(), version="9.9")
    assert found.problems == []
    assert "1 tables are drawn otherwise by this version: all.md" in found.notes


def test_what_is_no_bundle_is_refused(tmp_path, check, unpacked):
    archive.write(tmp_path / "other.zip", {"a.txt": Path(__file__)})
    with pytest.raises(UserError, match="no bundle of results; expected sigma-bench-results/SHA256SUMS"):
        check(tmp_path / "other.zip")
    top, again = unpacked
    (top / "bundle.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(UserError, match="another format; this version reads format 1"):
        check(again())


def test_files_beside_the_folder_of_a_bundle_are_a_problem(unpacked, check):
    top, again = unpacked
    (top.parent / "beside.txt").write_text("hello")
    assert "beside.txt: lies outside of sigma-bench-results/" in check(again()).problems


def test_many_problems_are_counted():
    found = bundle_check.Checked(problems=[f"{n}" for n in range(80)])
    assert len(found.lines()) == 52
    assert found.lines()[-1].endswith("80 problems")


def test_the_digest_is_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"hello")
    assert bundle.digest(tmp_path / "x") == hashlib.sha256(b"hello").hexdigest()
