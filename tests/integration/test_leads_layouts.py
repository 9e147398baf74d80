"""The built-in recipes on layouts that they were not written for: every business once, with what the page tells."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consumers.leads.flow import flow
from consumers.net.browser import chromium
from consumers.store.leads import LeadFilter
from consumers.testing import serve
from schemas.leads import FoundLead
from tests.support.flow_place import TENANT, Place, place
from tests.support.listing_layouts import LAYOUTS

pytestmark = pytest.mark.skipif(not chromium.is_installed(None), reason="no Chromium")


@pytest.fixture
async def here(valkey_url: str, store_url: str, namespace: str, tmp_path: Path) -> AsyncIterator[Place]:
    async with place(
        valkey_url, store_url, tmp_path, flow=flow, namespace=namespace, allow_hosts=("127.0.0.0/8",)
    ) as running:
        yield running


@pytest.mark.parametrize("name", LAYOUTS)
async def test_every_business_once_with_what_the_page_tells(here: Place, name: str) -> None:
    layout = LAYOUTS[name]
    async with serve(layout.pages) as url:
        record = await here.run(source="browser", url=url, recipe=layout.recipe, region="DE", website="none")
    assert await here.errors(record.job_id) == []
    assert record.status == "succeeded"
    found = (await here.store.leads.page(LeadFilter(job_id=record.job_id), tenant=TENANT, sort="name")).items
    leads = [FoundLead.model_validate(one.payload) for one in found]
    assert [one.name for one in leads] == [firm[0] for firm in layout.firms]
    for lead, (_, phone, street, rating, reviews) in zip(leads, layout.firms, strict=True):
        assert [one.value for one in lead.phones] == [phone.replace(" ", "")]
        assert (lead.address or "").startswith(street.split(",")[0])
        assert (lead.rating, lead.reviews) == (rating, reviews)
