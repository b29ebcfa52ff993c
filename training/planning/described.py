"""A fingerprint as text for a person."""

from __future__ import annotations

from collections.abc import Sequence

from skipseg.training.planning.fingerprint import ChannelIntensities, Fingerprint, LabelSize, Spread


def describe(fingerprint: Fingerprint) -> str:
    """The fingerprint as text for a person."""
    f = fingerprint
    rows = [
        ("cases", f"{f.cases}, {f.dimensions}D"),
        ("orientation", f"{f.orientation}" + (f" mostly, of {f.orientations}" if f.orientations > 1 else "")),
        ("shape", _axes(f.shape, f.dimensions) + " voxels"),
        ("spacing", _axes(f.spacing, f.dimensions) + " mm" if f.spacing_given else "not given"),
        ("anisotropy", f"{f.anisotropy:.3g}"),
        ("content", f"{_percent(f.content.median)} of the scan ({_percent(f.content.minimum)} at least)"),
        *((f"channel {channel.name}", _intensities(channel)) for channel in f.channels),
        *((f"label {label.name}", _size(label, f)) for label in f.labels),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join([f.dataset, *(f"  {name:<{width}}  {text}" for name, text in rows)])


def _axes(spreads: Sequence[Spread], dimensions: int) -> str:
    shown = spreads[:dimensions]
    median, least, most = (
        " x ".join(f"{getattr(spread, part):.4g}" for spread in shown) for part in ("median", "minimum", "maximum")
    )
    return median if least == most else f"{median} (from {least} to {most})"


def _intensities(channel: ChannelIntensities) -> str:
    kind = "CT, " if channel.is_ct else ""
    return (
        f"{kind}in labels {channel.percentile_00_5:.4g} .. {channel.median:.4g} .. {channel.percentile_99_5:.4g} "
        f"(0.5th, 50th, 99.5th percentile), cases' means "
        f"{channel.case_mean.minimum:.4g} .. {channel.case_mean.maximum:.4g}"
    )


def _size(label: LabelSize, fingerprint: Fingerprint) -> str:
    if label.volume_mm3 is None:
        return "in no case"
    flat = fingerprint.dimensions == 2
    unit = ("mm2" if flat else "mm3") if fingerprint.spacing_given else "pixels" if flat else "voxels"
    v = label.volume_mm3
    volumes = f"{v.median:.4g} {unit} (from {v.minimum:.4g} to {v.maximum:.4g})"
    fine = f"a grid twice as coarse keeps {_percent(label.kept[0])} of it"
    return f"in {label.cases} of {fingerprint.cases} cases, {_percent(label.share)} of all voxels, {volumes}; {fine}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
