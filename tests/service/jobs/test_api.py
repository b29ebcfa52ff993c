"""Jobs as their users see them: one server, its worker, and scans that come in every way there is."""

import csv
import io
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest
from bundles import small_bundle
from job_calls import archive, ended, events_of, finished, items_of, mask_of, order, submit, until, upload
from jobs import until as eventually
from servers import RunningServer, registry_without_shipped, serving

MOST = 300
MANY = 200


@pytest.fixture(scope="module")
def root(tmp_path_factory, make_scan) -> Path:
    """A folder that jobs may read: a tree of three scans, one file that is none, and one that is broken."""
    root = tmp_path_factory.mktemp("allowed")
    (root / "study" / "mr").mkdir(parents=True)
    for number, name in enumerate(("a", "b", "mr/c")):
        (root / "study" / f"{name}.nii.gz").write_bytes(make_scan((16 + number, 20, 12), seed=number))
    (root / "study" / "notes.txt").write_text("not a scan")
    (root / "study" / "broken.nii.gz").write_bytes(b"no scan at all")
    return root


@pytest.fixture(scope="module")
def many(root, make_scan) -> Path:
    """A folder of scans that take a worker some seconds."""
    return linked(root / "many", make_scan((40, 40, 40)))


@pytest.fixture
def endless(root, make_scan) -> Iterator[Path]:
    """A folder of one small scan and many large ones, which take a worker minutes: no test waits for them."""
    folder = linked(root / "endless", make_scan((96, 96, 96)))
    replace(folder / "0.nii.gz", make_scan())
    yield folder
    shutil.rmtree(folder)


def linked(folder: Path, scan: bytes) -> Path:
    """A new folder with one scan under many names."""
    folder.mkdir()
    (folder / "0.nii.gz").write_bytes(scan)
    for number in range(1, MANY):
        os.link(folder / "0.nii.gz", folder / f"{number}.nii.gz")
    return folder


def replace(path: Path, scan: bytes) -> None:
    """At once, for whoever reads it."""
    path.with_suffix(".new").write_bytes(scan)
    path.with_suffix(".new").replace(path)


@pytest.fixture(scope="module")
def running(tmp_path_factory, root) -> Iterator[RunningServer]:
    data = tmp_path_factory.mktemp("data")
    registry_without_shipped(data).add(small_bundle(tmp_path_factory.mktemp("bundle") / "small").folder)
    with serving(data, device="cpu", allowed_roots=json.dumps([str(root)]), max_items=MOST) as server:
        yield server


@pytest.fixture(scope="module")
def api(running) -> Iterator[httpx.Client]:
    with running.client() as client:
        yield client


@pytest.fixture(scope="module")
def study(api, root) -> dict:
    """The job of the tree, once it has ended."""
    return finished(api, {"folder": str(root / "study")})


def refused(api: httpx.Client, inputs: dict, status: int, code: str, **more) -> str:
    answer = api.post("/v1/jobs", json=order(inputs, **more))
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.json()["detail"]


def test_a_folder_becomes_an_item_a_scan_and_what_is_no_scan_is_left_out(api, study) -> None:
    assert (study["state"], study["model"]) == ("succeeded", "small@1")
    assert study["progress"] == {"done": 3, "failed": 1, "total": 4}
    assert set(items_of(api, study)) == {"a", "b", "broken", "mr/c"}


def test_a_broken_scan_fails_alone_with_a_code_and_words(api, study) -> None:
    items = items_of(api, study)
    assert items["broken"]["state"] == "failed"
    assert items["broken"]["code"] == "scan_format_unknown"
    assert "convert it to NIfTI" in items["broken"]["problem"]
    assert {items[name]["state"] for name in ("a", "b", "mr/c")} == {"done"}


def test_masks_are_those_of_a_request_byte_for_byte(api, study, root) -> None:
    for name in ("a", "b", "mr/c"):
        item = items_of(api, study)[name]
        assert api.get(item["mask"]).content == mask_of(api, (root / "study" / f"{name}.nii.gz").read_bytes())


