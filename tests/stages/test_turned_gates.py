"""Gates of cross-model attention, turned by hand."""

import pytest
import torch

from ivcore.cma import Coordinated
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import VideoClassifier
from ivcore.errors import ParameterError
from ivcore.stages.cross_model import modules_of, prepared
from ivcore.stages.turned_gates import turned, while_opening


def joined(gate=0.7, classes=5):
    torch.manual_seed(0)
    masked = VideoClassifier("tiny", classes, depth=3).eval()
    multimodal = UniFormerV2(32, 3, 2, 8, 32, classes, (2,)).eval()
    for parameter in (*masked.parameters(), *multimodal.parameters()):
        parameter.data += 0.05 * torch.randn_like(parameter)
    return Coordinated(masked, multimodal, stages=3, gate=gate, frames=4).eval()


@pytest.fixture
def clip():
    return torch.randint(0, 256, (2, 12, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def answer(model, clip):
    return torch.stack(list(model(prepared(model, clip))))


def test_shut_gates_give_what_the_encoders_say_alone_and_open_ones_what_was_trained(clip):
    model, shut = joined(), joined(gate=0.0)
    before = answer(model, clip)
    with turned(model, dict.fromkeys(modules_of(model), 0.0)):
        assert torch.equal(answer(model, clip)[:2], answer(shut, clip)[:2])
    with turned(model, dict.fromkeys(modules_of(model), 1.0)):
        assert torch.equal(answer(model, clip), before)
    assert torch.equal(answer(model, clip), before)


def test_a_share_is_one_of_the_opening_and_others_stay(clip):
    model = joined()
    first, *others = modules_of(model)
    with turned(model, {first: 0.5}):
        assert modules_of(model)[first].gates().tolist() == pytest.approx([0.5 * torch.tensor(0.7).tanh().item()] * 2)
        assert all(
            modules_of(model)[name].gates().tolist() == pytest.approx([torch.tensor(0.7).tanh().item()] * 2)
            for name in others
        )


def test_all_is_as_it_was_after_an_error_too():
    model = joined()
    name = next(iter(modules_of(model)))
    with pytest.raises(RuntimeError), turned(model, {name: 0.0}):
        raise RuntimeError
    assert modules_of(model)[name].attention_gate.item() == pytest.approx(0.7)


def test_what_there_is_not_is_refused():
    with (
        pytest.raises(ParameterError, match="gate of 'sideways': there are after masked block 0"),
        turned(joined(), {"sideways": 0}),
    ):
        pass
    model = joined(gate=None)
    with pytest.raises(ParameterError, match="trained without any"), turned(model, {"reversed": 0.0}):
        pass


def test_while_gates_open_the_first_answer_is_that_of_each_alone_and_the_last_that_of_training(clip):
    model = joined()
    with torch.inference_mode():
        alone, trained = joined(gate=0.0)(prepared(model, clip)), model(prepared(model, clip))
    said = while_opening(model, clip, [0.0, 1.0])
    assert torch.equal(said["masked encoder"], torch.stack([alone.masked, trained.masked]).softmax(-1))
    assert torch.equal(said["together"][1], trained.fused.softmax(-1))
