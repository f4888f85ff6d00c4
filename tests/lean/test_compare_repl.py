"""The table of differences between the registry Lean and a native one is made, not written."""

import importlib.util
import sys

import pytest


@pytest.fixture(scope="module")
def tool(root):
    spec = importlib.util.spec_from_file_location("compare_repl", root / "tools/compare_repl.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_requests_are_joined_lines_between_empty_ones(tool):
    """As the REPL reads them: a line break in the file is none in the text."""
    text = '{"cmd": "a\\n\nb"}\n\n{"tactic": "rfl",\n "proofState": 0}\n \n\n'
    assert tool.read_requests(text) == [{"cmd": "a\nb"}, {"tactic": "rfl", "proofState": 0}]


def test_answers_are_json_values_in_a_row(tool):
    assert tool.read_answers('{"env": 0}\n\n{"goals":\n []}\n') == [{"env": 0}, {"goals": []}]


def test_a_byte_span_becomes_lines_and_columns_of_characters(tool):
    text = "theorem ∀\n  ∃ sorry"
    begin = text.encode().index(b"sorry")
    found = tool._span(text, {"position": [begin, begin + 5]})
    assert found == ({"line": 2, "column": 4}, {"line": 2, "column": 9})


def test_left_out_conversations_have_a_reason(tool, tmp_path):
    for name in ("calc.in", "calc.expected.out", "file.in", "pickle_x.in", "silent.in"):
        (tmp_path / name).write_text("")
    assert tool.left_out(tmp_path) == {
        "file": tool.LEFT_OUT["file"],
        "pickle_x": tool.LEFT_OUT["pickle"],
        "silent": tool.NO_ANSWER,
    }


def test_every_kind_of_difference_in_the_page_has_a_reason(tool):
    """The page of an invented comparison: an unknown kind is called so, not hidden."""
    result = tool.Comparison("invented", requests=1)
    result.compared["goals"] = 2
    result.differences.append(tool.Difference(1, "goals", "unexplained", "⊢ p", "⊢ q"))
    page = tool.render([result], {"file": "no file"}, "Lean 0")
    assert "| invented | 1 | 1/2 | · | · | · | · | unexplained |" in page
    assert tool.KINDS["unexplained"] in page
    assert "| file | no file |" in page


def test_a_folder_without_recordings_is_the_users_mistake(tool, tmp_path, capsys, registry_lean):
    assert tool.main([str(tmp_path)]) == 2
    assert "no recorded conversations" in capsys.readouterr().err


@pytest.mark.needs("registry_lean")
async def test_the_committed_page_is_what_the_tool_says(tool, root, testdata):
    folder = testdata / "repl-transcripts"
    if not folder.is_dir():
        pytest.skip(f"no recorded conversations in {folder}")
    page = await tool.make_page(folder)
    committed = (root / "docs/registry-vs-native.md").read_text("utf-8")
    assert page == committed, "run tools/compare_repl.py with --out docs/registry-vs-native.md"
    assert "unexplained" not in page
