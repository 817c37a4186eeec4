"""k-NN and linear-probe scores of a frozen encoder's features; the encoder is not changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from ivcore.data.views import Views, over_views
from ivcore.errors import UserError
from ivcore.heads.probes import linear_probe, probed
from ivcore.metrics.recognition import occurring_pairs, pair_accuracy

MEASURES = {  # keys of `frozen_scores` -> names on axes
    "knn": "top-1 of a k-NN vote",
    "probe": "top-1 of a linear probe",
    "order": "right one of two partner actions",
}


def frozen_features(
    encode: Callable, model: nn.Module, views: Views, num_workers: int = 0, precision: str = "fp32"
) -> tuple[Tensor, Tensor]:
    """encode(prepared clips (B, 3, T, H, W)) -> (B, D), averaged over the views of each video: (n, D), and labels (n,).

    `model` prepares the clips. n is the number of readable videos.
    """
    features, labels = over_views(encode, model, views, 256, num_workers, precision)
    return features.mean(1), labels


def mean_tokens(encoder: nn.Module, views: Views, num_workers: int = 0, precision: str = "fp32"):
    """`frozen_features` of a masked encoder: the mean of its tokens; for a classifier, the input of its last layer."""
    encode = getattr(encoder, "features", None) or (lambda video: encoder(video).mean(1))
    return frozen_features(encode, encoder, views, num_workers, precision)


def what_features_tell(
    encoder: nn.Module, train_views: Views, test_views: Views, num_workers: int = 0, precision: str = "fp32"
) -> dict:
    """knn_top1 and probe_top1 on the test clips: a vote of the 20 nearest training clips, and a linear layer trained on
    them.

    {} if all training labels are the same.
    """
    train, test = (mean_tokens(encoder, views, num_workers, precision) for views in (train_views, test_views))
    return probed(*train, *test)


def frozen_scores(
    encoder: nn.Module, train_views: Views, test_views: Views, pairs: Sequence[tuple[int, int]] = ()
) -> dict:
    """Scores of the encoder's mean token on the test clips, given the labels of the training clips.

    -> knn and probe (top-1 of a 20-nearest-neighbour vote and of a linear layer). With `pairs` of classes also order:
    how often the probe scores the right one of two partners higher. UserError if all training labels are the same.
    """
    (train_x, train_y), (test_x, test_y) = (mean_tokens(encoder, views) for views in (train_views, test_views))
    measures = probed(train_x, train_y, test_x, test_y)
    if not measures:
        raise UserError(
            "train_csv: the training videos have fewer than two classes, so their labels cannot measure features"
        )
    scores = {name.removesuffix("_top1"): value for name, value in measures.items()}
    if pairs := occurring_pairs(list(pairs), test_y):
        classes = int(max(train_y.max(), test_y.max())) + 1
        logits = linear_probe(train_x, train_y, test_x, num_classes=classes)
        scores["order"] = pair_accuracy(logits, test_y, pairs)
    return scores
