"""What there is to run, and whether its specs hold."""

from __future__ import annotations

from pathlib import Path

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.spec import load

SPEC_KINDS: tuple[load.Listing, ...] = ("recipes", "suites", "tasks")
PART_KINDS = ("evaluators", "datasets", "miniatures", "objectives", "models")


def listing(kind: str, specs: Path | None = None) -> list[str]:
    """Return one line a thing: its name and what it is.

    Raises:
        UserError: `kind` is none of the kinds.
    """
    for known in SPEC_KINDS:
        if kind == known:
            return _columns(load.listing(known, specs=specs))
    if kind in PART_KINDS:
        return _columns(registry.listing(kind))
    if kind == "zoo":
        from sigma_bench.runs import zoo

        return zoo.listing(specs)
    if kind == "decoders":
        from sigma_bench.data.decode import backends

        return [str(line) for line in backends.listing()]
    raise UserError(f"cannot list '{kind}'; expected one of {', '.join((*SPEC_KINDS, 'zoo', *PART_KINDS, 'decoders'))}")


def _columns(pairs: list[tuple[str, str]]) -> list[str]:
    width = max((len(name) for name, _ in pairs), default=0)
    return [f"{name:<{width}}  {what}" for name, what in pairs]


def validate(paths: list[Path], specs: Path | None = None) -> tuple[list[str], int]:
    """Return the problems of the given specs, or of all that are found, and how many were checked."""
    return load.validate_all(paths or None, specs=specs)
