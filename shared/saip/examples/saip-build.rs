//! Builds a profile package with test values and writes it to a file, for a look at it with other tools:
//! `cargo run -p teuicc-saip --features build --example saip-build -- package.der`.

use std::process::ExitCode;
use teuicc_saip::build::{Algorithm, Ims, ProfileSpec, build};

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: saip-build FILE");
        return ExitCode::from(2);
    };
    let spec = ProfileSpec {
        iccid: "8988211000000000011",
        imsi: "001010123456789",
        mnc_len: 2,
        algorithm: Algorithm::Milenage,
        key: &[0x46; 16],
        opc: &[0xCD; 16],
        profile_type: "Test profile",
        service_provider_name: "Test",
        pin1: "1234",
        pin1_enabled: false,
        puk1: "12345678",
        pin2: "5678",
        puk2: "87654321",
        adm1: "55555555",
        msisdn: Some("+15551234567"),
        access_class: None,
        ims: Some(Ims::default()),
    };
    let written = build(&spec).map_err(|error| error.to_string());
    match written.and_then(|package| std::fs::write(&path, package).map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}
