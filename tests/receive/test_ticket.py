import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehost.core.errors import TicketError, TicketExpiredError
from rehost.receive.ticket import Ticket, TicketVolume, sign, verify

KEY = b"k" * 32
TICKET = Ticket("j-1", "r-1", 3, (TicketVolume(0, 1 << 40, 1 << 18), TicketVolume(1, 512, 512)), True, 1000)


def test_a_signed_ticket_comes_back() -> None:
    assert verify(sign(TICKET, KEY), KEY, 999.9) == TICKET


def test_a_ticket_is_printable_and_has_two_parts() -> None:
    text = sign(TICKET, KEY)
    assert text.isascii()
    assert text.isprintable()
    assert text.count(".") == 1


@pytest.mark.parametrize("now", [1000, 1001.5, 1e12])
def test_an_expired_ticket_says_so(now: float) -> None:
    with pytest.raises(TicketExpiredError, match=r"expired \d+ s ago: start the job again"):
        verify(sign(TICKET, KEY), KEY, now)


def test_a_ticket_of_another_key_is_refused_even_when_it_is_expired() -> None:
    with pytest.raises(TicketError, match="signature is wrong") as caught:
        verify(sign(TICKET, b"o" * 32), KEY, 2000)
    assert not isinstance(caught.value, TicketExpiredError)


def test_every_changed_character_is_refused() -> None:
    text = sign(TICKET, KEY)
    for place, character in enumerate(text):
        for other in "A.!":
            if other != character:
                with pytest.raises(TicketError):
                    verify(text[:place] + other + text[place + 1 :], KEY, 0)


@given(st.text(max_size=200))
def test_noise_is_a_ticket_error(text: str) -> None:
    with pytest.raises(TicketError):
        verify(text, KEY, 0)


def test_a_ticket_too_long_is_refused() -> None:
    with pytest.raises(TicketError, match="the most is 8192"):
        verify("a" * 8193, KEY, 0)


@pytest.mark.parametrize("replica", ["", "..", "../x", "a/b", ".hidden"])
def test_a_replica_name_that_is_a_path_is_refused(replica: str) -> None:
    ticket = Ticket(replica, "r", 1, (), True, 1000)
    with pytest.raises(TicketError, match="names no replica"):
        verify(sign(ticket, KEY), KEY, 0)
