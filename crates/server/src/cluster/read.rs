//! How new what is read must be.
//!
//! A call says so in its metadata: `tapebook-read: linearizable`, `stale-ms=N`, or `local`, which is the default. Whatever reads a snapshot after
//! that has been waited for is at least so new. The answer carries the sequence up to which the node had applied the journal, in
//! `tapebook-applied-seq`.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode};
use tapebook_proto::v1::{Refusal, RefusalReason as Reason};
use tokio::time::{Instant, sleep, timeout};

use super::transport::reason_of;
use super::{Cluster, LOOK_EVERY};

/// What a call says in its metadata.
const ASKED: &str = "tapebook-read";
/// What the answer says.
const ANSWERED: &str = "tapebook-applied-seq";
/// How long a read waits to be as new as it must.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// How new what is read must be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Freshness {
    /// What this node has, however old.
    #[default]
    Local,
    /// Everything that was acknowledged to anybody before the call.
    Linearizable,
    /// Everything that was acknowledged longer ago than this.
    Stale(Duration),
}

impl FromStr for Freshness {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let stale = || text.strip_prefix("stale-ms=")?.parse().ok().map(Duration::from_millis);
        match text {
            "local" => Ok(Self::Local),
            "linearizable" => Ok(Self::Linearizable),
            _ => stale().map(Self::Stale).ok_or_else(|| {
                let message = format!("{text:?}: expected local, linearizable or stale-ms=N");
                Refusal::new(Reason::Invalid, message)
            }),
        }
    }
}

impl Cluster {
    /// Waits until this node is new enough to be read, or says why it is not.
    pub async fn be(&self, freshness: Freshness) -> Result<(), Refusal> {
        match freshness {
            Freshness::Local => Ok(()),
            Freshness::Linearizable => self.catch_up_with_leader().await,
            Freshness::Stale(_) if self.consensus.is_leader() => self.catch_up_with_leader().await,
            Freshness::Stale(bound) => {
                let age = self.freshness.age(self.applied_index(), Instant::now());
                self.within(bound, age)
            }
        }
    }

    /// How old what is read here can be; `None` where the node has not heard of a leader yet.
    pub(crate) fn behind(&self) -> Option<Duration> {
        match self.consensus.is_leader() {
            true => self.consensus.status().quorum_age,
            false => self.freshness.age(self.applied_index(), Instant::now()),
        }
    }

    fn within(&self, bound: Duration, age: Option<Duration>) -> Result<(), Refusal> {
        match age {
            Some(age) if age <= bound => Ok(()),
            Some(age) => {
                let (age, bound) = (age.as_millis(), bound.as_millis());
                let message =
                    format!("node {} may be {age} ms behind, at most {bound} are allowed", self.node_id());
                Err(Refusal::with_value(Reason::Stale, message, u64::try_from(age).unwrap_or(u64::MAX)))
            }
            None => {
                let message = format!("node {} has not heard of a leader yet", self.node_id());
                Err(Refusal::with_value(Reason::Stale, message, u64::MAX))
            }
        }
    }

    /// Waits until everything that was acknowledged before can be read here.
    pub(crate) async fn catch_up_with_leader(&self) -> Result<(), Refusal> {
        let index = match timeout(WAIT_MAX, self.ask_for_read_index()).await {
            Ok(index) => index?,
            Err(_) => return Err(self.too_late("no majority has answered")),
        };
        let since = Instant::now();
        while self.applied_index() < index {
            if since.elapsed() >= WAIT_MAX {
                return Err(self.too_late("this node lags behind"));
            }
            sleep(LOOK_EVERY / 10).await;
        }
        Ok(())
    }

    async fn ask_for_read_index(&self) -> Result<u64, Refusal> {
        if self.consensus.is_leader() {
            let barrier = self.consensus.read_barrier().await;
            return barrier.map(|at| at.index).map_err(|error| self.too_late(&error.to_string()));
        }
        let no_leader = || self.too_late("there is no leader at this moment");
        let (leader, address) = self.consensus.leader().ok_or_else(no_leader)?;
        if leader == self.node_id() || address.is_empty() {
            return Err(no_leader());
        }
        let request = tapebook_proto::v1::ReadIndexRequest { sender: Some(self.origin().sender(leader)) };
        let asked = self
            .transport
            .ask(&address, Some(leader), |mut client| async move { client.read_index(request).await });
        asked.await.map(|answer| answer.index).map_err(|status| {
            self.too_late(&format!("the leader, node {leader}, does not answer: {}", reason_of(&status)))
        })
    }

    fn applied_index(&self) -> u64 {
        self.replica().applied().0.index
    }

    fn too_late(&self, reason: &str) -> Refusal {
        Refusal::new(Reason::Stale, format!("{reason}; read with stale-ms=N or local, or try again"))
    }
}

/// Waits until this node is as new as a call wants it, before the call is made.
pub(crate) async fn wait_for_freshness(
    State((cluster, is_grpc)): State<(Arc<Cluster>, bool)>,
    request: Request,
    next: Next,
) -> Response {
    let Some(asked) = request.headers().get(ASKED) else { return next.run(request).await };
    let ready = match asked.to_str().unwrap_or_default().parse() {
        Ok(freshness) => cluster.be(freshness).await,
        Err(refusal) => Err(refusal),
    };
    if let Err(refusal) = ready {
        return match is_grpc {
            true => refusal.to_status().into_http(),
            false => refused_over_http(&refusal),
        };
    }
    let (applied_seq, _) = cluster.replica().applied_hash();
    let mut response = next.run(request).await;
    response.headers_mut().insert(ANSWERED, HeaderValue::from(applied_seq));
    response
}

fn refused_over_http(refusal: &Refusal) -> Response {
    let code = match refusal.reason() {
        Reason::Invalid => StatusCode::BAD_REQUEST,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, axum::Json(serde_json::json!({ "error": refusal.message }))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_says_how_new_its_answer_must_be() {
        assert_eq!("local".parse(), Ok(Freshness::Local));
        assert_eq!("linearizable".parse(), Ok(Freshness::Linearizable));
        assert_eq!("stale-ms=250".parse(), Ok(Freshness::Stale(Duration::from_millis(250))));
        for nonsense in ["", "fresh", "stale-ms=", "stale-ms=-1"] {
            assert_eq!(nonsense.parse::<Freshness>().unwrap_err().reason(), Reason::Invalid, "{nonsense}");
        }
    }
}
