//! A TCA profile package becomes a [`Profile`], one profile element at a time as the bytes come.
//!
//! Nothing is stored here: an installation that fails leaves nothing behind.
//!
//! What is reported (clauses 7.2, 7.3, 8.1.3, 8.10): a profile element, or a part of one, that this card does not
//! support is a warning and is left out, unless it is mandated; everything else that is wrong ends the installation.
//! The report of a success holds the warnings and ends with a PEStatus ok without an identification; that of a
//! failure ends with the error, its offset, and profileInstallationAborted. memory-failure(2) is never reported: the
//! store is not touched here.

mod aka;
mod codes;
mod files;
mod header;
mod kept;
#[cfg(test)]
mod tests;

pub(crate) use files::kind_of;

use crate::platform::ProfileSlot;
use crate::profile::{FileIndex, MAX_CONTENT, MAX_METADATA, MAX_NAAS, MAX_PINS, Profile, Unsaved};
use crate::wiped;
use alloc::vec::Vec;
use teuicc_rsp::codes::ErrorReason;
use teuicc_saip::order::OrderChecker;
use teuicc_saip::pe::{ProfileElement, PukConfiguration};
use teuicc_saip::status::MAX_STATUSES;
use teuicc_saip::{Element, EuiccResponse, PeKind, PeStatus, StatusCode, next_element};
use teuicc_tlv::OutOfMemory;
use zeroize::{Zeroize, Zeroizing};

/// How many bytes are looked at together.
const PIECE: usize = 1024;

/// Most warnings in a report.
const MAX_WARNINGS: usize = MAX_STATUSES - 1;

/// What the installer must know beside the package.
pub(crate) struct InstallOptions {
    /// Where the profile is going to be stored.
    pub(crate) slot: ProfileSlot,
    /// StoreMetadataRequest BF25 as received.
    pub(crate) metadata: Vec<u8>,
    /// The ICCID of the metadata, coded as EF.ICCID (nibbles swapped).
    pub(crate) iccid: [u8; 10],
    /// Whether the test algorithm may be used: the profile is of the test class, or came under a test CI.
    pub(crate) test_algorithm_allowed: bool,
    /// Whether the profile is of the test class, whose keys must be test keys.
    pub(crate) test_class: bool,
}

/// An installed profile, in memory.
pub(crate) struct Installed {
    /// The profile.
    pub(crate) profile: Profile,
    /// EUICCResponse, DER: the content of simaResponse.
    pub(crate) response: Vec<u8>,
}

/// Why a package was not installed.
#[derive(Debug)]
pub(crate) struct InstallError {
    /// For the ErrorResult of the ProfileInstallationResult.
    pub(crate) reason: ErrorReason,
    /// EUICCResponse, DER: the content of simaResponse; empty if there was no memory for it.
    pub(crate) response: Vec<u8>,
}

/// A package being installed.
pub(crate) struct Installer {
    /// Received and not yet a whole profile element.
    pending: Zeroizing<Vec<u8>>,
    build: Build,
    failed: bool,
}

/// A profile being built.
struct Build {
    profile: Profile,
    iccid: [u8; 10],
    test_algorithm_allowed: bool,
    test_class: bool,
    order: OrderChecker,
    response: EuiccResponse,
    context: Context,
    puks: Vec<Secret<PukConfiguration>>,
    security_domains: Vec<kept::SecurityDomain>,
    /// How many bytes of content may still come.
    room: usize,
}

/// What later elements refer to without naming it.
#[derive(Clone, Copy, Default)]
struct Context {
    /// The DF or ADF whose PINs the next PE-PINCodes holds (clause 8.5.1).
    pins: Option<FileIndex>,
    /// The ADF whose keys the next PE-AKAParameter holds.
    naa: Option<FileIndex>,
    /// The last ADF of each kind.
    usim: Option<FileIndex>,
    isim: Option<FileIndex>,
    csim: Option<FileIndex>,
    /// The DF or ADF that was created last.
    current: Option<FileIndex>,
}

/// A [`PukConfiguration`] that is wiped after use.
struct Secret<T: Wipe>(T);

trait Wipe {
    fn wipe(&mut self);
}

impl Wipe for PukConfiguration {
    fn wipe(&mut self) {
        self.value.zeroize();
    }
}

impl<T: Wipe> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.wipe();
    }
}

/// Why an element could not be installed.
struct Failure {
    status: PeStatus,
    reason: ErrorReason,
}

type Outcome<T = ()> = Result<T, Failure>;

impl From<PeStatus> for Failure {
    fn from(status: PeStatus) -> Self {
        let reason = match status.status {
            StatusCode::NotEnoughMemory => ErrorReason::InstallFailedDueToInsufficientMemoryForProfile,
            _ => ErrorReason::InstallFailedDueToPeProcessingError,
        };
        Failure { status, reason }
    }
}

impl From<StatusCode> for Failure {
    fn from(code: StatusCode) -> Self {
        PeStatus::new(code).into()
    }
}

impl From<OutOfMemory> for Failure {
    fn from(_: OutOfMemory) -> Self {
        StatusCode::NotEnoughMemory.into()
    }
}

impl Failure {
    /// Whether it says that something is not supported, rather than wrong.
    fn is_unsupported(&self) -> bool {
        matches!(
            self.status.status,
            StatusCode::PeNotSupported
                | StatusCode::RuntimeNotSupported
                | StatusCode::LibNotSupported
                | StatusCode::TemplateNotSupported
                | StatusCode::FeatureNotSupported
        )
    }
}

