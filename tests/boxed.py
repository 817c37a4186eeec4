"""Five small finished runs, as notebooks 10 to 13 leave them, whose models were never trained: for packing a box."""

from pathlib import Path

import torch

from ivcore import files
from ivcore.cma import Coordinated
from ivcore.encoders.caption_decoder import PlainCaptionDecoder
from ivcore.encoders.clip import TextEncoder
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.video_text import VideoTextModel
from ivcore.encoders.videomae import MaskedAutoencoder, VideoClassifier
from ivcore.run import folder as run_folder
from ivcore.run import provenance
from ivcore.run.spec import Reference
from ivcore.train import save_weights

CLASSES = ["move left", "move right", "grow", "shrink", "large red thing"]
SENTENCES = ["a red square moves left", "a blue disc grows"]


def tower(classes):
    return UniFormerV2(32, 2, 1, 8, 32, classes, (1,))


def models() -> dict:
    """Reference -> model, in the order in which they are made."""
    torch.manual_seed(0)
    masked, multimodal = VideoClassifier("tiny", len(CLASSES), depth=2), tower(len(CLASSES))
    words = Tokenizer.for_texts(SENTENCES, 24).vocabulary
    text = TextEncoder(16, 32, 1, 1, 24, words)
    captioning = VideoTextModel(tower(0), text, 16, PlainCaptionDecoder(32, 32, 32, 1, 1, words))
    made = {"10/quick": MaskedAutoencoder("tiny", depth=2), "11/quick": captioning}
    made |= {"12/quick": masked, "12/quick_multimodal": multimodal}
    for model in made.values():
        for parameter in model.parameters():
            parameter.data += 0.01 * torch.randn_like(parameter)
    return made | {"13/quick": Coordinated(masked, multimodal, stages=2)}


def runs(monkeypatch, outputs: Path) -> dict[str, Path]:
    """Reference -> the folder of its run, below `outputs`, which becomes the place of all runs."""
    monkeypatch.setenv("IVCORE_OUTPUTS", str(outputs))
    folders = {}
    for name, model in models().items():
        reference = Reference.of(name)
        folder, values = reference.folder, reference.spec.pin(reference.values)
        (folder / "checkpoints").mkdir(parents=True)
        run_folder.write_params(folder, values)
        provenance.record(folder, reference.spec, values)
        save_weights(model, folder / "checkpoints" / "model.safetensors", model.config)
        (folder / "train.jsonl").write_text('{"step": 7, "seconds": 36.0}\n')
        env = {"device": "cpu (2 cores)", "commit": "0123456789ab", "began": "now", "ranks": 1, "command": "iv run"}
        files.write_json(folder / "env.json", env)
        if name.startswith("12"):
            files.write_text(folder / "union" / "classes.txt", "\n".join(CLASSES) + "\n")
        if name.startswith("11"):
            files.write_json(folder / "tokenizer.json", Tokenizer.for_texts(SENTENCES, 24).config)
        metrics = {"top1": 0.25, "data": "moving shapes", "headline": ["top1"]}
        files.write_json(
            folder / "metrics.json", metrics | {"notebook": reference.spec.stem, "preset": reference.preset}
        )
        folders[name] = folder
    return folders


def packed(monkeypatch, place: Path, outputs: Path) -> dict:
    """A box of these runs in `place`, which becomes the box. -> its card. No clip is rendered to score it."""
    from ivcore.stages import box_scores, pack_box

    monkeypatch.setenv("IVCORE_BOX", str(place))
    monkeypatch.setattr(box_scores, "measure", lambda name, clips: {"top1": 0.5, "chance": 0.25})
    return pack_box.pack([runs(monkeypatch, outputs)["13/quick"]])
