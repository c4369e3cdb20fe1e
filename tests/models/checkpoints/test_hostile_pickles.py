"""Files that would run code: refused by the name of what they call, and nothing is run."""

import argparse
import builtins
import io
import os
import pickle
import threading
from pathlib import Path

import pytest
import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints.read import read

STATE = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4, dtype=torch.float16)}


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("SIGMA_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))


def _refused(path: Path, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        read(path)
    assert str(path) in str(caught.value)


@pytest.fixture
def good(tmp_path) -> Path:
    torch.save({"model": STATE, "epoch": "best"}, tmp_path / "good.pt")
    return tmp_path / "good.pt"


class Call:
    """Makes a pickle call `function(*arguments)` when it is loaded."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


class Nested(Call):
    """The call is hidden in the state of a harmless object."""

    def __reduce__(self):
        return argparse.Namespace, (), {"inner": [Call(*((self.reduced[0], *self.reduced[1])))]}


@pytest.mark.parametrize("save", ["zip", "legacy", "zip4", "pickle", "pickle4"])
@pytest.mark.parametrize(
    ("payload", "named"),
    [
        (lambda mark: Call(os.system, f"touch {mark}"), "posix.system"),
        (lambda mark: Call(builtins.exec, f"open({str(mark)!r}, 'w')"), "builtins.exec"),
        (lambda mark: Nested(os.system, f"touch {mark}"), "posix.system"),
        (lambda mark: Call(getattr, Call(__import__, "os"), "system"), "builtins.getattr"),
        (lambda mark: Call(torch.load, str(mark)), "torch.serialization.load"),
        (lambda mark: Call(bytearray, 1 << 45), "builtins.bytearray"),
    ],
)
def test_code_is_named_and_never_run(tmp_path, save, payload, named):
    mark, path = tmp_path / "ran", tmp_path / "evil.pt"
    protocol = 4 if save.endswith("4") else 2
    if save.startswith("pickle"):
        path.write_bytes(pickle.dumps({"x": payload(mark)}, protocol))
    else:
        content = {"model": STATE, "x": payload(mark)}
        torch.save(content, path, pickle_protocol=protocol, _use_new_zipfile_serialization=save != "legacy")
    _refused(path, f"refused, its pickle names .*{named}.*nothing was run")
    assert not mark.exists()


def test_a_pickle_in_text_form_is_not_run_either(tmp_path):
    (tmp_path / "x.pt").write_bytes(pickle.dumps({"x": Call(os.system, f"touch {tmp_path / 'ran'}")}, 0))
    _refused(tmp_path / "x.pt", "is a text file")
    assert not (tmp_path / "ran").exists()


def test_a_whole_model_is_refused_by_the_name_of_its_classes(tmp_path):
    torch.save({"model": torch.nn.Linear(2, 2), "path": tmp_path}, tmp_path / "x.pt")
    _refused(tmp_path / "x.pt", "names torch.nn.modules.linear.Linear.*pathlib.*save its weights alone")


def test_a_global_allowed_elsewhere_in_the_process_is_not_allowed_here(tmp_path):
    torch.save({"model": STATE, "x": Call(os.getcwd)}, tmp_path / "x.pt")
    with torch.serialization.safe_globals([os.getcwd]):
        _refused(tmp_path / "x.pt", "names posix.getcwd")


def test_reading_leaves_the_list_of_torch_as_it_was_even_from_threads(good):
    before = torch.serialization.get_safe_globals()
    threads = [threading.Thread(target=read, args=(good,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(torch.serialization.get_safe_globals()) == set(before)


def test_a_later_pickle_protocol_is_told_so(tmp_path):
    buffer = io.BytesIO()
    torch.save(STATE, buffer, pickle_protocol=4)
    (tmp_path / "x.pt").write_bytes(buffer.getvalue())
    _refused(tmp_path / "x.pt", "pickle protocol 4, which torch does not read safely")
