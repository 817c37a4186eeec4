"""Kinetics-710 as published: its 710 class names in the order of the published heads, and the names that changed between releases.

The first 400 rows are the classes of Kinetics-400 in their own (alphabetical) order under their latest names. The other 310 follow no
alphabet, so the head of a published checkpoint can only be read with this list (UniFormerV2, arXiv 2211.09552; paper 3.2).
"""

from importlib import resources

# older name -> name in Kinetics-710. By equal names alone these 14 would be counted twice.
RENAMED = {
    "balloon blowing": "inflating balloons",
    "changing wheel": "changing wheel (not on bike)",
    "cooking sausages": "cooking sausages (not on barbeque)",
    "drinking": "sipping cup",
    "dying hair": "dyeing hair",
    "garbage collecting": "person collecting garbage",
    "hugging": "hugging (not baby)",
    "making bed": "making the bed",
    "opening bottle": "opening bottle (not wine)",
    "picking fruit": "picking apples",
    "skiing (not slalom or crosscountry)": "skiing mono",
    "sniffing": "smelling feet",
    "throwing ball (not baseball or American football)": "throwing ball",
    "tying tie": "tying necktie",
}

CLASSES = tuple(resources.files(__package__).joinpath("kinetics710.txt").read_text(encoding="utf-8").splitlines())
