"""Time, for threads that wait."""

import sys
import time

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from chainrule.kernels.jit import kernel

SLEEP = 20  # us

INT32, INT64 = ir.IntType(32), ir.IntType(64)

if sys.platform == "win32":
    import ctypes

    _frequency = ctypes.c_int64()
    ctypes.windll.kernel32.QueryPerformanceFrequency(ctypes.byref(_frequency))
    NS_OF_A_TICK = 10**9 // _frequency.value
    _switch = types.ExternalFunction("SwitchToThread", types.int32())

    @kernel
    def sleep():
        _switch()  # the shortest sleep is a millisecond

else:
    _usleep = types.ExternalFunction("usleep", types.int32(types.uint32))

    @kernel
    def sleep():
        _usleep(SLEEP)


@intrinsic
def clock(typing_context):
    """Return nanoseconds since some moment."""

    def codegen(context, builder, signature, values):
        moment = cgutils.alloca_once(builder, ir.ArrayType(INT64, 2))
        first = builder.bitcast(moment, INT64.as_pointer())
        if sys.platform == "win32":
            kind = ir.FunctionType(INT32, [INT64.as_pointer()])
            query = cgutils.get_or_insert_function(builder.module, kind, "QueryPerformanceCounter")
            builder.call(query, [first])
            return builder.mul(builder.load(first), INT64(NS_OF_A_TICK))
        kind = ir.FunctionType(INT32, [INT32, INT64.as_pointer()])
        clock = cgutils.get_or_insert_function(builder.module, kind, "clock_gettime")
        builder.call(clock, [INT32(time.CLOCK_MONOTONIC), first])
        seconds = builder.mul(builder.load(first), INT64(10**9))
        return builder.add(seconds, builder.load(builder.gep(first, [INT64(1)])))

    return types.int64(), codegen
