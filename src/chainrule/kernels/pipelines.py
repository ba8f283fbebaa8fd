"""How kernels are compiled: with fewer passes than Numba's own, and by LLVM once.

A kernel that another kernel calls is a *part*: Numba infers its types and writes its LLVM code,
but it is neither optimised nor turned into machine code before it is linked into what Python
calls. There LLVM sees everything at once. Numba alone would optimise and emit each kernel by
itself, and again in each of its callers: twice the time to compile, and slower code.
"""

from functools import cache

import llvmlite.binding as llvm
from llvmlite.binding import Linkage
from numba import _dynfunc
from numba.core import config
from numba.core.codegen import JITCodeLibrary, RuntimeLinker
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import PassManager
from numba.core.registry import cpu_target
from numba.core.typed_passes import (
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
    NopythonTypeInference,
    PreLowerStripPhis,
)
from numba.core.untyped_passes import (
    FixupArgs,
    GenericRewrites,
    IRProcessing,
    ReconstructSSA,
    TranslateByteCode,
)

_PASSES = (
    TranslateByteCode,
    FixupArgs,
    IRProcessing,
    GenericRewrites,
    ReconstructSSA,
    NopythonTypeInference,
    PreLowerStripPhis,
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
)


class _Passes(PassManager):
    """What Numba does to a kernel.

    Its own pipeline has twice as many passes, for closures, literals, array expressions and dead
    branches, and looks through the function after each of them.
    """

    _ENFORCING = False  # no look at what is alive after each pass

    def __init__(self):
        super().__init__("kernel")
        for step in _PASSES:
            self.add_pass(step, step.__name__)
        self.finalize()


class Whole(CompilerBase):
    """Compiles what Python calls, or what is called by its address."""

    _improves_loops = True

    def define_pipelines(self):
        if not self.state.flags.nrt:
            codegen = self.state.targetctx.codegen()
            self.state.library = _WholeLibrary(codegen, self.state.func_id.func_qualname)
            self.state.library.improves_loops = self._improves_loops
            self.state.library.enable_object_caching()
        return [_Passes()]

    def compile_extra(self, function):
        result = super().compile_extra(function)
        # A kernel that prints needs its environment. Numba sets it when it loads a function, but
        # parts are not loaded.
        for environment in result._find_referenced_environments():
            result.codegen.set_env(environment.env_name, environment)
        return result


class Vectorised(Whole):
    """Compiles what consists of vectors already: LLVM neither looks for more, nor unrolls loops."""

    _improves_loops = False


class Private(Whole):
    """Compiles what is called by its address only, and defines no other name.

    Names of functions hold a number that is counted up in each process. Those of two functions
    that were compiled in two processes, loaded into a third one, may be the same.
    """

    def define_pipelines(self):
        codegen = self.state.targetctx.codegen()
        self.state.library = _PrivateLibrary(codegen, self.state.func_id.func_qualname)
        self.state.library.enable_object_caching()
        return [_Passes()]


class Part(CompilerBase):
    """Compiles what other kernels call, as far as LLVM code."""

    def define_pipelines(self):
        flags = self.state.flags
        flags.no_compile = flags.no_cpython_wrapper = True
        codegen = self.state.targetctx.codegen()
        self.state.library = _PartLibrary(codegen, self.state.func_id.func_qualname)
        return [_Passes()]

    def compile_extra(self, function):
        result = super().compile_extra(function)
        # Numba finds code by what Python would call; the address 0 says that there is nothing.
        key = _dynfunc.make_function(
            result.fndesc.lookup_module(), function.__name__, "", 0, result.environment, ()
        )
        libraries = dict.fromkeys([result.library, *result.library._linking_libraries])
        self.state.targetctx.insert_user_function(key, result.fndesc, list(libraries))
        return result._replace(entry_point=key)


class _PrivateLibrary(JITCodeLibrary):
    """LLVM code whose functions, but for the one that is called, cannot be seen from outside."""

    def _optimize_final_module(self):
        names = {variable.name for variable in self._final_module.global_variables}
        # A function that calls itself may be looked up by its name.
        if not any(name.startswith(RuntimeLinker.PREFIX) for name in names):
            for function in self._final_module.functions:
                if function.linkage == Linkage.linkonce_odr and not function.is_declaration:
                    function.linkage = Linkage.internal
        super()._optimize_final_module()


class _WholeLibrary(JITCodeLibrary):
    """LLVM code that is optimised once, when all that it calls is linked into it.

    Numba optimises each function by itself first, and all together twice, to find references that
    need not be counted; there are none.
    """

    def _optimize_functions(self, module):
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self):
        options = llvm.create_pipeline_tuning_options(config.OPT)
        options.loop_vectorization = config.LOOP_VECTORIZE and self.improves_loops
        options.slp_vectorization = config.SLP_VECTORIZE
        options.loop_unrolling = self.improves_loops
        builder = llvm.create_pass_builder(_machine(), options)
        builder.getModulePassManager().run(self._final_module, builder)


@cache
def _machine():
    """Return the CPU for which LLVM vectorises loops.

    On Intel's CPUs with AVX-512 LLVM prefers vectors of half the width, lest whole ones lower the
    core's frequency. But a network's products consist of whole ones: so its loops may, too.
    """
    triple, name, features = cpu_target.target_context.codegen().magic_tuple()
    if triple.startswith("x86"):
        features = ",".join(filter(None, (features, "-prefer-256-bit")))
    return llvm.Target.from_triple(triple).create_target_machine(name, features, config.OPT)


class _PartLibrary(_WholeLibrary):
    """LLVM code that is only linked into other code, each time together with what it calls."""

    def finalize(self):
        self._finalized = True
