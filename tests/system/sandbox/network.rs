//! No network means none but a loopback interface, from the first instruction on.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use flux::model::execution::Ending;
use flux::model::isolation::NetworkIsolation;
use flux::sandbox::{CgroupMode, Enforced, FileAccess, Identity, SpawnWay, Spec};

use super::place::{Opening, Place, is_root};
use crate::runner::{Need, needs, tests};

tests![
    without_a_network_there_is_a_loopback_interface_and_nothing_else,
    the_loopback_interface_is_its_own_and_carries,
    where_networks_cannot_be_made_nothing_runs_with_the_machines,
    sockets_without_a_path_are_out_of_reach_on_the_machines_network_too,
];

const NOBODY: Identity = Identity {
    uid: 65_534,
    gid: 65_534,
};

fn without_a_network_there_is_a_loopback_interface_and_nothing_else() {
    for way in [SpawnWay::Clone3, SpawnWay::Clone] {
        let place = Opening {
            way,
            identity: is_root().then_some(NOBODY),
            ..Opening::default()
        }
        .open();
        place.needs(Enforced::NetworkNone);
        let mut spec =
            place.shell("cut -d: -f1 /proc/net/dev | tail -n +3; cat /proc/net/route | wc -l");
        spec.network = NetworkIsolation::None;
        let (outcome, recorder) = place.run(&spec);
        assert_eq!(outcome.ending, Ending::Exited(0), "{}", outcome.error);
        let words: Vec<String> = recorder
            .out()
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        assert_eq!(words, ["lo", "1"], "{way:?}");
    }
}

fn the_loopback_interface_is_its_own_and_carries() {
    let place = Place::new(CgroupMode::Auto);
    place.needs(Enforced::NetworkNone);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port of the machine's");
    let port = listener.local_addr().expect("its address").port();
    let program = format!(
        "
import socket
try: socket.create_connection(('127.0.0.1', {port}), 5); print('the machine')
except ConnectionRefusedError: print('refused')
server = socket.create_server(('127.0.0.1', {port}))
socket.create_connection(server.getsockname(), 5); print('itself')
"
    );
    let mut spec = place.spec("/usr/bin/python3");
    spec.args = vec!["-c".into(), program.into()];
    spec.network = NetworkIsolation::None;
    let (_, recorder) = place.run(&spec);
    assert_eq!(recorder.out(), "refused\nitself\n", "{}", recorder.err());
    spec = place.spec("/usr/bin/python3");
    spec.args = vec![
        "-c".into(),
        format!("import socket; socket.create_connection(('127.0.0.1', {port}), 5)").into(),
    ];
    assert_eq!(place.run(&spec).0.ending, Ending::Exited(0), "the host's");
}

fn where_networks_cannot_be_made_nothing_runs_with_the_machines() {
    needs(&[Need::Root]);
    // SAFETY: gives up the rest of root's rights in this process, which runs this test alone.
    let result = unsafe { libc::setresuid(65_534, 65_534, 65_534) };
    assert_eq!(result, 0);
    let place = Place::new(CgroupMode::Off);
    let missing = place
        .sandbox
        .missing()
        .iter()
        .find(|missing| missing.what == Enforced::NetworkNone)
        .expect("it is missing");
    assert!(missing.reason.contains("CAP_SYS_ADMIN"), "{missing}");
    let mut spec = place.shell("touch ran");
    spec.network = NetworkIsolation::None;
    let (outcome, recorder) = place.run(&spec);
    assert_eq!(outcome.ending, Ending::SpawnFailed);
    assert!(
        outcome.error.contains("no network") && outcome.error.contains("CAP_SYS_ADMIN"),
        "{}",
        outcome.error
    );
    assert_eq!(recorder.pid, None);
    assert!(!place.root().join("ran").exists());
    spec = place.shell("true");
    assert_eq!(place.run(&spec).0.ending, Ending::Exited(0));
}

fn sockets_without_a_path_are_out_of_reach_on_the_machines_network_too() {
    let place = Place::new(CgroupMode::Auto);
    // The kernel holds both since the same version of Landlock.
    place.needs(Enforced::ForeignSignals);
    let name = format!("flux-sandbox-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let _listener = UnixListener::bind_addr(&address).expect("it listens");
    let program = format!(
        "import socket; socket.socket(socket.AF_UNIX).connect('\\0{name}'); print('connected')"
    );
    let mut spec = place.spec("/usr/bin/python3");
    spec.args = vec!["-c".into(), program.into()];
    let (_, recorder) = place.run(&spec);
    assert!(
        recorder.err().contains("PermissionError"),
        "{}",
        recorder.err()
    );
    spec = Spec {
        execution_id: flux::model::ids::ExecutionId::generate(),
        files: FileAccess::Open,
        ..spec
    };
    assert_eq!(place.run(&spec).1.out(), "connected\n");
}
