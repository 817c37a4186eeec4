"""Typed parameters: reading the cell, values from presets and the command line, errors of one line, hashes, sweeps."""

import textwrap

import hypothesis
import pytest
from hypothesis import strategies as st
from workbook import PARAMETERS, Workbook

from ivcore import files, paths
from ivcore.errors import ParameterError
from ivcore.run import folder as run_folder
from ivcore.run import parameters
from ivcore.run.parameters import of_result
from ivcore.run.spec import Reference, Spec, brief


@pytest.fixture
def book(tmp_path, monkeypatch):
    made = Workbook(tmp_path, monkeypatch)
    made.notebook("10_stage")
    return made


def error(book, reference, *arguments) -> str:
    with pytest.raises(ParameterError) as caught:
        Spec.of(reference).resolve(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_read_gives_name_type_default_description_and_constraint(book):
    known = Spec.of("10").parameters
    assert list(known) == [*("run_dir", "seed", "mask_ratio", "lr", "sizes", "annotations", "mode", "mean", "where")]
    ratio = known["mask_ratio"]
    assert (ratio.type, ratio.default, ratio.description) == ("float", 0.9, "share of tubelets hidden")
    assert ratio.constraint.detail == ("[", 0.0, 1.0, ")", 0)
    assert known["mode"].constraint.detail == ("fast", "slow", "odd")
    assert known["annotations"].constraint.detail == ("kinetics_csv",)
    assert known["lr"].constraint is None


def test_a_line_that_a_formatter_wrapped_keeps_its_constraint(book):
    book.notebook("11_wrapped", parameters='source: str = (\n    "scratch"  # where from; one of scratch, run\n)')
    assert Spec.of("11").parameters["source"].constraint.detail == ("scratch", "run")


@pytest.mark.parametrize("reference", ["10", "10_stage", "10_stage.ipynb", "notebooks/10_stage.ipynb"])
def test_a_notebook_is_found_by_number_name_or_path(book, reference):
    assert Spec.of(reference).parameters["lr"].default == 1e-3


def test_an_unknown_notebook_names_the_nearest(book):
    assert "did you mean 10_stage?" in error(book, "10_stagg")
    assert "known: 10" in error(book, "77")


@pytest.mark.parametrize(
    "cell, says",
    [
        ("a = 1  # no annotation", "line 1: expected `name: type = literal"),
        ("import os", "line 1: expected `name: type = literal"),
        ("a: int = 1\na: int = 2", "line 2: a stands there twice"),
        ("a: int = 2 * 3  # an expression", "a = 2 * 3 is not a literal"),
        ("a: float = 'x'  # text", "a = 'x' is not float"),
        ("a: int = 1.5  # cut off", "a = 1.5 is not int"),
        ("a: tensor = 1  # no such type", "annotation 'tensor'"),
        ("a: float = 0.5  # share; in [0, 1", "constraint 'in [0, 1'"),
        ("a: str = ''  # place; folder or two words", "constraint 'folder or two words'"),
        ("a: float = (", "parameters cell"),
    ],
)
def test_a_malformed_parameters_cell_is_refused(book, cell, says):
    book.notebook("11_bad", parameters=cell)
    with pytest.raises(ParameterError) as caught:
        Spec.of("11")
    assert says in str(caught.value) and "11_bad" in str(caught.value)


def test_defaults_of_several_lines_keep_their_comment(book):
    book.notebook("11_long", parameters="weights: dict[str, float] = {\n    'a': 1,\n}  # of the losses\n")
    found = Spec.of("11").parameters["weights"]
    assert (found.default, found.description) == ({"a": 1.0}, "of the losses")


@pytest.mark.parametrize(
    "name, text, value",
    [
        ("lr", "1e-4", 1e-4),
        ("lr", "3", 3.0),
        ("seed", "7", 7),
        ("sizes", "[1,2]", [1, 2]),
        ("sizes", "[ 4 ]", [4]),
        ("mode", "slow", "slow"),
        ("mode", '"slow"', "slow"),
        ("mean", "none", None),
        ("mean", "0.5", 0.5),
    ],
)
def test_text_is_read_by_the_parameters_type(book, name, text, value):
    found = Spec.of("10").resolve("tiny", {name: text})[name]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "parameter, text, value",
    [
        ("x: bool = False", "true", True),
        ("x: bool = True", "False", False),
        ("x: str = ''", "0.5", "0.5"),
        ("x: str | None = None", "none", None),
        ("x: dict = {}", "{a: 1e-3}", {"a": 1e-3}),
        ("x: list | None = None", "[a, b]", ["a", "b"]),
    ],
)
def test_text_for_other_types(book, parameter, text, value):
    book.notebook("11_typed", parameters=f"{parameter}  # a value")
    found = Spec.of("11").resolve("tiny", {"x": text})["x"]
    assert found == value and type(found) is type(value)


