"""What no peer can send: properties of the code itself, and the tests that hold them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ABSENT", "HELD"]


@dataclass(frozen=True)
class Held:
    """What no peer can send: a property of the code, and the test that holds it.

    ``test`` is ``file::function`` below the folder of the tests.
    """

    id: str
    title: str
    test: str


HELD = [
    Held(
        "H50",
        "a token in the request's target does not get into the log",
        "attacks/test_faults.py::test_what_a_request_asks_for_is_not_logged",
    ),
    Held(
        "H51",
        "line breaks in what the application puts into a head are refused at once",
        "handshake/test_headers.py::test_what_http_cannot_carry_is_refused_by_every_way_in",
    ),
    Held(
        "C08",
        "redirects end after a few, keep credentials and never leave TLS",
        "aio/test_redirects.py::test_into_tls_and_never_out_of_it",
    ),
    Held(
        "C10",
        "certificate and host name are checked",
        "aio/test_client.py::test_a_certificate_is_checked",
    ),
    Held(
        "C11",
        "each connection's key is 16 fresh random bytes",
        "handshake/test_client.py::test_a_key_is_16_fresh_bytes",
    ),
    Held(
        "C13",
        "a URI cannot break out of the request line",
        "handshake/test_uri.py::test_whatever_is_accepted_fits_into_a_request_line",
    ),
    Held(
        "C14",
        "cancelled at any turn, connecting leaves no socket and no task",
        "aio/test_client.py::test_cancelling_at_any_turn",
    ),
    Held(
        "C15",
        "clients that lost their server do not come back together",
        "aio/test_backoff.py::test_clients_do_not_come_back_together",
    ),
    Held(
        "F33",
        "unmasking is XOR whatever the key, the place and the seams",
        "codec/test_mask.py::test_it_equals_the_naive_loop",
    ),
    Held(
        "F34",
        "masking keys come from the system's random numbers",
        "codec/test_frames.py::test_each_masking_key_is_fresh",
    ),
    Held(
        "T06",
        "a lone surrogate is refused before a byte is written",
        "aio/test_websocket.py::test_what_cannot_be_sent",
    ),
    Held(
        "D13",
        "a flood of one connection does not keep the others waiting",
        "robustness/test_floods.py::test_one_flood_does_not_starve_the_others",
    ),
    Held(
        "D14",
        "a compression that was broken off is in no other message",
        "extensions/test_deflate.py::test_a_message_whose_compression_was_broken_off_is_in_no_other",
    ),
    Held(
        "D15",
        "a message with a secret can go uncompressed",
        "sansio/test_encoded_messages.py::test_messages_of_every_kind",
    ),
    Held(
        "D16",
        "compression costs a connection at rest nothing",
        "robustness/test_memory.py::test_compression_costs_a_connection_at_rest_nothing",
    ),
    Held(
        "D17",
        "no limit is overshot by an inflater",
        "extensions/test_deflate.py::test_the_limit_is_exact",
    ),
    Held(
        "N02",
        "a broadcast waits for nobody and drops the slow",
        "aio/test_broadcast.py::test_it_waits_for_nobody_and_drops_the_slow",
    ),
    Held(
        "N13",
        "floods of renegotiations and key updates",
        "attacks/test_faults.py::test_new_keys_over_and_over",
    ),
    Held(
        "N15",
        "no pattern has a repetition in another that could go back and forth",
        "attacks/test_patterns.py::test_no_pattern_goes_back_and_forth",
    ),
    Held(
        "N20",
        "one task for each connection and no more",
        "robustness/test_thousand_clients.py::test_every_message_comes_back_and_nothing_stays",
    ),
    Held(
        "N21",
        "a logger that raises does no harm to the connections",
        "attacks/test_faults.py::test_a_logger_that_raises",
    ),
    Held(
        "N22",
        "messages between processes in a format that runs code",
        "pubsub/test_redis.py::test_what_is_no_publication_is_refused",
    ),
    Held(
        "N23",
        "malformed messages between processes",
        "pubsub/test_wire.py::test_what_is_refused_says_why",
    ),
    Held(
        "N24",
        "subscriptions without end",
        "aio/test_topics_refused.py::test_what_peers_want_of_topics_closes_with_1008",
    ),
    Held(
        "N25",
        "a subscriber's queue without end",
        "aio/test_topics_slow.py::test_policies_that_drop",
    ),
    Held(
        "N26",
        "only bytes that the application gave go over the wire",
        "robustness/test_misuse.py::test_wrong_arguments",
    ),
    Held(
        "N27",
        "the compiled and the pure build do the same with whatever comes",
        "test_both_builds.py::test_servers",
    ),
    Held(
        "N28",
        "a loop that stood still is no proof of a dead peer",
        "aio/test_keepalive.py::test_a_loop_that_stood_still_is_no_proof_of_a_dead_peer",
    ),
    Held(
        "N29",
        "a call from another thread",
        "attacks/test_faults.py::test_a_call_from_another_thread",
    ),
]

ABSENT = {"N30": "attachments that a message promises"}
