//! An authentication client and a network that are not ours: eapol_test over PC/SC, hostapd as the server of EAP-SIM,
//! EAP-AKA and EAP-AKA', and behind it an authentication centre: hlr_auc_gw, or osmo-auc-gen for what that cannot do.

use crate::common::{Background, Machine, Outcome, run, wait_until};
use crate::pcsc::{self, NOTICE, READER, Steps, scriptor, wanted};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// TS 35.208 section 4.3, test set 1.
const K: &str = "465b5ce8b199b49faa5f0a2ee238a6bc";
const OPC: &str = "cd63cb71954a9f4e48a5994e37a02baf";
/// The only K with which a card takes the XOR test algorithm outside of a test CI.
const TEST_K: &str = "000102030405060708090a0b0c0d0e0f";
/// A K of 256 bits, which TUAK also takes: any 32 bytes.
const LONG_K: &str = "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0efeeedecebeae9e8e7e6e5e4e3e2e1e0";
const OTHER_LONG_K: &str = "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0efeeedecebeae9e8e7e6e5e4e3e2e1e1";
/// A TOPc for TUAK: any 32 bytes.
const TOPC: &str = "bd04d9530e87513c5d837ac2ad954623a8e2330c115305a73eb45d1f40cccbff";
const OTHER_K: &str = "465b5ce8b199b49faa5f0a2ee238a6bd";
/// AMF with the separation bit, without which there is no EAP-AKA' (TS 33.402 section 6.2).
const AMF: &str = "8000";
const PORT: &str = "18120";
/// For how many seconds eapol_test waits, also for a PIN that nobody is going to enter.
const PATIENCE: &str = "30";
const PATIENCE_FOR_A_PIN: &str = "3";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Sim,
    Aka,
    AkaPrime,
}

use Method::{Aka, AkaPrime, Sim};

impl Method {
    const ALL: [Method; 3] = [Sim, Aka, AkaPrime];

    fn name(self) -> &'static str {
        match self {
            Sim => "SIM",
            Aka => "AKA",
            AkaPrime => "AKA'",
        }
    }

    /// First characters of a permanent identity, a pseudonym and an identity of fast reauthentication (TS 23.003
    /// section 19.3).
    fn prefixes(self) -> [char; 3] {
        match self {
            Sim => ['1', '3', '5'],
            Aka => ['0', '2', '4'],
            AkaPrime => ['6', '7', '8'],
        }
    }

    /// How the EAP peer calls it when it agrees to it.
    fn selected(self) -> String {
        format!("({}) selected", self.name())
    }

    /// How often one full authentication asks the card: EAP-SIM takes three triplets.
    fn challenges(self) -> usize {
        if self == Sim { 3 } else { 1 }
    }
}

/// A profile in the card.
struct Subscription {
    iccid: &'static str,
    imsi: &'static str,
    more: String,
}

const PIN: &str = "1357";

fn tuak(k: &str) -> Subscription {
    let more = format!("algorithm = \"tuak\"\nk = \"{k}\"\ntopc = \"{TOPC}\"\n");
    Subscription { iccid: "8988211000000000131", imsi: "001010000000013", more }
}

fn milenage(pin_enabled: bool) -> Subscription {
    let (iccid, imsi) = match pin_enabled {
        false => ("8988211000000000107", "001010000000010"),
        true => ("8988211000000000115", "001010000000011"),
    };
    let more = format!("k = \"{K}\"\nopc = \"{OPC}\"\npin = \"{PIN}\"\npin-enabled = {pin_enabled}\n");
    Subscription { iccid, imsi, more }
}

fn xor() -> Subscription {
    let more = format!("algorithm = \"xor-test\"\nk = \"{TEST_K}\"\nclass = \"test\"\n");
    Subscription { iccid: "8988211000000000123", imsi: "001010000000012", more }
}

/// A card in the reader with this subscription, and what lies between it and the network.
struct Bench {
    card: pcsc::Bench,
    subscription: Subscription,
}

impl Bench {
    fn new(subscription: Subscription) -> Bench {
        let card = pcsc::Bench::start(None);
        let Subscription { iccid, imsi, more } = &subscription;
        let text = format!("iccid = \"{iccid}\"\nimsi = \"{imsi}\"\n{more}");
        card.install(&card.machine.write("profile.toml", text));
        Bench { subscription, card }
    }

