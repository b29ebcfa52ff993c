"""Series that others send: taken in whole, ordered once, from those who may."""

import logging
from pathlib import Path

import pytest
from dicom_senders import ECHOSCU, PATIENCE_S, PATIENT, MadeUp, everything_under, needs_dcmtk, statuses, storescu, until
from pydicom.uid import SegmentationStorage

from skipseg.models.errors import UsageError
from skipseg.service.dicom.listening.senders import refuse_open
from skipseg.service.settings import Settings, load_settings

pytestmark = needs_dcmtk


def test_a_series_becomes_exactly_one_job_with_all_its_instances(listener, tmp_path) -> None:
    parts = listener()
    sent = storescu(parts.port, *MadeUp().write(tmp_path / "sent"))
    assert sent.returncode == 0, sent.stderr
    assert not parts.jobs  # not before it is quiet
    parts.settle()
    parts.settle()
    assert len(parts.jobs) == 1
    assert len(parts.last_members) == 22
    assert not list(parts.rounds.inbox.root.rglob("*.dcm"))  # what the upload holds is kept once


def test_two_series_that_come_interleaved_are_told_apart(listener, tmp_path) -> None:
    parts = listener()
    one, other = MadeUp().write(tmp_path / "one", 7), MadeUp().write(tmp_path / "other", 7)
    mixed = [path for pair in zip(one, other, strict=True) for path in pair]
    assert storescu(parts.port, *mixed).returncode == 0
    parts.settle()
    assert len(parts.jobs) == 2
    uploads = parts.rounds.ordering.jobs.uploads.all()
    assert [len(parts.members(upload.id)) for upload in uploads] == [7, 7]


def test_a_series_that_goes_on_is_not_taken_for_complete(listener, tmp_path) -> None:
    parts = listener()
    assert storescu(parts.port, *MadeUp().write(tmp_path / "sent", 3)).returncode == 0
    parts.rounds.inbox.settle_quiet(3600)
    parts.rounds.ordering.take_all_on()
    assert not parts.jobs


def test_instances_that_come_late_make_a_new_job_of_the_whole_series(listener, tmp_path, caplog) -> None:
    parts, series = listener(), MadeUp()
    assert storescu(parts.port, *series.write(tmp_path / "first", 5)).returncode == 0
    parts.settle()
    [earlier] = parts.jobs
    assert storescu(parts.port, *series.write(tmp_path / "late", 2, first=5)).returncode == 0
    with caplog.at_level(logging.INFO, "skipseg"):
        parts.settle()
    assert len(parts.jobs) == 2
    assert len(parts.last_members) == 7
    told = next(record.fields for record in caplog.records if record.message == "series grew")
    assert (told["earlier"], told["new"], told["instances"]) == (earlier.id, 2, 7)
    assert parts.rounds.ordering.jobs.ledger.job(earlier.id).cancelled  # nobody wants the mask of a part


def test_late_instances_are_set_aside_when_the_first_are_gone(listener, tmp_path) -> None:
    parts, series = listener(), MadeUp()
    assert storescu(parts.port, *series.write(tmp_path / "first", 5)).returncode == 0
    parts.settle()
    store = parts.rounds.ordering.jobs.uploads
    store.remove(store.all()[0])
    assert storescu(parts.port, *series.write(tmp_path / "late", 2, first=5)).returncode == 0
    parts.settle()
    assert len(parts.jobs) == 1
    assert parts.outcome("upload_unknown") == 1
    assert storescu(parts.port, *series.write(tmp_path / "all", 7)).returncode == 0  # the remedy
    parts.settle()
    assert len(parts.last_members) == 7
    assert not parts.rounds.inbox.held()


def test_the_same_series_again_makes_no_new_job(listener, tmp_path) -> None:
    parts, paths = listener(), MadeUp().write(tmp_path / "sent", 5)
    for sent in (paths, paths, paths[:2]):
        assert storescu(parts.port, *sent).returncode == 0
        parts.settle()
    assert len(parts.jobs) == 1
    assert parts.outcome("known") == 2


