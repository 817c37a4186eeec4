"""Cross-model attention: nothing changes at first, exactly; what is learnt is what the paper names; frozen means frozen."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from ivcore import weights
from ivcore.cma import Coordinated, CrossModelAttention, ScoreFusion, branches, even_placement, spread_frames
from ivcore.encoders.checkpointing import set_activation_checkpointing
from ivcore.encoders.positions import resize
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import VideoClassifier
from ivcore.errors import ParameterError
from ivcore.losses.coordination import coordination
from ivcore.train import Batches, InMemory, Recipe, load_weights, save_weights, train

TRAINED = ("cma.", "last_cma.", "fusion.", "masked.head.", "multimodal.transformer.proj.")
QUERY = "multimodal.transformer.temporal_cls_token"


def singles(classes=5, **options):
    """The two encoders, every parameter random, so that no branch of theirs is silent."""
    torch.manual_seed(0)
    shape = {"width": 32, "depth": 4, "heads": 2, "image": 24, "frames": 8}
    masked = VideoClassifier("tiny", classes, drop_path=0.3, **shape)
    multimodal = UniFormerV2(24, 4, 2, 8, 24, classes, (1, 3), local=True, drop_path=0.3, **options)
    for parameter in [*masked.parameters(), *multimodal.parameters()]:
        torch.nn.init.normal_(parameter, std=0.3)
    return masked.eval(), multimodal.eval()


def coordinated(gate=0.0, **options):
    torch.manual_seed(1)
    return Coordinated(*singles(), **({"gate": gate, "head_drop": 0.0, "frames": 4} | options))


def is_trained(name):
    return name.startswith(TRAINED) or name == QUERY


@pytest.fixture(scope="module")
def frames():
    return torch.randint(0, 256, (3, 8, 24, 24, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def clips(frames):
    return coordinated().prepare(frames)


# ---- at first


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("activation_checkpointing", ["nothing", "selective", "full"])
def test_at_first_both_predictions_are_the_single_models_to_the_bit(
    clips, gradients, training, activation_checkpointing
):
    masked, multimodal = singles()
    m = coordinated().train(training)
    set_activation_checkpointing(m, activation_checkpointing)
    with torch.set_grad_enabled(gradients):
        scores = m(clips)
    assert torch.equal(scores.masked, masked(clips[0])) and torch.equal(scores.multimodal, multimodal(clips[1]))
    assert m.masked.head.weight.std() > 0.1 and scores.masked.std() > 0.1  # not silent


def test_at_first_the_fused_score_is_the_ensembles(clips):
    scores = coordinated()(clips)
    ensemble = (scores.masked.softmax(-1) + scores.multimodal.softmax(-1)) / 2
    assert torch.allclose(scores.fused.softmax(-1), ensemble, atol=1e-6)
    scores = coordinated(fuse="logits")(clips)
    assert torch.allclose(scores.fused, (scores.masked + scores.multimodal) / 2, atol=1e-6)
    assert not coordinated(fusion="raw", fuse="logits")(clips).fused.any()


def test_at_first_gates_learn_and_what_is_behind_them_does_not(clips):
    m = coordinated()
    m(clips).fused[:, 0].sum().backward()
    for module in [*m.cma, m.last_cma]:
        assert module.attention_gate.grad and module.ffn_gate.grad
        assert not module.q.weight.grad.any() and not module.ffn.fc2.weight.grad.any()


# ---- what a module computes


@pytest.mark.parametrize("gate", [0.5, None])
def test_a_module_is_gated_multi_head_cross_attention_and_an_ffn(gate):
    torch.manual_seed(0)
    ours = CrossModelAttention(24, 32, 3, gate=gate)
    theirs = torch.nn.MultiheadAttention(24, 3, kdim=32, vdim=32, batch_first=True)
    for name in ("q", "k", "v"):
        getattr(theirs, f"{name}_proj_weight").data = getattr(ours, name).weight.data
    for linear in (ours.q, ours.k, ours.v, ours.proj):
        torch.nn.init.normal_(linear.bias)
    theirs.in_proj_bias.data = torch.cat((ours.q.bias, ours.k.bias, ours.v.bias)).detach()
    theirs.out_proj.load_state_dict(ours.proj.state_dict())
    x, source = torch.randn(2, 7, 24), torch.randn(2, 5, 32)
    opening = 1.0 if gate is None else torch.tensor(gate).tanh()
    kv = ours.norm_kv(source)
    y = x + opening * theirs(ours.norm_q(x), kv, kv)[0]
    y = y + opening * ours.ffn.fc2(F.gelu(ours.ffn.fc1(ours.norm_ffn(y))))
    assert torch.allclose(ours(x, source), y, atol=1e-5)
    assert torch.allclose(ours.gates(), torch.as_tensor(opening).expand(2))


def test_new_tokens_flow_on_and_the_last_module_is_reversed(clips):
    """The whole model beside the same thing written down block by block."""
    m = coordinated(gate=0.7, placement=((0, 3), (2, 1)))
    a, b = m.masked, m.multimodal
    tokens = b(clips[1], return_intermediates=("tokens",))[1]["tokens"]
    x = a.blocks[0](a.embed(clips[0]))
    x = a.blocks[2](a.blocks[1](m.cma[0](x, tokens[3].flatten(1, 2))))
    x = a.blocks[3](m.cma[1](x, tokens[1].flatten(1, 2)))
    query = b(clips[1], return_intermediates=("query_token",))[1]["query_token"][-1]
    query = m.last_cma(query[:, None], x)[:, 0]
    scores = m(clips)
    assert torch.equal(scores.masked, a.head(a.fc_norm(x.mean(1))))
    assert torch.allclose(
        scores.multimodal, b.transformer.proj(b.transformer.fuse(query, tokens[3][:, :, 0].mean(1))), atol=1e-5
    )
    assert torch.equal(m.features(clips)[:, :32], a.fc_norm(x.mean(1))) and m.features(clips).shape == (3, 56)


@pytest.mark.parametrize("gate, coupled", [(0.0, False), (0.5, True)])
def test_each_branch_hears_of_the_other_through_open_gates_only(clips, gate, coupled):
    m = coordinated(gate)
    plain, other = m(clips), [torch.roll(clip, 1, 0) for clip in clips]
    assert torch.equal(plain.masked, m((clips[0], other[1])).masked) != coupled
    assert torch.equal(plain.multimodal, m((other[0], clips[1])).multimodal) != coupled


def test_without_modules_it_is_an_ensemble(clips):
    m = coordinated(placement=(), reverse=False)
    masked, multimodal = singles()
    assert not len(m.cma) and m.last_cma is None
    assert torch.equal(m(clips).masked, masked(clips[0])) and torch.equal(m(clips).multimodal, multimodal(clips[1]))


def test_places_are_even_over_depth():
    assert even_placement(32, 24) == ((7, 5), (15, 11), (23, 17))
    assert even_placement(12, 12, 3) == ((3, 3), (7, 7)) and even_placement(4, 4, 1) == ()


# ---- fusion


def test_fusion_weights_shift_towards_one_model():
    a, b = torch.randn(4, 3), torch.randn(4, 3)
    for of in ("probabilities", "logits"):
        fusion = ScoreFusion(3, of=of)
        torch.nn.init.constant_(fusion.weight, 30.0)
        expected = b.softmax(-1) if of == "probabilities" else b
        got = fusion(a, b).softmax(-1) if of == "probabilities" else fusion(a, b)
        assert torch.allclose(got, expected, atol=1e-6) and torch.allclose(fusion.shares().sum(), torch.ones(()))
    fusion = ScoreFusion(3, of="logits", per_class=True)
    fusion.weight.data[0, 1] = -30.0
    assert torch.allclose(fusion(a, b)[:, 1], a[:, 1]) and torch.allclose(fusion(a, b)[:, 0], (a + b)[:, 0] / 2)


def test_raw_fusion_learns_its_weights_first():
    a, b = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3)
    fusion = ScoreFusion(3, "raw", "logits")
    F.cross_entropy(fusion(a, b), torch.tensor([0, 1, 2, 0])).backward()
    assert fusion.weight.grad.all() and not a.grad.any()


def test_the_loss_is_that_of_the_fused_scores_and_of_the_branches_if_asked(clips):
    scores, labels = coordinated()(clips), torch.tensor([0, 4, 2])
    loss, terms = coordination(scores, labels)
    assert torch.allclose(loss, F.nll_loss(scores.fused.softmax(-1).log(), labels))
    both = F.cross_entropy(scores.masked, labels) + F.cross_entropy(scores.multimodal, labels)
    assert torch.allclose(coordination(scores, labels, branches=0.5)[0], loss + 0.5 * both)
    assert torch.allclose(coordination(scores, F.one_hot(labels, 5).float())[0], loss)
    assert set(terms) == {"loss_fused", "loss_masked", "loss_multimodal"}


# ---- frozen means frozen


def test_exactly_what_the_paper_names_changes_in_training(frames, tmp_path):
    m = coordinated(dropout=0.1)
    before = copy.deepcopy(m.state_dict())
    batches = Batches(InMemory(video=frames.repeat(2, 1, 1, 1, 1), label=torch.arange(6) % 5), 3)
    recipe = Recipe(batch_size=3, steps=3, lr=1e-2, weight_decay=0.0, ema_decay=0.9, log_every=1)

    def loss(model, batch, generator):
        return coordination(model(model.prepare(batch["video"])), batch["label"])

    history = train(m, loss, batches, recipe, tmp_path)
    assert {n for n, p in m.named_parameters() if p.requires_grad} == {n for n in before if is_trained(n)}
    for state in (m.state_dict(), history.ema.state_dict()):
        changed = {name for name, value in state.items() if not torch.equal(value, before[name])}
        assert changed == {name for name in before if is_trained(name)}
    fresh = coordinated(dropout=0.1)
    load_weights(fresh, save_weights(m, tmp_path / "m.safetensors"))
    clips = fresh.prepare(frames)
    assert torch.equal(fresh.eval()(clips).fused, m(clips).fused)


def test_frozen_encoders_stay_at_rest_in_training_and_their_heads_do_not(clips):
    m = coordinated(gate=0.5).train()
    assert torch.equal(m(clips).fused, m(clips).fused)  # drop path of both encoders, the global blocks' dropout
    assert not any(part.training for part in (*m.masked.blocks, *m.multimodal.transformer.resblocks))
    m = coordinated(head_drop=0.5).train()
    assert not torch.equal(m(clips).masked, m(clips).masked)
    assert not torch.equal(m(clips).multimodal, m(clips).multimodal)
    assert torch.equal(m.eval()(clips).fused, m(clips).fused)


def test_gradients_are_those_of_the_model_with_nothing_frozen(clips):
    labels, gradients = torch.tensor([0, 4, 2]), []
    for frozen in (True, False):
        m = coordinated(gate=0.3, frozen=frozen).eval()
        coordination(m(clips), labels)[0].backward()
        gradients.append({name: p.grad for name, p in m.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == {name for name in gradients[1] if is_trained(name)}
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], atol=1e-5), name


def kept(model, run):
    """Bytes that autograd keeps, parameters left out, each storage once."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    found = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = storage  # held, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(storage.nbytes() for storage in found.values())


