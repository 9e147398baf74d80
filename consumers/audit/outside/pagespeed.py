"""How fast a page is: Google's PageSpeed Insights with a key, or a Lighthouse of our own; one report for both.

Sources: PageSpeed Insights API v5 (``runPagespeed``); Lighthouse 13's JSON result ("Understanding the results").
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import orjson

from consumers.audit.outside.service import Service
from consumers.net import urls
from consumers.net.browser import chromium
from streams.errors import TransientError

if TYPE_CHECKING:
    from consumers.net.browser.egress import EgressProxy
    from consumers.net.fetch import Fetcher

Strategy = Literal["mobile", "desktop"]
STRATEGIES: Final[tuple[Strategy, ...]] = ("mobile", "desktop")

API_URL: Final = "https://www.googleapis.com/pagespeedonline/v5/runPagespeed"
CATEGORIES: Final = ("performance", "accessibility", "best-practices", "seo")
API_TIMEOUT_S: Final = 120.0
RUN_TIMEOUT_S: Final = 150.0
MAX_RESULT_BYTES: Final = 32 * 1024 * 1024
MAX_OPPORTUNITIES: Final = 10

METRICS: Final = {
    "first-contentful-paint": "fcp_ms",
    "largest-contentful-paint": "lcp_ms",
    "total-blocking-time": "tbt_ms",
    "cumulative-layout-shift": "cls",
    "speed-index": "speed_index_ms",
    "interactive": "tti_ms",
    "server-response-time": "ttfb_ms",
    "total-byte-weight": "total_bytes",
}
"""Lighthouse's audits and what the report calls their numbers."""

_FIELD: Final = {
    "LARGEST_CONTENTFUL_PAINT_MS": "lcp_ms",
    "INTERACTION_TO_NEXT_PAINT": "inp_ms",
    "CUMULATIVE_LAYOUT_SHIFT_SCORE": "cls",
    "FIRST_CONTENTFUL_PAINT_MS": "fcp_ms",
    "EXPERIMENTAL_TIME_TO_FIRST_BYTE": "ttfb_ms",
}


class SpeedMeter(Protocol):
    """Something that measures a page."""

    @property
    def name(self) -> str:
        """``google`` or ``lighthouse``."""
        ...

    async def measure(self, url: str, strategy: Strategy) -> dict[str, Any]:
        """The normalised report of a page in one form factor; see `normalised`."""
        ...


class GoogleSpeed:
    """PageSpeed Insights. The key goes into a header, never into an address."""

    name = "google"

    def __init__(self, fetch: Fetcher, key: str, url: str = API_URL) -> None:
        self._service = Service(
            "Google PageSpeed", url, fetch, headers={"X-Goog-Api-Key": key}, timeout_s=API_TIMEOUT_S
        )

    async def measure(self, url: str, strategy: Strategy) -> dict[str, Any]:
        """Ask Google to run Lighthouse; with it comes what Chrome's users met in the last 28 days."""
        answer = await self._service.get(url=url, strategy=strategy, category=CATEGORIES)
        return normalised(answer.get("lighthouseResult") or {}, strategy, self.name, answer.get("loadingExperience"))


@dataclass(frozen=True, slots=True)
class LocalLighthouse:
    """A Lighthouse that `millrace setup audit` installed, with a Chromium that reaches only the egress proxy.

    Attributes:
        node: Path of a Node >= 22.
        script: Path of Lighthouse's command.
        proxy: The only way out of its Chromium.
        chromium_path: Of the browser; None looks on PATH.
    """

    node: str
    script: str
    proxy: EgressProxy
    chromium_path: str | None = None
    name: str = "lighthouse"

    async def measure(self, url: str, strategy: Strategy) -> dict[str, Any]:
        """Run Lighthouse in a process group of its own, killed when it takes too long.

        Raises:
            TransientError: ``lighthouse_failed`` or ``timeout``.
        """
        with tempfile.TemporaryDirectory(prefix="millrace-lighthouse-", ignore_cleanup_errors=True) as folder:
            output = Path(folder) / "result.json"
            process = await asyncio.create_subprocess_exec(
                *self._command(url, strategy, output, folder),
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
                env=self._environment(folder), start_new_session=True,
            )  # fmt: skip
            try:
                async with asyncio.timeout(RUN_TIMEOUT_S):
                    _, said = await process.communicate()
            except TimeoutError:
                raise TransientError(
                    f"Lighthouse was not done with {urls.redact(url)} after {RUN_TIMEOUT_S:g} s", reason="timeout"
                ) from None
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
            if not output.is_file() or output.stat().st_size > MAX_RESULT_BYTES:
                raise TransientError(
                    f"Lighthouse gave no result for {urls.redact(url)}: {_last_line(said)}", reason="lighthouse_failed"
                )
            return normalised(orjson.loads(output.read_bytes()), strategy, self.name)

    def _command(self, url: str, strategy: Strategy, output: Path, folder: str) -> list[str]:
        flags = [
            "--headless=new",
            f"--proxy-server={self.proxy.url}",
            "--proxy-bypass-list=<-loopback>",
            f"--user-data-dir={folder}/profile",
            *(one for one in chromium.arguments("lighthouse") if " " not in one),
            *(() if chromium.is_sandboxed() else ("--no-sandbox",)),
        ]
        return [
            self.node, self.script, url, "--output=json", f"--output-path={output}", "--quiet",
            f"--only-categories={','.join(CATEGORIES)}", f"--chrome-flags={' '.join(flags)}",
            "--no-enable-error-reporting", *(("--preset=desktop",) if strategy == "desktop" else ()),
        ]  # fmt: skip

    def _environment(self, folder: str) -> dict[str, str]:
        kept = {name: str(value) for name, value in chromium.environment(os.environ).items()}
        return {**kept, "CHROME_PATH": chromium.find(self.chromium_path), "HOME": folder, "NO_COLOR": "1"}


