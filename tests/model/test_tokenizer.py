"""Text ⇄ ids: nothing is lost, symbols stay whole, text never becomes a special token."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leanfleet.model.symbols import symbols
from leanfleet.model.tokenizer import SPECIALS, WrongTokenizer, content_hash
from leanfleet.model.tokenizer_file import load_tokenizer, parse_tokenizer

LEAN = [
    "∀ x : ℕ, ",
    "h✝",
    "\n  simp [Nat.succ_le]",
    " := by",
    "⟨a, b⟩",
    "x₁₂",
    "<;>",
    "\r\n",
    "\t ",
]
texts = st.lists(st.sampled_from([*LEAN, *SPECIALS, *symbols()]) | st.text()).map("".join)


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=60))
@example(bytes(range(256)))
@example("→".encode()[:2] + b"\xff" + "→".encode())
@example("\ud800".encode("utf-8", "surrogatepass"))
def test_every_byte_string_comes_back(tokenizer, data):
    assert tokenizer.decode_bytes(tokenizer.encode_bytes(data)) == data


@settings(max_examples=200, deadline=None)
@given(text=texts)
def test_text_comes_back_and_is_never_a_special_token(tokenizer, text):
    text = text.encode("utf-8", "replace").decode()
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert ids == tokenizer.encode_bytes(text.encode())
    assert min(ids, default=len(SPECIALS)) >= len(SPECIALS)


@pytest.mark.parametrize("special", SPECIALS)
def test_a_special_tokens_spelling_is_ordinary_text(tokenizer, special):
    assert tokenizer.id_of(special) < len(SPECIALS)
    for text in (special, f"h : {special}\n⊢ p", special * 3):
        ids = tokenizer.encode(text)
        assert tokenizer.id_of(special) not in ids
        assert tokenizer.decode(ids) == text


def test_special_tokens_give_no_text(tokenizer):
    ids = [tokenizer.roles.state, *tokenizer.encode("p"), tokenizer.roles.value]
    assert tokenizer.decode(ids) == "p"


def test_the_roles_are_there(tokenizer):
    roles = tokenizer.roles
    assert (roles.pad, roles.end, roles.state, roles.tactic, roles.value) == (0, 1, 2, 3, 4)


def test_leans_symbols_are_one_token_each_wherever_they_stand(tokenizer):
    assert len(symbols()) > 200
    for symbol in symbols():
        assert len(tokenizer.encode(symbol)) == 1, symbol
        marked = tokenizer.encode(symbol)[0]
        assert tokenizer.encode(f"({symbol})")[1:-1] == [marked], symbol
        # With the space before it a symbol may be one token, and is never cut.
        pieces = [tokenizer.decode_bytes([number]) for number in tokenizer.encode(f"a {symbol} b")]
        assert any(piece.strip() == symbol.encode() for piece in pieces), symbol


def test_text_that_is_no_unicode_is_refused(tokenizer):
    with pytest.raises(ValueError, match="surrogate"):
        tokenizer.encode("a\ud800b")


def test_unknown_ids_and_names_are_refused(tokenizer):
    with pytest.raises(ValueError, match="no token has the id 99999"):
        tokenizer.decode([99999])
    with pytest.raises(ValueError, match=r"no special token '<\|x\|>'; there are: .*<\|end\|>"):
        tokenizer.id_of("<|x|>")


# --- the hash -------------------------------------------------------------------------------------


def test_the_hash_survives_files_and_their_layout(tokenizer, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(tokenizer.json())
    assert load_tokenizer(path).hash == load_tokenizer(tmp_path).hash == tokenizer.hash
    spec = json.loads(tokenizer.json())
    spec["model"]["merges"] = [" ".join(pair) for pair in spec["model"]["merges"]]
    spec["truncation"] = {"max_length": 2, "strategy": "LongestFirst", "stride": 0}
    spec["truncation"]["direction"] = "Right"
    laid_out = parse_tokenizer(json.dumps(dict(reversed(spec.items()))).encode(), "x")
    assert laid_out.hash == tokenizer.hash
    # A file that asks for it is not obeyed: states are never cut.
    assert len(laid_out.encode("a b c d e")) == len(tokenizer.encode("a b c d e")) > 2


def test_another_vocabulary_has_another_hash(tokenizer):
    spec = json.loads(tokenizer.json())
    first, second = list(spec["model"]["vocab"])[:2]
    vocab = spec["model"]["vocab"]
    vocab[first], vocab[second] = vocab[second], vocab[first]
    assert content_hash(spec) != tokenizer.hash


def test_the_wrong_tokenizer_is_an_error_that_names_both(tokenizer):
    with pytest.raises(WrongTokenizer) as caught:
        tokenizer.check("a" * 64, "weights/v3")
    assert "a" * 64 in str(caught.value)
    assert tokenizer.hash in str(caught.value)
    assert "weights/v3" in str(caught.value)


# --- other people's files -------------------------------------------------------------------------

PLAIN = ["Ġ", "h", "e", "l", "o", "w", "r", "d"]


def gpt2(folder, vocab=None, merges="#version: 0.2\nl o\nĠ w\nh e\n"):
    tokens = [*PLAIN, "lo", "Ġw", "he", "<|endoftext|>"]
    vocab = {token: i for i, token in enumerate(tokens)} if vocab is None else vocab
    (folder / "vocab.json").write_text(json.dumps(vocab), "utf-8")
    (folder / "merges.txt").write_text(merges, "utf-8")
    return folder


def test_gpt2_files_load(tmp_path):
    found = load_tokenizer(gpt2(tmp_path))
    assert [found.token(number) for number in found.encode("hello world")] == [
        "he", "l", "lo", "Ġw", "o", "r", "l", "d",
    ]  # fmt: skip
    assert found.roles.end == found.id_of("<|endoftext|>") == 11
    assert found.decode(found.encode("hello world")) == "hello world"


def test_transformers_reads_gpt2_files_the_same_way(tmp_path):
    transformers = pytest.importorskip("transformers")
    peer = transformers.GPT2Tokenizer.from_pretrained(gpt2(tmp_path))
    ours = load_tokenizer(tmp_path)
    for text in ("hello world", "who led", "older  hello"):
        assert ours.encode(text) == peer.encode(text, add_special_tokens=False)


def test_a_published_tokenizer_json_loads_with_its_own_end(tokenizer, tmp_path):
    spec = json.loads(tokenizer.json())
    added = spec["added_tokens"][0] | {"content": "<|im_end|>", "id": 5000}
    spec["added_tokens"] = [added, added | {"content": "<think>", "id": 5001, "special": False}]
    (tmp_path / "tokenizer.json").write_text(json.dumps(spec))
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": {"content": "<|im_end|>"}}')
    found = load_tokenizer(tmp_path)
    assert found.roles.end == 5000
    assert found.size == 5002
    assert max(found.encode("<think> <|im_end|> </think>")) < 1000


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "Input data was truncated"),
        ("[1]", "Expected `object`"),
        ('{"model": {"type": "BPE", "vocab": {}, "merges": []}}', "an empty vocabulary"),
        ('{"model": {"vocab": {"a": -1}, "merges": []}}', "token id -1"),
        ('{"model": {"vocab": {"a": 1, "b": 1}, "merges": []}}', "two tokens with one id"),
        ('{"model": {"vocab": {"a": 1}, "merges": [["a", "b"]]}}', "not of the vocabulary"),
        ('{"model": {"vocab": {"a": 1}, "merges": [], "dropout": 0.1}}', "set dropout null"),
        ('{"model": {"type": "Magic", "vocab": {"a": 1}}}', "not a tokenizer that can be used"),
        ('{"model": {"vocab": {"a": 99999999999}}}', "token id 99999999999"),
        ("[" * 100_000, "nested too deeply|Expected"),
    ],
)
def test_bad_files_are_refused_with_their_name(tmp_path, text, message):
    path = tmp_path / "tokenizer.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        load_tokenizer(path)
    assert str(path) in str(caught.value)


def test_bad_gpt2_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"merges.txt:2: two tokens expected"):
        load_tokenizer(gpt2(tmp_path, merges="l o\nh e l\n"))
    with pytest.raises(ValueError, match="not of the vocabulary"):
        load_tokenizer(gpt2(tmp_path, merges="z z\n"))
    with pytest.raises(ValueError, match="Expected `int`"):
        load_tokenizer(gpt2(tmp_path, vocab={"a": "b"}))


def test_a_folder_without_a_tokenizer_says_what_it_wants(tmp_path):
    with pytest.raises(ValueError, match=r"neither tokenizer\.json nor vocab\.json"):
        load_tokenizer(tmp_path)
    with pytest.raises(ValueError, match="No such file"):
        load_tokenizer(tmp_path / "none.json")
