"""The directive ``public-names``: a table of some public names, and each one's docstring below."""

from importlib import import_module
from inspect import isclass, isroutine
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import OptionSpec


def find(name: str) -> Any:
    """Return what a full name stands for, also where a function has the name of a module."""
    module, attribute = name.rsplit(".", 1)
    return getattr(import_module(module), attribute)


def expanded(name: str) -> list[str]:
    """Return the name itself, or all public names of a module for ``module.*``."""
    module, _, last = name.rpartition(".")
    if last != "*":
        return [name]
    return [f"{module}.{public}" for public in sorted(import_module(module).__all__)]


def entry(name: str, *, inherited: bool) -> list[str]:
    """Return the autodoc directive for a public name."""
    value = find(name)
    if isclass(value):
        kind = "autoexception" if issubclass(value, BaseException) else "autoclass"
        members = ["   :members:", "   :inherited-members:"] if inherited else ["   :members:"]
        return ["", f".. {kind}:: {name}", *members]
    return ["", f".. {'autofunction' if isroutine(value) else 'autodata'}:: {name}"]


class PublicNames(SphinxDirective):
    """One full name a line, or a module and ``.*`` for all that its ``__all__`` names.

    Of the classes in its option, what they inherit is shown as well.
    """

    has_content = True
    option_spec: ClassVar[OptionSpec] = {"inherited-members": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """Write the table and the entries in rST, and parse it."""
        names = [name for line in self.content if line.strip() for name in expanded(line.strip())]
        inherited = self.options.get("inherited-members", "").split()
        modules = {name.rpartition(".")[0] for name in names}
        module = modules.pop() if len(modules) == 1 else "chainrule"
        lines = [f".. currentmodule:: {module}", "", ".. autosummary::", "   :nosignatures:", ""]
        lines += [f"   ~{name.removeprefix(f'{module}.')}" for name in names]
        for name in names:
            lines += entry(name, inherited=name in inherited)
        return self.parse_text_to_nodes(StringList(lines, source=self.get_source_info()[0]))


def find_short_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Element
) -> nodes.Node | None:
    """Look for a name that a docstring writes as its reader does, without the module."""
    if node.get("refdomain") != "py":
        return None
    domain = env.domains.python_domain
    target = node["reftarget"]
    found = [
        name
        for name, value in domain.objects.items()
        if name.endswith(f".{target}") and not value.aliased
    ]
    if f"chainrule.{target}" in found:
        found = [f"chainrule.{target}"]
    if len(found) != 1:
        return None
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", found[0], node, content)


def skip_foreign(
    app: Sphinx, kind: str, name: str, value: object, skip: bool, options: object
) -> bool | None:
    """Leave out methods that another library writes into classes, as scikit-learn does."""
    module = getattr(value, "__module__", None) or __name__
    return True if module.startswith("sklearn.") else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the directive, and of the way to find names."""
    app.add_directive("public-names", PublicNames)
    app.connect("autodoc-skip-member", skip_foreign)
    app.connect("missing-reference", find_short_name)
    return {"parallel_read_safe": True}
