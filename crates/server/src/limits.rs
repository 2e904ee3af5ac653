//! Bounds of what one server takes.

use std::time::Duration;

/// Bounds of what one server takes from all who come. Whatever is past one is refused, and says which.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of one message. A batch has at most 256 KiB; a query's parameters may need more. Default 16 MiB.
    pub message_bytes_max: usize,
    /// Connections at one time, on all ports. Default 4,096.
    pub connections_max: usize,
    /// A connection that has not said who it is by then is closed. Default 5 s.
    pub handshake_time_max: Duration,
    /// Calls at one time on one connection. Default 256.
    pub streams_per_connection_max: u32,
    /// A message that has begun must go on within this time, and the one message of a call that has only one must begin
    /// within it. Default 30 s.
    pub request_stall_max: Duration,
    /// Batches of one stream that wait for their receipt; past it the stream is not read on. Default 256.
    pub appends_in_flight_max: usize,
    /// How long a batch that the database has no room for is held before it is refused. Default 10 s.
    pub append_wait_max: Duration,
    /// Subscriptions at one time. Default 1,024.
    pub subscriptions_max: usize,
    /// Bytes that may be on their way to one subscriber, whatever credit it gives. Default 8 MiB.
    pub subscriber_bytes_max: u64,
    /// A subscriber that takes nothing for so long while there is something for it is told so and ended. Default 30 s.
    pub subscriber_stall_max: Duration,
    /// Queries at one time; others wait, as long as `query_time_max`. Default 64.
    pub queries_max: usize,
    /// Memory of all queries together. Default 4 GiB.
    pub query_memory_max: usize,
    /// Memory of one query. Default 1 GiB.
    pub query_memory_each_max: usize,
    /// The time that one query may take, results included. Default 5 min.
    pub query_time_max: Duration,
    /// The time that calls get to end when the server does. Default 10 s.
    pub shutdown_time_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: 16 << 20,
            connections_max: 4_096,
            handshake_time_max: Duration::from_secs(5),
            streams_per_connection_max: 256,
            request_stall_max: Duration::from_secs(30),
            appends_in_flight_max: 256,
            append_wait_max: Duration::from_secs(10),
            subscriptions_max: 1_024,
            subscriber_bytes_max: 8 << 20,
            subscriber_stall_max: Duration::from_secs(30),
            queries_max: 64,
            query_memory_max: 4 << 30,
            query_memory_each_max: 1 << 30,
            query_time_max: Duration::from_secs(300),
            shutdown_time_max: Duration::from_secs(10),
        }
    }
}
