"""What every kind of spec shares: strict checking, no unknown keys, no change after loading."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, Strict, StringConstraints

Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
# YAML has lists where the models hold tuples (which cannot change): the sequence is converted, its items are not.
Texts = Annotated[tuple[Text, ...], Strict(False)]
Counts = Annotated[tuple[Count, ...], Strict(False)]
Floats = Annotated[tuple[NonNegative, ...], Strict(False)]


class Spec(BaseModel):
    """Base of all spec models."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        use_attribute_docstrings=True,
    )


class Resolved(Spec):
    """Which overlays a loaded spec was made with; it stands in every dumped spec."""

    data: Text | None
    size: Text | None = None
    profile: Text | None
    sets: Texts = ()
    """The `--set` arguments, in the order they were applied."""
