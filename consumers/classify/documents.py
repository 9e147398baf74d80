"""What a file is likely to be, by its address; its content decides later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.documents.links import suffix_of
from consumers.outcome import Done, Emit, Outcome, Reject
from consumers.stage import stage
from schemas.documents import ClassifiedFile, FoundFile
from streams.policy import StagePolicy

if TYPE_CHECKING:
    from consumers.context import StageContext


@stage(name="classify", accepts=FoundFile, emits=("download",), policy=StagePolicy(soft_timeout_s=30, timeout_s=60))
async def classify(file: FoundFile, ctx: StageContext) -> Outcome:
    """Hand a file on with what is expected of it; an upload that is not there is refused."""
    expected = suffix_of(file.url).removeprefix(".") or "html" if file.url is not None else None
    name = file.name
    if file.upload is not None:
        upload = await ctx.store.collections.upload(file.upload, tenant=ctx.tenant)
        if upload is None:
            return Reject("unknown_upload", f"there is no upload {file.upload}; send the file to /api/v1/uploads again")
        expected, name = upload.kind, upload.name
    return Done((Emit("download", ClassifiedFile(url=file.url, upload=file.upload, name=name, expected=expected)),))
