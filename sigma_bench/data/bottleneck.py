"""Which stage of the way from a file to the device holds up the others, and how many decoding processes pay."""

from __future__ import annotations

from dataclasses import dataclass

ENOUGH = 0.95
"""Share of the best throughput that fewer processes may give up."""


@dataclass(frozen=True)
class Rates:
    """Clips a second of each stage on its own.

    Attributes:
        decode: Number of decoding processes -> clips a second of all of them.
        transform: Resizing on the device.
        transfer: Copying to the device; None where the device is the processor.
    """

    decode: dict[int, float]
    transform: float
    transfer: float | None


@dataclass(frozen=True)
class Advice:
    """What follows: decoding processes, the clips a second they should give, the stage that limits them."""

    workers: int
    clips_s: float
    bottleneck: str


def advise(rates: Rates) -> Advice:
    """Return the least number of processes with `ENOUGH` of the best throughput.

    Decoding runs beside the main process, which copies a clip and then resizes it; so the throughput is the lower one
    of decoding and of these two in turn. What the model takes is not in it.

    Raises:
        ValueError: A rate is missing or not positive.
    """
    given = [*rates.decode.values(), rates.transform, *([] if rates.transfer is None else [rates.transfer])]
    if not rates.decode or min(given) <= 0:
        raise ValueError(f"{rates}: expected positive rates")
    transfer_s = 0.0 if rates.transfer is None else 1 / rates.transfer
    main = 1 / (1 / rates.transform + transfer_s)
    through = {workers: min(rate, main) for workers, rate in rates.decode.items()}
    workers = min(w for w, rate in through.items() if rate >= ENOUGH * max(through.values()))
    if rates.decode[workers] <= main:
        return Advice(workers, through[workers], "decode")
    return Advice(workers, through[workers], "transfer" if transfer_s > 1 / rates.transform else "transform")
