//! The HTTP port.

use arrow::ipc::reader::StreamReader;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use tapebook_server::{Limits, http};
use tower::ServiceExt;

use super::support::{Place, caller, text};

fn request(token: &str, body: &str) -> Request<Body> {
    let mut request = Request::post("/query")
        .header(header::HOST, "127.0.0.1:7701")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap();
    if let Some(caller) = caller(token) {
        request.extensions_mut().insert(caller);
    }
    request
}

fn get(token: &str, path: &str) -> Request<Body> {
    let mut request = Request::get(path).header(header::HOST, "localhost").body(Body::empty()).unwrap();
    if let Some(caller) = caller(token) {
        request.extensions_mut().insert(caller);
    }
    request
}

async fn answer(place: &Place, request: Request<Body>) -> Response<Body> {
    http::router(std::sync::Arc::clone(place.node())).oneshot(request).await.unwrap()
}

async fn whole(place: &Place, request: Request<Body>) -> (StatusCode, String) {
    let response = answer(place, request).await;
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_as_json_lines_or_arrow() {
    let place = Place::with_trades().await;
    let sql = r#"{"sql": "SELECT symbol, count(*) AS n, min(ts) AS first FROM trades WHERE price >= $1 GROUP BY symbol ORDER BY symbol", "parameters": [149]}"#;
    let (status, body) = whole(&place, request("reader", sql)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(
        body,
        "[{\"symbol\":\"A\",\"n\":1,\"first\":\"1970-01-01T00:00:00.000000149Z\"},\n\
         {\"symbol\":\"B\",\"n\":50,\"first\":\"1970-01-01T00:00:00.000000150Z\"}]\n"
    );
    let mut lines = request("reader", sql);
    lines.headers_mut().insert(header::ACCEPT, "text/html, application/x-ndjson;q=0.9".parse().unwrap());
    let (_, body) = whole(&place, lines).await;
    assert_eq!(body.lines().count(), 2);
    let mut arrow = request("reader", sql);
    arrow.headers_mut().insert(header::ACCEPT, "application/vnd.apache.arrow.stream".parse().unwrap());
    let response = answer(&place, arrow).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/vnd.apache.arrow.stream");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let batches: Result<Vec<_>, _> = StreamReader::try_new(body.as_ref(), None).unwrap().collect();
    assert_eq!(
        text(&batches.unwrap()),
        "A 1 1970-01-01T00:00:00.000000149Z | B 50 1970-01-01T00:00:00.000000150Z"
    );
    let back = r#"{"sql": "SELECT count(*) AS n FROM trades", "as_of_seq": 120}"#;
    assert_eq!(whole(&place, request("reader", back)).await.1, "[{\"n\":120}]\n");
    let (status, body) = whole(&place, request("reader", r#"{"sql": "SELECT 1 AS a WHERE false"}"#)).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "[]\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_a_status_and_a_reason() {
    let limits = Limits {
        query_memory_each_max: 16 << 20,
        message_bytes_max: 100_000,
        query_time_max: std::time::Duration::from_secs(2),
        ..Limits::default()
    };
    let place = Place::with_limits(limits).await;
    let greedy = r#"{"sql": "SELECT value FROM generate_series(1, 100000000) ORDER BY value DESC"}"#;
    let slow =
        r#"{"sql": "SELECT count(*) FROM generate_series(1, 1000) a, generate_series(1, 10000000000) b"}"#;
    let large = format!(r#"{{"sql": "SELECT '{}'"}}"#, "x".repeat(200_000));
    for (token, body, status, part) in [
        ("nobody", r#"{"sql": "SELECT 1"}"#, StatusCode::UNAUTHORIZED, "who calls"),
        ("trades-reader", r#"{"sql": "SELECT * FROM quotes"}"#, StatusCode::FORBIDDEN, "quotes"),
        ("reader", r#"{"sql": "SELECT * FROM sys.queries"}"#, StatusCode::FORBIDDEN, "administer"),
        ("reader", r#"{"sql": "SELEC"}"#, StatusCode::BAD_REQUEST, "SELEC"),
        ("reader", r#"{"sql": "DROP TABLE trades"}"#, StatusCode::BAD_REQUEST, "SQL reads"),
        ("reader", "SELECT 1", StatusCode::BAD_REQUEST, "no JSON"),
        ("reader", greedy, StatusCode::UNPROCESSABLE_ENTITY, "memory"),
        ("reader", slow, StatusCode::REQUEST_TIMEOUT, "longest"),
        ("reader", &large, StatusCode::PAYLOAD_TOO_LARGE, "100000 bytes"),
    ] {
        let (found, answer) = whole(&place, request(token, body)).await;
        assert_eq!(found, status, "{answer}");
        assert!(answer.contains(part) && answer.starts_with("{\"error\":"), "{part}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_the_middle_cuts_the_body_off() {
    let place = Place::with_trades().await;
    let sql = r#"{"sql": "SELECT 1 / (value - 99999) AS x FROM generate_series(1, 100000)"}"#;
    let response = answer(&place, request("reader", sql)).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.into_body().collect().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_others_get_nothing() {
    let place = Place::with_trades().await;
    let asked = |name: header::HeaderName, value: &str| {
        let mut request = request("admin", r#"{"sql": "SELECT 1"}"#);
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    for (name, value, status) in [
        (header::HOST, "evil.example", StatusCode::MISDIRECTED_REQUEST),
        (header::ORIGIN, "https://evil.example", StatusCode::MISDIRECTED_REQUEST),
        (header::ORIGIN, "null", StatusCode::MISDIRECTED_REQUEST),
        (header::CONTENT_TYPE, "text/plain", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (header::CONTENT_TYPE, "application/x-www-form-urlencoded", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (header::HOST, "db.example:7701", StatusCode::OK),
        (header::ORIGIN, "http://127.0.0.1:7701", StatusCode::OK),
        (header::CONTENT_TYPE, "application/json; charset=utf-8", StatusCode::OK),
    ] {
        let (found, body) = whole(&place, asked(name.clone(), value)).await;
        assert_eq!(found, status, "{name}: {value}: {body}");
    }
    let mut metrics = get("admin", "/metrics");
    metrics.headers_mut().insert(header::HOST, "evil.example".parse().unwrap());
    assert_eq!(whole(&place, metrics).await.0, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_need_nothing_and_metrics_a_reader() {
    let place = Place::with_trades().await;
    assert_eq!(whole(&place, get("nobody", "/health/live")).await, (StatusCode::OK, "live\n".to_owned()));
    assert_eq!(whole(&place, get("nobody", "/health/ready")).await, (StatusCode::OK, "ready\n".to_owned()));
    assert_eq!(whole(&place, get("nobody", "/metrics")).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(whole(&place, get("node", "/metrics")).await.0, StatusCode::FORBIDDEN);
    let (status, body) = whole(&place, get("reader", "/metrics")).await;
    assert!(status == StatusCode::OK && body.contains("tapebook_rows_total 201"), "{body}");
    assert!(whole(&place, get("reader", "/")).await.1.contains("<h1>Tapebook</h1>"));
    assert_eq!(whole(&place, get("reader", "/nowhere")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(whole(&place, get("reader", "/query")).await.0, StatusCode::METHOD_NOT_ALLOWED);
}
