"""What PyTorch warns of and programs rely on hearing: each a UserWarning at the user's line. Decides nothing else."""

from __future__ import annotations

from typing import Any

from .. import knobs


def _say(text: str) -> None:
    knobs.warn(text, UserWarning)


def implicit_dim(name: str) -> None:
    """A softmax or the like was asked for without its dimension."""
    _say(f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.")


def default_corners() -> None:
    """A grid was sampled or made without `align_corners`."""
    _say("Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify "
         "align_corners=True if the old behavior is desired. See the documentation of grid_sample for details.")  # fmt: skip


def old_reduction(reduction: str) -> None:
    """`size_average` or `reduce` was given; `reduction` says the same."""
    _say(f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.")


def too_few(name: str, shape: tuple[int, ...], dims: tuple[int, ...], correction: Any) -> None:
    """A spread of no more elements than its correction: it is not a number, or infinite."""
    count = 1
    for d in dims or range(len(shape)):
        count *= shape[d]
    if count and count <= correction:
        _say(f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the reduction factor (input numel "
             "divided by output numel).")  # fmt: skip


def mean_of_divergence() -> None:
    """kl_div was reduced by "mean"."""
    _say("reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' divides only by the "
         "batch size, and aligns with the KL div math definition.'mean' will be changed to behave the same as 'batchmean' in the "
         "next major release.")  # fmt: skip


def copied_tensor() -> None:
    """tensor() was called with a Tensor."""
    _say("To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
         "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor).")  # fmt: skip


def reversed_dims(rank: int) -> None:
    """``x.T`` of what is no matrix."""
    _say("The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and it will throw an error "
         "in a future release. Consider `x.mT` to transpose batches of matrices or "
         "`x.permute(*torch.arange(x.ndim - 1, -1, -1))` to reverse the dimensions of a tensor. "
         f"(x has {rank} dimensions.)")  # fmt: skip


def read_only_array() -> None:
    """from_numpy() was given an array that must not be written to."""
    _say("The given NumPy array is not writable, and PyTorch does not support non-writable tensors. This means writing to this "
         "tensor will be refused. Copy the array to make it writable before converting it to a tensor.")  # fmt: skip


def nothing_to_fill() -> None:
    """An initialiser met a tensor of no elements."""
    _say("Initializing zero-element tensors is a no-op")


def flat_dropout(name: str, rank: int) -> None:
    """dropout of channels of an input without channels."""
    _say(f"{name}: Received a {rank}-D input to {name}, which is deprecated and will result in an error in a future release. To "
         f"retain the behavior and silence this warning, please use dropout instead. Note that {name} drops whole channels of "
         "inputs that have spatial dimensions.")  # fmt: skip


def dropout_of_one_layer(dropout: float, layers: int) -> None:
    """A recurrent layer drops nothing behind its last layer."""
    _say("dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers greater than 1, "
         f"but got dropout={dropout} and num_layers={layers}")  # fmt: skip


def step_order() -> None:
    """A scheduler went on before its optimiser has made a step."""
    _say("Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch 1.1.0 and later, you should call them in "
         "the opposite order: `optimizer.step()` before `lr_scheduler.step()`.  Failure to do this will skip the first "
         "value of the learning rate schedule. See more details at "
         "https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate")  # fmt: skip


def epoch_given() -> None:
    """scheduler.step() with an epoch."""
    _say("The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please use "
         "`scheduler.step()` to step the scheduler. During the deprecation, if epoch is different from None, the closed form is "
         "used instead of the new chainable form, where available.")  # fmt: skip
