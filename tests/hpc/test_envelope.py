"""The envelope: what we write, an independent msgpack reader reads; what we read may be anything."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpc.wire.envelope import (
    MAX_ENVELOPE_BYTES,
    MAX_TEXT,
    WIRE_VERSION,
    Envelope,
    Kind,
    Malformed,
    OtherVersion,
    cut,
    decode,
    encode,
)

COUNTS = st.integers(0, 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
ENVELOPES = st.builds(
    Envelope,
    version=st.just(WIRE_VERSION),
    kind=st.sampled_from(Kind),
    id=COUNTS,
    seconds=st.floats(0, 1e9),
    error=TEXT,
    message=TEXT,
    payload_version=COUNTS,
    max_message_bytes=COUNTS,
)


@given(ENVELOPES)
def test_round_trip(envelope):
    assert decode(encode(envelope)) == envelope


@given(ENVELOPES)
def test_the_msgpack_package_reads_the_same(envelope):
    assert msgpack.unpackb(encode(envelope)) == [
        envelope.version,
        envelope.kind.value,
        envelope.id,
        envelope.seconds,
        envelope.error,
        envelope.message,
        envelope.payload_version,
        envelope.max_message_bytes,
    ]


@given(ENVELOPES)
def test_what_the_msgpack_package_writes_is_read(envelope):
    fields = [getattr(envelope, name) for name in Envelope.__struct_fields__]
    fields[1] = envelope.kind.value
    assert decode(msgpack.packb(fields)) == envelope


@given(st.binary(max_size=300))
def test_any_bytes_are_safe_to_read(data):
    try:
        assert isinstance(decode(data), Envelope)
    except (Malformed, OtherVersion):
        pass


@given(ENVELOPES, st.data())
def test_truncated_is_malformed(envelope, data):
    whole = encode(envelope)
    with pytest.raises(Malformed):
        decode(whole[: data.draw(st.integers(0, len(whole) - 1))])


@pytest.mark.parametrize(
    "fields",
    [
        {"version": 1, "kind": "request"},
        [],
        [1],
        [1, "dance"],
        [1, "request", -1],
        [1, "request", 2**64 - 1],
        [1, "request", "1"],
        [1, "request", 1, float("nan")],
        [1, "request", 1, float("inf")],
        [1, "request", 1, -0.5],
        [1, "error", 1, 0.0, "kind", "x" * (MAX_TEXT + 1)],
        [True, "request"],
        [-1, "request"],
        "text",
        None,
    ],
    ids=repr,
)
def test_malformed(fields):
    with pytest.raises(Malformed):
        decode(msgpack.packb(fields))


@pytest.mark.parametrize("data", [b"\xc1", b"\x91" * 9000, b"\x92\x01\xa1\xff", b"\x00" * 20])
def test_not_msgpack_is_malformed(data):
    with pytest.raises(Malformed):
        decode(data)


def test_too_long_is_malformed_without_being_read():
    with pytest.raises(Malformed, match="limit"):
        decode(b"\x00" * (MAX_ENVELOPE_BYTES + 1))


@pytest.mark.parametrize("rest", [["hello"], ["sing", {}, [1]], []])
def test_another_version_is_told_even_if_its_fields_differ(rest):
    with pytest.raises(OtherVersion) as caught:
        decode(msgpack.packb([WIRE_VERSION + 1, *rest]))
    assert caught.value.version == WIRE_VERSION + 1


def test_long_messages_are_cut_to_what_an_envelope_carries():
    assert len(cut("x" * 10_000)) == MAX_TEXT
    assert decode(encode(Envelope(WIRE_VERSION, Kind.ERROR, 1, message=cut("é" * 10_000))))
