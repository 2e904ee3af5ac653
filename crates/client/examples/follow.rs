//! Follows the trades of a server: `cargo run -p tapebook-client --example follow -- grpc://127.0.0.1:7700`

use std::error::Error;

use tapebook_client::{Client, ClientOptions, Event, Start, SubscribeOptions};
use tapebook_record::{Record, Trade};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "grpc://127.0.0.1:7700".to_owned());
    run(&url, u64::MAX).await
}

/// Prints trades until it has seen so many.
pub async fn run(url: &str, trades: u64) -> Result<(), Box<dyn Error>> {
    let client = Client::connect(ClientOptions::from_url(url)?).await?;
    let mut journal = client.subscribe(SubscribeOptions::new(Start::Seq(1)).table("trades"));
    let mut seen = 0;
    while seen < trades {
        match journal.next().await? {
            Event::Batch(batch) => {
                for (_, row) in batch.records() {
                    let Some(trade) = Record::<Trade>::new(row) else { continue };
                    println!("seq {} {} {:?}", trade.seq(), trade.symbol(), trade.price());
                    seen += 1;
                }
            }
            // Whoever keeps this cursor goes on there after a restart, with `Start::Cursor`.
            Event::Progress { cursor, live } => {
                println!("at {cursor:?}, {}", if live { "live" } else { "behind" })
            }
            Event::Gap(gap) => println!("the feed lacks {}..={}", gap.first_feed_seq, gap.last_feed_seq),
        }
    }
    Ok(())
}
