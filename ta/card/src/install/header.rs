//! ProfileHeader: what the package demands of the card (clause 8.2.1).

use super::{Build, Failure, Outcome};
use crate::services::SERVICES;
use teuicc_rsp::codes::ErrorReason;
use teuicc_saip::pe::{Oid, ProfileHeader, Service, Services};
use teuicc_saip::{PeKind, PeStatus, StatusCode, template};

/// The major versions of the package format that are understood.
const MAJOR_VERSIONS: core::ops::RangeInclusive<u8> = 2..=3;

impl Build {
    /// Errors: whatever it demands and the card has not got; an ICCID that is not that of the metadata.
    pub(super) fn header(&mut self, header: &ProfileHeader<'_>) -> Outcome {
        if !MAJOR_VERSIONS.contains(&header.major) {
            return Err(StatusCode::UnsupportedProfileVersion.into());
        }
        self.check_services(header.services)?;
        if header.templates.iter().any(|oid| !is_supported(oid)) {
            return Err(StatusCode::TemplateNotSupported.into());
        }
        if !header.mandatory_aids.is_empty() {
            return Err(StatusCode::LibNotSupported.into());
        }
        if header.iot_pix.is_some() {
            return Err(StatusCode::FeatureNotSupported.into());
        }
        let iccid = header.iccid.map(|digits| digits.rotate_left(4));
        if iccid != self.iccid {
            let status = PeStatus::new(StatusCode::BadValues);
            return Err(Failure { status, reason: ErrorReason::InstallFailedDueToDataMismatch });
        }
        Ok(())
    }

    fn check_services(&self, services: Services) -> Outcome {
        let available =
            if self.test_algorithm_allowed { SERVICES } else { SERVICES & !Service::UsimTestAlgorithm.bit() };
        let runtimes = Service::Javacard.bit() | Service::Multos.bit();
        match services.missing(available) {
            0 if services.unknown.is_none() => Ok(()),
            missing if missing & runtimes != 0 => Err(StatusCode::RuntimeNotSupported.into()),
            _ => Err(StatusCode::FeatureNotSupported.into()),
        }
    }
}

/// Whether a template is known and files can be made by it.
fn is_supported(oid: Oid<'_>) -> bool {
    template::lookup(oid).is_some_and(|template| !matches!(template.kind, PeKind::Eap | PeKind::Iot | PeKind::OptIot))
}
