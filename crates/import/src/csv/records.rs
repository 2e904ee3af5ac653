//! Splits text into records and fields, in one buffer and without copying.
//!
//! The format is that of RFC 4180, with lines that end in LF or CRLF and any one-byte delimiter.

use std::io::{self, Read};

/// The most bytes that one record may have. A quote that is never closed would else swallow the file.
pub(crate) const RECORD_BYTES_MAX: usize = 1024 * 1024;

const BUFFER_BYTES: usize = 256 * 1024;

/// Where a field lies in the buffer.
#[derive(Clone, Copy, Debug)]
struct Field {
    start: u32,
    end: u32,
    quoted: bool,
    /// It has doubled quotes that are still to be made single.
    doubled: bool,
}

/// A record that cannot be split. It ends with its first line, and reading goes on behind that.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Malformed {
    /// A quote that is never closed, within [`RECORD_BYTES_MAX`] bytes or the file.
    OpenQuote,
    /// Something between a closing quote and the next delimiter.
    TextAfterQuote,
    /// More than [`RECORD_BYTES_MAX`] bytes without the end of a line.
    TooLong,
}

/// Reads records.
pub(crate) struct Records<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    at_end: bool,
    /// Why the input ended early. What it gave before is read first, up to the last whole line.
    failed: Option<io::Error>,
    /// The rest of a line that was too long is still to be left out.
    inside_bad_line: bool,
    pub(crate) delimiter: u8,
    /// The line that the next record begins in, from 1.
    next_line: u64,
    line: u64,
    fields: Vec<Field>,
}

enum Split {
    /// The record ends here (behind its line break).
    Done(usize),
    /// The buffer ends before the record does.
    Unfinished,
    Bad(Malformed),
}

