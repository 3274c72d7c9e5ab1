//! The order of the profile elements in a package (clauses 7.3, 8.1.3, 8.5, 8.6 and 9).

use crate::pe::PeKind;
use crate::status::{PeStatus, StatusCode};
use core::fmt;

/// Which rule of the order was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderViolation {
    /// The first element is not the header.
    HeaderMissing,
    /// A second header.
    SecondHeader,
    /// An element after the end.
    AfterEnd,
    /// The element needs another one before it.
    Needs {
        /// What came.
        element: PeKind,
        /// What is missing.
        before: PeKind,
    },
    /// The element may come once (for each NAA, if it belongs to one).
    Twice(PeKind),
}

impl OrderViolation {
    /// What the report says.
    #[must_use]
    pub fn status(self) -> PeStatus {
        PeStatus::new(StatusCode::InvalidRequestFormat)
    }
}

impl fmt::Display for OrderViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OrderViolation::HeaderMissing => f.write_str("the package does not begin with the header"),
            OrderViolation::SecondHeader => f.write_str("a second header"),
            OrderViolation::AfterEnd => f.write_str("a profile element after the end"),
            OrderViolation::Needs { element, before } => {
                write!(f, "{} without {} before it", element.name(), before.name())
            }
            OrderViolation::Twice(element) => write!(f, "a second {} where one is allowed", element.name()),
        }
    }
}

impl core::error::Error for OrderViolation {}

/// Takes the elements of a package one after the other.
#[derive(Debug, Default)]
pub struct OrderChecker {
    seen: Kinds,
    seen_since_naa: Kinds,
    pins_of_context: bool,
}

/// A set of [`PeKind`].
#[derive(Clone, Copy, Debug, Default)]
struct Kinds(u64);

impl Kinds {
    fn insert(&mut self, kind: PeKind) {
        self.0 |= 1 << (kind as u32);
    }

    fn contains(self, kind: PeKind) -> bool {
        self.0 & (1 << (kind as u32)) != 0
    }

    fn any(self, kinds: &[PeKind]) -> bool {
        kinds.iter().any(|kind| self.contains(*kind))
    }
}

/// What must come before: one of the kinds, of which the first is named in the error.
const fn needed(kind: PeKind) -> &'static [PeKind] {
    match kind {
        PeKind::Cd | PeKind::Telecom | PeKind::Usim | PeKind::Isim | PeKind::Csim | PeKind::Eap => {
            &[PeKind::Mf, PeKind::Iot]
        }
        PeKind::PinCodes | PeKind::PukCodes | PeKind::GenericFileManagement => &[PeKind::Mf, PeKind::Iot],
        PeKind::OptUsim
        | PeKind::GsmAccess
        | PeKind::Phonebook
        | PeKind::Df5gs
        | PeKind::DfSaip
        | PeKind::DfSnpn
        | PeKind::Df5gprose => &[PeKind::Usim, PeKind::Iot],
        PeKind::OptIsim => &[PeKind::Isim],
        PeKind::OptCsim | PeKind::CdmaParameter => &[PeKind::Csim],
        PeKind::OptIot => &[PeKind::Iot],
        PeKind::AkaParameter => &[PeKind::Usim, PeKind::Isim, PeKind::Csim, PeKind::Iot],
        PeKind::Rfm | PeKind::Application => &[PeKind::SecurityDomain],
        _ => &[],
    }
}

/// The NAA after which the element may come once more.
const fn naa_of(kind: PeKind) -> Option<PeKind> {
    match kind {
        PeKind::OptUsim
        | PeKind::GsmAccess
        | PeKind::Phonebook
        | PeKind::Df5gs
        | PeKind::DfSaip
        | PeKind::DfSnpn
        | PeKind::Df5gprose => Some(PeKind::Usim),
        PeKind::OptIsim => Some(PeKind::Isim),
        PeKind::OptCsim => Some(PeKind::Csim),
        _ => None,
    }
}

/// The elements that belong to an NAA, which the next NAA of that kind allows again.
const OF_NAA: [PeKind; 9] = [
    PeKind::OptUsim,
    PeKind::GsmAccess,
    PeKind::Phonebook,
    PeKind::Df5gs,
    PeKind::DfSaip,
    PeKind::DfSnpn,
    PeKind::Df5gprose,
    PeKind::OptIsim,
    PeKind::OptCsim,
];

impl OrderChecker {
    /// Before the first element.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next element. Errors: the rule that it breaks; the checker is then unchanged.
    pub fn feed(&mut self, kind: PeKind) -> Result<(), OrderViolation> {
        self.check(kind)?;
        if matches!(kind, PeKind::Usim | PeKind::Isim | PeKind::Csim) {
            for of_naa in OF_NAA.into_iter().filter(|of_naa| naa_of(*of_naa) == Some(kind)) {
                self.seen_since_naa.0 &= !(1 << (of_naa as u32));
            }
        }
        if kind.is_template() || kind == PeKind::GenericFileManagement {
            self.pins_of_context = false;
        }
        self.pins_of_context |= kind == PeKind::PinCodes;
        self.seen.insert(kind);
        self.seen_since_naa.insert(kind);
        Ok(())
    }

    fn check(&self, kind: PeKind) -> Result<(), OrderViolation> {
        if self.seen.contains(PeKind::End) {
            return Err(OrderViolation::AfterEnd);
        }
        match (kind, self.seen.contains(PeKind::Header)) {
            (PeKind::Header, true) => return Err(OrderViolation::SecondHeader),
            (PeKind::Header, false) => return Ok(()),
            (_, false) => return Err(OrderViolation::HeaderMissing),
            (_, true) => {}
        }
        let needed = needed(kind);
        if let Some(before) = needed.first()
            && !self.seen.any(needed)
        {
            return Err(OrderViolation::Needs { element: kind, before: *before });
        }
        let twice = match kind {
            PeKind::Mf | PeKind::Iot => self.seen.any(&[PeKind::Mf, PeKind::Iot]),
            PeKind::Telecom | PeKind::Cd | PeKind::PukCodes | PeKind::OptIot => self.seen.contains(kind),
            PeKind::PinCodes => self.pins_of_context,
            _ => naa_of(kind).is_some() && self.seen_since_naa.contains(kind),
        };
        if twice { Err(OrderViolation::Twice(kind)) } else { Ok(()) }
    }

    /// Whether the end has come: the package is whole.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.seen.contains(PeKind::End)
    }
}
