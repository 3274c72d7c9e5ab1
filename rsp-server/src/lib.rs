//! A test SM-DP+ and the test PKI it runs on (SGP.22 v2.5).
//!
//! [`TestPki`] makes the certificates, [`SmDp`] is the server with its orders, [`Server`] puts it on the network. The
//! checks and what is sent are in [`dp`], on bytes; [`store`] keeps profiles, orders and notifications.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{path::Path, sync::Arc};
//! use teuicc_rsp_server::{Metadata, NewProfile, OrderOptions, Server, SmDp, SmDpConfig, TestPki};
//!
//! TestPki::generate(Path::new("pki"))?;
//! let config = SmDpConfig { folder: "smdp".into(), pki: "pki".into(), address: None };
//! let smdp = Arc::new(SmDp::open(&config).await?);
//! let server = Server::start(smdp.clone(), ([127, 0, 0, 1], 0).into()).await?;
//! let iccid = smdp.add_profile(&NewProfile::from_file(Path::new("profile.toml"), Metadata::default())?).await?;
//! println!("{}", smdp.order(&OrderOptions { iccid: Some(iccid), ..OrderOptions::default() }).await?);
//! server.shutdown().await;
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]

mod activation_code;
mod clock;
pub mod dp;
mod error;
mod files;
pub mod http;
mod identity;
pub mod pki;
pub mod profile;
mod random;
mod server;
mod session;
mod smdp;
pub mod store;

pub use activation_code::ActivationCode;
pub use error::Error;
pub use identity::Identity;
pub use pki::TestPki;
pub use profile::{Metadata, NewProfile, Owner};
pub use server::{Server, ServerHandle};
pub use smdp::{OrderOptions, ProfileOffer, SmDp, SmDpConfig};
