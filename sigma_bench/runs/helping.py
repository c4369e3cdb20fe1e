"""Evaluation on several processes: the first measures, the others wait until it wants features, and take a share.

Only the first reads lists, prints, fits probes and writes rows, so evaluators need not know that there are others.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sigma_bench.contracts import Encoder, Run, UserError
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.ranks import Ranks
from sigma_bench.runs.machine import set_threads, torch_device
from sigma_bench.runs.systems import Candidate, candidate


@dataclass
class End:
    """How the command ends."""

    code: int = 1


@contextmanager
def served(ranks: Ranks) -> Iterator[End]:
    """Tell the other processes at the end to end too, with the same exit code, whatever happens to this one."""
    end = End()
    try:
        yield end
    except UserError:
        end.code = 2
        raise
    finally:
        ranks.send({"do": "end", "code": end.code})


def device_of(asked: str, ranks: Ranks) -> str:
    """Return the torch device of this process: of several on a machine each takes the GPU of its own number.

    Raises:
        UserError: It is not here, or one GPU was named for all.
    """
    device = torch_device(asked)
    if ranks.world == 1 or not device.startswith("cuda"):
        return device
    if device != "cuda":
        raise UserError(f"--device {asked}: each of the {ranks.world} processes takes a GPU of its own; say cuda")
    return torch_device(f"cuda:{ranks.local}")


def helpers(ranks: Ranks, system: Candidate, here: str, **loading: Any) -> Any:
    """Have the other processes load a system; return what `Run.helpers` takes.

    Args:
        ranks: The processes.
        system: As loaded here.
        here: The device of its encoder in this process.
        loading: What the others need to load it: see `_load`.
    """
    if ranks.world == 1:
        return None
    from sigma_bench.features import Helpers, fingerprint

    ranks.send({"do": "load", **loading})
    return Helpers(ranks, fingerprint(system.encoder(here)))


def help_out(ranks: Ranks, workers: int) -> int:
    """Do what rank 0 asks for until it ends; return its exit code. What fails here is reported there."""
    from sigma_bench.features import contribute

    set_threads(None, workers)
    loading: dict[str, Any] = {}
    loaded: list[tuple[Encoder, Run]] = []
    with DecodePool("sigma_bench.data.load:load_clips", workers=workers) as pool:

        def part(message: dict[str, Any]) -> dict[str, Any]:
            if not loaded:
                loaded.append(_load(ranks, pool, **loading))
            encoder, run = loaded[0]
            return contribute(encoder, message, run, ranks)

        while (message := ranks.receive())["do"] != "end":
            if message["do"] == "load":
                loading = {name: value for name, value in message.items() if name != "do"}
                loaded.clear()
                continue
            with suppress(Exception):  # `together` has told rank 0
                ranks.together(partial(part, message))
    return int(message["code"])


def _load(
    ranks: Ranks,
    pool: DecodePool,
    *,
    name: str,
    family: str | None,
    heads: int | None,
    as_system: str | None,
    specs: str | None,
    device: str,
    precision: str,
) -> tuple[Encoder, Run]:
    system = candidate(name, family, heads, as_system, None if specs is None else Path(specs))
    here = device_of(device, ranks)
    return system.encoder(here), Run(here, 0, None, Path(), precision=precision, pool=pool)
