"""The client against a real server, with and without faults in between."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from faulty import Proxy, proxy_of
from job_calls import archive
from keyholders import app_of
from servers import in_thread

import skipseg.client
from skipseg.client import (
    Busy,
    Client,
    Conflict,
    Damaged,
    Job,
    Problem,
    ServerFailed,
    Unknown,
    Unreachable,
    Upload,
)
from skipseg.client.errors import KeyRefused, problem_of
from skipseg.client.results import save_results
from skipseg.client.sending import zipped
from skipseg.client.transport import MOST_PATIENCE_S, pause
from skipseg.service.keys.store import KeyStore


@pytest.fixture(scope="module")
def there(server) -> Iterator[Client]:
    with Client(server.url) as client:
        yield client


@pytest.fixture
def proxy(server) -> Iterator[Proxy]:
    with proxy_of(server.url) as proxy:
        yield proxy


@pytest.fixture
def through(proxy) -> Iterator[Client]:
    with Client(proxy.url, retries=2) as client:
        yield client


@pytest.fixture(scope="module")
def scans(tmp_path_factory, make_scan) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("scans")
    for number, name in enumerate(("a", "b")):
        (folder / f"{name}.nii.gz").write_bytes(make_scan(seed=number))
    (folder / "broken.nii.gz").write_bytes(b"broken")
    return {f"mr/{path.name}": path for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def done(there, scans) -> Job:
    return there.jobs.wait(there.jobs.submit({"upload": there.upload_scans(scans).id}, "small"))


def test_what_is_exported_is_what_all_lists() -> None:
    public = {name for name, value in vars(skipseg.client).items() if isinstance(value, type)}
    assert sorted(public) == sorted(skipseg.client.__all__)


def test_models_and_the_server_describe_themselves(there) -> None:
    models = {model.name: model for model in there.models()}
    assert set(models) == {"small", "pair", "flat", "hippocampus"}
    assert models["pair"] == there.model("pair")
    assert models["pair"].input.channels == ("channel 0", "channel 1")
    assert [label.name for label in models["small"].labels] == ["background", "label 1", "label 2"]
    assert "nifti" in there.info().formats


def test_a_scan_becomes_its_mask_whatever_it_is_given_as(there, client, scan, tmp_path) -> None:
    (tmp_path / "case.nii.gz").write_bytes(scan)
    asked = client.post("/v1/segmentations?model=small", files={"scan": ("s", scan)})
    masks = [there.segment(given, "small") for given in (scan, tmp_path / "case.nii.gz", str(tmp_path / "case.nii.gz"))]
    assert {mask.content for mask in masks} == {asked.content}
    assert (masks[0].model, masks[0].suffix) == ("small@1", ".nii.gz")
    assert masks[0].request_id


def test_channels_are_sent_in_order_and_wishes_with_them(there, make_scan) -> None:
    first, second = make_scan(seed=1), make_scan(seed=2)
    there_and_back = [there.segment(channels, "pair").content for channels in ([first, second], [second, first])]
    assert there_and_back[0] != there_and_back[1]
    assert there.segment(first, "small", "nrrd", roi="2:9,:,:").content.startswith(b"NRRD")


def test_a_refusal_is_raised_with_its_code_and_words(there, scan) -> None:
    with pytest.raises(Unknown) as unknown:
        there.segment(scan, "nobody")
    assert (unknown.value.code, unknown.value.status) == ("model_unknown", 404)
    with pytest.raises(Problem, match="convert it to NIfTI") as broken:
        there.segment(b"broken", "small")
    assert (broken.value.code, bool(broken.value.request_id)) == ("scan_format_unknown", True)


def test_every_status_has_its_class_and_a_proxys_page_is_a_problem_too() -> None:
    kinds = {401: KeyRefused, 403: KeyRefused, 404: Unknown, 409: Conflict, 429: Busy, 503: Busy, 502: ServerFailed}
    for status, kind in kinds.items():
        assert type(problem_of(status, b"<html>", "")) is kind
    assert "status 413" in str(problem_of(413, b"<html>Too large</html>", ""))


def test_a_url_that_is_none_is_refused_at_once() -> None:
    for url in ("localhost:8000", "ftp://localhost", "", "http://localhost:port", "http://"):
        with pytest.raises(Unreachable, match="URL"):
            Client(url)


def test_the_key_goes_along_with_every_request(proxy, monkeypatch) -> None:
    monkeypatch.setenv("SKIPSEG_API_KEY", "from-the-environment")
    for given in (None, "my-own"):
        with Client(proxy.url, given) as client, pytest.raises(KeyRefused):
            client.models()
    assert proxy.keys == ["Bearer from-the-environment", "Bearer my-own"]


@pytest.mark.parametrize("fault", ["busy", "lose", "cut"])
def test_what_can_be_sent_again_is_sent_again(proxy, through, there, scan, fault) -> None:
    proxy.faults += [fault, fault]
    assert through.segment(scan, "small").content == there.segment(scan, "small").content
    assert len(proxy.asked) == 3


@pytest.mark.parametrize(("fault", "error"), [("busy", Busy), ("lose", Unreachable)])
def test_a_fault_that_stays_is_told_in_the_end(proxy, through, fault, error) -> None:
    proxy.faults += [fault] * 3
    with pytest.raises(error):
        through.models()
    assert proxy.faults == []


def test_an_order_whose_answer_was_lost_makes_one_job(proxy, through, there, scans) -> None:
    upload = there.upload_scans(scans)
    before = {job.id for job in there.jobs.list()}
    proxy.faults += ["lose", "cut"]
    job = through.jobs.submit({"upload": upload.id}, "small")
    assert {job.id for job in there.jobs.list()} - before == {job.id}


def test_a_retry_whose_answer_was_lost_is_not_sent_again(proxy, through, there, done) -> None:
    proxy.faults.append("lose")
    with pytest.raises(Unreachable):
        through.jobs.retry(done)
    assert len(proxy.asked) == 1
    there.jobs.wait(done)


def test_an_archive_made_while_it_is_sent_can_be_sent_again(proxy, through, there, scans) -> None:
    proxy.faults += ["lose"]
    upload = through.upload_scans(scans)
    assert (upload.kind, len(proxy.asked)) == ("zip", 2)
    assert there.jobs.wait(there.jobs.submit({"upload": upload.id}, "small")).progress.done == 2


def test_a_file_can_be_sent_again(proxy, through, scans) -> None:
    proxy.faults += ["lose"]
    path = scans["mr/a.nii.gz"]
    assert through.upload(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_archive_that_is_sent_holds_the_files(scans) -> None:
    with ZipFile(io.BytesIO(b"".join(zipped(scans)))) as sent:
        assert sent.testzip() is None
        assert {name: sent.read(name) for name in sent.namelist()} == {n: p.read_bytes() for n, p in scans.items()}


def test_waiting_tells_progress_and_ends_with_the_job(there, scans) -> None:
    told = list[Job]()
    job = there.jobs.wait(there.jobs.submit({"upload": there.upload_scans(scans).id}, "small"), told.append)
    assert (job.state, job.progress.done, job.progress.failed) == ("succeeded", 2, 1)
    assert told[-1] == job
    assert job == there.jobs.get(job.id)


@pytest.mark.parametrize("faults", [["lose", "", "busy"], ["cut", "lose", ""]])
def test_waiting_goes_on_when_the_connection_breaks(proxy, through, done, faults) -> None:
    proxy.faults += faults
    assert through.jobs.wait(done).id == done.id
    assert proxy.faults == []


def test_items_tell_what_became_of_each_scan(there, done) -> None:
    items = {item.name: item for item in there.jobs.items(done)}
    assert {name: item.state for name, item in items.items()} == {
        "mr/a": "done",
        "mr/b": "done",
        "mr/broken": "failed",
    }
    assert items["mr/broken"].code == "scan_format_unknown"
    mask = there.jobs.mask(done, items["mr/a"].item)
    assert hashlib.sha256(mask).hexdigest() == items["mr/a"].mask_sha256


@pytest.mark.parametrize("faults", [[], ["", "lose"], ["", "cut"], ["", "busy"]])
def test_results_lie_under_the_names_of_their_scans(proxy, through, there, scans, done, tmp_path, faults) -> None:
    proxy.faults += faults
    masks = through.jobs.download(done, tmp_path / "out")
    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert files == {"mr/a.nii.gz", "mr/b.nii.gz", "results.csv"}
    assert sorted(masks) == [tmp_path / "out" / "mr" / "a.nii.gz", tmp_path / "out" / "mr" / "b.nii.gz"]
    assert masks[0].read_bytes() == there.segment(scans[f"mr/{masks[0].name}"], "small").content


def table(*rows: str) -> bytes:
    return ("\n".join(["mask,mask_sha256", *rows]) + "\n").encode()


GOOD = hashlib.sha256(b"mask").hexdigest()


@pytest.mark.parametrize(
    "members",
    [
        {"a.nii.gz": b"other", "results.csv": table(f"a.nii.gz,{GOOD}")},
        {"b.nii.gz": b"mask", "results.csv": table(f"a.nii.gz,{GOOD}")},
        {"results.csv": table(f"a.nii.gz,{GOOD}")},
        {"a.nii.gz": b"mask"},
        {"../a.nii.gz": b"mask", "results.csv": table(f"../a.nii.gz,{GOOD}")},
        {"/a.nii.gz": b"mask", "results.csv": table(f"/a.nii.gz,{GOOD}")},
    ],
)
def test_no_mask_is_written_of_results_that_are_not_as_announced(tmp_path, members) -> None:
    with pytest.raises(Damaged):
        save_results([archive(members)], tmp_path / "in" / "out", whole=True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_damaged_archive_is_told(tmp_path) -> None:
    content = archive({"a.nii.gz": b"mask", "results.csv": table(f"a.nii.gz,{GOOD}")})
    for damaged in (b"", content[:-10], content.replace(b"mask", b"mosk", 1)):
        with pytest.raises(Damaged):
            save_results([damaged], tmp_path, whole=True)


def test_a_name_that_a_spreadsheet_would_run_is_still_a_name(tmp_path) -> None:
    content = archive({"=a.nii.gz": b"mask", "results.csv": table(f"'=a.nii.gz,{GOOD}")})
    assert save_results([content], tmp_path, whole=True) == [tmp_path / "=a.nii.gz"]


def test_a_job_is_cancelled_retried_and_deleted(there, scans) -> None:
    job = there.jobs.wait(there.jobs.submit({"upload": there.upload_scans(scans).id}, "small"))
    with pytest.raises(Conflict):
        there.jobs.cancel(job)
    assert there.jobs.retry(job).state in ("queued", "running")
    assert there.jobs.wait(job).progress == job.progress
    there.jobs.delete(job)
    with pytest.raises(Unknown):
        there.jobs.wait(job)


def test_an_upload_keeps_its_name_for_its_mask(there, scans) -> None:
    upload = there.upload(scans["mr/a.nii.gz"], "other.nii.gz")
    assert isinstance(upload, Upload)
    job = there.jobs.wait(there.jobs.submit({"upload": upload.id}, "small", format="nrrd"))
    assert [item.name for item in there.jobs.items(job)] == ["other"]


def test_pauses_grow_and_a_servers_own_word_goes_before() -> None:
    assert [pause(tried) <= 0.5 * 2**tried for tried in range(6)] == [True] * 6
    assert pause(0, "7") == 7
    assert pause(0, "999999") == MOST_PATIENCE_S
    assert pause(0, "Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert pause(0, "soon") <= 0.5


def test_a_key_is_asked_for_and_must_reach_far_enough(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("SKIPSEG_API_KEY", raising=False)
    store = KeyStore(tmp_path)
    keys = [None, *(store.create("", scopes, 1)[1] for scopes in (("segment",), ("read", "segment")))]
    with in_thread(app_of(tmp_path)) as url:
        for key, told in ((keys[0], "unauthorized"), (keys[1], "forbidden")):
            with Client(url, key) as client, pytest.raises(KeyRefused) as refused:
                client.models()
            assert refused.value.code == told
        with Client(url, keys[2]) as client:
            assert client.models()
