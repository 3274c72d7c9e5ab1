//! Boots an image, for `build/qemu`.

use anyhow::Context;
use clap::Parser;
use std::path::PathBuf;
use std::time::Duration;
use teuicc_qemu_tests::machine::HOST;
use teuicc_qemu_tests::relay::CLIENT;
use teuicc_qemu_tests::{Disk, Image, Machine, Relay};

/// How long a command may take in the guest.
const COMMAND: Duration = Duration::from_secs(180);

/// A machine with a real OP-TEE and the card in it.
#[derive(Parser)]
struct Arguments {
    /// The image, a folder that build/image printed
    #[arg(long)]
    image: PathBuf,
    /// The disk with the secure storage; made if it is not there [default: one that is gone afterwards]
    #[arg(long)]
    disk: Option<PathBuf>,
    /// The vpcd of this machine that the card is attached to: its port on the loopback
    #[arg(long, default_value_t = 35963)]
    vpcd: u16,
    /// Run the demo with the TA as the card, and end
    #[arg(long)]
    demo: bool,
    /// The demo prints JSON
    #[arg(long)]
    json: bool,
    /// Run a command in the guest, as root, and end with its exit code
    #[arg(long, value_name = "COMMAND", conflicts_with = "demo")]
    run: Option<String>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let image = Image::open(&arguments.image)?;
    let disk = match &arguments.disk {
        Some(path) => Disk::kept(path, &image)?,
        None => Disk::empty(&image)?,
    };
    let mut machine = Machine::boot(&image, &disk)?;
    eprintln!("guest is up after {:.1} s, with OP-TEE OS: {}", machine.boot_time.as_secs_f64(), image.optee());
    if let Some(command) = &arguments.run {
        let output = machine.run_within(command, COMMAND)?;
        print!("{}", output.text());
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        std::process::exit(output.code);
    }
    if arguments.demo { demo(&mut machine, arguments.json) } else { serve(machine, arguments.vpcd) }
}

/// The SM-DP+, the LPA and the modem run here, the card in the guest's secure world.
fn demo(machine: &mut Machine, json: bool) -> anyhow::Result<()> {
    let relay = Relay::start(machine)?;
    teuicc_daemon::cli::demo_with(Box::new(relay), json)
}

fn serve(mut machine: Machine, vpcd: u16) -> anyhow::Result<()> {
    machine
        .run(&format!(
            "{} >/tmp/teuiccd.log 2>&1 </dev/null &",
            as_client(&format!("teuiccd --tee optee --vpcd {HOST}:{vpcd}"))
        ))?
        .success()?;
    let status = as_client("teuicc card status --tee optee --json");
    // The daemon opens the TA first.
    let mut told = machine.run(&status)?;
    for _ in 0..20 {
        if told.code == 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(500));
        told = machine.run(&status)?;
    }
    println!("{}", told.success().context("the daemon in the guest")?.trim());
    eprintln!("teuiccd runs in the guest and attaches the card to port {vpcd} of this machine; Ctrl-C ends it");
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(tokio::signal::ctrl_c())?;
    let _ = machine.run("killall teuiccd; sleep 1");
    machine.power_off()
}

/// A command of the user that the TA takes requests from.
fn as_client(command: &str) -> String {
    format!("su {CLIENT} -s /bin/sh -c 'TEUICC_HOME=/home/{CLIENT} {command}'")
}
