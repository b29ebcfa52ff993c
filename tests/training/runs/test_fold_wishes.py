"""What cannot be asked of a training with folds is refused before any of it."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from bundles import small_recipe
from PIL import Image

from skipseg.models.errors import UsageError
from skipseg.training.datasets.dataset import open_dataset
from skipseg.training.datasets.split import draw_folds
from skipseg.training.pipeline import TrainOptions, train
from skipseg.training.runs.fold_wishes import check_folds, check_size


def test_a_run_begun_without_folds_is_not_gone_on_with_in_folds(pictures, quick, tmp_path):
    work = tmp_path / "out.training"
    work.mkdir()
    (work / "made-by-skipseg-train.txt").touch()
    (work / "setup.json").write_text("{}")
    with pytest.raises(UsageError, match="begun without --folds"):
        train(pictures, tmp_path / "out", TrainOptions(**{**quick, "resume": True}))
    assert not (work / "folds.json").exists()


def test_a_dice_to_aim_at_needs_labels_in_every_fold(pictures, quick, tmp_path):
    shutil.copytree(pictures, tmp_path / "data")
    for case in draw_folds(open_dataset(tmp_path / "data"), 3)[2].validation:
        Image.fromarray(np.zeros_like(Image.open(case.label))).save(case.label)
    with pytest.raises(UsageError, match="none of fold 3 holds a label"):
        train(tmp_path / "data", tmp_path / "out", TrainOptions(**{**quick, "target_dice": 0.5}))


def test_more_weights_than_a_bundle_may_hold_are_refused_before_any_training():
    recipe = small_recipe(3, 1, 2, widths=(64, 320, 512))
    check_size(recipe, 50, distil=True)
    with pytest.raises(UsageError, match="or for one network with --distil"):
        check_size(recipe, 50, distil=False)


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"folds": 1}, "from 2 to 50"),
        ({"folds": 51}, "from 2 to 50"),
        ({"folds": 12}, "12 folds need at least as many labelled cases; the dataset has 9"),
        ({"fold": 1}, "give one of them"),
        ({"distil": True, "target_dice": 0.5}, "give one of them"),
        ({"folds": None, "distil": True}, "--folds"),
    ],
)
def test_wishes_that_do_not_go_together_are_refused(pictures, quick, tmp_path, wishes, words):
    with pytest.raises(UsageError, match=words):
        train(pictures, tmp_path / "out", TrainOptions(**{**quick, **wishes}))
    assert not (tmp_path / "out").exists()


def test_folds_neither_go_on_from_a_bundle_nor_share_processes(tmp_path):
    with pytest.raises(UsageError, match="--from"):
        check_folds(TrainOptions(folds=2, base=tmp_path), SimpleNamespace(world=1))
    with pytest.raises(UsageError, match="torchrun"):
        check_folds(TrainOptions(folds=2), SimpleNamespace(world=2))
