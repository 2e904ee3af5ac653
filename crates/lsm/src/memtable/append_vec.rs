//! A vector that grows at its end while others read it.
//!
//! It owns the one place of the MemTable where memory is shared without a lock. It does not know what it holds,
//! and nothing is ever removed or changed in it.

#![allow(unsafe_code, reason = "readers see elements that were published, without a lock")]

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;

use sync::{AtomicPtr, AtomicUsize, Ordering, UnsafeCell};

/// Elements of the first chunk; each next one has twice as many.
const FIRST_CHUNK: usize = 8;
const FIRST_CHUNK_LOG2: u32 = FIRST_CHUNK.ilog2();
/// Enough for nearly 2^32 elements.
const CHUNKS: usize = 29;

type Slot<T> = UnsafeCell<MaybeUninit<T>>;

/// The readers' side. Elements stay where they are for as long as the vector lives.
///
/// *Invariant*: the slots below `len` are initialised and never written again, and the chunks that they lie in are
/// allocated. Only the one [`Appender`] writes: it fills a slot at `len`, then publishes it by storing `len + 1`.
pub(super) struct AppendVec<T> {
    len: AtomicUsize,
    chunks: [AtomicPtr<Slot<T>>; CHUNKS],
    /// Owns `T`, and is shared between threads only where `T` can be.
    elements: PhantomData<T>,
}

impl<T> AppendVec<T> {
    /// The elements that are there now.
    #[inline]
    pub(super) fn prefix(&self) -> Prefix<'_, T> {
        // Pairs with the store in `Appender::push`: who sees the length sees the elements and their chunks.
        Prefix { vec: self, len: self.len.load(Ordering::Acquire) }
    }

    /// The element at `index`, `None` where it is not there yet.
    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<&T> {
        self.prefix().get(index)
    }

    /// # Safety
    /// `index` must be below a length that was loaded with `Acquire`.
    #[inline]
    unsafe fn published(&self, index: usize) -> &T {
        let (chunk, at) = place(index);
        let slots = self.chunks[chunk].load(Ordering::Relaxed);
        // SAFETY: the slot was published, so its chunk was allocated with more than `at` slots and its pointer
        // stored before the length that the caller loaded; the chunk is freed only with the vector.
        let slot = unsafe { &*slots.add(at) };
        // SAFETY: a published slot is initialised and never written again, so a shared reference may live as long
        // as the vector does.
        slot.with(|value| unsafe { (*value).assume_init_ref() })
    }
}

impl<T> Drop for AppendVec<T> {
    fn drop(&mut self) {
        let mut left = self.len.load(Ordering::Acquire);
        for (chunk, slots) in self.chunks.iter().enumerate() {
            let slots = slots.load(Ordering::Relaxed);
            if slots.is_null() {
                break;
            }
            let capacity = FIRST_CHUNK << chunk;
            // SAFETY: `push` made the pointer from a boxed slice of this length, and nobody else can reach it now.
            let slots = unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(slots, capacity)) };
            for slot in slots.iter().take(left) {
                // SAFETY: the slots below the length are initialised, and each is dropped once.
                slot.with_mut(|value| unsafe { (*value).assume_init_drop() });
            }
            left = left.saturating_sub(capacity);
        }
    }
}

/// The writer's side: there is one for each vector, and it cannot be cloned.
///
/// It remembers where the next element goes, so that appending only writes to shared memory and never waits for it.
pub(super) struct Appender<T> {
    vec: Arc<AppendVec<T>>,
    len: usize,
    /// The slot at `len`. *Invariant*: `free_slots` slots from here on are allocated and not published.
    free: *mut Slot<T>,
    free_slots: usize,
}

// SAFETY: the pointer leads into chunks of `vec` and is used by this value alone, so sending it sends no more than
// `vec` and the elements; the bound is the one under which `Arc<AppendVec<T>>` can be sent.
unsafe impl<T: Send + Sync> Send for Appender<T> {}

impl<T> Appender<T> {
    /// An empty vector. It has no chunk yet.
    pub(super) fn new() -> Self {
        let vec = AppendVec {
            len: AtomicUsize::new(0),
            chunks: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            elements: PhantomData,
        };
        Self { vec: Arc::new(vec), len: 0, free: ptr::null_mut(), free_slots: 0 }
    }

    /// The readers' side.
    pub(super) fn shared(&self) -> &Arc<AppendVec<T>> {
        &self.vec
    }

    /// The number of elements.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Appends `value` and returns how many bytes were allocated for it: 0 unless a chunk was full.
    #[inline]
    pub(super) fn push(&mut self, value: T) -> usize {
        let allocated = if self.free_slots == 0 { self.allocate() } else { 0 };
        // SAFETY: the slot is allocated and not published, so no reader looks at it, and no other writer exists.
        unsafe { (*self.free).with_mut(|slot| _ = (*slot).write(value)) };
        // SAFETY: at most one behind the last slot of the chunk.
        self.free = unsafe { self.free.add(1) };
        self.free_slots -= 1;
        self.len += 1;
        self.vec.len.store(self.len, Ordering::Release);
        allocated
    }

