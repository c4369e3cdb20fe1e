"""Evaluation during a pretraining: checkpoints are measured as they are saved, and training goes on untouched."""

from __future__ import annotations

import random
import shutil
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints import digest
from sigma_bench.progress import say
from sigma_bench.results.store import Store, latest
from sigma_bench.runs.evaluate import evaluate_here, runnable
from sigma_bench.runs.request import Request
from sigma_bench.spec import load
from sigma_bench.train import state
from sigma_bench.train.quantities import EVAL, WARNING
from sigma_bench.train.signals import Noticed, ends_at_once

FOLDER = "eval"
"""Of what is measured during a run, in its folder: `rows/`, and what evaluators write."""
SECONDS = "eval_seconds"


class Periodic:
    """Measures the checkpoints that are due, in the process that calls it, and returns the metrics for the log.

    The rows go to `eval/rows` in the run folder. Features are not kept: weights that are trained on are never
    evaluated again.

    Args:
        tasks: Ids of the tasks.
        every: Steps between two evaluations.
        folder: The run folder.
        data: What the run trains on; of a miniature the tasks take the miniature too.
        data_root: Where data sets are looked for.
        device: Torch device.
        workers: Decoding processes.
        specs: Folder of own specs.

    Raises:
        UserError: There is no such task, or no data for one: found now, not after hours of training.
    """

    def __init__(
        self,
        tasks: tuple[str, ...],
        every: int,
        folder: Path,
        data: str,
        data_root: Path | None = None,
        device: str = "cpu",
        workers: int = 2,
        specs: Path | None = None,
    ) -> None:
        self.tasks, self.every, self.folder = tasks, every, folder / FOLDER
        self._given: dict[str, Any] = {
            "data": "miniature" if data == "miniature" else "official",
            "data_root": data_root,
            "device": device,
            "workers": workers,
            "specs": specs,
        }
        self._check()

    def __call__(self, path: Path, step: int) -> dict[str, Any] | None:
        """Measure the checkpoint `path` of a step that is due.

        Nothing that goes wrong here ends the training: it is said and logged as a warning. A signal that asks the
        training to stop cuts it short, as it may take longer than a cluster waits.

        Returns:
            `eval/TASK/METRIC` -> value, and the seconds it took; None where nothing was due.
        """
        if step % self.every:
            return None
        began = time.perf_counter()
        with untouched():
            try:
                with ends_at_once():
                    found = self._measure(path, step)
            except Noticed as notice:
                found = {WARNING: f"the evaluation of step {step} was cut short ({notice}): eval --ckpt {path}"}
            except Exception as error:  # noqa: BLE001 - whatever an evaluation raises must not end a training
                if not isinstance(error, UserError):
                    say(traceback.format_exc())
                found = {WARNING: f"the evaluation of step {step} failed: {type(error).__name__}: {error}"}
        if WARNING in found:
            say(f"warning: {found[WARNING]}; the training goes on")
        return {**found, SECONDS: round(time.perf_counter() - began, 1)}

    def _measure(self, path: Path, step: int) -> dict[str, Any]:
        rows = self.folder / "rows"
        try:
            evaluate_here(
                Request([str(path)], tasks=list(self.tasks), out=self.folder, results=rows, seeds=1, **self._given)
            )
        finally:
            shutil.rmtree(self.folder / "features", ignore_errors=True)
        sha256 = digest.compute(path)
        mine = [row for row in latest(Store(rows).read()) if row.checkpoint_sha256 == sha256 and row.value is not None]
        found: dict[str, Any] = {f"{EVAL}{row.task}/{row.metric}": row.value for row in mine if row.task in self.tasks}
        missing = [task for task in self.tasks if not any(row.task == task for row in mine)]
        if missing:
            found[WARNING] = f"the evaluation of step {step} gave no value for {', '.join(missing)}"
        return found

    def _check(self) -> None:
        data = self._given["data"]
        tasks = [load.task(task, data=data, specs=self._given["specs"]) for task in self.tasks]
        if data == "miniature":
            return  # it is written where it is missing
        lacking = [task.id for task in tasks if not runnable(task, self._given["data_root"], data)]
        if lacking:
            where = self._given["data_root"] or "the usual places"
            raise UserError(
                f"train.eval_tasks: no data for {', '.join(lacking)} under {where}; `sigma-bench data where` tells "
                "where data sets are looked for; leave those tasks out, or set train.eval_every to null"
            )


@contextmanager
def untouched() -> Iterator[None]:
    """Give everything back that a computation in between could leave otherwise for the training around it.

    That is torch's, numpy's and Python's random generators, the number of threads, the mode of autograd, the default
    type, and the switches of deterministic and fast arithmetic.
    """
    torch_state, numpy_state, python_state = state.rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    threads, dtype, grad = torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()
    deterministic, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    matmul = torch.get_float32_matmul_precision()
    cudnn = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    try:
        yield
    finally:
        state.set_rng_state(torch_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(grad)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = cudnn
