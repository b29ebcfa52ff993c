"""A patient's name and number, planted wherever a scan can say them, are nowhere once the server has answered."""

import gzip
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
import tifffile
from collector import collecting
from dicom_series import series, stored
from job_calls import finished, upload
from mutations import mutants, zip_of
from pydicom import Dataset
from scan_files import mha, nifti, nrrd, png, png_chunk, zipped
from servers import skipseg

NAME, NUMBER = "Wiedersheim", "PID-7390021"
PATIENT = f"{NAME}^Anna {NUMBER}"
FILE_NAME = f"/scans/{PATIENT}/{NUMBER}_{NAME}.nii.gz"
VOXELS = np.random.default_rng(1).normal(100, 20, (20, 24, 13)).astype("f4")
HEADERS = {"User-Agent": PATIENT, "Referer": f"http://localhost/{PATIENT}", "X-Request-Id": NUMBER, "Cookie": NAME}
DAMAGED = 300


def told_in_nifti(voxels: np.ndarray = VOXELS, **fields: object) -> bytes:
    """In the fields for text, and in an extension that is a comment."""
    comment = PATIENT.encode() + bytes(-(len(PATIENT) + 8) % 16)
    extension = struct.pack("<ii", len(comment) + 8, 6) + comment
    said = {"descrip": PATIENT, "db_name": NUMBER, "aux_file": NAME, "intent_name": NUMBER}
    data = nifti(voxels, extension=extension, vox_offset=352 + len(extension), **said, **fields)
    return data[:348] + b"\1\0\0\0" + data[352:]


def told_in_png() -> bytes:
    rows = b"".join(bytes([0, *range(row, row + 40)]) for row in range(30))
    plain = png(40, 30, pixels=rows)
    text = png_chunk(b"tEXt", b"Description\0" + PATIENT.encode())
    return plain[:33] + text + plain[33:]


def told_in_tiff() -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, np.arange(1200, dtype="u1").reshape(30, 40), description=PATIENT, metadata=None)
    return file.getvalue()


def told_in_dicom() -> list[Dataset]:
    """A series whose images say it where a name belongs, where none does, and in private elements."""
    values = np.ascontiguousarray(VOXELS.T).astype(np.int16)
    comments = {"PatientComments": PATIENT, "StudyDescription": NAME, "ImageComments": PATIENT, "StudyID": NUMBER}
    slices = series(values, PatientName=PATIENT, PatientID=NUMBER, SeriesDescription=NAME, Modality="MR", **comments)
    for one in slices:
        one.private_block(0x0009, NAME, create=True).add_new(1, "LO", PATIENT)
        one.RequestAttributesSequence = [Dataset()]
        one.RequestAttributesSequence[0].RequestedProcedureDescription = PATIENT
    return slices


def zip_of_series(slices: list[Dataset], called: str = f"{PATIENT}/{NAME}") -> bytes:
    return zip_of({f"{called}-{number}": stored(one) for number, one in enumerate(slices)})


FORMATS = {
    "nifti": told_in_nifti(),
    "nifti.gz": zipped(told_in_nifti()),
    "nifti, wrong": told_in_nifti(scl_slope=np.inf),
    "png": told_in_png(),
    "tiff": told_in_tiff(),
    "nrrd": nrrd(f"# {PATIENT}", f"patient:={PATIENT}", content=PATIENT, data=bytes(range(60))),
    "mha": mha(f"PatientName = {PATIENT}", Comment=PATIENT, data=bytes(range(60))),
    "dicom": bytes(128) + b"DICM" + b"\x10\0\x10\0PN" + struct.pack("<H", len(PATIENT)) + PATIENT.encode(),
    "dicom, a slice": stored(told_in_dicom()[0]),
    "dicom, a series": zip_of_series(told_in_dicom()),
    "dicom, with a gap": zip_of_series(told_in_dicom()[:4] + told_in_dicom()[6:]),
    "dicom, two series": zip_of_series(told_in_dicom() + told_in_dicom()),
    "zip": zip_of({FILE_NAME: told_in_nifti()}),
    "text": PATIENT.encode(),
}


@dataclass(frozen=True)
class Aftermath:
    """Of a server that was sent all of it, and has ended."""

    good: list[httpx.Response]
    job: list[httpx.Response]
    others: list[httpx.Response]
    metrics: str
    log: bytes
    data: Path
    uploads: Path  # where what is uploaded waits
    spans: list[bytes]


