//! Clients that the project did not write.

use std::process::Command;

use crate::support::Setup;

/// `PLEXICHAT_TEST_PYTHON` names a Python that has the package `websockets`. Where there is none the test shows as ignored, not as
/// passed; `cargo xtask test` makes one and asks for ignored tests too.
#[tokio::test]
#[ignore = "needs PLEXICHAT_TEST_PYTHON, a Python with the package `websockets`"]
async fn pythons_websockets_hears_the_answer_live() {
    let python = std::env::var_os("PLEXICHAT_TEST_PYTHON").expect("PLEXICHAT_TEST_PYTHON");
    let server = Setup::new().start();
    let room = server.client().room("lobby").await;
    let script = crate::tidy::root().join("tests/clients/websocket.py");
    let mut command = Command::new(python);
    command.arg(script).args([&server.address.to_string(), &server.token(), &room, "/echo hello from Python"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "hello from Python");
}
