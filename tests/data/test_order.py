"""Appearance gives nothing away between an action and its time reversal: only the order of frames tells them apart.

Probes are small networks on decoded pixels of clips that each have a scene of their own. They see a single frame, all frames in
random order, or all in order; how often is the right action of a pair scored above its reversal? 480 test clips: one standard
deviation of a guess is 0.023.
"""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, cross_entropy

from ivcore.data import formats, shapes
from ivcore.data.memory import load
from ivcore.data.records import read_records
from ivcore.data.shapes import scenes

PAIRS = [pair for pair in scenes.ORDER_PAIRS if pair[0] in shapes.Shapes().actions]
CONFIG = shapes.Shapes(
    name="order",
    train=960,
    val=0,
    test=4 * len(PAIRS),
    size=32,
    frames=8,
    actions=tuple(action for pair in PAIRS for action in pair),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IVCORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        return shapes.build(CONFIG)


@pytest.fixture(scope="module")
def pixels(folder, tmp_path_factory):
    """Grey clips (N, 8, 256), 16 x 16 pixels, and labels; 2k and 2k + 1 are a pair."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IVCORE_CACHE", str(tmp_path_factory.mktemp("decoded")))
        decoded = load(read_records(folder / "train.csv"), 32)
    grey = torch.from_numpy(decoded.video.mean(-1, dtype=np.float32)) / 255
    return avg_pool2d(grey, 2).flatten(2), torch.from_numpy(decoded.label)


def random_frame(clips, generator):
    which = torch.randint(clips.shape[1], (len(clips),), generator=generator)
    return clips[torch.arange(len(clips)), which]


def first_frame(clips, generator):
    return clips[:, 0]


def in_order(clips, generator):
    return clips.flatten(1)


def shuffled(clips, generator):
    order = torch.rand(clips.shape[:2], generator=generator).argsort(1)
    return clips.gather(1, order[..., None].expand_as(clips)).flatten(1)


def motion(clips):
    """The difference from a clip's median over time. It shows moving things and is the same for any order of frames."""
    return (clips - clips.median(1, keepdim=True).values).abs()


def right_direction(view, clips, labels, steps=150) -> float:
    """Share of test clips whose own action a trained probe scores above its time reversal."""
    generator = torch.Generator().manual_seed(0)
    half = len(clips) // 2
    mean, spread = view(clips[:half], generator).mean(0), view(clips[:half], generator).std()

    def see(which):
        return (view(clips[which], generator) - mean) / spread

    with torch.random.fork_rng():
        torch.manual_seed(0)
        probe = nn.Sequential(nn.Linear(len(mean), 128), nn.GELU(), nn.Dropout(0.3), nn.Linear(128, 2 * len(PAIRS)))
        optimiser = torch.optim.AdamW(probe.parameters(), lr=2e-3, weight_decay=0.01)
        for _ in range(steps):
            batch = torch.randint(half, (128,), generator=generator)
            loss = cross_entropy(probe(see(batch)), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    test = torch.arange(half, len(clips))
    with torch.no_grad():
        probe.eval()
        scores = sum(probe(see(test)).softmax(1) for _ in range(4))
    own, other = (scores.gather(1, label[test, None]) for label in (labels, labels ^ 1))
    return float((own > other).float().mean())


class TestProbes:
    @pytest.mark.parametrize("view", [random_frame, shuffled])
    def test_near_chance_without_order(self, view, pixels):
        assert abs(right_direction(view, *pixels) - 0.5) < 0.07

    def test_near_chance_without_order_even_where_things_stand_out(self, pixels):
        clips, labels = pixels
        assert abs(right_direction(shuffled, motion(clips), labels) - 0.5) < 0.07

    def test_far_above_chance_with_order(self, pixels):
        clips, labels = pixels
        assert right_direction(in_order, motion(clips), labels) > 0.8

    def test_a_single_frame_does_tell_where_its_place_in_time_is_known(self, pixels):
        """The control for the single-frame probe: it sees enough of a frame to use it, once all frames are first ones."""
        assert right_direction(first_frame, *pixels) > 0.7


class TestExactly:
    @pytest.mark.parametrize(("action", "partner"), scenes.ORDER_PAIRS)
    @pytest.mark.parametrize(("frames", "start", "stop"), [(16, 0, 16), (9, 2, 6)])
    def test_a_scene_played_backwards_is_the_partners_scene(self, action, partner, frames, start, stop):
        forwards = scenes.make_scene((7, 3), action, frames=frames, start=start, stop=stop)
        backwards = scenes.make_scene((7, 3), partner, frames=frames, start=frames - stop, stop=frames - start)
        clip = scenes.render(forwards, 32)
        np.testing.assert_array_equal(clip[::-1], scenes.render(backwards, 32))
        assert (clip != clip[::-1]).any(), "an action that looks the same backwards cannot be told from its partner"

    def test_decoded_files_are_time_reversals_too(self, folder):
        """Compression too has no direction: the file of the partner's clip decodes to the same frames, backwards."""
        videos = load(read_records(folder / "test.csv"), 32).video
        labels = [video.label for video in formats.read_kinetics_csv(folder / "test.csv")]
        for pair in range(0, len(videos), 2):
            assert labels[pair] ^ 1 == labels[pair + 1]
            np.testing.assert_array_equal(videos[pair][::-1], videos[pair + 1])
