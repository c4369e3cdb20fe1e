"""The block `segmentation` of a task: unsupervised video object segmentation of clips by k-means on dense features."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict, StringConstraints, model_validator

from sigma_bench.spec.base import Count, Spec

Clusters = Literal["ids", "objects"] | Count
Reduction = Annotated[str, StringConstraints(pattern="^(none|pca[1-9][0-9]{0,3})$")]
Floor = Literal["all_background", "random_labels", "pixel_positions", "pixel_colours"]


class KMeans(Spec):
    """k-means with Euclidean distances."""

    backend: Literal["faiss", "torch"]
    """faiss, as the released code; or our own in torch, which takes several clips at once on a GPU."""
    restarts: Count
    iterations: Count
    seed: Annotated[int, Field(ge=0, lt=1 << 30)]
    """The seed of the evaluation is added to it."""
    subsample: bool
    """Train on 256 points a cluster, which faiss does unless told otherwise; false: on all points."""


class Segmentation(Spec):
    """How features become maps, maps get ids, and clips are averaged. The first of several settings names the metric;
    the others are measured beside it.
    """

    layer: int
    """Encoder block whose tokens are read; negative counts from the last."""
    norm: Literal["pretraining", "none"]
    """Apply the encoder's own final norm; `pretraining` refuses an encoder without one, such as a finetuned file."""
    reduce: Annotated[tuple[Reduction, ...], Strict(False), Field(min_length=1)]
    """`pca50`: standardised and projected on 50 components, on the grid of the tokens; `none`: as they are."""
    reduce_scope: Literal["clip", "batch16"]
    """What scaler and components are fitted on: a clip, or 16 neighbouring clips of the list."""
    mask_size: Count
    """Height and width that masks are brought to first, by Pillow; clusters are counted there."""
    resolution: Count
    """Height and width of features and masks where they are compared."""
    nearest: Literal["nearest", "nearest-exact", "pil"]
    """From `mask_size` to `resolution`: the first pixel of a cell (torch) or the middle one (torch, Pillow)."""
    void: Literal["ignored", "id"]
    """Pixels of 255 in a data set that says they are void: in no count, or an id like others."""
    categories: Literal["lookup", "in_place"]
    """Objects of a data set with categories get the category's number: all at once, or one after another in place, in
    which a number that was just given may be taken for another object."""
    clusters: Annotated[tuple[Clusters, ...], Strict(False), Field(min_length=1)]
    """k: the ids in the masks including background, those without it, or a number."""
    match: Literal["hungarian", "m2o_precision", "m2o_iou", "merged_hungarian"]
    """Which cluster gets which id."""
    scope: Literal["sample-wise", "frame-wise", "dataset-wise"]
    """What is clustered and matched by itself: a clip, every frame, or the whole set."""
    average: Literal["clips", "batch16"]
    """Mean over clips, or over batches of 16 of the means within them."""
    kmeans: KMeans
    floors: Annotated[tuple[Floor, ...], Strict(False)] = ()
    """What knows nothing of the pictures and is measured on the same clips beside every encoder."""

    @model_validator(mode="after")
    def _can_be_done(self) -> Segmentation:
        if self.kmeans.subsample and self.kmeans.backend != "faiss":
            raise ValueError("kmeans.subsample needs kmeans.backend faiss, which draws it")
        if self.scope == "dataset-wise" and self.average != "clips":
            raise ValueError("scope dataset-wise has one value for all clips; average has no part in it, say clips")
        for name in ("reduce", "clusters", "floors"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"{name} names something twice")
        return self
