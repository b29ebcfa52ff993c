"""Intensity changes: sized as said, repeatable, and never a mark outside the image."""

import pytest
import torch

from skipseg.training.fitting.augment import IntensitySettings, augment, blur, contrast, gamma, low_resolution

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


def test_every_sample_is_changed_by_its_own_draw_alone():
    """In a batch that is shared out, each part is changed as it would be in the whole."""
    images = torch.randn(4, 2, 16, 18)
    whole = augment(images, IntensitySettings(0.5, 0.5, 0.5, 0.5, 0.5, 0.5), torch.Generator().manual_seed(5))
    parts = [
        augment(
            images[2 * rank : 2 * rank + 2],
            IntensitySettings(0.5, 0.5, 0.5, 0.5, 0.5, 0.5),
            torch.Generator().manual_seed(5),
            rank,
            2,
        )
        for rank in range(2)
    ]
    torch.testing.assert_close(torch.cat(parts), whole)
    assert not torch.equal(whole, images)


def test_blur_keeps_the_mean_and_takes_away_detail():
    images = torch.randn(2, 1, 30, 30, 30)
    smooth = blur(images, torch.tensor([1.0, 0.5]))
    assert abs(smooth.mean() - images.mean()) < 0.01
    assert smooth[0].std() < 0.4 * images[0].std()
    assert smooth[0].std() < smooth[1].std() < images[1].std()


def test_low_resolution_takes_away_detail_and_keeps_the_ramp():
    ramp = torch.arange(32.0).expand(1, 1, 8, 8, 32)
    half = torch.tensor([0.5])
    assert torch.allclose(low_resolution(ramp, half)[..., 4:-4], ramp[..., 4:-4], atol=0.3)
    assert low_resolution(torch.randn(1, 1, 16, 16, 16), half).std() < 0.6


def test_gamma_and_contrast_keep_what_they_promise():
    images = torch.randn(2, 2, 20, 20)
    bent = gamma(images, torch.tensor([1.4, 0.8]), torch.tensor([-1.0, 1.0]))
    torch.testing.assert_close(bent.mean((2, 3)), images.mean((2, 3)), atol=1e-4, rtol=0)
    torch.testing.assert_close(bent.std((2, 3)), images.std((2, 3)), atol=1e-3, rtol=0)
    assert not torch.allclose(bent, images, atol=0.05)
    stretched = contrast(images, torch.tensor([1.2, 1.2]))
    assert stretched.max() <= images.max()
    assert stretched.std() > images.std()
