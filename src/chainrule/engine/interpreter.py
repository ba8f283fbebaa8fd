"""The interpreter: walks a plan forward and backward, batch after batch, in one compiled call.

Compiled once for each dtype, it runs every network. Several threads may run it together, as a
group: forward, loss and the gradients by the values are each thread's own rows; then they meet at a
barrier, since a parameter's gradient is a sum over all rows, and each thread computes the gradients
of its share of the parameters, and updates them. How the work is shared changes no sum, so it may
change from batch to batch.

It names kernels only; where these names mean their NumPy twins, the same source is the reference
backend (see ``engine.backends``).
"""

import math

from chainrule.engine.activations import activate, activate_backward, multiply_by_derivative
from chainrule.engine.losses import evaluate_losses, sum_losses, sum_of_weights
from chainrule.kernels.activation import (
    log_softmax,
    log_softmax_backward,
    softmax,
    softmax_backward,
)
from chainrule.kernels.affine import (
    linear,
    linear_backward_bias,
    linear_backward_input,
    linear_backward_weight,
    linear_relu,
)
from chainrule.kernels.barrier import barrier, fail, has_failed
from chainrule.kernels.blocks import NORM_BLOCK
from chainrule.kernels.clip import clip_to_norm, clip_to_value, sum_squares
from chainrule.kernels.combine import (
    accumulate,
    add,
    copy,
    multiply_elements,
    put_columns,
    take_columns,
)
from chainrule.kernels.curvature import (
    sum_along_rows,
)
from chainrule.kernels.dropout import dropout, dropout_backward
from chainrule.kernels.foreign import add_up, call
from chainrule.kernels.gather import gather_rescaled
from chainrule.kernels.group import DISMISSED, FIRST_BATCH, WANTED
from chainrule.kernels.jit import entry_point, kernel
from chainrule.kernels.rescale import rescale, rescale_backward
from chainrule.kernels.thread_group import (
    admit,
    await_others,
    close,
    join,
    judge,
    leave,
    stop_clock,
)
from chainrule.kernels.update import adam_update, adamw_update, average_update, sgd_update
from chainrule.kernels.views import matrix
from chainrule.plan.instructions import FAILED, Op, Phase

GATHER, WALK, LOSS, OUTPUT = Phase.GATHER, Phase.WALK, Phase.LOSS, Phase.OUTPUT
BACKWARD, INPUT_GRADIENT, UPDATE = Phase.BACKWARD, Phase.INPUT_GRADIENT, Phase.UPDATE
CLIP, AVERAGE = Phase.CLIP, Phase.AVERAGE


@kernel
def part_of(total, thread, threads, multiple):
    """Return where a thread's part of ``total`` things begins and ends, in whole multiples."""
    size = (total + threads * multiple - 1) // (threads * multiple) * multiple
    return min(thread * size, total), min((thread + 1) * size, total)


@kernel
def call_own(function, step, params, arena, first, last, dx_at, chunk, group):
    """Let a user's function do its part of a step, for the rows from ``first`` to ``last``.

    Returns whether it has done so. If not, nothing of these rows may change: they show what went
    wrong.
    """
    if first == last:
        return True
    k, n, size = step["inputs"], step["outputs"], arena.itemsize
    memory, kept = arena.ctypes.data, step["kept"] + first * step["kept_size"]
    part = step["parts"] + chunk * step["parameters"]
    done = call(
        function,
        last - first,
        memory + size * (step["x"] + first * k),
        memory + size * (step["y"] + first * n),
        memory + size * kept,
        memory + size * (step["dy"] + first * n),
        memory + size * (dx_at + first * k),
        params.ctypes.data + size * max(step["weight"], 0),
        memory + size * part,
    )
    if done == 0:
        fail(group)
    return done != 0


