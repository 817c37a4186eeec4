"""COCO's average precision against pycocotools, and by hand."""

import contextlib
import io

import numpy as np
import pytest

from ivcore.errors import ParameterError
from ivcore.metrics.coco_ap import coco_ap
from ivcore.metrics.frame_map import Boxes

pycocotools = pytest.importorskip("pycocotools")


def theirs(truth: Boxes, found: Boxes) -> list[float]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    frames = sorted({*truth.frame, *found.frame})
    corners = lambda b: [b[0], b[1], b[2] - b[0], b[3] - b[1]]  # noqa: E731
    rows = [{"image_id": frames.index(f), "category_id": int(n), "bbox": corners(b.tolist())}
            for f, b, n in zip(truth.frame, truth.box, truth.label)]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {}, "images": [{"id": n} for n in range(len(frames))],
            "categories": [{"id": int(n), "name": str(n)} for n in np.unique(truth.label)],
            "annotations": [row | {"id": n + 1, "iscrowd": 0, "area": row["bbox"][2] * row["bbox"][3]} for n, row in enumerate(rows)],
        }  # fmt: skip
        coco.createIndex()
        given = [{"image_id": frames.index(f), "category_id": int(n), "bbox": corners(b.tolist()), "score": float(s)}
                 for f, b, n, s in zip(found.frame, found.box, found.label, found.score)]  # fmt: skip
        evaluation = COCOeval(coco, coco.loadRes(given), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[:3].tolist()


def boxes(rng, count, frames, classes, near=None, score=False):
    """Random ones; near: a part of them beside these."""
    corner = rng.uniform(0, 60, (count, 2))
    box = np.concatenate([corner, corner + rng.uniform(8, 40, (count, 2))], 1)
    frame, label = rng.integers(frames, size=count), rng.integers(1, classes + 1, count)
    if near is not None:
        rows = rng.integers(len(near), size=count)
        close = rng.random(count) < 0.7
        box = np.where(close[:, None], near.box[rows] + rng.normal(0, 2.5, (count, 4)), box)
        box[:, 2:] = np.maximum(box[:, 2:], box[:, :2] + 1)
        frame = np.where(close, near.frame[rows].astype(int), frame)
        label = np.where(close & (rng.random(count) < 0.8), near.label[rows], label)
    return Boxes(frame.astype(str), box, label, rng.random(count) if score else None)


@pytest.mark.parametrize("seed", range(6))
def test_against_pycocotools(seed):
    rng = np.random.default_rng(seed)
    truth = boxes(rng, 40, 12, 3)
    found = boxes(rng, 160, 12, 4, near=truth, score=True)
    known = found.take(np.isin(found.label, truth.label))
    np.testing.assert_allclose(list(coco_ap(truth, found).values()), theirs(truth, known), atol=1e-12)


def test_more_than_a_hundred_boxes_a_picture():
    rng = np.random.default_rng(9)
    truth = boxes(rng, 6, 1, 1)
    found = boxes(rng, 250, 1, 1, near=truth, score=True)
    np.testing.assert_allclose(list(coco_ap(truth, found).values()), theirs(truth, found), atol=1e-12)


def test_by_hand():
    truth = Boxes(["a", "b"], [[0, 0, 10, 10]] * 2, [1, 1])
    found = Boxes(["a", "b", "b"], [[0, 0, 10, 10], [20, 20, 30, 30], [0, 0, 10, 6]], [1] * 3, [0.9, 0.8, 0.7])
    scores = coco_ap(truth, found)  # at 0.5 to 0.6 the third has an IoU of 0.6: precision 1 up to recall 1/2, then 2/3
    both, one = (51 + 50 * 2 / 3) / 101, 51 / 101
    assert scores["ap50"] == pytest.approx(both) and scores["ap75"] == pytest.approx(one)
    assert scores["ap"] == pytest.approx((3 * both + 7 * one) / 10)
    with pytest.raises(ParameterError, match="at least one box"):
        coco_ap(truth.take(slice(0, 0)), found)
