"""Training on batches that come one by one, beside training on the arrays that they are of."""

import chainrule as cr
from chainrule.cli.measurement.workloads import SMALL, WORKLOADS


class Streams:
    params = (SMALL, ("arrays", "batches"))
    param_names = ("workload", "data")

    def setup(self, workload, data):
        cr.set_num_threads(1)
        self.chosen = WORKLOADS[workload]
        X, y = self.chosen.data()
        size = self.chosen.batch
        starts = range(0, len(X), size)
        batches = [(X[i : i + size], y[i : i + size]) for i in starts]
        options = {"batch_size": size, "shuffle": False}
        self.data = (X, y) if data == "arrays" else (batches,)
        self.options = options if data == "arrays" else {}
        self.network = self.chosen.network()
        self.optimizer = cr.Adam()
        self.time_fit(workload, data)  # compiles or loads

    def time_fit(self, workload, data):
        cr.fit(
            self.network,
            *self.data,
            loss=self.chosen.loss,
            optimizer=self.optimizer,
            epochs=self.chosen.epochs,
            progress=False,
            **self.options,
        )
