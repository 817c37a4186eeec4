"""Retrieval against the published numbers, and the fair rule against drawing the order of ties many times."""

from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore.errors import ParameterError
from ivcore.metrics.retrieval import chance, dual_softmax, order_accuracy, retrieval, text_to_video, video_to_text

CASES = ("square", "square_large_scale", "square_with_exact_ties", "multi_sentence_0", "multi_sentence_1")
NAMES = {"R1": "r1", "R5": "r5", "R10": "r10", "MedianR": "median_rank", "MeanR": "mean_rank"}


@pytest.fixture(params=CASES)
def case(request, golden):
    found = {case["name"]: case for case in golden("retrieval_metrics.json")["cases"]}[request.param]
    similarity = torch.tensor(found["sim"], dtype=torch.float64).T
    counts = torch.tensor(found.get("sentences_per_video", [1] * len(similarity)))
    return similarity, torch.arange(len(counts)).repeat_interleave(counts), found["expected"]


def expected(numbers, prefix):
    shares = ("R1", "R5", "R10")
    return {f"{prefix}_{ours}": numbers[theirs] / (100 if theirs in shares else 1) for theirs, ours in NAMES.items()}


@pytest.mark.parametrize("dual", [False, True])
def test_the_published_rule_gives_the_published_numbers(case, dual):
    similarity, owner, published = case
    kind = "dsl_" if dual else ""
    numbers = expected(published[f"{kind}tv_metrics"], "t2v") | expected(published[f"{kind}vt_metrics"], "v2t")
    got = retrieval(similarity, owner, rule="published", dual=dual)
    assert got == pytest.approx(numbers, rel=1e-6)  # text to video of several sentences is float32


def test_ranks_are_the_published_ones_one_by_one(case):
    similarity, owner, published = case
    several = len(owner) > len(similarity)
    texts, clips = text_to_video(similarity, owner), video_to_text(similarity, owner)
    assert (clips.published - 1).tolist() == published["vt_metrics"]["cols"]
    if several:
        spread = published["tv_metrics"]["Std_Rank"]
        assert texts.in_order.double().std(correction=0).item() == pytest.approx(spread, rel=1e-6)
    else:
        assert (texts.published - 1).tolist() == published["tv_metrics"]["cols"]


def test_dual_softmax_is_the_published_matrix(case):
    similarity, owner, published = case
    if "dsl_matrix_text_to_video" not in published:
        return
    for_texts, for_clips = dual_softmax(similarity)
    assert torch.allclose(for_texts.T, matrix(published["dsl_matrix_text_to_video"]))
    if len(owner) == len(similarity):
        assert torch.allclose(for_clips, matrix(published["dsl_matrix_video_to_text"]))


