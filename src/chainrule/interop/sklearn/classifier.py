"""A classifier with the interface of MLPClassifier."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
    type_of_target,
    unique_labels,
)

from chainrule.interop.sklearn.base import BaseNetwork, only_stochastic
from chainrule.interop.sklearn.fitting import column_as_vector, fitting
from chainrule.interop.sklearn.one_table import validated
from chainrule.interop.sklearn.scores import fraction_of
from chainrule.losses import BCEWithLogitsLoss, CrossEntropyLoss, OutputLoss
from chainrule.training.class_weights import class_weights


class NetworkClassifier(ClassifierMixin, BaseNetwork):
    """A classifier with the parameters, attributes and methods of scikit-learn's MLPClassifier.

    The additional parameters are documented here, the others at
    :class:`sklearn.neural_network.MLPClassifier`. X may be sparse (it is converted to a dense
    array), and y may be a matrix of 0 and 1 for several labels a row.

    Parameters
    ----------
    activation : str, Layer, or a list of them
        The activation of all hidden layers, or of each: scikit-learn's names, or chainrule's
        layers.
    dropout : float, or a list of them
        The dropout probability of all hidden layers, or of each, from 0 to below 1.
    module : Sequential, or a function of (n_in, n_out) that returns one
        The network, instead of ``hidden_layer_sizes`` and ``activation``. ``fit`` trains a copy,
        starting from its parameters; ``random_state`` does not change them.
        Its outputs are logits: one for two classes, else one for each class or label.
    class_weight : dict or "balanced", optional
        A weight for each class, 1 for those that a dict leaves out. It is multiplied by
        ``sample_weight``, which ``"balanced"`` counts as rows. Not for several labels a row;
        ``"balanced"`` is not for ``partial_fit``, which is not given all rows.
    loss : "log_loss" or Loss
        A chainrule loss of the logits and of class numbers; for two classes, and for several labels
        a row, of targets 0 and 1.
    dtype : "float32" or "float64"
        The dtype of the network, whatever the dtype of X.

    Attributes
    ----------
    network_ : Sequential
        The trained network; ``coefs_`` and ``intercepts_`` are lists of views of its parameters.

    Raises
    ------
    ValueError, TypeError
        In ``fit``, as in scikit-learn; also if ``module`` has another number of outputs, or a key
        of ``class_weight`` is not a class while a class has none. The estimator is not changed.
    KeyboardInterrupt
        In ``fit`` and ``partial_fit``, after Ctrl-C, which scikit-learn answers with a warning. The
        estimator is fitted as far as the training came.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule.interop.sklearn import NetworkClassifier
    >>> X, y = cr.datasets.load_digits()
    >>> model = NetworkClassifier((32,), tol=1e-3, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.95)
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseNetwork._parameter_constraints,
        "loss": [StrOptions({"log_loss"}), OutputLoss],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        module: Any = None,
        class_weight: Any = None,
        loss: Any = "log_loss",
        dtype: str = "float32",
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.module = module
        self.class_weight = class_weight
        self.loss = loss
        self.dtype = dtype

    @fitting
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NetworkClassifier:
        """Train on X of shape (n, features) and labels y; return self."""
        self._fit(X, y, sample_weight)
        return self

    @only_stochastic
    @fitting
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> NetworkClassifier:
        """Train for one epoch; the first call needs all ``classes``. Return self."""
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not for partial_fit, which does not see all of y: give "
                "it the dict of sklearn.utils.class_weight.compute_class_weight('balanced', "
                "classes=classes, y=y), for a y that is large enough."
            )
        if _check_partial_fit_first_call(self, classes):
            multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if multilabel else classes)
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likeliest class of each row, or a matrix of 0 and 1 for several labels."""
        result: NDArray[Any]
        chances = self._logits(X)
        if self.out_activation_ == "softmax":
            result = self.classes_[chances.argmax(axis=1)]
            return result
        chances = expit(chances)
        result = self._label_binarizer.inverse_transform(
            chances[:, 0] if self.n_outputs_ == 1 else chances
        )
        return result

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return each class's probability, in the order of ``classes_``, or each label's.

        They are float64: float32 has none between 1 - 6e-8 and 1, so that likely labels would tie.
        """
        logits = self._logits(X)
        if self.out_activation_ == "softmax":
            chances: NDArray[Any] = softmax(logits, axis=1)
            return chances
        return np.hstack([expit(-logits), expit(logits)]) if self._is_binary else expit(logits)

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Return the logarithms of :meth:`predict_proba`, without loss for small ones."""
        logits = self._logits(X)
        if self.out_activation_ == "softmax":
            logarithms: NDArray[Any] = log_softmax(logits, axis=1)
            return logarithms
        both = [log_expit(-logits), log_expit(logits)]
        return np.hstack(both) if self._is_binary else both[1]

    def _logits(self, X: Any) -> NDArray[np.float64]:
        return np.asarray(self._outputs(X), np.float64)

    @property
    def _is_binary(self) -> bool:
        return bool(self.n_outputs_ == 1)

    def _check_data(self, X: Any, y: Any, *, reset: bool, incremental: bool) -> tuple[Any, Any]:
        dtypes = np.float64, np.float32
        X, y = validated(self, X, y, reset=reset, multi_output=True, dtype=dtypes)
        check_classification_targets(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_as_vector(y)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            self._check_classes(unique_labels(y))
        one_label = not self._label_binarizer.y_type_.startswith("multilabel")
        if one_label != (y.ndim == 1):
            raise ValueError("y must have one label a row, or several, as in the calls before.")
        classes = len(self.classes_)
        takes_labels = isinstance(self.loss, OutputLoss) and self.loss.takes_labels
        by_softmax = one_label and (classes > 2 or takes_labels)
        self.n_outputs_ = 1 if one_label and not by_softmax else classes
        self.out_activation_ = "softmax" if by_softmax else "logistic"
        if one_label:
            return X, np.searchsorted(self.classes_, y)
        return X, self._label_binarizer.transform(y)

    def _check_classes(self, classes: NDArray[Any]) -> None:
        if self.warm_start and set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {classes}"
            )
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                "`y` has classes not in `self.classes_`. "
                f"`self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    def _weigh(self, y: Any, sample_weight: Any) -> Any:
        if self.class_weight is None:
            return sample_weight
        if y.ndim == 2:
            raise ValueError("class_weight is for one label a row, but y has several.")
        of_classes = class_weights(
            self.class_weight, self.classes_, y, sample_weight, np.dtype(self.dtype)
        )[y]
        return of_classes if sample_weight is None else of_classes * sample_weight

    def _choose_loss(self) -> tuple[Any, float]:
        if self.loss != "log_loss":
            return self.loss, 1
        if self.out_activation_ == "softmax":
            return CrossEntropyLoss(), 1
        return BCEWithLogitsLoss(), self.n_outputs_

    def _validation_score(self, X: Any, y: Any, sample_weight: Any) -> float:
        outputs = self.network_.predict(X)
        if not np.isfinite(outputs).all():
            return float("nan")
        if self.out_activation_ == "softmax":
            right = outputs.argmax(axis=1) == y
        else:
            right = ((outputs > 0) == y.reshape(outputs.shape)).all(axis=1)
        return fraction_of(right, sample_weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
