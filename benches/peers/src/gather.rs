//! What a program can put in front of an engine that syncs for each of its writers alone: one thread that writes
//! everything that waits as one batch, and then tells all of them.
//!
//! It is no part of the engines. It shows how much of a difference is group commit, which takes a page of code, and
//! how much is the engine. The trick of waiting a moment for as many as the last time is Tapebook's own.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::AnyError;
use crate::engine::Engine;
use crate::small::SmallTrade;

const WAITING_MAX: usize = 1_024;
const LINGER_MAX: Duration = Duration::from_micros(60);

type Waiting = (SmallTrade, oneshot::Sender<()>);

/// The thread that gathers; it ends when this and all handles are dropped.
pub struct Gatherer {
    handle: Option<Handle>,
    thread: Option<JoinHandle<()>>,
}

/// Where tasks hand in their trades.
#[derive(Clone)]
pub struct Handle {
    sender: mpsc::Sender<Waiting>,
}

impl Gatherer {
    /// Starts the thread in front of an engine.
    pub fn start(engine: Arc<dyn Engine>) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let thread = std::thread::spawn(move || gather(engine.as_ref(), receiver));
        Self { handle: Some(Handle { sender }), thread: Some(thread) }
    }

    /// For a task.
    pub fn handle(&self) -> Handle {
        self.handle.clone().expect("only dropping takes it")
    }
}

impl Drop for Gatherer {
    fn drop(&mut self) {
        self.handle = None;
        if let Some(thread) = self.thread.take() {
            // Whoever waited for it was told by the end of the channel.
            let _ = thread.join();
        }
    }
}

impl Handle {
    /// Returns when the trade is durable.
    pub async fn append(&self, trade: SmallTrade) -> Result<(), AnyError> {
        let (sender, receiver) = oneshot::channel();
        self.sender.send((trade, sender)).await.map_err(|_| "the gathering thread is gone")?;
        Ok(receiver.await.map_err(|_| "a gathered write failed")?)
    }
}

fn gather(engine: &dyn Engine, mut receiver: mpsc::Receiver<Waiting>) {
    let (mut trades, mut waiting, mut last) = (Vec::new(), Vec::new(), 1);
    while let Some(first) = receiver.blocking_recv() {
        let begun = Instant::now();
        let mut next = Some(first);
        loop {
            if let Some((trade, sender)) = next {
                trades.push(trade);
                waiting.push(sender);
            }
            next = receiver.try_recv().ok();
            if next.is_none() {
                if trades.len() >= last || begun.elapsed() > LINGER_MAX {
                    break;
                }
                std::thread::yield_now();
            }
        }
        last = trades.len();
        if let Err(error) = engine.append(&trades) {
            eprintln!("a gathered write failed: {error}");
            return;
        }
        trades.clear();
        // A task that is gone does not want to know.
        for sender in waiting.drain(..) {
            let _ = sender.send(());
        }
    }
}
