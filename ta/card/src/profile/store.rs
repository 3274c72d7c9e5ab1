//! The stored forms of a profile, each behind a version byte.
//!
//! `Base`, version 1: metadata, kept profile elements, files with their content, PINs without their state, network
//! access applications without their sequence numbers. `Hot`, version 1: the state of each PIN, the sequence numbers
//! and the bootstrapping of each application, the counters of remote management, the changed files of
//! [`Profile::is_hot`]. `Changes`, version 1: the other changed files, the files that were created or resized since
//! with all that belongs to them, and which files were deleted. No fact is in two of them, except that what was
//! changed, resized or deleted was once otherwise: `Base` is read first, then `Hot`, then `Changes`, and the last one
//! counts.

use super::codec::{Decoder, Encoder};
use super::{
    Algorithm, Bootstrapping, Definition, File, FileIndex, FileKind, Naa, OtaCounter, Pin, Profile, Puk, Security,
    SharedPins, Unsaved,
};
use crate::platform::{ObjectId, ProfileSlot, Store, StoreError};
use alloc::vec::Vec;
use teuicc_tlv::{OutOfMemory, TryBytes};
use zeroize::{Zeroize, Zeroizing};

/// Version of all three objects.
const VERSION: u8 = 1;

/// Most files of a profile.
pub(crate) const MAX_FILES: usize = 1024;
/// Most bytes in all files of a profile.
pub(crate) const MAX_CONTENT: usize = 256 * 1024;
/// Most PINs of a profile: 26 references in the MF and in a number of contexts.
pub(crate) const MAX_PINS: usize = 256;
/// Most network access applications with keys of a profile.
pub(crate) const MAX_NAAS: usize = 16;
/// Most key sets with a counter of a profile.
pub(crate) const MAX_OTA_COUNTERS: usize = 64;
/// Most bytes of profile elements that are only kept.
pub(crate) const MAX_KEPT: usize = 32 * 1024;
/// Longest metadata, in bytes.
pub(crate) const MAX_METADATA: usize = 8 * 1024;

/// Longest AID and PIN status template DO, in bytes.
const MAX_ATTRIBUTE: usize = 255;
/// The life cycle status byte of most files: activated.
const ACTIVATED: u8 = 0x05;
/// Bytes of a sequence number.
const SEQ_LEN: usize = 6;
/// Bytes of a counter of remote management.
const OTA_COUNTER_LEN: usize = 5;

/// Bytes of the state of a PIN, and of an application, in `Hot`.
const PIN_STATE: usize = 11;
const NAA_STATE: usize = 32 * SEQ_LEN + 49;

/// Bits that say which attributes of a file follow.
mod flag {
    pub(super) const SFI: u8 = 1 << 0;
    pub(super) const LIFE_CYCLE: u8 = 1 << 1;
    pub(super) const SPECIAL: u8 = 1 << 2;
    pub(super) const AID: u8 = 1 << 3;
    pub(super) const PIN_STATUS: u8 = 1 << 4;
    pub(super) const LINK: u8 = 1 << 5;
    pub(super) const HIDDEN: u8 = 1 << 6;
    pub(super) const NEVER: u8 = 1 << 7;
}

type Written = Result<(), OutOfMemory>;
type Read<T> = Result<T, StoreError>;

impl Profile {
    /// Reads base, changes and hot of `slot`.
    ///
    /// Errors: a missing base or hot is corruption; damage; unreachable storage; out of memory.
    pub(crate) fn load(store: &dyn Store, slot: ProfileSlot) -> Result<Profile, StoreError> {
        let base = ObjectId::Base(slot);
        let mut profile = decode_base(&required(store, base)?, slot)?;
        let hot = ObjectId::Hot(slot);
        profile.apply_hot(&required(store, hot)?)?;
        if let Some(changes) = store.load(ObjectId::Changes(slot))?.map(Zeroizing::new) {
            profile.apply_changes(&changes)?;
        }
        Ok(profile)
    }

