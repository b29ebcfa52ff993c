"""Verdicts on made-up studies whose outcome is known."""

import made_up_studies as made_up
import numpy as np
import pytest

from skipseg.training.study.claims import judge_claims
from skipseg.training.study.estimates import Table, difference, median_of, relative_fall
from skipseg.training.study.evidence import steps_to_common_loss


def verdicts(**changes):
    return {claim.key: claim.verdict for claim in judge_claims(made_up.study(**changes))}


def wobbling(factor):
    """Around a ratio that changes by ``factor`` from one depth of the grid to the next."""

    def ratio(variation, draw):
        step = made_up.EXTENT.depths.index(variation.depth)
        return (1 + 0.05 * draw * step) * factor**step

    return ratio


@pytest.mark.parametrize(("factor", "shrink", "keep"), [(0.01, "confirmed", "refuted"), (100, "refuted", "refuted")])
def test_gradients_that_change_with_depth_decide_both_claims(factor, shrink, keep):
    found = verdicts(starts=made_up.starts(wobbling(factor)))
    assert {found["a1"], found["a2"], found["a3"]} == {shrink}
    assert {found["a4"], found["a5"], found["a6"]} == {keep}


def test_gradients_that_neither_shrink_nor_grow_leave_the_first_claim_undecided_and_confirm_the_second():
    found = verdicts(
        starts=made_up.starts(lambda variation, draw: 0.9 + 0.05 * draw if variation.depth == 52 else 0.97)
    )
    assert found["a1"] == "undecided"
    assert found["a4"] == "confirmed"


@pytest.mark.parametrize(("factor", "expected"), [(0.1, "confirmed"), (10, "refuted"), (1, "undecided")])
def test_sigmoids_are_compared_draw_by_draw(factor, expected):
    def ratio(variation, draw):
        return (1 + 0.01 * (draw - 1.5)) * factor if variation.activation == "sigmoid" else 1.0

    assert verdicts(starts=made_up.starts(ratio))["b1"] == expected


def deep(plain, residual, seeds=3):
    """What differs in the deepest twins, by seed."""

    def change(variation, seed):
        if variation.depth != 52 or variation.activation != "relu":
            return {}
        return residual(seed) if variation.residual else plain(seed)

    return made_up.runs(change, seeds)


def test_deep_networks_that_learn_slower_without_skips_confirm_that_skips_help():
    found = verdicts(runs=deep(lambda seed: {"loss": 2.0 + 0.1 * seed}, lambda seed: {"loss": 1.0}))
    assert found["c1"] == "confirmed"
    found = verdicts(runs=deep(lambda seed: {"loss": 1.0}, lambda seed: {"loss": 2.0 + 0.1 * seed}))
    assert found["c1"] == "refuted"
    assert verdicts()["c1"] == "undecided"


def test_a_network_that_diverges_never_reaches_the_loss_and_counts_twice_all_steps():
    lost = made_up.run(
        made_up.Variation(depth=52, residual=False), curve=(), scores=(), diverged="not finite", steps=21
    )
    fine = made_up.run(made_up.Variation(depth=52))
    plain, residual = steps_to_common_loss(lost, fine)
    assert plain == 200
    assert residual == 100
    lost_deep = deep(lambda seed: {"curve": (), "scores": (), "diverged": "not finite"}, lambda seed: {})
    assert verdicts(runs=lost_deep)["c1"] == "confirmed"


def test_spread_over_seeds_decides_steadiness():
    def wide(seed):
        return {"dice": 0.3 if seed % 2 else 0.7}

    def narrow(seed):
        return {"dice": 0.8}

    four = made_up.setup(seeds=4)
    assert verdicts(setup=four, runs=deep(wide, narrow, seeds=4))["c2"] == "confirmed"
    assert verdicts(setup=four, runs=deep(narrow, wide, seeds=4))["c2"] == "refuted"
    few = deep(lambda seed: {"dice": 0.3 + 0.2 * seed}, narrow)
    assert verdicts(runs=few)["c2"] == "undecided"  # three seeds tell little of a spread
    two = made_up.setup(seeds=2)
    assert verdicts(setup=two, runs=deep(wide, narrow, seeds=2))["c2"] == "undecided"  # and two none


