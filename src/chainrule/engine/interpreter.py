"""The interpreter: walks a plan forward and backward, batch after batch, in one compiled call.

Compiled once for each dtype, it runs every network. Several threads may run it together, as a team:
forward, loss and the errors' way back are each member's own rows; then the team meets, since a
parameter's gradient is a sum over all rows, and each member computes the gradients of its share of
the parameters, and updates them. How the work is shared changes no sum but the loss's, which
nothing else depends on.

It names kernels only; where these names mean their NumPy twins, the same source is the reference
backend (see ``engine.backends``).
"""

import math

from chainrule.engine.instructions import Op, Phase
from chainrule.kernels.activation import (
    elu,
    elu_backward,
    gelu,
    gelu_backward,
    gelu_tanh,
    gelu_tanh_backward,
    leaky_relu,
    leaky_relu_backward,
    log_softmax,
    log_softmax_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    softmax,
    softmax_backward,
    softplus,
    softplus_backward,
    tanh,
    tanh_backward,
)
from chainrule.kernels.affine import (
    linear,
    linear_backward_bias,
    linear_backward_input,
    linear_backward_weight,
    linear_relu,
)
from chainrule.kernels.gather import copy_rows, gather_rescaled, gather_rows, gather_values
from chainrule.kernels.jit import entry_point, kernel
from chainrule.kernels.loss import bce_with_logits, cross_entropy, huber, mse
from chainrule.kernels.rescale import rescale, rescale_backward
from chainrule.kernels.team import meet
from chainrule.kernels.update import adam_update, adamw_update, sgd_update
from chainrule.kernels.views import matrix

FORWARD, OUTPUT, BACKWARD = Phase.FORWARD, Phase.OUTPUT, Phase.BACKWARD
INPUT_GRADIENT, UPDATE = Phase.INPUT_GRADIENT, Phase.UPDATE


@kernel
def activate(op, x, y, alpha):
    if op == Op.RELU:
        relu(x, y)
    elif op == Op.LEAKY_RELU:
        leaky_relu(x, y, alpha)
    elif op == Op.TANH:
        tanh(x, y)
    elif op == Op.SIGMOID:
        sigmoid(x, y)
    elif op == Op.SOFTPLUS:
        softplus(x, y)
    elif op == Op.ELU:
        elu(x, y, alpha)
    elif op == Op.SILU:
        silu(x, y)
    elif op == Op.GELU:
        gelu(x, y)
    elif op == Op.GELU_TANH:
        gelu_tanh(x, y)


@kernel
def activate_backward(op, dy, saved, dx, alpha):
    if op == Op.RELU:
        relu_backward(dy, saved, dx)
    elif op == Op.LEAKY_RELU:
        leaky_relu_backward(dy, saved, dx, alpha)
    elif op == Op.TANH:
        tanh_backward(dy, saved, dx)
    elif op == Op.SIGMOID:
        sigmoid_backward(dy, saved, dx)
    elif op == Op.SOFTPLUS:
        softplus_backward(dy, saved, dx)
    elif op == Op.ELU:
        elu_backward(dy, saved, dx, alpha)
    elif op == Op.SILU:
        silu_backward(dy, saved, dx)
    elif op == Op.GELU:
        gelu_backward(dy, saved, dx)
    elif op == Op.GELU_TANH:
        gelu_tanh_backward(dy, saved, dx)


@kernel
def part_of(total, member, members, multiple):
    """Return where a member's part of ``total`` things begins and ends, in whole multiples."""
    size = (total + members * multiple - 1) // (members * multiple) * multiple
    return min(member * size, total), min((member + 1) * size, total)


@kernel
def forward(plan, params, arena, scratch, first, last):
    """Walk the plan from the input to the output, for the rows from ``first`` to ``last``."""
    for i in range(plan.size):
        step = plan[i]
        op, k, n = step["op"], step["inputs"], step["outputs"]
        begin, end = first * step["repeat"], last * step["repeat"]
        m = end - begin
        # Kernels get views: a computed offset inside their loops would stop vectorisation.
        x = arena[step["x"] + begin * k : step["x"] + end * k]
        y = arena[step["y"] + begin * n : step["y"] + end * n]
        if op == Op.LINEAR:
            x = matrix(x, m, k)
            w = matrix(params[step["weight"] : step["weight"] + k * n], k, n)
            b = params[step["bias"] : step["bias"] + n] if step["bias"] >= 0 else params[:0]
            if step["activation"] == Op.RELU:
                linear_relu(x, w, b, scratch, matrix(y, m, n))
            else:
                z = arena[step["z"] + begin * n : step["z"] + end * n]
                linear(x, w, b, scratch, matrix(z, m, n))
                activate(step["activation"], z, y, step["alpha"])
        elif op == Op.SOFTMAX:
            softmax(matrix(x, m, k), matrix(y, m, n))
        elif op == Op.LOG_SOFTMAX:
            log_softmax(matrix(x, m, k), matrix(y, m, n))
        elif op == Op.RESCALE:
            rescale(x, y, step["alpha"], step["beta"])
        else:
            activate(op, x, y, step["alpha"])