    /// First store of a new profile: replaces `Base`, then `Hot`, and reads them back: a package that makes something
    /// which [`Profile::load`] refuses must fail now, and not the card when the profile is enabled. The profile exists
    /// only when the registry says so.
    ///
    /// Errors: those of the store; what was written cannot be read. It then belongs to no profile.
    pub(crate) fn store_new(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        // Changes that a deleted profile left in this slot must not become those of this one.
        store.remove(ObjectId::Changes(self.slot))?;
        store.replace(ObjectId::Base(self.slot), self.encode_base()?.as_bytes())?;
        self.store_hot(store)?;
        Profile::load(store, self.slot).map(drop)
    }

    /// Only the metadata (BF25) of a stored profile, without building its files. `None` if they are damaged: the user
    /// must still be able to see the profile, and to get rid of it.
    ///
    /// Errors: unreachable storage; out of memory.
    pub(crate) fn load_metadata(store: &dyn Store, slot: ProfileSlot) -> Result<Option<Vec<u8>>, StoreError> {
        let id = ObjectId::Base(slot);
        let read = required(store, id).and_then(|base| Decoder::new(&base, VERSION, id)?.bytes(MAX_METADATA));
        match read {
            Err(StoreError::Corrupt(_)) => Ok(None),
            read => read.map(Some),
        }
    }

    /// Writes PIN states, sequence numbers and the changed files that a terminal rewrites all the time: 1 replace.
    ///
    /// Errors: those of the store; memory is then ahead of it, and [`Profile::unsaved`] still says so.
    pub(crate) fn store_hot(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        self.unsaved.hot = true;
        store.replace(ObjectId::Hot(self.slot), self.encode_hot()?.as_bytes())?;
        (self.unsaved.hot, self.unsaved.updates) = (false, 0);
        Ok(())
    }

    /// Writes all other files changed since the installation: 1 replace. Errors: as [`Profile::store_hot`].
    pub(crate) fn store_changes(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        self.unsaved.changes = true;
        store.replace(ObjectId::Changes(self.slot), self.encode_changes()?.as_bytes())?;
        self.unsaved.changes = false;
        Ok(())
    }

    fn encode_base(&self) -> Result<Encoder, OutOfMemory> {
        let contents = self.files.iter().fold(0usize, |sum, file| sum.saturating_add(file.content.len()));
        let capacity = contents.saturating_add(self.kept.len()).saturating_add(self.metadata.len());
        let mut out = Encoder::new(VERSION, capacity)?;
        out.bytes(&self.metadata)?;
        out.bytes(&self.kept)?;
        out.count(self.files.len())?;
        self.files.iter().try_for_each(|file| encode_file(&mut out, file))?;
        out.count(self.pins.len())?;
        self.pins.iter().try_for_each(|pin| encode_pin(&mut out, pin))?;
        out.count(self.shared_pins.len())?;
        for shared in &self.shared_pins {
            out.varint(shared.context.0.into())?;
            out.varint(shared.source.0.into())?;
        }
        out.count(self.naas.len())?;
        self.naas.iter().try_for_each(|naa| encode_naa(&mut out, naa))?;
        Ok(out)
    }

