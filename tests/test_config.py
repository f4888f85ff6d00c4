"""Configuration: strict, all mistakes together, the traps of YAML guarded."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanfleet import strict_yaml
from leanfleet.config import (
    ConfigError,
    Experiment,
    Section,
    TheoremConfig,
    dump_config,
    load_config,
    load_site,
    parse,
    parse_config,
)
from leanfleet.rl.config import RunConfig, load_run_config
from leanfleet.train.learn_config import load_learn_config

CONFIGS = Path(__file__).resolve().parent.parent / "configs"


def mistakes(text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "x.yaml", overrides)
    return [str(mistake) for mistake in caught.value.mistakes]


# --- shipped files --------------------------------------------------------------------------------


RUNS = sorted(CONFIGS / name for name in ("learn.yaml", "quickstart.yaml"))
EXPERIMENTS = sorted(set(CONFIGS.glob("*.yaml")) - set(CONFIGS.glob("learn-*.yaml")) - set(RUNS))
LEARNING = sorted(CONFIGS.glob("learn-*.yaml"))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.name)
def test_every_shipped_experiment_loads(path):
    assert load_config(path).name == path.stem


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.name)
def test_every_shipped_run_loads_and_its_resolved_configuration_reloads_identically(path):
    config = load_run_config(path)
    assert config.name == path.stem
    assert parse(RunConfig, dump_config(config), "resolved") == config
    if config.smoke:
        assert load_run_config(path, config.smoke) != config


@pytest.mark.parametrize("path", LEARNING, ids=lambda path: path.name)
def test_every_shipped_learning_experiment_loads_also_as_its_smoke(path):
    config = load_learn_config(path)
    assert config.name == path.stem
    assert load_learn_config(path, config.smoke) != config


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("sites/*.yaml")), ids=lambda path: path.name)
def test_every_shipped_site_loads(path):
    assert load_site(path).name == path.stem


def test_the_examples_are_two_dozen_theorems_of_several_kinds():
    theorems = load_config(CONFIGS / "examples.yaml").theorems
    assert len(theorems) >= 24
    assert len({entry.source for entry in theorems}) >= 6
    assert any("def " in entry.header for entry in theorems)


# --- mistakes -------------------------------------------------------------------------------------


def test_all_mistakes_are_reported_together_each_with_its_line():
    text = """\
name: x
lean:
  proceses: 2
  seconds: soon
  recycle_steps: 10
  recycle_steps: 20
prove: [1]
theorems:
  - statement: "theorem a : True"
    hedaer: import Std
  - statement: "def a := 1"
"""
    assert mistakes(text, "lean.driver=nativ") == [
        "x.yaml:3: lean.proceses: unknown key; did you mean processes?",
        "x.yaml:4: lean.seconds: a number expected, not the text 'soon'",
        "x.yaml:6: lean.recycle_steps: given twice (first on line 5)",
        "x.yaml:7: prove: a mapping of keys expected, not a list",
        "x.yaml:10: theorems.0.hedaer: unknown key; did you mean header?",
        "x.yaml:11: theorems.1.statement: a statement begins with `theorem NAME` (or lemma), "
        "this one with “def a := 1”",
        "--set lean.driver=nativ: lean.driver: 'auto', 'native', 'registry' or 'fake' expected, "
        "not the text 'nativ'",
    ]


def test_a_key_that_resembles_nothing_gets_the_list_of_valid_ones():
    (mistake,) = mistakes("name: x\nlean: {native: {qqq: 1}}")
    assert mistake.endswith("unknown key; valid here: toolchain, repl, project")


def test_1e_4_is_a_number():
    assert parse_config("name: x\nlean: {seconds: 1e-4}", "x").lean.seconds == 0.0001


@pytest.mark.parametrize("model, section", [(Experiment, "lean"), (RunConfig, "hub")])
def test_a_lease_that_would_have_to_be_renewed_all_the_time_is_refused(model, section):
    with pytest.raises(ConfigError, match=f"{section}.lease_seconds: .*1"):
        parse(model, f"name: x\n{section}: {{lease_seconds: 1e-9}}", "x")


@pytest.mark.parametrize("word, boolean", [("no", "false"), ("off", "false"), ("Yes", "true")])
def test_no_is_text_and_where_a_boolean_is_wanted_the_message_says_what_to_write(word, boolean):
    assert parse_config(f"name: {word}", "x").name == word

    class Switch(Section):
        enabled: bool

    with pytest.raises(ConfigError, match=f"the text '{word}': write {boolean}"):
        parse(Switch, f"enabled: {word}", "x")
    assert parse(Switch, f"enabled: {boolean}", "x").enabled is (boolean == "true")


@pytest.mark.parametrize(
    "text, said",
    [
        ("name: 12", "name: text (quote it) expected, not the number 12"),
        ("seed: 1", "name: missing"),
        ("name: x\nseed: 010", "seed: a whole number expected, not the text '010'"),
        ("name: x\nseed: 1.0", "seed: a whole number, without a point or exponent, expected"),
        ("name: x\nseed: true", "seed: a whole number expected, not true"),
        ("name: x\nseed: -1", "greater than or equal to 0"),
        ("name: x\nlean: {seconds: .inf}", "a finite number"),
        ("name: ../x", "does not fit the pattern"),
        ("name: x\n12: y", "the key 12 is no text"),
        ("name: x\nlean: {allow: ['two words']}", "lean.allow.0"),
        ("name: !!python/object/apply:os.system [ls]", "tags such as"),
        ("name: !!str x", "tags such as"),
        ("name: [", "not YAML"),
        ("name: *nobody", "unknown alias"),
        ("name: x\n---\nname: y", "a second document"),
        ("- 1\n- 2", "not a mapping of keys"),
        ('name: "\\ud800"', "surrogate"),
        ("name: " + "[" * 5000, "nested deeper"),
        ("# " + "x" * 600_000, "larger than 512 KiB"),
        (
            "theorems:\n- statement: 'theorem a : True'\n- statement: 'lemma a : True'\nname: x",
            "used by more than one theorem: a",
        ),
    ],
)
def test_bad_input_is_explained(text, said):
    assert any(said in mistake for mistake in mistakes(text))


def test_nested_aliases_do_not_fill_the_memory():
    text = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    for above, name in zip("abcdefgh", "bcdefghi", strict=True):
        text += f"{name}: &{name} [{', '.join(['*' + above] * 10)}]\n"
    assert any("more than 100,000 values" in mistake for mistake in mistakes(text))


def test_anchors_and_merge_keys_work():
    text = """\
