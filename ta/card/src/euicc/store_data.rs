//! STORE DATA to the ISD-R (SGP.22 v2.5 section 5.7.2): commands in blocks, put together.

use alloc::vec::Vec;
use teuicc_apdu::{Coding, Command, StatusWord, ins};
use teuicc_tlv::TryBytes;

/// P1 of every block but the last.
const MORE_BLOCKS: u8 = 0x11;
/// P1 of the last block.
const LAST_BLOCK: u8 = 0x91;
/// The longest command in bytes. The longest of use is LoadCRL; a segment of a bound profile package has a limit of
/// its own, and is far below.
pub(crate) const MAX_COMMAND: usize = 20 * 1024;

/// A channel's block buffer. Block numbers start at 00 for every command and for every segment of a bound profile
/// package; block 00 drops what was there.
#[derive(Default)]
pub(crate) struct Assembly {
    bytes: Vec<u8>,
    /// The number that the next block must have, `None` after 256 blocks.
    next: Option<u8>,
}

impl Assembly {
    /// Takes a block. The whole command after its last block, `None` before.
    ///
    /// Errors: the status word to answer with. Nothing is kept then, the next command starts with block 00.
    pub(super) fn block(&mut self, command: &Command<'_>) -> Result<Option<Vec<u8>>, StatusWord> {
        let taken = self.take(command);
        if taken.is_err() {
            *self = Self::default();
        }
        taken
    }

    fn take(&mut self, command: &Command<'_>) -> Result<Option<Vec<u8>>, StatusWord> {
        let class = command.class().ok_or(StatusWord::CLASS_NOT_SUPPORTED)?;
        if class.coding != Coding::Proprietary || class.chaining {
            return Err(StatusWord::CLASS_NOT_SUPPORTED);
        }
        if class.secure_messaging {
            return Err(StatusWord::SECURE_MESSAGING_NOT_SUPPORTED);
        }
        if command.ins != ins::STORE_DATA {
            return Err(StatusWord::INSTRUCTION_NOT_SUPPORTED);
        }
        if command.p1 != MORE_BLOCKS && command.p1 != LAST_BLOCK {
            return Err(StatusWord::INCORRECT_P1P2);
        }
        if command.data.is_empty() || command.data.len() > 255 {
            return Err(StatusWord::WRONG_LENGTH);
        }
        if command.p2 == 0 {
            *self = Assembly { bytes: Vec::new(), next: Some(0) };
        }
        if self.next != Some(command.p2) {
            return Err(StatusWord::INCORRECT_P1P2);
        }
        if self.bytes.len().saturating_add(command.data.len()) > MAX_COMMAND {
            return Err(StatusWord::NOT_ENOUGH_MEMORY);
        }
        self.bytes.try_extend(command.data).map_err(|_| StatusWord::NOT_ENOUGH_MEMORY)?;
        self.next = command.p2.checked_add(1);
        if command.p1 == MORE_BLOCKS {
            return Ok(None);
        }
        Ok(Some(core::mem::take(self).bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    fn block(assembly: &mut Assembly, p1: u8, p2: u8, data: &[u8]) -> Result<Option<Vec<u8>>, StatusWord> {
        assembly.block(&Command { cla: 0x81, ins: 0xE2, p1, p2, data, le: None })
    }

    #[test]
    fn blocks_are_put_together_in_order() {
        let mut assembly = Assembly::default();
        assert_eq!(block(&mut assembly, 0x11, 0, &[1, 2]), Ok(None));
        assert_eq!(block(&mut assembly, 0x11, 1, &[3]), Ok(None));
        assert_eq!(block(&mut assembly, 0x91, 2, &[4]), Ok(Some(vec![1, 2, 3, 4])));
        assert_eq!(block(&mut assembly, 0x91, 0, &[5]), Ok(Some(vec![5])));
    }

    #[test]
    fn block_00_starts_a_new_command() {
        let mut assembly = Assembly::default();
        assert_eq!(block(&mut assembly, 0x11, 0, &[1, 2]), Ok(None));
        assert_eq!(block(&mut assembly, 0x91, 0, &[9]), Ok(Some(vec![9])));
    }

    #[test]
    fn a_wrong_block_number_drops_everything() {
        let mut assembly = Assembly::default();
        assert_eq!(block(&mut assembly, 0x91, 1, &[1]), Err(StatusWord::INCORRECT_P1P2));
        assert_eq!(block(&mut assembly, 0x11, 0, &[1]), Ok(None));
        assert_eq!(block(&mut assembly, 0x11, 2, &[1]), Err(StatusWord::INCORRECT_P1P2));
        assert_eq!(block(&mut assembly, 0x91, 1, &[1]), Err(StatusWord::INCORRECT_P1P2));
    }

    #[test]
    fn the_size_is_limited() {
        let mut assembly = Assembly::default();
        let mut results = (0..=255u8).map(|p2| block(&mut assembly, 0x11, p2, &[0; 255]));
        let first_refused = results.position(|result| result.is_err()).unwrap();
        assert_eq!(first_refused, MAX_COMMAND / 255);
        // With short blocks it is the block number that ends.
        for p2 in 0..=255u8 {
            assert_eq!(block(&mut assembly, 0x11, p2, &[0]), Ok(None));
        }
        assert_eq!(assembly.next, None);
    }

    #[test]
    fn other_commands_are_refused() {
        let refused = |cla, ins, p1, data: &[u8]| {
            Assembly::default().block(&Command { cla, ins, p1, p2: 0, data, le: None }).unwrap_err()
        };
        assert_eq!(refused(0x00, 0xE2, 0x91, &[1]), StatusWord::CLASS_NOT_SUPPORTED);
        assert_eq!(refused(0xA0, 0xE2, 0x91, &[1]), StatusWord::CLASS_NOT_SUPPORTED);
        assert_eq!(refused(0x84, 0xE2, 0x91, &[1]), StatusWord::SECURE_MESSAGING_NOT_SUPPORTED);
        assert_eq!(refused(0x80, 0xCA, 0x91, &[1]), StatusWord::INSTRUCTION_NOT_SUPPORTED);
        assert_eq!(refused(0x80, 0xE2, 0x90, &[1]), StatusWord::INCORRECT_P1P2);
        assert_eq!(refused(0x80, 0xE2, 0x91, &[]), StatusWord::WRONG_LENGTH);
        assert_eq!(refused(0x80, 0xE2, 0x91, &[0; 256]), StatusWord::WRONG_LENGTH);
        for cla in (0x80..=0x83).chain(0xC0..=0xCF) {
            let command = Command { cla, ins: 0xE2, p1: 0x91, p2: 0, data: &[1], le: Some(256) };
            assert_eq!(Assembly::default().block(&command), Ok(Some(vec![1])), "{cla:02X}");
        }
    }
}
