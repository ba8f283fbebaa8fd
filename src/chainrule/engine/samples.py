"""The gradients of single samples, from the arena after a plan's backward pass."""

from chainrule.engine.interpreter import OF_BACKWARD, VALUES, execute
from chainrule.kernels import context as word
from chainrule.kernels.jit import kernel
from chainrule.kernels.native import address

FIRST, LAST, GRADS, SCRATCH = word.FIRST, word.LAST, word.GRADS, word.SCRATCH
PARTITION_BEGIN, PARTITION_END, ALL = word.PARTITION_BEGIN, word.PARTITION_END, 1 << 62


@kernel
def differentiate_samples(program, sections, context, scratch, first, last, grads, stride, group):
    """Write the gradients of the samples from ``first`` to ``last``, ``stride`` apart."""
    begin, end = sections[OF_BACKWARD], sections[OF_BACKWARD + 1]
    context[PARTITION_BEGIN], context[PARTITION_END] = 0, ALL
    context[SCRATCH] = address(scratch)
    for i in range(first, last):
        context[FIRST], context[LAST] = i, i + 1
        context[GRADS] = address(grads[(i - first) * stride :])
        execute(program, begin, end, VALUES, context, group)
