"""The head that finds the seconds that answer a sentence: what is not there changes nothing, and it learns what words ask for."""

import itertools

import pytest
import torch

from ivcore.heads.span import SpanFinder, best_spans
from ivcore.losses.span import highlighted, span_loss


def batch(seed=0, rows=16, length=12):
    """The answer lies where the features are those that the word asks for."""
    generator = torch.Generator().manual_seed(seed)
    video = 0.1 * torch.randn(rows, length, 4, generator=generator)
    asked = torch.randint(2, (rows,), generator=generator)
    span = torch.zeros(rows, 2, dtype=torch.long)
    for row in range(rows):
        places = torch.randperm(length // 3, generator=generator)[:2] * 3
        for kind, place in enumerate(places.tolist()):
            video[row, place : place + 3, kind] += 2
            if kind == asked[row]:
                span[row] = torch.tensor([place, place + 2])
    words = torch.nn.functional.one_hot(asked, 2).float()[:, None]
    return {"video": video, "there": torch.ones(rows, length, dtype=torch.bool), "words": words,
            "said": torch.ones(rows, 1, dtype=torch.bool), "span": span}  # fmt: skip


def test_padding_changes_nothing():
    torch.manual_seed(0)
    model, given = SpanFinder(4, 2, width=16, heads=2, longest=20).eval(), batch()
    alone = model(given["video"], given["there"], given["words"], given["said"])
    longer = {name: torch.cat([given[name], torch.full_like(given[name][:, :1], value)], 1)
              for name, value in (("video", 9.0), ("there", False), ("words", 9.0), ("said", False))}  # fmt: skip
    for short, long in zip(alone, model(*longer.values())):
        torch.testing.assert_close(long[:, :-1], short)
        assert (long[:, -1] < -1000).all()


def test_it_learns_which_of_two_things_the_word_asks_for():
    torch.manual_seed(0)
    model = SpanFinder(4, 2, width=16, heads=2, dropout=0.0, longest=12)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for step in range(150):
        optimizer.zero_grad()
        loss, parts = span_loss(model, batch(step))
        loss.backward()
        optimizer.step()
    assert set(parts) == {"span_loss", "highlight_loss"}
    fresh = batch(1000, rows=64)
    spans, _ = best_spans(*model.eval()(fresh["video"], fresh["there"], fresh["words"], fresh["said"])[:2], 1)
    assert (spans[:, 0] == fresh["span"]).all(1).float().mean() > 0.9


def test_best_spans_are_those_of_all_pairs():
    torch.manual_seed(1)
    start, end = torch.randn(3, 5), torch.randn(3, 5)
    spans, chances = best_spans(start, end, 4)
    for row in range(3):
        of = {(i, j): float(start[row].softmax(0)[i] * end[row].softmax(0)[j]) for i, j in itertools.combinations_with_replacement(range(5), 2)}  # fmt: skip
        best = sorted(of, key=of.get, reverse=True)[:4]
        assert [tuple(pair) for pair in spans[row].tolist()] == best
        torch.testing.assert_close(chances[row], torch.tensor([of[pair] for pair in best]))
    assert len(best_spans(start, end, 100)[0][0]) == 15


@pytest.mark.parametrize("overlap", [0.2, 0.5])
def test_answers_that_overlap_a_better_one_come_last(overlap):
    torch.manual_seed(2)
    start, end = torch.randn(3, 6), torch.randn(3, 6)
    spans, chances = best_spans(start, end, 21, overlap)
    listed, _ = best_spans(start, end, 21)
    for mine, every in zip(spans.tolist(), listed.tolist()):
        kept = []
        for pair in every:
            if all(iou(pair, other) <= overlap for other in kept):
                kept.append(pair)
        assert mine[: len(kept)] == kept and sorted(mine) == sorted(every) and len(kept) < 21
    assert (chances > 0).all()


def iou(a, b):
    shared = max(0, min(a[1], b[1]) - max(a[0], b[0]) + 1)
    return shared / (a[1] - a[0] + b[1] - b[0] + 2 - shared)


def test_highlighted_moments_reach_a_tenth_beyond_the_answer():
    assert highlighted(torch.tensor([[2, 2], [3, 12]]), 16).tolist() == [
        [0, 0, 1] + [0] * 13, [0, 0] + [1] * 12 + [0, 0],
    ]  # fmt: skip


def test_the_loss_by_hand():
    class Fixed(torch.nn.Module):
        def forward(self, video, there, words, said):
            return torch.zeros(1, 4), torch.zeros(1, 4), torch.zeros(1, 4)

    given = {name: value[:1] for name, value in batch(length=12).items()} | {"span": torch.tensor([[1, 2]])}
    given["there"] = torch.ones(1, 4, dtype=torch.bool)
    loss, _ = span_loss(Fixed(), given)
    lit = torch.tensor(2.0).log() * (2 + 2 * 2) / 4  # two of four moments are the answer, and weigh twice
    torch.testing.assert_close(loss, 2 * torch.tensor(4.0).log() + 5 * lit)


def test_start_and_end_share_an_encoder_as_published():
    encoders = [name for name, _ in SpanFinder(4, 2, width=16, heads=2).named_children() if name.endswith("encoder")]
    assert encoders == ["encoder", "answer_encoder"]
