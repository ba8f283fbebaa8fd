"""Run every benchmark once, with each of its parameters: do they all still run?

``python -m benchmarks.once`` does so in one process: ``asv run --quick`` starts one for each
parameter, some 340, and most of its time goes into loading the same code. The figures mean nothing.
"""

from math import prod
from pathlib import Path

from asv_runner.discovery import disc_benchmarks, get_benchmark_from_name

FOLDER = str(Path(__file__).parent)
QUICK = {"number": 1, "repeat": 1, "warmup_time": 0}  # as asv's --quick


def main():
    for found in list(disc_benchmarks(FOLDER)):
        print(found.name, flush=True)
        for index in range(prod(map(len, found.params))):
            benchmark = get_benchmark_from_name(FOLDER, f"{found.name}-{index}", QUICK)
            benchmark.set_cache(benchmark.do_setup_cache())
            if not benchmark.do_setup():  # or it says that it cannot run here
                benchmark.do_run()
            benchmark.do_teardown()


if __name__ == "__main__":
    main()
