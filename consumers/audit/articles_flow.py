"""The `articles` flow: outlines and drafts from an audit's keyword gaps, each article an entry of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from consumers.audit.articles import (
    SYSTEM,
    Fact,
    facts_about,
    json_ld,
    keyword_gaps,
    prompt_for,
    title_of,
    unsupported,
)
from consumers.audit.parts_flow import finished
from consumers.flow import Flow
from consumers.llm import MeteredLlm
from consumers.net import urls
from consumers.outcome import Done, Emit, Outcome
from consumers.stage import stage
from schemas.audit_parts import Article, ArticleOrder, ArticlesResult, ArticlesSpec, ArticlesStart
from schemas.names import WORK_STAGES
from schemas.stages import CompileRequest
from streams.errors import PermanentError
from streams.policy import RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from consumers.context import StageContext
    from consumers.store.models import Audit

LIMIT_S: Final = 3_600.0
MAX_PAGES: Final = 2_000
"""Pages whose text is looked through for facts."""

TEMPERATURE: Final = 0.4


@stage(name="crawl", accepts=ArticlesStart, emits=("extract",))
async def begin(start: ArticlesStart, ctx: StageContext) -> Outcome:
    """Choose what to write about."""
    spec = await ctx.spec(ArticlesSpec)
    audit = await finished(start.audit_id, ctx)
    _model(ctx)
    parts = {kind: one.payload for kind, one in (await ctx.store.audits.parts(audit.job_id, tenant=ctx.tenant)).items()}
    keywords = spec.keywords or keyword_gaps(parts, spec.count)
    if not keywords:
        raise PermanentError(
            f"audit {audit.job_id} has no keywords to write about; name some in `keywords`", reason="no_keywords"
        )
    orders = [ArticleOrder(audit_id=audit.job_id, keyword=one, kind=spec.kind) for one in keywords]
    return Done(tuple(Emit("extract", order, once=f"article {order.keyword}") for order in orders))


@stage(
    name="extract",
    accepts=ArticleOrder,
    policy=StagePolicy(
        soft_timeout_s=300, timeout_s=330, concurrency=2, pool="heavy",
        retry=RetryPolicy(max_attempts=4, base_s=5, cap_s=60),
    ),
)  # fmt: skip
async def write(order: ArticleOrder, ctx: StageContext) -> Outcome:
    """Write one article from what the audit has of its keyword, and list what it says without support."""
    audit = await finished(order.audit_id, ctx)
    payload: dict[str, Any] = audit.payload or {}
    brand = payload.get("geo", {}).get("profile", {}).get("brand") or urls.host_of(audit.url)
    facts = facts_about(order.keyword, await _texts(audit, ctx))
    ctx.progress(f"writing about {order.keyword}", 40)
    prompt = prompt_for(order.keyword, order.kind, brand, facts)
    answer = await _model(ctx).answer(prompt, instructions=SYSTEM, temperature=TEMPERATURE)
    title = title_of(answer.text, order.keyword)
    made_on = datetime.now(UTC).date().isoformat()
    article = Article(
        keyword=order.keyword, kind=order.kind, title=title, markdown=answer.text,
        sources=tuple(fact.url for fact in facts), unsupported=unsupported(answer.text, facts),
        json_ld=json_ld(title, order.keyword, brand, payload.get("website", audit.url), made_on), model=answer.model,
    )  # fmt: skip
    await ctx.collect(article)
    return Done()


@stage(name="compile", accepts=CompileRequest)
async def compile_articles(_: CompileRequest, ctx: StageContext) -> Outcome:
    """Hand the articles over, also as files."""
    spec = await ctx.spec(ArticlesSpec)
    articles = [one async for one in ctx.collected(Article)]
    for n, one in enumerate(articles, start=1):
        script = orjson.dumps(one.json_ld, option=orjson.OPT_INDENT_2).decode().replace("</", "<\\/")
        body = f'{one.markdown}\n\n```html\n<script type="application/ld+json">\n{script}\n</script>\n```\n'
        kept = await ctx.blobs.put(body.encode(), tenant=ctx.tenant, content_type="text/markdown")
        await ctx.store.artifacts.put(
            ctx.job_id, ctx.task, f"article-{n}.md", tenant=ctx.tenant, sha256=kept.sha256,
            content_type="text/markdown", size_bytes=kept.size_bytes,
        )  # fmt: skip
    missing = tuple(
        f"article about {orjson.loads(one.data).get('keyword', one.stage)}: {one.reason}"
        for one in await ctx.failures()
        if one.stage in WORK_STAGES
    )
    return Done(result=ArticlesResult(audit_id=spec.audit_id, articles=tuple(articles)), missing=missing)


def _model(ctx: StageContext) -> MeteredLlm:
    model = MeteredLlm.of(ctx)
    if model is None:
        raise PermanentError(
            "articles need a language model: set MILLRACE_LLM_BASE_URL and MILLRACE_LLM_MODEL to an "
            "OpenAI-compatible or Anthropic endpoint, then retry this job",
            reason="no_llm",
        )
    return model


async def _texts(audit: Audit, ctx: StageContext) -> list[Fact]:
    found: list[Fact] = []
    async for page in ctx.store.audits.every_page(audit.job_id, tenant=ctx.tenant):
        if text := page.payload.get("text"):
            found.append(Fact(page.url, page.title, text))
        if len(found) >= MAX_PAGES:
            break
    return found


flow = Flow(
    name="articles",
    spec=ArticlesSpec,
    stages=(begin, write, compile_articles),
    first=lambda spec: ArticlesStart(audit_id=spec.audit_id),
    limit_s=LIMIT_S,
    about="articles from an audit's keyword gaps, written by a language model",
)
