"""DICOM sent into datasets of a server: its voxels are kept, and nothing of its headers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import highdicom
import httpx
import nibabel
import numpy as np
import pytest
from bundles import small_bundle
from dicom_series import into, series, stored
from mutations import zip_of
from planted import BORN, NAME, NUMBER, ORDER, PATIENT, says_who
from pydicom.sr.codedict import codes
from scan_files import nifti
from servers import registry_without_shipped, serving
from zips import zip_of as zip_of_folder

from skipseg.models.scans.reader import read_scan
from skipseg.training.datasets.dataset import open_dataset, read_case

NOBODY = dict.fromkeys(("PatientSex", "StudyTime"), "")
WHO = {
    "PatientName": PATIENT,
    "PatientID": NUMBER,
    "PatientBirthDate": BORN,
    "AccessionNumber": ORDER,
    "StudyID": ORDER,
    "StudyDate": "20190314",
    "SeriesDescription": NAME,
    "PatientComments": f"of {NAME}",
    "InstitutionName": "Klinik Sonnenhang",
}
SHAPE = (12, 10, 8)  # X, Y, Z
VALUES = np.random.default_rng(5).integers(-200, 900, SHAPE[::-1]).astype(np.int16)
TRUTH = np.zeros(SHAPE, np.uint8)
TRUTH[2:6, 3:8, 1:5], TRUTH[7:9, 2:4, 5:7] = 1, 2
EMPTY = {"labels": {"1": "rod", "2": "cone"}, "channels": ["MR"]}


def scans(values: np.ndarray = VALUES, **more: object) -> list:
    return series(values, Modality="MR", **{**NOBODY, **WHO, **more})


def zipped(slices: list) -> bytes:
    return zip_of({f"{NAME}/{NUMBER}-{number}.dcm": stored(one) for number, one in enumerate(slices)})


def segmentation(slices: list, names: tuple[str, str] = ("Rod", "cone")) -> bytes:
    manual = highdicom.seg.SegmentAlgorithmTypeValues.MANUAL
    about = [
        highdicom.seg.SegmentDescription(number, name, codes.SCT.Organ, codes.SCT.Hippocampus, manual)
        for number, name in enumerate(names, 1)
    ]
    identity = (highdicom.UID(), 1, highdicom.UID(), 1, "made", "by", "1.0", "5")
    return stored(highdicom.seg.Segmentation(slices, np.ascontiguousarray(TRUTH.T), "BINARY", about, *identity))


@dataclass(frozen=True)
class Running:
    client: httpx.Client
    data: Path
    uploads: Path

    def put(self, dataset: str, case: str, image: bytes | None, label: bytes) -> httpx.Response:
        parts = [("label", (f"{NAME}.dcm", label))] + ([("image", (f"{NAME}.zip", image))] if image else [])
        return self.client.put(f"/v1/datasets/{dataset}/cases/{case}", files=parts)

    def kept(self, dataset: str) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        opened = open_dataset(self.data / "datasets" / dataset)
        found = {}
        for case in opened.cases:
            image, label = read_case(opened, case)
            found[case.name] = (image.voxels, image.geometry.affine, label)
        return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data, uploads = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("uploads")
    registry_without_shipped(data).add(small_bundle(tmp_path_factory.mktemp("bundle") / "small").folder)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TMPDIR", str(uploads))
        with serving(data, log_level="debug") as server, server.client() as client:
            client.post("/v1/datasets", json={"name": "rods", **EMPTY})
            yield Running(client, data, uploads)


@pytest.fixture
def nothing_told(running: Running) -> Iterator[Callable[[], None]]:
    """At the end of a test no file of the server says who it was, nor does any file's name."""

    def check() -> None:
        files = [path for place in (running.data, running.uploads) for path in place.rglob("*") if path.is_file()]
        assert len(files) > 3
        told = [path.name for path in files if says_who(path.read_bytes()) or says_who(str(path).encode())]
        assert told == []

    yield check
    check()


def test_a_case_of_dicom_is_kept_without_its_header(running: Running, nothing_told) -> None:
    slices = scans()
    answer = running.put("rods", "case_1", zipped(slices), segmentation(slices))
    assert answer.status_code == 201, answer.text
    assert not says_who(answer.content)
    voxels, affine, label = running.kept("rods")["case_1"]
    read = read_scan(zipped(slices))
    assert np.array_equal(voxels, read.voxels)
    assert np.abs(affine - read.geometry.affine).max() < 1e-4
    assert np.array_equal(label, TRUTH)
    files = sorted((running.data / "datasets" / "rods").rglob("case_1*"))
    assert [path.name for path in files] == ["case_1_0000.nii.gz", "case_1.nii.gz"]
    assert all(nibabel.load(path).header["descrip"].item() == b"" for path in files)
    again = running.put("rods", "case_1", zipped(slices), segmentation(slices))
    assert (again.status_code, again.json()) == (200, answer.json())
    assert running.client.get("/v1/datasets/rods").json()["revision"] == 2


