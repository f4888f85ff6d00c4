"""The generation engine beside `transformers`' `generate`, on recorded proof states.

The network is configs/models/tiny.yaml with weights drawn from a seed, changed so that a sample ends
after a token with probability 1/12, as short tactics do; the peer loads the same weights from an
exported folder. Both have the same cap. The peer has its dynamic cache and the batching that is
fastest in a trial: 32 states, sorted by length, in one call or in several. Each of the two has one
thread or all of torch's, whichever is faster in a trial: so small a network often loses by a second
one, and above all beside other work. Cases:

- tactics per second at 32 states × 8 samples and at 1 state × 8, prompts included;
- decoding at 1 × 8 on one thread: bytes of weights per second, beside reading as many from memory;
- prompts on one thread: operations of the layers' matrices per second, beside a large product;
- samples that are the same, to the last bit of their log-probability, whatever batch they ran in; in
  bfloat16: that are the same token by token.

On a machine with a GPU the first two are measured on it as well, in bfloat16, with the share of
samples that are the same token by token; CUDA graphs are not used.
"""

from __future__ import annotations

import copy
import itertools
import math
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import Options, Row, row
from benchmarks.states import states
from leanfleet.model.config import load_model_config
from leanfleet.model.engine.decode import Decoder
from leanfleet.model.engine.engine import Engine, Limits
from leanfleet.model.engine.prefill import prefill
from leanfleet.model.engine.request import Answer, Request
from leanfleet.model.hf_export import export_hf
from leanfleet.model.initialise import new_network
from leanfleet.model.network import Network
from leanfleet.model.prompt import Prompt, StateTooLong, state_prompt
from leanfleet.model.tokenizer import Tokenizer
from leanfleet.model.tokenizer_train import train_tokenizer

_ROOT = Path(__file__).resolve().parent.parent.parent
_MODEL = _ROOT / "configs" / "models" / "tiny.yaml"
SAMPLES = 8
LONGEST = 32  # tokens of a sample, at most
_BATCHES = (1, 8, 32)  # states in a call of the peer
_END = 1 / 12  # probability, after each token
STATES = 32  # at once
_TRIALS = 4  # batches by which a way is chosen
_FEWEST_ROUNDS = 3
_PEER = "transformers generate"
_SHARED_STATES = 48


@dataclass(frozen=True)
class _Setting:
    """One network on one device, and the peer's."""

    network: Network
    peer: Any
    tokenizer: Tokenizer
    prompts: list[Prompt]

    @property
    def device(self) -> torch.device:
        return self.network.embedding.weight.device

    def in_half(self) -> _Setting:
        """The network in bfloat16, without a peer."""
        half = copy.deepcopy(self.network).to(torch.bfloat16)
        return _Setting(half, None, self.tokenizer, self.prompts)

    @property
    def name(self) -> str:
        weight = self.network.embedding.weight
        kind = str(weight.dtype).removeprefix("torch.")
        return f"{self.network.config.name}, {weight.device.type} {kind}"


def run(options: Options) -> list[Row]:
    texts = states()
    _threads()  # before anything changes torch's own choice
    tokenizer = train_tokenizer(texts, 4096)
    network = _ending(new_network(load_model_config(_MODEL), seed=1).eval(), tokenizer)
    prompts = _prompts(tokenizer, texts, network.config.context)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        export_hf(network, tokenizer, Path(folder) / "weights")
        setting = _Setting(network, _peer(Path(folder) / "weights"), tokenizer, prompts)
        rows += [_speed(setting, count, options.seconds) for count in (1, STATES)]
        torch.set_num_threads(1)
        rows += [_decoding(setting, options.seconds), _prefill(setting, options.seconds)]
        rows += [_same(setting, exact=True), _same(setting.in_half(), exact=False)]
    if not torch.cuda.is_available():
        print("no GPU here: nothing was measured on one", file=sys.stderr)
        return rows
    network, peer = (each.to("cuda", torch.bfloat16) for each in (network, setting.peer))
    setting = _Setting(network, peer, tokenizer, prompts)
    rows += [_speed(setting, count, options.seconds) for count in (1, STATES)]
    return [*rows, _same(setting, exact=False)]


