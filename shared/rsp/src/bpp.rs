//! The bound profile package (SGP.22 v2.5 sections 2.5.3 to 2.5.5): its commands, its segments for the LPA, its
//! reading as a stream by the card, its building by the SM-DP+.

use crate::codes::BppCommandId;
use crate::crypto::{InvalidKey, SecretKey};
use crate::es10::Signature;
use crate::object::{Octets, TransactionId, need, object};
use crate::scp03t::{KEY_LENGTH, KEY_TYPE_AES, MAX_PLAIN, Scp03t, Scp03tError, SessionKeys};
use crate::signing;
use crate::tags;
use alloc::vec::Vec;
use core::fmt;
use teuicc_tlv::{Error, ErrorKind, Reader, Tag, Tlv, TryBytes, Writer, leading_length};

/// The only remote operation: installBoundProfilePackage.
pub const INSTALL_BOUND_PROFILE_PACKAGE: u32 = 1;
/// Longest 87, 88 or 86 object taken, and longest InitialiseSecureChannel, in bytes. The specification has 1020 for
/// the first; servers in the field send 1036.
pub const MAX_OBJECT: usize = 2048;

object! {
    /// InitialiseSecureChannelRequest (section 5.5.1).
    pub struct InitialiseSecureChannel<'a>: tags::INITIALISE_SECURE_CHANNEL => {
        /// Remote operation: [`INSTALL_BOUND_PROFILE_PACKAGE`].
        remote_op_id: required u32 = 0x82,
        /// The transaction.
        transaction_id: required TransactionId<'a> = 0x80,
        /// What keys are to be agreed on.
        control_ref_template: required ControlRefTemplate<'a> = 0xA6,
        /// otPK.DP.ECKA, an uncompressed point.
        smdp_otpk: required &'a [u8; 65] = 0x5F49,
        /// The signature over the members above and otPK.EUICC.ECKA; see [`smdp_signed`].
        smdp_sign: required Signature<'a> = 0x5F37,
    }
}

object! {
    /// ControlRefTemplate.
    pub struct ControlRefTemplate<'a>: Tag(0xA6) => {
        /// Key type: [`KEY_TYPE_AES`].
        key_type: required &'a [u8; 1] = 0x80,
        /// Key length: [`KEY_LENGTH`].
        key_len: required &'a [u8; 1] = 0x81,
        /// Host ID.
        host_id: required Octets<'a, 1, 16> = 0x84,
    }
}

impl ControlRefTemplate<'_> {
    /// Whether these are the keys of SGP.22: AES with 128 bits.
    #[must_use]
    pub fn is_supported(&self) -> bool {
        self.key_type == &[KEY_TYPE_AES] && self.key_len == &[KEY_LENGTH]
    }
}

object! {
    /// ConfigureISDPRequest (section 5.5.2).
    pub struct ConfigureIsdp<'a>: tags::CONFIGURE_ISDP => {
        /// Data of the SM-DP+ kept with the profile.
        dp_proprietary_data: optional DpProprietaryData<'a> = 0xB8,
    }
}

object! {
    /// DpProprietaryData.
    pub struct DpProprietaryData<'a>: Tag(0xB8) => {
        /// OID of the SM-DP+, content octets.
        dp_oid: required &'a [u8] = 0x80,
    }
}

/// The part of a received InitialiseSecureChannel that its signature covers, besides otPK.EUICC.ECKA: all that stands
/// before the signature. `isc` is the whole object. Errors: it has no signature.
pub fn smdp_signed(isc: &[u8]) -> Result<&[u8], Error> {
    let value = Tlv::parse(isc, tags::INITIALISE_SECURE_CHANNEL)?.value;
    let mut members = Reader::new(value);
    let signature = need(&mut members, tags::SIGNATURE)?;
    let end = members.offset().saturating_sub(signature.raw.len());
    value.get(..end).ok_or_else(|| members.error(ErrorKind::Truncated))
}

