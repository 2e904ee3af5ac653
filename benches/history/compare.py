#!/usr/bin/env python3
"""Bytes a row of the Binance files: in Tapebook's files of history, and in those of others.

    python3 -m venv venv && venv/bin/pip install duckdb==2.0.0 polars==2.1.0 chdb==4.4.0
    venv/bin/python benches/history/compare.py DATA [--levels 6] [--binary bytes_per_row] [--scratch DIR]

`DATA` is the folder with `trades.parquet`, `quotes.parquet` and `book_deltas.parquet`. Each is written as a file of history
first (by the example `bytes_per_row`, built unless `--binary` names it); the others write what is in that file: the same
columns, `seq` included, the same rows in the same order, at the same level of zstd, without Bloom filters. So ours stands
there without its filters too. Every file written is read again and compared by count and sums.

What the others may choose, they choose for every file anew, and the smallest counts: DuckDB the version of Parquet's
pages and whether there are dictionaries, ClickHouse the latter too, and the codec of each column of a MergeTree, out of
those for the column's type.
"""

import argparse
import itertools
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import chdb
import duckdb
import polars
from chdb.session import Session

PINNED = {"duckdb": (duckdb, "2.0.0"), "polars": (polars, "2.1.0"), "chdb": (chdb, "4.4.0")}
TABLES = ["trades", "quotes", "book_deltas"]
ROW_GROUP_ROWS = 400_000

# What may stand before zstd in the codec of a column; `LowCardinality` changes its type instead.
CODECS = {
    "time": ["", "Delta(8), ", "DoubleDelta, ", "T64, ", "T64('bit'), "],
    "integer": ["", "Delta, ", "DoubleDelta, ", "T64, ", "T64('bit'), "],
    "float": ["", "Delta(8), ", "Gorilla, ", "FPC, ", "DoubleDelta, "],
    "text": ["", "LowCardinality"],
    "other": [""],
}


