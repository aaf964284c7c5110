//! Links and files that wait for the next deploy: in a function's own directories, where it can
//! plant them, and among the releases, where only somebody who is the agent already could.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::fleet::fs_write;
use crate::harness::{AgentOptions, Fleet, FleetOptions, function_yaml, script_archive};
use crate::runner::tests;

tests![
    links_that_a_function_left_do_not_meet_the_next_deploy,
    a_link_in_the_place_of_a_functions_releases_is_not_followed,
    a_link_that_poses_as_an_old_release_is_removed_and_not_what_it_leads_to,
    a_link_or_file_in_the_place_of_the_next_release_fails_that_deploy_alone,
    a_link_in_the_place_of_the_private_directories_is_not_followed_and_gone_after_a_restart,
];

/// A fleet, and a directory that no link may lead to.
struct Trap {
    fleet: Fleet,
    precious: PathBuf,
}

impl Trap {
    #[track_caller]
    fn set() -> Trap {
        let fleet = Fleet::with(&FleetOptions {
            flux_yaml: "limits: {heartbeat_interval: 100ms}\n".to_owned(),
            agents: vec![AgentOptions::default()],
        });
        let precious = fleet.directory().join("precious");
        fs::create_dir(&precious).expect("mkdir");
        fs_write(&precious.join("file"), "precious");
        Trap { fleet, precious }
    }

    fn apps(&self) -> PathBuf {
        self.fleet.agents[0].state_dir().join("apps")
    }

    /// Deploys; returns what the agent said.
    #[track_caller]
    fn deploy(&self, name: &str, script: &str) -> Value {
        let yaml = function_yaml(name, "");
        self.fleet
            .api
            .put("/functions", yaml.as_bytes())
            .expect(201);
        let code = script_archive(script);
        let reply = self.fleet.api.put(&format!("/deploy/{name}"), &code);
        reply.expect(200)["agents"][0].clone()
    }

    #[track_caller]
    fn assert_precious(&self) {
        let names: Vec<_> = fs::read_dir(&self.precious)
            .expect("list")
            .map(|entry| entry.expect("entry").file_name())
            .collect();
        assert_eq!(names, ["file"]);
        assert_eq!(read(&self.precious.join("file")), "precious");
    }

    /// Others are none the worse.
    #[track_caller]
    fn assert_deploys(&self, name: &str) {
        assert_eq!(self.deploy(name, "echo fine")["status"], "success");
        let record = self.fleet.execute(name, &[]).expect(200);
        assert_eq!(record["output"], "fine\n");
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("read")
}

fn links_that_a_function_left_do_not_meet_the_next_deploy() {
    let trap = Trap::set();
    let plants = format!(
        "for name in run next 1 2 .incoming apps; do ln -s {} \"$name\" 2>&-; done\n\
         ln -s / \"$TMPDIR/root\"; ln \"$0\" hard 2>&-; ln -s \"$0\" soft\n\
         ln -sfn {} \"${{0%/*}}\" 2>&-; ln -s {} \"${{0%/*}}/../9-000000000000\" 2>&-\n\
         mkdir -p deep/er; ln -s ../../.. deep/er/up; echo planted",
        trap.precious.display(),
        trap.precious.display(),
        trap.precious.display(),
    );
    assert_eq!(trap.deploy("planter", &plants)["status"], "success");
    for _ in 0..3 {
        let record = trap.fleet.execute("planter", &[]).expect(200);
        assert_eq!(record["output"], "planted\n");
    }
    let releases = fs::read_dir(trap.apps().join("planter")).expect("list");
    for release in releases {
        let release = release.expect("entry");
        assert!(release.file_type().expect("kind").is_dir(), "{release:?}");
        assert!(release.file_name().to_string_lossy().starts_with("1-"));
        let names: Vec<_> = fs::read_dir(release.path()).expect("list").collect();
        assert_eq!(names.len(), 1, "{names:?}");
    }
    trap.assert_deploys("planter");
    trap.assert_precious();
}

fn a_link_in_the_place_of_a_functions_releases_is_not_followed() {
    let trap = Trap::set();
    symlink(&trap.precious, trap.apps().join("linked")).expect("plant");
    let said = trap.deploy("linked", "echo never");
    assert_ne!(said["status"], "success", "{said}");
    trap.fleet.api.delete("/functions/linked").expect(200);
    trap.assert_precious();
    trap.assert_deploys("other");
}

fn a_link_that_poses_as_an_old_release_is_removed_and_not_what_it_leads_to() {
    let trap = Trap::set();
    trap.assert_deploys("aged");
    for version in 100..105 {
        let name = format!("{version}-00000000000{}", version % 10);
        symlink(&trap.precious, trap.apps().join("aged").join(name)).expect("plant");
    }
    trap.assert_deploys("aged");
    trap.fleet.api.delete("/functions/aged").expect(200);
    trap.assert_precious();
}

fn a_link_or_file_in_the_place_of_the_next_release_fails_that_deploy_alone() {
    let trap = Trap::set();
    trap.assert_deploys("taken");
    let digest =
        flux::model::ids::Digest::from_sha256(openssl::sha::sha256(&script_archive("echo second")));
    let digits = &digest.as_str()[..12];
    symlink(
        &trap.precious,
        trap.apps().join(format!("taken/2-{digits}")),
    )
    .expect("plant");
    let said = trap.deploy("taken", "echo second");
    assert_ne!(said["status"], "success", "{said}");
    trap.assert_precious();
    assert_eq!(trap.deploy("taken", "echo third")["status"], "success");
    let record = trap.fleet.execute("taken", &[]).expect(200);
    assert_eq!(record["output"], "third\n");
    trap.assert_precious();
}

fn a_link_in_the_place_of_the_private_directories_is_not_followed_and_gone_after_a_restart() {
    let mut trap = Trap::set();
    for private in [".incoming", ".trash"] {
        fs::remove_dir(trap.apps().join(private)).expect("make room");
        symlink(&trap.precious, trap.apps().join(private)).expect("plant");
    }
    let said = trap.deploy("waits", "echo later");
    assert_ne!(said["status"], "success", "{said}");
    trap.assert_precious();
    trap.fleet.agents[0].daemon.kill9();
    trap.fleet.await_status("agent-1", "offline");
    trap.fleet.agents[0].restart();
    trap.fleet.await_status("agent-1", "online");
    trap.assert_deploys("waits");
    trap.assert_precious();
}
