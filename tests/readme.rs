//! Runs what the README tells a reader to type, as it stands there.

use std::process::Command;

use crate::support::Setup;

/// The shell blocks of the section under this heading.
fn shell_of(heading: &str) -> String {
    let readme = include_str!("../README.md");
    let section = readme.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let blocks: Vec<&str> = section.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!blocks.is_empty(), "`{heading}` has no shell block");
    blocks.concat()
}

#[test]
fn a_message_and_its_answer() {
    let setup = Setup::new();
    let server = setup.start();
    let address = server.address;
    let script = shell_of("A message and its answer");
    assert!(script.contains("127.0.0.1:8080"), "the README names the default address");
    let script = script.replace("127.0.0.1:8080", &address.to_string());

    let output = Command::new("bash").args(["-euo", "pipefail", "-c", &script]).current_dir(setup.folder()).output();
    let output = output.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));

    let history: serde_json::Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    let found: Vec<(&str, &str)> = history["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| (message["author"]["kind"].as_str().unwrap(), message["text"].as_str().unwrap()))
        .collect();
    assert_eq!(found, [("user", "/echo hello"), ("plugin", "hello")]);
}
