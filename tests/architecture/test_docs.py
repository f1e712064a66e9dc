"""The pages parse without a complaint, and every link to a file of the repository leads to one."""

import re
from pathlib import Path

import pytest

docutils_core = pytest.importorskip("docutils.core")

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.rst", ROOT / "CONTRIBUTING.rst", *sorted((ROOT / "docs").rglob("*.rst"))]
SPHINX_ONLY = "automodule"


@pytest.fixture(scope="module", params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def page(request):
    # Level 5 never raises: what is found is in the document, and told by the test.
    settings = {"report_level": 2, "halt_level": 5, "warning_stream": False, "file_insertion_enabled": False}
    text = request.param.read_text(encoding="utf-8")
    return request.param, docutils_core.publish_doctree(text, str(request.param), settings_overrides=settings)


def test_a_page_parses_without_a_complaint(page):
    from docutils import nodes

    complaints = [message.astext() for message in page[1].findall(nodes.system_message)]
    assert [complaint for complaint in complaints if SPHINX_ONLY not in complaint] == []


def test_a_link_to_a_file_leads_to_one(page):
    from docutils import nodes

    path, tree = page
    targets = [node["refuri"] for node in tree.findall(nodes.reference) if "refuri" in node]
    targets += [node["uri"] for node in tree.findall(nodes.image)]
    for target in targets:
        if not re.match(r"[a-z]+:", target):
            assert (path.parent / target.split("#")[0]).exists(), f"{path.name} points to {target}"
