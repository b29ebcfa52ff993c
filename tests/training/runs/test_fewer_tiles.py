"""A smaller overlap of tiles is taken where it was seen to do as well, and nowhere else."""

import json

import pytest
import torch
from bundles import small_bundle, small_plan
from synthetic import volumes

from skipseg.models.bundle import load_bundle, parse_manifest, save_bundle
from skipseg.models.errors import BundleError, UsageError
from skipseg.models.inference.backends.eager import Eager
from skipseg.models.inference.flight import Flight
from skipseg.models.inference.predictor import Predictor, load_predictor
from skipseg.models.inference.wishes import Wishes
from skipseg.service.cli import run
from skipseg.training.datasets.dataset import image_checksum, open_dataset
from skipseg.training.runs.fewer_tiles import FEWEST_CASES, prove, proven, write_with_fewer_tiles

CPU = torch.device("cpu")
LONG = (48, 16, 16)  # 5 tiles with the plan's overlap of a half, 4 with a quarter, 3 with none


class Bright(torch.nn.Module):
    """Each voxel by its own brightness; ``lost`` voxels at either end of a tile's first axis it calls background."""

    def __init__(self, lost: int) -> None:
        super().__init__()
        self.lost = lost

    def forward(self, tiles):
        logits = torch.cat([1 - tiles, tiles - 1], 1)
        if self.lost:
            logits[:, 1, : self.lost] = logits[:, 1, -self.lost :] = -9
        return logits


def nothing(done: int, total: int) -> None:
    assert done <= total


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return open_dataset(volumes(tmp_path_factory.mktemp("boxes") / "d", LONG, (1, 1, 1), FEWEST_CASES + 1, labels=1))


@pytest.fixture
def bundle(tmp_path):
    return small_bundle(tmp_path / "bundle", small_plan(classes=2))


def trials_of(bundle, dataset, lost, cases=None):
    predictor = Predictor(bundle, backend=Eager(Bright(lost), CPU, "fp32"))
    return prove(predictor, dataset, dataset.cases if cases is None else cases, nothing)


def test_tiles_that_need_no_neighbour_are_proven_down_to_none(bundle, dataset):
    trials = trials_of(bundle, dataset, lost=0)
    assert [trial.found.overlap for trial in trials] == [0.25, 0.125, 0.0]
    found = proven(trials)
    assert (found.overlap, found.tiles, found.cases) == (0.0, 3 / 5, len(dataset.cases))
    assert (found.dice.by, found.dice.low, found.dice.high) == (0, 0, 0)
    assert list(found.labels) == ["box 1"]


def test_what_is_lost_where_tiles_meet_is_found_and_ends_the_search(bundle, dataset):
    trials = trials_of(bundle, dataset, lost=3)
    assert trials[-1].against
    assert not any(trial.against for trial in trials[:-1])
    assert trials[-1].found.dice.by < -0.001
    kept = proven(trials)
    assert kept is None or kept.overlap > 0


def test_cases_of_one_tile_prove_nothing(bundle, tmp_path, dataset):
    short = open_dataset(volumes(tmp_path / "short", (16, 16, 16), (1, 1, 1), FEWEST_CASES, labels=1))
    with pytest.raises(UsageError, match="nothing to gain"):
        trials_of(bundle, short, lost=0)
    with pytest.raises(UsageError, match="nothing to gain"):
        trials_of(bundle, dataset, lost=0, cases=dataset.cases[: FEWEST_CASES - 1])


def test_fast_takes_what_is_proven_and_exact_and_mirrored_views_the_plans(bundle, dataset, tmp_path):
    found = proven(trials_of(bundle, dataset, lost=0))
    tuned = write_with_fewer_tiles(bundle, found, tmp_path / "tuned")
    assert tuned.manifest.fewer_tiles == found
    assert tuned.manifest.plan == bundle.manifest.plan
    again = write_with_fewer_tiles(tuned, found, tmp_path / "again")
    assert (again.folder / "card.md").read_text().count("## Fewer tiles") == 1
    fast, exact = (load_predictor(tuned, CPU, mode) for mode in ("fast", "exact"))
    assert [one.way().overlap for one in (fast, exact, load_predictor(bundle, CPU, "fast"))] == [0, 0.5, 0.5]
    assert fast.way(Wishes(overlap=0.3)).overlap == 0.3
    assert fast.told(fast.rehearsal()).endswith(", overlap 0")
    as_planned = Flight(torch.zeros(1, *fast.plan.tile), fast.way(Wishes(overlap=0.5)), fast.backend, list)
    assert "overlap" not in exact.told(exact.rehearsal()) + fast.told(as_planned)
    assert "did not learn from" in fast.choice.reason
    mirrored = tuned.manifest.model_copy(update={"plan": small_plan(classes=2, mirrored_axes=(0,))})
    assert Predictor(type(tuned)(tuned.folder, mirrored), "cpu", overlap=0).way(Wishes(tta=True)).overlap == 0.5


def test_a_bundle_says_no_more_than_was_proven(bundle, dataset, tmp_path):
    tuned = write_with_fewer_tiles(bundle, proven(trials_of(bundle, dataset, lost=0)), tmp_path / "tuned")
    fields = json.loads((tuned.folder / "bundle.json").read_text())
    fields["fewer_tiles"]["overlap"] = 0.5
    with pytest.raises(BundleError, match="below the plan"):
        parse_manifest(json.dumps(fields))
    del fields["fewer_tiles"]
    assert parse_manifest(json.dumps(fields)).fewer_tiles is None
    with pytest.raises(UsageError, match="there already"):
        write_with_fewer_tiles(bundle, tuned.manifest.fewer_tiles, tmp_path / "tuned")


def test_the_command_leaves_a_tuned_copy_and_takes_no_case_that_was_learned(bundle, dataset, tmp_path, capfd):
    given = ["models", "tune", str(bundle.folder), str(dataset.folder), "--out", str(tmp_path / "tuned")]
    first = dataset.cases[0]
    silent = {name: 0 * values for name, values in bundle.network().state_dict().items()}
    record = bundle.manifest.training.model_copy(update={"images_sha256": (image_checksum(first),)})
    _with(bundle, silent, record)
    (tmp_path / "names").write_text(first.name)
    assert run([*given, "--cases", str(tmp_path / "names")]) == 2
    assert "trained on" in capfd.readouterr().err
    assert run(given) == 0
    said = capfd.readouterr()
    assert "1 cases are left out" in said.err
    assert f"overlap 0: 60% of the tiles in {FEWEST_CASES} cases" in said.out
    assert load_bundle(tmp_path / "tuned").manifest.fewer_tiles.overlap == 0


def _with(bundle, weights, record):
    """Other weights and another record in place of a bundle's."""
    fields = {name: getattr(bundle.manifest, name) for name in ("name", "task", "labels", "plan")}
    save_bundle(bundle.folder, weights, lambda manifest: "# silent\n", training=record, **fields)
