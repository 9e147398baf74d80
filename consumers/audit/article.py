"""The main text of an article, closely read: trafilatura, and rules for what it leaves out or takes along."""

from __future__ import annotations

import logging

logging.getLogger("trafilatura").setLevel(logging.CRITICAL)


def article_text(html: str) -> str:
    """The text of an article without its title furniture, comments, teasers and navigation.

    Paragraphs are parted by line ends; empty when there is no article to be found.
    """
    import trafilatura  # noqa: PLC0415 - slow to import, and only articles need it

    return trafilatura.extract(html, include_comments=False, include_tables=True, deduplicate=False) or ""
