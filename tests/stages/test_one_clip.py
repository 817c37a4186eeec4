"""Encoders of files are refused by name where they are others, and one clip has the size that is asked for."""

import pytest

from ivcore.encoders.videomae import VideoClassifier
from ivcore.errors import ParameterError
from ivcore.stages.one_clip import image_encoder, masked_video_encoder, middle_clip, video_file
from ivcore.train import save_weights


def test_a_file_of_another_model_is_refused(tmp_path):
    size = {"width": 64, "depth": 1, "heads": 1, "patch": 8, "frames": 4, "image": 16}
    save_weights(VideoClassifier("tiny", 5, **size), tmp_path / "other.safetensors")
    with pytest.raises(ParameterError, match="clip_weights: holds a VideoClassifier, must be CLIP"):
        image_encoder(tmp_path / "other.safetensors", 8, 16)
    with pytest.raises(ParameterError, match="masked_encoder: holds a VideoClassifier"):
        masked_video_encoder(tmp_path / "other.safetensors")


def test_the_middle_of_a_video():
    assert middle_clip(video_file(), frames=4, side=32, stride=2).shape == (1, 4, 32, 32, 3)
