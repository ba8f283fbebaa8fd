"""GradientFlow: the chain's influence, recorded while a network trains."""

from __future__ import annotations

from math import ceil
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.explain import notation, plots
from chainrule.explain.notation import SYMBOLS, Notation
from chainrule.explain.probe import Probe
from chainrule.explain.step import Float64
from chainrule.explain.symbols import group, name_links, name_parameters
from chainrule.explain.text import number, table
from chainrule.layers.graph import Graph
from chainrule.training.callbacks import Callback, State, Training
from chainrule.utils import fragment
from chainrule.utils.arguments import integer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The largest fraction of the time that records take; interrupting compiled calls adds a third.
TIME_FRACTION = 0.03
SLOW_STEPS = 10  # the first steps, which are slower than the others
MOST_RECORDS = 1000  # without ``every``: more than a plot can show
SHOWN = 5  # records in the text


class Flow:
    """What :class:`GradientFlow` recorded. Printing it shows some of the records.

    Attributes
    ----------
    links : tuple of str
        Symbols, from the input to the output.
    parameters, symbols : tuple of str
        Names, such as ``"0.weight"``, and symbols, such as ``"W1"``.
    is_matrix : tuple of bool
        Whether a parameter has two axes or more, as weights do.
    steps : int array of shape (records,)
        The number of steps before each record.
    forward, backward : arrays of shape (records, links)
        Root mean square of each value; norm of a row of dL/dvalue.
    gradient, weight : arrays of shape (records, parameters)
        Norms of each parameter and of its gradient.
    update_ratio : array of shape (records, parameters)
        Norm of the optimizer's next step, divided by that of the parameter; infinite if that is 0.
        NaN, like all gradients, where the loss of the measured rows is not finite.
    """

    def __init__(self, graph: Graph) -> None:
        self.links = tuple(name_links(graph, group(graph, merge=True)))
        names = name_parameters(graph)
        self.parameters, self.symbols = tuple(names), tuple(names.values())
        self.is_matrix = tuple(
            len(parameter.shape) > 1
            for node in graph.nodes
            if node.is_first
            for parameter in node.layer.parameters().values()
        )
        self._steps: list[int] = []
        self._records: list[Float64] = []

    def append(self, step: int, record: Float64) -> None:
        """Append a record: forward, backward, gradient, weight and update ratio in one vector."""
        self._steps.append(step)
        self._records.append(record)

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Return the records as arrays."""
        return {"steps": self.steps, "records": np.array(self._records)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Replace the records by those that :meth:`state_dict` returned."""
        steps, records = state["steps"], state["records"]
        columns = 2 * len(self.links) + 3 * len(self.parameters)
        if records.shape != (len(steps), columns) or steps.dtype.kind != "i" or steps.ndim != 1:
            raise ValueError(f"records have shape {records.shape}, not ({len(steps)}, {columns})")
        self._steps, self._records = steps.tolist(), list(records)

    def thin_out(self) -> None:
        """Remove every other record."""
        del self._steps[1::2], self._records[1::2]

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def steps(self) -> NDArray[np.int64]:
        return np.array(self._steps, np.int64)

    @property
    def forward(self) -> Float64:
        return self._part(0)

    @property
    def backward(self) -> Float64:
        return self._part(1)

    @property
    def gradient(self) -> Float64:
        return self._part(2)

    @property
    def weight(self) -> Float64:
        return self._part(3)

    @property
    def update_ratio(self) -> Float64:
        return self._part(4)

    def _part(self, number: int) -> Float64:
        links, parameters = len(self.links), len(self.parameters)
        ends = np.cumsum([0, links, links, parameters, parameters, parameters])
        return np.array(self._records).reshape(-1, ends[-1])[:, ends[number] : ends[number + 1]]

    def plot(self) -> Figure:
        """Draw the signal and the gradient of each link, and the updates, over the steps.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            Without matplotlib.

        Examples
        --------
        >>> import chainrule as cr
        >>> X, y = cr.datasets.load_digits()
        >>> net = cr.Sequential(cr.Linear(64, 32), cr.ReLU(), cr.Linear(32, 10), seed=0)
        >>> history = cr.fit(net, X, y, loss=cr.CrossEntropyLoss(), epochs=2, progress=False,
        ...                  callbacks=[cr.GradientFlow(every=50)])
        >>> figure = history.gradient_flow.plot()
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['O', 'H', 'X']
        """
        return plots.of_flow(self)

    def _about(self) -> str:
        return f"{len(self)} records of {len(self.links)} links and {len(self.symbols)} parameters."

    def _tables(self, style: Notation) -> list[tuple[str, list[str], list[list[str]]]]:
        """Return the title, the header and the rows of each table."""
        shown = sorted({round(record) for record in np.linspace(0, len(self) - 1, SHOWN)})
        header = ["", *(f"step {self._steps[record]}" for record in shown)]
        tables = []
        for title, names, values in (
            ("signal", self.links, self.forward),
            (f"gradient: {style.derivative('L', 'link')}", self.links, self.backward),
            ("update / weight", self.symbols, self.update_ratio),
        ):
            cells = [
                [style.symbol(name), *(number(values[record, column]) for record in shown)]
                for column, name in enumerate(names)
            ]
            tables.append((title, header, cells[::-1]))
        return tables

    def __str__(self) -> str:
        lines = [self._about()]
        for title, header, rows in self._tables(notation.of_terminal()):
            lines += ["", title, *table(header, rows)]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = [fragment.paragraph(self._about())]
        for title, header, rows in self._tables(SYMBOLS):
            parts += [fragment.paragraph(title), fragment.table(header, rows)]
        return fragment.of_parts(*parts)


