"""Converters with which skl2onnx writes the estimators as ONNX, also those in a pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.interop.sklearn.classifier import NetworkClassifier
from chainrule.interop.sklearn.regressor import NetworkRegressor
from chainrule.losses.multi_loss import MultiLoss
from chainrule.utils.optional import from_extra


def register_onnx_converters() -> None:
    """Let skl2onnx convert :class:`NetworkClassifier` and :class:`NetworkRegressor`.

    After one call, ``skl2onnx.to_onnx`` and ``convert_sklearn`` take the estimators by themselves
    and inside others, such as a ``Pipeline``. A classifier has its labels and probabilities as
    outputs, and skl2onnx's options ``zipmap`` and ``nocl``; a regressor has one output of shape
    (n, outputs). The network computes in its own dtype, whatever the type of the input.

    Raises
    ------
    ImportError
        Without skl2onnx: ``pip install "chainrule[skl2onnx]"``.

    Examples
    --------
    >>> import chainrule as cr
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from chainrule.interop.sklearn import NetworkClassifier, register_onnx_converters
    >>> X, y = cr.datasets.load_digits()
    >>> model = make_pipeline(StandardScaler(), NetworkClassifier((32,), tol=1e-2)).fit(X, y)
    >>> register_onnx_converters()  # doctest: +SKIP
    >>> import skl2onnx  # doctest: +SKIP
    >>> file = skl2onnx.to_onnx(model, X[:1], options={"zipmap": False})  # doctest: +SKIP
    """
    with from_extra("register_onnx_converters", "skl2onnx", "skl2onnx"):
        from skl2onnx import update_registered_converter
        from skl2onnx.common.shape_calculator import calculate_linear_regressor_output_shapes

    def shapes_of_regressor(operator: Any) -> None:
        calculate_linear_regressor_output_shapes(operator)
        operator.outputs[0].type.shape[1] = operator.raw_operator.n_outputs_

    update_registered_converter(
        NetworkClassifier,
        "ChainruleNetworkClassifier",
        _shapes_of_classifier,
        _convert_classifier,
        options={"zipmap": [True, False, "columns"], "nocl": [False, True]},
    )
    update_registered_converter(
        NetworkRegressor, "ChainruleNetworkRegressor", shapes_of_regressor, _convert_regressor
    )


def _shapes_of_classifier(operator: Any) -> None:
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    model, rows = operator.raw_operator, operator.inputs[0].get_first_dimension()
    label, chances = operator.outputs
    labels = _labels_of(model, operator.scope_inst)
    kind = Int64TensorType if labels.dtype.kind == "i" else StringTensorType
    chances.type.shape = [rows, len(model.classes_)]
    label.set_type(kind([rows] if _is_single_label(model) else chances.type.shape))


def _labels_of(model: Any, scope: Any) -> NDArray[Any]:
    """Return the classes as int64, or as texts; with the option ``nocl`` their numbers."""
    classes: NDArray[Any] = model.classes_
    if scope.get_options(model, {"nocl": False})["nocl"]:
        return np.arange(len(classes))
    return classes.astype(np.int64 if classes.dtype.kind in "biuf" else str)


def _is_single_label(model: Any) -> bool:
    return not model._label_binarizer.y_type_.startswith("multilabel")


class _Nodes:
    """Adds nodes to what skl2onnx writes, under names that are free there."""

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self._scope, self._container = scope, container
        self._model, self._input = operator.raw_operator, operator.inputs[0]

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; return the name of its output."""
        output = self._unique(kind)
        self._add(kind, list(inputs), [output], attributes)
        return output

    def output(self, variable: Any, value: str) -> None:
        """Make a value one of the estimator's outputs."""
        self._add("Identity", [value], [variable.full_name], {})

    def cast(self, value: str, variable: Any) -> str:
        """Return a value in the type of one of the estimator's outputs."""
        from skl2onnx.common.data_types import guess_proto_type

        return self.add("Cast", value, to=guess_proto_type(variable.type))

    def constant(self, values: Any) -> str:
        from onnx import numpy_helper

        return self._keep(numpy_helper.from_array(np.asarray(values)), "constant")

    def network(self) -> list[str]:
        """Add the network's nodes; return the names of its outputs."""
        from onnx import helper

        from chainrule.interop.onnx.export import ELEMENTS, written

        net = self._model.network_
        writer, outputs = written(net, (self._model.n_features_in_,))
        own = self.add("Cast", self._input.full_name, to=ELEMENTS[net.dtype.name])
        names = {"input": own, "": ""}
        for name, tensor in writer.initializers.items():
            names[name] = self._keep(tensor, name)
        for node in writer.nodes:
            names |= {name: self._unique(name) for name in node.output}
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "Split" and self._container.target_opset >= 18:
                attributes["num_outputs"] = len(node.output)
            inputs, results = ([names[n] for n in ends] for ends in (node.input, node.output))
            self._add(node.op_type, inputs, results, attributes)
        return [names[name] for name in outputs]

    def _add(self, kind: str, inputs: list[str], outputs: list[str], attributes: Any) -> None:
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(kind, inputs, outputs, name=name, **attributes)

    def _keep(self, tensor: Any, name: str) -> str:
        unique = self._unique(name)
        tensor.name = unique
        self._container.initializers.append(tensor)
        return unique

    def _unique(self, name: str) -> str:
        unique: str = self._scope.get_unique_variable_name(name)
        return unique


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    model, nodes = operator.raw_operator, _Nodes(scope, operator, container)
    label, chances = operator.outputs
    (logits,) = nodes.network()
    if model.out_activation_ == "softmax":
        scores = nodes.add("Softmax", logits, axis=-1)
    else:
        scores = nodes.add("Sigmoid", logits)
        if _is_single_label(model):
            opposite = nodes.add("Sigmoid", nodes.add("Neg", logits))
            logits = nodes.add("Concat", nodes.add("Neg", logits), logits, axis=-1)
            scores = nodes.add("Concat", opposite, scores, axis=-1)
    nodes.output(chances, nodes.cast(scores, chances))
    if _is_single_label(model):
        numbers = nodes.add("ArgMax", logits, axis=1, keepdims=0)
        classes = nodes.constant(_labels_of(model, scope))
        nodes.output(label, nodes.add("Gather", classes, numbers))
    else:
        zero = nodes.constant(np.zeros((), model.network_.dtype))
        nodes.output(label, nodes.cast(nodes.add("Greater", logits, zero), label))


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    model, nodes = operator.raw_operator, _Nodes(scope, operator, container)
    (result,) = operator.outputs
    value, *others = nodes.network()
    if others:
        value = _columns(nodes, model._loss, [value, *others], result)
    elif model.out_activation_ == "exp":
        value = nodes.add("Exp", value)
    nodes.output(result, nodes.cast(value, result))


def _columns(nodes: _Nodes, loss: MultiLoss, values: list[str], result: Any) -> str:
    """Return several outputs as the columns of one, with the most likely class's number."""
    columns = []
    for one, value in zip(loss.losses, values, strict=True):
        column = nodes.add("ArgMax", value, axis=1, keepdims=1) if one.takes_labels else value
        columns.append(nodes.cast(nodes.add("Flatten", column, axis=1), result))
    return nodes.add("Concat", *columns, axis=1)