def normalised(
    result: dict[str, Any], strategy: Strategy, source: str, field: dict[str, Any] | None = None
) -> dict[str, Any]:
    """One report from a Lighthouse result, whoever ran it.

    Returns:
        ``strategy source version url fetched_at scores`` (0 to 100), ``metrics`` (see `METRICS`), ``field`` (75th
        percentiles of real visits, empty without), ``opportunities`` (the largest savings first) and ``audits``
        (id -> score 0 to 1 and value).

    Raises:
        TransientError: ``lighthouse_failed``: the run itself failed.
    """
    if error := result.get("runtimeError"):
        raise TransientError(
            f"Lighthouse could not load the page: {error.get('message', '')[:200]}", reason="lighthouse_failed"
        )
    audits: dict[str, Any] = result.get("audits") or {}
    scores = {
        name.replace("-", "_"): round(100 * score)
        for name, category in (result.get("categories") or {}).items()
        if isinstance(score := category.get("score"), int | float)
    }
    if not scores:
        raise TransientError("Lighthouse answered without scores; it is asked again later", reason="lighthouse_failed")
    return {
        "status": "measured",
        "strategy": strategy,
        "source": source,
        "version": result.get("lighthouseVersion", ""),
        "url": result.get("finalDisplayedUrl") or result.get("finalUrl") or "",
        "fetched_at": result.get("fetchTime", ""),
        "scores": scores,
        "metrics": {
            name: round(value, 3)
            for audit, name in METRICS.items()
            if isinstance(value := (audits.get(audit) or {}).get("numericValue"), int | float)
        },
        "field": _field(field),
        "opportunities": _opportunities(audits),
        "audits": {
            name: {"score": one.get("score"), "value": one.get("numericValue")}
            for name, one in audits.items()
            if one.get("scoreDisplayMode") not in {"manual", "notApplicable"}
        },
    }


def installed(home: Path) -> tuple[str, str] | None:
    """Paths of the Node and the Lighthouse that `millrace setup audit` put under `home`; None without them."""
    modules = home / "lighthouse" / "node_modules"
    node, script = modules / "node" / "bin" / "node", modules / "lighthouse" / "cli" / "index.js"
    return (str(node), str(script)) if node.is_file() and script.is_file() else None


def not_measured(reason: str) -> dict[str, Any]:
    """A part that could not be measured, and why."""
    return {"status": "not_measured", "reason": reason}


def _field(experience: dict[str, Any] | None) -> dict[str, float]:
    metrics = (experience or {}).get("metrics") or {}
    found = {
        name: float(value)
        for key, name in _FIELD.items()
        if isinstance(value := (metrics.get(key) or {}).get("percentile"), int | float)
    }
    if "cls" in found:
        found["cls"] /= 100  # the API tells it in hundredths
    return found


def _opportunities(audits: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, one in audits.items():
        details = one.get("details") or {}
        savings = one.get("metricSavings") or {}
        saved_ms = max(
            [details.get("overallSavingsMs") or 0, *(savings.get(metric) or 0 for metric in ("LCP", "FCP", "TBT"))]
        )
        saved_bytes = details.get("overallSavingsBytes") or 0
        if (saved_ms or saved_bytes) and (one.get("score") or 0) < 1:
            found.append(
                {
                    "id": name,
                    "title": str(one.get("title", ""))[:200],
                    "savings_ms": round(saved_ms),
                    "savings_bytes": round(saved_bytes),
                }
            )
    return sorted(found, key=lambda one: (-one["savings_ms"], -one["savings_bytes"]))[:MAX_OPPORTUNITIES]


def _last_line(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"
