"""What it costs to keep checkpoints during a fit.

``python -m benchmarks.checkpoints`` prints a table.
"""

from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import chainrule as cr
from chainrule.cli.measurement.workloads import WORKLOADS

VARIANTS = "by time", "each epoch"  # a path alone; Checkpoint(path)


class Fit:
    """A fit of a workload, as long as in the comparison with others."""

    def __init__(self, workload):
        self.workload = WORKLOADS[workload]
        self.data = self.workload.data()

    def seconds(self, checkpoint=None):
        """Return how long it took, the network's initialization left out."""
        network = self.workload.network()
        started = perf_counter()
        cr.fit(
            network,
            *self.data,
            loss=self.workload.loss,
            epochs=self.workload.epochs,
            batch_size=self.workload.batch,
            progress=False,
            checkpoint=checkpoint,
        )
        return perf_counter() - started

    def compare(self, variant, times):
        """Return the median seconds of a fit alone, and what checkpoints add to an epoch's."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "run.safetensors"
            checkpoint = path if variant == "by time" else cr.Checkpoint(path)
            self.seconds(checkpoint)  # compiles or loads
            pairs = [(self.seconds(), self.seconds(checkpoint)) for _ in range(times)]
        alone = median(without for without, _ in pairs)
        added = median(with_them - without for without, with_them in pairs)
        return alone, added / self.workload.epochs


class Checkpoints:
    params = (("digits", "mnist"), VARIANTS)
    param_names = ("workload", "written")

    def setup(self, workload, variant):
        self.fit = Fit(workload)

    def track_seconds_an_epoch(self, workload, variant):
        return self.fit.compare(variant, times=3)[1]

    track_seconds_an_epoch.unit = "s"


def main():
    print(f"{'workload':10} {'epochs':>6} {'fit':>9} {'written':>11} {'adds an epoch':>14}")
    for name in ("digits", "mnist"):
        fit = Fit(name)
        for variant in VARIANTS:
            alone, added = fit.compare(variant, times=5)
            epochs = fit.workload.epochs
            times = f"{alone * 1e3:6.1f} ms {variant:>11} {added * 1e6:11.0f} us"
            print(f"{name:10} {epochs:6} {times}")


if __name__ == "__main__":
    main()
