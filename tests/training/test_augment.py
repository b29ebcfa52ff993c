"""Intensity changes: sized as said, repeatable, and never a mark outside the image."""

import pytest
import torch

from skipseg.training.augment import IntensitySettings, augment, blur, contrast, gamma, low_resolution

ALWAYS = IntensitySettings(1, 1, 1, 1, 1, 1)
NEVER = IntensitySettings(0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("shape", [(3, 1, 12, 14, 10), (2, 3, 20, 18)])
def test_a_batch_keeps_its_shape_and_stays_finite(shape):
    images = torch.randn(shape)
    changed = augment(images, ALWAYS, torch.Generator().manual_seed(0))
    assert changed.shape == images.shape
    assert torch.isfinite(changed).all()
    assert not torch.allclose(changed, images, atol=0.05)


def test_equal_seeds_change_alike_and_shares_of_zero_change_nothing():
    images = torch.randn(4, 2, 16, 16)
    once, again = (augment(images, IntensitySettings(), torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(once, again)
    assert torch.equal(augment(images, NEVER, torch.Generator().manual_seed(3)), images)


def test_a_constant_image_survives_everything():
    assert torch.isfinite(augment(torch.zeros(2, 1, 9, 9, 9), ALWAYS, torch.Generator().manual_seed(0))).all()


def test_blur_keeps_the_mean_and_takes_away_detail():
    image = torch.randn(1, 30, 30, 30)
    smooth = blur(image, 1.0)
    assert abs(smooth.mean() - image.mean()) < 0.01
    assert smooth.std() < 0.4 * image.std()


def test_low_resolution_takes_away_detail_and_keeps_the_ramp():
    ramp = torch.arange(32.0).expand(1, 8, 8, 32)
    assert torch.allclose(low_resolution(ramp, 0.5)[..., 4:-4], ramp[..., 4:-4], atol=0.3)
    assert low_resolution(torch.randn(1, 16, 16, 16), 0.5).std() < 0.6


def test_gamma_and_contrast_keep_what_they_promise():
    image = torch.randn(2, 20, 20)
    bent = gamma(image, 1.4, inverted=True)
    torch.testing.assert_close(bent.mean((1, 2)), image.mean((1, 2)), atol=1e-4, rtol=0)
    torch.testing.assert_close(bent.std((1, 2)), image.std((1, 2)), atol=1e-3, rtol=0)
    stretched = contrast(image, 1.2)
    assert stretched.max() <= image.max()
    assert stretched.std() > image.std()