def ours(binary: list[str], source: Path, table: str, level: int, out: Path) -> None:
    """Writes a file of history."""
    command = [*binary, str(source), table, "--level", str(level), "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def filter_bytes(file: Path) -> int:
    """Bytes of the Bloom filters of a Parquet file."""
    query = f"SELECT coalesce(sum(bloom_filter_length), 0) FROM parquet_metadata('{file}')"
    return int(duckdb.sql(query).fetchall()[0][0])


def facts(file: Path) -> tuple:
    """What every copy of a file must agree on."""
    columns = duckdb.sql(f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM '{file}')").fetchall()
    sums = ["count(*)"] + [f"sum({name})" for name, kind in columns if kind in ("DOUBLE", "UBIGINT")]
    found = duckdb.sql(f"SELECT {', '.join(sums)} FROM '{file}'").fetchall()[0]
    # The order of additions is a reader's own.
    return tuple(None if value is None else float(f"{float(value):.9g}") for value in found)


def duckdb_parquet(source: Path, level: int, scratch: Path) -> list[Path]:
    """One file for each version of the pages, with and without dictionaries."""
    files = []
    for version, dictionary in itertools.product(("V1", "V2"), ("", ", DICTIONARY_SIZE_LIMIT 1")):
        file = scratch / f"duckdb-{len(files)}.parquet"
        duckdb.sql(
            f"COPY (SELECT * FROM '{source}') TO '{file}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {level}, "
            f"PARQUET_VERSION {version}, ROW_GROUP_SIZE {ROW_GROUP_ROWS}, WRITE_BLOOM_FILTER false{dictionary})"
        )
        files.append(file)
    return files


def duckdb_database(source: Path, scratch: Path) -> int:
    """DuckDB's own file, which has no level to choose."""
    file = scratch / "own.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute(f"CREATE TABLE t AS SELECT * FROM '{source}'")
        connection.execute("CHECKPOINT")
        rows = connection.execute("SELECT count(*) FROM t").fetchall()[0][0]
    assert rows == facts(source)[0]
    return file.stat().st_size


def polars_parquet(source: Path, level: int, scratch: Path) -> list[Path]:
    """One file."""
    file = scratch / "polars.parquet"
    frame = polars.read_parquet(source)
    frame.write_parquet(file, compression="zstd", compression_level=level, row_group_size=ROW_GROUP_ROWS)
    return [file]


def clickhouse_parquet(session: Session, source: Path, level: int, scratch: Path) -> list[Path]:
    """A file with dictionaries, as by itself, and one without."""
    files = []
    for dictionary_bytes in (1 << 20, 0):
        file = scratch / f"clickhouse-{dictionary_bytes}.parquet"
        session.query(
            f"INSERT INTO FUNCTION file('{file}', Parquet) SELECT * FROM file('{source}', Parquet) SETTINGS "
            f"output_format_parquet_compression_method = 'zstd', output_format_compression_level = {level}, "
            f"output_format_parquet_row_group_size = {ROW_GROUP_ROWS}, output_format_parquet_write_bloom_filter = 0, "
            f"output_format_parquet_max_dictionary_size = {dictionary_bytes}, max_threads = 1"
        )
        files.append(file)
    return files


def rows_of(session: Session, query: str) -> list[list[str]]:
    """The answer to a query as texts."""
    text = session.query(query, "TabSeparatedRaw").bytes().decode()
    return [line.split("\t") for line in text.splitlines()]


def clickhouse_merge_tree(session: Session, source: Path, level: int) -> int:
    """A MergeTree in our order, each column with the codec that makes it smallest."""
    columns = [row[:2] for row in rows_of(session, f"DESCRIBE file('{source}', Parquet)")]
    order = ("symbol", "ts", "seq")

    def kind_of(declared: str) -> str:
        bare = declared.removeprefix("Nullable(").removesuffix(")") if declared.startswith("Nullable") else declared
        for prefix, kind in (("DateTime", "time"), ("UInt", "integer"), ("Int", "integer"), ("Float", "float")):
            if bare.startswith(prefix):
                return kind
        return "text" if bare == "String" else "other"

    def column(name: str, declared: str, codec: str) -> str:
        if codec == "LowCardinality":
            return f"`{name}` LowCardinality({declared}) CODEC(ZSTD({level}))"
        return f"`{name}` {declared} CODEC({codec}ZSTD({level}))"

    def fill(codecs: dict[str, str]) -> None:
        session.query("DROP TABLE IF EXISTS t")
        declared = ", ".join(column(name, kind, codecs[name]) for name, kind in columns)
        session.query(
            f"CREATE TABLE t ({declared}) ENGINE = MergeTree ORDER BY ({', '.join(order)}) "
            "SETTINGS min_bytes_for_wide_part = 0, allow_suspicious_low_cardinality_types = 1"
        )
        session.query(f"INSERT INTO t SELECT * FROM file('{source}', Parquet)")
        session.query("OPTIMIZE TABLE t FINAL")

    session.query("SET allow_suspicious_codecs = 1")
    session.query("SET allow_suspicious_low_cardinality_types = 1")
    best: dict[str, tuple[int, str]] = {}
    for turn in range(max(len(codecs) for codecs in CODECS.values())):
        chosen = {name: CODECS[kind_of(kind)] for name, kind in columns}
        chosen = {name: codecs[min(turn, len(codecs) - 1)] for name, codecs in chosen.items()}
        fill(chosen)
        sizes = rows_of(
            session,
            "SELECT column, sum(column_data_compressed_bytes) FROM system.parts_columns "
            "WHERE table = 't' AND active GROUP BY column",
        )
        for name, size in sizes:
            candidate = (int(size), chosen[name])
            best[name] = min(best.get(name, candidate), candidate)
    fill({name: codec for name, (_, codec) in best.items()})
    rows, size, parts = (int(value) for value in rows_of(
        session, "SELECT sum(rows), sum(bytes_on_disk), count() FROM system.parts WHERE table = 't' AND active"
    )[0])
    assert (rows, parts) == (facts(source)[0], 1), (rows, parts)
    return size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--levels", type=int, nargs="+", default=[6])
    parser.add_argument("--binary", help="the example bytes_per_row, already built")
    parser.add_argument("--scratch", help="where files are written")
    arguments = parser.parse_args()
    for name, (module, version) in PINNED.items():
        if module.__version__ != version:
            print(f"note: {name} is {module.__version__}, the published numbers are of {version}", file=sys.stderr)
    cargo = "cargo run --quiet --release -p tapebook-history --example bytes_per_row --"
    binary = [arguments.binary] if arguments.binary else cargo.split()
    sizes: dict[str, dict[tuple[str, int], float]] = {}
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        scratch = Path(folder)
        session = Session(str(scratch / "clickhouse"))
        for table in TABLES:
            for level in arguments.levels:
                source = scratch / f"{table}.parquet"
                ours(binary, arguments.data / f"{table}.parquet", table, level, source)
                rows, whole = facts(source)[0], source.stat().st_size

                def note(writer: str, size: int) -> None:
                    sizes.setdefault(writer, {})[table, level] = size / rows

                def smallest(files: list[Path]) -> int:
                    for file in files:
                        if facts(file) != facts(source):
                            sys.exit(f"{file.name} has other rows than {table}: {facts(file)}, {facts(source)}")
                    return min(file.stat().st_size for file in files)

                note("Tapebook, whole file", whole)
                note("Tapebook without Bloom filters", whole - filter_bytes(source))
                note("DuckDB, Parquet", smallest(duckdb_parquet(source, level, scratch)))
                note("Polars, Parquet", smallest(polars_parquet(source, level, scratch)))
                note("ClickHouse, Parquet", smallest(clickhouse_parquet(session, source, level, scratch)))
                note("ClickHouse, MergeTree", clickhouse_merge_tree(session, source, level))
                note("DuckDB, its own file", duckdb_database(source, scratch))
                for file in scratch.iterdir():
                    if file.is_file():
                        file.unlink()
        version = rows_of(session, "SELECT version()")[0][0]
        session.close()
    print(f"DuckDB {duckdb.__version__}, Polars {polars.__version__}, ClickHouse {version} (chdb {chdb.__version__})\n")
    heads = [f"{re.sub('_', ' ', table)}, level {level}" for table in TABLES for level in arguments.levels]
    print(f"| bytes a row | {' | '.join(heads)} |")
    print(f"|---|{'---|' * len(heads)}")
    for writer, found in sizes.items():
        values = [f"{found[table, level]:.2f}" for table in TABLES for level in arguments.levels]
        print(f"| {writer} | {' | '.join(values)} |")


if __name__ == "__main__":
    main()
