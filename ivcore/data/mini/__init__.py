"""Datasets of the paper in miniature: a few embedded videos, with annotation files named, placed and formatted as each dataset's release.

What the readers of `data.formats` accept, by example, and what a dataset's preset is tried on. The moving shapes play all parts, so class
names are the real ones and the pictures are not.
"""
# ruff: noqa: F401  (this file lists what the folder offers)

from ivcore.data.mini.datasets import DATASETS, Mini
from ivcore.data.mini.writing import listing, write