@torch.no_grad()
def _ending(network: Network, tokenizer: Tokenizer) -> Network:
    """All tokens but the end stay about as likely: the residual stream points along one axis."""
    vocabulary, width = network.embedding.weight.shape
    network.embedding.weight[:, 0] = 1.0
    odds = math.log(_END / (1 - _END) * vocabulary)
    network.embedding.weight[tokenizer.roles.end, 0] += odds / math.sqrt(width)
    return network


def _prompts(tokenizer: Tokenizer, texts: list[str], context: int) -> list[Prompt]:
    found = []
    for text in texts:
        try:
            found.append(state_prompt(tokenizer, text, context, LONGEST))
        except StateTooLong:
            continue
    if len(found) < len(texts):
        print(f"{len(texts) - len(found)} states do not fit and are left out", file=sys.stderr)
    return found


def _peer(folder: Path) -> Any:
    import transformers

    transformers.logging.set_verbosity_error()
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


# --- tactics per second ---------------------------------------------------------------------------


def _speed(setting: _Setting, count: int, seconds: float) -> Row:
    """`count` states at once. Each side's way is chosen by a trial, then they take turns."""
    engine = _engine(setting, count)
    answer = partial(_ours, setting, engine)
    trial = _chunks(setting.prompts[-STATES:], count)[:_TRIALS]
    our_threads = max(_threads(), key=lambda n: _trial(n, trial, answer))
    peer_threads, batch = max(
        ((n, size) for n in _threads() for size in _BATCHES if size <= count),
        key=lambda way: _trial(way[0], trial, partial(_theirs, setting, way[1])),
    )
    ours, peers = [], []
    batches = itertools.cycle(_chunks(setting.prompts, count))
    end = time.perf_counter() + seconds
    while len(ours) < _FEWEST_ROUNDS or time.perf_counter() < end:
        # One state is too short to be timed alone.
        asked = [next(batches) for _ in range(max(1, 4 // count))]
        ours.append(_rate(our_threads, asked, answer))
        peers.append(_rate(peer_threads, asked, partial(_theirs, setting, batch)))
    case = f"{setting.name}: {count} × {SAMPLES} samples, at most {LONGEST} tokens"
    case += f", threads: {our_threads}"
    peer = f"{_PEER}, states a call: {batch}, threads: {peer_threads}"
    return row("policy", case, "tactics/s", ours, peer, peers, higher_is_better=True)


@cache
def _threads() -> tuple[int, ...]:
    """What there is to choose from: one, or as many as torch takes by itself."""
    return tuple(sorted({1, torch.get_num_threads()}))


def _trial(
    threads: int, asked: list[list[Prompt]], answer: Callable[[list[Prompt]], None]
) -> float:
    """A rate to choose by: warm, and the best of three, since what disturbs only slows down."""
    _rate(threads, asked[:1], answer)
    return max(_rate(threads, asked, answer) for _ in range(3))


def _rate(threads: int, asked: list[list[Prompt]], answer: Callable[[list[Prompt]], None]) -> float:
    torch.set_num_threads(threads)
    began = time.perf_counter()
    for prompts in asked:
        answer(prompts)
    return SAMPLES * sum(map(len, asked)) / (time.perf_counter() - began)


def _chunks(prompts: list[Prompt], size: int) -> list[list[Prompt]]:
    return [prompts[at : at + size] for at in range(0, len(prompts) - size + 1, size)]


def _engine(setting: _Setting, count: int) -> Engine:
    limits = Limits(lanes=count, width=SAMPLES, longest=LONGEST, cache_tokens=0)
    end = setting.tokenizer.roles.end
    assert end is not None
    return Engine(setting.network, end, limits)


def _requests(prompts: list[Prompt]) -> list[Request]:
    return [
        Request(prompt.ids, prompt.value_at, SAMPLES, LONGEST, seed)
        for seed, prompt in enumerate(prompts)
    ]


def _ours(setting: _Setting, engine: Engine, prompts: list[Prompt]) -> None:
    for request in _requests(prompts):
        engine.submit(request)
    engine.run()


@torch.inference_mode()
def _theirs(setting: _Setting, batch: int, prompts: list[Prompt]) -> None:
    roles = setting.tokenizer.roles
    ordered = sorted(prompts, key=lambda prompt: len(prompt.ids))
    for at in range(0, len(ordered), batch):
        part = ordered[at : at + batch]
        longest = max(len(prompt.ids) for prompt in part)
        padded = [[roles.pad] * (longest - len(each.ids)) + list(each.ids) for each in part]
        tokens = torch.tensor(padded)
        lengths = torch.tensor([[len(each.ids)] for each in part])
        mask = (torch.arange(longest) >= longest - lengths).long()
        setting.peer.generate(
            input_ids=tokens.to(setting.device),
            attention_mask=mask.to(setting.device),
            do_sample=True,
            top_k=0,
            num_return_sequences=SAMPLES,
            max_new_tokens=LONGEST,
            eos_token_id=roles.end,
            pad_token_id=roles.pad,
        )


# --- fractions of what the machine can do ---------------------------------------------------------


def _decoding(setting: _Setting, seconds: float) -> Row:
    """A step reads every weight once, but the embedding's rows; the cache is small beside them."""
    size = sum(weight.numel() * weight.element_size() for weight in setting.network.parameters())
    memory = torch.ones(size // 4)
    ours, limits = [], []
    end = time.perf_counter() + seconds / 2
    for prompt in itertools.cycle(setting.prompts):
        engine = _engine(setting, 1)
        engine.submit(_requests([prompt])[0])
        engine.step()  # the prompt
        began, steps = time.perf_counter(), 0
        while engine.busy:
            engine.step()
            steps += 1
        ours.append(steps * size / (time.perf_counter() - began) / 1e9)
        began = time.perf_counter()
        for _ in range(20):
            memory.sum()
        limits.append(20 * size / (time.perf_counter() - began) / 1e9)
        if len(ours) >= _FEWEST_ROUNDS and time.perf_counter() > end:
            break
    case = f"{setting.name}: weights read, decoding 1 × {SAMPLES}, one thread"
    return row("policy", case, "GB/s", ours, "reading memory", limits, higher_is_better=True)


def _prefill(setting: _Setting, seconds: float) -> Row:
    """Operations of the layers' matrices; norms, attention and padding are left out."""
    blocks = setting.network.blocks.parameters()
    operations = 2 * sum(weight.numel() for weight in blocks if weight.ndim == 2)
    decoder = Decoder(setting.network)
    size = 1024
    left, right = torch.ones(size, size), torch.ones(size, size)
    ours, limits = [], []
    end = time.perf_counter() + seconds / 2
    for prompts in itertools.cycle(_chunks(setting.prompts, STATES)):
        began = time.perf_counter()
        prefill(decoder, prompts)
        tokens = sum(len(prompt.ids) for prompt in prompts)
        ours.append(tokens * operations / (time.perf_counter() - began) / 1e9)
        began = time.perf_counter()
        torch.mm(left, right)
        limits.append(2 * size**3 / (time.perf_counter() - began) / 1e9)
        if len(ours) >= _FEWEST_ROUNDS and time.perf_counter() > end:
            break
    case = f"{setting.name}: prompts, one thread"
    peer = f"a product of {size} × {size}"
    return row("policy", case, "GFLOP/s", ours, peer, limits, higher_is_better=True)


# --- batches --------------------------------------------------------------------------------------


def _same(setting: _Setting, exact: bool) -> Row:
    """% of samples that three other batchings give alike."""
    asked = _requests(setting.prompts[:_SHARED_STATES])
    alone = [_answers(setting, 1, [request])[0] for request in asked]
    shuffled = list(range(len(asked)))
    random.Random(1).shuffle(shuffled)
    shares = []
    for lanes, order in (
        (len(asked), range(len(asked))),
        (7, range(len(asked))),
        (STATES, shuffled),
    ):
        found = _answers(setting, lanes, [asked[number] for number in order])
        pairs = [
            (one, other)
            for number, answer in zip(order, found, strict=True)
            for one, other in zip(_samples(alone[number]), _samples(answer), strict=False)
        ]
        same = sum(one == other if exact else one[0] == other[0] for one, other in pairs)
        shares.append(100.0 * same / sum(len(answer.samples) for answer in alone))
    case = f"{setting.name}: samples the same in every batch"
    limits = [100.0] * len(shares)
    return row("policy", case, "%", shares, "all of them", limits, higher_is_better=True)


def _answers(setting: _Setting, lanes: int, asked: list[Request]) -> list[Answer]:
    engine = _engine(setting, lanes)
    names = [engine.submit(request) for request in asked]
    done = engine.run()
    return [done[name] for name in names]


def _samples(answer: Answer) -> list[tuple[tuple[int, ...], float]]:
    return [(sample.ids, sample.log_probability) for sample in answer.samples]
