//! Writes the TA's header and the identity of its only client, and tells the linker what a TA looks like.

use optee_utee_build::{Builder, HeaderFileGenerator, TaConfig};
use std::path::PathBuf;
use std::{env, error, fs};

/// GlobalPlatform's name of this TA.
const UUID: &str = include_str!("uuid.txt");

/// One instance for all sessions, kept when the last one closes (TEE Internal Core API, section 4.5).
const FLAGS: u32 = SINGLE_INSTANCE | MULTI_SESSION | INSTANCE_KEEP_ALIVE;
const SINGLE_INSTANCE: u32 = 1 << 2;
const MULTI_SESSION: u32 = 1 << 3;
const INSTANCE_KEEP_ALIVE: u32 = 1 << 4;

/// Heap and stack in bytes. Measured: docs/optee.md.
const HEAP: u32 = 2 * 1024 * 1024;
const STACK: u32 = 64 * 1024;

/// Errors alone.
const TRACE_LEVEL: i32 = 1;

/// The namespace in which the kernel's TEE driver makes a client's UUID out of its user (drivers/tee/tee_core.c).
const CLIENT_NAMESPACE: uuid::Uuid = uuid::uuid!("58ac9ca0-2086-4683-a1b8-ec4bc08e01b6");
/// The user that the daemon runs as.
const CLIENT_UID: &str = "TEUICC_CLIENT_UID";

fn main() -> Result<(), Box<dyn error::Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("client.rs"), client()?)?;
    let config = TaConfig::new_default_with_cargo_env(UUID.trim())
        .map_err(text)?
        .ta_flags(FLAGS)
        .ta_data_size(HEAP)
        .ta_stack_size(STACK)
        .trace_level(TRACE_LEVEL);
    println!("cargo:rerun-if-env-changed=TA_DEV_KIT_DIR");
    println!("cargo:rerun-if-changed=uuid.txt");
    if env::var_os("TA_DEV_KIT_DIR").is_some() {
        Builder::new(config).build().map_err(text)?;
        println!("cargo:rerun-if-changed=no-unwind.ld");
        println!("cargo:rustc-link-arg=-Wl,--no-eh-frame-hdr");
        println!("cargo:rustc-link-arg=-Wl,-T,{}/no-unwind.ld", env::var("CARGO_MANIFEST_DIR")?);
    } else {
        fs::write(out.join("user_ta_header.rs"), HeaderFileGenerator::new().generate(&config).map_err(text)?)?;
    }
    Ok(())
}

/// Its errors are no standard errors.
fn text(error: optee_utee_build::Error) -> String {
    format!("{error:?}")
}

/// The fields of the client's UUID, as a Rust expression.
fn client() -> Result<String, Box<dyn error::Error>> {
    println!("cargo:rerun-if-env-changed={CLIENT_UID}");
    let uid: u32 = env::var(CLIENT_UID).unwrap_or_else(|_| "0".into()).parse()?;
    let client = uuid::Uuid::new_v5(&CLIENT_NAMESPACE, format!("uid={uid:x}").as_bytes());
    let (low, mid, high, node) = client.as_fields();
    Ok(format!("TEE_UUID {{ timeLow: {low}, timeMid: {mid}, timeHiAndVersion: {high}, clockSeqAndNode: {node:?} }}\n"))
}
