# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused of the corpus at first, by configuration and profile, and how each sentence begins. All else is accepted."""

WEAKER = "This would lower protection: "
SERVICES = "master.cf: -o overrides undermine what is asked for: "

REFUSED = {
    (
        "amavis-plaintext-by-name",
        "lenient",
    ): f"{SERVICES}amavis/unix has level none instead of may; 127.0.0.1:10025/inet",
    (
        "amavis-plaintext-by-name",
        "strict",
    ): f"{SERVICES}amavis/unix has level none instead of secure; 127.0.0.1:10025/inet",
    ("blanks-and-continuations", "strict"): f"{SERVICES}2525/inet has level may instead of encrypt",
    ("client-certificate", "lenient"): f"{WEAKER}server.client_certificates from request to ignore",
    ("dane-outgoing", "lenient"): f"{WEAKER}client.level from dane to may",
    ("encrypt-for-all", "lenient"): f"{WEAKER}server.level from encrypt to may; server.ciphers from high to medium",
    (
        "partners-by-service",
        "lenient",
    ): f"{SERVICES}smtp_enforced_tls/unix has minimum_protocol TLSv1 instead of TLSv1.2",
    ("partners-by-service", "strict"): f"{SERVICES}smtp_enforced_tls/unix has level encrypt instead of secure",
    ("satellite-by-smarthost", "lenient"): f"{WEAKER}client.level from encrypt to may",
    (
        "smarthost-implicit-tls",
        "lenient",
    ): "client.level: 'may' would hold back all mail, since smtp_tls_wrappermode = yes",
    (
        "submission-of-old-protocols",
        "lenient",
    ): f"{SERVICES}submission/inet has minimum_protocol TLSv1 instead of TLSv1.2",
    (
        "submission-of-old-protocols",
        "strict",
    ): f"{SERVICES}submission/inet has minimum_protocol TLSv1 instead of TLSv1.3",
    ("submission-that-only-offers", "strict"): f"{SERVICES}submission/inet has level may instead of encrypt",
    (
        "tls-1.3-only",
        "lenient",
    ): f"{WEAKER}server.minimum_protocol from TLSv1.3 to TLSv1.2; client.level from encrypt to may",
    (
        "verified-clients",
        "lenient",
    ): f"{WEAKER}server.level from encrypt to may; server.client_certificates from request to",
    ("verified-clients", "strict"): f"{WEAKER}client.trust from CA ",
}
