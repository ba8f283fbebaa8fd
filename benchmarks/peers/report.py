"""Write down what was measured: tables in Markdown, and a plot."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from chainrule.cli.measurement.measure import Measured
from chainrule.cli.measurement.workloads import WORKLOADS

PACKAGES = ("numba", "numpy", "torch", "jax", "scikit-learn")
GREY = "#808080"  # legible on white and on black


def markdown(results: list[Measured], command: str, minutes: float) -> str:
    """Return all tables: for each number of threads training, and value and gradient; then flops.

    ``results`` hold one or more workloads for each number of threads; the first implementation of
    each is what the others are compared with.
    """
    parts = [f"`{command}`, in {digits(minutes)} minutes, on {describe_machine()}"]
    for threads in sorted({result.threads for result in results}):
        for updates, kind in ((True, "a training step"), (False, "a value and its gradient")):
            chosen = [
                result
                for result in results
                if result.threads == threads and WORKLOADS[result.workload].updates == updates
            ]
            if chosen:
                plural = "s" if threads > 1 else ""
                parts.append(f"Microseconds of {kind}, with {threads} thread{plural}:")
                parts.append(times_table(chosen))
    parts += ["The matrix products of a step, and how fast chainrule does them:"]
    parts += [flops_table(results)]
    return "\n\n".join(parts) + "\n"


def times_table(results: list[Measured]) -> str:
    """Return a row for each workload, and below the table why a time is missing."""
    names = list(dict.fromkeys(name for result in results for name in result.microseconds))
    rows = []
    for result in results:
        ours = next(iter(result.microseconds.values()))
        cells = [result.workload]
        for name in names:
            time = result.microseconds.get(name)
            ratio = "" if time is ours else f" ({digits(time / ours)}x)" if time else ""
            cells.append(f"{digits(time)}{ratio}" if time else "-")
        rows.append(cells)
    refusals = {f"{name}: {why}." for result in results for name, why in result.refusals.items()}
    return "\n\n".join([table(["us", *names], rows), *sorted(refusals)])


def flops_table(results: list[Measured]) -> str:
    """Return a row for each workload: its size, and chainrule's GFLOP/s for each thread count."""
    threads = sorted({result.threads for result in results})
    speeds: dict[str, dict[int, str]] = {}
    for result in results:
        names = ("chainrule engine", "chainrule")
        time = next(result.microseconds[name] for name in names if name in result.microseconds)
        flops_a_microsecond = WORKLOADS[result.workload].flops / time
        speeds.setdefault(result.workload, {})[result.threads] = digits(flops_a_microsecond / 1e3)
    rows = []
    for name, speed in speeds.items():
        workload = WORKLOADS[name]
        size = [f"{workload.parameters:,}", str(workload.batch), f"{workload.flops / 1e6:,.2f}"]
        rows.append([name, *size, *(speed.get(count, "-") for count in threads)])
    heads = [f"GFLOP/s, {count} thread{'s' if count > 1 else ''}" for count in threads]
    return table(["", "parameters", "rows", "Mflop", *heads], rows)


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def digits(number: float) -> str:
    """Return three or more significant digits, without an exponent."""
    return (
        f"{number:,.0f}" if number >= 1000 else f"{number:.3g}" if number < 100 else f"{number:.0f}"
    )


def describe_machine() -> str:
    import llvmlite.binding

    packages = []
    for package in PACKAGES:
        try:
            packages.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    cpu = f"{platform.machine()} ({llvmlite.binding.get_host_cpu_name()})"
    python = f"Python {platform.python_version()}"
    return f"{cpu}, {os.cpu_count()} cores; {', '.join([python, *packages])}."


def plot(results: list[Measured], path: Path) -> None:
    """Draw how many times longer each baseline takes, in a panel for each number of threads."""
    import matplotlib
    from matplotlib.figure import Figure

    threads = sorted({result.threads for result in results})
    names = list(dict.fromkeys(name for result in results for name in result.microseconds))
    style = {
        "svg.fonttype": "none",  # text stays text
        "svg.hashsalt": "chainrule",  # the same figures make the same file
        "text.color": GREY,
        "axes.labelcolor": GREY,
        "axes.edgecolor": GREY,
        "xtick.color": GREY,
        "ytick.color": GREY,
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(4.5 * len(threads) + 1, 5), layout="constrained")
        for axes, count in zip(
            figure.subplots(1, len(threads), squeeze=False)[0], threads, strict=True
        ):
            chosen = [result for result in results if result.threads == count]
            for name, marker in zip(names[1:], "os^vDPX*", strict=False):
                points = [
                    (result.microseconds[name] / result.microseconds[names[0]], row)
                    for row, result in enumerate(chosen)
                    if name in result.microseconds
                ]
                axes.plot(*zip(*points, strict=True), marker, label=name)
            axes.axvline(1, color=GREY)
            axes.set(xscale="log", xlabel="times as long as chainrule", facecolor="none")
            axes.set_title(f"{count} thread{'s' if count > 1 else ''}")
            axes.set_yticks(range(len(chosen)), [result.workload for result in chosen])
            axes.invert_yaxis()
            axes.grid(color=GREY, alpha=0.3)
            axes.xaxis.set_major_formatter("{x:g}")
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
        figure.savefig(path, transparent=True, metadata={"Date": None})
