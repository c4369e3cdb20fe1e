"""What tells of a machine is taken out; what only looks like it stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.results.scrub import Scrubber, absolute


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("/home/alice/runs/x.pth", ".../x.pth"),
        ("/home/alice/", ".../alice"),
        ("file:///home/alice/x.pth", ".../x.pth"),
        ("OSError: '/data/my set/a.avi' is gone", "OSError: '.../my set/a.avi' is gone"),
        ("a (/mnt/x/y), b=/scratch/z/w", "a (.../y), b=.../w"),
        ("C:\\Users\\alice\\x.pth and D:/set/a.mp4", ".../x.pth and .../a.mp4"),
        ("\\\\server\\share\\x.pth", ".../x.pth"),
        ("~/x.pth, ~bob/y/z", ".../x.pth, .../z"),
        ("in /root", "in ..."),
        ('{"root": "/srv/sets/ucf"}', '{"root": ".../ucf"}'),
    ],
)
def test_absolute_paths_are_cut_to_their_last_part(text, clean):
    assert Scrubber().text(text) == clean
    assert absolute(clean) is None


@pytest.mark.parametrize(
    "text",
    [
        "linear/ucf101",
        "runs/sigma_mlp.miniature/checkpoints/step-10.pt",
        "../x.pth",
        "hf://SMSD75/SIGMA/pretrain/x.pth@9cba51c",
        "https://example.org/a/b",
        "https://example.org:8080/a",
        "16x5x3 clips and/or crops, 3 / 4, 12 clips/s, 5 % of /",
        "21.0<sup>a</sup>",
        "cpu (x86_64)",
        "2026-11-29T20:37:38.150083Z",
        "module.sub:function",
        "setting probe.rates=[0.1, 0.2]",
        "",
    ],
)
def test_what_is_no_absolute_path_stays(text):
    assert Scrubber().text(text) == text
    assert Scrubber().leaks(text) is None


def test_names_are_replaced_where_they_stand_alone_and_tell_something():
    scrubber = Scrubber.of(["alice", "node17.cluster", "node17", "root", "al", "linear", "sigma"], {"linear", "Sigma"})
    assert scrubber.names == ("node17.cluster", "node17", "alice")
    assert scrubber.text("alice_run of malice on node17.cluster, linear/x") == "user_run of malice on user, linear/x"
    assert scrubber.leaks("of alice") == "alice"
    assert scrubber.leaks("malice") is None
    assert scrubber.leaks("at /home/x/y") == "/home/x/y"


def test_values_are_gone_through_to_the_bottom():
    nested = {"/a/b/c": ["/a/b/d", {"x": ("/a/b/e", 1, None, True)}]}
    assert Scrubber().value(nested) == {".../c": [".../d", {"x": (".../e", 1, None, True)}]}


@given(st.lists(st.text("ab/\\ .:~<C\"'", max_size=12), max_size=3).map("".join))
def test_a_clean_text_stays_clean(text):
    clean = Scrubber().text(text)
    assert Scrubber().text(clean) == clean
    assert absolute(clean) is None
