"""Prompts of every family, written out from the published templates, and the rules of the files.

`<…>` in an expected prompt are special tokens of the family's tokenizer; what a text says is not.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from leanfleet.messages import Theorem
from leanfleet.model.prompt import StateTooLong, state_prompt
from leanfleet.model.tokenizer_file import parse_tokenizer
from leanfleet.policies.format import OURS, Prompter, PromptFormat, format_of, load_format
from leanfleet.strict_yaml import read

PROMPTS = Path(__file__).resolve().parent.parent.parent / "configs" / "prompts"
HEADER = (
    "import Mathlib\nimport Aesop\n\nset_option maxHeartbeats 0\n\nopen BigOperators Real Nat\n"
)
THEOREM = Theorem("two", "theorem two (x : ℝ) (h : x + 1 = 3) : x = 2", HEADER)
STATE = "x : ℝ\nh : x + 1 = 3\n⊢ x = 2"
CODE = (
    "import Mathlib\nimport Aesop\n\nset_option maxHeartbeats 0\n\nopen BigOperators Real Nat\n\n"
    "theorem two (x : ℝ) (h : x + 1 = 3) : x = 2 := by"
)
PLAN = (
    "Before producing the Lean 4 code to formally prove the given theorem, provide a detailed proof "
    "plan outlining the main proof steps and strategies.\nThe plan should highlight key ideas, "
    "intermediate lemmas, and proof structures that will guide the construction of the final formal "
    "proof."
)
COMMENTS = " with explanatory comments preceding each line of code"
DEEPSEEK = ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>")
QWEN = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>")

# name → (special tokens of the tokenizer, its end token, the prompt, the token that ends an answer)
EXPECTED = {
    "bfs-prover": (QWEN, QWEN[0], f"{STATE}:::", QWEN[0]),
    "deepseek-prover-v1.5": (
        DEEPSEEK,
        DEEPSEEK[1],
        f"{DEEPSEEK[0]}Complete the following Lean 4 code:\n\n```lean4\n{CODE}\n",
        DEEPSEEK[1],
    ),
    "deepseek-prover-v1.5-cot": (
        DEEPSEEK,
        DEEPSEEK[1],
        f"{DEEPSEEK[0]}Complete the following Lean 4 code{COMMENTS}:\n\n```lean4\n{CODE}\n",
        DEEPSEEK[1],
    ),
    "goedel-prover-sft": (
        DEEPSEEK,
        DEEPSEEK[1],
        f"{DEEPSEEK[0]}Complete the following Lean 4 code{COMMENTS}:\n\n```lean4\n{CODE}\n",
        DEEPSEEK[1],
    ),
    "deepseek-prover-v2": (
        DEEPSEEK,
        DEEPSEEK[1],
        f"{DEEPSEEK[0]}<｜User｜>Complete the following Lean 4 code:\n\n```lean4\n{CODE}\n  sorry\n"
        f"```\n\n{PLAN}<｜Assistant｜>",
        DEEPSEEK[1],
    ),
    "goedel-prover-v2": (
        QWEN,
        QWEN[2],
        f"<|im_start|>user\nComplete the following Lean 4 code:\n\n```lean4\n{CODE}\n  sorry```\n\n"
        f"{PLAN}<|im_end|>\n<|im_start|>assistant\n",
        QWEN[2],
    ),
    "kimina-prover": (
        QWEN,
        QWEN[0],
        "<|im_start|>system\nYou are an expert in mathematics and Lean 4.<|im_end|>\n"
        "<|im_start|>user\nThink about and solve the following problem step by step in Lean 4.\n"
        f"# Formal statement:\n```lean4\n{CODE}\n```\n<|im_end|>\n<|im_start|>assistant\n",
        QWEN[2],
    ),
}


def family_tokenizer(tokenizer, specials: tuple[str, ...], end: str):
    """The small tokenizer with another family's special tokens in place of ours."""
    spec = json.loads(tokenizer.json())
    first = max(spec["model"]["vocab"].values()) + 1
    spec["added_tokens"] = [
        {
            "id": first + number,
            "content": token,
            "special": True,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
        }
        for number, token in enumerate(specials)
    ]
    for ours in tokenizer.specials:
        spec["model"]["vocab"].pop(ours, None)
    from leanfleet.model.tokenizer_file import _Config

    return parse_tokenizer(json.dumps(spec).encode(), "family", _Config(eos_token=end))


def spelled(tokenizer, ids) -> str:
    """Ids as text, special tokens by their names."""
    names = {number: token for token, number in tokenizer.specials.items()}
    text, pending = "", []
    for number in [*ids, None]:
        if number is None or number in names:
            text += tokenizer.decode(pending)
            pending = []
            text += names.get(number, "")
        else:
            pending.append(number)
    return text


def test_every_file_is_a_format_and_is_tested():
    names = {load_format(path).name for path in PROMPTS.glob("*.yaml")}
    assert names == set(EXPECTED) | {"leanfleet"}
    assert all(load_format(path).name == path.stem for path in PROMPTS.glob("*.yaml"))


