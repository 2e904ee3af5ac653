//! What one file holds: the bytes a reader sees, and for every page that was not synced, what the disk may hold
//! instead. Names and handles live elsewhere.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, LazyLock};

use crate::random::SplitMix64;

/// The unit that reaches the disk independently of others.
pub(super) const PAGE_BYTES: usize = 4096;
/// A page that is being written when the power fails is torn between sectors, never inside one.
const SECTOR_BYTES: usize = 512;
/// A file that is longer is refused: the page table is one flat vector.
const FILE_BYTES_MAX: u64 = 16 << 30;
/// Intermediate versions of a page, and lengths of a file, that are remembered between two syncs.
const VERSIONS_MAX: usize = 8;

type Page = [u8; PAGE_BYTES];
/// `None` is a hole: it reads as zeros and occupies no space.
type Slot = Option<Arc<Page>>;

static ZERO_PAGE: LazyLock<Arc<Page>> = LazyLock::new(|| Arc::new([0; PAGE_BYTES]));

/// What a power cut did to one file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PageLosses {
    pub(super) kept: u64,
    pub(super) dropped: u64,
    pub(super) intermediate: u64,
    pub(super) torn: u64,
    pub(super) length_changed: bool,
}

/// The bytes of one file. Pages are shared copy-on-write, so a clone costs one vector of pointers.
///
/// Invariant: if the latest cut reached the disk, a page without an entry in `dirty` is there as it is in `pages`.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pages: Vec<Slot>,
    len: u64,
    allocated_pages: u64,
    durable_len: u64,
    lens_between: Vec<u64>,
    dirty: BTreeMap<usize, DirtyPage>,
    /// The file before its latest unsynced cut. A cut is one change of the journal: it happened or it did not, and
    /// what it removed never comes back in a file that was written after it.
    before_cut: Option<Box<Content>>,
}

/// A page that differs, or may differ, from what the disk holds.
#[derive(Clone, Debug)]
struct DirtyPage {
    durable: Slot,
    between: Vec<Slot>,
    /// A failed sync gave the page up: it counts as clean, and a later sync does not write it.
    given_up: bool,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn allocated_bytes(&self) -> u64 {
        self.allocated_pages * PAGE_BYTES as u64
    }

    /// Bytes that would be allocated by writing `offset..offset + len`.
    pub(super) fn bytes_to_allocate(&self, offset: u64, len: u64) -> io::Result<u64> {
        let end = pages_for(checked_end(offset, len)?);
        let (first, _) = locate(offset);
        let holes = (first..end).filter(|&index| self.slot(index).is_none()).count();
        Ok(if len == 0 { 0 } else { holes as u64 * PAGE_BYTES as u64 })
    }

    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> usize {
        let wanted = (buf.len() as u64).min(self.len.saturating_sub(offset)) as usize;
        let mut done = 0;
        while done < wanted {
            let (index, start) = locate(offset + done as u64);
            let part = (PAGE_BYTES - start).min(wanted - done);
            let target = &mut buf[done..done + part];
            match self.slot(index) {
                Some(page) => target.copy_from_slice(&page[start..start + part]),
                None => target.fill(0),
            }
            done += part;
        }
        wanted
    }

