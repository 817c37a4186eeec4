"""Many small masked pretrainings that differ in one thing: the cells of an ablation, and what each has taught its encoder.

Every cell lies in a folder of its own and is `train`'s run like any other: a stopped ablation goes on with the cell it was stopped
in, and what is finished is read back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import nn

from ivcore.data.views import Views, over_views
from ivcore.errors import UserError
from ivcore.heads.probes import linear_probe, probed
from ivcore.losses.reconstruction import reconstruction, targets
from ivcore.metrics.recognition import occurring_pairs, pair_accuracy
from ivcore.run import board, provenance
from ivcore.run import presets as params
from ivcore.run import session as run_folder
from ivcore.train import Batches, History, train
from ivcore.train.recipe import Recipe


def pretrain(
    model: nn.Module, draw_mask: Callable, batches: Batches, recipe: Recipe, folder: Path
) -> History:
    """Masked pretraining of notebook 10, with normalised targets: trains a MaskedAutoencoder in place, or reads back what `folder` holds.

    draw_mask(clips, grid, generator) -> bool (clips, N), True = hidden. Errors are those of `train`.
    """

    def loss(model, batch, generator):
        video = model.prepare(batch["video"])
        mask = draw_mask(len(video), model.encoder.grid, generator)
        return reconstruction(model(video, mask), targets(video, mask, model.size.patch)), {}

    return train(model, loss, batches, recipe, folder, label=folder.name)


def frozen_scores(
    encoder: nn.Module, known: Views, asked: Views, pairs: Sequence[tuple[int, int]] = ()
) -> dict:
    """What the encoder's mean token tells of the clips `asked`, given the labels of `known`; nothing in it changes.

    -> knn and probe (top-1 of a 20-nearest-neighbour vote and of a linear layer), and with `pairs` of classes order: how often the probe
    scores the right one of two partners higher. UserError where the labels of `known` are all the same.
    """
    features = [
        over_views(lambda video: encoder(video).mean(1), encoder, views, 256) for views in (known, asked)
    ]
    (train_x, train_y), (test_x, test_y) = [(x[:, 0], y) for x, y in features]
    told = probed(train_x, train_y, test_x, test_y)
    if not told:
        raise UserError("train_csv: labels measure here, and the training videos have fewer than two classes")
    scores = {name.removesuffix("_top1"): value for name, value in told.items()}
    if pairs := occurring_pairs(list(pairs), test_y):
        classes = int(max(train_y.max(), test_y.max())) + 1
        scores["order"] = pair_accuracy(
            linear_probe(train_x, train_y, test_x, num_classes=classes), test_y, pairs
        )
    return scores


def over_seeds(run: run_folder.Run, metrics: dict) -> dict[str, list]:
    """The metrics of this run beside those of finished runs that differ, with all that led to them, in nothing but seeds: name -> a value a run, this one's first."""
    alike = provenance.apart_from_seeds(run.params)
    others = [row.metrics for row in board.rows(run.notebook)
              if provenance.apart_from_seeds(row.params) == alike and params.of_result(row.params) != params.of_result(run.params)]  # fmt: skip
    return {name: [m[name] for m in (metrics, *others) if name in m] for name in metrics}