/// Why an InitialiseSecureChannel or a package could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// A part has content that its type does not allow, or there is no memory.
    Object(Error),
    /// A part could not be protected.
    Protection(Scp03tError),
    /// The signing key is unusable.
    Key(InvalidKey),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::Object(error) => error.fmt(f),
            BuildError::Protection(error) => error.fmt(f),
            BuildError::Key(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for BuildError {}

impl From<Error> for BuildError {
    fn from(error: Error) -> Self {
        BuildError::Object(error)
    }
}

impl From<Scp03tError> for BuildError {
    fn from(error: Scp03tError) -> Self {
        BuildError::Protection(error)
    }
}

impl From<InvalidKey> for BuildError {
    fn from(error: InvalidKey) -> Self {
        BuildError::Key(error)
    }
}

/// Makes and signs InitialiseSecureChannel: `key` is SK.DPpb.ECDSA, the points are the two one-time public keys.
/// Gives the whole object.
pub fn initialise_secure_channel(
    transaction_id: TransactionId<'_>,
    host_id: Octets<'_, 1, 16>,
    smdp_otpk: &[u8; 65],
    euicc_otpk: &[u8; 65],
    key: &SecretKey,
) -> Result<Vec<u8>, BuildError> {
    let mut request = InitialiseSecureChannel {
        remote_op_id: INSTALL_BOUND_PROFILE_PACKAGE,
        transaction_id,
        control_ref_template: ControlRefTemplate { key_type: &[KEY_TYPE_AES], key_len: &[KEY_LENGTH], host_id },
        smdp_otpk,
        smdp_sign: &[0; 64],
    };
    let unsigned = crate::object::Object::encode(&request)?;
    let signature = key.sign(&signing::with_otpk(smdp_signed(&unsigned)?, euicc_otpk))?;
    request.smdp_sign = &signature;
    Ok(crate::object::Object::encode(&request)?)
}

/// What goes into a bound profile package.
#[derive(Clone, Copy)]
pub struct BppContents<'a> {
    /// InitialiseSecureChannel, whole.
    pub initialise_secure_channel: &'a [u8],
    /// ConfigureISDP, whole.
    pub configure_isdp: &'a [u8],
    /// StoreMetadata, whole.
    pub store_metadata: &'a [u8],
    /// Profile protection keys; without them the session keys protect the profile too.
    pub profile_protection_keys: Option<&'a SessionKeys>,
    /// The unprotected profile package.
    pub profile: &'a [u8],
}

impl BppContents<'_> {
    /// Protects the contents and puts them together. Errors: out of memory.
    pub fn build(&self, session_keys: SessionKeys) -> Result<Vec<u8>, BuildError> {
        let mut channel = Scp03t::new(session_keys);
        let mut writer = Writer::new();
        writer.nested(tags::BOUND_PROFILE_PACKAGE, |writer| {
            writer.raw(self.initialise_secure_channel)?;
            let configure = (tags::FIRST_SEQUENCE_OF_87, tags::SCP03T_COMMAND, self.configure_isdp);
            protected_sequence(writer, &mut channel, configure)?;
            let metadata = (tags::SEQUENCE_OF_88, tags::SCP03T_MAC_ONLY, self.store_metadata);
            protected_sequence(writer, &mut channel, metadata)?;
            if let Some(keys) = self.profile_protection_keys {
                let replace = keys.expose_replace_session_keys()?;
                let replace = (tags::SECOND_SEQUENCE_OF_87, tags::SCP03T_COMMAND, replace.as_slice());
                protected_sequence(writer, &mut channel, replace)?;
                channel.replace_keys(keys.duplicate());
            }
            protected_sequence(writer, &mut channel, (tags::SEQUENCE_OF_86, tags::SCP03T_ELEMENT, self.profile))
        })?;
        Ok(writer.into_bytes())
    }
}

/// Writes a sequence of protected objects: its tag, theirs, and the plain data, cut so that no object is too long.
fn protected_sequence(
    writer: &mut Writer,
    channel: &mut Scp03t,
    (sequence, object, plain): (Tag, Tag, &[u8]),
) -> Result<(), BuildError> {
    writer.nested(sequence, |writer| {
        for piece in plain.chunks(MAX_PLAIN) {
            writer.raw(&channel.protect(object, piece)?)?;
        }
        Ok(())
    })
}

/// The segments in which an LPA gives a package to the card, in order (section 2.5.5). They follow each other without
/// gap and are the whole package. Errors: it is not a bound profile package, or out of memory.
pub fn segments(bpp: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let package = Tlv::parse(bpp, tags::BOUND_PROFILE_PACKAGE)?;
    let header = bpp.len().saturating_sub(package.value.len());
    let mut segments = Vec::new();
    let mut members = package.members();
    members.expect(tags::INITIALISE_SECURE_CHANNEL)?;
    segments.try_push(bpp.get(..header.saturating_add(members.offset())).unwrap_or_default())?;
    for sequence in members {
        let sequence = sequence?;
        match sequence.tag {
            tags::FIRST_SEQUENCE_OF_87 | tags::SECOND_SEQUENCE_OF_87 => segments.try_push(sequence.raw)?,
            tags::SEQUENCE_OF_88 | tags::SEQUENCE_OF_86 => {
                let header = sequence.raw.len().saturating_sub(sequence.value.len());
                segments.try_push(sequence.raw.get(..header).unwrap_or_default())?;
                for object in sequence.members() {
                    segments.try_push(object?.raw)?;
                }
            }
            _ => return Err(sequence.bad_value()),
        }
    }
    Ok(segments)
}