    fn encode_hot(&self) -> Result<Encoder, OutOfMemory> {
        // Written with every authentication, and wiped: no more than it needs, so that this costs little.
        let states =
            self.pins.len().saturating_mul(PIN_STATE).saturating_add(self.naas.len().saturating_mul(NAA_STATE));
        let mut out = Encoder::new(VERSION, states.saturating_add(64))?;
        out.count(self.pins.len())?;
        for pin in &self.pins {
            // In one piece: there are many PINs, and this is written with every authentication.
            let [a, b, c, d, e, f, g, h] = pin.value;
            let puk_tries = pin.puk.as_ref().map_or(0, |puk| puk.tries_left);
            let state: Zeroizing<[u8; PIN_STATE]> =
                Zeroizing::new([u8::from(pin.enabled), a, b, c, d, e, f, g, h, pin.tries_left, puk_tries]);
            out.fixed(&*state)?;
        }
        out.count(self.naas.len())?;
        for naa in &self.naas {
            let mut numbers = [[0; SEQ_LEN]; 32];
            for (number, seq) in numbers.iter_mut().zip(&naa.seq) {
                let [_, _, low @ ..] = seq.to_be_bytes();
                *number = low;
            }
            out.fixed(numbers.as_flattened())?;
            out.byte(u8::from(naa.bootstrapping.is_some()))?;
            if let Some(Bootstrapping { rand, ks }) = &naa.bootstrapping {
                out.fixed(rand)?;
                out.fixed(ks)?;
            }
        }
        out.count(self.ota_counters.len())?;
        for counter in &self.ota_counters {
            out.fixed(&[counter.domain, counter.version])?;
            out.fixed(counter.value.to_be_bytes().split_at(8 - OTA_COUNTER_LEN).1)?;
        }
        self.encode_changed(&mut out, true)?;
        Ok(out)
    }

    fn encode_changes(&self) -> Result<Encoder, OutOfMemory> {
        let mut out = Encoder::new(VERSION, 1024)?;
        self.encode_changed(&mut out, false)?;
        let count = |definition| {
            let defined = self.files.iter().filter(|file| file.definition == definition);
            defined.fold(0, |count: usize, _| count.saturating_add(1))
        };
        out.count(count(Definition::Changes))?;
        for (index, file) in self.indexed().filter(|(_, file)| file.definition == Definition::Changes) {
            out.varint(index.0.into())?;
            encode_file(&mut out, file)?;
        }
        out.count(count(Definition::Deleted))?;
        for (index, _) in self.places().filter(|(_, file)| file.definition == Definition::Deleted) {
            out.varint(index.0.into())?;
        }
        Ok(out)
    }

    /// The changed files that are kept in `Hot`, or those that are not; none whose attributes are written.
    fn encode_changed(&self, out: &mut Encoder, hot: bool) -> Written {
        let is_meant = move |index: FileIndex, file: &File| {
            file.changed && file.definition == Definition::Base && self.is_hot(index) == hot
        };
        let changed = || self.indexed().filter(move |(index, file)| is_meant(*index, file));
        out.count(changed().fold(0, |count: usize, _| count.saturating_add(1)))?;
        for (index, file) in changed() {
            out.varint(index.0.into())?;
            out.byte(file.life_cycle)?;
            out.runs(&file.content)?;
        }
        Ok(())
    }

    fn apply_hot(&mut self, object: &[u8]) -> Read<()> {
        let mut from = Decoder::new(object, VERSION, ObjectId::Hot(self.slot))?;
        let count = from.count(MAX_PINS)?;
        from.check(count, |count| *count == self.pins.len())?;
        for pin in &mut self.pins {
            pin.enabled = boolean(&mut from)?;
            pin.value = from.array()?;
            pin.tries_left = from.byte()?;
            from.check((), |()| pin.tries_left <= pin.max_tries)?;
            let puk_tries = from.byte()?;
            from.check((), |()| puk_tries <= pin.puk.as_ref().map_or(0, |puk| puk.max_tries))?;
            if let Some(puk) = &mut pin.puk {
                puk.tries_left = puk_tries;
            }
        }
        let count = from.count(MAX_NAAS)?;
        from.check(count, |count| *count == self.naas.len())?;
        for naa in &mut self.naas {
            for seq in &mut naa.seq {
                *seq = from.array::<SEQ_LEN>()?.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
            }
            if boolean(&mut from)? {
                naa.bootstrapping = Some(Bootstrapping { rand: from.array()?, ks: from.array()? });
            }
        }
        for _ in 0..from.count(MAX_OTA_COUNTERS)? {
            let [domain, version] = from.array()?;
            let known = self.ota_counter(domain, version).is_some();
            let value = from.array::<OTA_COUNTER_LEN>()?.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
            from.check((), |()| !known)?;
            self.ota_counters.try_push(OtaCounter { domain, version, value })?;
        }
        self.apply_changed(&mut from, true)?;
        from.finish()
    }

