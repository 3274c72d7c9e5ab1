//! `teuicc`: see [`teuicc_daemon::cli`].

fn main() -> std::process::ExitCode {
    teuicc_daemon::cli::main()
}
