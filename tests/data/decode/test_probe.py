import pytest

from sigma_bench.contracts import UserError
from sigma_bench.data.decode.probe import decode_file, probe


def test_every_file_that_cannot_be_decoded_is_named_with_the_reason(shared):
    paths = [*sorted((shared / "real" / "corrupt").iterdir()), shared / "real/videos/av1_640x360.mkv"]
    records = {record.path.rsplit("/", 1)[1]: record for record in probe(paths, "decord+pyav", workers=2)}
    assert list(records) == [path.name for path in paths]
    assert {name for name, record in records.items() if record.ok} == {"one_frame.mp4", "av1_640x360.mkv"}
    assert records["one_frame.mp4"].count == 1
    assert (records["one_frame.mp4"].height, records["one_frame.mp4"].width) == (64, 96)
    assert records["broken_middle.mp4"].reason.startswith("21 of 57 frames decodable")
    assert records["av1_640x360.mkv"].backend == "pyav"
    assert all(record.whole and bool(record.reason) != record.ok for record in records.values())


def test_damage_between_three_frames_is_found_only_by_decoding_all(shared):
    path = shared / "real/corrupt/broken_middle.mp4"
    [whole] = probe([path], "pyav", workers=1, whole=True)
    [three] = probe([path], "pyav", workers=1, whole=False)
    assert not whole.ok
    assert not three.whole


def test_a_deadline_is_a_reason(shared):
    [record] = probe([shared / "real/videos/fire_vfr_rot180_aac.mp4"], "pyav", workers=1, deadline_s=0.01)
    assert record.reason == "deadline of 0.01 s exceeded"


def test_an_unknown_decoder_is_refused_before_anything_starts():
    with pytest.raises(UserError, match="unknown decoder"):
        probe([], "opencv")


def test_three_frames_are_the_first_the_middle_and_the_last(monkeypatch):
    asked = []

    class Read:
        count, height, width, backend, times = 101, 32, 32, "pyav", None

        def frames(self, indices):
            asked.extend(indices)

        def close(self):
            asked.append("closed")

    monkeypatch.setattr("sigma_bench.data.decode.probe.open_media", lambda backend, path: Read())
    assert decode_file(("a.mp4", "pyav", False))[1]["reason"] == ""
    assert asked == [0, 50, 100, "closed"]
