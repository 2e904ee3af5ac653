"""One question, two dialects: ours and DuckDB's.

In Tapebook `ts` is a TIMESTAMP; in the DuckDB tables it is nanoseconds as BIGINT. The methods give the same meaning in
both, so that a question is written once and nothing of one side's handling of time or order reaches the other.
"""

from datetime import datetime, timezone


class Tapebook:
    """PostgreSQL's dialect, as the users of Tapebook write it."""

    def nanos(self, time: str) -> str:
        """A time as an integer."""
        return f"CAST({time} AS BIGINT)"

    def at(self, nanos: int) -> str:
        """A time as a literal."""
        return f"TIMESTAMP '{rfc3339(nanos)}'"

    def at_text(self, nanos: int) -> str:
        """A time as a text that is compared with a time."""
        return f"'{rfc3339(nanos)}'"

    def time_text(self, time: str) -> str:
        """A time as results show it."""
        return time

    def bucket(self, seconds: int, time: str) -> str:
        """The beginning of the bucket around a time, as an integer."""
        return f"CAST(date_bin(INTERVAL '{seconds} seconds', {time}) AS BIGINT)"

    def first(self, value: str) -> str:
        """The value of the first row by time, then by file order."""
        return f"first_value({value} ORDER BY ts, seq)"

    def last(self, value: str) -> str:
        """The value of the last row by time, then by file order."""
        return f"last_value({value} ORDER BY ts, seq)"

    def sum(self, value: str) -> str:
        """A sum of DOUBLEs."""
        return f"sum({value})"

    def avg(self, value: str) -> str:
        """A mean of DOUBLEs."""
        return f"avg({value})"

    def integer_sum(self, value: str) -> str:
        """A sum of integers that fits a BIGINT."""
        return f"sum({value})"


class DuckDb:
    """DuckDB's dialect over tables whose times are integers. Sums are compensated, so that they are the better ones."""

    def nanos(self, time: str) -> str:
        return time

    def at(self, nanos: int) -> str:
        return str(nanos)

    at_text = at

    def time_text(self, time: str) -> str:
        # The nanoseconds of strftime (%n) end in uninitialised bytes in DuckDB 2.0.0, so they are put behind by hand.
        whole = f"strftime(make_timestamp({time} // 1000000000 * 1000000), '%Y-%m-%dT%H:%M:%S')"
        return f"{whole} || '.' || lpad(({time} % 1000000000)::VARCHAR, 9, '0') || 'Z'"

    def bucket(self, seconds: int, time: str) -> str:
        return f"{time} - {time} % {seconds * 10**9}"

    def first(self, value: str) -> str:
        return f"first({value} ORDER BY ts, seq)"

    def last(self, value: str) -> str:
        return f"last({value} ORDER BY ts, seq)"

    def sum(self, value: str) -> str:
        return f"fsum({value})"

    def avg(self, value: str) -> str:
        return f"favg({value})"

    def integer_sum(self, value: str) -> str:
        return f"sum({value})::BIGINT"


def rfc3339(nanos: int) -> str:
    """`2024-08-09T00:00:00.123456789Z`."""
    seconds, rest = divmod(nanos, 10**9)
    whole = datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{rest:09d}Z"
