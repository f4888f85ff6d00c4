"""`leanfleet tokenizer`: a vocabulary from the project's own texts, and how well it compresses."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from leanfleet.commands._options import add_overrides, add_parser

_EXAMPLES = """\
  leanfleet tokenizer configs/tokenizers/small.yaml --out runs/tokenizer
  leanfleet tokenizer configs/tokenizers/small.yaml --set 'corpora=[my/lean/files]' --out runs/t

Writes tokenizer.json and report.json into the folder; prints the report. The same texts give the
same tokenizer, and its hash travels with every network trained on it.
"""


def register(subparsers) -> None:
    parser = add_parser(subparsers, "tokenizer", "make a vocabulary from texts", _EXAMPLES)
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML of configs/tokenizers")
    parser.add_argument("--out", type=Path, metavar="FOLDER", required=True, help="new or empty")
    add_overrides(parser, "vocabulary=8192")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from leanfleet.model import folder as files
    from leanfleet.model.corpora import corpus_files, corpus_texts, is_held_out
    from leanfleet.model.tokenizer_config import load_tokenizer_config
    from leanfleet.model.tokenizer_file import FILE
    from leanfleet.model.tokenizer_train import compression, train_tokenizer

    config = load_tokenizer_config(arguments.config, arguments.overrides)
    found = corpus_files(config.corpora)
    files.new_folder(arguments.out)

    def texts(held_out: bool):
        return (
            text for text in corpus_texts(found) if is_held_out(text, config.held_out) == held_out
        )

    tokenizer = train_tokenizer(texts(False), config.vocabulary, config.min_frequency)
    report = {
        "name": config.name,
        "hash": tokenizer.hash,
        "tokens": tokenizer.size,
        "asked": config.vocabulary,
        "files": len(found),
    }
    for part, held_out in (("trained on", False), ("held out", True)):
        measured = compression(tokenizer, texts(held_out))
        report[part] = {
            "texts": measured.documents,
            "bytes": measured.bytes,
            "tokens": measured.tokens,
            "bytes per token": round(measured.bytes_per_token, 3),
            "characters per token": round(measured.characters_per_token, 3),
        }
    files.write_bytes(arguments.out / FILE, tokenizer.json())
    files.write_json(arguments.out / "report.json", report)
    print(json.dumps(report, indent=2, ensure_ascii=False))
    return 0
