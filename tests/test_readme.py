"""The README names files that exist and commands that are there."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")


IS_PATH = re.compile(r"[\w.]+(/[\w.]+)*/|[\w./]+\.(py|sh|yaml|cfg|txt|md)")


def file_map() -> list[str]:
    """The paths of the file map: the first words of each line that are paths, under its folder."""
    block = README.split("## Files", 1)[1].split("```")[1]
    paths, folders = [], []
    for line in block.strip("\n").splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        for name in takewhile(IS_PATH.fullmatch, line.split()):
            folders[depth:] = [name.rstrip("/")]
            paths.append("/".join(folders) + ("/" if name.endswith("/") else ""))
    return paths


def test_the_file_map_names_what_exists():
    paths = file_map()
    assert len(paths) > 15
    for path in paths:
        found = ROOT / path
        assert found.is_dir() if path.endswith("/") else found.is_file(), path


def test_each_line_of_the_file_map_says_what_the_file_is():
    block = README.split("## Files", 1)[1].split("```")[1]
    for line in block.strip("\n").splitlines():
        assert len(line.split()) >= 3, line


def test_every_top_level_folder_and_tool_is_on_the_map():
    paths = file_map()
    for folder in ("configs", "hpc", "src", "tests", "tools"):
        assert any(path.startswith(f"{folder}/") for path in paths), folder
    for tool in [*(ROOT / "tools").glob("*.sh"), *(ROOT / "tools").glob("*.py")]:
        assert f"tools/{tool.name}" in paths


def test_its_commands_are_those_of_the_tools_folder():
    commands = re.findall(r"^bash (\S+)", README, re.MULTILINE)
    assert commands[:2] == ["tools/quickstart.sh", "tools/test.sh"]
    for command in commands:
        assert (ROOT / command).is_file()


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert "://" in target or (ROOT / target).exists(), target


def test_its_subcommands_exist():
    from leanfleet import cli

    shown = cli._parser().format_help()
    for name in re.findall(r"^(?:\.venv/bin/)?leanfleet (\w+)", README, re.MULTILINE):
        assert f"\n    {name} " in shown, name