@pytest.fixture(scope="module")
def aftermath(serving_copy: Callable, tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    data, uploads = tmp_path_factory.mktemp("patients"), tmp_path_factory.mktemp("uploads")
    with collecting() as collector, pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        environment.setenv("TMPDIR", str(uploads))
        with serving_copy(data, log_level="debug") as server, server.client() as client:
            good, job = list(good_scans(client)), list(job_of_a_series(client))
            others = [*damaged_scans(client), *odd_requests(client)]
            metrics = client.get("/metrics").text
    return Aftermath(good, job, others, metrics, server.log.read_bytes(), data, uploads, collector.bodies)


def good_scans(client: httpx.Client) -> Iterator[httpx.Response]:
    for format in ("nifti", "nrrd", "mha", "json"):
        yield post(client, "small", zipped(told_in_nifti()), format=format)
    yield post(client, "small", told_in_nifti(np.repeat(VOXELS, 50, axis=2)))  # more than is kept in memory
    for format in ("nifti", "json"):
        yield post(client, "small", zip_of_series(told_in_dicom()), format=format)
    for picture in (told_in_png(), told_in_tiff()):
        yield post(client, "flat", picture)


def job_of_a_series(client: httpx.Client) -> Iterator[httpx.Response]:
    """All that a job tells of a series; what was uploaded is kept as it was sent, and is deleted at the end."""
    sent = upload(client, zip_of_series(told_in_dicom(), "study/image"))
    job = finished(client, {"upload": sent}, format="nifti")
    assert job["state"] == "succeeded", job
    for part in ("", "/items", "/events", "/results.csv", "/results.zip"):
        yield client.get(f"/v1/jobs/{job['id']}{part}")
    assert client.delete(f"/v1/uploads/{sent}").status_code == 204


def damaged_scans(client: httpx.Client) -> Iterator[httpx.Response]:
    for scan in FORMATS.values():
        yield from (post(client, model, scan) for model in ("small", "pair", "flat"))
    for mutant in mutants(FORMATS, DAMAGED, seed=3):
        yield post(client, "flat" if mutant.name in ("png", "tiff") else "small", mutant.data)


def odd_requests(client: httpx.Client) -> Iterator[httpx.Response]:
    """Which say who it is where no scan is expected; an answer may tell the client what it asked for."""
    for path in (f"/{PATIENT}", f"/healthz?{PATIENT}", f"/v1/info?name={NAME}"):
        yield client.get(path, headers=HEADERS)
    yield client.put(f"/healthz?{NAME}", headers=HEADERS, content=PATIENT.encode())
    yield client.post("/v1/segmentations", content=PATIENT.encode(), headers=HEADERS)
    yield client.get("/healthz", headers={"Host": f"{NAME}.example"})


def post(client: httpx.Client, model: str, scan: bytes, **parameters: str) -> httpx.Response:
    files = {"scan": (FILE_NAME, scan)}
    return client.post("/v1/segmentations", params={"model": model, **parameters}, files=files, headers=HEADERS)


def says_who(data: bytes) -> bool:
    """Whether a patient is told in it, in letters of 8 or 16 bit."""
    plain = unzipped(data).replace(b"\0", b"").lower()
    return NAME.lower().encode() in plain or NUMBER.lower().encode() in plain


def unzipped(data: bytes) -> bytes:
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


def test_the_scans_do_say_who_it_is() -> None:
    assert all(says_who(scan) for scan in FORMATS.values())


def test_masks_do_not_say_who_it_is(aftermath: Aftermath) -> None:
    assert {answer.status_code for answer in aftermath.good} == {200}
    assert not any(says_who(answer.content) for answer in aftermath.good)


def test_jobs_do_not_say_who_it_is(aftermath: Aftermath) -> None:
    assert [answer.status_code for answer in aftermath.job] == [200] * 5
    assert not any(says_who(answer.content) for answer in aftermath.job)


def test_refusals_do_not_say_who_it_is(aftermath: Aftermath) -> None:
    assert {400, 404, 405, 415, 422} <= {answer.status_code for answer in aftermath.others}
    told = [answer for answer in aftermath.others if says_who(answer.content)]
    assert [answer.text for answer in told if answer.is_error] == []
    assert {answer.headers["Content-Type"] for answer in told} <= {"application/dicom"}  # which must name its patient


def test_headers_do_not_say_who_it_is(aftermath: Aftermath) -> None:
    assert not any(says_who(str(answer.headers).encode()) for answer in (*aftermath.good, *aftermath.others))


def test_every_request_has_its_line_and_none_says_who_it_is(aftermath: Aftermath) -> None:
    logged = {json.loads(line).get("request_id") for line in aftermath.log.splitlines()}
    assert {answer.headers["X-Request-Id"] for answer in (*aftermath.good, *aftermath.others)} <= logged
    assert not says_who(aftermath.log)


def test_metrics_and_spans_do_not_say_who_it_is(aftermath: Aftermath) -> None:
    assert "skipseg_stage_seconds" in aftermath.metrics
    assert b"POST /v1/segmentations" in b"".join(aftermath.spans)
    assert not says_who(aftermath.metrics.encode())
    assert not any(says_who(body) for body in aftermath.spans)


def test_nothing_is_kept_that_says_who_it_is(aftermath: Aftermath) -> None:
    kept = [path for path in aftermath.data.rglob("*") if path.is_file()]
    assert len(kept) > 5
    assert not any(says_who(str(path).encode()) or says_who(path.read_bytes()) for path in kept)
    assert list(aftermath.uploads.iterdir()) == []


@pytest.fixture(scope="module")
def segmented(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """What ``skipseg segment FOLDER`` left and said, for scans whose headers say a name, and their paths a number."""
    place = tmp_path_factory.mktemp("folder")
    scans, elsewhere = place / NUMBER, place / "tmp"
    scans.mkdir()
    elsewhere.mkdir()
    for mutant in mutants({"nifti": FORMATS["nifti"], "gz": FORMATS["nifti.gz"]}, 40, seed=4):
        (scans / f"{NUMBER}_{mutant.number}.nii").write_bytes(mutant.data)
    (scans / f"{NUMBER}_good.nii.gz").write_bytes(FORMATS["nifti.gz"])
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TMPDIR", str(elsewhere))
        ran = skipseg("segment", "small", scans, "--out", place / "masks", data=data, device="cpu")
    return place, elsewhere, ran.stdout + ran.stderr


def test_a_batch_names_its_files_and_repeats_nothing_of_their_headers(segmented: tuple[Path, Path, str]) -> None:
    place, elsewhere, said = segmented
    masks = [file for file in (place / "masks").rglob("*") if file.is_file()]
    assert any("good" in mask.name for mask in masks)
    assert NUMBER in (place / "masks" / "results.csv").read_text()
    assert NAME not in said
    assert not any(NAME.lower().encode() in unzipped(mask.read_bytes()).lower() for mask in masks)
    assert list(elsewhere.iterdir()) == []
