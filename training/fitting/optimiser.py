"""Muon (Jordan 2024) for convolutions: each step moves a weight along the orthogonal matrix nearest its gradient.

Every direction of a layer's features then learns at the same pace, where gradient descent follows the few strongest;
`benchmarks/training.md` has what that gains. Weights that map no features to features (norms, biases, the first layer,
the heads) are left to AdamW (Loshchilov 2019).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from skipseg.training.fitting.parallel import part, whole

FEWEST_FEATURES = 8  # on both sides of a weight, for it to be a map of features to features
MOMENTUM = 0.95
SPECTRAL = 25.0  # norm of a step in units of the learning rate, so that one rate serves AdamW too: measured
BETAS, EPSILON = (0.9, 0.999), 1e-8
QUINTIC = (3.4445, -4.7750, 2.0315)  # steep at zero; singular values end in 0.7 to 1.2, which is as good as 1
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum for maps of features, AdamW for the rest; decoupled weight decay for both.

    ``torch.optim.Muon`` takes matrices alone, which the weights of convolutions are not.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            for weights in group["params"]:
                if weights.grad is None:
                    continue
                update = _muon if maps_features(weights) else _adam
                weights.mul_(1 - group["lr"] * group["weight_decay"])
                weights.sub_(update(weights.grad, self.state[weights]), alpha=group["lr"])


def maps_features(weights: Tensor) -> bool:
    """Whether a weight is that of a convolution between features, not of the image or of the classes."""
    return weights.ndim > 2 and min(weights.shape[:2]) >= FEWEST_FEATURES


def orthogonalised(matrix: Tensor) -> Tensor:
    """About U Vᵀ of the singular value decomposition U S Vᵀ of ``matrix`` (rows, columns), by Newton-Schulz iterations.

    They run on the Gram matrix of the shorter side: two products with the long one, where the textbook form has ten. In
    fp32: rounded to bf16 a Gram matrix has negative eigenvalues, which the iterations blow up.
    """
    if len(matrix) > matrix.shape[1]:
        return orthogonalised(matrix.T).T
    a, b, c = QUINTIC
    rows = matrix.float()
    gram = rows @ rows.T
    size = gram.trace().sqrt().clamp_min(1e-7)  # the norm, which bounds the singular values
    gram /= size**2
    identity = torch.eye(len(gram), device=gram.device)
    so_far = identity
    for _ in range(ITERATIONS):
        turn = a * identity + b * gram + c * gram @ gram
        so_far, gram = turn @ so_far, turn @ gram @ turn
    nearest: Tensor = ((so_far / size) @ rows).to(matrix.dtype)
    return nearest


def _muon(gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
    if not state:
        state["momentum"] = torch.zeros_like(gradient)
    momentum = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
    ahead = whole(gradient.lerp(momentum, MOMENTUM))  # Nesterov's
    stored_last = ahead.movedim(1, -1) if ahead.stride(1) == 1 else ahead  # columns in the order that memory has them
    matrix = stored_last.flatten(1)
    step = orthogonalised(matrix).mul_(SPECTRAL * max(1.0, len(matrix) / matrix.shape[1]) ** 0.5)
    step = step.view(stored_last.shape)
    return part(step.movedim(-1, 1) if stored_last is not ahead else step, like=gradient)


def _adam(gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
    if not state:
        state |= {"step": torch.zeros(()), "first": torch.zeros_like(gradient), "second": torch.zeros_like(gradient)}
    state["step"] += 1
    first = state["first"].lerp_(gradient, 1 - BETAS[0])
    second = state["second"].lerp_(gradient.square(), 1 - BETAS[1])
    unbiased = [1 - beta ** float(state["step"]) for beta in BETAS]
    step: Tensor = (first / unbiased[0]) / ((second / unbiased[1]).sqrt() + EPSILON)
    return step
