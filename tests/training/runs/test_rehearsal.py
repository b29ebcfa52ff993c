"""The evaluation, rehearsed while a network is fitted."""

import torch
from bundles import small_plan
from fitting import cubes

from skipseg.models.labels import Labels
from skipseg.models.networks.recipes import build
from skipseg.training.datasets.dataset import open_dataset
from skipseg.training.fitting.schedule import Budget
from skipseg.training.phantoms import write_phantom_dataset
from skipseg.training.runs.rehearsal import Rehearsal, rehearsing


def test_one_that_cannot_be_written_is_told_and_the_guess_stays(tmp_path):
    write_phantom_dataset(tmp_path / "data", cases=6, seed=0)
    (tmp_path / "file").touch()
    dataset, plan, told = open_dataset(tmp_path / "data"), small_plan(3, 1, 2), []
    labels = Labels.from_names({0: "background", 1: "cube"})
    where = tmp_path / "file" / "rehearsal"
    rehearsal = Rehearsal(dataset, dataset.cases, cubes(6), labels, plan, torch.device("cpu"), "fp32", where)
    budget = Budget(seconds=1000.0, reserve=7.0)
    rehearse = rehearsing(rehearsal, budget, told.append)
    rehearse(build(plan.network).state_dict())
    assert budget.reserve == 7.0
    assert "only guessed" in told[0]
