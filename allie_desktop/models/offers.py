"""The base models that Allie offers by name, pinned to what was looked at: nothing is "the newest"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from allie_desktop.domain.errors import UnknownModelError

#: The name of the model that comes with the program.
STARTER = "starter"

_REPOSITORY = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w.-]+))?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A base model that can be had. ``title`` is also the name of its folder.

    ``repository`` is its place on the hub, empty for a model that comes with the program; ``revision`` a
    commit, or a branch or tag that is resolved once. ``size_bytes`` is the download, ``memory_bytes`` what
    learning takes about; 0 where nobody knows. ``sha256`` holds what is known of single files beforehand.
    """

    name: str
    title: str
    description: str
    licence: str
    repository: str = ""
    revision: str = ""
    size_bytes: int = 0
    memory_bytes: int = 0
    sha256: Mapping[str, str] = field(default_factory=dict)


OFFERS = (
    Offer(
        name=STARTER,
        title="SmolLM2-135M-Instruct",
        description="Small and quick, and here already. Learns on every computer; its general knowledge is "
        "small.",
        licence="Apache-2.0",
        memory_bytes=2_000_000_000,
    ),
    Offer(
        name="tinyllama-1.1b-chat",
        title="TinyLlama-1.1B-Chat-v1.0",
        description="Eight times as large: better answers, and a graphics card or patience for learning.",
        licence="Apache-2.0",
        repository="TinyLlama/TinyLlama-1.1B-Chat-v1.0",
        revision="fe8a4ea1ffedaf415f4da2f062534de366a451e6",
        size_bytes=2_202_500_000,
        memory_bytes=6_000_000_000,
        sha256=MappingProxyType(
            {
                "model.safetensors": "6e6001da2106d4757498752a021df6c2bdc332c650aae4bae6b0c004dcf14933",
                "config.json": "486bedda3a6988332e60d9638a09ca4b260d34ebcf1b19e22cf3b140b63d8fe9",
                "tokenizer.json": "bcd04f0eadf90287bd26e1a183ac487d8a141b09b06aecb7725bbdd343640f2e",
            }
        ),
    ),
)


def known_offer(name: str) -> Offer | None:
    """Return the offer of this name (empty: the starter model), None where there is none."""
    wanted = name.lower() or STARTER
    return next((offer for offer in OFFERS if offer.name == wanted), None)


def offer_of(name: str) -> Offer:
    """Return the offer of this name, title or repository, or one for a repository of the hub: ``OWNER/NAME`` or
    ``OWNER/NAME@REVISION``. Raise :class:`UnknownModelError`."""
    wanted = name.strip().lower()
    for offer in OFFERS:
        if wanted in (offer.name, offer.title.lower(), offer.repository.lower() or offer.name):
            return offer
    match = _REPOSITORY.match(name.strip())
    if match is None or ".." in name:
        raise UnknownModelError(
            f"Allie knows no model {name[:100]}.",
            f"There are: {', '.join(o.name for o in OFFERS)}. A repository is named OWNER/NAME.",
        )
    repository = match[1]
    return Offer(
        name=repository,
        title=repository.replace("/", "--"),
        description="A repository of the hub.",
        licence="not looked at",
        repository=repository,
        revision=match[2] or "main",
    )
