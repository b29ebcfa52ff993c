"""``report.html`` of a study: what is claimed, what was measured, and the figures behind it."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from statistics import fmean, median

from skipseg.training.datasets.dataset import Dataset
from skipseg.training.reports.markup import cell, image, number, section, table
from skipseg.training.reports.page import PAGE
from skipseg.training.study import gradient_plots, plots
from skipseg.training.study.cut_picture import cut_pictures
from skipseg.training.study.estimates import Estimate, median_of
from skipseg.training.study.evidence import table as cases_of
from skipseg.training.study.records import Claim, Run, Study

COLOURS = {"confirmed": "#30a46c", "refuted": "#e5484d", "undecided": "#7d8590"}
REPORT = "report.html"


def write_page(study: Study, dataset: Dataset, out: Path) -> None:
    """Write the page of a study of a dataset into its folder."""
    sections = [_head(study), _verdicts(study), *_figures(study), *cut_pictures(dataset, out), _prices(study)]
    sections += [_skip_prices(study), _runs(study), _rules(study), _settings(study)]
    title = escape(f"Skip connections on {study.setup.dataset}")
    (out / REPORT).write_text(PAGE.substitute(title=title, body="\n".join(sections)), encoding="utf-8")


def _head(study: Study) -> str:
    setup, left = study.setup, len(study.missing())
    wanted = f"; {left} more did not fit into the time" if left else ""
    one = (
        '<p class="bad">One seed: whether another training would agree was not measured, so every claim on trained '
        "networks is undecided.</p>"
        if len({run.seed for run in study.runs}) < 2
        else ""
    )
    return (
        f"<h1>What skip connections do</h1>"
        f'<p class="soft">{escape(setup.dataset)}: {len(study.runs)} trainings of {setup.steps} steps each{wanted}; '
        f"{len(setup.training)} cases to train on, {len(setup.kept_out)} kept out to measure on</p>{one}"
    )


def _verdicts(study: Study) -> str:
    rows = (_verdict(claim) for claim in study.claims)
    head = ("", "claim", "measured (95 % interval)", "of", "verdict")
    return section("Claims", table(head, rows))


def _verdict(claim: Claim) -> str:
    return (
        f'<tr><td>{claim.key}</td><td class="text">{escape(claim.claim)}</td>'
        f'<td class="text">{_powers(escape(claim.measured))}</td><td class="text">{escape(claim.samples)}</td>'
        f'<td><b style="color: {COLOURS[claim.verdict]}">{claim.verdict}</b></td></tr>'
    )


def _powers(text: str) -> str:
    return text.replace("10^x", "10<sup>x</sup>")


def _figures(study: Study) -> Iterator[str]:
    deepest = max(study.setup.depths)
    before = (
        '<p class="soft">Before any training, in networks that are equally wide at every depth; no loss has been '
        "learned from. A layer's gradient is its norm by that of the layer's weights. Above 1, the first layer's "
        "is the larger.</p>"
    )
    yield section("Gradients by depth", before + image(gradient_plots.ratios_plot(study), "gradient ratio by depth"))
    yield section(
        f"Gradients along {deepest} layers",
        image(gradient_plots.layers_plot(study), "gradient norm of every layer at random initialisations")
        + '<p class="soft">The same while they are trained, first seed:</p>'
        + image(gradient_plots.training_gradients_plot(study), "gradient norm of every layer while training"),
    )
    yield section(
        "Learning curves, with residual skips and without",
        image(plots.depth_curves_plot(study), "training loss of plain and residual networks by depth"),
    )
    yield section(
        "Learning curves by kind of skip across the U",
        image(plots.kind_curves_plot(study), "training loss and Dice by kind of skip"),
    )
    yield section(
        "Accuracy by kind of skip across the U",
        image(plots.kinds_plot(study), "Dice, HD95 and surface Dice by kind of skip")
        + '<p class="soft">A dot a case, mean over seeds; the diamond is the mean of all, with its interval.</p>',
    )
    if plots.has_cuts(study):
        yield section(
            "What vanishes when a skip is cut",
            '<p class="soft">Trained networks, one of their skips carrying nothing, or the features of another case; '
            "nothing is trained again.</p>" + image(plots.cuts_plot(study), "Dice lost by skip that is cut"),
        )


def _prices(study: Study) -> str:
    rows = [
        f"<tr><td>{escape(one.skip)}</td><td>{one.weights:,}</td><td>{one.multiplications / 1e6:,.0f}</td>"
        f"<td>{one.held_bytes / 2**20:.1f}</td>{_estimated(median_of(one.milliseconds), 1)}</tr>"
        for one in study.prices
    ]
    head = ("skip, at equal widths", "weights", "million multiplications", "MiB held", "ms forward and backward")
    more = [
        f"<tr><td>{escape(one.where)}, {one.features} features</td><td>{one.weights:,}</td>"
        f"<td>{100 * one.weights_share:.1f} %</td>{_estimated(median_of(one.milliseconds), 3)}</tr>"
        for one in study.projections
    ]
    told = '<p class="soft">Held: what the forward pass keeps for the backward pass, one batch.</p>'
    projections = table(("projection of a", "weights", "of what it serves", "ms"), more)
    return section("What skips cost", table(head, rows) + told + projections)


def _skip_prices(study: Study) -> str:
    rows = []
    for skip in dict.fromkeys(run.variation.skip for run in study.runs if run.prices):
        runs = [run for run in study.runs if run.prices and run.variation.skip == skip]
        for price in runs[0].prices:
            times = [one.milliseconds for run in runs for one in run.prices if one.place == price.place]
            ranks = [run.ranks[price.place] for run in runs]
            rows.append(
                f"<tr><td>{escape(skip)}, {plots.place_name(price.place)}</td><td>{price.weights:,}</td>"
                f"<td>{price.multiplications / 1e6:.1f}</td><td>{number(median(times), 2)}</td>"
                f"<td>{price.held_bytes / 2**10:,.0f}</td>"
                f"<td>{fmean(ranks):.1f} of {runs[0].crossing[price.place]}</td></tr>"
            )
    head = ("each skip", "weights", "million multiplications", "ms", "KiB held", "effective rank of what crosses")
    return section("Each skip of a trained network", table(head, rows)) if rows else ""


def _runs(study: Study) -> str:
    rows = []
    for variation in study.setup.extent.variations:
        runs = study.runs_of(variation)
        if runs:
            rows.append(_run_row(study, runs))
    head = ("network", "seeds", "weights", "s a step", "last loss", "Dice", "HD95, mm", "surface Dice", "")
    return section("All networks", table(head, rows))


def _run_row(study: Study, runs: list[Run]) -> str:
    cells = "".join(
        _estimated(cases_of(study, runs, measure).sampled().estimate(), digits)
        for measure, digits in (("dice", 3), ("hd95_mm", 2), ("nsd_1mm", 3))
    )
    losses = [run.curve[-1].loss for run in runs if run.curve]
    seconds = fmean(run.seconds / max(run.steps, 1) for run in runs)
    diverged = sum(run.diverged is not None for run in runs)
    told = f'<span class="bad">{diverged} diverged</span>' if diverged else ""
    return (
        f"<tr><td>{escape(runs[0].variation.name)}</td><td>{len(runs)}</td><td>{runs[0].weights:,}</td>"
        f"<td>{seconds:.2f}</td>{cell(fmean(losses) if losses else None, 3)}{cells}<td>{told}</td></tr>"
    )


def _estimated(found: Estimate, digits: int) -> str:
    return cell(found.value, digits, found.interval)


def _rules(study: Study) -> str:
    keys: dict[str, list[str]] = {}
    for claim in study.claims:
        keys.setdefault(claim.rule, []).append(claim.key)
    rows = [f'<tr><td>{", ".join(of)}</td><td class="text">{escape(rule)}</td></tr>' for rule, of in keys.items()]
    told = (
        '<p class="soft">Intervals on trained networks hold two errors, added as independent ones are: that of other '
        "seeds (Student) and that of other cases (bootstrap). Claims are judged one by one: of twenty at 95 %, one "
        "may be wrong by chance.</p>"
    )
    return section("By which rule", table(("claims", "rule"), rows) + told)


def _settings(study: Study) -> str:
    setup = study.setup
    wishes = f"--minutes {setup.minutes:g} --device {setup.device} --seed {setup.seed}"
    facts = {
        "command": f"skipseg study DATASET --out DIR {wishes}",
        "took": f"{study.spent / 60:.1f} minutes on {setup.device}, {setup.threads} threads, {setup.precision}",
        "training": f"{setup.steps} steps of {setup.batch} patches of {setup.plan.tile} voxels, the same for all; "
        "loss, augmentation, averaging and optimiser are those of `skipseg train`. The optimiser scales every layer's "
        "step by itself, so that a small gradient is not a small step: what a study of plain gradient descent would "
        "show may differ",
        "networks": f"about {setup.weights:,} weights each; instance norm; no deep supervision",
        "depth": "all convolutions of encoder, bottom and decoder, which lie in one row; projections, transposed "
        "convolutions, those within a join and the head are left out. More depth is more blocks per resolution: two "
        "resolutions at 4 layers, three from 8 on",
        "grid": f"depths {setup.depths}, {setup.seeds} seed(s). When time is short depths in the middle are given up "
        "first, then seeds",
    }
    rows = [f'<tr><td>{name}</td><td class="text">{escape(fact)}</td></tr>' for name, fact in facts.items()]
    return section("Settings", table(("", ""), rows))
