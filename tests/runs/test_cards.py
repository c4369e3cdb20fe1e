"""The queue that shares out tasks among cards: every task once, a card at a time, failures told."""

import threading
import time

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.runs import cards
from sigma_bench.runs.evaluate import chosen
from sigma_bench.spec import load

WORDS = [
    "eval",
    "--suite",
    "linear",
    "--ckpt",
    "a.pth",
    "b c.pth",
    "--gpus=0-1",
    "--data-root",
    "/data",
    "--seeds",
    "2",
]


def run(tmp_path, start, **more):
    asked = {"gpus": "0-1", "suite": "linear", "only": [], "checkpoints": ["a.pth", "b c.pth"], "seeds": 2}
    return cards.on_cards(**{**asked, **more}, out=tmp_path, specs=None, words=WORDS, start=start)


def test_every_task_of_every_checkpoint_is_run_once_and_a_card_has_one_at_a_time(tmp_path):
    seen, busy, lock = [], set(), threading.Lock()

    def start(arguments, variables, log):
        card = variables["CUDA_VISIBLE_DEVICES"]
        with lock:
            assert card not in busy
            busy.add(card)
        time.sleep(0.01)
        with lock:
            busy.remove(card)
            seen.append((card, tuple(arguments), log))
        return 0

    assert run(tmp_path, start) == 0
    wanted = {(c, t) for c in ("a.pth", "b c.pth") for t in load.suite("linear").tasks}
    found = [(a[a.index("--ckpt") + 1], a[a.index("--tasks") + 1]) for _, a, _ in seen]
    assert sorted(found) == sorted(wanted)
    assert {card for card, _, _ in seen} == {"0", "1"}
    assert len({log for _, _, log in seen}) == len(wanted)
    for _, arguments, _ in seen:
        assert arguments[:5] == ("eval", "--suite", "linear", "--data-root", "/data")
        assert arguments[-4:] == ("--device", "cuda", "--seeds", "2")
        assert "--gpus=0-1" not in arguments
        assert sum(word == "--ckpt" for word in arguments) == 1


@pytest.mark.parametrize(("codes", "expected"), [([0, 1, 0], 1), ([2, 2, 2], 2), ([0, 0, 0], 0)])
def test_one_failure_stops_no_other_and_is_told(tmp_path, codes, expected):
    left = list(codes)
    assert run(tmp_path, lambda *_: left.pop(0), only=["ssv2", "linear/k400", "ucf101"], checkpoints=["a"]) == expected
    assert left == []


def test_a_process_is_run_with_its_card_and_its_log(tmp_path):
    code = cards._start(["list", "suites"], {"CUDA_VISIBLE_DEVICES": "3"}, tmp_path / "log")
    assert code == 0
    assert "linear" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("text", ["", "a", "3-1", "0,,1", "-1", "0-"])
def test_cards_are_numbers(text):
    with pytest.raises(UserError, match="expected numbers of cards"):
        cards.numbers(text)


def test_ranges_and_lists_of_cards():
    assert cards.numbers("0-3, 2,7") == [0, 1, 2, 3, 7]


def test_tasks_of_a_suite_are_chosen_by_id_or_last_part_in_its_order():
    assert chosen(["severe/ssv2", "severe/gym99"], ["gym99", "severe/ssv2"], "severe") == [
        "severe/ssv2",
        "severe/gym99",
    ]
    assert chosen(["severe/ssv2"], [], "severe") == ["severe/ssv2"]
    with pytest.raises(UserError, match="--tasks gym: not in suite severe, which has severe/ssv2"):
        chosen(["severe/ssv2"], ["gym"], "severe")


def test_without_a_suite_there_is_nothing_to_share(tmp_path):
    with pytest.raises(UserError, match="give --suite"):
        run(tmp_path, lambda *_: 0, suite=None)


def test_cards_are_counted_among_those_that_are_visible(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert cards.visible(1) == "1"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5, GPU-8d3f")
    assert [cards.visible(card) for card in range(3)] == ["4", "5", "GPU-8d3f"]


def test_cards_that_are_not_there_are_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    cards.check("0-3", [0, 1, 2, 3])
    with pytest.raises(UserError, match="has cards 0 to 3, asked for 4, 5 too"):
        cards.check("2-5", [2, 3, 4, 5])
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(UserError, match="no card that torch can use"):
        cards.check("0", [0])
