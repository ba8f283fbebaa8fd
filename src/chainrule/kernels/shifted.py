"""Images shifted, cropped, padded and flipped: all are a copy of pixels in another order."""

from chainrule.kernels.jit import kernel
from chainrule.kernels.views import flat


@kernel
def copy_shifted(source, row, row_step, column, column_step, target):
    height, width, channels = source.shape
    zero = target.dtype.type(0)
    columns = target.shape[1]
    # The columns of the target from ``begin`` on, before ``end``, lie within the source.
    if column_step > 0:
        begin, end = max(0, -column), min(columns, width - column)
    else:
        begin, end = max(0, column - width + 1), min(columns, column + 1)
    for a in range(target.shape[0]):
        out, at = flat(target[a]), row + row_step * a
        if at < 0 or at >= height or end <= begin:
            for k in range(out.size):
                out[k] = zero
            continue
        pixels = flat(source[at])
        for k in range(begin * channels):
            out[k] = zero
        if column_step > 0:
            first, copied = (column + begin) * channels, out[begin * channels : end * channels]
            own = pixels[first : first + copied.size]
            for k in range(copied.size):
                copied[k] = own[k]
        else:
            for b in range(begin, end):
                first = (column - b) * channels
                for k in range(channels):
                    out[b * channels + k] = pixels[first + k]
        for k in range(end * channels, out.size):
            out[k] = zero
