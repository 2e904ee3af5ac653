"""Counts the rows of a folder of Parquet files again and again, each time from scratch, until its input ends.

Usage: count.py READER FOLDER. Prints a line for each time: rows, different values of `seq`, their sum. A program that opens
a file more than once for one query (Polars does) refuses it where it was replaced in between; such a query is asked again,
as its user would.
"""

import sys
import threading

reader, folder = sys.argv[1:]
files = f"{folder}/*.parquet"


def with_duckdb():
    import duckdb

    query = f"SELECT count(*), count(DISTINCT seq), sum(seq) FROM read_parquet('{files}')"
    return lambda: duckdb.connect().execute(query).fetchone()


def with_polars():
    import polars

    def count():
        seq = polars.col("seq")
        asked = [seq.len().alias("rows"), seq.n_unique().alias("different"), seq.sum().alias("sum")]
        return polars.scan_parquet(files).select(asked).collect().row(0)

    return count


def with_pandas():
    import pandas

    def count():
        seq = pandas.read_parquet(folder, columns=["seq"])["seq"]
        return len(seq), seq.nunique(), seq.sum()

    return count


count = {"duckdb": with_duckdb, "polars": with_polars, "pandas": with_pandas}[reader]()
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
refused = 0
while True:
    last = ended.is_set()
    try:
        answer = count()
    except Exception as error:
        refused += 1
        print(f"{reader}: {error}", file=sys.stderr)
        if refused > 20:
            raise
        continue
    refused = 0
    print(*(int(value) for value in answer), flush=True)
    # Once more after the end, so that the last line is of what is there for good.
    if last:
        break
