#!/usr/bin/env python3
"""Computes the golden answers with DuckDB and writes `answers.json` beside this file.

    python3 tests/golden/regenerate.py

The market data is read from $TAPEBOOK_TEST_DATA, by default `../shared/data` from the project's root. With `--check` nothing
is written; the exit status says whether the file is up to date.
"""

import json
import os
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import duckdb

from datasets import Directory, directories, load
from dialects import DuckDb, Tapebook
from questions import Question, Subject, general, of_feed_numbers, of_ids, of_joins, of_orders, of_quotes, of_sides, of_ticks

HERE = Path(__file__).resolve().parent
ANSWERS = HERE / "answers.json"
ROWS_MAX = 60
"""The answers are checked in, the market data is not."""

COMPUTED = ("sum_", "avg_", "median_")
KINDS = {"BIGINT": "int", "INTEGER": "int", "HUGEINT": "int", "UBIGINT": "int", "VARCHAR": "text"}


def minutes(start: str, count: int) -> tuple[int, int]:
    """Bounds in nanoseconds, from a time of UTC."""
    first = int(datetime.fromisoformat(f"{start}+00:00").timestamp()) * 10**9
    return first, first + count * 60 * 10**9


def subjects() -> list[Subject]:
    """The tables with what is asked of all tables."""
    spot, august = "BINANCE.BTCUSDT", minutes("2024-08-09 00:00:00", 5)
    four = ["bid_price", "bid_size", "ask_price", "ask_size"]
    orders = ["order_id", "account", "side", "position_effect", "type", "time_in_force", "client_order_id"]
    trades = ["side", "trade_id", "venue", "conditions", "bid_order_id", "ask_order_id"]
    deltas = ["side", "action", "order_id", "event_end", "snapshot"]
    prices = ["last_price", "open", "high", "low", "pre_close", "pre_settlement", "upper_limit", "lower_limit"]
    ticks = [*prices, "volume", "turnover", "open_interest", *four]
    both = ["price", "size"]
    return [
        Subject("binance_trades", "trades", both, trades, spot, 10**5, "price", "size", august),
        Subject(
            "binance_quotes", "quotes", four, ["venue", "conditions"], "BINANCE.ETHUSDT", 10**4,
            "bid_price", "bid_size", august,
        ),
        Subject(
            "binance_book_deltas", "book_deltas", both, deltas, "BINANCE_UM.BTCUSDT", 10**5, "price", "size",
            minutes("2024-08-08 23:55:00", 5),
        ),
        Subject(
            "fx_quotes", "quotes", ["bid_price", "ask_price"], ["bid_size", "ask_size", "venue", "conditions"],
            "FXCM.EURUSD", 10**5, "bid_price", "ask_price", minutes("2014-05-07 12:00:00", 20),
        ),
        Subject(
            "cffex_ticks", "ticks", ticks, ["trading_day"], "CFFEX.IF2101", 10, "last_price", "bid_size",
            minutes("2021-01-05 03:20:00", 110),
        ),
        Subject(
            "shanghai_orders", "orders", both, orders, "600536.SH", 1000, "price", "size",
            minutes("2023-07-11 01:15:00", 30),
        ),
    ]  # fmt: skip


