//! The modem that the card is given to: which virtual SIM interface, and where it is.

mod qmi;

pub use qmi::Qmi;

use crate::home::Home;
use serde::Deserialize;
use std::future::Future;
use std::sync::Arc;
use teuicc_modem_bridge::{BridgeError, Endpoint, Status, json, rspro, sap, vpcd};
use teuicc_slot::Slot;

/// The virtual SIM interface, as the table `modem` of the configuration file has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "interface", rename_all = "lowercase", deny_unknown_fields)]
pub enum Modem {
    /// None: for the LPA alone.
    None {},
    /// The virtual PC/SC reader of vsmartcard.
    Vpcd {
        /// Connect to a vpcd here, `HOST:PORT` (default: the first slot of one on this machine),
        connect: Option<String>,
        /// or listen here for one that connects.
        listen: Option<String>,
    },
    /// QMI UIM Remote, by a modem of Qualcomm's.
    Qmi(Qmi),
    /// The SIM Access Profile, for a module that is its client.
    Sap {
        /// Where the module is.
        endpoint: Endpoint,
        /// Pad as osmocom-bb wants it.
        #[serde(default)]
        osmocom_padding: bool,
    },
    /// A bank of osmo-remsim.
    Rspro {
        /// The remsim-server, `HOST:PORT` (default: one on this machine).
        server: Option<String>,
        /// Where clients connect to, `HOST:PORT` (default: port 9999 of the loopback).
        listen: Option<String>,
        /// The number of the bank at the server, 0 to 1023 (default: 1).
        bank: Option<u16>,
    },
    /// Lines of JSON: `teuicc slot json` connects to it.
    Json {
        /// Where clients connect to (default: `modem.sock` in the home).
        listen: Option<Endpoint>,
    },
    /// Lines of JSON at this process's standard input and output, until the input ends.
    #[serde(skip)]
    Standard,
}

impl Default for Modem {
    fn default() -> Self {
        Modem::Vpcd { connect: None, listen: None }
    }
}

impl Modem {
    /// What cannot be. Errors: what is wrong, for the user.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        match self {
            Modem::Vpcd { connect: Some(_), listen: Some(_) } => {
                anyhow::bail!("modem: a vpcd is either connected to or listened for: leave out connect or listen")
            }
            Modem::Rspro { bank: Some(bank @ 1024..), .. } => {
                anyhow::bail!("modem: bank is {bank}: 0 to 1023 are possible")
            }
            _ => Ok(()),
        }
    }

    /// Gives `slot`'s card to the modem until `stopped` is ready. Errors: the bridge ended by itself.
    pub(crate) async fn run(
        self,
        home: Home,
        slot: Slot,
        stopped: impl Future<Output = ()> + Send,
    ) -> Result<(), BridgeError> {
        let status = Arc::new(Status::default());
        match self {
            Modem::None {} => {
                stopped.await;
                Ok(())
            }
            Modem::Vpcd { connect, listen } => {
                let mut config = vpcd::Config::default();
                match (connect, listen) {
                    (_, Some(address)) => config.reader = vpcd::Reader::ConnectsTo(address),
                    (Some(address), None) => config.reader = vpcd::Reader::At(address),
                    (None, None) => {}
                }
                vpcd::run(slot, config, status, stopped).await
            }
            Modem::Qmi(modem) => modem.run(slot, status, stopped).await,
            Modem::Sap { endpoint, osmocom_padding } => {
                let config = sap::Config { osmocom_padding, ..sap::Config::new(endpoint) };
                sap::run(slot, config, status, stopped).await
            }
            Modem::Rspro { server, listen, bank } => {
                let defaults = rspro::Config::default();
                let config = rspro::Config {
                    server: server.unwrap_or(defaults.server),
                    listen: listen.unwrap_or(defaults.listen),
                    bank_id: bank.unwrap_or(defaults.bank_id),
                    ..rspro::Config::default()
                };
                rspro::run(vec![slot], config, status, stopped).await
            }
            Modem::Json { listen } => {
                let endpoint = listen.unwrap_or_else(|| Endpoint::Unix(home.modem_socket()));
                json::run(slot, json::Config::new(Some(endpoint)), status, stopped).await
            }
            Modem::Standard => json::run(slot, json::Config::new(None), status, stopped).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        modem: Modem,
    }

    fn read(text: &str) -> Result<Modem, String> {
        toml::from_str(text).map(|file: File| file.modem).map_err(|error| error.to_string())
    }

    #[test]
    fn every_interface_is_read_from_a_file() {
        assert_eq!(read("[modem]\ninterface = \"none\""), Ok(Modem::None {}));
        assert_eq!(read("[modem]\ninterface = \"vpcd\""), Ok(Modem::default()));
        let endpoint = Endpoint::Serial("/dev/ttyUSB2".into(), 115_200);
        assert_eq!(
            read("[modem]\ninterface = \"sap\"\nendpoint = \"serial:/dev/ttyUSB2\""),
            Ok(Modem::Sap { endpoint, osmocom_padding: false })
        );
        assert_eq!(
            read("modem = { interface = \"rspro\", bank = 7 }"),
            Ok(Modem::Rspro { server: None, listen: None, bank: Some(7) })
        );
        assert_eq!(read("modem = { interface = \"json\" }"), Ok(Modem::Json { listen: None }));
    }

    #[test]
    fn what_cannot_be_is_told() {
        for text in [
            "modem = { interface = \"sap\" }",
            "modem = { interface = \"sap\", endpoint = \"/dev/ttyUSB2\" }",
            "modem = { interface = \"vpcd\", port = 1 }",
            "modem = { interface = \"standard\" }",
            "modem = { interface = \"none\", server = \"x\" }",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        let both = Modem::Vpcd { connect: Some("a:1".into()), listen: Some("b:1".into()) };
        assert!(both.check().is_err());
        assert!(Modem::Rspro { server: None, listen: None, bank: Some(1024) }.check().is_err());
        assert!(Modem::default().check().is_ok());
    }
}