def test_its_label_is_corrected_by_another_without_sending_the_image_again(running: Running, nothing_told) -> None:
    slices = scans(VALUES + 1)
    running.put("rods", "case_2", zipped(slices), segmentation(slices))
    other = nifti(np.roll(TRUTH, 1, axis=0), affine=read_scan(zipped(slices)).geometry.affine)
    assert running.put("rods", "case_2", None, other).status_code == 200
    assert running.put("rods", "case_2", None, segmentation(slices)).status_code == 200
    assert np.array_equal(running.kept("rods")["case_2"][2], TRUTH)


REFUSED: dict[str, tuple[dict[str, object], int, str]] = {
    "text in its pixels": ({"BurnedInAnnotation": "YES"}, 422, "burned into its pixels"),
    "secondary capture": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, 422, "burned into its pixels"),
    "screenshot": ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, 422, "burned into its pixels"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_images_that_may_say_a_name_are_refused(case: str, running: Running, nothing_told) -> None:
    changes, status, words = REFUSED[case]
    slices = scans(VALUES + 2)
    changed = slices if case == "screenshot" else slices[3:4]  # where one is enough
    for one in changed:
        setattr(one, *next(iter(changes.items())))
    answer = running.put("rods", "refused", zipped(slices), segmentation(scans(VALUES + 2)))
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert not says_who(answer.content)


def test_labels_that_do_not_fit_are_refused_without_their_words(running: Running, nothing_told) -> None:
    slices = scans(VALUES + 3)
    for label in (
        segmentation(slices, (NAME, "cone")),
        segmentation(series(VALUES, spacing=(2.0, 2.0), **NOBODY, **WHO)),
    ):
        answer = running.put("rods", "refused", zipped(slices), label)
        assert answer.status_code == 422
        assert not says_who(answer.content)
    gap = slices[:3] + slices[4:]
    assert running.put("rods", "refused", zipped(gap), segmentation(slices)).status_code == 422
    assert "refused" not in running.client.get("/v1/datasets/rods").text


def test_a_zip_of_a_dataset_may_hold_series_and_segmentations(running: Running, nothing_told, tmp_path: Path) -> None:
    first, second, third = (scans(VALUES + number) for number in (10, 20, 30))
    dataset = tmp_path / "dataset"
    into(dataset / "images" / "a" / NAME, first)
    (dataset / "images" / "b.zip").write_bytes(zipped(second))
    into(dataset / "images" / "c", third)
    (dataset / "labels").mkdir()
    (dataset / "labels" / "a.dcm").write_bytes(segmentation(first))
    (dataset / "labels" / "b.dcm").write_bytes(segmentation(second))
    affine = read_scan(zipped(third)).geometry.affine
    (dataset / "labels" / "c.nii").write_bytes(nifti(TRUTH, affine=affine))
    (dataset / "labels.json").write_text('{"labels": {"0": "background", "1": "rod", "2": "cone"}}')
    answer = made(running, "zipped", zip_of_folder(dataset))
    assert answer.status_code == 201, answer.text
    kept = running.kept("zipped")
    assert set(kept) == {"a", "b", "c"}
    for name, slices in {"a": first, "b": second, "c": third}.items():
        assert np.array_equal(kept[name][0], read_scan(zipped(slices)).voxels)
        assert np.array_equal(kept[name][2], TRUTH)
    defects = running.client.get("/v1/datasets/zipped?check=true").json()["defects"]
    assert {one["code"] for one in defects} == {"duplicate_label"}  # as all three are the same


def test_every_series_of_a_zip_that_cannot_be_kept_is_listed(running: Running, nothing_told, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    slices = scans()
    into(dataset / "images" / "gap", slices[:3] + slices[4:])
    into(dataset / "images" / "text", scans(VALUES, BurnedInAnnotation="YES"))
    into(dataset / "images" / "good", slices)
    (dataset / "labels").mkdir()
    (dataset / "labels" / "good.dcm").write_bytes(segmentation(slices))  # no labels are named
    answer = made(running, "faulty", zip_of_folder(dataset))
    assert answer.status_code == 422
    assert [one["file"] for one in answer.json()["defects"]] == ["images/gap", "images/text", "labels/good.dcm"]
    assert not says_who(answer.content)
    assert running.client.get("/v1/datasets/faulty").status_code == 404


def made(running: Running, name: str, archive: bytes) -> httpx.Response:
    upload = running.client.post("/v1/uploads", files={"file": (f"{NAME}.zip", BytesIO(archive))}).json()["id"]
    try:
        return running.client.post("/v1/datasets", json={"name": name, "upload": upload})
    finally:
        running.client.delete(f"/v1/uploads/{upload}")  # which is kept as it was sent, until then
