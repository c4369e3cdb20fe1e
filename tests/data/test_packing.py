import io
import os
import tarfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data import files
from sigma_bench.data.datasets import folder, ucf101
from sigma_bench.data.decode.backends import pick
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.media import open_media
from sigma_bench.data.decode.recent import Recent
from sigma_bench.data.masks import read_mask
from sigma_bench.data.miniatures import video
from sigma_bench.data.packing import BLOCK, Member, pack, plan

NAMES = ("UCF-101/Jump/v_Jump_g01_c01.avi", "UCF-101/Jump/v_Jump_g02_c01.avi", "UCF-101/Run/v_Run_g01_c01.avi")


def clip(path, seed, frames=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    video.encode(path, rng.integers(0, 255, (frames, 32, 32, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    root = tmp_path_factory.mktemp("plain") / "ucf101"
    for number, name in enumerate(NAMES):
        clip(root / name, number)
    lists = root / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 Jump\n2 Run\n")
    (lists / "trainlist01.txt").write_text("Jump/v_Jump_g01_c01.avi 1\nRun/v_Run_g01_c01.avi 2\n")
    (lists / "testlist01.txt").write_text("Jump/v_Jump_g02_c01.avi\nJump/v_Jump_g03_c01.avi\n")
    return root


@pytest.fixture
def packed(plain, tmp_path):
    pack(plain, tmp_path / "out" / "ucf101", 1 << 14)
    yield tmp_path / "out" / "ucf101"
    files.forget()


def test_the_same_reader_gives_the_same_index(plain, packed):
    assert not (packed / NAMES[0]).exists()
    for split in ("train", "test"):
        before, after = ucf101.read(plain, split), ucf101.read(packed, split)
        assert after.table.equals(before.table)
        assert after.sha256 == before.sha256
        assert after.missing() == before.missing()
    assert after.missing() == ("v_Jump_g03_c01",)


def test_a_folder_of_videos_is_read_from_a_pack(plain, packed):
    assert folder.read(packed).table.equals(folder.read(plain).table)
    assert folder.read(packed / "UCF-101").ids == folder.read(plain / "UCF-101").ids


def test_listing_and_content_are_those_of_the_plain_tree(plain, packed):
    assert files.walk(packed) == files.walk(plain)
    for place in ("UCF-101", "UCF-101/Jump", "UCF-101/Jum", "UCF-101/Jump/v_Jump_g01_c01.avi", "ucfTrainTestlist"):
        assert files.names(packed / place) == files.names(plain / place)
    for name in files.walk(plain):
        assert files.read(packed / name) == (plain / name).read_bytes()
        with files.open(packed / name) as file:
            assert file.read() == (plain / name).read_bytes()
        assert files.is_file(packed / name)
        assert files.stamp(packed / name)[0] == (plain / name).stat().st_size
    assert not files.is_file(packed / "UCF-101/Jump")
    assert files.stamp(packed / "UCF-101/none.avi") == (0, 0)
    with pytest.raises(FileNotFoundError):
        files.read(packed / "UCF-101/none.avi")


def test_a_plain_file_goes_before_a_packed_one(packed):
    (packed / NAMES[0]).write_bytes(b"newer")
    assert files.read(packed / NAMES[0]) == b"newer"
    assert files.stamp(packed / NAMES[0])[0] == 5
    assert files.walk(packed).count(NAMES[0]) == 1


@pytest.mark.parametrize("decoder", ["decord", "pyav", "torchcodec"])
def test_every_decoder_reads_the_same_frames(shared, tmp_path, decoder):
    reason = registry.get("decoders", decoder)().unavailable()
    if reason:
        pytest.skip(reason)
    source = tmp_path / "plain"
    source.mkdir()
    for name in ("rotated90_3frames.mov", "test_mpeg4.avi", "av1_640x360.mkv", "hevc_10frames_128x128.mp4"):
        (source / name).symlink_to(shared / "real" / "videos" / name)
    pack(source, tmp_path / "packed", 1 << 18)
    compared = 0
    for name in files.walk(source):
        before = opened(decoder, source / name)
        after = opened(decoder, tmp_path / "packed" / name)
        if isinstance(before, DecodeError):
            assert (after.path, after.reason) == (str(tmp_path / "packed" / name), before.reason)
            continue
        asked = [min(before.count, 20) - 1, 0, before.count // 2]
        assert (after.count, after.height, after.width) == (before.count, before.height, before.width)
        assert np.array_equal(after.frames(asked), before.frames(asked)), name
        assert after.backend == before.backend
        compared += 1
    assert compared >= 3


def opened(decoder, path):
    try:
        return open_media(pick(decoder), path)
    except DecodeError as error:
        return error


def test_a_damaged_video_is_named_by_its_own_path(shared, tmp_path):
    pack(shared / "real" / "corrupt", tmp_path / "corrupt", 1 << 20)
    reader = open_media(pick("pyav"), tmp_path / "corrupt" / "broken_middle.mp4")
    with pytest.raises(DecodeError) as error:
        reader.frames(range(reader.count))
    assert error.value.path == str(tmp_path / "corrupt" / "broken_middle.mp4")
    assert "/proc" not in str(error.value)


def test_a_frame_that_is_damaged_in_a_pack_is_named_by_its_own_path(tmp_path):
    source = tmp_path / "plain"
    clip(source / "a.mp4", 1, frames=60)
    content = bytearray((source / "a.mp4").read_bytes())
    middle = len(content) // 2
    content[middle : middle + len(content) // 8] = bytes(len(content) // 8)
    (source / "a.mp4").write_bytes(content)
    pack(source, tmp_path / "packed", 1 << 20)
    reader = open_media(pick("pyav"), tmp_path / "packed" / "a.mp4")
    with pytest.raises(DecodeError) as error:
        reader.frames(range(reader.count))
    assert error.value.path == str(tmp_path / "packed" / "a.mp4")


def test_nothing_stays_open(packed):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        reader = open_media(pick("pyav"), packed / NAMES[0])
        reader.frames([0])
        reader.close()
    with pytest.raises(DecodeError, match="no such file"):
        open_media(pick("pyav"), packed / "UCF-101/none.avi")
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # the shard


def test_frames_and_pictures_are_read_from_a_pack(tmp_path):
    from PIL import Image

    for number in (3, 1, 2):
        path = tmp_path / "plain" / "frames" / "bear" / f"{number:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((16, 24, 3), number, np.uint8)).save(path)
    pack(tmp_path / "plain", tmp_path / "packed", 1 << 20)
    place = tmp_path / "packed" / "frames" / "bear"
    assert files.names(place) == {"00001.png", "00002.png", "00003.png"}
    assert files.stamp(place)[0] == 3
    recent = Recent(pick("pyav"))
    assert recent.open(place).frames([0, 2])[:, 0, 0, 0].tolist() == [1, 3]
    assert recent.open(place / "00002.png").frames([0])[0, 0, 0, 0] == 2


def test_masks_are_read_from_a_pack(shared, tmp_path):
    source = shared / "real" / "sequences" / "schoolgirls" / "Annotations"
    pack(source, tmp_path / "packed", 1 << 20)
    names = sorted(files.names(source))
    assert sorted(files.names(tmp_path / "packed") - {files.INDEX, "shard-000000.tar"}) == names
    for name in (names[0], names[-1]):
        assert np.array_equal(read_mask(tmp_path / "packed" / name), read_mask(source / name))


def test_packing_is_deterministic_to_the_byte(plain, packed, tmp_path):
    for name in NAMES:
        os.utime(plain / name, ns=(7, 7 + NAMES.index(name)))
    again = tmp_path / "again"
    pack(plain, again, 1 << 14)
    assert sorted(os.listdir(again)) == sorted(os.listdir(packed))
    for name in os.listdir(packed):
        if (packed / name).is_file():
            assert (again / name).read_bytes() == (packed / name).read_bytes()


def test_the_shards_are_plain_tar_files(plain, packed):
    found = {}
    for shard in sorted(packed.glob("shard-*.tar")):
        with tarfile.open(shard) as tar:
            found |= {info.name: tar.extractfile(info).read() for info in tar}
    assert found == {name: (plain / name).read_bytes() for name in NAMES}


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.integers(0, 5000), min_size=1, max_size=30),
    st.integers(BLOCK, 12 * BLOCK),
)
def test_shards_hold_every_member_once_in_order_and_within_their_size(sizes, shard_bytes):
    members = [Member(f"{i:03d}.avi", size, 0) for i, size in enumerate(sizes)]
    shards = list(plan(members, shard_bytes))
    assert [m for shard in shards for m in shard] == members
    for shard in shards:
        need = sum(BLOCK + -(-m.size // BLOCK) * BLOCK for m in shard)
        assert shard
        assert len(shard) == 1 or need <= shard_bytes


def test_links_are_followed_but_not_in_circles(plain, tmp_path):
    root = tmp_path / "linked"
    (root / "a").mkdir(parents=True)
    (root / "a" / "up").symlink_to(root, target_is_directory=True)
    (root / "videos").symlink_to(plain / "UCF-101" / "Jump", target_is_directory=True)
    (root / "alias").symlink_to(root / "videos", target_is_directory=True)
    pack(root, tmp_path / "packed", 1 << 20)
    stems = [f"v_Jump_g0{n}_c01.avi" for n in (1, 2)]
    assert files.walk(tmp_path / "packed") == [f"{place}/{s}" for place in ("alias", "videos") for s in stems]


def damage_cut(shard):
    os.truncate(shard, shard.stat().st_size // 4)


def damage_flip(shard):
    content = bytearray(shard.read_bytes())
    content[BLOCK + 40] ^= 1
    shard.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (damage_cut, "cut short"),
        (damage_flip, "another checksum"),
        (lambda shard: shard.unlink(), "no such shard"),
    ],
)
def test_a_damaged_shard_is_named_with_the_member(plain, tmp_path, damage, words):
    root = tmp_path / "packed"
    pack(plain, root, 1 << 20)
    damage(root / "shard-000000.tar")
    with pytest.raises(DecodeError, match=f"{NAMES[0]}.*shard-000000.tar.*{words}"):
        files.read(root / NAMES[0])
    with pytest.raises(DecodeError, match=f"{NAMES[0]}.*shard-000000.tar.*{words}"):
        open_media(pick("pyav"), root / NAMES[0])


@pytest.mark.parametrize(
    ("place", "words"),
    [("", "is, or is inside"), ("UCF-101/out", "is, or is inside"), ("..", "is, or is inside")],
)
def test_a_pack_is_never_written_over_its_source(plain, place, words):
    with pytest.raises(UserError, match=words):
        pack(plain, plain / place, 1 << 20)


def test_what_cannot_be_packed_is_said(plain, packed, tmp_path):
    with pytest.raises(UserError, match="exists; a pack is written once"):
        pack(plain, packed, 1 << 20)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="link exists; a pack is written once"):
        pack(plain, tmp_path / "link", 1 << 20)
    with pytest.raises(UserError, match="is packed already"):
        pack(packed, tmp_path / "twice", 1 << 20)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no videos or pictures"):
        pack(tmp_path / "empty", tmp_path / "out2", 1 << 20)
    (tmp_path / "empty" / "gone.mp4").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"gone\.mp4: No such file.*link"):
        pack(tmp_path / "empty", tmp_path / "out2", 1 << 20)


def test_long_names_and_any_script_are_packed(tmp_path):
    names = sorted(
        [f"{'l' * 240}.mp4", f"{'é' * 100}.mp4", f"{'d' * 120}/{'f' * 120}.avi", "映像 #1 [&].mp4", "empty.mp4"]
    )
    for number, name in enumerate(names):
        (tmp_path / "plain" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "plain" / name).write_bytes(bytes([number]) * 700 * (name != "empty.mp4"))
    pack(tmp_path / "plain", tmp_path / "packed", 1 << 20)
    assert files.walk(tmp_path / "packed") == files.walk(tmp_path / "plain") == names
    for name in names:
        assert files.read(tmp_path / "packed" / name) == (tmp_path / "plain" / name).read_bytes()
    with tarfile.open(tmp_path / "packed" / "shard-000000.tar") as tar:
        assert sorted(tar.getnames()) == names


def test_a_reader_of_bytes_may_seek(packed):
    with files.open(packed / NAMES[0]) as file:
        file.seek(-1, io.SEEK_END)
        assert len(file.read()) == 1
