"""Processes that do a task together: what they compare before, and what one that cannot take part does to others."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from torch.distributed import HashStore

from sigma_bench import registry
from sigma_bench.contracts import Run, UserError
from sigma_bench.data.datasets.k400 import read
from sigma_bench.data.miniatures.k400 import write
from sigma_bench.data.ranks import OtherFailed, Ranks
from sigma_bench.evaluators import together
from sigma_bench.evaluators.samples import Lists
from sigma_bench.features import Helpers
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.models.fingerprint import fingerprint
from sigma_bench.spec import load


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write(root / "k400", seed=0, train=1, val=1)
    return root


@pytest.fixture(scope="module")
def encoders():
    return [load_encoder(f"random:nano:{seed}")[0] for seed in (0, 1)]


def lists_of(root):
    return Lists(read(root / "k400", "train"), read(root / "k400", "val"))


def meet(root, folder, monkeypatch, world=2, encoders=None, tasks=None, lists=None, follower=None):
    """Have `world` processes, in threads, come together for a task; return what each of them did or raised."""
    store, task, found = HashStore(), load.task("finetune/k400", data="miniature"), {}
    usual = load_encoder("random:nano:0")[0]
    encoders = encoders or [usual] * world

    def evaluate(encoder, asked, run):
        own = lists if lists is not None and run.helpers.called else lists_of(root)
        with together.all_processes(encoder, asked, run, own) as joint:
            return (joint.ranks.rank, joint.ranks.gather(joint.ranks.rank), run.seed, str(run.data_root))

    monkeypatch.setattr(
        registry, "get", lambda kind, name: lambda *a: found.setdefault(a[2].helpers.ranks.rank, evaluate(*a))
    )

    def help_out(rank):
        ranks = Ranks(rank, world, store)
        message = ranks.receive()
        own = ranks.job()
        try:
            if follower is not None:
                follower()
            run = Run("cpu", 0, None, folder)
            together.follow(encoders[rank], tasks or [task], run, own, message)
        except Exception as error:  # noqa: BLE001
            own.refuse(error)
            found[rank] = error

    threads = [threading.Thread(target=help_out, args=(rank,)) for rank in range(1, world)]
    for thread in threads:
        thread.start()
    first = Ranks(0, world, store)
    run = Run("cpu", 3, root, folder, helpers=Helpers(first, fingerprint(encoders[0])))
    try:
        found[0] = evaluate(encoders[0], task, run)
    except Exception as error:  # noqa: BLE001
        found[0] = error
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a process hangs"
    return found, first


def test_all_come_to_the_same_place_with_the_same_seed_and_data(root, tmp_path, monkeypatch):
    found, _ = meet(root, tmp_path, monkeypatch, world=3)
    assert {rank: what[:3] for rank, what in found.items()} == {r: (r, [0, 1, 2], 3) for r in range(3)}
    assert {what[3] for what in found.values()} == {str(root)}


def test_other_weights_are_refused_by_all(root, tmp_path, monkeypatch, encoders):
    found, first = meet(root, tmp_path, monkeypatch, encoders=encoders)
    for error in found.values():
        assert isinstance(error, UserError)
        assert "process 1 has another weights" in str(error)
    first.send({})  # rank 0 can go on with the next task


def test_another_list_is_refused_by_all(root, tmp_path, monkeypatch):
    every = lists_of(root)
    found, _ = meet(root, tmp_path, monkeypatch, lists=Lists(every.train.select([0]), every.test))
    assert all("process 1 has another training list" in str(error) for error in found.values())


def test_other_videos_under_the_same_list_are_refused_by_all(root, tmp_path, monkeypatch):
    every = lists_of(root)
    shutil.copytree(every.train.root, tmp_path / "copy")
    copied = replace(every.train, root=tmp_path / "copy")
    with copied.path(0).open("ab") as video:
        video.write(b"more")
    found, _ = meet(root, tmp_path, monkeypatch, lists=Lists(copied, every.test))
    assert all("process 1 has another size of training videos" in str(error) for error in found.values())


def test_another_command_line_is_told_to_the_first(root, tmp_path, monkeypatch):
    other = load.task("finetune/k400", data="miniature", sets=["finetune.epochs=7"])
    found, _ = meet(root, tmp_path, monkeypatch, tasks=[other])
    assert isinstance(found[0], OtherFailed)
    assert "with settings that the command line of this process does not give" in str(found[0])


def test_a_process_that_cannot_begin_is_told_to_the_first(root, tmp_path, monkeypatch):
    def follower():
        raise MemoryError("no memory left")

    found, _ = meet(root, tmp_path, monkeypatch, follower=follower)
    assert isinstance(found[0], OtherFailed)
    assert "process 1 of 2 failed: MemoryError: no memory left" in str(found[0])


def test_alone_there_is_nothing_to_agree_on(root, tmp_path):
    run = Run("cpu", 0, root, tmp_path)
    assert together.leads(run)
    with together.all_processes(None, None, run, None) as joint:
        assert joint.ranks.world == 1
        with joint.undisturbed():
            pass


def test_an_error_of_one_process_is_the_end_of_further_common_work(root, tmp_path, monkeypatch):
    first = Ranks(0, 2, HashStore())
    first.give_up("the other processes ended with task a/b")
    with pytest.raises(OtherFailed, match="ended with task a/b"):
        first.gather(None)
    with pytest.raises(OtherFailed, match="ended with task a/b"):
        first.job().gather(None)
