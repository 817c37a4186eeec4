"""What `iv finetune` says of its results: the table, which model is kept, and how sure that is."""

import pytest

from ivcore.run import finetune_table
from ivcore.run.finetune_table import Held

NEIGHBOURS, AVERAGED = "nearest neighbours, masked features", "both, scores averaged"
NAMES = (NEIGHBOURS, "masked encoder from scratch", "masked", "multimodal", AVERAGED, "coordinated")
MANY = Held("validation", 40, 40)


def table(other=0.0, **scores):
    """Validation scores as given, `other` of whatever is not."""
    return [{"name": name, "val": scores.get(name, other)} for name in NAMES]


def metrics(top1, more):
    encoder = {"knn_val_top1": 0.5, "knn_top1": 0.5, "knn_top1_error": 0.1, "val_top1": 0.5, "top1": top1} | more
    joined = {"val_top1": 0.5, "top1_coordinated": 0.75, "top1_coordinated_error": 0.1, "top1_ensemble": 0.75}
    return {"masked": encoder, "multimodal": encoder, "scratch": encoder, "coordinated": joined}


# ---- the table


@pytest.mark.parametrize(
    ("groups", "top1", "error", "shown"),
    [
        (40, 0.8, 0.064, "0.800 ± 0.064"),
        (2, 0.8, 0.0, "0.800"),
        (40, 1.0, 0.0, "1.000 (≥ 0.91)"),
        (2, 1.0, 0.0, "1.000 (≥ 0.16)"),
        (2, 0.0, 0.0, "0.000 (≤ 0.84)"),
    ],
)
def test_groups_of_the_test_say_how_sure_a_share_is(groups, top1, error, shown):
    test = Held("test", 40, groups)
    rows = finetune_table.rows(metrics(top1, {"top1_error": error}), test)
    line = next(
        line for line in finetune_table.as_text(rows, test, "plain").splitlines() if line.startswith("masked  ")
    )
    assert line.split("  ")[-1].strip() == shown


def test_what_the_signs_of_the_table_mean_is_said():
    for groups, top1, said in (
        (40, 0.8, "± is the standard error over test videos, one seed (3)"),
        (12, 0.8, "± is the standard error over test groups, one seed (3)"),
        (2, 1.0, "one seed (3); no ± below 10 test groups; ≥ and ≤ are the bound where all or none are right (95 %)"),
    ):
        test = Held("test", 40, groups)
        rows = finetune_table.rows(metrics(top1, {"top1_error": 0.1}), test)
        assert finetune_table.certainty(rows, test, 3) == said


def test_mean_class_accuracy_is_shown_where_it_says_something_else():
    test = Held("test", 40, 40)
    equal = finetune_table.rows(metrics(0.9, {"mean_class_accuracy": 0.9, "val_mean_class_accuracy": 0.5}), test)
    assert "by class" not in finetune_table.as_text(equal, test, "plain") + finetune_table.certainty(equal, test, 0)
    rows = finetune_table.rows(metrics(0.9, {"mean_class_accuracy": 0.5, "answered_classes": 1}), test)
    (line,) = (line for line in finetune_table.as_text(rows, test, "plain").splitlines() if line.startswith("masked  "))
    assert line.split() == ["masked", "0.500", "0.900", "0.500"]
    assert "by class: mean class accuracy" in finetune_table.certainty(rows, test, 0)


TWO = {"a": {"test": 20}, "b": {"test": 20}}


def test_a_row_that_gives_one_answer_is_named():
    test = Held("test", 40, 40)
    runs = metrics(0.1, {"answered_classes": 10})
    assert finetune_table.constant(finetune_table.rows(runs, test), TWO) == ""
    runs["scratch"] = runs["scratch"] | {"answered_classes": 1}
    rows = finetune_table.rows(runs, test)
    assert finetune_table.constant(rows, TWO) == "Gives one answer to all test videos: masked encoder from scratch"
    assert finetune_table.constant(rows, TWO | {"b": {"test": 0}}) == ""  # no other answer is right


