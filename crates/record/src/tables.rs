//! The standard tables: for each one a struct to write from, the layout of its rows, and accessors to read in place.

use std::sync::OnceLock;

use rkyv::Portable;
use rkyv::bytecheck::CheckBytes;

use crate::record::{Record, flags};
use crate::row_writer::{RowWriter, ValueError};
use crate::schema::{ColumnKind, TableId, TableSchema, Words};
use crate::slot::{
    self, BigIntSlot, DateSlot, DecimalSlot, DoubleSlot, Id, IdSlot, Level, Levels, TailSlot, TimestampSlot,
    WordSlot,
};

/// A row that can be pushed into a batch.
pub trait StandardRow {
    /// The table that it belongs to.
    fn schema(&self) -> &'static TableSchema;
    /// What the record is about.
    fn symbol(&self) -> &str;
    /// Event time, nanoseconds since the epoch, UTC.
    fn ts(&self) -> i64;
    /// Time of receipt.
    fn recv_ts(&self) -> Option<i64>;
    /// The feed's own number.
    fn feed_seq(&self) -> Option<u64>;
    /// Writes the table's own columns.
    fn write(&self, row: &mut RowWriter<'_>) -> Result<(), ValueError>;
}

/// A standard table, for typed reads: `snapshot.scan::<Trade>(…)`.
pub trait StandardTable: 'static {
    /// The fixed part of its rows.
    type Fixed: Portable + 'static;
    /// Its number.
    const ID: TableId;
    /// Its columns.
    fn schema() -> &'static TableSchema;
    /// The fixed part of a row, in place; `None` where the row is too short or not aligned.
    fn fixed(row: &[u8]) -> Option<&Self::Fixed>;
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:literal $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[repr(u8)]
        pub enum $name { $($(#[$variant_doc])* $variant = $code),+ }

        impl $name {
            /// The words in the order of their codes.
            pub const WORDS: &'static Words = &Words { words: &[$($word),+] };

            /// The word in SQL.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words!(
    /// Who took the initiative, or which way an order goes.
    Side {
        /// Buys.
        Buy = 1 "buy",
        /// Sells.
        Sell = 2 "sell",
    }
);
words!(
    /// One side of an order book.
    BookSide {
        /// Wants to buy.
        Bid = 1 "bid",
        /// Wants to sell.
        Ask = 2 "ask",
    }
);
words!(
    /// What happened to a price level or to an order in the book.
    Action {
        /// The level has this size now; 0 removes it.
        Set = 1 "set",
        /// The level or order is gone.
        Delete = 2 "delete",
        /// A new order.
        Add = 3 "add",
        /// An order changed.
        Modify = 4 "modify",
        /// An order was filled by this size.
        Fill = 5 "fill",
        /// The whole side is empty.
        Clear = 6 "clear",
    }
);
words!(
    /// What an order does to a position.
    PositionEffect {
        /// Opens or grows it.
        Open = 1 "open",
        /// Closes or shrinks it.
        Close = 2 "close",
        /// Closes what was opened today.
        CloseToday = 3 "close_today",
    }
);
words!(
    /// Where an order stands.
    OrderStatus {
        /// In the book, nothing filled.
        Accepted = 1 "accepted",
        /// In the book, partly filled.
        PartiallyFilled = 2 "partially_filled",
        /// Completely filled.
        Filled = 3 "filled",
        /// Taken back.
        Cancelled = 4 "cancelled",
        /// Never accepted.
        Rejected = 5 "rejected",
        /// Ended by time.
        Expired = 6 "expired",
    }
);
words!(
    /// Whether an execution gave liquidity or took it.
    Liquidity {
        /// Stood in the book.
        Maker = 1 "maker",
        /// Came to it.
        Taker = 2 "taker",
    }
);

macro_rules! value_type {
    (Double) => { f64 };
    (BigInt) => { i64 };
    (Timestamp) => { i64 };
    (Date) => { i32 };
    (Decimal) => { i128 };
    ($life:lifetime, Text) => { &$life str };
    ($life:lifetime, Id) => { Id<$life> };
    ($life:lifetime, Levels) => { &$life [Level] };
    ($life:lifetime, (Word $word:ident)) => { $word };
    ($life:lifetime, $number:ident) => { value_type!($number) };
}

macro_rules! slot_type {
    (Double) => {
        DoubleSlot
    };
    (BigInt) => {
        BigIntSlot
    };
    (Timestamp) => {
        TimestampSlot
    };
    (Date) => {
        DateSlot
    };
    (Decimal) => {
        DecimalSlot
    };
    (Text) => {
        TailSlot
    };
    (Id) => {
        IdSlot
    };
    (Levels) => {
        TailSlot
    };
    ((Word $word:ident)) => {
        WordSlot
    };
}

macro_rules! column_kind {
    ((Word $word:ident)) => {
        ColumnKind::Word($word::WORDS)
    };
    ($kind:ident) => {
        ColumnKind::$kind
    };
}

macro_rules! write_column {
    ($row:ident, $at:expr, $value:expr, Double) => {
        $row.double($at, $value)
    };
    ($row:ident, $at:expr, $value:expr, BigInt) => {
        $row.bigint($at, $value)
    };
    ($row:ident, $at:expr, $value:expr, Timestamp) => {
        $row.timestamp($at, $value)
    };
    ($row:ident, $at:expr, $value:expr, Date) => {
        $row.date($at, $value)
    };
    ($row:ident, $at:expr, $value:expr, Decimal) => {
        $row.decimal($at, $value)
    };
    ($row:ident, $at:expr, $value:expr, Text) => {
        $row.text($at, $value)
    };
    ($row:ident, $at:expr, $value:expr, Id) => {
        $row.id($at, $value)
    };
    ($row:ident, $at:expr, $value:expr, Levels) => {
        $row.levels($at, $value)
    };
    ($row:ident, $at:expr, $value:expr, (Word $word:ident)) => {
        $row.word($at, $value as u8)
    };
}

macro_rules! accessor {
    ($(#[$doc:meta])* $name:ident, Text) => {
        $(#[$doc])*
        #[inline]
        pub fn $name(&self) -> Option<&str> {
            self.fixed().$name.get(self.raw().row).and_then(slot::text)
        }
    };
    ($(#[$doc:meta])* $name:ident, Id) => {
        $(#[$doc])*
        #[inline]
        pub fn $name(&self) -> Option<Id<'_>> {
            self.fixed().$name.get(self.raw().row)
        }
    };
    ($(#[$doc:meta])* $name:ident, Levels) => {
        $(#[$doc])*
        #[inline]
        pub fn $name(&self) -> Option<Levels<'_>> {
            self.fixed().$name.get(self.raw().row).map(Levels::new)
        }
    };
    ($(#[$doc:meta])* $name:ident, (Word $word:ident)) => {
        $(#[$doc])*
        #[inline]
        pub fn $name(&self) -> Option<$word> {
            $word::from_code(self.fixed().$name.code())
        }
    };
    ($(#[$doc:meta])* $name:ident, $number:ident) => {
        $(#[$doc])*
        #[inline]
        pub fn $name(&self) -> Option<value_type!($number)> {
            self.fixed().$name.get()
        }
    };
}

macro_rules! standard_table {
    (
        $(#[$doc:meta])*
        $row:ident / $fixed:ident, $id:literal $table:literal, lifetime $life:lifetime,
        { $($(#[$column_doc:meta])* $column:ident $name:literal: $kind:tt),+ $(,)? }
        flags { $($(#[$flag_doc:meta])* $flag:ident: $known:ident $set:ident),* $(,)? }
    ) => {
        $(#[$doc])*
        ///
        /// `ts` and `recv_ts` are nanoseconds since the epoch, UTC; what is unknown is `None`.
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub struct $row<$life> {
            /// What the record is about, 1 to 64 bytes.
            pub symbol: &$life str,
            /// Event time.
            pub ts: i64,
            $($(#[$column_doc])* pub $column: Option<value_type!($life, $kind)>,)+
            $($(#[$flag_doc])* pub $flag: Option<bool>,)*
            /// Time of receipt.
            pub recv_ts: Option<i64>,
            /// The feed's own number.
            pub feed_seq: Option<u64>,
        }

        #[doc = concat!("The fixed part of a row of `", $table, "`, layout 1, as it lies in memory and on disk.")]
        #[derive(CheckBytes, Portable)]
        #[bytecheck(crate = rkyv::bytecheck)]
        #[rkyv(crate = rkyv)]
        #[repr(C)]
        pub struct $fixed {
            $($(#[$column_doc])* pub $column: slot_type!($kind),)+
        }

        impl StandardTable for $row<'static> {
            type Fixed = $fixed;
            const ID: TableId = TableId($id);

            fn schema() -> &'static TableSchema {
                static SCHEMA: OnceLock<TableSchema> = OnceLock::new();
                SCHEMA.get_or_init(|| {
                    TableSchema::new(TableId($id), $table, 1, [
                        $(($name.into(), column_kind!($kind)),)+
                        $((stringify!($flag).into(), ColumnKind::Flag { known: flags::$known, set: flags::$set }),)*
                    ])
                })
            }

            #[inline]
            fn fixed(row: &[u8]) -> Option<&$fixed> {
                slot::fixed_part::<$fixed>(row)
            }
        }

        impl StandardRow for $row<'_> {
            fn schema(&self) -> &'static TableSchema {
                <$row<'static> as StandardTable>::schema()
            }

            fn symbol(&self) -> &str {
                self.symbol
            }

            fn ts(&self) -> i64 {
                self.ts
            }

            fn recv_ts(&self) -> Option<i64> {
                self.recv_ts
            }

            fn feed_seq(&self) -> Option<u64> {
                self.feed_seq
            }

            fn write(&self, row: &mut RowWriter<'_>) -> Result<(), ValueError> {
                let mut column = 0;
                $(
                    if let Some(value) = self.$column {
                        write_column!(row, column, value, $kind)?;
                    }
                    column += 1;
                )+
                $(
                    if let Some(value) = self.$flag {
                        row.flag(column, value)?;
                    }
                    column += 1;
                )*
                let _ = column;
                Ok(())
            }
        }

        impl Record<'_, $row<'static>> {
            $(accessor!($(#[$column_doc])* $column, $kind);)+
            $(
                $(#[$flag_doc])*
                #[inline]
                pub fn $flag(&self) -> Option<bool> {
                    let flags = self.raw().flags;
                    (flags & flags::$known != 0).then_some(flags & flags::$set != 0)
                }
            )*
        }
    };
}

standard_table! {
    /// A trade.
    Trade / TradeFixed, 1 "trades", lifetime 'a,
    {
        /// Price per unit.
        price "price": Double,
        /// Traded quantity.
        size "size": Double,
        /// The aggressor's side.
        side "side": (Word Side),
        /// The venue's number of the trade.
        trade_id "trade_id": Id,
        /// Where it traded.
        venue "venue": Text,
        /// The venue's condition codes.
        conditions "conditions": Text,
        /// The buyer's order.
        bid_order_id "bid_order_id": Id,
        /// The seller's order.
        ask_order_id "ask_order_id": Id,
    }
    flags {}
}

standard_table! {
    /// The best bid and offer.
    Quote / QuoteFixed, 2 "quotes", lifetime 'a,
    {
        /// Best price to sell at.
        bid_price "bid_price": Double,
        /// Size at the bid.
        bid_size "bid_size": Double,
        /// Best price to buy at.
        ask_price "ask_price": Double,
        /// Size at the ask.
        ask_size "ask_size": Double,
        /// Where it was quoted.
        venue "venue": Text,
        /// The venue's condition codes.
        conditions "conditions": Text,
    }
    flags {}
}

standard_table! {
    /// One exchange snapshot, as CTP sends it; `volume` and `turnover` count up over the trading day.
    Tick / TickFixed, 3 "ticks", lifetime 'a,
    {
        /// Price of the last trade.
        last_price "last_price": Double,
        /// First price of the day.
        open "open": Double,
        /// Highest price of the day.
        high "high": Double,
        /// Lowest price of the day.
        low "low": Double,
        /// Close of the day before.
        pre_close "pre_close": Double,
        /// Settlement price of the day before.
        pre_settlement "pre_settlement": Double,
        /// Highest price allowed.
        upper_limit "upper_limit": Double,
        /// Lowest price allowed.
        lower_limit "lower_limit": Double,
        /// Traded since the day began.
        volume "volume": Double,
        /// Value traded since the day began.
        turnover "turnover": Double,
        /// Open contracts.
        open_interest "open_interest": Double,
        /// Best price to sell at.
        bid_price "bid_price": Double,
        /// Size at the bid.
        bid_size "bid_size": Double,
        /// Best price to buy at.
        ask_price "ask_price": Double,
        /// Size at the ask.
        ask_size "ask_size": Double,
        /// The exchange's trading day, days since the epoch.
        trading_day "trading_day": Date,
    }
    flags {}
}

standard_table! {
    /// An order book at one moment.
    BookSnapshot / BookSnapshotFixed, 4 "book_snapshots", lifetime 'a,
    {
        /// Levels to sell at, best first.
        bids "bids": Levels,
        /// Levels to buy at, best first.
        asks "asks": Levels,
    }
    flags {}
}

standard_table! {
    /// One change of an order book.
    BookDelta / BookDeltaFixed, 5 "book_deltas", lifetime 'a,
    {
        /// The side that changed.
        side "side": (Word BookSide),
        /// What happened; none given means `set`.
        action "action": (Word Action),
        /// The level's price.
        price "price": Double,
        /// What stands there afterwards; for `fill` what was taken.
        size "size": Double,
        /// The order, where the feed goes order by order.
        order_id "order_id": Id,
    }
    flags {
        /// The last row of its message.
        event_end: EVENT_END_KNOWN EVENT_END,
        /// A row of a snapshot.
        snapshot: SNAPSHOT_KNOWN SNAPSHOT,
    }
}

standard_table! {
    /// Prices of a period; `ts` is its start.
    Bar / BarFixed, 6 "bars", lifetime 'a,
    {
        /// Its length, such as `1m`, `1h`, `1d`.
        period "period": Text,
        /// First price.
        open "open": Double,
        /// Highest price.
        high "high": Double,
        /// Lowest price.
        low "low": Double,
        /// Last price.
        close "close": Double,
        /// Traded quantity.
        volume "volume": Double,
        /// Traded value.
        turnover "turnover": Double,
        /// Number of trades.
        trade_count "trade_count": BigInt,
        /// Open contracts at the end.
        open_interest "open_interest": Double,
    }
    flags {}
}

standard_table! {
    /// An order as it was sent.
    Order / OrderFixed, 7 "orders", lifetime 'a,
    {
        /// The venue's number of the order.
        order_id "order_id": Id,
        /// Whose order it is.
        account "account": Id,
        /// Which way it goes.
        side "side": (Word Side),
        /// What it does to a position.
        position_effect "position_effect": (Word PositionEffect),
        /// Its type, such as `limit` or `market`.
        kind "type": Text,
        /// How long it stands.
        time_in_force "time_in_force": Text,
        /// Its limit.
        price "price": Double,
        /// Its quantity.
        size "size": Double,
        /// The sender's own number.
        client_order_id "client_order_id": Id,
    }
    flags {}
}

standard_table! {
    /// Where an order stands.
    OrderUpdate / OrderUpdateFixed, 8 "order_updates", lifetime 'a,
    {
        /// The venue's number of the order.
        order_id "order_id": Id,
        /// Whose order it is.
        account "account": Id,
        /// Where it stands.
        status "status": (Word OrderStatus),
        /// Filled so far.
        filled "filled": Double,
        /// Still open.
        remaining "remaining": Double,
        /// Average price of what is filled.
        average_price "average_price": Double,
        /// Why, in the venue's words.
        reason "reason": Text,
    }
    flags {}
}

standard_table! {
    /// A fill of an own order.
    Execution / ExecutionFixed, 9 "executions", lifetime 'a,
    {
        /// The venue's number of the fill.
        execution_id "execution_id": Id,
        /// The order that was filled.
        order_id "order_id": Id,
        /// Whose fill it is.
        account "account": Id,
        /// Which way it went.
        side "side": (Word Side),
        /// What it did to a position.
        position_effect "position_effect": (Word PositionEffect),
        /// Price per unit.
        price "price": Double,
        /// Filled quantity.
        size "size": Double,
        /// What it cost.
        fee "fee": Double,
        /// Whether it stood in the book or came to it.
        liquidity "liquidity": (Word Liquidity),
    }
    flags {}
}

standard_table! {
    /// What an account holds of a currency or asset, which is the symbol; amounts in units of 10^-9.
    Balance / BalanceFixed, 10 "balances", lifetime 'a,
    {
        /// Whose balance it is.
        account "account": Id,
        /// All of it.
        balance "balance": Decimal,
        /// Free to use.
        available "available": Decimal,
        /// Held by open orders.
        frozen "frozen": Decimal,
        /// Held by positions.
        margin "margin": Decimal,
    }
    flags {}
}

standard_table! {
    /// What an account holds of an instrument.
    Position / PositionFixed, 11 "positions", lifetime 'a,
    {
        /// Whose position it is.
        account "account": Id,
        /// Its direction, such as `long` or `short`.
        side "side": Text,
        /// Its quantity.
        size "size": Double,
        /// Average price of opening.
        average_price "average_price": Double,
        /// Margin held for it.
        margin "margin": Double,
        /// Profit taken.
        realized_pnl "realized_pnl": Double,
        /// Profit at the current price.
        unrealized_pnl "unrealized_pnl": Double,
    }
    flags {}
}

standard_table! {
    /// Reference data of an instrument; the latest row counts.
    Instrument / InstrumentFixed, 12 "instruments", lifetime 'a,
    {
        /// Where it trades.
        venue "venue": Text,
        /// Its kind, such as `future` or `spot`.
        kind "kind": Text,
        /// Smallest price step.
        tick_size "tick_size": Double,
        /// Smallest size step.
        lot_size "lot_size": Double,
        /// Units of the underlying in one contract.
        multiplier "multiplier": Double,
        /// What prices are in.
        currency "currency": Text,
        /// Last moment of trading.
        expiry "expiry": Timestamp,
    }
    flags {}
}

/// The schemas of all standard tables.
pub(crate) fn standard_schemas() -> Vec<std::sync::Arc<TableSchema>> {
    [
        <Trade<'static> as StandardTable>::schema(),
        <Quote<'static> as StandardTable>::schema(),
        <Tick<'static> as StandardTable>::schema(),
        <BookSnapshot<'static> as StandardTable>::schema(),
        <BookDelta<'static> as StandardTable>::schema(),
        <Bar<'static> as StandardTable>::schema(),
        <Order<'static> as StandardTable>::schema(),
        <OrderUpdate<'static> as StandardTable>::schema(),
        <Execution<'static> as StandardTable>::schema(),
        <Balance<'static> as StandardTable>::schema(),
        <Position<'static> as StandardTable>::schema(),
        <Instrument<'static> as StandardTable>::schema(),
    ]
    .into_iter()
    .map(|schema| std::sync::Arc::new(schema.clone()))
    .collect()
}

// The structs and the schemas describe one layout; where they differ, this does not compile or a test fails.
#[cfg(test)]
mod tests;