def test_presets_begin_with_tiny_and_the_cell_alone_is_a_preset_of_its_own(book):
    book.preset("10_stage", "tiny", "sizes: [8, 16, 32]\nlr: 1\n")
    book.preset("10_stage", "paper", "lr: 0.5\n")
    spec = Spec.of("10")
    assert spec.presets() == ["look", "tiny", "paper"]
    assert spec.defaults == spec.cell | {"sizes": [8, 16, 32], "lr": 1.0}
    found = {name: spec.resolve(name) for name in spec.presets()}
    assert [found[name]["sizes"] for name in found] == [[8, 16], [8, 16, 32], [8, 16, 32]]
    assert [found[name]["lr"] for name in found] == [1e-3, 1.0, 0.5]
    assert found["look"] == spec.cell and spec.check({"lr": 0.5}) == found["paper"]
    assert spec.resolve()["lr"] == 1.0, "iv run 10 is iv run 10 tiny"


def test_without_a_tiny_of_its_own_the_cell_is_tiny(book):
    book.preset("10_stage", "tiny", "# iv run 10 tiny\n{}\n")
    assert Spec.of("10").presets() == ["tiny"] and Spec.of("10").resolve() == Spec.of("10").cell
    assert "no preset 'look'" in error(book, "10", "look")


def test_an_encoder_that_came_later_leaves_the_names_of_runs_from_scratch(book):
    before = Spec.of("10").digest(Spec.of("10").resolve())
    line = 'masked_encoder: str = ""  # to train on; encoder of scratch, masked\n'
    for name in ("10_stage", "10_masked_video_modeling"):
        book.notebook(name, parameters=line + PARAMETERS)
    assert Spec.of("10_stage").digest(Spec.of("10_stage").resolve()) != before
    spec = Spec.of("10_masked_video_modeling")
    assert spec.digest(spec.resolve()) == before != spec.digest(spec.resolve() | {"masked_encoder": "owner/published"})


