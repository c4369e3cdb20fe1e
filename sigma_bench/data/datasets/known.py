"""The official lists of the data sets, told by their hash: another list is evaluated too, but never called official."""

from __future__ import annotations

from sigma_bench.data.index import Index

LISTS: dict[tuple[str, str, int], tuple[int, str]] = {
    ("ucf101", "train", 1): (9537, "9efc5d83d5667be5ce263eec69e88882c87fbc976b692bbba47a95b5dc91c65f"),
    ("ucf101", "test", 1): (3783, "f923aadb4f5edfe02f8205a82dfa868a4b508c7c311a03bdb2589553513f0a90"),
    ("ucf101", "train", 2): (9586, "58314c36befc4e29e095d1f02e87d7cd8746e07aafa9c7eb83c16df890252e82"),
    ("ucf101", "test", 2): (3734, "71761e596a702286476c1047329b676139650c7f1202d0352cb208860d1abdbe"),
    ("ucf101", "train", 3): (9624, "189f0decf98c0f42faf26755b4b1abab890aa03eae69dacc2e58c346f0308741"),
    ("ucf101", "test", 3): (3696, "1ba7de8329a9836c8db0d45da143a883a3ff96511f68003003fdf1824e50104d"),
    ("k400", "val", 1): (19906, "074622e0c44d1f99c0a8fee7213555f0ca379e6692a88943b14c43d6ead0e932"),
    ("ssv2", "val", 1): (24777, "1a6d4d24bc39ee1ea7b88e1b64af2759478cb7c837e6f999efc697fad4f87bf1"),
    ("mini_ssv2", "val", 1): (24777, "1a6d4d24bc39ee1ea7b88e1b64af2759478cb7c837e6f999efc697fad4f87bf1"),
}
"""(data set, split, fold) -> number of samples and `Index.sha256` of the list as published."""


def is_official(dataset: str, split: str, fold: int, index: Index) -> bool:
    """Return whether `index` is the published list, file for file and label for label."""
    return LISTS.get((dataset, split, fold)) == (index.count, index.sha256)
