"""Every engine, on one rank and on two: the same losses, killed or not, and what one has begun any other ends."""

import json
import math

import pytest
import torch
from engine_ranks import BOUNDED, COMPARED, IN_PIECES, KILLED, MODES, MOVED, SPOILT

from ivcore.errors import UserError
from ivcore.train import Recipe
from ivcore.train.zero import config_of

pytest.importorskip("deepspeed")


@pytest.fixture(scope="module")
def found(ranks, tmp_path_factory):
    """The results of one rank, and of each of two."""
    folder = tmp_path_factory.mktemp("engines")
    ranks("engine_ranks.py", folder)
    alone, first, second = (
        torch.load(folder / f"{name}.pt", weights_only=False) for name in ("0-of-1", "0-of-2", "1-of-2")
    )
    return alone, first, second


def apart(one, other):
    """The largest difference of two runs' losses."""
    assert len(one[0]) == len(other[0]) and one[0][0] != one[0][-1]
    return max(abs(a - b) for a, b in zip(one[0], other[0], strict=True))


def equal(one, other):
    return one[0] == other[0] and all(torch.equal(one[1][name], other[1][name]) for name in one[1])


@pytest.mark.parametrize(("stage", "engine"), [(stage, engine) for engine in COMPARED for stage in COMPARED[engine]])
def test_fifty_losses_are_those_of_one_plain_rank(found, stage, engine):
    alone, first, second = found
    for each in (alone, first, second):
        assert len(each[f"{stage} {engine}"][0]) == 50
        assert apart(each[f"{stage} {engine}"], alone[f"{stage} plain"]) < 1e-5
    assert equal(first[f"{stage} {engine}"], second[f"{stage} {engine}"])  # the caller's model is whole on every rank


@pytest.mark.parametrize("engine", IN_PIECES)
def test_micro_batches_of_the_contrastive_loss_change_nothing(found, engine):
    alone, first, _ = found
    for each in (alone, first):
        assert apart(each[f"pieces {engine}"], alone["whole"]) < 1e-5


@pytest.mark.parametrize("engine", BOUNDED)
def test_a_parameter_that_the_loss_clamps_stays_clamped(found, engine):
    """The parameter is the temperature. DeepSpeed has a second copy of it."""
    alone, first, _ = found
    plain = alone["bounded plain"]
    assert max(plain) == pytest.approx(math.log(100)) and plain[-1] < plain[5]  # driven to the bound, and back at once
    for each in (alone, first):
        assert each[f"bounded {engine}"] == pytest.approx(plain, abs=1e-6)


@pytest.mark.parametrize(("engine", "changes"), MODES)
def test_half_precision_and_offload_train_as_float32_does_and_what_cannot_is_refused(found, engine, changes):
    every = [each[f"{engine} {changes}"] for each in found]
    if line := _refusal(engine, changes):
        assert all(isinstance(said, str) and said.startswith(line) and "\n" not in said for said in every)
        return
    for each in every:
        assert len(each[0]) == 8 and each[0][-1] < each[0][0]
        reference = found[0]["whole of 10"]
        assert apart(each, reference) < (1e-5 if "offload" in changes else 1e-3)
    assert equal(*every[1:])


def _refusal(engine, changes) -> str:
    """How the line begins that refuses this; "" where it trains."""
    if engine.startswith("zero") and changes == {"precision": "fp16"}:
        return "precision='fp16': engine zero"
    if "compile" in changes:
        return "compile=True: engine zero3"
    return "offload='all': engine zero" if engine in ("zero1", "zero2") and changes == {"offload": "all"} else ""


@pytest.mark.parametrize("engine", SPOILT)
@pytest.mark.parametrize("what", ["loss", "gradient norm"])
def test_a_step_that_is_not_finite_is_named_and_leaves_the_callers_weights_as_they_were(found, engine, what):
    for each in found:
        said, difference = each[f"spoilt {what} {engine}"]
        assert said.startswith(f"step 3: the {what} is ") and "stopped before the update" in said
        assert difference == 0


def test_two_ranks_go_on_where_weights_do_not_divide_by_two(found):
    for rank in found[1:]:
        assert rank["resumed"][2] == 6 and equal(rank["resumed"], rank["not resumed"])
        assert len(rank["bounded in bf16"]) == 10


def test_the_contrastive_loss_in_pieces_is_refused_by_zero3(found):
    """On one rank, where four clips are two pieces."""
    said = found[0]["refused"]
    assert said.startswith("micro_batch=1, engine=zero3: a loss over the whole batch cannot be taken in pieces")
    assert said.endswith("zero2 or fsdp, or micro_batch=0")


@pytest.mark.parametrize("engine", KILLED)
def test_a_killed_run_ends_bit_for_bit_as_an_unkilled_one(found, engine):
    alone = found[0]
    assert alone[f"killed {engine}"][2] == 6
    assert equal(alone[f"killed {engine}"], alone[f"unkilled {engine}"])


@pytest.mark.parametrize("engine", KILLED)
def test_another_engine_ends_what_one_has_begun(found, engine):
    alone = found[0]
    assert alone[f"changed {engine}"][2] == 6
    assert apart(alone[f"changed {engine}"], alone["unkilled plain"]) < 1e-5


@pytest.mark.parametrize("engine", MOVED)
def test_one_rank_ends_what_two_have_begun(found, engine):
    alone = found[0]
    assert alone[f"moved {engine}"][2] == 6
    assert apart(alone[f"moved {engine}"], alone["unkilled plain"]) < 1e-5


def test_the_configuration_is_the_recipes_and_a_file_goes_over_it(tmp_path):
    numbers = {"batch_size": 8, "lr": 1e-3, "steps": 1, "clip_grad": 0.5, "precision": "fp16"}
    (place := tmp_path / "more.json").write_text(json.dumps({"zero_optimization": {"reduce_bucket_size": 1000}}))
    config = config_of(Recipe(**numbers, engine="zero3", offload="all", engine_config=str(place)))
    assert config["zero_optimization"]["stage"] == 3 and config["zero_optimization"]["reduce_bucket_size"] == 1000
    assert (
        config["zero_optimization"]["offload_param"]
        == config["zero_optimization"]["offload_optimizer"]
        == {"device": "cpu"}
    )
    assert (
        config["gradient_clipping"] == 0.5
        and config["fp16"]["enabled"]
        and config["train_micro_batch_size_per_gpu"] == 8
    )
    place.write_text("[]")
    with pytest.raises(UserError, match=r"engine_config=.*one JSON object, not list"):
        config_of(Recipe(**numbers, engine="zero1", engine_config=str(place)))
