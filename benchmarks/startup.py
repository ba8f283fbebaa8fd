"""What a new process waits for: the import, loading compiled code, and compiling it, once."""

import os
import subprocess
import sys
from dataclasses import replace
from tempfile import TemporaryDirectory

import chainrule as cr
from chainrule.cli.measurement.workloads import SMALL, WORKLOADS

FIRST_EPOCH = """
import chainrule as cr
X, y = cr.datasets.load_digits()
net = cr.Sequential(cr.Linear(64, 64), cr.ReLU(), cr.Linear(64, 10), seed=0, dtype="{dtype}")
cr.fit(net, X, y, loss=cr.CrossEntropyLoss(), epochs=1, progress=False)
"""
DTYPES = ["float32", "float64"]


def run_first_epoch(dtype, **environment):
    subprocess.run(
        [sys.executable, "-c", FIRST_EPOCH.format(dtype=dtype)],
        env=os.environ | environment,
        check=True,
        capture_output=True,
    )


class Startup:
    """Whole processes, the start of Python included."""

    def setup(self):
        run_first_epoch("float32")

    def time_python_alone(self):
        subprocess.run([sys.executable, "-c", ""], check=True)

    def time_import_numpy_alone(self):
        subprocess.run([sys.executable, "-c", "import numpy"], check=True)

    def time_import(self):
        subprocess.run([sys.executable, "-c", "import chainrule"], check=True)

    def time_import_numba_alone(self):
        subprocess.run([sys.executable, "-c", "import numba"], check=True)

    def time_first_epoch_with_warm_cache(self):
        run_first_epoch("float32")


class Compilation:
    params = (DTYPES,)
    param_names = ("dtype",)
    timeout = 300

    def track_cpu_seconds_of_first_epoch_without_cache(self, dtype):
        with TemporaryDirectory() as folder:
            before = os.times()
            run_first_epoch(dtype, CHAINRULE_CACHE_DIR=folder)
            after = os.times()
        user = after.children_user - before.children_user
        return user + after.children_system - before.children_system

    track_cpu_seconds_of_first_epoch_without_cache.unit = "s"

    def track_compilations_for_small_workloads(self, dtype):
        from chainrule.engine.interpreter import run

        before = len(run.signatures)
        for name in SMALL:
            workload = replace(WORKLOADS[name], dtype=dtype)
            X, y = workload.data()
            net, rows = workload.network(), workload.batch
            cr.fit(net, X, y, loss=workload.loss, epochs=1, batch_size=rows, progress=False)
            net.predict(X)
        return len(run.signatures) - before

    track_compilations_for_small_workloads.unit = "compilations"
