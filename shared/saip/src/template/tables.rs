//! The tables of annex A, in the order of the ASN.1 of each profile element.
//!
//! A row is the constructor of its kind (file identifier, name, [number of records,] size, EF ARR record) and what
//! else the annex says. 0 stands for a size or number that the package must give. Later versions of a template add
//! files at the end, so that an older version is the beginning of the newest; the few rows that differ are set apart.
//!
//! Where published transcriptions of the annex contradict the specification of the file itself, that decides:
//! DF 5GS is 5FC0 and DF SAIP 5FD0, EF EXT7 6FCC, EF MMSSMODE 4F22, EF MuDMiDConfigData 6FFE, and 4F60 to 4F67 are
//! EF PBC. The CSIM tables have the identifiers and sizes of 3GPP2 C.S0065, which the packages in the field repeat
//! in each Fcp; access rules and number of records of the annex are not known and are our choice.

use super::{Base, DefaultContent, FileKind, Template, TemplateFile};
use crate::decode::Oid;
use crate::pe::PeKind;

/// EF ARR record of all directories.
const ARR_OF_DIRECTORIES: u8 = 14;

/// A file of which nothing more is said.
const fn file(fid: u16, name: &'static str, kind: FileKind, records: u16, size: u16, arr: u8) -> TemplateFile {
    TemplateFile {
        fid,
        last_fid: fid,
        name,
        kind,
        records,
        size,
        arr,
        sfi: None,
        default: DefaultContent::None,
        content_required: false,
        services: &[],
        high_update: false,
    }
}

const fn mf(fid: u16, name: &'static str) -> TemplateFile {
    file(fid, name, FileKind::Mf, 0, 0, ARR_OF_DIRECTORIES)
}

const fn df(fid: u16, name: &'static str) -> TemplateFile {
    file(fid, name, FileKind::Df, 0, 0, ARR_OF_DIRECTORIES)
}

const fn adf(name: &'static str) -> TemplateFile {
    file(0, name, FileKind::Adf, 0, 0, ARR_OF_DIRECTORIES)
}

const fn tr(fid: u16, name: &'static str, size: u16, arr: u8) -> TemplateFile {
    file(fid, name, FileKind::Transparent, 0, size, arr)
}

const fn bt(fid: u16, name: &'static str, size: u16, arr: u8) -> TemplateFile {
    file(fid, name, FileKind::BerTlv, 0, size, arr)
}

const fn lf(fid: u16, name: &'static str, records: u16, size: u16, arr: u8) -> TemplateFile {
    file(fid, name, FileKind::LinearFixed, records, size, arr)
}

const fn cy(fid: u16, name: &'static str, records: u16, size: u16, arr: u8) -> TemplateFile {
    file(fid, name, FileKind::Cyclic, records, size, arr)
}

impl TemplateFile {
    const fn sfi(mut self, sfi: u8) -> Self {
        self.sfi = Some(sfi);
        self
    }

    const fn to(mut self, last_fid: u16) -> Self {
        self.last_fid = last_fid;
        self
    }

    const fn bytes(mut self, bytes: &'static [u8]) -> Self {
        self.default = DefaultContent::Bytes(bytes);
        self
    }

    const fn fill(mut self, bytes: &'static [u8]) -> Self {
        self.default = DefaultContent::Fill(bytes);
        self
    }

    const fn tail(mut self, bytes: &'static [u8]) -> Self {
        self.default = DefaultContent::Tail(bytes);
        self
    }

    const fn repeat(mut self, bytes: &'static [u8]) -> Self {
        self.default = DefaultContent::Repeat(bytes);
        self
    }

    const fn required(mut self) -> Self {
        self.content_required = true;
        self
    }

    const fn services(mut self, services: &'static [u16]) -> Self {
        self.services = services;
        self
    }

    const fn high_update(mut self) -> Self {
        self.high_update = true;
        self
    }

    const fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }
}

