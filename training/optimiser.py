"""Muon (Jordan 2024) for convolutions: each step moves a weight along the orthogonal matrix nearest its gradient.

Every direction of a layer's features then learns at the same pace, where gradient descent follows the few strongest;
`benchmarks/training.md` has what that gains. Steps are scaled to the size of AdamW's (Liu 2025, "Muon is scalable"), so
that one learning rate serves both; weights that map no features to features (norms, biases, the first layer, the heads)
are left to AdamW (Loshchilov 2019).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from skipseg.training.parallel import part, whole

FEWEST_FEATURES = 8  # on both sides of a weight, for it to be a map of features to features
MOMENTUM = 0.95
LIKE_ADAM = 0.2  # root mean square of AdamW's steps in units of the learning rate, as measured by Liu 2025
BETAS, EPSILON = (0.9, 0.999), 1e-8
QUINTIC = (3.4445, -4.7750, 2.0315)  # steep at zero; singular values end in 0.7 to 1.2, which is as good as 1
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum for maps of features, AdamW for the rest; decoupled weight decay for both.

    ``products`` is the number format of the large matrix products: bf16 where the hardware multiplies it natively.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        weight_decay: float,
        products: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})
        self.products = products

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient; ``closure`` is not supported."""
        if closure is not None:
            raise NotImplementedError("this optimiser looks at a gradient once a step")
        for group in self.param_groups:
            for weights in group["params"]:
                if weights.grad is None:
                    continue
                weights.mul_(1 - group["lr"] * group["weight_decay"])
                weights.sub_(self._update(weights), alpha=group["lr"])

    def _update(self, weights: Tensor) -> Tensor:
        assert weights.grad is not None
        if maps_features(weights):
            return _muon(weights.grad, self.state[weights], self.products)
        return _adam(weights.grad, self.state[weights])


def maps_features(weights: Tensor) -> bool:
    """Whether a weight is that of a convolution between features, not of the image or of the classes."""
    return weights.ndim > 2 and min(weights.shape[:2]) >= FEWEST_FEATURES


def orthogonalised(matrix: Tensor, products: torch.dtype = torch.float32) -> Tensor:
    """About U Vᵀ of the singular value decomposition U S Vᵀ of ``matrix`` (rows, columns), by Newton-Schulz iterations.

    They run on the Gram matrix of the shorter side: two products with the long one, where the textbook form has ten.
    """
    if len(matrix) > matrix.shape[1]:
        return orthogonalised(matrix.T, products).T
    a, b, c = QUINTIC
    rows = (matrix / matrix.norm().clamp_min(1e-7)).to(products)
    gram = (rows @ rows.T).float()
    identity = torch.eye(len(gram), device=gram.device)
    whole = identity
    for _ in range(ITERATIONS):
        turn = a * identity + b * gram + c * gram @ gram
        whole, gram = turn @ whole, turn @ gram @ turn
    nearest: Tensor = (whole.to(products) @ rows).to(matrix.dtype)
    return nearest


def _muon(gradient: Tensor, state: dict[str, Tensor], products: torch.dtype) -> Tensor:
    if not state:
        state["momentum"] = torch.zeros_like(gradient)
    momentum = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
    ahead = gradient.lerp(momentum, MOMENTUM).flatten(1)  # Nesterov's
    step: Tensor = orthogonalised(whole(ahead), products) * (LIKE_ADAM * float(max(ahead.shape)) ** 0.5)
    return part(step.view(gradient.shape), like=gradient)


def _adam(gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
    if not state:
        state |= {"step": torch.zeros(()), "first": torch.zeros_like(gradient), "second": torch.zeros_like(gradient)}
    state["step"] += 1
    first = state["first"].lerp_(gradient, 1 - BETAS[0])
    second = state["second"].lerp_(gradient.square(), 1 - BETAS[1])
    unbiased = [1 - beta ** float(state["step"]) for beta in BETAS]
    step: Tensor = (first / unbiased[0]) / ((second / unbiased[1]).sqrt() + EPSILON)
    return step