@pytest.mark.parametrize(
    "name, text, says",
    [
        ("mask_ration", "0.5", "mask_ration is not a parameter of 10_stage; did you mean mask_ratio?"),
        ("zzz", "1", "known: seed, mask_ratio"),
        ("lr", "abc", "lr = 'abc': expected float (peak learning rate)"),
        ("lr", "nan", "lr = 'nan': expected float (peak learning rate), which nan is not"),
        ("lr", "true", "lr = 'true': expected float"),
        ("seed", "1.5", "seed = '1.5': expected int"),
        ("sizes", "[1,a]", "sizes = '[1,a]': expected list[int]"),
        ("sizes", "[1,2", "sizes = '[1,2': expected list[int]"),
        ("sizes", "[4,0]", "sizes = 0: must be in [1, inf)"),
        ("mask_ratio", "1.5", "mask_ratio = 1.5: must be in [0, 1)"),
        ("mask_ratio", "1", "mask_ratio = 1.0: must be in [0, 1)"),
        ("mode", "slwo", "mode = 'slwo': must be one of fast, slow, odd; did you mean slow?"),
        ("annotations", "no/train.csv", "annotations = 'no/train.csv': there is no such file"),
        ("annotations", "notebooks", "notebooks is a folder, must be a file"),
        ("annotations", "/dev/zero", "/dev/zero is a device or pipe, must be a file"),
        ("annotations", "a" * 5000, "no path, it is longer than any file's"),
        ("annotations", "a\0b", "no path, it holds a NUL character"),
        ("annotations", "~nobody999/x.csv", "there is no user 'nobody999'"),
        ("sizes", "[]", "sizes = []: must be one or more in [1, inf)"),
        ("seed", "-1", "seed = -1: must be in [0, 2**63)"),
        ("seed", "9223372036854775808", "seed = 9223372036854775808: must be in [0, 2**63)"),
        ("seed", "9" * 5000, "expected int"),
        ("where", "banana", "where = 'banana': must be auto, cpu, cuda, cuda:N, xpu, xpu:N or mps"),
        ("where", "meta", "where = 'meta': must be auto, cpu"),
        ("run_dir", "/tmp/elsewhere", "run_dir = '/tmp/elsewhere': runs choose their own folder"),
        ("x" * 5000, "1", "is not a parameter of 10_stage"),
    ],
)
def test_what_is_not_allowed_is_named_in_one_line(book, name, text, says):
    assert says in error(book, "10", "tiny", {name: text})


def test_a_broken_line_of_an_annotation_file_is_named(book):
    (book.root / "good.csv").write_text("a.mp4 0\nb.mp4 1\n")
    (book.root / "bad.csv").write_text("a.mp4 0\nb.mp4\n")
    assert Spec.of("10").resolve("tiny", {"annotations": "good.csv"})["annotations"] == "good.csv"
    message = error(book, "10", "tiny", {"annotations": "bad.csv"})
    assert message.startswith("annotations: ") and "bad.csv:2" in message


@pytest.mark.parametrize("constraint", ["folder or generated set", "file kinetics_csv or generated set"])
def test_a_generated_set_may_be_named_instead_of_a_place(book, constraint):
    book.notebook("11_named", parameters=f"videos: str = ''  # of the user, or a name; {constraint}")
    assert Spec.of("11").parameters["videos"].constraint.text == constraint
    assert Spec.of("11").resolve("tiny", {"videos": "metaworld"})["videos"] == "metaworld"
    message = error(book, "11", "tiny", {"videos": "metawrold"})
    assert "there is no such" in message and "or write metaworld" in message
    message = error(book, "11", "tiny", {"videos": "my/trian.csv"})
    assert message.endswith("trian.csv") and "metaworld" not in message  # nothing like it


def test_the_order_of_a_hybrids_sources_makes_no_other_run(book):
    book.notebook("11_named", parameters="videos: str = ''  # of the user, or a name; folder or generated set")
    one, other = (Spec.of("11").resolve("tiny", {"videos": f"hybrid:{names}"}) for names in ("shapes+camera", "camera+shapes"))  # fmt: skip
    assert one == other == {"videos": "hybrid:shapes+camera"}


@pytest.mark.parametrize("value", ["hybrid", "hybird", "hybrid:creatues"])
def test_a_generated_set_in_the_wrong_place_is_told_the_right_one(book, value):
    parameters = ["captions: str = ''  # of the user; folder", "data: str = 'shapes'  # what stands in; generated set"]
    book.notebook("11_named", parameters="\n".join(parameters))
    said = error(book, "11", "tiny", {"captions": value})
    assert "no such folder" in said and "generated sets go into data: shapes, metaworld, creatures" in said
    assert "generated sets" not in error(book, "11", "tiny", {"captions": "my/captions"})


