//! The rows of one series, in both directions.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;

use tapebook_record::projection::RowBlock;

use crate::directory::SeriesSpan;
use crate::error::HistoryError;
use crate::file::HistoryFile;
use crate::prune::overlap;
use crate::search::{PiecesBack, rows_with_times};
use crate::series_rows::SeriesRows;

/// Bytes of rows, but for one block, that wait on the way back.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// A scan over the rows of one series in a range of time, as blocks that outlive it. Rows ascend inside a block; blocks
/// ascend or, backward, descend.
///
/// Columns can only be decoded forward, so on the way back a page is decoded as a whole and its blocks wait for their turn;
/// where they are too many bytes the first of them are forgotten and decoded again.
#[derive(Debug)]
pub struct HistoryBlocks {
    file: HistoryFile,
    /// Which series it is.
    series: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing was read yet.
    New {
        times: RangeInclusive<i64>,
        backward: bool,
    },
    Forward(Box<SeriesRows>),
    Backward {
        pieces: PiecesBack,
        waiting: VecDeque<Arc<RowBlock>>,
    },
    Ended,
}

impl HistoryBlocks {
    pub(crate) fn new(
        file: &HistoryFile,
        series: Option<usize>,
        times: RangeInclusive<i64>,
        backward: bool,
    ) -> Self {
        let span = series.and_then(|series| file.series.get(series));
        let any = span.is_some_and(|span| overlap(&times, &(span.ts_first..=span.ts_last)));
        let state = if any { State::New { times, backward } } else { State::Ended };
        Self { file: file.clone(), series: series.unwrap_or_default(), state }
    }

    /// The next block, never an empty one; `None` at the end. After an error it is at its end.
    #[expect(clippy::should_implement_trait, reason = "its answer is that of the other scans of a file")]
    pub fn next(&mut self) -> Result<Option<Arc<RowBlock>>, HistoryError> {
        let next = self.try_next();
        if !matches!(next, Ok(Some(_))) {
            self.state = State::Ended;
        }
        next
    }

    fn try_next(&mut self) -> Result<Option<Arc<RowBlock>>, HistoryError> {
        let Some(span) = self.file.series.get(self.series) else {
            return Ok(None);
        };
        if let State::New { times, backward } = &self.state {
            let rows = rows_with_times(&self.file, span, times)?;
            self.state = match backward {
                _ if rows.is_empty() => State::Ended,
                false => State::Forward(Box::new(SeriesRows::new(&self.file, rows)?)),
                true => State::Backward { pieces: PiecesBack::new(rows), waiting: VecDeque::new() },
            };
        }
        match &mut self.state {
            State::New { .. } | State::Ended => Ok(None),
            State::Forward(rows) => rows.next(&self.file, span),
            State::Backward { pieces, waiting } => {
                if waiting.is_empty() {
                    decode_back(&self.file, span, pieces, waiting)?;
                }
                Ok(waiting.pop_back())
            }
        }
    }
}

/// Decodes the next piece, of which only the last blocks are kept where it is too large.
fn decode_back(
    file: &HistoryFile,
    span: &SeriesSpan,
    pieces: &mut PiecesBack,
    waiting: &mut VecDeque<Arc<RowBlock>>,
) -> Result<(), HistoryError> {
    let Some(piece) = pieces.next(file) else {
        return Ok(());
    };
    let (mut first_row, mut waiting_bytes) = (piece.start, 0);
    let mut rows = SeriesRows::new(file, piece)?;
    while let Some(block) = rows.next(file, span)? {
        waiting_bytes += row_bytes(&block);
        waiting.push_back(block);
        while waiting.len() > 1 && waiting_bytes > WAITING_BYTES_MAX {
            let Some(forgotten) = waiting.pop_front() else { break };
            waiting_bytes -= row_bytes(&forgotten);
            first_row += forgotten.len() as u64;
        }
    }
    pieces.left.end = first_row;
    Ok(())
}

fn row_bytes(block: &RowBlock) -> usize {
    (0..block.len()).filter_map(|at| block.get(at)).map(|row| row.row.len()).sum()
}
