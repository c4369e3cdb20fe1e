"""What time counts as training."""

from sigma_bench.train import record


def test_what_is_left_out_does_not_count(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(record.time, "perf_counter", lambda: now[0])
    clock = record.Clock(0)
    now[0] = 3.0
    with clock.waiting():
        now[0] = 4.0
    with clock.stopped():
        now[0] = 100.0
    assert clock.lap(5) == (4.0, 1.0, 5)
    now[0] = 102.0
    assert clock.lap(6) == (2.0, 0.0, 1)
