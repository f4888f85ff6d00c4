"""Making a tokenizer: the same every time, smaller texts than bytes, a report of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from leanfleet import cli
from leanfleet.config import ConfigError
from leanfleet.model.corpora import corpus_files, corpus_texts, is_held_out
from leanfleet.model.tokenizer_config import load_tokenizer_config
from leanfleet.model.tokenizer_file import load_tokenizer
from leanfleet.model.tokenizer_train import compression, smallest_vocabulary, train_tokenizer

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_same_texts_give_the_same_tokenizer_in_every_process(texts, tokenizer):
    code = (
        "from leanfleet.model.corpora import *\n"
        "from leanfleet.model.tokenizer_train import train_tokenizer\n"
        f"texts = corpus_texts(corpus_files([{str(ROOT / 'tests' / 'lean' / 'honest')!r}]))\n"
        "print(train_tokenizer(texts, 1000).hash)"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "RAYON_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env=environment,
    )
    assert done.stdout.strip() == tokenizer.hash


def test_texts_become_shorter_than_bytes(texts, tokenizer):
    bare = train_tokenizer([], smallest_vocabulary())
    assert bare.size == smallest_vocabulary()
    few, many = compression(bare, texts), compression(tokenizer, texts)
    assert few.bytes == many.bytes == sum(len(text.encode()) for text in texts)
    # Without merges of its own it is one token a character; the texts are ASCII and symbols.
    assert few.characters_per_token == pytest.approx(1.0, abs=0.05)
    assert many.bytes_per_token > 1.8 * few.bytes_per_token
    assert many.tokens == sum(len(tokenizer.encode(text)) for text in texts)


def test_the_vocabulary_is_never_larger_than_asked(texts):
    assert train_tokenizer(texts, 700).size == 700
    assert smallest_vocabulary() < train_tokenizer(["ab ab"], 4096).size < 600
    with pytest.raises(ValueError, match="vocabulary of 100 is too small"):
        train_tokenizer(texts, 100)


def test_merges_cross_symbols(texts, tokenizer):
    """A space and a frequent symbol are one token, although the symbol is three bytes."""
    assert len(tokenizer.encode(" →")) == len(tokenizer.encode(" :=")) == 1


# --- corpora --------------------------------------------------------------------------------------


def test_a_file_is_all_of_its_blocks(tmp_path):
    text = "\n\ntheorem a :\n  p\n \ntheorem b\n\n\n-- end"
    (tmp_path / "x.lean").write_text(text)
    found = list(corpus_texts([tmp_path / "x.lean"]))
    assert found == ["theorem a :\n  p\n \n", "theorem b\n\n\n", "-- end"]


def test_rows_give_what_is_text_in_them(tmp_path):
    rows = [{"name": "n", "statement": "theorem n : p", "header": "import X"}, {"state": "⊢ p"}]
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    assert list(corpus_texts(corpus_files([tmp_path]))) == ["import X", "theorem n : p", "⊢ p"]
    path.write_text('{"state": 3}')
    with pytest.raises(ValueError, match=r"x\.jsonl:1: Expected `str`"):
        list(corpus_texts([path]))


def test_what_cannot_be_read_is_an_error(tmp_path):
    (tmp_path / "x.md").write_text("text")
    with pytest.raises(ValueError, match=r"not one of \.lean, \.txt, \.jsonl"):
        corpus_files([tmp_path / "x.md"])
    with pytest.raises(ValueError, match="no such file"):
        corpus_files([tmp_path / "none"])
    with pytest.raises(ValueError, match="no text"):
        corpus_files([tmp_path])
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="not UTF-8"):
        list(corpus_texts(corpus_files([tmp_path])))


def test_about_the_share_asked_for_is_held_out_and_always_the_same():
    kept = [is_held_out(f"text {number}", 0.1) for number in range(5000)]
    assert 400 < sum(kept) < 600
    assert kept == [is_held_out(f"text {number}", 0.1) for number in range(5000)]


# --- the command ----------------------------------------------------------------------------------


def test_the_command_writes_tokenizer_and_report(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    config, out = ROOT / "configs/tokenizers/lean-4096.yaml", tmp_path / "out"
    arguments = ["tokenizer", str(config), "--out", str(out), "--set", "vocabulary=800"]
    assert cli.main(arguments) == 0
    report = json.loads((out / "report.json").read_text())
    assert json.loads(capsys.readouterr().out) == report
    found = load_tokenizer(out)
    assert report["hash"] == found.hash
    assert report["tokens"] == found.size == 800
    for part in ("trained on", "held out"):
        assert report[part]["texts"] > 10
        assert report[part]["bytes per token"] > 1.5
    assert cli.main(arguments) == 2
    assert "holds" in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted((ROOT / "configs/tokenizers").glob("*.yaml")), ids=str)
def test_every_shipped_configuration_loads(path):
    config = load_tokenizer_config(path)
    assert config.name == path.stem
    assert all((ROOT / corpus).exists() for corpus in config.corpora)


def test_mistakes_of_a_configuration_are_reported(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("name: x\nvocabulry: 3\ncorpora: []\n")
    with pytest.raises(ConfigError, match="did you mean vocabulary"):
        load_tokenizer_config(path)
