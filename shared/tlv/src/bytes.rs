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
        put(self, item)
    }

    fn try_extend(&mut self, items: &[T]) -> Result<(), OutOfMemory>
    where
        T: Clone,
    {
        self.try_reserve(items.len()).map_err(|_| OutOfMemory)?;
        items.iter().try_for_each(|item| put(self, item.clone()))
    }

    fn try_resize(&mut self, len: usize, value: T) -> Result<(), OutOfMemory>
    where
        T: Clone,
    {
        let more = len.saturating_sub(self.len());
        self.try_reserve(more).map_err(|_| OutOfMemory)?;
        self.truncate(len);
        (0..more).try_for_each(|_| put(self, value.clone()))
    }
}

/// Appends an element for which there is room. There always is after a reservation; that it is asked again tells the
/// compiler so, which then leaves out the growing that would abort. `extend_from_slice` and `resize` do not allow that.
#[inline(always)]
fn put<T>(items: &mut Vec<T>, item: T) -> Result<(), OutOfMemory> {
    if items.len() == items.capacity() {
        return Err(OutOfMemory);
    }
    items.push(item);
    Ok(())
}

/// Takes out the element at `index`, and puts the last one in its place. `None` if there is none.
pub fn swap_take<T>(items: &mut Vec<T>, index: usize) -> Option<T> {
    let (last, others) = items.split_last_mut()?;
    let end = others.len();
    match others.get_mut(index) {
        Some(taken) => core::mem::swap(taken, last),
        None if index == end => {}
        None => return None,
    }
    items.pop()
}

/// Drops the first element, if there is one.
pub fn drop_first<T>(items: &mut Vec<T>) {
    let mut first = true;
    items.retain(|_| !core::mem::take(&mut first));
}

/// Copies a slice into a new vector of exactly its length. Errors: [`OutOfMemory`].
pub fn try_copy<T: Clone>(items: &[T]) -> Result<Vec<T>, OutOfMemory> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(items.len()).map_err(|_| OutOfMemory)?;
    items.iter().try_for_each(|item| put(&mut copy, item.clone()))?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn an_element_is_taken_from_any_place_and_from_none_that_is_not_there() {
        for (index, taken, rest) in
            [(0, Some(1), vec![3, 2]), (1, Some(2), vec![1, 3]), (2, Some(3), vec![1, 2]), (3, None, vec![1, 2, 3])]
        {
            let mut items = vec![1, 2, 3];
            assert_eq!(swap_take(&mut items, index), taken);
            assert_eq!(items, rest);
        }
        assert_eq!(swap_take(&mut Vec::<u8>::new(), 0), None);
    }

    #[test]
    fn the_first_is_dropped_and_the_order_kept() {
        let mut items = vec![1, 2, 3];
        drop_first(&mut items);
        assert_eq!(items, [2, 3]);
        drop_first(&mut Vec::<u8>::new());
    }
}
