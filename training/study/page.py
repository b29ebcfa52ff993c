"""The page of a study."""

from pathlib import Path

from skipseg.training.datasets.dataset import Dataset
from skipseg.training.study.records import Study


def write_page(study: Study, dataset: Dataset, out: Path) -> None:
    (out / "report.html").write_text("")
