"""History: the losses, metrics, rates and times of a training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from chainrule.utils import fragment
from chainrule.utils.plotting import BACK, FRONT, make_figure, mark_of, set_logarithmic
from chainrule.utils.wording import plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MOST_SHOWN = 10  # epochs in a notebook's table: the first and the last ones


class GradientRecords(Protocol):
    """Records of the gradient flow; :class:`chainrule.explain.Flow` implements it."""

    links: tuple[str, ...]
    parameters: tuple[str, ...]
    symbols: tuple[str, ...]
    is_matrix: tuple[bool, ...]

    def __len__(self) -> int: ...
    @property
    def steps(self) -> NDArray[np.int64]: ...
    @property
    def forward(self) -> NDArray[np.float64]: ...
    @property
    def backward(self) -> NDArray[np.float64]: ...
    @property
    def gradient(self) -> NDArray[np.float64]: ...
    @property
    def weight(self) -> NDArray[np.float64]: ...
    @property
    def update_ratio(self) -> NDArray[np.float64]: ...
    def plot(self) -> Figure: ...


@dataclass(repr=False)
class History:
    """The losses, metrics, learning rates and times of a :func:`fit`.

    Shown in a shell, it is a line with the latest values; in a notebook, a table of epochs.

    Attributes
    ----------
    loss : list of float
        Mean training loss of each finished epoch, over its steps while they were made.
    batch_loss : list of float
        Loss of every step, in order.
    validation_loss, validation_accuracy : list of float
        After each epoch, where validation data was given; accuracy for classification only.
    metrics : dict of lists of float
        The values of ``fit``'s metrics on the validation data after each epoch, by name.
    lr : list of float
        Learning rate of the last step of each epoch.
    seconds : list of float
        Time of each epoch, without validation; the mean where short epochs ran in one call.
    interrupted : bool
        Whether Ctrl-C ended the training early.
    gradient_flow : Flow or None
        The records of the callback :class:`GradientFlow`.
    """

    loss: list[float] = field(default_factory=list)
    batch_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    lr: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    interrupted: bool = False
    gradient_flow: GradientRecords | None = None

    def latest(self) -> dict[str, float]:
        """Return the metrics after the latest epoch, by the names that callbacks can monitor.

        These are ``loss``, ``validation_loss``, ``validation_accuracy``, ``validation_`` and the
        name of each metric, and ``lr``; only those that were measured.

        Examples
        --------
        >>> History(loss=[2.0, 1.5], lr=[0.1, 0.1]).latest()
        {'loss': 1.5, 'lr': 0.1}
        """
        return {name: values[-1] for name, values in self._by_name().items()}

    def _by_name(self) -> dict[str, list[float]]:
        """Return what was measured after each epoch."""
        lists = {
            "loss": self.loss,
            "validation_loss": self.validation_loss,
            "validation_accuracy": self.validation_accuracy,
            **{f"validation_{name}": values for name, values in self.metrics.items()},
            "lr": self.lr,
        }
        return {name: values for name, values in lists.items() if values}

    def __repr__(self) -> str:
        latest = (f"{name} {value:.4g}" for name, value in self.latest().items())
        return f"History({', '.join([self._length(), *latest])})"

    def _length(self) -> str:
        length = plural(len(self.loss), "epoch")
        return f"{length}, interrupted" if self.interrupted else length

    def _repr_html_(self) -> str:
        columns = self._by_name()
        epochs = range(len(self.loss))
        rows = [[str(epoch + 1), *self._cells(epoch, columns)] for epoch in epochs]
        if len(rows) > MOST_SHOWN:
            gap = ["..."] * (1 + len(columns))
            rows = [*rows[: MOST_SHOWN // 2], gap, *rows[-MOST_SHOWN // 2 :]]
        table = fragment.table(["epoch", *columns], rows) if rows else ""
        return fragment.of_parts(fragment.paragraph(f"History of {self._length()}"), table)

    @staticmethod
    def _cells(epoch: int, columns: dict[str, list[float]]) -> list[str]:
        # After an error in a metric, the epoch has no value of it.
        return [f"{of[epoch]:.4g}" if epoch < len(of) else "" for of in columns.values()]

    def plot(self) -> Figure:
        """Draw the losses over the epochs, and the validation accuracy if there is one.

        Returns
        -------
        matplotlib.figure.Figure
            ``figure.savefig("history.png")`` writes it to a file.

        Raises
        ------
        ImportError
            Without matplotlib.

        Examples
        --------
        >>> import chainrule as cr
        >>> X, y = cr.datasets.load_digits()
        >>> net = cr.Sequential(cr.Linear(64, 32), cr.ReLU(), cr.Linear(32, 10), seed=0)
        >>> history = cr.fit(net, X, y, loss=cr.CrossEntropyLoss(), epochs=2, validation=(X, y),
        ...                  progress=False)
        >>> figure = history.plot()
        >>> [ax.get_title() for ax in figure.axes]
        ['loss', 'validation accuracy']
        """
        accuracy = self.validation_accuracy
        figure, axes = make_figure(
            1, 2 if accuracy else 1, width=9 if accuracy else 5.5, height=3.6
        )
        ax, epochs = axes[0], range(1, len(self.loss) + 1)
        steps = len(self.batch_loss)
        if steps > len(self.loss):
            # An unfinished epoch makes the distance between steps a little too small.
            steps_at = np.arange(1, steps + 1) * max(len(self.loss), 1) / steps
            ax.plot(steps_at, self.batch_loss, color="0.8", lw=0.8, label="step")
        ax.plot(epochs, self.loss, color=BACK, marker=mark_of(epochs), label="training")
        if self.validation_loss:
            seen = range(1, len(self.validation_loss) + 1)
            ax.plot(
                seen, self.validation_loss, color=FRONT, ls="--", marker=mark_of(seen),
                label="validation",
            )  # fmt: skip
        ax.set(title="loss", xlabel="epoch")
        set_logarithmic(ax, self.batch_loss)
        ax.legend()
        if accuracy:
            epochs = range(1, len(accuracy) + 1)
            axes[1].plot(epochs, accuracy, color=FRONT, ls="--", marker=mark_of(epochs))
            axes[1].set(title="validation accuracy", xlabel="epoch")
        return figure
