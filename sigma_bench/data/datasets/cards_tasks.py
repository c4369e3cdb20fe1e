"""Cards of the fine-grained, counting and multi-label sets: FineGym, UCFRep, Charades."""

from __future__ import annotations

from sigma_bench.data.datasets.cards import SEE, Card, Citation

FINEGYM = Card(
    folder="finegym",
    sets=("gym99", "gym288", "fx_s1", "ub_s1", "gym99_1000"),
    title="FineGym (Gym99, Gym288, FX-S1, UB-S1)",
    what="Elements of gymnastics in YouTube recordings. FX-S1 and UB-S1 are labels 6 to 16 and 74 to 88 of Gym99, "
    "counted from 0; `gym99_1000` is SEVERE's low-shot task Gym 10^3.",
    layout="""
finegym/
  gym99_train_element_v1.0.txt  gym99_val_element.txt      and gym288_*; also in annotations/ or labels/
  gym99_categories.txt  gym288_categories.txt              class names; without them classes are called by number
  subactions/<element id>.mp4                              one clip an element; .avi too
  videos/<youtube id>.mp4                                  instead: untrimmed videos, and
  finegym_annotation_info_v1.0.json                        the times to cut them by
""",
    reads="The element lists, and either cut clips or untrimmed videos with the file of times (SEVERE's "
    "`event_annotation.json` is read in its place, with a note in the row). v1.1 is read where there is no v1.0, with "
    "a warning: the published counts are of v1.0.",
    labels="The number in the element list.",
    licence=SEE + " The videos belong to those who uploaded them.",
    cite=(
        Citation(
            "shao2020finegym",
            "D. Shao, Y. Zhao, B. Dai, D. Lin",
            "FineGym: A Hierarchical Video Dataset for Fine-grained Action Understanding",
            "CVPR",
            2020,
        ),
        Citation(
            "thoker2022severe",
            "F. M. Thoker, H. Doughty, P. Bagad, C. G. M. Snoek",
            "How Severe is Benchmark-Sensitivity in Video Self-Supervised Learning?",
            "ECCV",
            2022,
        ),
    ),
    traps=(
        'The paper\'s "1,000" training clips of Gym 10^3 are 1,089: the released rule takes ceil(1000 / 99) = 11 of '
        "each of the 99 classes. The draw is from the whole list, so a missing clip never changes it.",
        "Whole seconds in an id are cut off and must not be used to cut by.",
        "Elements last as little as one frame; 90 % of Gym99's training clips are shorter than 64 frames.",
        "The official parts are drawn by element: some videos are on both sides.",
        "Released lists write ids with `.avi` and without, and end without a line end.",
    ),
)

UCFREP = Card(
    folder="ucfrep",
    sets=("ucfrep",),
    title="UCFRep",
    what="526 videos of 23 classes of UCF101 with the boundaries of their repetitions: counting.",
    layout="""
ucfrep/
  annotations/train/*.mat  annotations/val/*.mat      from ucf526_annotations.zip
  ucfrep_annotations.csv                              instead: split,video,count,bounds
  imgs/<split>/<Class>/<id>/                          extracted frames, or
  UCF-101/<Class>/*.avi                               the videos; those of the data set ucf101 beside it are found too
""",
    reads="The `.mat` files without running anything in them, or the table; frames or videos.",
    labels="Place of the class in the sorted classes of both parts.",
    licence="The repository of the annotations states none; for the videos see UCF101.",
    cite=(
        Citation(
            "zhang2020repetition",
            "H. Zhang, X. Xu, G. Han, S. He",
            "Context-Aware and Scale-Insensitive Temporal Repetition Counting",
            "CVPR",
            2020,
        ),
    ),
    traps=(
        "Frame numbers are stored as `uint8` and `uint16` and counted from 1: differences of them wrap around.",
        "What is counted is the stretch between the first and the last boundary, not the file.",
        "A count is one less than the number of boundaries.",
        "145 training videos are in the test part of UCF101's first fold.",
    ),
)

CHARADES = Card(
    folder="charades",
    sets=("charades",),
    title="Charades",
    what="9,848 videos of people at home with 157 actions that overlap: several labels a video.",
    layout="""
charades/
  Charades_v1_train.csv  Charades_v1_test.csv  Charades_v1_classes.txt      also in Charades/, annotations/, labels/
  Charades_v1_rgb/<id>/<id>-000001.jpg      frames at 24 a second, or
  Charades_v1_480/<id>.mp4  Charades_v1/<id>.mp4
""",
    reads="The csv and the class list; frames before videos, as the published recipe reads frames.",
    labels="NNN of `cNNN`, 0 to 156.",
    licence="Non-commercial use, by the licence of the Allen Institute that comes with it; it may not be passed on. "
    + SEE,
    cite=(
        Citation(
            "sigurdsson2016charades",
            "G. A. Sigurdsson, G. Varol, X. Wang, A. Farhadi, I. Laptev, A. Gupta",
            "Hollywood in Homes: Crowdsourcing Data Collection for Activity Understanding",
            "ECCV",
            2016,
        ),
    ),
    traps=(
        "Many actions end after the video does and are ended with it; a few begin after they end and are left out.",
        "174 training and 49 test videos have no action: they stay in the list, as negatives.",
        "Ids of five characters look like numbers to some readers (`1E234`).",
    ),
)

CARDS = (FINEGYM, UCFREP, CHARADES)
