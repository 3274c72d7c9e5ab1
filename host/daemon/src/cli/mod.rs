//! What a person types: `teuicc`.

#[cfg(feature = "server")]
mod bench;
mod card;
#[cfg(feature = "server")]
mod demo;
mod lpa;
#[cfg(feature = "server")]
mod pki;
mod slot;
#[cfg(feature = "server")]
mod smdp;

use crate::home::Home;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  teuicc demo                                    everything once, on this machine, leaving nothing behind
  teuicc pki && teuicc smdp serve                a test PKI and an SM-DP+ on loopback
  teuicc card personalize                        make this card an eUICC of the test PKI
  teuicc lpa download 'LPA:1$localhost:8443$..'  install a profile";

/// An eSIM with no SIM chip: the test PKI, the SM-DP+, the card and the LPA.
#[derive(Parser)]
#[command(name = "teuicc", version, after_help = EXAMPLES, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    home: Home,
    /// Print one JSON object for each result instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// From an activation code to an authenticated modem, in one command
    #[cfg(feature = "server")]
    Demo(demo::Arguments),
    /// Make a test PKI: CI, EUM, SM-DP+
    #[cfg(feature = "server")]
    Pki(pki::Arguments),
    /// The test SM-DP+: serve it, add profiles, order them
    #[cfg(feature = "server")]
    #[command(subcommand)]
    Smdp(smdp::Command),
    /// The card: personalize it
    #[command(subcommand)]
    Card(card::Command),
    /// The modem's interface of the card, for programs that ask for it
    #[command(subcommand)]
    Slot(slot::Command),
    /// What the virtual SIM interfaces cost
    #[cfg(feature = "server")]
    #[command(subcommand)]
    Bench(bench::Command),
    /// The local profile assistant: download, list, enable, disable and delete profiles
    Lpa(lpa::Arguments),
}

/// Runs `teuicc demo` with this card, which has no identity yet; prints its steps, as JSON if `json`.
///
/// Errors: the first step that does not work.
#[cfg(feature = "server")]
pub fn demo_with(card: Box<dyn teuicc_slot::Exchange>, json: bool) -> anyhow::Result<()> {
    demo::run_with(Some(card), teuicc_modem_bridge::testing::Kind::Vpcd, None, json)
}

/// Runs `teuicc` with the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    crate::logging::start("warn");
    let Arguments { home, json, command } = arguments;
    let result = match command {
        #[cfg(feature = "server")]
        Command::Demo(arguments) => demo::run(&home, &arguments, json),
        #[cfg(feature = "server")]
        Command::Pki(arguments) => pki::run(&home, &arguments, json),
        #[cfg(feature = "server")]
        Command::Smdp(command) => smdp::run(&home, &command, json),
        Command::Card(command) => card::run(&home, &command, json),
        Command::Slot(command) => slot::run(&home, &command),
        #[cfg(feature = "server")]
        Command::Bench(command) => bench::run(&command, json),
        Command::Lpa(arguments) => lpa::run(&home, &arguments, json),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            crate::report::error(&error, json);
            ExitCode::FAILURE
        }
    }
}