def test_no_activation_is_kept_before_the_first_module(clips):
    m, naive = coordinated(), coordinated(frozen=False)
    assert kept(m, lambda: m.encode_frozen(clips)) == 0 < kept(naive, lambda: naive.encode_frozen(clips))
    assert not any(value.requires_grad for value in m.encode_frozen(clips).values())
    assert kept(m, lambda: m(clips)) < 0.5 * kept(naive, lambda: naive(clips))
    late = coordinated(placement=((2, 1),))
    assert kept(late, lambda: late(clips)) < 0.6 * kept(m, lambda: m(clips))  # fewer blocks after the first module


def test_features_in_half_precision_give_nearly_the_same_scores(clips):
    m = coordinated(gate=0.4).eval()
    with torch.no_grad():
        frozen = m.encode_frozen(clips)
        for one, other in zip(m.fuse(frozen), m(clips), strict=True):
            assert torch.equal(one, other)
        half = m.fuse({name: value.half() for name, value in frozen.items()})
        assert half.fused.dtype == torch.float32 and torch.allclose(half.fused, m(clips).fused, atol=0.05)


# ---- clips and intermediates


def test_each_branch_has_its_own_frames_and_normalisation(frames):
    masked, multimodal = coordinated().prepare(torch.zeros_like(frames))
    assert masked.shape == (3, 3, 8, 24, 24) and multimodal.shape == (3, 3, 4, 24, 24)
    assert float(masked[0, 0, 0, 0, 0]) == pytest.approx(-2.1179, abs=1e-4)
    assert float(multimodal[0, 0, 0, 0, 0]) == pytest.approx(-2.0, abs=1e-4)
    sparse = coordinated().prepare(frames, frames[:, 3:6])[1]
    assert torch.equal(sparse, singles()[1].prepare(frames[:, 3:6]))


