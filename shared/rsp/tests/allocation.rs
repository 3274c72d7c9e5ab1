//! Whatever allocates says so when it cannot, at each allocation in turn, and nothing panics.
#![cfg(feature = "issue")]

use teuicc_failing_alloc::{FailingAllocator, with_allocations};
use teuicc_rsp::bpp::{BppContents, initialise_secure_channel, segments};
use teuicc_rsp::crypto::{Curve, SecretKey};
use teuicc_rsp::csr;
use teuicc_rsp::es10::{CtxParams1, DeviceCapabilities, DeviceInfo};
use teuicc_rsp::issue::{Issuer, Template, issue};
use teuicc_rsp::object::{Object, Octets, Received, TransactionId, concatenated};
use teuicc_rsp::oid::Role;
use teuicc_rsp::scp03t::{Scp03t, SessionKeys};
use teuicc_rsp::x509::Name;
use teuicc_rsp::{pkcs8, tags};
use teuicc_tlv::Tlv;

#[global_allocator]
static ALLOCATOR: FailingAllocator = FailingAllocator;

/// Runs `operation` with no allocation, with one, and so on until it succeeds. It must have failed at least once.
fn fail_each_allocation<T, E>(operation: impl Fn() -> Result<T, E>) {
    for allowed in 0..10_000 {
        let result = with_allocations(Some(allowed), &operation);
        if result.is_ok() {
            assert!(allowed > 0, "nothing was allocated");
            return;
        }
    }
    panic!("it never succeeds");
}

fn keys() -> SessionKeys {
    SessionKeys::new(&[1; 16], &[2; 16], &[3; 16])
}

#[test]
fn packages() {
    let key = SecretKey::new(Curve::P256, &[1; 32]).unwrap();
    let (tid, host) = (TransactionId::new(&[1]).unwrap(), Octets::new(&[1]).unwrap());
    fail_each_allocation(|| initialise_secure_channel(tid, host, &[4; 65], &[4; 65], &key));
    let protection = keys();
    let contents = BppContents {
        initialise_secure_channel: &[0xBF, 0x23, 0x00],
        configure_isdp: &[0xBF, 0x24, 0x00],
        store_metadata: &[5; 30],
        profile_protection_keys: Some(&protection),
        profile: &[6; 3000],
    };
    fail_each_allocation(|| contents.build(keys()));
    let bpp = contents.build(keys()).unwrap();
    fail_each_allocation(|| segments(&bpp));
    let object = Scp03t::new(keys()).protect(tags::SCP03T_ELEMENT, &[7; 100]).unwrap();
    let object = Tlv::parse(&object, tags::SCP03T_ELEMENT).unwrap();
    fail_each_allocation(|| Scp03t::new(keys()).unprotect(&object));
}

#[test]
fn objects() {
    let device_info = hex_literal::hex!("A108800401020304A100");
    let device_info = Received::<DeviceInfo<'_>>::parse(&device_info).unwrap();
    fail_each_allocation(|| CtxParams1 { matching_id: Some("M"), device_info }.encode());
    let capabilities: DeviceCapabilities = device_info.device_capabilities;
    fail_each_allocation(|| concatenated([capabilities, capabilities]));
}

#[test]
fn certificates() {
    let key = SecretKey::new(Curve::BrainpoolP256r1, &[1; 32]).unwrap();
    let public = key.public_key().unwrap();
    let subject = Name { common_name: Some("A"), ..Name::default() };
    fail_each_allocation(|| csr::request(&subject, &key));
    fail_each_allocation(|| pkcs8::expose(&key, &public));
    let template = Template {
        role: Role::Ci,
        serial: &[1],
        subject,
        not_before: "20260101000000Z",
        not_after: "20600101000000Z",
        registered_id: None,
        dns_name: None,
        iin: None,
    };
    fail_each_allocation(|| issue(&template, &public, Issuer::SelfSigned, &key));
}
