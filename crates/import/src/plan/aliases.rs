//! What sources call the columns of our tables. Names are compared without case, spaces and punctuation.

/// Letters and digits of a name, in lower case.
pub(crate) fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Where an event time can come from.
pub(super) enum TimeAlias {
    One(&'static str),
    Pair(&'static str, &'static str),
}

/// Sources of `ts`, best first: whole times, then dates with times, then names that may be either.
pub(super) const TS: &[TimeAlias] = {
    use TimeAlias::{One, Pair};
    &[
        One("ts"),
        One("tsevent"),
        One("timestamp"),
        One("datetime"),
        One("eventtime"),
        One("eventts"),
        One("transacttime"),
        One("transacttimestamp"),
        One("exchangetimestamp"),
        One("exchangetime"),
        One("exchtimestamp"),
        One("exchtime"),
        One("exchts"),
        Pair("mddate", "mdtime"),
        Pair("actionday", "updatetime"),
        Pair("actiondate", "actiontime"),
        Pair("date", "time"),
        Pair("tradedate", "tradetime"),
        Pair("day", "time"),
        One("tradetime"),
        One("tradtime"),
        One("ordertime"),
        One("updatetime"),
        One("time"),
        One("opentime"),
        One("date"),
        One("tradedate"),
        One("t"),
    ]
};

/// Milliseconds that belong to a time whose column name begins like this.
pub(super) const MILLIS: &[(&str, &str)] =
    &[("updatetime", "updatemillisec"), ("updatetime", "updatemillis")];

/// Sources of `symbol`, best first. Chinese feeds have the name in `Symbol` and the code in `SecurityID`.
pub(super) const SYMBOL: &[&str] = &[
    "securityid",
    "symbol",
    "sym",
    "instrument",
    "instrumentid",
    "ticker",
    "rawsymbol",
    "contract",
    "stockcode",
    "windcode",
    "secid",
    "code",
    "pair",
    "market",
    "s",
    "asset",
    "coin",
    "currency",
    "ccy",
];

/// Sources of `recv_ts`.
pub(super) const RECV_TS: &[&str] = &[
    "recvts",
    "tsrecv",
    "receivedatetime",
    "receivetime",
    "receivetimestamp",
    "receivedtime",
    "receivedat",
    "receivets",
    "recvtime",
    "recvtimestamp",
    "rcvtime",
    "rcvts",
    "localtime",
    "localtimestamp",
    "localts",
    "arrivaltime",
    "capturetime",
];

/// Sources of `feed_seq`. `seq` is not among them: in an export of ours it is the journal's number.
pub(super) const FEED_SEQ: &[&str] = &[
    "feedseq",
    "applseqnum",
    "sequence",
    "sequencenumber",
    "seqnum",
    "seqno",
    "lastupdateid",
    "finalupdateid",
    "updateid",
    "bizindex",
    "u",
];

/// A column that says with true and false what ours says with words: `(source, word where true, where false)`.
pub(super) type TrueFalse = (&'static str, &'static str, &'static str);

/// The true-false sources of a column. Where the buyer is the maker, the seller took the initiative.
pub(super) fn true_false(column: &str) -> &'static [TrueFalse] {
    match column {
        "side" => &[
            ("isbuyermaker", "sell", "buy"),
            ("buyermaker", "sell", "buy"),
            ("buyerismaker", "sell", "buy"),
            ("m", "sell", "buy"),
        ],
        "liquidity" => &[("ismaker", "maker", "taker"), ("maker", "maker", "taker")],
        _ => &[],
    }
}

/// Sources of a column between `symbol` and `recv_ts`, best first. Its own name need not be among them.
pub(super) fn of_column(column: &str) -> &'static [&'static str] {
    match column {
        "price" => &[
            "px",
            "tradeprice",
            "tradprice",
            "orderprice",
            "lastprice",
            "lastpx",
            "last",
            "trdprice",
            "rate",
            "p",
        ],
        "size" => &[
            "qty",
            "quantity",
            "tradeqty",
            "orderqty",
            "tradvolume",
            "tradevolume",
            "amount",
            "volume",
            "vol",
            "sz",
            "lastsize",
            "lastqty",
            "baseqty",
            "q",
            "balance",
        ],
        "side" => &[
            "bsflag",
            "tradebsflag",
            "tradbsflag",
            "orderbsflag",
            "direction",
            "takerside",
            "aggressorside",
            "aggressor",
            "bs",
            "buysell",
        ],
        "trade_id" => &["tradeid", "tradeno", "tradeindex", "tid", "aggtradeid", "execid", "matchid", "id"],
        "venue" => &["exchange", "exchangeid", "exch", "mic", "market"],
        "conditions" => &["condition", "cond", "salecondition", "saleconditions", "tradecondition"],
        "bid_order_id" => &[
            "buyno",
            "tradebuyno",
            "bidapplseqnum",
            "buyorderid",
            "buyerorderid",
            "bidorderno",
            "buyorderno",
        ],
        "ask_order_id" => &[
            "sellno",
            "tradesellno",
            "offerapplseqnum",
            "askapplseqnum",
            "sellorderid",
            "sellerorderid",
            "askorderno",
            "sellorderno",
        ],
        "order_id" => &["orderno", "ordernumber", "ordersysid", "oid", "orderindex", "id"],
        "client_order_id" => &["clordid", "clorderid", "clientid", "cloid", "orderref"],
        "execution_id" => &["execid", "fillid", "tradeid", "id"],
        "account" => &["accountid", "acct", "accountno", "investorid"],
        "type" => &["ordertype", "ordtype", "orderpricetype"],
        "time_in_force" => &["tif", "timecondition"],
        "position_effect" => &["offset", "openclose", "positionoffset", "effect"],
        "status" => &["orderstatus", "state"],
        "filled" => &["filledqty", "filledsize", "cumqty", "executedqty", "volumetraded"],
        "remaining" => &["remainingqty", "leavesqty", "leaves", "openqty"],
        "average_price" => &["avgpx", "avgprice", "averagepx", "entryprice"],
        "reason" => &["text", "message", "msg", "rejectreason", "statusmsg"],
        "fee" => &["commission", "fees"],
        "liquidity" => &["lastliquidity", "liquidityind", "makertaker"],
        "action" => &["updateaction", "mdupdateaction"],
        "event_end" => &["lastinevent", "islast"],
        "snapshot" => &["issnapshot"],
        "bid_price" => &[
            "bid",
            "bidpx",
            "bestbid",
            "bestbidprice",
            "bidprice0",
            "bidpx0",
            "bidpx00",
            "bidprice1",
            "bidpx1",
            "bid1",
            "buyprice1",
            "b",
        ],
        "bid_size" => &[
            "bidqty",
            "bidvolume",
            "bidvol",
            "bidsz",
            "bestbidqty",
            "bestbidsize",
            "bidsize0",
            "bidqty0",
            "bidorderqty0",
            "bidsz00",
            "bidvolume1",
            "bidvol1",
            "bidsize1",
            "bidqty1",
            "bidorderqty1",
            "buyorderqty1",
            "buyvolume1",
            "bidamount",
        ],
        "ask_price" => &[
            "ask",
            "askpx",
            "offer",
            "offerprice",
            "offerpx",
            "bestask",
            "bestaskprice",
            "askprice0",
            "askpx0",
            "askpx00",
            "offerprice0",
            "askprice1",
            "askpx1",
            "ask1",
            "offerprice1",
            "sellprice1",
            "a",
        ],
        "ask_size" => &[
            "askqty",
            "askvolume",
            "askvol",
            "asksz",
            "offersize",
            "offerqty",
            "bestaskqty",
            "bestasksize",
            "asksize0",
            "askqty0",
            "askorderqty0",
            "offerorderqty0",
            "asksz00",
            "askvolume1",
            "askvol1",
            "asksize1",
            "askqty1",
            "askorderqty1",
            "offerorderqty1",
            "sellorderqty1",
            "sellvolume1",
            "askamount",
        ],
        "last_price" => &["last", "lastpx", "price", "newprice", "px"],
        "open" => &["openpx", "openprice", "o"],
        "high" => &["highpx", "highprice", "highest", "highestprice", "h"],
        "low" => &["lowpx", "lowprice", "lowest", "lowestprice", "l"],
        "close" => &["closepx", "closeprice", "last", "c"],
        "pre_close" => {
            &["preclosepx", "precloseprice", "precloprice", "prevclose", "prevclosepx", "previousclose"]
        }
        "pre_settlement" => &["presettlementprice", "presettle", "prevsettlement", "presettlepx"],
        "upper_limit" => &["upperlimitprice", "uplimit", "limitup", "maxpx", "highlimit"],
        "lower_limit" => &["lowerlimitprice", "downlimit", "limitdown", "minpx", "lowlimit"],
        "volume" => {
            &["vol", "totalvolumetrade", "tradvolume", "totalvolume", "cumvolume", "basevolume", "qty", "v"]
        }
        "turnover" => &[
            "amount",
            "totalvaluetrade",
            "quotevolume",
            "quoteassetvolume",
            "quoteqty",
            "value",
            "money",
            "amt",
        ],
        "open_interest" => &["oi", "closeoi", "openint", "position"],
        "trading_day" => &["tradingdate", "tradedate", "tradeday"],
        "trade_count" => {
            &["numtrades", "numberoftrades", "trades", "tradecount", "tradnumber", "tradenum", "count", "n"]
        }
        "period" => &["interval", "freq", "frequency", "timeframe"],
        "balance" => &["total", "equity", "walletbalance"],
        "available" => &["free", "availablebalance", "avail"],
        "frozen" => &["locked", "hold", "frozenbalance"],
        "realized_pnl" => &["realizedprofit", "closeprofit", "realpnl"],
        "unrealized_pnl" => &["unrealizedprofit", "positionprofit", "upl"],
        "kind" => &["type", "productclass", "instrumenttype", "securitytype"],
        "tick_size" => &["pricetick", "minpriceincrement", "priceincrement"],
        "lot_size" => &["lot", "minlot", "sizeincrement", "stepsize"],
        "multiplier" => &["volumemultiple", "contractmultiplier", "contractsize"],
        "currency" => &["quotecurrency", "ccy"],
        "expiry" => &["expiration", "expirydate", "expiredate", "expirationdate", "maturity"],
        _ => &[],
    }
}

