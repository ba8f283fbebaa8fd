"""The measures of ``Chain.influence``, computed quickly while a network is trained.

One compiled call runs forward, backward and a trial step for a few rows. Its plan fuses nothing and
retains all values, so that the arena then holds the value and the gradient of each link.
"""

import numpy as np
from numpy.typing import NDArray

from chainrule.engine.records import make_data
from chainrule.explain.one_input import as_one_input
from chainrule.explain.retained import makers
from chainrule.explain.step import Float64
from chainrule.explain.symbols import group
from chainrule.kernels.context import Phase
from chainrule.plan import Plan
from chainrule.training.callbacks import Training
from chainrule.utils.arrays import FloatArray, weight_array

BLOCK = 1 << 15  # numbers whose squares are in memory at a time
TRIAL = Phase.FORWARD | Phase.BACKWARD | Phase.INPUT_GRADIENT | Phase.UPDATE


class Probe:
    """Some rows of the training data, and a machine that measures the network on them.

    Parameters
    ----------
    training : Training
    rows : int
        Rows of the data to measure on; fewer if the data has fewer.
    """

    def __init__(self, training: Training, rows: int) -> None:
        network, loss = training.network, training.loss
        X, y, weights = training.probe(rows)
        shown, X = as_one_input(network, X)
        self._network, self._optimizer = network, training.optimizer
        self._rows = len(X)
        plan = shown.make_plan(X.shape[1:], self._rows, loss=loss, retain=True)
        shapes = [(self._rows, *shape) for shape in plan.output_shapes]
        self._data = make_data(
            network.dtype,
            shown.check_input(X, "X"),
            weights=weight_array(weights, self._rows, network.dtype),
            **loss.check_targets(y, shapes, network.dtype).arguments(),
        )
        self._machine = network.make_machine(plan, training.backend)
        self._losses = self._machine.losses_for(1)
        self._gradients = np.zeros_like(network.params)
        self._updated = np.zeros_like(
            network.params
        )  # parameters after the trial step, less before
        self._trial = training.optimizer.trial_state(network)
        sizes = [view.size for view in network.parameters().values()]
        starts = np.cumsum([0, *sizes])[:-1]
        vectors = self._gradients, network.params, self._updated
        self._norms = [_SumsOfSquares(vector, starts) for vector in vectors]
        self.graph = shown.graph
        self._find_links(plan)

    def _find_links(self, plan: Plan) -> None:
        """Find where the arena will hold the value and the gradient of each link."""
        of_layer = makers(plan, self.graph)
        links = group(self.graph, merge=True)
        chosen = [0, *(of_layer[positions[-1]] for positions in links)]  # 0 is the input
        tensors = [*plan.inputs, *(step.y for step in plan.steps)]
        sizes = [self._rows * tensor.size for tensor in tensors]
        values = [plan.value_of(tensor).start for tensor in tensors]
        gradients = [plan.gradient_of(tensor).start for tensor in tensors]
        self._sizes = np.array([sizes[link] for link in chosen])
        buffers = [(start[link], sizes[link]) for start in (values, gradients) for link in chosen]
        # Buffers are the same or lie apart, so each is all there is between two bounds.
        bounds = sorted({bound for start, size in buffers for bound in (start, start + size)})
        self._buffers = np.array([bounds.index(start) for start, _ in buffers])
        seen = self._machine.arena[: bounds[-1]]
        self._lengths = _SumsOfSquares(seen, np.array(bounds[:-1]))

    def record(self) -> Float64:
        """Return a record for :meth:`Flow.append` from the present network and optimizer."""
        params, updated = self._network.params, self._updated
        updated[:] = params
        self._optimizer.trial_state(self._network, self._trial)
        machine = self._machine
        went_well = machine.prepare_run(TRIAL, **self._trial.arguments)(
            self._rows,
            machine.vectors(updated, grads=self._gradients),
            self._data,
            machine.results(losses=self._losses),
            lr=self._trial.lr,
        )
        updated -= params
        with np.errstate(all="ignore"):
            values, lengths = self._lengths()[self._buffers].reshape(2, -1)
            forward, backward = np.sqrt(values / self._sizes), np.sqrt(lengths / self._rows)
            norms = np.sqrt([squares() for squares in self._norms])
            norms[2] /= norms[1]  # infinite for a weight of 0 that is updated
            if not went_well:  # the loss is not finite, and the backward pass did not run
                backward[:] = norms[0] = norms[2] = np.nan
        return np.concatenate([forward, backward, norms.reshape(-1)])


class _SumsOfSquares:
    """Adds up a vector's squares from each start to the next, in double precision.

    It does so block by block: a float64 copy of the parameters would take more memory than they do.
    """

    def __init__(self, vector: FloatArray, starts: NDArray[np.intp]) -> None:
        blocks = np.arange(0, vector.size, BLOCK)
        edges = np.union1d(starts, blocks)
        self._starts = np.searchsorted(edges, starts)
        self._blocks = [
            (vector[block : block + BLOCK], edges[edges // BLOCK == number] - block)
            for number, block in enumerate(blocks)
        ]

    def __call__(self) -> Float64:
        if not self._blocks:
            return np.empty(0)
        sums = [np.add.reduceat(np.square(block, dtype=float), of) for block, of in self._blocks]
        total: Float64 = np.add.reduceat(np.concatenate(sums), self._starts)
        return total
