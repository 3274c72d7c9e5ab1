//! Runs a session of QMI UIM Remote over QMUX and one over MBIM, with everything that the bridge ever says, and prints
//! their frames for `build/peers/qmi`. With `--proxy`, one over QMUX through libqmi's proxy, which has to run.

use std::collections::BTreeMap;
use std::time::Duration;
use teuicc_modem_bridge::qmi::{self, Config, Modem, ModemSlot};
use teuicc_modem_bridge::testing::qmi::{ATR_LIMIT, QmiModem};
use teuicc_modem_bridge::testing::{ModemSide, Running, Transport};
use teuicc_slot::{Exchange, Interface, LinkError, Slot, SlotConfig, Wire};
use teuicc_wire::{Request, Response, Transmitted};

const SOON: Duration = Duration::from_secs(10);

/// Answers every command of the modem with two bytes, and every one of the LPA with a changed card.
struct FakeCard;

impl Exchange for FakeCard {
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, LinkError> {
        let response = match Request::decode(request).map_err(LinkError::transport)? {
            Request::PowerUp(_) => Response::Atr(vec![0x3B, 0x00]),
            Request::Transmit { interface, .. } => Response::Transmitted(Transmitted {
                executed: 1,
                last: vec![0xAA, 0xBB, 0x90, 0x00],
                proactive_pending: false,
                card_changed: interface == Interface::Lpa,
            }),
            _ => Response::Done,
        };
        response.encode().map_err(LinkError::transport)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().any(|argument| argument == "--proxy") {
        return session(QmiModem::qmux()?, |device| Modem::Qmux { device, proxy: true });
    }
    session(QmiModem::qmux()?, |device| Modem::Qmux { device, proxy: false })?;
    session(QmiModem::mbim()?, |device| Modem::Mbim { device })
}

fn session(
    mut modem: QmiModem,
    at: impl FnOnce(std::path::PathBuf) -> Modem,
) -> Result<(), Box<dyn std::error::Error>> {
    let slot = Slot::start(Wire::new(FakeCard), SlotConfig::default())?;
    let config = Config { absence: Duration::from_millis(50), ..Config::new(at(modem.device())) };
    let mut bridge = Running::start(&slot, |slot, status, end| {
        qmi::run(BTreeMap::from([(ModemSlot::default(), slot)]), config, status, end)
    })?;
    modem.await_offer(SOON)?;
    modem.cold_reset()?;
    modem.tpdu(&[0x00, 0xA4, 0x00, 0x04, 0x02, 0x3F, 0x00])?;
    modem.tpdu(&[0x00, 0xC0, 0x00, 0x00, 0x02])?;
    let lpa = slot.blocking_power_up(Interface::Lpa)?.generation;
    slot.blocking_transmit(Interface::Lpa, lpa, vec![vec![0x80, 0xE2, 0x91, 0x00]])?;
    modem.await_removal(SOON)?;
    modem.await_insertion()?;
    modem.power_down()?;
    modem.power_up(ATR_LIMIT)?;
    modem.warm_reset()?;
    modem.power_down()?;
    // Without power: a failure.
    let id = modem.send_command(&[0x00, 0xA4, 0x00, 0x04, 0x02, 0x3F, 0x00])?;
    modem.await_answer(id, SOON)?;
    modem.disconnect()?;
    bridge.ask_to_end();
    for _ in 0..2 {
        modem.hear(SOON)?;
    }
    modem.await_release(SOON)?;
    bridge.end()?;
    for line in modem.recorded() {
        println!("{line}");
    }
    slot.blocking_close();
    Ok(())
}
