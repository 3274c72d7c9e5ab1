//! GET IDENTITY (TS 31.102 section 7.5): the SUCI, computed by the card.
//!
//! What was not at hand of TS 31.102 was decided: see `docs/limits.md`.

use super::usim::{self, Service};
use super::{Context, Outcome, Refusal, no_data};
use crate::naa::suci::{self, EciesProfile, Sealed};
use crate::profile::{FileIndex, Profile};
use alloc::vec::Vec;
use core::ops::Range;
use teuicc_apdu::{Command, Response, StatusWord};
use teuicc_tlv::{OutOfMemory, Reader, Tag, TryBytes, Writer, try_copy};

const EF_IMSI: u16 = 0x6F07;
const EF_AD: u16 = 0x6FAD;
const DF_5GS: u16 = 0x5FC0;
const EF_SUPI_NAI: u16 = 0x4F09;
const EF_ROUTING_INDICATOR: u16 = 0x4F0A;
/// The directory of what is for the card alone (SAIP clause 12.2), and EF.SUCI_Calc_Info in it.
const DF_SAIP: u16 = 0x5FD0;
const EF_SUCI_CALC_INFO: u16 = 0x4F01;

/// SUCI TLV data object.
const SUCI: Tag = Tag(0xA1);
/// Protection scheme identifier list, home network public key list, and what is in the latter (TS 31.102 section
/// 4.4.11.8).
const SCHEMES: Tag = Tag(0xA0);
const KEYS: Tag = Tag(0xA1);
const KEY_IDENTIFIER: Tag = Tag(0x80);
const KEY: Tag = Tag(0x81);
/// Network specific identifier in EF.SUPI_NAI.
const NETWORK_SPECIFIC_IDENTIFIER: Tag = Tag(0x80);

/// Octet 4 of the 5GS mobile identity (TS 24.501 section 9.11.3.4): SUPI format and the type of identity SUCI.
const SUCI_OF_IMSI: u8 = 0x01;
const SUCI_OF_NETWORK_SPECIFIC_IDENTIFIER: u8 = 0x11;

/// The routing indicator 0, which stands where none is configured (TS 23.003 section 2.2B).
const NO_ROUTING_INDICATOR: [u8; 2] = [0xF0, 0xFF];

/// Digits of an IMSI at most.
const IMSI_LEN: usize = 15;

/// The content of a file is of no use.
const UNUSABLE: Refusal = Refusal(StatusWord::CONDITIONS_OF_USE);

/// A GET IDENTITY command: the identity context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GetIdentity {
    /// SUCI.
    Suci,
    /// SUCI for the non-seamless offload to WLAN (5G NSWO).
    Offload,
}

impl GetIdentity {
    /// Reads the command. Errors: P1 or P2 without a meaning; data.
    pub(super) fn parse(command: &Command<'_>) -> Result<Self, Refusal> {
        // Bit 8 of P2 says whose identity: that of the application, or of the MF, which has none.
        let context = match command.p1p2() {
            0x0001 | 0x0081 => GetIdentity::Suci,
            0x0002 | 0x0082 => GetIdentity::Offload,
            _ => return Err(StatusWord::INCORRECT_P1P2.into()),
        };
        no_data(command)?;
        Ok(context)
    }
}

