"""Outputs for one row and for all, from Python."""

import chainrule as cr
from benchmarks.threads import THREADS
from chainrule.cli.measurement.workloads import SMALL, WORKLOADS


class Predict:
    params = ((*SMALL, "wide"), THREADS)
    param_names = ("workload", "threads")

    def setup(self, workload, threads):
        cr.set_num_threads(threads)
        self.X, _ = WORKLOADS[workload].data()
        self.network = WORKLOADS[workload].network()
        self.network.predict(self.X[:1])  # compiles or loads

    def time_one_row(self, workload, threads):
        self.network.predict(self.X[:1])

    def time_all_rows(self, workload, threads):
        self.network.predict(self.X)
