"""A version of the weights that its learner drops while a policy server opens it."""

from __future__ import annotations

import shutil

import pytest
from networks import CONFIG, save_weights

from leanfleet.policies import weights
from leanfleet.policies.format import FILE
from leanfleet.policies.versions import versions
from leanfleet.policies.weights import open_weights
from leanfleet.rl.published import thin_out


@pytest.mark.parametrize("dropped", ["before it is read", "before its prompt format is"])
def test_the_newer_one_is_opened(tokenizer, tmp_path, monkeypatch, root, dropped):
    """Its own prompt format, too: ours in place of a missing one would be asked in silence."""
    after = "locate" if dropped == "before it is read" else "load"
    real, own = getattr(weights, after), root / "configs" / "prompts" / "leanfleet.yaml"
    for version in (1, 2):
        shutil.copyfile(own, save_weights(tmp_path / f"v{version}", tokenizer) / FILE)
    (tmp_path / "v2").rename(tmp_path / "later")

    def slow(*words):
        found = real(*words)
        if (tmp_path / "later").exists():
            (tmp_path / "later").rename(tmp_path / "v2")
            thin_out(tmp_path, keep=1)
        return found

    monkeypatch.setattr(weights, after, slow)
    opened = open_weights(tmp_path, CONFIG)
    assert (opened.engine.version, opened.name) == (2, "v2")
    assert versions(tmp_path).keys() == {2}


def test_what_is_wrong_with_the_only_one_is_said(tokenizer, tmp_path, monkeypatch):
    (save_weights(tmp_path / "v1", tokenizer) / "config.json").unlink()
    looks, real = [], weights.locate
    monkeypatch.setattr(weights, "locate", lambda folder: looks.append(folder) or real(folder))
    with pytest.raises(ValueError, match=r"v1: no config\.json"):
        open_weights(tmp_path, CONFIG)
    assert len(looks) == 2