    /// hostapd as a RADIUS server. `sim_id` says what it gives out: 1 pseudonyms, 2 identities of fast
    /// reauthentication, 3 both.
    fn server(&self, sim_id: u8) -> Background {
        let users: String = Method::ALL
            .into_iter()
            .flat_map(|method| method.prefixes().map(|prefix| format!("\"{prefix}\"* {}\n", method.name())))
            .collect();
        let users = self.card.machine.write("users", users);
        let clients = self.card.machine.write("clients", "127.0.0.1 radius\n");
        let configuration = format!(
            "driver=none\nradius_server_clients={}\nradius_server_auth_port={PORT}\neap_server=1\neap_user_file={}\n\
             eap_sim_db=unix:{}\neap_sim_id={sim_id}\nserver_id=test\n",
            clients.display(),
            users.display(),
            centre(&self.card.machine).display(),
        );
        let file = self.card.machine.write("hostapd.conf", configuration);
        let log = self.card.machine.folder().join("hostapd.log");
        let mut server = Background::start(self.card.machine.command("hostapd").arg("-dd").arg(file), &log);
        server.await_text("AP-ENABLED");
        server
    }

    /// Lets eapol_test authenticate with `method`, and `again` times more.
    fn authenticate(&self, method: Method, again: u8) -> Attempt {
        self.attempt(method, None, again, PATIENCE)
    }

    fn attempt(&self, method: Method, pin: Option<&str>, again: u8, patience: &str) -> Attempt {
        let pin = pin.map(|pin| format!("pin=\"{pin}\"\n")).unwrap_or_default();
        let network = format!(
            "pcsc_reader={READER}\nnetwork={{\nssid=\"x\"\nkey_mgmt=WPA-EAP\neap={}\npcsc=\"\"\n{pin}}}\n",
            method.name()
        );
        let file = self.card.machine.write("network.conf", network);
        let mut command = self.card.machine.command("eapol_test");
        command.arg("-c").arg(file).args(["-a", "127.0.0.1", "-p", PORT, "-s", "radius", "-t", patience]);
        Attempt(run(command.args(["-r", &again.to_string()])))
    }

    /// One full authentication with each method.
    fn authenticates(&self) {
        for method in Method::ALL {
            self.authenticate(method, 0).succeeded(method, method.challenges());
        }
    }

    /// A network with another key: the card refuses what proves the network's identity, where there is such a thing.
    fn refuses_another_key(&self) {
        self.authenticate(Aka, 0).failed("SCARD: UMTS auth failed - MAC != XMAC");
        self.authenticate(AkaPrime, 0).failed("SCARD: UMTS auth failed - MAC != XMAC");
        // A triplet proves nothing: it is the two Kc that differ.
        let attempt = self.authenticate(Sim, 0);
        attempt.failed("AT_MAC");
        assert_eq!(attempt.challenges(), Sim.challenges());
    }

    /// The verdict of an empty VERIFY PIN on PIN 1.
    fn pin_status(&self) -> Vec<u8> {
        let answers = scriptor(&self.card.machine, &["00 A4 04 04 07 A0 00 00 00 87 10 02", "00 20 00 01 00"]).unwrap();
        answers.last().unwrap().clone()
    }
}

/// What eapol_test ended with.
struct Attempt(Outcome);

impl Attempt {
    /// Panics unless it ended well, by this method, having asked the card for so many authentications.
    #[track_caller]
    fn succeeded(&self, method: Method, challenges: usize) {
        let verdict = self.0.stdout.lines().last().unwrap_or_default();
        let by_method = self.0.stdout.contains(&method.selected());
        assert!(self.0.succeeded() && verdict == "SUCCESS" && by_method, "{method:?}:\n{}", self.0.describe());
        assert_eq!(self.challenges(), challenges, "{method:?}: how often the card was asked\n{}", self.0.describe());
    }

    #[track_caller]
    fn says(&self, what: &str) {
        assert!(self.0.stdout.contains(what), "it should say {what:?}:\n{}", self.0.describe());
    }

    /// Panics unless it failed, having said `why`.
    #[track_caller]
    fn failed(&self, why: &str) {
        assert!(!self.0.succeeded(), "it should have failed:\n{}", self.0.describe());
        self.says(why);
    }

