"""The model of videos and texts that several stages start from."""

import pytest
import video_models as zoo

from ivcore.data.video_answers import VideoModel


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return VideoModel.load(str(zoo.saved(tmp_path_factory.mktemp("model"), "video_text")))