/// The first `count` files.
const fn first(files: &'static [TemplateFile], count: usize) -> &'static [TemplateFile] {
    files.split_at(count).0
}

const fn template(
    oid: &'static [u8],
    name: &'static str,
    kind: PeKind,
    base: Base,
    created_by_default: bool,
    files: &'static [TemplateFile],
) -> Template {
    Template { oid: Oid(oid), name, kind, base, created_by_default, files }
}

/// The content octets of 2.23.143.1.2 and what follows.
macro_rules! oid {
    ($($arc:literal),+) => { &[0x67, 0x81, 0x0F, 0x01, 0x02, $($arc),+] };
}

/// All templates.
pub(super) const ALL: &[Template] = &[
    template(oid!(1), "MF", PeKind::Mf, Base::Mf, true, &MF),
    template(oid!(2), "CD", PeKind::Cd, Base::Mf, false, &CD),
    template(oid!(3), "TELECOM", PeKind::Telecom, Base::Mf, false, first(&TELECOM, 38)),
    template(oid!(3, 2), "TELECOM v2", PeKind::Telecom, Base::Mf, false, &TELECOM),
    template(oid!(4), "USIM", PeKind::Usim, Base::Mf, true, &USIM_V1),
    template(oid!(4, 2), "USIM v2", PeKind::Usim, Base::Mf, true, &USIM),
    template(oid!(5), "OPT-USIM", PeKind::OptUsim, Base::Usim, false, first(&OPT_USIM, 74)),
    template(oid!(5, 2), "OPT-USIM v2", PeKind::OptUsim, Base::Usim, false, first(&OPT_USIM, 85)),
    template(oid!(5, 3), "OPT-USIM v3", PeKind::OptUsim, Base::Usim, false, &OPT_USIM),
    template(oid!(6), "PHONEBOOK", PeKind::Phonebook, Base::Usim, false, PHONEBOOK),
    template(oid!(7), "GSM-ACCESS", PeKind::GsmAccess, Base::Usim, false, &GSM_ACCESS),
    template(oid!(8), "ISIM", PeKind::Isim, Base::Mf, true, &ISIM),
    template(oid!(9), "OPT-ISIM", PeKind::OptIsim, Base::Isim, false, first(&OPT_ISIM, 9)),
    template(oid!(9, 2), "OPT-ISIM v2", PeKind::OptIsim, Base::Isim, false, &OPT_ISIM),
    template(oid!(10), "CSIM", PeKind::Csim, Base::Mf, true, &CSIM),
    template(oid!(10, 2), "CSIM v2", PeKind::Csim, Base::Mf, true, &CSIM),
    template(oid!(11), "OPT-CSIM", PeKind::OptCsim, Base::Csim, false, &OPT_CSIM),
    template(oid!(11, 2), "OPT-CSIM v2", PeKind::OptCsim, Base::Csim, false, &OPT_CSIM),
    template(oid!(12), "EAP", PeKind::Eap, Base::Current, false, &EAP),
    template(oid!(13), "5GS", PeKind::Df5gs, Base::Usim, false, first(&DF_5GS_V2, 11)),
    template(oid!(13, 2), "5GS v2", PeKind::Df5gs, Base::Usim, false, &DF_5GS_V2),
    template(oid!(13, 3), "5GS v3", PeKind::Df5gs, Base::Usim, false, &DF_5GS_V3),
    template(oid!(13, 4), "5GS v4", PeKind::Df5gs, Base::Usim, false, &DF_5GS),
    template(oid!(14), "SAIP", PeKind::DfSaip, Base::Usim, false, &DF_SAIP),
    template(oid!(15), "SNPN", PeKind::DfSnpn, Base::Usim, false, &DF_SNPN),
    template(oid!(16), "5GProSe", PeKind::Df5gprose, Base::Usim, false, &DF_5GPROSE),
    template(oid!(17), "IoT", PeKind::Iot, Base::Mf, true, &IOT),
    template(oid!(18), "OPT-IoT", PeKind::OptIot, Base::Usim, false, &OPT_IOT),
];

/// PE-MF, clause 9.2.
const MF: [TemplateFile; 6] = [
    mf(0x3F00, "mf"),
    tr(0x2F05, "ef-pl", 2, 1).sfi(0x05).fill(&[0xFF]),
    tr(0x2FE2, "ef-iccid", 10, 11).required(),
    lf(0x2F00, "ef-dir", 0, 0, 10).sfi(0x1E).required(),
    lf(0x2F06, "ef-arr", 0, 0, 10).required(),
    tr(0x2F08, "ef-umpc", 5, 10).sfi(0x08),
];

/// PE-CD, clause 9.3.
const CD: [TemplateFile; 3] = [
    df(0x7F11, "df-cd"),
    tr(0x6F01, "ef-launchpad", 0, 2).required(),
    tr(0x6F40, "ef-icon", 0, 2).to(0x6F7E).required(),
];

/// PE-TELECOM, clause 9.4.
const TELECOM: [TemplateFile; 46] = [
    df(0x7F10, "df-telecom"),
    lf(0x6F06, "ef-arr", 0, 0, 10).required(),
    lf(0x6F53, "ef-rma", 0, 0, 3).required(),
    tr(0x6F54, "ef-sume", 22, 3).required(),
    lf(0x6FE0, "ef-ice-dn", 50, 24, 9).fill(&[0xFF]),
    lf(0x6FE1, "ef-ice-ff", 0, 0, 9).fill(&[0xFF]),
    lf(0x6FE5, "ef-psismsc", 0, 0, 5).required().services(&[12, 91]),
    df(0x5F50, "df-graphics"),
    lf(0x4F20, "ef-img", 0, 0, 2).fill(&[0x00, 0xFF]),
    tr(0x4F40, "ef-iidf", 0, 2).to(0x4F7F).fill(&[0xFF]),
    bt(0x4F21, "ef-ice-graphics", 0, 9),
    tr(0x4F01, "ef-launch-scws", 0, 10).required(),
    tr(0x4F80, "ef-icon", 0, 10).to(0x4FBF).required(),
    df(0x5F3A, "df-phonebook"),
    lf(0x4F30, "ef-pbr", 0, 0, 2).required(),
    lf(0x4F38, "ef-ext1", 0, 13, 5).to(0x4F3F).fill(&[0x00, 0xFF]),
    lf(0x4F40, "ef-aas", 0, 0, 5).to(0x4F47).fill(&[0xFF]),
    lf(0x4F48, "ef-gas", 0, 0, 5).to(0x4F4F).fill(&[0xFF]),
    tr(0x4F22, "ef-psc", 4, 5).bytes(&[0x00, 0x00, 0x00, 0x00]),
    tr(0x4F23, "ef-cc", 2, 5).bytes(&[0x00, 0x00]).high_update(),
    tr(0x4F24, "ef-puid", 2, 5).bytes(&[0x00, 0x00]).high_update(),
    lf(0x4F50, "ef-iap", 0, 0, 5).to(0x4F57).fill(&[0xFF]),
    lf(0x4F58, "ef-adn", 0, 0, 5).to(0x4F5F).fill(&[0xFF]),
    lf(0x4F60, "ef-pbc", 0, 2, 5).to(0x4F67).fill(&[0x00]),
    lf(0x4F68, "ef-anr", 0, 0, 5).to(0x4F6F).fill(&[0xFF]),
    lf(0x4F70, "ef-puri", 0, 0, 5).to(0x4F77).required(),
    lf(0x4F78, "ef-email", 0, 0, 5).to(0x4F7F).fill(&[0xFF]),
    lf(0x4F80, "ef-sne", 0, 0, 5).to(0x4F87).fill(&[0xFF]),
    lf(0x4F88, "ef-uid", 0, 2, 5).to(0x4F8F).bytes(&[0x00, 0x00]),
    lf(0x4F90, "ef-grp", 0, 0, 5).to(0x4F97).fill(&[0x00]),
    lf(0x4F98, "ef-ccp1", 0, 0, 5).to(0x4F9F).fill(&[0xFF]),
    df(0x5F3B, "df-multimedia").services(&[67]),
    bt(0x4F47, "ef-mml", 0, 5).services(&[67]),
    bt(0x4F48, "ef-mmdf", 0, 5).services(&[67]),
    df(0x5F3C, "df-mmss"),
    tr(0x4F20, "ef-mlpl", 0, 2).sfi(0x01).required(),
    tr(0x4F21, "ef-mspl", 0, 2).sfi(0x02).required(),
    tr(0x4F22, "ef-mmssmode", 1, 2).sfi(0x03).required(),
    df(0x5F3D, "df-mcs").services(&[109, 15]),
    tr(0x4F01, "ef-mst", 0, 2).sfi(0x01).required().services(&[109, 15]),
    bt(0x4F02, "ef-mcs-config", 0, 2).sfi(0x02).required().services(&[109, 15]),
    df(0x5F3E, "df-v2x").services(&[119]),
    tr(0x4F01, "ef-vst", 0, 2).sfi(0x01).required().services(&[119]),
    bt(0x4F02, "ef-v2x-config", 0, 2).sfi(0x02).required().services(&[119]),
    tr(0x4F03, "ef-v2xp-pc5", 0, 2).required().services(&[119]),
    tr(0x4F04, "ef-v2xp-Uu", 0, 2).required().services(&[119]),
];

/// PE-USIM, clause 9.5.1.
const USIM: [TemplateFile; 24] = [
    adf("adf-usim"),
    tr(0x6F07, "ef-imsi", 9, 2).sfi(0x07).required(),
    lf(0x6F06, "ef-arr", 0, 0, 10).sfi(0x17).required(),
    tr(0x6F08, "ef-keys", 33, 5).sfi(0x08).fill(&[0x07, 0xFF]).high_update(),
    tr(0x6F09, "ef-keysPS", 33, 5).sfi(0x09).fill(&[0x07, 0xFF]).high_update(),
    tr(0x6F31, "ef-hpplmn", 1, 2).sfi(0x12).bytes(&[0x0A]),
    tr(0x6F38, "ef-ust", 17, 2).sfi(0x04).required(),
    lf(0x6F3B, "ef-fdn", 20, 26, 8).fill(&[0xFF]).services(&[2, 89]),
    lf(0x6F3C, "ef-sms", 10, 176, 5).fill(&[0x00, 0xFF]).services(&[10]),
    lf(0x6F42, "ef-smsp", 1, 38, 5).fill(&[0xFF]).services(&[12]),
    tr(0x6F43, "ef-smss", 2, 5).bytes(&[0xFF, 0xFF]).services(&[10]),
    tr(0x6F46, "ef-spn", 17, 10).required().services(&[19]),
    tr(0x6F56, "ef-est", 1, 8).sfi(0x05).required().services(&[2, 6, 34, 35]),
    tr(0x6F5B, "ef-start-hfn", 6, 5).sfi(0x0F).bytes(&[0xF0, 0x00, 0x00, 0xF0, 0x00, 0x00]).high_update(),
    tr(0x6F5C, "ef-threshold", 3, 2).sfi(0x10).bytes(&[0xFF, 0xFF, 0xFF]),
    tr(0x6F73, "ef-psloci", 14, 5)
        .sfi(0x0C)
        .bytes(&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0xFF, 0x01])
        .high_update(),
    tr(0x6F78, "ef-acc", 2, 2).sfi(0x06).required(),
    tr(0x6F7B, "ef-fplmn", 12, 5).sfi(0x0D).fill(&[0xFF]),
    tr(0x6F7E, "ef-loci", 11, 5)
        .sfi(0x0B)
        .bytes(&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0xFF, 0x01])
        .high_update(),
    tr(0x6FAD, "ef-ad", 4, 10).sfi(0x03).bytes(&[0x00, 0x00, 0x00, 0x02]),
    lf(0x6FB7, "ef-ecc", 1, 4, 10).sfi(0x01).required(),
    tr(0x6FC4, "ef-netpar", 128, 5).fill(&[0xFF]).high_update(),
    tr(0x6FE3, "ef-epsloci", 18, 5)
        .sfi(0x1E)
        .bytes(&[
            0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x01,
        ])
        .services(&[85])
        .high_update(),
    lf(0x6FE4, "ef-epsnsc", 1, 80, 5).sfi(0x18).fill(&[0xFF]).services(&[85]).high_update(),
];

