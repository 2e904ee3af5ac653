#!/usr/bin/env python3
"""Imports the Binance files with Tapebook and with DuckDB, in turns, and prints what each takes.

    python3 benches/import/compare.py target/release/tapebook [--runs N] [--scratch DIR]

Both sides read the same three files (book deltas as Parquet, quotes and trades as gzipped CSV) into an empty directory, one
process a file. Tapebook's rows are synced before its process ends; DuckDB creates a table from each file and ends with a
CHECKPOINT. Both read all columns of the files but the one that has no place in ours. `--threads N` bounds DuckDB's threads.

Wall time is from start to end of the processes; CPU time and the greatest resident set are the operating system's, of the
processes alone. `disk` is what is there afterwards, log included.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

FILES = {"book_deltas": "book_deltas.parquet", "quotes": "quotes.csv.gz", "trades": "trades.csv.gz"}
TIMES = "make_timestamp_ns(ts) AS ts, make_timestamp_ns(recv_ts) AS recv_ts"
QUERIES = {
    "book_deltas": "SELECT * EXCLUDE (first_update_id) FROM read_parquet('{0}')",
    "quotes": f"SELECT * REPLACE ({TIMES}) FROM read_csv('{{0}}')",
    "trades": f"SELECT * REPLACE ({TIMES}) FROM read_csv('{{0}}', types = {{{{'trade_id': 'VARCHAR'}}}})",
}
DUCKDB = """
import sys, duckdb
database, table, query, threads = sys.argv[1:]
con = duckdb.connect(database)
if int(threads): con.execute(f"SET threads = {threads}")
con.execute(f"CREATE TABLE {table} AS {query}")
con.execute("CHECKPOINT")
con.close()
"""


@dataclass
class Cost:
    """What the processes of a run took."""

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    rss_bytes_max: int = 0
    disk_bytes: int = 0


def run(command: list[str], cost: Cost) -> None:
    """Runs a command and adds what it took."""
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        cost.wall_seconds += time.perf_counter() - begin
        if process.returncode:
            said.seek(0)
            sys.exit(f"{command[0]} failed: {said.read().decode(errors='replace')}")
    cost.cpu_seconds += usage.ru_utime + usage.ru_stime
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    cost.rss_bytes_max = max(cost.rss_bytes_max, usage.ru_maxrss * unit)


def bytes_under(directory: Path) -> int:
    """The blocks that the files of a directory take."""
    return sum(file.stat().st_blocks * 512 for file in directory.rglob("*") if file.is_file())


def tapebook(binary: Path, data: Path, directory: Path) -> Cost:
    """One run of `tapebook import` for each file."""
    cost = Cost()
    for table, file in FILES.items():
        run([str(binary), "--quiet", "--data", str(directory / "data"), "import", table, str(data / file)], cost)
    cost.disk_bytes = bytes_under(directory)
    return cost


def duckdb(data: Path, directory: Path, threads: int) -> Cost:
    """One run of `CREATE TABLE … AS SELECT …` for each file."""
    cost = Cost()
    for table, file in FILES.items():
        query = QUERIES[table].format(data / file)
        run([sys.executable, "-c", DUCKDB, str(directory / "data.db"), table, query, str(threads)], cost)
    cost.disk_bytes = bytes_under(directory)
    return cost


def baseline(directory: Path) -> Cost:
    """What a process takes that opens DuckDB and does nothing: the interpreter belongs to the measure, not to DuckDB."""
    cost = Cost()
    for table in FILES:
        run([sys.executable, "-c", DUCKDB, str(directory / "data.db"), table, "SELECT 1 AS one", "0"], cost)
    cost.disk_bytes = bytes_under(directory)
    return cost


def line(name: str, costs: list[Cost]) -> str:
    """A row of the table: medians, and the range of the wall time."""
    middle = {field: statistics.median(getattr(cost, field) for cost in costs) for field in Cost.__annotations__}
    walls = [cost.wall_seconds for cost in costs]
    return (
        f"| {name} | {middle['wall_seconds']:.2f} | {min(walls):.2f} to {max(walls):.2f} | {middle['cpu_seconds']:.2f} "
        f"| {middle['rss_bytes_max'] / 2**20:.0f} MiB | {middle['disk_bytes'] / 2**20:.1f} MiB |"
    )


def main() -> None:
    """Runs both sides in turns and prints the table."""
    root = Path(__file__).resolve().parent.parent.parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", type=Path, help="the release binary of tapebook")
    parser.add_argument("--runs", type=int, default=5, help="runs of each side")
    parser.add_argument("--threads", type=int, default=0, help="threads of DuckDB; 0 is its own choice")
    parser.add_argument("--scratch", type=Path, help="a directory on the disk that is measured")
    args = parser.parse_args()
    data = Path(os.environ.get("TAPEBOOK_TEST_DATA", root.parent / "shared" / "data")) / "binance_normalized"
    if not data.is_dir():
        sys.exit(f"{data}: no market data; name its directory with TAPEBOOK_TEST_DATA")
    version = subprocess.run(
        [sys.executable, "-c", "import duckdb; print(duckdb.__version__)"], capture_output=True, text=True, check=True
    ).stdout.strip()
    sides = {
        "tapebook": lambda directory: tapebook(args.binary, data, directory),
        f"DuckDB {version}": lambda directory: duckdb(data, directory, args.threads),
        "DuckDB, one row a table": baseline,
    }
    for file in FILES.values():
        # Read once, so that the first run is as warm as the others; in pieces, because what this process has resident
        # is the least that the system reports for those that it starts.
        with (data / file).open("rb") as opened:
            while opened.read(1 << 16):
                pass
    costs: dict[str, list[Cost]] = {name: [] for name in sides}
    for _ in range(args.runs):
        for name, side in sides.items():
            directory = Path(tempfile.mkdtemp(dir=args.scratch, prefix="tapebook-import-"))
            try:
                costs[name].append(side(directory))
            finally:
                shutil.rmtree(directory)
    print(f"{args.runs} runs of each in turns, medians, warm files, {os.cpu_count()} processors\n")
    print("| | wall s | range | CPU s | peak RSS | on disk |\n|---|---|---|---|---|---|")
    for name, measured in costs.items():
        print(line(name, measured))


if __name__ == "__main__":
    main()