def test_an_item_tells_volumes_trust_and_digests(api, study) -> None:
    item = items_of(api, study)["a"]
    assert set(item["volumes_mm3"]) == {"label 1", "label 2"}
    assert 0 <= item["trust"]["score"] <= 1
    assert len(item["mask_sha256"]) == len(item["sha256"]) == 64


def test_an_item_without_a_mask_says_so(api, study) -> None:
    number = items_of(api, study)["broken"]["item"]
    for item in (number, 99):
        answer = api.get(f"/v1/jobs/{study['id']}/items/{item}/mask")
        assert (answer.status_code, answer.json()["code"]) == (409, "job_conflict")


def test_the_table_has_a_row_a_scan_and_the_archive_the_tree(api, study) -> None:
    table = api.get(f"/v1/jobs/{study['id']}/results.csv").text
    rows = {row["scan"]: row for row in csv.DictReader(io.StringIO(table))}
    assert {name: row["state"] for name, row in rows.items()} == {
        "a": "done",
        "b": "done",
        "broken": "failed",
        "mr/c": "done",
    }
    assert float(rows["a"]["label 1 ml"]) == pytest.approx(float(rows["a"]["label 1 mm3"]) / 1000)
    with ZipFile(io.BytesIO(api.get(f"/v1/jobs/{study['id']}/results.zip").content)) as results:
        assert set(results.namelist()) == {"a.nii.gz", "b.nii.gz", "mr/c.nii.gz", "results.csv"}
        assert results.read("results.csv").decode() == table
        assert results.read("mr/c.nii.gz") == api.get(items_of(api, study)["mr/c"]["mask"]).content


def test_events_of_a_job_end_with_it(api, root, study) -> None:
    job = submit(api, {"folder": str(root / "study")})
    told = events_of(api, job["id"])
    assert [event for event, _ in told[:-1]] == ["progress"] * (len(told) - 1)
    assert told[-1][0] == "end"
    assert told[-1][1]["progress"] == {"done": 3, "failed": 1, "total": 4}
    assert events_of(api, study["id"]) == [("end", study)]


def test_pages_of_items_and_of_jobs_follow_each_other(api, study) -> None:
    path = f"/v1/jobs/{study['id']}/items"
    page = api.get(path, params={"start": 1, "limit": 2}).json()
    assert ([item["item"] for item in page["items"]], page["total"]) == ([1, 2], 4)
    assert api.get(path, params={"start": 4}).json()["items"] == []
    listed = api.get("/v1/jobs").json()["jobs"]
    assert study["id"] in [job["id"] for job in listed]
    assert [job["made"] for job in listed] == sorted((job["made"] for job in listed), reverse=True)
    assert len(api.get("/v1/jobs", params={"limit": 1}).json()["jobs"]) == 1


def test_a_file_of_a_root_can_be_named(api, root) -> None:
    job = finished(api, {"files": [str(root / "study" / "b.nii.gz"), str(root / "study" / "a.nii.gz")]})
    assert {name: item["state"] for name, item in items_of(api, job).items()} == {"b": "done", "a": "done"}


def test_one_upload_is_one_scan_under_its_own_name(api, scan) -> None:
    job = finished(api, {"upload": upload(api, scan, "left knee.nii.gz")})
    (item,) = items_of(api, job).values()
    assert (item["name"], item["state"]) == ("left knee", "done")
    assert api.get(item["mask"]).content == mask_of(api, scan)


def test_several_uploads_of_one_name_stay_apart(api, make_scan) -> None:
    ids = [upload(api, make_scan(seed=seed), "scan.nii.gz") for seed in (1, 2)]
    job = finished(api, {"uploads": ids})
    items = items_of(api, job)
    assert {name: item["state"] for name, item in items.items()} == {"scan": "done", "scan-2": "done"}
    assert api.get(items["scan-2"]["mask"]).content == mask_of(api, make_scan(seed=2))


