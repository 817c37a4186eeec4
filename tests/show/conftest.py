"""Figures are drawn without a window, in the style of the notebooks, and closed after each test."""

import matplotlib
import pytest

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def closed():
    from matplotlib import pyplot

    from ivcore.show import style

    style.apply()
    yield
    pyplot.close("all")
