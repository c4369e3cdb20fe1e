"""Official lists: whether they are in place, and fetching them without harm."""

import gzip
import hashlib
import io
import json
import re
import socket
import threading
import urllib.error
import urllib.request
import zipfile
from dataclasses import replace

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import finegym, sources, ucfrep
from sigma_bench.runs import lists


def standings(name, root, **more):
    lines, code = lists.lists(name, root, as_json=True, **more)
    return json.loads(lines[0])["lists"], code


def serve(monkeypatch, content):
    monkeypatch.setattr(lists, "download", lambda url: content)


def only(monkeypatch, *found):
    monkeypatch.setattr(sources, "SOURCES", found)


def a_source(content, **more):
    sha256 = hashlib.sha256(content).hexdigest()
    return sources.Source("finegym", "a list", "a.txt", "https://example.org/a.txt", sha256=sha256, **more)


def test_every_source_is_pinned():
    for source in sources.SOURCES:
        assert source.url.startswith("https://")
        assert not source.repository or re.fullmatch("[0-9a-f]{40}", source.commit)
        assert source.sha256 is None or re.fullmatch("[0-9a-f]{64}", source.sha256)
        if source.repository:
            assert source.url.endswith(f"{source.repository}/{source.commit}/{source.path}")


def test_the_published_files_have_the_hashes(shared):
    known = {source.place: source.sha256 for source in sources.SOURCES}
    names = {"gym99_train": "gym99_train_element_v1.0.txt", "gym99_val": "gym99_val_element.txt",
             "gym288_train": "gym288_train_element_v1.0.txt", "gym288_val": "gym288_val_element.txt"}  # fmt: skip
    for name, place in names.items():
        content = gzip.decompress((shared / "annotations/finegym" / f"{name}.txt.gz").read_bytes())
        assert hashlib.sha256(content).hexdigest() == known[place]
    for fold in (1, 2, 3):
        content = gzip.decompress((shared / f"annotations/ucf101/trainlist0{fold}.txt.gz").read_bytes())
        assert hashlib.sha256(content).hexdigest() == known[f"ucfTrainTestlist/trainlist0{fold}.txt"]
    content = (shared / "annotations/ytvos/val_ids_sorted.txt").read_bytes()
    assert hashlib.sha256(content).hexdigest() == known["val.txt"]


def test_the_annotations_of_ucfrep_are_unpacked_where_its_reader_looks(shared, tmp_path, monkeypatch):
    serve(monkeypatch, (shared / "annotations/ucfrep/ucf526_annotations.zip").read_bytes())
    [found], code = standings("ucfrep", tmp_path, fetch=True)
    assert (found["state"], code) == ("in place", 0)
    assert ucfrep.splits(tmp_path / "ucfrep") == ("train", "val")
    next((tmp_path / "ucfrep/annotations/val").iterdir()).write_bytes(b"")
    assert standings("ucfrep", tmp_path)[0][0]["state"] == "differs"


def test_a_fetched_list_is_read_and_a_second_fetch_does_nothing(tmp_path, monkeypatch):
    content = b"CCCCCCCCCCC_E_000123_000150_A_0003_0005 78\n"
    only(monkeypatch, replace(a_source(content), place="gym99_train_element_v1.0.txt"))
    assert standings("gym99", tmp_path)[1] == 1
    serve(monkeypatch, content)
    assert standings("gym99", tmp_path, fetch=True)[1] == 0
    assert finegym.gym99_splits(tmp_path / "finegym") == ("train",)
    monkeypatch.setattr(lists, "download", None)
    assert standings("gym99", tmp_path, fetch=True)[1] == 0
    assert [p.name for p in (tmp_path / "finegym").iterdir()] == ["gym99_train_element_v1.0.txt"]


def test_a_list_that_differs_is_left_as_it_is(tmp_path, monkeypatch):
    only(monkeypatch, a_source(b"published"))
    serve(monkeypatch, b"published")
    (tmp_path / "finegym" / "annotations").mkdir(parents=True)
    own = tmp_path / "finegym" / "annotations" / "a.txt"
    own.write_text("mine")
    lines, code = lists.lists("finegym", tmp_path, fetch=True)
    assert code == 1
    assert own.read_text() == "mine"
    assert not (tmp_path / "finegym" / "a.txt").exists()
    assert any("left as it is" in line for line in lines)


def test_a_file_that_appears_while_a_list_is_fetched_is_left_as_it_is(tmp_path, monkeypatch):
    only(monkeypatch, a_source(b"published"))

    def late(url):
        (tmp_path / "finegym").mkdir()
        (tmp_path / "finegym" / "a.txt").write_text("mine")
        return b"published"

    monkeypatch.setattr(lists, "download", late)
    [found], code = standings("finegym", tmp_path, fetch=True)
    assert "cannot be written" in found["said"]
    assert code == 1
    assert [p.read_text() for p in (tmp_path / "finegym").iterdir()] == ["mine"]


def test_what_has_not_the_published_hash_is_not_kept(tmp_path, monkeypatch):
    only(monkeypatch, a_source(b"published"))
    serve(monkeypatch, b"an error page")
    [found], code = standings("finegym", tmp_path, fetch=True)
    assert (found["state"], code) == ("not here", 1)
    assert hashlib.sha256(b"an error page").hexdigest() in found["said"]
    assert not list(tmp_path.rglob("a.txt"))


