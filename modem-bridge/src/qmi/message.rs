//! QMI messages, as every transport carries them: a header, then type-length-value fields, all little-endian.
//!
//! ```text
//! service message = flags u8 (0 request, 2 response, 4 indication), transaction u16, message u16, length u16, TLVs
//! control message = flags u8 (0 request, 1 response, 2 indication), transaction u8,  message u16, length u16, TLVs
//! TLV             = type u8, length u16, value
//! ```
//!
//! Source: the headers of libqmi (`qmi-message.c`) and of the kernel's `qmi.h`.

/// The field of a response that says how the request went.
const RESULT: u8 = 0x02;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Response,
    Indication,
}

/// A message of a service.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) transaction: u16,
    pub(crate) id: u16,
    pub(crate) fields: Fields,
}

/// Bytes that are no QMI message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed QMI message: {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// How a request went.
pub(crate) type Outcome = Result<(), Refusal>;

/// A modem's refusal of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) u16);

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.0 {
            1 => "malformed message",
            2 => "no memory",
            3 => "internal",
            5 => "client ids exhausted",
            7 => "invalid client id",
            17 => "missing argument",
            48 => "invalid argument",
            71 => "invalid QMI command",
            82 => "access denied",
            94 => "not supported",
            _ => return write!(f, "QMI error {}", self.0),
        };
        write!(f, "QMI error {} ({name})", self.0)
    }
}

impl Message {
    /// Reads one whole message of a service.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Message, Malformed> {
        let [flags, t0, t1, m0, m1, l0, l1, fields @ ..] = bytes else {
            return Err(Malformed("its header is cut off"));
        };
        let kind = match flags {
            0x00 => Kind::Request,
            0x02 => Kind::Response,
            0x04 => Kind::Indication,
            _ => return Err(Malformed("unknown flags")),
        };
        Ok(Message {
            kind,
            transaction: u16::from_le_bytes([*t0, *t1]),
            id: u16::from_le_bytes([*m0, *m1]),
            fields: Fields::parse(fields, u16::from_le_bytes([*l0, *l1]))?,
        })
    }

    /// The bytes of this message. Its fields fit, by [`Fields::push`].
    pub(crate) fn encode(&self) -> Vec<u8> {
        let flags = match self.kind {
            Kind::Request => 0x00,
            Kind::Response => 0x02,
            Kind::Indication => 0x04,
        };
        let mut bytes = vec![flags];
        bytes.extend(self.transaction.to_le_bytes());
        bytes.extend(self.id.to_le_bytes());
        self.fields.append_to(&mut bytes);
        bytes
    }
}

/// A message of the control service, which manages the clients of a QMUX channel.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Control {
    pub(crate) kind: Kind,
    pub(crate) transaction: u8,
    pub(crate) id: u16,
    pub(crate) fields: Fields,
}

impl Control {
    /// Reads one whole message of the control service.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Control, Malformed> {
        let [flags, transaction, m0, m1, l0, l1, fields @ ..] = bytes else {
            return Err(Malformed("its header is cut off"));
        };
        let kind = match flags {
            0x00 => Kind::Request,
            0x01 => Kind::Response,
            0x02 => Kind::Indication,
            _ => return Err(Malformed("unknown flags")),
        };
        Ok(Control {
            kind,
            transaction: *transaction,
            id: u16::from_le_bytes([*m0, *m1]),
            fields: Fields::parse(fields, u16::from_le_bytes([*l0, *l1]))?,
        })
    }

    /// The bytes of this message.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let flags = match self.kind {
            Kind::Request => 0x00,
            Kind::Response => 0x01,
            Kind::Indication => 0x02,
        };
        let mut bytes = vec![flags, self.transaction];
        bytes.extend(self.id.to_le_bytes());
        self.fields.append_to(&mut bytes);
        bytes
    }
}

/// The fields of a message: well-formed TLVs, less than 64 KiB in all.
#[derive(Clone, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Fields(Vec<u8>);

