//! What is around the card: a test PKI, an SM-DP+ with subscribers, an LPA and a modem, all in this process.

use crate::machine::Machine;
use crate::relay::{Crossings, Relay};
use anyhow::{Context, bail};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use teuicc_daemon::factory::{self, Settings};
use teuicc_daemon::terminal::Terminal;
use teuicc_lpa::download::{Installed, Order, Request, download};
use teuicc_lpa::drive::{Card as LpaCard, SlotCard, drive_card};
use teuicc_lpa::http::TlsClient;
use teuicc_lpa::profiles::{self, ProfileId};
use teuicc_lpa::{ActivationCode, CardFault, LpaError, Operation, drive};
use teuicc_modem_bridge::testing::SlotTransport;
use teuicc_modem_bridge::testing::modem::{Modem, ModemOptions};
use teuicc_modem_bridge::testing::network::Subscriber;
use teuicc_rsp::crypto::Curve;
use teuicc_rsp::{Eid, Iccid};
use teuicc_rsp_server::{Metadata, NewProfile, OrderOptions, Server, ServerHandle, SmDp, SmDpConfig, TestPki};
use teuicc_saip::build::add_file;
use teuicc_slot::{CardLink, LinkError, Slot, SlotConfig, Wire};
use teuicc_wire::{State, Transmitted};
use tokio::runtime::Runtime;

/// The key of every subscriber; the profiles differ in their ICCID and IMSI.
pub const K: [u8; 16] = *b"K of a test card";
/// OPc, likewise.
pub const OPC: [u8; 16] = *b"OPc, likewise so";

/// A PKI and an SM-DP+ that serves.
pub struct World {
    folder: TempDir,
    runtime: Runtime,
    pki: TestPki,
    server: ServerHandle,
}

/// A profile at the SM-DP+, and its subscriber as the network knows it.
pub struct Subscription {
    /// The ICCID.
    pub iccid: Iccid,
    /// The IMSI.
    pub imsi: String,
    /// The authentication centre's record.
    pub subscriber: Subscriber,
}

impl World {
    /// Makes the PKI and starts the SM-DP+ on loopback.
    pub fn new() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("teuicc-world-").tempdir()?;
        let runtime = Runtime::new()?;
        let pki = TestPki::generate(&folder.path().join("pki"))?;
        let config = SmDpConfig { folder: folder.path().join("smdp"), pki: pki.folder().to_owned(), address: None };
        let server = runtime.block_on(async {
            let smdp = Arc::new(SmDp::open(&config).await?);
            Server::start(smdp, (Ipv4Addr::LOCALHOST, 0).into()).await
        })?;
        Ok(World { folder, runtime, pki, server })
    }

    /// The folder of the certificates.
    #[must_use]
    pub fn pki(&self) -> &Path {
        self.pki.folder()
    }

    /// Has the card make its keys, signs its certificates and installs them.
    pub fn personalize(&self, card: &mut dyn CardLink) -> anyhow::Result<Eid> {
        factory::personalize(card, &self.pki, None, &Settings::default())
    }

    /// Adds a profile with this number, 0 to 9999, to the SM-DP+.
    pub fn subscribe(&self, number: u32) -> anyhow::Result<Subscription> {
        self.subscribe_with(number, &[])
    }

    /// As [`World::subscribe`], with an EF below the MF for each of `files`: FID and content.
    pub fn subscribe_with(&self, number: u32, files: &[(u16, Vec<u8>)]) -> anyhow::Result<Subscription> {
        let iccid = with_check_digit(&format!("89882110000000{number:04}"));
        let imsi = format!("00101000000{number:04}");
        let description = self.folder.path().join(format!("profile-{number}.toml"));
        let (k, opc) = (hex(&K), hex(&OPC));
        std::fs::write(
            &description,
            format!("iccid = \"{iccid}\"\nimsi = \"{imsi}\"\nk = \"{k}\"\nopc = \"{opc}\"\n"),
        )?;
        let mut profile = NewProfile::from_file(&description, Metadata::default())?;
        for (fid, content) in files {
            add_file(&mut profile.package, *fid, content)?;
        }
        let iccid = self.runtime.block_on(self.server.smdp.add_profile(&profile))?;
        Ok(Subscription { iccid, imsi, subscriber: Subscriber::new(K, OPC, 0) })
    }

    /// Orders the download of a profile.
    pub fn order(&self, iccid: Iccid) -> anyhow::Result<ActivationCode> {
        let options = OrderOptions { iccid: Some(iccid), ..OrderOptions::default() };
        let code = self.runtime.block_on(self.server.smdp.order(&options))?;
        Ok(code.to_string().parse::<ActivationCode>()?)
    }

    /// Downloads and installs what `code` orders.
    pub fn download(&self, card: &Card, code: &ActivationCode) -> Result<Installed, LpaError> {
        let mut lpa = SlotCard::power_up(&card.slot).map_err(|error| refused(&error))?;
        self.download_through(&mut lpa, code)
    }

    /// As [`World::download`], with the card's LPA interface in whatever form.
    pub fn download_through(&self, lpa: &mut dyn LpaCard, code: &ActivationCode) -> Result<Installed, LpaError> {
        let request = Request::new(Order::ActivationCode(code.clone()));
        let certificate = self.pki.ci_certificate(Curve::P256).unwrap_or_default();
        let mut http = TlsClient::new(&[certificate]).map_err(|error| refused(&error))?;
        drive(download(request), lpa, &mut http, &mut Terminal::new(true, true))
    }
}

