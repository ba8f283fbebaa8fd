"""The page in a notebook: a frame that holds the whole page, and needs no file and no kernel."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape


@dataclass(frozen=True)
class Page:
    """The page that :meth:`Chain.page` makes: a notebook shows it as a cell's output.

    Attributes
    ----------
    title : str
        Such as ``"2 → 3 → 1, MSELoss"``.
    html : str
        The whole page, as :meth:`Chain.to_html` writes it.
    height : int
        Of the frame in the notebook, in pixels; the width is the cell's.
    """

    title: str
    html: str = field(repr=False)
    height: int

    def _repr_html_(self) -> str:
        # The frame's scripts run, but reach nothing of the notebook.
        return (
            f'<iframe title="The chain rule at work: {escape(self.title)}" '
            f'srcdoc="{escape(self.html)}" sandbox="allow-scripts" loading="lazy" '
            f'style="display:block; width:100%; height:{self.height}px; border:0"></iframe>'
        )
