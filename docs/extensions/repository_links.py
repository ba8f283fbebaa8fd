"""Let pages that are written for a plain Git host lead to their neighbours on the site.

- A link to an example, ``../examples/x.py``, leads to its page in the gallery, with its output.
- A link to another file of the repository, which is not on the site, becomes its text.
- A public name in code, such as ``cr.fit(...)`` or ``Linear``, leads to its entry.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.logging import getLogger

EXAMPLE = re.compile(r"\]\((?:\.\./)+examples/(\w+)\.py\)")
FILE = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+(?:benchmarks|src|tests)/[^)#]+)\)")
NAME = re.compile(r"(?:cr\.(?=\w)|(?=[A-Z]\w))([\w.]+)(\(.*\))?")


def change_links(app: Sphinx, page: str, source: list[str]) -> None:
    """Change the links before the page is parsed."""
    folder = Path(app.env.doc2path(page)).parent

    def text(match: re.Match[str]) -> str:
        if not (folder / match[2]).exists():
            getLogger(__name__).warning("There is no file %s", match[2], location=page)
        return match[1]

    source[0] = EXAMPLE.sub(r"](/gallery/\1.rst)", FILE.sub(text, source[0]))


class LinkNames(SphinxTransform):
    """Make references of names in code; what is no public name stays as it is."""

    default_priority = 400

    def apply(self) -> None:
        """Wrap each of them."""
        for node in list(self.document.findall(nodes.literal)):
            match = NAME.fullmatch(node.astext())
            if match and not isinstance(node.parent, nodes.reference | nodes.title | pending_xref):
                reference = pending_xref(
                    "",
                    refdomain="py",
                    reftype="obj",
                    reftarget=f"chainrule.{match[1]}",
                    refdoc=self.env.docname,
                    refwarn=False,
                    refexplicit=True,
                )
                node.replace_self(reference)
                reference += node


def quiet(app: Sphinx, domain: object, node: pending_xref) -> bool | None:
    """Say that it is fine when such a name has no entry."""
    return True if node.get("refwarn") is False and node.get("refexplicit") else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of them."""
    app.connect("source-read", change_links)
    app.add_transform(LinkNames)
    app.connect("warn-missing-reference", quiet)
    return {"parallel_read_safe": True}