impl Installer {
    /// An installer that has seen nothing. Errors: there is no memory, or no place in the store, for the metadata.
    pub(crate) fn new(options: InstallOptions) -> Result<Self, OutOfMemory> {
        if options.metadata.len() > MAX_METADATA {
            return Err(OutOfMemory);
        }
        // Keys and PINs do not move: growth would leave copies of them behind.
        let (mut pins, mut naas) = (Vec::new(), Vec::new());
        pins.try_reserve_exact(MAX_PINS).map_err(|_| OutOfMemory)?;
        naas.try_reserve_exact(MAX_NAAS).map_err(|_| OutOfMemory)?;
        let profile = Profile {
            slot: options.slot,
            metadata: options.metadata,
            files: Vec::new(),
            pins,
            shared_pins: Vec::new(),
            naas,
            kept: Vec::new(),
            ota_counters: Vec::new(),
            unsaved: Unsaved::default(),
        };
        let build = Build {
            profile,
            iccid: options.iccid,
            test_algorithm_allowed: options.test_algorithm_allowed,
            test_class: options.test_class,
            order: OrderChecker::new(),
            response: EuiccResponse::default(),
            context: Context::default(),
            puks: Vec::new(),
            security_domains: Vec::new(),
            room: MAX_CONTENT,
        };
        Ok(Installer { pending: Zeroizing::new(Vec::new()), build, failed: false })
    }

    /// Takes decrypted bytes as they come, in pieces of any size, and processes each profile element that is whole.
    ///
    /// Errors: the installation failed; nothing more can be pushed.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), InstallError> {
        if self.failed {
            return Err(self.build.aborted(StatusCode::InvalidRequestFormat.into()));
        }
        let result = bytes.chunks(PIECE).try_for_each(|piece| self.push_piece(piece));
        result.map_err(|failure| {
            self.failed = true;
            self.build.aborted(failure)
        })
    }

    /// The profile, if the package was whole.
    ///
    /// Errors: it was not, or it is not consistent; the installation failed.
    pub(crate) fn finish(mut self) -> Result<Installed, InstallError> {
        if self.failed || !self.pending.is_empty() || !self.build.order.is_complete() {
            return Err(self.build.aborted(StatusCode::InvalidRequestFormat.into()));
        }
        let ok = PeStatus::new(StatusCode::Ok);
        let response = self
            .build
            .response
            .push(ok)
            .map_err(Failure::from)
            .and_then(|()| self.build.response.encode().map_err(|error| PeStatus::from(error).into()));
        match response {
            Ok(response) => Ok(Installed { profile: self.build.profile, response }),
            Err(failure) => Err(self.build.aborted(failure)),
        }
    }

    fn push_piece(&mut self, piece: &[u8]) -> Outcome {
        wiped::try_extend(&mut self.pending, piece)?;
        let mut taken = 0usize;
        while let Some(rest) = self.pending.get(taken..).filter(|rest| !rest.is_empty()) {
            let Some(element) = next_element(rest)? else { break };
            taken = taken.saturating_add(element.raw.len());
            self.build.element(&element)?;
        }
        let length = self.pending.len();
        self.pending.rotate_left(taken.min(length));
        self.pending.truncate(length.saturating_sub(taken));
        Ok(())
    }
}

impl Build {
    /// Processes one profile element: its warnings are in the response afterwards.
    fn element(&mut self, element: &Element<'_>) -> Outcome {
        let place = |mut failure: Failure| {
            failure.status = failure.status.of(element.identification()).at(0);
            failure
        };
        self.order.feed(element.kind).map_err(|violation| place(violation.status().into()))?;
        if let Some(unknown) = element.unknown {
            let status = PeStatus::new(StatusCode::InvalidParameter).of(element.identification()).at(unknown.offset);
            self.warn(status)?;
        }
        let (files, context, room) = (self.profile.files.len(), self.context, self.room);
        match self.content(element).map_err(place) {
            Err(failure) if failure.is_unsupported() && !element.mandated() => {
                self.profile.files.truncate(files);
                self.context = context;
                self.room = room;
                self.warn(failure.status)
            }
            other => other,
        }
    }

    fn content(&mut self, element: &Element<'_>) -> Outcome {
        match &element.content {
            ProfileElement::Header(header) => self.header(header),
            ProfileElement::GenericFileManagement(commands) => self.file_management(*commands),
            ProfileElement::PinCodes(codes) => self.pin_codes(codes),
            ProfileElement::PukCodes(codes) => self.puk_codes(*codes),
            ProfileElement::AkaParameter(parameter) => self.aka_parameter(parameter),
            ProfileElement::CdmaParameter(_) => self.keep(element.raw),
            ProfileElement::SecurityDomain(domain) => self.security_domain(domain, element.raw),
            ProfileElement::Rfm(rfm) => self.rfm(rfm, element.raw),
            ProfileElement::Application(_) => Err(StatusCode::RuntimeNotSupported.into()),
            ProfileElement::Template(template) => match element.kind {
                PeKind::Eap | PeKind::Iot | PeKind::OptIot => Err(StatusCode::PeNotSupported.into()),
                kind => self.template(kind, template, element.identification()),
            },
            ProfileElement::NonStandard(_) | ProfileElement::Rfu | ProfileElement::Unknown => {
                Err(StatusCode::PeNotSupported.into())
            }
            ProfileElement::End => self.check_pins(),
        }
    }

    /// Reports something that was left out, as long as there is a place left for how it ends.
    fn warn(&mut self, status: PeStatus) -> Outcome {
        if self.response.statuses.len() < MAX_WARNINGS {
            self.response.push(status)?;
        }
        Ok(())
    }

    /// The error result, with the whole report.
    fn aborted(&mut self, failure: Failure) -> InstallError {
        self.response.aborted = true;
        let report = self.response.push(failure.status).ok().and_then(|()| self.response.encode().ok());
        InstallError { reason: failure.reason, response: report.unwrap_or_default() }
    }
}
