"""class_weight and validation_split: what fit does with them is what can be done by hand."""

import numpy as np
import pytest

import chainrule as cr

rng = np.random.default_rng(0)
X, LABELS = rng.normal(size=(60, 4)), rng.integers(0, 3, 60)
LABELS[:40] = 0
BINARY = (LABELS > 0).astype(float)
WEIGHTS = rng.uniform(0.5, 2, 60)
CASES = {
    "labels": (cr.CrossEntropyLoss(), LABELS, 3),
    "yes or no": (cr.BCEWithLogitsLoss(), BINARY, 1),
}
each = pytest.mark.parametrize("case", CASES)


def fit(y, loss, outputs, **options):
    net = cr.Sequential(cr.Linear(4, 8), cr.Tanh(), cr.Linear(8, outputs), seed=0)
    defaults = {"optimizer": cr.Adam(lr=0.01), "epochs": 3, "batch_size": 16, "progress": False}
    history = cr.fit(net, X, y, loss=loss, **defaults | options)
    return net, history


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@each
def test_class_weights_are_weights_of_the_rows(case, weights):
    loss, y, outputs = CASES[case]
    by_hand = np.where(y == 0, 1.0, np.where(y == 1, 5.0, 1.0))
    by_hand = by_hand if weights is None else by_hand * weights.astype("f")
    net, history = fit(y, loss, outputs, class_weight={1: 5.0}, sample_weight=weights)
    twin, expected = fit(y, loss, outputs, sample_weight=by_hand)
    assert np.array_equal(net.params, twin.params)
    assert history.loss == expected.loss


@each
def test_balanced_classes_have_the_same_total_weight(case):
    loss, y, outputs = CASES[case]
    classes, counts = np.unique(y, return_counts=True)
    of_classes = len(y) / (len(classes) * counts)
    twin, _ = fit(y, loss, outputs, sample_weight=of_classes[y.astype(int)])
    assert np.array_equal(fit(y, loss, outputs, class_weight="balanced")[0].params, twin.params)
    sklearn = pytest.importorskip("sklearn.utils.class_weight")
    np.testing.assert_allclose(
        of_classes, sklearn.compute_class_weight("balanced", classes=classes, y=y)
    )


def test_class_weights_do_not_apply_to_the_validation():
    loss, y, outputs = CASES["labels"]
    net, history = fit(y, loss, outputs, class_weight="balanced", validation=(X, y))
    assert history.validation_loss[-1] == pytest.approx(loss(net.predict(X), y)[0], rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "y", "outputs"),
    [
        (cr.MSELoss(), BINARY, 1),
        (cr.BCEWithLogitsLoss(), BINARY * 0.5, 1),
        (cr.BCEWithLogitsLoss(), np.stack([BINARY] * 2, axis=1), 2),
        (cr.MultiLoss(cr.MSELoss()), (BINARY,), 1),
    ],
)
def test_class_weights_are_for_classes(loss, y, outputs):
    with pytest.raises(ValueError, match="class_weight is for one output with one class a row"):
        fit(y, loss, outputs, class_weight="balanced")


@each
def test_a_weight_too_large_for_the_dtype_is_named_by_its_class(case):
    loss, y, outputs = CASES[case]
    with pytest.raises(ValueError, match=r"class_weight\[1\] must be .* but 1e\+39 becomes"):
        fit(y, loss, outputs, class_weight={1: 1e39})
    with pytest.raises(ValueError, match="class_weight times sample_weight"):
        fit(y, loss, outputs, class_weight={1: 1e30}, sample_weight=np.full(len(y), 1e30))


class Rows(cr.Callback):
    def on_fit_begin(self, training):
        self.X, self.y, self.weights = training.X, training.y, training.sample_weight


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.9])
def test_a_split_trains_on_some_rows_and_validates_on_the_others(fraction):
    loss, y, outputs = CASES["labels"]
    rows = Rows()
    options = {"validation_split": fraction, "sample_weight": WEIGHTS}
    net, history = fit(y, loss, outputs, callbacks=[rows], **options)
    held = round(60 * fraction)
    is_held = ~np.isin(X, rows.X).all(axis=1)
    assert is_held.sum() == held == 60 - len(rows.X)
    assert np.array_equal(rows.X, X[~is_held])  # in the same order
    assert np.array_equal(rows.y, y[~is_held])
    twin = cr.Sequential(*net.layers, seed=0)
    kept, others = (X[~is_held], y[~is_held]), (X[is_held], y[is_held], WEIGHTS[is_held])
    expected = cr.fit(
        twin, *kept, loss=loss, sample_weight=WEIGHTS[~is_held], optimizer=cr.Adam(lr=0.01),
        epochs=3, batch_size=16, progress=False, validation=others,
    )  # fmt: skip
    assert np.array_equal(net.params, twin.params)
    assert history.validation_loss == expected.validation_loss
    assert history.validation_accuracy == expected.validation_accuracy


def test_the_seed_chooses_the_rows():
    def held(seed):
        rows = Rows()
        fit(LABELS, cr.CrossEntropyLoss(), 3, validation_split=0.5, seed=seed, callbacks=[rows])
        return np.isin(X, rows.X).all(axis=1)

    assert np.array_equal(held(0), held(0))
    assert not np.array_equal(held(0), held(1))


def test_a_split_of_several_outputs_and_metrics_on_it(tmp_path):
    y = LABELS, X[:, :2]
    parts = cr.Branch(cr.Linear(4, 3), cr.Linear(4, 2))
    loss = cr.MultiLoss(cr.CrossEntropyLoss(), cr.MSELoss())
    options = {"loss": loss, "validation_split": 0.2, "progress": False}
    options |= {"checkpoint": tmp_path / "run.safetensors", "resume": True}
    options["metrics"] = {"rows": lambda y, outputs: len(y[0]) + 100 * len(outputs[1])}
    history = cr.fit(net := cr.Sequential(parts, seed=0), X, y, epochs=4, **options)
    assert history.metrics["rows"] == [1212.0] * 4
    longer = cr.fit(twin := cr.Sequential(parts, seed=9), X, y, epochs=5, **options)
    assert longer.loss[:4] == history.loss
    whole = cr.Sequential(parts, seed=0)
    del options["checkpoint"], options["resume"]
    cr.fit(whole, X, y, epochs=5, **options)
    assert np.array_equal(whole.params, twin.params)
    assert not np.array_equal(net.params, twin.params)


@pytest.mark.parametrize("option", [{"class_weight": "balanced"}, {"validation_split": 0.5}])
def test_batches_from_an_iterable_take_neither(option):
    net = cr.Sequential(cr.Linear(4, 3), seed=0)
    with pytest.raises(ValueError, match=f"{next(iter(option))} is for arrays X and y"):
        cr.fit(net, [(X, LABELS)], loss=cr.CrossEntropyLoss(), progress=False, **option)
