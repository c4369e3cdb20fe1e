"""An encoder, an evaluator and a data set for sigma-bench."""

import pandas as pd
import torch

from sigma_bench.contracts import EncoderSpec, Evaluation, Tokens, UserError
from sigma_bench.data import files
from sigma_bench.data.index import Index, Sample
from sigma_bench.evaluators import samples
from sigma_bench.features import Views, extract


class PatchColours(torch.nn.Module):
    """The mean colour of every patch of 8 px over 2 frames: three numbers a token, nothing learned."""

    spec = EncoderSpec("colours", "colours/8", 3, 1, 1, 2, 8, 4, 32, (0.5,) * 3, (0.5,) * 3, params=0, has_norm=False)

    def tokens(self, clips, layer=-1, norm=True, visible=None):
        if visible is not None or layer not in (0, -1):
            raise UserError("patch_colours has one layer and no masking")
        return Tokens(torch.nn.functional.avg_pool3d(clips, (2, 8, 8)).movedim(1, -1), None)


def nearest(encoder, task, run):
    """Give every test video the class of the training video with the nearest features."""
    lists = samples.read(task, run)
    views = Views("dense_test", task.views.test_clips, 1, task.clips.stride, "full", flip=False, seed=0)
    train, test = (extract(encoder, part, views, run, pool="mean") for part in (lists.train, lists.test))
    x, y = (torch.from_numpy(part.values_NVD.mean(1)) for part in (train, test))
    far = torch.cdist(y, x, p=task.options.get("power", 2.0))
    far[:, ~torch.from_numpy(train.ok_N)] = torch.inf
    guess, truth, ok = lists.train.labels[far.argmin(1)], lists.test.labels, test.ok_N
    errors = [test.errors.get(name) for name in lists.test.ids]
    return Evaluation(
        metrics={"nearest_top1": 100 * float((guess == truth)[ok].mean())},
        samples=pd.DataFrame({"id": lists.test.ids, "label": truth, "prediction": guess, "error": errors}),
        counts=samples.counts(lists.test, int(ok.sum())),
        train_index=lists.train,
        test_index=lists.test,
        decoders=test.origin["decoders"],
    )


def class_folders(root, split, *, fold=1):
    """Read `<root>/<split>/<class>/<video>.mp4`; the classes are the folders of `train`."""
    if fold != 1:
        raise UserError(f"class_folders has no fold {fold}")
    classes = sorted(files.names(root / "train"))
    found = [f"{split}/{c}/{n}" for c in classes for n in sorted(files.names(root / split / c)) if n.endswith(".mp4")]
    rows = [Sample(path, path, classes.index(path.split("/")[1]), path) for path in found]
    return Index.build("class_folders", split, root, classes, rows)
