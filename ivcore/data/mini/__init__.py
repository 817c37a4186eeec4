"""Miniatures of the paper's datasets: a few generated videos, with annotation files named, placed and formatted as in each dataset's release.

They are examples of the files that `data.formats` reads, and test the datasets' presets. All videos are moving shapes: the class names are
real, the pictures are not.
"""
# ruff: noqa: F401  (this file lists what the folder offers)

from ivcore.data.mini.datasets import DATASETS, Mini
from ivcore.data.mini.writing import listing, write
