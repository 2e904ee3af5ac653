use tapebook_record::Schemas;

use super::*;
use crate::error::ImportError;
use crate::options::ImportOptions;

fn plan_with(
    table: &str,
    header: &str,
    change: impl FnOnce(&mut ImportOptions),
) -> Result<String, ImportError> {
    let schemas = Schemas::standard();
    let mut options = ImportOptions::new(0);
    change(&mut options);
    let names: Vec<String> = header.split(',').map(str::to_owned).collect();
    let request =
        Request { file: "f.csv", schema: schemas.by_name(table).unwrap(), options: &options, names: &names };
    let plan = make(&request)?;
    let mut lines: Vec<String> =
        plan.columns.iter().map(|plan| format!("{}<-{}", plan.column, plan.source)).collect();
    lines.extend(plan.unplaced.iter().map(|name| format!("?{name}")));
    Ok(lines.join(" "))
}

fn plan(table: &str, header: &str) -> String {
    plan_with(table, header, |_| ()).unwrap()
}

#[test]
fn equal_names_come_before_aliases() {
    assert_eq!(
        plan("trades", "symbol,ts,px,price,amount"),
        "symbol<-symbol ts<-ts price<-price size<-amount ?px"
    );
    assert_eq!(plan("trades", "Symbol,SecurityID,TS"), "symbol<-SecurityID ts<-TS ?Symbol");
    assert_eq!(plan("trades", "Symbol,instrument_id,time"), "symbol<-Symbol ts<-time ?instrument_id");
}

#[test]
fn binance() {
    assert_eq!(
        plan_with("trades", "id,price,qty,quoteQty,time,isBuyerMaker,isBestMatch", |options| {
            options.symbol = Some("BINANCE.BTCUSDT".to_owned());
        })
        .unwrap(),
        "symbol<-\"BINANCE.BTCUSDT\" ts<-time price<-price size<-qty \
         side<-isBuyerMaker (true: sell, false: buy) trade_id<-id ?quoteQty ?isBestMatch"
    );
}

#[test]
fn ctp_ticks() {
    assert_eq!(
        plan(
            "ticks",
            "instrument,trading_day,action_day,update_time,last_price,PreClosePx,highest,bid_price1,bid_volume1,AskPrice0,ask_volume1,amount"
        ),
        "symbol<-instrument ts<-action_day+update_time last_price<-last_price high<-highest pre_close<-PreClosePx \
         turnover<-amount bid_price<-bid_price1 bid_size<-bid_volume1 ask_price<-AskPrice0 ask_size<-ask_volume1 \
         trading_day<-trading_day"
    );
    assert_eq!(
        plan("ticks", "InstrumentID,ActionDay,UpdateTime,UpdateMillisec"),
        "symbol<-InstrumentID ts<-ActionDay+UpdateTime+UpdateMillisec"
    );
}

#[test]
fn chinese_level_two() {
    assert_eq!(
        plan(
            "orders",
            "MDDate,MDTime,Symbol,ReceiveDateTime,OrderType,OrderPrice,OrderQty,OrderBSFlag,ChannelNo,ApplSeqNum,OrderNO,SecurityID"
        ),
        "symbol<-SecurityID ts<-MDDate+MDTime recv_ts<-ReceiveDateTime feed_seq<-ApplSeqNum order_id<-OrderNO \
         side<-OrderBSFlag type<-OrderType price<-OrderPrice size<-OrderQty ?Symbol ?ChannelNo"
    );
}

#[test]
fn levels_are_found_by_their_numbers() {
    assert_eq!(
        plan(
            "book_snapshots",
            "symbol,ts,bid_price1,bid_volume1,bid_price2,bid_volume2,bid_price3,AskPrice0,AskOrderQty0"
        ),
        "symbol<-symbol ts<-ts bids<-bid_price1 bid_volume1 to bid_price2 bid_volume2 \
         asks<-AskPrice0 AskOrderQty0 ?bid_price3"
    );
    let names = "symbol,ts,bids[0].price,bids[0].amount,bids[1].price,bids[1].amount";
    assert_eq!(
        plan("book_snapshots", names),
        "symbol<-symbol ts<-ts bids<-bids[0].price bids[0].amount to bids[1].price bids[1].amount"
    );
    assert_eq!(
        plan("book_snapshots", "symbol,ts,bid_px_10,bid_sz_10,bid_px_02,bid_sz_02"),
        "symbol<-symbol ts<-ts bids<-bid_px_02 bid_sz_02 to bid_px_10 bid_sz_10"
    );
}

#[test]
fn what_the_user_says_comes_first() {
    let mapped = |column: &str, source: &str| {
        let pair = (column.to_owned(), source.to_owned());
        plan_with("trades", "symbol,ts,day,clock,p1,p2", |options| options.map.push(pair))
    };
    assert_eq!(
        mapped("price", "P2").unwrap(),
        "symbol<-symbol ts<-ts price<-P2 ?day ?clock ?p1".replace("P2", "p2")
    );
    assert_eq!(mapped("ts", "day+clock").unwrap(), "symbol<-symbol ts<-day+clock ?ts ?p1 ?p2");
    assert!(matches!(mapped("cost", "p2"), Err(ImportError::UnknownColumn { .. })));
    assert!(matches!(mapped("price", "p3"), Err(ImportError::UnknownSource { .. })));
    assert!(matches!(mapped("price", "day+clock"), Err(ImportError::BadSource { .. })));
    assert!(matches!(mapped("ts", "day+clock+p1+p2"), Err(ImportError::BadSource { .. })));
    let set = plan_with("trades", "symbol,ts,side,x", |options| {
        options.set.push(("side".to_owned(), "buy".to_owned()));
        options.ignore.push("X".to_owned());
        options.strict = true;
    });
    assert_eq!(set.unwrap(), "symbol<-symbol ts<-ts side<-\"buy\"");
}

#[test]
fn what_is_missing_is_named() {
    let missing = |header: &str| plan_with("trades", header, |_| ()).unwrap_err().to_string();
    let symbol = missing("ts,price");
    assert!(
        symbol.contains("symbol") && symbol.contains("--symbol NAME") && symbol.ends_with("ts, price"),
        "{symbol}"
    );
    assert!(missing("symbol,price").contains("--map ts=COLUMN"));
    let strict = plan_with("trades", "symbol,ts,weather", |options| options.strict = true).unwrap_err();
    assert!(strict.to_string().contains("weather"), "{strict}");
}
