"""What client and server agree on: every rule of RFC 7692 7.1, as tables."""

from __future__ import annotations

import zlib

import pytest
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)

from wsproto_async.exceptions import InvalidExtension
from wsproto_async.extensions import Parameters, PerMessageDeflate
from wsproto_async.sansio.buffer import MessageBuffer

STATELESS = {"server_no_context_takeover": True, "client_no_context_takeover": True}
STATEFUL = {"server_no_context_takeover": False, "client_no_context_takeover": False}


def parse(text: str) -> Parameters:
    """``"a; b=1"`` as parameters."""
    pairs = [part.strip().partition("=") for part in text.split(";") if part]
    return [(name, value if equals else None) for name, equals, value in pairs]


def show(parameters: Parameters) -> str:
    return "; ".join(name if value is None else f"{name}={value}" for name, value in parameters)


# Short names make the tables readable.
def long(text: str) -> str:
    text = text.replace("s-no", "server_no_context_takeover")
    text = text.replace("c-no", "client_no_context_takeover")
    text = text.replace("s-bits", "server_max_window_bits")
    return text.replace("c-bits", "client_max_window_bits")


@pytest.mark.parametrize(
    ("settings", "offer"),
    [
        ({}, "s-no; c-no; c-bits"),
        (STATEFUL, "c-bits"),
        ({"server_no_context_takeover": False}, "c-no; c-bits"),
        ({"client_no_context_takeover": False}, "s-no; c-bits"),
        ({"server_max_window_bits": 10}, "s-no; c-no; s-bits=10; c-bits"),
        ({"client_max_window_bits": 8}, "s-no; c-no; c-bits=8"),
        ({"server_max_window_bits": 8, **STATEFUL}, "s-bits=8; c-bits"),
    ],
)
def test_a_clients_offer(settings: dict[str, int], offer: str) -> None:
    assert show(PerMessageDeflate(**settings).offer()) == long(offer)


@pytest.mark.parametrize(
    ("settings", "offer", "answer"),
    [
        # 7.1.1: both ends' wishes for no context takeover are granted.
        ({}, "", "s-no; c-no"),
        (STATEFUL, "", ""),
        (STATEFUL, "s-no", "s-no"),
        (STATEFUL, "c-no", "c-no"),
        (STATEFUL, "c-no; s-no", "s-no; c-no"),
        ({"server_no_context_takeover": False}, "", "c-no"),
        ({"client_no_context_takeover": False}, "", "s-no"),
        # 7.1.2.1: the answer repeats server_max_window_bits, or has less.
        (STATEFUL, "s-bits=10", "s-bits=10"),
        (STATEFUL, "s-bits=15", "s-bits=15"),
        (STATEFUL, "s-bits=8", "s-bits=8"),
        ({"server_max_window_bits": 9, **STATEFUL}, "s-bits=10", "s-bits=9"),
        ({"server_max_window_bits": 12, **STATEFUL}, "s-bits=10", "s-bits=10"),
        ({"server_max_window_bits": 9, **STATEFUL}, "", "s-bits=9"),
        # 7.1.2.2: client_max_window_bits only for a client that mentions it.
        (STATEFUL, "c-bits", ""),
        (STATEFUL, "c-bits=15", ""),
        (STATEFUL, "c-bits=10", "c-bits=10"),
        (STATEFUL, "c-bits=8", "c-bits=8"),
        ({"client_max_window_bits": 9, **STATEFUL}, "c-bits", "c-bits=9"),
        ({"client_max_window_bits": 9, **STATEFUL}, "c-bits=12", "c-bits=9"),
        ({"client_max_window_bits": 9, **STATEFUL}, "c-bits=8", "c-bits=8"),
        ({"client_max_window_bits": 9, **STATEFUL}, "", ""),
        ({}, "s-bits=9; c-bits=11; c-no", "s-no; c-no; s-bits=9; c-bits=11"),
    ],
)
def test_a_servers_answer(settings: dict[str, int], offer: str, answer: str) -> None:
    accepted = PerMessageDeflate(**settings).accept(parse(long(offer)))
    assert accepted is not None
    assert show(accepted[0]) == long(answer)
    if "c-bits=8" in answer:
        return  # which the independent client cannot do
    theirs = ClientPerMessageDeflateFactory(
        server_no_context_takeover="s-no" in offer,
        client_no_context_takeover="c-no" in offer,
        server_max_window_bits=int(offer.partition("s-bits=")[2].split(";")[0] or 0) or None,
        client_max_window_bits=(int(offer.partition("c-bits=")[2].split(";")[0] or 0) or True)
        if "c-bits" in offer
        else None,
    )
    theirs.process_response_params(accepted[0], [])


BAD_VALUES = ["7", "16", "08", "010", "0", "-8", "+9", "abc", "1e1", "0xa", '"10"', "٩", ""]


