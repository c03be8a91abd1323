"""The cache with room holds what the library's own holds, whatever is done to it."""

from __future__ import annotations

import pytest
import torch
from transformers import DynamicCache

from allie_desktop.models.roomy_cache import roomy_cache


def added(rows, tokens, seed):
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(rows, 2, tokens, 4, generator=draw) for _ in range(2)]


@pytest.mark.parametrize("room", [1, 9, 64])
def test_it_is_the_librarys_cache_with_room(room):
    caches = roomy_cache(room), DynamicCache()

    def grow(rows, tokens, seed):
        for layer in range(2):
            new = added(rows, tokens, seed + layer)
            found, expected = (cache.update(*new, layer) for cache in caches)
            assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
        assert caches[0].get_seq_length() == caches[1].get_seq_length()
        assert caches[0].get_mask_sizes(3, 0) == caches[1].get_mask_sizes(3, 0)

    assert caches[0].get_seq_length() == 0
    grow(1, 5, 0)
    for cache in caches:
        cache.batch_repeat_interleave(4)
    grow(4, 3, 10)
    grow(4, 1, 20)
    for cache in caches:
        cache.batch_select_indices(torch.tensor([3, 1]))
    grow(2, 1, 30)
    grow(2, 30, 40)
    for cache in caches:
        cache.crop(-12)
    grow(2, 2, 50)


def test_what_was_given_out_is_not_written_over():
    cache = roomy_cache(16)
    first, _ = cache.update(*added(1, 3, 0), 0)
    kept = first.clone()
    cache.update(*added(1, 3, 1), 0)

    assert torch.equal(first, kept)


def test_nothing_is_copied_while_there_is_room():
    cache = roomy_cache(16)
    places = {cache.update(*added(2, 1, i), 0)[0].data_ptr() for i in range(16)}
    assert len(places) == 1

    assert cache.update(*added(2, 1, 16), 0)[0].data_ptr() not in places


def test_rows_that_leave_give_their_memory_back_at_once():
    cache = roomy_cache(64)
    for layer in range(2):
        cache.update(*added(8, 4, layer), layer)
    before = held(cache)

    cache.batch_select_indices(torch.tensor([2, 5]))

    assert held(cache) == before / 4
    place = cache.layers[0].keys.data_ptr()
    assert cache.update(*added(2, 1, 9), 0)[0].data_ptr() == place  # and what is left has its room still


def held(cache):
    """The bytes of all that the cache's layers refer to."""
    tensors = [t for layer in cache.layers for t in (layer.keys, layer.values, *layer._wide)]
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())