/// An object found in a package that arrives segment by segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BppItem<'a> {
    /// InitialiseSecureChannel (`BF23`), in the clear.
    InitialiseSecureChannel(Tlv<'a>),
    /// ConfigureISDP in an 87, protected.
    ConfigureIsdp(Tlv<'a>),
    /// A piece of StoreMetadata in an 88, protected.
    Metadata {
        /// The object.
        object: Tlv<'a>,
        /// Whether it is the last piece.
        last: bool,
    },
    /// ReplaceSessionKeys in an 87, protected.
    ReplaceSessionKeys(Tlv<'a>),
    /// A piece of the profile package in an 86, protected.
    Element {
        /// The object.
        object: Tlv<'a>,
        /// Whether it is the last piece; the package ends with it.
        last: bool,
    },
}

/// A package is not built as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BppError {
    /// The command that was to come.
    pub command_id: BppCommandId,
    /// What is wrong; offsets are from the start of what was left of the segment.
    pub error: Error,
}

impl fmt::Display for BppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.command_id, self.error)
    }
}

impl core::error::Error for BppError {}

/// Where in a package the stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the package's tag.
    Start,
    /// Before InitialiseSecureChannel.
    SecureChannel,
    /// Before the tag of a sequence: this one, or a later one.
    Sequence(Sequence),
    /// Inside a sequence, before an object, with this many bytes to come.
    Object(Sequence, usize),
    /// After the last object.
    End,
}

/// A sequence of protected objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sequence {
    First87,
    Of88,
    Second87,
    Of86,
}

impl Sequence {
    /// The tag of the sequence and of its objects.
    const fn tags(self) -> (Tag, Tag) {
        match self {
            Sequence::First87 => (tags::FIRST_SEQUENCE_OF_87, tags::SCP03T_COMMAND),
            Sequence::Of88 => (tags::SEQUENCE_OF_88, tags::SCP03T_MAC_ONLY),
            Sequence::Second87 => (tags::SECOND_SEQUENCE_OF_87, tags::SCP03T_COMMAND),
            Sequence::Of86 => (tags::SEQUENCE_OF_86, tags::SCP03T_ELEMENT),
        }
    }

    const fn command_id(self) -> BppCommandId {
        match self {
            Sequence::First87 => BppCommandId::ConfigureIsdp,
            Sequence::Of88 => BppCommandId::StoreMetadata,
            Sequence::Second87 => BppCommandId::ReplaceSessionKeys,
            Sequence::Of86 => BppCommandId::LoadProfileElements,
        }
    }
}

/// Reads a bound profile package that arrives in segments, without keeping any of it. A segment may hold any number
/// of whole headers and objects; an object must not be cut.
#[derive(Debug)]
pub struct BppStream {
    state: State,
    /// Bytes of the package to come.
    package: usize,
}

impl Default for BppStream {
    fn default() -> Self {
        Self::new()
    }
}

impl BppStream {
    /// A stream before the first segment.
    #[must_use]
    pub fn new() -> Self {
        BppStream { state: State::Start, package: 0 }
    }

