"""The shapes of a network's values, and its plans."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from numpy.typing import ArrayLike

from chainrule.engine.machine import Machine
from chainrule.layers.graph import check_codes, kind_of, lower
from chainrule.layers.shapes import check_batch, output_shapes
from chainrule.losses import Loss
from chainrule.models.vectors import NetworkVectors
from chainrule.operations.operation import Shape
from chainrule.plan import Head, Plan, PlanBuilder, Tensor, make_plan
from chainrule.utils.inputs import (
    Batch,
    arrays_of,
    given_parts,
    input_batch,
    input_names,
    names_of_columns,
)
from chainrule.utils.wording import array_in_code


class NetworkPlans(NetworkVectors):
    """What a network takes and gives, and how it becomes a plan."""

    _backend: str

    def _clear_shapes(self) -> None:
        """Forget the shapes of the values."""
        self._coded = [node for node in self._graph.nodes if node.layer.takes_codes]
        self._output_shapes: dict[Shape, tuple[Shape, ...]] = {}  # by input shape

    def check_input(self, x: ArrayLike, name: str) -> Any:
        """Return ``x`` as a batch for the engine; ValueError unless it fits the first layers.

        It is an array, or an ``ArrayTuple`` if the network has several inputs.
        """
        inputs = self._graph.inputs
        batch = input_batch(x, name, self.dtype, inputs)
        if batch.shape[1:] not in self._output_shapes:
            codes = map(array_in_code, input_names(name, inputs), given_parts(x, inputs))
            self._shapes_of_outputs(batch.shape[1:], name, tuple(codes))
        self.check_prediction_batch(len(batch), batch.shape[1:], name)
        if self._coded:
            self.check_codes(batch, name, names_of_columns(x, inputs))
        return batch

    def check_prediction_batch(self, rows: int, input_shape: Shape, name: str) -> None:
        """Raise ValueError if there must not be so many rows, which messages call by a name."""
        if not self._graph.rows_are_independent:
            check_batch(self._graph, rows, input_shape, training=False, name=name)

    def check_codes(self, batch: Batch, name: str, columns: Sequence[Sequence[Any]]) -> None:
        """Raise ValueError if an input has a code that some layer does not take.

        ``columns`` are the names of the columns of each input, for messages.
        """
        arrays, called = arrays_of(batch), input_names(name, self._graph.inputs)
        for node in self._coded:
            i = self._graph.input_number(node)
            check_codes(self._graph, node, arrays[i], called[i], columns[i])

    @property
    def takes_codes(self) -> bool:
        """Whether some layer takes the input as codes, by which there are no derivatives."""
        return bool(self._coded)

    @property
    def coded_inputs(self) -> frozenset[int]:
        """The numbers of the inputs that some layer takes as codes."""
        return frozenset(map(self._graph.input_number, self._coded))

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
        source = "the input" if self._graph.inputs == 1 else "input_shape"
        return self._shapes_of_outputs(input_shape, source, ())

    def _shapes_of_outputs(
        self, input_shape: Shape, source: str, codes: tuple[str, ...]
    ) -> tuple[Shape, ...]:
        if input_shape not in self._output_shapes:
            shapes = output_shapes(self._graph, input_shape, source, codes)
            known = [shape for i in self._graph.outputs if (shape := shapes[i]) is not None]
            assert len(known) == len(self._graph.outputs)  # as the input's is known
            self._output_shapes[input_shape] = tuple(known)
        return self._output_shapes[input_shape]

    def lower(
        self,
        input_shape: Shape,
        *,
        retain: bool = False,
        training: bool = False,
        frozen: Collection[str] = (),
    ) -> tuple[PlanBuilder, list[Tensor], list[Tensor]]:
        """Return the layers' steps for rows of a shape, the inputs and the outputs."""
        builder = PlanBuilder(training=training, frozen=frozen, dtype=self.dtype)
        inputs = list(map(Tensor, self._graph.input_shapes(input_shape)))
        return builder, inputs, lower(self._graph, builder, inputs, retain=retain)

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
        frozen: Collection[str] = (),
    ) -> Plan:
        """Return the plan for batches of up to ``batch`` rows of ``input_shape``.

        See ``chainrule.plan.make_plan``; ``training`` is whether it is of training steps, or of
        what the network predicts. The gradients by the parameters in ``frozen`` are left out.
        """
        options = {"retain": retain, "training": training}
        builder, inputs, outputs = self.lower(input_shape, frozen=frozen, **options)
        if loss is not None:
            loss.check_numbers(self.dtype)
        return make_plan(
            builder,
            inputs,
            list(map(Head, outputs)) if loss is None else loss.heads(outputs),
            offsets=self.offsets,
            batch=batch,
            dtype=self.dtype,
            backward=backward,
            steps=steps,
            threads=threads,
            retain=retain,
        )

    def make_machine(self, plan: Plan, backend: str | None = None) -> Machine:
        """Return a machine for a plan of this network, with its buffers."""
        return Machine(plan, self.dtype, backend or self._backend, self._buffer_vector)

    def layer_name(self, positions: tuple[int, ...]) -> str:
        """Return the name for messages of the layers at these positions."""
        nodes = [self._graph.nodes[position] for position in positions]
        kinds = " + ".join(kind_of(node.layer) for node in nodes)
        return f"{kinds} (layer {nodes[0].path})"