    fn apply_changes(&mut self, object: &[u8]) -> Read<()> {
        let mut from = Decoder::new(object, VERSION, ObjectId::Changes(self.slot))?;
        self.apply_changed(&mut from, false)?;
        self.apply_definitions(&mut from)?;
        self.apply_deletions(&mut from)?;
        from.finish()
    }

    /// Files that were created or resized since the installation.
    fn apply_definitions(&mut self, from: &mut Decoder<'_>) -> Read<()> {
        for _ in 0..from.count(MAX_FILES)? {
            let place = from.count(MAX_FILES.saturating_sub(1))?;
            // Places in between were those of files that were created and deleted again.
            while self.files.len() < place {
                self.files.try_push(File::deleted())?;
            }
            let (before, _) = self.files.split_at_checked(place).ok_or(from.corrupt())?;
            let defined = File { definition: Definition::Changes, ..decode_file(from, before, MAX_CONTENT)? };
            match self.files.get_mut(place) {
                Some(file) if file.is_directory() => return Err(from.corrupt()),
                Some(file) => core::mem::replace(file, defined).content.zeroize(),
                None => self.files.try_push(defined)?,
            }
        }
        Ok(())
    }

    /// Files that were deleted since the installation.
    fn apply_deletions(&mut self, from: &mut Decoder<'_>) -> Read<()> {
        for _ in 0..from.count(MAX_FILES)? {
            let place = from.count(MAX_FILES.saturating_sub(1))?;
            from.check(place, |place| *place != 0)?;
            // What was created and deleted again is not there to be deleted.
            if let Some(file) = self.files.get_mut(place) {
                file.delete();
            }
        }
        Ok(())
    }

    fn apply_changed(&mut self, from: &mut Decoder<'_>, hot: bool) -> Read<()> {
        for _ in 0..from.count(MAX_FILES)? {
            let index = index(from)?;
            let life_cycle = from.byte()?;
            let content = from.runs(MAX_CONTENT)?;
            let corrupt = from.corrupt();
            let belongs = self.is_hot(index) == hot;
            let file = self.files.get_mut(usize::from(index.0)).filter(|_| belongs).ok_or(corrupt)?;
            let fits = match file.kind {
                FileKind::BerTlv(max) if file.link.is_none() => {
                    u32::try_from(content.len()).is_ok_and(|len| len <= max)
                }
                _ => content.len() == file.content.len(),
            };
            from.check((), |()| fits && !file.changed)?;
            file.content.zeroize();
            file.content = content;
            file.life_cycle = life_cycle;
            file.changed = true;
        }
        Ok(())
    }
}

/// An object that a listed profile must have.
fn required(store: &dyn Store, id: ObjectId) -> Read<Zeroizing<Vec<u8>>> {
    store.load(id)?.map(Zeroizing::new).ok_or(StoreError::Corrupt(id))
}

