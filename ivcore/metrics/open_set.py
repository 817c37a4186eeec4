"""Known against unknown actions: measures of a score that is high for clips of classes never trained (paper 4.3.3,
Table 11; DEAR).

    threshold = threshold_keeping(train_uncertainty)             # 95 % of the training clips count as known
    auroc(known, unknown)                                        # over all thresholds
    auroc(known, unknown, threshold)                             # at this one: the mean of the two rates of right decisions

Uncertainties are float (N,) of known and (M,) of unknown clips; an unknown clip is a positive. Measures are float64 in
[0, 1].
"""

import math

import torch
from torch import Tensor

from ivcore.errors import ParameterError


def threshold_keeping(train: Tensor, share: float = 0.95, *, ascending: bool = False) -> float:
    """The uncertainty above which a clip counts as unknown, chosen so that about `share` of the training clips (N,)
    count as known.

    ascending: sorts as the published script for several GPUs does, which rejects about `share` of them instead.
    ParameterError for no clips or a share outside (0, 1).
    """
    if not len(train) or not 0 < share < 1:
        raise ParameterError(
            f"train of {len(train)} clips, share {share}: expected at least one, and a share between 0 and 1"
        )
    kept = len(train) - int(len(train) * share)
    return train.sort(descending=not ascending).values[kept - 1].item()


def auroc(known: Tensor, unknown: Tensor, threshold: float | None = None) -> float:
    """Area under the ROC curve; a tie counts half. With a threshold, scores are first binarised to known (0) and
    unknown (1).
    """
    rates = _rates(known, unknown, threshold)
    return torch.trapezoid(rates["tpr"], rates["fpr"]).item()


def aupr(known: Tensor, unknown: Tensor, threshold: float | None = None) -> float:
    """Area under the precision-recall curve by trapezoids, as published; precision is 1 at recall 0."""
    rates = _rates(known, unknown, threshold)
    precision = rates["true"] / (rates["true"] + rates["false"])
    precision[0] = 1
    return torch.trapezoid(precision, rates["tpr"]).item()


def fpr_at_tpr(known: Tensor, unknown: Tensor, tpr: float = 0.95, threshold: float | None = None, *,
               nearest: bool = False) -> float:  # fmt: skip
    """The smallest share of rejected known clips at which at least `tpr` of the unknown ones are rejected. nearest:
    uses the point of the curve whose rate is nearest to `tpr`, the first on a tie, as published.
    """
    rates = _rates(known, unknown, threshold)
    if nearest:
        return rates["fpr"][(rates["tpr"] - tpr).abs().argmin()].item()
    return rates["fpr"][rates["tpr"] >= tpr].min().item()


def openness(known_classes: int, unknown_classes: int) -> float:
    """1 - sqrt(2 known / (2 known + unknown)): 0 if no class is unknown."""
    return 1 - math.sqrt(2 * known_classes / (2 * known_classes + unknown_classes))


def macro_f1(predictions: Tensor, labels: Tensor) -> float:
    """Mean F1 over the classes that occur in predictions or labels, int (N,)."""
    classes = torch.cat([predictions, labels]).unique()[:, None]
    hits = ((predictions == classes) & (labels == classes)).sum(1)
    return (2 * hits / ((predictions == classes).sum(1) + (labels == classes).sum(1))).double().mean().item()


def open_f1(known: tuple[Tensor, Tensor, Tensor], unknown: tuple[Tensor, Tensor], threshold: float, num_classes: int,
            classes: list[int] | None = None) -> float:  # fmt: skip
    """Macro-F1 with "unknown" as one more class, predicted for every clip above the threshold.

    known: uncertainty (N,), prediction (N,), label (N,). unknown: uncertainty (M,), prediction (M,), and as a third the
    unknown class of each clip if only some `classes` of them are to be used.
    """
    score, predicted, labels = known
    strange, guess = unknown[:2]
    if classes is not None:
        shown = torch.isin(unknown[2], torch.tensor(classes, dtype=unknown[2].dtype))
        strange, guess = strange[shown], guess[shown]
    predicted = torch.cat([predicted, guess]).clone()
    predicted[torch.cat([score, strange]) > threshold] = num_classes
    return macro_f1(predicted, torch.cat([labels, labels.new_full((len(strange),), num_classes)]))


def _rates(known: Tensor, unknown: Tensor, threshold: float | None) -> dict[str, Tensor]:
    """The ROC curve from (0, 0) to (1, 1), a point for each distinct score, highest first: counts true and false, and
    the rates tpr and fpr.
    """
    if not len(known) or not len(unknown):
        raise ParameterError(f"{len(known)} known and {len(unknown)} unknown clips: expected at least one of each")
    scores = torch.cat([known, unknown]).double()
    if not scores.isfinite().all():
        raise ParameterError("uncertainties: expected finite numbers, found nan or infinite ones")
    if threshold is not None:
        scores = (torch.cat([known, unknown]) > threshold).double()
    levels, place = scores.unique(return_inverse=True)
    strange = torch.arange(len(scores)) >= len(known)
    counts = [torch.bincount(place[rows], minlength=len(levels)).flip(0).cumsum(0) for rows in (strange, ~strange)]
    true, false = (torch.cat([torch.zeros(1), count]).double() for count in counts)
    return {"true": true, "false": false, "tpr": true / len(unknown), "fpr": false / len(known)}