def test_a_preset_overrides_defaults_and_the_user_overrides_both(book):
    book.preset("10_stage", "paper", "# head\nlr: 1.5e-4\nmask_ratio: 0.75\n")
    found = Spec.of("10").resolve("paper", {"lr": "1e-2"})
    assert (found["lr"], found["mask_ratio"], found["seed"]) == (1e-2, 0.75, 0)
    assert Spec.of("10").resolve(str(book.root / "params/10_stage/paper.yaml"))["lr"] == 1.5e-4


def test_tiny_needs_no_file_and_may_be_comments_only(book):
    assert Spec.of("10").resolve("tiny")["lr"] == 1e-3
    book.preset("10_stage", "tiny", "# the defaults of the parameters cell\n")
    assert Spec.of("10").resolve("tiny")["lr"] == 1e-3


@pytest.mark.parametrize(
    "text, says",
    [
        ("mask_ration: 0.5", "mask_ration is not a parameter"),
        ("lr: high", "lr = 'high': expected float"),
        ("seed: 1.5", "seed = 1.5: expected int"),
        ("- lr", "odd.yaml: expected `name: value` lines"),
        ("lr: [1", "odd.yaml"),
        ("lr: 1\nlr: 2", "odd.yaml"),
        ("lr: .nan", "lr = nan: expected float (peak learning rate), which nan is not"),
        ("seed: " + "9" * 5000, "odd.yaml"),
        ("seed: 0x" + "f" * 5000, "seed = a whole number of 20000 bits: must be in [0, 2**63)"),
        ("lr: 0x" + "f" * 5000, "lr = a whole number of 20000 bits: expected float"),
        ("mode: ${", "odd.yaml"),
        ("mode: ${oc.env:HOME}", "mode = '${oc.env:HOME}': must be one of"),
        ("lr: " + "[" * 3000 + "]" * 3000, "odd.yaml"),
        ("mode: " + "x" * 100_000, "must be one of fast"),
        ("annotations: ~nobody999/x.csv", "annotations = '~nobody999/x.csv': no path, there is no user"),
        ("run_dir: /tmp/elsewhere", "run_dir = '/tmp/elsewhere': runs choose their own folder"),
        ("grid: {lr: []}", "grid: lr has no value"),
        ("grid:\n" + "".join(f"  {n}: [{'1, ' * 99}1]\n" for n in ("lr", "seed", "mean")), "a sweep of 1000000 runs"),
    ],
)
def test_a_preset_is_checked_like_the_command_line(book, text, says):
    book.preset("10_stage", "odd", text)
    message = error(book, "10", "odd")
    assert says in message and len(message) < 1000


@pytest.mark.parametrize(
    "content", ["mode: café".encode("latin-1"), "lr: 0.1\n".encode("utf-16"), b"\0\xff\xfe", b"lr: \x00"]
)
def test_a_preset_in_another_encoding_is_named(book, content):
    book.preset("10_stage", "odd", "").write_bytes(content)
    assert error(book, "10", "odd").startswith("params/10_stage/odd.yaml: ")


def test_no_variable_of_the_environment_reaches_a_run(book, monkeypatch):
    """Presets are data: what a stranger's preset says is kept as it is written."""
    monkeypatch.setenv("SECRET", "password")
    book.notebook("11_text", parameters='note: str = ""  # anything')
    book.preset("11_text", "odd", "note: a${oc.env:SECRET}")
    values = Spec.of("11").resolve("odd")
    assert values == {"note": "a${oc.env:SECRET}"}
    for note in ("a${oc.env:SECRET}", "${", "1e-4", "1_0", "no", "é\n: #"):
        run_folder.write_params(book.root / "run", {"note": note})
        assert run_folder.read_params(book.root / "run") == {"note": note}


def test_an_unknown_preset_names_the_nearest(book):
    book.preset("10_stage", "one_gpu", "")
    assert "10_stage has no preset 'one_gpus'; did you mean one_gpu?" in error(book, "10", "one_gpus")


