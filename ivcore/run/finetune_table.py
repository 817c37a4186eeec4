"""The final table of `iv finetune`: scores of each model, which model is kept, and how certain both are.

The groups of a test are its independent trials: videos that belong together (`data.groups`) are mostly right or wrong together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FEW = 30  # videos, on which a share says little
FEWEST = 10  # groups, below which no standard error is told
# docs/notes.md, Fine-tuning from the box
JOINED = 20  # validation videos, below which the coordinated model is not kept
TWICE = 2  # as many videos in the largest class as in the others on average, above which classes are chosen by and not videos
MODELS = ("coordinated", "multimodal", "masked")  # that may be kept; of equals the first


@dataclass(frozen=True)
class Held:
    """A held-out part: its name, its number of videos and of groups. A video without a group counts as one group."""

    name: str
    videos: int
    groups: int

    def __str__(self) -> str:
        videos = f"{self.videos} {self.name} video{'s' * (self.videos != 1)}"
        return videos if self.groups == self.videos else f"{videos} of {self.groups} group{'s' * (self.groups != 1)}"

    @property
    def decides_little(self) -> str:
        return f"{self} decide{'s' * (self.videos == 1)} little"

    @property
    def unit(self) -> str:
        return "videos" if self.groups == self.videos else "groups"

    @property
    def at_least(self) -> float:
        """The least share that all of them right would mean: Clopper and Pearson's bound, two-sided at 95 %."""
        return 0.025 ** (1 / self.groups)


# ---- the table


def rows(metrics: Mapping[str, dict], test: Held) -> list[dict]:
    """The rows of the table. Each has its name, top-1 on validation and test ("val", "test"), mean class accuracy on both ("val_by_class",
    "by_class"), the standard error of the test's top-1 ("error"), the number of classes that it answers ("answered"), and the seconds of
    the run ("seconds"); None for missing values.

    metrics: those of each run, by what is trained. Scores of 0 or 1, and scores on few groups, have no error.
    """
    masked, multimodal, joined = metrics["masked"], metrics["multimodal"], metrics["coordinated"]
    made = [
        _row("nearest neighbours, masked features", masked, "knn_val_top1", "knn_top1"),
        _row("nearest neighbours, multimodal features", multimodal, "knn_val_top1", "knn_top1"),
        _row("masked encoder from scratch", metrics["scratch"], "val_top1", "top1", timed=True),
        _row("masked", masked, "val_top1", "top1", timed=True),
        _row("multimodal", multimodal, "val_top1", "top1", timed=True),
        _row("both, scores averaged", joined, "val_top1_ensemble", "top1_ensemble"),
        _row("coordinated", joined, "val_top1", "top1_coordinated", timed=True),
    ]
    return [row | ({} if test.groups >= FEWEST and row["test"] not in (0, 1) else {"error": None}) for row in made]


def _row(name: str, metrics: dict, val: str, test: str, timed: bool = False) -> dict:
    by_class = {key: metrics.get(each.replace("top1", "mean_class_accuracy")) for key, each in (("val_by_class", val), ("by_class", test))}  # fmt: skip
    of_model = {"answered": metrics.get("answered_classes"), "seconds": metrics.get("spent")} if timed else {}
    shares = {"val": metrics.get(val), "test": metrics.get(test), "error": metrics.get(f"{test}_error")}
    return {"name": name, **shares, **by_class, "answered": None, "seconds": None, **of_model}


def as_text(table: Sequence[dict], test: Held, tablefmt: str) -> str:
    """Columns of mean class accuracy where it is another number than top-1 anywhere."""
    from tabulate import tabulate

    columns = {
        "": [row["name"] for row in table],
        "validation": [_number(row["val"]) for row in table],
        "test top-1": [_with_error(row, test) for row in table],
        "validation by class": [_number(row["val_by_class"]) for row in table],
        "test by class": [_number(row["by_class"]) for row in table],
        "seconds": [_number(row["seconds"], 0) for row in table],
    }
    if not by_class_differs(table):
        del columns["validation by class"], columns["test by class"]
    return tabulate(columns, "keys", tablefmt=tablefmt, disable_numparse=True)


def by_class_differs(table: Sequence[dict]) -> bool:
    pairs = [(row[top1], row[by_class]) for row in table for top1, by_class in (("val", "val_by_class"), ("test", "by_class"))]  # fmt: skip
    return any(by_class is not None and _number(top1) != _number(by_class) for top1, by_class in pairs)


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _with_error(row: dict, test: Held) -> str:
    told = _number(row["test"])
    if row["test"] == 1:
        return f"{told} (≥ {test.at_least:.2f})"
    if row["test"] == 0:
        return f"{told} (≤ {1 - test.at_least:.2f})"
    return told + (f" ± {row['error']:.3f}" if row["error"] is not None else "")


