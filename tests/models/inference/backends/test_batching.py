"""Batches: as large as they are useful, and filled up to a size that was prepared for."""

import pytest
import torch

from skipseg.models.inference.backends.batching import most_useful_batch, padded_run


def pooled(size):
    """Takes exactly ``size`` tiles, as something recorded does."""

    def run(tiles):
        assert tiles.shape == (size, 1, 4, 4)
        return torch.nn.functional.avg_pool2d(tiles, 3, 1, 1)

    return run


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_tiles_are_filled_up_to_a_prepared_size_and_answered_as_if_alone(count):
    tiles = torch.randn(count, 1, 4, 4)
    found = padded_run(tiles, {4: pooled(4), 1: pooled(1)})
    torch.testing.assert_close(found, torch.cat([pooled(1)(tile[None]) for tile in tiles]))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (lambda count: count, 1),  # a processor that is full with one
        (lambda count: max(count, 8), 8),  # eight are done side by side
        (lambda count: 1, 64),
        (lambda count: 1 + count, 16),  # ever less is gained
    ],
)
def test_a_batch_grows_while_that_gains_anything(seconds, expected):
    assert most_useful_batch(seconds) == expected


@pytest.mark.parametrize(("fits", "expected"), [(1, 1), (2, 1), (8, 4), (100, 64)])
def test_memory_that_ends_leaves_room_beside_the_batch(fits, expected):
    def seconds(count):
        if count > fits:
            raise torch.OutOfMemoryError
        return 1.0

    assert most_useful_batch(seconds) == expected
