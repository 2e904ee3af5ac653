//! Pauses between attempts that failed.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(1);

/// Pauses that double until one second.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    next: Duration,
    /// Leaders that were named, and gone to at once, since the last attempt that succeeded.
    followed: Vec<String>,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { next: FIRST, followed: Vec::new() }
    }

    /// Waits, longer than the last time.
    pub(crate) async fn pause(&mut self) {
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST);
        tokio::time::sleep(pause).await;
    }

    /// Waits, but goes at once to a leader that is named for the first time. Not again: it may be gone and the servers do not know that
    /// yet, or two of them may each take the other one for it.
    pub(crate) async fn pause_unless_redirected(&mut self, leader: Option<&str>) {
        match leader {
            Some(leader) if !self.followed.iter().any(|followed| followed == leader) => {
                self.followed.push(leader.to_owned());
            }
            _ => self.pause().await,
        }
    }

    /// An attempt succeeded.
    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_leader_that_is_named_is_gone_to_at_once_and_once() {
        let (mut backoff, since) = (Backoff::new(), tokio::time::Instant::now());
        for leader in ["a:1", "b:1"] {
            backoff.pause_unless_redirected(Some(leader)).await;
        }
        assert_eq!(since.elapsed(), Duration::ZERO);
        backoff.pause_unless_redirected(Some("a:1")).await;
        backoff.pause_unless_redirected(None).await;
        assert_eq!(since.elapsed(), 3 * FIRST);
        backoff.reset();
        backoff.pause_unless_redirected(Some("a:1")).await;
        assert_eq!(since.elapsed(), 3 * FIRST);
    }
}
