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
    ("hmdb51", "train", 1): (3570, "004e6e0f25c708282d589b5133f29a574eb66db57baddcc8515b7fd9cd493ee7"),
    ("hmdb51", "test", 1): (1530, "8d1b02e6d0131e27c7945d8ec692dddbf15ef29c91e8df20228ddccb711fc10c"),
    ("hmdb51", "train", 2): (3570, "00b19d3caf5623bbf24ab8dac871a1f64b5d4023e6bed6a3d28f9409f584b5f6"),
    ("hmdb51", "test", 2): (1530, "89da89622d66390a8ba557bd89a75adee329cc57a8482beeb3f82114402b4a3e"),
    ("hmdb51", "train", 3): (3570, "6d6feb4dc150ab29885a5a433a2ab248e0f5160ab811caa6c298ee8c7ed5afb6"),
    ("hmdb51", "test", 3): (1530, "908dce42c74ba89d814519b027213715d8e6d549fb7151b4313609eb0faab780"),
    ("gym99", "train", 1): (20484, "2caa7ddae66437671ae692b0811e722e5079035a45909da329f596328564ab94"),
    ("gym99", "val", 1): (8521, "f055fd28d43a000183aa76155c6582f90ad37ba221bc5b38396782c6662aa16e"),
    ("gym288", "train", 1): (22671, "79bb85f70f12559d9f66e553ef83ac50b20415d69fb6a6e751b78aaa6d171454"),
    ("gym288", "val", 1): (9646, "ff638158521b8b82944b0d4579301a687d89a2a23e57533d5e7a6dbad80f47d1"),
    ("fx_s1", "train", 1): (1882, "cad3865f687770516a27016911473d7c6b939036df31ba312f50f22810541277"),
    ("fx_s1", "val", 1): (777, "21acd94709476990141b5fdbc428031659669eb2141cb76ddadfd3895b80a3e0"),
    ("ub_s1", "train", 1): (3511, "81b21ddadea523ffdd75856dca357a1de4d208f9404827d7135630dd4068226f"),
    ("ub_s1", "val", 1): (1471, "71bdb2d005b4926e07abed5053c3c7c98428323494d71ded192203a9a53d0609"),
    ("davis", "val", 1): (30, "83a55dda85fa596f9cba3302475cc7594281e112d3aba5d58fe9fac5b0f713c5"),
    ("davis_unsupervised", "val", 1): (30, "83a55dda85fa596f9cba3302475cc7594281e112d3aba5d58fe9fac5b0f713c5"),
    ("ytvos", "train", 1): (3471, "bed7947130e0cc24b398f0d13fb9a2387724f47192bbba08920c7c61ccb85c63"),
    ("ytvos", "train20", 1): (695, "fce34cb6182481441b5da626c6f1fad1c65acea30a865968545853898d78918f"),
    ("ucfrep", "train", 1): (421, "deb664c4e3d1f7968400ecba51c80c51d9c7ae47fd5042f271a2946d322654bf"),
    ("ucfrep", "val", 1): (105, "ab1cc9ad11d98c19c2d607c52110df4f6057cb43a778bd0de456d8399af1357c"),
    ("ucf101_1000", "train", 1): (1010, "7d728f7aaf44510f33b73208cd814f7dd5966a343b95094a370ea94a79c66812"),
    ("ucf101_1000", "test", 1): (3783, "f923aadb4f5edfe02f8205a82dfa868a4b508c7c311a03bdb2589553513f0a90"),
    ("gym99_1000", "train", 1): (1089, "871ceba4263485dcacb94e906f85a925692e345f3915e34feeddd5bafd7eb115"),
    ("gym99_1000", "val", 1): (8521, "f055fd28d43a000183aa76155c6582f90ad37ba221bc5b38396782c6662aa16e"),
}
"""(data set, split, fold) -> number of samples and `Index.sha256` of the list as published.

`<data set>_1000` is the published low-shot part of the list, see `sigma_bench.data.lowshot`.
"""

COUNTS: dict[tuple[str, str, int], int] = {
    ("cifar100", "train", 1): 50000,
    ("cifar100", "test", 1): 10000,
    ("in1k", "train", 1): 1281167,
    ("in1k", "val", 1): 50000,
    ("ssv2", "train", 1): 168913,
    ("ssv2", "test", 1): 27157,
    ("charades", "train", 1): 7985,
    ("charades", "test", 1): 1863,
    ("davis", "train", 1): 60,
}
"""(data set, split, fold) -> number of samples of a published list whose hash is not at hand.

As the pages and papers of the data sets state them: Krizhevsky 2009 (CIFAR-100), Russakovsky et al. 2015 (ILSVRC2012),
the page of Something-Something v2, Sigurdsson et al. 2016 (Charades), Pont-Tuset et al. 2017 (DAVIS). A list of another
length is not the published one; a list of this length may be. The training list of K400 has no fixed length: each copy
lacks other videos.
"""

LEAST: dict[tuple[str, str, int], int] = {("k400", "train", 1): 200_000}
"""(data set, split, fold) -> fewest samples of a published list of which every copy lacks others (K400 began with
about 246,000 training videos, Kay et al. 2017; copies in use have about 240,000)."""


def folds(dataset: str) -> tuple[int, ...]:
    """Return the numbers of the published splits of a data set."""
    return tuple(sorted({fold for name, _, fold in LISTS if name == dataset}))


def is_official(dataset: str, split: str, fold: int, index: Index) -> bool:
    """Return whether `index` is the published list, file for file and label for label."""
    return LISTS.get((dataset, split, fold)) == (index.count, index.sha256)


def taken_for_official(dataset: str, split: str, fold: int, index: Index) -> str | None:
    """Return None for a list that is not the published one, and else what a reader must know of how that was told.

    That is nothing where the hash agrees. Where no hash is at hand the number of samples must agree, or be large enough
    where copies differ.
    """
    key = (dataset, split, fold)
    if key in LISTS:
        return "" if is_official(dataset, split, fold, index) else None
    if COUNTS.get(key) == index.count:
        return f"{dataset}/{split}: told for the published list by its {index.count} samples, not by a hash"
    if key in LEAST and index.count >= LEAST[key]:
        return f"{dataset}/{split}: {index.count} samples, of a list that differs from copy to copy"
    return None
