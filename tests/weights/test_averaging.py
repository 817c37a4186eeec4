"""Soups and WiSE-FT: the arithmetic, what must stay untouched, and files as sources."""

import pytest
import torch
from torch import nn

from ivcore import weights
from ivcore.encoders.clip import Clip, ImageEncoder, TextEncoder
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.video_text import VideoTextModel
from ivcore.errors import ParameterError
from ivcore.train.checkpoints import save_weights
from ivcore.weights import WeightsError
from ivcore.weights.averaging import average, greedy_soup, interpolate


def small(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    model[1].num_batches_tracked.fill_(seed + 7)
    return model


def towers(seed=0):
    torch.manual_seed(seed)
    clip = Clip(ImageEncoder(16, 64, 3, 1, 8, 24), TextEncoder(16, 64, 2, 1, 12, 50)).eval()
    tower = UniFormerV2(64, 3, 1, 8, 24, 0, (1, 2))
    model = VideoTextModel(tower, TextEncoder(16, 64, 2, 1, 12, 50, mask_embedding=True), 16)
    return clip, model.eval()


def test_a_uniform_soup_is_the_mean():
    models = [small(seed) for seed in range(3)]
    soup = average(models)
    for key, value in soup.items():
        each = [model.state_dict()[key] for model in models]
        if value.is_floating_point():
            assert torch.equal(value, torch.stack(each).double().mean(0).float())
        else:
            assert torch.equal(value, each[0])
    assert soup["1.num_batches_tracked"] == 7


def test_shares_weigh_the_sources():
    first, second = small(0), small(1)
    soup = average([first, second], [0.25, 0.75])
    wanted = 0.25 * first[0].weight + 0.75 * second[0].weight
    assert torch.allclose(soup["0.weight"], wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_equal_sources_give_themselves_bit_for_bit(dtype):
    state = {"weight": torch.randn(1000, generator=torch.Generator().manual_seed(0)).to(dtype)}
    soup = average([state] * 7)
    assert soup["weight"].dtype == dtype and torch.equal(soup["weight"], state["weight"])


def test_a_soup_does_not_share_memory_with_its_sources():
    model = small(0)
    before = model[0].weight.clone()
    for value in average([model]).values():
        value.fill_(0)
    for value in interpolate({"0.bias": torch.zeros(4)}, model.state_dict(), 0.5).values():
        value.fill_(0)
    assert torch.equal(model[0].weight, before) and model[1].num_batches_tracked == 7


def test_files_of_runs_are_sources_and_load_again(tmp_path):
    models = [towers(seed)[1] for seed in range(2)]
    files = [save_weights(m, tmp_path / f"{n}.safetensors", m.config) for n, m in enumerate(models)]
    loaded = weights.load(files[0])
    loaded.load_state_dict(average(files))
    wanted = average(models)
    assert all(torch.equal(value, wanted[key]) for key, value in loaded.state_dict().items())
    run = tmp_path / "run"
    save_weights(models[1], run / "checkpoints" / "model.safetensors", models[1].config)
    assert torch.equal(average([files[0], run])["visual_proj"], wanted["visual_proj"])


def test_files_of_no_known_layout_are_averaged_under_their_own_names(tmp_path):
    files = [save_weights(small(n), tmp_path / f"{n}.safetensors") for n in range(2)]
    assert torch.equal(average(files)["0.weight"], average([small(0), small(1)])["0.weight"])


def test_keys_and_shapes_that_do_not_fit_are_named(tmp_path):
    first = {"a": torch.zeros(2), "b": torch.zeros(3)}
    with pytest.raises(WeightsError, match="source 1: lacks b, which the other checkpoint has"):
        average([first, {"a": torch.zeros(2)}])
    with pytest.raises(WeightsError, match="source 0: lacks c"):
        average([first, first | {"c": torch.zeros(1)}])
    with pytest.raises(WeightsError, match=r"source 1: b is \(4,\), but \(3,\) in source 0"):
        average([first, first | {"b": torch.zeros(4)}])
    with pytest.raises(WeightsError, match=r"nowhere\.safetensors: no such file"):
        average([tmp_path / "nowhere.safetensors"])


@pytest.mark.parametrize("shares", [[1.0], [0.5, 0.6], []])
def test_shares_that_do_not_fit_are_refused(shares):
    with pytest.raises(ParameterError, match="expected 2 numbers whose sum is 1"):
        average([small(0), small(1)], shares)
    with pytest.raises(ParameterError, match="got none"):
        average([])


def test_a_greedy_soup_leaves_out_what_does_harm():
    sources = [{"x": torch.tensor(x)} for x in (2.0, -1.5, 40.0, 1.0)]
    soup = greedy_soup(sources, lambda state: -abs(float(state["x"])))
    assert soup.members == [3, 1]  # best alone 1, then -1.5 (mean -0.25); 2 and 40 would be worse
    assert float(soup.state["x"]) == -0.25 and soup.score == -0.25


def test_a_greedy_soup_is_at_least_as_good_as_the_best_source():
    generator = torch.Generator().manual_seed(0)
    sources = [{"x": torch.randn(5, generator=generator)} for _ in range(6)]
    score = lambda state: -float((state["x"] - 0.1).square().sum())  # noqa: E731
    soup = greedy_soup(sources, score)
    assert soup.score >= max(map(score, sources)) and len(soup.members) > 1
    assert torch.allclose(soup.state["x"], average([sources[i] for i in soup.members])["x"])


def test_wise_ft_mixes_what_both_have_and_keeps_the_rest():
    first = {"a": torch.tensor([1.0]), "old": torch.tensor([7.0])}
    second = {"a": torch.tensor([3.0]), "new": torch.tensor([5.0]), "n": torch.tensor(4)}
    mixed = interpolate(first, second, 0.25)
    assert {key: float(value) for key, value in mixed.items()} == {"a": 2.5, "old": 7, "new": 5, "n": 4}
    assert float(interpolate(first, second, 0)["a"]) == 3 and float(interpolate(first, second, 1)["a"]) == 1


def test_clip_is_matched_with_the_video_text_model_that_began_as_it(tmp_path):
    clip, model = towers()
    began = VideoTextModel(model.visual, model.text, 16).load_clip(clip).state_dict()
    began = {key: value.clone() for key, value in began.items()}
    trained = {k: v + 1 if v.is_floating_point() else v for k, v in began.items()}
    file = save_weights(clip, tmp_path / "clip.safetensors", clip.config)
    for source in (clip, file):
        mixed = interpolate(source, trained, 0.5)
        assert mixed.keys() == began.keys()
        new = {key for key in mixed if torch.equal(mixed[key], trained[key])}
        halfway = {key for key in mixed if torch.allclose(mixed[key], began[key] + 0.5)}
        assert new | halfway == set(mixed) and not new & halfway
        parts = (
            "transformer.dec.",
            "transformer.dpe.",
            "temporal_cls_token",
            "balance",
            "text_mask_embedding",
        )
        assert all(any(part in key for part in parts) for key in new) and len(halfway) > 50
    back = interpolate(clip, trained, 1.0)
    assert all(torch.equal(back[key], began[key]) for key in halfway)


def test_wise_ft_says_what_does_not_fit():
    with pytest.raises(ParameterError, match=r"share: 1\.5 is not in \[0, 1\]"):
        interpolate({}, {}, 1.5)
    with pytest.raises(WeightsError, match="no key in common: a; b"):
        interpolate({"a": torch.zeros(1)}, {"b": torch.zeros(1)}, 0.5)
    with pytest.raises(WeightsError, match=r"zero_shot: a is \(1,\), but \(2,\) in fine_tuned"):
        interpolate({"a": torch.zeros(1)}, {"a": torch.zeros(2)}, 0.5)
