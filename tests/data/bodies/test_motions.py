"""What the classes of bodies mean, read off many drawn motions. Nothing here needs the simulator."""

import numpy as np
import pytest

from ivcore.data.bodies import motions

SECONDS = np.arange(16) / 8
DRAWN = 40


def drawn(label: str, parts: int = 6) -> list[motions.Course]:
    return [motions.draw(label, parts, SECONDS, np.random.default_rng((7, number))) for number in range(DRAWN)]


def moving(course: motions.Course) -> np.ndarray:
    """(T, parts that swing), in order."""
    return course.swing[:, np.ptp(course.swing, axis=0) > 0]


def likeness(course: motions.Course, lag: float) -> np.ndarray:
    """Agreement of each part's sine with the next one's at this lag, 1 to -1 -> (parts - 1,)."""
    swing = moving(course)
    scaled = swing / np.linalg.norm(swing, axis=0)
    return (scaled[:, :-1] * scaled[:, 1:]).sum(0) * np.cos(lag)


@pytest.mark.parametrize("parts", [2, 3, 9])
def test_all_at_once_or_each_against_the_next(parts):
    for course in drawn("swings in step", parts):
        assert moving(course).shape[1] >= 2 and (likeness(course, 0) > 0.99).all()
    for course in drawn("swings in turns", parts):
        assert moving(course).shape[1] >= 2 and (likeness(course, np.pi) > 0.99).all()


def test_a_wave_is_neither():
    for course in drawn("sends a wave through its parts"):
        assert (np.abs(likeness(course, 0)) < 0.6).all()
        # Two parts on it has turned round.
        swing = moving(course)
        assert (swing[:, :-2] * swing[:, 2:]).sum() < 0


def test_one_part_twitches_and_rests_between():
    for course in drawn("twitches with one part"):
        swing = moving(course)
        assert swing.shape[1] == 1 and (np.abs(swing) < 0.05).mean() > 0.2 and np.abs(swing).max() > 0.4
    assert {int(np.ptp(course.swing, axis=0).argmax()) for course in drawn("twitches with one part")} == {0, 1, 2}


def test_swinging_bodies_do_not_travel():
    for label in motions.CLASSES[:4]:
        for course in drawn(label):
            assert np.ptp(course.place, axis=0).max() < 0.15 and np.ptp(course.turn) < 0.25 and not course.lift.any()
            assert course.tilt is None or np.ptp(course.tilt) == 0


def test_jumps_leave_the_ground_and_come_back():
    for course in drawn("jumps"):
        assert course.lift.max() > 0.2 and (course.lift == 0).any() and course.lift.min() == 0


def test_falling_ends_low_and_getting_up_ends_high():
    for course in drawn("falls over"):
        assert abs(course.tilt[0]) < 0.15 and abs(course.tilt[-1]) > 1.2
        assert (np.diff(np.abs(course.tilt)) >= 0).all()
    for fall, rise in zip(drawn("falls over"), drawn("gets up")):
        assert np.array_equal(fall.tilt, rise.tilt[::-1])


def test_left_and_right_are_those_of_the_picture():
    for direction, label in ((-1, "travels left"), (1, "travels right")):
        for course in drawn(label):
            across = course.place[:, 0] * direction
            assert (np.diff(across) >= 0).all() and across[-1] - across[0] > 0.6


def test_turning_goes_one_way():
    ways = [np.sign(np.diff(course.turn)) for course in drawn("turns around")]
    assert all(abs(way.sum()) == len(SECONDS) - 1 for way in ways) and {way[0] for way in ways} == {-1, 1}
    assert all(np.ptp(course.turn) > 2 for course in drawn("turns around"))


def test_a_bodys_place_does_not_tell_its_direction():
    """In the middle of a film all classes are about the middle of the picture, some tilted."""
    for label in motions.CLASSES:
        middles = np.array([course.place[8] for course in drawn(label)])
        assert np.abs(middles.mean(0)).max() < 0.15 and np.abs(middles).max() < 0.6
    tilted = [course.tilt is not None for label in motions.CLASSES[:6] for course in drawn(label)]
    assert 0.15 < np.mean(tilted) < 0.45


def test_the_same_seed_draws_the_same_motion():
    for one, other in zip(drawn("jumps"), drawn("jumps")):
        assert all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("swing", "place", "lift"))
