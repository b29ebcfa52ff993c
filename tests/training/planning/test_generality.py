"""Data that the planner was not made on: each is measured, planned, and trained for a few steps end to end."""

import json

import pytest
import synthetic
import torch

from skipseg.models.inference.predictor import Predictor
from skipseg.models.plan import Plan
from skipseg.models.scans.reader import read_scan
from skipseg.training.datasets.dataset import open_dataset
from skipseg.training.pipeline import TrainOptions, train
from skipseg.training.planning.described import describe
from skipseg.training.planning.fingerprint import measure
from skipseg.training.planning.overrides import read_overrides
from skipseg.training.planning.planner import Circumstances, explain, make_plan

CPU = torch.device("cpu")
MEMORY = 8 * 2**30
TINY = {"widths": [4, 8, 8], "batch": 2}


def measured(folder):
    return measure(open_dataset(folder))


def planned(fingerprint, minutes=None):
    about = Circumstances(minutes=minutes, kept_out=1)
    return make_plan(fingerprint, CPU, MEMORY, minutes is not None and minutes <= 2, about)


def trained(folder, tmp_path, **given) -> Plan:
    """The plan of a bundle trained for an epoch, after it segmented a scan of the dataset."""
    (tmp_path / "tiny.json").write_text(json.dumps({**TINY, **given}))
    options = TrainOptions(epochs=1, device="cpu", quiet=True, overrides=read_overrides(tmp_path / "tiny.json"))
    bundle = train(folder, tmp_path / "bundle", options)
    scan = read_scan(open_dataset(folder).cases[0].images[0])
    assert Predictor(bundle, "cpu").segment(scan).voxels.shape == scan.geometry.shape
    return bundle.plan


def test_thick_slices_of_four_labels_get_flat_kernels_and_strides(tmp_path):
    plan = trained(synthetic.volumes(tmp_path / "data", (48, 48, 10), (0.5, 0.5, 5)), tmp_path)
    assert plan.network.classes == 5
    assert plan.spacing == (0.5, 0.5, 5)
    assert plan.network.strides[1] == (2, 2, 1)
    assert plan.network.kernels[0] == (3, 3, 1)


def test_a_network_behind_a_stem_is_trained_and_answers_on_the_scans_own_grid(tmp_path):
    strides = [[2, 2, 1], [2, 2, 1], [2, 2, 2]]
    plan = trained(synthetic.volumes(tmp_path / "data", (48, 50, 10), (0.5, 0.5, 5)), tmp_path, strides=strides)
    assert plan.network.strides == ((2, 2, 1), (2, 2, 1), (2, 2, 2))


def test_few_slices_without_a_spacing_are_taken_for_thick_ones_and_kept_on_their_grid(tmp_path):
    folder = synthetic.volumes(tmp_path / "data", (64, 64, 8), (1, 1, 1))
    plan = trained(folder, tmp_path)
    assert plan.spacing is None
    assert plan.network.strides[1] == (2, 2, 1)
    training = planned(measured(folder))
    assert training.voxel == (1, 1, 4)
    assert "headers all say 1 mm" in explain(training)


def test_true_volumes_of_one_millimetre_keep_that_spacing(tmp_path):
    folder = synthetic.volumes(tmp_path / "data", (24, 30, 20), (1, 1, 1))
    assert planned(measured(folder)).plan.spacing == (1, 1, 1)


def test_thin_vessels_in_large_colour_pictures_keep_full_resolution_however_short_the_time(tmp_path):
    fingerprint = measured(synthetic.pictures(tmp_path / "data", (1000, 1040), cases=1))
    for minutes in (0.5, 7, 600):
        training = planned(fingerprint, minutes)
        assert training.plan.network.strides[0] == (1, 1)
        assert training.plan.spacing is None
    assert "full resolution" in explain(training)
    assert [channel.name for channel in training.plan.channels] == ["red", "green", "blue"]


def test_thick_things_in_large_pictures_are_seen_through_a_stem_when_time_is_short(tmp_path):
    fingerprint = measured(synthetic.pictures(tmp_path / "data", (1100, 1200), cases=1, thickness=60))
    training = planned(fingerprint, 2)
    assert training.plan.network.strides[0] == (2, 2)


def test_colour_pictures_of_28_pixels_with_an_opaque_alpha_are_trained_on(tmp_path):
    plan = trained(synthetic.pictures(tmp_path / "data", (28, 28), alpha=True), tmp_path)
    assert (plan.dimensions, plan.tile, len(plan.channels)) == (2, (28, 28), 3)


def test_wild_values_are_clipped_and_ordinary_ones_are_not(tmp_path):
    wild = synthetic.volumes(tmp_path / "wild", (24, 24, 24), (1, 1, 1), wild=20, scale=1e3)
    plan = trained(wild, tmp_path)
    assert plan.channels[0].clip_percent == (0.5, 99.5)
    calm = measured(synthetic.volumes(tmp_path / "calm", (24, 24, 24), (1, 1, 1), scale=1e6))
    assert planned(calm).plan.channels[0].clip_percent is None


def test_a_single_slice_of_a_scanner_is_two_dimensional(tmp_path):
    plan = trained(synthetic.volumes(tmp_path / "data", (40, 50, 1), (0.7, 0.7, 3), cases=2, labels=2), tmp_path)
    assert (plan.dimensions, plan.spacing, plan.orientation) == (2, (0.7, 0.7), "RAS")


def test_one_case_is_enough_to_train_on(tmp_path):
    assert trained(synthetic.volumes(tmp_path / "data", (24, 24, 24), (1, 1, 1), cases=1), tmp_path).dimensions == 3


def test_a_label_of_one_voxel_in_one_case_is_no_reason_to_fail_and_forbids_coarser_grids(tmp_path):
    rare = synthetic.volumes(tmp_path / "data", (40, 40, 40), (1, 1, 1), cases=4, without=(0, 1, 2), tiny=True)
    assert trained(rare, tmp_path).network.classes == 5
    fingerprint = measured(rare)
    for minutes in (0.1, 5):
        assert max(planned(fingerprint, minutes).plan.network.strides[0]) == 1


def test_how_thin_labels_are_is_measured(tmp_path):
    thin = measured(synthetic.pictures(tmp_path / "thin", (300, 300)))
    thick = measured(synthetic.pictures(tmp_path / "thick", (300, 300), thickness=60))
    assert thin.labels[0].kept[0] < 0.9 < thick.labels[0].kept[0]
    assert all(finer > coarser for finer, coarser in [thin.labels[0].kept, thick.labels[0].kept])
    assert "a grid twice as coarse keeps" in describe(thin)


@pytest.mark.parametrize("name", ["hippocampus", "em-membranes"])
def test_real_scans_have_no_wild_values_and_keep_their_grid_when_there_is_time(real_data, name):
    training = planned(measured(real_data(name)), 30)
    assert training.plan.channels[0].clip_percent is None
    assert max(training.plan.network.strides[0]) == 1