def test_an_instance_that_was_corrected_makes_a_new_job(listener, tmp_path) -> None:
    parts, series = listener(), MadeUp()
    assert storescu(parts.port, *series.write(tmp_path / "sent", 5)).returncode == 0
    parts.settle()
    corrected = series.instance(2)
    corrected.PixelData = bytes(len(corrected.PixelData))
    assert statuses(parts.port, corrected) == [0x0000]
    parts.settle()
    assert len(parts.jobs) == 2
    assert len(parts.last_members) == 5


def test_what_no_rule_takes_waits_for_another_rule_and_is_deleted_in_the_end(listener, tmp_path) -> None:
    parts = listener(dicom_keep_hours=1e-9)
    assert storescu(parts.port, *MadeUp(modality="CT").write(tmp_path / "sent", 3)).returncode == 0
    parts.settle()
    assert parts.outcome("no_rule") == 1
    assert not parts.jobs
    rules = tmp_path / "rules.toml"
    rules.write_text(rules.read_text() + '[[rules]]\nname = "others"\nmodel = "small"\n')
    parts.rounds.go()
    assert len(parts.jobs) == 1
    assert storescu(parts.port, *MadeUp(modality="CT").write(tmp_path / "more", 3)).returncode == 0
    rules.write_text('[[rules]]\nname = "none"\nmodality = "XX"\nignore = true\n')
    parts.rounds.inbox.settle_quiet(0)
    parts.rounds.go()
    parts.rounds.tidy()
    assert parts.outcome("expired") == 1
    assert not list(parts.rounds.inbox.root.rglob("*.dcm"))


def test_rules_that_were_spoilt_leave_those_before_in_force(listener, tmp_path) -> None:
    parts = listener()
    (tmp_path / "rules.toml").write_text('[[rules]]\nname = "brains"\nmodel = "nosuch"\n')
    parts.rounds.go()
    assert storescu(parts.port, *MadeUp().write(tmp_path / "sent", 3)).returncode == 0
    parts.settle()
    assert len(parts.jobs) == 1


def test_nothing_that_names_a_patient_is_written_outside_of_instances(listener, tmp_path, data, caplog) -> None:
    parts = listener()
    held, ordered = MadeUp(modality="CT"), MadeUp()
    with caplog.at_level(logging.DEBUG):
        assert storescu(parts.port, *held.write(tmp_path / "a", 2), *ordered.write(tmp_path / "b", 2)).returncode == 0
        parts.settle()
    written = everything_under(data) + caplog.text + str([getattr(record, "fields", {}) for record in caplog.records])
    secret = ("Quillfeather", PATIENT, "QF-1963", "19630214", "Brackenwood", "A-88-17", "MPRAGE")
    uids = (held.series, held.study, ordered.series, ordered.study)
    assert not [word for word in (*secret, *uids) if word in written]


@pytest.mark.parametrize(
    ("senders", "title", "is_let_in"),
    [
        ({"CT1": ["127.0.0.1"], "PACS": ["192.0.2.1"]}, "CT1", True),
        ({"CT1": ["127.0.0.0/8"]}, "CT1", True),
        ({"CT1": ["127.0.0.1"], "PACS": ["192.0.2.1"]}, "PACS", False),  # a title from an address that is not its own
        ({"CT1": ["127.0.0.1"]}, "MR9", False),
        ({"CT1": ["192.0.2.0/24"]}, "CT1", False),
    ],
)
def test_only_those_who_are_listed_may_send(listener, tmp_path, senders, title, is_let_in) -> None:
    parts = listener(dicom_senders=senders)
    sent = storescu(parts.port, *MadeUp().write(tmp_path / "sent", 1), title=title)
    assert (sent.returncode == 0) == is_let_in
    assert len(list(parts.rounds.inbox.root.rglob("*.dcm"))) == is_let_in
    until(lambda: (parts.refused("calling_title") + parts.refused("address") > 0) != is_let_in)


def test_it_answers_to_its_own_title_alone(listener, tmp_path) -> None:
    parts = listener()
    assert storescu(parts.port, *MadeUp().write(tmp_path / "sent", 1), called="OTHER").returncode != 0
    until(lambda: parts.refused("called_title") == 1)


