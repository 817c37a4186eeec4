"""Progress in a log: few lines, each of which says something."""

import pytest

from ivcore.progress import Progress, clock, live, words


@pytest.fixture
def headless(monkeypatch):
    monkeypatch.setenv("IVCORE_HEADLESS", "1")


@pytest.fixture
def time(monkeypatch):
    """A clock that moves only when told: time[0] = seconds."""
    now = [0.0]
    monkeypatch.setattr("ivcore.progress.time.monotonic", lambda: now[0])
    return now


def test_a_short_run_prints_one_line(headless, time, capsys):
    with Progress(3, "train") as bar:
        for done in (1, 2, 3):
            bar.update(done, loss=0.25 * done)
    assert capsys.readouterr().out == "train: step 3/3 (100%)  loss 0.750  took 0:00\n"


def test_lines_get_rarer_as_a_run_gets_longer(headless, time, capsys):
    with Progress(10_000, "train", start=100) as bar:
        for second in range(1, 3601):
            time[0] = float(second)
            bar.update(100 + second)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "train: step 101/10000 (1%)"  # after a second: it moves
    assert 60 < len(printed) < 130  # an hour: 5 s apart at first, a minute apart in the end
    assert printed[-1].startswith("train: step 3700/10000 (37%)")


def test_the_last_state_is_shown_even_when_the_run_fails(headless, time, capsys):
    with pytest.raises(ZeroDivisionError), Progress(9, "train") as bar:
        bar.update(4, loss=1.0)
        raise ZeroDivisionError
    assert "step 4/9" in capsys.readouterr().out


def test_a_bar_where_somebody_watches(monkeypatch, capsys):
    monkeypatch.delenv("IVCORE_HEADLESS", raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert live()
    with Progress(4, "train", start=1) as bar:
        bar.update(4, loss=0.5)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "4/4" in shown.err
    assert "loss 0.500" in shown.err


def test_numbers_are_short():
    assert words({"loss": 0.51234, "lr": 1.234e-5, "clips_per_s": 312.4, "epoch": 3, "zero": 0.0}) == (
        "loss 0.512  lr 1.2e-05  clips_per_s 312  epoch 3  zero 0.000"
    )
    assert [clock(s) for s in (0, 61, 3725)] == ["0:00", "1:01", "1:02:05"]
