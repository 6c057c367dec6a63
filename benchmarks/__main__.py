"""The command: which benchmarks, how long, and where the figures go. See README.md here."""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks import drain, flat, ingest, latency, memory, reject, report, scale, server, start
from benchmarks.harness import Bench, Options, say
from benchmarks.peers.installed import compiled_missing
from benchmarks.plot import picture
from benchmarks.report import Table

PARTS: dict[str, Callable[[Bench], list[Table]]] = {
    "ingest": ingest.run,
    "drain": drain.run,
    "latency": latency.run,
    "flat": flat.run,
    "memory": memory.run,
    "reject": reject.run,
    "start": start.run,
    "scale": scale.run,
}


def parse(arguments: list[str]) -> tuple[list[str], Options, Path | None, Path | None]:
    """Which parts, how, and the files for the JSON and for the picture."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measures Hookline and its peers."
    )
    parser.add_argument("part", nargs="*", default="all", choices=[*PARTS, "all"])
    parser.add_argument(
        "--quick", action="store_true", help="a minute or two, not for figures to quote"
    )
    parser.add_argument("--rounds", type=int, help="interleaved rounds, of which the median counts")
    parser.add_argument("--seconds", type=float, help="timed, for a peer and round")
    parser.add_argument("--connections", type=int)
    parser.add_argument("--jobs", type=int, help="backlog of the drain")
    parser.add_argument("--pending", type=int, help="the large backlog of `flat`")
    parser.add_argument("--webhooks", type=int, help="sent by `latency`")
    parser.add_argument(
        "--compiled", action="store_true", help="Hookline's hot parts, also where it has no peers"
    )
    parser.add_argument("--only", action="append", metavar="NAME", help="peers whose name holds this")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every table and round there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the rates there, as SVG")
    given = vars(parser.parse_args(arguments))
    parts, quick = given.pop("part"), given.pop("quick")
    file, drawing = given.pop("json"), given.pop("plot")
    options = Options.quick() if quick else Options()
    given["only"] = tuple(given["only"] or ())
    changes = {name: value for name, value in given.items() if value is not None}
    chosen = list(PARTS) if "all" in parts else list(dict.fromkeys(parts))
    return chosen, replace(options, **changes), file, drawing


def run(parts: list[str], options: Options) -> tuple[dict[str, str], list[Table]]:
    """The facts of the machine and the tables of every part."""
    tables: list[Table] = []
    with tempfile.TemporaryDirectory(prefix="hookline-bench-") as name:
        directory = Path(name)
        with server.running(directory) as store:
            fsync = f"{server.fsync_microseconds(directory):.0f} µs for 4 KB in {tempfile.gettempdir()}"
            facts = report.machine_facts() | store.facts() | {"fsync": fsync}
            facts["settings"] = ", ".join(f"{key} {value}" for key, value in asdict(options).items())
            for part in parts:
                say(f"-- {part}")
                tables += PARTS[part](Bench(options, store, directory))
    return facts, tables


def main() -> int:
    """0 when every figure can be believed, else 1."""
    parts, options, file, drawing = parse(sys.argv[1:])
    if options.compiled and (reason := compiled_missing()):
        say(f"Nothing was measured: {reason}")
        return 1
    facts, tables = run(parts, options)
    print(*(f"{name}: {fact}" for name, fact in facts.items()), sep="\n", end="\n\n")
    print("\n\n".join(report.render(table) for table in tables))
    if file:
        found = {"facts": facts, "tables": [table.as_json() for table in tables]}
        file.write_text(json.dumps(found, indent=2) + "\n")
    if drawing:
        drawing.write_text(picture(tables), encoding="utf-8")
    return int(any(table.doubted for table in tables))


if __name__ == "__main__":
    sys.exit(main())