@kernel
def pass_error_back(step, params, arena, scratch, first, last, to_input):
    """Carry the gradient of the rows from ``first`` to ``last`` from one step's y to its x."""
    op, k, n = step["op"], step["inputs"], step["outputs"]
    begin, end = first * step["repeat"], last * step["repeat"]
    m = end - begin
    y = arena[step["y"] + begin * n : step["y"] + end * n]
    dx = arena[step["dx"] + begin * k : step["dx"] + end * k]
    dy = arena[step["dy"] + begin * n : step["dy"] + end * n]
    if op == Op.LINEAR:
        w = matrix(params[step["weight"] : step["weight"] + k * n], k, n)
        dz = arena[step["dz"] + begin * n : step["dz"] + end * n]
        activate_backward(step["activation"], dy, y, dz, step["alpha"])
        if to_input:
            linear_backward_input(matrix(dz, m, n), w, scratch, matrix(dx, m, k))
    elif op == Op.SOFTMAX:
        softmax_backward(matrix(dy, m, n), matrix(y, m, n), matrix(dx, m, k))
    elif op == Op.LOG_SOFTMAX:
        log_softmax_backward(matrix(dy, m, n), matrix(y, m, n), matrix(dx, m, k))
    elif op == Op.RESCALE:
        rescale_backward(dy, dx, step["alpha"])
    else:
        saved = arena[step["saved"] + begin * n : step["saved"] + end * n]
        activate_backward(op, dy, saved, dx, step["alpha"])


@kernel
def differentiate_parameters(step, grads, arena, scratch, rows, first, last):
    """Compute those gradients of one step's parameters that lie from ``first`` to ``last``."""
    if step["op"] != Op.LINEAR:
        return
    m, k, n = rows * step["repeat"], step["inputs"], step["outputs"]
    x = matrix(arena[step["x"] : step["x"] + m * k], m, k)
    dz = matrix(arena[step["dz"] : step["dz"] + m * n], m, n)
    begin, end = step["weight"], step["weight"] + k * n
    row, end_row = (max(begin, first) - begin) // n, (min(end, last) - begin) // n
    if row < end_row:
        dw = grads[begin + row * n : begin + end_row * n]
        linear_backward_weight(x, dz, row, scratch, matrix(dw, end_row - row, n))
    begin = step["bias"]
    if first <= begin < last:
        linear_backward_bias(dz, grads[begin : begin + n])


@kernel
def backward(plan, params, grads, arena, scratch, rows, share, member, members, team, to_input):
    """Walk the plan from the output's gradient to the input's, or to the first parameters'.

    A member's share of the parameters lies from ``share[0]`` to ``share[1]``. Returns whether the
    team is well.
    """
    first, last = part_of(rows, member, members, 8)
    for i in range(plan.size - 1, -1, -1):
        pass_error_back(plan[i], params, arena, scratch, first, last, i > 0 or to_input)
        if members == 1:  # at once, while both factors are in cache
            differentiate_parameters(plan[i], grads, arena, scratch, rows, share[0], share[1])
    if members == 1:
        return True
    if not meet(team, members):
        return False
    for i in range(plan.size):
        differentiate_parameters(plan[i], grads, arena, scratch, rows, share[0], share[1])
    return True


@kernel
def sum_of_weights(weights, chosen):
    """Return the weight of the chosen rows; each weighs 1 where there are no weights."""
    if weights.size == 0:
        return float(chosen.size)
    total = 0.0
    for i in range(chosen.size):
        total += weights[chosen[i]]
    return total


@kernel
def evaluate_loss(loss, layout, arena, label, targets, labels, weights, chosen, first, last):
    """Gather what the loss compares the rows from ``first`` to ``last`` of the batch with.

    Write its gradient where ``backward`` starts; return the weight of the whole batch, and these
    rows' part of the loss.
    """
    op, alpha, n, t = loss["op"], loss["alpha"], layout["output_size"], layout["target_size"]
    mine, rows = chosen[first:last], last - first
    output_at, d_output_at = layout["output"] + first * n, layout["d_output"] + first * n
    output = matrix(arena[output_at : output_at + rows * n], rows, n)
    d_output = matrix(arena[d_output_at : d_output_at + rows * n], rows, n)
    target_at = layout["target"] + first * t
    target = matrix(arena[target_at : target_at + rows * t], rows, t)
    weight = arena[layout["weight"] + first : layout["weight"] + last]
    if weights.size > 0:
        gather_values(weights, mine, weight)
    else:
        weight[:] = 1
    if t > 0:
        gather_rows(targets, mine, target)
    else:
        gather_values(labels, mine, label[first:last])
    total = sum_of_weights(weights, chosen)
    if op == Op.CROSS_ENTROPY:
        part = cross_entropy(output, label[first:last], weight, total, d_output, alpha)
    elif op == Op.MSE:
        part = mse(output, target, weight, total, d_output)
    elif op == Op.HUBER:
        part = huber(output, target, weight, total, d_output, alpha)
    else:
        part = bce_with_logits(output, target, weight, total, d_output)
    return total, part


