"""Fingerprints of datasets nobody has to make: what a planner sees of them."""

from skipseg.training.planning.fingerprint import ChannelIntensities, Fingerprint, LabelSize, Spread


def same(number):
    return Spread(minimum=number, median=number, maximum=number)


def fingerprint(
    shape, spacing=(1, 1, 1), channels=("MR",), labels=("a",), dimensions=3, given=True, content=1.0, cases=100
):
    return Fingerprint(
        dataset="made up",
        cases=cases,
        dimensions=dimensions,
        orientation="RAS",
        orientations=1,
        shape=tuple(map(same, shape)),
        spacing=tuple(map(same, spacing)),
        spacing_given=given,
        anisotropy=max(spacing) / min(spacing),
        content=same(content),
        channels=tuple(
            ChannelIntensities(
                name=name, is_ct=name == "CT", percentile_00_5=-900, median=0, percentile_99_5=1100, mean=40, std=200,
                case_mean=same(40), case_std=same(200),
            )
            for name in channels
        ),
        labels=tuple(
            LabelSize(value=value, name=name, cases=cases, share=0.1, volume_mm3=same(100))
            for value, name in enumerate(labels, start=1)
        ),
    )  # fmt: skip


KINDS = {
    "small MR": fingerprint((36, 50, 35)),
    "CT": fingerprint((512, 512, 300), (0.8, 0.8, 1.5), ("CT",), ("liver", "tumour")),
    "thick slices": fingerprint((320, 320, 20), (0.6, 0.6, 5), labels=("a", "b", "c", "d")),
    "few thick slices": fingerprint((256, 256, 9), (1.25, 1.25, 10)),
    "long": fingerprint((40, 40, 900), (1, 1, 1)),
    "tiny": fingerprint((12, 10, 8)),
    "no spacing": fingerprint((120, 130, 90), given=False),
    "colour pictures": fingerprint((700, 600, 1), channels=("R", "G", "B"), dimensions=2, given=False),
    "small pictures": fingerprint((64, 48, 1), dimensions=2, given=False),
    "mostly empty": fingerprint((240, 240, 155), channels=("FLAIR", "T1c"), content=0.3, cases=6),
}
