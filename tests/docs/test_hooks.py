"""What git runs before a commit is what the test command runs before the tests."""

from __future__ import annotations

import re
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent.parent


def _programs(commands: list[str]) -> set[tuple[str, ...]]:
    """Each command's program, with its subcommand where it has one."""
    words = [command.split() for command in commands]
    return {tuple(word for word in line[:2] if re.fullmatch(r"[\w-]*\w", word)) for line in words}


def test_hooks_run_what_the_test_command_runs_first() -> None:
    run = re.findall(r"^    \.venv/bin/(?!python)(.+)$", (ROOT / "run").read_text(), re.MULTILINE)
    config = YAML(typ="safe").load(ROOT / ".pre-commit-config.yaml")
    hooks = [hook["entry"] for repo in config["repos"] for hook in repo["hooks"]]
    assert all(hook.startswith(".venv/bin/") for hook in hooks)
    assert _programs([hook.removeprefix(".venv/bin/") for hook in hooks]) == _programs(run)
