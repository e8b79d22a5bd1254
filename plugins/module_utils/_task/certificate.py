# SPDX-FileCopyrightText: the mailfleet.smtp_hardening contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What smtp_tls_cert does: one certificate of one node, from options to return values.

Beside the module, the node's own renewal program does it (renewal.py).
"""

from __future__ import annotations

from typing import Callable, Dict, Iterator

from .._certificates.validity import not_after, utc_now
from .._edge import Options, Result
from .._model import words
from .._model.allowance import Allowance
from .._postfix import store
from .._postfix.certificates import CertificatePlan, describe_next, left_active, plan_certificate, plan_removal, report
from .._postfix.commands import Postfix
from .._postfix.plan import Plan
from .._postfix.state import State, read_state
from .._postfix.supply import ANNOUNCEMENT, SIGNATURE, Asked
from .._providers.registry import read_task
from .._transaction.journal import Author
from . import hooks
from .signing import keep
from .work import Brought, bring_about

MODULE = "smtp_tls_cert"

_ALLOWANCE = Allowance(said=frozenset(["trust", "match", "demands"]), offered=False)
"""CAs and pins are what the task names; it has checks of its own for neighbours that would be left behind."""


def work(postfix: Postfix, options: Options, check_mode: bool) -> Result:
    """The work of the module, as ``attempt`` takes it. Everything is planned before anything is written."""
    state = read_state(postfix)
    if options["state"] == "absent":
        name = words.store_name("name", options["name"])
        planned, hook = plan_removal(state, name), hooks.plan_no_hook(state, name)
        result: Result = {
            **_bring_about(postfix, state, planned.plan, options, check_mode),
            **report(planned),
        }
        return _with_hook(result, hook, check_mode, lambda: hooks.install(postfix, state, name, hook))
    asked = read_task(options, state.effective["myhostname"], store.read_given)
    wish, provider = asked
    planned = plan_certificate(state, asked, postfix.run, check_mode)
    hook = hooks.plan_hook(postfix, state, asked, options)
    facts = report(planned)
    if planned.keeps and planned.next is not None and not check_mode:
        keep(state, wish, planned.next)
    if planned.awaits == SIGNATURE and provider.signed_at_once and planned.next is not None:
        wanted = {"csr": planned.next.request.decode(), "names": list(provider.promise.names)}
        return {**facts, "changed": True, "signing_request": wanted}
    result = {
        **_bring_about(postfix, state, planned.plan, options, check_mode),
        **facts,
    }
    result["warnings"] = [*result["warnings"], *_warnings(asked, planned), *left_active(state, wish)]
    if planned.keeps:
        result = {**result, "changed": True, "diff": [*result["diff"], _kept(asked, planned)]}
    return _with_hook(result, hook, check_mode, lambda: hooks.install(postfix, state, wish.name, hook))


def _bring_about(postfix: Postfix, state: State, plan: Plan, options: Options, check_mode: bool) -> Brought:
    """Options that a hook has kept may be from before there was C(unproven)."""
    return bring_about(
        postfix,
        state,
        plan,
        check_mode=check_mode,
        author=Author(MODULE, options["task"]),
        allowance=_ALLOWANCE,
        unproven=options.get("unproven"),
    )


def _with_hook(result: Result, hook: hooks.HookPlan, check_mode: bool, install: Callable[[], None]) -> Result:
    """After the certificate is in place, what brings its renewals in."""
    if hook.unwatched:
        result = {**result, "warnings": [*result["warnings"], hook.unwatched]}
    if not hook.changed:
        return result
    if not check_mode:
        install()
    return {**result, "changed": True, "diff": [*result["diff"], *hook.diff()]}


def _warnings(asked: Asked, planned: CertificatePlan) -> Iterator[str]:
    """What a person must do before the certificate in the store ends."""
    wish, provider = asked
    for side in planned.behind:
        yield (
            f"{wish.name}: the renewed certificate {side.why}, so the {side.use} side keeps the one before, which has "
            f"{side.days_left} days left; make a certificate active there that fits (use: [{side.use}])."
        )
    left = min(((not_after(chain.leaf) - utc_now()).days for chain in planned.chains), default=None)
    if not planned.awaits:
        if provider.ends_with_its_ca(planned.chains):
            yield (
                f"{wish.name}: the certificate has {left} days left and ends with its CA; bring the next one before "
                "(own_ca.next_ca, or the playbook rotate_certificates)."
            )
        elif left is not None and left < wish.renew_before:
            yield f"{wish.name}: the certificate has {left} days left; see to its renewal."
        return
    since = "" if left is None else f" The stored certificate has {left} days left."
    announced = describe_next(planned.next)
    if planned.awaits == ANNOUNCEMENT and announced is not None:
        records = "; ".join(announced["tlsa"])
        yield (
            f"{wish.name}: publish the TLSA record {records} beside the old one, wait until the old answer has left all caches "
            f"(its TTL), then list it in published_tlsa: only then the new key is used.{since}"
        )
    elif left is not None:
        yield f"{wish.name}: the request in next.csr waits for a CA's signature.{since}"


def _kept(asked: Asked, planned: CertificatePlan) -> Dict[str, str]:
    """A diff of what is kept for later: public keys, never private ones."""
    title = f"next key of certificate {asked.wish.name}"
    made = describe_next(planned.next)
    after = (
        "\n".join(made["tlsa"]) if made else "\n".join(f"{key.kind} {key.size}" for key in asked.provider.promise.keys)
    )
    return {"before_header": title, "after_header": title, "before": "", "after": f"{after}\n"}
