//! QRTR: the services of a Qualcomm SoC's processors as datagrams of the socket family AF_QIPCRTR. Sans-IO.
//!
//! ```text
//! control packet = command u32, then service u32, instance u32, node u32, port u32 (or node u32, port u32), all LE
//! ```
//!
//! A service's messages need no frame around them: a datagram is a message. Source: the kernel's `linux/qrtr.h`.

use super::message::Malformed;
use super::uim_remote;

pub(crate) mod socket;

/// UIM Remote, as control packets have it.
const SERVICE: u32 = uim_remote::SERVICE as u32;
/// The port of a node's name service.
const CONTROL: u32 = 0xFFFF_FFFE;
/// Bytes of a control packet.
const PACKET: usize = 20;

/// Commands of control packets.
mod command {
    pub(super) const NEW_SERVER: u32 = 4;
    pub(super) const DEL_SERVER: u32 = 5;
    pub(super) const BYE: u32 = 3;
    pub(super) const DEL_CLIENT: u32 = 6;
    pub(super) const NEW_LOOKUP: u32 = 10;
}

/// Where a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// The processor.
    pub(crate) node: u32,
    /// The socket on it.
    pub(crate) port: u32,
}

impl Address {
    /// The name service of a node.
    pub(crate) fn control(node: u32) -> Address {
        Address { node, port: CONTROL }
    }
}

/// What a datagram led to.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Step {
    /// Nothing: not from the service.
    Nothing,
    /// The service is there, at this address: messages may be sent.
    Ready(Address),
    /// No modem offers the service now; whoever offers it later will be told of.
    NotOffered,
    /// The service at this address is not taken.
    PassedOver(Address),
    /// A message of the service.
    Message(Vec<u8>),
    /// The service went away, and with it the session: its modem restarts, or has ended it.
    Gone,
}

/// A client of UIM Remote over QRTR: finds the service, carries messages, notices when it goes away.
pub(crate) struct Client {
    /// The node of this machine.
    own: u32,
    /// The one node that is taken, if only one is.
    node: Option<u32>,
    server: Option<Address>,
}

impl Client {
    /// A client on the node `own`, and the packet that asks that node's name service for the service, now and later. Of
    /// all nodes but the own one the first is taken: a modem is another processor, and a program of this one that says
    /// it offers the service would get the card. With `node` that one alone is taken, whichever it is.
    pub(crate) fn start(own: u32, node: Option<u32>) -> (Client, [u8; PACKET]) {
        let mut packet = [0; PACKET];
        // Instance 0 stands for every instance.
        for (place, number) in packet.chunks_mut(4).zip([command::NEW_LOOKUP, SERVICE, 0]) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        (Client { own, node, server: None }, packet)
    }

    /// A datagram that came from `from`.
    pub(crate) fn datagram(&mut self, from: Address, bytes: &[u8]) -> Result<Step, Malformed> {
        if from.port == CONTROL {
            return self.control(bytes);
        }
        // Any process can send to any port: only the service's own words count.
        Ok(if Some(from) == self.server { Step::Message(bytes.to_vec()) } else { Step::Nothing })
    }

