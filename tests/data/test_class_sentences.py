"""What the captions of a generated set call its classes."""

from ivcore.data.captions import class_sentences
from ivcore.data.videos import video_splits


def test_captions_call_classes_by_their_commonest_short_sentences():
    train, _ = video_splits({"train": "", "val": ""}, train=60)
    ways = class_sentences.of_captions(train, "shapes", train=60)
    assert 1 < len(ways) <= class_sentences.MOST and {len(row) for row in ways} == {len(train.classes)}
    slides = [row[train.classes.index("slide left")] for row in ways]
    assert all(text.startswith("a ") and text.endswith(" slides to the left") for text in slides)
    falls = [row[train.classes.index("fall")] for row in ways]
    assert all(text.endswith(" falls") for text in falls)


def test_a_class_without_a_caption_keeps_its_name(tmp_path):
    train, _ = video_splits({"train": "", "val": ""}, train=60)
    some = [record for record in train.records if record.label != 2]
    ways = class_sentences.of_captions(type(train)(some, train.classes, "shapes"), "shapes", train=60)
    assert {row[2] for row in ways} == {train.classes[2]}
