//! Data objects against bytes seen on the wire or spelled out by hand, and what readers must tolerate.

use hex_literal::hex;
use teuicc_rsp::codes::*;
use teuicc_rsp::es10::*;
use teuicc_rsp::metadata::*;
use teuicc_rsp::object::{Aid, List, Object, Octets, Raw, Received, Text, TransactionId, Version, concatenated};
use teuicc_rsp::{Eid, Iccid, aid, tags};
use teuicc_tlv::ErrorKind;

fn iccid() -> Iccid {
    Iccid::from_digits("89000123456789012341").unwrap()
}

fn tid(bytes: &[u8]) -> TransactionId<'_> {
    TransactionId::new(bytes).unwrap()
}

/// Writing gives `bytes`, reading them gives `object`.
macro_rules! both_ways {
    ($type:ty, $object:expr, $bytes:expr) => {
        let (object, bytes): ($type, _) = ($object, $bytes);
        assert_eq!(object.encode().unwrap(), bytes);
        assert_eq!(<$type>::parse(&bytes).unwrap(), object);
    };
}

#[test]
fn profile_management() {
    let by_iccid = ProfileIdentifier::Iccid(iccid());
    let enable = EnableProfileRequest { profile_identifier: by_iccid, refresh_flag: true };
    both_ways!(EnableProfileRequest<'_>, enable, hex!("BF3111A00C5A0A980010325476981032148101FF"));
    let isdp = aid::isdp(0).unwrap();
    let by_aid = ProfileIdentifier::IsdpAid(Aid::new(&isdp).unwrap());
    let disable = DisableProfileRequest { profile_identifier: by_aid, refresh_flag: false };
    both_ways!(DisableProfileRequest<'_>, disable, hex!("BF3217A0124F10A0000005591010FFFFFFFF8900001000810100"));
    both_ways!(DeleteProfileRequest<'_>, DeleteProfileRequest(by_iccid), hex!("BF330C5A0A98001032547698103214"));
    both_ways!(EnableProfileResponse, EnableProfileResponse { result: EnableProfileResult::Ok }, hex!("BF3103800100"));
    both_ways!(
        DeleteProfileResponse,
        DeleteProfileResponse { result: DeleteProfileResult::ProfileNotInDisabledState },
        hex!("BF3303800102")
    );
    let nickname = SetNicknameRequest { iccid: iccid(), profile_nickname: Text::new("home").unwrap() };
    both_ways!(SetNicknameRequest<'_>, nickname, hex!("BF29125A0A980010325476981032149004686F6D65"));
    let reset = ResetOptions::DELETE_OPERATIONAL_PROFILES.union(ResetOptions::RESET_DEFAULT_SMDP_ADDRESS);
    both_ways!(EuiccMemoryResetRequest, EuiccMemoryResetRequest { reset_options: reset }, hex!("BF3404820205A0"));
}

#[test]
fn profile_lists() {
    both_ways!(
        ProfileInfoListRequest<'_>,
        ProfileInfoListRequest { search_criteria: None, tag_list: Some(&hex!("5A9F70")) },
        hex!("BF2D055C035A9F70")
    );
    let by_class = ProfileSearchCriteria::ProfileClass(ProfileClass::Test);
    both_ways!(
        ProfileInfoListRequest<'_>,
        ProfileInfoListRequest { search_criteria: Some(by_class), tag_list: None },
        hex!("BF2D05A003950100")
    );
    let bytes = hex!("BF2D17A015E3135A0A980010325476981032149F700101920141");
    let ProfileInfoListResponse::List(list) = ProfileInfoListResponse::parse(&bytes).unwrap() else {
        panic!("an error")
    };
    let profile = list.iter().next().unwrap();
    assert_eq!((list.len(), profile.iccid, profile.profile_state), (1, Some(iccid()), Some(ProfileState::Enabled)));
    assert_eq!(profile.profile_name.unwrap().as_str(), "A");
    assert_eq!(profile.restricted_to(DEFAULT_TAG_LIST).unwrap(), profile);
    let restricted = profile.restricted_to(&hex!("9F70BF76")).unwrap();
    assert_eq!(restricted.encode().unwrap(), hex!("E3049F700101"));
    assert!(profile.restricted_to(&hex!("9F70BF")).is_err());
    let encoded = concatenated([profile]).unwrap();
    let again = ProfileInfoListResponse::List(List::new(&encoded).unwrap());
    assert_eq!(again.encode().unwrap(), bytes);
    both_ways!(
        ProfileInfoListResponse<'_>,
        ProfileInfoListResponse::Error(ProfileInfoListError::UndefinedError),
        hex!("BF2D0381017F")
    );
}

#[test]
fn configuration() {
    both_ways!(GetEidRequest<'_>, GetEidRequest { tag_list: &[0x5A] }, hex!("BF3E035C015A"));
    let eid = Eid::from_digits("89049032123451234512345678901235").unwrap();
    both_ways!(GetEidResponse, GetEidResponse { eid }, hex!("BF3E125A1089049032123451234512345678901235"));
    both_ways!(
        SetDefaultDpAddressRequest<'_>,
        SetDefaultDpAddressRequest { default_dp_address: "" },
        hex!("BF3F028000")
    );
    both_ways!(
        EuiccConfiguredAddresses<'_>,
        EuiccConfiguredAddresses { default_dp_address: None, root_ds_address: "a.b" },
        hex!("BF3C058103612E62")
    );
    assert_eq!(empty_request(tags::GET_EUICC_INFO1).unwrap(), hex!("BF2000"));
}

#[test]
fn sessions() {
    let error = AuthenticateResponseError { transaction_id: tid(&[1, 2]), error: AuthenticateErrorCode::InvalidOid };
    both_ways!(
        AuthenticateServerResponse<'_>,
        AuthenticateServerResponse::Error(error),
        hex!("BF3809A10780020102020105")
    );
    let error = PrepareDownloadResponseError { transaction_id: tid(&[1]), error: DownloadErrorCode::NoSession };
    both_ways!(PrepareDownloadResponse<'_>, PrepareDownloadResponse::Error(error), hex!("BF2108A106800101020104"));
    let cancel = CancelSessionRequest { transaction_id: tid(&[1]), reason: CancelSessionReason::Timeout };
    both_ways!(CancelSessionRequest<'_>, cancel, hex!("BF4106800101810102"));
    let signed = EuiccCancelSessionSigned { transaction_id: tid(&[1]), smdp_oid: &[0x88, 0x37], reason: cancel.reason };
    let signed = signed.encode().unwrap();
    assert_eq!(signed, hex!("300A80010181028837820102"));
    let response = CancelSessionResponse::Ok(CancelSessionResponseOk {
        euicc_cancel_session_signed: Received::parse(&signed).unwrap(),
        euicc_cancel_session_signature: &[7; 64],
    });
    let bytes = response.encode().unwrap();
    assert_eq!(bytes[..6], hex!("BF4151A04F30"));
    assert_eq!(CancelSessionResponse::parse(&bytes).unwrap(), response);
}

#[test]
fn notifications() {
    both_ways!(
        ListNotificationRequest,
        ListNotificationRequest { profile_management_operation: Some(NotificationEvent::ENABLE) },
        hex!("BF280481020640")
    );
    let metadata = NotificationMetadata {
        seq_number: 300,
        profile_management_operation: NotificationEvent::INSTALL,
        notification_address: "a",
        iccid: Some(iccid()),
    };
    let bytes = metadata.encode().unwrap();
    assert_eq!(bytes, hex!("BF2F178002012C810207800C01615A0A98001032547698103214"));
    let response = ListNotificationResponse::List(List::new(&bytes).unwrap());
    assert_eq!(ListNotificationResponse::parse(&response.encode().unwrap()).unwrap(), response);
    both_ways!(
        RetrieveNotificationsListRequest,
        RetrieveNotificationsListRequest { search_criteria: Some(NotificationSearchCriteria::SeqNumber(5)) },
        hex!("BF2B05A003800105")
    );
    both_ways!(NotificationSentRequest, NotificationSentRequest { seq_number: 128 }, hex!("BF300480020080"));

    let other = OtherSignedNotification {
        tbs_other_notification: Received::parse(&bytes).unwrap(),
        euicc_notification_signature: &[1; 64],
        euicc_certificate: Raw(&[0x30, 0x00]),
        eum_certificate: Raw(&[0x30, 0x01, 0x05]),
    };
    let encoded = other.encode().unwrap();
    let PendingNotification::OtherSigned(read) = PendingNotification::parse(&encoded).unwrap() else { panic!("PIR") };
    assert_eq!(read, other);
}

#[test]
fn installation_errors() {
    let data = ProfileInstallationResultData {
        transaction_id: tid(&[1]),
        notification_metadata: NotificationMetadata {
            seq_number: 0,
            profile_management_operation: NotificationEvent::INSTALL,
            notification_address: "",
            iccid: None,
        },
        smdp_oid: &[0x88, 0x37],
        final_result: FinalResult::Error(ErrorResult {
            bpp_command_id: BppCommandId::LoadProfileElements,
            error_reason: ErrorReason::InstallFailedDueToPeProcessingError,
            simpl_response: Some(&[0x30, 0x00]),
        }),
    };
    let bytes = hex!("BF2721800101BF2F0980010081020780 0C00 06028837 A20CA10A 800105 81010C 82023000");
    assert_eq!(data.encode().unwrap(), bytes);
    assert_eq!(ProfileInstallationResultData::parse(&bytes).unwrap(), data);
}

#[test]
fn unknown_members_are_skipped_and_passed_on() {
    // DeviceInfo of a v3 device: 83 and 85 are new, so is 9F in its capabilities.
    let bytes = hex!("A013 8001 58 A10E 800401020304 A100 8300 85020780");
    let context = Received::<CtxParams1<'_>>::parse(&bytes).unwrap();
    assert_eq!(context.matching_id, Some("X"));
    assert_eq!(context.device_info.tac, &[1, 2, 3, 4]);
    assert_eq!(context.encode().unwrap(), bytes);
    // EUICCInfo1 with members of v3 in front and behind.
    let bytes = hex!("BF20 14 8801FF 8203020500 A903040101 AA00 9303030100");
    let info = EuiccInfo1::parse(&bytes).unwrap();
    assert_eq!((info.svn, info.ci_pk_ids_for_verification.len()), (Version(2, 5, 0), 1));
}

#[test]
fn empty_and_absent_matching_id_differ() {
    let device_info = hex!("A108800401020304A100");
    let device_info = Received::parse(&device_info).unwrap();
    for (matching_id, length) in [(None, 10), (Some(""), 12)] {
        let bytes = CtxParams1 { matching_id, device_info }.encode().unwrap();
        assert_eq!(bytes.len(), length + 2);
        assert_eq!(CtxParams1::parse(&bytes).unwrap().matching_id, matching_id);
    }
}

#[test]
fn sizes_are_checked() {
    let metadata = |name: &str, icon: &[u8]| {
        let mut writer = teuicc_tlv::Writer::new();
        writer
            .nested(tags::STORE_METADATA, |writer| {
                writer.primitive(tags::ICCID, iccid().as_bytes())?;
                writer.primitive(teuicc_tlv::Tag(0x91), name.as_bytes())?;
                writer.primitive(teuicc_tlv::Tag(0x92), b"")?;
                writer.primitive(teuicc_tlv::Tag(0x94), icon)
            })
            .unwrap();
        StoreMetadata::parse(&writer.into_bytes()).map(|metadata| metadata.class()).map_err(|error| error.kind)
    };
    assert_eq!(metadata(&"a".repeat(32), &[0; 1024]), Ok(ProfileClass::Operational));
    assert!(matches!(metadata(&"a".repeat(33), &[]), Err(ErrorKind::Value { .. })));
    assert!(matches!(metadata("", &[0; 1025]), Err(ErrorKind::Value { .. })));
    assert!(TransactionId::new(&[]).is_none() && TransactionId::new(&[0; 17]).is_none());
    assert!(Nickname::new(&"a".repeat(65)).is_none());
    assert!(Octets::<0, 2>::new(&[1, 2, 3]).is_none());
}

#[test]
fn every_member_of_the_metadata() {
    let configuration = concatenated([NotificationConfigurationInformation {
        events: NotificationEvent::ENABLE.union(NotificationEvent::DISABLE),
        address: "n.example",
    }])
    .unwrap();
    let metadata = StoreMetadata {
        iccid: iccid(),
        service_provider_name: Text::new("SP").unwrap(),
        profile_name: Text::new("P").unwrap(),
        icon_type: Some(IconType::Png),
        icon: Some(Octets::new(&[1, 2]).unwrap()),
        profile_class: Some(ProfileClass::Provisioning),
        notification_configuration: Some(List::new(&configuration).unwrap()),
        profile_owner: Some(OperatorId { mcc_mnc: &[0, 0xF1, 0x10], gid1: Some(&[9]), gid2: None }),
        profile_policy_rules: Some(PprIds::PPR1.union(PprIds::PPR2)),
        service_specific_data: None,
    };
    let bytes = hex!(
        "BF253E 5A0A98001032547698103214 91025350 920150 930101 94020102 950101"
        "B611300F 80020560 8109 6E2E6578616D706C65 B708 800300F110 810109 99020560"
    );
    assert_eq!(metadata.encode().unwrap(), bytes);
    assert_eq!(StoreMetadata::parse(&bytes).unwrap(), metadata);
    assert_eq!(metadata.class(), ProfileClass::Provisioning);
}

/// A table with one entry for each of `entries`: rules, operator, consent.
fn table(entries: &[(PprIds, OperatorId<'_>, bool)]) -> Vec<u8> {
    let mut table = Vec::new();
    for (ppr_ids, operator, consent) in entries {
        let operators = concatenated([*operator]).unwrap();
        let entry = ProfilePolicyAuthorisationRule {
            ppr_ids: *ppr_ids,
            allowed_operators: List::new(&operators).unwrap(),
            flags: if *consent { RatFlags::CONSENT_REQUIRED } else { RatFlags::default() },
        };
        table.extend(entry.encode().unwrap());
    }
    table
}

#[test]
fn the_first_matching_rule_authorises() {
    let any = OperatorId { mcc_mnc: &[0xEE, 0xEE, 0xEE], gid1: Some(&[]), gid2: Some(&[]) };
    let test = OperatorId { mcc_mnc: &[0x00, 0xF1, 0x10], gid1: None, gid2: None };
    let group = OperatorId { gid1: Some(&[5]), ..test };
    let other = OperatorId { mcc_mnc: &[0x00, 0xF1, 0x20], ..test };
    let (none, both) = (PprIds::default(), PprIds::PPR1.union(PprIds::PPR2));
    let bytes = table(&[(PprIds::PPR1, test, false), (PprIds::PPR1, any, true), (PprIds::PPR2, group, false)]);
    let rat = RulesAuthorisationTable::new(&bytes).unwrap();
    let allowed = |consent_required| Authorisation::Allowed { consent_required };

    assert_eq!(authorise(&rat, none, None, none), allowed(false));
    assert_eq!(authorise(&rat, PprIds::PPR1, Some(&test), none), allowed(false));
    assert_eq!(authorise(&rat, PprIds::PPR1, Some(&other), none), allowed(true));
    assert_eq!(authorise(&rat, PprIds::PPR1, None, none), Authorisation::Forbidden);
    assert_eq!(authorise(&rat, PprIds::PPR1, Some(&test), PprIds::PPR1), Authorisation::Forbidden);
    assert_eq!(authorise(&rat, PprIds::PPR2, Some(&test), none), Authorisation::Forbidden);
    assert_eq!(authorise(&rat, PprIds::PPR2, Some(&group), none), allowed(false));
    assert_eq!(authorise(&rat, both, Some(&group), none), allowed(true));
    assert_eq!(authorise(&rat, both, Some(&other), none), Authorisation::Forbidden);

    let response = GetRatResponse { rat };
    assert_eq!(GetRatResponse::parse(&response.encode().unwrap()).unwrap(), response);
}