def test_a_list_without_a_known_hash_is_fetched_and_called_unverified(tmp_path, monkeypatch):
    only(monkeypatch, replace(a_source(b""), sha256=None))
    serve(monkeypatch, b"names")
    [found], code = standings("finegym", tmp_path, fetch=True)
    assert (found["state"], code) == ("not verified", 0)


def test_without_network_it_is_said_what_belongs_where(tmp_path, monkeypatch):
    def unreachable(url, timeout):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(lists.urllib.request, "urlopen", unreachable)
    lines, code = lists.lists("ytvos", tmp_path, fetch=True)
    text = "\n".join(lines)
    assert code == 1
    assert "--fetch" not in text  # it was just tried
    for part in ("no route", "val.txt there by hand", str(tmp_path / "ytvos" / "val.txt"), "5b1ebb10e2a5d66b"):
        assert part in text


@pytest.mark.parametrize("name", ["annotations/../../out.txt", "annotations\\out.txt", "other/a.txt", "/annotations/a"])
def test_an_archive_writes_only_below_its_folder(tmp_path, monkeypatch, name):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, "x")
        archive.writestr("annotations/..\\b", "x")
    content = packed.getvalue()
    only(monkeypatch, a_source(content, unpacked="annotations"))
    serve(monkeypatch, content)
    [found], code = standings("finegym", tmp_path, fetch=True)
    assert (found["state"], code) == ("not here", 1)
    assert "cannot be unpacked" in found["said"]
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_only_https_is_read_and_not_more_than_a_list_has(monkeypatch):
    with pytest.raises(OSError, match="no https address"):
        lists.download("file:///etc/hostname")

    class Answer(io.BytesIO):
        length = 0

        def geturl(self):
            return "https://example.org"

    monkeypatch.setattr(lists, "MOST_BYTES", 3)
    monkeypatch.setattr(lists.urllib.request, "urlopen", lambda url, timeout: Answer(b"abcd"))
    with pytest.raises(OSError, match="larger than"):
        lists.download("https://example.org")
    monkeypatch.setattr(Answer, "geturl", lambda self: "http://example.org")
    with pytest.raises(OSError, match="leads to http:"):
        lists.download("https://example.org")


HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
AWAY = b"HTTP/1.1 302 Found\r\nLocation: file:///etc/hostname\r\n\r\n"
ABSENT = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
SILENT = b""
NO_HTTP = b"\x00\x01\x02 no HTTP"


@pytest.mark.parametrize("answer", [HALF, CHUNKS, AWAY, ABSENT, SILENT, NO_HTTP])
def test_a_faulty_answer_is_told_and_nothing_is_kept(tmp_path, monkeypatch, answer):
    server = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{server.getsockname()[1]}"

    def serve_once():
        taken, _ = server.accept()
        with taken:
            taken.recv(65536)
            taken.sendall(answer)

    original = urllib.request.urlopen

    def plain(url, timeout):
        opened = original(address, timeout=timeout)
        monkeypatch.setattr(opened, "geturl", lambda: url, raising=False)
        return opened

    monkeypatch.setattr(lists.urllib.request, "urlopen", plain)
    only(monkeypatch, replace(a_source(b""), sha256=None))  # no hash would tell half a list
    with server:
        thread = threading.Thread(target=serve_once)
        thread.start()
        [found], code = standings("finegym", tmp_path, fetch=True)
        thread.join()
    assert (found["state"], code) == ("not here", 1)
    assert found["said"].startswith("could not be fetched: ")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_hides_no_other_list(tmp_path, monkeypatch):
    only(monkeypatch, a_source(b"a"), replace(a_source(b"a"), dataset="ytvos"))
    serve(monkeypatch, b"a")
    (tmp_path / "finegym").write_text("a file, no folder")
    found, code = standings(None, tmp_path, fetch=True)
    assert [entry["state"] for entry in found] == ["not here", "in place"]
    assert "cannot be written" in found[0]["said"]
    assert code == 1


def test_pages_are_told_of_sets_without_lists_of_their_own(tmp_path):
    lines, code = lists.lists("hmdb51", tmp_path, as_json=True)
    content = json.loads(lines[0])
    assert (content["lists"], code) == ([], 0)
    assert [page["what"] for page in content["pages"]] == ["hmdb51_org.rar and test_train_splits.rar"]


@pytest.mark.parametrize("below", ["ucf526", "data/ori_data/ucf526"])
def test_a_list_is_in_place_wherever_its_reader_looks(shared, tmp_path, below):
    with zipfile.ZipFile(shared / "annotations/ucfrep/ucf526_annotations.zip") as archive:
        archive.extractall(tmp_path / "ucfrep" / below)
    [found], code = standings("ucfrep", tmp_path)
    assert (found["state"], code) == ("in place", 0)
    assert ucfrep.splits(tmp_path / "ucfrep")
    (tmp_path / "ucf101/UCF101/ucfTrainTestlist").mkdir(parents=True)
    (tmp_path / "ucf101/UCF101/ucfTrainTestlist/classInd.txt").write_text("1 Run\n")
    assert standings("ucf101", tmp_path)[0][0]["state"] == "differs"


def test_an_unknown_data_set_is_refused(tmp_path):
    with pytest.raises(UserError, match="no data set 'gym'"):
        lists.lists("gym", tmp_path)