def test_it_answers_an_echo(listener) -> None:
    import subprocess

    command = [str(ECHOSCU), "-aec", "SKIPSEG", "127.0.0.1", str(listener().port)]
    assert subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE_S).returncode == 0


def test_a_short_disk_is_answered_as_out_of_resources(listener) -> None:
    parts, series = listener(min_free_bytes=2**60), MadeUp()
    assert statuses(parts.port, series.instance(0), series.instance(1)) == [0xA700, 0xA700]
    assert not any(parts.rounds.inbox.receiving.iterdir())


def test_an_instance_that_is_too_large_is_answered_likewise(listener) -> None:
    parts = listener(max_upload_bytes=20_000)
    assert statuses(parts.port, MadeUp(size=200).instance(0), MadeUp().instance(0)) == [0xA700, 0x0000]
    assert not any(parts.rounds.inbox.receiving.iterdir())


def test_a_series_may_not_grow_without_end(listener) -> None:
    parts, series = listener(max_archive_bytes=5_000), MadeUp()
    found = statuses(parts.port, *(series.instance(number) for number in range(5)))
    assert found[0] == 0x0000
    assert found[-1] == 0xA700


def test_what_is_no_image_is_not_agreed_to(listener) -> None:
    from pynetdicom import AE

    entity = AE("CT1")
    entity.add_requested_context(SegmentationStorage)
    association = entity.associate("127.0.0.1", listener().port, ae_title="SKIPSEG")
    assert not association.accepted_contexts
    association.abort()


def test_an_instance_without_a_series_and_one_under_a_false_name_are_refused(listener) -> None:
    parts = listener()
    nameless = MadeUp().instance(0)
    del nameless.SeriesInstanceUID
    odd = MadeUp().instance(0)
    odd.SeriesInstanceUID = "../../1"
    assert statuses(parts.port, nameless, odd) == [0xC000, 0xC000]
    instance = MadeUp().instance(0)
    instance.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    assert statuses_under_another_name(parts.port, instance) == 0xA900
    assert not list(parts.rounds.inbox.root.rglob("*.dcm"))


def statuses_under_another_name(port: int, instance) -> int:
    """A request that announces one instance and brings another."""
    from io import BytesIO

    from pynetdicom import AE
    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.dsutils import encode

    entity = AE("CT1")
    entity.add_requested_context(instance.SOPClassUID)
    association = entity.associate("127.0.0.1", port, ae_title="SKIPSEG")
    request = C_STORE()
    request.MessageID, request.Priority = 1, 0
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = instance.SOPClassUID, "1.2.3"
    context = association.accepted_contexts[0]
    request.DataSet = BytesIO(encode(instance, context.transfer_syntax[0].is_implicit_VR, True))
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, context.context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    association.release()
    return answer.Status


def test_two_listeners_do_not_share_a_folder(data, tmp_path) -> None:
    from dicom_senders import listening
    from servers import skipseg

    with listening(data, tmp_path / "rules.toml"):
        second = skipseg("dicom", "listen", "--port", 0, "--rules", tmp_path / "rules.toml", "--data", data)
    assert second.returncode == 2
    assert "another listener" in second.stderr


def test_others_do_not_reach_it_unless_it_is_said_who_may_send() -> None:
    with pytest.raises(UsageError, match="SKIPSEG_DICOM_SENDERS"):
        refuse_open(Settings(dicom_host="0.0.0.0"))
    refuse_open(Settings(dicom_host="0.0.0.0", dicom_senders={"CT1": ["10.0.0.1"]}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"dicom_senders": {"CT1": []}},
        {"dicom_senders": {"CT1": ["nowhere"]}},
        {"dicom_senders": {"a\\b": ["10.0.0.1"]}},
        {"dicom_tls_cert": Path("cert.pem")},
        {"dicom_tls_ca": Path("ca.pem")},
    ],
)
def test_settings_that_contradict_themselves_are_refused(wrong) -> None:
    with pytest.raises(UsageError):
        load_settings(**wrong)
