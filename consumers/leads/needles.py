"""What of a person is looked for, and taken out, wherever it may stand: in whatever way a number is written."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from streams.mentions import number_pattern

if TYPE_CHECKING:
    from schemas.leads import FoundLead

CUT: Final = "[erased]"


@dataclass(frozen=True)
class Needles:
    """A person's, or a business's.

    Attributes:
        emails: As `consumers.contacts.emails.normalised` gives them.
        phones: E.164.
        keys: Of businesses within their sources.
    """

    emails: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()

    @classmethod
    def of(cls, lead: FoundLead) -> Needles:
        """All that a lead has."""
        keys = {lead.key, *(one.key for one in lead.origins)} - {""}
        emails = frozenset(one.value for one in lead.emails)
        return cls(emails, frozenset(one.value for one in lead.phones), frozenset(keys))

    @classmethod
    def of_keys(cls, keys: Iterable[str]) -> Needles:
        """The contacts among keys such as ``e:`` and ``c:``; see `consumers.leads.identity.contact_keys`."""
        named = [key.partition(":") for key in keys]
        emails = frozenset(value for kind, _, value in named if kind == "e")
        return cls(emails, frozenset(value for kind, _, value in named if kind in {"c", "p"}))

    def __or__(self, other: Needles) -> Needles:
        return Needles(self.emails | other.emails, self.phones | other.phones, self.keys | other.keys)

    def __bool__(self) -> bool:
        return bool(self.emails or self.phones or self.keys)

    @cached_property
    def _contact(self) -> re.Pattern[str] | None:
        parts = [*map(_of_email, sorted(self.emails)), *map(number_pattern, sorted(self.phones))]
        return re.compile("|".join(parts), re.IGNORECASE) if parts else None

    @property
    def words(self) -> tuple[str, ...]:
        """For `streams.erase`: what payloads and rows of jobs name a person or a business by."""
        return tuple(sorted(self.emails | self.phones | self.keys))

    def reach(self, text: str) -> bool:
        """Whether a text has one of the contacts."""
        return self._contact is not None and self._contact.search(text) is not None

    def reach_in(self, body: bytes) -> bool:
        """Whether a file has; whatever its encoding, contacts are ASCII."""
        return self.reach(body.decode("latin-1"))

    def cut_from(self, text: str) -> str:
        """A text without the contacts."""
        return text if self._contact is None else self._contact.sub(CUT, text)

    def cut_from_bytes(self, body: bytes) -> bytes:
        """A file without the contacts."""
        return self.cut_from(body.decode("latin-1")).encode("latin-1")

    def cut_from_json(self, value: Any) -> Any:
        """A JSON value without the contacts."""
        if isinstance(value, str):
            return self.cut_from(value)
        if isinstance(value, list):
            return [self.cut_from_json(one) for one in value]
        if isinstance(value, dict):
            return {self.cut_from(name): self.cut_from_json(one) for name, one in value.items()}
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return None if is_number and self.reach(str(value)) else value


def _of_email(address: str) -> str:
    local, _, domain = address.rpartition("@")
    forms = {domain}
    with contextlib.suppress(UnicodeError):
        forms.add(domain.encode("ascii").decode("idna"))
    # In UTF-8 that was read as Latin-1, too: files are searched byte by byte.
    forms |= {form.encode().decode("latin-1") for form in forms}
    return (
        rf"(?<![\w.+%-]){re.escape(local)}(?:@|%40|&#64;|\\u0040)(?:{'|'.join(map(re.escape, sorted(forms)))})(?![\w-])"
    )