/// The beginnings of the price columns and of the size columns of a flat order book; a number follows, and for
/// some feeds a last part (`bids[0].price`).
pub(super) struct LevelNames {
    pub(super) prices: &'static [(&'static str, &'static str)],
    pub(super) sizes: &'static [(&'static str, &'static str)],
}

/// The names of the levels of `bids` and `asks`.
pub(super) fn levels(column: &str) -> Option<LevelNames> {
    match column {
        "bids" => Some(LevelNames {
            prices: &[
                ("bidprice", ""),
                ("bidpx", ""),
                ("buyprice", ""),
                ("bids", "price"),
                ("bidlevel", "price"),
                ("bid", ""),
            ],
            sizes: &[
                ("bidvolume", ""),
                ("bidsize", ""),
                ("bidqty", ""),
                ("bidorderqty", ""),
                ("buyorderqty", ""),
                ("bidsz", ""),
                ("bidvol", ""),
                ("buyvolume", ""),
                ("bids", "amount"),
                ("bids", "size"),
                ("bidlevel", "qty"),
            ],
        }),
        "asks" => Some(LevelNames {
            prices: &[
                ("askprice", ""),
                ("askpx", ""),
                ("offerprice", ""),
                ("sellprice", ""),
                ("asks", "price"),
                ("asklevel", "price"),
                ("ask", ""),
            ],
            sizes: &[
                ("askvolume", ""),
                ("asksize", ""),
                ("askqty", ""),
                ("askorderqty", ""),
                ("offerorderqty", ""),
                ("sellorderqty", ""),
                ("asksz", ""),
                ("askvol", ""),
                ("sellvolume", ""),
                ("asks", "amount"),
                ("asks", "size"),
                ("asklevel", "qty"),
            ],
        }),
        _ => None,
    }
}
