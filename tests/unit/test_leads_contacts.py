"""On the shared sites the flow finds every contact that is stated in links or markup, and reports no placeholder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from consumers.contacts import emails, phones
from consumers.leads.site import read_site
from schemas.leads import Business, SitePage, VisitedSite

SHARED = Path(os.environ.get("MILLRACE_SHARED", Path(__file__).parents[3] / "shared"))
SITES = SHARED / "data" / "sites"
STATED = SITES / "contacts-explicit.json"
DOMAINS = {
    "acupuncture": "amberacupuncturewellness.com", "data-recovery": "datarecovery-sa.com",
    "homeowners": "streamhouseassociation.org", "pallets": "www.tyersalpallets.co.uk", "payments": "edupayments.net",
    "village-fr": "www.xn--saint-gilles-vieux-march-yfc.net",
}  # fmt: skip
"""Source: SOURCES.md beside the sites."""


@pytest.mark.parametrize("site", DOMAINS)
def test_every_stated_contact_is_found_and_no_placeholder(site: str) -> None:
    if not STATED.exists():
        pytest.skip("the shared sites are not here")
    stated: dict[str, Any] = json.loads(STATED.read_text())[site]
    folder, home = SITES / site, f"https://{DOMAINS[site]}/"
    files = sorted(path for path in folder.rglob("*") if path.suffix in {".html", ".htm"})
    assert len(files) >= stated["html_pages"]
    pages = tuple(SitePage(url=f"{home}{path.relative_to(folder)}", sha256="") for path in files)
    visited = VisitedSite(business=Business(key="1", source="csv", name=site), website=home, pages=pages)
    lead = read_site(visited, [path.read_bytes() for path in files], stated["region_hint"], 2026)
    assert set(stated["emails"]) <= {one.value for one in lead.emails}
    assert set(stated["phones"]) <= {one.value for one in lead.phones}
    assert {one.rstrip("/") for one in stated["social"]} <= {one.value.rstrip("/") for one in lead.social}
    assert not [one for one in lead.phones if phones.is_placeholder(one.value)]
    assert not [one for one in lead.emails if emails.is_placeholder(one.value)]
