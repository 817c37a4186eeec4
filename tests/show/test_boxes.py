"""Boxes on keyframes: every box that is given is drawn, and where there are several a number leads to its caption."""

import numpy as np

from ivcore.show.boxes import boxes_on_keyframes

LEFT, RIGHT = (0.1, 0.1, 0.4, 0.9), (0.6, 0.1, 0.9, 0.9)


def test_several_boxes_have_numbers_and_a_single_one_has_none():
    frames = [np.zeros((8, 8, 3), np.uint8)] * 2
    true = [[(LEFT, "shake"), (RIGHT, "rest")], [(LEFT, "rise")]]
    several, single, *rest = boxes_on_keyframes(frames, true, [[(LEFT, "rest 0.50")], []]).axes
    texts = [[text.get_text() for text in axis.texts] for axis in (several, single)]
    assert texts[0] == ["1", "2", "1 true: shake\n2 true: rest", "found: rest 0.50"]
    assert texts[1] == ["true: rise", ""]
    assert len(several.patches) == 2 * 3 and len(single.patches) == 2, "a dark line under each"
    assert not any(axis.images for axis in rest)
