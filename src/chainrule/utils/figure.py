"""Figures that a notebook shows as pictures, also without ``%matplotlib inline``."""

from io import BytesIO

import matplotlib.figure


class Figure(matplotlib.figure.Figure):
    """A figure of Matplotlib's that IPython shows as a picture.

    Matplotlib lets IPython show its figures only once pyplot was imported; then, its settings hold.
    """

    def _repr_png_(self) -> bytes:
        file = BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()