/// The LPA's interface of a card, which takes one command at a time, as a reader does.
pub struct OneByOne(SlotCard);

impl OneByOne {
    /// Powers the interface.
    pub fn power_up(card: &Card) -> Result<Self, CardFault> {
        SlotCard::power_up(&card.slot).map(OneByOne)
    }
}

impl LpaCard for OneByOne {
    fn transmit(&mut self, commands: Vec<Vec<u8>>) -> Result<Transmitted, CardFault> {
        let (mut executed, mut proactive_pending, mut card_changed) = (0, false, false);
        let mut last = Vec::new();
        for command in commands {
            let done = self.0.transmit(vec![command])?;
            executed += done.executed;
            proactive_pending |= done.proactive_pending;
            card_changed |= done.card_changed;
            last = done.last;
            if last != [0x90, 0x00] {
                break;
            }
        }
        Ok(Transmitted { executed, last, proactive_pending, card_changed })
    }
}

fn refused(error: &dyn std::error::Error) -> LpaError {
    LpaError::Card { function: "power-up", fault: CardFault(error.to_string()) }
}

/// The card in a guest, in a slot of this process.
pub struct Card {
    /// The slot.
    pub slot: Slot,
    /// Counts the requests that cross into the secure world.
    pub crossings: Crossings,
}

impl Card {
    /// Starts the relay and puts the card into a slot.
    pub fn insert(machine: &mut Machine) -> anyhow::Result<Self> {
        let relay = Relay::start(machine)?;
        let crossings = relay.crossings();
        let slot = Slot::start(Wire::new(relay), SlotConfig::default())?;
        Ok(Card { slot, crossings })
    }

    /// Whether the card has an identity. Errors: what the card says, damage of its storage among it.
    pub fn state(&self) -> Result<State, LinkError> {
        Ok(self.slot.blocking_hello()?.state)
    }

    /// Does something that needs no server.
    pub fn lpa<T>(&self, operation: Operation<T>) -> Result<T, LpaError> {
        let mut lpa = SlotCard::power_up(&self.slot).map_err(|error| refused(&error))?;
        drive_card(operation, &mut lpa)
    }

    /// The profiles: ICCID, and whether it is enabled; sorted.
    pub fn profiles(&self) -> Result<Vec<(String, bool)>, LpaError> {
        let profiles = self.lpa(profiles::list())?;
        let mut listed: Vec<_> = profiles
            .into_iter()
            .map(|profile| (profile.iccid.map(|iccid| iccid.to_string()).unwrap_or_default(), profile.enabled))
            .collect();
        listed.sort();
        Ok(listed)
    }

    /// Enables a profile, with a REFRESH.
    pub fn enable(&self, iccid: Iccid) -> Result<(), LpaError> {
        self.lpa(profiles::enable(ProfileId::Iccid(iccid), true))
    }

    /// A modem at the card, which has booted. Errors: it does not find the subscription `expected`.
    pub fn modem(&self, expected: &Subscription) -> anyhow::Result<Modem<SlotTransport>> {
        let mut modem = Modem::new(SlotTransport::new(self.slot.clone()), ModemOptions::default());
        let report = modem.boot().context("the modem's boot")?;
        if report.iccid != expected.iccid.to_string() || report.imsi != expected.imsi {
            bail!("the modem found ICCID {} and IMSI {}, not {}", report.iccid, report.imsi, expected.iccid);
        }
        Ok(modem)
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        self.slot.blocking_close();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Appends the check digit of ISO/IEC 7812-1 (Luhn).
fn with_check_digit(digits: &str) -> String {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit - b'0');
            if place % 2 == 1 { value } else { value * 2 / 10 + value * 2 % 10 }
        })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

#[cfg(test)]
mod tests {
    use super::with_check_digit;

    #[test]
    fn check_digits() {
        assert_eq!(with_check_digit("898821100000000001"), "8988211000000000011");
        assert_eq!(with_check_digit("7992739871"), "79927398713");
    }
}