    fn control(&mut self, bytes: &[u8]) -> Result<Step, Malformed> {
        let packet: &[u8; PACKET] = bytes.try_into().map_err(|_| Malformed("a control packet's length"))?;
        let number = |place: usize| {
            packet.chunks(4).nth(place).and_then(|number| number.try_into().ok()).map_or(0, u32::from_le_bytes)
        };
        let service = Address { node: number(3), port: number(4) };
        let client = Address { node: number(1), port: number(2) };
        let gone = match number(0) {
            command::NEW_SERVER if number(1) == 0 && service == (Address { node: 0, port: 0 }) => {
                return Ok(if self.server.is_none() { Step::NotOffered } else { Step::Nothing });
            }
            command::NEW_SERVER => {
                if number(1) != SERVICE {
                    return Ok(Step::Nothing);
                }
                match self.server {
                    None if self.node.map_or(service.node != self.own, |node| service.node == node) => {
                        self.server = Some(service);
                        return Ok(Step::Ready(service));
                    }
                    None => return Ok(Step::PassedOver(service)),
                    // Announced at another port without having been taken back: the old one answers no more.
                    Some(server) => server.node == service.node && server.port != service.port,
                }
            }
            command::DEL_SERVER => number(1) == SERVICE && self.server == Some(service),
            command::DEL_CLIENT => self.server == Some(client),
            command::BYE => self.server.is_some_and(|server| server.node == client.node),
            _ => false,
        };
        Ok(if gone {
            self.server = None;
            Step::Gone
        } else {
            Step::Nothing
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;

    const OWN: u32 = 1;
    const NAMES: Address = Address { node: OWN, port: CONTROL };
    const MODEM: Address = Address { node: 3, port: 0x1F };
    /// Service 50, version 1, at node 3, port 31.
    const NEW_SERVER: [u8; 20] = hex!("04000000 32000000 01000000 03000000 1F000000");
    const DEL_SERVER: [u8; 20] = hex!("05000000 32000000 01000000 03000000 1F000000");
    const END_OF_LIST: [u8; 20] = hex!("04000000 00000000 00000000 00000000 00000000");

    fn ready() -> Client {
        let (mut client, lookup) = Client::start(OWN, None);
        assert_eq!(lookup, hex!("0A000000 32000000 00000000 00000000 00000000"));
        assert_eq!(client.datagram(NAMES, &NEW_SERVER), Ok(Step::Ready(MODEM)));
        client
    }

    #[test]
    fn the_service_is_found_used_and_missed() {
        let mut client = ready();
        assert_eq!(client.datagram(NAMES, &END_OF_LIST), Ok(Step::Nothing));
        assert_eq!(client.datagram(MODEM, &[1, 2]), Ok(Step::Message(vec![1, 2])));
        assert_eq!(client.datagram(Address { port: 0x20, ..MODEM }, &[1, 2]), Ok(Step::Nothing));
        assert_eq!(client.datagram(NAMES, &DEL_SERVER), Ok(Step::Gone));
        assert_eq!(client.datagram(MODEM, &[1, 2]), Ok(Step::Nothing));
        assert_eq!(client.datagram(NAMES, &NEW_SERVER), Ok(Step::Ready(MODEM)));
    }

    #[test]
    fn a_modem_that_restarts_may_say_so_in_several_ways() {
        assert_eq!(ready().datagram(NAMES, &hex!("03000000 03000000 00000000 00000000 00000000")), Ok(Step::Gone));
        assert_eq!(ready().datagram(NAMES, &hex!("06000000 03000000 1F000000 00000000 00000000")), Ok(Step::Gone));
        let elsewhere = hex!("04000000 32000000 01000000 03000000 20000000");
        assert_eq!(ready().datagram(NAMES, &elsewhere), Ok(Step::Gone));
        for others in [
            hex!("03000000 04000000 00000000 00000000 00000000"),
            hex!("06000000 03000000 20000000 00000000 00000000"),
            hex!("05000000 32000000 01000000 03000000 20000000"),
            hex!("05000000 0B000000 01000000 03000000 1F000000"),
            NEW_SERVER,
        ] {
            assert_eq!(ready().datagram(NAMES, &others), Ok(Step::Nothing), "{others:02X?}");
        }
    }

    #[test]
    fn only_the_configured_node_is_taken() {
        let (mut client, _) = Client::start(OWN, Some(5));
        assert_eq!(client.datagram(NAMES, &NEW_SERVER), Ok(Step::PassedOver(MODEM)));
        assert_eq!(client.datagram(NAMES, &END_OF_LIST), Ok(Step::NotOffered));
        let other = hex!("04000000 32000000 01000000 05000000 1F000000");
        assert_eq!(client.datagram(NAMES, &other), Ok(Step::Ready(Address { node: 5, port: 0x1F })));
        // The first one stays.
        let mut client = ready();
        assert_eq!(client.datagram(NAMES, &other), Ok(Step::Nothing));
    }

    #[test]
    fn a_program_of_this_machine_is_no_modem_unless_the_configuration_says_so() {
        let local = hex!("04000000 32000000 01000000 01000000 20000000");
        let address = Address { node: OWN, port: 0x20 };
        let (mut client, _) = Client::start(OWN, None);
        assert_eq!(client.datagram(NAMES, &local), Ok(Step::PassedOver(address)));
        assert_eq!(client.datagram(address, &[1, 2]), Ok(Step::Nothing));
        assert_eq!(client.datagram(NAMES, &NEW_SERVER), Ok(Step::Ready(MODEM)));
        assert_eq!(client.datagram(NAMES, &local), Ok(Step::Nothing));
        let (mut client, _) = Client::start(OWN, Some(OWN));
        assert_eq!(client.datagram(NAMES, &local), Ok(Step::Ready(address)));
    }

    proptest! {
        #[test]
        fn no_control_packet_panics(packets in proptest::collection::vec(proptest::collection::vec(0..60u32, 0..7), 0..20)) {
            let (mut client, _) = Client::start(OWN, None);
            for packet in packets {
                let bytes: Vec<u8> = packet.iter().flat_map(|number| number.to_le_bytes()).collect();
                prop_assert_eq!(client.datagram(NAMES, &bytes).is_err(), bytes.len() != PACKET);
            }
        }
    }
}
