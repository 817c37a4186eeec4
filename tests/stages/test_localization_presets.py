"""AVA and AVA-Kinetics in miniature, from the files of their releases to frame-mAP, by the presets of these datasets."""

import json

import pytest
import torch

from ivcore.encoders.videomae import VideoClassifier
from ivcore.run import execute as run
from ivcore.train import save_weights
from ivcore.weights.usage import Usage

SMALL = {
    "image_size": "32",
    "image_width": "32",
    "num_frames": "8",
    "steps": "2",
    "warmup_epochs": "0",
    "batch_size": "4",
    "micro_batch": "0",
}
SMALL |= {"in_memory": "true", "num_workers": "0", "precision": "fp32", "first_second": "0", "val_share": "0.2"}
FILES = {"train_csv": "ava_train_v2.2.csv", "test_csv": "ava_val_v2.2.csv", "video_root": "videos", "test_images": "ava_val_v2.2_min.json",
         "actions": "ava_action_list_v2.2_for_activitynet_2019.pbtxt", "scored_actions": "ava_action_list_v2.2_for_activitynet_2019.pbtxt",
         "test_excluded": "ava_val_excluded_timestamps_v2.2.csv", "test_boxes": "ava_val_det_person_bbox.json"}  # fmt: skip
KINETICS = {"kinetics_train_csv": "kinetics_train_v1.0.json", "kinetics_test_csv": "kinetics_val_v1.0.json", "kinetics_root": "kinetics",
            "kinetics_boxes": "kinetics_val_det_person_bbox.json", "kinetics_images": "kinetics_val_v1.0.json"}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("preset, name", [("ava22", "ava"), ("ava_kinetics", "ava_kinetics")])
def test_the_preset_of_a_dataset_goes_from_its_files_to_a_score(preset, name, written, tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "outputs"))
    torch.manual_seed(0)
    model = VideoClassifier("tiny", 4, depth=2)
    save_weights(model, tmp_path / "encoder.safetensors", model.config | Usage(32, 8).saved(model))
    files = FILES if name == "ava" else FILES | KINETICS
    given = {parameter: str(written(name) / file) for parameter, file in files.items()}
    given["encoder"] = str(tmp_path / "encoder.safetensors")
    metrics = json.loads(
        (run.execute(run.jobs("32", preset, SMALL | given)[0], timeout=300) / "metrics.json").read_text()
    )
    assert 0 <= metrics["frame_map"] <= 1 and metrics["test_missing"] == 0
    assert ("frame_map_kinetics" in metrics) == (name == "ava_kinetics")