fn decode_base(object: &[u8], slot: ProfileSlot) -> Read<Profile> {
    let mut from = Decoder::new(object, VERSION, ObjectId::Base(slot))?;
    let mut profile = Profile {
        slot,
        metadata: from.bytes(MAX_METADATA)?,
        kept: from.bytes(MAX_KEPT)?,
        ota_counters: Vec::new(),
        files: Vec::new(),
        pins: Vec::new(),
        shared_pins: Vec::new(),
        naas: Vec::new(),
        unsaved: Unsaved::default(),
    };
    let files = from.count(MAX_FILES)?;
    profile.files.try_reserve_exact(files).map_err(|_| StoreError::OutOfMemory)?;
    let mut room = MAX_CONTENT;
    for _ in 0..files {
        let file = decode_file(&mut from, &profile.files, room)?;
        room = room.saturating_sub(file.content.len());
        profile.files.try_push(file)?;
    }
    // Reserved, as for keys below, because growth would leave copies behind.
    let pins = from.count(MAX_PINS)?;
    profile.pins.try_reserve_exact(pins).map_err(|_| StoreError::OutOfMemory)?;
    for _ in 0..pins {
        let pin = decode_pin(&mut from, &profile.files)?;
        profile.pins.try_push(pin)?;
    }
    for _ in 0..from.count(MAX_FILES)? {
        let context = directory(&mut from, &profile.files)?;
        let source = directory(&mut from, &profile.files)?;
        profile.shared_pins.try_push(SharedPins { context, source })?;
    }
    let naas = from.count(MAX_NAAS)?;
    profile.naas.try_reserve_exact(naas).map_err(|_| StoreError::OutOfMemory)?;
    for _ in 0..naas {
        let naa = decode_naa(&mut from, &profile.files)?;
        profile.naas.try_push(naa)?;
    }
    from.finish()?;
    Ok(profile)
}

fn encode_file(out: &mut Encoder, file: &File) -> Written {
    let given = |flag: u8, given: bool| if given { flag } else { 0 };
    let flags = given(flag::SFI, file.sfi.is_some())
        | given(flag::LIFE_CYCLE, file.life_cycle != ACTIVATED)
        | given(flag::SPECIAL, file.special != 0)
        | given(flag::AID, !file.aid.is_empty())
        | given(flag::PIN_STATUS, !file.pin_status.is_empty())
        | given(flag::LINK, file.link.is_some())
        | given(flag::HIDDEN, !file.visible)
        | given(flag::NEVER, matches!(file.security, Security::Never));
    out.varint(file.parent.0.into())?;
    out.fixed(&file.fid.to_be_bytes())?;
    encode_kind(out, file.kind, file.shareable)?;
    out.byte(flags)?;
    if let Some(sfi) = file.sfi {
        out.byte(sfi)?;
    }
    if flags & flag::LIFE_CYCLE != 0 {
        out.byte(file.life_cycle)?;
    }
    if flags & flag::SPECIAL != 0 {
        out.byte(file.special)?;
    }
    if flags & flag::AID != 0 {
        out.bytes(&file.aid)?;
    }
    if flags & flag::PIN_STATUS != 0 {
        out.bytes(&file.pin_status)?;
    }
    if let Some(link) = file.link {
        out.varint(link.0.into())?;
    }
    if let Security::Arr { file, record } = file.security {
        out.fixed(&file.to_be_bytes())?;
        out.byte(record)?;
    }
    if holds_content(file.kind, file.link) { out.runs(&file.content) } else { Ok(()) }
}

/// Whether a file has content of its own.
fn holds_content(kind: FileKind, link: Option<FileIndex>) -> bool {
    link.is_none() && !matches!(kind, FileKind::Mf | FileKind::Df | FileKind::Adf)
}

