"""Text that a template came with and nobody replaced."""

from __future__ import annotations

import re
from typing import Final

from consumers.audit.dom import squeeze

_SLOTS: Final = (
    r"\[(?:your|insert|add|enter|company|business|client|first|last|city|state|phone|email|product|service|name|placeholder|title)"
    r"(?:[ _-](?:your|here|name|text|company|business|title|address|number|email|content|description|url|"
    r"link|image|website|domain|phone|city|state|product|service|heading|a|an|the|of|date))*\]"
)
_GOES_HERE: Final = (
    r"(?:your|insert|add your|enter your|type your|replace this|sample|dummy|placeholder)"
    r"(?: (?:own|heading|title|main|body|short))? "
    r"(?:text|content|copy|title|heading|headline|description) (?:goes )?here"
)
_MARKED: Final[tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]] = tuple(
    (marks, re.compile(pattern, re.IGNORECASE))
    for marks, pattern in (
        (("lorem ipsum",), r"lorem ipsum[\w ,]{0,40}"),
        (("dolor sit amet",), r"dolor sit amet"),
        (("{{",), r"\{\{\s*[\w.|' ]{1,40}\s*\}\}"),
        (("${",), r"\$\{[\w.]{1,40}\}"),
        (("<%",), r"<%=?[^%]{1,60}%>"),
        (("%%",), r"%%[a-z_]{2,30}%%"),
        (("[",), _SLOTS),
        ((" here",), rf"{_GOES_HERE}|\btext goes here\b|\bcontent goes here\b"),
        (("placeholder ", "dummy text"), r"placeholder (?:text|content|copy)|\bdummy text\b"),
        (("your ",), r"your (?:company|business|site|brand) name(?: here)?\b"),
        (("click edit button",), r"click edit button to change this text"),
        (("this is ",), r"this is (?:an example page|dummy copy|placeholder text|sample text)"),
        (("wordpress",), r"welcome to wordpress\. this is your first post|just another wordpress"),
        (("xxx-xxx",), r"\bxxx-xxx-xxxx\b"),
    )
)
"""What must be there, in lower case, for a pattern to be worth a search: most pages have none of it."""


def dummy_text(text: str) -> list[str]:
    """Every different piece of dummy text, in the order of the text."""
    lowered = text.lower()
    found = [
        match.span()
        for marks, pattern in _MARKED
        if any(mark in lowered for mark in marks)
        for match in pattern.finditer(text)
    ]
    pieces: dict[str, None] = {}
    read_to = 0
    for start, end in sorted(found):
        if start >= read_to:
            pieces[squeeze(text[start:end])] = None
            read_to = end
    return list(pieces)
