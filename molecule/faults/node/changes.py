# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of every kind: only main.cf; main.cf and master.cf; new files with a key; new tables."""

CHANGES = {
    "certificate": (
        "smtp_tls_cert",
        {
            "name": "second",
            "provider": "self_signed",
            "self_signed": {"key_type": "ecdsa", "names": ["second.fleet.test"]},
            "use": ["server"],
        },
    ),
    "domains": (
        "smtp_domain_policy",
        {"domains": [{"name": "partner.example", "level": "encrypt", "route": "[mx.partner.example]:25"}]},
    ),
    "mode": (
        "smtp_tls_mode",
        {
            "server": {"minimum_protocol": "TLSv1.3"},
            "client": {"connection_reuse": True},
            "services": [{"name": "smtp", "client_certificates": "request"}],
        },
    ),
}