@pytest.mark.parametrize(("gain", "expected"), [(0.0, "confirmed"), (0.1, "refuted"), (-0.1, "confirmed")])
def test_a_small_benefit_in_shallow_networks_is_one_below_the_bound(gain, expected):
    found = verdicts(
        runs=made_up.runs(lambda v, s: {"dice": 0.7 + gain} if v.depth == 4 and v.residual else {"dice": 0.7})
    )
    assert found["d4"] == expected


def cut(dice, nsd, hd95):
    return made_up.runs(lambda v, s: {"dice": dice, "nsd": nsd, "hd95": hd95} if v.skip == "none" else {})


@pytest.mark.parametrize(
    ("without", "expected"),
    [((0.72, 0.4, 4.0), "confirmed"), ((0.4, 0.75, 2.1), "refuted"), ((0.8, 0.8, 2.0), "undecided")],
)
def test_falls_of_boundary_metrics_are_compared_with_that_of_dice(without, expected):
    found = verdicts(runs=cut(*without))
    assert (found["e1"], found["e2"]) == (expected, expected)


def test_concatenation_is_compared_with_addition_in_accuracy_memory_and_time():
    better = made_up.runs(lambda v, s: {"dice": 0.7} if v.skip == "add" else {})
    dearer = (made_up.price("concat", (2.0, 2.1, 2.2), 2000), made_up.price("add"))
    found = verdicts(runs=better, prices=dearer)
    assert (found["f1"], found["f2"], found["f3"]) == ("confirmed",) * 3
    found = verdicts(runs=made_up.runs(lambda v, s: {"dice": 0.9} if v.skip == "add" else {}), prices=dearer[::-1])
    assert found["f1"] == "refuted"
    assert verdicts()["f1"] == "undecided"


def test_a_projection_is_cheap_needed_or_not():
    assert verdicts()["g1"] == "confirmed"
    assert verdicts(projections=(made_up.projection(weights_share=0.3),))["g1"] == "refuted"
    assert verdicts(projections=(made_up.projection(share=(0.01, 0.5)),))["g1"] == "undecided"
    assert verdicts(projections=(made_up.projection(refused=False),))["g1"] == "refuted"


def test_one_seed_decides_nothing_about_training():
    found = verdicts(runs=[run for run in cut(0.4, 0.2, 9.0) if run.seed == 0])
    assert {found[key] for key in ("c1", "c2", "d4", "e1", "e2", "f1")} == {"undecided"}


def test_a_study_that_has_only_begun_leaves_everything_on_training_undecided():
    found = verdicts(runs=(), prices=(), projections=())
    assert {found[key] for key in ("c1", "d4", "e1", "f1")} == {"undecided"}


def test_every_claim_tells_its_rule_its_samples_and_its_figure():
    for claim in judge_claims(made_up.study()):
        assert "onfirmed" in claim.rule
        assert claim.samples
        assert claim.measured


def test_intervals_cover_other_seeds_as_well_as_other_cases():
    same, other = Table([[0.5, 0.6, 0.7]] * 3), Table([[0.6, 0.7, 0.8], [0.4, 0.5, 0.6], [0.5, 0.6, 0.7]])
    found = difference(same, other).estimate()
    assert found.value == pytest.approx(0)
    assert found.interval == pytest.approx((-0.248, 0.248), abs=0.001)  # 4.30 standard errors: Student, two degrees


def test_times_are_told_by_their_median_which_one_pause_does_not_move():
    assert median_of([1.0, 1.0, 1.0, 1.0, 90.0]).value == 1.0
    assert median_of([3.0]).interval is None


def test_a_relative_fall_is_of_the_means_over_what_both_have():
    one, other = Table([[0.8, 0.4, None]] * 2), Table([[0.4, 0.2, 0.1]] * 2)
    fall = relative_fall(one, other)
    assert fall.value == pytest.approx(0.5)
    assert fall.of_seeds == pytest.approx([0.5, 0.5])
    known = fall.of_cases[np.isfinite(fall.of_cases)]  # a draw may hold the case that one of them lacks alone
    assert (known.min(), known.max()) == pytest.approx((0.5, 0.5))
    assert np.isnan(relative_fall(Table([[0.0, 0.0]]), Table([[0.5, 0.5]])).value)
