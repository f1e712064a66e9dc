"""How Sphinx makes the pages: ``make docs``. The sources are README, CONTRIBUTING and this folder, as they are read on
the web: links between pages are paths of files, and docs/index.rst is the table of contents."""

import re
import sys
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import cryores  # noqa: E402

project = "cryores"
author = "cryores developers"
version = release = cryores.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]
include_patterns = ["README.rst", "CONTRIBUTING.rst", "docs/**.rst"]
root_doc = "docs/index"
html_theme = "furo"
html_title = f"cryores {release}"
html_copy_source = False
default_role = "py:obj"
autodoc_default_options = {"members": True, "undoc-members": False, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_google_docstring = False
napoleon_use_rtype = False
SCHEME = re.compile(r"[a-z]+:|#")


class LinksToFiles(SphinxTransform):
    """Make a link to a .rst file a link to its page, and a link to another file of the repository a download."""

    default_priority = 5

    def apply(self):
        here = Path(self.env.doc2path(self.env.docname)).parent
        for link in list(self.document.findall(nodes.reference)):
            if "refuri" in link and not SCHEME.match(link["refuri"]):
                link.replace_self(self._inside(link, here))

    def _inside(self, link, here):
        path, _, section = link["refuri"].partition("#")
        target = (here / path).resolve().relative_to(ROOT).as_posix()
        text = nodes.inline("", link.astext())
        page = target[: -len(".rst")]
        if target.endswith(".rst") and page in self.env.found_docs:
            kind = {"refdomain": "std", "reftype": "doc", "refexplicit": True, "refwarn": True}
            return addnodes.pending_xref("", text, reftarget=f"/{page}", refdoc=self.env.docname, **kind)
        return addnodes.download_reference("", "", text, reftarget=f"/{target}", refdoc=self.env.docname)


class IndexIsTheTableOfContents(SphinxTransform):
    """Give each section of the index a hidden table of contents that lists the pages linked from it."""

    default_priority = LinksToFiles.default_priority + 1

    def apply(self):
        if self.env.docname != root_doc:
            return
        for section in list(self.document.findall(nodes.section)):
            linked = [link["reftarget"][1:] for link in section.findall(addnodes.pending_xref)]
            pages = list(dict.fromkeys(linked))
            if pages and not any(isinstance(child, nodes.section) for child in section):
                section.append(self._contents(pages, section.next_node(nodes.title).astext()))

    def _contents(self, pages, caption):
        return addnodes.toctree(
            parent=root_doc,
            entries=[(None, page) for page in pages],
            includefiles=pages,
            caption=caption,
            rawcaption=caption,
            maxdepth=1,
            glob=False,
            hidden=True,
            includehidden=False,
            numbered=0,
            titlesonly=True,
        )


def setup(app):
    app.add_transform(LinksToFiles)
    app.add_transform(IndexIsTheTableOfContents)
