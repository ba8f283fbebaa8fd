"""What it costs to record the flow of gradients: by itself, and at its default during a fit.

``python -m benchmarks.flow`` prints a table.
"""

from statistics import median
from time import perf_counter

import chainrule as cr
from chainrule.cli.measurement.workloads import SMALL, WORKLOADS


class Fit:
    """A fit of a workload, as long as in the comparison with others."""

    def __init__(self, workload):
        self.workload = WORKLOADS[workload]
        self.data = self.workload.data()

    def run(self, callbacks):
        """Return the history, and how long it took, the network's initialization left out."""
        network = self.workload.network()
        started = perf_counter()
        history = cr.fit(
            network,
            *self.data,
            loss=self.workload.loss,
            epochs=self.workload.epochs,
            batch_size=self.workload.batch,
            progress=False,
            callbacks=callbacks,
        )
        return history, perf_counter() - started

    def compare(self, times):
        """Return the median seconds of a fit alone, the fraction that recording adds, and records.

        The fraction is the median over pairs that run one after the other, in turns.
        """
        self.run([cr.GradientFlow()])  # compiles or loads
        alone, fractions, records = [], [], []
        for turn in range(times):
            seconds = {}
            for records_too in (turn % 2 == 0, turn % 2 == 1):
                history, taken = self.run([cr.GradientFlow()] if records_too else [])
                seconds[records_too] = taken
                if records_too:
                    records.append(len(history.gradient_flow))
            alone.append(seconds[False])
            fractions.append(seconds[True] / seconds[False] - 1)
        return median(alone), median(fractions), median(records)


class GradientFlow:
    params = (SMALL,)
    param_names = ("workload",)

    def setup(self, workload):
        self.fit = Fit(workload)

    def track_fraction_of_fit(self, workload):
        return self.fit.compare(times=5)[1]

    track_fraction_of_fit.unit = "of a fit without"


def main():
    print(f"{'workload':10} {'fit':>9} {'records':>8} {'they add':>9}")
    for name in (*SMALL, "expm"):
        alone, share, records = Fit(name).compare(times=15)
        print(f"{name:10} {alone * 1e3:6.1f} ms {records:8.0f} {share:9.1%}")


if __name__ == "__main__":
    main()
