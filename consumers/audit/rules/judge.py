"""Rules put to a page or to the site."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from consumers.audit.rules.model import MAX_EVIDENCE, Context, Evidence, Rule, Skip, Status, Verdict
from consumers.audit.rules.registry import RULES

if TYPE_CHECKING:
    from consumers.audit.page import Page
    from consumers.audit.site import Site


def audit_page(page: Page, context: Context, only: Collection[str] | None = None) -> tuple[Verdict, ...]:
    """What every rule that judges pages says of one, in the order of the table.

    Args:
        only: Ids of the rules to put; all when there are none.
    """
    return tuple(
        _on_page(rule, page, context)
        for rule in RULES.values()
        if rule.on_page is not None and (only is None or rule.id in only)
    )


def audit_site(site: Site, only: Collection[str] | None = None) -> tuple[Verdict, ...]:
    """What every rule that judges sites says of one, in the order of the table.

    Args:
        only: Ids of the rules to put; all when there are none.
    """
    return tuple(
        _on_site(rule, site)
        for rule in RULES.values()
        if rule.on_site is not None and (only is None or rule.id in only)
    )


def audit_alone(page: Page, context: Context) -> tuple[Verdict, ...]:
    """What all rules say of a document of whose site nothing is known: what needs the site is not measured."""
    return tuple(_alone(rule, page, context) for rule in RULES.values())


def _alone(rule: Rule, page: Page, context: Context) -> Verdict:
    lacking = Verdict(
        rule.id, Status.NOT_MEASURED, why=f"needs more of the site than this document ({', '.join(rule.needs)})"
    )
    if rule.on_page is None:
        return lacking
    verdict = _on_page(rule, page, context)
    # Half of a rule can find a fault; it cannot say that there is none.
    return lacking if rule.on_site is not None and verdict.status is Status.PASSED else verdict


def _on_page(rule: Rule, page: Page, context: Context) -> Verdict:
    for guard in rule.page_guards:
        if (skip := guard(page, context)) is not None:
            return _skipped(rule, skip)
    return _judged(rule, rule.on_page(page, context) if rule.on_page is not None else ())


def _on_site(rule: Rule, site: Site) -> Verdict:
    for guard in rule.site_guards:
        if (skip := guard(site)) is not None:
            return _skipped(rule, skip)
    return _judged(rule, rule.on_site(site) if rule.on_site is not None else ())


def _skipped(rule: Rule, skip: Skip) -> Verdict:
    return _without_evidence(rule.id, skip.status, skip.why)


@lru_cache(4_096)
def _without_evidence(rule: str, status: Status, why: str) -> Verdict:
    return Verdict(rule, status, why=why)


def _judged(rule: Rule, found: Iterable[Evidence]) -> Verdict:
    kept: list[Evidence] = []
    count = 0
    limit = MAX_EVIDENCE if rule.on_page is not None else None
    for one in found:
        count += 1
        if limit is None or count <= limit:
            kept.append(one)
    if not count:
        return _without_evidence(rule.id, Status.PASSED, "")
    return Verdict(rule.id, Status.FAILED, tuple(kept), count)
