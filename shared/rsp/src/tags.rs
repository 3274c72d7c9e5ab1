//! Tags of SGP.22 v2.5, named for the function or the object they stand for (annex H, the ASN.1 module).

use teuicc_tlv::Tag;

macro_rules! tags {
    ($( $(#[$meta:meta])* $name:ident = $value:literal ),* $(,)?) => {
        $( $(#[$meta])* pub const $name: Tag = Tag($value); )*
    };
}

tags! {
    /// ES10b.GetEUICCInfo, EUICCInfo1 (section 5.7.8).
    GET_EUICC_INFO1 = 0xBF20,
    /// ES10b.PrepareDownload (section 5.7.5).
    PREPARE_DOWNLOAD = 0xBF21,
    /// ES10b.GetEUICCInfo, EUICCInfo2 (section 5.7.8).
    GET_EUICC_INFO2 = 0xBF22,
    /// ES8+.InitialiseSecureChannel (section 5.5.1).
    INITIALISE_SECURE_CHANNEL = 0xBF23,
    /// ES8+.ConfigureISDP (section 5.5.2).
    CONFIGURE_ISDP = 0xBF24,
    /// ES8+.StoreMetadata (section 5.5.3).
    STORE_METADATA = 0xBF25,
    /// ES8+.ReplaceSessionKeys (section 5.5.4).
    REPLACE_SESSION_KEYS = 0xBF26,
    /// ProfileInstallationResultData, which is what the eUICC signs (section 2.5.6).
    PROFILE_INSTALLATION_RESULT_DATA = 0xBF27,
    /// ES10b.ListNotification (section 5.7.9).
    LIST_NOTIFICATION = 0xBF28,
    /// ES10c.SetNickname (section 5.7.21).
    SET_NICKNAME = 0xBF29,
    /// ES6.UpdateMetadata (section 5.4.1).
    UPDATE_METADATA = 0xBF2A,
    /// ES10b.RetrieveNotificationsList (section 5.7.10).
    RETRIEVE_NOTIFICATIONS_LIST = 0xBF2B,
    /// ES10c.GetProfilesInfo (section 5.7.15).
    PROFILE_INFO_LIST = 0xBF2D,
    /// ES10b.GetEUICCChallenge (section 5.7.7).
    GET_EUICC_CHALLENGE = 0xBF2E,
    /// NotificationMetadata, which is what the eUICC signs in a notification (section 2.5.6, 5.7.9).
    NOTIFICATION_METADATA = 0xBF2F,
    /// ES10b.RemoveNotificationFromList (section 5.7.11).
    NOTIFICATION_SENT = 0xBF30,
    /// ES10c.EnableProfile (section 5.7.16).
    ENABLE_PROFILE = 0xBF31,
    /// ES10c.DisableProfile (section 5.7.17).
    DISABLE_PROFILE = 0xBF32,
    /// ES10c.DeleteProfile (section 5.7.18).
    DELETE_PROFILE = 0xBF33,
    /// ES10c.eUICCMemoryReset (section 5.7.19).
    EUICC_MEMORY_RESET = 0xBF34,
    /// ES10b.LoadCRL (section 5.7.12).
    LOAD_CRL = 0xBF35,
    /// BoundProfilePackage (section 2.5.4).
    BOUND_PROFILE_PACKAGE = 0xBF36,
    /// ProfileInstallationResult (section 2.5.6).
    PROFILE_INSTALLATION_RESULT = 0xBF37,
    /// ES10b.AuthenticateServer (section 5.7.13).
    AUTHENTICATE_SERVER = 0xBF38,
    /// ES9+.InitiateAuthentication (section 5.6.1).
    INITIATE_AUTHENTICATION = 0xBF39,
    /// ES9+.GetBoundProfilePackage (section 5.6.2).
    GET_BOUND_PROFILE_PACKAGE = 0xBF3A,
    /// ES9+.AuthenticateClient (section 5.6.3).
    AUTHENTICATE_CLIENT = 0xBF3B,
    /// ES10a.GetEuiccConfiguredAddresses (section 5.7.3).
    EUICC_CONFIGURED_ADDRESSES = 0xBF3C,
    /// ES9+.HandleNotification (section 5.6.4).
    HANDLE_NOTIFICATION = 0xBF3D,
    /// ES10c.GetEID (section 5.7.20).
    GET_EID = 0xBF3E,
    /// ES10a.SetDefaultDpAddress (section 5.7.4).
    SET_DEFAULT_DP_ADDRESS = 0xBF3F,
    /// ES10b.CancelSession (section 5.7.14).
    CANCEL_SESSION = 0xBF41,
    /// LpaeActivation, with an LPA in the eUICC only (section 4.1.1.1).
    LPAE_ACTIVATION = 0xBF42,
    /// ES10b.GetRAT (section 5.7.22).
    GET_RAT = 0xBF43,
    /// ProfileInfo (section 5.7.15).
    PROFILE_INFO = 0xE3,
    /// EuiccSign, ServerSign and every other signature: 64 bytes, r then s (section 2.6.7.2).
    SIGNATURE = 0x5F37,
    /// One-time public key: 65 bytes, uncompressed (section 2.6.7.2).
    OTPK = 0x5F49,
    /// ICCID, 10 bytes as in EF.ICCID. Also the EID in GetEID and the nickname's profile.
    ICCID = 0x5A,
    /// ISD-P AID.
    ISDP_AID = 0x4F,
    /// Tag list.
    TAG_LIST = 0x5C,
    /// SCP03t: command TLV, encrypted with MAC, in the first and second sequence (section 2.5.3).
    SCP03T_COMMAND = 0x87,
    /// SCP03t: command TLV with MAC only.
    SCP03T_MAC_ONLY = 0x88,
    /// SCP03t: profile element data, encrypted with MAC.
    SCP03T_ELEMENT = 0x86,
    /// firstSequenceOf87 of a BoundProfilePackage.
    FIRST_SEQUENCE_OF_87 = 0xA0,
    /// sequenceOf88 of a BoundProfilePackage.
    SEQUENCE_OF_88 = 0xA1,
    /// secondSequenceOf87 of a BoundProfilePackage.
    SECOND_SEQUENCE_OF_87 = 0xA2,
    /// sequenceOf86 of a BoundProfilePackage.
    SEQUENCE_OF_86 = 0xA3,
}