/// PE-OPT-USIM, clause 9.5.2.3.
const OPT_USIM: [TemplateFile; 86] = [
    tr(0x6F05, "ef-li", 6, 1).sfi(0x02).fill(&[0xFF]),
    tr(0x6F37, "ef-acmax", 3, 5).bytes(&[0x00, 0x00, 0x00]).services(&[13]),
    cy(0x6F39, "ef-acm", 1, 3, 7).bytes(&[0x00, 0x00, 0x00]).services(&[13]).high_update(),
    tr(0x6F3E, "ef-gid1", 8, 2).required().services(&[17]),
    tr(0x6F3F, "ef-gid2", 8, 2).required().services(&[18]),
    lf(0x6F40, "ef-msisdn", 1, 24, 2).fill(&[0xFF]).services(&[21]),
    tr(0x6F41, "ef-puct", 5, 5).bytes(&[0xFF, 0xFF, 0xFF, 0x00, 0x00]).services(&[13]),
    tr(0x6F45, "ef-cbmi", 10, 5).fill(&[0xFF]).services(&[15]),
    tr(0x6F48, "ef-cbmid", 10, 2).sfi(0x0E).fill(&[0xFF]).services(&[19]),
    lf(0x6F49, "ef-sdn", 10, 24, 2).fill(&[0xFF]).services(&[4, 89]),
    lf(0x6F4B, "ef-ext2", 10, 13, 8).fill(&[0x00, 0xFF]).services(&[3]),
    lf(0x6F4C, "ef-ext3", 10, 13, 2).fill(&[0x00, 0xFF]).services(&[5]),
    tr(0x6F50, "ef-cbmir", 20, 5).fill(&[0xFF]).services(&[16]),
    tr(0x6F60, "ef-plmnwact", 40, 5).sfi(0x0A).repeat(&[0xFF, 0xFF, 0xFF, 0x00, 0x00]).services(&[20]),
    tr(0x6F61, "ef-oplmnwact", 40, 2).sfi(0x11).repeat(&[0xFF, 0xFF, 0xFF, 0x00, 0x00]).services(&[42]),
    tr(0x6F62, "ef-hplmnwact", 5, 2).sfi(0x13).repeat(&[0xFF, 0xFF, 0xFF, 0x00, 0x00]).services(&[43]),
    tr(0x6F2C, "ef-dck", 16, 5).fill(&[0xFF]).services(&[36]),
    tr(0x6F32, "ef-cnl", 30, 2).fill(&[0xFF]).services(&[37]),
    lf(0x6F47, "ef-smsr", 10, 30, 5).fill(&[0x00, 0xFF]).services(&[11]),
    lf(0x6F4D, "ef-bdn", 10, 25, 8).fill(&[0xFF]).services(&[6]),
    lf(0x6F4E, "ef-ext5", 10, 13, 5).fill(&[0x00, 0xFF]).services(&[44]),
    lf(0x6F4F, "ef-ccp2", 5, 15, 5).sfi(0x16).fill(&[0xFF]).services(&[14]),
    lf(0x6F55, "ef-ext4", 10, 13, 8).fill(&[0x00, 0xFF]).services(&[7]),
    tr(0x6F57, "ef-acl", 101, 8).fill(&[0x00, 0xFF]).services(&[35]),
    lf(0x6F58, "ef-cmi", 10, 11, 2).fill(&[0xFF]).services(&[6]),
    cy(0x6F80, "ef-ici", 20, 38, 5)
        .sfi(0x14)
        .tail(&[0x00, 0x00, 0x00, 0x00, 0x01, 0xFF, 0xFF])
        .services(&[9])
        .high_update(),
    cy(0x6F81, "ef-oci", 20, 37, 5).sfi(0x15).tail(&[0x00, 0x00, 0x00, 0x01, 0xFF, 0xFF]).services(&[8]).high_update(),
    cy(0x6F82, "ef-ict", 1, 3, 7).bytes(&[0x00, 0x00, 0x00]).services(&[9]).high_update(),
    cy(0x6F83, "ef-oct", 1, 3, 7).bytes(&[0x00, 0x00, 0x00]).services(&[8]).high_update(),
    tr(0x6FB1, "ef-vgcs", 20, 2).required().services(&[57]),
    tr(0x6FB2, "ef-vgcss", 7, 5).required().services(&[57]),
    tr(0x6FB3, "ef-vbs", 20, 2).required().services(&[58]),
    tr(0x6FB4, "ef-vbss", 7, 5).required().services(&[58]),
    tr(0x6FB5, "ef-emlpp", 2, 2).required().services(&[24]),
    tr(0x6FB6, "ef-aaem", 1, 5).bytes(&[0x00]).services(&[25]),
    tr(0x6FC3, "ef-hiddenkey", 4, 5).fill(&[0xFF]),
    lf(0x6FC5, "ef-pnn", 10, 16, 10).sfi(0x19).required().services(&[45]),
    lf(0x6FC6, "ef-opl", 5, 8, 10).sfi(0x1A).required().services(&[46]),
    lf(0x6FC7, "ef-mbdn", 3, 24, 5).required().services(&[47]),
    lf(0x6FC8, "ef-ext6", 10, 13, 5).fill(&[0x00, 0xFF]).services(&[47]),
    lf(0x6FC9, "ef-mbi", 10, 5, 5).required().services(&[47]),
    lf(0x6FCA, "ef-mwis", 10, 6, 5).fill(&[0x00]).services(&[48]).high_update(),
    lf(0x6FCB, "ef-cfis", 10, 16, 5).fill(&[0x01, 0x00, 0xFF]).services(&[49]),
    lf(0x6FCC, "ef-ext7", 10, 13, 5).fill(&[0x00, 0xFF]).services(&[49]),
    tr(0x6FCD, "ef-spdi", 17, 2).sfi(0x1B).required().services(&[51]),
    lf(0x6FCE, "ef-mmsn", 10, 6, 5).fill(&[0x00, 0x00, 0x00, 0xFF]).services(&[52]),
    lf(0x6FCF, "ef-ext8", 10, 13, 5).fill(&[0x00, 0xFF]).services(&[53]),
    tr(0x6FD0, "ef-mmsicp", 100, 2).fill(&[0xFF]).services(&[52]),
    lf(0x6FD1, "ef-mmsup", 0, 0, 5).fill(&[0xFF]).services(&[52]),
    tr(0x6FD2, "ef-mmsucp", 100, 5).fill(&[0xFF]).services(&[52, 55]),
    lf(0x6FD3, "ef-nia", 5, 11, 2).fill(&[0xFF]).services(&[56]),
    tr(0x6FD4, "ef-vgcsca", 0, 2).fill(&[0x00]).services(&[64]),
    tr(0x6FD5, "ef-vbsca", 0, 2).fill(&[0x00]).services(&[65]),
    tr(0x6FD6, "ef-gbabp", 0, 5).fill(&[0xFF]).services(&[68]),
    lf(0x6FD7, "ef-msk", 0, 0, 2).fill(&[0xFF]).services(&[69]).high_update(),
    lf(0x6FD8, "ef-muk", 0, 0, 2).fill(&[0xFF]).services(&[69]),
    tr(0x6FD9, "ef-ehplmn", 15, 2).sfi(0x1D).fill(&[0xFF]).services(&[71]),
    lf(0x6FDA, "ef-gbanl", 0, 0, 2).fill(&[0xFF]).services(&[68]),
    tr(0x6FDB, "ef-ehplmnpi", 1, 2).bytes(&[0x00]).services(&[71, 73]),
    tr(0x6FDC, "ef-lrplmnsi", 1, 2).bytes(&[0x00]).services(&[74]),
    lf(0x6FDD, "ef-nafkca", 0, 0, 2).fill(&[0xFF]).services(&[68, 76]),
    tr(0x6FDE, "ef-spni", 0, 10).fill(&[0x00, 0xFF]).services(&[78]),
    lf(0x6FDF, "ef-pnni", 0, 0, 10).fill(&[0x00, 0xFF]).services(&[79]),
    lf(0x6FE2, "ef-ncp-ip", 0, 0, 2).required().services(&[80]),
    tr(0x6FE6, "ef-ufc", 30, 10).bytes(&[
        0x80, 0x1E, 0x60, 0xC0, 0x1E, 0x90, 0x00, 0x80, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xF0,
        0x00, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80,
    ]),
    tr(0x6FE8, "ef-nasconfig", 18, 2).required().services(&[96]),
    lf(0x6FE7, "ef-uicciari", 0, 0, 2).required().services(&[95]),
    tr(0x6FEC, "ef-pws", 0, 10).required().services(&[97]),
    lf(0x6FED, "ef-fdnuri", 0, 0, 8).fill(&[0xFF]).services(&[2, 99]),
    lf(0x6FEE, "ef-bdnuri", 0, 0, 8).fill(&[0xFF]).services(&[6, 99]),
    lf(0x6FEF, "ef-sdnuri", 0, 0, 2).fill(&[0xFF]).services(&[4, 99]),
    lf(0x6FF0, "ef-ial", 0, 0, 3).fill(&[0xFF]).services(&[102]),
    cy(0x6FF1, "ef-ips", 0, 4, 10).fill(&[0xFF]).services(&[102]).high_update(),
    lf(0x6FF2, "ef-ipd", 0, 0, 3).fill(&[0xFF]).services(&[102]).high_update(),
    tr(0x6FF3, "ef-epdgid", 0, 2).required().services(&[106, 107]),
    tr(0x6FF4, "ef-epdgselection", 0, 2).required().services(&[106, 107]),
    tr(0x6FF5, "ef-epdgidem", 0, 2).required().services(&[110, 111]),
    tr(0x6FF6, "ef-epdgselectionem", 0, 2).required().services(&[110, 111]),
    tr(0x6FF7, "ef-frompreferred", 1, 2).bytes(&[0x00]).services(&[114]),
    bt(0x6FF8, "ef-imsconfigdata", 0, 2).required().services(&[115]),
    tr(0x6FF9, "ef-3gpppsdataoff", 4, 2).required().services(&[117]),
    lf(0x6FFA, "ef-3gpppsdataoffservicelist", 0, 0, 2).required().services(&[118]),
    bt(0x6FFC, "ef-xcapconfigdata", 0, 2).required().services(&[120]),
    tr(0x6FFD, "ef-earfcnlist", 0, 10).required().services(&[121]),
    bt(0x6FFE, "ef-mudmidconfigdata", 0, 2).required().services(&[134]),
    tr(0x6F01, "ef-eaka", 1, 3).required().services(&[134]),
];