name: x
lean: {native: &here {repl: /opt/repl, project: /opt/project}}
"""
    override = "lean.native.project=/home/me"
    assert parse_config(text, "x", [override]).lean.native.project == "/home/me"
    document = strict_yaml.read("a: &a {b: 1, c: 2}\nd:\n  <<: *a\n  c: 3\n", "x")
    assert document.root.plain()["d"] == {"b": 1, "c": 3}


@pytest.mark.parametrize(
    "content, said",
    [
        (None, "No such file"),
        (b"name: \xff", "not UTF-8: byte 0xff at offset 6"),
        (b"", "name: missing"),
        (b"name: \x00", "not YAML"),
    ],
)
def test_unreadable_files_are_explained(tmp_path, content, said):
    path = tmp_path / "x.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        load_config(path)


# --- overrides ------------------------------------------------------------------------------------


def test_overrides_replace_values_add_sections_and_reach_into_lists():
    text = "name: x\ntheorems: [{statement: 'theorem a : True'}]"
    config = parse_config(
        text, "x", ["lean.seconds=1e-2", "theorems.0.header=import Std", "lean.allow=[A.b]"]
    )
    assert config.lean.seconds == 0.01
    assert config.lean.allow == ("A.b",)
    assert config.theorems[0].theorem().header == "import Std"


@pytest.mark.parametrize(
    "override, said",
    [
        ("lean.processes", "expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("lean.procesess=3", "did you mean processes?"),
        ("name.x=3", "'x' has no key x"),
        ("theorems.4.header=3", "lean"),
        ("lean.seconds=[", "not YAML"),
    ],
)
def test_bad_overrides_are_explained(override, said):
    (mistake,) = mistakes("name: x", override)
    assert mistake.startswith(f"--set {override}: ")
    assert said in mistake or "theorems" in override


# --- the resolved file ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.name)
def test_the_resolved_configuration_reloads_identically(path):
    config = load_config(path)
    assert parse_config(dump_config(config), "resolved") == config


@given(
    header=st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")),
    seconds=st.floats(min_value=1e-300, max_value=3600),
)
def test_any_text_and_number_survives(header, seconds):
    entry = TheoremConfig(statement="theorem a : True", header=header)
    config = Experiment(name="x", theorems=(entry,))
    config = config.model_copy(update={"lean": config.lean.model_copy(update={"seconds": seconds})})
    assert parse_config(dump_config(config), "resolved") == config


@given(st.text(alphabet="0123456789.eExX_-+:nyo~ftru #'\"&*!|>%@`{}[],?\n\tλ", max_size=12))
def test_what_is_written_is_read_back(text):
    document = strict_yaml.read(strict_yaml.write({"key": [text, {"k": text}]}), "x")
    assert document.mistakes == []
    assert document.root.plain() == {"key": [text, {"k": text}]}


@pytest.mark.parametrize(
    "text, value",
    [
        ("1e-4", 1e-4), ("-.5E+3", -500.0), ("1.", 1.0), ("0x1F", 31), ("-12", -12), ("0", 0),
        ("~", None), ("true", True), ("no", "no"), ("on", "on"), ("010", "010"), ("1_0", "1_0"),
        ("1:30", "1:30"), ("2001-01-01", "2001-01-01"), (".", "."), ("e4", "e4"), ("-", "-"),
        (".inf", math.inf), ("=", "="),
    ],
)  # fmt: skip
def test_scalars_mean_what_they_look_like(text, value):
    found = strict_yaml.scalar(text)
    assert (found, type(found)) == (value, type(value))
