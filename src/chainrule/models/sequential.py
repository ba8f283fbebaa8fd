"""Networks: layers in a row, with all their parameters in one flat vector."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from math import prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from chainrule.engine.backends import check_backend, threads_for
from chainrule.engine.machine import Machine
from chainrule.engine.masks import mask_key
from chainrule.engine.pool import MachinePool
from chainrule.engine.update import UpdateOptions, UpdateProgram
from chainrule.kernels.context import Phase
from chainrule.layers.container import Container, check_element
from chainrule.layers.graph import (
    Graph,
    check_names,
    check_places,
    graph_of,
    kind_of,
    lower,
    output_shapes,
)
from chainrule.layers.layer import Element, Group, Layer
from chainrule.losses import Loss
from chainrule.models.methods import call_method
from chainrule.models.model_file import contents, write_contents
from chainrule.models.summary import Summary, summarize
from chainrule.operations.operation import Shape
from chainrule.optimizers import OptimizerState
from chainrule.plan import Head, Plan, PlanBuilder, Tensor, make_plan
from chainrule.utils import arrays
from chainrule.utils.arguments import integer, shortened
from chainrule.utils.arrays import FloatArray

# An array; a tuple of them, one for each head, if the network ends in a Branch.
Output = Any

PREDICT_ROWS = 256  # a block whose activations stay in cache
MOST_PREDICTORS = 8  # in the pool for later calls


class Sequential(Group):
    """Layers in a row, each fed by the one before.

    Parameters
    ----------
    *layers : Layer or Sequential
        At least one. A network among them brings a copy of its parameters.
    seed : int, optional
        Seed of the parameters' first values; None draws one from the system.
    dtype : "float32" or "float64"
        Of parameters and computation.
    backend : "numba" or "numpy"
        Compiled kernels, or their plain NumPy twins (slow, to compare with).

    Attributes
    ----------
    layers : tuple of Layer
    dtype : numpy.dtype
    params, grads : arrays of shape (number of parameters,)
        All parameters and all gradients in one vector each. The vectors stay the same arrays for
        the life of the network: write into them, or assign to ``net.params``, which copies.
    values : array
        All parameters, and behind them all buffers, such as running means. ``params`` is a part of
        it.
    dropout_active : bool
        Whether :meth:`forward` is that of a training step: :class:`Dropout` layers drop elements,
        and :class:`BatchNorm` layers take the statistics of the batch. True at first.

    Raises
    ------
    ValueError
        If layers do not fit together.
    TypeError
        If something is no layer.

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

        self._shapes = self._graph.parameter_shapes()
        sizes = [prod(shape) for shape in self._shapes.values()]
        ends = np.cumsum([0, *sizes])
        self._offsets = dict(zip(self._shapes, map(int, ends[:-1]), strict=True))
        self._buffers = self._graph.buffers()
        sizes = [prod(buffer.shape) for buffer in self._buffers.values()]
        of_buffers = np.cumsum([0, *sizes])
        self._buffer_offsets = dict(zip(self._buffers, map(int, of_buffers[:-1]), strict=True))
        self._take_values(np.zeros(int(ends[-1] + of_buffers[-1]), self.dtype), int(ends[-1]))
        self.grads = np.zeros_like(self._params)
        self._initialize(np.random.default_rng(seed))

        self._clear_caches()
        self.dropout_active = True
        self._mask_key, self._draws = mask_key(seed), 0  # of forward

    def _take_values(self, values: FloatArray, parameters: int) -> None:
        """Make a vector the network's memory, of which so many numbers are parameters."""
        self.values = values
        self._params, self._buffer_vector = values[:parameters], values[parameters:]

    def _clear_caches(self) -> None:
        """Start with empty caches."""
        self._coded = [node for node in self._graph.nodes if node.layer.takes_codes]
        self._output_shapes: dict[Shape, tuple[Shape, ...]] = {}  # by the input shapes that fit
        self._training_batches: set[tuple[int, Shape]] = set()  # rows and input shapes that fit
        self._predictors = MachinePool(MOST_PREDICTORS)
        self._own_updater: Machine | None = None
        # Of forward and backward.
        self._manual: tuple[Plan, Machine, tuple[int, bool]] | None = None
        self._rows_forward = 0  # rows of a forward that no backward has followed
        self._outdated_by = ""  # what has changed the parameters since, if anything
        self._masks = 0, 0  # of the latest forward

    def _initialize(self, rng: np.random.Generator) -> None:
        views = self.parameters()
        for name, first in self._graph.first_values(rng):
            with np.errstate(over="ignore"):
                views[name][...] = first
            if not arrays.all_finite(views[name]):
                raise ValueError(f"The first values of {name} are not finite in {self.dtype}.")
        views = self.named_values()
        for name, buffer in self._buffers.items():
            views[name][...] = buffer.value
        owners = {node.path: node.owner for node in self._graph.nodes}
        # Of networks that share layers the first one's count.
        for prefix, network in reversed(list(_networks(self.layers))):
            for name, view in network.named_values().items():
                path, _, parameter_name = name.rpartition(".")
                views[f"{owners[prefix + path]}.{parameter_name}"][...] = view

    @property
    def backend(self) -> str:
        """What computes: "numba" or "numpy"."""
        return self._backend

    # Parameters

    @property
    def params(self) -> FloatArray:
        return self._params

    @params.setter
    def params(self, value: ArrayLike) -> None:
        vector = arrays.real_array(value, "params", self.dtype)
        if vector.shape != self._params.shape:
            raise ValueError(
                f"params must have shape {self._params.shape}, but its shape is {vector.shape}."
            )
        self._params[:] = vector
        self.outdate_forward("net.params = ...")

    def parameters(self) -> dict[str, FloatArray]:
        """Return each parameter by name, as a writable view into ``params``."""
        return self.views(self._params)

    def gradients(self) -> dict[str, FloatArray]:
        """Return each parameter's gradient by name, as a view into ``grads``."""
        return self.views(self.grads)

    def views(self, vector: FloatArray) -> dict[str, FloatArray]:
        """Return the part of a vector like ``params`` that belongs to each parameter, by name."""
        return _views(vector, self._shapes, self._offsets)

    def buffers(self) -> dict[str, FloatArray]:
        """Return by name what is saved with the parameters but not trained, as writable views.

        Examples
        --------
        >>> import chainrule as cr
        >>> list(cr.Sequential(cr.BatchNorm(3)).buffers())
        ['0.running_mean', '0.running_var', '0.num_batches_tracked']
        """
        shapes = {name: buffer.shape for name, buffer in self._buffers.items()}
        return _views(self._buffer_vector, shapes, self._buffer_offsets)

    def named_values(self) -> dict[str, FloatArray]:
        """Return each parameter and each buffer by name, as a writable view into ``values``."""
        return self.parameters() | self.buffers()

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
            Real numbers, read as those of :func:`fit`.

        Returns
        -------
        array of shape (n, ...), of the network's dtype
            Or a tuple of such arrays, one for each head, if the network ends in a :class:`Branch`.

        Raises
        ------
        ValueError, TypeError
            If X has the wrong shape or dtype, or holds NaN or infinity.
        """
        x = self.check_input(X, "X")
        rows, shape = x.shape[0], x.shape[1:]
        threads = threads_for(self.backend)
        # Powers of two: small batches share a few machines, and so do large ones.
        block = min(_power_of_two(rows), PREDICT_ROWS * threads)
        steps = _power_of_two(-(-rows // block))
        key = shape, block, steps, threads
        machine = self._predictors.take(key, lambda: self._make_predictor(*key))
        outputs = np.empty((rows, machine.plan.output_columns), self.dtype)
        machine.run(
            Phase.FORWARD | Phase.OUTPUT,
            rows,
            params=self._params,
            inputs=x,
            outputs=outputs,
        )
        self._predictors.put_back(key, machine)
        return _output(machine.plan.split_outputs(outputs))

    def _make_predictor(self, shape: Shape, block: int, steps: int, threads: int) -> Machine:
        plan = self.make_plan(shape, block, backward=False, steps=steps, threads=threads)
        return self.make_machine(plan)

    def make_machine(self, plan: Plan, backend: str | None = None) -> Machine:
        """Return a machine for a plan of this network, with its buffers."""
        return Machine(plan, self.dtype, backend or self.backend, self._buffer_vector)

    def forward(self, x: ArrayLike) -> Output:
        """Return the output for one batch, and retain what :meth:`backward` reads.

        Parameters, what is returned, and errors are those of :meth:`predict`.

        Examples
        --------
        A training step by hand:

        >>> import numpy as np
        >>> import chainrule as cr
        >>> x, y = np.ones((4, 3)), np.zeros((4, 2))
        >>> net, loss, optimizer = cr.Sequential(cr.Linear(3, 2), seed=0), cr.MSELoss(), cr.SGD()
        >>> out = net.forward(x)
        >>> value, d_out = loss(out, y)
        >>> dx = net.backward(d_out)
        >>> optimizer.step(net)
        """
        batch = self.check_input(x, "x")
        rows, shape = batch.shape[0], batch.shape[1:]
        if self.dropout_active:
            self.check_training_batch(rows, shape)
        self._rows_forward, self._outdated_by = 0, ""
        threads = threads_for(self.backend)
        if (
            self._manual is None
            or not self._manual[1].usable
            or self._manual[0].input_shape != shape
            or self._manual[0].batch < rows
            or self._manual[2] != (threads, self.dropout_active)
        ):
            plan = self.make_plan(shape, rows, threads=threads, training=self.dropout_active)
            machine = self.make_machine(plan)
            self._manual = plan, machine, (threads, self.dropout_active)
        plan, machine, _ = self._manual
        self._draws += 1
        self._masks = self._mask_key, self._draws
        machine.run(Phase.FORWARD, rows, params=self._params, inputs=batch, masks=self._masks)
        self._rows_forward = rows
        return _output(machine.outputs(rows))

    def backward(self, d_out: Any) -> FloatArray:
        """Run the backward pass, from the loss's gradient by the output.

        It belongs to the latest :meth:`forward`, and follows it once, with the same parameters: it
        is an error if an optimizer's step, :func:`fit`, an assignment to ``net.params`` or
        ``from_state_dict`` has changed them in between. What is written into their views is
        not seen, and would give the gradients of neither network. The parameters' gradients replace
        what was in ``grads``; they are not added up.

        Parameters
        ----------
        d_out : array of the output's shape
            The loss's gradient by the output; a tuple of them, one for each head, if the network
            ends in a :class:`Branch`.

        Returns
        -------
        dx : array of the input's shape
            The loss's gradient by the input.

        Raises
        ------
        RuntimeError
            If no forward came before, or the parameters were changed after it.
        ValueError, TypeError
            If d_out has the wrong shape or dtype, or holds NaN or infinity.
        """
        rows = self._rows_forward
        if rows == 0 or self._manual is None:
            if self._outdated_by:
                raise RuntimeError(
                    f"{self._outdated_by} has changed the parameters after forward, so that "
                    "backward would give the gradients of neither network: call forward again."
                )
            raise RuntimeError("backward needs a forward before it, one for each backward.")
        plan, machine, _ = self._manual
        gradients = self.check_gradients(d_out, rows, plan.output_shapes, "d_out")
        machine.start_back_with(gradients, rows)
        self._rows_forward = 0
        machine.run(
            Phase.BACKWARD | Phase.INPUT_GRADIENT,
            rows,
            params=self._params,
            grads=self.grads,
            masks=self._masks,
        )
        return machine.rows_at("d_input", rows).copy()

    def outdate_forward(self, by: str) -> None:
        """Note that something has changed the parameters: no backward fits the latest forward."""
        if self._rows_forward:
            self._rows_forward, self._outdated_by = 0, by

    def restart_masks(self) -> None:
        """Let the next :meth:`forward` draw the first one's masks again; see :class:`Dropout`."""
        self._draws = 0

    def check_gradients(
        self, d_out: Any, rows: int, shapes: tuple[Shape, ...], name: str
    ) -> list[NDArray[Any]]:
        """Return the gradient by each output, checked."""
        given = [(d_out, name, "the output's")]
        if len(shapes) > 1:
            if not isinstance(d_out, tuple | list) or len(d_out) != len(shapes):
                raise ValueError(f"{name} must be a tuple of {len(shapes)}, one for each output.")
            given = [(d, f"{name}[{i}]", f"output {i}'s") for i, d in enumerate(d_out)]
        gradients = []
        for (value, called, whose), row_shape in zip(given, shapes, strict=True):
            gradient, shape = arrays.finite_array(value, called, self.dtype), (rows, *row_shape)
            if gradient.shape != shape:
                raise ValueError(
                    f"{called} must have {whose} shape, {shape}, but its shape is {gradient.shape}."
                )
            gradients.append(gradient)
        return gradients

    def input_gradient(self, x: ArrayLike) -> FloatArray:
        """Return the gradient of the one output by the input.

        See :func:`chainrule.input_gradient`, which also takes other parameters.

        Examples
        --------
        >>> import chainrule as cr
        >>> net = cr.Sequential(cr.Linear(2, 1), dtype="float64")
        >>> net.params = [1.0, 2.0, 0.5]
        >>> net.input_gradient([[3.0, 1.0]])
        array([[1., 2.]])
        """
        gradient: FloatArray = call_method("input_gradient", self, x)
        return gradient

    def apply_update(self, state: OptimizerState) -> None:
        """Update the parameters by the rule of ``state``."""
        self.outdate_forward("An optimizer's step")
        self._updater.run(
            Phase.UPDATE,
            1,
            params=self._params,
            grads=self.grads,
            **state.arguments,
        )

    def clip_gradients(self, *, norm: float = 0.0, value: float = 0.0) -> float:
        """Clip the gradients to a norm, or each to a value; 0 is no limit.

        Returns the norm that they had, if it is limited. See :func:`chainrule.clip_grad_norm`.
        """
        options = UpdateOptions(norm, value)
        self._update_by(UpdateProgram(self._params.size, self.dtype, options))
        return sqrt(self._updater.squares.sum()) if norm else 0.0

    def let_follow(self, average: FloatArray, decay: float) -> None:
        """Update an exponential moving average of the parameters, with this decay."""
        options = UpdateOptions(average_decay=decay)
        program = UpdateProgram(self._params.size, self.dtype, options)
        self._update_by(program, average=average)

    def _update_by(self, program: UpdateProgram, average: FloatArray | None = None) -> None:
        self._updater.run(
            Phase.UPDATE, 1, params=self._params, grads=self.grads, update=program, average=average
        )

    @property
    def _updater(self) -> Machine:
        """A machine that only updates: its plan is empty."""
        if self._own_updater is None or not self._own_updater.usable:
            nothing = Tensor((1,))
            heads = [Head(nothing)]
            plan = make_plan(PlanBuilder(), nothing, heads, offsets={}, batch=1, dtype=self.dtype)
            self._own_updater = Machine(plan, self.dtype, self.backend)
        return self._own_updater

    # Shapes and plans

    def check_input(self, x: ArrayLike, name: str) -> NDArray[Any]:
        """Return ``x`` as an array that can be gathered from and fits the first layer."""
        batch = arrays.batch_array(x, name, self.dtype)
        self._shapes_of_outputs(batch.shape[1:], name)
        for node in self._coded:
            node.layer.check_codes(batch, name, f"layer {node.path}")
        return batch

    @property
    def takes_codes(self) -> bool:
        """Whether some layer takes the input as codes, by which there are no derivatives."""
        return bool(self._coded)

    def check_training_batch(self, rows: int, input_shape: Shape) -> None:
        """Raise ValueError if a training step must not have so many rows of this shape."""
        if (rows, input_shape) not in self._training_batches:
            self._graph.check_training_batch(rows, input_shape)
            self._training_batches.add((rows, input_shape))

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of a row's output, for rows of ``input_shape``.

        Raises
        ------
        ValueError
            If they do not fit the first layer, or there are several outputs.
        """
        first, *others = self.output_shapes(input_shape)
        if others:
            raise ValueError(
                f"The network has {1 + len(others)} outputs: output_shapes has their shapes."
            )
        return first

    def output_shapes(self, input_shape: Shape) -> tuple[Shape, ...]:
        """Return the shapes of all of a row's outputs; errors are those of :meth:`output_shape`."""
        return self._shapes_of_outputs(input_shape, "the input")

    def _shapes_of_outputs(self, input_shape: Shape, source: str) -> tuple[Shape, ...]:
        if input_shape not in self._output_shapes:
            shapes = output_shapes(self._graph, input_shape, source)
            known = [shape for i in self._graph.outputs if (shape := shapes[i]) is not None]
            assert len(known) == len(self._graph.outputs)  # as the input's is known
            self._output_shapes[input_shape] = tuple(known)
        return self._output_shapes[input_shape]

    def lower(
        self, input_shape: Shape, *, retain: bool = False, training: bool = False
    ) -> tuple[PlanBuilder, Tensor, list[Tensor]]:
        """Return the layers' steps for rows of a shape, the input and the outputs."""
        builder, first = PlanBuilder(training=training), Tensor(input_shape)
        return builder, first, lower(self._graph, builder, first, retain=retain)

    @property
    def offsets(self) -> dict[str, int]:
        """Where each parameter begins in ``params``, and each buffer in theirs, by name."""
        return self._offsets | self._buffer_offsets

    def make_plan(
        self,
        input_shape: Shape,
        batch: int,
        *,
        loss: Loss | None = None,
        backward: bool = True,
        steps: int = 1,
        threads: int = 1,
        retain: bool = False,
        training: bool = False,
    ) -> Plan:
        """Return the plan for batches of up to ``batch`` rows of ``input_shape``.

        See ``chainrule.plan.make_plan``; ``training`` is whether it is of training steps, or of
        what the network predicts.
        """
        builder, first, outputs = self.lower(input_shape, retain=retain, training=training)
        if loss is not None:
            loss.check_numbers(self.dtype)
        return make_plan(
            builder,
            first,
            list(map(Head, outputs)) if loss is None else loss.heads(outputs),
            offsets=self.offsets,
            batch=batch,
            dtype=self.dtype,
            backward=backward,
            steps=steps,
            threads=threads,
            retain=retain,
        )

    def layer_name(self, positions: tuple[int, ...]) -> str:
        """Return the name for messages of the layers at these positions."""
        nodes = [self._graph.nodes[position] for position in positions]
        kinds = " + ".join(kind_of(node.layer) for node in nodes)
        return f"{kinds} (layer {nodes[0].path})"

    def summary(self) -> Summary:
        """Return a table of the layers, their output shapes and numbers of parameters.

        Examples
        --------
        >>> import chainrule as cr
        >>> print(cr.Sequential(cr.Linear(64, 10), cr.ReLU(), seed=0).summary())
        layer            output shape   parameters
        0 Linear(64, 10) (n, 10)        650
        1 ReLU()         (n, 10)        0
        650 parameters, float32, 2.5 KiB
        """
        return summarize(self._graph, self.dtype.name, self._params.nbytes)

    # Copies and the like

    def save(self, path: str | os.PathLike[str], metadata: dict[str, Any] | None = None) -> None:
        """Write layers, parameters and buffers into a safetensors file, for :func:`chainrule.load`.

        Parameters
        ----------
        path : path of the file
            One that is there is replaced, whole.
        metadata : dict, optional
            Plain values to keep beside them, for :func:`chainrule.load_metadata`: None, bool, int
            (of 64 bits at most), finite float, str, and lists and dicts of these; 16 megabytes
            of JSON at most.

        Raises
        ------
        ValueError, TypeError
            If a layer is none of this package's, a parameter holds NaN or infinity, or the
            metadata would not come back as they are.
        OSError
            If the file cannot be written; one that was there before stays.
        """
        write_contents(path, contents(self.layers, self.dtype, self.named_values(), metadata))

    def to_onnx(
        self, path: str | os.PathLike[str], *, input_shape: tuple[int, ...] | None = None
    ) -> None:
        """Write the network into an ONNX file, for :func:`chainrule.from_onnx` and other runtimes.

        The input is called ``input``, the output ``output`` (``output_0``, ``output_1``... of a
        :class:`Branch`); the batch may have any size. The file has opset 17.

        Parameters
        ----------
        path : path of the file
            One that is there is replaced, whole.
        input_shape : tuple of int, optional
            Of a row of the input; by default what the first linear layer expects.

        Raises
        ------
        ValueError, TypeError
            If a layer is none of this package's, a parameter holds NaN or infinity, the shape does
            not fit, or it is required and not given.
        ImportError
            Without onnx, which ``pip install "chainrule[onnx]"`` brings.
        OSError
            If the file cannot be written; one that was there before stays.
        """
        call_method("to_onnx", self, path, input_shape=input_shape)

    def copy(self, dtype: DTypeLike | None = None, backend: str | None = None) -> Sequential:
        """Return an independent network of the same values, of another dtype if given."""
        twin = Sequential(
            *self.layers,
            seed=0,
            dtype=self.dtype if dtype is None else dtype,
            backend=self.backend if backend is None else backend,
        )
        twin.values[:] = self.values
        twin.dropout_active, twin._mask_key, twin._draws = (
            self.dropout_active,
            self._mask_key,
            self._draws,
        )
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the caches, such as machines, with their memory."""
        caches = (
            *("_params", "_buffer_vector", "_coded"),  # parts of what is there
            *("_output_shapes", "_training_batches", "_predictors", "_own_updater", "_manual"),
            *("_rows_forward", "_outdated_by", "_masks"),
        )
        return {name: value for name, value in self.__dict__.items() if name not in caches}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Copy vectors that the network does not own: it writes into them."""
        state = dict(state)
        if "values" not in state:  # pickled before there were buffers
            state |= {"values": state.pop("_params"), "_buffers": {}, "_buffer_offsets": {}}
        grads, values = arrays.owned(state.pop("grads")), arrays.owned(state.pop("values"))
        if "drops" in state:  # pickled before the attribute had its present name
            state["dropout_active"] = state.pop("drops")
        self.__dict__.update(state, grads=grads)
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


def _networks(elements: Iterable[Element], prefix: str = "") -> Iterator[tuple[str, Sequential]]:
    """Yield each network among the elements, and the prefix of its layers' paths."""
    for position, element in enumerate(elements):
        path = f"{prefix}{position}."
        if isinstance(element, Sequential):
            yield path, element
        elif isinstance(element, Container):
            yield from _networks(element.parts, path)


def _views(
    vector: FloatArray, shapes: Mapping[str, Shape], offsets: Mapping[str, int]
) -> dict[str, FloatArray]:
    """Return parts of a vector by name, each in its shape."""
    return {
        name: vector[offsets[name] : offsets[name] + prod(shape)].reshape(shape)
        for name, shape in shapes.items()
    }


def _output(outputs: list[FloatArray]) -> Output:
    return outputs[0] if len(outputs) == 1 else tuple(outputs)


def _power_of_two(least: int) -> int:
    """Return the smallest power of two that is at least ``least``."""
    return 1 << (least - 1).bit_length()
