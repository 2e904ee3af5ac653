"""The files behind the golden answers: how `tapebook import` reads them, and how DuckDB does.

A `Directory` is one data directory of Tapebook with the imports that fill it, in order. The loaders below read the same
files into DuckDB tables with the columns of ours, without any code of ours: `ts` and `recv_ts` are nanoseconds as BIGINT,
`seq` is the position in file order across the imports of a directory.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

BINANCE = "binance_normalized"
FX = "lean_fx_ticks"
TICKS = "cn_futures_cffex_if_ticks/cffex_if_ticks.csv.gz"
ORDERS = "cn_equity_l2_dolphindb/SHorders.zip"
SHANGHAI_NANOS = 8 * 3600 * 10**9
"""Asia/Shanghai is eight hours ahead of UTC, without summer time in the years of these files."""


@dataclass
class Import:
    """`tapebook import TABLE FILE… ARGS…`, and what its last line must say."""

    table: str
    files: list[str]
    args: list[str]
    rows: int = 0
    first_seq: int = 0


@dataclass
class Directory:
    """One data directory: its imports, and the groups of questions that it must answer."""

    name: str
    imports: list[Import]
    groups: list[str]


def directories(root: Path) -> list[Directory]:
    """All data directories, without counts."""
    shanghai = ["--time-zone", "Asia/Shanghai"]
    fx = ["--columns", "ts,bid_price,ask_price", "--date", "name", "--time-unit", "ms"]
    fxcm = [*fx, "--time-zone", "UTC-05", "--symbol", "FXCM.EURUSD"]
    oanda = [*fx, "--time-zone", "UTC", "--symbol", "OANDA.EURUSD"]
    return [
        Directory(
            "binance_parquet",
            [
                Import("trades", [f"{BINANCE}/trades.parquet"], ["--strict"]),
                Import("quotes", [f"{BINANCE}/quotes.parquet"], ["--strict"]),
                Import(
                    "book_deltas",
                    [f"{BINANCE}/book_deltas.parquet"],
                    ["--strict", "--ignore", "first_update_id"],
                ),
            ],
            ["binance_trades", "binance_quotes", "binance_joins", "binance_book_deltas"],
        ),
        Directory(
            "binance_csv",
            [
                Import("trades", [f"{BINANCE}/trades.csv.gz"], ["--strict"]),
                Import("quotes", [f"{BINANCE}/quotes.csv.gz"], ["--strict"]),
            ],
            ["binance_trades", "binance_quotes", "binance_joins"],
        ),
        Directory(
            "fx",
            [
                Import("quotes", fx_files(root, "fxcm-eurusd"), fxcm),
                Import("quotes", fx_files(root, "oanda-eurusd"), oanda),
            ],
            ["fx_quotes"],
        ),
        Directory("cffex", [Import("ticks", [TICKS], [*shanghai, "--strict"])], ["cffex_ticks"]),
        Directory("shanghai", [Import("orders", [ORDERS], shanghai)], ["shanghai_orders"]),
    ]


def fx_files(root: Path, venue: str) -> list[str]:
    """The files of a venue by day, relative to the root."""
    return sorted(str(path.relative_to(root)) for path in (root / FX / venue).glob("*_quote.zip"))


def load(con, root: Path, scratch: Path, directory: Directory) -> None:
    """Makes the tables of a directory and counts what each import brings."""
    con.execute("SET preserve_insertion_order = true")
    # One thread reads files in file order, so that a running number is the position in the file, and adds in one order,
    # so that a sum is the same each time.
    con.execute("SET threads = 1")
    next_seq = 1
    for each in directory.imports:
        each.first_seq = next_seq
        for file in each.files:
            rows = select_of(root, scratch, each, file)
            exists = con.execute(
                "SELECT count(*) FROM duckdb_tables() WHERE table_name = ?", [each.table]
            ).fetchone()[0]
            numbered = f"SELECT *, {next_seq - 1} + row_number() OVER () AS seq FROM ({rows})"
            verb = f"INSERT INTO {each.table}" if exists else f"CREATE TABLE {each.table} AS"
            con.execute(f"{verb} {numbered}")
            next_seq = con.execute(f"SELECT max(seq) + 1 FROM {each.table}").fetchone()[0]
        each.rows = next_seq - each.first_seq


def select_of(root: Path, scratch: Path, each: Import, file: str) -> str:
    """A query for the rows of one file, in file order, with our columns but `seq`."""
    path = root / file
    if file.startswith(BINANCE):
        return binance(each.table, path)
    if file.startswith(FX):
        return fx(scratch, path, each.args)
    return cffex(path) if file == TICKS else shanghai(scratch, path)


def text_file(path: Path, header: bool = True, names: str = "") -> str:
    """A CSV whose fields are all texts, so that each cast stands in this file."""
    return f"read_csv('{path}', all_varchar = true, header = {header}, parallel = false, quote = '\"'{names})"


def binance(table: str, path: Path) -> str:
    """The normalized files, Parquet or CSV."""
    if path.suffix == ".parquet":
        source, nanos = f"read_parquet('{path}')", "epoch_ns({0})"
    else:
        source, nanos = text_file(path), "{0}::BIGINT"
    nothing = "NULL::UBIGINT"
    columns = {
        "trades": "price::DOUBLE AS price, size::DOUBLE AS size, side, trade_id, NULL::VARCHAR AS venue, "
        "NULL::VARCHAR AS conditions, NULL::VARCHAR AS bid_order_id, NULL::VARCHAR AS ask_order_id",
        "quotes": "bid_price::DOUBLE AS bid_price, bid_size::DOUBLE AS bid_size, ask_price::DOUBLE AS ask_price, "
        "ask_size::DOUBLE AS ask_size, NULL::VARCHAR AS venue, NULL::VARCHAR AS conditions",
        "book_deltas": "side, NULL::VARCHAR AS action, price::DOUBLE AS price, size::DOUBLE AS size, "
        "NULL::VARCHAR AS order_id, NULL::BOOLEAN AS event_end, NULL::BOOLEAN AS snapshot",
    }[table]
    feed_seq = "last_update_id" if table == "book_deltas" else nothing
    ts, recv_ts = nanos.format("ts"), nanos.format("recv_ts")
    return f"SELECT {ts} AS ts, symbol, {columns}, {recv_ts} AS recv_ts, {feed_seq} AS feed_seq FROM {source}"


def fx(scratch: Path, path: Path, args: list[str]) -> str:
    """A day of quotes: milliseconds since local midnight, bid, ask."""
    member = extracted(scratch, path)
    day = path.name[:8]
    symbol = args[args.index("--symbol") + 1]
    # UTC-05 is behind: its midnight is five in the morning in UTC.
    midnight_nanos = {"UTC-05": 5, "UTC": 0}[args[args.index("--time-zone") + 1]] * 3600 * 10**9
    source = text_file(member, False, ", names = ['ms', 'bid', 'ask']")
    return f"""SELECT epoch_ns(strptime('{day}', '%Y%m%d')) + {midnight_nanos} + ms::BIGINT * 1000000 AS ts,
        '{symbol}' AS symbol, bid::DOUBLE AS bid_price, NULL::DOUBLE AS bid_size, ask::DOUBLE AS ask_price,
        NULL::DOUBLE AS ask_size, NULL::VARCHAR AS venue, NULL::VARCHAR AS conditions,
        NULL::BIGINT AS recv_ts, NULL::UBIGINT AS feed_seq FROM {source}"""


def cffex(path: Path) -> str:
    """Snapshot ticks with a date and a time of Shanghai."""
    same = ["last_price", "open", "high", "low", "pre_close", "pre_settlement", "upper_limit", "lower_limit"]
    same += ["volume", "turnover", "open_interest"]
    first = {"bid_price": "bid_price1", "bid_size": "bid_volume1", "ask_price": "ask_price1"}
    renamed = {**{name: name for name in same}, **first, "ask_size": "ask_volume1"}
    numbers = ", ".join(f"{source}::DOUBLE AS {name}" for name, source in renamed.items())
    return f"""SELECT epoch_ns(strptime(action_day || ' ' || update_time, '%Y%m%d %H:%M:%S.%g')) - {SHANGHAI_NANOS} AS ts,
        instrument AS symbol, {numbers}, strptime(trading_day, '%Y%m%d')::DATE AS trading_day,
        NULL::BIGINT AS recv_ts, NULL::UBIGINT AS feed_seq FROM {text_file(path)}"""


def shanghai(scratch: Path, path: Path) -> str:
    """The order log of five Shanghai shares."""
    member = extracted(scratch, path)
    return f"""SELECT epoch_ns(strptime(MDDate || ' ' || MDTime, '%Y.%m.%d %H:%M:%S.%g')) - {SHANGHAI_NANOS} AS ts,
        SecurityID AS symbol, OrderNO AS order_id, NULL::VARCHAR AS account,
        CASE OrderBSFlag WHEN '1' THEN 'buy' WHEN '2' THEN 'sell' END AS side, NULL::VARCHAR AS position_effect,
        OrderType AS type, NULL::VARCHAR AS time_in_force, OrderPrice::DOUBLE AS price, OrderQty::DOUBLE AS size,
        NULL::VARCHAR AS client_order_id,
        epoch_ns(strptime(ReceiveDateTime, '%Y.%m.%dT%H:%M:%S.%g')) - {SHANGHAI_NANOS} AS recv_ts,
        ApplSeqNum::UBIGINT AS feed_seq FROM {text_file(member)}"""


def extracted(scratch: Path, path: Path) -> Path:
    """The one member of an archive, as a file."""
    with zipfile.ZipFile(path) as archive:
        (member,) = archive.namelist()
        return Path(archive.extract(member, scratch / path.parent.name / path.stem))
