"""Cards of the sets of pictures and of masks: ImageNet-1K, CIFAR-100, DAVIS-2017, YouTube-VOS."""

from __future__ import annotations

from sigma_bench.data.datasets.cards import SEE, Card, Citation

IMAGENET = Card(
    folder="in1k",
    sets=("in1k",),
    title="ImageNet-1K (ILSVRC2012)",
    what="Pictures of 1,000 classes; a picture is a clip whose frames are all the same.",
    layout="""
in1k/
  train/<wnid>/*.JPEG
  val/<wnid>/*.JPEG                   or flat, with LOC_val_solution.csv or the devkit's ground truth
  ILSVRC/Data/CLS-LOC/{train,val}     Kaggle's archive as it unpacks
""",
    reads="The folders; for a flat `val` the list of its classes.",
    labels="Place of the WordNet id in the sorted ids.",
    licence="Terms of access, for non-commercial research and education, after registration. " + SEE,
    cite=(
        Citation(
            "russakovsky2015imagenet",
            "O. Russakovsky et al.",
            "ImageNet Large Scale Visual Recognition Challenge",
            "International Journal of Computer Vision 115(3)",
            2015,
        ),
    ),
    traps=(
        "The devkit's ground truth counts classes in an order of its own.",
        "One picture is a PNG that is called .JPEG, some are CMYK: all become RGB.",
        "A flat and a sorted copy of `val` give the same list.",
    ),
)

CIFAR = Card(
    folder="cifar100",
    sets=("cifar100",),
    title="CIFAR-100",
    what="Pictures of 32 x 32 pixels of 100 classes (the fine labels).",
    layout="""
cifar100/
  cifar-100-python/train  test  meta
""",
    reads="The three pickles of Python 2, by a reader that runs nothing in them.",
    labels="`fine_labels`; the names are in `meta`.",
    licence="No licence is stated with the download. " + SEE,
    cite=(
        Citation(
            "krizhevsky2009learning",
            "A. Krizhevsky",
            "Learning Multiple Layers of Features from Tiny Images",
            "technical report, University of Toronto",
            2009,
        ),
    ),
    traps=(
        "A row is 1,024 red, then green, then blue values.",
        "A pickle can run any program: it is not loaded as one.",
    ),
)

DAVIS = Card(
    folder="davis",
    sets=("davis", "davis_unsupervised"),
    title="DAVIS-2017",
    what="60 training and 30 validation sequences with a mask of every object in every frame: unsupervised "
    "segmentation. `davis_unsupervised` has the masks of the separately annotated 2019 edition.",
    layout="""
davis/                                (or davis/DAVIS/)
  JPEGImages/480p/<sequence>/00000.jpg
  Annotations/480p/<sequence>/00000.png
  Annotations_unsupervised/480p/<sequence>/00000.png
  ImageSets/2017/train.txt  val.txt
""",
    reads="The lists, frames and masks at 480p.",
    labels="None: objects have no categories.",
    licence=SEE,
    cite=(
        Citation(
            "ponttuset2017davis",
            "J. Pont-Tuset, F. Perazzi, S. Caelles, P. Arbelaez, A. Sorkine-Hornung, L. Van Gool",
            "The 2017 DAVIS Challenge on Video Object Segmentation",
            "arXiv:1704.00675",
            2017,
        ),
        Citation(
            "caelles2019davis",
            "S. Caelles, J. Pont-Tuset, F. Perazzi, A. Montes, K.-K. Maninis, L. Van Gool",
            "The 2019 DAVIS Challenge on VOS: Unsupervised Multi-Object Segmentation",
            "arXiv:1905.00737",
            2019,
        ),
    ),
    traps=(
        "Masks are palette pictures: converted to RGB they lose their ids.",
        "255 is void and is in no count.",
        "`sigma-bench data check davis` looks at every mask too.",
    ),
)

YTVOS = Card(
    folder="ytvos",
    sets=("ytvos",),
    title="YouTube-VOS",
    what="3,471 training videos with masks of objects of named categories in every fifth frame. The paper takes 20 % "
    "of them at random and publishes neither list nor seed; split `train20` is a list of 695 released by an author, "
    "`train20_seed<N>` another draw.",
    layout="""
ytvos/
  train/JPEGImages/<id>/00000.jpg
  train/Annotations/<id>/00000.png
  train/meta.json
  val.txt                             the 695 ids; train20.txt is the same
""",
    reads="`meta.json`, and for `train20` the list of ids.",
    labels="Categories of all of `meta.json` in alphabetical order; a sample is a video and has no label of its own.",
    licence=SEE,
    cite=(
        Citation(
            "xu2018youtubevos",
            "N. Xu, L. Yang, Y. Fan, D. Yue, Y. Liang, J. Yang, T. Huang",
            "YouTube-VOS: A Large-Scale Video Object Segmentation Benchmark",
            "arXiv:1809.03327",
            2018,
        ),
    ),
    traps=(
        "Object ids are per video, and objects enter late: ids of a clip need not begin at 1.",
        "Replacing ids by categories in place merges objects; a table is used.",
        "Only the training part has masks throughout.",
    ),
)

CARDS = (IMAGENET, CIFAR, DAVIS, YTVOS)
