"""Where the server listens."""

import socket

import pytest
from servers import skipseg

from skipseg.models.errors import UsageError
from skipseg.service.listener import listen, refuse_unless_loopback, url_of


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1"])
def test_loopback_addresses_are_allowed(host: str) -> None:
    refuse_unless_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "", "::ffff:192.0.2.1"])
def test_any_other_address_is_refused_as_there_are_no_keys(host: str) -> None:
    with pytest.raises(UsageError, match=r"keys|address"):
        refuse_unless_loopback(host)


def test_the_command_refuses_to_bind_other_addresses() -> None:
    run = skipseg("serve", "--host", "0.0.0.0", "--port", "0")
    assert run.returncode == 2
    assert "no API keys" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="in use"):
        listen("127.0.0.1", taken.getsockname()[1])


def test_a_url_tells_where_it_listens() -> None:
    with listen("127.0.0.1", 0) as listener:
        assert url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_connections_send_small_answers_at_once() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
