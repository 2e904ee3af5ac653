//! Queries that nobody wants any more.

use arrow_flight::sql::{ActionCancelQueryRequest, ActionCancelQueryResult, Any, ProstMessageExt};
use arrow_flight::{Action, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightInfo};
use futures::StreamExt;
use prost::Message;
use tonic::Code;

use super::support::{ENDLESS, Place, Refused, fetch, until};

async fn cancel(place: &Place, token: &str, info: &FlightInfo) -> i32 {
    let request = CancelFlightInfoRequest { info: Some(info.clone()) };
    let action = Action { r#type: "CancelFlightInfo".to_owned(), body: request.encode_to_vec().into() };
    let mut results = place.raw().await.do_action(place.by(token, action)).await.unwrap().into_inner();
    CancelFlightInfoResult::decode(&*results.message().await.unwrap().unwrap().body).unwrap().status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_query_is_cancelled_by_its_owner_alone() {
    let place = Place::new().await;
    let mut client = place.client("reader").await;
    let info = client.execute(ENDLESS.to_owned(), None).await.unwrap();
    let mut stream = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    stream.next().await.unwrap().unwrap();
    assert_eq!(cancel(&place, "writer", &info).await, CancelStatus::NotCancellable as i32);
    assert_eq!(cancel(&place, "reader", &info).await, CancelStatus::Cancelled as i32);
    let error = loop {
        match stream.next().await.expect("an error in the end") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    Refused::from(error).is(Code::Cancelled, "was cancelled");
    assert_eq!(cancel(&place, "reader", &info).await, CancelStatus::NotCancellable as i32);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_was_not_fetched_is_cancelled_too() {
    let place = Place::new().await;
    let mut client = place.client("reader").await;
    let info = client.execute("SELECT 1".to_owned(), None).await.unwrap();
    let request = ActionCancelQueryRequest { info: info.encode_to_vec().into() };
    let action = Action { r#type: "CancelQuery".to_owned(), body: request.as_any().encode_to_vec().into() };
    let mut results = place.raw().await.do_action(place.by("reader", action)).await.unwrap().into_inner();
    let any = Any::decode(&*results.message().await.unwrap().unwrap().body).unwrap();
    let result: ActionCancelQueryResult = any.unpack().unwrap().unwrap();
    assert_eq!(result.result, 1, "cancelled");
    fetch(&mut client, info).await.unwrap_err().is(Code::NotFound, "ticket");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_ends_its_query() {
    let place = Place::new().await;
    {
        let mut client = place.client("reader").await;
        let info = client.execute(ENDLESS.to_owned(), None).await.unwrap();
        let mut stream = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
        stream.next().await.unwrap().unwrap();
    }
    until("the query has ended", async || {
        place.rows("SELECT count(*) FROM sys.queries WHERE caller = 'reader'").await == "0"
    })
    .await;
    let metrics = place.node().metrics.render(place.node()).unwrap();
    assert!(metrics.contains("tapebook_queries_total{outcome=\"abandoned\"} 1"), "{metrics}");
}
