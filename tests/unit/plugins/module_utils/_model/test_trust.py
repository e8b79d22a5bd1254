# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._errors import InvalidValue
from ansible_collections.mailfleet.smtp_hardening.plugins.module_utils._model.trust import (
    NOTHING,
    TrustWish,
    read_trust,
)

PIN = ":".join(["0A"] * 32)


@pytest.mark.parametrize(
    ("given", "brought", "wish"),
    [
        ({}, (), NOTHING),
        ({"authorities": None, "system": None, "pins": None}, (), NOTHING),
        ({"authorities": []}, (), NOTHING),
        ({"authorities": ["A", "B"]}, (), TrustWish(authorities=(b"A", b"B"))),
        ({}, (b"OWN",), TrustWish(authorities=(b"OWN",))),
        (
            {"authorities": ["A"]},
            (b"OWN", b"NEXT"),
            TrustWish(authorities=(b"OWN", b"NEXT", b"A")),
        ),
        ({"system": []}, (), TrustWish(system=())),
        ({"system": ["client"]}, (), TrustWish(system=("client",))),
        ({"pins": []}, (), TrustWish(pins=())),
        ({"pins": [PIN.lower()]}, (), TrustWish(pins=(PIN,))),
    ],
)
def test_what_is_left_out_of_trust_stays_and_an_empty_list_is_a_wish(given, brought, wish):
    assert read_trust(given, brought) == wish


@pytest.mark.parametrize("pin", ["", PIN[:-3], PIN.replace(":", ""), f"sha256:{PIN}"])
def test_a_pin_that_is_no_fingerprint_is_refused(pin):
    with pytest.raises(InvalidValue, match="^trust.pins: .+; write 32 hexadecimal pairs joined by colons"):
        read_trust({"pins": [PIN, pin]}, ())
