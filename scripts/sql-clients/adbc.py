"""Asks a server through the ADBC driver for Flight SQL, which is written in Go.

usage: adbc.py ADDRESS CA-FILE|- ADMIN-TOKEN TRADES-READER-TOKEN

The server holds the trades of tests/all/support.rs. Every deviation is an AssertionError.
"""

import datetime
import sys
import threading
import time

import adbc_driver_flightsql
import adbc_driver_flightsql.dbapi as flightsql
import adbc_driver_manager
import polars
import pyarrow

ENDLESS = "SELECT a.value FROM generate_series(1, 1000) a, generate_series(1, 10000000000) b"


def connect(address: str, ca: str, **options: str):
    keys = {key: value for key, value in options.items()}
    if ca == "-":
        return flightsql.connect(f"grpc://{address}", db_kwargs=keys, autocommit=True)
    with open(ca, encoding="utf-8") as file:
        keys[adbc_driver_flightsql.DatabaseOptions.TLS_ROOT_CERTS.value] = file.read()
    return flightsql.connect(f"grpc+tls://{address}", db_kwargs=keys, autocommit=True)


def with_token(address: str, ca: str, token: str):
    header = adbc_driver_flightsql.DatabaseOptions.AUTHORIZATION_HEADER.value
    return connect(address, ca, **{header: f"Bearer {token}"})


def refused(call, *parts: str) -> None:
    try:
        call()
    except adbc_driver_manager.Error as error:
        for part in parts:
            assert part in str(error), f"{part!r} in {error}"
    else:
        raise AssertionError(f"not refused: {parts}")


def queries(connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT symbol, count(*) AS n, sum(price) AS total FROM trades GROUP BY symbol ORDER BY symbol")
        assert cursor.fetchall() == [("A", 150, 11175.0), ("B", 50, 8725.0)]
        cursor.execute("SELECT * FROM trades WHERE symbol = 'B' ORDER BY seq")
        table = cursor.fetch_arrow_table()
        assert table.num_rows == 50 and table.schema.field("ts").type == pyarrow.timestamp("ns", "UTC"), table.schema
        cursor.execute("SELECT value FROM generate_series(1, 100000)")
        assert cursor.fetch_arrow_table().num_rows == 100_000
        schema = cursor.adbc_execute_schema("SELECT price FROM trades")
        assert schema.field("price").type == pyarrow.float64(), schema


def parameters(connection) -> None:
    with connection.cursor() as cursor:
        for one, two in (("?", "?"), ("$1", "$2")):
            sql = f"SELECT count(*), min(price) FROM trades WHERE symbol = {one} AND price >= {two}"
            for symbol, price, expected in (("A", 100.0, (50, 100.0)), ("B", 0.0, (50, 150.0)), ("C", 0.0, (0, None))):
                cursor.execute(sql, (symbol, price))
                assert cursor.fetchone() == expected, (sql, symbol)
        prepared = cursor.adbc_prepare("SELECT count(*) FROM trades WHERE ts < $1")
        assert len(prepared) == 1, prepared
        moment = datetime.datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=datetime.timezone.utc)
        cursor.execute("SELECT count(*) FROM trades WHERE ts < $1", (moment,))
        assert cursor.fetchone() == (200,)


def metadata(connection) -> None:
    objects = connection.adbc_get_objects(depth="all").read_all().to_pylist()
    assert [catalog["catalog_name"] for catalog in objects] == ["tapebook"], objects
    schemas = {schema["db_schema_name"]: schema for schema in objects[0]["catalog_db_schemas"]}
    assert set(schemas) == {"public", "sys"}, schemas.keys()
    tables = {table["table_name"]: table for table in schemas["public"]["db_schema_tables"]}
    columns = [column["column_name"] for column in tables["trades"]["table_columns"]]
    assert columns[:3] == ["ts", "symbol", "price"] and columns[-1] == "seq", columns
    assert connection.adbc_get_table_schema("quotes").field("bid_price").type == pyarrow.float64()
    assert set(connection.adbc_get_table_types()) == {"TABLE", "SYSTEM TABLE"}
    info = connection.adbc_get_info()
    assert info["vendor_name"] == "Tapebook", info


def ingest(connection, reader) -> None:
    frame = polars.DataFrame(
        {
            "timestamp": [datetime.datetime(2024, 8, 9, tzinfo=datetime.timezone.utc)] * 3,
            "symbol": ["P", "P", "Q"],
            "px": [1.5, None, 2.5],
            "qty": [1, 2, 3],
            "side": ["buy", "sell", None],
        }
    )
    with connection.cursor() as cursor:
        assert cursor.adbc_ingest("trades", frame.to_arrow(), mode="append") == 3
        cursor.execute("SELECT symbol, price, size, side FROM trades WHERE symbol IN ('P', 'Q') ORDER BY seq")
        assert cursor.fetchall() == [("P", 1.5, 1.0, "buy"), ("P", None, 2.0, "sell"), ("Q", 2.5, 3.0, None)]
        large = polars.DataFrame({"ts": range(100_000), "symbol": "R", "price": 1.0})
        large = large.with_columns(polars.col("ts").cast(polars.Datetime("ns", "UTC")))
        assert cursor.adbc_ingest("trades", large.to_arrow().to_reader(10_000), mode="append") == 100_000
        refused(lambda: cursor.adbc_ingest("trades", frame.to_arrow(), mode="create"), "append")
        refused(lambda: cursor.adbc_ingest("trades", frame.to_arrow(), mode="replace"), "cannot be replaced")
        refused(lambda: cursor.adbc_ingest("nowhere", frame.to_arrow(), mode="append"), "nowhere")
        extra = frame.with_columns(flavor=polars.lit("x"))
        refused(lambda: cursor.adbc_ingest("trades", extra.to_arrow(), mode="append"), "flavor")
    with reader.cursor() as cursor:
        refused(lambda: cursor.adbc_ingest("trades", frame.to_arrow(), mode="append"), "may not write")
    found = polars.read_database("SELECT count(*) AS n FROM trades WHERE symbol = 'R'", connection)
    assert found["n"].to_list() == [100_000], found


def cancel(connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute(ENDLESS)
        cursor.fetchone()
        timer = threading.Timer(0.2, cursor.adbc_cancel)
        timer.start()
        since = time.monotonic()
        refused(lambda: [cursor.fetchmany(100_000) for _ in range(1_000_000)], "ancel")
        assert time.monotonic() - since < 60
        timer.join()


def refusals(connection, reader) -> None:
    with connection.cursor() as cursor:
        refused(lambda: cursor.execute("SELEC 1"), "SELEC")
        refused(lambda: cursor.execute("DROP TABLE trades"), "SQL reads")
        refused(lambda: cursor.executemany("INSERT INTO trades (price) VALUES (?)", [(1.0,)]))
    with reader.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM trades")
        refused(lambda: cursor.execute("SELECT count(*) FROM quotes"), "quotes")


def main() -> None:
    address, ca, admin, trades_reader = sys.argv[1:]
    with connect(address, ca, username="anybody", password=admin) as connection:
        queries(connection)
    with with_token(address, ca, admin) as connection, with_token(address, ca, trades_reader) as reader:
        queries(connection)
        parameters(connection)
        metadata(connection)
        refusals(connection, reader)
        cancel(connection)
        ingest(connection, reader)
    refused(lambda: with_token(address, ca, "wrong").cursor().execute("SELECT 1"))
    print("ok")


main()
