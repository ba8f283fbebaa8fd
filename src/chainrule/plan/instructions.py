"""The instruction set: which operations there are, and what one row of a plan says.

Without Numba, so that layers can name their operations before the engine is loaded.
"""

from enum import IntEnum

import numpy as np


class Op(IntEnum):
    """What an instruction does. Elementwise activations come first, losses and updates last."""

    NONE = 0
    RELU = 1
    LEAKY_RELU = 2
    TANH = 3
    SIGMOID = 4
    SOFTPLUS = 5
    ELU = 6
    SILU = 7
    GELU = 8
    GELU_TANH = 9

    LINEAR = 20
    SOFTMAX = 21
    LOG_SOFTMAX = 22
    RESCALE = 23
    ADD = 24  # two values that meet
    MULTIPLY = 25
    CONCATENATE = 26  # one value takes its place among the columns of y
    SUM_ALONG_ROWS = 27
    DERIVATIVE = 28  # x times an activation's derivative, a function of the other operand
    FOREIGN = 29  # a user's own functions
    DROPOUT = 30

    MSE = 40
    HUBER = 41
    BCE_WITH_LOGITS = 42
    CROSS_ENTROPY = 43
    FOREIGN_LOSS = 44

    SGD = 60
    ADAM = 61
    ADAMW = 62


class Phase:
    """What ``run`` shall do for each batch: a sum of these."""

    GATHER = 1  # fetch the rows
    WALK = 2  # walk the plan forward
    LOSS = 4  # compare each output that has a loss with its target
    FORWARD = GATHER | WALK | LOSS
    OUTPUT = 8  # copy the network's outputs out
    BACKWARD = 16  # walk the plan backward
    INPUT_GRADIENT = 32  # ... down to the network's input
    UPDATE = 64  # let the optimizer step
    CLIP = 128  # keep the gradients within the rule's limits, before that
    AVERAGE = 256  # let the average of the parameters follow, after it


# What a plan says of a place that it has not assigned: far outside of every array, so that a slice
# from there holds nothing. 0 is a place, whose owner's values another step would write over.
UNASSIGNED = -(1 << 40)

# What ``run`` returns if something failed: a user's own function, or a thread.
FAILED = -1

# All offsets count elements: weight and bias in the parameter (and gradient) vector, where -1
# stands for "none"; all others in the arena.
INSTRUCTION = np.dtype(
    [
        ("op", np.int64),
        ("activation", np.int64),  # an elementwise Op fused into a linear one
        ("repeat", np.int64),  # rows of x and y for each row of the batch
        ("inputs", np.int64),  # columns of x
        ("outputs", np.int64),  # columns of y
        ("x", np.int64),
        ("other", np.int64),  # a second operand, of the same shape
        ("y", np.int64),
        ("dx", np.int64),
        ("d_other", np.int64),
        ("dy", np.int64),
        ("order", np.int64),  # of a derivative
        ("number", np.int64),  # of a dropout, among all of the plan
        ("column", np.int64),  # the first of y's columns that x becomes
        ("saved", np.int64),  # what an activation's derivative reads: its x or its y
        ("z", np.int64),  # a linear step's sums, before a fused activation makes y of them
        ("dz", np.int64),
        ("weight", np.int64),
        ("bias", np.int64),
        ("moving", np.int64),  # 1 if weight and bias are the direction's, not the parameters'
        ("reads_input", np.int64),  # 1 if x is the network's input
        ("adds_y", np.int64),  # 1 if a linear step adds to what is in y
        # Where a value was used by a later step too, or a weight by one, their gradients are sums.
        ("adds_dx", np.int64),
        ("adds_d_other", np.int64),
        ("adds_dw", np.int64),
        ("adds_db", np.int64),
        ("partial", np.int64),  # room for a term of such a sum
        ("partial_other", np.int64),
        # Of a step that is a user's own. A machine fills in the addresses of its functions' tables.
        ("forward", np.int64),
        ("backward", np.int64),
        ("parameters", np.int64),  # how many, beginning at weight
        ("parts", np.int64),  # their gradients, as each chunk of rows gives them
        ("kept", np.int64),  # what its functions hand on from forward to backward
        ("kept_size", np.int64),  # elements a row
        ("alpha", np.float64),  # the operation's number: slope, alpha, delta, smoothing, scale
        ("beta", np.float64),  # its second one: offset
    ]
)

# One row for each output of the network, and its loss.
HEAD = np.dtype(
    [
        ("op", np.int64),  # the loss, or NONE
        ("alpha", np.float64),  # its number
        ("share", np.float64),  # its weight in the sum of all losses
        ("output", np.int64),
        ("d_output", np.int64),
        ("output_size", np.int64),  # elements a row
        ("column", np.int64),  # its first column among those of all outputs
        ("target", np.int64),
        ("target_size", np.int64),  # 0 where the loss takes labels, or there is no loss
        ("target_column", np.int64),  # how many columns of targets come before
        ("label_column", np.int64),  # ... or of labels
        ("forward", np.int64),  # of a user's own loss, as of an instruction
        ("terms", np.int64),  # of the loss, before they are added up
        ("terms_size", np.int64),  # elements a row
    ]
)

# Where the arena holds what enters the chain, and what all steps share.
LAYOUT = np.dtype(
    [
        ("input", np.int64),
        ("d_input", np.int64),
        ("input_size", np.int64),  # elements a row
        ("scale", np.float64),  # what the gather multiplies X by, and then adds
        ("offset", np.float64),
        ("target_columns", np.int64),  # of all outputs
        ("label_columns", np.int64),
        ("weight", np.int64),  # one number a row
        ("batch", np.int64),  # rows that there is room for
        ("threads", np.int64),  # that may share the work
        ("chunk", np.int64),  # rows that one thread takes as a whole
        ("scratch", np.int64),
        ("scratch_size", np.int64),  # for each thread
    ]
)

# An optimizer's rule, a row for each run of neighbouring parameters with one weight decay; what is
# not of a run counts in the first row. Momentum stands in beta1.
UPDATE = np.dtype(
    [
        ("op", np.int64),
        ("step", np.int64),  # steps taken so far
        ("nesterov", np.int64),
        ("lr", np.float64),
        ("beta1", np.float64),
        ("beta2", np.float64),
        ("eps", np.float64),
        ("weight_decay", np.float64),
        ("begin", np.int64),
        ("end", np.int64),
        ("clip_norm", np.float64),  # 0 for no limit
        ("clip_value", np.float64),
        ("average_decay", np.float64),
    ]
)
