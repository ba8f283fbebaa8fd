"""The error of a file that holds no model."""


class ModelFileError(ValueError):
    """A file is not a saved model that can be loaded; the message says why."""

    __module__ = "chainrule"  # tracebacks show the public name
