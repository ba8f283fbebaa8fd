"""explain: everything that the chain rule multiplies, for one network and one batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from chainrule.autodiff.validation import check_loss
from chainrule.explain import plots
from chainrule.explain.influence import Influence, influence
from chainrule.explain.inline_page import Page
from chainrule.explain.links import Links
from chainrule.explain.order import Order, order
from chainrule.explain.trace import Trace, trace
from chainrule.losses import Loss
from chainrule.models.sequential import Sequential
from chainrule.optimizers import Optimizer
from chainrule.utils.arguments import flag, integer
from chainrule.utils.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Chain(Links):
    """The chain rule at work on one batch; made by :func:`explain`. Printing it shows the links.

    Attributes
    ----------
    network, loss_function : Sequential, Loss
        A copy of the network as it was, and the loss.
    x, target : arrays
        The batch; of several inputs, all columns side by side.
    feature_names : tuple of str, or None
        The names of its columns.
    loss : float
        L, the mean over the batch.
    links : tuple of Link
        From the input to the output.
    symbols : dict
        Name of each parameter, such as ``"0.weight"`` -> its symbol, such as ``"W1"``.
    gradients : dict
        The engine's gradients, by the names of the parameters and ``"x"``.
    """

    def trace(self, name: str, index: int | Sequence[int], top: int = 10) -> Trace:
        """Follow every path from one weight to the loss: the chain rule's sum, in numbers.

        A path goes from the entry to a unit of its link, on to a unit of each link after it, and to
        the loss, in one row of the batch; from a unit of a link, in its own row. What it
        contributes is the product of the derivatives along it, and all contributions together are
        the gradient's entry.

        Parameters
        ----------
        name : str
            As for :meth:`path`.
        index : int or tuple of int
            The entry, counted from 0; for a link or the input, its row and its place in the flat
            row.
        top : int
            How many of the largest contributions are shown.

        Raises
        ------
        ValueError
            If there is no such parameter, or a Jacobian on the path is larger than max_elements; or
            if the network branches between the entry and the loss, as at a :class:`Residual`.
        IndexError
            If there is no such entry.

        Examples
        --------
        >>> import chainrule as cr
        >>> net = cr.Sequential(cr.Linear(2, 3), cr.Tanh(), cr.Linear(3, 2), seed=0)
        >>> chain = cr.explain(net, cr.MSELoss(), [[1.0, -1.0]], [[0.5, 0.0]])
        >>> print(chain.trace("W1", (1, 0)))
        ∂L/∂W₁[1, 0] = -0.08545: the sum over 6 paths, of which 2 are not 0:
        <BLANKLINE>
        row 0: W₁[1, 0] → H[0] → O[1] → L ... = -0.04556
        row 0: W₁[1, 0] → H[0] → O[0] → L ... = -0.0399
        <BLANKLINE>
                               paths  sum
        these                  2      -0.08545
        the others             0      0
        all                    2      -0.08545
        the engine's one pass         -0.08545
        """
        return trace(self, name, index, top)

    def order(self, name: str | None = None) -> Order:
        """Compare three methods to compute the gradient: multiply-adds and time.

        From the loss backward, a vector is multiplied by one link's Jacobian after the other. From
        the input forward, the same product is taken from the other end: a matrix is carried, with a
        column for each parameter. Finite differences change one parameter at a time and look at
        the loss. :class:`Order` describes what is counted and measured.

        Parameters
        ----------
        name : str, optional
            One parameter, as for :meth:`path`, or a link, with all of its own; by default all there
            are.

        Raises
        ------
        ValueError
            If there is no such parameter, or none at all; or if the network has branches.

        Examples
        --------
        >>> import chainrule as cr
        >>> net = cr.Sequential(cr.Linear(2, 3), cr.Tanh(), cr.Linear(3, 2), seed=0)
        >>> chain = cr.explain(net, cr.MSELoss(), [[1.0, -1.0]], [[0.5, 0.0]])
        >>> order = chain.order()
        >>> [method.multiply_adds for method in order.methods]
        [45, 134, 306]
        """
        return order(self, name)

    def influence(self, optimizer: Optimizer | None = None) -> Influence:
        """Measure the sizes of signal and gradient at each link, and diagnose the network.

        The diagnosis reports vanishing and exploding gradients and where they begin, dead and
        saturated units, and updates that are too small or too large. Network and optimizer are not
        changed.

        Parameters
        ----------
        optimizer : Optimizer, optional
            Its next step is compared with the weights; ``Adam()`` by default, as in :func:`fit`.
            Its state for this network is used.

        Returns
        -------
        Influence

        Raises
        ------
        TypeError
            If it is no optimizer.

        Examples
        --------
        >>> import numpy as np
        >>> import chainrule as cr
        >>> layers = [cr.Linear(8, 8), cr.Sigmoid()] * 8
        >>> X = np.random.default_rng(0).normal(size=(16, 8))
        >>> net = cr.Sequential(*layers, cr.Linear(8, 1), seed=0)
        >>> chain = cr.explain(net, cr.MSELoss(), X, X[:, 0])
        >>> [finding.kind for finding in chain.influence().findings]
        ['vanishing gradient']
        """
        return influence(self, optimizer)

    def plot(self, name: str | None = None) -> Figure:
        """Draw the sizes of signal and gradient along the chain, or the factors of one path.

        Parameters
        ----------
        name : str, optional
            As for :meth:`path`. Its factors are then drawn as heat maps of their means over the
            rows.

        Returns
        -------
        matplotlib.figure.Figure
            ``figure.savefig("chain.png")`` writes it to a file.

        Raises
        ------
        ImportError
            Without matplotlib.
        ValueError
            If there is no such parameter.
        """
        return plots.of_chain(self.influence()) if name is None else plots.of_path(self.path(name))

    def to_html(self, path: str | PathLike[str]) -> None:
        """Write the chain as one self-contained HTML page, to explore in a browser.

        It shows the links and how much of the gradient reaches each; the product for each
        parameter, with every factor in numbers and as a heat map; and the cancellation of the
        fraction. The network runs in the page, in float64: any number can be turned, and what
        follows is computed anew; it learns step by step, by SGD or Adam. It does so as it predicts,
        without dropout and by running statistics. The page loads nothing from elsewhere.

        A network with more than some 100,000 parameters, or with operations of your own, does not
        run in the page: its figures are computed before, which may take a minute, with a progress
        bar on a terminal; for some weights, also how the loss moves when they are nudged.

        Parameters
        ----------
        path : str or path
            The file, such as ``"chain.html"``. An existing file is replaced.

        Raises
        ------
        OSError
            If it cannot be written.

        Examples
        --------
        >>> import os, tempfile
        >>> import chainrule as cr
        >>> net = cr.Sequential(cr.Linear(2, 3), cr.Tanh(), cr.Linear(3, 1), seed=0)
        >>> chain = cr.explain(net, cr.MSELoss(), [[1.0, -1.0]], [[0.5]])
        >>> path = os.path.join(tempfile.mkdtemp(), "chain.html")
        >>> chain.to_html(path)
        >>> os.path.getsize(path) < 200_000
        True
        """
        from chainrule.explain.html import page  # importlib.resources loads slowly

        write_whole(path, page(self).encode())

    def page(self, height: int = 800) -> Page:
        """Make the page of :meth:`to_html` for a notebook: the running page is a cell's output.

        It is stored in the notebook, some 150 kB for a small network and less than a megabyte for
        any, and runs without a kernel, in each notebook that is trusted. It is light or dark as the
        browser is. A chain itself is shown as a table.

        Parameters
        ----------
        height : int
            Of the frame, in pixels; the width is the cell's.

        Returns
        -------
        Page

        Raises
        ------
        ValueError
            If the height is not positive.

        Examples
        --------
        >>> import chainrule as cr
        >>> net = cr.Sequential(cr.Linear(2, 3), cr.Tanh(), cr.Linear(3, 1), seed=0)
        >>> cr.explain(net, cr.MSELoss(), [[1.0, -1.0]], [[0.5]]).page()
        Page(title='2 → 3 → 1, MSELoss', height=800)
        """
        from chainrule.explain.html import inline_page  # importlib.resources loads slowly

        return inline_page(self, integer(height, "height", least=1))


def explain(
    net: Sequential,
    loss: Loss,
    x: ArrayLike,
    y: ArrayLike,
    *,
    merge: bool = True,
    max_elements: int = 1_000_000,
    feature_names: Iterable[str] | None = None,
) -> Chain:
    """Show the chain rule for one network and one batch: each factor, and their products.

    The network is copied: later changes of it do not change the chain. The chain is that of what
    ``predict`` computes: without dropout, and with running statistics. It is computed in float64 by
    the NumPy twins, and compared with the engine's gradients in the network's dtype.

    Parameters
    ----------
    net : Sequential
    loss : Loss
    x : array of shape (n, ...)
        The batch; a single row is the easiest to read. Of several inputs, a tuple: the chain has
        one input X with all their columns, side by side.
    y : array
        The targets, as the loss takes them.
    merge : bool
        Whether a layer with parameters and the layers after it without, such as its activation, are
        one link, unless these have a name. Otherwise each layer is a link.
    max_elements : int
        A Jacobian with more elements, counted over all rows, is not built; products with it are
        still computed.
    feature_names : iterable of str, optional
        The names of x's columns, for the page; those of a DataFrame are known.

    Returns
    -------
    Chain

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(2, 3), cr.Tanh(), cr.Linear(3, 1), seed=0)
    >>> chain = cr.explain(net, cr.MSELoss(), [[1.0, -1.0]], [[0.5]])
    >>> [link.symbol for link in chain.links]
    ['X', 'H', 'O']
    >>> chain.path("W1").gradient.shape
    (2, 3)
    """
    check_loss(net, loss)
    net.graph.check_rows_are_independent("explain")
    limit = integer(max_elements, "max_elements", least=0)
    return Chain(
        net,
        loss,
        x,
        y,
        merge=flag(merge, "merge"),
        max_elements=limit,
        feature_names=feature_names,
    )
