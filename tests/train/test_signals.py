"""Signals become a wish to stop, and the handlers of before come back."""

import os
import signal
import threading

import pytest

from sigma_bench.train.signals import Noticed, ends_at_once, wish_to_stop


@pytest.fixture(autouse=True)
def _as_on_a_terminal():
    """A shell that starts jobs in the background has them ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_notice_is_a_wish(number, capsys):
    before = signal.getsignal(number)
    with wish_to_stop() as wish:
        assert not wish
        os.kill(os.getpid(), number)
        assert wish
        assert wish.signal == signal.Signals(number).name
    assert signal.getsignal(number) is before
    assert capsys.readouterr().err.startswith(f"{wish.signal}: ending after this step, with a checkpoint")


def test_the_second_ctrl_c_interrupts_at_once(capsys):
    with wish_to_stop() as wish:
        os.kill(os.getpid(), signal.SIGINT)
        assert wish.signal == "SIGINT"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert capsys.readouterr().err.count("\n") == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_notice_after_a_notice_changes_nothing(capsys):
    with wish_to_stop() as wish:
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)
        assert wish.signal == "SIGUSR1"
    assert capsys.readouterr().err.count("\n") == 1


def test_handlers_come_back_after_an_error():
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)}
    with pytest.raises(ValueError, match="x"), wish_to_stop():
        raise ValueError("x")
    assert before == {n: signal.getsignal(n) for n in before}


def test_another_thread_may_train_too():
    found = []

    def work():
        with wish_to_stop() as wish:
            found.append(bool(wish))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_work_with_nothing_to_save_ends_at_once(number):
    before = signal.getsignal(number)
    with pytest.raises(Noticed, match=number.name), ends_at_once():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_notice_does_not_disturb_the_clearing_up():
    done = []

    def work():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("went on")
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("cleared")

    with pytest.raises(Noticed), ends_at_once():
        work()
    assert done == ["cleared"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_wish_around_such_work_is_heard(number, capsys):
    with wish_to_stop() as wish:
        with pytest.raises(Noticed), ends_at_once():
            os.kill(os.getpid(), number)
        assert wish.signal == number.name
        os.kill(os.getpid(), signal.SIGTERM)  # the wish again, no exception
    assert capsys.readouterr().err.count("\n") == 1


def test_steps_inside_such_work_are_ended_by_the_wish_alone():
    with ends_at_once():
        with wish_to_stop() as wish:
            os.kill(os.getpid(), signal.SIGTERM)
            assert wish
        with pytest.raises(Noticed):
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_fault_is_not_what_it_counts_as():
    """Who goes on after any exception of a part would go on after a notice too."""
    assert not issubclass(Noticed, Exception)


def test_work_in_another_thread_goes_on():
    found = []

    def work():
        with ends_at_once():
            found.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == ["done"]
