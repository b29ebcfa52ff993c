"""Which size of training is taken for a time: the choice is a function of the seconds that steps take."""

from math import inf

import pytest
import torch
from fingerprints import KINDS, fingerprint

from skipseg.training.planning.candidates import Timing, candidates, choose, settle
from skipseg.training.planning.costs import guessed_seconds, training_bytes
from skipseg.training.planning.effort import GPU, LADDERS, SMALL_CPU, SMALLEST_BATCH
from skipseg.training.planning.overrides import Overrides
from skipseg.training.planning.planner import Circumstances, make_plan
from skipseg.training.planning.probe import Probe, step_seconds

MEMORY = 16 * 2**30
CPU = torch.device("cpu")
SMALL_SCANS = fingerprint((36, 50, 35))
LARGE_SCANS = fingerprint((160, 160, 150))
THIN = SMALL_SCANS.labels[0].model_copy(update={"kept": (0.6, 0.2)})


def ladder(data=SMALL_SCANS, memory=MEMORY):
    return candidates(data, LADDERS["cpu"], memory, Overrides())


def guess(option):
    return guessed_seconds(option.recipe, option.patch, option.batch, "cpu")


def settled(options, seconds, slower=1.0, measure=None):
    place, _ = settle(options, lambda *_: seconds, lambda option: slower * guess(option), measure)
    return options[place].name


def test_the_largest_that_gets_enough_steps_is_taken_and_the_smallest_when_none_does():
    options = ladder()
    names = [option.name for option in options]
    assert names == ["large", "standard", "light", "small", "small, stem"]
    took = [2.0, 0.5, 0.25, 0.12, 0.04]
    for seconds, name in ((10_000, "large"), (450, "standard"), (100, "light"), (20, "small"), (1, "small, stem")):
        timings = [Timing(option, second, True, seconds / second) for option, second in zip(options, took, strict=True)]
        assert names[choose(timings)] == name


def test_more_time_never_gives_a_smaller_size():
    options = ladder()
    sizes = [option.name for option in options]
    taken = [sizes.index(settled(options, seconds)) for seconds in (5, 20, 60, 200, 400, 1000, 5000, 50_000)]
    assert taken == sorted(taken, reverse=True)
    assert (taken[0], taken[-1]) == (len(sizes) - 1, 0)


def test_what_is_taken_was_measured_and_what_is_measured_corrects_the_rest():
    options, asked = ladder(), []

    def measure(option):
        asked.append(option.name)
        return 8 * guess(option)

    place, timings = settle(options, lambda *_: 400.0, guess, measure)
    assert asked == ["standard", "light"][: len(asked)] or asked[-1] == options[place].name
    assert timings[place].measured
    assert timings[place].seconds == 8 * guess(options[place])
    assert timings[0].seconds == pytest.approx(8 * guess(options[0]))
    assert options[place].name != settled(options, 400.0)


def test_a_size_that_memory_does_not_suffice_for_is_passed_over():
    options = ladder()
    place, _ = settle(options, lambda *_: 1e6, guess, lambda option: inf if option.size == "large" else guess(option))
    assert options[place].name == "standard"


def test_without_time_to_measure_guesses_decide():
    assert settled(ladder(), 400.0, measure=lambda option: None) == settled(ladder(), 400.0)


def test_large_scans_are_seen_through_a_stem_unless_there_is_much_time_or_a_thin_label():
    options = ladder(LARGE_SCANS)
    assert settled(options, 400).endswith("stem")
    assert settled(options, 1e6) == "large"
    thin = LARGE_SCANS.model_copy(update={"labels": (THIN,)})
    assert all(option.coarser == 1 for option in ladder(thin))


def test_huge_scans_get_coarser_voxels_where_labels_are_thick_and_never_where_they_are_not():
    wide = fingerprint((512, 512, 400), (0.8, 0.8, 1.0), cases=5)
    plan = make_plan(wide, CPU, MEMORY, circumstances=Circumstances(minutes=10)).plan
    assert plan.spacing == (1.6, 1.6, 2.0)
    assert plan.network.strides[0] == (2, 2, 2)
    label = wide.labels[0].model_copy(update={"kept": (0.9, 0.5)})
    plan = make_plan(
        wide.model_copy(update={"labels": (label,)}), CPU, MEMORY, circumstances=Circumstances(minutes=10)
    ).plan
    assert plan.spacing == (0.8, 0.8, 1.0)


def test_thick_slices_are_not_made_thicker_by_a_stem():
    stems = {option.recipe.strides[0] for option in ladder(fingerprint((640, 640, 24), (0.5, 0.5, 5)))}
    assert stems == {(1, 1, 1), (2, 2, 1)}


def test_every_candidate_fits_into_memory():
    for kind in KINDS.values():
        for option in ladder(kind, 2 * 2**30):
            assert option.memory_bytes < 2 * 2**30
            assert option.memory_bytes == training_bytes(option.recipe, option.patch, option.batch)


def test_less_memory_means_fewer_patches_before_smaller_ones():
    pictures = KINDS["colour pictures"]
    sizes = [candidates(pictures, [GPU], memory * 2**30, Overrides())[0] for memory in (32, 8, 2)]
    assert sizes[0].patch == sizes[1].patch
    assert sizes[0].batch > sizes[1].batch
    assert sizes[1].sight > sizes[2].sight
    assert sizes[2].batch >= SMALLEST_BATCH


def test_a_grid_that_scans_cannot_be_segmented_on_is_not_trained_on_where_another_will_do():
    bodies = fingerprint((512, 512, 600), (0.8, 0.8, 1), ("CT",), [f"organ {number}" for number in range(60)])
    assert {option.coarser for option in ladder(bodies)} == {4}
    assert {option.coarser for option in ladder(bodies.model_copy(update={"labels": bodies.labels[:9]}))} == {1, 2, 4}


def test_the_plan_tells_what_was_compared_and_what_it_will_take():
    training = make_plan(SMALL_SCANS, CPU, MEMORY, circumstances=Circumstances(minutes=7, kept_out=42))
    assert sum(reason.startswith(("taken", "size")) for reason in training.reasons) == 5
    expected = training.expected
    assert expected.fitting_seconds + expected.preparing_seconds + expected.evaluating_seconds < 7 * 60
    assert expected.steps == int(expected.fitting_seconds / expected.seconds_per_step)


def test_a_probe_times_real_steps_and_stops_when_its_share_is_spent():
    tiny = SMALL_CPU.model_copy(update={"widths": {3: (4, 8)}})
    (option,) = candidates(fingerprint((16, 16, 12)), [tiny], MEMORY, Overrides(strides=((1, 1, 1), (2, 2, 2))))
    assert 0 < step_seconds(option, CPU, "fp32") < 60
    probe = Probe(3.0, CPU, "fp32")
    assert probe(option) > 0
    probe.spent = probe.seconds
    assert probe(option) is None
    assert Probe.within(2.0, CPU, "fp32") is None
    assert Probe.within(None, CPU, "fp32") is None