def test_few_groups_are_few_however_many_videos_they_have():
    assert finetune_table.few_tested(Held("test", 30, 30)) == ""
    assert "9 test videos decide little: all of them right would mean at least 0.66" in finetune_table.few_tested(
        Held("test", 9, 9)
    )
    assert finetune_table.few_tested(Held("test", 40, 2)).startswith("40 test videos of 2 groups decide little")
    assert finetune_table.few_tested(Held("test", 1, 1)).startswith("1 test video decides little")


def test_a_test_without_groups_claims_nothing_about_films():
    told = [finetune_table.seen(Held("test", 40, groups), groups < 40) for groups in (8, 40)]
    assert (
        told[0] == "40 test videos of 8 groups; the runs neither trained nor chose on them or on others of their groups"
    )
    assert "but maybe on other cuts of their films: no groups are known" in told[1]


def test_what_the_coordinated_model_has_beyond_the_averaged_scores_is_said():
    assert "for 11 epochs more" in finetune_table.budgets(11.0) and "for 1 epoch more" in finetune_table.budgets(1.0)


# ---- the choice


def test_the_model_that_is_kept_is_the_best_on_validation_and_of_equals_the_coordinated():
    level = table(masked=0.5, multimodal=0.5, coordinated=0.5)
    assert finetune_table.best(level, MANY) == "coordinated"
    said = finetune_table.why(level, "coordinated", MANY)
    assert said[0].endswith("chosen on 40 validation videos among coordinated, multimodal and masked")
    assert said[1] == "It is level there with multimodal and masked; of equals the first in this order is kept"
    ahead = [*table(masked=0.6, multimodal=0.5, coordinated=0.5), {"name": "from scratch", "val": 0.9}]
    assert finetune_table.best(ahead, MANY) == "masked" and "level" not in "".join(
        finetune_table.why(ahead, "masked", MANY)
    )


@pytest.mark.parametrize(
    ("sizes", "by"),
    [((180, 20), "val_by_class"), ((60, 40), "val"), ((50, *[20] * 9), "val_by_class"), ((40, *[20] * 9), "val")],
)
def test_where_one_class_has_most_videos_the_choice_goes_by_classes(sizes, by):
    counts = {str(i): {"train": size, "val": 0, "test": 0} for i, size in enumerate(sizes)}
    rows = [row | {"val_by_class": 0.5} for row in table(masked=0.9, multimodal=0.8, coordinated=0.8)]
    rows[3]["val_by_class"] = 0.7
    assert finetune_table.measure(rows, counts) == by
    chosen = finetune_table.best(rows, MANY, by)
    assert chosen == {"val": "masked", "val_by_class": "multimodal"}[by]
    assert ("by mean class accuracy: the largest class" in finetune_table.why(rows, chosen, MANY, by)[0]) == (
        by != "val"
    )
    rows[2]["val_by_class"] = None  # of a run that did not measure it
    assert finetune_table.measure(rows, counts) == "val"


@pytest.mark.parametrize("few", [Held("validation", 2, 2), Held("validation", 200, 19)])
def test_few_validation_videos_choose_between_the_encoders_alone_and_that_is_said(few):
    level = table(masked=0.5, multimodal=0.5, coordinated=1.0)
    assert finetune_table.best(level, few) == "multimodal"
    said = finetune_table.why(level, "multimodal", few)
    assert said[0].endswith(f"chosen on {few} among multimodal and masked") and "level there with masked;" in said[1]
    assert f"from 20 validation {few.unit} on" in said[2] and said[3].startswith(f"{few} decide little")


def test_a_baseline_that_is_as_good_is_named():
    assert finetune_table.better(table(0.4, masked=0.5, multimodal=0.5, coordinated=0.5), "coordinated") == ""
    said = finetune_table.why([*table(0.4, coordinated=0.5), {"name": "another", "val": 0.5}], "coordinated", MANY)
    assert "No better than another: 0.500 there, the coordinated one 0.500" in said[-1]


def test_where_nothing_is_right_no_comparison_is_claimed():
    said = finetune_table.why(table(), "coordinated", MANY)
    assert said[-1] == "Nothing in the table is right on any of them, so the choice tells nothing"
    assert "No better" not in "".join(said)
