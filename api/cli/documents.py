"""Commands about collections: make them, fill them, search them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.root import run
from api.cli.screen import Json, console, next_step, print_json, print_table, say
from streams.errors import MillraceError

CollectionArgument = Annotated[
    str, typer.Argument(metavar="COLLECTION", help="Name or id of the collection.", show_default=False)
]

collections = typer.Typer(no_args_is_help=True, help="Collections of documents: list, make, fill and delete them.")

SNIPPET_CHARS = 300


def search(
    collection: CollectionArgument,
    query: Annotated[str, typer.Argument(help='What is looked for; "in quotes" as it is written.', show_default=False)],
    *,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Most passages.")] = 5,
    kind: Annotated[list[str] | None, typer.Option(help="Only in this kind of file, as pdf; may be repeated.")] = None,
    as_json: Json = False,
) -> None:
    """Find passages in a collection."""
    from api import audit
    from api.cli.lookup import TENANT, here
    from consumers import search as searching
    from schemas.documents import SearchRequest

    async def ask() -> list[Any]:
        async with here() as services:
            found = await _collection(services, collection)
            request = SearchRequest(query=query, limit=limit, kinds=tuple(kind or ()))
            passages = await searching.search(services.store, services.settings, found, request)
            documents = list(dict.fromkeys(one.document_id for one in passages))
            detail = {"query": query, "found": len(passages), "documents": documents}
            await audit.record(services, audit.cli_actor(), "collection.search", found.id, detail, tenant=TENANT)
            return passages

    passages = run(ask())
    if as_json:
        for passage in passages:
            print_json(passage.model_dump(mode="json"))
        return
    if not passages:
        say("Nothing was found.")
        next_step((f"collections show {collection}", "shows what is in the collection"))
        return
    for number, passage in enumerate(passages, 1):
        page = "" if passage.first_page is None else f", page {passage.first_page}"
        section = f", {passage.section}" if passage.section else ""
        say(f"{number}. {passage.document}{page}{section}", "bold")
        console().print(_snippet(passage), highlight=False)
        if passage.folded:
            say(f"   and {len(passage.folded)} more that say nearly the same", "dim")
    next_step((f"search {collection} '\"a phrase\"'", "finds the very words"))


def answer(
    collection: CollectionArgument,
    question: Annotated[str, typer.Argument(help="What is asked.", show_default=False)],
    *,
    passages: Annotated[int, typer.Option(min=1, max=30, help="Passages that the language model is given.")] = 8,
    as_json: Json = False,
) -> None:
    """Answer a question from a collection, every statement with a quote; needs a language model."""
    from api import audit
    from api.cli.lookup import TENANT, here
    from consumers import answer as answering
    from schemas.documents import AnswerRequest

    async def ask() -> Any:
        async with here() as services:
            found = await _collection(services, collection)
            request = AnswerRequest(question=question, passages=passages)
            said = await answering.answer(services.store, services.settings, services.llm, found, request)
            documents = list(dict.fromkeys(one.document_id for one in said.citations))
            detail = {"question": question, "reason": said.reason, "documents": documents}
            await audit.record(services, audit.cli_actor(), "collection.answer", found.id, detail, tenant=TENANT)
            return said

    said = run(ask())
    if as_json:
        print_json(said.model_dump(mode="json"))
        return
    if said.answer is None:
        say(f"No answer: {said.detail}.")
        next_step((f"search {collection} WORDS", "shows what there is"))
        return
    for number, statement in enumerate(said.statements):
        say(statement, "bold")
        for cited in said.citations:
            if cited.statement == number:
                page = "" if cited.first_page is None else f", page {cited.first_page}"
                say(f'   "{" ".join(cited.quote.split())}" {cited.document}{page}', "dim")
    if said.dropped:
        say(f"{said.dropped} statements or quotes were left out: the passages do not say them.", "dim")
    next_step((f"search {collection} '\"a quote\"'", "shows where it stands"))


@collections.command("list")
def list_(*, as_json: Json = False) -> None:
    """List the collections."""
    from api.cli.lookup import TENANT, here

    async def ask() -> list[Any]:
        async with here() as services:
            return list((await services.store.collections.page(tenant=TENANT, limit=1_000)).items)

    found = run(ask())
    if as_json:
        for one, count in found:
            print_json({"id": one.id, "name": one.name, "documents": count, "embedding": one.embedding})
        return
    print_table(
        ("collection", "id", "documents", "embedding"),
        [(one.name, one.id, count, one.embedding) for one, count in found],
        right=("documents",),
    )
    next_step(("collections add NAME FILE...", "puts files into one"))


@collections.command()
def create(
    name: Annotated[str, typer.Argument(help="Name of the collection.", show_default=False)],
    *,
    embedding: Annotated[str, typer.Option(help="hashed, endpoint or local.")] = "hashed",
    stays_here: Annotated[bool, typer.Option(help="Refuse endpoints on other machines.")] = False,
    as_json: Json = False,
) -> None:
    """Make a collection."""
    from api.cli.lookup import TENANT, here
    from consumers.embeddings import model_of
    from consumers.store.collections import NameTaken
    from schemas.documents import CollectionSettings

    async def make() -> Any:
        async with here() as services:
            settings = CollectionSettings.model_validate(
                {"embedding": {"provider": embedding}, "stays_here": stays_here}
            )
            model_of(settings, services.settings)
            try:
                return await services.store.collections.create(name, settings, tenant=TENANT)
            except NameTaken as error:
                raise MillraceError(str(error)) from None

    made = run(make())
    if as_json:
        print_json({"id": made.id, "name": made.name})
        return
    say(f"Made collection {made.name!r}, {made.id}.")
    next_step((f"collections add {made.name} FILE...", "puts files into it"))


@collections.command()
def show(collection: CollectionArgument, *, as_json: Json = False) -> None:
    """Show the documents of a collection."""
    from api.cli.lookup import TENANT, here

    async def ask() -> list[Any]:
        async with here() as services:
            found = await _collection(services, collection)
            return list((await services.store.collected.page(found.id, tenant=TENANT, limit=1_000)).items)

    documents = run(ask())
    if as_json:
        for one in documents:
            print_json({"id": one.id, "name": one.name, "status": one.status, "reason": one.reason})
        return
    print_table(
        ("document", "id", "kind", "status", "pages", "passages", "reason"),
        [(one.name, one.id, one.kind, one.status, one.page_count, one.chunk_count, one.reason) for one in documents],
        right=("pages", "passages"),
    )
    next_step((f"search {collection} WORDS", "finds passages"))


@collections.command()
def add(
    collection: CollectionArgument,
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Files.", show_default=False)],
    *,
    as_json: Json = False,
) -> None:
    """Put files into a collection, made when there is none of this name: a job."""
    from api.cli.lookup import TENANT, here
    from consumers.documents.kinds import kind_of
    from consumers.submit import submit
    from schemas.jobs import JobRequest

    async def send() -> str:
        async with here() as services:
            uploads = []
            for file in files:
                body = file.read_bytes()
                kind = kind_of(body, file.name)
                kept = await services.blobs.put(body, tenant=TENANT, content_type="application/octet-stream")
                made = await services.store.collections.put_upload(
                    file.name, kept.sha256, kept.size_bytes, kind, tenant=TENANT
                )
                uploads.append(made.id)
            request = JobRequest(flow="documents", spec={"collection": collection, "uploads": uploads})
            return (await submit(services.log, services.flows, request, tenant=TENANT)).job_id

    job_id = run(send())
    if as_json:
        print_json({"job_id": job_id})
        return
    say(f"{len(files)} files are to be read: job {job_id}.")
    next_step((f"job {job_id}", "shows how far it is"), (f"search {collection} WORDS", "finds passages then"))


@collections.command()
def delete(
    collection: CollectionArgument,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a collection with its documents, passages and bytes."""
    from api import audit
    from api.cli.lookup import TENANT, here
    from api.collected import delete_collection
    from api.problems import Problem

    async def remove() -> int:
        async with here() as services:
            found = await _collection(services, collection)
            try:
                count = await delete_collection(services, found, TENANT)
            except Problem as problem:
                raise MillraceError(problem.detail) from None
            detail = {"documents": count}
            await audit.record(services, audit.cli_actor(), "collection.delete", found.id, detail, tenant=TENANT)
            return count

    if not yes:
        typer.confirm(f"Delete collection {collection} and all that is in it?", abort=True)
    count = run(remove())
    if as_json:
        print_json({"deleted": count})
        return
    say(f"Deleted collection {collection} with {count} documents.")
    next_step(("collections list", "shows those that are left"))


async def _collection(services: Any, name_or_id: str) -> Any:
    from api.cli.lookup import TENANT, need_store

    need_store(services)
    found = await services.store.collections.find(name_or_id, tenant=TENANT)
    if found is None:
        raise MillraceError(
            f"there is no collection {name_or_id!r}: `./millrace collections list` lists those there are"
        )
    return found


def _snippet(passage: Any) -> Any:
    """The passage around the first thing that was looked for, with all of them marked."""
    from rich.text import Text

    first = passage.highlights[0][0] if passage.highlights else 0
    begin = max(0, first - SNIPPET_CHARS // 3)
    cut = passage.text[begin : begin + SNIPPET_CHARS]
    shown = Text(
        ("…" if begin else "") + cut.replace("\n", " ") + ("…" if begin + len(cut) < len(passage.text) else "")
    )
    shift = (1 if begin else 0) - begin
    for start, end in passage.highlights:
        if begin <= start < begin + len(cut):
            shown.stylize("bold yellow", start + shift, min(end + shift, len(shown.plain)))
    shown.pad_left(3)
    return shown
