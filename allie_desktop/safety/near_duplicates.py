"""Find conversations that nearly say the same, by MinHash signatures and banding (LSH)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from itertools import islice

_PERMUTATIONS = 64
_SEED = 7
# 16 bands of 4 numbers: pairs with a Jaccard similarity of 0.8 meet in some band with 99.98 %.
_ROWS = 4
_NUMBER_BYTES = 4
_BAND_BYTES = _ROWS * _NUMBER_BYTES
_LAYOUT = struct.Struct(f">{_PERMUTATIONS}I")

#: Bytes of every signature that is not empty: one for the algorithm's version, the rest are the numbers.
SIGNATURE_BYTES = 1 + _PERMUTATIONS * _NUMBER_BYTES

#: Share of common word triples from which on two texts count as nearly the same.
SIMILARITY = 0.8

_SHINGLE_WORDS = 3
_MINIMUM_WORDS = 12
_WORD = re.compile(r"\w+")
# Words looked at: two texts that agree in this many are the same for our purpose.
_MAXIMUM_WORDS = 20_000


class MinHashNearDuplicates:
    """A :class:`~allie_desktop.domain.ports.NearDuplicates` by rensa. Thread-safe, no state.

    Where rensa is missing every text counts as too short to compare, and only exact duplicates are found.
    """

    def __init__(self, similarity: float = SIMILARITY) -> None:
        self._needed = round(similarity * _PERMUTATIONS)

    def signature(self, text: str) -> bytes:
        """Return :data:`SIGNATURE_BYTES` bytes; empty for fewer than twelve words."""
        words = [match[0] for match in islice(_WORD.finditer(text.lower()), _MAXIMUM_WORDS)]
        if len(words) < _MINIMUM_WORDS:
            return b""
        try:
            from rensa import RMinHash
        except ImportError:
            return b""
        shingles = {
            " ".join(words[at : at + _SHINGLE_WORDS]) for at in range(len(words) - _SHINGLE_WORDS + 1)
        }
        sketch = RMinHash(_PERMUTATIONS, _SEED)
        sketch.update(sorted(shingles))
        version = int(getattr(RMinHash, "ALGORITHM_VERSION", 1)) % 256
        return bytes([version]) + _LAYOUT.pack(*sketch.digest())

    def groups(self, signatures: Mapping[str, bytes]) -> tuple[tuple[str, ...], ...]:
        """Return groups of keys that nearly say the same as the group's first key.

        Keys keep their given order, and so do the groups. Every key is in one group at most, and is
        compared with the first key of its group: chains of small changes do not add up.
        """
        heads: dict[bytes, list[str]] = {}
        groups: dict[str, list[str]] = {}
        for key, signature in signatures.items():
            if len(signature) != SIGNATURE_BYTES:
                continue
            bands = list(_bands(signature))
            head = self._nearest_head(signature, bands, heads, signatures)
            if head is not None:
                groups[head].append(key)
                continue
            groups[key] = [key]
            for band in bands:
                heads.setdefault(band, []).append(key)
        return tuple(tuple(keys) for keys in groups.values() if len(keys) > 1)

    def _nearest_head(
        self,
        signature: bytes,
        bands: list[bytes],
        heads: dict[bytes, list[str]],
        signatures: Mapping[str, bytes],
    ) -> str | None:
        seen: set[str] = set()
        for band in bands:
            # A band shared by very many heads says little (boilerplate): the first ones will do.
            for head in heads.get(band, ())[:50]:
                if head not in seen:
                    seen.add(head)
                    if agreement(signature, signatures[head]) >= self._needed:
                        return head
        return None


def agreement(first: bytes, second: bytes) -> int:
    """Return in how many of the numbers two signatures agree; 0 for different algorithm versions."""
    if first[:1] != second[:1]:
        return 0
    return sum(a == b for a, b in zip(_numbers(first), _numbers(second), strict=True))


def _numbers(signature: bytes) -> tuple[int, ...]:
    return _LAYOUT.unpack(signature[1:])


def _bands(signature: bytes) -> Iterator[bytes]:
    for band, start in enumerate(range(1, SIGNATURE_BYTES, _BAND_BYTES)):
        yield bytes([band]) + signature[:1] + signature[start : start + _BAND_BYTES]
