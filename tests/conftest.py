"""Tests that need PyTorch or JAX have it in their names, by which .ci/run chooses them."""

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    for name in ("torch", "jax"):
        # "could not import 'torch'", says importorskip.
        if report.skipped and f"'{name}" in str(report.longrepr) and name not in item.nodeid:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} needs {name}: its name must say so, or no job runs it"
    return report
