//! `teuiccd`: see [`teuicc_daemon::daemon`].

fn main() -> std::process::ExitCode {
    teuicc_daemon::daemon::main()
}