def test_how_a_run_is_computed_is_no_part_of_its_name(book):
    cell = 'lr: float = 0.1  # peak\nnum_workers: int = 0  # processes\ndevice: str = "auto"  # where\ncheckpoint_seconds: float = 600.0  # time'
    book.notebook("30_task", parameters=cell)
    names = {
        Spec.of("30").digest(Spec.of("30").resolve("tiny", changed))
        for changed in ({}, {"num_workers": "4"}, {"device": "cpu"}, {"checkpoint_seconds": "60"})
    }
    assert len(names) == 1
    assert Spec.of("30").digest(Spec.of("30").resolve("tiny", {"lr": "0.2"})) not in names
    assert list(of_result(Spec.of("30").resolve())) == ["lr"]


def test_the_hash_depends_on_values_alone(book):
    digest = Spec.of("10").digest(Spec.of("10").resolve())
    assert len(digest) == 8
    assert Spec.of("10").digest(Spec.of("10").resolve("tiny", {"lr": "0.001"})) == digest
    assert Spec.of("10").digest(Spec.of("10").resolve() | {"run_dir": "elsewhere"}) == digest
    assert Spec.of("10").digest(Spec.of("10").resolve("tiny", {"lr": "0.002"})) != digest
    book.notebook("10_stage", parameters="\n".join(reversed(PARAMETERS.splitlines())))
    assert Spec.of("10").digest(Spec.of("10").resolve()) == digest


def test_grid_is_the_product_and_runs_are_a_list(book):
    book.preset("10_stage", "sweep_a", "lr: 0.01\ngrid:\n  mask_ratio: [0.5, 0.75]\n  seed: [0, 1]\n")
    book.preset("10_stage", "sweep_b", "runs:\n- {mode: slow}\n- {mode: odd, lr: 0.5}\n")
    found = Spec.of("10").expand("sweep_a")
    assert [(v["mask_ratio"], v["seed"], v["lr"]) for v in found] == [
        (0.5, 0, 0.01),
        (0.5, 1, 0.01),
        (0.75, 0, 0.01),
        (0.75, 1, 0.01),
    ]
    assert [(v["mode"], v["lr"]) for v in Spec.of("10").expand("sweep_b")] == [("slow", 1e-3), ("odd", 0.5)]
    assert len(Spec.of("10").expand("sweep_a", {"seed": "5"})) == 2  # a fixed axis makes pairs equal
    assert "is a sweep of 4 runs" in error(book, "10", "sweep_a")


def test_a_sweep_is_checked_before_its_first_run(book):
    book.preset("10_stage", "sweep_c", "grid:\n  mask_ratio: [0.5, 1.5]\n")
    book.preset("10_stage", "sweep_d", "grid:\n  mask_ratio: 0.5\n")
    with pytest.raises(ParameterError, match=r"mask_ratio = 1\.5"):
        Spec.of("10").expand("sweep_c")
    with pytest.raises(ParameterError, match="grid: expected"):
        Spec.of("10").expand("sweep_d")


def test_a_typed_path_is_meant_from_the_working_folder_first(book, monkeypatch):
    here = book.root / "elsewhere"
    here.mkdir()
    (here / "mine.csv").write_text("a.mp4 0\n")
    (here / "both.csv").write_text("a.mp4 0\n")
    (book.root / "both.csv").write_text("a.mp4 0\n")
    (book.root / "root.csv").write_text("a.mp4 0\n")
    book.preset("10_stage", "own", "annotations: both.csv")
    book.preset("10_stage", "mine", "annotations: mine.csv")
    monkeypatch.chdir(here)
    found = {
        name: Spec.of("10").resolve("tiny", {"annotations": f"{name}.csv"})["annotations"]
        for name in ("mine", "both", "root")
    }
    assert found == {"mine": "elsewhere/mine.csv", "both": "elsewhere/both.csv", "root": "root.csv"}
    assert Spec.of("10").resolve("own")["annotations"] == "both.csv", "a preset means the project root"
    assert Spec.of("10").resolve("mine")["annotations"] == "elsewhere/mine.csv"
    message = error(book, "10", "tiny", {"annotations": "no.csv"})
    assert f"looked for {here}/no.csv or {book.root}/no.csv" in message