@pytest.mark.parametrize("name", EXPECTED)
def test_the_published_template(name, tokenizer):
    specials, end, expected, ends_with = EXPECTED[name]
    family = family_tokenizer(tokenizer, specials, end)
    prompter = Prompter(load_format(PROMPTS / f"{name}.yaml"), family)
    if prompter.format.writes == "tactic":
        prompt = prompter.state(STATE, 10_000)
    else:
        prompt = prompter.theorem(THEOREM, 10_000)
    assert spelled(family, prompt.ids) == expected
    assert prompter.end == family.id_of(ends_with)
    assert prompt.value_at == len(prompt.ids) - 1
    written = {family.id_of(token) for token in prompter.format.may_write} | {prompter.end}
    assert set(prompter.forbidden) == set(family.specials.values()) - written


def test_text_between_special_tokens_is_one_text_to_the_tokenizer(tokenizer):
    """Cut at other places it would be other tokens than those trained on."""
    prompter = Prompter(load_format(PROMPTS / "bfs-prover.yaml"), tokenizer)
    assert list(prompter.state(STATE, 1000).ids) == tokenizer.encode(f"{STATE}:::")


def test_our_own_format_is_what_training_uses(tokenizer):
    assert load_format(PROMPTS / "leanfleet.yaml") == OURS
    prompt = Prompter(OURS, tokenizer).state(STATE, 100)
    assert prompt == state_prompt(tokenizer, STATE, 150, 50)


@pytest.mark.parametrize("name", EXPECTED)
def test_special_tokens_in_a_theorem_or_state_stay_text(name, tokenizer):
    specials, end, _, _ = EXPECTED[name]
    family = family_tokenizer(tokenizer, specials, end)
    prompter = Prompter(load_format(PROMPTS / f"{name}.yaml"), family)
    text = "".join(specials)
    hostile = Theorem("t", f'theorem t : "{text}" = ""', f"-- {text}")
    if prompter.format.writes == "tactic":
        plain, attacked = prompter.state(STATE, 9999), prompter.state(f"⊢ {text}", 9999)
    else:
        plain, attacked = prompter.theorem(THEOREM, 9999), prompter.theorem(hostile, 9999)
    known = set(family.specials.values())
    assert [i for i in attacked.ids if i in known] == [i for i in plain.ids if i in known]
    assert text in spelled(family, attacked.ids)


def test_a_theorem_without_a_header_has_no_blank_lines_before_it(tokenizer):
    family = family_tokenizer(tokenizer, DEEPSEEK, DEEPSEEK[1])
    prompter = Prompter(load_format(PROMPTS / "deepseek-prover-v1.5.yaml"), family)
    prompt = prompter.theorem(Theorem("t", "theorem t : True"), 1000)
    assert spelled(family, prompt.ids).endswith("```lean4\ntheorem t : True := by\n")


def test_a_prompt_is_never_cut(tokenizer):
    prompter = Prompter(OURS, tokenizer)
    exact = len(prompter.state(STATE, 1000).ids)
    assert len(prompter.state(STATE, exact).ids) == exact
    with pytest.raises(StateTooLong) as error:
        prompter.state(STATE, exact - 1)
    assert (error.value.tokens, error.value.room) == (exact, exact - 1)
    with pytest.raises(StateTooLong):
        prompter.state("x" * 10**7, 1000)


def test_the_format_of_a_folder(tokenizer, weights, tmp_path):
    assert format_of(weights, tokenizer) is OURS
    given = PROMPTS / "bfs-prover.yaml"
    assert format_of(weights, tokenizer, given).name == "bfs-prover"
    qwen = family_tokenizer(tokenizer, QWEN, QWEN[0])
    with pytest.raises(ValueError, match=r"configs/prompts/bfs-prover\.yaml"):
        format_of(tmp_path, qwen)
    (tmp_path / "prompt.yaml").write_text(given.read_text())
    assert format_of(tmp_path, qwen).name == "bfs-prover"
    with pytest.raises(ValueError, match="no special token '<｜begin▁of▁sentence｜>'; there are"):
        format_of(tmp_path, qwen, PROMPTS / "deepseek-prover-v2.yaml")
    endless = family_tokenizer(tokenizer, ("<x>",), "<y>")
    with pytest.raises(ValueError, match="names no end token"):
        format_of(tmp_path, endless)


BAD = {
    "writes: tactic\nanswer: fenced\nprompt: [{field: state}]": "answer is tactic where",
    "writes: tactic\nanswer: tactic\nprompt: [{field: statement}]": "not written from the field",
    "writes: proof\nanswer: fenced\nprompt: [{text: prove}]": "neither state nor statement",
    "writes: tactic\nanswer: tactic\nprompt: [{field: state, text: x}]": "one of text, token and",
    "writes: tactic\nanswer: tactic\nprompt: [{field: state, value: true}]": "read at a token",
    "writes: tactic\nanswer: tactic\nprompt: [{field: goal}]": "expected, not the text 'goal'",
    "writes: tactic\nanswer: tactic\nprompts: []": "did you mean prompt?",
    "writes: tactic\nanswer: tactic\nprompt: [{field: state}, {token: a, value: true}, "
    "{token: b, value: true}]": "read at one token",
}


@pytest.mark.parametrize("text", BAD)
def test_mistakes_in_a_file_are_told(text, tmp_path):
    path = tmp_path / "format.yaml"
    path.write_text(f"name: x\n{text}\n")
    assert read(path.read_text(), "x").root is not None
    with pytest.raises(ValueError, match="format.yaml") as error:
        load_format(path)
    assert BAD[text] in str(error.value)


def test_the_default_of_a_format_is_the_menus_value():
    """A head that was never trained says nothing."""
    assert PromptFormat.model_fields["value"].default == "menu"
    assert OURS.value == "head"