def matrix(numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def test_dual_softmax_mends_a_clip_that_answers_every_query():
    texts_by_clips = torch.tensor([[90.0, 80.0], [95.0, 10.0]])
    assert texts_by_clips.argmax(1).tolist() == [0, 0]
    for_texts, _ = dual_softmax(texts_by_clips.T)
    assert for_texts.T.argmax(1).tolist() == [1, 0]
    assert torch.allclose(for_texts.T, torch.tensor([[0.6024, 80], [94.364, 0]]), atol=1e-3)


def test_rules_agree_without_ties_and_with_one_sentence_a_clip():
    similarity = torch.randn(15, 15, generator=torch.Generator().manual_seed(0))
    assert retrieval(similarity) == pytest.approx(retrieval(similarity, rule="published"))


def test_a_perfect_matrix_and_one_that_is_always_wrong():
    perfect = retrieval(torch.eye(20))
    assert {perfect[key] for key in ("t2v_r1", "v2t_r1", "t2v_mean_rank", "v2t_median_rank")} == {1.0}
    wrong = retrieval(torch.eye(20).roll(1, 0) - torch.eye(20))
    assert wrong["t2v_r1"] == wrong["v2t_r1"] == 0 and wrong["t2v_mean_rank"] == 20


def test_scores_that_are_all_equal_give_chance_and_the_published_rule_does_not_count_queries():
    fair, published = (retrieval(torch.ones(50, 50), rule=rule) for rule in ("fair", "published"))
    for k in (1, 5, 10):
        assert fair[f"t2v_r{k}"] == fair[f"v2t_r{k}"] == pytest.approx(chance(50, k))
    assert fair["t2v_median_rank"] == fair["t2v_mean_rank"] == 25.5
    assert len(text_to_video(torch.ones(5, 5)).published) == 25
    half = torch.ones(10, 10) + torch.diag(torch.tensor([1.0] * 5 + [0.0] * 5))
    assert retrieval(half)["t2v_r1"] == pytest.approx(0.5 + 0.5 * 0.1)
    assert published["t2v_r1"] == pytest.approx(0.02)
    assert retrieval(half, rule="published")["t2v_r1"] == pytest.approx(10 / 55)


def test_the_published_rule_counts_a_sentence_once_where_a_clip_has_several():
    """Two sorts, as that code ranks: of three clips that score the same the first is first, and each of the four sentences counts once."""
    similarity, owner = torch.ones(3, 4), torch.tensor([0, 0, 1, 2])
    order = similarity.T.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    ranks = text_to_video(similarity, owner).in_order
    assert ranks.tolist() == (1 + order.gather(1, owner[:, None])[:, 0]).tolist() == [1, 1, 2, 3]
    got = retrieval(similarity, owner, rule="published")
    assert (got["t2v_r1"], got["t2v_mean_rank"], got["t2v_median_rank"]) == (0.5, 1.75, 1.0)
    assert got["v2t_r1"] == pytest.approx(1 / 3)  # of clips every tie counts there, too
    lowest = similarity.clone()
    lowest[0, 2] = 2.0
    assert text_to_video(lowest, owner).in_order.tolist() == [1, 1, 2, 3]


def test_one_clip_is_always_found():
    assert retrieval(torch.zeros(1, 3), torch.zeros(3, dtype=torch.long))["v2t_r1"] == 1 == chance(1, 5)


def over_all_orders(similarity, owner):
    """The rank of every query in every order in which equal scores may fall: (orders, texts)."""
    ranks = []
    for order in map(torch.tensor, permutations(range(len(similarity)))):
        place = torch.argsort(similarity[order], dim=0, descending=True, stable=True)
        ranks.append((order[place] == owner).int().argmax(0) + 1)
    return torch.stack(ranks).double()


@settings(max_examples=15)
@given(st.integers(2, 5), st.integers(1, 3), st.integers(0, 10**6))
def test_the_fair_rule_is_the_mean_over_orders_of_equal_scores(clips, several, seed):
    generator = torch.Generator().manual_seed(seed)
    owner = torch.arange(clips).repeat(several)
    similarity = torch.randint(0, 3, (clips, len(owner)), generator=generator).float()
    orders, ranks = over_all_orders(similarity, owner), text_to_video(similarity, owner)
    for k in (1, 2, 5):
        assert ranks.recall(k) == pytest.approx((orders <= k).double().mean().item())
    assert torch.allclose(ranks.expected, orders.mean(0))


@settings(max_examples=25)
@given(st.integers(2, 9), st.integers(1, 4), st.integers(0, 10**6))
def test_the_order_of_clips_and_sentences_does_not_matter(clips, several, seed):
    generator = torch.Generator().manual_seed(seed)
    owner = torch.arange(clips).repeat(several)
    similarity = torch.randint(0, 5, (clips, len(owner)), generator=generator).float()
    rows, columns = (torch.randperm(n, generator=generator) for n in similarity.shape)
    moved = retrieval(similarity[rows][:, columns], rows.argsort()[owner[columns]])
    assert moved == pytest.approx(retrieval(similarity, owner))


def test_more_sentences_than_clips_may_stand_in_any_order():
    similarity = torch.tensor([[0.0, 9, 1], [5, 2, 3]])
    assert retrieval(similarity, torch.tensor([1, 0, 1]))["t2v_r1"] == 1
    assert video_to_text(similarity, torch.tensor([1, 0, 1])).above.tolist() == [0, 0]


def test_the_published_median_of_several_sentences_is_the_lower_of_the_middle_two():
    similarity = torch.tensor([[9.0, 1, 1, 9], [0, 5, 5, 0]])
    owner = torch.tensor([0, 0, 1, 1])
    assert retrieval(similarity, owner)["t2v_median_rank"] == 1.5
    assert retrieval(similarity, owner, rule="published")["t2v_median_rank"] == 1


def test_order_accuracy_counts_ties_half():
    own, other = torch.tensor([1.0, 0, 2, 3]), torch.tensor([0.0, 1, 2, 1])
    assert order_accuracy(own, other) == 0.625
    with pytest.raises(ParameterError, match=r"own \(4,\) and reversed \(3,\)"):
        order_accuracy(own, other[:3])


@pytest.mark.parametrize(
    "similarity, owner, said",
    [
        (torch.ones(3, 4), None, "owner is needed"),
        (torch.ones(3), None, r"expected \(clips, texts\)"),
        (torch.ones(2, 3), torch.tensor([0, 1]), "one clip for each of 3 texts"),
        (torch.ones(2, 3), torch.tensor([0, 1, 2]), "0 to 2 do not fit 2 clips"),
        (torch.ones(3, 3), torch.tensor([0, 0, 2]), "clip 1 has no sentence"),
        (torch.full((2, 2), torch.nan), None, "4 of its scores are not numbers"),
    ],
)
def test_what_does_not_fit_is_said(similarity, owner, said):
    with pytest.raises(ParameterError, match=said):
        retrieval(similarity, owner)


def test_an_unknown_rule_is_named():
    with pytest.raises(ParameterError, match="'worst' is not one of fair, published"):
        retrieval(torch.eye(2), rule="worst")
