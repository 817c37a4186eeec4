"""The head gives the published numbers, from the network to what is left after suppression and voting; memory and padding behave."""

import pytest
import torch

from ivcore import weights
from ivcore.errors import ParameterError
from ivcore.heads.actionformer import ActionFormer, Decoding, Moments, decode
from ivcore.heads.actionformer.decoding import candidates, suppress, vote
from ivcore.weights import WeightsError

NAMES = ("actionformer_anet_style", "actionformer_fpn_relpe")
KNOWN = ("n_head", "n_mha_win_size", "regression_range", "max_seq_len", "use_abs_pe")
SHARED = ("pre_nms_thresh", "pre_nms_topk", "duration_thresh", "nms_sigma", "iou_threshold", "min_score", "max_seg_num")
OUTCOMES = {
    "soft_multiclass": {},
    "hard_multiclass": {"nms_method": "hard"},
    "soft_agnostic_no_voting": {"multiclass_nms": False},
    "soft_agnostic_voting_release": {"multiclass_nms": False, "voting": "score_iou"},
    "soft_agnostic_voting_internvideo": {"multiclass_nms": False, "voting": "score"},
}


def model_of(g):
    return weights.from_official(g.weights, {name: g.config[name] for name in KNOWN})


@pytest.fixture(scope="module", params=NAMES)
def published(request, golden):
    g = golden(request.param)
    model = model_of(g)
    videos = [model.pad([g.inputs[f"feats{i}"].T]) for i in range(len(g.config["lengths"]))]
    with torch.no_grad():
        return g, [model(*video) for video in videos]


def test_every_scale_equals_the_published_one(published, close):
    g, videos = published
    for i, moments in enumerate(videos):
        logits, offsets = (part[0].split(moments.sizes) for part in (moments.logits, moments.offsets))
        for level in range(len(moments.sizes)):
            close(logits[level], g.outputs[f"video{i}/level{level}/cls_logits"])
            close(offsets[level], g.outputs[f"video{i}/level{level}/offsets"])


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_what_is_left_equals_the_published_segments(published, close, outcome):
    g, videos = published
    numbers = {name: g.config["test_cfg"][name] for name in SHARED}
    if outcome.startswith("soft_agnostic_voting"):
        numbers["voting_thresh"] = g.config["test_cfg"]["voting_thresh"]
    how = Decoding(**numbers, **OUTCOMES[outcome])
    for i, moments in enumerate(videos):
        offered = candidates(moments, 0, how)
        for name, value in zip(("segments", "scores", "labels"), offered):
            close(value.float(), g.outputs[f"video{i}/before_nms/{name}"].float())
        segments, scores, labels = suppress(*offered, how)
        seconds = (segments * g.config["feat_stride"] + 0.5 * g.config["feat_num_frames"]) / g.config["fps"]
        close(seconds.clamp(0, g.config["durations"][i]), g.outputs[f"video{i}/{outcome}/segments"])
        close(scores, g.outputs[f"video{i}/{outcome}/scores"])
        torch.testing.assert_close(labels, g.outputs[f"video{i}/{outcome}/labels"])


@pytest.mark.parametrize(
    "features, parameters, options",
    [
        (2048, 29_251_612, {"num_classes": 20}),
        (1280, 28_071_964, {"num_classes": 20}),
        (1280, 7_533_321, {"num_classes": 1, "embd_dim": 256, "use_abs_pe": True, "max_seq_len": 768}),
    ],
)
def test_published_sizes_have_their_number_of_parameters(features, parameters, options):
    with torch.device("meta"):
        model = ActionFormer(features, **options)
    assert sum(value.numel() for value in model.parameters()) == parameters
    if options["num_classes"] == 20:
        sizes = [2304 >> level for level in range(6)]
        assert len(model.points(sizes)) == 4536
        assert model.padded_length(2305) % 576 == 0


def small(**changes):
    torch.manual_seed(0)
    options = {"backbone_arch": (1, 1, 2), "embd_dim": 16, "n_head": 2, "n_mha_win_size": 5, "max_seq_len": 32}
    return ActionFormer(8, 3, **options | {"regression_range": [[0, 4], [4, 8], [8, 1000]]} | changes).eval()


@pytest.mark.parametrize("window", [5, -1])
def test_padding_changes_nothing(window):
    """More of it, or a longer sequence beside it in the batch: `pad` fills with zeros, and every layer's output is masked."""
    model, longer = small(n_mha_win_size=window), small(n_mha_win_size=window, max_seq_len=64)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # as made, attention adds a ten-thousandth
    longer.load_state_dict(model.state_dict())
    features = torch.randn(20, 8)
    alone, more = model(*model.pad([features])), longer(*longer.pad([features]))
    both = model(*model.pad([features, torch.randn(32, 8)]))
    assert more.logits.shape[1] == 2 * alone.logits.shape[1]
    for other in (more, both):
        assert other.mask[0].sum() == alone.mask[0].sum() < len(alone.mask[0])
        torch.testing.assert_close(other.logits[0][other.mask[0]], alone.logits[0][alone.mask[0]], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            other.offsets[0][other.mask[0]], alone.offsets[0][alone.mask[0]], rtol=1e-4, atol=1e-5
        )


