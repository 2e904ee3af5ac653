//! What becomes of values.

use crate::rows::{good, import_text, options};

const TS: &str = "1609761600000000000";

#[test]
fn every_column_of_a_trade() {
    let text = "symbol,ts,recv_ts,feed_seq,price,size,side,trade_id,venue,conditions,bid_order_id,ask_order_id\n\
                X,1609761600000,1609761600001,7,15.929999999999999,0.5,S,17,SSE,\"a,b\",007,\n";
    assert_eq!(
        good("trades", text, &options()),
        ["X 1609761600000000000 recv=1609761600001000000 feed_seq=7 price=15.93 size=0.5 side=sell \
          trade_id=17 venue=\"SSE\" conditions=\"a,b\" bid_order_id=\"007\""]
    );
}

#[test]
fn nothing_is_null_and_an_empty_text_is_a_text() {
    let text = format!(
        "symbol,ts,recv_ts,feed_seq,price,side,trade_id,venue,conditions\nX,{TS},,,,,,,\"\"\n\
         X,{TS},NULL,null,NULL,null,NULL,NULL,\"NULL\"\nX,{TS}, , ,\\N, , , ,x\n"
    );
    assert_eq!(
        good("trades", text, &options()),
        [
            format!("X {TS} conditions=\"\""),
            format!("X {TS} conditions=\"NULL\""),
            format!("X {TS} venue=\" \" conditions=\"x\""),
        ]
    );
}

#[test]
fn names_stay_names_and_zeros_stay() {
    let text = format!(
        "SecurityID,ts,id\nNAN,{TS},0017\nTRUE,{TS},17\nNULL,{TS},1e3\n000001,{TS},-5\n \"x\" ,{TS},9223372036854775808\n"
    );
    assert_eq!(
        good("trades", text, &options()),
        [
            format!("NAN {TS} trade_id=\"0017\""),
            format!("TRUE {TS} trade_id=17"),
            format!("NULL {TS} trade_id=\"1e3\""),
            format!("000001 {TS} trade_id=\"-5\""),
            format!("\"x\" {TS} trade_id=\"9223372036854775808\""),
        ]
    );
}

#[test]
fn the_maker_decides_the_side() {
    let text = format!("symbol,ts,isBuyerMaker\nX,{TS},true\nX,{TS},False\nX,{TS},1\nX,{TS},\n");
    assert_eq!(
        good("trades", &text, &options()),
        [
            format!("X {TS} side=sell"),
            format!("X {TS} side=buy"),
            format!("X {TS} side=sell"),
            format!("X {TS}")
        ]
    );
    let mut mapped = options();
    mapped.map.push(("side".into(), "isBuyerMaker".into()));
    assert_eq!(good("trades", text, &mapped)[0], format!("X {TS} side=sell"));
}

#[test]
fn book_deltas_have_words_and_flags() {
    let text = format!(
        "symbol,ts,side,action,price,size,event_end,snapshot\nX,{TS},b,DELETE,1,0,true,0\nX,{TS},2,,1,0,,\n"
    );
    assert_eq!(
        good("book_deltas", text, &options()),
        [
            format!("X {TS} side=bid action=delete price=1 size=0 event_end=true snapshot=false"),
            format!("X {TS} side=ask price=1 size=0"),
        ]
    );
}

#[test]
fn balances_are_exact() {
    let text = format!(
        "asset,ts,account,total,free,locked\nUSDT,{TS},a1,100000000000000000000.000000001,-1.5,1e-9\n"
    );
    assert_eq!(
        good("balances", text, &options()),
        [format!(
            "USDT {TS} account=\"a1\" balance=100000000000000000000000000001 available=-1500000000 frozen=1"
        )]
    );
}