/// PE-GSM-ACCESS, clause 9.5.4.
const GSM_ACCESS: [TemplateFile; 5] = [
    df(0x5F3B, "df-gsm-access").services(&[27]),
    tr(0x4F20, "ef-kc", 9, 5).sfi(0x01).tail(&[0x07]).services(&[27]).high_update(),
    tr(0x4F52, "ef-kcgprs", 9, 5).sfi(0x02).tail(&[0x07]).services(&[27]).high_update(),
    tr(0x4F63, "ef-cpbcch", 10, 5).fill(&[0xFF]).services(&[39]).high_update(),
    tr(0x4F64, "ef-invscan", 1, 2).bytes(&[0x00]).services(&[40]),
];

/// PE-ISIM, clause 9.6.1.
const ISIM: [TemplateFile; 7] = [
    adf("adf-isim"),
    tr(0x6F02, "ef-impi", 0, 2).sfi(0x02).required(),
    lf(0x6F04, "ef-impu", 1, 0, 2).sfi(0x04).required(),
    tr(0x6F03, "ef-domain", 0, 2).sfi(0x05).required(),
    tr(0x6F07, "ef-ist", 14, 2).sfi(0x07).required(),
    tr(0x6FAD, "ef-ad", 3, 10).sfi(0x03).bytes(&[0x00, 0x00, 0x00]),
    lf(0x6F06, "ef-arr", 0, 0, 10).sfi(0x06).required(),
];

