"""The interpreter: walks a plan forward and backward, batch after batch, in one compiled call.

Compiled once for each dtype, it runs every network. It names kernels only; where these names
mean their NumPy twins, the same source is the reference backend (see ``engine.backends``).
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
from chainrule.kernels.gather import copy_rows, gather_rescaled, gather_rows, gather_values
from chainrule.kernels.jit import entry_point, kernel
from chainrule.kernels.linear import (
    linear,
    linear_backward_bias,
    linear_backward_input,
    linear_backward_weight,
)
from chainrule.kernels.loss import bce_with_logits, cross_entropy, huber, mse, total_weight
from chainrule.kernels.rescale import rescale, rescale_backward
from chainrule.kernels.update import adam_update, adamw_update, sgd_update

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
def forward(plan, params, arena, rows):
    """Walk the plan from the input to the output."""
    for i in range(plan.size):
        step = plan[i]
        op, m, k, n = step["op"], rows * step["repeat"], step["inputs"], step["outputs"]
        # Kernels get views: a computed offset inside their loops would stop vectorisation.
        x = arena[step["x"] : step["x"] + m * k]
        y = arena[step["y"] : step["y"] + m * n]
        if op == Op.LINEAR:
            w = params[step["weight"] : step["weight"] + k * n].reshape((k, n))
            b = params[step["bias"] : step["bias"] + n] if step["bias"] >= 0 else params[:0]
            z = arena[step["z"] : step["z"] + m * n]
            linear(x.reshape((m, k)), w, b, z.reshape((m, n)))
            activate(step["activation"], z, y, step["alpha"])
        elif op == Op.SOFTMAX:
            softmax(x.reshape((m, k)), y.reshape((m, n)))
        elif op == Op.LOG_SOFTMAX:
            log_softmax(x.reshape((m, k)), y.reshape((m, n)))
        elif op == Op.RESCALE:
            rescale(x, y, step["alpha"], step["beta"])
        else:
            activate(op, x, y, step["alpha"])


@kernel
def backward(plan, params, grads, arena, rows, to_input):
    """Walk the plan from the output's gradient to the input's, or to the first parameters'."""
    for i in range(plan.size - 1, -1, -1):
        step = plan[i]
        op, m, k, n = step["op"], rows * step["repeat"], step["inputs"], step["outputs"]
        x = arena[step["x"] : step["x"] + m * k]
        y = arena[step["y"] : step["y"] + m * n]
        dx = arena[step["dx"] : step["dx"] + m * k]
        dy = arena[step["dy"] : step["dy"] + m * n]
        saved = arena[step["saved"] : step["saved"] + m * n]
        if op == Op.LINEAR:
            w = params[step["weight"] : step["weight"] + k * n].reshape((k, n))
            dw = grads[step["weight"] : step["weight"] + k * n].reshape((k, n))
            sums = arena[step["dz"] : step["dz"] + m * n]
            activate_backward(step["activation"], dy, y, sums, step["alpha"])
            dz = sums.reshape((m, n))
            linear_backward_weight(x.reshape((m, k)), dz, dw)
            if step["bias"] >= 0:
                linear_backward_bias(dz, grads[step["bias"] : step["bias"] + n])
            if i > 0 or to_input:
                scratch = arena[step["scratch"] : step["scratch"] + k * n]
                linear_backward_input(dz, w, scratch, dx.reshape((m, k)))
        elif op == Op.SOFTMAX:
            softmax_backward(dy.reshape((m, n)), y.reshape((m, n)), dx.reshape((m, k)))
        elif op == Op.LOG_SOFTMAX:
            log_softmax_backward(dy.reshape((m, n)), y.reshape((m, n)), dx.reshape((m, k)))
        elif op == Op.RESCALE:
            rescale_backward(dy, dx, step["alpha"])
        else:
            activate_backward(op, dy, saved, dx, step["alpha"])


@kernel
def evaluate_loss(loss, layout, arena, label, rows):
    """Return the batch's loss, and write its gradient where ``backward`` starts."""
    op, alpha, n = loss["op"], loss["alpha"], layout["output_size"]
    output = arena[layout["output"] : layout["output"] + rows * n].reshape((rows, n))
    d_output = arena[layout["d_output"] : layout["d_output"] + rows * n].reshape((rows, n))
    weight = arena[layout["weight"] : layout["weight"] + rows]
    t = layout["target_size"]
    target = arena[layout["target"] : layout["target"] + rows * t].reshape((rows, t))
    if op == Op.CROSS_ENTROPY:
        return cross_entropy(output, label[:rows], weight, d_output, alpha)
    if op == Op.MSE:
        return mse(output, target, weight, d_output)
    if op == Op.HUBER:
        return huber(output, target, weight, d_output, alpha)
    return bce_with_logits(output, target, weight, d_output)


@kernel
def update_parameters(update, params, grads, state):
    """Let the optimizer take one step."""
    update["step"] += 1
    op, lr, decay = update["op"], update["lr"], update["weight_decay"]
    beta1, beta2, eps, step = update["beta1"], update["beta2"], update["eps"], update["step"]
    if op == Op.SGD:
        sgd_update(params, grads, state[0], lr, beta1, decay, update["nesterov"] != 0)
    elif op == Op.ADAM:
        adam_update(params, grads, state[0], state[1], lr, beta1, beta2, eps, decay, step)
    elif op == Op.ADAMW:
        adamw_update(params, grads, state[0], state[1], lr, beta1, beta2, eps, decay, step)


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
):
    """Do ``phases`` for the rows in ``order``, batch by batch; return how many batches went well.

    A batch whose loss is not finite ends the run before it changes anything. ``losses[i]`` gets
    the loss of batch i and the sum of its rows' weights.
    """
    place, rule, loss_step = layout[0], update[0], loss[0]
    memory, element, first, stride = inputs  # see engine.rows
    batch, width, t = place["batch"], place["input_size"], place["target_size"]
    batches = (order.size + batch - 1) // batch
    for i in range(batches):
        chosen = order[i * batch : min((i + 1) * batch, order.size)]
        rows = chosen.size
        if phases & FORWARD:
            x = arena[place["input"] : place["input"] + rows * width].reshape((rows, width))
            gather_rescaled(
                memory, element, first, stride, chosen, place["scale"], place["offset"], x
            )
            forward(plan, params, arena, rows)
            if loss_step["op"] != Op.NONE:
                weight = arena[place["weight"] : place["weight"] + rows]
                if weights.size > 0:
                    gather_values(weights, chosen, weight)
                else:
                    weight[:] = 1
                if t > 0:
                    target = arena[place["target"] : place["target"] + rows * t]
                    gather_rows(targets, chosen, target.reshape((rows, t)))
                else:
                    gather_values(labels, chosen, label[:rows])
                losses[i, 0] = evaluate_loss(loss_step, place, arena, label, rows)
                losses[i, 1] = total_weight(weight)
                if not math.isfinite(losses[i, 0]):
                    return i
        if phases & OUTPUT:
            n = place["output_size"]
            output = arena[place["output"] : place["output"] + rows * n]
            copy_rows(output.reshape((rows, n)), outputs[i * batch : i * batch + rows])
        if phases & BACKWARD:
            backward(plan, params, grads, arena, rows, phases & INPUT_GRADIENT != 0)
            if phases & INPUT_GRADIENT:
                dx = arena[place["d_input"] : place["d_input"] + rows * width]
                rescale_backward(dx, dx, place["scale"])
        if phases & UPDATE:
            update_parameters(rule, params, grads, state)
    return batches
