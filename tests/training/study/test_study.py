"""A whole study of a tiny dataset: cut off, gone on with, and told on a page."""

import json

import numpy as np
import pytest

from skipseg.models.errors import DatasetError, UsageError
from skipseg.training.study import decide
from skipseg.training.study.grid import Extent
from skipseg.training.study.study import study

SMALL = Extent((4, 16), 1)
SIZE = decide.Size(weights=4_000, step_voxels=2_048, starts=2)


@pytest.fixture
def small(monkeypatch):
    """The coarsest grid there is, of tiny networks."""
    monkeypatch.setattr(decide, "COARSE", (SMALL,))
    monkeypatch.setattr(decide, "FEWEST_STEPS", 3)
    monkeypatch.setattr(decide, "size_for", lambda device, minutes: SIZE)


@pytest.fixture
def squares(made):
    """Pictures with a bright square, which is the label."""
    for number in range(6):
        label = np.zeros((40, 48), np.uint8)
        label[8 + number : 24, 10 : 30 + number] = 255
        made.png(f"images/c{number}.png", (label // 2 + made.random.integers(0, 90, label.shape)).astype(np.uint8))
        made.png(f"labels/c{number}.png", label)
    return made.folder


def test_a_study_that_was_cut_off_goes_on_and_repeats_no_run(small, squares, tmp_path):
    out = tmp_path / "out"

    def cut_off(done, total):
        if done >= 250:  # in the middle of the third run
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(squares, out, 0.05, "cpu", progress=cut_off)
    begun = json.loads((out / "study.json").read_text())
    assert len(begun["runs"]) == 2
    told = []
    found = study(squares, out, 0.05, "cpu", progress=lambda done, total: told.append(done / total))
    assert [run.variation for run in found.runs] == list(SMALL.variations)
    assert [run.seconds for run in found.runs[:2]] == [run["seconds"] for run in begun["runs"]]
    assert told[-1] == 1
    assert len(study(squares, out, 0.05, "cpu").runs) == len(found.runs)
    _is_whole(found, out)
    with pytest.raises(UsageError, match="begun with"):
        study(squares, out, 2, "cpu")


def _is_whole(found, out):
    assert {run.steps for run in found.runs} == {found.setup.steps}
    assert not set(found.setup.training) & set(found.setup.kept_out)
    for run in found.runs:
        assert [score.case for score in run.scores] == list(found.setup.kept_out)
        assert len(run.curve) > 1
        assert run.gradients[0].step == 0
        assert len(run.gradients[0].along()) == run.variation.depth
        assert max(run.activations.zeros) <= 1
    cut = [run for run in found.runs if run.cut]
    assert {run.variation.skip for run in cut} >= {"concat", "add", "attention"}
    assert {(one.place, one.change) for one in cut[0].cut} == {(p, c) for p in (0, 1) for c in ("zeroed", "shuffled")}
    assert {claim.key[0] for claim in found.claims} == set("abcdefg")
    page = (out / "report.html").read_text()
    assert "What skip connections do" in page
    assert "One seed" in page
    assert page.count("<img") >= 8


def test_a_dataset_of_two_cases_is_refused(made, tmp_path):
    with pytest.raises(DatasetError, match="three"):
        study(made.msd(2), tmp_path / "out", 1, "cpu")


def test_a_file_that_is_no_study_is_left_alone(made, tmp_path):
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(UsageError, match="no study"):
        study(made.msd(3), tmp_path, 1, "cpu")
    assert (tmp_path / "study.json").read_text() == "{}"
