"""What is asked for beside a mask: a part of the scan, mirrored views, probabilities, uncertainty."""

import json
from dataclasses import replace
from functools import cache
from itertools import permutations, product
from pathlib import Path
from tempfile import mkdtemp

import nibabel
import numpy as np
import pytest
import torch
from bundles import small_bundle, small_plan
from hypothesis import given, settings
from hypothesis import strategies as st

from skipseg.models.bundle import parse_manifest
from skipseg.models.errors import ScanUnusable, UsageError
from skipseg.models.inference.backends.eager import Eager
from skipseg.models.inference.flight import fly_alone
from skipseg.models.inference.foresight import foresee
from skipseg.models.inference.predictor import Predictor
from skipseg.models.inference.wishes import AS_PLANNED, Wishes
from skipseg.models.preprocess import prepare
from skipseg.models.scans.geometry import Geometry
from skipseg.models.scans.maps import write_maps
from skipseg.models.scans.roi import Roi
from skipseg.models.scans.volume import Source, Volume

CPU = torch.device("cpu")
ORIENTATIONS = ["".join(codes) for axes in permutations(("RL", "AP", "SI")) for codes in product(*axes)]
SIZES = st.tuples(*[st.integers(5, 14)] * 3)
EVERYTHING = Wishes(probabilities="float16", uncertainty=True)


