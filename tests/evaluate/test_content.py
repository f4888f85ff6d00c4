"""The content hash against its definition."""

import hashlib

from leanfleet.evaluate.content import content_hash
from leanfleet.messages import Theorem

A = Theorem("a", "theorem a : True", "open Nat", split="test", source="x")
B = Theorem("b", "theorem b (n : ℕ) : n = n", 'notation "ℕ" => Nat')


def test_it_is_the_sha256_of_lines_anybody_can_write():
    lines = '["a","open Nat","theorem a : True"]\n'
    lines += '["b","notation \\"ℕ\\" => Nat","theorem b (n : ℕ) : n = n"]\n'
    assert content_hash([B, A]) == hashlib.sha256(lines.encode()).hexdigest()


def test_it_sees_content_and_no_order():
    assert content_hash([A, B]) == content_hash([B, A])
    assert content_hash([A]) != content_hash([A, B])
    for other in (
        Theorem("c", A.statement, A.header),
        Theorem("a", "theorem a : 1 = 1", A.header),
        Theorem("a", A.statement, ""),
    ):
        assert content_hash([A]) != content_hash([other])
    assert content_hash([A]) == content_hash([Theorem("a", A.statement, A.header)])