impl Fields {
    fn parse(bytes: &[u8], length: u16) -> Result<Fields, Malformed> {
        if bytes.len() != usize::from(length) {
            return Err(Malformed("its length is not that of its header"));
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            (_, rest) = split(rest).ok_or(Malformed("a field is cut off"))?;
        }
        Ok(Fields(bytes.to_vec()))
    }

    /// With one field more. A value that does not fit is none of ours: the longest is a segment of an answer.
    pub(crate) fn with(mut self, kind: u8, value: &[u8]) -> Fields {
        debug_assert!(value.len() <= usize::from(u16::MAX) - self.0.len() - 3);
        self.0.push(kind);
        self.0.extend((value.len() as u16).to_le_bytes());
        self.0.extend(value);
        self
    }

    /// The value of the first field of this type.
    pub(crate) fn get(&self, kind: u8) -> Option<&[u8]> {
        let mut rest = &self.0[..];
        loop {
            let ((found, value), after) = split(rest)?;
            if found == kind {
                return Some(value);
            }
            rest = after;
        }
    }

    /// The value of a field that is one 32-bit number.
    pub(crate) fn u32(&self, kind: u8) -> Result<u32, Malformed> {
        let value = self.get(kind).ok_or(Malformed("a field is missing"))?;
        value.try_into().map(u32::from_le_bytes).map_err(|_| Malformed("a number is not 4 bytes long"))
    }

    /// How the request went that this is the response to.
    pub(crate) fn result(&self) -> Result<Outcome, Malformed> {
        match self.get(RESULT) {
            Some([0, 0, _, _]) => Ok(Ok(())),
            Some([_, _, e0, e1]) => Ok(Err(Refusal(u16::from_le_bytes([*e0, *e1])))),
            _ => Err(Malformed("a response without a result")),
        }
    }

    fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend((self.0.len() as u16).to_le_bytes());
        bytes.extend(&self.0);
    }
}

/// A type and its value.
type Field<'a> = (u8, &'a [u8]);

/// The first field, and what follows it.
fn split(bytes: &[u8]) -> Option<(Field<'_>, &[u8])> {
    let ([kind, l0, l1], rest) = bytes.split_first_chunk::<3>()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([*l0, *l1])))?;
    Some(((*kind, value), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;

    #[test]
    fn what_a_header_says_is_what_follows_it() {
        let bytes = hex!("02 0100 2100 0700 02 0400 01000300");
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.kind, message.transaction, message.id), (Kind::Response, 1, 0x21));
        assert_eq!(message.fields.result(), Ok(Err(Refusal(3))));
        assert_eq!(message.encode(), bytes);
        for cut in 0..bytes.len() {
            assert!(Message::parse(&bytes[..cut]).is_err(), "{cut}");
        }
        assert!(Message::parse(&hex!("02 0100 2100 0800 02 0400 01000300")).is_err());
        assert!(Message::parse(&hex!("02 0100 2100 0700 02 0500 01000300")).is_err());
        assert!(Message::parse(&hex!("01 0100 2100 0000")).is_err());
    }

    #[test]
    fn a_response_without_a_result_is_none() {
        let message = Message::parse(&hex!("02 0100 2100 0000")).unwrap();
        assert!(message.fields.result().is_err());
        assert!(message.fields.u32(0x01).is_err());
    }

    proptest! {
        #[test]
        fn fields_come_back(fields in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..6)) {
            let all = fields.iter().fold(Fields::default(), |all, (kind, value)| all.with(*kind, value));
            let message = Message { kind: Kind::Indication, transaction: 7, id: 0x22, fields: all };
            let read = Message::parse(&message.encode()).unwrap();
            for (kind, _) in &fields {
                let first = fields.iter().find(|(other, _)| other == kind).map(|(_, value)| &value[..]);
                prop_assert_eq!(read.fields.get(*kind), first);
            }
            prop_assert_eq!(read, message);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(message) = Message::parse(&bytes) {
                let _ = (message.fields.result(), message.fields.u32(1));
                prop_assert_eq!(message.encode(), bytes.clone());
            }
            if let Ok(message) = Control::parse(&bytes) {
                prop_assert_eq!(message.encode(), bytes);
            }
        }
    }
}
