"""Every Python block of the README and the docs runs, and so does every `$ arproc` line.

The blocks of one page run one after another in one namespace, as a reader would type them, in a
temporary folder. A `console` block's other lines are output and are not compared.
"""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import pytest

from arproc.cli import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, int, str]]:
    """Kind, first line's number and text of each block."""
    text = page.read_text(encoding="utf-8")
    return [(m[1], text.count("\n", 0, m.start()) + 1, m[2]) for m in BLOCK.finditer(text)]


def run_python(page: Path, line: int, code: str, names: dict[str, object], folder: Path) -> None:
    # blank lines before it make a traceback's line numbers those of the page
    script = folder / f"{page.stem}.md.py"
    script.write_text("\n" * line + code, encoding="utf-8")
    names.update(runpy.run_path(str(script), init_globals=names))


def run_console(page: Path, line: int, text: str) -> None:
    for command in text.replace("\\\n", " ").splitlines():
        if not command.startswith("$ arproc "):
            continue
        with pytest.raises(SystemExit) as left:
            main(shlex.split(command)[2:])
        assert left.value.code == 0, f"{page.name}, block at line {line}: {command}"


@pytest.mark.filterwarnings("ignore:the standard errors of")
@pytest.mark.filterwarnings("ignore:Kneser-Ney:UserWarning")  # usual for characters
@pytest.mark.parametrize(
    "page", [p for p in PAGES if blocks(p)], ids=lambda p: str(p.relative_to(ROOT))
)
def test_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for kind, line, text in blocks(page):
        if kind == "python":
            run_python(page, line, text, names, tmp_path)
        else:
            run_console(page, line, text)


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} points to {target}"


def test_the_readme_has_blocks_to_run():
    assert {kind for kind, _, _ in blocks(ROOT / "README.md")} == {"python", "console"}
