"""Top-5 mAP of anticipated interactions: by hand, and against a second program written from the definition, prediction by prediction."""

import numpy as np
import pytest

from ivcore.errors import ParameterError
from ivcore.metrics.anticipation import Interactions, top5_map

HERE, THERE = [0, 0, 9, 9], [50, 50, 59, 59]


def things(*rows, score=None):
    box, noun, verb, seconds = zip(*rows) if rows else ([], [], [], [])
    return Interactions(np.reshape(box, (-1, 4)).astype(float), np.array(noun, int), np.array(verb, int), np.array(seconds, float),
                        None if score is None else np.array(score, float))  # fmt: skip


def test_each_variant_asks_for_more():
    truth = [things((HERE, 1, 1, 1.0))]
    for row, right in (((HERE, 1, 1, 1.25), (1, 1, 1, 1)), ((HERE, 1, 2, 1.0), (1, 0, 1, 0)), ((HERE, 1, 1, 1.26), (1, 1, 0, 0)),
                       ((HERE, 2, 1, 1.0), (0, 0, 0, 0)), ((THERE, 1, 1, 1.0), (0, 0, 0, 0))):  # fmt: skip
        assert tuple(top5_map(truth, [things(row, score=[0.5])]).values()) == right


def test_an_iou_of_one_half_is_not_enough_and_corners_are_pixels():
    truth = [things((HERE, 1, 1, 1.0))]
    assert top5_map(truth, [things(([0, 0, 9, 4], 1, 1, 1.0), score=[1])])["noun"] == 0  # 50 of 100 pixels
    assert top5_map(truth, [things(([0, 0, 9, 5], 1, 1, 1.0), score=[1])])["noun"] == 1


def test_the_four_best_wrong_ones_of_a_picture_do_not_count():
    truth = [things((HERE, 1, 1, 1.0))]
    wrong = [(THERE, 1, 1, 1.0)] * 5
    four = things(*wrong[:4], (HERE, 1, 1, 1.0), score=[5, 4, 3, 2, 1])
    five = things(*wrong, (HERE, 1, 1, 1.0), score=[6, 5, 4, 3, 2, 1])
    assert top5_map(truth, [four])["noun"] == 1
    assert top5_map(truth, [five])["noun"] == 0.5
    assert top5_map(truth, [five], k=1)["noun"] == pytest.approx(1 / 6)
    assert top5_map(truth * 2, [five, things(score=[])])["noun"] == 0.25  # the second is missed


def plainly(truth, found, column, k=5):
    """One variant, with lists and loops."""
    rows = []
    for real, each in zip(truth, found):
        taken, spare = set(), (k - 1) * len(real)
        for p in sorted(range(len(each)), key=lambda n: -each.score[n]):
            best, place = -1.0, None
            for g in range(len(real)):
                (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = each.box[p], real.box[g]
                wide, high = min(ax2, bx2) - max(ax1, bx1) + 1, min(ay2, by2) - max(ay1, by1) + 1
                shared = max(wide, 0) * max(high, 0)
                area = (ax2 - ax1 + 1) * (ay2 - ay1 + 1) + (bx2 - bx1 + 1) * (by2 - by1 + 1)
                fits = shared / (area - shared) > 0.5 and each.noun[p] == real.noun[g] and g not in taken
                fits = fits and (column in (0, 2) or each.verb[p] == real.verb[g])
                fits = fits and (column in (0, 1) or abs(each.seconds[p] - real.seconds[g]) <= 0.25)
                if fits and shared / (area - shared) > best:
                    best, place = shared / (area - shared), g
            if place is not None:
                taken.add(place)
                rows.append((each.score[p], each.noun[p], 1))
            elif spare > 0:
                spare -= 1
            else:
                rows.append((each.score[p], each.noun[p], 0))
    means = []
    for noun in sorted({int(n) for real in truth for n in real.noun}):
        mine = [right for _, n, right in sorted(rows, key=lambda row: -row[0]) if n == noun]
        count = sum(int((real.noun == noun).sum()) for real in truth)
        area = 0.0
        for place, right in enumerate(mine):
            if right:
                area += max(sum(mine[: j + 1]) / (j + 1) for j in range(place, len(mine))) / count
        means.append(area)
    return sum(means) / len(means)


@pytest.mark.parametrize("seed", range(5))
def test_against_a_second_program(seed):
    rng = np.random.default_rng(seed)

    def some(count, near=None):
        rows = []
        for _ in range(count):
            x, y = rng.uniform(0, 40, 2)
            row = (
                [x, y, x + rng.uniform(5, 20), y + rng.uniform(5, 20)],
                rng.integers(3),
                rng.integers(2),
                rng.uniform(0, 1),
            )
            if near is not None and len(near) and rng.random() < 0.6:
                g = rng.integers(len(near))
                row = (near.box[g] + rng.normal(0, 1, 4), near.noun[g], *row[2:])
            rows.append(row)
        return rows

    truth = [things(*some(rng.integers(1, 4))) for _ in range(12)]
    counts = [rng.integers(0, 25) for _ in truth]
    found = [things(*some(n, real), score=rng.permutation(n)) for n, real in zip(counts, truth)]
    scores = top5_map(truth, found)
    for column, name in enumerate(scores):
        assert scores[name] == pytest.approx(plainly(truth, found, column)), name
    assert scores["noun"] > scores["noun_verb_ttc"] > 0


def test_missing_truth_is_refused():
    with pytest.raises(ParameterError, match="expected one or more"):
        top5_map([things()], [things(score=[])])