def certainty(table: Sequence[dict], test: Held, seed: int) -> str:
    """Explains ±, ≥ and ≤ of the table."""
    lines = []
    if any(row["error"] is not None for row in table):
        lines.append(f"± is the standard error over test {test.unit}, one seed ({seed})")
    else:
        lines.append(f"one seed ({seed})" + (f"; no ± below {FEWEST} test {test.unit}" if test.groups < FEWEST else ""))
    if any(row["test"] in (0, 1) for row in table):
        lines.append("≥ and ≤ are the bound where all or none are right (95 %)")
    if by_class_differs(table):
        lines.append("by class: mean class accuracy, the share of each class that is right, averaged over classes")
    return "; ".join(lines)


def constant(table: Sequence[dict], counts: Mapping[str, Mapping[str, int]]) -> str:
    """Names the rows that give one answer to all test videos; "" without such a row, or if fewer than two classes are tested."""
    names = [row["name"] for row in table if row["answered"] == 1]
    tested = sum(of["test"] > 0 for of in counts.values())
    return f"Gives one answer to all test videos: {_listed(names)}" if names and tested > 1 else ""


def few_tested(test: Held) -> str:
    """The warning for a test with few videos or groups; "" for a large one."""
    if test.groups >= FEW:
        return ""
    return f"{test.decides_little}: all of them right would mean at least {test.at_least:.2f} (95 %)"


def seen(test: Held, grouped: bool) -> str:
    """Says that the runs have not used the test. grouped: whether any videos are known to belong together."""
    if grouped:
        return f"{test}; the runs neither trained nor chose on them or on others of their groups"
    return f"{test}; the runs neither trained nor chose on them, but maybe on other cuts of their films: no groups are known (docs/data.md, What is held out)"


# ---- the choice


def measure(table: Sequence[dict], counts: Mapping[str, Mapping[str, int]]) -> str:
    """The column that chooses the model: "val", or "val_by_class" if the largest class has more than TWICE the mean number of videos of the
    others. counts: class -> part -> number of videos.
    """
    sizes = sorted(sum(of.values()) for of in counts.values())
    lopsided = sizes[-1] * (len(sizes) - 1) > TWICE * sum(sizes[:-1])
    known = all(row["val_by_class"] is not None for row in table if row["name"] in MODELS)
    return "val_by_class" if lopsided and known else "val"


def best(table: Sequence[dict], validation: Held, by: str = "val") -> str:
    """The best model on the validation videos. With few of these only the two single encoders are candidates."""
    return max(_candidates(validation), key=_scores(table, by).get)


def _scores(table: Sequence[dict], by: str) -> dict[str, float]:
    return {row["name"]: row[by] or 0.0 for row in table}


def _candidates(validation: Held) -> tuple[str, ...]:
    return MODELS if validation.groups >= JOINED else MODELS[1:]


def why(table: Sequence[dict], chosen: str, validation: Held, by: str = "val") -> list[str]:
    """Explains the choice, one reason a line."""
    scores, candidates = _scores(table, by), _candidates(validation)
    lines = [f"model.safetensors is the {chosen} one, chosen on {validation} among {_listed(candidates)}"]
    if by != "val":
        lines[0] += (
            f" by mean class accuracy: the largest class has more than {TWICE} times as many videos as the others have on average"
        )
    if level := [name for name in candidates if name != chosen and scores[name] == scores[chosen]]:
        lines.append(f"It is level there with {_listed(level)}; of equals the first in this order is kept")
    if len(candidates) < len(MODELS):
        lines.append(
            f"The coordinated model may be kept from {JOINED} validation {validation.unit} on: fewer do not tell it from one encoder alone"
        )
    if validation.groups < FEW:
        lines.append(f"{validation.decides_little}: on others another model may be the best")
    if not any(scores.values()):
        lines.append("Nothing in the table is right on any of them, so the choice tells nothing")
    elif sentence := better(table, chosen, by):
        lines.append(sentence)
    return lines


def better(table: Sequence[dict], chosen: str, by: str = "val") -> str:
    """Names a baseline that was as good as the kept model on the validation videos, or better; "" if there is none."""
    scores = _scores(table, by)
    above = max((name for name in scores if name not in MODELS), key=scores.get)
    if scores[above] < scores[chosen]:
        return ""
    return f"No better than {above}: {scores[above]:.3f} there, the {chosen} one {scores[chosen]:.3f}. More epochs (--minutes, --epochs) or more videos may turn that."


def budgets(joint_epochs: float) -> str:
    """Says how much longer the coordinated model was trained than the rows beside it."""
    return f"The coordinated model's heads learned for {joint_epochs:g} epoch{'s' * (joint_epochs != 1)} more than those of the averaged scores, together with its modules"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
