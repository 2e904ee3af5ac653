use super::*;

const NOON: i64 = 18_631 * DAY_NANOS + DAY_NANOS / 2;

fn reader() -> TimeReader {
    TimeReader { zone: Zone::utc(), unit: None, day: None }
}

fn text(bytes: &str) -> Cell<'_> {
    Cell::Text { bytes: bytes.as_bytes(), quoted: false }
}

fn event(reader: &TimeReader, bytes: &str) -> Result<Option<i64>, String> {
    reader.clone().event(text(bytes)).map_err(|problem| problem.text)
}

#[test]
fn the_size_of_a_number_says_its_unit() {
    for number in ["1609761600", "1609761600000", "1609761600000000", "1609761600000000000", "1609761600.000"]
    {
        assert_eq!(event(&reader(), number), Ok(Some(NOON)), "{number}");
    }
    for number in ["20210104120000", "20210104120000000", "2021-01-04T12:00:00Z"] {
        assert_eq!(event(&reader(), number), Ok(Some(NOON)), "{number}");
    }
    assert_eq!(event(&reader(), "20210104"), Ok(Some(NOON - DAY_NANOS / 2)));
    assert_eq!(event(&reader(), ""), Ok(None));
    assert_eq!(event(&reader(), "null"), Ok(None));
    let nanos = TimeReader { unit: Some(TimeUnit::Nanosecond), ..reader() };
    assert_eq!(event(&nanos, "20210104"), Ok(Some(20_210_104)));
    assert_eq!(nanos.clone().event(Cell::Int(-5)).unwrap(), Some(-5));
}

#[test]
fn what_cannot_be_stored_is_refused() {
    let range = Err(OUT_OF_RANGE.to_owned());
    assert_eq!(event(&reader(), "9999-12-31T00:00:00"), range);
    assert_eq!(event(&reader(), "9999999999999"), range);
    assert_eq!(event(&reader(), "99999999999999999999"), range);
    assert_eq!(event(&reader(), "-9223372036854775808"), range);
    assert_eq!(event(&reader(), "1677-09-21T00:12:43.145224192"), range);
    assert_eq!(event(&reader(), "1677-09-21T00:12:43.145224193"), Ok(Some(i64::MIN + 1)));
    assert_eq!(event(&reader(), "2262-04-11T23:47:16.854775807"), Ok(Some(i64::MAX)));
    assert_eq!(event(&reader(), "2262-04-11T23:47:16.854775808"), range);
    for bad in ["noon", "2021-02-30", "12:00 pm", "1e9", "1.5.2", "2021-01-04T25:00"] {
        assert_eq!(event(&reader(), bad), Err(NOT_A_TIME.to_owned()), "{bad}");
    }
    assert_eq!(event(&reader(), "12:00:00"), Err(NO_DATE.to_owned()));
    let double = reader().event(Cell::Double(1.5)).map_err(|problem| problem.text);
    assert_eq!(double, Err(NOT_A_TIME.to_owned()));
}

#[test]
fn with_a_day_numbers_are_since_midnight() {
    let day =
        TimeReader { unit: Some(TimeUnit::Millisecond), day: Some(18_631), zone: "UTC-05".parse().unwrap() };
    assert_eq!(event(&day, "43200000"), Ok(Some(NOON + 5 * 3_600_000_000_000)));
    assert_eq!(event(&day, "12:00:00"), Ok(Some(NOON + 5 * 3_600_000_000_000)));
    assert!(event(&day, "86400000").unwrap_err().contains("not within one day"));
    assert!(event(&day, "-1").is_err());
    let unitless = TimeReader { unit: None, ..day };
    assert!(event(&unitless, "43200000").unwrap_err().contains("--time-unit"));
}

#[test]
fn parts_are_put_together() {
    let mut shanghai = TimeReader { zone: "Asia/Shanghai".parse().unwrap(), ..reader() };
    let mut at = |date: &str, time: &str, millis: Option<&str>| {
        let parts = Parts { date: text(date), time: text(time), millis: millis.map(text) };
        shanghai.parts(parts).map_err(|problem| problem.text)
    };
    let morning = NOON - 8 * 3_600_000_000_000;
    assert_eq!(at("20210104", "12:00:00.500", None), Ok(Some(morning + 500_000_000)));
    assert_eq!(at("2021.01.04", "120000500", None), Ok(Some(morning + 500_000_000)));
    assert_eq!(at("2021-01-04", "12:00:00", Some("500")), Ok(Some(morning + 500_000_000)));
    assert_eq!(at("2021-01-04", "120000", Some("")), Ok(Some(morning)));
    assert_eq!(at("", "12:00:00", None), Ok(None));
    assert!(at("2021-01-04", "12:00:00", Some("1000")).is_err());
    assert!(at("2021-01-32", "12:00:00", None).is_err());
    assert!(at("2021-01-04", "250000", None).is_err());
    assert!(at("2021-01-04", "2021-01-04", None).is_err());
}

#[test]
fn a_receipt_without_a_date_is_close_to_its_event() {
    let mut reader = reader();
    let mut receipt = |bytes, event| reader.receipt(text(bytes), event).unwrap().unwrap();
    assert_eq!(receipt("12:00:01", NOON), NOON + 1_000_000_000);
    let midnight = NOON + DAY_NANOS / 2;
    assert_eq!(receipt("00:00:01", midnight - 1), midnight + 1_000_000_000);
    assert_eq!(receipt("23:59:59", midnight), midnight - 1_000_000_000);
}

#[test]
fn types_of_parquet() {
    let mut shanghai = TimeReader { zone: "Asia/Shanghai".parse().unwrap(), ..reader() };
    let hours = 8 * 3_600_000_000_000;
    let mut at = |cell| shanghai.event(cell).ok().flatten();
    let millis = |utc| Cell::Timestamp { value: NOON / 1_000_000, unit: TimeUnit::Millisecond, utc };
    assert_eq!(at(millis(true)), Some(NOON));
    assert_eq!(at(millis(false)), Some(NOON - hours));
    assert_eq!(at(Cell::Date(18_631)), Some(NOON - DAY_NANOS / 2 - hours));
    assert_eq!(at(Cell::Int(NOON)), Some(NOON));
    assert_eq!(at(Cell::UInt(u64::MAX)), None);
    assert_eq!(at(Cell::Double(1_609_761_600.0)), Some(NOON));
    assert_eq!(at(Cell::Timestamp { value: i64::MAX, unit: TimeUnit::Second, utc: true }), None);
    assert_eq!(
        shanghai
            .date(Cell::Timestamp { value: NOON + 3 * hours / 8, unit: TimeUnit::Nanosecond, utc: true })
            .unwrap(),
        Some(18_631)
    );
    assert_eq!(
        shanghai
            .date(Cell::Timestamp { value: NOON + hours, unit: TimeUnit::Nanosecond, utc: true })
            .unwrap(),
        Some(18_632)
    );
}
