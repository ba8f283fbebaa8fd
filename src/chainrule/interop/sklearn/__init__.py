"""Networks as scikit-learn estimators: change the import of MLPClassifier or MLPRegressor."""

try:
    import sklearn  # noqa: F401
except ImportError as error:
    raise ImportError(
        "chainrule.interop.sklearn needs scikit-learn: pip install 'chainrule[sklearn]'"
    ) from error

from chainrule.interop.sklearn.classifier import NetworkClassifier
from chainrule.interop.sklearn.onnx_converters import register_onnx_converters
from chainrule.interop.sklearn.regressor import NetworkRegressor
from chainrule.utils.public import listing

__all__ = ["NetworkClassifier", "NetworkRegressor", "register_onnx_converters"]

__dir__ = listing(__all__)