@kernel
def update_parameters(update, step, params, grads, state, first, last):
    """Let the optimizer take step ``step`` for the parameters from ``first`` to ``last``."""
    params, grads = params[first:last], grads[first:last]
    op, lr, decay = update["op"], update["lr"], update["weight_decay"]
    beta1, beta2, eps = update["beta1"], update["beta2"], update["eps"]
    if op == Op.SGD:
        velocity = state[0, first:last]
        sgd_update(params, grads, velocity, lr, beta1, decay, update["nesterov"] != 0)
        return
    mean, square = state[0, first:last], state[1, first:last]
    if op == Op.ADAM:
        adam_update(params, grads, mean, square, lr, beta1, beta2, eps, decay, step)
    elif op == Op.ADAMW:
        adamw_update(params, grads, mean, square, lr, beta1, beta2, eps, decay, step)


@entry_point
def run(
    phases,
    plan,
    loss,
    layout,
    update,
    params,
    grads,
    state,
    arena,
    label,
    inputs,
    targets,
    labels,
    weights,
    order,
    outputs,
    losses,
    shares,
    team,
    member,
):
    """Do ``phases`` for the rows in ``order``, batch by batch; return how many batches went well.

    Each row of ``order`` is an epoch: the numbers of its rows of data, one after the other. All
    members of the team call it with the same arguments, but for their own number. A batch whose
    loss is not finite ends the run before it changes anything. ``losses[i]`` gets the weight of
    batch i, and each member's part of its loss.
    """
    place, rule, loss_step = layout[0], update[0], loss[0]
    memory, element, start, stride = inputs  # see engine.rows
    batch, members = place["batch"], place["members"]
    width = place["input_size"]
    scratch_at = place["scratch"] + member * place["scratch_size"]
    scratch = arena[scratch_at : scratch_at + place["scratch_size"]]
    steps_before = rule["step"]
    share = shares[member : member + 2]
    epochs, length = order.shape
    batches = (length + batch - 1) // batch  # the last of each epoch may be shorter
    for i in range(epochs * batches):
        begin = i % batches * batch
        chosen = order[i // batches, begin : min(begin + batch, length)]
        rows = chosen.size
        first, last = part_of(rows, member, members, 8)
        mine = chosen[first:last]
        if phases & FORWARD:
            x_at = place["input"] + first * width
            x = arena[x_at : x_at + mine.size * width]
            x = matrix(x, mine.size, width)
            scale, offset = place["scale"], place["offset"]
            gather_rescaled(memory, element, start, stride, mine, scale, offset, x)
            forward(plan, params, arena, scratch, first, last)
        if phases & FORWARD and loss_step["op"] != Op.NONE:
            losses[i, 0], losses[i, 1 + member] = evaluate_loss(
                loss_step, place, arena, label, targets, labels, weights, chosen, first, last
            )
            if not meet(team, members):
                return i
            for other in range(members):
                if not math.isfinite(losses[i, 1 + other]):
                    return i
        if phases & OUTPUT:
            n = place["output_size"]
            output = arena[place["output"] + first * n : place["output"] + last * n]
            copied = outputs[begin + first : begin + last]
            copy_rows(matrix(output, last - first, n), copied)
            if not meet(team, members):  # a member's rows of a shorter batch lie elsewhere
                return i
        if phases & BACKWARD:
            to_input = phases & INPUT_GRADIENT != 0
            if not backward(
                plan, params, grads, arena, scratch, rows, share, member, members, team, to_input
            ):
                return i
            if to_input and place["scale"] != 1.0:
                dx_at = place["d_input"] + first * width
                dx = arena[dx_at : dx_at + mine.size * width]
                rescale_backward(dx, dx, place["scale"])
        if phases & UPDATE:
            number = steps_before + i + 1
            update_parameters(rule, number, params, grads, state, share[0], share[1])
        if phases & (BACKWARD | UPDATE) and not meet(team, members):
            return i
        if phases & UPDATE and member == 0:
            rule["step"] = steps_before + i + 1
    return epochs * batches