/// Answers with a fresh SUCI.
///
/// Errors: no USIM is active (6985), its PIN was not presented (6982), the service table leaves the calculation to
/// the terminal or has no such service (6A81), a file is not there (6A88), its content is of no use: no scheme that the
/// card knows, no key for the first that it knows, a SUPI that cannot be read (6985). Nothing is ever sent in clear
/// because something else did not work.
pub(super) fn get(cx: &mut Context<'_>, command: GetIdentity) -> Outcome {
    let adf = usim::active(cx)?;
    let profile = cx.profile.as_deref().ok_or(StatusWord::CONDITIONS_OF_USE)?;
    usim::check_pin(profile, &cx.interface.verified, adf)?;
    let has = |service| usim::has_service(profile, adf, service);
    let calculates = has(Service::SubscriptionIdentifierPrivacy) && has(Service::SuciCalculation);
    if !calculates || (command == GetIdentity::Offload && !has(Service::NonSeamlessOffload)) {
        return Err(StatusWord::FUNCTION_NOT_SUPPORTED.into());
    }
    let scheme = Scheme::first_known(content(profile, adf, DF_SAIP, EF_SUCI_CALC_INFO)?)?;
    let supi = if has(Service::NonImsiSupi) {
        Supi::network_specific(content(profile, adf, DF_5GS, EF_SUPI_NAI)?)?
    } else {
        Supi::Imsi(Imsi::of(profile, adf)?)
    };
    let mut output = supi.scheme_input()?;
    let sealed = match scheme {
        Scheme::Null => None,
        Scheme::Ecies { profile, key, .. } => {
            let sealed = suci::seal(profile, key, &mut |bytes| cx.env.rng.fill(bytes), &mut output);
            Some(sealed.map_err(|_| UNUSABLE)?)
        }
    };
    let suci = Suci { supi: &supi, routing_indicator: routing_indicator(profile, adf), scheme, output, sealed };
    let mut value = Vec::new();
    match (command, &supi) {
        (GetIdentity::Suci, Supi::Imsi(imsi)) => suci.mobile_identity(imsi, &mut value)?,
        (GetIdentity::Suci, Supi::NetworkSpecific { .. }) => {
            value.try_push(SUCI_OF_NETWORK_SPECIFIC_IDENTIFIER)?;
            suci.nai(&mut value)?;
        }
        (GetIdentity::Offload, _) => suci.nai(&mut value)?,
    }
    let mut writer = Writer::new();
    writer.primitive(SUCI, &value)?;
    Ok(Response::data(writer.into_bytes()))
}

/// A protection scheme with what it needs.
#[derive(Clone, Copy)]
enum Scheme<'a> {
    /// The null-scheme: what goes in comes out.
    Null,
    /// ECIES for this public key of the home network.
    Ecies { profile: EciesProfile, key_identifier: u8, key: &'a [u8] },
}

impl<'a> Scheme<'a> {
    /// The first scheme of an EF.SUCI_Calc_Info, in the order of priority, that the card knows. Errors: there is none,
    /// or the key that it refers to is not there. Another scheme does not take its place: the null-scheme is used where
    /// it comes first, and never because a key is missing.
    fn first_known(info: &'a [u8]) -> Result<Self, Refusal> {
        let mut objects = Reader::new(info);
        let schemes = objects.expect(SCHEMES).map_err(|_| UNUSABLE)?;
        let (schemes, _) = schemes.value.as_chunks::<2>();
        let known = schemes.iter().find_map(|[scheme, index]| match scheme {
            0 => Some((None, *index)),
            1 => Some((Some(EciesProfile::A), *index)),
            2 => Some((Some(EciesProfile::B), *index)),
            _ => None,
        });
        let (Some(profile), index) = known.ok_or(UNUSABLE)? else { return Ok(Scheme::Null) };
        let mut keys = objects.expect(KEYS).map_err(|_| UNUSABLE)?.members();
        for place in 1..=index {
            let identifier = keys.expect(KEY_IDENTIFIER).map_err(|_| UNUSABLE)?;
            let key = keys.expect(KEY).map_err(|_| UNUSABLE)?.value;
            if place == index {
                let [key_identifier] = *identifier.array().map_err(|_| UNUSABLE)?;
                return Ok(Scheme::Ecies { profile, key_identifier, key });
            }
        }
        Err(UNUSABLE)
    }

    /// Protection scheme identifier and home network public key identifier.
    fn identifiers(self) -> (u8, u8) {
        match self {
            Scheme::Null => (0, 0),
            Scheme::Ecies { profile, key_identifier, .. } => (profile as u8, key_identifier),
        }
    }
}

/// A subscription permanent identifier.
enum Supi<'a> {
    Imsi(Imsi),
    /// A network access identifier, `username@realm`.
    NetworkSpecific {
        username: &'a [u8],
        realm: &'a [u8],
    },
}

