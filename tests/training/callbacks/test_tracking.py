"""Callbacks for other packages: pruned trials of Optuna, runs of MLflow."""

import sys

import numpy as np
import pytest

import chainrule as cr

pytestmark = pytest.mark.once

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(60, 4)), rng.integers(0, 3, 60)


def train(*callbacks, epochs=3, **options):
    net = cr.Sequential(cr.Linear(4, 8), cr.Tanh(), cr.Linear(8, 3), seed=0)
    return cr.fit(
        net, X, Y, loss=cr.CrossEntropyLoss(), optimizer=cr.Adam(lr=0.01), epochs=epochs,
        validation=(X, Y), progress=False, callbacks=callbacks, **options,
    )  # fmt: skip


@pytest.mark.parametrize(("kind", "package"), [("OptunaPruning", "optuna"), ("MLflow", "mlflow")])
def test_a_missing_package_is_named_with_the_command_that_installs_it(kind, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    arguments = [None] if kind == "OptunaPruning" else []
    with pytest.raises(ImportError, match=rf"pip install \"chainrule\[{package}\]\""):
        getattr(cr.callbacks, kind)(*arguments)


# Optuna


@pytest.fixture
def optuna():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


@pytest.mark.parametrize("monitor", ["loss", "validation_loss", "validation_accuracy"])
def test_a_trial_is_told_the_metric_of_each_epoch(optuna, monitor):
    direction = "maximize" if "accuracy" in monitor else "minimize"
    study = optuna.create_study(direction=direction, pruner=optuna.pruners.NopPruner())
    trial = study.ask()
    history = train(cr.callbacks.OptunaPruning(trial, monitor), epochs=4)
    values = study._storage.get_trial(trial._trial_id).intermediate_values
    assert list(values.items()) == list(enumerate(getattr(history, monitor), start=1))


def test_a_pruned_trial_ends_and_the_study_goes_on(optuna):
    study = optuna.create_study(pruner=optuna.pruners.ThresholdPruner(upper=0.0, n_warmup_steps=2))
    epochs = []

    class Count(cr.Callback):
        def on_epoch_end(self, training):
            epochs.append(training.epoch)

    def objective(trial):
        train(Count(), cr.callbacks.OptunaPruning(trial), epochs=5)

    study.optimize(objective, n_trials=2)
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "PRUNED"]
    assert epochs == [1, 2] * 2


def test_a_fixed_trial_is_never_pruned(optuna):
    trial = optuna.trial.FixedTrial({})
    assert len(train(cr.callbacks.OptunaPruning(trial)).loss) == 3


def test_a_study_in_the_wrong_direction_is_refused(optuna):
    rising, falling = (optuna.create_study(direction=d).ask() for d in ("maximize", "minimize"))
    with pytest.raises(ValueError, match=r'MAXIMIZE.*create_study\(direction="minimize"\)'):
        cr.callbacks.OptunaPruning(rising, "validation_loss")
    with pytest.raises(ValueError, match="MINIMIZE"):
        cr.callbacks.OptunaPruning(falling, "validation_f1")
    cr.callbacks.OptunaPruning(rising, "validation_reward")  # whichever is better


def test_wrong_arguments_of_pruning(optuna):
    trial = optuna.create_study().ask()
    with pytest.raises(TypeError, match="trial must be an Optuna trial, not 3"):
        cr.callbacks.OptunaPruning(3)
    with pytest.raises(TypeError, match="name of a metric, not 3"):
        cr.callbacks.OptunaPruning(trial, 3)
    of_two = optuna.create_study(directions=["minimize", "maximize"]).ask()
    with pytest.raises(ValueError, match="one objective"):
        cr.callbacks.OptunaPruning(of_two)
    with pytest.raises(ValueError, match="'validation_rmse', but this training has only"):
        train(cr.callbacks.OptunaPruning(trial, "validation_rmse"))


# MLflow


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a database takes seconds to set up
    mlflow = pytest.importorskip("mlflow")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    yield mlflow
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(before)


def logged(mlflow, run_id, name):
    history = mlflow.MlflowClient().get_metric_history(run_id, name)
    return [(metric.step, metric.value) for metric in history]


def runs(mlflow):
    return mlflow.MlflowClient().search_runs(["0"])


def test_the_active_run_has_all_metrics_and_stays_active(mlflow):
    with mlflow.start_run() as run:
        history = train(cr.callbacks.MLflow())
        assert mlflow.active_run().info.run_id == run.info.run_id
    for name in history.latest():
        values = getattr(history, name)
        assert logged(mlflow, run.info.run_id, name) == list(enumerate(values, start=1))
    assert len(runs(mlflow)) == 1


def test_settings_are_logged_once_and_those_of_the_user_stay(mlflow):
    with mlflow.start_run() as run:
        mlflow.log_param("loss", "mine")
        train(cr.callbacks.MLflow())
        train(cr.callbacks.MLflow(), epochs=5)
    params = mlflow.get_run(run.info.run_id).data.params
    assert params["loss"] == "mine"
    assert params["optimizer"] == repr(cr.Adam(lr=0.01))
    assert (params["batch_size"], params["epochs"]) == ("32", "3")
    assert params["network"].startswith("Sequential(")


def test_a_run_is_started_and_ended_if_none_is_active(mlflow):
    class Fails(cr.Callback):
        def on_epoch_end(self, training):
            raise ArithmeticError("on purpose")

    train(cr.callbacks.MLflow())
    with pytest.raises(ArithmeticError):
        train(cr.callbacks.MLflow(), Fails())
    with pytest.raises(ValueError, match="val_loss"):
        train(cr.callbacks.MLflow(), cr.callbacks.EarlyStopping("val_loss"))
    assert mlflow.active_run() is None
    assert [run.info.status for run in runs(mlflow)] == ["FAILED", "FAILED", "FINISHED"]


def test_a_run_by_its_id(mlflow):
    run_id = mlflow.MlflowClient().create_run("0").info.run_id
    history = train(cr.callbacks.MLflow(run_id))
    assert logged(mlflow, run_id, "loss") == list(enumerate(history.loss, start=1))
    assert len(runs(mlflow)) == 1
    with pytest.raises(TypeError, match="run_id must be a run's id, not 3"):
        cr.callbacks.MLflow(3)
    with pytest.raises(mlflow.MlflowException, match="nowhere"):
        train(cr.callbacks.MLflow("nowhere"))


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_metrics_that_the_server_does_not_take_are_logged_later(mlflow, missing, monkeypatch):
    client, calls = mlflow.MlflowClient, []
    log_batch = client.log_batch

    def unreliable(self, run_id, metrics=(), **others):
        if metrics:
            calls.append(metrics)
            if len(calls) <= missing:
                raise mlflow.MlflowException("not reachable")
        return log_batch(self, run_id, metrics, **others)

    monkeypatch.setattr(client, "log_batch", unreliable)
    with pytest.warns(RuntimeWarning, match=r"MLflow\(\) could not write: not reachable") as said:
        history = train(cr.callbacks.MLflow())
    assert len(said) == 1
    (run,) = runs(mlflow)
    assert logged(mlflow, run.info.run_id, "loss") == list(enumerate(history.loss, start=1))
