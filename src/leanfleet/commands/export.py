"""`leanfleet export`: weights in the layouts of others."""

from __future__ import annotations

import argparse
from pathlib import Path

from leanfleet.commands._options import add_parser

_EXAMPLES = """\
  leanfleet export hf runs/learn/weights/v12 exported     # for transformers, vllm and the like
  leanfleet export onnx runs/learn/weights/v12 exported   # for onnxruntime: exported/NAME-DATE/
  leanfleet export onnx WEIGHTS exported --check 200      # compared over 200 whole generations

WEIGHTS is a folder of ours, or a folder of the Llama, Qwen2 or Qwen3 families. `export hf` writes
config.json, model.safetensors, the tokenizer, and the value head in a file of its own. `export onnx`
writes model.onnx (float32, with its cache as inputs and outputs), tokenizer.json and config.json,
which describes both, into a new dated folder, and compares it with the network before it says so.
`leanfleet suggest` and `--policy` take that folder.
"""


def register(subparsers) -> None:
    parser = add_parser(subparsers, "export", "write weights in the layouts of others", _EXAMPLES)
    layouts = parser.add_subparsers(metavar="LAYOUT", required=True)
    hf = add_parser(layouts, "hf", "a folder that transformers loads", _EXAMPLES)
    hf.add_argument("weights", type=Path, metavar="WEIGHTS")
    hf.add_argument("out", type=Path, metavar="FOLDER", help="new or empty")
    hf.set_defaults(run=_hf)
    onnx = add_parser(layouts, "onnx", "a folder that onnxruntime runs", _EXAMPLES)
    onnx.add_argument("weights", type=Path, metavar="WEIGHTS")
    onnx.add_argument("out", type=Path, metavar="FOLDER", help="in which a dated one is made")
    onnx.add_argument(
        "--check",
        type=int,
        default=2,
        metavar="N",
        help="whole generations, to the end of the context, that must agree with the network "
        "(default 2; 0: none)",
    )
    onnx.set_defaults(run=_onnx)


def _hf(arguments: argparse.Namespace) -> int:
    from leanfleet.model.anyfolder import load_any
    from leanfleet.model.hf_config import family_of
    from leanfleet.model.hf_export import export_hf

    loaded = load_any(arguments.weights)
    export_hf(loaded.network, loaded.tokenizer, arguments.out)
    family = family_of(loaded.network.config)
    print(f"{arguments.out}: {family.architecture}, {loaded.parameters:,} parameters")
    return 0


def _onnx(arguments: argparse.Namespace) -> int:
    import torch

    from leanfleet.model import onnx_parity
    from leanfleet.model.anyfolder import load_any
    from leanfleet.model.onnx_folder import export_onnx
    from leanfleet.model.onnx_network import load_onnx

    if arguments.check < 0:
        raise ValueError(f"--check must be 0 or more, not {arguments.check}")
    loaded = load_any(arguments.weights, torch.float32)
    folder = export_onnx(loaded.network, loaded.tokenizer, arguments.out)
    print(f"{folder}: {loaded.parameters:,} parameters")
    if not arguments.check:
        return 0
    graph, _ = load_onnx(folder)
    found = onnx_parity.compare(loaded.network, graph, arguments.check)
    print(
        f"compared over {found.generations} whole generations ({found.tokens:,} tokens): "
        f"logits within {found.logits:.1e}, value logits within {found.value:.1e}"
    )
    if found.logits > onnx_parity.TOLERANCE:
        raise ValueError(
            f"{folder}: its logits differ from the network's by {found.logits:.1e}, more than "
            f"{onnx_parity.TOLERANCE:.0e}: do not use it"
        )
    return 0