    /// Whether the last object of the package was read.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.state == State::End
    }

    /// The command that the next object belongs to.
    #[must_use]
    pub fn command_id(&self) -> BppCommandId {
        match self.state {
            State::Start | State::SecureChannel => BppCommandId::InitialiseSecureChannel,
            State::Sequence(sequence) | State::Object(sequence, _) => sequence.command_id(),
            State::End => BppCommandId::LoadProfileElements,
        }
    }

    /// The next object in `segment`, which is moved behind it; `None` at the end of the segment.
    ///
    /// Errors: the package is not built as it must be, or an object is longer than [`MAX_OBJECT`]. The stream is of no
    /// use then.
    pub fn next<'a>(&mut self, segment: &mut &'a [u8]) -> Result<Option<BppItem<'a>>, BppError> {
        match self.read(segment) {
            Ok(item) => Ok(item),
            Err(error) => Err(BppError { command_id: self.command_id(), error }),
        }
    }

    fn read<'a>(&mut self, segment: &mut &'a [u8]) -> Result<Option<BppItem<'a>>, Error> {
        while !segment.is_empty() {
            match self.state {
                State::Start => {
                    let (length, _) = take_header(segment, tags::BOUND_PROFILE_PACKAGE)?;
                    self.package = length;
                    self.state = State::SecureChannel;
                }
                State::SecureChannel => {
                    let object = take_object(segment, tags::INITIALISE_SECURE_CHANNEL)?;
                    self.consume(object.raw.len(), object.tag)?;
                    self.state = State::Sequence(Sequence::First87);
                    return Ok(Some(BppItem::InitialiseSecureChannel(object)));
                }
                State::Sequence(Sequence::Second87) if Reader::new(segment).peek() == Some(tags::SEQUENCE_OF_86) => {
                    self.state = State::Sequence(Sequence::Of86);
                }
                State::Sequence(sequence) => {
                    let (tag, _) = sequence.tags();
                    let (length, header) = take_header(segment, tag)?;
                    self.consume(header, tag)?;
                    if length == 0 || length > self.package {
                        return Err(bad_value(tag));
                    }
                    self.state = State::Object(sequence, length);
                }
                State::Object(sequence, left) => return self.object(segment, sequence, left).map(Some),
                State::End => return Err(Error { kind: ErrorKind::TrailingData, offset: 0 }),
            }
        }
        Ok(None)
    }

    /// Reads an object of `sequence`, which has `left` bytes to come.
    fn object<'a>(&mut self, segment: &mut &'a [u8], sequence: Sequence, left: usize) -> Result<BppItem<'a>, Error> {
        let (tag, object_tag) = sequence.tags();
        let object = take_object(segment, object_tag)?;
        let left = left.checked_sub(object.raw.len()).ok_or_else(|| bad_value(tag))?;
        self.consume(object.raw.len(), tag)?;
        let last = left == 0;
        if !last && matches!(sequence, Sequence::First87 | Sequence::Second87) {
            return Err(bad_value(tag));
        }
        self.state = if last { self.after(sequence)? } else { State::Object(sequence, left) };
        Ok(match sequence {
            Sequence::First87 => BppItem::ConfigureIsdp(object),
            Sequence::Of88 => BppItem::Metadata { object, last },
            Sequence::Second87 => BppItem::ReplaceSessionKeys(object),
            Sequence::Of86 => BppItem::Element { object, last },
        })
    }

    /// The state after the last object of `sequence`. Errors: the package ends too early or too late.
    fn after(&self, sequence: Sequence) -> Result<State, Error> {
        match (sequence, self.package) {
            (Sequence::Of86, 0) => Ok(State::End),
            (Sequence::Of86, _) | (_, 0) => Err(bad_value(tags::BOUND_PROFILE_PACKAGE)),
            (Sequence::First87, _) => Ok(State::Sequence(Sequence::Of88)),
            (Sequence::Of88, _) => Ok(State::Sequence(Sequence::Second87)),
            (Sequence::Second87, _) => Ok(State::Sequence(Sequence::Of86)),
        }
    }

    /// Counts bytes of the package. Errors: it is longer than it says.
    fn consume(&mut self, bytes: usize, tag: Tag) -> Result<(), Error> {
        self.package = self.package.checked_sub(bytes).ok_or_else(|| bad_value(tag))?;
        Ok(())
    }
}

/// Takes tag and length of an object with `tag`: the length of its value, and how long tag and length are.
fn take_header(segment: &mut &[u8], tag: Tag) -> Result<(usize, usize), Error> {
    let truncated = Error { kind: ErrorKind::Truncated, offset: 0 };
    let (found, header, length) = leading_length(segment)?.ok_or(truncated)?;
    if found != tag {
        return Err(Error { kind: ErrorKind::UnexpectedTag { expected: tag }, offset: 0 });
    }
    *segment = segment.get(header..).ok_or(truncated)?;
    Ok((length, header))
}

/// Takes a whole object with `tag`.
fn take_object<'a>(segment: &mut &'a [u8], tag: Tag) -> Result<Tlv<'a>, Error> {
    let mut reader = Reader::new(segment);
    let object = reader.expect(tag)?;
    if object.raw.len() > MAX_OBJECT {
        return Err(object.bad_value());
    }
    *segment = reader.rest();
    Ok(object)
}

const fn bad_value(tag: Tag) -> Error {
    Error { kind: ErrorKind::Value { tag }, offset: 0 }
}