def test_a_zip_keeps_its_tree_and_a_broken_scan_fails_alone(api, make_scan) -> None:
    members = {
        "x/one.nii.gz": make_scan(seed=3),
        "x/y/two.nii.gz": make_scan(seed=4),
        "broken.nii.gz": make_scan()[:-40],
        "readme.md": b"text",
        "__MACOSX/._one.nii.gz": b"finder",
    }
    job = finished(api, {"upload": upload(api, archive(members))})
    items = items_of(api, job)
    assert {name: item["state"] for name, item in items.items()} == {
        "x/one": "done",
        "x/y/two": "done",
        "broken": "failed",
    }
    assert items["broken"]["code"] == "scan_corrupt"
    assert api.get(items["x/y/two"]["mask"]).content == mask_of(api, members["x/y/two.nii.gz"])


def test_a_format_can_be_asked_for(api, scan) -> None:
    job = finished(api, {"upload": upload(api, scan, "s.nii.gz")}, format="nrrd")
    (item,) = items_of(api, job).values()
    assert api.get(item["mask"]).content.startswith(b"NRRD")
    answer = api.post("/v1/jobs", json=order({"upload": "0" * 32}, format="docx"))
    assert (answer.status_code, "docx" in answer.json()["detail"]) == (422, True)


def test_the_same_key_gives_the_same_job_and_another_order_under_it_a_conflict(api, root) -> None:
    key = {"Idempotency-Key": "my-own-key-1"}
    wanted = order({"files": [str(root / "study" / "a.nii.gz")]})
    first, second = (api.post("/v1/jobs", json=wanted, headers=key) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["id"] == second.json()["id"]
    other = api.post("/v1/jobs", json={**wanted, "format": "nrrd"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "job_conflict")


def test_a_cancelled_job_keeps_what_is_done_and_a_retry_does_the_rest(api, endless, make_scan) -> None:
    id = submit(api, {"folder": str(endless)})["id"]
    until(api, id, lambda job: job["progress"]["done"] > 0)
    cancelled = api.post(f"/v1/jobs/{id}/cancel").json()
    assert cancelled["state"] == "cancelled"
    before = {name: item for name, item in items_of(api, cancelled).items() if item["state"] == "done"}
    assert 0 < len(before) < MANY
    assert api.post(f"/v1/jobs/{id}/cancel").json()["state"] == "cancelled"
    for path in list(endless.iterdir()):
        replace(path, make_scan())
    assert api.post(f"/v1/jobs/{id}/retry").status_code == 202
    assert ended(api, id)["progress"] == {"done": MANY, "failed": 0, "total": MANY}
    after = items_of(api, cancelled)
    assert {name: after[name] for name in before} == before


def test_a_job_that_has_ended_cannot_be_cancelled(api, study) -> None:
    answer = api.post(f"/v1/jobs/{study['id']}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "job_conflict")


def test_a_retry_does_what_failed_once_it_was_mended(api, root, make_scan) -> None:
    folder = root / "mended"
    folder.mkdir()
    (folder / "good.nii.gz").write_bytes(make_scan(seed=6))
    (folder / "bad.nii.gz").write_bytes(b"")
    job = finished(api, {"folder": str(folder)})
    assert job["progress"] == {"done": 1, "failed": 1, "total": 2}
    (folder / "bad.nii.gz").write_bytes(make_scan(seed=7))
    assert api.post(f"/v1/jobs/{job['id']}/retry").status_code == 202
    assert ended(api, job["id"])["progress"] == {"done": 2, "failed": 0, "total": 2}
    assert api.get(items_of(api, job)["bad"]["mask"]).content == mask_of(api, make_scan(seed=7))
    again = api.post(f"/v1/jobs/{job['id']}/retry")
    assert (again.status_code, again.json()["code"]) == (409, "job_conflict")


def test_a_scan_that_is_gone_when_its_turn_comes_is_named_without_its_path(api, root, make_scan, endless) -> None:
    busy = submit(api, {"folder": str(endless)}, priority="high")
    gone = root / "gone.nii.gz"
    gone.write_bytes(make_scan())
    job = submit(api, {"files": [str(gone)]})
    gone.unlink()
    api.post(f"/v1/jobs/{busy['id']}/cancel")
    assert ended(api, job["id"])["state"] == "failed"
    (item,) = items_of(api, job).values()
    assert item["code"] == "scan_gone"
    assert str(root) not in item["problem"]


def test_a_deleted_job_is_gone_with_its_results(api, running, root) -> None:
    job = finished(api, {"files": [str(root / "study" / "a.nii.gz")]})
    assert (running.log.parent / "jobs" / job["id"]).is_dir()
    assert api.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert not (running.log.parent / "jobs" / job["id"]).exists()
    assert api.get(f"/v1/jobs/{job['id']}").json()["code"] == "job_unknown"


def test_a_running_job_is_not_deleted(api, endless) -> None:
    id = submit(api, {"folder": str(endless)})["id"]
    answer = api.delete(f"/v1/jobs/{id}")
    assert (answer.status_code, answer.json()["code"]) == (409, "job_conflict")
    assert api.post(f"/v1/jobs/{id}/cancel").status_code == 200
    assert api.delete(f"/v1/jobs/{id}").status_code == 204


def test_with_reuse_the_mask_of_an_earlier_job_is_taken(api, make_scan) -> None:
    inputs = {"upload": upload(api, make_scan(seed=30), "s.nii.gz")}
    first, again, fresh = (finished(api, inputs, reuse=reuse) for reuse in (False, True, False))
    (one,), (two,), (three,) = (items_of(api, job).values() for job in (first, again, fresh))
    assert (one["reused"], two["reused"], three["reused"]) == (False, True, False)
    assert api.get(two["mask"]).content == api.get(one["mask"]).content
    api.delete(f"/v1/jobs/{first['id']}")
    assert api.get(two["mask"]).status_code == 200


def test_what_lies_outside_the_roots_is_refused_alike_whether_it_is_there_or_not(api, root, tmp_path) -> None:
    (tmp_path / "there").mkdir()
    (root / "way out").symlink_to(tmp_path / "there")
    outside = (tmp_path / "there", tmp_path / "missing", root / ".." / "x", root / "way out", "relative", "/")
    words = {refused(api, {"folder": str(path)}, 422, "usage") for path in outside}
    words |= {refused(api, {"files": [str(path)]}, 422, "usage") for path in outside}
    assert len(words) == 1
    assert str(tmp_path) not in words.pop()


def test_a_link_inside_a_folder_that_leads_out_of_the_roots_is_refused(api, root, tmp_path, make_scan) -> None:
    (tmp_path / "secret.nii.gz").write_bytes(make_scan())
    folder = root / "linked"
    folder.mkdir()
    (folder / "innocent.nii.gz").symlink_to(tmp_path / "secret.nii.gz")
    assert "ALLOWED_ROOTS" in refused(api, {"folder": str(folder)}, 422, "usage")


def test_a_path_that_cannot_be_one_is_refused(api, root) -> None:
    for path in ("\0", f"{root}/\0", f"{root}/{'x' * 300}"):
        refused(api, {"folder": path}, 422, "usage")


def test_what_is_not_there_is_not_found(api) -> None:
    nobody = "0" * 32
    refused(api, {"upload": nobody}, 404, "upload_unknown")
    refused(api, {"upload": nobody}, 404, "model_unknown", model="nobody")
    refused(api, {"upload": nobody}, 404, "model_unknown", model="small@9")
    for path in ("", "/items", "/items/0/mask", "/events", "/results.csv", "/results.zip"):
        assert api.get(f"/v1/jobs/{nobody}{path}").json()["code"] == "job_unknown"
    for act in (api.post(f"/v1/jobs/{nobody}/cancel"), api.post(f"/v1/jobs/{nobody}/retry")):
        assert act.json()["code"] == "job_unknown"
    assert api.delete(f"/v1/jobs/{nobody}").json()["code"] == "job_unknown"
    for id in (nobody, "..", "x" * 32):
        assert api.get(f"/v1/uploads/{id}").status_code == 404


@pytest.mark.parametrize("inputs", [{}, {"upload": "0" * 32, "folder": "/x"}, {"uploads": []}, {"upload": "../../x"}])
def test_inputs_are_exactly_one_thing(api, inputs) -> None:
    refused(api, inputs, 422, "validation")


def test_more_scans_than_a_job_may_have_are_refused(api, make_scan) -> None:
    members = {f"{number}.nii.gz": b"" for number in range(MOST + 1)}
    assert f"{MOST}" in refused(api, {"upload": upload(api, archive(members))}, 413, "scan_too_large")


def test_an_upload_tells_what_it_is_and_can_be_deleted(api, scan) -> None:
    id = upload(api, scan, "Doe^Jane.nii.gz")
    told = api.get(f"/v1/uploads/{id}").json()
    assert (told["kind"], told["bytes"]) == ("file", len(scan))
    assert "Doe" not in json.dumps(told)
    assert api.delete(f"/v1/uploads/{id}").status_code == 204
    assert api.get(f"/v1/uploads/{id}").json()["code"] == "upload_unknown"


def test_no_name_of_a_scan_or_a_folder_leaves_the_jobs_own_folder(api, running, root, make_scan) -> None:
    marks = ("Zebedee", "Quagmire", "Xanthippe")
    folder = root / marks[0]
    folder.mkdir()
    (folder / f"{marks[1]}.nii.gz").write_bytes(make_scan())
    (folder / f"{marks[1]}-broken.nii.gz").write_bytes(b"broken")
    jobs = [finished(api, {"folder": str(folder)})]
    zipped = archive({f"{marks[2]}/{marks[1]}.nii.gz": make_scan(), f"{marks[2]}.nii.gz": b"broken"})
    jobs.append(finished(api, {"upload": upload(api, zipped, f"{marks[2]}.zip")}))
    refused(api, {"files": [str(folder / "missing.nii.gz")]}, 422, "usage")
    for job in jobs:
        api.get(f"/v1/jobs/{job['id']}/results.zip")
    data = running.log.parent
    kept = {"inputs.json", "upload.json", "content"}
    searched = [path for path in data.rglob("*") if path.is_file() and path.name not in kept]
    assert {"server.log", "jobs.sqlite"} <= {path.name for path in searched}
    for mark in marks:
        assert [path for path in searched if mark in str(path.relative_to(data))] == []
        assert [path.name for path in searched if mark.encode() in path.read_bytes()] == []


def test_two_workers_share_a_job(tmp_path, tmp_path_factory, root, many) -> None:
    registry_without_shipped(tmp_path).add(small_bundle(tmp_path_factory.mktemp("bundle") / "small").folder)
    with (
        serving(tmp_path, device="cpu", workers=2, allowed_roots=json.dumps([str(root)])) as server,
        server.client() as api,
    ):
        finished(api, {"files": [str(root / "study" / "a.nii.gz")]})  # workers begin when there is work
        eventually(lambda: sum(line["event"] == "worker ready" for line in server.lines()) >= 2)
        job = finished(api, {"folder": str(many)})
        assert job["progress"]["done"] == MANY
        assert told(tmp_path, f"SELECT count(DISTINCT worker) FROM skipseg_outcomes WHERE job = '{job['id']}'") == 2


def told(data: Path, query: str) -> int:
    with sqlite3.connect(f"file:{data / 'jobs.sqlite'}?mode=ro", uri=True) as database:
        return database.execute(query).fetchone()[0]