@kernel
def forward(plan, params, direction, arena, masks, scratch, first, last, group):
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
            source = direction if step["moving"] else params
            w = matrix(source[step["weight"] : step["weight"] + k * n], k, n)
            b = source[step["bias"] : step["bias"] + n] if step["bias"] >= 0 else source[:0]
            if step["adds_y"]:
                b = y
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
        elif op == Op.DROPOUT:
            key, draw = masks
            dropout(x, y, step["alpha"], key, draw, step["number"], begin * k)
        elif op == Op.ADD:
            add(x, arena[step["other"] + begin * k : step["other"] + end * k], y)
        elif op == Op.MULTIPLY:
            multiply_elements(x, arena[step["other"] + begin * k : step["other"] + end * k], y)
        elif op == Op.CONCATENATE:
            put_columns(matrix(x, m, k), step["column"], matrix(y, m, n))
        elif op == Op.FOREIGN:
            function, dx_at = step["forward"], step["dx"]
            if not call_own(function, step, params, arena, first, last, dx_at, 0, group):
                return
        elif op == Op.SUM_ALONG_ROWS:
            sum_along_rows(matrix(x, m, k), matrix(y, m, n))
        elif op == Op.DERIVATIVE:
            other = arena[step["other"] + begin * k : step["other"] + end * k]
            multiply_by_derivative(step["activation"], step["order"], x, other, y, step["alpha"])
        else:
            activate(op, x, y, step["alpha"])


@kernel
def pass_error_back(
    step, params, direction, arena, masks, scratch, first, last, chunk, group, to_input
):
    """Carry the gradient of the rows from ``first`` to ``last`` from one step's y to its x."""
    op, k, n = step["op"], step["inputs"], step["outputs"]
    begin, end = first * step["repeat"], last * step["repeat"]
    m = end - begin
    y = arena[step["y"] + begin * n : step["y"] + end * n]
    dx_at = step["partial"] if step["adds_dx"] else step["dx"]
    dx = arena[dx_at + begin * k : dx_at + end * k]
    dy = arena[step["dy"] + begin * n : step["dy"] + end * n]
    if op == Op.LINEAR:
        source = direction if step["moving"] else params
        w = matrix(source[step["weight"] : step["weight"] + k * n], k, n)
        dz = arena[step["dz"] + begin * n : step["dz"] + end * n]
        activate_backward(step["activation"], dy, y, dz, step["alpha"])
        if to_input or not step["reads_input"]:
            dx = arena[step["dx"] + begin * k : step["dx"] + end * k]
            linear_backward_input(matrix(dz, m, n), w, step["adds_dx"], scratch, matrix(dx, m, k))
        return
    if op == Op.SOFTMAX:
        softmax_backward(matrix(dy, m, n), matrix(y, m, n), matrix(dx, m, k))
    elif op == Op.LOG_SOFTMAX:
        log_softmax_backward(matrix(dy, m, n), matrix(y, m, n), matrix(dx, m, k))
    elif op == Op.RESCALE:
        rescale_backward(dy, dx, step["alpha"])
    elif op == Op.DROPOUT:
        key, draw = masks
        dropout_backward(dy, dx, step["alpha"], key, draw, step["number"], begin * k)
    elif op == Op.SUM_ALONG_ROWS:
        sum_along_rows(matrix(dy, m, n), matrix(dx, m, k))
    elif op == Op.ADD or op == Op.MULTIPLY or op == Op.DERIVATIVE:
        pass_error_to_both(step, arena, begin, end, dy, dx)
    elif op == Op.CONCATENATE:
        take_columns(matrix(dy, m, n), step["column"], matrix(dx, m, k))
    elif op == Op.FOREIGN:
        call_own_backward(step, params, arena, first, last, dx_at, chunk, group)
    else:
        saved = arena[step["saved"] + begin * n : step["saved"] + end * n]
        activate_backward(op, dy, saved, dx, step["alpha"])
    if step["adds_dx"]:
        accumulate(dx, arena[step["dx"] + begin * k : step["dx"] + end * k])


@kernel
def call_own_backward(step, params, arena, first, last, dx_at, chunk, group):
    """Let a user's function carry the gradient back; each chunk of rows has a sum of its own.

    The sums by the parameters are the same, then, however many threads there are.
    """
    size = step["parameters"]
    for begin in range(first, last, chunk):
        part = begin // chunk
        for j in range(step["parts"] + part * size, step["parts"] + (part + 1) * size):
            arena[j] = 0
        end = min(begin + chunk, last)
        if not call_own(step["backward"], step, params, arena, begin, end, dx_at, part, group):
            return


