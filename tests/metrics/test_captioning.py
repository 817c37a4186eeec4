"""Caption scores against COCO's caption evaluation, and what each of them must and must not reward."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore.errors import ParameterError
from ivcore.metrics.captioning import captioning, cider, cider_of_each, rouge_l, words

REFERENCES = [
    ["a red square slides left", "here a red square slides left"],
    ["a blue circle turns"],
    ["a green ring grows", "we see how a green ring grows"],
]
FIRST = [each[0] for each in REFERENCES]
SENTENCE = st.lists(
    st.sampled_from(["a", "red", "blue", "square", "ring", "slides", "turns", "left", "right"]), max_size=9
)


def test_scores_equal_those_of_cocos_evaluation(golden):
    coco = golden("caption_scores.json")
    got = captioning(coco["generated"], coco["references"])
    assert [got[f"bleu{n}"] for n in range(1, 5)] == pytest.approx(coco["bleu"], abs=1e-8)
    assert got["rouge_l"] == pytest.approx(coco["rouge_l"], abs=1e-9)
    assert got["cider"] == pytest.approx(coco["cider"], abs=1e-9)
    assert got["exact_match"] == 2 / 8


def test_each_clip_scores_as_in_cocos_evaluation(golden):
    coco = golden("caption_scores.json")
    said, meant = [words(t) for t in coco["generated"]], [[words(t) for t in r] for r in coco["references"]]
    assert cider(said, meant, meant) == pytest.approx(coco["cider_each"], abs=1e-9)
    assert [rouge_l(*pair) for pair in zip(said, meant)] == pytest.approx(coco["rouge_l_each"], abs=1e-9)


def test_words_are_lower_case_without_punctuation():
    assert words("A red, striped square – don't turn it counter-clockwise!") == [
        "a", "red", "striped", "square", "don't", "turn", "it", "counter-clockwise",
    ]  # fmt: skip
    assert words(" ... ") == []


def test_a_reference_word_for_word_is_the_best_answer():
    perfect = captioning(FIRST, [[text] for text in FIRST])
    assert perfect["exact_match"] == perfect["rouge_l"] == perfect["bleu3"] == 1
    assert perfect["cider"] == pytest.approx(10 * (1 + 1 + 1 + 1) / 4)
    loud = captioning(["A RED square slides left!", *FIRST[1:]], REFERENCES)
    assert loud == captioning(FIRST, REFERENCES)


def test_the_wrong_direction_costs_little_overlap_but_never_matches():
    scores = captioning(["a red square slides right", *FIRST[1:]], REFERENCES)
    assert scores["exact_match"] == pytest.approx(2 / 3)
    assert 0.8 < scores["bleu1"] < 1


def test_repeating_a_word_and_saying_more_does_not_pay():
    plain, repeated, longer = (
        captioning([text, *FIRST[1:]], REFERENCES)
        for text in (FIRST[0], "red red red red red", FIRST[0] + " and left and left and left and left")
    )
    for key in ("bleu1", "rouge_l", "cider"):
        assert repeated[key] < plain[key] and longer[key] < plain[key]


def test_a_word_counts_as_often_as_one_reference_has_it_not_all_of_them_together():
    assert captioning(["ring ring"], [["a ring", "the ring"]])["bleu1"] == 0.5


def test_a_constant_caption_gets_less_than_half_the_cider():
    same = captioning([FIRST[0]] * 3, REFERENCES)
    assert same["exact_match"] == pytest.approx(1 / 3)
    assert same["cider"] < 0.5 * captioning(FIRST, REFERENCES)["cider"]


def test_how_common_a_phrase_is_may_be_counted_elsewhere():
    alone = captioning(FIRST[:1], REFERENCES[:1])
    assert alone["cider"] == 0  # every phrase occurs with every clip of this corpus
    assert captioning(FIRST[:1], REFERENCES[:1], corpus=REFERENCES)["cider"] > 5


def test_silence_scores_nothing():
    assert set(captioning(["", "", ""], REFERENCES).values()) == {0.0}


@settings(max_examples=60)
@given(st.lists(st.tuples(SENTENCE, st.lists(SENTENCE, min_size=1, max_size=3)), min_size=1, max_size=6))
def test_scores_stay_in_their_range_and_know_no_order(pairs):
    generated = [" ".join(said) for said, _ in pairs]
    references = [[" ".join(each) for each in meant] for _, meant in pairs]
    scores = captioning(generated, references)
    assert all(-1e-9 <= scores[key] <= (10 if key == "cider" else 1) + 1e-9 for key in scores)
    turned = captioning(generated[::-1], [each[::-1] for each in references[::-1]])
    assert turned == pytest.approx(scores)


@pytest.mark.parametrize(
    "generated, references, said",
    [
        ([], [], "0 generated for 0 clips"),
        (["a"], [["a"], ["b"]], "1 generated for 2 clips"),
        (["a"], [[]], "clip 0 needs a list"),
        (["a"], ["a"], "clip 0 needs a list"),
    ],
)
def test_what_does_not_fit_is_said(generated, references, said):
    with pytest.raises(ParameterError, match=said):
        captioning(generated, references)


def test_a_sentence_for_every_clip_is_worth_what_it_has_when_written_about_each():
    references = [
        ["a red square slides left", "a square slides"],
        ["a blue ring falls"],
        ["two rings fall", "a ring falls", "rings"],
    ]
    sentences = ["a ring falls", "a red red square slides left", "nothing of it", ""]
    each = cider_of_each(sentences, references)
    assert each == pytest.approx([captioning([text] * 3, references)["cider"] for text in sentences])
    assert each[0] > each[2] == each[3] == 0