/// PE-OPT-ISIM, clause 9.6.2.
const OPT_ISIM: [TemplateFile; 14] = [
    lf(0x6F09, "ef-pcscf", 1, 0, 2).required().services(&[1, 5]),
    lf(0x6F3C, "ef-sms", 10, 176, 5).fill(&[0x00, 0xFF]).services(&[6, 8]),
    lf(0x6F42, "ef-smsp", 1, 38, 5).fill(&[0xFF]).services(&[8]),
    tr(0x6F43, "ef-smss", 2, 5).bytes(&[0xFF, 0xFF]).services(&[6, 8]),
    lf(0x6F47, "ef-smsr", 10, 30, 5).fill(&[0x00, 0xFF]).services(&[7, 8]),
    tr(0x6FD5, "ef-gbabp", 0, 5).fill(&[0xFF]).services(&[2]),
    lf(0x6FD7, "ef-gbanl", 0, 0, 2).fill(&[0xFF]).services(&[2]),
    lf(0x6FDD, "ef-nafkca", 0, 0, 2).fill(&[0xFF]).services(&[2, 4]),
    lf(0x6FE7, "ef-uicciari", 0, 0, 2).required().services(&[10]),
    tr(0x6FF7, "ef-frompreferred", 1, 2).bytes(&[0x00]).services(&[17]),
    bt(0x6FF8, "ef-imsconfigdata", 0, 2).required().services(&[18]),
    bt(0x6FFC, "ef-xcapconfigdata", 0, 2).required().services(&[19]),
    lf(0x6FFA, "ef-webrtcuri", 0, 0, 2).required().services(&[20]),
    bt(0x6FFE, "ef-mudmidconfigdata", 0, 2).required().services(&[21]),
];