def test_a_window_sees_no_farther_than_its_half():
    model = small(n_mha_win_size=3, backbone_arch=(1, 1, 0), regression_range=[[0, 100]], head_num_layers=1)
    features = torch.randn(1, 32, 8)
    changed = features.clone()
    changed[0, 16] += 1
    mask = torch.ones(1, 32, dtype=bool)
    moved = (model(features, mask).logits - model(changed, mask).logits)[0].abs().amax(1) > 0
    assert moved[16] and not moved[: 16 - 4].any() and not moved[16 + 5 :].any()


def moments_of(*segments):
    """(start, end, score) of moments of one scale with one class."""
    middle = torch.tensor([(start + end) / 2 for start, end, _ in segments])
    reach = torch.tensor([(end - start) / 2 for start, end, _ in segments])
    points = torch.stack((middle, 0 * middle, 0 * middle + 100, 0 * middle + 1), 1)
    logits = torch.tensor([score for *_, score in segments]).logit()[None, :, None]
    offsets = torch.stack((reach, reach), 1)[None]
    return Moments(points, logits, offsets, torch.ones(1, len(segments), dtype=bool), (len(segments),))


def test_suppression_and_voting_by_hand():
    moments = moments_of((0, 10, 0.9), (0, 8, 0.8), (20, 30, 0.7))
    ((segments, scores, _),) = decode(moments, Decoding(nms_method="hard", iou_threshold=0.5))
    torch.testing.assert_close(segments, torch.tensor([[0.0, 10], [20, 30]]))
    torch.testing.assert_close(scores, torch.tensor([0.9, 0.7]))
    ((segments, scores, _),) = decode(moments, Decoding())
    torch.testing.assert_close(scores, torch.tensor([0.9, 0.7, 0.8 * 2.718281828 ** (-(0.8**2) / 0.5)]))
    how = Decoding(voting_thresh=0.5, voting="score", multiclass_nms=False)
    moved = vote(torch.tensor([[0.0, 10]]), torch.tensor([[0.0, 10], [0, 8]]), torch.tensor([0.9, 0.8]), how)
    torch.testing.assert_close(moved, torch.tensor([[0.0, (9 + 6.4) / 1.7]]))
    ((nothing, *_),) = decode(moments, Decoding(pre_nms_thresh=0.95))
    assert nothing.shape == (0, 2)


def test_arguments_that_contradict_each_other_are_named():
    for changes, match in (
        ({"n_mha_win_size": [5, 5]}, "n_mha_win_size"),
        ({"regression_range": [[0, 4]]}, "regression_range"),
        ({"fpn_type": "bifpn"}, "fpn_type"),
        ({"max_seq_len": 30}, "max_seq_len"),
        ({"n_head": 3}, "embd_dim"),
        ({"fpn_dim": 4}, "fpn_dim"),
    ):
        with pytest.raises(ParameterError, match=match):
            small(**changes)
    with pytest.raises(ParameterError, match="voting"):
        Decoding(voting="all")


def test_a_checkpoint_that_is_not_whole_is_refused():
    state = small().state_dict()
    with pytest.raises(WeightsError, match="n_mha_win_size"):
        weights.from_official(state, {"n_mha_win_size": "wide"})
    del state["reg_head.scale.1.scale"]
    with pytest.raises(WeightsError, match=r"missing: reg_head\.scale\.1\.scale"):
        weights.from_official(state, {"max_seq_len": 32, "regression_range": [[0, 4], [4, 8], [8, 1000]], "n_head": 2})


def test_only_matrices_of_convolutions_decay():
    model = ActionFormer(6, 2, embd_dim=8, backbone_arch=(1, 1, 1), regression_range=[(0, 4), (4, 9)], n_mha_win_size=3, use_rel_pe=True)  # fmt: skip
    spared = model.no_weight_decay()
    matrices = {name for name, value in model.named_parameters() if value.ndim > 1}
    decayed = matrices - spared
    assert any(name.endswith("rel_pe") for name in spared) and any(name.endswith("attn.scale") for name in spared)
    assert decayed and all(model.get_parameter(name).shape[0] > 1 for name in decayed if "cls_head" not in name)
    assert {name for name in decayed if "ln" in name or "norm" in name or "scale" in name} == set()
