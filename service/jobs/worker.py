"""A worker: a process of its own that takes portions of jobs from the queue until it is told to end."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_hex

from dbos import DBOS, DBOSConfig
from sqlalchemy.exc import SQLAlchemyError

from skipseg.models.precision import choose_device
from skipseg.models.registry import Registry
from skipseg.service.datasets.store import DatasetStore
from skipseg.service.dicom.delivery import Delivering
from skipseg.service.jobs.crews import Crews
from skipseg.service.jobs.database import open_database
from skipseg.service.jobs.deliveries import Deliveries
from skipseg.service.jobs.ending import End
from skipseg.service.jobs.fetching import Fetching
from skipseg.service.jobs.ledger import Ledger
from skipseg.service.jobs.patience import is_away
from skipseg.service.jobs.portions import Portions
from skipseg.service.jobs.queue import APPLICATION, DELIVER, FETCH, SEGMENT, SERIALIZER, TELL, TRAIN, VERSION, Queue
from skipseg.service.jobs.results import JobFolders
from skipseg.service.jobs.roster import BEAT_S, Roster
from skipseg.service.jobs.shipping import Ship
from skipseg.service.jobs.trainings import Trainings
from skipseg.service.jobs.webhooks import Message, send
from skipseg.service.observing.logs import NAME, without_message
from skipseg.service.retraining.machine import Machine
from skipseg.service.retraining.preparing import Stores
from skipseg.service.settings import Settings

log = logging.getLogger(NAME)

AT_ONCE = 2  # portions: one is begun while the last scans of the other are on the device
FETCHED_AT_ONCE = 4  # series: some come in while others are on the device
SENT_AT_ONCE = 4  # items, to all nodes together
RECOVERIES = 1000  # of one portion; it is scans that are given up, one by one, and not portions
POLL_S = 0.2  # how long a portion may lie in the queue while a worker is idle
TELL_TIMES = 8  # that a webhook is tried, with pauses that grow to 24 minutes
LOOK_S = 0.5  # until a cancelled job ends what it has in flight


@dataclass(frozen=True)
class Hands:
    """What a worker does, by kind."""

    portions: Portions
    trainings: Trainings
    fetching: Fetching
    delivering: Delivering


class TakenForDead(Exception):
    """Others do this worker's work by now."""


def work(settings: Settings, supervised: bool = False) -> None:
    """Work until SIGTERM or Ctrl-C; ``supervised``: also until the end of standard input, which is its server's end.

    Raises ``UsageError`` for a device that is not there or a database that cannot be opened.
    """
    device, url = choose_device(settings.device), settings.jobs_database_url
    engine = open_database(url)
    roster, ledger, folders = Roster(engine), Ledger(engine), JobFolders(settings.jobs)
    worker = f"{socket.gethostname()[:32]}-{os.getpid()}-{token_hex(4)}"
    registry = Registry(settings.registry)
    crews = Crews(registry, device, settings.precision, settings.limits)
    stores = Stores(DatasetStore(settings.datasets), registry)
    queue, deliveries = Queue(url), Deliveries(engine)
    end = End(ledger, queue.tell)
    portions = Portions(worker, ledger, folders, crews, end, Ship(deliveries, queue))
    nodes = settings.dicom_nodes
    fetching = Fetching(nodes, settings.dicom_fetch_hours, registry, settings.limits, queue, portions)
    delivering = Delivering(nodes, settings.dicom_ae, settings.dicom_send_hours, ledger, folders, deliveries, queue)
    trainings = Trainings(worker, ledger, folders, stores, Machine.of(settings), end)
    ended = _until_told(supervised)
    roster.enter(worker, str(device))
    code = 1
    try:
        _launch(url, worker, Hands(portions, trainings, fetching, delivering), settings)
        log.info("worker ready", extra={"fields": {"worker": worker, "device": str(device)}})
        _keep_house(worker, roster, ledger, [portions, trainings], ended)
        roster.leave(worker)
        code = 0
    except Exception as error:  # noqa: BLE001 - whatever it is, threads must not go on without this one
        log.error("worker ends", extra={"fields": {"worker": worker, **without_message(error)}})
    finally:
        _end(portions, code)