def test_a_preset_may_lie_in_the_working_folder(book, monkeypatch):
    (book.root / "elsewhere").mkdir()
    (book.root / "elsewhere/mine.yaml").write_text("lr: 0.5")
    monkeypatch.chdir(book.root / "elsewhere")
    assert Spec.of("10").resolve("mine.yaml")["lr"] == 0.5


DOWNSTREAM = textwrap.dedent("""\
    encoder: str = "10/tiny"  # what to start from; encoder
    lr: float = 0.1  # peak
    """)


def test_an_encoder_becomes_the_folder_of_its_run(book):
    book.notebook("30_task", parameters=DOWNSTREAM)
    found = Spec.of("30").resolve()["encoder"]
    folder = Spec.of("10").folder(Spec.of("10").resolve(), "tiny")
    assert found == paths.short(folder) and found.startswith("outputs/10_stage/tiny-")


def test_the_hash_of_a_downstream_run_follows_the_upstream_parameters(book):
    book.notebook("30_task", parameters=DOWNSTREAM)
    before = Spec.of("30").digest(Spec.of("30").resolve())
    folder = paths.resolve(Spec.of("30").resolve()["encoder"])
    assert Spec.of("30").digest({"encoder": str(folder), "lr": 0.1}) == before  # place and spelling do not matter
    assert Spec.of("30").digest({"encoder": str(folder.with_name("other" + folder.name[4:])), "lr": 0.1}) == before
    book.preset("10_stage", "tiny", "mask_ratio: 0.8\n")
    assert Spec.of("30").digest(Spec.of("30").resolve()) != before


@pytest.mark.parametrize("value", ["", "scratch", "OpenGVLab/VideoMAE2", "01-ai/video.v1"])
def test_other_encoders_stay_as_written(book, value):
    book.notebook("30_task", parameters=DOWNSTREAM)
    assert Spec.of("30").resolve("tiny", {"encoder": value})["encoder"] == value


@pytest.mark.parametrize(
    "value, says",
    [
        ("10/tinny", "encoder = '10/tinny': 10_stage has no preset 'tinny'; did you mean tiny?"),
        ("77/tiny", "there is no notebook '77'"),
        ("outputs/10_stage/tiny-00000000", "there is no such file or folder"),
        ("weights.pth", "there is no such file or folder"),
        ("videomae_base_k400", "no published name (owner/name); a run is written as in 12/tiny:seed=1"),
        ("tiny", "no published name (owner/name); a run"),
        ("::", "no published name (owner/name); a run"),
        ("a:b", "no published name (owner/name); a run"),
        ("9999", "no published name (owner/name); a run"),
        ("10", "; did you mean 10/tiny?"),
        ("10/", "; did you mean 10/tiny?"),
        ("10/tiny/", "; did you mean 10/tiny?"),
        ("10/tiny.x", "; did you mean 10/tiny?"),
        ("10/ tiny", "; did you mean 10/tiny?"),
        ("10 /tiny", "; did you mean 10/tiny?"),
        ("10 tiny", "; did you mean 10/tiny?"),
        ("10/tiny=1", "; did you mean 10/tiny?"),
        ("10:seed=1", "; did you mean 10/tiny:seed=1?"),
        ("10/tiny seed=1", "; did you mean 10/tiny:seed=1?"),
        ("10/tiny;seed=1", "; did you mean 10/tiny:seed=1?"),
        ("10/tiny,seed=1", "; did you mean 10/tiny:seed=1?"),
        ("10/tiny :seed=1", "; did you mean 10/tiny:seed=1?"),
        ("10/tiny seed=1 lr=0.5", "; did you mean 10/tiny:seed=1,lr=0.5?"),
        ("(10/tiny:seed=1)", "; did you mean 10/tiny:seed=1?"),
    ],
)
def test_an_encoder_that_leads_nowhere_is_refused(book, value, says):
    book.notebook("30_task", parameters=DOWNSTREAM)
    assert says in error(book, "30", "tiny", {"encoder": value})


