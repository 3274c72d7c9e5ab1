//! For tests alone: an allocator that fails when it is told to, so that the answer to a lack of memory can be seen at
//! each allocation in turn; and that counts.
//!
//! ```ignore
//! #[global_allocator]
//! static ALLOCATOR: teuicc_failing_alloc::FailingAllocator = teuicc_failing_alloc::FailingAllocator;
//!
//! for allowed in 0.. {
//!     if with_allocations(Some(allowed), || operation()).is_ok() { break; }
//! }
//! ```
#![allow(unsafe_code, reason = "a global allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// How many allocations of this thread still succeed; `None` for all.
    static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    /// How many allocations this thread has asked for.
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, until a thread's allocations are used up.
pub struct FailingAllocator;

/// Runs `work` with `allowed` allocations, `None` for any number; allocations that follow on this thread succeed again.
pub fn with_allocations<T>(allowed: Option<u32>, work: impl FnOnce() -> T) -> T {
    LEFT.set(allowed);
    let result = work();
    LEFT.set(None);
    result
}

/// Runs `work`; with its result, how many allocations (also those that make a block larger) it asked for.
pub fn count_allocations<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = ASKED.get();
    let result = work();
    (result, ASKED.get() - before)
}

fn may_allocate() -> bool {
    ASKED.set(ASKED.get() + 1);
    LEFT.with(|left| match left.get() {
        None => true,
        Some(0) => false,
        Some(count) => {
            left.set(Some(count - 1));
            true
        }
    })
}

// SAFETY: forwards to the system's allocator, or gives null, which the contract allows.
unsafe impl GlobalAlloc for FailingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract is the same.
        if may_allocate() { unsafe { System.alloc(layout) } } else { std::ptr::null_mut() }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the same.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's contract is the same.
        if may_allocate() { unsafe { System.realloc(pointer, layout, size) } } else { std::ptr::null_mut() }
    }
}
