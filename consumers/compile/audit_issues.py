"""Findings of an audit on their way to the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from consumers.audit.rules import RULES
from consumers.audit.summary import RuleTally, fingerprint_of, severity_of, severity_rank
from consumers.store.audits import ORDINALS, NewIssue
from consumers.store.cleaning import clean_text

if TYPE_CHECKING:
    from consumers.context import StageContext
    from schemas.audit_result import Example

ROWS: Final = 500


class Issues:
    """Issues on their way to the store, in batches; tells what is ignored, and counts by rule.

    Args:
        audit_id: Of the audit that they belong to.
        revision: Of its job.
        ignored: Rule and page of what is not to be fixed; no page for all.
        after: As many were taken before.
    """

    def __init__(
        self, audit_id: str, revision: int, ignored: set[tuple[str, str]], ctx: StageContext, after: int = 0
    ) -> None:
        self.tallies: dict[str, RuleTally] = {}
        self._audit = (audit_id, revision)
        self._ctx = ctx
        self._ignored = ignored
        self._found: list[NewIssue] = []
        self._next = after

    def add(self, rule: str, example: Example, count: int = 1) -> None:
        """Take one finding."""
        tally = self.tallies.setdefault(rule, RuleTally())
        is_ignored = (rule, "") in self._ignored or (rule, example.url) in self._ignored
        if is_ignored:
            tally.ignored += count
        else:
            tally.add(example, count)
        self._found.append(
            NewIssue(
                ordinal=severity_rank(rule) * ORDINALS + self._next,
                rule=rule,
                category=RULES[rule].category,
                severity=severity_of(rule),
                url=example.url,
                evidence=clean_text(_evidence(example)),
                fingerprint=fingerprint_of(rule, example.url),
                is_ignored=is_ignored,
            )
        )
        self._next += 1

    @property
    def is_full(self) -> bool:
        """Whether it is time to write."""
        return len(self._found) >= ROWS

    async def flush(self) -> None:
        """Write what was taken."""
        found, self._found = self._found, []
        await self._ctx.store.audits.add_issues(*self._audit, found, tenant=self._ctx.tenant)


def _evidence(example: Example) -> str:
    parts = [example.detail, example.snippet, example.target]
    return " | ".join(part for part in parts if part)
