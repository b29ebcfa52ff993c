"""Who stays in memory, as a rule: the one used longest ago leaves first, and never under its user's feet."""

import pytest

from skipseg.service.resident.residents import Residents


@pytest.fixture
def three() -> Residents[str]:
    """Of 10 bytes 9 are taken: by ``a``, ``b`` and ``c``, which came in this order."""
    residents = Residents[str](10)
    for key in "abc":
        residents.come(key, key).bytes = 3
    return residents


def keys(residents: Residents[str]) -> str:
    return "".join(one.key for one in residents)


def test_nobody_leaves_while_there_is_room(three) -> None:
    assert three.make_room(1)
    assert (keys(three), three.used) == ("abc", 9)


def test_the_one_used_longest_ago_leaves_and_no_more_than_must(three) -> None:
    three.use(a := three.find("a"))
    three.release(a)
    assert three.make_room(4)
    assert (keys(three), three.used) == ("ca", 6)


def test_one_that_is_used_stays_as_long_as_others_can_leave(three) -> None:
    three.use(three.find("a"))
    assert three.make_room(7)
    assert (keys(three), three.used) == ("a", 3)


def test_one_that_is_used_and_must_leave_is_found_no_more_and_waited_for(three) -> None:
    for one in three:
        three.use(one)
    a = three.find("a")
    assert not three.make_room(3)
    assert (keys(three), three.used) == ("bc", 9)
    assert not three.make_room(3)
    assert keys(three) == "bc"  # asking again drives nobody else out
    three.release(a)
    assert three.make_room(3)
    assert three.used == 6


def test_one_that_leaves_and_comes_back_is_another(three) -> None:
    three.use(first := three.find("a"))
    three.leave(first)
    three.come("a", "a again").bytes = 1
    assert three.used == 10
    three.release(first)
    assert (three.find("a").item, three.used) == ("a again", 7)
    three.leave(first)
    assert three.find("a").item == "a again"


def test_one_that_will_be_replaced_stays_until_then_and_its_bytes_do_not_count(three) -> None:
    assert three.make_room(4, instead_of="a")
    assert keys(three) == "abc"
    assert three.make_room(5, instead_of="a")
    assert keys(three) == "ac"


def test_one_on_its_way_is_not_sent_away_for_another(three) -> None:
    three.come("d", "d")
    assert three.make_room(10)
    assert (keys(three), three.used) == ("d", 0)