def questions_of(con, directory: Directory) -> list[Question]:
    """All questions of a directory whose tables are loaded."""
    found = []
    for s in subjects():
        if s.group not in directory.groups:
            continue
        rows = con.execute(
            f"SELECT ts, seq FROM {s.table} WHERE symbol = ? ORDER BY ts, seq", [s.symbol]
        ).fetchall()
        low, high = rows[len(rows) // 3][0], rows[2 * len(rows) // 3][0]
        found += general(s, (low, high), rows[len(rows) // 2][1])
        if "side" in s.others:
            found += of_sides(s.group, s.table)
        if s.table == "quotes":
            found += of_quotes(s.group)
    if "binance_trades" in directory.groups:
        found += of_ids("binance_trades", "trades", "trade_id") + of_joins("binance_joins")
    if "binance_book_deltas" in directory.groups:
        found += of_feed_numbers("binance_book_deltas", "book_deltas")
    if "cffex_ticks" in directory.groups:
        found += of_ticks("cffex_ticks")
    if "shanghai_orders" in directory.groups:
        ids = of_ids("shanghai_orders", "orders", "order_id")
        found += ids + of_feed_numbers("shanghai_orders", "orders") + of_orders("shanghai_orders")
    return found


def cell(value, kind: str):
    """A value as JSON: integers and texts as they are, DOUBLEs as the shortest text that gives the same DOUBLE."""
    if value is None or kind in ("int", "text"):
        return value
    return repr(float(value))


def answer(con, question: Question) -> dict:
    """The answer to a question, with both texts of it."""
    text = question.sql(DuckDb())
    try:
        result = con.execute(text)
    except duckdb.Error as error:
        raise SystemExit(f"{question.group}.{question.name}: {error}\n{text}") from None
    names = [column[0] for column in result.description]
    types = [str(column[1]) for column in result.description]
    rows = result.fetchall()
    if len(rows) > ROWS_MAX:
        raise SystemExit(f"{question.group}.{question.name}: {len(rows)} rows are too many to check in")
    kinds = []
    for at, (name, kind) in enumerate(zip(names, types)):
        if kind == "DOUBLE":
            kinds.append("computed" if name.startswith(COMPUTED) else "double")
        elif kind in KINDS:
            kinds.append(KINDS[kind])
        elif all(row[at] is None for row in rows):
            kinds.append("text")
        else:
            raise SystemExit(f"{question.group}.{question.name}: {name} is a {kind}")
    return {
        "group": question.group,
        "name": question.name,
        "sql": question.sql(Tapebook()),
        "duckdb": text,
        "columns": names,
        "kinds": kinds,
        "rows": [[cell(value, kind) for value, kind in zip(row, kinds)] for row in rows],
    }


def compute(root: Path) -> dict:
    """All directories and answers. Directories that share a group must agree on its answers."""
    answers, made = {}, []
    with tempfile.TemporaryDirectory() as scratch:
        for directory in directories(root):
            con = duckdb.connect()
            load(con, root, Path(scratch), directory)
            for question in questions_of(con, directory):
                found = answer(con, question)
                name = f"{question.group}.{question.name}"
                if answers.setdefault(name, found) != found:
                    raise SystemExit(f"{name}: {directory.name} gives another answer than the directory before")
            con.close()
            print(f"{directory.name}: done", file=sys.stderr)
            made.append(directory)
    shown = [
        {
            "name": each.name,
            "imports": [
                {"table": i.table, "files": i.files, "args": i.args, "rows": i.rows, "first_seq": i.first_seq}
                for i in each.imports
            ],
            "groups": each.groups,
        }
        for each in made
    ]
    return {"duckdb": duckdb.__version__, "directories": shown, "questions": list(answers.values())}


def written(value, depth: int = 0) -> str:
    """JSON with a line for each row of an answer, so that a change shows what changed."""
    flat = not isinstance(value, (dict, list)) or not value
    flat |= isinstance(value, list) and not any(isinstance(item, (dict, list)) for item in value)
    if flat:
        return json.dumps(value, ensure_ascii=False)
    inner, outer = "\n" + " " * (depth + 1), "\n" + " " * depth
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {written(item, depth + 1)}" for key, item in value.items()]
        return "{" + inner + ("," + inner).join(items) + outer + "}"
    return "[" + inner + ("," + inner).join(written(item, depth + 1) for item in value) + outer + "]"


def main() -> None:
    """Writes the answers, or checks them."""
    default = HERE.parent.parent.parent / "shared" / "data"
    root = Path(os.environ.get("TAPEBOOK_TEST_DATA", default))
    if not root.is_dir():
        raise SystemExit(f"{root}: no market data; name its directory with TAPEBOOK_TEST_DATA")
    text = written(compute(root)) + "\n"
    if "--check" in sys.argv[1:]:
        if text != ANSWERS.read_text(encoding="utf-8"):
            raise SystemExit(f"{ANSWERS.name} is not what DuckDB answers now; run this without --check")
        return
    ANSWERS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