impl<R: Read> Records<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            at_end: false,
            failed: None,
            inside_bad_line: false,
            delimiter: b',',
            next_line: 1,
            line: 0,
            fields: Vec::new(),
        }
    }

    /// What is in the buffer, filled as far as it goes.
    pub(crate) fn peek(&mut self) -> io::Result<&[u8]> {
        self.fill()?;
        Ok(&self.buffer[self.start..self.end])
    }

    /// Leaves out bytes that [`Records::peek`] showed.
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.start += bytes;
    }

    /// The line that the current record began in.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    pub(crate) fn field_count(&self) -> usize {
        self.fields.len()
    }

    /// A field of the current record and whether it was quoted.
    #[inline]
    pub(crate) fn field(&self, at: usize) -> Option<(&[u8], bool)> {
        let field = self.fields.get(at)?;
        Some((&self.buffer[field.start as usize..field.end as usize], field.quoted))
    }

    /// The next record that is not an empty line; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Result<(), Malformed>>> {
        self.leave_bad_line()?;
        loop {
            match self.split() {
                Split::Done(end) => {
                    let lines = self.lines_until(end);
                    self.line = self.next_line;
                    self.next_line += lines;
                    self.start = end;
                    if !self.is_empty_line() {
                        self.make_quotes_single();
                        return Ok(Some(Ok(())));
                    }
                }
                Split::Bad(fault) => return Ok(Some(Err(self.give_up(fault)))),
                Split::Unfinished => match self.failed.take() {
                    Some(error) => return Err(error),
                    None if self.at_end && self.start == self.end => return Ok(None),
                    None if self.at_end => return Ok(Some(Err(self.give_up(Malformed::OpenQuote)))),
                    None if self.end - self.start >= RECORD_BYTES_MAX => {
                        let lines = memchr::memchr(b'\n', &self.buffer[self.start..self.end]);
                        let fault = lines.map_or(Malformed::TooLong, |_| Malformed::OpenQuote);
                        return Ok(Some(Err(self.give_up(fault))));
                    }
                    None => self.fill()?,
                },
            }
        }
    }

    /// Moves behind the first line of a record that cannot be split.
    fn give_up(&mut self, fault: Malformed) -> Malformed {
        let rest = &self.buffer[self.start..self.end];
        match memchr::memchr(b'\n', rest) {
            Some(at) => self.start += at + 1,
            None => {
                self.start = self.end;
                self.inside_bad_line = true;
            }
        }
        self.line = self.next_line;
        self.next_line += 1;
        self.fields.clear();
        fault
    }

    fn leave_bad_line(&mut self) -> io::Result<()> {
        while self.inside_bad_line {
            match memchr::memchr(b'\n', &self.buffer[self.start..self.end]) {
                Some(at) => {
                    self.start += at + 1;
                    self.inside_bad_line = false;
                }
                None => {
                    self.start = self.end;
                    self.inside_bad_line = !self.at_end;
                    self.fill()?;
                }
            }
        }
        Ok(())
    }

    fn make_quotes_single(&mut self) {
        for field in self.fields.iter_mut().filter(|field| field.doubled) {
            let bytes = &mut self.buffer[field.start as usize..field.end as usize];
            let (mut from, mut to) = (0, 0);
            while from < bytes.len() {
                bytes[to] = bytes[from];
                from += if bytes[from] == b'"' { 2 } else { 1 };
                to += 1;
            }
            field.end = field.start + to as u32;
        }
    }

    fn is_empty_line(&self) -> bool {
        matches!(self.fields.as_slice(), [only] if only.start == only.end && !only.quoted)
    }

    /// The number of lines that the current record takes.
    fn lines_until(&self, end: usize) -> u64 {
        if self.fields.iter().any(|field| field.quoted) {
            (memchr::memchr_iter(b'\n', &self.buffer[self.start..end]).count() as u64).max(1)
        } else {
            1
        }
    }

    /// Moves what is left to the front and reads on, with a larger buffer where a record needs it.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            let larger = (self.buffer.len() * 2).min(RECORD_BYTES_MAX + BUFFER_BYTES);
            self.buffer.resize(larger, 0);
        }
        while self.end < self.buffer.len() && !self.at_end {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.at_end = true,
                Ok(bytes) => self.end += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = Some(error);
                    self.at_end = true;
                }
            }
        }
        Ok(())
    }

    fn split(&mut self) -> Split {
        self.fields.clear();
        let bytes = &self.buffer[..self.end];
        let whole = self.at_end && self.failed.is_none();
        let mut at = self.start;
        if at == bytes.len() {
            return Split::Unfinished;
        }
        loop {
            if bytes.get(at) == Some(&b'"') {
                let Some((field, after)) = quoted(bytes, at) else { return Split::Unfinished };
                self.fields.push(field);
                at = after;
                match bytes.get(at) {
                    Some(byte) if *byte == self.delimiter => at += 1,
                    Some(b'\n') => return Split::Done(at + 1),
                    Some(b'\r') => match bytes.get(at + 1) {
                        Some(b'\n') => return Split::Done(at + 2),
                        None if whole => return Split::Done(at + 1),
                        None => return Split::Unfinished,
                        Some(_) => return Split::Bad(Malformed::TextAfterQuote),
                    },
                    Some(_) => return Split::Bad(Malformed::TextAfterQuote),
                    None if whole => return Split::Done(at),
                    None => return Split::Unfinished,
                }
                continue;
            }
            let start = at;
            let delimiter = self.delimiter;
            let stop = bytes[at..].iter().position(|byte| *byte == delimiter || *byte == b'\n');
            let (end, last) = match stop {
                Some(length) => (at + length, bytes[at + length] == b'\n'),
                None if whole => (bytes.len(), true),
                None => return Split::Unfinished,
            };
            let without_cr = if last && end > start && bytes[end - 1] == b'\r' { end - 1 } else { end };
            self.fields.push(Field {
                start: start as u32,
                end: without_cr as u32,
                quoted: false,
                doubled: false,
            });
            at = (end + 1).min(bytes.len());
            if last {
                return Split::Done(at);
            }
        }
    }
}

/// The quoted field at `start` and what follows its closing quote; `None` where there is none.
fn quoted(bytes: &[u8], start: usize) -> Option<(Field, usize)> {
    let mut close = start + 1;
    let mut doubled = false;
    loop {
        close += memchr::memchr(b'"', &bytes[close..])?;
        if bytes.get(close + 1) != Some(&b'"') {
            break;
        }
        doubled = true;
        close += 2;
    }
    Some((Field { start: start as u32 + 1, end: close as u32, quoted: true, doubled }, close + 1))
}

#[cfg(test)]
mod tests;