/// A file that stands after `before`, with at most `room` bytes of content.
fn decode_file(from: &mut Decoder<'_>, before: &[File], room: usize) -> Read<File> {
    let parent = index(from)?;
    let fid = u16::from_be_bytes(from.array()?);
    let (kind, shareable) = decode_kind(from)?;
    let flags = from.byte()?;
    let has = |flag: u8| flags & flag != 0;
    let first = before.is_empty();
    let parent_is_directory = before.get(usize::from(parent.0)).is_some_and(File::is_directory);
    from.check((), |()| if first { parent == FileIndex::MF } else { parent_is_directory })?;
    from.check((), |()| first == (kind == FileKind::Mf))?;
    let sfi = if has(flag::SFI) { Some(from.byte()?) } else { None };
    from.check((), |()| sfi.is_none_or(|sfi| (1..=30).contains(&sfi)))?;
    let life_cycle = if has(flag::LIFE_CYCLE) { from.byte()? } else { ACTIVATED };
    let special = if has(flag::SPECIAL) { from.byte()? } else { 0 };
    let aid = if has(flag::AID) { from.bytes(MAX_ATTRIBUTE)? } else { Vec::new() };
    from.check((), |()| aid.len() <= 16)?;
    let pin_status = if has(flag::PIN_STATUS) { from.bytes(MAX_ATTRIBUTE)? } else { Vec::new() };
    let link = if has(flag::LINK) { Some(index(from)?) } else { None };
    let target = link.map(|link| before.get(usize::from(link.0)));
    from.check((), |()| {
        target.is_none_or(|file| file.is_some_and(|file| !file.is_directory() && file.link.is_none()))
    })?;
    let security = if has(flag::NEVER) {
        Security::Never
    } else {
        Security::Arr { file: u16::from_be_bytes(from.array()?), record: from.byte()? }
    };
    let content = if holds_content(kind, link) { from.runs(room)? } else { Vec::new() };
    from.check((), |()| content_fits(kind, content.len()))?;
    let visible = !has(flag::HIDDEN);
    Ok(File {
        parent,
        fid,
        kind,
        sfi,
        security,
        life_cycle,
        special,
        aid,
        pin_status,
        link,
        visible,
        shareable,
        content,
        changed: false,
        definition: Definition::Base,
    })
}

/// Whether a file of this kind can have this many bytes.
fn content_fits(kind: FileKind, length: usize) -> bool {
    match kind {
        FileKind::LinearFixed(record) | FileKind::Cyclic(record) => {
            length.checked_rem(record.into()).is_some_and(|rest| rest == 0)
        }
        FileKind::BerTlv(max) => u32::try_from(length).is_ok_and(|length| length <= max),
        FileKind::Transparent => true,
        FileKind::Mf | FileKind::Df | FileKind::Adf => length == 0,
    }
}

/// Bit of the kind byte: not shareable.
const NOT_SHAREABLE: u8 = 0x80;

fn encode_kind(out: &mut Encoder, kind: FileKind, shareable: bool) -> Written {
    let flag = if shareable { 0 } else { NOT_SHAREABLE };
    match kind {
        FileKind::Mf => out.byte(flag),
        FileKind::Df => out.byte(1 | flag),
        FileKind::Adf => out.byte(2 | flag),
        FileKind::Transparent => out.byte(3 | flag),
        FileKind::LinearFixed(record) => out.fixed(&[4 | flag, record]),
        FileKind::Cyclic(record) => out.fixed(&[5 | flag, record]),
        FileKind::BerTlv(max) => {
            out.byte(6 | flag)?;
            out.varint(max.into())
        }
    }
}

/// The kind, and whether the file is shareable.
fn decode_kind(from: &mut Decoder<'_>) -> Read<(FileKind, bool)> {
    let byte = from.byte()?;
    let kind = match byte & !NOT_SHAREABLE {
        0 => FileKind::Mf,
        1 => FileKind::Df,
        2 => FileKind::Adf,
        3 => FileKind::Transparent,
        4 => FileKind::LinearFixed(from.byte()?),
        5 => FileKind::Cyclic(from.byte()?),
        6 => FileKind::BerTlv(u32::try_from(from.varint()?).map_err(|_| from.corrupt())?),
        _ => return Err(from.corrupt()),
    };
    Ok((kind, byte & NOT_SHAREABLE == 0))
}

fn encode_pin(out: &mut Encoder, pin: &Pin) -> Written {
    out.byte(pin.reference)?;
    out.varint(pin.context.0.into())?;
    out.byte(pin.attributes)?;
    out.byte(pin.max_tries)?;
    match &pin.puk {
        None => out.byte(0),
        Some(puk) => {
            out.byte(puk.reference)?;
            out.byte(puk.max_tries)?;
            out.fixed(&puk.value)
        }
    }
}

