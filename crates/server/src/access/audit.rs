//! The audit log: who administered what, and who was turned away.
//!
//! One JSON object a line, in a file that only grows until it gets a number. An action has two lines: `begun`, which is durable
//! before the action is, and `done` or `failed`. What is refused has one, written without a sync, because whoever is refused must not
//! be able to keep the disk busy. No line holds a secret.
//!
//! A thread of its own writes, so that a slow disk holds up nobody but administrators.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use jiff::Timestamp;
use serde_json::Value;
use tapebook_vfs::Vfs;

use super::Caller;
use super::audit_file::{AuditFile, AuditOptions};

/// Lines that wait to be written; refusals past it are counted only.
const WAITING_MAX: usize = 256;
/// Text of others in one line is cut to so many characters.
const DETAIL_CHARS_MAX: usize = 1_000;

/// The audit log cannot be written, and what would not be in it is not done.
#[derive(Debug, thiserror::Error)]
#[error("the audit log cannot be written ({reason}), so nothing is administered")]
pub struct AuditError {
    reason: String,
}

/// The audit log of one server.
#[derive(Debug)]
pub struct AuditLog {
    vfs: Arc<dyn Vfs>,
    sender: Option<SyncSender<Message>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Refusals that have no line.
    left_out: AtomicU64,
}

#[derive(Debug)]
enum Message {
    Refused(String),
    Action(String, SyncSender<Result<(), String>>),
}

/// How an action stands.
#[derive(Clone, Copy, Debug)]
enum Outcome<'a> {
    Begun,
    Done,
    Failed(&'a str),
}

/// Whom and what a refusal is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused<'a> {
    /// The kind of refusal.
    pub kind: &'static str,
    /// Who they say, or are known, to be.
    pub caller: Option<&'a str>,
    /// How they are known.
    pub credential: Option<&'a str>,
    /// Where they come from.
    pub address: Option<SocketAddr>,
    /// One line, without secrets.
    pub reason: &'a str,
}

impl AuditLog {
    /// Opens the file and begins the thread that writes it.
    pub fn open(vfs: Arc<dyn Vfs>, options: AuditOptions) -> std::io::Result<Self> {
        let file = AuditFile::open(Arc::clone(&vfs), options)?;
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("tapebook-audit".to_owned())
            .spawn(move || write(file, &receiver))?;
        Ok(Self { vfs, sender: Some(sender), thread: Mutex::new(Some(thread)), left_out: AtomicU64::new(0) })
    }

    /// Does something that an administrator asked for, between its two lines. Blocks; nothing is done where the first
    /// line cannot be made durable.
    pub fn around<T, E: std::fmt::Display>(
        &self,
        caller: &Caller,
        action: &str,
        detail: &str,
        act: impl FnOnce() -> Result<T, E>,
    ) -> Result<Result<T, E>, AuditError> {
        self.action(caller, action, detail, Outcome::Begun)?;
        let acted = act();
        let failure = acted.as_ref().err().map(ToString::to_string);
        let outcome = failure.as_deref().map_or(Outcome::Done, Outcome::Failed);
        if let Err(error) = self.action(caller, action, detail, outcome) {
            // It happened, and its begin is on record.
            log::error!("{error}");
        }
        Ok(acted)
    }

    /// Notes that somebody was turned away. Never blocks.
    pub(crate) fn refused(&self, refused: &Refused<'_>) {
        let left_out = self.left_out.swap(0, Ordering::Relaxed);
        let text = |text: Option<&str>| text.map_or(Value::Null, |text| Value::from(cut(text)));
        let line = line(&[
            ("at", self.now()),
            ("event", Value::from("refused")),
            ("kind", Value::from(refused.kind)),
            ("caller", text(refused.caller)),
            ("credential", text(refused.credential)),
            ("address", refused.address.map_or(Value::Null, |address| Value::from(address.to_string()))),
            ("reason", text(Some(refused.reason))),
            ("left_out", Value::from(left_out)),
        ]);
        let sent = self.sender.as_ref().map(|sender| sender.try_send(Message::Refused(line)));
        if !matches!(sent, Some(Ok(()))) {
            self.left_out.fetch_add(left_out + 1, Ordering::Relaxed);
        }
    }

    /// Counts a refusal that gets no line; the next one that does says how many there were.
    pub(crate) fn leave_out(&self) {
        self.left_out.fetch_add(1, Ordering::Relaxed);
    }

