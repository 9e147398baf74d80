"""A language model's words for the fix plan: kept only when they say what we say."""

from __future__ import annotations

import pytest

from consumers.audit.flow import flow
from consumers.audit.wording import facts_of, says_the_same, worded
from consumers.testing import fake_context
from schemas.audit_result import FixItem
from schemas.settings import Settings
from tests.support.llm_server import llm_server

ITEM = FixItem(
    rule="title-missing", title="A page has no title.", category="on-page", severity="high", effect=60.0, effort="low",
    cause="on 12 of 12 pages: most likely their template", pages=12, urls=("https://lamps.example/",), example=None,
    change="Give each page a title of 30 to 60 characters; see https://lamps.example/style.",
)  # fmt: skip
GOOD = (
    "All 12 pages lack a title, so give each one of 30 to 60 characters as https://lamps.example/style says, and "
    "people will know what they find."
)


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("12", "14"),
        GOOD.replace("/style", "/other"),
        GOOD.replace(" as https://lamps.example/style says", ""),
        GOOD + " Ask https://evil.example/ for more.",
        GOOD + " <script>alert()</script>",
        GOOD + " It brings 30% more visits in 3 weeks.",
    ],
)
def test_other_facts_do_not_pass(text: str) -> None:
    assert says_the_same(GOOD, facts_of(ITEM))
    assert not says_the_same(text, facts_of(ITEM))


async def test_what_the_model_invents_is_left_out() -> None:
    other = ITEM.model_copy(update={"rule": "h1-missing"})
    said = {"items": [{"rule": "title-missing", "text": GOOD}, {"rule": "h1-missing", "text": GOOD + " Cost: $99."}]}
    async with llm_server(lambda _: said) as server:
        settings = Settings(llm_base_url=server.url, llm_model="small")
        async with fake_context(flow, "compile", settings=settings) as ctx:
            plan = await worded((ITEM, other), ctx)
            server.failures = [401]
            refused = await worded((ITEM.model_copy(update={"pages": 13}),), ctx)
        assert len(server.requests) == 2
    assert [one.wording for one in plan] == [GOOD, ""]
    assert [one.change for one in plan] == [ITEM.change] * 2
    assert refused[0].wording == ""


async def test_without_a_model_the_plan_is_as_it_was() -> None:
    async with fake_context(flow, "compile", settings=Settings()) as ctx:
        assert await worded((ITEM,), ctx) == (ITEM,)
