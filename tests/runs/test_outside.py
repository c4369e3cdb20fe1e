"""What evaluators and readers of other packages return is checked, and rows say whose they are."""

from types import SimpleNamespace

import pandas as pd
import pytest

from sigma_bench.contracts import Counts, Evaluation, Run, UserError
from sigma_bench.evaluators import samples
from sigma_bench.runs import outside

TASK = SimpleNamespace(
    evaluator="mine:evaluate",
    metric="top1",
    dataset=SimpleNamespace(name="mine:diving", train="train", test="test", split=None, relabel=None),
)
GOOD = pd.DataFrame({"id": ["a"], "error": [None]})


def evaluation(metrics, records):
    return Evaluation(metrics, records, Counts(1, 1, 1))


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (99.9, "mine:evaluate returned a float; expected an Evaluation"),
        (evaluation({}, GOOD), "expected the metric top1 .* found no metric"),
        (evaluation({"map": 1.0}, GOOD), "expected the metric top1 .* found map"),
        (evaluation({"top1": 1.0}, pd.DataFrame({"id": ["a"]})), "records with id and error; .* records with id$"),
    ],
)
def test_what_is_no_evaluation_of_the_task_is_told(returned, said):
    with pytest.raises(TypeError, match=said):
        outside.checked(returned, TASK)


def test_an_evaluation_passes_as_it_is():
    good = evaluation({"top1": 1.0, "other": 2.0}, GOOD)
    assert outside.checked(good, TASK) is good


def test_rows_say_whose_parts_were_used_but_not_of_our_own():
    assert outside.marks(TASK) == ("evaluator of mine:evaluate", "data set of mine:diving")
    own = SimpleNamespace(evaluator="linear", dataset=SimpleNamespace(name="ucf101"))
    assert outside.marks(own) == ()


def _divides(root, split, fold):
    return 1 / 0


def _plain(root, split, fold):
    return {}


@pytest.mark.parametrize(
    ("reader", "said"), [(_divides, "ZeroDivisionError"), (_plain, "returned a dict, not an Index")]
)
def test_a_reader_of_another_package_fails_as_itself(monkeypatch, tmp_path, reader, said):
    (tmp_path / "diving").mkdir()
    monkeypatch.setattr("sigma_bench.registry.get", lambda kind, name: reader)
    with pytest.raises(UserError, match=f"data set 'mine:diving' of mine:diving: .*{said}"):
        samples.read(TASK, Run("cpu", 0, tmp_path, tmp_path))