@kernel
def pass_error_to_both(step, arena, begin, end, dy, dx):
    """Do so for a step of two operands; what the first one gets goes to ``dx``."""
    op, k, alpha = step["op"], step["inputs"], step["alpha"]
    activation, order = step["activation"], step["order"]
    x = arena[step["x"] + begin * k : step["x"] + end * k]
    other = arena[step["other"] + begin * k : step["other"] + end * k]
    sum_at = step["d_other"]
    d_other_at = step["partial_other"] if step["adds_d_other"] else sum_at
    d_other = arena[d_other_at + begin * k : d_other_at + end * k]
    if op == Op.ADD:
        copy(dy, d_other)
    elif op == Op.MULTIPLY:
        multiply_elements(dy, x, d_other)
    else:  # there is nothing in dx yet
        multiply_by_derivative(activation, order + 1, dy, other, dx, alpha)
        multiply_elements(dx, x, d_other)
    if step["adds_d_other"]:
        accumulate(d_other, arena[sum_at + begin * k : sum_at + end * k])
    if op == Op.ADD:
        copy(dy, dx)
    elif op == Op.MULTIPLY:
        multiply_elements(dy, other, dx)
    else:
        multiply_by_derivative(activation, order, dy, other, dx, alpha)


@kernel
def differentiate_parameters(step, grads, arena, scratch, rows, first, last, chunk):
    """Compute those gradients of one step's parameters that lie from ``first`` to ``last``."""
    if step["op"] == Op.FOREIGN:
        at, size = step["weight"], step["parameters"]
        begin, end = max(at, first), min(at + size, last)
        if begin < end:
            parts = (rows + chunk - 1) // chunk
            parts = matrix(arena[step["parts"] : step["parts"] + parts * size], parts, size)
            add_up(parts, begin - at, step["adds_dw"], grads[begin:end])
    if step["op"] != Op.LINEAR or step["moving"]:
        return
    m, k, n = rows * step["repeat"], step["inputs"], step["outputs"]
    x = matrix(arena[step["x"] : step["x"] + m * k], m, k)
    dz = matrix(arena[step["dz"] : step["dz"] + m * n], m, n)
    begin, end = step["weight"], step["weight"] + k * n
    row, end_row = (max(begin, first) - begin) // n, (min(end, last) - begin) // n
    if row < end_row:
        dw = grads[begin + row * n : begin + end_row * n]
        dw = matrix(dw, end_row - row, n)
        linear_backward_weight(x, dz, row, step["adds_dw"], scratch, dw)
    begin = step["bias"]
    if first <= begin < last:
        linear_backward_bias(dz, step["adds_db"], grads[begin : begin + n])


@kernel
def backward(
    plan,
    params,
    direction,
    grads,
    arena,
    masks,
    scratch,
    rows,
    chunk,
    share,
    thread,
    threads,
    group,
    to_input,
):
    """Walk the plan from the output's gradient to the input's, or to the first parameters'.

    A thread's share of the parameters lies from ``share[0]`` to ``share[1]``. Returns whether
    nothing has failed.
    """
    first, last = part_of(rows, thread, threads, chunk)
    for i in range(plan.size - 1, -1, -1):
        pass_error_back(
            plan[i], params, direction, arena, masks, scratch, first, last, chunk, group, to_input
        )
        if has_failed(group):
            return False
        if threads == 1:  # at once, while both factors are in cache
            differentiate_parameters(
                plan[i], grads, arena, scratch, rows, share[0], share[1], chunk
            )
    if not barrier(group, threads):
        return False
    if threads == 1:
        return True
    for i in range(plan.size - 1, -1, -1):
        differentiate_parameters(plan[i], grads, arena, scratch, rows, share[0], share[1], chunk)
    return True


