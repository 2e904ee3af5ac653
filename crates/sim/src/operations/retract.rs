//! Retractions, and taking them back.

use tapebook::{AppendError, Db, RetractError, RetractionReceipt, SeqRange};

use crate::model::{Change, Effect};
use crate::rows::Kind;
use crate::schedule::Schedule;
use crate::totals::Group;

impl Schedule {
    /// Hides a range, sometimes one that is hidden already or goes too far.
    pub(crate) fn retract(&mut self, db: &Db) {
        self.collect();
        let last_seq = self.model.last_seq();
        let kind = *self.random.pick(&Kind::ALL);
        let first = 1 + self.random.below(last_seq + 1);
        let mut seqs = SeqRange { first, last: first + self.random.below(40) };
        let again = self.random.chance(8);
        if let Some(hidden) = self.model.retractions.last().filter(|_| again) {
            seqs = hidden.seqs;
        } else if self.random.chance(90) {
            seqs.last = seqs.last.min(last_seq);
        }
        let refused_at_once = seqs.last > last_seq || seqs.first > seqs.last;
        self.trace.line(format_args!("  {} {seqs:?} of {last_seq}", kind.name()));
        self.change(Change::Retract { kind, seqs }, refused_at_once, || {
            db.retract(kind.name(), seqs.first..=seqs.last, "a wrong import")
        });
    }

    /// Takes a retraction back, sometimes one that is not there or was taken back before.
    pub(crate) fn undo(&mut self, db: &Db) {
        self.collect();
        let known = self.model.retractions.len() as u64;
        let id = 1 + self.random.below(known + 1);
        let standing =
            self.model.retractions.get(id as usize - 1).is_some_and(|hidden| hidden.undone.is_none());
        self.trace.line(format_args!("  {id} of {known}"));
        self.change(Change::Undo { id }, !standing, || db.undo_retraction(id, ""));
    }

    fn change(
        &mut self,
        change: Change,
        refused_at_once: bool,
        make: impl FnOnce() -> Result<RetractionReceipt, RetractError>,
    ) {
        // With a panic or a failing disk it is unknown whether the log took it; nothing is handed in behind it then.
        let admitted = self.model.log.len();
        self.model.admit(change, None);
        let outcome = make();
        match outcome {
            Ok(receipt) => {
                assert!(!refused_at_once, "made although it must be refused: {receipt:?}");
                self.settle_before(admitted);
                let at_seq = self.model.last_seq();
                let effect = self.model.apply_next();
                assert_eq!(effect, Effect::Retraction(Some(receipt.id)), "{receipt:?}");
                assert_eq!(receipt.at_seq, at_seq, "{receipt:?}");
                self.totals.count(Group::Outcome, "retractions made or undone");
            }
            Err(RetractError::Log(error)) => {
                self.trace.line(format_args!("  failed: {error}"));
                assert!(self.is_explained(), "a retraction failed without a reason: {error}");
                let unknown = match &error {
                    AppendError::Log(log) => log.is_poisoned(),
                    _ => true,
                };
                if !unknown {
                    self.model.log.truncate(admitted);
                }
            }
            // It is in the log and was refused when it was applied.
            Err(RetractError::Standing { .. }) => {
                self.settle_before(admitted);
                assert_eq!(
                    self.model.apply_next(),
                    Effect::Retraction(None),
                    "a range that is hidden already"
                );
            }
            Err(error) => {
                self.model.log.truncate(admitted);
                assert!(refused_at_once, "refused without a reason: {error}");
            }
        }
    }

    /// Whoever is in the log before a change that is durable has his receipt.
    fn settle_before(&mut self, admitted: usize) {
        self.collect();
        let first_unknown = self.model.log.len() - self.model.unknown().len();
        assert_eq!(first_unknown, admitted, "what was handed in before has its receipt");
    }
}
