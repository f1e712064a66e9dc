"""The commands and programs that stand in the pages: what a reader would type."""

import re
import shlex
from pathlib import Path
from string import Template

import docutils.core
from docutils import nodes

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.rst", "CONTRIBUTING.rst", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.rst"))]
PROGRAMS = ("cryores", "python", "python3", "env/bin/", "make", "pip", "scipion", "scipion3", "mkdir", "chimerax", "firefox")
ASSIGNMENT = re.compile(r"([A-Z_]+)=(.*)")


def _tree(page):
    quiet = {"report_level": 5, "halt_level": 5, "warning_stream": False, "file_insertion_enabled": False}
    return docutils.core.publish_doctree((ROOT / page).read_text(encoding="utf-8"), settings_overrides=quiet)


def blocks(page):
    """Return the text of every literal block of ``page``."""
    return [block.astext() for block in _tree(page).findall(nodes.literal_block)]


def inline_commands(page):
    """Return the words of every command of cryores within a sentence of ``page``."""
    literals = (literal.astext() for literal in _tree(page).findall(nodes.literal))
    return [text.split() for text in literals if text.startswith("cryores ")]


def is_python(block):
    """Say whether a block is a program: it imports, and compiles."""
    if not re.search(r"^(import|from) ", block, re.M):
        return False
    compile(block, "page", "exec")
    return True


def is_shell(block):
    return re.sub(r"^([A-Z_]+=\S+ )*", "", block).startswith(PROGRAMS)


def commands(block):
    """Return the words of every command of a shell block: comments left out, variables filled in."""
    found, variables = [], {}
    for line in re.sub(r"\\\n *", "", block).splitlines():
        # Brackets mark options that may be left out.
        whole = re.sub(r"\[(--[^]]*)\]", r"\1", Template(line).safe_substitute(variables))
        if not (is_shell(whole) or ASSIGNMENT.match(whole)):
            continue  # what a page shows beside its commands
        words = shlex.split(whole, comments=True)
        while words and ASSIGNMENT.fullmatch(words[0]):
            name, value = words.pop(0).split("=", 1)
            variables[name] = value
        found.append(words)
    return [words for words in found if words]
