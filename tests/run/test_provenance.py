"""A run that was begun from an encoder that has been made anew since begins afresh."""

import pytest
from workbook import Workbook, read

from ivcore import files
from ivcore.run import board, provenance
from ivcore.run import folder as run_folder
from ivcore.run.spec import Spec


def finish(folder, loss, seconds=1.0):
    folder.mkdir(parents=True, exist_ok=True)
    files.write_json(
        folder / "metrics.json",
        {"loss": loss, "wall_seconds": seconds, "notebook": "10_stage", "preset": "tiny"},
    )


def began_from(folder, encoder):
    """A run that names its encoder, as the runner records it."""
    folder.mkdir(exist_ok=True)
    run_folder.write_params(folder, {"masked_encoder": str(encoder), "other": "scratch"})
    files.write_json(folder / provenance.ENCODERS, provenance.results({"masked_encoder": str(encoder)}))


def test_a_new_result_outdates_what_was_begun_from_the_old_one(tmp_path):
    mine = tmp_path / "mine"
    assert not provenance.changes(mine)  # nothing was begun
    finish(tmp_path / "up", 1.0)
    began_from(mine, tmp_path / "up")
    assert list(read(mine / provenance.ENCODERS)) == ["masked_encoder"]
    finish(
        tmp_path / "up", 1.0, seconds=2.0
    )  # written again, the same: resumed at its end, copied, or touched
    finish(mine, 0.5)
    assert not provenance.changes(mine) and provenance.is_current(mine) and provenance.state(mine) == "done"
    finish(tmp_path / "up", 1.1)
    (told,) = provenance.changes(mine)
    assert (
        "has been made anew" in told and not provenance.is_current(mine) and provenance.state(mine) == "stale"
    )


def started(folder, **values):
    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text("".join(f"{name}: {value}\n" for name, value in values.items()))
    return str(folder)


def test_seeds_do_not_count_anywhere_on_the_way(tmp_path):
    first, second = (started(tmp_path / f"12/tiny-{seed}", seed=seed, lr=0.1) for seed in (0, 1))
    other = started(tmp_path / "12/tiny-2", seed=2, lr=0.2)
    runs = [
        {"encoder": each, "seed": seed, "run_dir": each} for seed, each in enumerate((first, second, other))
    ]
    one, same, different = (board.apart_from_seeds(run) for run in runs)
    assert one == same == {"encoder": {"notebook": "12", "lr": 0.1}}
    assert different != one
    assert board.apart_from_seeds({"encoder": "hub/name", "mask": "a/b"}) == {
        "encoder": "hub/name",
        "mask": "a/b",
    }


def test_a_run_from_scratch_records_nothing(tmp_path, monkeypatch):
    book = Workbook(tmp_path, monkeypatch)
    book.notebook("30_task", parameters=PARAMETERS)
    provenance.record(tmp_path, Spec.of("30"), {"masked_encoder": "scratch"})
    assert not (tmp_path / provenance.ENCODERS).exists() and not provenance.changes(tmp_path)


PARAMETERS = 'masked_encoder: str = "10/tiny"  # start; encoder\n'
RESUMES = """\
step = run.checkpoints / "step.txt"
resumed = step.exists()
step.write_text("1")
run.finish({"resumed": resumed})
"""


@pytest.mark.slow
def test_the_runner_begins_afresh(tmp_path, monkeypatch, capfd):
    book = Workbook(tmp_path, monkeypatch)
    book.notebook("10_stage", "import time\nrun.finish({'loss': time.time()})")
    book.notebook("30_task", RESUMES, parameters=PARAMETERS)
    assert book.iv("run", "30") == 0
    metrics = book.folder("30_task") / "metrics.json"
    metrics.unlink()  # as after a kill: the checkpoint is there, the result is not
    assert book.iv("run", "30") == 0 and read(metrics)["resumed"] is True
    assert book.iv("run", "10", "--force") == 0
    metrics.unlink()
    assert book.iv("run", "30") == 0 and read(metrics)["resumed"] is False
    assert "made anew" in capfd.readouterr().out