    pub(super) fn write(
        &mut self,
        offset: u64,
        slices: &[IoSlice<'_>],
        random: &mut SplitMix64,
    ) -> io::Result<()> {
        let total: u64 = slices.iter().map(|slice| slice.len() as u64).sum();
        let end = checked_end(offset, total)?;
        let mut position = offset;
        let mut begun = None;
        for slice in slices {
            let mut rest: &[u8] = slice;
            while !rest.is_empty() {
                let (index, start) = locate(position);
                if begun != Some(index) {
                    self.begin_change(index, random);
                    begun = Some(index);
                }
                let part = (PAGE_BYTES - start).min(rest.len());
                self.page_mut(index)[start..start + part].copy_from_slice(&rest[..part]);
                rest = &rest[part..];
                position += part as u64;
            }
        }
        if total > 0 && end > self.len {
            self.change_len(end, random);
        }
        Ok(())
    }

    pub(super) fn set_len(&mut self, len: u64, random: &mut SplitMix64) -> io::Result<()> {
        checked_end(len, 0)?;
        if len < self.len {
            self.cut(len);
        } else {
            self.change_len(len, random);
        }
        Ok(())
    }

    fn cut(&mut self, len: u64) {
        let mut earlier = self.before_cut.take();
        if earlier.as_ref().map_or(0, |content| content.cuts()) < VERSIONS_MAX {
            let mut before = self.clone();
            before.before_cut = earlier;
            earlier = Some(Box::new(before));
        }
        self.before_cut = earlier;
        self.len = len;
        self.durable_len = len;
        self.lens_between.clear();
        self.pages.truncate(pages_for(len));
        self.dirty.split_off(&pages_for(len));
        let (last, tail) = locate(len);
        if tail > 0 {
            if let Some(page) = self.dirty.get_mut(&last) {
                page.between.iter_mut().chain([&mut page.durable]).for_each(|slot| zero_from(slot, tail));
            }
            if let Some(slot) = self.pages.get_mut(last) {
                zero_from(slot, tail);
            }
        }
        self.allocated_pages = self.pages.iter().flatten().count() as u64;
    }

    fn cuts(&self) -> usize {
        1 + self.before_cut.as_ref().map_or(0, |content| content.cuts())
    }

    /// Zeroes and allocates the first `len` bytes, and syncs.
    pub(super) fn prepare_zeroed(&mut self, len: u64) -> io::Result<()> {
        checked_end(len, 0)?;
        let (whole, cut) = locate(len);
        if self.pages.len() < pages_for(len) {
            self.pages.resize(pages_for(len), None);
        }
        for slot in &mut self.pages[..whole] {
            self.allocated_pages += u64::from(slot.is_none());
            *slot = Some(Arc::clone(&ZERO_PAGE));
        }
        if cut > 0 {
            self.page_mut(whole)[..cut].fill(0);
        }
        self.len = self.len.max(len);
        for page in self.dirty.values_mut() {
            page.given_up = false;
        }
        self.sync();
        Ok(())
    }

    pub(super) fn sync(&mut self) {
        self.dirty.retain(|_, page| page.given_up);
        self.durable_len = self.len;
        self.lens_between.clear();
        self.before_cut = None;
    }

    /// A sync that failed: the pages look clean from now on and are not on the disk, as Linux does it.
    pub(super) fn give_up_dirty(&mut self) {
        for page in self.dirty.values_mut() {
            page.given_up = true;
        }
    }

    /// Changes bytes in place, on the disk and in the cache alike.
    pub(super) fn replace_durably(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut fresh = Self::default();
        fresh.write(0, &[IoSlice::new(bytes)], &mut SplitMix64::new(0))?;
        fresh.sync();
        *self = fresh;
        Ok(())
    }

    /// The power fails: for every dirty page the disk keeps one of its versions.
    pub(super) fn crash(&mut self, random: &mut SplitMix64) -> PageLosses {
        let before = self.len;
        let keep_eighths = [0, 1, 4, 7, 8][random.below(5)];
        while let Some(before_cut) = self.before_cut.take() {
            if random.chance(keep_eighths) {
                break;
            }
            *self = *before_cut;
        }
        let mut losses = PageLosses::default();
        let tears = random.chance(4);
        for (index, page) in std::mem::take(&mut self.dirty) {
            let current = self.pages.get(index).cloned().flatten();
            let survivor = page.survivor(current, keep_eighths, tears, random, &mut losses);
            if index >= self.pages.len() {
                self.pages.resize(index + 1, None);
            }
            self.pages[index] = survivor;
        }
        let mut lens = std::mem::take(&mut self.lens_between);
        lens.push(self.durable_len);
        if !random.chance(keep_eighths) {
            self.len = lens[random.below(lens.len())];
        }
        losses.length_changed = self.len != before;
        self.durable_len = self.len;
        self.pages.truncate(pages_for(self.len));
        let (last, tail) = locate(self.len);
        if tail > 0
            && let Some(slot) = self.pages.get_mut(last)
        {
            zero_from(slot, tail);
        }
        self.allocated_pages = self.pages.iter().flatten().count() as u64;
        losses
    }

    fn slot(&self, index: usize) -> &Slot {
        self.pages.get(index).unwrap_or(&None)
    }

    /// Remembers what the page holds before it changes.
    fn begin_change(&mut self, index: usize, random: &mut SplitMix64) {
        let before = self.slot(index).clone();
        match self.dirty.get_mut(&index) {
            None => {
                self.dirty.insert(index, DirtyPage { durable: before, between: Vec::new(), given_up: false });
            }
            Some(page) => {
                page.given_up = false;
                remember(&mut page.between, before, random);
            }
        }
    }

    /// The page for writing, allocated where it was a hole.
    fn page_mut(&mut self, index: usize) -> &mut Page {
        if index >= self.pages.len() {
            self.pages.resize(index + 1, None);
        }
        let slot = &mut self.pages[index];
        if slot.is_none() {
            self.allocated_pages += 1;
        }
        Arc::make_mut(slot.get_or_insert_with(|| Arc::clone(&ZERO_PAGE)))
    }

    fn change_len(&mut self, len: u64, random: &mut SplitMix64) {
        if len != self.len {
            let before = self.len;
            if before != self.durable_len && !self.lens_between.contains(&before) {
                remember(&mut self.lens_between, before, random);
            }
            self.len = len;
        }
    }
}

impl DirtyPage {
    fn survivor(
        self,
        current: Slot,
        keep_eighths: usize,
        tears: bool,
        random: &mut SplitMix64,
        losses: &mut PageLosses,
    ) -> Slot {
        if tears && random.chance(1) {
            losses.torn += 1;
            let other = self.pick_between(random).unwrap_or_else(|| self.durable.clone());
            return Some(Arc::new(torn(other.as_deref(), current.as_deref(), random)));
        }
        if random.chance(keep_eighths) {
            losses.kept += 1;
            return current;
        }
        if random.chance(3)
            && let Some(version) = self.pick_between(random)
        {
            losses.intermediate += 1;
            return version;
        }
        losses.dropped += 1;
        self.durable
    }