    fn action(
        &self,
        caller: &Caller,
        action: &str,
        detail: &str,
        outcome: Outcome<'_>,
    ) -> Result<(), AuditError> {
        let (outcome, reason) = match outcome {
            Outcome::Begun => ("begun", Value::Null),
            Outcome::Done => ("done", Value::Null),
            Outcome::Failed(reason) => ("failed", Value::from(cut(reason))),
        };
        let line = line(&[
            ("at", self.now()),
            ("event", Value::from("action")),
            ("action", Value::from(action)),
            ("outcome", Value::from(outcome)),
            ("caller", Value::from(&*caller.name)),
            ("credential", Value::from(caller.credential.kind())),
            ("address", caller.address.map_or(Value::Null, |address| Value::from(address.to_string()))),
            ("detail", Value::from(cut(detail))),
            ("reason", reason),
        ]);
        let (written, answer) = sync_channel(1);
        let sent = self.sender.as_ref().map(|sender| sender.send(Message::Action(line, written)));
        match (sent, answer.recv()) {
            (Some(Ok(())), Ok(written)) => written.map_err(|reason| AuditError { reason }),
            _ => Err(AuditError { reason: "its thread has ended".to_owned() }),
        }
    }

    fn now(&self) -> Value {
        let nanos = self.vfs.clock().unix_nanos();
        match Timestamp::from_nanosecond(i128::from(nanos)) {
            Ok(moment) => Value::from(moment.strftime("%Y-%m-%dT%H:%M:%S%.9fZ").to_string()),
            Err(_) => Value::from(nanos),
        }
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic of the thread was told to those who waited for it.
            let _ = thread.join();
        }
    }
}

/// Writes until nobody can send any more.
fn write(mut file: AuditFile, receiver: &Receiver<Message>) {
    for message in receiver {
        match message {
            Message::Refused(line) => {
                if let Err(error) = file.append(&line, false) {
                    log::error!("the audit log cannot be written: {error}");
                }
            }
            Message::Action(line, written) => {
                // Who does not wait any more does not want to know.
                let _ = written.send(file.append(&line, true).map_err(|error| error.to_string()));
            }
        }
    }
}

/// One JSON object in the given order, without a line break.
fn line(fields: &[(&str, Value)]) -> String {
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}:{value}", Value::from(*name))).collect();
    format!("{{{}}}", fields.join(","))
}

fn cut(text: &str) -> String {
    text.chars().take(DETAIL_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tapebook_vfs::{Fault, FaultRule, FaultVfs, MemoryVfs, Operation};

    use super::*;

    fn lines(vfs: &MemoryVfs) -> Vec<Value> {
        let bytes = vfs.read_file(Path::new("/audit.jsonl"), 1 << 20).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn an_action_has_two_lines_and_a_refusal_one() {
        let vfs = MemoryVfs::new(1);
        let audit = AuditLog::open(Arc::new(vfs.clone()), AuditOptions::new("/audit.jsonl")).unwrap();
        let caller = Caller::anonymous(None);
        assert_eq!(audit.around(&caller, "flush", "", || Ok::<_, String>(7)).unwrap(), Ok(7));
        let failed = audit.around(&caller, "backup", "to /b", || Err::<(), _>("the disk\nis full"));
        assert_eq!(failed.unwrap(), Err("the disk\nis full"));
        audit.leave_out();
        audit.refused(&Refused {
            kind: "token",
            caller: None,
            credential: None,
            address: None,
            reason: "line\nbreak",
        });
        drop(audit);
        let lines = lines(&vfs);
        let outcomes: Vec<_> = lines.iter().map(|line| line["outcome"].as_str().unwrap_or("-")).collect();
        assert_eq!(outcomes, ["begun", "done", "begun", "failed", "-"]);
        assert_eq!(lines[3]["reason"], "the disk\nis full");
        assert_eq!((&lines[4]["kind"], &lines[4]["left_out"]), (&Value::from("token"), &Value::from(1)));
    }

    #[test]
    fn what_cannot_be_written_down_is_not_done() {
        let rule = FaultRule::new(Fault::Error(std::io::ErrorKind::StorageFull)).on(Operation::Write);
        let vfs = FaultVfs::new(Arc::new(MemoryVfs::new(1)), rule.into());
        let audit = AuditLog::open(Arc::new(vfs), AuditOptions::new("/audit.jsonl")).unwrap();
        let mut done = false;
        let refused = audit.around(&Caller::anonymous(None), "flush", "", || {
            done = true;
            Ok::<_, String>(())
        });
        assert!(refused.is_err() && !done);
    }
}
