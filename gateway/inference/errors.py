"""Errors of inference.

* InferenceError
  - ModelRefusedError     the bundle does not fit the contract or this box: do not activate
    + CanaryError         its golden vectors came out wrong or too slow
  - ModelFailedError      this call failed: use the next tier
    + ModelBusyError      other calls hold the model: no word about the model itself

A model that takes too long raises ``TimeoutError``.
"""


class InferenceError(Exception):
    """Any of them."""


class ModelRefusedError(InferenceError):
    """The bundle does not fit the contract or this box."""


class CanaryError(ModelRefusedError):
    """The golden vectors came out wrong, or too slow."""


class ModelFailedError(InferenceError):
    """The model raised, or its output is NaN or has another shape than declared."""


class ModelBusyError(ModelFailedError):
    """Other calls held the model for as long as this one could wait."""