impl<'a> Supi<'a> {
    /// The network specific identifier of an EF.SUPI_NAI. Errors: there is none; it is no `username@realm`. (Global
    /// line and cable identifiers are for residential gateways.)
    fn network_specific(file: &'a [u8]) -> Result<Self, Refusal> {
        let identifier = Reader::new(file).expect(NETWORK_SPECIFIC_IDENTIFIER);
        let identifier = identifier.map_err(|_| UNUSABLE)?.value;
        let at = identifier.iter().rposition(|byte| *byte == b'@');
        let (username, realm) = at.and_then(|at| identifier.split_at_checked(at)).ok_or(UNUSABLE)?;
        match realm {
            [b'@', realm @ ..] if !username.is_empty() && !realm.is_empty() => {
                Ok(Supi::NetworkSpecific { username, realm })
            }
            _ => Err(UNUSABLE),
        }
    }

    /// What a scheme conceals (TS 33.501 annex C.3.1): the MSIN in packed BCD, the username.
    fn scheme_input(&self) -> Result<Vec<u8>, OutOfMemory> {
        match self {
            Supi::NetworkSpecific { username, .. } => try_copy(username),
            Supi::Imsi(imsi) => {
                let mut packed = Vec::new();
                for pair in imsi.msin().chunks(2) {
                    packed.try_push(match pair {
                        [first, second] => (second << 4) | first,
                        [last] => 0xF0 | last,
                        _ => 0xFF,
                    })?;
                }
                Ok(packed)
            }
        }
    }
}

/// An IMSI as digits.
struct Imsi {
    mcc: [u8; 3],
    /// The third is F if there are two.
    mnc: [u8; 3],
    digits: [u8; IMSI_LEN],
    /// Where the MSIN is in the digits.
    msin: Range<usize>,
}

impl Imsi {
    /// From EF.IMSI (TS 31.102 section 4.2.2), and the length of the MNC from EF.AD (section 4.2.18). Errors: a file is
    /// not there, or holds something else.
    fn of(profile: &Profile, adf: FileIndex) -> Result<Self, Refusal> {
        let mnc_len = match child(profile, adf, EF_AD)? {
            [_, _, _, length, ..] => length & 0x0F,
            _ => 0,
        };
        let [length, coded @ ..] = child(profile, adf, EF_IMSI)? else { return Err(UNUSABLE) };
        let coded = coded.get(..usize::from(*length)).ok_or(UNUSABLE)?;
        // The first digit shares its byte with the parity; F fills the last byte of an even number of digits.
        let nibbles = coded.iter().flat_map(|byte| [byte & 0x0F, byte >> 4]).skip(1);
        let (mut digits, mut end) = ([0; IMSI_LEN], 0usize);
        for (to, digit) in digits.iter_mut().zip(nibbles).take_while(|(_, digit)| *digit <= 9) {
            *to = digit;
            end = end.saturating_add(1);
        }
        let [mcc1, mcc2, mcc3, mnc1, mnc2, third, ..] = digits;
        let (mnc3, start) = match mnc_len {
            2 => (0x0F, 5),
            3 => (third, 6),
            _ => return Err(UNUSABLE),
        };
        if start >= end {
            return Err(UNUSABLE);
        }
        Ok(Imsi { mcc: [mcc1, mcc2, mcc3], mnc: [mnc1, mnc2, mnc3], digits, msin: start..end })
    }

    fn msin(&self) -> &[u8] {
        self.digits.get(self.msin.clone()).unwrap_or_default()
    }
}

/// A SUCI in parts.
struct Suci<'a> {
    supi: &'a Supi<'a>,
    routing_indicator: [u8; 2],
    scheme: Scheme<'a>,
    /// The ciphertext, or in the null-scheme the scheme input.
    output: Vec<u8>,
    /// What goes with a ciphertext.
    sealed: Option<Sealed>,
}

