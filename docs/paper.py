"""Draws the figures of docs/paper.md: the paper's figures 2 to 4, from the existing notebooks and from models of the
published sizes.

python docs/paper.py     writes docs/figures/paper_*.png; the models have no weights, so it takes seconds
"""

from pathlib import Path

import torch
from PIL import Image

from ivcore.cma import Coordinated
from ivcore.encoders.build import caption_decoder, video_text_model
from ivcore.encoders.sizes import video_text_size
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import MaskedAutoencoder, VideoClassifier
from ivcore.run.chain import chain
from ivcore.show import style
from ivcore.show.architecture import interaction, masked_pretraining, video_text

FOLDER = Path(__file__).with_name("figures")


def figures() -> dict:
    """Name -> Figure."""
    large = video_text_size("large")
    with torch.device("meta"):
        masked, text = MaskedAutoencoder("huge"), video_text_model(large, decoder=caption_decoder("plain", large))
        joined = Coordinated(VideoClassifier("huge", 400), UniFormerV2(1024, 24, 16, 14, 224, 400))
    drawn = {"masked": masked_pretraining(masked), "video_text": video_text(text), "interaction": interaction(joined)}
    return {"framework": chain()} | drawn


def draw(folder: Path) -> list[Path]:
    """Writes one file for each figure; returns them."""
    style.apply()
    files = []
    for name, figure in figures().items():
        files.append(style.save(figure, folder / f"paper_{name}.png"))
        Image.open(files[-1]).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(files[-1], optimize=True)
    return files


if __name__ == "__main__":
    print(*draw(FOLDER), sep="\n")
