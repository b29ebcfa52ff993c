"""A listener whose parts lie in this process, so that many tests cost little; processes are for those that kill."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest
from bundles import small_bundle
from servers import registry_without_shipped

from skipseg.service.dicom.listening.provider import StorageProvider
from skipseg.service.dicom.listening.run import Rounds
from skipseg.service.jobs.records import Job
from skipseg.service.settings import Settings

RULES = """
[[rules]]
name = "brains"
modality = "MR"
series_description = "mprage"
model = "small"
"""


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_bundle(tmp_path_factory.mktemp("bundles") / "small").folder


@pytest.fixture
def data(tmp_path: Path, bundle_folder: Path) -> Path:
    """A data folder with the model ``small``, and a file of rules beside it."""
    folder = tmp_path / "data"
    folder.mkdir()
    registry_without_shipped(folder).add(bundle_folder)
    (tmp_path / "rules.toml").write_text(RULES)
    return folder


@dataclass
class Parts:
    """A listener without its loop."""

    rounds: Rounds
    port: int

    def settle(self) -> None:
        """As if it had been quiet for long enough."""
        self.rounds.inbox.settle_quiet(0)
        self.rounds.ordering.take_all_on()

    @property
    def jobs(self) -> list[Job]:
        return self.rounds.ordering.jobs.ledger.jobs(limit=100)

    def members(self, upload: str) -> list[str]:
        store = self.rounds.ordering.jobs.uploads
        with ZipFile(store.content(store.get(upload))) as archive:
            return archive.namelist()

    @property
    def last_members(self) -> list[str]:
        """Of the upload that was made last."""
        return self.members(self.rounds.ordering.jobs.uploads.all()[-1].id)

    def outcome(self, name: str) -> float:
        found = self.rounds.counters.registry.get_sample_value("skipseg_dicom_series_total", {"outcome": name})
        return found or 0.0

    def refused(self, reason: str) -> float:
        found = self.rounds.counters.registry.get_sample_value("skipseg_dicom_refused_total", {"reason": reason})
        return found or 0.0


@pytest.fixture
def listener(data: Path, tmp_path: Path) -> Iterator[Callable[..., Parts]]:
    begun = []

    def begin(**settings: object) -> Parts:
        given = {"data": data, "dicom_port": 0, "dicom_rules": tmp_path / "rules.toml", **settings}
        chosen = Settings(**given)
        rounds = Rounds(chosen, data / "dicom" / "listener")
        server = StorageProvider(chosen, rounds.inbox, rounds.counters).start()
        begun.append((server, rounds))
        return Parts(rounds, server.server_address[1])

    yield begin
    for server, rounds in begun:
        server.end()
        rounds.ordering.jobs.close()
