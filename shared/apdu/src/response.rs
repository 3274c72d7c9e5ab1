use alloc::vec::Vec;
use core::fmt;
use teuicc_tlv::{OutOfMemory, TryBytes};

/// A status word, SW1 and SW2 (TS 102 221 section 10.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatusWord(pub u16);

macro_rules! status_words {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl StatusWord { $($(#[$doc])* pub const $name: StatusWord = StatusWord($value);)* }
    };
}

status_words! {
    /// Normal ending of the command.
    OK = 0x9000;
    /// SIM application toolkit is busy; the command cannot be executed at present.
    TOOLKIT_BUSY = 0x9300;
    /// Part of the returned data may be corrupted.
    CORRUPTED_DATA = 0x6281;
    /// End of file or record reached before reading Le bytes, or unsuccessful search.
    END_OF_FILE = 0x6282;
    /// Selected file invalidated (deactivated).
    FILE_DEACTIVATED = 0x6283;
    /// Selected file in termination state.
    FILE_TERMINATED = 0x6285;
    /// More data available (SEARCH RECORD and the BER-TLV commands).
    MORE_DATA = 0x62F1;
    /// More data expected (SET DATA).
    MORE_DATA_EXPECTED = 0x63F1;
    /// Memory problem.
    MEMORY_PROBLEM = 0x6581;
    /// Wrong length.
    WRONG_LENGTH = 0x6700;
    /// Logical channel not supported.
    CHANNEL_NOT_SUPPORTED = 0x6881;
    /// Secure messaging not supported.
    SECURE_MESSAGING_NOT_SUPPORTED = 0x6882;
    /// Command incompatible with the file structure.
    INCOMPATIBLE_FILE_STRUCTURE = 0x6981;
    /// Security status not satisfied.
    SECURITY_STATUS = 0x6982;
    /// Authentication or PIN method blocked.
    METHOD_BLOCKED = 0x6983;
    /// Referenced data invalidated (a PIN that is not initialised).
    REFERENCE_DATA_INVALIDATED = 0x6984;
    /// Conditions of use not satisfied.
    CONDITIONS_OF_USE = 0x6985;
    /// Command not allowed, no EF selected.
    NO_EF_SELECTED = 0x6986;
    /// Incorrect parameters in the data field.
    INCORRECT_DATA = 0x6A80;
    /// Function not supported.
    FUNCTION_NOT_SUPPORTED = 0x6A81;
    /// File not found.
    FILE_NOT_FOUND = 0x6A82;
    /// Record not found.
    RECORD_NOT_FOUND = 0x6A83;
    /// Not enough memory space.
    NOT_ENOUGH_MEMORY = 0x6A84;
    /// Incorrect parameters P1 to P2.
    INCORRECT_P1P2 = 0x6A86;
    /// Lc inconsistent with P1 to P2.
    LC_INCONSISTENT = 0x6A87;
    /// Referenced data not found.
    REFERENCE_DATA_NOT_FOUND = 0x6A88;
    /// File identifier already exists (TS 102 222).
    FILE_EXISTS = 0x6A89;
    /// Wrong parameters P1 to P2 (offset outside the file).
    WRONG_PARAMETERS = 0x6B00;
    /// Instruction code not supported or invalid.
    INSTRUCTION_NOT_SUPPORTED = 0x6D00;
    /// Class not supported.
    CLASS_NOT_SUPPORTED = 0x6E00;
    /// Technical problem, no precise diagnosis.
    TECHNICAL_PROBLEM = 0x6F00;
    /// INCREASE cannot be performed, maximum value reached.
    MAX_VALUE_REACHED = 0x9850;
    /// Authentication error, incorrect MAC (TS 31.102 section 7.3.1).
    INCORRECT_MAC = 0x9862;
    /// Authentication error, security context not supported (TS 31.102 section 7.3.1).
    CONTEXT_NOT_SUPPORTED = 0x9864;
    /// Authentication error, no memory space available (TS 31.102 section 7.3.1).
    AUTHENTICATION_NO_MEMORY = 0x9866;
}

impl StatusWord {
    /// `63Cx`: the comparison failed, `retries` (0 to 15) tries are left.
    #[must_use]
    pub const fn retries_left(retries: u8) -> StatusWord {
        StatusWord(0x63C0 | (retries & 0x0F) as u16)
    }

    /// `91xx`: normal ending, a proactive command of `length` bytes waits to be fetched.
    #[must_use]
    pub const fn proactive_pending(length: u8) -> StatusWord {
        StatusWord(0x9100 | length as u16)
    }

    /// SW1.
    #[must_use]
    pub const fn sw1(self) -> u8 {
        self.0.to_be_bytes()[0]
    }

    /// Whether the command ended normally: `9000` or `91xx`.
    #[must_use]
    pub const fn is_ok(self) -> bool {
        self.0 == 0x9000 || self.sw1() == 0x91
    }
}

impl fmt::Display for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

impl fmt::Debug for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatusWord({self})")
    }
}

/// A response APDU: whole response data (up to 64 KiB above the T=0 layer) and the status word.
#[derive(PartialEq, Eq)]
pub struct Response {
    /// Response data.
    pub data: Vec<u8>,
    /// Status word.
    pub sw: StatusWord,
}

impl Response {
    /// A response with data and `9000`.
    #[must_use]
    pub fn data(data: Vec<u8>) -> Self {
        Response { data, sw: StatusWord::OK }
    }

    /// A response without data.
    #[must_use]
    pub fn status(sw: StatusWord) -> Self {
        Response { data: Vec::new(), sw }
    }

    /// Reads a response APDU: data, then two bytes of status word. `None` for fewer than two bytes or when
    /// memory runs out.
    #[must_use]
    pub fn parse(apdu: &[u8]) -> Option<Self> {
        let (data, sw) = apdu.split_last_chunk::<2>()?;
        Some(Response { data: teuicc_tlv::try_copy(data).ok()?, sw: StatusWord(u16::from_be_bytes(*sw)) })
    }

    /// The response APDU's bytes: data, SW1, SW2. Errors: out of memory.
    pub fn into_bytes(self) -> Result<Vec<u8>, OutOfMemory> {
        let mut bytes = self.data;
        bytes.try_extend(&self.sw.0.to_be_bytes())?;
        Ok(bytes)
    }
}

impl From<StatusWord> for Response {
    fn from(sw: StatusWord) -> Self {
        Response::status(sw)
    }
}

impl fmt::Debug for Response {
    /// Length and status word only: response data may be a key (CK, IK).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({} bytes, {})", self.data.len(), self.sw)
    }
}
