"""A server works on what another process has ordered, although it was idle and nobody told it."""

from pathlib import Path

from bundles import small_bundle
from jobs import mortal
from servers import registry_without_shipped

from skipseg.models.registry import Registry
from skipseg.service.datasets.store import DatasetStore
from skipseg.service.jobs.jobs import Jobs
from skipseg.service.jobs.orders import SegmentOrder
from skipseg.service.retraining.preparing import Stores
from skipseg.service.settings import Settings
from skipseg.service.store.uploads import UploadStore


def test_an_idle_server_begins_its_workers_for_a_job_that_another_process_ordered(tmp_path: Path, make_scan) -> None:
    data, scans = tmp_path / "data", tmp_path / "scans"
    scans.mkdir()
    (scans / "one.nii.gz").write_bytes(make_scan())
    registry_without_shipped(data).add(small_bundle(tmp_path / "bundle").folder)
    settings = Settings(data=data, workers=0, allowed_roots=(scans,))
    with mortal(data, device="cpu") as server:
        server.serve()
        others = Jobs(settings, Stores(DatasetStore(settings.datasets), Registry(settings.registry)), UploadStore(data))
        order = SegmentOrder(kind="segment", inputs={"folder": str(scans)})
        job = others.submit(order, "small@1", None, None)
        others.close()
        assert server.ended(job.id)["state"] == "succeeded"
