"""Instance norm: torch's own, whatever the layout, and the layout stays."""

import pytest
import torch
from torch import nn

from skipseg.models.networks.norms import norm

LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
TORCHS_OWN = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("scans", [1, 3])
@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
def test_it_is_torchs_own_and_leaves_channels_where_they_are(dimensions, scans, last):
    torch.manual_seed(0)
    layout = LAST[dimensions] if last else torch.contiguous_format
    ours, torchs = norm("instance", dimensions, 5), TORCHS_OWN[dimensions](5, affine=True)
    nn.init.normal_(ours.weight)
    nn.init.normal_(ours.bias)
    torchs.load_state_dict(ours.state_dict())
    features = (3 + 2 * torch.randn(scans, 5, *(6, 7, 4)[:dimensions])).to(memory_format=layout)
    mine, theirs = features.clone().requires_grad_(), features.clone().requires_grad_()
    found, expected = ours(mine), torchs(theirs)
    torch.testing.assert_close(found, expected)
    assert found.is_contiguous(memory_format=layout)
    slopes = torch.randn(found.shape)
    for result in (found, expected):
        (result * slopes).sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.weight.grad, torchs.weight.grad, rtol=1e-4, atol=1e-4)