@kernel
def copy_outputs(heads, arena, first, last, outputs):
    """Copy the rows from ``first`` to ``last`` of all outputs side by side."""
    rows = last - first
    for i in range(heads.size):
        at, n, column = heads[i]["output"], heads[i]["output_size"], heads[i]["column"]
        put_columns(matrix(arena[at + first * n : at + last * n], rows, n), column, outputs)


@kernel
def clip(rule, grads, squares, share, thread, threads, group):
    """Keep the gradients of a thread's share within the rule's limits; return as ``barrier`` does.

    A norm is a sum over all shares: each thread sums the squares of some blocks, which are the same
    for any number of threads, and adds up all threads' sums in order.
    """
    mine = grads[share[0] : share[1]]
    if rule["clip_value"] > 0.0:
        clip_to_value(mine, rule["clip_value"])
    if rule["clip_norm"] > 0.0:
        if not barrier(group, threads):
            return False
        first, last = part_of(squares.size, thread, threads, 1)
        sum_squares(grads[first * NORM_BLOCK : last * NORM_BLOCK], squares[first:last])
        if not barrier(group, threads):
            return False
        clip_to_norm(mine, squares, rule["clip_norm"])
    return True


@kernel
def update_parameters(update, lr, step, params, grads, state, first, last):
    """Let the optimizer take step ``step`` for the parameters from ``first`` to ``last``."""
    for i in range(update.size):
        rule = update[i]
        begin, end = max(first, rule["begin"]), min(last, rule["end"])
        if begin < end:
            update_run(rule, lr, step, params, grads, state, begin, end)


@kernel
def update_run(rule, lr, step, params, grads, state, first, last):
    """Do so for neighbouring parameters with one weight decay."""
    params, grads = params[first:last], grads[first:last]
    op, decay = rule["op"], rule["weight_decay"]
    beta1, beta2, eps = rule["beta1"], rule["beta2"], rule["eps"]
    if op == Op.SGD:
        velocity = state[0, first:last]
        sgd_update(params, grads, velocity, lr, beta1, decay, rule["nesterov"] != 0)
        return
    mean, square = state[0, first:last], state[1, first:last]
    if op == Op.ADAM:
        adam_update(params, grads, mean, square, lr, beta1, beta2, eps, decay, step)
    elif op == Op.ADAMW:
        adamw_update(params, grads, mean, square, lr, beta1, beta2, eps, decay, step)


@kernel(inline=True)  # of a step of 4 us, a call with so many arrays is 3 %
def run_batch(
    phases,
    plan,
    heads,
    place,
    update,
    lr,
    number,
    params,
    direction,
    grads,
    squares,
    state,
    average,
    arena,
    masks,
    label,
    inputs,
    targets,
    labels,
    weights,
    chosen,
    outputs,
    loss,
    share,
    group,
    first_step,
    thread,
    threads,
):
    """Do ``phases`` for one batch, the rows ``chosen``; return whether all went well.

    ``number`` is that of the optimizer's step, ``loss`` gets the batch's weight and its loss.
    """
    rule, rows, chunk = update[0], chosen.size, place["chunk"]
    scratch_at = place["scratch"] + thread * place["scratch_size"]
    scratch = arena[scratch_at : scratch_at + place["scratch_size"]]
    first, last = part_of(rows, thread, threads, chunk)
    walked, width = plan[first_step:], place["input_size"]
    if phases & GATHER:
        memory, element, start, stride = inputs  # see engine.rows
        x = arena[place["input"] + first * width : place["input"] + last * width]
        x = matrix(x, last - first, width)
        mine, scale, offset = chosen[first:last], place["scale"], place["offset"]
        gather_rescaled(memory, element, start, stride, mine, scale, offset, x)
    if phases & WALK:
        forward(walked, params, direction, arena, masks, scratch, first, last, group)
        if has_failed(group):
            return False
    if phases & LOSS and heads[0]["op"] != Op.NONE:
        total = sum_of_weights(weights, chosen)
        evaluate_losses(
            heads, place, arena, label, targets, labels, weights, total, chosen, first, last, group
        )
        if not barrier(group, threads):
            return False
        value = sum_losses(heads, place, arena, rows, total)
        if thread == 0:
            loss[0, 0], loss[0, 1] = total, value
        if not math.isfinite(value):
            return False
    if phases & OUTPUT:
        copy_outputs(heads, arena, first, last, outputs[first:last])
    if phases & BACKWARD:
        to_input = phases & INPUT_GRADIENT != 0
        if not backward(
            walked, params, direction, grads, arena, masks, scratch, rows, chunk, share, thread,
            threads, group, to_input,
        ):  # fmt: skip
            return False
        if to_input and first_step == 0 and place["scale"] != 1.0:
            dx = arena[place["d_input"] + first * width : place["d_input"] + last * width]
            rescale_backward(dx, dx, place["scale"])
    if phases & CLIP and not clip(rule, grads, squares, share, thread, threads, group):
        return False
    if phases & UPDATE:
        update_parameters(update, lr, number, params, grads, state, share[0], share[1])
    if phases & AVERAGE and average.size > 0:
        mine = params[share[0] : share[1]]
        average_update(mine, average[share[0] : share[1]], rule["average_decay"])
    return True