@pytest.mark.parametrize(
    "offer",
    [
        "unknown",
        "s-no; unknown=1",
        "s-no; s-no",
        "c-no; s-no; c-no",
        "s-bits=10; s-bits=10",
        "c-bits; c-bits=10",
        "s-no=1",
        "c-no=true",
        "s-bits",
        "S-BITS=10",
        "Server_no_context_takeover",
        *(f"{name}={value}" for name in ("s-bits", "c-bits") for value in BAD_VALUES),
    ],
)
def test_an_offer_that_breaks_the_rules_is_declined(offer: str) -> None:
    assert PerMessageDeflate().accept(parse(long(offer))) is None


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        ({}, "s-no"),
        ({}, "s-no; c-no"),
        ({}, "s-no; c-bits=8"),
        ({}, "s-no; c-no; s-bits=8; c-bits=15"),
        (STATEFUL, ""),
        # Asked for, overlooked by common servers.
        ({}, ""),
        ({}, "c-no"),
        # 7.1.1, 7.1.2: a server may ask for what was not offered, save client_max_window_bits.
        (STATEFUL, "s-no; c-no; s-bits=9"),
        ({"server_max_window_bits": 10, **STATEFUL}, "s-bits=10"),
        ({"server_max_window_bits": 10, **STATEFUL}, "s-bits=8"),
        ({"client_max_window_bits": 10, **STATEFUL}, "c-bits=10"),
        ({"client_max_window_bits": 10, **STATEFUL}, "c-bits=9"),
        ({"client_max_window_bits": 10, **STATEFUL}, ""),
    ],
)
def test_an_answer_that_a_client_takes(settings: dict[str, int], answer: str) -> None:
    PerMessageDeflate(**settings).finalize(parse(long(answer)))


@pytest.mark.parametrize(
    ("settings", "answer", "error"),
    [
        ({"server_max_window_bits": 10}, "s-no", "server did not agree to server_max_window_bits"),
        (
            {"server_max_window_bits": 10},
            "s-no; s-bits=11",
            "server did not agree to server_max_window_bits",
        ),
        (
            {"client_max_window_bits": 10},
            "s-no; c-bits=11",
            "server chose client_max_window_bits over the offered one",
        ),
        ({}, "s-no; s-no", "server answered permessage-deflate with a parameter twice"),
        ({}, "s-no; what", "server answered permessage-deflate with parameter what"),
        ({}, "s-no=1", "server answered permessage-deflate with parameter s-no=1"),
        ({}, "s-no; c-bits", "server answered permessage-deflate with parameter c-bits"),
        *(
            (
                {},
                f"s-no; {name}={value}",
                f"server answered permessage-deflate with parameter {name}={value}",
            )
            for name in ("s-bits", "c-bits")
            for value in BAD_VALUES
        ),
    ],
)
def test_an_answer_that_fails_the_handshake(
    settings: dict[str, int], answer: str, error: str
) -> None:
    with pytest.raises(InvalidExtension) as caught:
        PerMessageDeflate(**settings).finalize(parse(long(answer)))
    assert str(caught.value).strip() == long(error).strip()


@pytest.mark.parametrize("settings", [{}, STATEFUL, {"server_max_window_bits": 9}])
def test_an_independent_server_takes_the_offer(settings: dict[str, int]) -> None:
    ours = PerMessageDeflate(**settings)
    theirs = ServerPerMessageDeflateFactory(client_max_window_bits=12)
    answer, _ = theirs.process_request_params(ours.offer(), [])
    ours.finalize(answer)
    assert ("client_max_window_bits", "12") in answer


@pytest.mark.parametrize(
    "settings",
    [
        {"server_max_window_bits": 7},
        {"server_max_window_bits": 16},
        {"client_max_window_bits": 7},
        {"client_max_window_bits": 16},
        {"level": -1},
        {"level": 10},
        {"threshold": -1},
    ],
)
def test_settings_out_of_range(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"must (be|not be)"):
        PerMessageDeflate(**settings)


# What was agreed on is what the codecs do.


def is_stateless(codec: object) -> bool:
    """Tell if the same message is encoded the same way twice."""
    text = bytes(range(256)) * 8
    return codec.encode(text, True) == codec.encode(text, True)


@pytest.mark.parametrize(
    ("ours", "offer", "stateless"),
    [
        (STATELESS, "", True),
        (STATEFUL, "", False),
        (STATEFUL, "s-no", True),
        (STATEFUL, "c-no", False),
    ],
)
def test_a_servers_codec(ours: dict[str, bool], offer: str, stateless: bool) -> None:
    accepted = PerMessageDeflate(**ours).accept(parse(long(offer)))
    assert accepted is not None
    assert is_stateless(accepted[1]) is stateless
    assert (accepted[1].encoding is not None) is stateless


@pytest.mark.parametrize(
    ("ours", "answer", "stateless"),
    [
        (STATELESS, "s-no", True),
        (STATEFUL, "", False),
        (STATEFUL, "c-no", True),
        (STATEFUL, "s-no", False),
    ],
)
def test_a_clients_codec(ours: dict[str, bool], answer: str, stateless: bool) -> None:
    codec = PerMessageDeflate(**ours).finalize(parse(long(answer)))
    assert is_stateless(codec) is stateless


@pytest.mark.parametrize("answer", ["", "c-no"])
def test_a_server_that_overlooks_what_it_was_asked_is_understood(answer: str) -> None:
    codec = PerMessageDeflate().finalize(parse(long(answer)))
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    for text in (b"the same again", b"the same again", b"and the same again"):
        data = deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH)
        message = MessageBuffer(100)
        for piece in codec.decode(data[:-4], True, message.recent):
            message.append(piece)
        assert message.getvalue() == text
