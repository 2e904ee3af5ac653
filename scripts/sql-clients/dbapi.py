"""Asks a server through flightsql-dbapi, which speaks Flight with Arrow's C++ library.

usage: dbapi.py ADDRESS CA-FILE|- ADMIN-TOKEN TRADES-READER-TOKEN

The server holds the trades of tests/all/support.rs. Every deviation is an AssertionError.
"""

import sys

import pyarrow
import pyarrow.flight
from flightsql import FlightSQLClient, TableRef, connect


def open_client(address: str, ca: str, **credentials: str) -> FlightSQLClient:
    host, port = address.rsplit(":", 1)
    if ca == "-":
        return FlightSQLClient(host=host, port=int(port), insecure=True, **credentials)
    with open(ca, "rb") as file:
        return FlightSQLClient(host=host, port=int(port), tls_root_certs=file.read(), **credentials)


def fetch(client: FlightSQLClient, info) -> pyarrow.Table:
    table = client.do_get(info.endpoints[0].ticket).read_all()
    assert table.schema == info.schema, "announced is delivered"
    return table


def queries(client: FlightSQLClient) -> None:
    found = fetch(client, client.execute("SELECT symbol, count(*) AS n FROM trades GROUP BY symbol ORDER BY symbol"))
    assert found.to_pylist() == [{"symbol": "A", "n": 150}, {"symbol": "B", "n": 50}], found
    everything = fetch(client, client.execute("SELECT * FROM trades"))
    assert everything.num_rows == 200 and everything.schema.field("ts").type == pyarrow.timestamp("ns", "UTC")
    nested = fetch(client, client.execute("SELECT [1, 2] AS l, named_struct('a', 'b') AS s, DECIMAL '1.25' AS d"))
    assert nested.to_pylist()[0]["l"] == [1, 2] and nested.to_pylist()[0]["s"] == {"a": "b"}, nested
    cursor = connect(client).cursor()
    cursor.execute("SELECT max(price) FROM trades WHERE symbol = ?", ["A"])
    assert list(cursor.fetchone()) == [149.0]


def prepared(client: FlightSQLClient) -> None:
    with client.prepare("SELECT count(*) AS n FROM trades WHERE symbol = ? AND price < ?") as statement:
        for symbol, price, expected in (("A", 10.0, 10), ("B", 160.0, 10), ("C", 1.0, 0)):
            row = pyarrow.record_batch([pyarrow.array([symbol]), pyarrow.array([price])], ["symbol", "price"])
            assert fetch(client, statement.execute(row)).to_pylist() == [{"n": expected}], symbol


def metadata(client: FlightSQLClient) -> None:
    tables = fetch(client, client.get_tables(include_schema=True, table_name_filter_pattern="trades"))
    assert tables["table_name"].to_pylist() == ["trades"], tables
    schema = pyarrow.ipc.read_schema(pyarrow.py_buffer(tables["table_schema"][0].as_py()))
    assert schema.names[:3] == ["ts", "symbol", "price"], schema
    assert fetch(client, client.get_catalogs()).to_pylist() == [{"catalog_name": "tapebook"}]
    schemas = fetch(client, client.get_db_schemas())
    assert schemas["db_schema_name"].to_pylist() == ["public", "sys"], schemas
    assert fetch(client, client.get_table_types()).num_rows == 2
    assert fetch(client, client.get_sql_info([0, 1])).num_rows == 2
    assert fetch(client, client.get_xdbc_type_info(None)).num_rows == 9
    assert fetch(client, client.get_primary_keys(TableRef(table="trades"))).num_rows == 0
    assert fetch(client, client.get_imported_keys(TableRef(table="trades"))).num_rows == 0


def refused(call, kind, *parts: str) -> None:
    try:
        call()
    except kind as error:
        for part in parts:
            assert part in str(error), f"{part!r} in {error}"
    else:
        raise AssertionError(f"not refused: {parts}")


def main() -> None:
    address, ca, admin, trades_reader = sys.argv[1:]
    for credentials in ({"user": "anybody", "password": admin}, {"token": admin}):
        client = open_client(address, ca, **credentials)
        queries(client)
        prepared(client)
        metadata(client)
        refused(lambda: client.execute("SELEC 1"), pyarrow.ArrowInvalid, "SELEC")
        refused(lambda: client.execute_update("DELETE FROM trades"), pyarrow.ArrowInvalid, "SQL only reads")
        client.close()
    reader = open_client(address, ca, token=trades_reader)
    refused(lambda: reader.execute("SELECT * FROM quotes"), pyarrow.flight.FlightUnauthorizedError, "quotes")
    stranger = open_client(address, ca, token="wrong")
    refused(lambda: stranger.execute("SELECT 1"), pyarrow.flight.FlightUnauthenticatedError)
    print("ok")


main()
