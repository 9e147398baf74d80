"""``millrace search``, ``answer`` and ``collections`` against real servers, with a language model on loopback."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from consumers.store import Store
from consumers.store.passages import NewPassage
from schemas.documents import CollectionSettings
from tests.support.commands import Home
from tests.support.llm_server import llm_server

TEXT = "The notice period is ninety days. Rent falls due at Michaelmas."


@pytest.fixture
def home(valkey_url: str, store_url: str, namespace: str, tmp_path: Path) -> Home:
    return Home(tmp_path, MILLRACE_REDIS_URL=valkey_url, MILLRACE_DATABASE_URL=store_url, MILLRACE_NAMESPACE=namespace)


async def fill(store_url: str, name: str, **settings: Any) -> None:
    """A collection with one document of one passage, found by its words."""
    async with Store.connect(store_url) as store:
        made = await store.collections.create(name, CollectionSettings(**settings), tenant="default")
        document = await store.collected.put(
            made.id, "ab" * 32, tenant="default", name="lease.pdf", size_bytes=1, kind="pdf"
        )
        passage = NewPassage(0, len(TEXT), TEXT, 3, 3, "Terms", 1)
        assert await store.passages.replace(document, [passage], configuration="english", text_length=len(TEXT))


async def test_an_answer_is_printed_with_its_quotes(home: Home, store_url: str, namespace: str) -> None:
    await fill(store_url, namespace)
    quote = {"passage": 1, "quote": "notice period is ninety days"}
    said: dict[str, Any] = {"statements": [{"text": "Ninety days.", "quotes": [quote]}]}
    async with llm_server(lambda _: said) as server:
        home.env |= {"MILLRACE_LLM_BASE_URL": server.url, "MILLRACE_LLM_MODEL": "small"}
        shown = await asyncio.to_thread(home.run, "answer", namespace, "How long is the notice period?")
        assert "Ninety days." in shown
        assert '"notice period is ninety days" lease.pdf, page 3' in shown
        told = await asyncio.to_thread(home.json, "answer", namespace, "How long is the notice period?")
        assert (told["answer"], told["citations"][0]["start"]) == ("Ninety days.", TEXT.index("notice"))
        said = {"statements": [], "unanswered": "who the landlord is"}
        shown = await asyncio.to_thread(home.run, "answer", namespace, "To whom is the rent due?")
        assert "No answer: who the landlord is." in shown


def test_what_is_missing_for_an_answer_is_said(home: Home, store_url: str, namespace: str) -> None:
    asyncio.run(fill(store_url, namespace))
    failed = home.done("answer", namespace, "How long is the notice period?")
    assert (failed.returncode, "MILLRACE_LLM_BASE_URL" in failed.stderr) == (1, True)
    failed = home.done("answer", "no-such-collection", "Why?")
    assert (failed.returncode, "collections list" in failed.stderr) == (1, True)


def test_a_collection_is_searched_and_deleted(home: Home, store_url: str, namespace: str) -> None:
    asyncio.run(fill(store_url, namespace))
    (found,) = home.lines("search", namespace, "when does the rent fall due")
    assert (found["document"], found["first_page"], found["section"]) == ("lease.pdf", 3, "Terms")
    assert "1. lease.pdf, page 3, Terms" in home.run("search", namespace, '"rent falls due"')
    assert home.json("collections", "delete", namespace, "--yes") == {"deleted": 1}
    assert [one for one in home.lines("collections", "list") if one["name"] == namespace] == []

    asyncio.run(fill(store_url, f"{namespace}-held", legal_hold=True))
    failed = home.done("collections", "delete", f"{namespace}-held", "--yes")
    assert (failed.returncode, "legal hold" in failed.stderr) == (1, True)
