"""Paths of hands: what is not known is not drawn, and each line is named once."""

import numpy as np

from ivcore.show.hand_trajectories import hand_paths


def test_only_moments_whose_truth_is_known_are_drawn():
    true = np.full((5, 2, 2), np.nan)
    true[:, 1], true[4, 1] = [0.2, 0.4], np.nan
    found = np.full((5, 2, 2), 0.5)
    figure = hand_paths([np.zeros((8, 8, 3), np.uint8)], [true], [found], columns=1)
    whole = [line.get_xdata() for line in figure.axes[0].lines if len(line.get_xdata()) == 5]
    assert [np.isnan(x).tolist() for x in whole] == [[False] * 4 + [True]] * 2
    assert [x[0] for x in whole] == [0.2, 0.5]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["right, true", "right, predicted"]
