"""Replaced below: Scipion reads the BibTeX entries of a plugin from this docstring."""

from cryores.citations import BIBTEX

__doc__ = "\n".join(BIBTEX.values())
