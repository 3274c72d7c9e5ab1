//! Result and error codes of SGP.22 v2.5 with their numbers and their meaning in words. A number that is not in the
//! table stays readable as `Other`: newer peers have newer codes.

use core::fmt;
use teuicc_tlv::{Error, Tag, Tlv, Writer};

macro_rules! codes {
    ($(
        $(#[$meta:meta])*
        pub enum $name:ident { $( $variant:ident = $number:literal $words:literal ),* $(,)? }
    )*) => { $(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $( #[doc = $words] $variant, )*
            /// A code that is not in the table.
            Other(u32),
        }

        impl $name {
            /// Every code of the table.
            pub const ALL: &[$name] = &[ $( $name::$variant ),* ];

            /// The number, as sent.
            #[must_use]
            pub const fn code(self) -> u32 {
                match self {
                    $( $name::$variant => $number, )*
                    $name::Other(number) => number,
                }
            }

            /// The code of a number.
            #[must_use]
            pub const fn from_code(number: u32) -> Self {
                match number {
                    $( $number => $name::$variant, )*
                    other => $name::Other(other),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $( $name::$variant => f.write_str($words), )*
                    $name::Other(number) => write!(f, "code {number}"),
                }
            }
        }

        impl<'a> crate::object::Value<'a> for $name {
            fn read(tlv: &Tlv<'a>) -> Result<Self, Error> {
                tlv.unsigned().map(Self::from_code)
            }

            fn put(&self, tag: Tag, writer: &mut Writer) -> Result<(), Error> {
                writer.unsigned(tag, self.code())
            }
        }
    )* };
}

codes! {
    /// Why ES10b.AuthenticateServer failed (section 5.7.13; 8 to 14 are of v3).
    pub enum AuthenticateErrorCode {
        InvalidCertificate = 1 "the server's certificate is invalid",
        InvalidSignature = 2 "the server's signature is wrong",
        UnsupportedCurve = 3 "the curve is not supported",
        NoSession = 4 "there is no RSP session",
        InvalidOid = 5 "the certificate is for another role",
        EuiccChallengeMismatch = 6 "the eUICC challenge is not the one issued",
        CiPkUnknown = 7 "the CI public key is unknown",
        TransactionIdError = 8 "the transaction is another",
        MissingCrl = 9 "a CRL is missing",
        InvalidCrlSignature = 10 "a CRL's signature is wrong",
        RevokedCert = 11 "a certificate is revoked",
        InvalidCertOrCrlTime = 12 "a certificate or CRL is not valid at this time",
        InvalidCertOrCrlConfiguration = 13 "certificates or CRLs do not fit together",
        InvalidIccid = 14 "the ICCID is invalid",
        UndefinedError = 127 "undefined error",
    }

    /// Why ES10b.PrepareDownload failed (section 5.7.5).
    pub enum DownloadErrorCode {
        InvalidCertificate = 1 "the SM-DP+ certificate is invalid",
        InvalidSignature = 2 "the SM-DP+ signature is wrong",
        UnsupportedCurve = 3 "the curve is not supported",
        NoSession = 4 "there is no RSP session",
        InvalidTransactionId = 5 "the transaction is another",
        UndefinedError = 127 "undefined error",
    }

    /// Why an RSP session was cancelled (section 5.7.14; 16 to 30 are of v3).
    pub enum CancelSessionReason {
        EndUserRejection = 0 "the end user refused",
        Postponed = 1 "postponed by the end user",
        Timeout = 2 "the end user did not answer in time",
        PprNotAllowed = 3 "a profile policy rule is not allowed",
        MetadataMismatch = 4 "the profile metadata changed",
        LoadBppExecutionError = 5 "the bound profile package could not be installed",
        SessionAborted = 16 "the session was aborted",
        EnterpriseProfilesNotSupported = 17 "enterprise profiles are not supported",
        EnterpriseRulesNotAllowed = 18 "enterprise rules are not allowed",
        EnterpriseProfileNotAllowed = 19 "the enterprise profile is not allowed",
        EnterpriseOidMismatch = 20 "the enterprise is another",
        EnterpriseRulesError = 21 "the enterprise rules are wrong",
        EnterpriseProfilesOnly = 22 "only enterprise profiles can be installed",
        LprNotSupported = 23 "LPR is not supported",
        LprNetworkDataNotAllowed = 24 "LPR over the network is not allowed",
        EmptyProfileOrSpName = 25 "the profile name or service provider name is empty",
        RpmDisabled = 27 "remote profile management is disabled",
        InvalidRpmPackage = 28 "the RPM package is invalid",
        LoadRpmPackageError = 29 "the RPM package could not be loaded",
        OperationAbandoned = 30 "the operation was abandoned",
        UndefinedReason = 127 "undefined reason",
    }

    /// Why ES10b.CancelSession failed (section 5.7.14).
    pub enum CancelSessionErrorCode {
        InvalidTransactionId = 5 "the transaction is another",
        UndefinedError = 127 "undefined error",
    }

    /// Which part of a bound profile package failed (section 2.5.6).
    pub enum BppCommandId {
        InitialiseSecureChannel = 0 "InitialiseSecureChannel",
        ConfigureIsdp = 1 "ConfigureISDP",
        StoreMetadata = 2 "StoreMetadata",
        StoreMetadata2 = 3 "StoreMetadata (second part)",
        ReplaceSessionKeys = 4 "ReplaceSessionKeys",
        LoadProfileElements = 5 "LoadProfileElements",
    }

    /// Why the installation of a profile failed (section 2.5.6; 17 to 26 are of v3, 31 and 32 of v2.7).
    pub enum ErrorReason {
        IncorrectInputValues = 1 "incorrect input values",
        InvalidSignature = 2 "the SM-DP+ signature is wrong",
        InvalidTransactionId = 3 "the transaction is another",
        UnsupportedCrtValues = 4 "the control reference template is not supported",
        UnsupportedRemoteOperationType = 5 "the remote operation is not supported",
        UnsupportedProfileClass = 6 "the profile class is not supported",
        Scp03tStructureError = 7 "SCP03t structure error",
        Scp03tSecurityError = 8 "SCP03t security error",
        InstallFailedDueToIccidAlreadyExistsOnEuicc = 9 "a profile with this ICCID is already installed",
        InstallFailedDueToInsufficientMemoryForProfile = 10 "not enough memory for the profile",
        InstallFailedDueToInterruption = 11 "interrupted",
        InstallFailedDueToPeProcessingError = 12 "a profile element could not be processed",
        InstallFailedDueToDataMismatch = 13 "metadata and profile do not match",
        TestProfileInstallFailedDueToInvalidNaaKey = 14 "the key of the test profile is not a test key",
        PprNotAllowed = 15 "a profile policy rule is not allowed",
        EnterpriseProfilesNotSupported = 17 "enterprise profiles are not supported",
        EnterpriseRulesNotAllowed = 18 "enterprise rules are not allowed",
        EnterpriseProfileNotAllowed = 19 "the enterprise profile is not allowed",
        EnterpriseOidMismatch = 20 "the enterprise is another",
        EnterpriseRulesError = 21 "the enterprise rules are wrong",
        EnterpriseProfilesOnly = 22 "only enterprise profiles can be installed",
        LprNotSupported = 23 "LPR is not supported",
        UnknownTlvInMetadata = 26 "the metadata has an unknown member",
        InsufficientMinimumSecurityLevel = 31 "the minimum security level is not reached",
        ServerAddressAbsentInEuiccAllowList = 32 "the server is not in the allow list of the eUICC",
        InstallFailedDueToUnknownError = 127 "unknown error",
    }

    /// Result of ES10a.SetDefaultDpAddress (section 5.7.4).
    pub enum SetDefaultDpAddressResult {
        Ok = 0 "done",
        UnsupportedCiPkId = 8 "the CI public key is not supported",
        UndefinedError = 127 "undefined error",
    }

    /// Why ES10b.ListNotification failed (section 5.7.9).
    pub enum ListNotificationError {
        UndefinedError = 127 "undefined error",
    }

    /// Why ES10b.RetrieveNotificationsList failed (section 5.7.10).
    pub enum RetrieveNotificationsListError {
        NoResultAvailable = 1 "there is no such notification",
        UndefinedError = 127 "undefined error",
    }

    /// Result of ES10b.RemoveNotificationFromList (section 5.7.11).
    pub enum NotificationSentResult {
        Ok = 0 "done",
        NothingToDelete = 1 "there is no such notification",
        UndefinedError = 127 "undefined error",
    }

    /// Why ES10b.LoadCRL failed (section 5.7.12).
    pub enum LoadCrlError {
        InvalidSignature = 1 "the CRL's signature is wrong",
        InvalidCrlFormat = 2 "the CRL is malformed",
        NotEnoughMemorySpace = 3 "not enough memory",
        VerificationKeyNotFound = 4 "the verification key is unknown",
        FresherCrlAlreadyLoaded = 5 "a newer CRL is loaded already",
        BaseCrlMissing = 6 "the base CRL is missing",
        UndefinedError = 127 "undefined error",
    }

    /// Why ES10c.GetProfilesInfo failed (section 5.7.15; 11 is of v3).
    pub enum ProfileInfoListError {
        IncorrectInputValues = 1 "incorrect input values",
        ProfileChangeOngoing = 11 "a profile change is ongoing",
        UndefinedError = 127 "undefined error",
    }

    /// Result of ES10c.EnableProfile (section 5.7.16; 6, 7, 9, 10 are of v3).
    pub enum EnableProfileResult {
        Ok = 0 "done",
        IccidOrAidNotFound = 1 "there is no such profile",
        ProfileNotInDisabledState = 2 "the profile is not disabled",
        DisallowedByPolicy = 3 "a profile policy rule forbids it",
        WrongProfileReenabling = 4 "another profile must be enabled again",
        CatBusy = 5 "the card is busy with a proactive command",
        DisallowedByEnterpriseRule = 6 "an enterprise rule forbids it",
        CommandError = 7 "command error",
        DisallowedForRpm = 9 "remote profile management may not do this",
        NoEsimPortAvailable = 10 "no eSIM port is free",
        UndefinedError = 127 "undefined error",
    }

    /// Result of ES10c.DisableProfile (section 5.7.17; 6, 7, 9 are of v3).
    pub enum DisableProfileResult {
        Ok = 0 "done",
        IccidOrAidNotFound = 1 "there is no such profile",
        ProfileNotInEnabledState = 2 "the profile is not enabled",
        DisallowedByPolicy = 3 "a profile policy rule forbids it",
        CatBusy = 5 "the card is busy with a proactive command",
        DisallowedByEnterpriseRule = 6 "an enterprise rule forbids it",
        CommandError = 7 "command error",
        DisallowedForRpm = 9 "remote profile management may not do this",
        UndefinedError = 127 "undefined error",
    }

    /// Result of ES10c.DeleteProfile (section 5.7.18; 4, 7 are of v3).
    pub enum DeleteProfileResult {
        Ok = 0 "done",
        IccidOrAidNotFound = 1 "there is no such profile",
        ProfileNotInDisabledState = 2 "the profile is not disabled",
        DisallowedByPolicy = 3 "a profile policy rule forbids it",
        EuiccInTestMode = 4 "the eUICC is in test mode",
        CommandError = 7 "command error",
        UndefinedError = 127 "undefined error",
    }

    /// Result of ES10c.eUICCMemoryReset (section 5.7.19).
    pub enum EuiccMemoryResetResult {
        Ok = 0 "done",
        NothingToDelete = 1 "there is nothing to delete",
        CatBusy = 5 "the card is busy with a proactive command",
        UndefinedError = 127 "undefined error",
    }

    /// Result of ES10c.SetNickname (section 5.7.21).
    pub enum SetNicknameResult {
        Ok = 0 "done",
        IccidNotFound = 1 "there is no such profile",
        UndefinedError = 127 "undefined error",
    }

    /// State of a profile (section 5.7.15).
    pub enum ProfileState {
        Disabled = 0 "disabled",
        Enabled = 1 "enabled",
    }

    /// Class of a profile (section 5.5.3).
    pub enum ProfileClass {
        Test = 0 "test",
        Provisioning = 1 "provisioning",
        Operational = 2 "operational",
    }

    /// Format of a profile's icon (section 5.5.3).
    pub enum IconType {
        Jpg = 0 "JPEG",
        Png = 1 "PNG",
    }

    /// Category of an eUICC (section 4.3).
    pub enum EuiccCategory {
        Unclassified = 0 "other",
        BasicEuicc = 1 "basic",
        MediumEuicc = 2 "medium",
        ContactlessEuicc = 3 "contactless",
    }

    /// Why ES9+.InitiateAuthentication failed, in the ASN.1 binding (section 6.6.2.1).
    pub enum InitiateAuthenticationError {
        InvalidDpAddress = 1 "the address is not the server's",
        EuiccVersionNotSupported = 2 "the eUICC's version is not supported",
        CiPkIdNotSupported = 3 "none of the eUICC's CI keys is supported",
        UndefinedError = 127 "undefined error",
    }

    /// Why ES9+.AuthenticateClient failed, in the ASN.1 binding (section 6.6.2.3).
    pub enum AuthenticateClientError {
        EumCertificateInvalid = 1 "the EUM certificate is invalid",
        EumCertificateExpired = 2 "the EUM certificate has expired",
        EuiccCertificateInvalid = 3 "the eUICC certificate is invalid",
        EuiccCertificateExpired = 4 "the eUICC certificate has expired",
        EuiccSignatureInvalid = 5 "the eUICC signature is wrong",
        MatchingIdRefused = 6 "the matching ID is refused",
        EidMismatch = 7 "the order is for another EID",
        NoEligibleProfile = 8 "no profile is eligible",
        CiPkUnknown = 9 "the CI public key is unknown",
        InvalidTransactionId = 10 "the transaction is another",
        InsufficientMemory = 11 "not enough memory in the eUICC",
        DownloadOrderExpired = 18 "the download order has expired",
        UndefinedError = 127 "undefined error",
    }

    /// Why ES9+.GetBoundProfilePackage failed, in the ASN.1 binding (section 6.6.2.2).
    pub enum GetBoundProfilePackageError {
        EuiccSignatureInvalid = 1 "the eUICC signature is wrong",
        ConfirmationCodeMissing = 2 "the confirmation code is missing",
        ConfirmationCodeRefused = 3 "the confirmation code is refused",
        ConfirmationCodeRetriesExceeded = 4 "the confirmation code was wrong too often",
        BppRebindingRefused = 5 "the package is bound to another key already",
        DownloadOrderExpired = 6 "the download order has expired",
        InvalidTransactionId = 95 "the transaction is another",
        UndefinedError = 127 "undefined error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn numbers_go_both_ways() {
        for reason in ErrorReason::ALL {
            assert_eq!(ErrorReason::from_code(reason.code()), *reason);
        }
        assert_eq!(ErrorReason::from_code(99), ErrorReason::Other(99));
        assert_eq!(ErrorReason::Other(99).to_string(), "code 99");
        assert_eq!(ErrorReason::InstallFailedDueToPeProcessingError.code(), 12);
        assert_eq!(CancelSessionReason::EndUserRejection.to_string(), "the end user refused");
    }
}
