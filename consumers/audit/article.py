"""The main text of an article, closely read: trafilatura, and rules for what it takes along."""

from __future__ import annotations

import logging
import re
from typing import Final

from selectolax.lexbor import LexborHTMLParser

from consumers.audit.dom import squeeze

_TEASER: Final = re.compile(
    r"^(?:related(?: (?:articles?|stories|posts|content|reading|links?))?|see (?:more|also)|read (?:more|"
    r"also|next|on)|more(?: on this)?|don.t miss|"
    r"also read|recommended|you (?:may|might) also like|watch|siehe auch|mehr zum thema|lesen sie auch|"
    r"lire aussi|à lire aussi|lea también|"
    r"leer más|leggi anche|advertisement|anzeige|publicité|story continues below.*|continue reading.*|"
    r"share this.*|follow us.*)\s*[:.\u2026-]?\s*",
    re.IGNORECASE,
)
_APPEAL: Final = re.compile(
    r"^(?:tell us what you think.*|comments?(?: \(\d+\))?|leave a (?:comment|reply).*|(?:sign up|"
    r"subscribe)\b.{0,160}(?:newsletter|inbox|e-?mails?|"
    r"subscri\w+|today|now|free).*|get (?:access to|the latest)\b.*(?:subscri|newsletter|inbox).*|"
    r".*\b\d+ issues for [£$€].*|"
    r".*\bclick here (?:for more information|to subscribe|to sign up).*|.*use (?:the )?code [\"“']\w+[\"”'].*|"
    r"follow .{2,40} on (?:twitter|facebook|instagram|x)\b.{0,80}|all rights reserved.*|©.*|copyright ©.*)$",
    re.IGNORECASE,
)
_BULLET: Final = re.compile(r"^[-•*·|]\s*|\s*\|\s*$|\s*\[[A-Z]{3,}\]\s*\|?$")
_LINK_CHARS: Final = 20
"""Shorter link texts are names and words within the text."""
_TITLE_LINES: Final = 5
_SIGN: Final = re.compile(r"\W+")


def article_text(html: str) -> str:
    """The text of an article without its title furniture, comments, teasers and navigation.

    Paragraphs are parted by line ends; empty when there is no article to be found.
    """
    import trafilatura  # noqa: PLC0415 - slow to import, and only articles need it

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    text = trafilatura.extract(html, include_comments=False, include_tables=True, deduplicate=False) or ""
    return _without_teasers(text, LexborHTMLParser(html)) if text else ""


def _without_teasers(text: str, tree: LexborHTMLParser) -> str:
    """Lines that are nothing but a link to elsewhere, appeals to readers, and the title again are no text of it."""
    links = {_plain(one.text(deep=True)) for one in tree.css("a[href]")}
    titles = {_plain(one.text(deep=True)) for one in tree.css("h1, title")}
    kept = []
    for position, line in enumerate(text.splitlines()):
        bare = _BULLET.sub("", squeeze(line))
        teased = _TEASER.sub("", bare)
        is_link = len(teased) >= _LINK_CHARS and _plain(_BULLET.sub("", teased)) in links
        is_title = position < _TITLE_LINES and _plain(bare) in titles
        if bare and teased and not is_link and not is_title and not _APPEAL.match(bare):
            kept.append(line)
    return "\n".join(kept)


def _plain(text: str) -> str:
    return _SIGN.sub(" ", text).strip().casefold()
