//! A network that ends in the middle: it passes so many bytes on to the server, and then no more.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

/// What happens when the bytes are used up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Then {
    /// Connections are cut, and new ones right after they are there.
    Cut,
    /// Nothing arrives any more, and nothing is said.
    Stall,
}

/// A proxy that listens until it is dropped.
#[derive(Debug)]
pub(super) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    left: AtomicU64,
    then: Then,
    closed: AtomicBool,
    ended: Mutex<bool>,
    changed: Condvar,
}

impl Proxy {
    /// Passes `bytes` bytes on to the server at `endpoint`.
    pub(super) fn start(endpoint: &str, bytes: u64, then: Then) -> Self {
        let server: SocketAddr = endpoint.strip_prefix("http://").unwrap().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            left: AtomicU64::new(bytes),
            then,
            closed: AtomicBool::new(false),
            ended: Mutex::new(false),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.closed.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(client), Ok(upstream)) = (client, TcpStream::connect(server)) else { continue };
                let (from, to) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
                let counting = Arc::clone(&accepting);
                thread::spawn(move || pass(from, to, Some(&counting)));
                thread::spawn(move || pass(upstream, client, None));
            }
        });
        Self { address, shared }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until the bytes are used up.
    pub(super) fn wait_for_the_end(&self) {
        let mut ended = self.shared.ended.lock().unwrap();
        while !*ended {
            ended = self.shared.changed.wait(ended).unwrap();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    /// True where these bytes may pass.
    fn take(&self, bytes: u64) -> bool {
        let taken = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            // The first that is too much takes all that is left.
            Some(left.saturating_sub(bytes))
        });
        let passes = taken.is_ok_and(|left| left >= bytes);
        if !passes {
            *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.changed.notify_all();
        }
        passes
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, counted: Option<&Shared>) {
    let mut buffer = [0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        match counted {
            Some(shared) if !shared.take(read as u64) => {
                if shared.then == Then::Stall {
                    // Until the other side goes away, as from a server that hangs.
                    while matches!(from.read(&mut buffer), Ok(1..)) {}
                }
                break;
            }
            _ => {}
        }
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
