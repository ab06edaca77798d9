"""PyTorch's address for parameters as one vector, which are in `vectors.py`."""

from .vectors import parameters_to_vector, vector_to_parameters

__all__ = ["parameters_to_vector", "vector_to_parameters"]