    /// How often the card was asked to authenticate.
    fn challenges(&self) -> usize {
        let asked = |context: &str| self.0.stdout.matches(&format!("SCARD: {context} auth - RAND")).count();
        asked("GSM") + asked("UMTS")
    }
}

/// Where the authentication centres listen.
fn centre(machine: &Machine) -> PathBuf {
    machine.folder().join("centre.sock")
}

/// hlr_auc_gw with one subscriber, until it is dropped. `sqn` is the last one that it gave out, 12 hexadecimal digits.
fn hlr_auc_gw(bench: &Bench, k: &str, sqn: &str) -> HlrAucGw {
    let machine = &bench.card.machine;
    let log = machine.folder().join("hlr.log");
    let subscribers = machine.write("hlr.db", format!("{} {k} {OPC} {AMF} {sqn}\n", bench.subscription.imsi));
    let program = std::env::var("TEUICC_HLR_AUC_GW").expect("TEUICC_HLR_AUC_GW names the program");
    let mut command = machine.command(&program);
    command.arg("-m").arg(subscribers).arg("-s").arg(centre(machine));
    let process = Background::start(&mut command, &log);
    assert!(wait_until(NOTICE, || centre(machine).exists().then_some(())).is_some(), "{}", process.log());
    HlrAucGw { process, log }
}

struct HlrAucGw {
    process: Background,
    log: PathBuf,
}

impl HlrAucGw {
    /// What it printed, which it does at its end only.
    fn stop(self) -> String {
        self.process.stop();
        std::fs::read_to_string(&self.log).unwrap()
    }
}

/// A subscriber of [`OsmoAuc`].
#[derive(Clone)]
struct Subscriber {
    /// As osmo-auc-gen calls it.
    algorithm: &'static str,
    k: &'static str,
    opc: Option<&'static str>,
    amf: &'static str,
    /// Length of RES in bytes, where the algorithm leaves a choice.
    res: u8,
    /// The last one that was given out.
    sqn: u64,
    /// How many challenges were made.
    challenges: u8,
    /// How many resynchronizations were right.
    resynchronized: u32,
}

/// An authentication centre on hostapd's socket that lets osmo-auc-gen calculate. The datagrams are those that
/// hlr_auc_gw.c of hostapd describes at its top.
struct OsmoAuc {
    subscriber: Arc<Mutex<Subscriber>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What osmo-auc-gen calculated, in hexadecimal digits.
#[derive(Default)]
struct Vector(Vec<(String, String)>);

impl Vector {
    fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map_or_else(|| panic!("osmo-auc-gen gave no {name}"), |(_, value)| value)
    }

    /// What a GSM network has of a UMTS authentication vector. osmo-auc-gen gives zeros for XOR, so the conversion
    /// functions c2 and c3 (TS 33.102 section 6.8.1.2) are here too.
    fn triplet(&self) -> String {
        let number = |name: &str| u128::from_str_radix(&format!("{:0<32}", self.get(name)), 16).unwrap();
        let (res, keys) = (number("RES"), number("CK") ^ number("IK"));
        let sres = (res >> 96) ^ (res >> 64) ^ (res >> 32) ^ res;
        let (sres, kc) = (sres as u32, ((keys >> 64) ^ keys) as u64);
        let (theirs_sres, theirs_kc) = (self.get("SRES"), self.get("Kc"));
        assert!(theirs_kc == format!("{kc:016x}") || theirs_kc == "0".repeat(16), "Kc {theirs_kc}");
        assert!(theirs_sres == format!("{sres:08x}") || theirs_sres == "0".repeat(8), "SRES {theirs_sres}");
        format!("{kc:016x}:{sres:08x}:{}", self.get("RAND"))
    }
}

impl Subscriber {
    fn xor() -> Subscriber {
        let (k, opc) = (TEST_K, None);
        Subscriber { algorithm: "XOR-3G", k, opc, amf: AMF, res: 16, sqn: 0, challenges: 0, resynchronized: 0 }
    }

    fn tuak(k: &'static str) -> Subscriber {
        Subscriber { algorithm: "TUAK", k, opc: Some(TOPC), res: 4, sqn: 0x1000, ..Subscriber::xor() }
    }