    fn pick_between(&self, random: &mut SplitMix64) -> Option<Slot> {
        (!self.between.is_empty()).then(|| self.between[random.below(self.between.len())].clone())
    }
}

fn zero_from(slot: &mut Slot, start: usize) {
    if let Some(page) = slot {
        Arc::make_mut(page)[start..].fill(0);
    }
}

/// Keeps a bounded sample, so that a page that is rewritten for ever without a sync costs no more.
fn remember<T>(versions: &mut Vec<T>, version: T, random: &mut SplitMix64) {
    if versions.len() < VERSIONS_MAX {
        versions.push(version);
    } else {
        let replaced = random.below(VERSIONS_MAX);
        versions[replaced] = version;
    }
}

/// A page of which each sector comes from one of two versions.
fn torn(first: Option<&Page>, second: Option<&Page>, random: &mut SplitMix64) -> Page {
    let mut page = [0; PAGE_BYTES];
    for start in (0..PAGE_BYTES).step_by(SECTOR_BYTES) {
        if let Some(source) = if random.chance(4) { first } else { second } {
            page[start..start + SECTOR_BYTES].copy_from_slice(&source[start..start + SECTOR_BYTES]);
        }
    }
    page
}

fn locate(offset: u64) -> (usize, usize) {
    ((offset / PAGE_BYTES as u64) as usize, (offset % PAGE_BYTES as u64) as usize)
}

fn pages_for(len: u64) -> usize {
    len.div_ceil(PAGE_BYTES as u64) as usize
}

fn checked_end(offset: u64, len: u64) -> io::Result<u64> {
    match offset.checked_add(len) {
        Some(end) if end <= FILE_BYTES_MAX => Ok(end),
        _ => Err(io::ErrorKind::FileTooLarge.into()),
    }
}