def _end(portions: Portions, code: int) -> None:
    """What is in hand is begun anew by others; threads in the middle of a scan are not waited for."""
    try:
        portions.put_down()
    except SQLAlchemyError as error:
        log.warning("attempts not taken back", extra={"fields": without_message(error)})
    sys.stderr.flush()
    os._exit(code)


def _launch(url: str, worker: str, hands: Hands, settings: Settings) -> None:
    """Begin to take portions from the queue."""
    ledger, secret = hands.portions.ledger, settings.webhook_secret.get_secret_value()

    def segment(job: str, round: int, items: Sequence[int]) -> None:
        hands.portions.run(job, round, items)

    def train(job: str, round: int, items: Sequence[int]) -> None:
        hands.trainings.run(job)

    def fetch(job: str, round: int, items: Sequence[int], tries: int, since: float) -> None:
        hands.fetching.run(job, round, items, tries, since)

    def send_to_node(job: str, item: int) -> None:
        hands.delivering.run(job, item)

    @DBOS.step(name="deliver", retries_allowed=True, interval_seconds=2, max_attempts=TELL_TIMES, backoff_rate=3)
    def deliver(job: str) -> None:
        found = ledger.job(job)
        webhook = json.loads(found.order).get("webhook")
        if webhook is not None:
            send(webhook, Message.of(found, ledger.counts([job])[job]), secret, settings.webhook_trusted_hosts)

    def tell(job: str) -> None:
        deliver(job)

    DBOS(
        config=DBOSConfig(
            name=APPLICATION,
            system_database_url=url,
            application_version=VERSION,
            executor_id=worker,
            serializer=SERIALIZER,
            log_level="CRITICAL",
            use_listen_notify=False,
        )
    )
    DBOS.workflow(name=SEGMENT, max_recovery_attempts=RECOVERIES)(segment)
    DBOS.workflow(name=TRAIN, max_recovery_attempts=RECOVERIES)(train)
    DBOS.workflow(name=TELL, max_recovery_attempts=RECOVERIES)(tell)
    DBOS.workflow(name=FETCH, max_recovery_attempts=RECOVERIES)(fetch)
    DBOS.workflow(name=DELIVER, max_recovery_attempts=RECOVERIES)(send_to_node)
    DBOS.listen_queues([SEGMENT, TRAIN, TELL, FETCH, DELIVER])
    DBOS.launch()
    DBOS.register_queue(TRAIN, worker_concurrency=1, polling_interval_sec=1.0)
    DBOS.register_queue(TELL, worker_concurrency=8, polling_interval_sec=1.0)
    DBOS.register_queue(FETCH, worker_concurrency=FETCHED_AT_ONCE, polling_interval_sec=POLL_S)
    DBOS.register_queue(DELIVER, worker_concurrency=SENT_AT_ONCE, polling_interval_sec=POLL_S)
    DBOS.register_queue(SEGMENT, worker_concurrency=AT_ONCE, polling_interval_sec=POLL_S)


def _keep_house(
    worker: str, roster: Roster, ledger: Ledger, hands: Sequence[Portions | Trainings], ended: threading.Event
) -> None:
    """Beat, take over from the dead, and end what was cancelled."""
    since = BEAT_S
    while not ended.wait(LOOK_S):
        since += LOOK_S
        try:
            for hand in hands:
                for job in ledger.cancelled(hand.jobs):
                    hand.cancel(job)
            if since >= BEAT_S:
                since = 0.0
                if not roster.beat(worker):
                    raise TakenForDead
                for dead in roster.bury(lambda dead: DBOS._recover_pending_workflows([dead])):
                    log.warning("took over", extra={"fields": {"worker": worker, "dead": dead}})
        except SQLAlchemyError as error:
            if not is_away(error):
                raise


def _until_told(supervised: bool) -> threading.Event:
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if supervised:
        threading.Thread(target=_outlived, args=(ended,), daemon=True).start()
    return ended


def _outlived(ended: threading.Event) -> None:
    sys.stdin.buffer.read()
    ended.set()
