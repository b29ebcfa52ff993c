"""What was answered with success is never lost, and ordered once, whenever the listener dies."""

import os
import signal
from pathlib import Path

import pytest
from dicom_senders import PATIENCE_S, MadeUp, listening, needs_dcmtk, storescu, until

from skipseg.service.dicom.listening.inbox import Inbox
from skipseg.service.dicom.listening.ordering import Ordering
from skipseg.service.dicom.listening.packing import Pack
from skipseg.service.dicom.listening.records import Placing, Records
from skipseg.service.dicom.listening.run import Rounds
from skipseg.service.jobs.jobs import Jobs
from skipseg.service.store.uploads import UploadStore

pytestmark = [needs_dcmtk, pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes can be forked")]

DEADLY = """
import os, signal
from skipseg.service.dicom.listening.inbox import Inbox

take, taken = Inbox.take, []

def take_or_die(self, *arguments):
    take(self, *arguments)
    taken.append(1)
    if len(taken) == 9:
        os.kill(os.getpid(), signal.SIGKILL)

Inbox.take = take_or_die
from skipseg.service.cli import main
main()
"""


@pytest.mark.parametrize(
    ("owner", "method", "dies_before"),
    [
        (Ordering, "take_on", True),  # it has settled
        (Pack, "write", False),  # its zip is there, and nobody knows
        (Placing, "write", False),  # it is known what is to be ordered
        (UploadStore, "keep", False),  # its upload is there
        (Jobs, "submit", False),  # its job is there
        (Records, "keep", False),  # its job is noted
        (Inbox, "drop", True),
    ],
)
def test_killed_on_its_way_from_settled_to_ordered_a_series_is_ordered_once(
    listener, tmp_path, owner, method, dies_before
) -> None:
    parts = listener()
    assert storescu(parts.port, *MadeUp().write(tmp_path / "sent")).returncode == 0
    parts.rounds.inbox.settle_quiet(0)
    died(parts.rounds, owner, method, dies_before)
    again = listener()
    again.settle()
    again.settle()
    assert len(again.jobs) == 1
    assert len(again.last_members) == 22
    assert len(again.rounds.ordering.jobs.uploads.all()) == 1
    assert not list(again.rounds.inbox.root.rglob("*.dcm"))


def died(rounds: Rounds, owner: type, method: str, before: bool) -> None:
    """Have a process of its own order what has settled, and kill it with -9 on its way."""
    child = os.fork()
    if not child:
        was = getattr(owner, method)

        def deadly(*arguments: object) -> object:
            found = None if before else was(*arguments)
            os.kill(os.getpid(), signal.SIGKILL)
            return found

        setattr(owner, method, deadly)
        Rounds(rounds.settings, rounds.inbox.root).ordering.take_all_on()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)


def test_killed_while_a_series_comes_in_it_goes_on_with_what_it_has_answered(data: Path, tmp_path: Path) -> None:
    paths, rules = MadeUp().write(tmp_path / "sent"), tmp_path / "rules.toml"
    with listening(data, rules, program=DEADLY, dicom_quiet_s=600) as mortal:
        sent = storescu(mortal.port, *paths, more=("-v",))
        assert mortal.process.wait(PATIENCE_S) == -signal.SIGKILL
    answered = sent.stdout.count("(Success)") + sent.stderr.count("(Success)")
    assert sent.returncode != 0
    assert 8 <= answered <= 9
    with listening(data, rules) as after:
        until(lambda: after.events("series ordered"))
        assert after.events("series ordered")[0]["instances"] == 9
        assert storescu(after.port, *paths).returncode == 0  # which a sender does that got no answer
        until(lambda: sum(grown["new"] for grown in after.events("series grew")) >= 13)
        grown = after.events("series grew")
        assert (grown[-1]["instances"], sum(each["new"] for each in grown)) == (22, 13)
