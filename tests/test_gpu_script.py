"""benchmarks/gpu.py keeps what a part has measured, whatever becomes of the part."""

import importlib
import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("gpu")


WRITES = "import json, sys; json.dump({'rows': [{'engine': 'plain', 's': 0.25}]}, open(sys.argv[1], 'w'))"


def part(gpu, then="", seconds=20):
    return gpu.Part("a part", seconds, lambda device, file: [sys.executable, "-c", f"{WRITES}\n{then}", str(file)], lambda found: found["rows"])  # fmt: skip


@pytest.mark.parametrize(
    "then, status, said",
    [("", "done", ""), ("sys.exit('no memory')", "failed", "no memory"), ("import time; time.sleep(99)", "cut", "")],
)
def test_rows_that_were_written_are_kept(gpu, then, status, said):
    found = gpu.run(part(gpu, then, seconds=20 if status != "cut" else 10), "cpu", 30)
    assert (found["status"], found["rows"]) == (status, [{"engine": "plain", "s": 0.25}])
    assert said in "\n".join(found["said"])


def test_what_the_time_does_not_allow_is_left_out(gpu):
    assert gpu.run(part(gpu), "cpu", 5)["status"] == "left out"


def test_the_table_has_a_block_a_part(gpu):
    rows = [{"engine": "plain", "s": 0.2512}, {"engine": "zero1", "GiB": 3}]
    text = gpu.table(
        {"device": "X", "torch": "2", "parts": {"engines": {"status": "done", "seconds": 3.0, "rows": rows}}}
    )
    assert "| engine | s | GiB |" in text and "| plain | 0.251 |  |" in text and "| zero1 |  | 3 |" in text


def test_mfu_is_of_the_cards_peak(gpu):
    row = {"side": "ours", "batch": 8, "precision": "bf16", "compile": False, "clips_per_second": 8.0, "seconds": 1.0,
           "peak_bytes": 2**30, "forward_flops": 989e12 / 6, "share_of_roof": 0.6}  # fmt: skip
    peer = row | {"side": "transformers", "seconds": 2.0}
    found = gpu._with_mfu({"device": "NVIDIA H200", "size": "base", "rows": [row, peer]})
    assert found[0]["MFU"] == pytest.approx(0.5) and found[0]["over the other"] == 2.0
    assert json.loads(json.dumps(found)) == found


def test_a_machine_without_a_gpu_is_told_of_the_dry_run(gpu, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--out", str(tmp_path / "a.json")])
    monkeypatch.setattr(gpu.torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        gpu.main()
    assert "--device cpu is a dry run" in capsys.readouterr().err
