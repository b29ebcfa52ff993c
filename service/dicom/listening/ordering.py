"""A series that is complete, on its way to a job. Read ``Ordering.take_on`` first.

Every step can be repeated: what is being placed is written down before it is, under a key that stands for the series,
its instances and what is ordered, so that a process that dies anywhere orders everything, and nothing twice.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from skipseg.models.errors import JobConflict, JobUnknown, SkipsegError, UploadUnknown
from skipseg.service.dicom.listening.counters import Counters
from skipseg.service.dicom.listening.header import read_header
from skipseg.service.dicom.listening.inbox import Inbox, instances_of, sender_of
from skipseg.service.dicom.listening.packing import Pack
from skipseg.service.dicom.listening.records import Held, Ordered, Placing, Records
from skipseg.service.dicom.listening.rulebook import Rulebook
from skipseg.service.dicom.listening.rules import PatternTooSlow, Rule, Series
from skipseg.service.jobs.jobs import Jobs
from skipseg.service.jobs.records import Job
from skipseg.service.middleware.disk import check_disk
from skipseg.service.observing.logs import NAME
from skipseg.service.refusals import DiskFull
from skipseg.service.store.uploads import CONTENT

log = logging.getLogger(NAME)

OWNER = "dicom"
UPLOAD = "series.zip"


class Ordering:
    """Takes series from the inbox to jobs."""

    def __init__(self, inbox: Inbox, rulebook: Rulebook, jobs: Jobs, counters: Counters, free_bytes: int) -> None:
        self.inbox, self.rulebook, self.jobs, self.counters = inbox, rulebook, jobs, counters
        self.records = Records(inbox.root / "ordered")
        self._free_bytes = free_bytes

    def take_all_on(self) -> bool:
        """Order every settled series; False when some are left for later, since disk or database are not there now."""
        all_done = True
        for series in self.inbox.settled():
            try:
                self.take_on(series)
            except (OSError, DiskFull, SQLAlchemyError) as error:
                all_done = False
                log.warning("series waits", extra={"fields": {"series": series.stem, "reason": type(error).__name__}})
            except Exception:  # an error of ours must not keep other series from being ordered
                log.exception("series not ordered", extra={"fields": {"series": series.stem}})
                self._hold(series, "internal", "an error of ours, which the log has")
        return all_done

    def take_on(self, series: Path) -> None:
        """Order one series, or set it aside, or find that there is nothing new about it."""
        if (placing := Placing.read(series)) is None:
            self.inbox.absorb_held(series)
            try:
                placing = self._prepared(series)
            except DiskFull:
                raise
            except SkipsegError as error:
                return self._hold(series, error.code, str(error))
            except PatternTooSlow:
                return self._hold(series, "pattern_too_slow", "a pattern of a rule could not be decided in time")
        if placing is not None:
            self._place(series, placing)

    def _prepared(self, series: Path) -> Placing | None:
        """What is to be ordered, its zip written; None when the series has found its end already."""
        files = instances_of(series)
        if not files:
            self.inbox.drop(series)
            return None
        header = read_header(files[0])
        pack = Pack.of(files)
        before = self.records.of(series.stem)
        if before is not None:
            pack = pack.grown(before.instances)
        rule = self.rulebook.rules.rule_for(Series(header, sender_of(series), len(pack.instances)))
        if rule is None:
            self._hold(series, "no_rule", "no rule takes it; it is looked at again when the rules change")
            return None
        if rule.ignore:
            self._ignore(series, rule)
            return None
        return self._packed(series, pack, rule, before)

    def _packed(self, series: Path, pack: Pack, rule: Rule, before: Ordered | None) -> Placing | None:
        key = _key(series.stem, pack.instances, rule)
        if before is not None and before.key == key:
            self._known_already(series, before)
            return None
        earlier = self._zip_of(before) if before is not None and pack.lacks_files else None
        check_disk([self.jobs.uploads.root], self._free_bytes, pack.bytes + (earlier.stat().st_size if earlier else 0))
        upload, sha256 = self._zipped(pack, series.stem, earlier)
        placing = Placing(
            order=rule.order(upload),
            upload=upload,
            upload_sha256=sha256,
            key=key,
            rule=rule.name,
            instances=pack.instances,
            new=len(pack.instances.items() - (before.instances.items() if before else ())),
            earlier=before.job if before else None,
        )
        placing.write(series)
        return placing

    def _zipped(self, pack: Pack, series: str, earlier: Path | None) -> tuple[str, str]:
        """The id of an upload to be, and the sha256 of its content."""
        uploads = self.jobs.uploads
        draft = uploads.draft()
        try:
            return draft.name.removeprefix("."), pack.write(draft / CONTENT, series, earlier)
        except BaseException:
            uploads.drop(draft)
            raise

    def _place(self, series: Path, placing: Placing) -> None:
        """Make the upload and the job of it, unless they are there, and note that it is done."""
        try:
            self._uploaded(placing)
            model = self.jobs.registry.resolve(placing.order.model or "").reference
            job = self.jobs.submit(placing.order, model, OWNER, placing.key)
        except UploadUnknown:  # its draft was swept away, since nobody went on with it for hours
            log.warning("order begun anew", extra={"fields": {"series": series.stem}})
            return Placing.forget(series)
        except SkipsegError as error:
            Placing.forget(series)
            with suppress(UploadUnknown):
                self.jobs.uploads.remove(self.jobs.uploads.get(placing.upload))
            return self._hold(series, error.code, str(error))
        self._placed(series, placing, job)

    def _placed(self, series: Path, placing: Placing, job: Job) -> None:
        grew = placing.earlier is not None and placing.new > 0
        if grew and placing.earlier is not None:
            self._supersede(placing.earlier)
        self.records.keep(series.stem, _ordered(job.id, placing))
        self.inbox.drop(series)
        self.counters.series("ordered")
        fields = {"series": series.stem, "instances": len(placing.instances), "rule": placing.rule, "job": job.id}
        told = {"earlier": placing.earlier, "new": placing.new} if grew else {}
        log.info("series grew" if grew else "series ordered", extra={"fields": {**fields, **told}})

    def _uploaded(self, placing: Placing) -> None:
        uploads = self.jobs.uploads
        draft = uploads.root / f".{placing.upload}"
        if draft.is_dir():
            uploads.keep(draft, UPLOAD, placing.upload_sha256)

    def _supersede(self, job: str) -> None:
        """A job of fewer instances need not go on; what it has found already stays."""
        with suppress(JobUnknown, JobConflict):
            self.jobs.cancel(job)

    def _known_already(self, series: Path, before: Ordered) -> None:
        """The same again: its sender wants it done, so that what failed is tried once more, and nothing else."""
        fields: dict[str, object] = {"series": series.stem, "job": before.job}
        try:
            self.jobs.retry(before.job)
            fields["retried"] = True
        except JobConflict:
            fields["retried"] = False
        except JobUnknown:  # deleted by now, with its results
            self.records.forget(series.stem)
            return
        self.inbox.drop(series)
        self.counters.series("known")
        log.info("series known already", extra={"fields": fields})

    def _ignore(self, series: Path, rule: Rule) -> None:
        self.inbox.drop(series)
        self.counters.series("ignored")
        log.info("series ignored", extra={"fields": {"series": series.stem, "rule": rule.name}})

    def _hold(self, series: Path, reason: str, detail: str) -> None:
        """``detail`` is for people; no message of ours holds text from a header."""
        earlier, count = Held.read(series), len(instances_of(series))
        Held(reason=reason, since=earlier.since if earlier else time.time()).write(series)
        self.inbox.hold(series)
        self.counters.series(reason)
        fields = {"series": series.stem, "reason": reason, "detail": detail, "instances": count}
        log.warning("series held", extra={"fields": fields})

    def _zip_of(self, before: Ordered) -> Path:
        """Raises ``UploadUnknown``."""
        return self.jobs.uploads.content(self.jobs.uploads.get(before.upload))


def _ordered(job: str, placing: Placing) -> Ordered:
    return Ordered(job=job, upload=placing.upload, key=placing.key, instances=placing.instances)


def _key(series: str, instances: Mapping[str, str], rule: Rule) -> str:
    """The same for the same content of a series with the same order, whatever the rule is called."""
    done = rule.model_dump_json(include={"model", "send_to", "format", "geometry", "priority"})
    said = "\n".join([done, *(f"{name} {content}" for name, content in sorted(instances.items()))])
    return f"{series}-{hashlib.sha256(said.encode()).hexdigest()[:32]}"
