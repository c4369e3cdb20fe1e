"""The elements of the FineGym miniature: 288 of them, fine-grained in the way of the real ones.

An element belongs to an event (told by the object's pattern), in it to a set (which way the object goes), in it to a
variant: the same way with or without coming back, with the object growing or not, with a half turn, a whole one or
none. As in FineGym, Gym288 has all of them, Gym99 is a part, FX-S1 and UB-S1 are parts of one set each.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

from sigma_bench.data.miniatures import course
from sigma_bench.data.miniatures.course import Action

EVENTS = ("VT", "FX", "BB", "UB")
"""Vault, floor, beam, bars; event k has the object pattern `scene.PATTERNS[k]` and the number k + 1."""

SETS = {"up": {"y": -0.5}, "down": {"y": 0.5}, "sideways": {"x": 0.5}, "up and aside": {"x": 0.4, "y": -0.4}}
"""Set -> the way; sideways to either side, so a mirrored element stays what it is."""

VARIANTS = tuple(product(("one way", "and back"), (-0.8, 0.0, 0.8), (0.0, 0.5, 1.0)))
"""The 18 variants of a set: the progress, the growth, the turns (to either side)."""

GYM99 = ((6,), (11, 8, 8, 8), (9, 8, 8, 8), (15, 4, 3, 3))
"""How many variants of each event's sets are in Gym99: the first ones. FX-S1 and UB-S1 are those 11 and 15."""


class Element(NamedTuple):
    """One class of Gym288, by the position of its event, set and variant."""

    event: int
    set: int
    variant: int

    @property
    def text(self) -> str:
        """Class name, after the event's letters as the official names have them."""
        progress, growth, turns = VARIANTS[self.variant]
        size = {-0.8: "shrinking", 0.0: "of one size", 0.8: "growing"}[growth]
        turned = {0.0: "no turn", 0.5: "half a turn", 1.0: "a whole turn"}[turns]
        return f"({EVENTS[self.event]}) {list(SETS)[self.set]}, {progress}, {size}, {turned}"

    @property
    def set_number(self) -> int:
        """Number of the set, from 1, over all events."""
        return self.event * len(SETS) + self.set + 1

    @property
    def is_fine(self) -> bool:
        """Whether it is one of FX-S1 or UB-S1."""
        return EVENTS[self.event] in ("FX", "UB") and self.set == 0 and self in LABELS99

    def action(self, side: int) -> Action:
        """Return what happens, mirrored where `side` is -1."""
        progress, growth, turns = VARIANTS[self.variant]
        way = {key: side * amount if key == "x" else amount for key, amount in list(SETS.values())[self.set].items()}
        back = progress == "and back"
        scaled = {key: amount * (0.7 if back else 1.0) for key, amount in way.items()}
        amounts = {**scaled, "grow": growth, "turn": side * turns}
        return Action(course.there_and_back if back else course.one_way, amounts)


ELEMENTS = tuple(
    Element(event, number, variant)
    for event, number, variant in product(range(len(EVENTS)), range(len(SETS)), range(len(VARIANTS)))
)
"""The classes of Gym288 in the order of their labels."""

LABELS288 = {element: label for label, element in enumerate(ELEMENTS)}
LABELS99 = {
    element: label
    for label, element in enumerate(
        element
        for element in ELEMENTS
        if element.set < len(GYM99[element.event]) and element.variant < GYM99[element.event][element.set]
    )
}
"""The classes of Gym99 with their labels."""
