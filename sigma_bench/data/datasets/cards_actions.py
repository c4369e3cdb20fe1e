"""Cards of the action recognition sets: Kinetics-400, Something-Something v2, UCF101, HMDB51."""

from __future__ import annotations

from sigma_bench.data.datasets.cards import SEE, Card, Citation

KINETICS = Card(
    folder="k400",
    sets=("k400",),
    title="Kinetics-400",
    what="Ten-second YouTube clips of 400 actions: the pretraining set of the paper, and finetuning.",
    layout="""
k400/
  kinetics_train.csv  kinetics_val.csv      also in annotations/ or labels/
  label_map_k400.txt                        where a list does not name all 400 classes
  train/<class>/<id>_<start>_<end>.mp4      or videos_train/, videos/train/, or all clips in one folder;
                                            .mkv, .webm and .avi clips are read too
  val/<class>/<id>_<start>_<end>.mp4
""",
    reads="The official csv (`label,youtube_id,time_start,time_end,split,is_cc`), SEVERE's `class/stem frames label`, "
    "or the VideoMAE family's `train.csv` with `path label` lines.",
    labels="Place of the class in the sorted class names.",
    licence="The lists by Google under CC BY 4.0 to our knowledge; the videos belong to those who uploaded them. "
    + SEE,
    cite=(
        Citation(
            "kay2017kinetics", "W. Kay et al.", "The Kinetics Human Action Video Dataset", "arXiv:1705.06950", 2017
        ),
    ),
    traps=(
        "Videos vanish from YouTube, so copies differ: the official validation csv has 19,906 rows, SEVERE's list "
        "19,328. The number found is in every row; the training list has no published length here for that reason.",
        "`split` reads `val` in some copies of the csv and `validate` in others.",
        "Ids begin with `-` or `_`; class folders are written with spaces, underscores, with or without punctuation.",
        "Some released copies of videos are cut short or empty: `sigma-bench data check k400` names them.",
    ),
)

SOMETHING = Card(
    folder="ssv2",
    sets=("ssv2", "mini_ssv2"),
    title="Something-Something v2",
    what="Crowd-sourced videos of 174 actions with objects; what happens, not what is seen, is the label. `mini_ssv2` "
    "is half of the training list, drawn here by a fixed seed: the half of the paper is not published.",
    layout="""
ssv2/
  something-something-v2-labels.json        or labels.json; lists also in annotations/ or labels/
  something-something-v2-train.json         or train.json
  something-something-v2-validation.json    or validation.json
  20bn-something-something-v2/<id>.webm     or something-something-v2/, videos/; .mp4 and .avi copies are read too
""",
    reads="The official JSON lists and the labels file; or `train.csv` and `val.csv` with `path label` lines.",
    labels="The number in the labels file of the `template` without brackets.",
    licence="Handed out for research after registration. " + SEE,
    cite=(
        Citation(
            "goyal2017something",
            "R. Goyal et al.",
            'The "Something Something" Video Database for Learning and Evaluating Visual Common Sense',
            "ICCV",
            2017,
        ),
    ),
    traps=(
        "`label` is the filled-in sentence; the class is `template` with its brackets taken off.",
        "Numbers in the labels file are text; capital letters and commas count.",
        "Several classes name a direction, so views must not be flipped.",
    ),
)

UCF101 = Card(
    folder="ucf101",
    sets=("ucf101", "ucf101_1000"),
    title="UCF101",
    what="13,320 YouTube clips of 101 actions in three official folds. `ucf101_1000` is SEVERE's low-shot UCF 10^3.",
    layout="""
ucf101/
  UCF-101/<Class>/v_<Class>_gXX_cYY.avi
  ucfTrainTestlist/classInd.txt  trainlist01.txt .. 03  testlist01.txt .. 03
""",
    reads="`classInd.txt` and the lists; both folders may also lie in `UCF101/`.",
    labels="Number in `classInd.txt` less one.",
    licence="No licence is stated with the download. " + SEE,
    cite=(
        Citation(
            "soomro2012ucf101",
            "K. Soomro, A. R. Zamir, M. Shah",
            "UCF101: A Dataset of 101 Human Actions Classes From Videos in The Wild",
            "arXiv:1212.0402 (CRCV-TR-12-01)",
            2012,
        ),
    ),
    traps=(
        'The paper\'s "1,000" training videos of UCF 10^3 are 1,010: the released rule takes ceil(1000 / 101) = 10 of '
        "each of the 101 classes. The draw is from the whole list, so a missing file never changes it.",
        "Lists have CRLF line ends and labels from 1; test lists have none.",
        "Clips of one group are cut from one recording: held-out parts are drawn by group.",
        "The folder `HandstandPushups` holds files called `v_HandStandPushups_...`.",
    ),
)

HMDB51 = Card(
    folder="hmdb51",
    sets=("hmdb51",),
    title="HMDB51",
    what="6,766 clips of 51 actions from films and the web, three official folds of 70 / 30 clips a class.",
    layout="""
hmdb51/
  videos/<class>/*.avi                      or hmdb51_org/, or the class folders directly
  test_train_splits/<class>_test_split1.txt .. 3      or testTrainMulti_7030_splits/, splits/, annotations/
""",
    reads="The 153 split files: 1 is train, 2 is test, 0 is neither.",
    labels="Place of the class in the sorted class names.",
    licence="CC BY 4.0 to our knowledge; the films belong to their makers. " + SEE,
    cite=(
        Citation(
            "kuehne2011hmdb",
            "H. Kuehne, H. Jhuang, E. Garrote, T. Poggio, T. Serre",
            "HMDB: A Large Video Database for Human Motion Recognition",
            "ICCV",
            2011,
        ),
    ),
    traps=(
        "Clips with flag 0 (1,666 a fold) are in neither part.",
        "Names hold `!`, `&`, `#`, brackets and parentheses; lines end in a space; a copy of the lists "
        "holds an editor's file.",
        "Some films are on both sides of the official folds: held-out parts are drawn by film.",
    ),
)

CARDS = (KINETICS, SOMETHING, UCF101, HMDB51)
