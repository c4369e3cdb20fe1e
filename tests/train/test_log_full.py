"""The log on a disk that is full for a while."""

import errno
import os

from sigma_bench.train.log import JsonLines, read


class Disk:
    """A file whose storage takes `room` more bytes, the last write only in part."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = self.file.write(data[: self.room])
        self.room -= done
        return done

    def __getattr__(self, name):
        return getattr(self.file, name)


def test_records_wait_for_room(tmp_path, capsys):
    path = tmp_path / "log.jsonl"
    log = JsonLines(path)
    log.write({"step": 1})
    log._file = disk = Disk(log._file, 20)
    for step in (2, 3, 4):
        log.write({"step": step})
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'
    assert capsys.readouterr().err.count("takes no records") == 1
    disk.room = 10**6
    log.write({"step": 5})
    assert [r["step"] for r in read(path).records] == [1, 2, 3, 4, 5]
    disk.room = 0
    log.write({"step": 6})
    log.close()
    said = capsys.readouterr().err
    assert said.count("takes no records") == 1
    assert "1 records could not be written" in said
    assert read(path).damaged == []
