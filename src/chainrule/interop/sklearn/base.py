"""The base class of both estimators: parameters, the steps of fit, and the fitted attributes."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from chainrule.interop.sklearn.build import hidden_sizes, own_network, perceptron, weights_of
from chainrule.interop.sklearn.fitted import FittedNetwork
from chainrule.interop.sklearn.fitting import FIT_FRAMES
from chainrule.interop.sklearn.one_table import validated
from chainrule.interop.sklearn.solvers import fit_epochs, fit_lbfgs, make_optimizer
from chainrule.losses.multi_loss import MultiLoss
from chainrule.models.sequential import Sequential
from chainrule.utils.wording import plural

STOCHASTIC = ("sgd", "adam")


def stochastic(estimator: BaseNetwork) -> bool:
    """Tell whether the solver trains batch by batch, so that training can be continued."""
    if estimator.solver not in STOCHASTIC:
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not "
            "stochastic."
        )
    return True


class BaseNetwork(FittedNetwork, BaseEstimator):
    """The base of both estimators."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **MLPClassifier._parameter_constraints,
        "activation": "no_validation",  # in build.py
        "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "module": [None, Sequential, callable],
        "dtype": [StrOptions({"float32", "float64"})],
        "momentum": [Interval(Real, 0, 1, closed="left")],
    }

    @property
    def coefs_(self) -> list[NDArray[Any]]:
        """The weights, a writable view for each layer."""
        return list(weights_of(self._fitted_network()).values())

    @coefs_.setter
    def coefs_(self, values: Any) -> None:
        for view, value in zip(self.coefs_, values, strict=True):
            view[...] = value

    @property
    def intercepts_(self) -> list[NDArray[Any]]:
        """The biases, a writable view for each layer."""
        parameters = self._fitted_network().parameters().items()
        return [view for name, view in parameters if name.rpartition(".")[2] == "bias"]

    @intercepts_.setter
    def intercepts_(self, values: Any) -> None:
        for view, value in zip(self.intercepts_, values, strict=True):
            view[...] = value

    def _fitted_network(self) -> Sequential:
        network: Sequential | None = self.__dict__.get("network_")
        if network is None:
            raise AttributeError("coefs_ and intercepts_ come with fit.")
        return network

    @property
    def n_layers_(self) -> int:
        """The number of layers, including the input."""
        return len(self.coefs_) + 1

    @abstractmethod
    def _check_data(self, X: Any, y: Any, *, reset: bool, incremental: bool) -> tuple[Any, Any]:
        """Return X, and y as the loss takes it."""

    @abstractmethod
    def _choose_loss(self) -> tuple[Any, float]:
        """Return the loss, and its factor in the loss that scikit-learn minimizes."""

    @abstractmethod
    def _validation_score(self, X: Any, y: Any, sample_weight: Any) -> float:
        """Return the score that early stopping checks."""

    def _weigh(self, y: Any, sample_weight: Any) -> Any:
        return sample_weight

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, incremental: bool = False) -> Any:
        sizes = hidden_sizes(self.hidden_layer_sizes)
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        if self.solver == "lbfgs" and np.any(self.dropout):
            raise ValueError("dropout needs a stochastic solver, but solver is 'lbfgs'.")
        first = not hasattr(self, "network_") or not (self.warm_start or incremental)
        X, y = self._check_data(X, y, reset=first, incremental=incremental)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        sample_weight = self._weigh(y, sample_weight)
        if sample_weight is not None and not np.any(sample_weight):
            raise ValueError("At least one row must have a weight above 0.")
        if issparse(X):
            X = X.toarray()
        random = check_random_state(self.random_state)
        if first:
            self._begin(X, sizes, int(random.randint(np.iinfo(np.int32).max)))
        self._check_codes(X)
        if self.solver == "lbfgs":
            fit_lbfgs(self, X, self._targets(y), sample_weight)
            return self
        if first or not incremental or not hasattr(self, "_optimizer"):
            self._optimizer = make_optimizer(self)
        validation = None
        if self.early_stopping:
            X, y, sample_weight, validation = self._hold_out(X, y, sample_weight, random)
        self.n_iter_ = 0
        epochs = 1 if incremental else self.max_iter
        seed = int(random.randint(np.iinfo(np.int32).max))
        converged = fit_epochs(self, X, self._targets(y), sample_weight, validation, epochs, seed)
        if not (converged or incremental):
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
                "optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=FIT_FRAMES + 1,
            )
        return self

    def _begin(self, X: Any, sizes: list[int], seed: int) -> None:
        if self.module is None:
            widths = [X.shape[1], *sizes, self.n_outputs_]
            self.network_ = perceptron(widths, self.activation, self.dropout, seed, self.dtype)
        else:
            self.network_ = own_network(self.module, X.shape[1], self.n_outputs_, self.dtype)
            self._check_outputs(self.network_.output_shapes(X.shape[1:]))
        loss, scale = self._choose_loss()
        self._loss = loss if scale == 1 else MultiLoss(loss, weights=(float(scale),))
        self.n_iter_ = self.t_ = 0
        if self.solver in STOCHASTIC:
            self.loss_curve_, self._no_improvement_count = [], 0
            self.best_loss_ = None if self.early_stopping else np.inf
            self.validation_scores_ = [] if self.early_stopping else None
            self.best_validation_score_ = -np.inf if self.early_stopping else None

    @property
    def _loss_factor(self) -> float:
        """The factor between the loss that scikit-learn reports and the one that is minimized."""
        return 1.0

    def _check_outputs(self, shapes: tuple[Any, ...]) -> None:
        """Raise ValueError unless the outputs of the user's own module fit y."""
        if shapes != ((self.n_outputs_,),):
            raise ValueError(
                f"module must have {plural(self.n_outputs_, 'output')}, but its outputs have the "
                f"shapes {', '.join(map(str, shapes))}."
            )

    def _targets(self, y: Any) -> Any:
        return (y,) if isinstance(self._loss, MultiLoss) else y

    def _hold_out(self, X: Any, y: Any, sample_weight: Any, random: Any) -> tuple[Any, ...]:
        stratify = y if is_classifier(self) and y.ndim == 1 else None
        weights = np.ones(len(X)) if sample_weight is None else sample_weight
        X, X_held, y, y_held, weights, weights_held = train_test_split(
            X,
            y,
            weights,
            random_state=random,
            test_size=self.validation_fraction,
            stratify=stratify,
        )
        if len(X_held) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of "
                "your dataset."
            )
        if not (np.any(weights) and np.any(weights_held)):
            raise ValueError(
                "The validation set or the training set has no row with a weight above 0. "
                "Another 'validation_fraction' may help."
            )
        if sample_weight is None:
            return X, y, None, (X_held, y_held, None)
        return X, y, weights, (X_held, y_held, weights_held)

    def __sklearn_is_fitted__(self) -> bool:
        return "network_" in vars(self)

    def _outputs(self, X: Any) -> Any:
        """Return the network's outputs before the last activation, shape (n, outputs)."""
        check_is_fitted(self)
        X = validated(self, X)
        X = X.toarray() if issparse(X) else X
        self._check_codes(X)
        return self.network_.predict(X)

    def _check_codes(self, X: NDArray[Any]) -> None:
        """Raise ValueError, naming X's column, if it has a code that an embedding does not take."""
        self.network_.check_codes(X, "X", [list(getattr(self, "feature_names_in_", ()))])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


only_stochastic = available_if(stochastic)
