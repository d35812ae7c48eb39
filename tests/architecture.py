"""Writes ARCHITECTURE.md: the prose below and a tree made from the modules' captions."""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("app", "policies", "twin")
PROSE = ROOT / "docs" / "architecture.md"


def caption(path: Path) -> str:
    """Return the first line of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.splitlines()[0] if text else ""


def tree(folder: Path, indent: str = "") -> list[str]:
    """Return the lines of a folder: its modules, then its folders, each with its caption."""
    lines = []
    for path in sorted(folder.glob("*.py")):
        if path.name != "__init__.py":
            lines.append(f"{indent}{path.name:<{max(1, 30 - len(indent))}} {caption(path)}")
    for child in sorted(item for item in folder.iterdir() if (item / "__init__.py").is_file()):
        lines.append(f"{indent}{child.name + '/':<{max(1, 30 - len(indent))}} {caption(child / '__init__.py')}")
        lines.extend(tree(child, indent + "  "))
    return lines


def render() -> str:
    """Return the whole page."""
    blocks = []
    for name in PACKAGES:
        blocks.append(f"{name + '/':<30} {caption(ROOT / name / '__init__.py')}")
        blocks.extend(tree(ROOT / name, "  "))
    return PROSE.read_text(encoding="utf-8").replace("<!-- tree -->", "```text\n" + "\n".join(blocks) + "\n```")


if __name__ == "__main__":
    sys.stdout.write(render())