#[test]
fn levels_from_columns_and_from_lists() {
    let text = format!(
        "symbol,ts,bid_price1,bid_volume1,bid_price2,bid_volume2,ask_price1,ask_volume1\n\
         X,{TS},10,1,9,2,11,3\nX,{TS},10,1,0,0,,\nX,{TS},0,,,0,0.0,0\n"
    );
    assert_eq!(
        good("book_snapshots", text, &options()),
        [
            format!("X {TS} bids=[1@10 2@9] asks=[3@11]"),
            format!("X {TS} bids=[1@10] asks=[]"),
            format!("X {TS} bids=[] asks=[]"),
        ]
    );
    let text =
        format!("symbol;ts;bids;asks\nX;{TS};[[10, 1],[9,2]];[]\nX;{TS};;\"[[\"\"1.5\"\",\"\"2\"\"]]\"\n");
    assert_eq!(
        good("book_snapshots", text, &options()),
        [format!("X {TS} bids=[1@10 2@9] asks=[]"), format!("X {TS} asks=[2@1.5]")]
    );
    for bad in ["[[1,2]", "[1,2]", "[[1,2,3]]", "[[1]]", "[[1,2],]", "[[1,x]]", "[[1,2][3,4]]", "x"] {
        let text = format!("symbol;ts;bids\nX;{TS};{bad}\n");
        assert!(import_text("book_snapshots", text, &options()).is_err(), "{bad}");
    }
    let half = format!("symbol,ts,bid_price1,bid_volume1\nX,{TS},10,\n");
    assert!(import_text("book_snapshots", half, &options()).is_err());
}

#[test]
fn other_kinds_of_columns() {
    let text = "symbol,ts,period,open,trade_count,amount\nX,2021.01.04,1d,1,12.0,5\n";
    assert_eq!(
        good("bars", text, &options()),
        ["X 1609718400000000000 period=\"1d\" open=1 turnover=5 trade_count=12"]
    );
    let text = format!("symbol,ts,trading_day\nX,{TS},20210104\nX,{TS},2021-01-05\nX,{TS},\n");
    assert_eq!(
        good("ticks", text, &options()),
        [format!("X {TS} trading_day=18631"), format!("X {TS} trading_day=18632"), format!("X {TS}")]
    );
    let text = format!("symbol,ts,expiry\nX,{TS},2199-01-01\n");
    assert_eq!(good("instruments", text, &options()), [format!("X {TS} expiry=7226582400000000000")]);
}

#[test]
fn what_the_user_gives_goes_into_every_row() {
    let mut given = options();
    given.symbol = Some("BINANCE.BTCUSDT".into());
    given.set = vec![
        ("venue".into(), "BINANCE".into()),
        ("side".into(), "b".into()),
        ("recv_ts".into(), "2021-01-04T12:00:00Z".into()),
    ];
    let text = format!("symbol,ts\nignored,{TS}\n");
    assert_eq!(
        good("trades", text, &given),
        [format!("BINANCE.BTCUSDT {TS} recv={TS} side=buy venue=\"BINANCE\"")]
    );
    let mut prefixed = options();
    prefixed.symbol_prefix = Some("SSE.".into());
    assert_eq!(good("trades", format!("code,ts\n600519,{TS}\n"), &prefixed), [format!("SSE.600519 {TS}")]);
}

#[test]
fn nan_is_null_only_where_the_user_says_so() {
    let text = format!("symbol,ts,price\nX,{TS},NaN\n");
    assert!(import_text("trades", &text, &options()).is_err());
    let mut lenient = options();
    lenient.nan_as_null = true;
    assert_eq!(good("trades", text, &lenient), [format!("X {TS}")]);
    assert!(import_text("trades", format!("symbol,ts,price\nX,{TS},inf\n"), &lenient).is_err());
}

#[test]
fn local_times_and_receipts_of_the_day() {
    let mut shanghai = options();
    shanghai.time_zone = "Asia/Shanghai".parse().unwrap();
    let text = "SecurityID,OrderTime,LocalTime\n600519,2021-01-04T09:15:00.020,09:25:26.145\n";
    assert_eq!(good("orders", text, &shanghai), ["600519 1609722900020000000 recv=1609723526145000000"]);
}