class GradientFlow(Callback):
    """Record the sizes of signal and gradient during :func:`fit`; see :meth:`Chain.influence`.

    The records are in ``history.gradient_flow``, a :class:`Flow`, and in ``flow``, which is also
    available while the training runs and after an error. They are of what ``predict`` computes:
    without dropout, and with running statistics. Network and optimizer are not changed: a training
    with this callback gives the same parameters to the bit.

    Parameters
    ----------
    every : int, optional
        Steps between records. By default, records take up to 3 % of the training time, which is
        measured; where epochs are short, they are made at the ends of epochs. After a thousand
        records, every other one is removed, and new ones come half as often.
    rows : int
        The number of rows to measure on, evenly spaced in the training data; fewer if the data has
        fewer.

    Notes
    -----
    The time that it adds to a fit by default, as ``python -m benchmarks.flow`` measures it on one
    core: about 3 % for the digits network (27 ms, two records), 1 to 2 % for a network for MNIST
    (0.66 s, ten records), and 3 to 5 % for networks of three small layers (18 and 24 ms), most of
    it for the setup.

    Its memory is that of the parameters, gradients and optimizer state, and of the engine's values
    for the measured rows; and up to a quarter of a megabyte during a measurement.

    Examples
    --------
    >>> import chainrule as cr
    >>> X, y = cr.datasets.load_digits()
    >>> net = cr.Sequential(cr.Linear(64, 32), cr.ReLU(), cr.Linear(32, 10), seed=0)
    >>> history = cr.fit(net, X, y, loss=cr.CrossEntropyLoss(), epochs=2, progress=False,
    ...                  callbacks=[cr.GradientFlow(every=50)])
    >>> history.gradient_flow.steps
    array([  0,  50, 100])
    >>> history.gradient_flow.links, history.gradient_flow.backward.shape
    (('X', 'H', 'O'), (3, 3))
    """

    def __init__(self, every: int | None = None, rows: int = 32) -> None:
        self.every = None if every is None else integer(every, "GradientFlow's every", least=1)
        self.rows = integer(rows, "GradientFlow's rows", least=1)
        self.flow: Flow | None = None
        self._probe: Probe | None = None  # while it measures

    def __repr__(self) -> str:
        return f"GradientFlow(every={self.every}, rows={self.rows})"

    def on_fit_begin(self, training: Training) -> None:
        self._schedule = _Schedule(-(-training.rows // training.batch_size))
        self._probe = Probe(training, self.rows)
        self.flow = training.history.gradient_flow = Flow(self._probe.graph)
        self._record(training, perf_counter())

    def on_steps(self, training: Training) -> None:
        started = perf_counter()
        if self.every is not None or self._schedule.is_time(training.step, started):
            self._record(training, started)

    def on_fit_end(self, training: Training) -> None:
        self._probe = None

    def state_dict(self) -> State:
        return {} if self.flow is None else dict(self.flow.state_dict())

    def load_state_dict(self, state: State) -> None:
        assert self.flow is not None
        self.flow.load_state_dict(state)

    def next_step(self, step: int) -> float:
        return self._schedule.next_step(step) if self.every is None else super().next_step(step)

    def _record(self, training: Training, started: float) -> None:
        assert self.flow is not None
        assert self._probe is not None
        self.flow.append(training.step, self._probe.record())
        if self.every is None and len(self.flow) > MOST_RECORDS:
            self.flow.thin_out()
            self._schedule.slow_down()
        self._schedule.spent(started)


class _Schedule:
    """Decides when to record next, from the time that records and steps take."""

    def __init__(self, an_epoch: int) -> None:
        self._an_epoch = an_epoch  # steps
        self._began = self._seen = perf_counter()
        self._step = 0
        self._spent = self._earliest = self._a_step = 0.0
        self._stretch = 1

    def is_time(self, step: int, now: float) -> bool:
        self._a_step = (now - self._seen) / (step - self._step)
        self._seen, self._step = now, step
        return now >= self._earliest

    def spent(self, started: float) -> None:
        """Take the cost of a record into account that was started at that time."""
        self._seen = perf_counter()
        cost = self._seen - started
        # The first cost includes the setup and any compilation, so that records do not come too
        # often after a slow start.
        self._spent += cost if self._spent else self._seen - self._began
        self._earliest = max(
            self._began + (self._spent + cost) / TIME_FRACTION,
            self._seen + self._stretch * cost / TIME_FRACTION,
        )

    def slow_down(self) -> None:
        """Make half as many records from now on."""
        self._stretch *= 2

    def next_step(self, step: int) -> int:
        if step < SLOW_STEPS:
            return step
        # A little later than estimated: a pause without a record costs time too.
        step += max(1, ceil(1.2 * (self._earliest - self._seen) / self._a_step))
        # At the end of an epoch, a record interrupts no compiled call.
        rest = -step % self._an_epoch
        return step + (rest if rest < step - self._step else 0)