/// PE-EAP, clause 9.8.
const EAP: [TemplateFile; 8] = [
    df(0x0000, "df-eap").services(&[124, 125]),
    tr(0x4F01, "ef-eapkeys", 0, 2).required().high_update(),
    tr(0x4F02, "ef-eapstatus", 1, 2).bytes(&[0x00]).high_update(),
    tr(0x4F03, "ef-puid", 0, 2).required(),
    tr(0x4F04, "ef-ps", 0, 5).fill(&[0xFF]).high_update(),
    tr(0x4F20, "ef-curid", 0, 5).fill(&[0xFF]).high_update(),
    tr(0x4F21, "ef-reid", 0, 5).required(),
    tr(0x4F22, "ef-realm", 0, 5).required(),
];

/// PE-DF-5GS, clause 9.5.11.4.
const DF_5GS: [TemplateFile; 20] = [
    df(0x5FC0, "df-df-5gs").services(&[122, 126, 127, 128, 129, 130]),
    tr(0x4F01, "ef-5gs3gpploci", 20, 5)
        .sfi(0x01)
        .bytes(&[
            0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00,
            0x00, 0x01,
        ])
        .services(&[122])
        .high_update(),
    tr(0x4F02, "ef-5gsn3gpploci", 20, 5)
        .sfi(0x02)
        .bytes(&[
            0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00,
            0x00, 0x01,
        ])
        .services(&[122])
        .high_update(),
    lf(0x4F03, "ef-5gs3gppnsc", 2, 62, 5).sfi(0x03).fill(&[0xFF]).services(&[122, 136]).high_update(),
    lf(0x4F04, "ef-5gsn3gppnsc", 2, 62, 5).sfi(0x04).fill(&[0xFF]).services(&[122, 136]).high_update(),
    tr(0x4F05, "ef-5gauthkeys", 110, 5).sfi(0x05).required().services(&[123]).high_update(),
    tr(0x4F06, "ef-uac-aic", 4, 2).sfi(0x06).required().services(&[126]),
    tr(0x4F07, "ef-suci-calc-info", 0, 2).sfi(0x07).fill(&[0xFF]).services(&[124]),
    lf(0x4F08, "ef-opl5g", 0, 10, 10).sfi(0x08).fill(&[0xFF]).services(&[129]),
    tr(0x4F09, "ef-supinai", 0, 2).sfi(0x09).required().services(&[130]),
    tr(0x4F0A, "ef-routing-indicator", 4, 2).sfi(0x0A).bytes(&[0xF0, 0xFF, 0x00, 0x00]).services(&[124]),
    bt(0x4F0B, "ef-ursp", 0, 2).services(&[132]),
    tr(0x4F0C, "ef-tn3gppsnn", 1, 2).sfi(0x0C).bytes(&[0x00]).services(&[135]),
    tr(0x4F0D, "ef-cag", 2, 2).sfi(0x0D).required().services(&[137]),
    tr(0x4F0E, "ef-sor-cmci", 0, 2).sfi(0x0E).required().services(&[138]),
    tr(0x4F0F, "ef-dri", 7, 2).sfi(0x0F).required().services(&[150]),
    tr(0x4F10, "ef-5gsedrx", 2, 2).sfi(0x10).required().services(&[141]),
    tr(0x4F11, "ef-5gnswo-conf", 1, 2).sfi(0x11).required().services(&[142]),
    tr(0x4F15, "ef-mchpplmn", 1, 2).sfi(0x15).required().services(&[144]),
    tr(0x4F16, "ef-kausf-derivation", 1, 2).sfi(0x16).required().services(&[145]),
];

/// PE-DF-SAIP, clause 9.5.12.
const DF_SAIP: [TemplateFile; 2] = [
    df(0x5FD0, "df-df-saip").services(&[124, 125]),
    tr(0x4F01, "ef-suci-calc-info-usim", 0, 3).fill(&[0xFF]).services(&[125]),
];

/// PE-DF-SNPN, clause 9.5.13.
const DF_SNPN: [TemplateFile; 2] =
    [df(0x5FE0, "df-df-snpn").services(&[143]), tr(0x4F01, "ef-pws-snpn", 1, 10).required().services(&[143])];

