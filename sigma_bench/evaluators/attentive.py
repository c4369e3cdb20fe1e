"""Attentive probing: one learned query looks at all tokens of a frozen encoder; settings chosen without the test set.

Protocol `attentive`: the grid, the hold-out, the refit and the views are those of `linear`; the classifier is
`models.attentive`. All tokens of the training views are kept in half precision where the bound of the feature cache and
the disk have room for them, and are otherwise computed anew in every epoch, which a mark of the row says. Those of the
test are computed once and not kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np

from sigma_bench import feature_cache
from sigma_bench.contracts import Encoder, Evaluation, Run, UserError
from sigma_bench.data.index import Index
from sigma_bench.encoding import DENSE, Asked, Kind, settled
from sigma_bench.evaluators import attentive_fit, choice, frozen, probes, samples
from sigma_bench.evaluators.frozen import Frozen
from sigma_bench.evaluators.probes import Setting
from sigma_bench.evaluators.token_sources import Source, Stored, Streamed
from sigma_bench.features import Features, extract
from sigma_bench.models.attentive import AttentiveHead
from sigma_bench.progress import say

METRIC = "attentive_top1"
"""Not `top1`, which is the name of the published cells: these are of linear probes."""


def evaluate(encoder: Encoder, task: Any, run: Run) -> Evaluation:
    """Return top-1 accuracy (percent) of attentive probes on `encoder` and one record a test sample.

    Args:
        encoder: Stays frozen, in eval mode.
        task: A task with `evaluator: attentive`; of its `probe` block layer, norm and hold-out are used.
        run: Seed of views, order, held-out groups, weights and label draws.

    Raises:
        UserError: The lists are missing, damaged or leave nothing to train or test on, or the heads do not divide the
            width of the encoder.
    """
    lists = samples.read(task, run)
    samples.check(task, lists)
    heads = task.attentive.heads or encoder.spec.heads
    if encoder.spec.embed_dim % heads:
        raise UserError(f"{task.id}: attentive.heads {heads} does not divide the width {encoder.spec.embed_dim}")
    train_views, test_views = frozen.views_of(task, frozen.stride_of(encoder, task), run.seed)
    kind = settled(Kind(task.probe.layer, DENSE), encoder.spec)
    asked = Asked(train_views, task.probe.norm, (kind,))
    source, train = _training_tokens(encoder, task, run, lists.train, asked)
    frozen.check_decoded(task, train)
    seen = Frozen(lists, train, train, test_views, frozen.marks(lists, train, encoder, task))
    trained = [_trained(source, seen, heads, draw, task, run) for draw in range(task.dataset.draws or 1)]
    tested = Streamed(encoder, lists.test, Asked(test_views, task.probe.norm, (kind,)), run)
    scores = attentive_fit.probabilities(
        tested,
        np.arange(lists.test.count),
        [head for head, _ in trained],
        len(lists.train.classes),
        run.device,
        f"attentive test of {lists.test.name} {lists.test.split}",
    )
    ok_N = np.array([name not in tested.errors for name in lists.test.ids], bool)
    origin = {"decoders": dict(sorted(tested.decoders.items())), "cached": False}
    marks = (*seen.marks, *_marks(source))
    seen = Frozen(lists, train, Features(scores[0], ok_N, tested.errors, origin), test_views, marks)
    return frozen.evaluation(seen, METRIC, list(np.nan_to_num(scores)), [chosen for _, chosen in trained])


def _training_tokens(
    encoder: Encoder, task: Any, run: Run, index: Index, asked: Asked
) -> tuple[Stored | Streamed, Features]:
    """Return where the tokens of the training views come from, and features that say what could be decoded."""
    kind = asked.kinds[0]
    size = index.count * asked.views.count * kind.bytes(encoder.spec)
    run.folder.mkdir(parents=True, exist_ok=True)
    of = f"{task.id}: all tokens of {index.count} x {asked.views.count} training views take {size / 1e9:.1f} GB"
    if size <= min(feature_cache.bound(), shutil.disk_usage(run.folder).free):
        say(f"{of}; they are kept in {run.folder / 'features'}")
        kept = extract(encoder, index, asked.views, run, layer=kind.layer, norm=asked.norm, pool=DENSE)
        return Stored(kept.values_NVD), kept
    say(
        f"{of}, more than {feature_cache.BOUND} or the disk allow: they are computed anew in each epoch. Fewer views "
        "take less: --set views.train=1"
    )
    pooled = extract(encoder, index, asked.views, run, layer=kind.layer, norm=asked.norm)
    return Streamed(encoder, index, asked, run), pooled


def _marks(source: Stored | Streamed) -> tuple[str, ...]:
    if isinstance(source, Stored):
        return ()
    lost = f"; {len(source.errors)} files not decoded in some epoch" if source.errors else ""
    return (f"tokens of the training views computed anew in each epoch{lost}",)


def _trained(
    source: Source, seen: Frozen, heads: int, draw: int, task: Any, run: Run
) -> tuple[AttentiveHead, dict[str, Any]]:
    """Return the head of one draw of training labels, and how its setting was chosen."""
    classes = len(seen.lists.train.classes)

    def fit(rows: np.ndarray, settings: Sequence[Setting], seed: int) -> list[AttentiveHead]:
        return attentive_fit.fit(
            source,
            seen.lists.train.labels,
            rows,
            settings,
            dim=seen.train.values_NVD.shape[-1],
            heads=heads,
            classes=classes,
            epochs=task.attentive.epochs,
            batch=task.attentive.batch,
            seed=seed,
            device=run.device,
            title=f"{task.id}, training of {len(settings)} attentive probes",
        )

    def predict(tried: list[AttentiveHead], rows: np.ndarray) -> np.ndarray:
        found = attentive_fit.probabilities(source, rows, tried, classes, run.device, f"{task.id}, held out")
        lacking = np.isnan(found).any(-1)
        return np.where(lacking, choice.NOT_SEEN, np.nan_to_num(found).argmax(-1))

    final, how = choice.chosen(
        seen,
        draw,
        task,
        run.seed,
        probes.grid(task.attentive.rates, task.attentive.weight_decays),
        fit=fit,
        predict=predict,
        finite=lambda tried: [attentive_fit.finite(head) for head in tried],
    )
    return final[0], how