def test_an_encoder_may_be_a_preset_with_other_parameters(book):
    book.notebook("30_task", parameters=DOWNSTREAM)
    for value, given in (
        ("10/tiny:seed=1", {"seed": "1"}),
        ("10/tiny:seed=2,lr=0.5,sizes=[4, 8]", {"seed": "2", "lr": "0.5", "sizes": "[4, 8]"}),
        ("10/tiny:lr=0.001", {}),
    ):
        upstream = Spec.of("10").resolve("tiny", given)
        folder = Spec.of("30").resolve("tiny", {"encoder": value})["encoder"]
        assert folder == paths.short(Spec.of("10").folder(upstream, "tiny+" if given else "tiny"))
        run_folder.write_params(paths.resolve(folder), upstream)
        assert brief(folder) == (value if given else "10/tiny")
    book.notebook("32_further", parameters=DOWNSTREAM.replace("10/tiny", "30/tiny:encoder=10/tiny:seed=1"))
    assert Spec.of("32").resolve()["encoder"].startswith("outputs/30_task/tiny+-")


@pytest.mark.parametrize(
    "value, says",
    [
        ("10/tiny:sed=1", "encoder = '10/tiny:sed=1': sed is not a parameter of 10_stage; did you mean seed?"),
        ("10/tiny:seed=x", "seed = 'x': expected int"),
        ("10/tiny:mask_ratio=2", "mask_ratio = 2.0: must be in [0, 1)"),
        ("10/tiny:seed", "'seed': expected NAME=VALUE after the colon, as in 12/tiny:seed=1"),
        ("10/tiny:", "'': expected NAME=VALUE"),
        ("10/tinny:seed=1", "10_stage has no preset 'tinny'; did you mean tiny?"),
        ("10/tiny:seed=1,lr=0.1,seed=2", "seed is given twice"),
        ("30/tiny:encoder=10/tiny:seed=1,lr=0.2", "of which run? Put the inner one in brackets, as in encoder=(10/"),
        ("30/tiny:encoder=(10/tiny:seed=1,lr=0.2", "the bracket is not closed"),
        ("30/tiny:encoder=(10/tiny:seed=1)lr=0.2", "'lr=0.2': expected a comma and NAME=VALUE after a bracket"),
    ],
)
def test_what_a_reference_may_change_is_checked(book, value, says):
    book.notebook("30_task", parameters=DOWNSTREAM)
    assert says in error(book, "30", "tiny", {"encoder": value})


RUNS_OF_10 = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.integers(0, 9).map(str),
        "lr": st.sampled_from(["0.5", "1e-4"]),
        "sizes": st.sampled_from(["[4]", "[4, 8]"]),
        "note": st.sampled_from(["", "(a) b", "(a)(b)", "a, seed=1", "12/x: y", "none", "/data/mine/a.csv"]),
    },
)


@st.composite
def references(draw, depth=2):
    """A run of 30 that starts from one of 30, and so on down to one of 10, with any of their parameters changed."""
    if not depth:
        return Reference(Spec.of("10"), "tiny", draw(RUNS_OF_10))
    changed = draw(st.dictionaries(st.just("lr"), st.sampled_from(["0.2", "0.3"])))
    changed["encoder"] = str(draw(references(draw(st.integers(0, depth - 1)))))
    names = draw(st.permutations(list(changed)))
    return Reference(Spec.of("30"), "tiny", {name: changed[name] for name in names})


