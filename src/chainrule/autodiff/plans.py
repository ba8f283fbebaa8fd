"""The plans for derivatives: a network's plan, and plans with tangents."""

from __future__ import annotations

from chainrule.autodiff.each_input import element_of
from chainrule.losses import Loss
from chainrule.models.sequential import Sequential
from chainrule.operations.operation import Shape
from chainrule.plan import Head, Plan, PlanBuilder, Tensor, make_plan
from chainrule.plan.tangent import Tangents


def plain_plan(
    net: Sequential, shape: Shape, rows: int, *, threads: int, loss: Loss | None, retain: bool
) -> Plan:
    """Return the network's plan; with ``retain``, the backward pass can run several times."""
    return net.make_plan(shape, rows, loss=loss, threads=threads, retain=retain)


def tangent_plan(
    net: Sequential,
    shape: Shape,
    rows: int,
    *,
    threads: int,
    parameters_change: bool,
    by_x: bool,
    loss: Loss | None = None,
    backward: bool = False,
    retain: bool = False,
) -> Plan:
    """Return a plan for the outputs, then for their tangents: twice as many heads.

    With ``parameters_change``, the parameters change along the direction; with ``by_x``, each
    input along its seed.
    """
    builder, inputs, outputs = net.lower(shape)
    heads = list(map(Head, outputs)) if loss is None else loss.heads(outputs)
    seeds = [Tensor(x.shape) for x in inputs] if by_x else []
    pairs = list(zip(inputs, seeds, strict=True)) if by_x else []
    tangents = Tangents(builder, parameters_change=parameters_change, seeds=pairs)
    tangents.append(list(builder.steps))
    heads += [Head(_or_zeros(builder, tangents.of(y), y)) for y in outputs]
    return make_plan(
        builder,
        inputs,
        heads,
        offsets=net.offsets,
        batch=rows,
        dtype=net.dtype,
        seeds=seeds,
        backward=backward,
        threads=threads,
        retain=retain,
    )


def derivatives_plan(
    net: Sequential,
    shape: Shape,
    rows: int,
    *,
    threads: int,
    derivatives: tuple[tuple[int, ...], ...],
    backward: bool,
) -> Plan:
    """Return a plan for derivatives by elements of all inputs, which are counted on; a head each.

    ``()`` is the output itself, ``(i,)`` its derivative by element i, ``(i, j)`` the second one by
    i and j, with i <= j. There is a seed for each element, in the order of their numbers, of the
    shape of its input.
    """
    builder, inputs, (y,) = net.lower(shape)
    primal, shapes = list(builder.steps), [x.shape for x in inputs]
    seeds, tangents, steps = [], {}, {}
    heads: dict[tuple[int, ...], Tensor] = {(): y}
    for i in elements_of(derivatives):
        x = inputs[element_of(i, shapes)[0]]
        seeds.append(Tensor(x.shape))
        tangents[i] = Tangents(builder, parameters_change=False, seeds=[(x, seeds[-1])])
        begin = len(builder.steps)
        tangents[i].append(primal)
        steps[i] = builder.steps[begin:]
        heads[i,] = _or_zeros(builder, tangents[i].of(y), y)
    for derivative in derivatives:
        if len(derivative) == 2:
            i, j = derivative
            tangents[j].append(steps[i])
            heads[i, j] = _or_zeros(builder, tangents[j].of(heads[i,]), y)
    return make_plan(
        builder,
        inputs,
        [Head(heads[derivative]) for derivative in derivatives],
        offsets=net.offsets,
        batch=rows,
        dtype=net.dtype,
        seeds=seeds,
        backward=backward,
        threads=threads,
        retain=backward,  # for several backward passes
    )


def elements_of(derivatives: tuple[tuple[int, ...], ...]) -> list[int]:
    """Return the sorted indices of all elements in the derivatives.

    >>> elements_of(((), (3,), (0, 3)))
    [0, 3]
    """
    return sorted({i for derivative in derivatives for i in derivative})


def _or_zeros(builder: PlanBuilder, tangent: Tensor | None, y: Tensor) -> Tensor:
    """Return the tangent of y, or zeros if it is None."""
    return builder.rescale(y, 0.0) if tangent is None else tangent
