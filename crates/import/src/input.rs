//! Finds out what a file is, and unpacks it while it is read.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

use flate2::read::MultiGzDecoder;

/// What a file is, by its first bytes and, where they say nothing, by its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    Text,
    Gzip,
    Zstd,
    Zip,
    Parquet,
}

impl Format {
    fn of_magic(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Self::Zip),
            [b'P', b'A', b'R', b'1', ..] => Some(Self::Parquet),
            _ => None,
        }
    }

    /// A name that says something else than the bytes is only believed where the bytes are no text.
    fn of_name(name: &str, head: &[u8]) -> Self {
        let name = name.to_ascii_lowercase();
        let format = [
            (".gz", Self::Gzip),
            (".zst", Self::Zstd),
            (".zstd", Self::Zstd),
            (".zip", Self::Zip),
            (".parquet", Self::Parquet),
        ]
        .into_iter()
        .find(|(end, _)| name.ends_with(end))
        .map_or(Self::Text, |(_, format)| format);
        let readable =
            !head.is_empty() && head.iter().all(|byte| *byte >= b' ' || byte.is_ascii_whitespace());
        if readable { Self::Text } else { format }
    }

    pub(crate) fn of(name: &str, head: &[u8]) -> Self {
        Self::of_magic(head).unwrap_or_else(|| Self::of_name(name, head))
    }
}

/// A file that counts the bytes that are read from it.
#[derive(Debug)]
pub(crate) struct CountedFile {
    file: File,
    count: Rc<Cell<u64>>,
}

impl Read for CountedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.file.read(buffer)?;
        self.count.set(self.count.get() + bytes as u64);
        Ok(bytes)
    }
}

impl Seek for CountedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// A file, its length and its format.
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) bytes: u64,
    pub(crate) format: Format,
}

pub(crate) fn open(path: &Path) -> io::Result<Opened> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut head = Vec::new();
    (&file).take(512).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    let format = Format::of(&path.to_string_lossy(), &head);
    Ok(Opened { file, bytes, format })
}

/// Wraps a file so that `count` says how much of it was read.
pub(crate) fn counted(file: File, count: &Rc<Cell<u64>>) -> BufReader<CountedFile> {
    BufReader::with_capacity(128 * 1024, CountedFile { file, count: Rc::clone(count) })
}

/// A stream that may be packed: plain, gzip or zstd.
pub(crate) fn unpacked<'a>(format: Format, input: impl io::BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match format {
        Format::Gzip => Box::new(MultiGzDecoder::new(input)),
        Format::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(input)?),
        Format::Text | Format::Zip | Format::Parquet => Box::new(input),
    })
}
