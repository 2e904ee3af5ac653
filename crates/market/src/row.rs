//! A row of any of the tables that a market writes.

use tapebook_record::{
    Balance, Bar, BookDelta, BookSnapshot, Execution, Instrument, Order, OrderUpdate, Position, Quote,
    RowWriter, StandardRow, TableSchema, Tick, Trade, ValueError,
};

macro_rules! rows {
    ($($(#[$doc:meta])* $row:ident),+ $(,)?) => {
        /// A row of any of the standard tables; [`tapebook_record::Batch::push`] takes it as it is.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub enum Row<'a> { $($(#[$doc])* $row($row<'a>)),+ }

        impl StandardRow for Row<'_> {
            fn schema(&self) -> &'static TableSchema {
                match self { $(Self::$row(row) => row.schema()),+ }
            }

            fn symbol(&self) -> &str {
                match self { $(Self::$row(row) => row.symbol),+ }
            }

            fn ts(&self) -> i64 {
                match self { $(Self::$row(row) => row.ts),+ }
            }

            fn recv_ts(&self) -> Option<i64> {
                match self { $(Self::$row(row) => row.recv_ts),+ }
            }

            fn feed_seq(&self) -> Option<u64> {
                match self { $(Self::$row(row) => row.feed_seq),+ }
            }

            fn write(&self, writer: &mut RowWriter<'_>) -> Result<(), ValueError> {
                match self { $(Self::$row(row) => row.write(writer)),+ }
            }
        }

        impl<'a> Row<'a> {
            pub(crate) fn set_recv_ts(&mut self, recv_ts: i64) {
                match self { $(Self::$row(row) => row.recv_ts = Some(recv_ts)),+ }
            }

            pub(crate) fn with_symbol<'b>(self, symbol: &'b str) -> Row<'b>
            where
                'a: 'b,
            {
                match self { $(Self::$row(row) => Row::$row($row { symbol, ..row })),+ }
            }
        }

        $(
            impl<'a> From<$row<'a>> for Row<'a> {
                fn from(row: $row<'a>) -> Self {
                    Self::$row(row)
                }
            }
        )+
    };
}

rows! {
    /// In `trades`.
    Trade,
    /// In `quotes`.
    Quote,
    /// In `ticks`.
    Tick,
    /// In `book_snapshots`.
    BookSnapshot,
    /// In `book_deltas`.
    BookDelta,
    /// In `bars`.
    Bar,
    /// In `orders`.
    Order,
    /// In `order_updates`.
    OrderUpdate,
    /// In `executions`.
    Execution,
    /// In `balances`.
    Balance,
    /// In `positions`.
    Position,
    /// In `instruments`.
    Instrument,
}
