"""Where rules are declared: a decorator beside each, and the table of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from consumers.audit.rules.model import (
    PageCheck,
    PageGuard,
    Rule,
    Scope,
    Severity,
    SiteCheck,
    SiteGuard,
    Tier,
)

CATEGORIES: Final = (
    "crawlability", "indexability", "url", "on-page", "links", "images", "structured-data", "hreflang", "performance",
    "security", "social", "accessibility", "geo",
)  # fmt: skip

RULES: Final[dict[str, Rule]] = {}
"""Every rule by its id, in the order of declaration."""


def page_rule(
    identifier: str,
    category: str,
    severity: str,
    tier: Tier,
    scope: Scope,
    needs: str,
    *guards: PageGuard,
    fix: str,
    threshold: str = "",
) -> Callable[[PageCheck], PageCheck]:
    """Declare a rule that judges one page. Its docstring says when it fails."""

    def declare(check: PageCheck) -> PageCheck:
        rule = _declared(identifier, category, severity, tier, scope, needs, fix, threshold, check.__doc__)
        RULES[identifier] = replace(rule, on_page=check, page_guards=guards)
        return check

    return declare


def site_rule(
    identifier: str,
    category: str,
    severity: str,
    tier: Tier,
    scope: Scope,
    needs: str,
    *guards: SiteGuard,
    fix: str,
    threshold: str = "",
) -> Callable[[SiteCheck], SiteCheck]:
    """Declare a rule that judges the site. Its docstring says when it fails."""

    def declare(check: SiteCheck) -> SiteCheck:
        rule = _declared(identifier, category, severity, tier, scope, needs, fix, threshold, check.__doc__)
        RULES[identifier] = replace(rule, on_site=check, site_guards=guards)
        return check

    return declare


def site_part(identifier: str, *guards: SiteGuard) -> Callable[[SiteCheck], SiteCheck]:
    """The part of a page rule that takes the crawl to judge."""

    def declare(check: SiteCheck) -> SiteCheck:
        RULES[identifier] = replace(RULES[identifier], on_site=check, site_guards=guards)
        return check

    return declare


def _declared(
    identifier: str,
    category: str,
    severity: str,
    tier: Tier,
    scope: Scope,
    needs: str,
    fix: str,
    threshold: str,
    about: str | None,
) -> Rule:
    if category not in CATEGORIES:
        raise ValueError(f"rule {identifier}: {category} is no category; use one of {', '.join(CATEGORIES)}")
    if identifier in RULES:
        raise ValueError(f"rule {identifier} is declared twice")
    if not about:
        raise ValueError(f"rule {identifier} does not say when it fails; give its function a docstring")
    return Rule(
        id=identifier, category=category, severity=Severity(severity), tier=tier, scope=scope,
        needs=tuple(needs.split(";")), about=" ".join(about.split()), fix=fix, threshold=threshold,
    )  # fmt: skip