/// PE-DF-5GPROSE, clause 9.5.14.
const DF_5GPROSE: [TemplateFile; 7] = [
    df(0x5FF0, "df-df-5g-prose").services(&[139]),
    tr(0x4F01, "ef-5g-prose-st", 1, 2).sfi(0x01).required().services(&[139]),
    tr(0x4F02, "ef-5g-prose-dd", 26, 2).sfi(0x02).required().services(&[139]),
    tr(0x4F03, "ef-5g-prose-dc", 12, 2).sfi(0x03).required().services(&[139]),
    tr(0x4F04, "ef-5g-prose-u2nru", 32, 2).sfi(0x04).required().services(&[139]),
    tr(0x4F05, "ef-5g-prose-ru", 29, 2).sfi(0x05).required().services(&[139]),
    tr(0x4F06, "ef-5g-prose-uir", 32, 2).sfi(0x06).required().services(&[139]),
];

/// PE-PHONEBOOK: DF PHONEBOOK as it is in TELECOM.
const PHONEBOOK: &[TemplateFile] = TELECOM.split_at(13).1.split_at(18).0;

/// USIM before version 2: a shorter EF UST.
const USIM_V1: [TemplateFile; 24] = {
    let mut files = USIM;
    files[6].size = 14;
    files
};

/// 5GS version 3: the routing indicator's default has a trailing FFFF.
const DF_5GS_V3: [TemplateFile; 13] = {
    let mut files = [DF_5GS[0]; 13];
    files.copy_from_slice(first(&DF_5GS, 13));
    files[10] = files[10].bytes(&[0xF0, 0xFF, 0xFF, 0xFF]);
    files
};

/// 5GS version 2: one, shorter, security context.
const DF_5GS_V2: [TemplateFile; 13] = {
    let mut files = DF_5GS_V3;
    files[3] = lf(0x4F03, "ef-5gs3gppnsc", 1, 57, 5).sfi(0x03).fill(&[0xFF]).services(&[122]).high_update();
    files[4] = lf(0x4F04, "ef-5gsn3gppnsc", 1, 57, 5).sfi(0x04).fill(&[0xFF]).services(&[122]).high_update();
    files
};

/// PE-CSIM.
const CSIM: [TemplateFile; 35] = [
    adf("adf-csim"),
    lf(0x6F06, "ef-arr", 0, 0, 10).required(),
    cy(0x6F21, "ef-call-count", 1, 2, 5).fill(&[0x00]).high_update(),
    tr(0x6F22, "ef-imsi-m", 10, 2).required(),
    tr(0x6F23, "ef-imsi-t", 10, 2).required(),
    tr(0x6F24, "ef-tmsi", 16, 5).required().high_update(),
    tr(0x6F25, "ef-ah", 2, 5).fill(&[0x00]),
    tr(0x6F26, "ef-aop", 1, 2).required(),
    tr(0x6F27, "ef-aloc", 7, 5).fill(&[0x00]).high_update(),
    lf(0x6F28, "ef-cdmahome", 1, 5, 2).required(),
    lf(0x6F29, "ef-znregi", 0, 8, 5).required(),
    tr(0x6F2A, "ef-snregi", 7, 5).required(),
    tr(0x6F2B, "ef-distregi", 8, 5).fill(&[0x00]),
    tr(0x6F2C, "ef-accolc", 1, 2).required(),
    tr(0x6F2D, "ef-term", 1, 5).required(),
    tr(0x6F2F, "ef-acp", 7, 5).required(),
    tr(0x6F30, "ef-prl", 0, 10).required(),
    tr(0x6F31, "ef-ruimid", 8, 10).required(),
    tr(0x6F32, "ef-csim-st", 0, 2).required(),
    tr(0x6F33, "ef-spc", 3, 3).fill(&[0x00]),
    tr(0x6F34, "ef-otapaspc", 1, 5).required(),
    tr(0x6F35, "ef-namlock", 1, 5).required(),
    tr(0x6F36, "ef-ota", 17, 2).required(),
    tr(0x6F37, "ef-sp", 1, 5).required(),
    tr(0x6F38, "ef-esn-meid-me", 8, 5).fill(&[0x00]),
    tr(0x6F3A, "ef-li", 0, 1).required(),
    tr(0x6F42, "ef-usgind", 1, 10).required(),
    tr(0x6F43, "ef-ad", 3, 10).fill(&[0x00]),
    tr(0x6F45, "ef-max-prl", 4, 2).required(),
    tr(0x6F46, "ef-spcs", 1, 2).required(),
    tr(0x6F55, "ef-mecrp", 3, 5).fill(&[0x00]),
    tr(0x6F70, "ef-home-tag", 0, 2).fill(&[0x00]),
    tr(0x6F71, "ef-group-tag", 0, 2).fill(&[0x00]),
    tr(0x6F72, "ef-specific-tag", 0, 2).fill(&[0x00]),
    tr(0x6F73, "ef-call-prompt", 0, 2).fill(&[0x00]),
];

