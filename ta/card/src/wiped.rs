//! Growth of byte strings that hold secrets.

use alloc::vec::Vec;
use teuicc_tlv::{OutOfMemory, TryBytes};
use zeroize::Zeroize;

/// Appends a slice. Where the bytes have to move, what they leave is wiped: an allocator would give it to others as it
/// is. Errors: [`OutOfMemory`], the bytes are then unchanged.
pub(crate) fn try_extend(bytes: &mut Vec<u8>, more: &[u8]) -> Result<(), OutOfMemory> {
    if bytes.capacity().saturating_sub(bytes.len()) < more.len() {
        let enough = bytes.len().saturating_add(more.len()).max(bytes.capacity().saturating_mul(2));
        let mut larger = Vec::new();
        larger.try_reserve_exact(enough).map_err(|_| OutOfMemory)?;
        larger.try_extend(bytes)?;
        core::mem::replace(bytes, larger).zeroize();
    }
    bytes.try_extend(more)
}