@given(st.integers(1, 40), st.integers(1, 40))
def test_frames_are_spread_alike_in_both_directions_of_time(length, frames):
    clip = torch.arange(length)[None]
    taken = spread_frames(clip, frames)
    assert taken.shape == (1, frames) and bool((taken.diff() >= 0).all())
    if frames > 1:
        assert taken[0, 0] == 0 and taken[0, -1] == length - 1
        assert frames % 2 or torch.equal(spread_frames(clip.flip(1), frames), taken.flip(1))


def test_intermediates_are_what_the_model_computes(clips):
    m = coordinated(gate=0.5)
    scores, seen = m(clips, return_intermediates=m.intermediates)
    assert torch.allclose(scores.fused, m(clips).fused, atol=1e-5)
    shapes = [tuple(weights.shape) for weights in seen["cross_attention"]]
    assert shapes == [(3, 2, 36, 40)] * 3 + [(3, 2, 1, 36)]
    assert all(torch.allclose(w.sum(-1), torch.ones(()), atol=1e-5) for w in seen["cross_attention"])
    assert torch.allclose(torch.stack(seen["gates"]), torch.tensor(0.5).tanh().expand(4, 2))
    features = torch.cat((seen["masked_features"][0], seen["multimodal_features"][0]), dim=1)
    assert torch.allclose(features, m.features(clips), atol=1e-5)


