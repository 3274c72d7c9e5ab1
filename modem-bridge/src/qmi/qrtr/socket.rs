//! A socket of the family AF_QIPCRTR, which neither std nor rustix has an address type for. All unsafe code of this
//! crate is here.
#![allow(unsafe_code)]

use super::Address;
use rustix::io::{Errno, Result};
use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrAny, SocketFlags, SocketType, getsockname, recvfrom, sendto,
    socket_with,
};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// AF_QIPCRTR (`linux/socket.h`).
const FAMILY: AddressFamily = AddressFamily::from_raw(42);

/// A datagram socket on this machine's node. Its calls do not block.
pub(crate) struct Socket(OwnedFd);

impl Socket {
    /// A socket, which gets its port when it first sends. Errors: `AFNOSUPPORT` where the kernel has no QRTR.
    pub(crate) fn new() -> Result<Socket> {
        socket_with(FAMILY, SocketType::DGRAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None).map(Socket)
    }

    /// Where this socket is; its port is 0 before it has sent.
    pub(crate) fn address(&self) -> Result<Address> {
        read(&getsockname(&self.0)?).ok_or(Errno::AFNOSUPPORT)
    }

    /// Sends one datagram.
    pub(crate) fn send(&self, bytes: &[u8], to: Address) -> Result<()> {
        sendto(&self.0, bytes, SendFlags::empty(), &to).map(|_| ())
    }

    /// Receives one datagram, of which what does not fit into `buffer` is lost: its length, and who sent it.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Result<(usize, Address)> {
        let (length, _, from) = recvfrom(&self.0, buffer, RecvFlags::empty())?;
        Ok((length, from.as_ref().and_then(read).ok_or(Errno::AFNOSUPPORT)?))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A socket that a task waits for.
pub(crate) struct AsyncSocket(AsyncFd<Socket>);

impl AsyncSocket {
    /// As [`Socket::new`]. Must be called in a tokio runtime.
    pub(crate) fn new() -> io::Result<AsyncSocket> {
        let socket = Socket::new()?;
        // SAFETY: a `Socket` owns its descriptor, and is neither replaced nor closed before `AsyncFd` is dropped.
        let registered = unsafe { AsyncFd::register(socket) };
        Ok(AsyncSocket(registered?))
    }

    /// The node of this machine.
    pub(crate) fn node(&self) -> io::Result<u32> {
        Ok(self.0.get_ref().address()?.node)
    }

    /// As [`Socket::send`]. Dropping the future sends nothing.
    pub(crate) async fn send(&self, bytes: &[u8], to: Address) -> io::Result<()> {
        self.0.async_io(Interest::WRITABLE, |socket| Ok(socket.send(bytes, to)?)).await
    }

    /// As [`Socket::receive`]. Dropping the future loses nothing.
    pub(crate) async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Address)> {
        self.0.async_io(Interest::READABLE, |socket| Ok(socket.receive(buffer)?)).await
    }
}

impl std::os::fd::AsRawFd for Socket {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

/// `struct sockaddr_qrtr` (`linux/qrtr.h`), its padding made a field so that all of it is initialized.
#[repr(C)]
#[derive(Clone, Copy)]
struct Raw {
    family: u16,
    padding: u16,
    node: u32,
    port: u32,
}

// SAFETY: `with_sockaddr` calls with a pointer to an initialized `sockaddr_qrtr` that lives for the call, and its size.
unsafe impl SocketAddrArg for Address {
    unsafe fn with_sockaddr<R>(&self, call: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R) -> R {
        let raw = Raw { family: FAMILY.as_raw(), padding: 0, node: self.node, port: self.port };
        call((&raw const raw).cast(), size_of::<Raw>() as SocketAddrLen)
    }
}

/// The address in `any`; `None` if it is one of another family.
fn read(any: &SocketAddrAny) -> Option<Address> {
    if any.address_family() != FAMILY || (any.addr_len() as usize) < size_of::<Raw>() {
        return None;
    }
    // SAFETY: `any` holds `addr_len` initialized bytes at `as_ptr`, at least the size of `Raw`, as just checked, and
    // every value of them is a `Raw`; nothing is assumed of their alignment.
    let raw = unsafe { any.as_ptr().cast::<Raw>().read_unaligned() };
    Some(Address { node: raw.node, port: raw.port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_to_the_kernel_and_back() {
        let address = Address { node: 0x0102_0304, port: 0xFFFF_FFFE };
        let any = address.as_any();
        assert_eq!((any.address_family(), any.addr_len()), (FAMILY, 12));
        assert_eq!(read(&any), Some(address));
        assert_eq!(read(&"127.0.0.1:1".parse::<std::net::SocketAddr>().unwrap().as_any()), None);
    }

    #[test]
    fn a_kernel_without_the_family_says_so() {
        match Socket::new() {
            Ok(socket) => assert_eq!(socket.address().unwrap().port, 0),
            Err(error) => assert_eq!(error, Errno::AFNOSUPPORT),
        }
    }
}
