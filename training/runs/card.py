"""The page that comes with a bundle, for people: what it is, what it learned from, how good it is, what it is not."""

from __future__ import annotations

from skipseg.models.bundle import BundleManifest

NOT_A_DEVICE = (
    "This is research software, not a medical device. A qualified person checks every mask before anything is decided "
    "from it. On scans unlike those it was trained on (other scanner, sequence, body part, age, disease) it may be "
    "wrong without a sign."
)


def write_card(manifest: BundleManifest, data_notice: str, gains: str = "") -> str:
    """Markdown for ``card.md``; ``data_notice`` is the dataset's own attribution, as far as it states one.

    ``gains`` tells what a retraining gained and lost.
    """
    training, plan = manifest.training, manifest.plan
    sections = [
        f"# {manifest.name}",
        manifest.task,
        "## Use and limits\n" + NOT_A_DEVICE,
        "## Labels\n" + "\n".join(f"- {label.value}: {label.name}" for label in manifest.labels.foreground),
        "## Data\n" + (data_notice or "The dataset states no source and no licence."),
        f"Trained on {len(training.cases)} cases of {training.dataset} (sha256 {training.dataset_sha256[:16]}…); "
        f"{len(training.validation_cases)} were kept out.",
        *_ensemble(manifest),
        f"Licence of the weights: {manifest.licence}.",
        "## Training\n"
        f"{training.minutes:.1f} minutes, {training.steps} steps on {training.device} ({training.precision}), "
        f"seed {training.seed}, "
        f"finished {training.finished:%Y-%m-%d}.",
        f"{plan.dimensions}D {plan.network.told}; tile {plan.tile}, spacing {plan.spacing or 'as it comes'}.",
        *_base(manifest),
        _measured(manifest) + "\n" + _figures(manifest),
        *([f"## Gained and lost by retraining\n{gains}"] if gains else []),
    ]
    return "\n\n".join(sections) + "\n"


def _base(manifest: BundleManifest) -> list[str]:
    training = manifest.training
    if training.base is None:
        return []
    name = training.base.name if training.base.version is None else f"{training.base.name}@{training.base.version}"
    mixed = "".join(f", {len(old.cases)} cases of {old.dataset} mixed in" for old in training.replay)
    return [
        f"Training went on from {name} (weights {training.base.weights_sha256[:16]}…), which had learned from "
        f"{len(training.base.images_sha256)} cases{mixed}."
    ]


def _ensemble(manifest: BundleManifest) -> list[str]:
    """How several networks had a part in it."""
    training = manifest.training
    if training.distilled_from:
        return [
            f"One network, taught by an ensemble of {training.distilled_from} (each trained without one part of the "
            "cases) beside the truth."
        ]
    if manifest.members > 1:
        return [
            f"{manifest.members} networks, each trained without one part of the cases; the answer is the mean of "
            "their probabilities."
        ]
    return []


def _measured(manifest: BundleManifest) -> str:
    training = manifest.training
    if training.measured == "kept_out":
        return "## Measured on the cases kept out"
    what = "the network that was taught by them" if training.distilled_from else "the ensemble"
    return (
        "## Measured out of fold\n"
        f"Every case was segmented by the one network that did not learn from it. So the figures are those of single "
        f"networks; how good {what} is was not measured.\n"
    )


def _figures(manifest: BundleManifest) -> str:
    if not manifest.metrics:
        return "No case was kept out: how good this model is, is not known."
    rows = [
        f"| {name} | {'-' if value is None else format(value, '.4f')} |" for name, value in manifest.metrics.items()
    ]
    return "\n".join(["| measure | mean |", "|---|---|", *rows, "", "`evaluation/report.html` shows every case."])