@hypothesis.given(data=st.data())
@hypothesis.settings(
    max_examples=15, database=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
def test_what_is_written_of_a_run_reads_as_that_run(book, data):
    book.notebook("10_stage", parameters=PARAMETERS + 'note: str = "x"  # any text\n')
    book.notebook("30_task", parameters=DOWNSTREAM)
    reference = data.draw(references())
    assert Reference.of(str(reference)) == reference

    run = reference
    while run:  # the folders of all, as a report finds them
        run_folder.write_params(run.folder, run.spec.pin(run.values))
        files.write_json(run.folder / "metrics.json", {"loss": 1.0, "notebook": run.spec.stem, "preset": run.label})
        run = next(iter(run.spec.references(run.values).values()), None)
    assert Reference.of(brief(paths.short(reference.folder))).folder == reference.folder


def test_what_would_read_as_another_run_is_not_written(book):
    book.notebook("11_text", parameters='note: str = ""  # any text\nmore: str = ""  # too')
    folders = []
    for note in ("a) b", "(a", "a),more=b"):
        values = Spec.of("11").resolve("tiny", {"note": note})
        folders.append(Spec.of("11").folder(values, "tiny+"))
        run_folder.write_params(folders[-1], values)
    assert [brief(str(folder)) for folder in folders] == ["11/tiny:note=a) b", "11/tiny+", "11/tiny+"]


def test_a_notebook_is_read_once(book, monkeypatch, capsys):
    read, parse = [], parameters.parse
    monkeypatch.setattr(parameters, "parse", lambda text, where: read.append(where) or parse(text, where))
    book.notebook("12_task", parameters=DOWNSTREAM)
    (second,) = [line for line in DOWNSTREAM.splitlines(keepends=True) if line.startswith("encoder:")]
    book.notebook(
        "13_pair", parameters=DOWNSTREAM.replace("10/tiny", "12/tiny") + second.replace("encoder:", "other:", 1)
    )
    assert book.iv("run", "13", "tiny", "-p", "lr=0.2", "-p", "other=12/tiny:lr=0.3", "--dry") == 0
    assert sorted(read) == ["10_stage.ipynb", "12_task.ipynb", "13_pair.ipynb"]
    book.notebook("10_stage", parameters=PARAMETERS.replace("0.9", "0.8"))
    assert Spec.of("10").parameters["mask_ratio"].default == 0.8, "an edited notebook is read again"


def test_parameters_lie_under_their_headings(book):
    cell = "# fmt: off\nseed: int = 0\n# -- data\n# of ours\nvideos: str = ''  # -- which\nsize: int = 8\n# -- run\nwhere: str = ''"
    book.notebook("11_groups", parameters=cell)
    groups = {name: each.group for name, each in Spec.of("11").parameters.items()}
    assert groups == {"seed": "", "videos": "data", "size": "data", "where": "run"}


def test_an_unfinished_run_is_no_encoder(book):
    book.notebook("30_task", parameters=DOWNSTREAM)
    folder = Spec.of("10").folder(Spec.of("10").resolve(), "tiny")
    run_folder.write_params(folder, Spec.of("10").resolve())
    assert "not finished" in error(book, "30", "tiny", {"encoder": str(folder)})
    files.write_json(folder / "metrics.json", {"loss": 1.0, "notebook": "10_stage", "preset": "tiny"})
    assert Spec.of("30").resolve("tiny", {"encoder": str(folder)})["encoder"] == str(folder)


def test_a_run_that_starts_from_itself_is_refused(book):
    book.notebook("30_task", parameters=DOWNSTREAM)
    book.notebook("12_task", parameters=DOWNSTREAM)
    book.preset("30_task", "loop", "encoder: 30/loop")
    book.preset("30_task", "long", "encoder: 12/long")
    book.preset("12_task", "long", "encoder: 30/long")
    assert "it starts from itself (30/loop → 30/loop)" in error(book, "30", "loop")
    assert "it starts from itself" in error(book, "30", "long")
    assert "it starts from itself" in error(book, "12", "tiny", {"encoder": "30/loop"})
    book.preset("30_task", "other", "encoder: 30/other:lr=0.2")
    assert "it starts from itself" in error(book, "30", "other")
    assert Spec.of("30").resolve("tiny", {"encoder": "12/tiny"})["encoder"].startswith("outputs/12_task/")
