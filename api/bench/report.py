"""`docs/benchmarks.md` from a run's figures: tables and plots. Pure, but for `write`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from api.bench.chart import bars, curves
from api.bench.goals import reached

FIGURES: Final = "figures.json"
HEAD: Final = """# Benchmarks

Written by `millrace bench … --write docs/benchmarks.md`; `make benchmarks` runs all measurements (`--all`, about ten
minutes), and a part that has no section below was not run this time. `--full` adds a
backlog of a million and a worker over a million entries. Every figure of the run is in
[figures.json](benchmarks/figures.json). `millrace bench NAME…` measures one part alone; `--help` has the names. The
peers are an extra: `pip install '.[peers]'` and `npm install --prefix bench/peers`, or in an environment of their own,
`--peers-python PATH`.

What is measured is the shipped runtime: fence, job record, lifecycle, leases, trace context, one partition unless said
otherwise. Only the handlers do nothing. A job is six transitions. The floor is `bench/floor.py`: the same loop over six
consumer groups with one bare script call a batch, without fence, jobs, lifecycle, leases or traces. Floor, pipelines
and peers take turns, and medians count; still, on a machine that others use too, compare ratios within a run and the
CPU time of a transition rather than rates of two runs.
"""


def page(figures: Mapping[str, Any], folder: str = "benchmarks") -> str:
    """The page for what was measured.

    Args:
        folder: Of its plots, beside it.
    """
    sections = (
        _conditions, _goals, _throughput, _peers, _latency, _growth, _soak, _recovery, _claims, _capacity, _profile,
        _slow,
    )  # fmt: skip
    text = "\n".join([HEAD, *("\n".join(lines) for section in sections if (lines := [*section(figures)]))])
    return text.replace("](benchmarks/", f"]({folder}/").rstrip() + "\n"


def plots(figures: Mapping[str, Any]) -> dict[str, str]:
    """File name -> SVG."""
    found = {}
    if "transitions_per_s" in figures:
        found["throughput.svg"] = bars("Transitions a second", _rates(figures), "one process unless said otherwise")
    if "growth" in figures:
        lines = {
            label: {int(size): cost for size, cost in figures["growth"][name]["cpu_us_per_transition"].items()}
            for name, label in (("backlog", "entries that wait"), ("pending", "entries held by others"))
        }
        found["growth.svg"] = curves(
            "Cost of a transition", lines, across="entries", upwards="CPU of worker and server, µs"
        )
    return found


def write(figures: Mapping[str, Any], path: Path) -> list[Path]:
    """Write the page, and its plots and figures into a folder of its name; answers what was written.

    Raises:
        OSError: They cannot be written.
    """
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        path: page(figures, folder.name),
        **{folder / name: plot for name, plot in plots(figures).items()},
        folder / FIGURES: orjson.dumps(dict(figures), option=orjson.OPT_INDENT_2).decode() + "\n",
    }
    for file, text in files.items():
        file.write_text(text, encoding="utf-8")
    return list(files)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """A table in Markdown; columns after the first are set flush right when they hold numbers."""
    right = [bool(rows) and all(isinstance(row[n], int | float) for row in rows) for n in range(len(columns))]
    yield "| " + " | ".join(columns) + " |"
    yield "| " + " | ".join("---:" if is_right else "---" for is_right in right) + " |"
    for row in rows:
        yield "| " + " | ".join(_cell(value) for value in row) + " |"
    yield ""


def _cell(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "**no**", None: ""}[value]
    if isinstance(value, int | float):
        return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 1_000 else f"{value:,.2f}"  # noqa: PLR2004
    return str(value).replace("|", "\\|").replace("\n", " ")


def _conditions(figures: Mapping[str, Any]) -> Iterator[str]:
    told = figures["conditions"]
    before, after = (", ".join(map(str, told[f"load_average_{when}"])) for when in ("before", "after"))
    waited = told["server_waited_for_a_core_s"]
    yield "## The run\n"
    yield (
        f"{told['measured_at']}, {told['machine']}, Python {told['python']}, {told['server']}, fsync {told['fsync']}; "
        f"{told['rounds']} rounds of {told['jobs']:,} jobs. Load average before {before}, after {after}"
        + (f"; the server was ready to run but had no core for {waited} s in all" if waited is not None else "")
        + ". A load above the number of cores means that others used the machine.\n"
    )


def _goals(figures: Mapping[str, Any]) -> Iterator[str]:
    for name, why in figures.get("failed", {}).items():
        yield f"Not measured: {name} ({_cell(why)}).\n"
    rows = [(one.what, one.wanted, one.measured, one.holds) for one in reached(figures)]
    if rows:
        yield "## Wanted and reached\n"
        yield from table(("what", "wanted", "measured", "reached"), rows)


def _rates(figures: Mapping[str, Any]) -> list[tuple[str, float, bool]]:
    rows = [("floor, bare loop", figures["floor_per_s"], False), ("Millrace", figures["transitions_per_s"], True)]
    for name, label in (("with_workers", "Millrace, 2 workers"), ("with_partitions", "Millrace, 16 partitions")):
        if name in figures:
            rows.append((label, figures[name]["transitions_per_s"], True))
    rows += [
        (f"{name} {peer['version']}", peer["transitions_per_s"], False)
        for name, peer in figures.get("peers", {}).items()
        if "version" in peer
    ]
    return rows


def _throughput(figures: Mapping[str, Any]) -> Iterator[str]:
    if "transitions_per_s" not in figures:
        return
    rows: list[tuple[str, Mapping[str, Any]]] = [("shipped, one worker", figures)]
    for name, label in (
        ("with_workers", "two workers"),
        ("with_partitions", f"{figures.get('with_partitions', {}).get('partitions')} partitions"),
        ("with_sampling_0", "no trace sampled"),
        ("with_sampling_1", "every trace sampled"),
    ):
        if name in figures:
            rows.append((label, figures[name]))
    columns = ("transitions_per_s", "cpu_us_per_transition", "server_cpu_us_per_transition", "worker_rss_mb")
    floor = (figures["floor_per_s"], figures["floor_cpu_us_per_transition"], "", "")
    yield "## Throughput\n\n![Transitions a second](benchmarks/throughput.svg)\n"
    yield from table(
        ("", "transitions/s", "worker CPU, µs", "server CPU, µs", "worker memory, MB"),
        [("floor", *floor), *((label, *(run[column] for column in columns)) for label, run in rows)],
    )
    ours = ", ".join(f"{run['transitions_per_s']:,}" for run in figures["runs"]["shipped"])
    bare = ", ".join(f"{run['floor_per_s']:,}" for run in figures["runs"]["floor"])
    yield f"Single runs of one worker: {ours}; of the floor: {bare}.\n"
    if "tracing_cost" in figures:
        one, all_ = figures["tracing_cost"]["at_1_percent"], figures["tracing_cost"]["at_100_percent"]
        yield (
            f"Tracing costs {one['cpu']:.1%} of the CPU time ({one['time']:.1%} of the time) when 1 % of the jobs are "
            f"sampled, as shipped, and {all_['cpu']:.1%} ({all_['time']:.1%}) when all are.\n"
        )


def _peers(figures: Mapping[str, Any]) -> Iterator[str]:
    if "peers" not in figures:
        return
    yield "## Peers\n"
    yield (
        "The same chain of six steps by others, at least once, in one process each, on the same server and in the "
        "same rounds; programs in `bench/peers/`. None of them writes a job's record or a history, or hands a step "
        "over in the same move that closes the last one: a crash in between loses or doubles it.\n"
    )
    rows = []
    for name, peer in figures["peers"].items():
        if "version" in peer:
            rows.append(
                (f"{name} {peer['version']}", f"{peer['transitions_per_s']:,}", f"{peer['cpu_us_per_transition']:.0f}",
                 f"{peer['server_cpu_us_per_transition']:.0f}", f"{peer['times_as_fast']:.1f}", peer["settings"])
            )  # fmt: skip
        else:
            why = f"not installed: `{peer['not_installed']}`" if "not_installed" in peer else "failed"
            rows.append((name, why, "", "", "", peer.get("failed", "")))
    yield from table(
        ("", "transitions/s", "worker CPU, µs", "server CPU, µs", "Millrace is times as fast", "with"), rows
    )


def _latency(figures: Mapping[str, Any]) -> Iterator[str]:
    rows: list[tuple[object, ...]] = []
    if "latency_ms" in figures:
        idle, half = figures["latency_ms"], figures["latency_half_load_ms"]
        rows.append(("submit to first handler, idle", f"p50 {idle['p50']} ms, p99 {idle['p99']} ms"))
        rows.append(
            (f"the same at half of the maximum load ({half['jobs_per_s']:,} jobs/s)",
             f"p50 {half['p50']} ms, p99 {half['p99']} ms, longest {half['max']} ms")
        )  # fmt: skip
    for name, label in (
        ("single", "submissions/s, one after the other"),
        ("callers_32", "submissions/s, 32 callers at once"),
        ("batches_of_100", "submissions/s, in batches of 100"),
    ):
        if "submits_per_s" in figures:
            rows.append((label, f"{figures['submits_per_s'][name]:,}"))
    if "redis_bytes_per_job" in figures:
        rows.append(("Redis memory of a queued job", f"{figures['redis_bytes_per_job']:.0f} bytes"))
    if rows:
        yield "## Latency and intake\n"
        yield from table(("what", "measured"), rows)


def _growth(figures: Mapping[str, Any]) -> Iterator[str]:
    if "growth" not in figures:
        return
    yield "## Growth\n\n![Cost of a transition](benchmarks/growth.svg)\n"
    yield (
        "CPU of worker and server for a transition while so many jobs wait (kept so by topping up, so that each "
        "transition has its share of a submission), and while another consumer holds so many entries.\n"
    )
    for name, label in (("backlog", "waiting"), ("pending", "held by others")):
        curve = figures["growth"][name]
        rows = [
            (int(size), cost, curve["server_cpu_us_per_transition"][size], curve["transitions_per_s"][size])
            for size, cost in curve["cpu_us_per_transition"].items()
        ]
        yield from table((label, "CPU, µs", "of it the server's, µs", "transitions/s"), rows)
        yield f"Largest to smallest: {curve['largest_to_smallest']:.2f} x.\n"


def _soak(figures: Mapping[str, Any]) -> Iterator[str]:
    if "soak" not in figures:
        return
    soak = figures["soak"]
    sizes = list(soak["resident_mb"].items())
    shown = sizes[:: max(1, len(sizes) // 10)]
    yield "## Memory of a worker\n"
    yield from table(("entries settled", "resident, MB"), [(int(at), size) for at, size in shown])
    yield f"{soak['transitions']:,} entries in all; the largest it ever was: {soak['largest_mb']:.1f} MB.\n"


def _recovery(figures: Mapping[str, Any]) -> Iterator[str]:
    if "recovery_s" not in figures and "autoscale" not in figures:
        return
    yield "## Recovery and scale\n"
    rows: list[tuple[object, ...]] = []
    if "recovery_s" in figures:
        told = figures["recovery_s"]
        for way, label in (("by_lease", "nobody saw it die"), ("by_supervisor", "its supervisor did")):
            one = told[way]
            rows.append(
                (f"SIGKILL of a worker until its entries were done, {label}",
                 f"p50 {one['p50']} s, p99 {one['p99']} s ({told['kills']} kills, {one['entries']} entries)")
            )  # fmt: skip
    if "autoscale" in figures:
        scaled = figures["autoscale"]
        rows.append(("`--autoscale 1,2`: from the first job that waits to a second process", f"{scaled['up_s']} s"))
        rows.append(("from the last job's end back to one process", f"{scaled['down_s']} s"))
        rows.append((f"jobs lost of {scaled['jobs']:,} meanwhile", scaled["lost"]))
    yield from table(("what", "measured"), [(what, str(value)) for what, value in rows])


def _claims(figures: Mapping[str, Any]) -> Iterator[str]:
    if "claims" in figures:
        yield "## What the systems before this one claimed\n"
        rows = [(one["claimed"], f"{one['measured']:,} {one['unit']}", one["holds"]) for one in figures["claims"]]
        yield from table(("claimed", "measured here", "holds"), rows)


def _capacity(figures: Mapping[str, Any]) -> Iterator[str]:
    if "capacity" not in figures:
        return
    told = figures["capacity"]
    put = told["measured"]
    yield "## What it carries\n"
    yield (
        "Calculated from this run (`api/bench/capacity.py`). A server executes scripts on one thread, a worker process "
        "has one core; with `s` and `w` µs of them for a transition\n\n"
        f"    carried = {told['headroom']} x min(1e6 / s x share, cores / w x 1e6)\n\n"
        "where `share` is `p / ceil(p / m)` for `p` partitions on `m` masters, and the cores of workers that keep up "
        f"are `carried x w / 1e6`. Put in: s = {put['server_us']} and w = {put['worker_us']} with one partition, "
        f"s = {put['server_us_many']} and w = {put['worker_us_many']} with 16. The factor is the room for bursts, "
        "rewrites of the append-only file and those who look. Not put in: what handlers do, which is usually most.\n"
    )
    yield from table(
        ("", "transitions/s", "limited by", "worker cores"),
        [
            (row["name"], row["transitions_per_s"], row["limited_by"], f"{row['worker_cores']:.1f}")
            for row in told["rows"]
        ],
    )
    yield (
        f"A GiB of Redis holds {told['queued_jobs_per_gib']:,} queued jobs or {told['lifecycle_entries_per_gib']:,} "
        "entries of lifecycle.\n"
    )


def _profile(figures: Mapping[str, Any]) -> Iterator[str]:
    told = figures.get("profile")
    if not told:
        return
    yield "## Where the time of a transition goes\n"
    yield (
        f"By the server's own account over {told['transitions']:,} transitions, in microseconds of its one thread for "
        "each; a batch's entries share a script call, an fsync and a read.\n"
    )
    rows = [("reading: XREADGROUP", told["reading_us"]), ("scripts", told["scripts_us"])]
    rows += [
        (f"of that: {'Lua, and the way to the commands' if name == 'lua' else name.upper()}", us)
        for name, us in told["of_scripts"].items()
    ]
    rows += [("append-only file, fsync, sockets, memory", told["outside_us"]), ("the server in all", told["server_us"]),
             ("the worker", told["worker_us"])]  # fmt: skip
    yield from table(("", "µs"), rows)
    if told["single_us"]:
        yield "What `complete` does for an entry, each by itself, with its share of the append-only file:\n"
        yield from table(("", "µs"), list(told["single_us"].items()))
    most = 1e6 / told["server_us"]
    yield (
        "The floor reads, acknowledges and adds one entry; a job's record, its lifecycle entry and the fence are the "
        f"rest. At {told['server_us']} µs a transition one server does {most:,.0f} a second at most, were it never "
        f"idle; 35,000 would need {1e6 / 35_000:.1f} µs.\n"
    )


def _slow(figures: Mapping[str, Any]) -> Iterator[str]:
    slow = figures.get("slowlog", {})
    if "count" not in slow:
        return
    yield "## What blocked the server\n"
    yield (
        f"SLOWLOG over {slow['transitions']:,} transitions: {slow['count']} scripts or commands above "
        f"{slow['threshold_ms']:.0f} ms, and {slow['count_during_floor']} during the runs of the floor, which has "
        "nothing that long: those are the machine's, which took the core away in the middle of a command.\n"
    )
    if "undisturbed" in slow:
        alone = slow["undisturbed"]
        yield (
            f"With real-time scheduling of the server, so that nobody takes its core: {alone['count']} in "
            f"{alone['transitions']:,} transitions.\n"
        )
    if slow["count"]:
        yield from table(("command or move", "times"), list(slow["by_command"].items()))
        worst = slow["worst"]
        yield (
            f"The longest: {worst['command']} with {worst['arguments']} arguments, {worst['took_ms']} ms, during "
            f"{worst['during']}.\n"
        )
