"""The windows of the live analytics, as Faust tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from faust.windows import HoppingWindow, TumblingWindow

from consumers.agents import BrokerlessApp
from consumers.analytics.cells import PANE_MS, Cell, Place
from consumers.analytics.shown import REACH_MS, WINDOWS, WindowSpec, fullest_s

if TYPE_CHECKING:
    from consumers.agents import LocalTable


class Windows:
    """A table a kind of window, each place with a cell in every window."""

    def __init__(self, app: BrokerlessApp) -> None:
        self._tables = {
            spec.name: app.Table(f"by_{spec.name}", default=Cell).using_window(
                TumblingWindow(float(spec.size_s))
                if spec.size_s == spec.step_s
                else HoppingWindow(float(spec.size_s), float(spec.step_s))
            )
            for spec in WINDOWS
        }
        self._local = {name: cast("LocalTable", wrapper.table) for name, wrapper in self._tables.items()}
        self._shown: dict[str, dict[float, Any]] = {spec.name: {} for spec in WINDOWS}

    def add(self, place: Place, cell: Cell, event: Any) -> None:
        """Count a cell in every window that the event's time is in."""
        for table in self._tables.values():
            table[place].apply(Cell.merge, cell, event)

    def forget(self, now_ms: int) -> None:
        """Let go of windows that are shown no more."""
        for spec in WINDOWS:
            self._local[spec.name].forget_before(now_ms / 1_000 - spec.kept * spec.step_s - spec.step_s)

    def view(self, spec: WindowSpec, now_ms: int) -> list[dict[str, Any]]:
        """The windows of a kind that there are, the newest first, each with its rows."""
        table = self._local[spec.name]
        shown, before = {}, self._shown[spec.name]
        for begin_s in sorted(table.by_window, reverse=True):
            is_over = now_ms / 1_000 >= begin_s + spec.size_s
            if is_over and begin_s in before and begin_s not in table.touched:
                shown[begin_s] = before[begin_s]
                continue
            elapsed_s = min(float(spec.size_s), max(1.0, now_ms / 1_000 - begin_s))
            keys = sorted(table.by_window[begin_s], key=lambda key: key[0])
            rows = [_row(place, table.data[place, window], elapsed_s) for place, window in keys]
            window_view = {
                "from_ms": int(begin_s * 1_000), "to_ms": int((begin_s + spec.size_s) * 1_000), "is_over": is_over,
                "rows": rows,
            }  # fmt: skip
            shown[begin_s] = window_view
        table.touched.clear()
        # What was shown of a window that was not over says so until it is looked at once more.
        self._shown[spec.name] = {begin_s: one for begin_s, one in shown.items() if one["is_over"]}
        return list(shown.values())

    def total(self, name: str, now_ms: int, *, stage: str = "", flow: str = "") -> Cell:
        """All that a kind's fullest window has of a stage or a flow, over all tenants and hosts."""
        spec = next(one for one in WINDOWS if one.name == name)
        table = self._local[name]
        total = Cell()
        for place, window in table.by_window.get(fullest_s(spec, now_ms), ()):
            if stage in {"", place.stage} and flow in {"", place.flow}:
                total.merge(table.data[place, window])
        return total


def is_too_late(pane_ms: int, now_ms: int) -> bool:
    """Whether a pane is of no window that is kept."""
    return pane_ms + PANE_MS <= now_ms - REACH_MS


def _row(place: Place, cell: Cell, elapsed_s: float) -> dict[str, Any]:
    run, whole = cell.run.quantiles(0.5, 0.95, 0.99), cell.whole.quantiles(0.5, 0.95, 0.99)
    ended = cell.done + cell.failed
    return {
        "tenant": place.tenant, "stage": place.stage, "flow": place.flow, "host": place.host, "opened": cell.opened,
        "done": cell.done, "failed": cell.failed, "retried": cell.retried, "reclaimed": cell.reclaimed,
        "redriven": cell.redriven, "per_s": round(cell.done / elapsed_s, 3),
        "failure_rate": round(cell.failed / ended, 4) if ended else None,
        "run_s": _percentiles(run, cell.run.most), "whole_s": _percentiles(whole, cell.whole.most),
    }  # fmt: skip


def _percentiles(found: list[float | None], most_ms: int) -> dict[str, float | None]:
    names = ("p50", "p95", "p99")
    shown = {name: None if value is None else round(value / 1_000, 4) for name, value in zip(names, found, strict=True)}
    return {**shown, "max": most_ms / 1_000 if found[0] is not None else None}