class Looks(torch.nn.Module):
    """A network that sees blocks of so many voxels a side, and not the same way to both sides."""

    def __init__(self, side: int) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.look = torch.nn.Conv3d(1, 3, side, padding=side // 2)

    def forward(self, image):
        return 5 * self.look(image)


@cache
def predictor_of(side: int = 3, **changes: object) -> Predictor:
    bundle = small_bundle(Path(mkdtemp()) / "small", small_plan(**changes))
    return Predictor(bundle, backend=Eager(Looks(side), CPU, "fp32", 2))


def scan(size, codes="RAS", seed=0) -> Volume:
    affine = np.zeros((4, 4))
    for axis, code in enumerate(codes):
        row = next(i for i, pair in enumerate(("LR", "PA", "IS")) if code in pair)
        affine[row, axis] = 1.0 if code in "RAS" else -1.0
    affine[3, 3] = 1
    voxels = np.random.default_rng(seed).normal(size=(1, *size)).astype(np.float32)
    return Volume(voxels, Geometry(size, affine), Source("nrrd"))


def asked(predictor: Predictor, volume: Volume, wishes: Wishes):
    """The mask, and maps by name as float32 (maps, X, Y, Z)."""
    flight = fly_alone(predictor.flight(predictor.prepare(volume, wishes=wishes), wishes=wishes))
    maps = predictor.maps(flight, volume.source)
    return predictor.finish(flight, volume.source), {one.name: one.values * np.float32(one.scale) for one in maps}


@settings(max_examples=15, deadline=None)
@given(
    size=SIZES,
    codes=st.sampled_from(ORIENTATIONS),
    spacing=st.sampled_from([None, (0.8, 1.0, 1.6)]),
    stored=st.sampled_from(["float16", "uint8"]),
    held=st.booleans(),
)
def test_probabilities_lie_on_the_scans_own_grid_sum_to_one_and_agree_with_the_mask(size, codes, spacing, stored, held):
    predictor = predictor_of(spacing=spacing, tile=(8, 8, 8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skipseg.models.inference.accumulator.HELD_BYTES", 2**28 if held else 0)
        patch.setattr("skipseg.models.inference.restore.PIECE_VALUES", 500)
        mask, maps = asked(predictor, scan(size, codes), Wishes(probabilities=stored, uncertainty=True))
    shares, doubt = maps["probabilities"], maps["uncertainty"][0]
    assert shares.shape == (3, *size)
    assert np.array_equal(shares.argmax(0), mask.voxels)
    np.testing.assert_allclose(shares.sum(0), 1, atol=2e-3 if stored == "float16" else 2.5 / 255)
    wide = shares.astype(np.float64)
    expected = -(wide * np.log(np.maximum(wide, 1e-9))).sum(0) / np.log(3)
    np.testing.assert_allclose(doubt, expected, atol=5e-3 if stored == "float16" else 0.03)


def test_rounding_never_makes_probabilities_and_mask_disagree():
    predictor = predictor_of(tile=(16, 16, 16), overlap=0.5)
    with torch.no_grad():
        for weights in predictor.backend.network.parameters():
            weights *= 1e-4  # every voxel is nearly a tie
    for stored in ("float16", "uint8"):
        mask, maps = asked(predictor, scan((20, 20, 20)), Wishes(probabilities=stored))
        assert len(np.unique(mask.voxels)) == 3
        assert np.array_equal(maps["probabilities"].argmax(0), mask.voxels)


@settings(max_examples=15, deadline=None)
@given(data=st.data(), size=SIZES, codes=st.sampled_from(ORIENTATIONS))
def test_a_roi_is_normalised_and_labelled_as_the_whole_scan_is_and_all_else_is_background(data, size, codes):
    predictor, volume = predictor_of(side=1, tile=(8, 8, 8)), scan(size, codes)
    starts = [data.draw(st.integers(0, side - 2)) for side in size]
    stops = [data.draw(st.integers(start + 1, side)) for start, side in zip(starts, size, strict=True)]
    roi = Roi.parse(",".join(f"{a}:{b}" for a, b in zip(starts, stops, strict=True)))
    whole, shares = asked(predictor, volume, EVERYTHING)
    part, maps = asked(predictor, volume, replace(EVERYTHING, roi=roi))
    inside = tuple(slice(start, stop) for start, stop in zip(starts, stops, strict=True))
    clear = np.diff(np.sort(shares["probabilities"], axis=0)[1:], axis=0)[0][inside] > 0.01
    assert part.geometry is volume.geometry
    assert np.array_equal(part.voxels[inside][clear], whole.voxels[inside][clear])
    np.testing.assert_allclose(
        maps["probabilities"][(..., *inside)], shares["probabilities"][(..., *inside)], atol=2e-3
    )
    outside = np.ones(size, bool)
    outside[inside] = False
    assert not part.voxels[outside].any()
    assert (maps["probabilities"][0][outside] == 1).all()
    assert not maps["probabilities"][1:, outside].any()
    assert not maps["uncertainty"][0][outside].any()


def test_a_resampled_roi_is_that_of_the_whole_scan_where_both_grids_fall_together():
    predictor, volume = predictor_of(spacing=(2, 2, 2), tile=(16, 16, 16)), scan((32, 28, 24), "LPS")
    whole, _ = asked(predictor, volume, AS_PLANNED)
    part, _ = asked(predictor, volume, Wishes(roi=Roi.parse("4:28,2:24,:")))
    deep = (slice(12, 20), slice(10, 16), slice(6, 18))
    assert len(np.unique(whole.voxels[deep])) > 1
    assert np.array_equal(part.voxels[deep], whole.voxels[deep])


def test_a_roi_within_cropped_content_is_normalised_by_all_of_the_content():
    volume = scan((24, 24, 24))
    padded = np.zeros((1, 30, 30, 30), np.float32)
    padded[:, 3:27, 3:27, 3:27] = volume.voxels * 7 + 100
    volume = Volume(padded, Geometry((30, 30, 30), np.eye(4)), volume.source)
    plan = small_plan(crop_to_content=True)
    whole = prepare(volume, plan).image
    part = prepare(volume, plan, roi=Roi.parse("0:13,5:15,20:30")).image
    assert torch.equal(part, whole[:, :10, 2:12, 17:])


@pytest.mark.parametrize(
    "text", ["", "1:2", "a:b,c:d,e:f", "5:5,0:4,0:4", "7:3,0:4,0:4", "-1:4,0:4,0:4", "0:1,0:1,0:1,0:1"]
)
def test_a_roi_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="a roi"):
        Roi.parse(text)


@pytest.mark.parametrize("text", ["0:11,:,:", ":,12:,:", ":,:,5:99"])
def test_a_roi_that_the_scan_does_not_hold_is_refused_with_the_scans_shape(text):
    with pytest.raises(ScanUnusable, match="10x12x14"):
        prepare(scan((10, 12, 14)), small_plan(), roi=Roi.parse(text))


def test_a_roi_of_nothing_but_background_is_refused():
    voxels = np.zeros((1, 20, 20, 20), np.float32)
    voxels[:, 10:18, 10:18, 10:18] = scan((8, 8, 8)).voxels + 100
    volume = Volume(voxels, Geometry((20, 20, 20), np.eye(4)), Source("nrrd"))
    with pytest.raises(ScanUnusable, match="empty background"):
        prepare(volume, small_plan(crop_to_content=True), roi=Roi.parse("0:5,0:5,0:5"))


def test_mirrored_views_are_answered_with_the_mean_of_their_scores():
    predictor = predictor_of(tile=(8, 8, 8), mirrored_axes=(0, 2))
    volume = scan((8, 8, 8))
    image = prepare(volume, predictor.plan).image[None]
    with torch.no_grad():
        answers = [
            predictor.backend.network(image.flip(axes)).flip(axes) for axes in ([], [2], [4], [2, 4])
        ]  # (1, C, X, Y, Z)
    expected = torch.stack(answers).mean(0)[0].softmax(0).numpy()
    _, maps = asked(predictor, volume, Wishes(tta=True, probabilities="float16"))
    np.testing.assert_allclose(maps["probabilities"], expected, atol=1e-3)
    _, plain = asked(predictor, volume, Wishes(probabilities="float16"))
    assert np.abs(plain["probabilities"] - expected).max() > 0.05


def test_a_model_that_never_saw_a_mirrored_scan_is_shown_none():
    with pytest.raises(UsageError, match="trained without"):
        Wishes(tta=True).way_for(small_plan())
    assert len(Wishes(tta=True).way_for(small_plan(mirrored_axes=(0, 1))).mirrored) == 4


def test_a_bundle_that_does_not_tell_of_mirroring_and_mending_is_read_as_one_without(tmp_path):
    bundle = small_bundle(tmp_path / "small")
    fields = bundle.manifest.model_dump(mode="json")
    for name in ("mirrored_axes", "cleanup"):
        del fields["plan"][name]
    assert parse_manifest(json.dumps(fields)).plan == bundle.plan


def test_more_overlap_shows_more_tiles():
    predictor = predictor_of(tile=(8, 8, 8), overlap=0.4)
    prepared = predictor.prepare(scan((20, 20, 20)))
    few, many = (predictor.flight(prepared, wishes=Wishes(overlap=share)).tiles_left for share in (0, 0.75))
    assert few < predictor.flight(prepared).tiles_left < many
    for wrong in (-0.1, 0.95, float("nan")):
        with pytest.raises(UsageError, match="to below"):
            Wishes(overlap=wrong)


def test_maps_are_files_that_other_programs_read_on_the_scans_own_grid(tmp_path):
    predictor, volume = predictor_of(tile=(8, 8, 8)), scan((9, 11, 13), "LIP")
    _, maps = asked(predictor, volume, EVERYTHING)
    for stored in ("float16", "uint8"):
        wishes = replace(EVERYTHING, probabilities=stored)
        flight = fly_alone(predictor.flight(predictor.prepare(volume), wishes=wishes))
        write_maps(predictor.maps(flight, volume.source), tmp_path / "a.b")
        image = nibabel.load(tmp_path / "a.b.probabilities.nii.gz")
        assert image.shape == (9, 11, 13, 3)
        np.testing.assert_allclose(image.affine, volume.geometry.affine)
        assert image.get_data_dtype() == {"float16": np.float32, "uint8": np.uint8}[stored]
        found = np.moveaxis(image.get_fdata(), -1, 0)
        np.testing.assert_allclose(found, maps["probabilities"], atol=1e-7 if stored == "float16" else 2 / 255)
    doubt = nibabel.load(tmp_path / "a.b.uncertainty.nii.gz")
    assert doubt.shape == (9, 11, 13)
    assert np.array_equal(doubt.get_fdata(), maps["uncertainty"][0])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.b.probabilities.nii.gz", "a.b.uncertainty.nii.gz"]


def test_the_memory_of_what_is_asked_for_is_foreseen():
    plan = small_plan()
    placement = prepare(scan((20, 21, 22)), plan).placement
    way, voxels = AS_PLANNED.way_for(plan), 20 * 21 * 22
    plain = foresee(placement, way, 1)
    assert foresee(placement, way, 1, EVERYTHING) == plain + voxels * (2 * 3 + 2)
    assert foresee(placement, way, 1, Wishes(probabilities="uint8")) == plain + voxels * 3


def test_a_picture_takes_a_roi_of_two_sides():
    plan = small_plan(2)
    pictures = Predictor(small_bundle(Path(mkdtemp()) / "flat", plan), "cpu", "fp32")
    volume = Volume(scan((30, 26, 1)).voxels, Geometry((30, 26, 1), np.eye(4)), Source("png"))
    mask, maps = asked(pictures, volume, replace(EVERYTHING, roi=Roi.parse("3:21,4:26")))
    assert mask.voxels.shape == (30, 26, 1)
    assert (maps["probabilities"][0, :3] == 1).all()
    assert np.array_equal(maps["probabilities"].argmax(0), mask.voxels)


def test_wishes_are_told_in_a_word():
    assert str(AS_PLANNED) == ""
    told = Wishes(0.5, True, Roi.parse("1:2,:,3:"), "uint8")
    assert str(told) == "overlap=0.5, probabilities=uint8, roi=1:2,0:,3:, tta"
