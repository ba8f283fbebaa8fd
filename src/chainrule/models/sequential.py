"""Networks: sequences of layers, with all parameters in one flat vector."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from chainrule.engine.backends import check_backend, threads_for
from chainrule.engine.machine import Machine
from chainrule.engine.masks import mask_key
from chainrule.engine.pool import MachinePool
from chainrule.layers.container import check_element
from chainrule.layers.graph import (
    Graph,
    check_names,
    check_places,
    graph_of,
)
from chainrule.layers.layer import Element, Layer
from chainrule.layers.shapes import output_shapes
from chainrule.losses import Loss
from chainrule.models.batch_passes import BatchMachine
from chainrule.models.methods import call_method
from chainrule.models.model_file import contents, write_contents
from chainrule.models.passes import NetworkPasses, Output
from chainrule.models.predictor import Predictor
from chainrule.models.summary import Summary, summarize
from chainrule.models.updates import Updates
from chainrule.operations.operation import Shape
from chainrule.optimizers import OptimizerState
from chainrule.utils import arrays
from chainrule.utils.arguments import integer, shortened
from chainrule.utils.inputs import one_or_tuple

PREDICT_ROWS = 256  # a block whose activations stay in cache
MOST_PREDICTORS = 8  # in the pool for later calls
MOST_MACHINES, MOST_BYTES = 16, 1 << 26  # of other machines in a pool, and in one's arena


class Sequential(NetworkPasses):
    """A sequence of layers: the output of each is the input of the next.

    Parameters
    ----------
    *layers : Layer or Sequential
        At least one. Of a network among them, the parameters are copied, as its own seed made them
        or a training changed them.
    seed : int, optional
        Seed of the initial parameters; None draws one from the system.
    dtype : "float32" or "float64"
        Of parameters and computation.
    backend : "numba" or "numpy"
        Compiled kernels, or their plain NumPy twins (slow, to compare with).

    Attributes
    ----------
    layers : tuple of Layer
    dtype : numpy.dtype
    params, grads : arrays of shape (number of parameters,)
        All parameters and all gradients, in one vector each. They are the same arrays for the life
        of the network: write into them, or assign to ``net.params``, which copies.
    values : array
        All parameters, followed by all buffers, such as running means. ``params`` is a part of it.
        As with ``params`` and ``grads``, an assignment copies.
    training : bool
        Whether :meth:`forward` is that of a training step: :class:`Dropout` layers drop elements,
        and :class:`BatchNorm` layers take the statistics of the batch. True at first.

    Raises
    ------
    ValueError
        If layers do not fit together.
    TypeError
        If an argument is not a layer.
    MemoryError
        If there is not enough memory for the parameters; it names the largest.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(64, 32), cr.ReLU(), cr.Linear(32, 10), seed=0)
    >>> net.predict(np.zeros((5, 64))).shape
    (5, 10)
    >>> {name: view.shape for name, view in net.parameters().items()}
    {'0.weight': (64, 32), '0.bias': (32,), '2.weight': (32, 10), '2.bias': (10,)}
    """

    def __init__(
        self,
        *layers: Element,
        seed: int | None = None,
        dtype: DTypeLike = "float32",
        backend: str = "numba",
    ) -> None:
        if not layers:
            raise ValueError("Sequential needs at least one layer.")
        for position, layer in enumerate(layers):
            check_element(layer, f"Layer {position}")
        if seed is not None:
            seed = integer(seed, "seed", least=0)
        self.dtype = arrays.float_dtype(dtype)
        self._backend = check_backend(backend)
        self.layers = layers
        self._graph = graph_of(layers)
        check_names(self._graph)
        check_places(self._graph)
        output_shapes(self._graph, None)
        for node in self._graph.nodes:
            node.layer.check_numbers(self.dtype)

        self._make_vectors(np.random.default_rng(seed))
        self._clear_caches()
        self._training = True
        self._mask_key, self._draws = mask_key(seed), 0  # of forward

    def _clear_caches(self) -> None:
        """Empty all caches."""
        self._predictors: MachinePool[Predictor] = MachinePool(MOST_PREDICTORS)
        # Of training and derivatives: machines, and what uses one for batches of one shape.
        self.machines: MachinePool[Machine] = MachinePool(MOST_MACHINES, MOST_BYTES)
        self.prepared: MachinePool[Any] = MachinePool(MOST_MACHINES)
        self._latest_key: tuple[Shape, int, int, int] | None = None  # of predict
        self._updates: Updates | None = None
        self._clear_shapes()
        self._clear_passes()

    @property
    def backend(self) -> str:
        """Which kernels compute: "numba" or "numpy"."""
        return self._backend

    @property
    def chain(self) -> tuple[tuple[str, Layer], ...]:
        """Every layer with its path, such as ``"0.2"`` for one in a Sequential at 0."""
        return tuple((node.path, node.layer) for node in self._graph.nodes)

    @property
    def graph(self) -> Graph:
        """Every layer as a node, with its inputs."""
        return self._graph

    # Computation

    def predict(self, X: ArrayLike) -> Output:
        """Return the output for the rows of X; nothing is retained for a backward pass.

        Parameters
        ----------
        X : array of shape (n, ...)
            Real numbers, as for :func:`fit`; a tuple of arrays, one for each input, if the network
            begins with :class:`Inputs`.

        Returns
        -------
        array of shape (n, ...), of the network's dtype
            Or a tuple of such arrays, one for each head, if the network ends in a :class:`Branch`.

        Raises
        ------
        ValueError, TypeError
            If X has the wrong shape or dtype, or holds NaN or infinity.
        """
        threads, key = threads_for(self._backend), self._latest_key
        if key is not None and key[-1] == threads:
            predictor = self._predictors.take(key)
            if predictor is not None:
                output = predictor.repeat(X)
                self._predictors.put_back(key, predictor)
                if output is not None:
                    return output
        x = self.check_input(X, "X")
        key = self._predictor_key(x.shape, threads)
        predictor = self._predictors.take(key) or self._make_predictor(*key)
        outputs = predictor(x)
        self._predictors.put_back(key, predictor)
        self._latest_key = key
        return one_or_tuple(outputs)

    def _predictor_key(self, shape: tuple[int, ...], threads: int) -> tuple[Shape, int, int, int]:
        """Return the shape of a row, the rows of a block, the blocks and the threads of a plan.

        Powers of two: small batches share a few machines, and so do large ones.
        """
        block = _power_of_two(shape[0])
        if self._graph.rows_are_independent:
            block = min(block, PREDICT_ROWS * threads)
        return shape[1:], block, _power_of_two(-(-shape[0] // block)), threads

    def _make_predictor(self, shape: Shape, block: int, steps: int, threads: int) -> Predictor:
        plan = self.make_plan(shape, block, backward=False, steps=steps, threads=threads)
        return Predictor(self.make_machine(plan), self._params, self.takes_codes)

    def input_gradient(self, x: ArrayLike) -> Any:
        """Return the gradient of the only output by the input.

        See :func:`chainrule.input_gradient`, which also takes other parameters.

        Examples
        --------
        >>> import chainrule as cr
        >>> net = cr.Sequential(cr.Linear(2, 1), dtype="float64")
        >>> net.params = [1.0, 2.0, 0.5]
        >>> net.input_gradient([[3.0, 1.0]])
        array([[1., 2.]])
        """
        return call_method("input_gradient", self, x)

    def apply_update(self, state: OptimizerState) -> None:
        """Update the parameters by the optimizer of ``state``."""
        self.invalidate_forward("An optimizer's step")
        self.updates.apply(state)

    @property
    def updates(self) -> Updates:
        """Updates of the parameters outside of a training."""
        if self._updates is None:
            self._updates = Updates(self._params, self.grads, self.backend)
        return self._updates

    def batch_machine(
        self, kept: BatchMachine | None, shape: Shape, loss: Loss | None = None
    ) -> BatchMachine:
        """Return a machine for steps by hand with a batch of this shape: ``kept`` if it can be."""
        options = self.pass_options
        if kept is not None and kept.can_take(shape, *options):
            return kept
        threads, training, frozen = options
        plan = self.make_plan(
            shape[1:], shape[0], loss=loss, threads=threads, training=training, frozen=frozen
        )
        return BatchMachine(self.make_machine(plan), *options)

    def summary(self, input_shape: Shape | None = None) -> Summary:
        """Return a table of the layers, their output shapes and numbers of parameters.

        Parameters
        ----------
        input_shape : tuple of int, optional
            The shape of a row of the input, or a tuple of those of several inputs. With it, all
            output shapes are known, and how many multiply-adds the products of a forward pass take
            for a row.

        Raises
        ------
        ValueError, TypeError
            If it does not fit the network, or is no tuple.

        Examples
        --------
        >>> import chainrule as cr
        >>> print(cr.Sequential(cr.Linear(64, 10), cr.ReLU(), seed=0).summary())
        layer            output shape   parameters
        0 Linear(64, 10) (n, 10)        650
        1 ReLU()         (n, 10)        0
        650 parameters, float32, 2.5 KiB
        >>> print(cr.Sequential(cr.Conv2d(1, 6, 5), cr.Flatten(), seed=0).summary((28, 28, 1)))
        layer               output shape     parameters   multiply-adds
        0 Conv2d(1, 6, 5)   (n, 24, 24, 6)   156          86,400
        1 Flatten()         (n, 3456)        0            0
        156 parameters, float32, 0.6 KiB, 86,400 multiply-adds a row
        """
        frozen = sum(end - begin for begin, end in self.frozen_ranges())
        size, steps = self._params.nbytes, []
        if input_shape is not None:
            if not isinstance(input_shape, tuple | list):
                raise TypeError(
                    f"input_shape must be a tuple such as (28, 28, 1), not {input_shape!r}."
                )
            input_shape = tuple(input_shape)
            self.output_shapes(input_shape)
            steps = self.lower(input_shape)[0].steps
        return summarize(self._graph, self.dtype.name, size, frozen, input_shape, steps)

    # Files and copies

    def save(self, path: str | os.PathLike[str], metadata: dict[str, Any] | None = None) -> None:
        """Write layers, parameters and buffers into a safetensors file, for :func:`chainrule.load`.

        Parameters
        ----------
        path : path of the file
            An existing file is replaced atomically.
        metadata : dict, optional
            Plain values to store with them, for :func:`chainrule.load_metadata`: None, bool, int
            (of 64 bits at most), finite float, str, and lists and dicts of these; 16 megabytes
            of JSON at most.

        Raises
        ------
        ValueError, TypeError
            If a layer is not one of this package's, a parameter holds NaN or infinity, or the
            metadata cannot be stored exactly.
        OSError
            If the file cannot be written; an existing file stays unchanged.
        """
        write_contents(path, contents(self.layers, self.dtype, self.named_values(), metadata))

    def to_onnx(
        self, path: str | os.PathLike[str], *, input_shape: tuple[int, ...] | None = None
    ) -> None:
        """Write the network into an ONNX file, for :func:`chainrule.from_onnx` and other runtimes.

        The input is called ``input`` (``input_0``, ``input_1``... of :class:`Inputs`), the output
        ``output`` (``output_0``, ``output_1``... of a :class:`Branch`); the batch may have any
        size. The file has opset 17.

        Parameters
        ----------
        path : path of the file
            An existing file is replaced atomically.
        input_shape : tuple of int, optional
            Shape of a row of the input, or a tuple of those of several; by default the one that the
            first linear layer expects.

        Raises
        ------
        ValueError, TypeError
            If a layer is not one of this package's, a parameter holds NaN or infinity, or the shape
            does not fit, or is required and not given.
        ImportError
            Without onnx: ``pip install "chainrule[onnx]"``.
        OSError
            If the file cannot be written; an existing file stays unchanged.
        """
        call_method("to_onnx", self, path, input_shape=input_shape)

    def copy(self, dtype: DTypeLike | None = None, backend: str | None = None) -> Sequential:
        """Return an independent network with the same values, in ``dtype`` if given."""
        twin = Sequential(
            *self.layers,
            seed=0,
            dtype=self.dtype if dtype is None else dtype,
            backend=self.backend if backend is None else backend,
        )
        twin.values[:] = self.values
        twin._training, twin._mask_key, twin._draws = (
            self._training,
            self._mask_key,
            self._draws,
        )
        twin._frozen = self._frozen
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the caches, such as machines, with their memory."""
        caches = (
            *("_values", "_grads", "_params", "_buffer_vector", "_coded"),
            *("_output_shapes", "_training_batches", "_predictors", "_latest_key"),
            *("machines", "prepared", "_updates", "_passes"),
            *("_rows_forward", "_outdated_by", "_masks"),
        )
        kept = {name: value for name, value in self.__dict__.items() if name not in caches}
        return kept | {"values": self._values, "grads": self._grads}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Copy the vectors unless they are writable and contiguous, as the engine requires."""
        state = dict(state)
        if "values" not in state:  # pickled before there were buffers
            state |= {"values": state.pop("_params"), "_buffers": {}, "_buffer_offsets": {}}
        grads, values = arrays.owned(state.pop("grads")), arrays.owned(state.pop("values"))
        if "drops" in state:  # the attribute's name in older pickles
            state["_training"] = state.pop("drops")
        self.__dict__.update(state, _grads=grads)
        self._take_values(values, grads.size)
        self._clear_caches()

    def __deepcopy__(self, memo: dict[int, Any]) -> Sequential:
        return self.copy()

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, position: int) -> Element:
        return self.layers[position]


def check_network(net: Any) -> None:
    """Raise TypeError unless ``net`` is a network."""
    if not isinstance(net, Sequential):
        raise TypeError(f"net must be a Sequential, not {shortened(net)}.")


def _power_of_two(least: int) -> int:
    """Return the smallest power of two that is at least ``least``."""
    return 1 << (least - 1).bit_length()
