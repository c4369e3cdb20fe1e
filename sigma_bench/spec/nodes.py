"""Composed YAML nodes into plain values with their lines; what two readers could take differently is refused.

The nodes are those of PyYAML (`id`, `tag`, `value`, `style`, `start_mark`), which only `load` imports.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sigma_bench.spec.problems import KeyPath, Origin, dotted, shown

TAG = "tag:yaml.org,2002:"
# Python and JSON read these as numbers, YAML 1.1 as text.
NUMBER_AS_TEXT = re.compile(r"([-+]?)(\d[\d_]*)?(?:\.(\d[\d_]*)?)?[eE]([-+]?)(\d+)")


class Reader:
    """Turns nodes into plain values and remembers where each was written."""

    def __init__(self, file: str, scalar: Callable[[str, Any], Any], *, numbers_from_text: bool) -> None:
        """Take what turns (kind, node) of a bool, int, float or null into its value."""
        self.file, self.numbers_from_text = file, numbers_from_text
        self.origins: dict[KeyPath, Origin] = {}
        self.problems: list[str] = []
        self._plain = scalar

    def build(self, node: Any, path: KeyPath) -> Any:
        """Return the value of a node; what is wrong with it goes to `problems`."""
        if node.tag not in {TAG + name for name in ("map", "seq", "str", "int", "float", "bool", "null")}:
            return self._problem(
                node, path, f"a value of the kind {node.tag.removeprefix(TAG)!r} is not read; quote text"
            )
        if node.id == "mapping":
            return self._mapping(node, path)
        if node.id == "sequence":
            values = []
            for row, item in enumerate(node.value):
                self._remember(item, (*path, row))
                values.append(self.build(item, (*path, row)))
            return values
        return self._scalar(node, path)

    def _mapping(self, node: Any, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.id != "scalar" or key_node.tag != f"{TAG}str":
                found = key_node.value if key_node.id == "scalar" else "a list or block"
                self._problem(key_node, path, f"found the key {shown(found)}, expected a key of text (quote it)")
                continue
            key = key_node.value
            here = (*path, key)
            if key in values:
                self._problem(key_node, here, f"stands twice, first in {self.origins[here].where}; remove one")
                continue
            self._remember(key_node, here)
            values[key] = self.build(value_node, here)
        return values

    def _scalar(self, node: Any, path: KeyPath) -> Any:
        text, kind = node.value, node.tag.removeprefix(TAG)
        if kind == "str" or (kind in ("int", "float") and ":" in text):
            return self._text(node, path)
        try:
            return self._plain(kind, node)
        except (ValueError, KeyError, OverflowError):
            return self._problem(node, path, f"cannot read {shown(text)} as {kind}")

    def _text(self, node: Any, path: KeyPath) -> Any:
        text = node.value
        number = NUMBER_AS_TEXT.fullmatch(text) if node.style is None and len(text) < 100 else None
        if number and (number[2] or number[3]):
            if self.numbers_from_text:
                return float(text)
            sign, whole, fraction, exponent_sign, exponent = number.groups()
            better = f"{sign}{whole or '0'}.{fraction or '0'}e{exponent_sign or '+'}{exponent}"
            return self._problem(node, path, f"YAML reads {text} as text; write {better}, or quote it")
        try:
            text.encode()
        except UnicodeEncodeError:
            return self._problem(node, path, "holds half of a surrogate pair, which is no character")
        return text

    def _remember(self, node: Any, path: KeyPath) -> None:
        self.origins[path] = Origin(f"{self.file}:{node.start_mark.line + 1}", dotted(path))

    def _problem(self, node: Any, path: KeyPath, message: str) -> None:
        key = f" {dotted(path)}:" if path else ""
        self.problems.append(f"{self.file}:{node.start_mark.line + 1}:{key} {message}")