/// PE-OPT-CSIM.
const OPT_CSIM: [TemplateFile; 67] = [
    tr(0x6F2E, "ef-ssci", 1, 5),
    lf(0x6F3B, "ef-fdn", 0, 0, 8),
    lf(0x6F3C, "ef-sms", 0, 0, 5).fill(&[0x00, 0xFF]),
    lf(0x6F3D, "ef-smsp", 1, 0, 5),
    tr(0x6F3E, "ef-smss", 5, 5),
    tr(0x6F3F, "ef-ssfc", 0, 5),
    tr(0x6F41, "ef-spn", 35, 10),
    lf(0x6F44, "ef-mdn", 1, 11, 5),
    tr(0x6F47, "ef-ecc", 0, 10),
    tr(0x6F48, "ef-me3gpdopc", 1, 5),
    tr(0x6F49, "ef-3gpdopm", 1, 5),
    tr(0x6F4A, "ef-sipcap", 4, 2),
    tr(0x6F4B, "ef-mipcap", 5, 2),
    tr(0x6F4C, "ef-sipupp", 0, 2),
    tr(0x6F4D, "ef-mipupp", 0, 2),
    tr(0x6F4E, "ef-sipsp", 1, 5),
    tr(0x6F4F, "ef-mipsp", 0, 5),
    tr(0x6F50, "ef-sippapss", 0, 5),
    tr(0x6F53, "ef-puzl", 0, 2),
    tr(0x6F54, "ef-maxpuzl", 5, 2),
    tr(0x6F56, "ef-hrpdcap", 3, 2),
    tr(0x6F57, "ef-hrpdupp", 0, 2),
    tr(0x6F58, "ef-csspr", 1, 2),
    tr(0x6F59, "ef-atc", 1, 2),
    tr(0x6F5A, "ef-eprl", 0, 10),
    tr(0x6F5B, "ef-bcsmscfg", 1, 2),
    tr(0x6F5C, "ef-bcsmspref", 1, 5),
    lf(0x6F5D, "ef-bcsmstable", 0, 0, 2),
    lf(0x6F5E, "ef-bcsmsp", 0, 2, 5),
    lf(0x6F63, "ef-bakpara", 0, 0, 2),
    lf(0x6F64, "ef-upbakpara", 0, 0, 5),
    lf(0x6F65, "ef-mmsn", 0, 0, 5),
    lf(0x6F66, "ef-ext8", 0, 13, 5).fill(&[0x00, 0xFF]),
    tr(0x6F67, "ef-mmsicp", 0, 2),
    lf(0x6F68, "ef-mmsup", 0, 0, 5),
    tr(0x6F69, "ef-mmsucp", 0, 5),
    tr(0x6F6A, "ef-auth-capability", 0, 2),
    tr(0x6F6B, "ef-3gcik", 32, 5),
    tr(0x6F6C, "ef-dck", 20, 5),
    tr(0x6F6D, "ef-gid1", 0, 2),
    tr(0x6F6E, "ef-gid2", 0, 2),
    tr(0x6F6F, "ef-cdmacnl", 0, 2),
    tr(0x6F74, "ef-sf-euimid", 7, 10),
    tr(0x6F75, "ef-est", 1, 8),
    tr(0x6F76, "ef-hidden-key", 4, 5),
    tr(0x6F77, "ef-lcsver", 2, 2),
    tr(0x6F78, "ef-lcscp", 0, 2),
    lf(0x6F79, "ef-sdn", 0, 0, 2),
    lf(0x6F7A, "ef-ext2", 0, 13, 8).fill(&[0x00, 0xFF]),
    lf(0x6F7B, "ef-ext3", 0, 13, 2).fill(&[0x00, 0xFF]),
    cy(0x6F7C, "ef-ici", 0, 0, 5).high_update(),
    cy(0x6F7D, "ef-oci", 0, 0, 5).high_update(),
    lf(0x6F7E, "ef-ext5", 0, 13, 5).fill(&[0x00, 0xFF]),
    lf(0x6F7F, "ef-ccp2", 0, 15, 5),
    tr(0x6F80, "ef-applabels", 0, 2),
    tr(0x6F81, "ef-model", 126, 5),
    tr(0x6F82, "ef-rc", 0, 3),
    tr(0x6F83, "ef-smscap", 4, 2),
    tr(0x6F84, "ef-mipflags", 1, 2),
    tr(0x6F85, "ef-3gpduppext", 0, 2),
    tr(0x6F87, "ef-ipv6cap", 21, 2),
    tr(0x6F88, "ef-tcpconfig", 2, 2),
    tr(0x6F89, "ef-dgc", 3, 2),
    tr(0x6F8A, "ef-wapbrowsercp", 0, 2),
    tr(0x6F8B, "ef-wapbrowserbm", 0, 5),
    tr(0x6F8C, "ef-mmsconfig", 8, 2),
    tr(0x6F8D, "ef-jdl", 0, 2),
];

/// PE-IoT: MF and USIM in one. EF IMSI and EF ACC are all that a minimal profile must give.
const IOT: [TemplateFile; 22] = [
    MF[0],
    MF[1],
    MF[2],
    MF[3],
    MF[4],
    MF[5],
    USIM[0],
    USIM[1],
    USIM[2].named("ef-arr-usim"),
    USIM[3],
    USIM[4],
    USIM[5],
    USIM[6],
    USIM[13],
    USIM[14],
    USIM[15],
    USIM[16],
    USIM[17],
    USIM[18],
    USIM[19],
    USIM[20],
    USIM[21],
];

/// PE-OPT-IoT.
const OPT_IOT: [TemplateFile; 26] = [
    USIM[7],
    USIM[8],
    USIM[9],
    USIM[10],
    USIM[11],
    USIM[12],
    OPT_USIM[14],
    OPT_USIM[15],
    OPT_USIM[56],
    USIM[22],
    USIM[23],
    DF_5GS[0],
    DF_5GS[1],
    DF_5GS[2],
    DF_5GS[3],
    DF_5GS[4],
    DF_5GS[5],
    DF_5GS[6],
    DF_5GS[7],
    DF_5GS[8],
    DF_5GS[9].named("ef-supi-nai"),
    DF_5GS[10],
    DF_5GS[11],
    DF_5GS[12],
    DF_SAIP[0],
    DF_SAIP[1],
];