def test_a_saved_model_loads_as_a_whole(clips, tmp_path):
    m = coordinated(gate=0.4, placement=((1, 0),), fusion="raw", fuse="logits", per_class=True).eval()
    torch.nn.init.normal_(m.fusion.weight)
    file = save_weights(m, tmp_path / "m.safetensors", m.config)
    loaded = weights.load(file)
    assert torch.equal(loaded(clips).fused, m(clips).fused) and loaded.config == m.config
    assert {n for n, p in loaded.named_parameters() if p.requires_grad} == {n for n in m.state_dict() if is_trained(n)}
    with pytest.raises(weights.WeightsError, match="config lacks masked, multimodal, coordinated"):
        weights.from_official(m.state_dict())


def test_cma_of_the_papers_pair_has_seventy_million_parameters():
    with torch.device("meta"):
        pair = VideoClassifier("huge", 400), UniFormerV2(1024, 24, 16, 14, 224, 400)
        m = Coordinated(*pair)
    count = lambda *modules: sum(p.numel() for module in modules for p in module.parameters())  # noqa: E731
    assert [count(module) for module in m.cma] == [19_024_130] * 3 and count(m.last_cma) == 13_123_074
    assert count(*pair) == 986_219_040 and count(m) == 986_219_040 + m.added_parameters
    assert m.added_parameters == 70_195_464 + 1  # the fusion's one weight


def test_errors_say_what_is_wrong():
    masked, multimodal = singles()
    for options, message in [
        ({"placement": ((2, 0), (1, 0))}, r"placement: \(\(2, 0\), \(1, 0\)\) must be pairs \(masked block in 0\.\.3"),
        ({"placement": ((4, 0),)}, r"multimodal block in 0\.\.3"),
        ({"stages": 5}, "stages=5: must be from 1 to 4"),
        ({"heads": 5}, "heads: 5 does not divide the width 32"),
        ({"fusion": "mean"}, "fusion: 'mean' of 'probabilities' is not sigmoid or raw"),
        ({"fusion": "raw"}, "raw weights of probabilities"),
    ]:
        with pytest.raises(ParameterError, match=message):
            Coordinated(masked, multimodal, **options)
    with pytest.raises(ParameterError, match="classes: the masked encoder has 5, the multimodal one 7"):
        Coordinated(masked, singles(7)[1])


# ---- clips of another size


def test_both_branches_take_clips_of_another_size_and_keep_their_positions(tmp_path):
    masked, multimodal = singles()
    table, grid = masked.pos_embed, masked.grid
    model = Coordinated(*branches(masked, multimodal, (16, 6), 48), frames=6).eval()
    assert torch.equal(model.masked.pos_embed, resize(table, grid, (8, 6, 6)))
    assert model(model.prepare(torch.zeros(1, 16, 48, 48, 3, dtype=torch.uint8))).fused.shape == (1, 5)
    save_weights(model, tmp_path / "model.safetensors", model.config)
    loaded = weights.load(tmp_path / "model.safetensors")
    assert torch.equal(loaded.masked.pos_embed, model.masked.pos_embed)
    assert loaded.multimodal.image == 48
    smaller = loaded.resize_positions(8, 24)
    assert torch.equal(smaller.masked.pos_embed, table) and smaller.multimodal.image == 24


def test_models_in_each_others_place_are_named():
    masked, multimodal = singles()
    with pytest.raises(ParameterError, match="masked_encoder: holds a UniFormerV2, must be a VideoClassifier"):
        branches(multimodal, masked, (8, 4), 24)
    with pytest.raises(ParameterError, match="multimodal_encoder: holds a VideoClassifier"):
        branches(masked, masked, (8, 4), 24)
