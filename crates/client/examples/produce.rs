//! Writes a hundred trades, exactly once: `cargo run -p tapebook-client --example produce -- grpc://127.0.0.1:7700`

use std::error::Error;

use tapebook_client::{Client, ClientOptions, ProducerOptions};
use tapebook_record::{Side, Trade};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "grpc://127.0.0.1:7700".to_owned());
    run(&url).await
}

/// Pushes rows as they come and looks at their receipts later, so that many are on their way at the same time.
pub async fn run(url: &str) -> Result<(), Box<dyn Error>> {
    let client = Client::connect(ClientOptions::from_url(url)?).await?;
    // The id says which feed writes; it stays the same over restarts of this program.
    let producer = client.producer(ProducerOptions::new(42)).await?;
    let mut written = Vec::new();
    for n in 0..100 {
        let trade = Trade {
            symbol: "BINANCE.BTCUSDT",
            ts: 1_723_161_600_000_000_000 + n,
            price: Some(61_800.0 + n as f64),
            size: Some(0.01),
            side: Some(Side::Buy),
            ..Trade::default()
        };
        written.push(producer.push(trade).await?);
    }
    for row in written {
        let receipt = row.await?;
        assert!(receipt.seq > 0);
    }
    println!("100 trades are durable");
    Ok(())
}
