"""`leanfleet export`: weights in the layouts of others."""

from __future__ import annotations

import argparse
from pathlib import Path

from leanfleet.commands._options import add_parser

_EXAMPLES = """\
  leanfleet export hf runs/learn/weights/v12 exported     # for transformers, vllm and the like

WEIGHTS is a folder of ours, or a folder of the Llama, Qwen2 or Qwen3 families. `export hf` writes
config.json, model.safetensors, the tokenizer, and the value head in a file of its own.
"""


def register(subparsers) -> None:
    parser = add_parser(subparsers, "export", "write weights in the layouts of others", _EXAMPLES)
    layouts = parser.add_subparsers(metavar="LAYOUT", required=True)
    hf = add_parser(layouts, "hf", "a folder that transformers loads", _EXAMPLES)
    hf.add_argument("weights", type=Path, metavar="WEIGHTS")
    hf.add_argument("out", type=Path, metavar="FOLDER", help="new or empty")
    hf.set_defaults(run=_hf)


def _hf(arguments: argparse.Namespace) -> int:
    from leanfleet.model.anyfolder import load_any
    from leanfleet.model.hf_config import family_of
    from leanfleet.model.hf_export import export_hf

    loaded = load_any(arguments.weights)
    export_hf(loaded.network, loaded.tokenizer, arguments.out)
    family = family_of(loaded.network.config)
    print(f"{arguments.out}: {family.architecture}, {loaded.parameters:,} parameters")
    return 0