    /// `auts` with the RAND that it answers, of a card that wants a resynchronization. `None` if AUTS is wrong.
    fn generate(&mut self, rand: &str, auts: Option<&str>) -> Option<Vector> {
        let program = std::env::var("TEUICC_OSMO_AUC_GEN").expect("TEUICC_OSMO_AUC_GEN names the program");
        let mut command = Command::new(program);
        command.args(["-3", "-a", self.algorithm, "-k", self.k, "-f", self.amf, "-r", rand]);
        command.args(["-s", &self.sqn.to_string(), "-L", &self.res.to_string()]);
        if let Some(opc) = self.opc {
            command.args(["-o", opc]);
        }
        if let Some(auts) = auts {
            command.args(["-A", auts]);
        }
        let outcome = run(&mut command);
        let lines = outcome.stdout.lines().filter_map(|line| line.split_once(":\t"));
        let vector = Vector(lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
        (outcome.succeeded() && !vector.0.is_empty()).then_some(vector)
    }

    fn challenge(&mut self) -> Vector {
        self.challenges += 1;
        self.sqn += 32;
        let rand = format!("{:02x}", self.challenges).repeat(16);
        self.generate(&rand, None).expect("osmo-auc-gen makes a challenge")
    }

    fn answer(&mut self, request: &str) -> Option<String> {
        let words: Vec<_> = request.split_whitespace().collect();
        match words[..] {
            ["AKA-REQ-AUTH", imsi] => {
                let vector = self.challenge();
                let values = ["RAND", "AUTN", "IK", "CK", "RES"].map(|name| vector.get(name));
                Some(format!("AKA-RESP-AUTH {imsi} {}", values.join(" ")))
            }
            ["AKA-AUTS", _, auts, rand] => {
                let vector = self.generate(rand, Some(auts)).expect("osmo-auc-gen takes the AUTS");
                self.sqn = vector.get("SQN.MS").parse().unwrap();
                self.resynchronized += 1;
                self.amf = AMF;
                None
            }
            ["SIM-REQ-AUTH", imsi, count] => {
                let triplets = (0..count.parse().unwrap()).map(|_| self.challenge().triplet());
                Some(format!("SIM-RESP-AUTH {imsi} {}", triplets.collect::<Vec<_>>().join(" ")))
            }
            _ => panic!("hostapd asks {request:?}"),
        }
    }
}

impl OsmoAuc {
    fn start(machine: &Machine, subscriber: Subscriber) -> OsmoAuc {
        let socket = UnixDatagram::bind(centre(machine)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let subscriber = Arc::new(Mutex::new(subscriber));
        let over = Arc::new(AtomicBool::new(false));
        let (shared, ends) = (subscriber.clone(), over.clone());
        let thread = std::thread::spawn(move || {
            let mut datagram = [0; 1024];
            while !ends.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut datagram) else { continue };
                let request = std::str::from_utf8(&datagram[..length]).unwrap();
                let answer = shared.lock().unwrap_or_else(PoisonError::into_inner).answer(request);
                if let Some(answer) = answer {
                    socket.send_to(answer.as_bytes(), from.as_pathname().unwrap()).unwrap();
                }
            }
        });
        OsmoAuc { subscriber, over, thread: Some(thread) }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Subscriber) -> T) -> T {
        act(&mut self.subscriber.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for OsmoAuc {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // One that panicked has said so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[test]
fn milenage_with_hlr_auc_gw() {
    if !wanted() {
        return;
    }
    let steps = Steps::start();
    let bench = Bench::new(milenage(false));
    let server = bench.server(3);

    steps.step("full authentication by EAP-SIM, EAP-AKA and EAP-AKA'");
    let network = hlr_auc_gw(&bench, K, "000000001000");
    bench.authenticates();
    network.stop();

    steps.step("a network that is behind is told so, and resynchronizes");
    for method in [Aka, AkaPrime] {
        let network = hlr_auc_gw(&bench, K, "000000000020");
        // Refused once, and asked again with another sequence number.
        bench.authenticate(method, 0).succeeded(method, 2);
        let said = network.stop();
        assert!(said.contains("AKA-AUTS: Re-synchronized: SQN="), "{said}");
    }

    steps.step("a network with another key is refused");
    let network = hlr_auc_gw(&bench, OTHER_K, "000000100000");
    bench.refuses_another_key();
    network.stop();

    steps.step("fast reauthentication leaves the card alone");
    let _network = hlr_auc_gw(&bench, K, "000000002000");
    for method in Method::ALL {
        let attempt = bench.authenticate(method, 1);
        attempt.succeeded(method, method.challenges());
        attempt.says("subtype Reauthentication");
    }
    server.stop();

    steps.step("pseudonyms instead of the IMSI");
    let server = bench.server(1);
    for method in Method::ALL {
        bench.authenticate(method, 1).succeeded(method, 2 * method.challenges());
    }
    let said = server.log();
    for [_, pseudonym, _] in Method::ALL.map(Method::prefixes) {
        assert!(said.contains(&format!("Pseudonym username '{pseudonym}")), "{pseudonym}: {said}");
    }
    assert!(!said.contains("Unknown pseudonym"), "{said}");
    steps.step("done");
}

#[test]
fn a_pin_is_in_the_way_until_it_is_right() {
    if !wanted() {
        return;
    }
    let steps = Steps::start();
    let bench = Bench::new(milenage(true));
    let _server = bench.server(0);
    let _network = hlr_auc_gw(&bench, K, "000000001000");

    steps.step("no PIN, no identity");
    bench.attempt(Aka, None, 0, PATIENCE_FOR_A_PIN).failed("No PIN configured for SIM access");
    assert_eq!(bench.pin_status(), [0x63, 0xC3], "nothing was tried");

    steps.step("a wrong PIN costs a try");
    bench.attempt(Aka, Some("2468"), 0, PATIENCE_FOR_A_PIN).failed("SCARD: PIN verification failed");
    assert_eq!(bench.pin_status(), [0x63, 0xC2]);

    steps.step("the right PIN opens the card, and gives the tries back");
    for method in Method::ALL {
        bench.attempt(method, Some(PIN), 0, PATIENCE).succeeded(method, method.challenges());
    }
    assert_eq!(bench.pin_status(), [0x63, 0xC3]);
    bench.attempt(Aka, None, 0, PATIENCE_FOR_A_PIN).failed("No PIN configured for SIM access");
    steps.step("done");
}

#[test]
fn xor_with_osmo_auc_gen() {
    if !wanted() {
        return;
    }
    let steps = Steps::start();
    let bench = Bench::new(xor());
    let _server = bench.server(0);

    steps.step("full authentication by EAP-SIM, EAP-AKA and EAP-AKA'");
    let network = OsmoAuc::start(&bench.card.machine, Subscriber::xor());
    bench.authenticates();

    steps.step("a test network asks for a resynchronization");
    network.with(|subscriber| subscriber.amf = "ffff");
    let attempt = bench.authenticate(Aka, 0);
    attempt.succeeded(Aka, 2);
    assert_eq!(network.with(|subscriber| subscriber.resynchronized), 1);

    steps.step("a network with another key is refused");
    network.with(|subscriber| (subscriber.k, subscriber.amf) = (OTHER_K, AMF));
    bench.refuses_another_key();
    steps.step("done");
}

#[test]
fn tuak_with_osmo_auc_gen() {
    if !wanted() {
        return;
    }
    let steps = Steps::start();
    steps.step("full authentication with K of 128 bits");
    {
        let bench = Bench::new(tuak(K));
        let _server = bench.server(0);
        let _network = OsmoAuc::start(&bench.card.machine, Subscriber::tuak(K));
        bench.authenticates();
    }

    steps.step("the same with K of 256 bits");
    let bench = Bench::new(tuak(LONG_K));
    let _server = bench.server(0);
    let network = OsmoAuc::start(&bench.card.machine, Subscriber::tuak(LONG_K));
    bench.authenticates();

    // With K of 128 bits osmo-auc-gen 1.11 takes no AUTS: it checks it with a K of 256 bits all the same.
    steps.step("a network that is behind is told so, and resynchronizes");
    for (times, method) in [(1, Aka), (2, AkaPrime)] {
        network.with(|subscriber| subscriber.sqn = 32);
        // Refused once, and asked again with another sequence number.
        bench.authenticate(method, 0).succeeded(method, 2);
        assert_eq!(network.with(|subscriber| subscriber.resynchronized), times);
    }

    steps.step("a network with another key is refused");
    network.with(|subscriber| subscriber.k = OTHER_LONG_K);
    bench.refuses_another_key();
    steps.step("done");
}
