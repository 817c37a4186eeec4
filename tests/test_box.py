"""The models that this checkout ships: their size, their card, and that its scores come out again."""

import json
from pathlib import Path

import pytest

from ivcore.weights import box

SHIPPED = Path(__file__).parents[1] / "ivcore" / "box"
CARD = SHIPPED / box.CARD

pytestmark = pytest.mark.skipif(not CARD.is_file(), reason=box.NONE)


@pytest.fixture(autouse=True)
def shipped(monkeypatch):
    monkeypatch.setenv("IVCORE_BOX", str(SHIPPED))


def scored() -> list[tuple[str, str]]:
    """(model, clips) of each score on the card."""
    of = json.loads(CARD.read_text(encoding="utf-8"))["scores"]["of"] if CARD.is_file() else {}
    return [(name, clips) for name, some in of.items() for clips in some]


def test_the_box_is_whole_and_small():
    card = box.card()
    assert box.names() == list(card["models"]) == [f"{box.OWNER}{name}" for name in box.MODELS.values()]
    for name, of in card["models"].items():
        assert box.digest(box.place(name)) == of["sha256"], "pack the box anew: make box"
    assert sum(file.stat().st_size for file in box.folder().iterdir()) <= box.MOST_BYTES + 10**6


@pytest.mark.parametrize(("name", "clips"), scored())
def test_the_scores_on_the_card_come_out_again(name, clips):
    from ivcore.stages import box_scores

    if why := box_scores.lacking(clips):
        pytest.skip(why)
    card = box.card()["scores"]
    assert card["sets"][clips] == dict(zip(("train", "test"), box_scores.SETS[clips])), "pack the box anew: make box"
    assert box_scores.measure(name, clips) == pytest.approx(card["of"][name][clips], abs=card["tolerance"])


def test_the_card_names_no_setting_that_the_training_did_not_read():
    crops = [of["params"] for of in box.card()["models"].values() if of["params"].get("augmentation") == "crop"]
    assert crops and not [params for params in crops if "random_erasing" in params]