impl Suci<'_> {
    /// Octets 4 and following of the 5GS mobile identity (TS 24.501 figure 9.11.3.4.3).
    fn mobile_identity(&self, imsi: &Imsi, out: &mut Vec<u8>) -> Result<(), OutOfMemory> {
        let ([mcc1, mcc2, mcc3], [mnc1, mnc2, mnc3]) = (imsi.mcc, imsi.mnc);
        let (scheme, key_identifier) = self.scheme.identifiers();
        out.try_extend(&[SUCI_OF_IMSI, (mcc2 << 4) | mcc1, (mnc3 << 4) | mcc3, (mnc2 << 4) | mnc1])?;
        out.try_extend(&self.routing_indicator)?;
        out.try_extend(&[scheme, key_identifier])?;
        if let Some(sealed) = &self.sealed {
            out.try_extend(sealed.ephemeral_key())?;
        }
        out.try_extend(&self.output)?;
        if let Some(sealed) = &self.sealed {
            out.try_extend(&sealed.mac)?;
        }
        Ok(())
    }

    /// The NAI format (TS 23.003 section 28.7.3); the realm of an IMSI is that of 5G NSWO.
    fn nai(&self, out: &mut Vec<u8>) -> Result<(), OutOfMemory> {
        let (scheme, key_identifier) = self.scheme.identifiers();
        out.try_extend(if matches!(self.supi, Supi::Imsi(_)) { b"type0.rid" } else { b"type1.rid" })?;
        let [first, second] = self.routing_indicator;
        digits_of(out, &[first & 0x0F, first >> 4, second & 0x0F, second >> 4])?;
        out.try_extend(&[b'.', b's', b'c', b'h', b'i', b'd', b'0' | scheme])?;
        match (&self.sealed, self.supi) {
            (Some(sealed), _) => {
                out.try_extend(b".hnkey")?;
                decimal(out, key_identifier)?;
                out.try_extend(b".ecckey")?;
                hexadecimal(out, sealed.ephemeral_key())?;
                out.try_extend(b".cip")?;
                hexadecimal(out, &self.output)?;
                out.try_extend(b".mac")?;
                hexadecimal(out, &sealed.mac)?;
            }
            (None, Supi::NetworkSpecific { username, .. }) => {
                out.try_extend(b".userid")?;
                out.try_extend(username)?;
            }
            (None, Supi::Imsi(imsi)) => {
                out.try_extend(b".userid")?;
                digits_of(out, imsi.msin())?;
            }
        }
        out.try_push(b'@')?;
        match self.supi {
            Supi::NetworkSpecific { realm, .. } => out.try_extend(realm),
            Supi::Imsi(imsi) => {
                out.try_extend(b"5gc-nswo.mnc")?;
                let [.., mnc3] = imsi.mnc;
                digits_of(out, if mnc3 > 9 { &[0] } else { &[] })?;
                digits_of(out, &imsi.mnc)?;
                out.try_extend(b".mcc")?;
                digits_of(out, &imsi.mcc)?;
                out.try_extend(b".3gppnetwork.org")
            }
        }
    }
}

/// The routing indicator of EF.Routing_Indicator (TS 31.102 section 4.4.11.11), 1 to 4 digits and F; 0 if there is
/// none.
fn routing_indicator(profile: &Profile, adf: FileIndex) -> [u8; 2] {
    match content(profile, adf, DF_5GS, EF_ROUTING_INDICATOR) {
        Ok([first, second, ..]) if first & 0x0F <= 9 => [*first, *second],
        _ => NO_ROUTING_INDICATOR,
    }
}

/// The content of an EF of the ADF. Errors: there is none (6A88).
fn child(profile: &Profile, adf: FileIndex, fid: u16) -> Result<&[u8], Refusal> {
    let file = profile.child(adf, fid).ok_or(StatusWord::REFERENCE_DATA_NOT_FOUND)?;
    Ok(profile.content(file))
}

/// The content of an EF of a DF of the ADF. Errors: there is none (6A88).
fn content(profile: &Profile, adf: FileIndex, df: u16, fid: u16) -> Result<&[u8], Refusal> {
    child(profile, profile.child(adf, df).ok_or(StatusWord::REFERENCE_DATA_NOT_FOUND)?, fid)
}

/// Decimal digits, up to the first that is none.
fn digits_of(out: &mut Vec<u8>, digits: &[u8]) -> Result<(), OutOfMemory> {
    digits.iter().take_while(|digit| **digit <= 9).try_for_each(|digit| out.try_push(b'0' | digit))
}

fn decimal(out: &mut Vec<u8>, number: u8) -> Result<(), OutOfMemory> {
    let digits = [number / 100, number / 10 % 10, number % 10];
    let leading = digits.iter().take(2).take_while(|digit| **digit == 0).count();
    digits_of(out, digits.get(leading..).unwrap_or(&digits))
}

fn hexadecimal(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), OutOfMemory> {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
    nibbles
        .map(|nibble| if nibble <= 9 { b'0' | nibble } else { nibble.wrapping_add(b'A' - 10) })
        .try_for_each(|c| out.try_push(c))
}
