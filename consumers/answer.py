"""Answering a question from a collection: its passages, the operator's language model, and a check of what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.documents import answers
from consumers.embeddings.choose import is_here
from consumers.search import search
from schemas.documents import AnswerRequest, Citation, CollectionAnswer, Passage, SearchRequest, settings_of
from streams.errors import PermanentError

if TYPE_CHECKING:
    from consumers.llm import Endpoint
    from consumers.store import Store
    from consumers.store.models import Collection
    from schemas.settings import Settings


async def answer(
    store: Store, operator: Settings, llm: Endpoint | None, collection: Collection, request: AnswerRequest
) -> CollectionAnswer:
    """What the passages of a collection say to a question; no answer, with the reason, when they say nothing.

    Raises:
        PermanentError: ``no_llm``: the operator has named no model; ``leaves_machine``: the collection may not be sent
            to it.
        LlmError: The model does not answer, refuses us, or answers in another shape.
        TransientError: The database or the embedding endpoint is away.
    """
    model = _allowed(llm, operator, collection)
    found = await search(store, operator, collection, SearchRequest(query=request.question, limit=request.passages))
    if not found:
        return CollectionAnswer(
            collection_id=collection.id, question=request.question, reason="no_passages",
            detail="nothing in the collection is like the question",
        )  # fmt: skip
    texts = [one.text for one in found]
    said, usage = await model.complete(
        answers.SaidAnswer,
        answers.instructions_for(request.question),
        answers.data_for([(one.document, one.text) for one in found]),
    )
    kept = answers.checked(said, texts, request.question)
    shown = CollectionAnswer(
        collection_id=collection.id,
        question=request.question,
        answer=" ".join(kept.statements) or None,
        statements=kept.statements,
        citations=tuple(_citation(one, found[one.passage]) for one in kept.citations),
        dropped=kept.dropped,
        usage={"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens},
        cost_usd=usage.cost_usd,
    )
    if kept.statements:
        return shown
    reason = "unsupported" if kept.dropped else "not_in_passages"
    detail = "what the model said is not in the passages that it was given" if kept.dropped else said.unanswered
    return shown.model_copy(update={"reason": reason, "detail": detail or "the passages do not answer the question"})


def _allowed(llm: Endpoint | None, operator: Settings, collection: Collection) -> Endpoint:
    if llm is None or operator.llm_base_url is None:
        raise PermanentError(
            "questions are answered by a language model and there is none; set MILLRACE_LLM_BASE_URL and "
            "MILLRACE_LLM_MODEL, or search instead", reason="no_llm",
        )  # fmt: skip
    if settings_of(collection.settings).stays_here and not is_here(operator.llm_base_url):
        raise PermanentError(
            f"collection {collection.name!r} never leaves this machine, and the language model is on another; search "
            "it instead, or run a model on loopback", reason="leaves_machine",
        )  # fmt: skip
    return llm


def _citation(cited: answers.Cited, passage: Passage) -> Citation:
    return Citation(
        statement=cited.statement, document_id=passage.document_id, document=passage.document,
        ordinal=passage.ordinal, quote=passage.text[cited.start : cited.end], start=passage.start + cited.start,
        end=passage.start + cited.end, first_page=passage.first_page, last_page=passage.last_page,
        section=passage.section, image=passage.image,
    )  # fmt: skip
