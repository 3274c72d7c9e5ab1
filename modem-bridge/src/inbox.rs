//! Bytes from a peer.

use std::ops::Deref;
use zeroize::{Zeroize, Zeroizing};

/// Bytes as they arrive from a peer, until they are whole messages. Wiped where they were when they are taken: a
/// command may have a PIN in it.
#[derive(Default)]
pub(crate) struct Inbox(Zeroizing<Vec<u8>>);

impl Inbox {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let length = self.0.len() + bytes.len();
        if length > self.0.capacity() {
            // A vector that grows leaves its old bytes behind.
            let mut larger = Zeroizing::new(Vec::with_capacity(length.next_power_of_two()));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
    }

    /// Takes the first `count` bytes, or all if there are fewer.
    pub(crate) fn take(&mut self, count: usize) -> Zeroizing<Vec<u8>> {
        let count = count.min(self.0.len());
        let taken = Zeroizing::new(self.0[..count].to_vec());
        self.0.copy_within(count.., 0);
        let left = self.0.len() - count;
        self.0[left..].zeroize();
        self.0.truncate(left);
        taken
    }

    pub(crate) fn clear(&mut self) {
        self.0.zeroize();
    }
}

impl Deref for Inbox {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_came_in() {
        let mut inbox = Inbox::default();
        inbox.push(b"abc");
        inbox.push(b"defgh");
        assert_eq!(*inbox.take(2), *b"ab");
        inbox.push(b"ij");
        assert_eq!(*inbox, *b"cdefghij");
        assert_eq!(*inbox.take(100), *b"cdefghij");
        inbox.push(b"k");
        inbox.clear();
        assert!(inbox.is_empty());
    }
}
