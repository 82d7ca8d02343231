//! The same as an ordinary user, when it is root who runs the tests.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

/// The variable that names the helper to the tests of the ordinary user.
pub(crate) const HELPER: &str = "GANTRY_LAB_TEST_HELPER";

/// One test of each kind.
const TESTS: [&str; 5] = [
    "network::datagrams_go_both_ways_with_right_checksums",
    "machines::the_firmware_of_a_bios_machine_asks_for_an_address",
    "programs::a_listener_of_the_host_answers_from_inside",
    "programs::a_program_runs_as_root_in_the_lab_and_writes_its_log",
    "cleanup::a_lab_ends_when_its_owner_is_killed",
];

#[test]
fn an_ordinary_user_needs_nothing_more() {
    if !nix::unistd::geteuid().is_root() {
        // Then every test has shown it.
        return;
    }
    let folder =
        PathBuf::from(format!("/tmp/{}", gantry_lab::Config::default().name.replace('t', "gantry-user-")));
    fs::create_dir(&folder).unwrap();
    let [tests, helper] = ["tests", "gantry-lab"].map(|name| folder.join(name));
    fs::copy(std::env::current_exe().unwrap(), &tests).unwrap();
    fs::copy(crate::helper(), &helper).unwrap();
    for path in [&folder, &tests, &helper] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let nobody =
        ["--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all", "--no-new-privs"];
    let mut command = Command::new("setpriv");
    command.args(nobody).arg(&tests).arg("--exact").args(TESTS).env(HELPER, &helper).current_dir("/");
    let output = command.output().unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("5 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