/// A PIN whose state is in `Hot`.
fn decode_pin(from: &mut Decoder<'_>, files: &[File]) -> Read<Pin> {
    let reference = from.byte()?;
    let context = directory(from, files)?;
    let attributes = from.byte()?;
    let max_tries = tries(from)?;
    let puk = match from.byte()? {
        0 => None,
        reference => Some(Puk { reference, max_tries: tries(from)?, value: from.array()?, tries_left: 0 }),
    };
    Ok(Pin { reference, context, value: [0xFF; 8], enabled: true, attributes, max_tries, tries_left: 0, puk })
}

fn encode_naa(out: &mut Encoder, naa: &Naa) -> Written {
    out.varint(naa.adf.0.into())?;
    out.byte(naa.sqn_options)?;
    out.varint(naa.sqn_delta)?;
    out.varint(naa.sqn_age_limit)?;
    match &naa.algorithm {
        Algorithm::Milenage { k, opc, rotations, constants } => {
            out.byte(1)?;
            out.fixed(k)?;
            out.fixed(opc)?;
            out.fixed(rotations)?;
            out.runs(constants.as_flattened())
        }
        Algorithm::Tuak { k, topc, res_len, iterations } => {
            out.byte(2)?;
            out.bytes(k)?;
            out.fixed(topc)?;
            out.fixed(&[*res_len, *iterations])
        }
        Algorithm::XorTest { k, res_len } => {
            out.byte(3)?;
            out.fixed(k)?;
            out.byte(*res_len)
        }
    }
}

/// A network access application whose sequence numbers are in `Hot`.
fn decode_naa(from: &mut Decoder<'_>, files: &[File]) -> Read<Naa> {
    let adf = directory(from, files)?;
    let sqn_options = from.byte()?;
    let sqn_delta = from.varint()?;
    let sqn_age_limit = from.varint()?;
    let algorithm = match from.byte()? {
        1 => {
            let (k, opc, rotations) = (from.array()?, from.array()?, from.array()?);
            let flat = from.runs(80)?;
            let (chunks, rest) = flat.as_chunks::<16>();
            let constants = <[[u8; 16]; 5]>::try_from(chunks).map_err(|_| from.corrupt())?;
            from.check((), |()| rest.is_empty())?;
            Algorithm::Milenage { k, opc, rotations, constants }
        }
        2 => {
            let k = from.bytes(32)?;
            let (topc, [res_len, iterations]) = (from.array()?, from.array()?);
            from.check((), |()| matches!(k.len(), 16 | 32) && matches!(res_len, 4 | 8 | 16) && iterations > 0)?;
            Algorithm::Tuak { k, topc, res_len, iterations }
        }
        3 => Algorithm::XorTest { k: from.array()?, res_len: from.byte()? },
        _ => return Err(from.corrupt()),
    };
    Ok(Naa { adf, algorithm, sqn_options, sqn_delta, sqn_age_limit, seq: [0; 32], bootstrapping: None })
}

fn index(from: &mut Decoder<'_>) -> Read<FileIndex> {
    let number = from.count(MAX_FILES)?;
    Ok(FileIndex(u16::try_from(number).map_err(|_| from.corrupt())?))
}

/// The index of an MF, DF or ADF.
fn directory(from: &mut Decoder<'_>, files: &[File]) -> Read<FileIndex> {
    let index = index(from)?;
    from.check(index, |index| files.get(usize::from(index.0)).is_some_and(File::is_directory))
}

fn boolean(from: &mut Decoder<'_>) -> Read<bool> {
    match from.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(from.corrupt()),
    }
}

/// The most tries of a PIN or PUK.
fn tries(from: &mut Decoder<'_>) -> Read<u8> {
    let tries = from.byte()?;
    from.check(tries, |tries| *tries <= 15)
}
