"""A few hundred inputs that are nearly valid for every way into the program, the same ones every time.

``python tests/fuzz/campaign.py`` tries as many as wanted, and sees from outside what hangs or dies.
"""

from __future__ import annotations

import pytest

from tests.fuzz import campaign
from tests.fuzz.target import Target
from tests.fuzz.watching import named, randomness

SEED = 2026
#: What costs more than a millisecond or two an input, and what needs the starter model, gets fewer.
INPUTS = {
    "api-description": 2,
    "api-serve": 0,
    "api-bytes": 60,
    "chat-streams": 150,
    "chat-markdown": 60,
    "import-zips": 100,
    "protocol-workers": 15,
}
USUAL = 200


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "address", list(campaign.addresses()), ids=lambda address: address.rpartition(":")[2]
)
def test_what_is_nearly_valid_is_taken_or_refused_and_harms_nothing(address: str) -> None:
    target: Target = named(address)
    inputs = INPUTS.get(target.name, USUAL)
    if not inputs:
        pytest.skip("it is for the whole campaign: it needs the starter model")
    target.requests_each = min(target.requests_each, 10)
    with target:
        for index in range(inputs):
            target.attempt(target.make(randomness(SEED, target.name, index)))
        target.looked_after()