    #[cold]
    fn allocate(&mut self) -> usize {
        let (chunk, _) = place(self.len);
        assert!(chunk < CHUNKS, "a vector holds fewer than 2^32 elements");
        let capacity = FIRST_CHUNK << chunk;
        let slots: Box<[Slot<T>]> = (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect();
        self.free = Box::into_raw(slots).cast();
        self.free_slots = capacity;
        // Published together with the first element in it.
        self.vec.chunks[chunk].store(self.free, Ordering::Relaxed);
        capacity * size_of::<T>()
    }
}

/// The first elements of a vector, as many as a reader may see.
pub(super) struct Prefix<'a, T> {
    vec: &'a AppendVec<T>,
    /// *Invariant*: not more than a length that was loaded with `Acquire`.
    len: usize,
}

impl<'a, T> Prefix<'a, T> {
    /// The number of elements.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The element at `index`.
    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<&'a T> {
        // SAFETY: `index` is below the length, which is a published one.
        (index < self.len).then(|| unsafe { self.vec.published(index) })
    }

    /// The last element.
    #[inline]
    pub(super) fn last(&self) -> Option<&'a T> {
        self.get(self.len.checked_sub(1)?)
    }

    /// The elements from the first on.
    pub(super) fn iter(self) -> impl Iterator<Item = &'a T> {
        (0..self.len).map_while(move |index| self.get(index))
    }

    /// The same vector, cut before the first element for which `keep` is false. The elements must be ordered by
    /// it: first those to keep, then the others.
    #[inline]
    pub(super) fn cut(self, keep: impl FnMut(&T) -> bool) -> Self {
        Self { len: self.partition_point(keep), ..self }
    }

    /// How many elements come before the first for which `is_before` is false.
    #[inline]
    pub(super) fn partition_point(&self, mut is_before: impl FnMut(&T) -> bool) -> usize {
        // Readers nearly always want the newest elements.
        match self.last() {
            None => return 0,
            Some(last) if is_before(last) => return self.len,
            Some(_) => {}
        }
        let (mut low, mut high) = (0, self.len - 1);
        while let Some(element) = self.get(low + (high - low) / 2).filter(|_| low < high) {
            let middle = low + (high - low) / 2;
            if is_before(element) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

impl<T> Clone for Prefix<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Prefix<'_, T> {}

/// The chunk that an index lies in, and where in it.
#[inline]
fn place(index: usize) -> (usize, usize) {
    let shifted = index + FIRST_CHUNK;
    let log2 = shifted.ilog2();
    ((log2 - FIRST_CHUNK_LOG2) as usize, shifted - (1 << log2))
}

#[cfg(not(loom))]
mod sync {
    pub(super) use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

    /// The standard cell with the interface of loom's.
    pub(super) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(super) fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        #[inline]
        pub(super) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
            read(self.0.get())
        }

        #[inline]
        pub(super) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
            write(self.0.get())
        }
    }
}

#[cfg(loom)]
mod sync {
    pub(super) use loom::cell::UnsafeCell;
    pub(super) use loom::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_index_has_its_own_place() {
        let mut expected = (0, 0);
        for index in 0..5_000 {
            assert_eq!(place(index), expected);
            expected.1 += 1;
            if expected.1 == FIRST_CHUNK << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
    }

    #[test]
    fn elements_are_dropped_once() {
        let element = Arc::new(());
        let mut appender = Appender::new();
        for _ in 0..100 {
            appender.push(Arc::clone(&element));
        }
        let shared = Arc::clone(appender.shared());
        drop(appender);
        assert_eq!(Arc::strong_count(&element), 101);
        drop(shared);
        assert_eq!(Arc::strong_count(&element), 1);
    }

    #[test]
    fn the_partition_point_is_that_of_a_slice() {
        let mut appender = Appender::new();
        let mut slice = Vec::new();
        for len in 0..40_u32 {
            for value in 0..=2 * len + 1 {
                let found = appender.shared().prefix().partition_point(|element| *element < value);
                assert_eq!(found, slice.partition_point(|element| *element < value));
            }
            appender.push(2 * len);
            slice.push(2 * len);
        }
    }

    #[test]
    fn allocated_bytes_are_reported() {
        let mut appender = Appender::new();
        let allocated: usize = (0..100_u64).map(|value| appender.push(value)).sum();
        assert_eq!(allocated, (8 + 16 + 32 + 64) * 8);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::thread;

    use super::*;

    // One element more than the first chunk has, so that publishing a new chunk is part of it.
    #[test]
    fn loom_readers_see_a_prefix_of_what_was_pushed() {
        loom::model(|| {
            let mut appender = Appender::new();
            for value in 0..FIRST_CHUNK - 1 {
                appender.push(Box::new(value));
            }
            let vec = Arc::clone(appender.shared());
            let reader = thread::spawn(move || {
                let first = vec.prefix();
                let second = vec.prefix();
                assert!(FIRST_CHUNK - 1 <= first.len() && first.len() <= second.len());
                for prefix in [first, second] {
                    for (index, value) in prefix.iter().enumerate() {
                        assert_eq!(**value, index);
                    }
                }
            });
            appender.push(Box::new(FIRST_CHUNK - 1));
            appender.push(Box::new(FIRST_CHUNK));
            reader.join().unwrap();
        });
    }
}
