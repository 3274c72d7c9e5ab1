//! Growth that can fail: in the card an allocation that fails is an error answer, never an abort.

use alloc::vec::Vec;
use core::fmt;

/// An allocation failed. It carries nothing, so that reporting it needs no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of memory")
    }
}

impl core::error::Error for OutOfMemory {}

/// Fallible growth of a vector.
pub trait TryBytes<T> {
    /// Appends one element. Errors: [`OutOfMemory`], the vector is then unchanged.
    fn try_push(&mut self, item: T) -> Result<(), OutOfMemory>;

    /// Appends a slice. Errors: [`OutOfMemory`], the vector is then unchanged.
    fn try_extend(&mut self, items: &[T]) -> Result<(), OutOfMemory>
    where
        T: Clone;

    /// Grows or shrinks to `len` elements, filling with `value`. Errors: [`OutOfMemory`].
    fn try_resize(&mut self, len: usize, value: T) -> Result<(), OutOfMemory>
    where
        T: Clone;
}

impl<T> TryBytes<T> for Vec<T> {
    fn try_push(&mut self, item: T) -> Result<(), OutOfMemory> {
        self.try_reserve(1).map_err(|_| OutOfMemory)?;
        self.push(item);
        Ok(())
    }

    fn try_extend(&mut self, items: &[T]) -> Result<(), OutOfMemory>
    where
        T: Clone,
    {
        self.try_reserve(items.len()).map_err(|_| OutOfMemory)?;
        self.extend_from_slice(items);
        Ok(())
    }

    fn try_resize(&mut self, len: usize, value: T) -> Result<(), OutOfMemory>
    where
        T: Clone,
    {
        self.try_reserve(len.saturating_sub(self.len())).map_err(|_| OutOfMemory)?;
        self.resize(len, value);
        Ok(())
    }
}

/// Copies a slice into a new vector of exactly its length. Errors: [`OutOfMemory`].
pub fn try_copy<T: Clone>(items: &[T]) -> Result<Vec<T>, OutOfMemory> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(items.len()).map_err(|_| OutOfMemory)?;
    copy.extend_from_slice(items);
    Ok(copy)
}
