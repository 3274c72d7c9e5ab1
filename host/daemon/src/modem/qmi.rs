//! QMI UIM Remote in the configuration: on which way the modem is reached, and which of its slots gets the card.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use teuicc_modem_bridge::qmi::{self, Config, ModemSlot};
use teuicc_modem_bridge::{BridgeError, Status};
use teuicc_slot::Slot;

/// A modem that takes the card by QMI UIM Remote.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Table")]
pub struct Qmi {
    /// Where it is.
    pub modem: qmi::Modem,
    /// Its slot that gets the card.
    pub slot: ModemSlot,
}

/// As it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    transport: Transport,
    device: Option<PathBuf>,
    #[serde(default)]
    proxy: bool,
    node: Option<u32>,
    slot: Option<u8>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Transport {
    #[default]
    Qrtr,
    Qmux,
    Mbim,
}

impl TryFrom<Table> for Qmi {
    type Error = &'static str;

    fn try_from(table: Table) -> Result<Self, Self::Error> {
        let Table { transport, device, proxy, node, slot } = table;
        let modem = match (transport, device, proxy, node) {
            (Transport::Qrtr, None, false, node) => qmi::Modem::Qrtr { node },
            (Transport::Qrtr, ..) => return Err("transport \"qrtr\" has no device and no proxy"),
            (_, _, _, Some(_)) => return Err("a node is for transport \"qrtr\" alone"),
            (_, None, ..) => return Err("this transport needs a device, /dev/cdc-wdm0 for example"),
            (Transport::Qmux, Some(device), proxy, None) => qmi::Modem::Qmux { device, proxy },
            (Transport::Mbim, Some(device), false, None) => qmi::Modem::Mbim { device },
            (Transport::Mbim, ..) => return Err("the proxy is for transport \"qmux\" alone"),
        };
        let slot = match slot {
            None => ModemSlot::default(),
            Some(number) => ModemSlot::new(number).ok_or("a modem's slot is 1, 2 or 3")?,
        };
        Ok(Qmi { modem, slot })
    }
}

/// As the command line has it: `qrtr`, `qmux:DEVICE` or `mbim:DEVICE`, for the modem's first slot.
impl FromStr for Qmi {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let modem = match text.split_once(':') {
            None if text == "qrtr" => qmi::Modem::Qrtr { node: None },
            Some(("qmux", device)) if !device.is_empty() => qmi::Modem::Qmux { device: device.into(), proxy: false },
            Some(("mbim", device)) if !device.is_empty() => qmi::Modem::Mbim { device: device.into() },
            _ => return Err(format!("{text:?} is none of qrtr, qmux:DEVICE and mbim:DEVICE")),
        };
        Ok(Qmi { modem, slot: ModemSlot::default() })
    }
}

impl Qmi {
    /// Gives `slot`'s card to the modem until `stopped` is ready. Errors: the bridge ended by itself.
    pub(super) async fn run(
        self,
        slot: Slot,
        status: Arc<Status>,
        stopped: impl Future<Output = ()> + Send,
    ) -> Result<(), BridgeError> {
        qmi::run(BTreeMap::from([(self.slot, slot)]), Config::new(self.modem), status, stopped).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modem::Modem;

    fn read(text: &str) -> Result<Modem, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_modem_is_on_this_soc_or_behind_a_device() {
        let at = |modem, slot| Ok(Modem::Qmi(Qmi { modem, slot: ModemSlot::new(slot).unwrap() }));
        assert_eq!(read("interface = 'qmi'"), at(qmi::Modem::Qrtr { node: None }, 1));
        let qrtr = read("interface = 'qmi'\ntransport = 'qrtr'\nnode = 3\nslot = 2");
        assert_eq!(qrtr, at(qmi::Modem::Qrtr { node: Some(3) }, 2));
        let device = PathBuf::from("/dev/cdc-wdm0");
        let qmux = read("interface = 'qmi'\ntransport = 'qmux'\ndevice = '/dev/cdc-wdm0'\nproxy = true");
        assert_eq!(qmux, at(qmi::Modem::Qmux { device: device.clone(), proxy: true }, 1));
        let mbim = read("interface = 'qmi'\ntransport = 'mbim'\ndevice = '/dev/cdc-wdm0'");
        assert_eq!(mbim, at(qmi::Modem::Mbim { device }, 1));
    }

    #[test]
    fn the_command_line_has_a_short_form() {
        let device = PathBuf::from("/dev/cdc-wdm0");
        for (text, modem) in [
            ("qrtr", qmi::Modem::Qrtr { node: None }),
            ("qmux:/dev/cdc-wdm0", qmi::Modem::Qmux { device: device.clone(), proxy: false }),
            ("mbim:/dev/cdc-wdm0", qmi::Modem::Mbim { device }),
        ] {
            assert_eq!(text.parse(), Ok(Qmi { modem, slot: ModemSlot::default() }));
        }
        for text in ["", "qrtr:1", "qmux", "mbim:", "/dev/cdc-wdm0"] {
            assert!(text.parse::<Qmi>().unwrap_err().contains("none of qrtr"), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_together_is_told() {
        for (text, told) in [
            ("transport = 'qmux'", "needs a device"),
            ("device = '/dev/cdc-wdm0'", "has no device"),
            ("transport = 'mbim'\ndevice = '/dev/cdc-wdm0'\nproxy = true", "the proxy is for"),
            ("transport = 'qmux'\ndevice = '/dev/cdc-wdm0'\nnode = 1", "a node is for"),
            ("slot = 4", "1, 2 or 3"),
            ("transport = 'usb'", "unknown variant"),
            ("port = 1", "unknown field"),
        ] {
            let error = read(&format!("interface = 'qmi'\n{text}")).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
