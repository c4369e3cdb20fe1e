"""Supervised training: targets, losses, augmentation by seed words, averages, independence of processes."""

import numpy as np
import pytest
import torch

from sigma_bench.data.erase import Erasing
from sigma_bench.data.loader import Batch
from sigma_bench.losses.soft_targets import soft_cross_entropy
from sigma_bench.models.classifier import VideoClassifier
from sigma_bench.models.vit import VideoViT
from sigma_bench.train.optim import adamw, finetuning_groups
from sigma_bench.train.supervised import Supervised, classification, labels


def model(classes=3, drop_path=0.0, dropout=0.0):
    torch.manual_seed(0)
    return VideoClassifier(
        VideoViT(16, 8, 2, 2, 12, 3, 2), classes, init_scale=1.0, drop_path=drop_path, dropout=dropout
    )


def batch(frames=2, size=4, first=0):
    clips = torch.randint(0, 256, (size, 3, frames, 16, 16), generator=torch.Generator().manual_seed(first))
    rows = list(range(first, first + size))
    return Batch(clips.to(torch.uint8), rows, [(0, 0, row, 0) for row in rows])


LABELS = np.array([2, 0, 1, 1, 0, 2, 2, 1])


def onehot(clips, targets, words):
    return clips, torch.nn.functional.one_hot(targets, 3).float()


def test_soft_cross_entropy_is_that_of_torch():
    logits = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    targets = torch.rand(5, 7, generator=torch.Generator().manual_seed(1)).softmax(-1)
    expected = torch.nn.functional.cross_entropy(logits, targets)
    assert torch.allclose(soft_cross_entropy(logits, targets), expected, atol=1e-6)
    assert float(soft_cross_entropy(torch.zeros(2, 8), torch.eye(8)[:2])) == pytest.approx(np.log(8))
    assert soft_cross_entropy(logits.bfloat16(), targets).dtype == torch.float32
    with pytest.raises(ValueError, match="do not fit"):
        soft_cross_entropy(logits, targets[:, :6])


def test_targets_are_found_by_the_row_of_each_clip():
    objective = Supervised(model(), None, labels(LABELS), classification, blend=onehot)
    shown = batch()
    shown.rows = [5, 0, 6, 1]
    _, targets = objective.prepare(shown)
    assert targets.argmax(1).tolist() == [2, 2, 2, 0]
    losses = objective.step(shown)
    assert float(losses["loss"].detach()) > 0
    assert 0 <= float(losses["train_top1"]) <= 100


def test_targets_may_depend_on_what_was_decoded_and_the_loss_is_handed_in():
    def several(shown):
        found = torch.zeros(len(shown.rows), 3)
        for place, info in enumerate(shown.infos):
            found[place, [frame for frame in info["indices"][0] if frame < 3]] = 1
        return found

    def binary(logits, targets):
        return {"loss": torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)}

    objective = Supervised(model(), None, several, binary)
    shown = batch(size=2)
    shown.infos = [{"indices": [[0, 2]]}, {"indices": [[7, 9]]}]
    clips, targets = objective.prepare(shown)
    assert targets.tolist() == [[1, 0, 1], [0, 0, 0]]
    expected = torch.nn.functional.binary_cross_entropy_with_logits(objective.model(clips), targets)
    assert torch.allclose(objective.step(shown)["loss"], expected)


def test_a_picture_is_shown_in_every_frame():
    objective = Supervised(model(), None, labels(LABELS), classification, blend=onehot)
    clips, _ = objective.prepare(batch(frames=1))
    assert clips.shape == (4, 3, 2, 16, 16)
    assert torch.equal(clips[:, :, 0], clips[:, :, 1])


def test_erasing_depends_on_the_clip_and_not_on_its_neighbours():
    objective = Supervised(
        model(), None, labels(LABELS), classification, blend=onehot, erasing=Erasing(probability=1.0)
    )
    whole, _ = objective.prepare(batch())
    shown = batch()
    half = Batch(shown.clips[2:], shown.rows[2:], shown.seeds[2:])
    assert torch.equal(objective.prepare(half)[0], whole[2:])
    plain = Supervised(model(), None, labels(LABELS), classification, blend=onehot)
    assert not torch.equal(plain.prepare(shown)[0], whole)


@pytest.mark.parametrize("parts", [{"drop_path": 0.5}, {"dropout": 0.5}])
def test_depth_and_dropout_are_drawn_by_the_seed_words_of_the_batch(parts):
    objective = Supervised(model(**parts), None, labels(LABELS), classification, blend=onehot)
    objective.module.train()
    torch.manual_seed(1)
    first = objective.step(batch())["loss"]
    torch.manual_seed(2)
    assert torch.equal(objective.step(batch())["loss"], first)
    other = batch()
    other.seeds = [(0, 1, *words[2:]) for words in other.seeds]
    assert not torch.equal(objective.step(other)["loss"], first)


def test_the_average_follows_the_steps_and_is_part_of_what_is_saved():
    objective = Supervised(model(), None, labels(LABELS), classification, blend=onehot, average=0.75)
    groups = finetuning_groups(objective.model, 0.05, 0.75, objective.model.layer_of, objective.model.last_layer)
    optimizer = adamw(groups, 1e-2, (0.9, 0.999))
    objective.averages(optimizer)
    expected = None
    for number in range(3):
        optimizer.zero_grad()
        objective.step(batch(first=number))["loss"].backward()
        optimizer.step()
        now = objective.model.head.weight.detach().clone()
        expected = now if expected is None else 0.75 * expected + 0.25 * now
    assert torch.allclose(objective.weights.head.weight, expected, atol=1e-6)
    assert objective.weights is not objective.model
    saved = objective.module.state_dict()
    assert torch.equal(saved["average.module.head.weight"], objective.weights.head.weight)
    assert int(saved["average.n_averaged"]) == 3
    assert Supervised(model(), None, None, None).weights.head.weight.shape == (3, 12)
