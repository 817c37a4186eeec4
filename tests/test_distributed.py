"""Two processes over gloo against one: losses, gradients and whole training runs."""

import json

import pytest
import small_video_text as small
import torch
import two_ranks

from ivcore.data.microbatch import size
from ivcore.errors import ParameterError
from ivcore.train import Batches, InMemory


@pytest.fixture(scope="module")
def both(ranks, tmp_path_factory):
    """The results of two ranks, and of one process on the joined batch."""
    folder = tmp_path_factory.mktemp("two")
    printed = ranks("two_ranks.py", folder)
    found = [torch.load(folder / f"rank-{rank}.pt", weights_only=False) for rank in (0, 1)]
    found[0]["printed"] = printed
    return *found, two_ranks.everything(tmp_path_factory.mktemp("one"), 0, 1), folder


@pytest.mark.parametrize("name", list(two_ranks.LOSSES))
def test_loss_and_all_gradients_are_those_of_the_joined_batch(both, name):
    *found, alone, _ = both
    for rank in found:
        assert abs(rank[name][0] - alone[name][0]) < 1e-9
        assert small.difference(rank[name][1], alone[name][1]) < 1e-6
    assert len(alone[name][1]) > 50 and "logit_scale" in alone[name][1]


@pytest.mark.parametrize("chunk", [None, 3])
@pytest.mark.parametrize("same", [False, True])
def test_gradients_of_embeddings_come_back_to_their_rank(both, chunk, same):
    first, second, alone, _ = both
    first, second, alone = (each[f"{chunk} {same}"] for each in (first, second, alone))
    for name in ("loss", "scale", "hits"):
        assert torch.allclose(first[name].double(), alone[name].double(), rtol=1e-9)
    for name in ("videos", "texts"):
        assert torch.allclose(torch.cat((first[name], second[name])), alone[name], rtol=1e-9)


def test_three_steps_of_two_ranks_are_three_steps_of_one_process(both):
    first, second, alone, _ = both
    for name in ("training", "accumulated"):
        weights = [each[name][0] if name == "training" else each[name] for each in (first, second, alone)]
        assert small.difference(weights[0], weights[2]) < 1e-6
        assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    before = small.model().state_dict()
    assert small.difference(first["training"][0], before) > 1e-2  # it moved
    for ours, theirs in zip(first["training"][1], alone["training"][1], strict=True):
        timing = ("seconds", "clips_per_s", "data_wait")
        assert {k: v for k, v in ours.items() if k not in timing} == pytest.approx(
            {k: v for k, v in theirs.items() if k not in timing}, rel=1e-6
        )


def test_rank_0_alone_writes_and_speaks(both):
    first, _, _, folder = both
    assert [p for p in first["written"] if "tmp" in p] == []
    for run in ("training", "whole"):
        steps = [json.loads(line)["step"] for line in (folder / run / "train.jsonl").read_text().splitlines()]
        assert steps == list(range(1, steps[-1] + 1))
    assert first["printed"].count("step 6/6 (100%)") == 2  # of the whole run and of the resumed one


def test_a_crashed_run_continues_bit_for_bit_on_every_rank(both):
    first, second, _, _ = both
    assert first["resumed_from"] == second["resumed_from"] == 4
    for rank in (first, second):
        assert all(torch.equal(rank["whole"][k], rank["resumed"][k]) for k in rank["whole"])
    assert not torch.equal(first["generators"], second["generators"])  # dropout differs between ranks


def test_what_is_not_finite_on_one_rank_stops_all_and_names_all_files(both):
    first, second, _, folder = both
    assert first["nan"] == second["nan"]
    assert first["nan"].startswith("step 0: the loss is nan")
    facts = json.loads((folder / "nan" / "nan_batch.json").read_text())
    assert facts["paths"] == [f"{i}.mp4" for i in range(two_ranks.JOINED)]
    assert facts["indices"] == list(range(two_ranks.JOINED))


def test_shares_make_up_the_batch():
    whole = Batches(InMemory(x=torch.arange(26)), 6, seed=4)
    parts = [whole.share(rank, 3) for rank in range(3)]
    for step in range(9):
        joined = torch.cat([part.fetch(step)["x"] for part in parts])
        assert torch.equal(joined, whole.fetch(step)["x"])
        assert torch.equal(joined, torch.from_numpy(whole.indices(step)))
    assert parts[1].identity() == whole.identity() and len(parts[1]) == len(whole)
    with pytest.raises(ParameterError, match="batch_size=6: must divide, to be shared by 4 ranks"):
        whole.share(0, 4)
    with pytest.raises(ParameterError, match="the last batch has 2"):
        Batches(InMemory(x=torch.arange(26)), 6, drop_last=False).share(0, 2)


@pytest.mark.parametrize("form", [dict, tuple, list])
def test_the_clips_of_a_batch_are_counted_whatever_its_form(form):
    x = torch.zeros(5, 2)
    assert size({"x": x, "y": x} if form is dict else form((x, x))) == 5
    assert size(x) == 5
