"""The fix plan in a language model's words, where one is there; the facts stay ours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final

import orjson
from pydantic import BaseModel, Field

from consumers.llm import LlmError, MeteredLlm

if TYPE_CHECKING:
    from consumers.context import StageContext
    from schemas.audit_result import FixItem

MOST: Final = 20
"""Items that are worded: the first ones of the plan."""

INSTRUCTIONS: Final = (
    "You write for the owner of a website who is no expert. For each item of the fix plan say in two or three plain "
    "sentences what to change and why it is worth it. Use only what the item says. Keep every number and every "
    "address exactly as it stands, and add none. No lists, no headings, no markup."
)
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
_URL: Final = re.compile(r"(?:https?://|www\.)[^\s<>\"')\]]+", re.IGNORECASE)
_MARKUP: Final = re.compile(r"[<>`\[\]{}|#*_]|\bjavascript:", re.IGNORECASE)


class Worded(BaseModel):
    """One item in the model's words."""

    rule: str
    text: Annotated[str, Field(min_length=20, max_length=800)]


class Wording(BaseModel):
    """What the model answers."""

    items: Annotated[list[Worded], Field(max_length=MOST)]


async def worded(plan: tuple[FixItem, ...], ctx: StageContext) -> tuple[FixItem, ...]:
    """The plan with the model's words beside ours, where they say the same; the plan as it is without a model."""
    model = MeteredLlm.of(ctx)
    if model is None or not plan:
        return plan
    ctx.progress("wording the fix plan", 92)
    data = orjson.dumps([{"rule": one.rule, "text": facts_of(one)} for one in plan[:MOST]]).decode()
    try:
        said, _ = await model.complete(Wording, INSTRUCTIONS, data)
    except LlmError as error:
        ctx.log.warning("the fix plan keeps our words: %s", error)
        return plan
    texts = {one.rule: " ".join(one.text.split()) for one in said.items}
    return tuple(
        one.model_copy(update={"wording": text})
        if (text := texts.get(one.rule)) is not None and says_the_same(text, facts_of(one))
        else one
        for one in plan
    )


def facts_of(item: FixItem) -> str:
    """What there is to say of an item."""
    return f"{item.title} {item.change} It concerns {item.pages} pages. Cause: {item.cause}."


def says_the_same(text: str, facts: str) -> bool:
    """Whether a text has no number, address or markup that the facts have not, and leaves no address out."""
    urls = {one.rstrip(".,;:") for one in _URL.findall(text)}
    known = {one.rstrip(".,;:") for one in _URL.findall(facts)}
    numbers = set(_NUMBER.findall(_URL.sub(" ", text)))
    return urls == known and numbers <= set(_NUMBER.findall(_URL.sub(" ", facts))) and _MARKUP.search(text) is None
