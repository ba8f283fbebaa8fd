"""A regressor with the interface of MLPRegressor."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils._param_validation import StrOptions

from chainrule.interop.sklearn.base import BaseNetwork, only_stochastic
from chainrule.interop.sklearn.columns import check_columns, join_columns, split_columns
from chainrule.interop.sklearn.fitting import column_as_vector, fitting
from chainrule.interop.sklearn.one_table import validated
from chainrule.interop.sklearn.scores import r2
from chainrule.losses import Loss, MSELoss
from chainrule.losses.custom_losses import CompiledLoss
from chainrule.losses.multi_loss import MultiLoss


def half_poisson_deviance(output: Any, target: Any, losses: Any, d_output: Any) -> None:
    """Compute half the deviance of counts from the exponentials of the outputs, row by row."""
    for i in range(output.shape[0]):
        loss = 0.0
        for j in range(output.shape[1]):
            y, z = target[i, j], output[i, j]
            expected = math.exp(z)
            loss += expected - y + (y * (math.log(y) - z) if y > 0 else 0.0)
            d_output[i, j] = expected - y
        losses[i] = loss


class NetworkRegressor(RegressorMixin, BaseNetwork):
    """A regressor with the parameters, attributes and methods of scikit-learn's MLPRegressor.

    The additional parameters are documented here, the others at
    :class:`sklearn.neural_network.MLPRegressor`. X may be sparse (it is converted to a dense
    array), and y may have several columns. With a ``cr.MultiLoss`` the columns are split among the
    outputs in order: one column of class numbers for an output whose loss takes labels, else as
    many as the output has. y may then be a tuple of such blocks, and ``predict`` returns columns in
    the same order, with the most likely class.

    Parameters
    ----------
    loss : "squared_error", "poisson" or Loss
        One of scikit-learn's losses; or a chainrule loss of outputs and targets of shape
        (n, outputs), such as ``cr.HuberLoss()``; or a ``cr.MultiLoss`` for a module with several
        outputs.
    activation : str, Layer, or a list of them
        The activation of all hidden layers, or of each: scikit-learn's names, or chainrule's
        layers.
    dropout : float, or a list of them
        The dropout probability of all hidden layers, or of each, from 0 to below 1.
    module : Sequential, or a function of (n_in, n_out) that returns one
        The network, instead of ``hidden_layer_sizes`` and ``activation``. ``fit`` trains a copy,
        starting from its parameters; ``random_state`` does not change them.
    dtype : "float32" or "float64"
        The dtype of the network, whatever the dtype of X.

    Attributes
    ----------
    network_ : Sequential
        The trained network; ``coefs_`` and ``intercepts_`` are lists of views of its parameters.

    Raises
    ------
    ValueError, TypeError
        In ``fit``, as in scikit-learn; also if ``module`` has another number of outputs. The
        estimator is not changed.
    KeyboardInterrupt
        In ``fit`` and ``partial_fit``, after Ctrl-C, which scikit-learn answers with a warning. The
        estimator is fitted as far as the training came.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.interop.sklearn import NetworkRegressor
    >>> X = np.linspace(-1, 1, 100)[:, None]
    >>> model = NetworkRegressor(activation="tanh", solver="lbfgs", random_state=0)
    >>> model.fit(X, X[:, 0] ** 2).score(X, X[:, 0] ** 2) > 0.99
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseNetwork._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson"}), Loss],
    }

    def __init__(
        self,
        loss: Any = "squared_error",
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
        dtype: str = "float32",
    ) -> None:
        self.loss = loss
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
        self.dtype = dtype

    @fitting
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NetworkRegressor:
        """Train on X of shape (n, features) and y of (n,) or (n, outputs); return self."""
        self._fit(X, y, sample_weight)
        return self

    @only_stochastic
    @fitting
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> NetworkRegressor:
        """Train for one epoch; return self."""
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the predictions, of shape (n,) for one output, else (n, outputs)."""
        return self._values_of(self._outputs(X))

    def _values_of(self, outputs: Any) -> NDArray[Any]:
        if isinstance(self._loss, MultiLoss) and isinstance(outputs, tuple):
            return join_columns(self._loss, outputs)
        values: NDArray[Any] = np.exp(outputs) if self.out_activation_ == "exp" else outputs
        return values[:, 0] if values.shape[1] == 1 else values

    def _check_data(self, X: Any, y: Any, *, reset: bool, incremental: bool) -> tuple[Any, Any]:
        if isinstance(self.loss, MultiLoss) and isinstance(y, tuple):
            y = np.column_stack(y)
        dtypes = np.float64, np.float32
        X, y = validated(self, X, y, reset=reset, multi_output=True, y_numeric=True, dtype=dtypes)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_as_vector(y)
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        is_logarithm = self.loss == "poisson" or getattr(self.loss, "log_input", False)
        self.out_activation_ = "exp" if is_logarithm else "identity"
        return X, y

    def _choose_loss(self) -> tuple[Any, float]:
        if self.loss == "squared_error":
            return MSELoss(), self.n_outputs_ / 2
        if self.loss == "poisson":
            return CompiledLoss(half_poisson_deviance), 1
        return self.loss, 1

    @property
    def _loss_factor(self) -> float:
        return 1 / self.n_outputs_ if self.loss == "squared_error" else 1.0

    def _check_outputs(self, shapes: tuple[Any, ...]) -> None:
        if isinstance(self.loss, MultiLoss):
            check_columns(self.loss, shapes, self.n_outputs_)
            return
        loss, _ = self._choose_loss()
        if len(shapes) == 1 and not loss.takes_labels and loss.target_shape(shapes[0]) != shapes[0]:
            raise ValueError(
                f"loss must compare each number of y with one output; {self.loss!r} has several "
                "outputs for one: train module by cr.fit."
            )
        super()._check_outputs(shapes)

    def _targets(self, y: Any) -> Any:
        if isinstance(self.loss, MultiLoss):
            shapes = self.network_.output_shapes((self.n_features_in_,))
            return split_columns(self.loss, shapes, y)
        return super()._targets(y)

    def _validation_score(self, X: Any, y: Any, sample_weight: Any) -> float:
        predicted = self._values_of(self.network_.predict(X))
        if not np.isfinite(predicted).all():
            return float("nan")
        return r2(y, predicted, sample_weight)
