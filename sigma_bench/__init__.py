"""sigma-bench: SIGMA pretraining and its whole evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sigma_bench.runs.api import evaluate

__version__ = "0.1.0"
__all__ = ["__version__", "evaluate"]


def __getattr__(name: str) -> Any:
    """Return `evaluate`, imported when it is first asked for, so that importing the package stays light."""
    if name != "evaluate":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from importlib import import_module

    return import_module("sigma_bench.runs.api").evaluate


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
