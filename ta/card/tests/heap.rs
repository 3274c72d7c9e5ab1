//! How much memory the card needs at most: what the trusted application's heap is sized by.
#![allow(unsafe_code, reason = "a global allocator cannot be written without")]

mod common;

use common::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use teuicc_card::testing::MemoryStore;
use teuicc_rsp::crypto::Curve;
use teuicc_rsp::es10::{FinalResult, ProfileInstallationResult};
use teuicc_rsp::object::Object;
use teuicc_saip::build::add_file;

/// Memory in use in bytes, and the most there ever was. This file has one test, so the process is the test.
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

fn grown(size: usize) {
    PEAK.fetch_max(LIVE.fetch_add(size, SeqCst) + size, SeqCst);
}

// SAFETY: forwards to the system's allocator. `realloc` is the default: allocate, copy, free, as the TA's does.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), SeqCst);
        // SAFETY: the caller's contract is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The target for the heap, in bytes.
const TARGET: usize = 1024 * 1024;
/// Files of the largest profile. Together they take all but a few KiB of the 256 KiB that a profile may have, each as
/// much as fits into a profile element.
const FILES: u16 = 8;
/// Size of each in bytes.
const FILE: usize = 31 * 1024;

/// A profile whose files fill the space that a profile may take.
fn largest() -> TestProfile {
    let mut profile = TestProfile::new("89000123456789012341");
    // Nothing that the store could write shorter.
    let content: Vec<u8> = (0..FILE).map(|at| (at * 7 + at / 251) as u8).collect();
    (0..FILES).for_each(|number| add_file(&mut profile.package, 0x2F50 + number, &content).unwrap());
    profile
}

/// What the store holds, in bytes. A trusted application's store is not in its heap.
fn stored(store: &MemoryStore) -> usize {
    store.snapshot().values().map(Vec::len).sum()
}

#[test]
fn the_largest_profile_installs_within_the_heap() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    let mut smdp = Smdp::new(&pki, largest());
    smdp.authenticate(&mut device);
    smdp.prepare(&mut device);
    let package = smdp.package();
    let (live, held) = (LIVE.load(SeqCst), stored(&device.store));
    PEAK.store(live, SeqCst);
    let result = load(&mut device, &package);
    let peak = PEAK.load(SeqCst) - live;
    let held = stored(&device.store) - held;
    let result = ProfileInstallationResult::parse(&result).unwrap();
    assert!(matches!(result.data.final_result, FinalResult::Success(_)), "{:?}", result.data.final_result);
    assert!(held > usize::from(FILES) * FILE, "the profile takes {held} bytes");
    let heap = peak - held;
    println!("bound profile package of {} bytes, {held} bytes stored, heap at most {heap} bytes", package.len());
    assert!(heap < TARGET, "{heap}");
}
