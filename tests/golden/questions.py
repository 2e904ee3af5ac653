"""The questions, by group. Each is a function of a dialect, so that both sides are asked the same.

A DOUBLE in an answer is a stored value, exact to the last bit, unless its name begins with `sum_`, `avg_` or `median_`.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Question:
    """A question of a group; `sql(dialect)` is its text."""

    group: str
    name: str
    sql: Callable


@dataclass
class Subject:
    """A table of a directory, and what is interesting about its rows."""

    group: str
    table: str
    numbers: list[str]
    """DOUBLE columns that have values."""
    others: list[str]
    """The other columns between `symbol` and `recv_ts`."""
    symbol: str
    """A symbol to look at closely."""
    scale: int
    """Prices and sizes are whole numbers after multiplication with this."""
    price: str
    size: str
    bars: tuple[int, int]
    """Bounds in time, for bars of one minute."""

    def shown(self, d) -> str:
        """The columns of whole rows."""
        times = f"{d.nanos('ts')} AS ts, symbol", f"{d.nanos('recv_ts')} AS recv_ts"
        others = [f"CAST({name} AS TEXT) AS {name}" if name == "trading_day" else name for name in self.others]
        return ", ".join([times[0], *self.numbers, *others, times[1], "feed_seq", "seq"])


def general(s: Subject, bounds: tuple[int, int], middle: int) -> list[Question]:
    """What can be asked of every table. `bounds` are times of rows of the subject's symbol, `middle` one's number."""
    low, high = bounds
    t, per_symbol = s.table, "GROUP BY symbol ORDER BY symbol"

    def columns(form: str) -> str:
        return ", ".join(form.format(name) for name in s.numbers)

    def whole(name: str) -> str:
        return f"CAST(round({name} * {s.scale}) AS BIGINT)"

    def checksum(d, value: str, name: str) -> str:
        """Depends on which value stands at which sequence number."""
        return d.integer_sum(f"(CAST(seq AS BIGINT) % 9973 + 1) * ({value} % 99991)") + f" AS {name}"

    def times(d, column: str) -> str:
        return f"min({d.nanos(column)}) AS {column}_min, max({d.nanos(column)}) AS {column}_max"

    def windows(d, literal, where: str) -> str:
        a, b = literal(low), literal(high)
        conditions = {
            "after": f"ts > {b}",
            "at": f"ts = {a}",
            "before": f"ts < {a}",
            "between": f"ts BETWEEN {a} AND {b}",
            "half open": f"ts >= {a} AND ts < {b}",
            "nothing": f"ts > {b} AND ts < {a}",
            "open": f"ts > {a} AND ts < {b}",
            "outside": f"(ts < {a} OR ts > {b})",
            "reversed": f"{a} < ts AND {b} >= ts",
        }
        each = [
            f"SELECT '{name}' AS bounds, count(*) AS n, min(seq) AS seq_min, max(seq) AS seq_max "
            f"FROM {t} WHERE {where}{condition}"
            for name, condition in conditions.items()
        ]
        return " UNION ALL ".join(each) + " ORDER BY bounds"

    def position(d, direction: str) -> str:
        order = f"ORDER BY ts {direction}, seq {direction}"
        inner = f"SELECT *, row_number() OVER (PARTITION BY symbol {order}) AS place FROM {t}"
        return f"SELECT {s.shown(d)} FROM ({inner}) AS placed WHERE place = 1 ORDER BY symbol"

    def bars(d) -> str:
        start, end = d.at(s.bars[0]), d.at(s.bars[1])
        return (
            f"SELECT {d.bucket(60, 'ts')} AS start, {d.first(s.price)} AS open, max({s.price}) AS high, "
            f"min({s.price}) AS low, {d.last(s.price)} AS close, {d.sum(s.size)} AS sum_size, count(*) AS n "
            f"FROM {t} WHERE symbol = '{s.symbol}' AND ts >= {start} AND ts < {end} "
            f"GROUP BY {d.bucket(60, 'ts')} ORDER BY start"
        )

    def steps(d) -> str:
        inner = f"SELECT symbol, {s.price} AS x, lag({s.price}) OVER (PARTITION BY symbol ORDER BY ts, seq) AS y FROM {t}"
        return (
            "SELECT symbol, count(CASE WHEN x > y THEN 1 END) AS up, count(CASE WHEN x < y THEN 1 END) AS down, "
            f"count(CASE WHEN x = y THEN 1 END) AS same, {d.integer_sum(whole('abs(x - y)'))} AS steps "
            f"FROM ({inner}) AS steps {per_symbol}"
        )

    def backwards(d) -> str:
        inner = f"SELECT symbol, ts, lag(ts) OVER (PARTITION BY symbol ORDER BY seq) AS before FROM {t}"
        return (
            f"SELECT symbol, count(CASE WHEN ts < before THEN 1 END) AS back, "
            f"count(CASE WHEN ts = before THEN 1 END) AS same, "
            f"max({d.nanos('before')} - {d.nanos('ts')}) AS furthest FROM ({inner}) AS steps {per_symbol}"
        )

    every = [*s.numbers, *s.others, "recv_ts", "feed_seq"]
    questions = {
        "rows": lambda d: f"SELECT count(*) AS n, min(seq) AS seq_min, max(seq) AS seq_max FROM {t}",
        "rows_per_symbol": lambda d: f"SELECT symbol, count(*) AS n, min(seq) AS seq_min, max(seq) AS seq_max, "
        f"count(DISTINCT seq) AS seqs FROM {t} {per_symbol}",
        "times": lambda d: f"SELECT symbol, {times(d, 'ts')}, {times(d, 'recv_ts')} FROM {t} {per_symbol}",
        "ranges": lambda d: f"SELECT symbol, {columns('min({0}) AS {0}_min, max({0}) AS {0}_max')} FROM {t} {per_symbol}",
        "sums": lambda d: f"SELECT symbol, "
        f"{', '.join(f'{d.sum(n)} AS sum_{n}, {d.avg(n)} AS avg_{n}' for n in s.numbers)} FROM {t} {per_symbol}",
        "sums_total": lambda d: f"SELECT {', '.join(f'{d.sum(n)} AS sum_{n}' for n in s.numbers)} FROM {t}",
        "median": lambda d: f"SELECT symbol, median({s.price}) AS median_price FROM {t} {per_symbol}",
        "distinct_values": lambda d: f"SELECT symbol, count(DISTINCT ts) AS ts, "
        f"{columns('count(DISTINCT {0}) AS {0}')} FROM {t} {per_symbol}",
        "nulls": lambda d: f"SELECT {', '.join(f'count(*) - count({n}) AS {n}' for n in every)} FROM {t}",
        "first_rows": lambda d: position(d, "ASC"),
        "last_rows": lambda d: position(d, "DESC"),
        "last_rows_distinct_on": lambda d: f"SELECT DISTINCT ON (symbol) {s.shown(d).replace('symbol,', 'symbol AS name,', 1)} "
        f"FROM {t} ORDER BY symbol, ts DESC, seq DESC",
        "checksums": lambda d: f"SELECT symbol, {checksum(d, d.nanos('ts'), 'ts')}, "
        f"{', '.join(checksum(d, whole(n), n) for n in s.numbers)} FROM {t} {per_symbol}",
        "receive_time_checksum": lambda d: f"SELECT {checksum(d, d.nanos('recv_ts'), 'recv_ts')} FROM {t}",
        "bars": bars,
        "windows": lambda d: windows(d, d.at, f"symbol = '{s.symbol}' AND "),
        "windows_of_all_symbols": lambda d: windows(d, d.at, ""),
        "windows_given_as_texts": lambda d: windows(d, d.at_text, f"symbol = '{s.symbol}' AND "),
        "rows_from_a_time": lambda d: f"SELECT {s.shown(d)} FROM {t} WHERE symbol = '{s.symbol}' AND ts >= {d.at(low)} "
        "ORDER BY ts, seq LIMIT 5",
        "rows_before_a_time": lambda d: f"SELECT {s.shown(d)} FROM {t} WHERE symbol = '{s.symbol}' AND ts < {d.at(high)} "
        "ORDER BY ts DESC, seq DESC LIMIT 5",
        "symbols": lambda d: f"SELECT DISTINCT symbol FROM {t} ORDER BY symbol",
        "no_such_symbol": lambda d: f"SELECT count(*) AS n, max({s.price}) AS price FROM {t} WHERE symbol = 'NO.SUCH'",
        "one_symbol_of_two": lambda d: f"SELECT count(*) AS n FROM {t} WHERE symbol IN ('NO.SUCH', '{s.symbol}')",
        "all_symbols_but_one": lambda d: f"SELECT count(*) AS n FROM {t} WHERE symbol <> '{s.symbol}'",
        "seq_range": lambda d: f"SELECT {s.shown(d)} FROM {t} WHERE seq >= {middle} AND seq < {middle + 5} ORDER BY seq",
        "seq_range_of_a_symbol": lambda d: f"SELECT count(*) AS n, min(seq) AS seq_min, max(seq) AS seq_max FROM {t} "
        f"WHERE symbol = '{s.symbol}' AND seq > {middle - 1000} AND seq <= {middle + 1000}",
        "seq_one": lambda d: f"SELECT {s.shown(d)} FROM {t} WHERE seq = {middle}",
        "top_by_price": lambda d: f"SELECT seq, symbol, {s.price} FROM {t} ORDER BY {s.price} DESC, seq LIMIT 10",
        "bottom_by_price": lambda d: f"SELECT seq, symbol, {s.price} FROM {t} ORDER BY {s.price}, seq LIMIT 10",
        "page": lambda d: f"SELECT {d.nanos('ts')} AS ts, seq, {s.price} FROM {t} WHERE symbol = '{s.symbol}' "
        "ORDER BY ts, seq LIMIT 5 OFFSET 1000",
        "steps": steps,
        "backwards": backwards,
        "busiest_instants": lambda d: f"SELECT symbol, {d.nanos('ts')} AS ts, count(*) AS n FROM {t} "
        "GROUP BY symbol, ts ORDER BY n DESC, symbol, ts LIMIT 5",
        "time_as_text": lambda d: f"SELECT {d.time_text('ts')} AS time_ts, {d.time_text('recv_ts')} AS time_recv_ts "
        f"FROM {t} WHERE symbol = '{s.symbol}' ORDER BY seq LIMIT 3",
        "rows_per_hour": lambda d: f"SELECT symbol, {d.bucket(3600, 'ts')} AS start, count(*) AS n FROM {t} "
        f"GROUP BY symbol, {d.bucket(3600, 'ts')} ORDER BY n DESC, symbol, start LIMIT 20",
    }
    return [Question(s.group, name, sql) for name, sql in questions.items()]


def of_sides(group: str, table: str) -> list[Question]:
    """Groups by side, and rows by size."""
    top = "SELECT seq, symbol, side, price, size"
    questions = {
        "sides": lambda d: f"SELECT symbol, side, count(*) AS n, {d.sum('size')} AS sum_size, "
        f"{d.sum('price * size')} AS sum_amount, min(price) AS low, max(price) AS high FROM {table} "
        "GROUP BY symbol, side ORDER BY symbol, side",
        "one_side": lambda d: f"SELECT symbol, count(*) AS n FROM {table} WHERE side = "
        f"'{'bid' if table == 'book_deltas' else 'buy'}' GROUP BY symbol ORDER BY symbol",
        "top_by_size": lambda d: f"{top} FROM {table} ORDER BY size DESC, seq LIMIT 10",
        "top_by_size_per_symbol": lambda d: f"{top} FROM (SELECT *, row_number() OVER "
        f"(PARTITION BY symbol ORDER BY size DESC, seq) AS place FROM {table}) AS placed "
        "WHERE place <= 3 ORDER BY symbol, place",
        "zero_sizes": lambda d: f"SELECT symbol, count(*) AS n FROM {table} WHERE size = 0 GROUP BY symbol ORDER BY symbol",
        "weighted_price": lambda d: f"SELECT symbol, {d.sum('price * size')} / {d.sum('size')} AS avg_price "
        f"FROM {table} GROUP BY symbol ORDER BY symbol",
    }
    return [Question(group, name, sql) for name, sql in questions.items()]


def of_ids(group: str, table: str, column: str) -> list[Question]:
    """Ids that are decimal numbers."""
    number = f"CAST({column} AS BIGINT)"
    questions = {
        "ids": lambda d: f"SELECT symbol, count(DISTINCT {column}) AS n, {d.first(column)} AS first, {d.last(column)} AS last, "
        f"min({column}) AS least, max({column}) AS greatest FROM {table} GROUP BY symbol ORDER BY symbol",
        "ids_as_numbers": lambda d: f"SELECT symbol, min({number}) AS least, max({number}) AS greatest "
        f"FROM {table} GROUP BY symbol ORDER BY symbol",
        "id_checksum": lambda d: "SELECT symbol, "
        + d.integer_sum(f"(CAST(seq AS BIGINT) % 9973 + 1) * ({number} % 99991)")
        + f" AS ids FROM {table} GROUP BY symbol ORDER BY symbol",
        "rows_by_id": lambda d: f"SELECT seq, symbol, {column}, price, size FROM {table} WHERE {column} IN "
        f"(SELECT min({column}) FROM {table} GROUP BY symbol) ORDER BY seq LIMIT 10",
        "id_steps": lambda d: f"SELECT symbol, count(CASE WHEN x = y + 1 THEN 1 END) AS next, count(CASE WHEN x <= y THEN 1 END) "
        f"AS back, max(x - y) AS furthest FROM (SELECT symbol, {number} AS x, lag({number}) OVER "
        f"(PARTITION BY symbol ORDER BY seq) AS y FROM {table}) AS steps GROUP BY symbol ORDER BY symbol",
    }
    return [Question(group, name, sql) for name, sql in questions.items()]


def of_quotes(group: str) -> list[Question]:
    """Best bids and offers."""
    # Small differences are added as whole numbers: a plain sum of them is off by more than 10^-12 on either side.
    ticks = "CAST(round((ask_price - bid_price) * 100000) AS BIGINT)"
    questions = {
        "crossed": lambda d: "SELECT symbol, count(CASE WHEN bid_price > ask_price THEN 1 END) AS crossed, "
        "count(CASE WHEN bid_price = ask_price THEN 1 END) AS locked FROM quotes GROUP BY symbol ORDER BY symbol",
        "spreads": lambda d: f"SELECT symbol, {d.integer_sum(ticks)} AS ticks, "
        f"{d.avg('(bid_price + ask_price) / 2')} AS avg_middle FROM quotes GROUP BY symbol ORDER BY symbol",
    }
    return [Question(group, name, sql) for name, sql in questions.items()]


def of_feed_numbers(group: str, table: str) -> list[Question]:
    """The numbers of the feed."""
    questions = {
        "feed_numbers": lambda d: f"SELECT symbol, count(DISTINCT feed_seq) AS n, min(feed_seq) AS least, max(feed_seq) AS greatest, "
        f"{d.first('feed_seq')} AS first, {d.last('feed_seq')} AS last FROM {table} GROUP BY symbol ORDER BY symbol",
        "feed_number_checksum": lambda d: "SELECT "
        + d.integer_sum("(CAST(seq AS BIGINT) % 9973 + 1) * (CAST(feed_seq AS BIGINT) % 99991)")
        + f" AS feed_seq FROM {table}",
        "late_rows": lambda d: f"SELECT symbol, count(CASE WHEN recv_ts < ts THEN 1 END) AS received_before, "
        f"max({d.nanos('recv_ts')} - {d.nanos('ts')}) AS latest FROM {table} GROUP BY symbol ORDER BY symbol",
    }
    return [Question(group, name, sql) for name, sql in questions.items()]


def of_joins(group: str) -> list[Question]:
    """Two tables of one snapshot."""
    questions = {
        "trades_at_quotes": lambda d: "SELECT t.symbol AS symbol, count(*) AS n, count(DISTINCT t.seq) AS trades, "
        "count(CASE WHEN t.price > q.ask_price THEN 1 END) AS above FROM trades AS t JOIN quotes AS q "
        "ON t.symbol = q.symbol AND t.ts = q.ts GROUP BY t.symbol ORDER BY t.symbol",
        "seqs_of_both": lambda d: "SELECT count(*) AS n, count(DISTINCT seq) AS seqs, max(seq) AS last FROM "
        "(SELECT seq FROM trades UNION ALL SELECT seq FROM quotes) AS every_row",
        "trades_without_a_quote": lambda d: "SELECT symbol, count(*) AS n FROM trades AS t WHERE NOT EXISTS (SELECT 1 FROM "
        "quotes AS q WHERE q.symbol = t.symbol AND q.ts = t.ts) GROUP BY symbol ORDER BY symbol",
    }
    return [Question(group, name, sql) for name, sql in questions.items()]


def of_orders(group: str) -> list[Question]:
    """The order log."""
    questions = {
        "types": lambda d: f"SELECT type, side, count(*) AS n, {d.sum('size')} AS sum_size FROM orders "
        "GROUP BY type, side ORDER BY type, side",
        "auction": lambda d: f"SELECT symbol, count(*) AS n, {d.sum('price * size')} AS sum_amount FROM orders "
        f"WHERE ts < {d.at(1689038700000000000)} GROUP BY symbol ORDER BY symbol",
        "open_order": lambda d: f"SELECT {d.nanos('ts')} AS ts, symbol, side, price, size, type FROM orders "
        "WHERE order_id = '1329' AND symbol = '605580.SH' ORDER BY seq",
    }
    return [Question(group, name, sql) for name, sql in questions.items()]


def of_ticks(group: str) -> list[Question]:
    """Snapshots whose volume and turnover are cumulative."""
    traded = (
        "SELECT trading_day, ts, seq, volume - lag(volume) OVER (PARTITION BY trading_day ORDER BY ts, seq) AS traded FROM ticks"
    )
    day = "CAST(trading_day AS TEXT) AS day"
    questions = {
        "days": lambda d: f"SELECT {day}, count(*) AS n, max(volume) AS volume, max(turnover) AS turnover, "
        f"{d.first('open')} AS open, max(high) AS high, min(low) AS low, {d.last('last_price')} AS close, "
        f"{d.last('open_interest')} AS open_interest, {d.nanos('min(ts)')} AS first_ts, {d.nanos('max(ts)')} AS last_ts "
        "FROM ticks GROUP BY trading_day ORDER BY trading_day",
        "traded": lambda d: f"SELECT {day}, {d.sum('traded')} AS sum_traded, max(traded) AS most, "
        f"count(CASE WHEN traded < 0 THEN 1 END) AS back FROM ({traded}) AS steps GROUP BY trading_day ORDER BY trading_day",
        "one_day": lambda d: "SELECT count(*) AS n, min(seq) AS seq_min FROM ticks WHERE trading_day = DATE '2021-01-05'",
        "opening_minute": lambda d: f"SELECT count(*) AS n FROM ticks WHERE ts >= {d.at(1609723800000000000)} "
        f"AND ts < {d.at(1609723860000000000)}",
    }
    return [Question(group, name, sql) for name, sql in questions.items()]