@entry_point
def run(
    phases,
    plan,
    heads,
    layout,
    update,
    rates,
    params,
    direction,
    grads,
    squares,
    state,
    average,
    arena,
    masks,
    label,
    inputs,
    targets,
    labels,
    weights,
    order,
    outputs,
    losses,
    shares,
    group,
    first_step,
    batches,
    thread,
):
    """Do ``phases`` for the rows in ``order``, batch by batch; return how many are done then.

    Each row of ``order`` is an epoch: the numbers of its rows of data, one after the other.
    ``batches`` are the numbers of the first batch to do and of the one after the last, counted over
    all epochs. All threads of the group call it with the same arguments, but for their own number;
    those who come too late return at once. A batch whose loss is not finite ends the run before it
    changes anything. Where a thread or a user's function fails, the run ends as well, and returns
    FAILED. ``losses[i]`` gets the weight and the loss of batch i. ``targets`` and
    ``labels`` hold those of one output after the other. Passes begin, and end on the way back, at
    the instruction ``first_step``. ``rates`` holds each batch's learning rate, or nothing: then it
    is the rule's. ``squares`` is room for the sums that a norm of the gradients is made of.
    ``masks`` are the key that dropouts draw with, and the number of batch 0's draw. ``shares`` has
    two rows: where the share of one thread alone begins and ends, and where those of all do.
    """
    place, rule = layout[0], update[0]
    batch, length = place["batch"], order.shape[1]
    each_epoch = (length + batch - 1) // batch  # the last of each epoch may be shorter
    i, end = batches
    threads, wanted = 1, group[WANTED]
    if thread == 0 and wanted > 1:
        await_others(group)
    elif thread > 0:
        threads = join(group)
        if threads == 1:  # too late
            return i
        i = group[FIRST_BATCH]
    steps_before = rule["step"] - batches[0]
    while i < end:
        if wanted > 1 and threads == 1:
            threads = admit(group, i)
        begin = i % each_epoch * batch
        chosen = order[i // each_epoch, begin : min(begin + batch, length)]
        share = shares[0, :2] if threads == 1 else shares[1, thread : thread + 2]
        lr = rates[i] if rates.size > 0 else rule["lr"]
        if not run_batch(
            phases, plan, heads, place, update, lr, steps_before + i + 1, params, direction, grads,
            squares, state, average, arena, (masks[0], masks[1] + i), label, inputs, targets,
            labels, weights, chosen, outputs[begin : begin + chosen.size], losses[i : i + 1],
            share, group, first_step, thread, threads,
        ):  # fmt: skip
            break
        if threads > 1 and thread == 0:
            judge(group)
        if not barrier(group, threads):
            break
        i += 1
        if threads > 1 and group[DISMISSED] != 0:
            if thread > 0:
                break
            stop_clock(group)
            threads = wanted = 1
    if thread > 0:
        leave(group)
        return i
    if group[WANTED] > 1:
        stop_clock(group)
        close(group)
    if phases & UPDATE:  # not before the others have left, which count their steps from here
        rule["step"] = steps_before + i
    return FAILED if has_failed(group) else i
